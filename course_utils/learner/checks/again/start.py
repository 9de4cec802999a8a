"""Variants of the exercises of chapter 0."""

import math

import numpy as np

from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.start import BITS, PARAMETERS, bits, linear_parameters

# 0.1


def bits_otherwise(p: float) -> float:
    """Return how many bits it costs that an event of probability `p` does not happen."""
    if p == 1:
        return math.inf
    return -math.log2(1 - p)


CERTAIN = "What is certain can't fail to happen: with p = 1 that costs infinitely many bits."

BITS_OTHERWISE = Check(
    id="0.1 again",
    variant_of="0.1",
    title="bits, if it does not happen",
    difficulty=1,
    minutes=3,
    imports="import math",
    reference=bits_otherwise,
    inputs=BITS.inputs,
    mistakes=(
        Mistake("That answers the first version: it gives the bits if the event does happen.", bits),
        Mistake(
            "Take p from 1, not the bits: probabilities sum to 1, bits don't.",
            lambda p: 1 - bits(p),
        ),
        Mistake("That is nats; divide by ln 2.", lambda p: -np.log(1 - p)),
        Mistake("That is nats; divide by ln 2.", lambda p: -math.log(1 - p)),
        Mistake("Surprise can't be negative.", lambda p: np.log2(1 - p)),
        Mistake("Surprise can't be negative.", lambda p: math.log2(1 - p)),
        Mistake(CERTAIN, lambda p: -math.log2(1 - p) if p < 1 else 0.0),
        Mistake(f"{CERTAIN} Here math.log2(0) raises.", lambda p: -math.log2(1 - p)),
        Mistake(
            "You took care of p = 0; here it is p = 1 that leaves the logarithm of 0.",
            lambda p: -math.log2(1 - p) if p else math.inf,
        ),
    ),
    hint="The event happens or it doesn't: the two probabilities sum to 1. Turn the second one into bits, "
    "and take care of the p for which it is 0.",
    neighbour="""How likely is it that a die shows no six, and that two dice show none?

```python
no_six = 1 - 1/6  # 0.833
no_six ** 2       # 0.694
```

In the exercise p stands in the place of 1/6, and what it leaves is turned into bits.""",
    without=("course_utils",),
)


# 0.2


def there_and_back_parameters(n: int, n_hidden: int) -> int:
    """Count the parameters of two linear layers in a row: from n inputs to n_hidden, then back to n."""
    there = n * n_hidden + n_hidden
    back = n_hidden * n + n
    return there + back


THERE_AND_BACK = Check(
    id="0.2 again",
    variant_of="0.2",
    title="parameters of two layers in a row",
    difficulty=1,
    minutes=4,
    reference=there_and_back_parameters,
    inputs=PARAMETERS.inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it counts the first layer and leaves out the way back.",
            linear_parameters,
        ),
        Mistake(
            "The two layers have equally many weights, but not biases: the second has n outputs.",
            lambda n, n_hidden: 2 * linear_parameters(n, n_hidden),
        ),
        Mistake("You left out one bias per output, in both layers.", lambda n, n_hidden: 2 * n * n_hidden),
        Mistake(
            "You left out the biases of the second layer.",
            lambda n, n_hidden: 2 * n * n_hidden + n_hidden,
        ),
        Mistake("You left out the biases of the first layer.", lambda n, n_hidden: 2 * n * n_hidden + n),
        Mistake(
            "The way back has weights of its own.",
            lambda n, n_hidden: linear_parameters(n, n_hidden) + n,
        ),
        Mistake(
            "What is between the layers counts: this would be one layer from n to n.",
            lambda n, n_hidden: linear_parameters(n, n),
        ),
        Mistake(
            "The parameters of two layers add up; you multiplied.",
            lambda n, n_hidden: linear_parameters(n, n_hidden) * linear_parameters(n_hidden, n),
        ),
    ),
    hint="Count each layer as in 0.2, and add the two. The second one has n_hidden inputs and n outputs.",
    neighbour="""Two layers that grow narrower, from 3 inputs to 2 and from these to 1:

```python
first = 3 * 2 + 2   # 8: six weights, two biases
second = 2 * 1 + 1  # 3: two weights, one bias
first + second      # 11
```

In the exercise the second layer is as wide at its end as the first one at its beginning.""",
    without=("course_utils", "torch"),
)

CHECKS = (BITS_OTHERWISE, THERE_AND_BACK)
