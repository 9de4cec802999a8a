"""The exercises of chapter 12 ask for what the modules do."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from course_utils.learner.checks import CHECKS
from course_utils.learner.exercises import making
from course_utils.pretraining import evaluate
from course_utils.pretraining.filters.runs import runs
from course_utils.tokenizers.chat import END_OF_TEXT
from course_utils.training import clip_gradients


def test_the_similarity_is_that_of_the_filters_runs():
    for one, other, length in CHECKS["12.1"].cases():
        theirs, others = (np.unique(runs(text, length)) for text in (one, other))
        shared = len(np.intersect1d(theirs, others))
        assert CHECKS["12.1"](one, other, length) == shared / len(np.union1d(theirs, others))
        assert CHECKS["12.1 again"](one, other, length) == shared / len(theirs)


def one_batch(w, micro_batches, rate, max_norm):
    """The step on all tokens at once, by autograd and the course's clipping."""
    weight = torch.nn.Parameter(torch.from_numpy(w.copy()))
    x, y = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*micro_batches, strict=True))
    functional.binary_cross_entropy_with_logits(x[y != -100] @ weight, y[y != -100]).backward()
    clip_gradients([weight], max_norm)
    return (weight - rate * weight.grad).detach().numpy()


@pytest.mark.parametrize("id", ["12.4", "12.4 again"])
def test_accumulated_gradients_are_those_of_one_batch(id):
    for case in CHECKS[id].cases():
        step = CHECKS[id](*case)
        np.testing.assert_allclose(step, one_batch(*case), atol=2e-5)  # theirs divides by a norm + 1e-6
    assert not np.allclose(making.a_step_each(*case), one_batch(*case), rtol=1e-3)


def test_the_likeliest_option_is_the_one_that_the_evaluation_takes(model, tokenizer):
    words = ["a", "the tale", "naïve", "and so it was"]
    choices = [{"context": context, "options": words, "right": 0} for context in ("Once ", "He said: ")]
    before, found = tokenizer.token_to_id(END_OF_TEXT), []
    for choice in choices:
        question = [before, *tokenizer.encode(choice["context"]).ids]
        ids = [question + tokenizer.encode(option).ids for option in words]
        with torch.no_grad():
            tables = [model(torch.tensor([row])).log_softmax(-1)[0].numpy() for row in ids]
        found.append(CHECKS["12.6"](words, ids, tables, len(question))[0])
    for k in range(len(words)):
        asked = {"choices": [choice | {"right": k} for choice in choices]}
        assert evaluate.choices_right(model, tokenizer, asked) == [best == k for best in found]
