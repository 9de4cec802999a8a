"""Texts that begin alike: the logits are those of each text alone, and no token is read twice."""

import pytest
import torch
from mocks import Mock

from course_utils.generation.prefix import NextLogits
from course_utils.gpt import GPT, GPTConfig

pytestmark = pytest.mark.usefixtures("one_thread")

TEXTS = [[1, 2, 3], [1, 2, 3, 4], [1, 2, 5, 4], [1, 2, 5, 4], [1, 2], [0], [1, 2, 3, 4, 5, 0, 1]]
NEW = [3, 1, 2, 1, 1, 1, 7]


@pytest.mark.parametrize("what", [{}, {"token_shift": True}, {"ngrams": 3, "ngram_rows": 31}], ids=str)
def test_logits_are_those_of_the_text_alone(what):
    torch.manual_seed(0)
    model = GPT(GPTConfig(6, 16, 2, 2, 16, **what)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    next_logits = NextLogits(model)
    for text in TEXTS:
        with torch.inference_mode():
            torch.testing.assert_close(next_logits(text), model(torch.tensor([text]))[0, -1])


def test_only_what_is_new_is_read():
    model = Mock(6)
    next_logits = NextLogits(model)
    for text, new in zip(TEXTS, NEW, strict=True):
        before = model.tokens
        assert next_logits(text).softmax(-1).argmax() == model.next_probs(text).argmax()
        assert model.tokens - before == new


class Interrupted(Mock):
    """Ctrl-C comes in its second call, after it has read."""

    def __call__(self, *args, **settings):
        logits = super().__call__(*args, **settings)
        if self.calls == 2:
            raise KeyboardInterrupt
        return logits


def test_a_text_that_was_interrupted_is_read_again():
    model = Interrupted(6)
    next_logits = NextLogits(model)
    next_logits([1, 2])
    with pytest.raises(KeyboardInterrupt):
        next_logits([1, 2, 3, 4])
    assert next_logits([1, 2, 3, 4]).softmax(-1).argmax() == model.next_probs([1, 2, 3, 4]).argmax()


def test_a_text_has_a_token_at_least():
    with pytest.raises(ValueError, match="at least one token"):
        NextLogits(GPT(GPTConfig(6, 16, 2, 2, 16)).eval())([])
