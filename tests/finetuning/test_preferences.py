"""Reward models and DPO: the formulas as trl writes them, what training does, and what is refused."""

import copy
import math

import numpy as np
import pytest
import torch
from test_gpt import SMALL, built

from course_utils.finetuning.log_probs import answer_log_probs, log_probs_of, with_answers
from course_utils.finetuning.preferences import (
    Preferences,
    RewardModel,
    bradley_terry_loss,
    dpo,
    dpo_loss,
    reward_loss,
)
from course_utils.training import TrainConfig, train

pytestmark = pytest.mark.usefixtures("one_thread")
GOOD = 7  # what people want to read in an answer


def pairs(n, seed=0):
    """Answers of 1 to 4 tokens, of which the chosen has the good one and the rejected hasn't."""
    draws, made = np.random.default_rng(seed), []
    for _ in range(n):
        prompt, chosen, rejected = (draws.integers(8, 20, draws.integers(1, 5)).tolist() for _ in range(3))
        chosen[draws.integers(len(chosen))] = GOOD
        made.append((prompt, [*chosen, 1], [*rejected, 1]))
    return made


def numbers(seed=0):
    return torch.randn(4, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 3


def test_the_losses_are_trls():
    """As in trl 1.16: reward_trainer.py, and dpo_trainer.py with loss_type="sigmoid"."""
    chosen, rejected, chosen_before, rejected_before = numbers().numpy()
    delta_score = (chosen - chosen_before) - (rejected - rejected_before)
    expected = np.mean(np.log(1 + np.exp(-0.3 * delta_score)))
    assert float(dpo_loss(*numbers(), beta=0.3)) == pytest.approx(expected, abs=1e-12)
    expected = np.mean(np.log(1 + np.exp(rejected - chosen)))
    assert float(bradley_terry_loss(*numbers()[:2])) == pytest.approx(expected, abs=1e-12)
    for wrong in (
        numbers()[[1, 0, 2, 3]],
        numbers()[[2, 3, 0, 1]],
        numbers() * torch.tensor([[1], [1], [0], [0]]),
    ):
        assert abs(float(dpo_loss(*wrong, beta=0.3)) - float(dpo_loss(*numbers(), beta=0.3))) > 1e-2


def test_large_differences_overflow_nothing():
    far = torch.tensor([1e4, -1e4])
    assert float(bradley_terry_loss(far, -far)) == pytest.approx(1e4)


def test_at_the_start_each_choice_is_a_coins():
    model = built(SMALL)
    batches = Preferences(pairs(20), 6, reference=model)
    assert float(dpo(0.3)(model, batches.next(), None)[0]) == pytest.approx(math.log(2), abs=1e-12)
    rewards = RewardModel(model)
    loss, _ = reward_loss(rewards, Preferences(pairs(20), 6).next(), None)
    assert loss.item() == pytest.approx(math.log(2))


def slope(model, loss):
    """The gradient with respect to the embedding."""
    model.zero_grad()
    loss.backward()
    return model.embedding.weight.grad.clone()


def test_at_the_start_the_gradient_is_half_of_beta_times_the_difference_of_sums():
    model, beta = built(SMALL).requires_grad_(True), 0.3
    prompt, chosen, rejected = [3, 1], [GOOD, 9, 1], [8, 1]
    batch = Preferences([(prompt, chosen, rejected)], 1, reference=model).next()
    found = slope(model, dpo(beta)(model, batch, None)[0])
    both = with_answers([prompt, prompt], [chosen, rejected])
    up, down = answer_log_probs(model, *both)
    torch.testing.assert_close(found, slope(model, -beta / 2 * (up - down)))
    up, down = answer_log_probs(model, *both) / torch.tensor([3, 2])
    assert not torch.allclose(found, slope(model, -beta / 2 * (up - down)), rtol=0.1)  # means, not sums


def test_the_reference_stays_where_it_was():
    """It is read before training; read while it trains it would follow, and the loss stay at ln 2."""
    model = built(SMALL).float().requires_grad_(True)
    batches = Preferences(pairs(100), 16, reference=model)
    before = copy.deepcopy(model)
    run = train(model, batches, TrainConfig(40, 3e-3, warmup_steps=5), loss=dpo(0.3))
    assert np.mean(run.losses[-10:]) < 0.4
    ids, answer = with_answers(*zip(*[(p, a) for p, c, r in pairs(50, 1) for a in (c, r)], strict=True))
    margins = log_probs_of(model, ids, answer) - log_probs_of(before, ids, answer)
    assert (margins[::2] > margins[1::2]).float().mean() > 0.9  # of pairs that it hasn't seen


def test_a_reward_model_finds_what_people_want():
    model = RewardModel(built(SMALL).float()).requires_grad_(True)
    train(model, Preferences(pairs(200), 16), TrainConfig(60, 3e-3, warmup_steps=5), loss=reward_loss)
    test = pairs(100, seed=1)
    ids, answer = with_answers([p for p, *_ in test] * 2, [c for _, c, _ in test] + [r for *_, r in test])
    chosen, rejected = model.rewards(ids, answer).chunk(2)
    assert (chosen > rejected).float().mean() > 0.9


def test_a_reward_is_read_at_the_answers_end():
    model = RewardModel(built(SMALL))
    torch.nn.init.normal_(model.score.weight)
    prompts, answers = [[3, 1, 4], [1]], [[7], [2, 7, 1, 8]]
    found = model.double().rewards(*with_answers(prompts, answers))
    for i, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        torch.testing.assert_close(found[i], model(torch.tensor([[*prompt, *answer]]))[0, -1])


def test_a_run_is_resumed_with_its_own_pairs_only():
    batches = Preferences(pairs(20), 4)
    state, expected = batches.state(), batches.next()
    batches.restore(state)
    assert all(map(torch.equal, batches.next(), expected))
    for other in (Preferences(pairs(20, seed=1), 4), Preferences(pairs(20), 5)):
        with pytest.raises(ValueError, match="got others"):
            other.restore(state)


@pytest.mark.parametrize(
    "made, batch_size, words",
    [
        ([], 4, "at least one pair"),
        ([([1], [2], [3]), ([1], [2, 3], (2, 3))], 4, "answer of pair 1 are the same.*leave it out"),
        ([([1], [2], [])], 4, "each of at least one token"),
        ([([1], [2], [3])], 0, "batch_size must be at least 1"),
    ],
)
def test_pairs_that_teach_nothing_are_refused(made, batch_size, words):
    with pytest.raises(ValueError, match=words):
        Preferences(made, batch_size)


def test_losses_of_nothing_and_a_beta_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"got shapes \[2\] and \[3\]"):
        bradley_terry_loss(torch.zeros(2), torch.zeros(3))
    for beta in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="beta must be above 0"):
            dpo(beta)
