"""The exercises of chapter 12 on a model that is made: questions, small numbers, secrets, shares."""

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import different_shares


def choices_inputs(generator, case):
    """From two options on; they differ in tokens, in characters, and in bytes a character."""
    n, question = 2 + case % 3, 1 + case // 2 % 3
    words = ["no", "yes", "ça", "naïve", "é", "to be sure", "Äpfel"]
    options = generator.permutation(words)[:n].tolist()
    ids, tables = [], []
    start = generator.integers(0, 4, size=question).tolist()
    for i in range(n):
        ids.append(start + generator.integers(0, 4, size=1 + (case + i) % 3).tolist())
        tables.append(np.round(np.log(different_shares(generator, len(ids[-1]), 4)), 2))
    return options, ids, tables, question


@exercise("12.6", "multiple choice by likelihood", dots=2, minutes=13, inputs=choices_inputs)
def likeliest(
    options: list[str], ids: list[list[int]], log_p: list[np.ndarray], question: int
) -> tuple[int, list[float]]:
    """Return which option a model finds likeliest, counted from 0, and the score of each.

    `ids[k]` are the tokens of the question, of which there are `question`, and behind them those of option k.
    The model read them: row t of `log_p[k]`, an array (tokens, V), has log p of each token as the one that
    comes **after** place t. The score of an option is the sum of log p of its own tokens, over its length in
    bytes of UTF-8, so that a long option is not worse for being long.
    """
    scores = []
    for option, tokens, table in zip(options, ids, log_p, strict=True):
        total = sum(table[t - 1, tokens[t]] for t in range(question, len(tokens)))
        scores.append(float(total / len(option.encode())))
    return int(np.argmax(scores)), scores


likeliest.slips("""
The sum alone favours short options, as each token more makes it smaller: divide by the length in bytes.
    total / len(option.encode()) → total
You divide by the number of tokens; by bytes is asked: then the divisor does not depend on the tokenizer.
    / len(option.encode()) → / (len(tokens) - question)
You divide by all tokens, the question's too; the length is that of the option, in bytes.
    / len(option.encode()) → / len(tokens)
You divide by characters; in UTF-8 an é has two bytes.
    len(option.encode()) → len(option)
The question's tokens are in the sum: only those of the option are to be scored.
    range(question, → range(1,
The shift is missing: what place t says is about the token after it, so a token's log p stands a row above.
    table[t - 1, → table[t,
The option's first token is missing: the question's last place speaks of it.
    range(question, → range(question + 1,
The option's last token is missing.
    range(question, len(tokens)) → range(question, len(tokens) - 1)
That is the log p of what the model would have written itself; what matters are the option's tokens.
    table[t - 1, tokens[t]] → table[t - 1].max()
That is the least likely: a larger log p is better.
    np.argmax(scores) → np.argmin(scores)
That is the loss; the score is log p, which is negative.
    scores.append(float( → scores.append(-float(
    np.argmax(scores) → np.argmin(scores)
Options count from 0.
    int(np.argmax(scores)) → int(np.argmax(scores)) + 1
The option first, then the scores.
    return int(np.argmax(scores)), scores → return scores, int(np.argmax(scores))
""")


def alone_inputs(generator, case):
    """As in 12.6, with log p of each option after no question in place of its text."""
    options, ids, tables, question = choices_inputs(generator, case)
    return (-generator.integers(5, 60, size=len(options)) / 10).tolist(), ids, tables, question


@likeliest.variant("what the question adds", inputs=alone_inputs)
def likelier_than_alone(
    alone: list[float], ids: list[list[int]], log_p: list[np.ndarray], question: int
) -> tuple[int, list[float]]:
    """Return which option gained most by the question, counted from 0, and the gain of each in nats.

    As in 12.6, but nothing is divided by a length. Instead, take off what the option's tokens are worth
    without the question: `alone[k]` is the sum of their log p behind "Answer:". So common words have no
    advantage.
    """
    gains = []
    for before, tokens, table in zip(alone, ids, log_p, strict=True):
        total = sum(table[t - 1, tokens[t]] for t in range(question, len(tokens)))
        gains.append(float(total - before))
    return int(np.argmax(gains)), gains


likelier_than_alone.slips("""
That answers the first version: it divides by the length of the option's text; here log p alone is taken off.
    → likeliest
Take off what the option is worth without the question.
    total - before → total
It is taken off, not added.
    total - before → total + before
The logarithm of a ratio is a difference; you divided the logarithms.
    total - before → total / before
The other way round: the gain is log p with the question less log p without.
    total - before → before - total
The question's tokens are in the sum: only those of the option are to be scored.
    range(question, → range(1,
The shift is missing: what place t says is about the token after it, so a token's log p stands a row above.
    table[t - 1, → table[t,
The option's first token is missing: the question's last place speaks of it.
    range(question, → range(question + 1,
That is the one that lost most: a larger gain is better.
    np.argmax(gains) → np.argmin(gains)
""")


def weights_inputs(generator, case):
    """Rows of different sizes, square at times, and now and then one of zeros. A row's largest number is odd
    in tenths, so that none lies half-way between two whole numbers; it is as often negative."""
    rows, width = 1 + case % 4, 2 + 2 * (case % 3)
    tenths = []
    for i in range(rows):
        largest = 2 * int(generator.integers(2, 30)) + 1
        row = generator.integers(-largest + 1, largest, size=width)
        row[generator.integers(width)] = largest * (-1) ** (case + i)
        tenths.append(row)
    if case % 3 == 2:
        tenths[case // 3 % rows] *= 0
    return (np.array(tenths) / 10,)


@exercise("12.7", "int8 by output channel", dots=2, minutes=12, inputs=weights_inputs)
def int8_rows(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return W (out, in) as whole numbers (out, in) of dtype int8 and a scale for each row (out,).

    A weight counts as its number times its row's scale. A row of W makes one output; its scale is such that
    the weight of the largest size in it becomes 127 or -127, and 0 stays 0. Numbers are rounded to the
    nearest, `np.round`. A row of zeros has the scale 1: nothing is to be divided by 0.
    """
    scales = np.abs(W).max(axis=1) / 127
    scales[scales == 0] = 1
    return np.round(W / scales[:, None]).astype(np.int8), scales


def by_column(W):
    numbers, scales = int8_rows(W.T)
    return numbers.T, scales


def one_scale(W):
    scale = np.abs(W).max() / 127 or 1
    return np.round(W / scale).astype(np.int8), np.full(len(W), scale)


def with_a_zero_point(W):
    least, most = W.min(axis=1), W.max(axis=1)
    scales = np.where(most == least, 1, (most - least) / 255)
    return np.clip(np.round((W - least[:, None]) / scales[:, None]) - 128, -128, 127).astype(np.int8), scales


int8_rows.slips("""
One scale for all: a single large weight costs every row its precision. Each row has its own.
    → one_scale
Your scales are of the columns, which belong to what comes in. A row makes one output, which can be multiplied
by the row's scale after the sum.
    → by_column
An int8 goes from -128 to 127: at 128 it runs over, and the largest weight becomes -128.
    / 127 → / 128
Your scale is for 0 to 255; an int8 has 127 to either side.
    / 127 → / 255
A row of zeros has the scale 0, and 0 / 0 is NaN, which is no whole number: its scale is 1.
    scales[scales == 0] = 1 → scales[scales == 0] = 0
Round to the nearest: astype cuts off what is behind the point, towards 0.
    np.round(W / scales[:, None]) → (W / scales[:, None])
Round to the nearest: rounding down makes every weight smaller.
    np.round(W → np.floor(W
0 has to stay 0; in yours another number stands for it. Here the scale alone says what a number counts.
    → with_a_zero_point
The largest size, whatever its sign: where the largest weight is negative, it runs over.
    np.abs(W).max(axis=1) → W.max(axis=1)
The scale is by the largest weight of a row; by the mean the large ones run over.
    np.abs(W).max(axis=1) → np.abs(W).mean(axis=1)
A weight counts as number times scale: yours is upside down.
    (np.int8), scales → (np.int8), 1 / scales
Divide by the scale: multiplied, all numbers are near 0.
    W / scales[:, None] → W * scales[:, None]
The numbers first, then the scales.
    return np.round(W / scales[:, None]).astype(np.int8), scales
    → return scales, np.round(W / scales[:, None]).astype(np.int8)
Those are the weights after rounding; the whole numbers are asked for.
    np.round(W / scales[:, None]).astype(np.int8) → np.round(W / scales[:, None]) * scales[:, None]
""")


@int8_rows.variant("4 bits, two in a byte")
def int4_rows(W: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return W (out, in) in 4 bits a weight, two of them in a byte: bytes (out, in / 2) of dtype uint8 and a
    scale for each row (out,).

    As in 12.7, but the largest size becomes 7 or -7. Then 8 is added to each number, so that none is
    negative. A byte holds two that stand side by side: the left one, and 16 times the right one.
    """
    scales = np.abs(W).max(axis=1) / 7
    scales[scales == 0] = 1
    numbers = np.round(W / scales[:, None]) + 8
    return (numbers[:, ::2] + 16 * numbers[:, 1::2]).astype(np.uint8), scales


int4_rows.slips("""
That answers the first version: there a number has a byte of its own, here half of one.
    → int8_rows
The 8 is missing: a negative number has no place in half a byte.
    np.round(W / scales[:, None]) + 8 → np.round(W / scales[:, None]) % 16
The left one counts once, the right one 16 times.
    numbers[:, ::2] + 16 * numbers[:, 1::2] → numbers[:, 1::2] + 16 * numbers[:, ::2]
Side by side: you paired the left half of a row with its right half.
    numbers[:, ::2] + 16 * numbers[:, 1::2] → np.split(numbers, 2, 1)[0] + 16 * np.split(numbers, 2, 1)[1]
Half a byte has 16 values: 16 times, not 10.
    16 * numbers → 10 * numbers
Four bits reach from -8 to 7: in yours the largest becomes 8, and with the 8 that is added it runs over.
    / 7 → / 8
127 is for 8 bits: in 4 the largest is 7.
    / 7 → / 127
A row of zeros has the scale 0, and 0 / 0 is NaN: its scale is 1.
    scales[scales == 0] = 1 → scales[scales == 0] = 0
Round to the nearest: astype cuts off what is behind the point.
    np.round(W / scales[:, None]) → (W / scales[:, None]).astype(int)
The scale is of the row, not of the column or of all.
    np.abs(W).max(axis=1) → np.full(len(W), np.abs(W).max())
The largest size, whatever its sign.
    np.abs(W).max(axis=1) → W.max(axis=1)
""")


def canary_inputs(generator, case):
    """Few different values, so that some candidates are as probable as the canary."""
    n = 3 + 2 * case
    return -generator.integers(10, 11 + n, size=n) / 2, int(generator.integers(n))


@exercise("12.8", "a canary's exposure", dots=1, minutes=7, inputs=canary_inputs)
def exposure(log_p: np.ndarray, canary: int) -> float:
    """Return in bits how exposed a canary is: log2 of the number of candidates minus log2 of its rank.

    A canary is a secret that was planted in the text, such as "my code is 4821"; the candidates are all that
    it might have been, every code. `log_p[i]` is log p of candidate i in nats, by the model; `canary` is the
    number of the planted one. Its rank is how many of all candidates are at least as probable as it, itself
    among them: 1 for the likeliest.
    """
    rank = np.count_nonzero(log_p >= log_p[canary])
    return float(np.log2(len(log_p)) - np.log2(rank))


exposure.slips("""
In bits: log2, not the natural logarithm.
    np.log2(len(log_p)) - np.log2(rank) → np.log(len(log_p)) - np.log(rank)
Ranks begin at 1: with 0 the likeliest would be infinitely exposed.
    np.log2(rank) → np.log2(rank - 1)
Candidates as probable as the canary count before it: else a model that finds all alike would expose each.
    log_p >= log_p[canary] → log_p > log_p[canary]
    np.log2(rank) → np.log2(rank + 1)
That is the rank from the other end: rank 1 has the candidate that the model finds likeliest.
    log_p >= log_p[canary] → log_p <= log_p[canary]
argsort says who stands at a place, not at which place one stands.
    np.count_nonzero(log_p >= log_p[canary]) → np.argsort(-log_p, kind="stable")[canary] + 1
Exposure is a rank, not a probability: a model may give all candidates little, and the canary most of it.
    np.log2(len(log_p)) - np.log2(rank) → -log_p[canary] / np.log(2)
The other way round: rank 1 is the most exposed.
    np.log2(len(log_p)) - np.log2(rank) → np.log2(rank) - np.log2(len(log_p))
That is the logarithm of the rank; it is taken off that of the number of candidates.
    np.log2(len(log_p)) - np.log2(rank) → np.log2(rank)
The logarithm is missing: that is how many times fewer guesses it takes.
    np.log2(len(log_p)) - np.log2(rank) → len(log_p) / rank
""")


def sampled_inputs(generator, case):
    log_p, _ = canary_inputs(generator, case)
    return log_p, -int(generator.integers(8, 11 + len(log_p))) / 2


@exposure.variant("where nobody can list them all", inputs=sampled_inputs)
def sampled_exposure(log_p: np.ndarray, canary: float) -> float:
    """Return an estimate in bits of how exposed a canary is, where there are too many candidates to ask.

    `log_p` are log p of candidates that were drawn, and `canary` is that of the planted one, which is not
    among them. To estimate it put the canary among the drawn ones, and take its exposure as in 12.8: with n
    drawn ones there are n + 1 candidates.
    """
    rank = 1 + np.count_nonzero(log_p >= canary)
    return float(np.log2(len(log_p) + 1) - np.log2(rank))


sampled_exposure.slips("""
That answers the first version: there `canary` is the number of a candidate, here its log p.
    → exposure
The canary is not among the drawn ones: count it too, in the rank.
    1 + np.count_nonzero → np.count_nonzero
The canary is a candidate more: n + 1.
    np.log2(len(log_p) + 1) → np.log2(len(log_p))
In bits: log2, not the natural logarithm.
    np.log2(len(log_p) + 1) - np.log2(rank) → np.log(len(log_p) + 1) - np.log(rank)
Candidates as probable as the canary count before it.
    log_p >= canary → log_p > canary
That is the rank from the other end: rank 1 has the likeliest.
    log_p >= canary → log_p <= canary
The other way round: rank 1 is the most exposed.
    np.log2(len(log_p) + 1) - np.log2(rank) → np.log2(rank) - np.log2(len(log_p) + 1)
""")


def share_inputs(generator, case):
    """From few questions to many; none or all are right in every third case."""
    n = 4 + 3 * case
    return (0, int(generator.integers(1, n)), n)[case % 3], n


@exercise("12.9", "what so few questions can say", dots=1, minutes=6, inputs=share_inputs)
def interval(right: int, n: int) -> tuple[float, float]:
    """Return the two ends, the lower one first, of Wilson's 95 % interval of a share.

    Of n questions so many were right. With z = 1.96 the ends are
    (right + z^2 / 2 -+ z sqrt(right (n - right) / n + z^2 / 4)) / (n + z^2).
    """
    z = 1.96
    middle = right + z**2 / 2
    width = z * (right * (n - right) / n + z**2 / 4) ** 0.5
    return (middle - width) / (n + z**2), (middle + width) / (n + z**2)


def plus_minus(right, n):
    p = right / n
    width = 1.96 * (p * (1 - p) / n) ** 0.5
    return p - width, p + width


interval.slips("""
That is the share plus and minus 1.96 standard errors: where none or all are right it has no width, as if more
questions could bring nothing new.
    → plus_minus
Under the root z^2 / 4 is missing: without it the width is 0 where none or all are right.
    (n - right) / n + z**2 / 4) → (n - right) / n)
The middle is right + z^2 / 2.
    right + z**2 / 2 → right
Divide by n + z^2, not by n.
    / (n + z**2), (middle + width) / (n + z**2) → / n, (middle + width) / n
The root is to be multiplied by z.
    z * (right → (right
The root is missing: that is its square.
    + z**2 / 4) ** 0.5 → + z**2 / 4)
Under the root right (n - right) is divided by n.
    right * (n - right) / n → right * (n - right)
z is 1.96 for 95 %: 1.645 leaves 5 % at each end.
    1.96 → 1.645
The lower end first.
    (middle - width) / (n + z**2), (middle + width) / (n + z**2)
    → (middle + width) / (n + z**2), (middle - width) / (n + z**2)
Shares, not per cent: 0.5 for a half.
    (middle - width) / (n + z**2), (middle + width) / (n + z**2)
    → 100 * (middle - width) / (n + z**2), 100 * (middle + width) / (n + z**2)
""")


def choices_right_inputs(generator, case):
    """Shares at and near a quarter, where the two ends decide."""
    n = 8 + 4 * case
    return n // 4 + int(generator.integers(-1, 2)) * (1 + case // 2), n


@interval.variant("more than guessing reaches?", inputs=choices_right_inputs)
def beside_chance(right: int, n: int) -> int:
    """Return 1 if the interval of 12.9 lies above chance, -1 if it lies below, else 0: one can't tell.

    Each of the n questions has four options, so guessing gets a quarter right.
    """
    z = 1.96
    middle = right + z**2 / 2
    width = z * (right * (n - right) / n + z**2 / 4) ** 0.5
    low, high = (middle - width) / (n + z**2), (middle + width) / (n + z**2)
    return (low > 0.25) - (high < 0.25)


beside_chance.slips("""
That answers the first version: it gives the two ends; here it is asked on which side of chance they lie.
    → interval
That compares the share itself: near chance a few questions fall to either side.
    (low > 0.25) - (high < 0.25) → (right / n > 0.25) - (right / n < 0.25)
Above chance is 1, below is -1.
    (low > 0.25) - (high < 0.25) → (high < 0.25) - (low > 0.25)
It lies above if its lower end does; that its upper end does says little.
    (low > 0.25) - (high < 0.25) → int(high > 0.25)
Below chance is -1.
    (low > 0.25) - (high < 0.25) → int(low > 0.25)
""")
