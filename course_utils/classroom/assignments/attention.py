"""The assignment `attention`: the latest value. What it asks of students, without the references."""

import numpy as np

from course_utils.classroom.assignments import Assignment, private
from course_utils.learner.exercises.inputs import rounded

CHOICES = (3, 4, 5, 6, 7, 9)  # in the paper it is 8


def slopes_inputs(generator, case):
    """1 to 30 heads."""
    return (1 + case,)


@private(
    "ALiBi's slopes",
    inputs=slopes_inputs,
    constant="C",
    choices=CHOICES,
    fingerprint="74e91ba2dfd52b4f0f7908becad5fc43e9be3bd62a0bc4ce44c2bf03a74b5d19",
)
def alibi_slopes(heads: int, own: int) -> np.ndarray:
    """The slopes of ALiBi's heads, (heads,): 2^(-C h / heads) for h = 1 to heads, with C = own."""
    raise NotImplementedError


def alibi_inputs(generator, case):
    """Heads, tokens, the width of the keys and that of the values are all different numbers."""
    heads, tokens = 2 + case % 2, 4 + case // 10
    width, width_of_values = tokens + 1 + case % 3, tokens + 4
    shapes = (heads, tokens, width), (heads, tokens, width), (heads, tokens, width_of_values)
    return tuple(rounded(generator, *shape) for shape in shapes)


@private(
    "attention with linear biases",
    inputs=alibi_inputs,
    constant="C",
    choices=CHOICES,
    fingerprint="7d873c9632109d1e64f69ad221abe38cbca1e6e92bc400a9f1376a583d2fa480",
)
def alibi(q: np.ndarray, k: np.ndarray, v: np.ndarray, own: int) -> np.ndarray:
    """What causal attention with ALiBi's biases gathers in each head, (heads, tokens, D), with C = own.

    The scores are q k / √d; each is lowered by the head's slope times the distance from key to query. q and k
    are (heads, tokens, d), v is (heads, tokens, D).
    """
    raise NotImplementedError


ASSIGNMENT = Assignment(
    "attention",
    {"scores": "4.1", "weights": "4.2", "slopes": alibi_slopes, "alibi": alibi},
    "import numpy as np",
)
