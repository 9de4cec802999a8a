"""What the exercises of chapter 0 must do, and what usually goes wrong."""

import math

import numpy as np

from course_utils.learner.checks.old import Check, Mistake

# 0.1


def bits(p: float) -> float:
    """Return how many bits an event of probability `p` costs: the surprise at it."""
    if p == 0:
        return math.inf
    return -math.log2(p)


SOME_PROBABILITIES = (0.5, 1.0, 0.25, 0.0, 0.125, 0.75)
NEVER = "An impossible event costs infinitely many bits."

BITS = Check(
    id="0.1",
    title="bits",
    difficulty=1,
    minutes=3,
    imports="import math",
    reference=bits,
    inputs=lambda generator, case: (
        SOME_PROBABILITIES[case] if case < len(SOME_PROBABILITIES) else float(generator.random()),
    ),
    mistakes=(
        Mistake("That is nats; divide by ln 2.", lambda p: -np.log(p)),
        Mistake("That is nats; divide by ln 2.", lambda p: -math.log(p)),
        Mistake("Surprise can't be negative.", lambda p: np.log2(p)),
        Mistake("Surprise can't be negative.", lambda p: math.log2(p)),
        Mistake(NEVER, lambda p: -math.log2(p) if p else 0.0),
        Mistake(f"{NEVER} Here math.log2(0) raises; give math.inf for p = 0.", lambda p: -math.log2(p)),
        Mistake(
            "1/p counts the equally likely cases; the bits are its logarithm.",
            lambda p: 1 / p if p else math.inf,
        ),
    ),
    hint="One of 2 equal cases costs 1 bit, one of 4 costs 2, one of 8 costs 3: the bits are the logarithm "
    "of 1/p to base 2, which is `-math.log2(p)`. Take care of p = 0 first; Python's infinity is `math.inf`.",
    neighbour="""The same question the other way round: how likely is an event that costs so many bits?

```python
def probability(bits):
    return 2 ** -bits

probability(1), probability(3), probability(math.inf)  # 0.5, 0.125, 0.0
```

The exercise asks for the inverse of this function.""",
    without=("course_utils",),
)


# 0.2


def linear_parameters(n_in: int, n_out: int) -> int:
    """Count the parameters of a linear layer from n_in inputs to n_out outputs: weights and biases."""
    return n_in * n_out + n_out


def _shape(generator, case):
    small = 2 + case
    large = small + 1 + int(generator.integers(5))
    return (small, large) if case % 2 else (large, small)


PARAMETERS = Check(
    id="0.2",
    title="parameters of a linear layer",
    difficulty=1,
    minutes=3,
    reference=linear_parameters,
    inputs=_shape,
    mistakes=(
        Mistake("You left out one bias per output.", lambda n_in, n_out: n_in * n_out),
        Mistake(
            "Each output has a weight for each input: multiply.",
            lambda n_in, n_out: n_in + n_out,
        ),
        Mistake(
            "Each output has a weight for each input: multiply.",
            lambda n_in, n_out: n_in + n_out + n_out,
        ),
        Mistake("Activations change with the input; parameters don't.", lambda n_in, n_out: n_out),
        Mistake("There is one bias per output, not per input.", lambda n_in, n_out: n_in * n_out + n_in),
        Mistake("There is one bias per output, not one for the layer.", lambda n_in, n_out: n_in * n_out + 1),
    ),
    hint="Draw a layer with 3 inputs and 2 outputs. Each output is a sum over all inputs, each times a "
    "weight of its own, plus one bias: 3 + 1 numbers an output.",
    neighbour="""A layer that scales each of its n inputs on its own, y = w · x + b, has one weight and one \
bias for each of them:

```python
def scale_parameters(n):
    return n + n

scale_parameters(768)  # 1536
```

In a linear layer, each of the n_out outputs has not one weight but n_in of them.""",
    without=("course_utils", "torch"),
)

CHECKS = (BITS, PARAMETERS)
