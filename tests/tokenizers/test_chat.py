"""Conversations as tokens: SmolLM2's layout to the last id, and which tokens are learnt."""

import copy
import json

import pytest
from safetensors import safe_open

from course_utils import pretrained
from course_utils.data import assets
from course_utils.tokenizers import BPETokenizer, ByteTokenizer
from course_utils.tokenizers.chat import IGNORED, ChatTemplate, chatml, end_ids

PLAIN = ChatTemplate(ByteTokenizer().encode, start=[], end=[10])
TURNS = [
    {"role": "user", "content": " Né 🦜 12?\n"},
    {"role": "assistant", "content": "Yes: 12."},
    {"role": "user", "content": "Sure?"},
    {"role": "assistant", "content": "I am."},
]


@pytest.fixture(scope="module")
def theirs():
    """transformers' tokenizer with the published template."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = copy.deepcopy(pretrained.smollm2_tokenizer())
    tokenizer.encode_special_tokens = False  # they write the template as a text and cut that
    with safe_open(assets.path("smollm2-135m"), "pt") as file:
        template = json.loads(file.metadata()["notes"])["chat_template"]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template=template)


SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize("messages", [TURNS[:1], TURNS[:3], TURNS, [SYSTEM, *TURNS]])
def test_ids_are_those_of_transformers(theirs, messages):
    ours = pretrained.smollm2_template()
    for got, opens in [(ours.prompt(messages), True), (ours.labelled([*messages, TURNS[1]]).ids, False)]:
        asked = messages if opens else [*messages, TURNS[1]]
        ids = theirs.apply_chat_template(asked, add_generation_prompt=opens, return_dict=False)
        assert got == ids


def test_the_answers_and_their_ends_are_learnt():
    tokenizer = pretrained.smollm2_tokenizer()
    ids, labels = pretrained.smollm2_template().labelled(TURNS)
    assert all(label in (i, IGNORED) for i, label in zip(ids, labels, strict=True))
    learnt = tokenizer.decode([i for i in labels if i != IGNORED], skip_special_tokens=False)
    assert learnt == "Yes: 12.<|im_end|>I am.<|im_end|>"


def test_what_is_learnt_follows_the_prompt_that_the_model_will_see():
    template = pretrained.smollm2_template()
    for n in (2, 4):
        ids, labels = template.labelled(TURNS[:n])
        prompt = template.prompt(TURNS[: n - 1])
        assert ids[: len(prompt)] == prompt and labels[len(prompt)] != IGNORED == labels[len(prompt) - 1]


def test_a_template_of_bytes():
    ids, labels = PLAIN.labelled(TURNS[2:])
    assert bytes(ids) == b"user\nSure?\n\nassistant\nI am.\n\n"
    assert bytes(i for i in labels if i != IGNORED) == b"I am.\n"


def test_a_conversation_without_an_answer_teaches_nothing():
    with pytest.raises(ValueError, match=r"nothing is to be learnt: .* an assistant's message"):
        PLAIN.labelled(TURNS[:1])


@pytest.mark.parametrize("system", [None, "Be brief."])
@pytest.mark.parametrize("message", ["hi", None, {"role": "judge", "content": "hi"}, {"role": "user"}])
def test_what_is_no_message_is_refused(message, system):
    template = ChatTemplate(ByteTokenizer().encode, start=[], end=[10], system=system)
    with pytest.raises(ValueError, match=r"expected messages with a role .* and a text as content; got "):
        template.prompt([message])


def test_a_tokenizer_without_the_special_tokens_is_refused():
    tokenizer = BPETokenizer(special_tokens=["<|im_start|>", "<|im_end|>"]).fast()
    assert chatml(tokenizer).prompt(TURNS[2:3])[0] == 256
    with pytest.raises(ValueError, match=r"has no token <\|endoftext\|>"):
        end_ids(tokenizer)
    with pytest.raises(ValueError, match=r"has no token <\|im_start\|>"):
        chatml(BPETokenizer().fast())
