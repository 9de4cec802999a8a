"""Answers token by token, and how likely a model finds them: beside `generate`, and by the definition."""

import numpy as np
import pytest
import torch
from mocks import Mock
from test_gpt import SMALL, built, ids_of

from course_utils.finetuning.answering import Answerer, byte_level
from course_utils.finetuning.log_probs import log_probs_of, with_answers
from course_utils.finetuning.lora import WithoutAdapters, add_lora, lora_layers, merge
from course_utils.generation import generate
from course_utils.gpt import GPT, GPTConfig
from course_utils.sampling import Sampler
from course_utils.tokenizers import BPETokenizer

pytestmark = pytest.mark.usefixtures("one_thread")


def written(answerer, *args, **how):
    answer = answerer.begin(*args, **how)
    while not answer.ended:
        answer.advance()
    return answer


def letters(model, **more):
    """Of 26 tokens, from a to z."""
    return Answerer(
        model,
        lambda text: [ord(c) - 97 for c in text],
        lambda ids: "".join(chr(97 + i) for i in ids),
        "a to z",
        **more,
    )


@pytest.mark.parametrize("temperature", [0, 0.8])
def test_it_writes_what_generate_writes(temperature):
    model = Mock(26)
    answer = written(letters(model), "tobe", 12, temperature, seed=3)
    sampler, generator = Sampler(temperature=temperature), torch.Generator().manual_seed(3)
    [expected] = generate(model, [[19, 14, 1, 4]], 12, sampler=sampler, generator=generator)
    assert answer.ids == expected.ids and answer.ended == "the length asked for"


def test_bits_are_those_of_the_model_at_temperature_1_however_it_was_drawn():
    model = Mock(26)
    for temperature in (0, 1.7):
        answer = written(letters(model), "tobe", 9, temperature)
        texts = [[19, 14, 1, 4, *answer.ids[:n]] for n in range(9)]
        expected = [
            -np.log2(float(model.next_probs(text)[i])) for text, i in zip(texts, answer.ids, strict=True)
        ]
        assert answer.bits == pytest.approx(expected, abs=1e-5)
        assert letters(model).bits("tobe", answer.ids) == pytest.approx(expected, abs=1e-5)
        assert letters(Mock(26, seed=1)).bits("tobe", answer.ids) != pytest.approx(expected, abs=0.1)


def test_their_sum_is_the_log_probability_that_dpo_uses():
    torch.manual_seed(0)
    model, answer = GPT(GPTConfig(256, 32, 2, 2, 16)).train(), [3, 1, 2]
    before = byte_level(model).bits("abc", answer).sum()
    assert before == pytest.approx(
        float(-log_probs_of(model, *with_answers([[97, 98, 99]], [answer]))) / np.log(2)
    )
    assert model.training


def test_it_ends_at_an_end_a_stop_string_or_its_length():
    model = Mock(26)
    free = written(letters(model), "tobe", 20)
    end = free.ids[4]
    ended = written(letters(model, end_ids=[end]), "tobe", 20)
    assert ended.ids == free.ids[: free.ids.index(end) + 1] and ended.ended == "an end token"
    assert chr(97 + end) not in ended.text() and ended.text() == free.text(len(ended.ids) - 1)
    stop = free.text()[3:5]
    stopped = written(letters(model), "tobe", 20, stop=stop)
    assert stopped.ended == "the stop string" and stopped.text() == free.text()[: free.text().index(stop) + 2]


def test_between_two_tokenizers_an_answer_crosses_as_its_text_with_its_end():
    bpe = BPETokenizer.train("to be or not to be " * 9, 262)
    one = byte_level(Mock(256), end_ids=[10])
    other = byte_level(Mock(262), bpe, end_ids=[10])
    answer = one.begin("a", 9)
    answer.ids = [*b"to be", 0xC3, 10]  # half a character is left out
    assert other.reading(answer) == [*bpe.encode("to be"), 10]
    assert other.reading(answer, 4) == [*bpe.encode("to b")]
    assert byte_level(Mock(256)).reading(answer) == answer.ids
    assert [one.piece(i) for i in (98, 0xC3, 10)] == ["b", "\udcc3", "∎"]


def test_a_model_that_fails_is_read_anew():
    class Failing(Mock):
        broken = False

        def __call__(self, *args, **kwargs):
            logits = super().__call__(*args, **kwargs)  # the cache has grown
            return 1 / 0 if self.broken else logits

    model = Failing(26)
    expected, answer = written(letters(Mock(26)), "tobe", 8, 1.0), letters(model).begin("tobe", 8, 1.0)
    for n in range(8):
        model.broken = True
        with pytest.raises(ZeroDivisionError):
            answer.advance()
        assert len(answer.ids) == n
        model.broken = False
        answer.advance()
    assert answer.ids == expected.ids


def test_long_prompts_and_what_can_not_be_read():
    model = Mock(26, context=12)
    one = letters(model)
    with pytest.warns(UserWarning, match="the prompt has 20 tokens and there is room for 4"):
        answer = one.begin("abcdefghijklmnopqrst", 8)
    answer.advance()
    assert answer.bits == pytest.approx(
        [-float(model.next_probs([16, 17, 18, 19])[answer.ids[0]].log2())], abs=1e-5
    )
    assert len(one.bits("abcdefghijklmnopqrst", [1] * 11)) == 11
    for answer in ([], [1] * 12):
        with pytest.raises(ValueError, match=f"has from 1 to 11 tokens; got {len(answer)}"):
            one.bits("a", answer)
    with pytest.raises(ValueError, match="a prompt must have at least one token"):
        one.begin("", 8)
    model.table[:] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        one.begin("a", 2).advance()
    with pytest.raises(ValueError, match="its weights are damaged"):
        one.bits("a", [1])


def test_without_its_adapters_a_model_is_what_it_was_and_then_itself_again():
    model, ids = built(SMALL), ids_of(2, 20)
    with torch.no_grad():
        before = model(ids)
        add_lora(model, 3, 7.0)
        for _, layer in lora_layers(model):
            torch.nn.init.normal_(layer.B, std=0.3)
        after = model(ids)
        base = WithoutAdapters(model)
        assert base(ids).equal(before) and model(ids).equal(after) and not before.allclose(after, atol=1e-3)
        with pytest.raises(ValueError, match="at least one token"):
            base(ids[:, :0])
        assert model(ids).equal(after)  # also after an error
        with pytest.raises(ValueError, match="are merged into"):
            WithoutAdapters(merge(model))(ids)
    assert base.vocab_size == SMALL.vocab_size and base.training is model.training
