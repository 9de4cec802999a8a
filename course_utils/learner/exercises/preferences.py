"""The exercises of chapter 10 on preferences and rewards, in NumPy."""

from math import comb

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import different_shares, rounded


def reward_inputs(generator, case):
    """From one pair on, never of equal rewards; every fourth time one difference is too large for exp."""
    chosen = rounded(generator, 1 + case)
    rejected = chosen - generator.choice([-1.3, -0.4, 0.3, 0.9, 2.1], size=len(chosen))
    if case % 4 == 3:
        rejected[0] = chosen[0] + 2000.0
    return chosen, np.round(rejected, 1)


@exercise("10.5", "the loss of a choice", dots=1, minutes=7, inputs=reward_inputs)
def bradley_terry(chosen: np.ndarray, rejected: np.ndarray) -> float:
    """Return the mean loss in nats of pairs whose answers have these rewards, arrays (pairs,).

    By Bradley and Terry's model an answer of reward r is chosen over one of reward s with the probability
    sigmoid(r - s); the loss is minus its logarithm. A difference may be as large as 2,000 either way, where
    np.exp overflows: np.logaddexp(a, b), which is log(e^a + e^b), doesn't.
    """
    return float(np.mean(np.logaddexp(0, rejected - chosen)))


bradley_terry.slips("""
The other way round: what was chosen is to have the larger reward.
    rejected - chosen → chosen - rejected
The mean over pairs, not their sum.
    np.mean( → np.sum(
Infinite where the difference is large: log(1 + exp(...)) overflows, np.logaddexp doesn't.
    np.logaddexp(0, rejected - chosen) → np.log(1 + np.exp(rejected - chosen))
Nats, not bits: no division by log 2.
    np.logaddexp(0, rejected - chosen) → np.logaddexp(0, rejected - chosen) / np.log(2)
A loss is not negative: minus the logarithm.
    float(np.mean( → float(-np.mean(
That is the probability of the choice, not minus its logarithm.
    np.mean(np.logaddexp(0, rejected - chosen)) → np.mean(np.exp(-np.logaddexp(0, rejected - chosen)))
You took the loss of the mean difference: each pair has its own loss, and their mean is asked for.
    np.mean(np.logaddexp(0, rejected - chosen)) → np.logaddexp(0, np.mean(rejected - chosen))
That is the mean difference of the rewards; the sigmoid and its logarithm are missing.
    np.mean(np.logaddexp(0, rejected - chosen)) → np.mean(rejected - chosen)
""")


@bradley_terry.variant("each choice in bits")
def choices_in_bits(chosen: np.ndarray, rejected: np.ndarray) -> np.ndarray:
    """As in 10.5, but return how surprising each choice is, in bits: an array (pairs,)."""
    return np.logaddexp(0, rejected - chosen) / np.log(2)


choices_in_bits.slips("""
That answers the first version: it is the mean, in nats; here each choice has its bits.
    → bradley_terry
Bits, not nats: divide by ln 2.
    / np.log(2) →
Bits are nats divided by ln 2, not multiplied.
    / np.log(2) → * np.log(2)
The other way round: what was chosen is to have the larger reward.
    rejected - chosen → chosen - rejected
Infinite where the difference is large: log(1 + exp(...)) overflows, np.logaddexp doesn't.
    np.logaddexp(0, rejected - chosen) → np.log(1 + np.exp(rejected - chosen))
A surprise is not negative: minus the logarithm.
    return np.logaddexp → return -np.logaddexp
That is the probability of the choice, not its surprise.
    np.logaddexp(0, rejected - chosen) / np.log(2) → np.exp(-np.logaddexp(0, rejected - chosen))
""")


def answer_inputs(generator, case):
    """The two answers of a pair differ in length, and the policy's numbers from the reference's."""
    n, four = 1 + case % 3, [[], [], [], []]
    for pair in range(n):
        lengths = [2 + (case + pair) % 3, 1 + (case + pair) % 2]
        if lengths[0] == lengths[1]:
            lengths[1] += 2
        for i, answers in enumerate(four):
            answers.append((-generator.integers(1, 40, size=lengths[i % 2]) / 10).tolist())
    return *four, [0.5, 2.0, 0.3][case % 3]


@exercise("10.6", "DPO's loss", dots=2, minutes=8, inputs=answer_inputs)
def dpo(
    chosen: list[list[float]],
    rejected: list[list[float]],
    chosen_before: list[list[float]],
    rejected_before: list[list[float]],
    beta: float,
) -> float:
    """Return DPO's mean loss in nats. Each list has an entry a pair: log p of each token of an answer, under
    the policy and, `before`, under the reference.

    An answer's reward is beta times how much more probable the policy makes it than the reference does: the
    difference of the logarithms of the whole answer's probability. The loss is that of 10.5.
    """
    losses = []
    for c, d, c0, d0 in zip(chosen, rejected, chosen_before, rejected_before, strict=True):
        margin = beta * ((sum(c) - sum(c0)) - (sum(d) - sum(d0)))
        losses.append(np.logaddexp(0, -margin))
    return float(np.mean(losses))


dpo.slips("""
An answer's log-probability is the sum over its tokens; in your mean a long answer's token counts less.
    (sum(c) - sum(c0)) - (sum(d) - sum(d0)) → (np.mean(c) - np.mean(c0)) - (np.mean(d) - np.mean(d0))
The reference is missing: an answer's reward is by how much it became more probable.
    (sum(c) - sum(c0)) - (sum(d) - sum(d0)) → sum(c) - sum(d)
The policy is missing: that is the reference's own taste.
    (sum(c) - sum(c0)) - (sum(d) - sum(d0)) → sum(c0) - sum(d0)
Beta is missing: it multiplies the difference.
    margin = beta * ( → margin = (
Beta multiplies; you divided.
    beta * ((sum(c) - sum(c0)) - (sum(d) - sum(d0))) → ((sum(c) - sum(c0)) - (sum(d) - sum(d0))) / beta
The other way round: what was chosen is to have the larger reward.
    np.logaddexp(0, -margin) → np.logaddexp(0, margin)
The rejected answer is missing: its reward is subtracted.
    - (sum(d) - sum(d0)) →
The reward of the rejected answer is subtracted, not added.
    - (sum(d) - sum(d0)) → + (sum(d) - sum(d0))
Only the last token of each answer is counted: sum over all.
    (sum(c) - sum(c0)) - (sum(d) - sum(d0)) → (c[-1] - c0[-1]) - (d[-1] - d0[-1])
A loss is not negative: minus the logarithm of the sigmoid.
    float(np.mean(losses)) → float(-np.mean(losses))
""")


@dpo.variant("what DPO's policy thinks of them")
def dpo_probabilities(
    chosen: list[list[float]],
    rejected: list[list[float]],
    chosen_before: list[list[float]],
    rejected_before: list[list[float]],
    beta: float,
) -> list[float]:
    """For each pair of 10.6 return the probability, by the policy's rewards, of the choice that was made."""
    found = []
    for c, d, c0, d0 in zip(chosen, rejected, chosen_before, rejected_before, strict=True):
        margin = beta * ((sum(c) - sum(c0)) - (sum(d) - sum(d0)))
        found.append(float(1 / (1 + np.exp(-margin))))
    return found


dpo_probabilities.slips("""
That answers the first version: it gives the mean loss; the probability of each choice is asked for.
    → dpo
An answer's log-probability is the sum over its tokens; in your mean a long answer's token counts less.
    (sum(c) - sum(c0)) - (sum(d) - sum(d0)) → (np.mean(c) - np.mean(c0)) - (np.mean(d) - np.mean(d0))
The reference is missing: an answer's reward is by how much it became more probable.
    (sum(c) - sum(c0)) - (sum(d) - sum(d0)) → sum(c) - sum(d)
Beta is missing: it multiplies the difference.
    margin = beta * ( → margin = (
That is the probability of the rejected one.
    np.exp(-margin) → np.exp(margin)
That is the margin itself; the sigmoid makes a probability of it.
    float(1 / (1 + np.exp(-margin))) → float(margin)
""")


def group_inputs(generator, case):
    """Groups of rewards of different means and spreads; every other time one in which all are equal."""
    groups, size = 1 + case % 3, 3 + case % 4
    rewards = generator.integers(0, 5, size=(groups, size)).astype(float)
    rewards[:, 0] += 5  # so no group is dead by chance
    if case % 2:
        rewards = np.vstack([rewards, np.full(size, float(case % 3))])
    return (rewards,)


@exercise("10.7", "the advantage within a group", dots=2, minutes=10, inputs=group_inputs)
def advantages(rewards: np.ndarray) -> np.ndarray:
    """Return the advantages (groups, size) of answers with these rewards; a row is answers to one prompt.

    An advantage is the reward less its group's mean, over the group's standard deviation, that with n - 1:
    `.std(ddof=1)`. A group whose rewards are all equal teaches nothing: its advantages are 0.
    """
    centred = rewards - rewards.mean(1, keepdims=True)
    spread = rewards.std(1, ddof=1, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-9)


advantages.slips("""
Each group has its own mean: you took the batch's, and an easy prompt's worse answers may come out praised.
    rewards.mean(1, keepdims=True) → rewards.mean()
Each group has its own deviation: you took that of the whole batch.
    rewards.std(1, ddof=1, keepdims=True) → np.full((len(rewards), 1), rewards.std(ddof=1))
    where=spread > 1e-9 → where=(spread > 1e-9) & np.ones_like(centred, dtype=bool)
A dead group: 0 / 0 is NaN. Its advantages are 0.
    np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-9)
    → np.where(spread > 1e-9, centred / np.where(spread > 1e-9, spread, 1), np.nan)
Divide by the deviation: that is the reward less the mean.
    np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-9) → centred
Divide by the deviation, not by the variance.
    where=spread > 1e-9) → where=spread > 1e-9) / np.where(spread > 1e-9, spread, 1)
The deviation with n - 1, ddof=1: yours divides by n.
    ddof=1 → ddof=0
The mean is over the answers to one prompt, along a row; yours runs down the columns.
    rewards.mean(1, keepdims=True) → rewards.mean(0, keepdims=True)
The mean is missing: without it answers below the mean are praised, too.
    centred = rewards - rewards.mean(1, keepdims=True) → centred = rewards
The sign: better than the mean is positive.
    rewards - rewards.mean(1, keepdims=True) → rewards.mean(1, keepdims=True) - rewards
""")


@advantages.variant("against the others alone")
def leave_one_out(rewards: np.ndarray) -> np.ndarray:
    """Return for each answer its reward less the mean of the **other** answers to its prompt (groups, size).

    So an answer is no part of what it is compared with ("leave one out"). Nothing is divided by a deviation.
    """
    size = rewards.shape[1]
    others = (rewards.sum(1, keepdims=True) - rewards) / (size - 1)
    return rewards - others


leave_one_out.slips("""
That answers the first version: here the mean is of the others, and nothing is divided by the deviation.
    → advantages
The answer itself is in your mean: subtract its reward from the sum, and divide by one fewer.
    (rewards.sum(1, keepdims=True) - rewards) / (size - 1) → rewards.mean(1, keepdims=True)
The others are one fewer than the group: divide by size - 1.
    / (size - 1) → / size
The answer itself is in the sum still.
    (rewards.sum(1, keepdims=True) - rewards) → rewards.sum(1, keepdims=True)
The others are those of the same prompt, along a row.
    rewards.sum(1, keepdims=True) → rewards.sum()
The sign: better than the others is positive.
    return rewards - others → return others - rewards
That is the mean of the others; how much better is the answer than that?
    return rewards - others → return others
""")


def pass_inputs(generator, case):
    """From two problems on; k is neither 1 nor n most of the time."""
    n = 4 + case % 5
    k = [2, 3, 1, n - 1, n][case % 5]
    right = generator.integers(0, n + 1, size=1 + case % 4).tolist()
    return [*right, 1 + case % 2], n, k


@exercise("10.8", "pass@k without bias", dots=2, minutes=12, inputs=pass_inputs)
def pass_at_k(right: list[int], n: int, k: int) -> float:
    """Return pass@k, the mean over problems of the chance that at least one of k answers is right.

    Of n answers to each problem, `right` says how many were right. Of all ways to take k of the n answers,
    count those without a right one: comb(wrong, k) of comb(n, k), with `from math import comb`.
    """
    return float(np.mean([1 - comb(n - c, k) / comb(n, k) for c in right]))


pass_at_k.slips("""
1 - (1 - p)^k, with p the share that was right, is too low on average: count the ways instead.
    1 - comb(n - c, k) / comb(n, k) → 1 - (1 - c / n) ** k
That is pass@1: the share of right answers.
    1 - comb(n - c, k) / comb(n, k) → c / n
That is pass@n: whether any of all n was right.
    1 - comb(n - c, k) / comb(n, k) → c > 0
That is the chance that all k are wrong: 1 minus it is the chance that at least one is right.
    1 - comb(n - c, k) / comb(n, k) → comb(n - c, k) / comb(n, k)
That is the chance that all k are right; at least one is asked for.
    1 - comb(n - c, k) / comb(n, k) → comb(c, k) / comb(n, k)
Yours is one minus the chance that all k are right; take one minus the chance that all k are wrong.
    comb(n - c, k) → comb(c, k)
The mean right count hides that problems differ: each problem has its own pass@k.
    np.mean([1 - comb(n - c, k) / comb(n, k) for c in right]) → 1 - (1 - np.mean(right) / n) ** k
The mean over problems, not their sum.
    np.mean([ → np.sum([
""")


@pass_at_k.variant("all of k")
def all_of_k(right: list[int], n: int, k: int) -> float:
    """Return the mean over problems of the chance that **all** of k answers are right.

    As in 10.8, `right` of n answers to each problem were right. It says how far one can rely on a model.
    """
    return float(np.mean([comb(c, k) / comb(n, k) for c in right]))


all_of_k.slips("""
That answers the first version: at least one of k; here all of k.
    → pass_at_k
p^k, with p the share that was right, is too high on average: count the ways instead.
    comb(c, k) / comb(n, k) → (c / n) ** k
That is the chance that all k are wrong; asked for is the chance that all k are right.
    comb(c, k) → comb(n - c, k)
That is the share of right answers.
    comb(c, k) / comb(n, k) → c / n
The mean over problems, not their sum.
    np.mean([ → np.sum([
""")


def kl_inputs(generator, case):
    n = 1 + case
    policy = -generator.integers(1, 40, size=n) / 10
    return policy, np.round(policy + generator.choice([-0.9, -0.4, 0.3, 0.7, 1.2], size=n), 1)


@exercise("10.9", "how far it has gone", dots=2, minutes=8, inputs=kl_inputs)
def kl_of_tokens(log_p: np.ndarray, log_reference: np.ndarray) -> np.ndarray:
    """Return for each token that the policy sampled an estimate of KL(policy || reference) in nats.

    Given log p of the token under both, let d = log p - log reference. The estimate e^-d - 1 + d ("k3") is
    never negative, and its mean over many samples is the KL.
    """
    d = log_p - log_reference
    return np.exp(-d) - 1 + d


kl_of_tokens.slips("""
That is k1, d itself: right on average, but often negative.
    np.exp(-d) - 1 + d → d
That is k2, d² / 2: never negative, but not right on average.
    np.exp(-d) - 1 + d → d**2 / 2
The sign of d: log p less log reference, for samples of the policy.
    log_p - log_reference → log_reference - log_p
The 1 is missing: where both agree there is no distance.
    np.exp(-d) - 1 + d → np.exp(-d) + d
e to the minus d: the ratio is the reference's probability over the policy's.
    np.exp(-d) - 1 + d → np.exp(d) - 1 + d
d is added: without it the estimate is negative wherever the policy is the likelier.
    np.exp(-d) - 1 + d → np.exp(-d) - 1
d is added, not subtracted.
    np.exp(-d) - 1 + d → np.exp(-d) - 1 - d
That weighs each token by its probability once more: it was sampled with that already.
    np.exp(-d) - 1 + d → np.exp(log_p) * d
One estimate a token; yours is their mean.
    return np.exp(-d) - 1 + d → return np.full(len(d) + 1, np.mean(np.exp(-d) - 1 + d))
""")


def distributions_inputs(generator, case):
    return different_shares(generator, 1 + case % 3, 3 + case % 3), different_shares(
        generator, 1 + case % 3, 3 + case % 3
    )


@kl_of_tokens.variant("without samples", inputs=distributions_inputs)
def exact_kl(policy: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return KL(policy || reference) in nats at each place, from the whole distributions (places, V): the
    mean of log policy - log reference over tokens drawn from the policy. No probability is 0.
    """
    return (policy * (np.log(policy) - np.log(reference))).sum(1)


exact_kl.slips("""
That answers the first version: nothing is estimated here, the sum over all tokens is exact.
    → kl_of_tokens
The other direction: the mean is over the policy, not over the reference.
    (policy * (np.log(policy) - np.log(reference))) → (reference * (np.log(reference) - np.log(policy)))
The weights are the policy's: tokens are drawn from it.
    (policy * ( → (reference * (
The weights are missing: it is a mean over tokens drawn from the policy, not a sum over all.
    policy * (np.log(policy) - np.log(reference)) → np.log(policy) - np.log(reference)
That is the entropy's part; the reference is missing.
    np.log(policy) - np.log(reference) → np.log(policy)
That is the cross-entropy: the policy's own entropy is taken off.
    np.log(policy) - np.log(reference) → -np.log(reference)
A sum over the tokens of each place, not over the places.
    .sum(1) → .sum(0)
Nats, not bits.
    np.log(policy) - np.log(reference) → np.log2(policy) - np.log2(reference)
""")
