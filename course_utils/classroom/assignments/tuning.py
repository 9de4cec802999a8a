"""The assignment `tuning`: a letter goes missing. What it asks of students, without the references."""

import numpy as np

from course_utils.classroom.assignments import Assignment, private

TENTHS = (4, 6, 8, 10, 12, 14)


def pair_inputs(generator, case):
    """1 to 4 pairs; the two answers of a pair differ in length; every fifth time one is far off."""
    pairs = 1 + case % 4
    n_chosen = generator.integers(2, 9, size=pairs)
    n_rejected = n_chosen + generator.choice([-1, 1, 2, 3], size=pairs)
    chosen, rejected = (
        -np.round(n * generator.uniform(0.3, 3, size=pairs), 1) for n in (n_chosen, n_rejected)
    )
    if case % 5 == 4:
        chosen[-1] = -9000.0
    return chosen, rejected, n_chosen, n_rejected, [2.0, 2.5, 0.5][case % 3]


@private(
    "SimPO's loss",
    inputs=pair_inputs,
    constant="G",
    choices=TENTHS,
    fingerprint="25c602b7ddb173662d2e71aa4d1c4e09900a4fce7ae334f54b86481bd0e57e8d",
)
def simpo(
    chosen: np.ndarray,
    rejected: np.ndarray,
    n_chosen: np.ndarray,
    n_rejected: np.ndarray,
    beta: float,
    own: int,
) -> float:
    """SimPO's mean loss in nats: minus log sigmoid(r_chosen - r_rejected - own / 10).

    An answer's reward r is beta times the mean log-probability of its tokens. chosen and rejected (pairs,)
    are the log-probabilities of whole answers, sums over their tokens, of which there are n_chosen and
    n_rejected.
    """
    raise NotImplementedError


@private(
    "its gradient",
    inputs=pair_inputs,
    constant="G",
    choices=TENTHS,
    fingerprint="c5b382a1cf706cd2fcc293ebca551b3e4d46177f89db5ddd3e338f95d3166e66",
)
def simpo_gradient(
    chosen: np.ndarray,
    rejected: np.ndarray,
    n_chosen: np.ndarray,
    n_rejected: np.ndarray,
    beta: float,
    own: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of SimPO's mean loss by `chosen` and by `rejected`, both (pairs,)."""
    raise NotImplementedError


ASSIGNMENT = Assignment(
    "tuning",
    {"choice": "10.5", "dpo": "10.6", "simpo": simpo, "gradient": simpo_gradient},
    "import numpy as np",
)
