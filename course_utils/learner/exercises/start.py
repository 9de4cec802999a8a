"""The exercises of chapter 0."""

import math

from course_utils.learner.checks.engine import exercise

SOME_PROBABILITIES = (0.5, 1.0, 0.25, 0.0, 0.125, 0.75)


def bits_inputs(generator, case):
    return (SOME_PROBABILITIES[case] if case < len(SOME_PROBABILITIES) else float(generator.random()),)


@exercise("0.1", "bits", dots=1, minutes=3, inputs=bits_inputs)
def bits(p: float) -> float:
    """Return how many bits an event of probability `p` costs: the surprise at it."""
    if p == 0:
        return math.inf
    return -math.log2(p)


bits.slips("""
The natural logarithm gives nats, not bits: divide by ln 2.
    math.log2 → math.log
The natural logarithm gives nats, not bits: divide by ln 2.
    math.log2 → math.log
    p == 0 → False
Surprise can't be negative.
    -math.log2 → math.log2
    math.inf → -math.inf
Surprise can't be negative.
    -math.log2 → math.log2
    p == 0 → False
An impossible event costs infinitely many bits.
    math.inf → 0.0
An impossible event costs infinitely many bits. Here math.log2(0) raises; give math.inf for p = 0.
    p == 0 → False
1/p counts the equally likely cases; the bits are its logarithm.
    -math.log2(p) → 1 / p
""")


@bits.variant("bits, if it does not happen")
def bits_otherwise(p: float) -> float:
    """Return how many bits it costs that an event of probability `p` does not happen."""
    if p == 1:
        return math.inf
    return -math.log2(1 - p)


bits_otherwise.slips("""
That answers the first version: it gives the bits if the event does happen.
    → bits
Take p from 1, not the bits: probabilities sum to 1, bits don't.
    p == 1 → p == 0
    math.inf → -math.inf
    -math.log2(1 - p) → 1 + math.log2(p)
The natural logarithm gives nats, not bits: divide by ln 2.
    math.log2 → math.log
The natural logarithm gives nats, not bits: divide by ln 2.
    math.log2 → math.log
    p == 1 → False
Surprise can't be negative.
    -math.log2 → math.log2
    math.inf → -math.inf
Surprise can't be negative.
    -math.log2 → math.log2
    p == 1 → False
What is certain can't fail to happen: with p = 1 that costs infinitely many bits.
    math.inf → 0.0
What is certain can't fail to happen: with p = 1 that costs infinitely many bits. Here math.log2(0) raises.
    p == 1 → False
You took care of p = 0; here it is p = 1 that leaves the logarithm of 0.
    p == 1 → p == 0
""")


def layer_inputs(generator, case):
    small = 2 + case
    large = small + 1 + int(generator.integers(5))
    return (small, large) if case % 2 else (large, small)


@exercise(
    "0.2",
    "parameters of a linear layer",
    dots=1,
    minutes=2,
    inputs=layer_inputs,
)
def linear_parameters(n_in: int, n_out: int) -> int:
    """Count the parameters of a linear layer from n_in inputs to n_out outputs: weights and biases."""
    return n_in * n_out + n_out


linear_parameters.slips("""
You left out one bias per output.
    + n_out →
Each output has a weight for each input: multiply.
    n_in * n_out + n_out → n_in + n_out
Each output has a weight for each input: multiply.
    n_in * n_out → n_in + n_out
n_out is the number of outputs, which change with the input: count the weights and the biases, which don't.
    n_in * n_out + n_out → n_out
There is one bias per output, not per input.
    + n_out → + n_in
There is one bias per output, not one for the layer.
    + n_out → + 1
""")


@linear_parameters.variant("parameters of two layers in a row", minutes=4)
def there_and_back_parameters(n: int, n_hidden: int) -> int:
    """Count the parameters of two linear layers in a row: from n inputs to n_hidden, then back to n."""
    there = n * n_hidden + n_hidden
    back = n_hidden * n + n
    return there + back


there_and_back_parameters.slips("""
That answers the first version: it counts the first layer and leaves out the way back.
    → linear_parameters
The two layers have equally many weights, but not biases: the second has n outputs.
    there + back → 2 * there
You left out one bias per output, in both layers.
    n * n_hidden + n_hidden → n * n_hidden
    n_hidden * n + n → n_hidden * n
You left out the biases of the second layer.
    n_hidden * n + n → n_hidden * n
You left out the biases of the first layer.
    n * n_hidden + n_hidden → n * n_hidden
The way back has weights of its own.
    n_hidden * n + n → n
What is between the layers counts: this would be one layer from n to n.
    there + back → n * n + n
The parameters of two layers add up; you multiplied.
    there + back → there * back
""")
