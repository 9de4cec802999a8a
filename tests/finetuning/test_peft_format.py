"""Adapters beside those of peft with the same numbers: outputs and gradients, both ways through its files."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from test_gpt import SMALL, as_llama, built, ids_of
from torch import nn

from course_utils.bert import Bert, BertConfig
from course_utils.finetuning import peft_format
from course_utils.finetuning.lora import LoRALinear, add_lora, lora_layers, merge
from course_utils.finetuning.peft_format import CONFIG, TENSORS, load_adapter, peft_name, save_adapter

pytestmark = pytest.mark.usefixtures("one_thread")
IDS = ids_of(2, 20)
RANK, ALPHA = 3, 7.0
OURS, THEIRS = ["query", "value", "down"], ["q_proj", "v_proj", "down_proj"]


def randomised(adapters):
    torch.manual_seed(1)
    for parameter in adapters:
        nn.init.normal_(parameter, std=0.3)


def adapted(model):
    randomised(p for p in add_lora(model, RANK, ALPHA, OURS).parameters() if p.requires_grad)
    return model


@pytest.fixture
def ours(tmp_path):
    """A model with adapters, which are saved in tmp_path, and peft's model that read them."""
    base = built(SMALL)
    llama = as_llama(base)
    save_adapter(tmp_path, adapted(base))
    return base, PeftModel.from_pretrained(llama, tmp_path, is_trainable=True)


@pytest.fixture
def theirs(tmp_path):
    """peft's model with adapters, which are saved in tmp_path, and ours that read them."""
    base = built(SMALL)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=THEIRS, lora_dropout=0.1)
    llama = get_peft_model(as_llama(base), config).eval()
    randomised(p for p in llama.parameters() if p.requires_grad)
    llama.save_pretrained(tmp_path)
    return load_adapter(tmp_path, base), llama


def compare(model, llama):
    """The same logits, and the same gradients of every A and B."""
    logits, expected = model(IDS), llama(IDS).logits
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)  # transformers norms in float32
    for each in (logits, expected):
        each.log_softmax(-1)[..., 3].mean().backward()
    parameters, found = dict(llama.named_parameters()), 0
    for name, layer in lora_layers(model):
        for ours, factor in ((layer.A, "A"), (layer.B, "B")):
            gradient = parameters[
                f"base_model.model.{peft_name(model, name)}.lora_{factor}.default.weight"
            ].grad
            torch.testing.assert_close(ours.grad, gradient, atol=1e-5, rtol=1e-4)
            found += ours.grad.abs().max() > 1e-3
    assert found == sum(p.requires_grad for p in parameters.values()) == 2 * 3 * SMALL.n_layers


def test_peft_reads_ours(ours):
    compare(*ours)


def test_we_read_pefts(theirs):
    compare(*theirs)


@pytest.mark.parametrize(
    "scale",
    [lambda layer: 1.0, lambda layer: layer.alpha**2 / layer.rank, lambda layer: layer.alpha],
    ids=["alpha ignored", "alpha squared", "not divided by the rank"],
)
def test_a_wrong_scale_is_caught(theirs, monkeypatch, scale):
    monkeypatch.setattr(LoRALinear, "scale", property(scale))
    with pytest.raises(AssertionError):
        compare(*theirs)


def test_merged_as_peft_merges(theirs):
    model, llama = theirs
    merge(model), llama.merge_adapter()
    with torch.no_grad():
        torch.testing.assert_close(model(IDS), llama(IDS).logits, atol=1e-4, rtol=0)
    for (_, layer), name in zip(lora_layers(model), peft_names(model), strict=True):
        weight = llama.base_model.model.get_submodule(name).base_layer.weight
        torch.testing.assert_close(layer.base.weight, weight.data)


def peft_names(model):
    return [peft_name(model, name) for name, _ in lora_layers(model)]


def test_through_the_files_and_back(ours, tmp_path):
    model, _ = ours
    again = load_adapter(tmp_path, built(SMALL))
    assert str(again) == str(model)
    for name, tensor in model.state_dict().items():
        assert tensor.equal(again.state_dict()[name]), name
    assert peft_names(model)[:2] == ["model.layers.0.self_attn.q_proj", "model.layers.0.self_attn.v_proj"]


def test_a_model_that_transformers_lacks_keeps_its_own_names(tmp_path):
    """peft wraps our own BERT, too."""
    torch.manual_seed(0)
    bert, ids = Bert(BertConfig(50, 12, 2, 2, 24)).double(), ids_of(2, 9)
    wrapped = get_peft_model(bert, LoraConfig(r=2, lora_alpha=5, target_modules=["value", "up"]))
    randomised(p for p in wrapped.parameters() if p.requires_grad)
    expected = wrapped(ids)
    wrapped.save_pretrained(tmp_path)
    model = load_adapter(tmp_path, wrapped.unload())
    torch.testing.assert_close(model(ids), expected)


@pytest.fixture
def folder(tmp_path):
    save_adapter(tmp_path / "adapter", adapted(built(SMALL)))
    return tmp_path / "adapter"


def test_a_flipped_bit_is_noticed(folder):
    data = bytearray((folder / TENSORS).read_bytes())
    data[-100] ^= 1
    (folder / TENSORS).write_bytes(data)
    with pytest.raises(ValueError, match=rf"{TENSORS} is damaged"):
        load_adapter(folder, built(SMALL))


def edited(folder, **settings):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | settings))


def other_shape(folder):
    tensors = load_file(folder / TENSORS)
    last = max(tensors)  # all layers before it fit
    save_file(tensors | {last: torch.zeros(5, 3)}, folder / TENSORS)


def another_layer(folder):
    tensors = load_file(folder / TENSORS)
    save_file(tensors | {"base_model.model.head.lora_A.weight": torch.zeros(3, 48)}, folder / TENSORS)


REFUSED = {
    "of another shape": (other_shape, r"of another shape: A and B of .*v_proj have .* ask for \(3, 48\)"),
    "of another rank": (lambda folder: edited(folder, r=4), "its rank 4 and this model ask for"),
    "of another model": (another_layer, "another model's: it holds base_model.model.head.lora_A"),
    "no folder": (shutil.rmtree, "adapter holds no adapter: adapter_config.json and adapter_model"),
    "no tensors": (lambda folder: (folder / TENSORS).unlink(), "adapter_model.safetensors must be there"),
    "cut off": (lambda folder: (folder / TENSORS).write_bytes(b"{}"), "cut off or damaged"),
    "no JSON": (lambda folder: (folder / CONFIG).write_text("r = 3"), "adapter_config.json is damaged"),
    "a list": (lambda folder: (folder / CONFIG).write_text("[]"), "adapter_config.json is damaged"),
    "no numbers": (lambda folder: edited(folder, r="3"), "expected numbers for r and lora_alpha"),
    "rank 0": (lambda folder: edited(folder, r=0), "of another shape"),
    "another scale": (lambda folder: edited(folder, use_rslora=True), "is LORA and uses use_rslora"),
    "what peft has tomorrow": (lambda folder: edited(folder, use_x=True), "is LORA and uses use_x"),
    "trained biases": (lambda folder: edited(folder, bias="all"), "is LORA and uses bias"),
    "another start": (lambda folder: edited(folder, init_lora_weights="pissa"), "uses init_lora_weights"),
    "no LoRA": (lambda folder: edited(folder, peft_type="LOHA"), "is LOHA and uses nothing else"),
}


@pytest.mark.parametrize("damage, words", REFUSED.values(), ids=REFUSED)
def test_what_is_refused_changes_nothing(folder, damage, words):
    damage(folder)
    model = built(SMALL).requires_grad_(True)
    before = str(model)
    with pytest.raises(ValueError, match=words) as caught:
        load_adapter(folder, model)
    assert "\n" not in str(caught.value)
    assert str(model) == before and all(p.requires_grad for p in model.parameters())


def test_what_can_not_be_saved(tmp_path):
    with pytest.raises(ValueError, match="one rank and alpha; this model has none"):
        save_adapter(tmp_path, built(SMALL))
    model = add_lora(built(SMALL), 2, 4.0)
    next(lora_layers(model))[1].alpha = 5.0
    with pytest.raises(ValueError, match=r"has \[\(2, 4.0\), \(2, 5.0\)\]"):
        save_adapter(tmp_path, model)
    assert not list(tmp_path.iterdir())


def test_every_setting_that_peft_writes_is_known(theirs, tmp_path):
    written = json.loads((tmp_path / CONFIG).read_text())
    assert peft_format.HARMLESS - written.keys() <= {"layers_pattern"}
