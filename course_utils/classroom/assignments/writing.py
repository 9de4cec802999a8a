"""The assignment `writing`: a line in ten keys. What it asks of students, without the references."""

import numpy as np

from course_utils.classroom.assignments import Assignment, private
from course_utils.learner.exercises.inputs import different_shares, rounded

TENTHS = (2, 3, 4, 5, 6, 7)
BETWEEN = (0.25, 0.35, 0.45, 0.55, 0.65)  # a case with each of them tells every two constants apart


def top_a_inputs(generator, case):
    """One token stands between the bars of two constants; every fifth time logits are near 1,000."""
    T = [0.5, 2.0, 1.5][case % 3]
    weights = np.exp(generator.choice(np.arange(-30, 10), size=3 + case // 6, replace=False) / 10 / T)
    total = weights.sum() / weights.max()
    between = (
        np.sqrt(total**2 + 4 * BETWEEN[case % 5]) - total
    ) / 2  # its share: the bar, while it counts too
    logits = T * np.log(np.append(weights / weights.max(), between))
    return generator.permutation(np.round(logits, 3)) + 1000.0 * (case % 5 == 4), T


@private(
    "top-a sampling",
    inputs=top_a_inputs,
    constant="A",
    choices=TENTHS,
    fingerprint="2941e6f3f154744bd790bce80179eeb4cd304bfca1795b1f07c67ade6905d518",
)
def top_a(logits: np.ndarray, T: float, own: int) -> np.ndarray:
    """The probabilities (V,) that top-a leaves at the temperature T; logits are (V,), T is above 0.

    After the temperature, a token is kept if its probability is at least a times the square of the largest
    one, with a = own / 10. What is kept is renormalised.
    """
    raise NotImplementedError


def beam_inputs(generator, case):
    """Two beams at first, whose second place lies between the penalties of two constants; then three.

    No two candidates are equal under any of the penalties.
    """
    K, V, written = 2 + case % 2, 4 + case // 10, case // 2 % 3
    while True:
        log_p = np.log(different_shares(generator, K, V))
        scores = -generator.choice(np.arange(10, 60), size=K, replace=False) / 10
        best = np.sort(scores[:, None] + log_p)[:, ::-1]
        scores[1] += best[0, 1] - best[1, 0] - BETWEEN[case // 2 % 5]
        totals, order = np.sort(scores[:, None] + log_p)[:, ::-1], generator.permutation(K)
        ranked = (np.sort((totals - tenths / 10 * np.arange(V)).ravel()) for tenths in (0, *TENTHS))
        if min(np.diff(penalised).min() for penalised in ranked) > 1e-3:
            break
    texts = generator.integers(V, size=(K, written))
    keys, values = rounded(generator, 2, 2 + case // 15, K, written + 1, 2)
    return texts, scores[order], log_p[order], keys, values


@private(
    "a step of beam search with its caches",
    inputs=beam_inputs,
    constant="G",
    choices=TENTHS,
    fingerprint="1453fd143ca2a40a14cb7c1ea6b1e6ced7962df3abfcee7f17e7de47572a92a6",
)
def cached_beam_step(
    texts: np.ndarray,
    scores: np.ndarray,
    log_p: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray,
    own: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Take a step of a beam search in which siblings make way; return new texts, scores, keys and values.

    texts (K, n) are the ids that each beam has written, scores (K,) their log-probabilities, log_p (K, V)
    those of each next token; keys and values (blocks, K, T, D) are what the model keeps of each beam. A
    candidate's rank is its place among those of its own beam, the best of which has rank 0; own / 10 times
    its rank is taken off its score when the K best are chosen, and only then. Texts are one token longer; all
    four are in the order of what was chosen, the best first.
    """
    raise NotImplementedError


ASSIGNMENT = Assignment(
    "writing",
    {"temperature": "9.1", "beam": "9.5", "top_a": top_a, "cached_beam": cached_beam_step},
    "import numpy as np",
)
