"""The exercises of chapter 9 on sampling, in NumPy; `course_utils.sampling` has the same in PyTorch."""

import math

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import different_shares


def temperature_inputs(generator, case):
    """T is never 1, and every fourth time 0; every other time that it is, two logits are the largest."""
    logits = generator.choice(np.arange(-20, 21), size=3 + case // 8, replace=False) / 10
    if case % 5 == 4:
        logits[0] = 1000.0
    if case % 8 == 7:
        logits[-1] = logits[:-1].max()
    return logits, [0.5, 2.0, 0.25, 0.0][case % 4]


@exercise("9.1", "temperature", dots=1, minutes=5, inputs=temperature_inputs)
def with_temperature(logits: np.ndarray, T: float) -> np.ndarray:
    """Return the probabilities (V,) at the temperature T; 0 is greedy: all on the largest logit.

    Of several that are largest, greedy takes the first.
    """
    if T == 0:
        greedy = np.zeros(len(logits))
        greedy[logits.argmax()] = 1
        return greedy
    exps = np.exp((logits - logits.max()) / T)
    return exps / exps.sum()


with_temperature.slips("""
Dividing probabilities and renormalising changes nothing: divide logits.
    / T) → )
Upside down: high T must flatten.
    / T) → * T)
Upside down: high T must flatten.
    if T == 0: → if False:
    / T) → * T)
At T = 0 nothing is divided by T: the largest logit gets all the probability.
    return greedy → return np.full(len(logits), np.nan)
At T = 0 nothing is divided by T: the largest logit gets all the probability.
    return greedy → return np.exp(logits / T) / np.exp(logits / T).sum()
At T = 0 nothing is divided by T: the largest logit gets all the probability.
    return greedy → return with_temperature(logits, 1)
0 is greedy: all probability on one token, none on the others.
    return greedy → return np.full(len(logits), 1 / len(logits))
Two logits are largest, and both got 1: probabilities sum to 1. Of equals, the first takes all.
    greedy[logits.argmax()] → greedy[logits == logits.max()]
Two logits are largest, and you shared: greedy takes one token, of equals the first.
    return greedy → return (logits == logits.max()) / (logits == logits.max()).sum()
Of equals, the first takes all; you took the last.
    logits.argmax() → np.flatnonzero(logits == logits.max())[-1]
np.exp(1000) is infinite: subtract the max.
    (logits - logits.max()) / T → logits / T
Probabilities sum to 1: divide by their sum.
    exps / exps.sum() → exps
Probabilities sum to 1, whatever T is: after the division by T they no longer do.
    / T) → )
    exps / exps.sum() → exps / exps.sum() / T
""")


def beta_inputs(generator, case):
    """No two shares are equal, and beta is never 1; it may be 0, 4,000 or infinite."""
    return different_shares(generator, 3 + case // 8), [2.0, 0.5, math.inf, 0.0, 4000.0][case % 5]


@with_temperature.variant("temperature, from probabilities", minutes=6, inputs=beta_inputs)
def sharpened(probs: np.ndarray, beta: float) -> np.ndarray:
    """Return what probabilities (V,), those at the temperature 1, become at the temperature 1 / beta.

    With beta 0 all tokens are equally likely; an infinite beta is greedy: all on the likeliest. No
    probability is 0, no two are equal, and beta may be 4,000.
    """
    powers = (probs / probs.max()) ** beta
    return powers / powers.sum()


sharpened.slips("""
That answers the first version: it takes logits and divides by T; here beta is 1 / T.
    → with_temperature
Upside down: high beta is low temperature, and must sharpen.
    ** beta → ** (1 / beta)
Upside down: high beta is low temperature, and must sharpen.
    (probs / probs.max()) ** beta → np.exp((np.log(probs) - np.log(probs).max()) / beta)
Upside down: high beta is low temperature, and must sharpen.
    ** beta → ** (beta if beta in (0, math.inf) else 1 / beta)
Multiplying probabilities and renormalising changes nothing: multiply their logarithms.
    (probs / probs.max()) ** beta → probs * beta
Multiplying probabilities and renormalising changes nothing: multiply their logarithms.
    (probs / probs.max()) ** beta → (probs / probs.max()) ** (beta if beta in (0, math.inf) else 1)
The logarithms of the probabilities have the place of the logits; you took the probabilities.
    (probs / probs.max()) ** beta → np.exp(probs * beta - (probs * beta).max())
The logarithms of the probabilities have the place of the logits; you took the probabilities.
    (probs / probs.max()) → np.exp(probs - probs.max())
An infinite beta is greedy: all probability on the likeliest token.
    (probs / probs.max()) ** beta → np.exp(np.log(probs) * beta - (np.log(probs) * beta).max())
A share to the power of 4,000 is 0 for the machine: divide the shares by the largest first.
    (probs / probs.max()) → probs
A share to the power of 4,000 is 0 for the machine: divide the shares by the largest first.
    (probs / probs.max()) → (probs if beta < math.inf else probs / probs.max())
Greedy is an infinite beta; 0 is the other end, where all are equal.
    ** beta → ** (beta or math.inf)
Probabilities sum to 1: divide by their sum.
    powers / powers.sum() → powers
""")


def top_p_inputs(generator, case):
    """p lies between two sums, never on one; but every fifth time it is 0, and every fifth time 1."""
    vocabulary = 4 + case // 6
    if case % 5 == 1:  # p is on a sum here: 64ths, in whatever order, add up to 1 without rounding
        rest = generator.choice(np.arange(1, 9), size=vocabulary - 1, replace=False)
        return generator.permutation([64 - rest.sum(), *rest]) / 64, 1.0
    probs = different_shares(generator, vocabulary)
    sums = np.concatenate([[0], np.cumsum(np.sort(probs)[::-1])])
    i = generator.integers(0, vocabulary)
    return probs, 0.0 if case % 5 == 3 else round(float(0.4 * sums[i] + 0.6 * sums[i + 1]), 6)


@exercise("9.2", "top-p", dots=2, minutes=8, inputs=top_p_inputs)
def top_p(probs: np.ndarray, p: float) -> np.ndarray:
    """Keep the fewest likeliest tokens that reach p together, at least one; the others get 0; renormalise.

    probs (V,) are in the order of the token ids, and so is what is returned.
    """
    order = np.argsort(-probs)
    before = np.cumsum(probs[order]) - probs[order]
    keep = np.zeros(len(probs), dtype=bool)
    keep[order] = before < p
    keep[order[0]] = True
    kept = np.where(keep, probs, 0)
    return kept / kept.sum()


top_p.slips("""
Keep the token that reaches p.
    before < p → before + probs[order] <= p
Keep the token that reaches p.
    before < p → before + probs[order] <= p
    keep[order[0]] = True →
You know which tokens stay, but by their places in the sorted order: go back to their ids.
    np.where(keep, probs, 0) → np.where(keep[order], probs[order], 0)
You know which tokens stay, but by their places in the sorted order: go back to their ids.
    np.where(keep, probs, 0) → np.where(keep[order], probs, 0)
You went back to the ids the wrong way round: `order` says which id stands at a sorted place. Write
`keep[order] = ...`.
    np.where(keep, probs, 0) → np.where(keep[order][order], probs, 0)
One token always stays, for p = 0 too.
    keep[order[0]] = True →
What is left must sum to 1 again: divide by its sum.
    kept / kept.sum() → kept
Begin with the likeliest: you kept the tail.
    -probs) → probs)
p bounds the sum of the kept tokens, not the probability of each.
    before < p → probs[order] >= p
The first token that reaches p is the last to stay; you kept one more.
    before < p → np.append(0, before[:-1]) < p
""")


def distance(probs):
    surprise = -np.log(probs)
    return np.abs(surprise - probs @ surprise)


def typical_inputs(generator, case):
    """Like those of 9.2, with p between two sums in the order of this one, and no two distances near."""
    while True:
        probs, p = top_p_inputs(generator, case)
        ranked = np.argsort(distance(probs))
        if np.diff(distance(probs)[ranked]).min() > 1e-4:
            break
    if p in (0, 1):
        return probs, p
    sums = np.concatenate([[0], np.cumsum(probs[ranked])])
    i = generator.integers(0, len(probs))
    return probs, round(float(0.4 * sums[i] + 0.6 * sums[i + 1]), 6)


@top_p.variant("the most typical tokens", inputs=typical_inputs)
def typical(probs: np.ndarray, p: float) -> np.ndarray:
    """Keep the fewest most typical tokens that reach p together, at least one; the others get 0; renormalise.

    A token is the more typical, the nearer its surprise, -log of its probability, is to the entropy, which is
    the mean surprise of a drawn token. probs (V,) are in the order of the token ids, and so is what is
    returned.
    """
    surprise = -np.log(probs)
    order = np.argsort(np.abs(surprise - probs @ surprise))
    before = np.cumsum(probs[order]) - probs[order]
    keep = np.zeros(len(probs), dtype=bool)
    keep[order] = before < p
    keep[order[0]] = True
    kept = np.where(keep, probs, 0)
    return kept / kept.sum()


typical.slips("""
That answers the first version: it begins with the likeliest token, which need not be typical.
    → top_p
The nearest come first, from either side: you began with the least likely.
    np.abs(surprise - probs @ surprise) → probs
You kept the least typical: sort the other way round.
    np.abs( → -np.abs(
The entropy weighs each surprise by its probability.
    probs @ surprise → surprise.mean()
Keep the token that reaches p.
    before < p → before + probs[order] <= p
Keep the token that reaches p.
    before < p → before + probs[order] <= p
    keep[order[0]] = True →
You know which tokens stay, but by their places in the sorted order: go back to their ids.
    np.where(keep, probs, 0) → np.where(keep[order], probs[order], 0)
You know which tokens stay, but by their places in the sorted order: go back to their ids.
    np.where(keep, probs, 0) → np.where(keep[order], probs, 0)
You went back to the ids the wrong way round: `order` says which id stands at a sorted place. Write
`keep[order] = ...`.
    np.where(keep, probs, 0) → np.where(keep[order][order], probs, 0)
One token always stays, for p = 0 too.
    keep[order[0]] = True →
The one that always stays is the most typical, not the likeliest.
    keep[order[0]] = True → keep[order[0] if p else probs.argmax()] = True
What is left must sum to 1 again: divide by its sum.
    kept / kept.sum() → kept
""")


def min_p_inputs(generator, case):
    """T is never 1, no token stands near the bar; every fifth time p is 1, and two tokens are likeliest."""
    vocabulary, T = 4 + case // 6, [0.5, 2.0, 1.5][case % 3]
    logits = generator.choice(np.arange(-20, 21), size=vocabulary, replace=False) / 10
    if case % 5 == 3:
        logits[:2] = logits.max()
        return logits, T, 1.0
    ratios = np.sort(np.exp((logits - logits.max()) / T))
    i = generator.integers(0, vocabulary - 1)
    return logits, T, round(float(0.5 * ratios[i] + 0.5 * ratios[i + 1]), 6)


@exercise("9.3", "min-p", dots=2, minutes=6, inputs=min_p_inputs)
def min_p(logits: np.ndarray, T: float, p: float) -> np.ndarray:
    """Apply the temperature T, keep the tokens at least p times as likely as the likeliest; renormalise."""
    exps = np.exp((logits - logits.max()) / T)
    probs = exps / exps.sum()
    kept = np.where(probs >= p * probs.max(), probs, 0)
    return kept / kept.sum()


min_p.slips("""
The bar is p times the largest probability, not p itself.
    p * probs.max() → p
The bar is p times the largest probability, not p itself.
    p * probs.max() → min(p, probs.max())
A token exactly at the bar stays.
    >= → >
A token exactly at the bar stays.
    probs >= p * probs.max() → (probs > p * probs.max()) | (np.arange(len(probs)) == probs.argmax())
The temperature comes first; you left tokens out by the probabilities before it.
    p * probs.max() → probs.max() * p ** (1 / T)
The top probability is that after the temperature, as is everything here.
    probs.max() → (np.exp(logits) / np.exp(logits).sum()).max()
The bar is for probabilities, not for logits.
    probs >= p * probs.max() → logits / T >= p * (logits / T).max()
What is left must sum to 1 again: divide by its sum.
    kept / kept.sum() → kept
You kept the tokens below the bar.
    >= → <=
""")


def bits_inputs(generator, case):
    """Those of 9.3, with the bar in bits; every fifth time it is 0, and two tokens are likeliest."""
    logits, T, p = min_p_inputs(generator, case)
    return logits, T, round(math.log2(1 / p), 6)


@min_p.variant("min-p, in bits", inputs=bits_inputs)
def within_bits(logits: np.ndarray, T: float, bits: float) -> np.ndarray:
    """Apply the temperature T, keep the tokens at most `bits` bits dearer than the likeliest; renormalise.

    A token of probability p costs -log2(p) bits; one that costs exactly `bits` more stays.
    """
    shares_of_top = np.exp((logits - logits.max()) / T)
    kept = np.where(shares_of_top >= 2**-bits, shares_of_top, 0)
    return kept / kept.sum()


within_bits.slips("""
That answers the first version: its bar is a share, and here it is given in bits.
    → min_p
These are nats: a bit halves a probability.
    2**-bits → np.exp(-bits)
Upside down: what costs more is less likely.
    2**-bits → 2**bits
A bit is a factor of 2, whatever it starts from: you took bits off a probability.
    2**-bits → 1 - bits * shares_of_top.sum()
The likeliest costs bits too: `bits` is how many *more* a token may cost.
    2**-bits → 2**-bits * shares_of_top.sum()
The likeliest costs bits too: `bits` is how many *more* a token may cost.
    2**-bits → min(1, 2**-bits * shares_of_top.sum())
A token exactly at the bar stays.
    >= → >
A token exactly at the bar stays.
    shares_of_top >= 2**-bits → (shares_of_top > 2**-bits) | (np.arange(len(logits)) == logits.argmax())
The temperature comes first; you left tokens out by the probabilities before it.
    2**-bits → 2 ** (-bits / T)
The top probability is that after the temperature, as is everything here.
    2**-bits → 2**-bits * (np.exp(logits) / np.exp(logits).sum()).max() * shares_of_top.sum()
What is left must sum to 1 again: divide by its sum.
    kept / kept.sum() → kept / shares_of_top.sum()
You kept the tokens below the bar.
    >= → <=
""")
