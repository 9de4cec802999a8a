"""The assignment `scaling`: the sealed run. What it asks of students, without the references."""

import numpy as np

from course_utils.classroom.assignments import Assignment, private

CHOICES = (2, 3, 4, 5)  # real exponents are near 1/3


def runs_inputs(generator, case):
    """4 to 13 runs, none of the size and length of another; sizes and tokens in millions.

    The first four are the corners of a grid, so that no two of the law's terms look alike and any sound way
    to solve for them gives the same digits.
    """
    corners = [(0.1, 1.0), (0.1, 1000.0), (100.0, 1.0), (100.0, 1000.0)]
    inner = [(n, d) for n in (0.5, 2.0, 10.0) for d in (5.0, 30.0, 200.0)]
    more = generator.permutation(len(inner))[: case // 3]
    n, d = np.array(corners + [inner[i] for i in more]).T
    law = generator.uniform([1.4, 0.8, 1.5], [1.9, 1.6, 4.0])
    exponent = 1 / CHOICES[case % len(CHOICES)]
    loss = law @ [np.ones(len(n)), n**-exponent, d**-exponent] + generator.normal(scale=0.05, size=len(n))
    return n, d, np.round(loss, 3)


@private(
    "the three numbers of a law",
    inputs=runs_inputs,
    constant="C",
    choices=CHOICES,
    fingerprint="e6b062af7580b6517a2d5ec808b8f7de844b63c7cba1a6545ab0b140dcfcd1c0",
)
def three_numbers(n: np.ndarray, d: np.ndarray, loss: np.ndarray, own: int) -> np.ndarray:
    """Fit L(N, D) = E + A / N^(1/C) + B / D^(1/C), with C = own, to runs: return [E, A, B].

    n, d and loss are (runs,), of 4 runs or more. Least is the sum of the squared misses of the losses.
    """
    raise NotImplementedError


def big_run_inputs(generator, case):
    """Such runs, a run that is larger than all of them, and how many standard errors the interval goes."""
    larger = np.round(generator.uniform([200, 2000], [900, 9000]))
    return (*runs_inputs(generator, case), *larger.tolist(), round(float(generator.uniform(1.2, 4.5)), 2))


@private(
    "an interval for the next run",
    inputs=big_run_inputs,
    constant="C",
    choices=CHOICES,
    fingerprint="a5581c3e2a01b6596e1c3e53fb3eb010f6513f1ab92914005d4d493cbe115b08",
)
def foretell(
    n: np.ndarray, d: np.ndarray, loss: np.ndarray, new_n: float, new_d: float, t: float, own: int
) -> tuple[float, float]:
    """Between which losses (low, high) does a new run lie, by the law of `three_numbers` with C = own?

    From what the law says it goes t s √(1 + h) down and up. s² is the sum of the squared misses over the
    number of runs less 3; h = x (XᵀX)⁻¹ xᵀ, where X has a row (1, N^(-1/C), D^(-1/C)) for each run, and x is
    the row of the new one.
    """
    raise NotImplementedError


ASSIGNMENT = Assignment(
    "scaling",
    {"best": "11.6", "three": three_numbers, "foretell": foretell},
    "import numpy as np",
)
