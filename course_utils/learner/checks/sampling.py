"""What the exercises of chapter 9, on sampling, must do, and what usually goes wrong.

Those on whole texts, 9.4 and 9.5, are in `generation`. All are written out in NumPy;
`course_utils.sampling` has the same in PyTorch.
"""

import numpy as np

from course_utils.learner.checks.attention import softmax
from course_utils.learner.checks.neural import WITHOUT
from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.exercises.inputs import different_shares

IMPORTS = "import numpy as np"


# 9.1


def with_temperature(logits: np.ndarray, T: float) -> np.ndarray:
    """Return the probabilities (V,) at the temperature T; 0 is greedy: all on the largest logit."""
    if T == 0:
        return np.eye(len(logits))[logits.argmax()]
    exps = np.exp((logits - logits.max()) / T)
    return exps / exps.sum()


def _at_zero(answer, T_0=None):
    """`answer` for T above 0; for 0 what the given function does, or the right thing."""
    return lambda logits, T: (T_0 or with_temperature)(logits, T) if T == 0 else answer(logits, T)


def temperature_inputs(generator, case):
    """No two logits are equal, T is never 1, and every fourth time 0."""
    logits = generator.choice(np.arange(-20, 21), size=3 + case // 8, replace=False) / 10
    if case % 5 == 4:
        logits[0] = 1000.0
    return logits, [0.5, 2.0, 0.25, 0.0][case % 4]


ZERO = "0 means the largest logit."

TEMPERATURE = Check(
    id="9.1",
    title="temperature",
    difficulty=1,
    minutes=5,
    imports=IMPORTS,
    reference=with_temperature,
    inputs=temperature_inputs,
    mistakes=(
        Mistake(
            "Dividing probabilities and renormalising changes nothing: divide logits.",
            _at_zero(lambda logits, T: softmax(logits)),
        ),
        Mistake(
            "Upside down: high T must flatten.",
            _at_zero(lambda logits, T: softmax(logits * T)),
        ),
        Mistake(
            "Upside down: high T must flatten.",
            lambda logits, T: softmax(logits * T),
        ),
        Mistake(ZERO, _at_zero(with_temperature, lambda logits, T: np.full(len(logits), np.nan))),
        Mistake(
            ZERO,
            _at_zero(with_temperature, lambda logits, T: np.exp(logits / T) / np.exp(logits / T).sum()),
        ),
        Mistake(ZERO, _at_zero(with_temperature, lambda logits, T: softmax(logits))),
        Mistake(
            "0 is greedy: all probability on one token, none on the others.",
            _at_zero(with_temperature, lambda logits, T: np.full(len(logits), 1 / len(logits))),
        ),
        Mistake(
            "Logit 1,000 gives NaN; subtract the max.",
            _at_zero(lambda logits, T: np.exp(logits / T) / np.exp(logits / T).sum()),
        ),
        Mistake(
            "Probabilities sum to 1: divide by their sum.",
            _at_zero(lambda logits, T: np.exp((logits - logits.max()) / T)),
        ),
        Mistake(
            "Probabilities sum to 1, whatever T is: after the division by T they no longer do.",
            _at_zero(lambda logits, T: softmax(logits) / T),
        ),
    ),
    hint="Divide the logits by T, then take the softmax: subtract the largest, `np.exp`, divide by the sum. "
    "For T = 0 there is nothing to divide by; there, all probability goes to `logits.argmax()`.",
    neighbour="""Three chess players and their points. Who wins, if a point counts much, or little?

```python
points = np.array([0.0, 100.0, 300.0])
exps = np.exp((points - points.max()) / 100)
exps / exps.sum()     # [0.042, 0.114, 0.844]
exps = np.exp((points - points.max()) / 400)
exps / exps.sum()     # [0.227, 0.292, 0.481]: the order is the same, the shares are nearer to each other
```

In the exercise the points are logits, and T may be 0.""",
    without=WITHOUT,
)


# 9.2


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


def _nucleus(chosen, one=True, order=lambda probs: np.argsort(-probs), ids=None, total=np.sum):
    """Vary `top_p`: `chosen(sorted_probs, p)` says which of the sorted tokens stay."""

    def answer(probs, p):
        ranked = order(probs)
        stays = chosen(probs[ranked], p)
        if one:
            stays[0] = True
        if ids:
            kept = ids(probs, ranked, stays)
        else:
            kept = np.zeros(len(probs))
            kept[ranked] = np.where(stays, probs[ranked], 0)
        return kept / total(kept)

    return answer


def _reaching(ranked, p):
    return np.cumsum(ranked) - ranked < p


def _not_over(ranked, p):
    return np.cumsum(ranked) <= p


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


REACHES = "Keep the token that reaches p."
UNDO = "Right set, wrong ids: undo the sort."

TOP_P = Check(
    id="9.2",
    title="top-p",
    difficulty=2,
    minutes=10,
    imports=IMPORTS,
    reference=top_p,
    inputs=top_p_inputs,
    mistakes=(
        Mistake(REACHES, _nucleus(_not_over)),
        Mistake(REACHES, _nucleus(_not_over, one=False)),
        Mistake(
            UNDO,
            _nucleus(_reaching, ids=lambda probs, ranked, stays: np.where(stays, probs[ranked], 0)),
        ),
        Mistake(UNDO, _nucleus(_reaching, ids=lambda probs, ranked, stays: np.where(stays, probs, 0))),
        Mistake(
            UNDO, _nucleus(_reaching, ids=lambda probs, ranked, stays: np.where(stays[ranked], probs, 0))
        ),
        Mistake("Always keep one.", _nucleus(_reaching, one=False)),
        Mistake(
            "What is left must sum to 1 again: divide by its sum.",
            _nucleus(_reaching, total=lambda kept: 1),
        ),
        Mistake("Begin with the likeliest: you kept the tail.", _nucleus(_reaching, order=np.argsort)),
        Mistake(
            "p bounds the sum of the kept tokens, not the probability of each.",
            _nucleus(lambda ranked, p: ranked >= p),
        ),
        Mistake(
            "The first token that reaches p is the last to stay; you kept one more.",
            _nucleus(lambda ranked, p: np.append([0, 0], np.cumsum(ranked))[: len(ranked)] < p),
        ),
    ),
    hint="`order = np.argsort(-probs)` has the likeliest first. A token stays if the sum of those *before* "
    "it is below p: then the one that reaches p is in. To get back to token ids, write into the places: "
    "`keep[order] = ...`.",
    neighbour="""A hiker packs the best snacks first until they make at least 10:

```python
energy = np.array([3.0, 6.0, 1.0, 5.0])     # apple, nuts, gum, bar
order = np.argsort(-energy)                 # [1, 3, 0, 2]
before = np.cumsum(energy[order]) - energy[order]   # [0, 6, 11, 14]: what is packed already
packed = np.zeros(4, dtype=bool)
packed[order] = before < 10                 # [False, True, False, True]: nuts, and the bar that reaches 10
```

In the exercise the shares that stay are made to sum to 1 again.""",
    without=WITHOUT,
)


# 9.3


def min_p(logits: np.ndarray, T: float, p: float) -> np.ndarray:
    """Apply the temperature T, keep the tokens at least p times as likely as the likeliest; renormalise."""
    exps = np.exp((logits - logits.max()) / T)
    probs = exps / exps.sum()
    kept = np.where(probs >= p * probs.max(), probs, 0)
    return kept / kept.sum()


def _bar(stays, total=np.sum):
    """Vary `min_p`: `stays(probs, p)` after the temperature."""

    def answer(logits, T, p):
        probs = softmax(logits / T)
        kept = np.where(stays(probs, p), probs, 0)
        return kept / total(kept)

    return answer


def _bar_before_temperature(logits, T, p):
    probs = softmax(logits)
    return softmax(np.where(probs >= p * probs.max(), logits, -np.inf) / T)


def _bar_of_the_untouched(logits, T, p):
    probs = softmax(logits / T)
    kept = np.where(probs >= p * softmax(logits).max(), probs, 0)
    return kept / kept.sum()


def _logits_at_bar(logits, T, p):
    scaled = logits / T
    return softmax(np.where(scaled >= p * scaled.max(), scaled, -np.inf))


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


STAYS = "A token exactly at the bar stays."
TIMES_TOP = "The bar is min_p times the top probability."

MIN_P = Check(
    id="9.3",
    title="min-p",
    difficulty=2,
    minutes=6,
    imports=IMPORTS,
    reference=min_p,
    inputs=min_p_inputs,
    mistakes=(
        Mistake(TIMES_TOP, _bar(lambda probs, p: probs >= p)),
        Mistake(TIMES_TOP, _bar(lambda probs, p: (probs >= p) | (probs == probs.max()))),
        Mistake(STAYS, _bar(lambda probs, p: probs > p * probs.max())),
        Mistake(
            STAYS,
            _bar(lambda probs, p: (probs > p * probs.max()) | (np.arange(len(probs)) == probs.argmax())),
        ),
        Mistake("Order: temperature first, as stated.", _bar_before_temperature),
        Mistake(
            "The top probability is that after the temperature, as is everything here.", _bar_of_the_untouched
        ),
        Mistake("The bar is for probabilities, not for logits.", _logits_at_bar),
        Mistake(
            "What is left must sum to 1 again: divide by its sum.",
            _bar(lambda probs, p: probs >= p * probs.max(), total=lambda kept: 1),
        ),
        Mistake("You kept the tokens below the bar.", _bar(lambda probs, p: probs <= p * probs.max())),
    ),
    hint="First the softmax of `logits / T`. The bar is `p * probs.max()`, and `>=` lets a token at the bar "
    "stay. What is below becomes 0, and the rest is divided by its sum.",
    neighbour="""A prize for every runner who is at least 0.9 times as fast as the fastest:

```python
speed = np.array([8.0, 10.0, 9.0, 5.0])
speed >= 0.9 * speed.max()      # [False, True, True, False]: the bar is 9.0, and 9.0 is enough
```

In the exercise the speeds are probabilities, after the temperature.""",
    without=WITHOUT,
)

CHECKS = (TEMPERATURE, TOP_P, MIN_P)
