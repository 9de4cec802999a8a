"""The log-probability of an answer beside transformers', and the usual slips."""

import pytest
import torch
from test_gpt import SMALL, as_llama, built

from course_utils.finetuning.log_probs import answer_log_probs, token_log_probs, with_answers

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPTS, ANSWERS = [[3, 1, 4], [1], [5, 9, 2, 6]], [[7, 8], [2, 7, 1, 8], [1]]


def expected(model):
    """Answer by answer, without padding, from transformers' logits."""
    llama, sums = as_llama(model), []
    for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
        log_p = llama(torch.tensor([[*prompt, *answer]])).logits[0].log_softmax(-1)
        sums.append(sum(log_p[len(prompt) + i - 1, token] for i, token in enumerate(answer)))
    return torch.stack(sums)


def test_it_is_the_sum_over_the_answer_alone_whatever_stands_behind():
    model = built(SMALL)
    ids, answer = with_answers(PROMPTS, ANSWERS)
    assert answer.sum(1).tolist() == [2, 4, 1] and ids[0].tolist() == [3, 1, 4, 7, 8]
    found = answer_log_probs(model, ids, answer)
    torch.testing.assert_close(found, expected(model), atol=1e-4, rtol=0)
    other = ids.masked_fill(ids == 0, 9)  # the padding: no row of these has a token 0
    torch.testing.assert_close(answer_log_probs(model, other, answer), found)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda model, ids, answer: answer_log_probs(model, ids, answer) / answer.sum(1),
        lambda model, ids, answer: answer_log_probs(model, ids, torch.ones_like(answer)),
        lambda model, ids, answer: (token_log_probs(model, ids) * answer[:, :-1]).sum(1),
    ],
    ids=["a mean", "the prompt too", "one token early"],
)
def test_wrong_variants_are_caught(wrong):
    model = built(SMALL)
    assert (wrong(model, *with_answers(PROMPTS, ANSWERS)) - expected(model)).abs().max() > 1e-2


@pytest.mark.parametrize("prompts, answers", [([[1]], []), ([], [[1]]), ([[1]], [[]]), ([[]], [[1]])])
def test_an_empty_answer_is_refused(prompts, answers):
    with pytest.raises(ValueError, match="as many prompts as answers, each of at least one token"):
        with_answers(prompts, answers)


def test_an_answer_over_the_window_is_refused():
    with pytest.raises(ValueError, match="reads at most 40 tokens"):
        answer_log_probs(built(SMALL), *with_answers([[1]], [[2] * 41]))
