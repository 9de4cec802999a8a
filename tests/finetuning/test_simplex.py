"""The world of a few answers: the optimum's formula, and where DPO and the policy gradient end."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from course_utils.finetuning.policy_gradient import group_advantages, kl_estimate
from course_utils.finetuning.simplex import (
    dpo_path,
    drawn_choices,
    drawn_wins,
    expected_advantages,
    expected_wins,
    group_gradient,
    group_path,
    loss_of_choices,
    objective,
    optimum,
    slope,
    softmax,
    stationary_gap,
)

REFERENCE, REWARDS = np.array([0.5, 0.3, 0.2]), np.array([-1.0, 0.5, 2.0])


@pytest.mark.parametrize("beta", [0.3, 1.0, 3.0])
def test_the_optimum_is_where_an_optimiser_ends(beta):
    found = minimize(
        lambda logits: -objective(softmax(logits), REFERENCE, REWARDS, beta), np.zeros(3), tol=1e-12
    )
    best = optimum(REFERENCE, REWARDS, beta)
    np.testing.assert_allclose(softmax(found.x), best, atol=1e-4)
    np.testing.assert_allclose(best, optimum(REFERENCE, REWARDS + 5, beta))  # only differences count
    other = softmax(np.log(REFERENCE) + REWARDS * beta)  # times beta, where it is over
    assert (
        beta == 1
        or objective(other, REFERENCE, REWARDS, beta) < objective(best, REFERENCE, REWARDS, beta) - 0.01
    )


def test_what_has_no_optimum_is_refused():
    for reference, beta in ((REFERENCE, 0), (REFERENCE, float("nan")), (np.array([0.5, 0.5, 0]), 1)):
        with pytest.raises(ValueError, match="must be above 0"):
            optimum(reference, REWARDS, beta)


def drawn(n, seed=0):
    draws = np.random.default_rng(seed)
    pairs = draws.permuted(np.tile([0, 1, 2], (n, 1)), axis=1)[:, :2]
    return drawn_wins(REWARDS, pairs, draws.random(n))


@pytest.mark.parametrize("beta", [0.3, 1.0])
def test_dpo_reaches_the_optimum_with_enough_pairs(beta):
    best = optimum(REFERENCE, REWARDS, beta)
    np.testing.assert_allclose(dpo_path(REFERENCE, expected_wins(REWARDS), beta, 500)[-1], best, atol=1e-6)
    off = {n: np.abs(dpo_path(REFERENCE, drawn(n), beta, 500)[-1] - best).max() for n in (10_000, 100_000)}
    assert off[100_000] < 0.01 and off[10_000] < 0.04
    swapped = dpo_path(REFERENCE, expected_wins(REWARDS).T, beta, 500)[-1]
    assert np.abs(swapped - best).max() > 0.3


def test_with_few_pairs_nothing_holds_an_answer_that_never_lost():
    wins = np.zeros((3, 3))
    wins[1, 0] = 1  # one pair
    path = dpo_path(REFERENCE, wins, 1.0, 20_000)
    ends = path[[100, 1000, 20_000], 1]
    assert (np.diff(ends) > 0.005).all() and ends[-1] > 0.97 > optimum(REFERENCE, REWARDS, 1.0)[1] + 0.5


def test_the_answer_that_was_chosen_may_become_less_likely():
    """Answers of length 2, 1 and 4; the one of 2 was chosen over the one of 1: that teaches "longer"."""
    wins = np.zeros((3, 3))
    wins[0, 1] = 1
    alike = dpo_path(REFERENCE, wins, 1.0, 50, features=[[2], [1], [4]])
    apart = dpo_path(REFERENCE, wins, 1.0, 50)
    assert alike[-1][0] < REFERENCE[0] / 2 and alike[-1][2] > 0.8
    assert (np.diff(apart[:, 0]) > 0).all()
    ratios = [path[:, 0] / path[:, 1] for path in (alike, apart)]
    assert all((np.diff(ratio) > 0).all() for ratio in ratios)  # both do what the loss asks for


@pytest.mark.parametrize("divide", [True, False])
@pytest.mark.parametrize("size", [2, 5])
def test_expected_advantages_are_those_of_sampled_groups(divide, size):
    draws = np.random.default_rng(0)
    groups = draws.choice(3, (100_000, size), p=REFERENCE)
    sampled = group_advantages(torch.from_numpy(REWARDS[groups]), divide).numpy()
    found = expected_advantages(REFERENCE, REWARDS, size, divide)
    np.testing.assert_allclose([sampled[groups == i].mean() for i in range(3)], found, atol=0.02)
    assert REFERENCE @ found == pytest.approx(0, abs=1e-12)
    if not divide:
        np.testing.assert_allclose(found, (REWARDS - REFERENCE @ REWARDS) * (size - 1) / size)


def test_the_gradients_are_those_that_autograd_finds():
    logits = torch.tensor([0.3, -0.2, 0.4], dtype=torch.float64, requires_grad=True)
    policy, size, beta = softmax(logits.detach().numpy()), 4, 0.7
    reference, rewards = map(torch.from_numpy, (REFERENCE, REWARDS))
    log_p = logits.log_softmax(0)
    exact = log_p.exp() @ rewards * (size - 1) / size - beta * log_p.exp() @ (log_p - reference.log())
    expected = torch.autograd.grad(exact, logits, retain_graph=True)[0].numpy()
    undivided = expected_advantages(policy, REWARDS, size, divide=False)
    found = group_gradient(policy, REFERENCE, undivided, beta, exact_kl=True)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    sampled = log_p.exp().detach()  # the answers that were drawn have no gradient
    divided = expected_advantages(policy, REWARDS, size, divide=True)
    loss = sampled @ (torch.from_numpy(divided) * log_p - beta * kl_estimate(log_p, reference.log()))
    expected = torch.autograd.grad(loss, logits)[0].numpy()
    found = group_gradient(policy, REFERENCE, divided, beta, exact_kl=False)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("divide", [True, False])
def test_the_policy_gradient_with_k3_ends_at_another_policy(divide):
    best, beta, size = optimum(REFERENCE, REWARDS, 1.0), 1.0, 8
    end = group_path(REFERENCE, REWARDS, beta, 800, size, divide)[-1]
    assert stationary_gap(end, REFERENCE, REWARDS, beta, size, divide) < 1e-6
    assert stationary_gap(best, REFERENCE, REWARDS, beta, size, divide) > 0.1
    assert np.abs(end - best).max() > 0.05
    assert objective(end, REFERENCE, REWARDS, beta) < objective(best, REFERENCE, REWARDS, beta) - 0.01


def test_undivided_and_with_the_kls_own_gradient_it_ends_at_the_optimum_of_a_little_less_reward():
    for size in (2, 8):
        end = group_path(REFERENCE, REWARDS, 1.0, 800, size, divide=False, exact_kl=True)[-1]
        np.testing.assert_allclose(end, optimum(REFERENCE, REWARDS * (size - 1) / size, 1.0), atol=1e-6)


def test_divided_by_the_deviation_rewards_ten_times_as_large_lead_to_the_same_place():
    ends = {
        divide: [group_path(REFERENCE, times * REWARDS, 1.0, 800, 8, divide)[-1] for times in (1, 10)]
        for divide in (True, False)
    }
    np.testing.assert_allclose(*ends[True], atol=1e-3)
    assert np.abs(np.subtract(*ends[False])).max() > 0.1


def test_choices_are_as_frequent_as_they_are_probable():
    wins = np.zeros((3, 3))
    np.add.at(wins, tuple(drawn_choices(REWARDS, 40_000)), 1 / 40_000)
    np.testing.assert_allclose(wins, expected_wins(REWARDS), atol=0.01)


def test_the_loss_of_choices_and_its_slope():
    choices, policy = np.array([[0, 2], [1, 0]]), np.array([0.2, 0.3, 0.5])
    bets = np.log(policy / REFERENCE)

    def margin(chosen, rejected, chosen_before, rejected_before, beta):
        gains = [
            c - c0 - (d - d0)
            for (c,), (d,), (c0,), (d0,) in zip(chosen, rejected, chosen_before, rejected_before, strict=True)
        ]
        return beta * np.mean(gains)

    expected = 0.7 * np.mean([bets[0] - bets[1], bets[2] - bets[0]])
    assert loss_of_choices(margin, choices, policy, REFERENCE, 0.7) == pytest.approx(expected)
    np.testing.assert_allclose(slope(lambda x: x[0] ** 2 + 3 * x[1], np.array([2.0, 5.0])), [4, 3])
