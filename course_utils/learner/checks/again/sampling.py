"""Variants of exercises 9.1 to 9.3 of chapter 9."""

import math

import numpy as np

from course_utils.learner.checks.attention import softmax
from course_utils.learner.checks.neural import WITHOUT
from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.sampling import (
    IMPORTS,
    REACHES,
    STAYS,
    UNDO,
    _bar,
    _bar_before_temperature,
    _bar_of_the_untouched,
    _not_over,
    _nucleus,
    _reaching,
    different_shares,
    min_p,
    min_p_inputs,
    top_p,
    top_p_inputs,
    with_temperature,
)

# 9.1


def sharpened(probs: np.ndarray, beta: float) -> np.ndarray:
    """Return what probabilities (V,), those at the temperature 1, become at the temperature 1 / beta.

    With beta 0 all tokens are equally likely; an infinite beta is greedy: all on the likeliest. No
    probability is 0, no two are equal, and beta may be 4,000.
    """
    powers = (probs / probs.max()) ** beta
    return powers / powers.sum()


def _greedy_at_infinity(answer):
    """`answer` for a finite beta, and the right thing for an infinite one."""
    return lambda probs, beta: (sharpened if beta == math.inf else answer)(probs, beta)


def _right_at_the_ends(answer):
    """`answer` for a beta between 0 and infinity, and the right thing for these two."""
    return lambda probs, beta: (sharpened if beta in (0, math.inf) else answer)(probs, beta)


def beta_inputs(generator, case):
    """No two shares are equal, and beta is never 1; it may be 0, 4,000 or infinite."""
    return different_shares(generator, 3 + case // 8), [2.0, 0.5, math.inf, 0.0, 4000.0][case % 5]


def _times_beta(probs, beta):
    return probs * beta / (probs * beta).sum()


def _powers(probs, beta):
    return probs**beta / (probs**beta).sum()


UPSIDE_DOWN = "Upside down: high beta is low temperature, and must sharpen."
NOTHING_CHANGES = "Multiplying probabilities and renormalising changes nothing: multiply their logarithms."
LOGARITHMS = "The logarithms of the probabilities have the place of the logits; you took the probabilities."
UNDERFLOW = "A share to the power of 4,000 is 0 for the machine: divide the shares by the largest first."

SHARPENED = Check(
    id="9.1 again",
    variant_of="9.1",
    title="temperature, from probabilities",
    difficulty=1,
    minutes=6,
    imports=IMPORTS,
    reference=sharpened,
    inputs=beta_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it takes logits and divides by T; here beta is 1 / T.",
            with_temperature,
        ),
        Mistake(UPSIDE_DOWN, lambda probs, beta: sharpened(probs, 1 / beta)),
        Mistake(UPSIDE_DOWN, lambda probs, beta: softmax(np.log(probs) / beta)),
        Mistake(UPSIDE_DOWN, _right_at_the_ends(lambda probs, beta: sharpened(probs, 1 / beta))),
        Mistake(NOTHING_CHANGES, _times_beta),
        Mistake(NOTHING_CHANGES, _right_at_the_ends(_times_beta)),
        Mistake(LOGARITHMS, lambda probs, beta: softmax(probs * beta)),
        Mistake(LOGARITHMS, _greedy_at_infinity(lambda probs, beta: softmax(probs * beta))),
        Mistake(
            "An infinite beta is greedy: all probability on the likeliest token.",
            lambda probs, beta: softmax(np.log(probs) * beta),
        ),
        Mistake(UNDERFLOW, _powers),
        Mistake(UNDERFLOW, _greedy_at_infinity(_powers)),
        Mistake(
            "Greedy is an infinite beta; 0 is the other end, where all are equal.",
            lambda probs, beta: sharpened(probs, beta or math.inf),
        ),
        Mistake(
            "Probabilities sum to 1: divide by their sum.",
            lambda probs, beta: (probs / probs.max()) ** beta,
        ),
    ),
    hint="Logits may be moved by any number, so the logarithms of the probabilities will do. A logarithm "
    "that is multiplied by beta belongs to a power: `probs ** beta`, divided by the sum. Divide by the "
    "largest before, and no power of it is 0, not even the infinite one.",
    neighbour="""Three rivers carve their beds; a bed twice as wide takes four times the water:

```python
width = np.array([1.0, 2.0, 4.0])
flow = (width / width.max()) ** 2     # [0.0625, 0.25, 1.0]
flow / flow.sum()                     # [0.048, 0.190, 0.762]; the widths' own shares: [0.143, 0.286, 0.571]
```

In the exercise you find which power belongs to the temperature.""",
    without=WITHOUT,
)


# 9.2


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


def _distance(probs):
    surprise = -np.log(probs)
    return np.abs(surprise - probs @ surprise)


def _by(key):
    """Vary `typical` by what the tokens are sorted by."""
    return _nucleus(_reaching, order=lambda probs: np.argsort(key(probs)))


def _typical_with(chosen=_reaching, **options):
    """Vary `typical` as `_nucleus` varies `top_p`."""
    return _nucleus(chosen, order=lambda probs: np.argsort(_distance(probs)), **options)


def typical_inputs(generator, case):
    """Like those of 9.2, with p between two sums in the order of this one, and no two distances near."""
    while True:
        probs, p = top_p_inputs(generator, case)
        ranked = np.argsort(_distance(probs))
        if np.diff(_distance(probs)[ranked]).min() > 1e-4:
            break
    if p in (0, 1):
        return probs, p
    sums = np.concatenate([[0], np.cumsum(probs[ranked])])
    i = generator.integers(0, len(probs))
    return probs, round(float(0.4 * sums[i] + 0.6 * sums[i + 1]), 6)


TYPICAL = Check(
    id="9.2 again",
    variant_of="9.2",
    title="the most typical tokens",
    difficulty=2,
    minutes=10,
    imports=IMPORTS,
    reference=typical,
    inputs=typical_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it begins with the likeliest token, which need not be typical.",
            top_p,
        ),
        Mistake(
            "The nearest come first, from either side: you began with the least likely.",
            _by(lambda probs: probs),
        ),
        Mistake(
            "You kept the least typical: sort the other way round.", _by(lambda probs: -_distance(probs))
        ),
        Mistake(
            "The entropy weighs each surprise by its probability.",
            _by(lambda probs: np.abs(np.log(probs) - np.log(probs).mean())),
        ),
        Mistake(REACHES, _typical_with(_not_over)),
        Mistake(REACHES, _typical_with(_not_over, one=False)),
        Mistake(UNDO, _typical_with(ids=lambda probs, ranked, stays: np.where(stays, probs[ranked], 0))),
        Mistake(UNDO, _typical_with(ids=lambda probs, ranked, stays: np.where(stays, probs, 0))),
        Mistake(UNDO, _typical_with(ids=lambda probs, ranked, stays: np.where(stays[ranked], probs, 0))),
        Mistake("Always keep one.", _typical_with(one=False)),
        Mistake(
            "The one that always stays is the most typical, not the likeliest.",
            lambda probs, p: typical(probs, p) if p else np.eye(len(probs))[probs.argmax()],
        ),
        Mistake("What is left must sum to 1 again: divide by its sum.", _typical_with(total=lambda kept: 1)),
    ),
    hint="Only the order is new. `surprise = -np.log(probs)`, its mean is `probs @ surprise`, and the "
    "distances are `np.abs(surprise - mean)`: `np.argsort` of these has the most typical first. From there "
    "on it is 9.2: a token stays if the sum of those before it is below p.",
    neighbour="""Those whose age is nearest the mean go on a photo first, until at least 4 people are on it:

```python
ages = np.array([2.0, 35.0, 40.0, 70.0])
people = np.array([3, 1, 2, 1])                         # how many there are of each age
mean = people @ ages / people.sum()                     # 27.3
order = np.argsort(np.abs(ages - mean))                 # [1, 2, 0, 3]: those of 35 come first
before = np.cumsum(people[order]) - people[order]       # [0, 1, 3, 6]
shown = np.zeros(4, dtype=bool)
shown[order] = before < 4                               # [True, True, True, False]
```

In the exercise an age is a surprise, and people are probabilities.""",
    without=WITHOUT,
)


# 9.3


def within_bits(logits: np.ndarray, T: float, bits: float) -> np.ndarray:
    """Apply the temperature T, keep the tokens at most `bits` bits dearer than the likeliest; renormalise.

    A token of probability p costs -log2(p) bits; one that costs exactly `bits` more stays.
    """
    shares_of_top = np.exp((logits - logits.max()) / T)
    kept = np.where(shares_of_top >= 2**-bits, shares_of_top, 0)
    return kept / kept.sum()


def bits_inputs(generator, case):
    """Those of 9.3, with the bar in bits; every fifth time it is 0, and two tokens are likeliest."""
    logits, T, p = min_p_inputs(generator, case)
    return logits, T, round(math.log2(1 / p), 6)


MORE_THAN_TOP = "The likeliest costs bits too: `bits` is how many *more* a token may cost."

WITHIN_BITS = Check(
    id="9.3 again",
    variant_of="9.3",
    title="min-p, in bits",
    difficulty=2,
    minutes=6,
    imports=IMPORTS,
    reference=within_bits,
    inputs=bits_inputs,
    mistakes=(
        Mistake("That answers the first version: its bar is a share, and here it is given in bits.", min_p),
        Mistake(
            "These are nats: a bit halves a probability.",
            lambda logits, T, bits: min_p(logits, T, np.exp(-bits)),
        ),
        Mistake(
            "Upside down: what costs more is less likely.", lambda logits, T, bits: min_p(logits, T, 2**bits)
        ),
        Mistake(
            "A bit is a factor of 2, whatever it starts from: you took bits off a probability.",
            _bar(lambda probs, bits: probs >= probs.max() - bits),
        ),
        Mistake(MORE_THAN_TOP, _bar(lambda probs, bits: -np.log2(probs) <= bits)),
        Mistake(MORE_THAN_TOP, _bar(lambda probs, bits: (-np.log2(probs) <= bits) | (probs == probs.max()))),
        Mistake(STAYS, _bar(lambda probs, bits: probs > 2**-bits * probs.max())),
        Mistake(
            STAYS,
            _bar(
                lambda probs, bits: (
                    (probs > 2**-bits * probs.max()) | (np.arange(len(probs)) == probs.argmax())
                )
            ),
        ),
        Mistake(
            "Order: temperature first, as stated.",
            lambda logits, T, bits: _bar_before_temperature(logits, T, 2**-bits),
        ),
        Mistake(
            "The top probability is that after the temperature, as is everything here.",
            lambda logits, T, bits: _bar_of_the_untouched(logits, T, 2**-bits),
        ),
        Mistake(
            "What is left must sum to 1 again: divide by its sum.",
            _bar(lambda probs, bits: probs >= 2**-bits * probs.max(), total=lambda kept: 1),
        ),
        Mistake(
            "You kept the tokens below the bar.", _bar(lambda probs, bits: probs <= 2**-bits * probs.max())
        ),
    ),
    hint="A token that costs one bit more is half as likely, one that costs `bits` more is `2**-bits` times "
    "as likely. So this is min-p with that share, after the softmax of `logits / T`.",
    neighbour="""10 decibels less are a tenth of the power. Which sounds are at most 20 below the loudest?

```python
power = np.array([0.5, 80.0, 9.0, 0.9])
power >= power.max() * 10 ** (-20 / 10)     # [False, True, True, True]: the bar is 0.8
```

In the exercise a step is a bit, and a bit is a factor of 2.""",
    without=WITHOUT,
)

CHECKS = (SHARPENED, TYPICAL, WITHIN_BITS)
