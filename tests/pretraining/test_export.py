"""An exported model, read by the programs that it is exported for: the same logits, ids and tokens."""

import json

import gguf as reference
import pytest
import torch
from safetensors.torch import load as load_tensors
from small_llama import TEXT
from transformers import AutoModelForCausalLM, AutoTokenizer

from course_utils.data import extracts
from course_utils.generation import generate
from course_utils.pretraining import model as models
from course_utils.pretraining.export import gguf, hugging_face
from course_utils.tokenizers.chat import SPECIAL, chatml, end_ids
from course_utils.weights.making_recipe import OURS

pytestmark = pytest.mark.usefixtures("one_thread")
MESSAGES = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": " Né 🦜 12?\n"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": ""},
]


@pytest.fixture
def hub(tmp_path, model, tokenizer):
    hugging_face.export(tmp_path / "hub", model, tokenizer)
    return tmp_path / "hub"


def logits_of(theirs, ids):
    with torch.inference_mode():
        return theirs(ids).logits


def test_transformers_gives_the_same_logits_and_the_same_answer(hub, model, tokenizer):
    theirs = AutoModelForCausalLM.from_pretrained(hub)
    ids = torch.tensor([tokenizer.encode(TEXT).ids[:40]])
    assert (logits_of(theirs, ids) - model(ids)).abs().max() < 1e-4
    ends = end_ids(tokenizer)
    assert theirs.generation_config.eos_token_id == ends
    ours = generate(model, ids[:, :9].tolist(), 20, end_ids=ends)[0].ids
    assert theirs.generate(ids[:, :9], max_new_tokens=20, do_sample=False)[0, 9:].tolist() == ours


@pytest.mark.parametrize(
    "changes", [{"rope_theta": 600.0}, {"rms_norm_eps": 1e-2}, {"num_key_value_heads": 4}]
)
def test_a_wrong_config_would_be_noticed(changes, hub, model, tokenizer):
    path = hub / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    ids = torch.tensor([tokenizer.encode(TEXT).ids[:40]])
    try:
        theirs = AutoModelForCausalLM.from_pretrained(hub)
    except RuntimeError:  # the shapes don't fit
        return
    assert (logits_of(theirs, ids) - model(ids)).abs().max() > 1e-3


def test_the_tokenizer_gives_the_same_ids_and_the_same_chat(hub, tokenizer):
    theirs = AutoTokenizer.from_pretrained(hub)
    assert (
        theirs(TEXT)["input_ids"] == tokenizer.encode(TEXT).ids
        and theirs.decode(theirs(TEXT)["input_ids"]) == TEXT
    )
    for messages in (MESSAGES, MESSAGES[1:], MESSAGES[1:2]):
        got = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        assert got == chatml(tokenizer).prompt(messages)
    assert theirs.eos_token == "<|im_end|>" and theirs.model_max_length == 64


def test_half_precision(tmp_path, model, tokenizer):
    hugging_face.export(tmp_path, model, tokenizer, half=True)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto")
    assert theirs.dtype == torch.float16
    assert torch.equal(theirs.get_input_embeddings().weight, model.embedding.weight.half())


def check_reads_back(path, model, tokenizer):
    """By the way in which the course reads SmolLM2's file."""
    tensors = load_tensors(extracts.gguf_weights(path))
    ours = dict(model.named_parameters())
    assert tensors.keys() == ours.keys()
    assert all(torch.equal(tensor, ours[name].half()) for name, tensor in tensors.items())
    words, stored = json.loads(extracts.gguf_tokenizer(path)), json.loads(tokenizer.to_str())
    assert {token: i for i, token in enumerate(words["tokens"])} == tokenizer.get_vocab()
    assert words["merges"] == stored["model"]["merges"] and words["special"] == list(SPECIAL)


def test_gguf_reads_back_equal(tmp_path, model, tokenizer):
    gguf.export(tmp_path / "model.gguf", model, tokenizer)
    check_reads_back(tmp_path / "model.gguf", model, tokenizer)
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_transformers_reads_the_gguf_file_too(tmp_path, model, tokenizer):
    gguf.export(tmp_path / "model.gguf", model, tokenizer, half=False)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file="model.gguf")
    ids = torch.tensor([tokenizer.encode(TEXT).ids[:40]])
    assert (logits_of(theirs, ids) - model(ids)).abs().max() < 1e-4
    fields = reference.GGUFReader(tmp_path / "model.gguf").fields
    assert fields["tokenizer.chat_template"].contents() == hugging_face.CHAT_TEMPLATE


def test_the_shipped_model_in_both_formats(tmp_path):
    """Trained weights, and a tokenizer that knows words. The weights are kept in float16, so a GGUF file in
    float16 has just these numbers."""
    model, tokenizer = models.load(OURS)
    hugging_face.export(tmp_path, model, tokenizer)
    gguf.export(tmp_path / "model.gguf", model, tokenizer)
    check_reads_back(tmp_path / "model.gguf", model, tokenizer)
    ids = torch.tensor([tokenizer.encode(TEXT).ids])
    assert AutoTokenizer.from_pretrained(tmp_path)(TEXT)["input_ids"] == ids[0].tolist()
    asked = torch.tensor([chatml(tokenizer).prompt([{"role": "user", "content": "What is 27 plus 48?"}])])
    answer = generate(model, asked.tolist(), 20, end_ids=end_ids(tokenizer))[0].ids
    for file in (None, "model.gguf"):
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=file)
        assert (logits_of(theirs, ids) - model(ids)).abs().max() < 1e-4
        written = theirs.generate(asked, max_new_tokens=20, do_sample=False)
        assert written[0, asked.shape[1] :].tolist() == answer


def test_another_models_tokenizer_is_refused(tmp_path, model, tokenizer):
    from tokenizers import Tokenizer

    other = Tokenizer.from_str(tokenizer.to_str())
    other.add_tokens(["mercy"])
    for export, path in [(hugging_face.export, tmp_path / "hub"), (gguf.export, tmp_path / "model.gguf")]:
        with pytest.raises(ValueError, match="300 tokens and the tokenizer 301"):
            export(path, model, other)
    assert not any(tmp_path.iterdir())
