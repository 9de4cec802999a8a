"""A world of a few answers, in which everything that alignment is after can be computed without sampling.

A policy is a point of the simplex: one probability for each answer. People's choices follow Bradley and
Terry: answer i is chosen over j with the probability sigmoid(r_i - r_j). What is wanted is the policy of the
largest E[r] - beta KL(policy || reference), and it has a formula, `optimum`. The methods are run as exact
gradient ascent on the logits, with expectations where practice has samples:

- **DPO** on so many pairs. Its loss has its minimum at the optimum if the choices are as frequent as they
  are probable; on few pairs some answer has never lost, and nothing holds its logit.
- The **group-relative policy gradient**, whose stationary policy is another: see `stationary_gap`.

Sources: Rafailov et al. 2023, sections 3 and 4; Vojnovic & Yun 2025, "What is the alignment objective of
GRPO?" (arXiv 2502.18548); Razin et al. 2024 (arXiv 2410.08847), on answers that were chosen and become less
likely.
"""

import functools
from collections.abc import Callable
from math import factorial, prod

import numpy as np
from jaxtyping import Float, Int

Policy = Float[np.ndarray, " answers"]
Wins = Float[np.ndarray, "answers answers"]  # how often, or with what share, i was chosen over j
TINY = 1e-4  # added to a group's deviation, as in `policy_gradient`


def softmax(logits: Float[np.ndarray, "*any answers"]) -> Float[np.ndarray, "*any answers"]:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def optimum(reference: Policy, rewards: Policy, beta: float) -> Policy:
    """The policy of the largest E[r] - beta KL(policy || reference): reference times exp(r / beta), made to
    add up to 1. Raises ValueError for a beta that isn't above 0 or a reference without some answer."""
    if not 0 < beta < np.inf or not np.min(reference) > 0:
        raise ValueError(
            f"beta and each answer's probability under the reference must be above 0; got {beta} and "
            f"{reference}: an answer that the reference never gives is never found"
        )
    return softmax(np.log(reference) + np.asarray(rewards) / beta)


def objective(policy: Policy, reference: Policy, rewards: Policy, beta: float) -> float:
    """E[r] - beta KL(policy || reference), in units of reward."""
    kept = policy > 0
    kl = (policy[kept] * np.log(policy[kept] / reference[kept])).sum()
    return float(policy @ rewards - beta * kl)


# ---- choices, and DPO ------------------------------------------------------------------------------


def expected_wins(rewards: Policy) -> Wins:
    """The share of each choice when all pairs are asked equally often and without end."""
    rewards = np.asarray(rewards, dtype=float)
    wins = sigmoid(rewards[:, None] - rewards)
    np.fill_diagonal(wins, 0)
    return wins / wins.sum()


def drawn_wins(rewards: Policy, pairs: Int[np.ndarray, "n 2"], draws: Float[np.ndarray, " n"]) -> Wins:
    """The share of each choice among n: in pair k the first answer is chosen if draws[k], evenly from 0 to 1,
    is below sigmoid of the difference of the rewards."""
    wins = np.zeros((len(rewards), len(rewards)))
    for (i, j), draw in zip(pairs, draws, strict=True):
        chosen, rejected = (i, j) if draw < sigmoid(rewards[i] - rewards[j]) else (j, i)
        wins[chosen, rejected] += 1
    return wins / len(pairs)


def drawn_choices(rewards: Policy, n: int, seed: int = 0) -> Int[np.ndarray, "2 n"]:
    """The chosen and the rejected answer of n pairs, each of two answers drawn evenly."""
    draws, rewards = np.random.default_rng(seed), np.asarray(rewards)
    one, other = draws.permuted(np.tile(np.arange(len(rewards)), (n, 1)), axis=1)[:, :2].T
    first_is_chosen = draws.random(n) < sigmoid(rewards[one] - rewards[other])
    return np.where(first_is_chosen, (one, other), (other, one))


def loss_of_choices(
    loss: Callable, choices: Int[np.ndarray, "2 n"], policy: Policy, reference: Policy, beta: float
) -> float:
    """The mean loss of such choices by a learner's `dpo` (10.6): there an answer is a list of its tokens'
    log-probabilities, here of one."""
    now, before = (np.log(p)[:, None].tolist() for p in (policy, reference))
    return loss(*[[log_p[answer] for answer in side] for log_p in (now, before) for side in choices], beta)


def slope(function: Callable, at: Float[np.ndarray, " n"], by: float = 0.01) -> Float[np.ndarray, " n"]:
    """The gradient of a function of n numbers, found by trying each a little higher and lower."""
    return np.array([function(at + e) - function(at - e) for e in by * np.eye(len(at))]) / (2 * by)


def dpo_path(
    reference: Policy, wins: Wins, beta: float, steps: int, features: np.ndarray | None = None
) -> Float[np.ndarray, "steps+1 answers"]:
    """The policies through which DPO goes, from the reference on.

    With `features`, a row for each answer, the logits are features @ weights beside the reference's: so what
    moves one answer moves those like it, as in a network. None is a weight for each answer.
    """
    features = np.eye(len(reference)) if features is None else np.asarray(features, dtype=float)
    start, weights, path = np.log(reference), np.zeros(features.shape[1]), [np.asarray(reference)]
    rate = 2 / beta**2  # the loss is as curved as beta² at most
    for _ in range(steps):
        rewards = beta * (features @ weights)  # up to a number that is the same for all
        surprise = wins * sigmoid(rewards - rewards[:, None])  # (chosen, rejected)
        weights = weights + rate * beta * (surprise.sum(1) - surprise.sum(0)) @ features
        path.append(softmax(start + features @ weights))
    return np.array(path)


# ---- the group-relative policy gradient -------------------------------------------------------------


def expected_advantages(policy: Policy, rewards: Policy, size: int, divide: bool) -> Policy:
    """The mean advantage of each answer in a group of `size`, the others of which the policy draws: over all
    groups that there can be. As `policy_gradient.group_advantages`; if `divide`, over the deviation."""
    return advantages_in_groups(rewards, size, divide) @ chances_of_groups(policy, size)


@functools.cache
def groups_of_others(size: int, answers: int) -> tuple[Int[np.ndarray, "groups answers"], np.ndarray]:
    """How often each answer is among the others of a group, and in how many orders they can be drawn."""
    others = np.array(_compositions(size - 1, answers))
    return others, np.array(
        [factorial(size - 1) / prod(map(factorial, counts)) for counts in others.tolist()]
    )


def _compositions(total: int, parts: int) -> list[list[int]]:
    """All ways to write a total as so many numbers from 0 on, in order."""
    if parts == 1:
        return [[total]]
    return [[first, *rest] for first in range(total + 1) for rest in _compositions(total - first, parts - 1)]


def chances_of_groups(policy: Policy, size: int) -> Float[np.ndarray, " groups"]:
    others, orders = groups_of_others(size, len(policy))
    return orders * np.prod(policy**others, axis=1)


def advantages_in_groups(rewards: Policy, size: int, divide: bool) -> Float[np.ndarray, "answers groups"]:
    """The advantage of each answer beside each of the groups of others."""
    rewards, (others, _) = np.asarray(rewards, dtype=float), groups_of_others(size, len(rewards))
    counts = others + np.eye(len(rewards), dtype=int)[:, None]  # (answers, groups, answers)
    mean = counts @ rewards / size
    advantages = rewards[:, None] - mean
    if not divide:
        return advantages
    variance = (counts * (rewards - mean[..., None]) ** 2).sum(-1) / (size - 1)
    return np.where(variance > 1e-12, advantages / (np.sqrt(variance) + TINY), 0)


def group_gradient(
    policy: Policy, reference: Policy, advantages: Policy, beta: float, exact_kl: bool
) -> Policy:
    """What a step adds to the logits, in expectation. The penalty is k3's estimate of the KL on the sampled
    answers, as in GRPO: its gradient, with the sampling held fixed, is policy - reference. If `exact_kl`, it
    is the KL's own."""
    if exact_kl:
        surplus = np.log(policy / reference)
        return policy * (advantages - beta * (surplus - policy @ surplus))
    return policy * advantages - beta * (policy - reference)


def group_path(
    reference: Policy,
    rewards: Policy,
    beta: float,
    steps: int,
    size: int = 8,
    divide: bool = True,
    exact_kl: bool = False,
) -> Float[np.ndarray, "steps+1 answers"]:
    """The policies through which the group-relative policy gradient goes, from the reference on. With divide
    and k3 it is GRPO's; undivided and with the exact KL it climbs E[r] - beta KL itself, but for its group's
    size: E[r] counts (size - 1) / size, since an answer is part of the mean that it is compared with."""
    in_groups = advantages_in_groups(rewards, size, divide)
    logits, path = np.log(reference), [np.asarray(reference)]
    for _ in range(steps):
        advantages = in_groups @ chances_of_groups(path[-1], size)
        logits = logits + group_gradient(path[-1], reference, advantages, beta, exact_kl)
        path.append(softmax(logits))
    return np.array(path)


def stationary_gap(
    policy: Policy, reference: Policy, rewards: Policy, beta: float, size: int, divide: bool
) -> float:
    """How far a policy is from where GRPO stands still, the largest difference of probabilities.

    There, policy = reference / (1 - A / beta), with the mean advantage A of each answer under the policy
    itself, where the optimum has reference * exp(r / beta) (Vojnovic & Yun 2025): 1 / (1 - x) for e^x. And
    with the division by the deviation, rewards ten times as large lead to the same place.
    """
    advantages = expected_advantages(policy, rewards, size, divide)
    return float(np.abs(policy * (1 - advantages / beta) - reference).max())
