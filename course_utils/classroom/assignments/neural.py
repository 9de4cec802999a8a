"""The assignment `neural`: where does the line end? What it asks of students, without the references."""

import numpy as np

from course_utils.classroom.assignments import Assignment, private
from course_utils.learner.exercises.recurrent import lstm_inputs, other_than_0, tenths


def peephole_inputs(generator, case):
    """The inputs of an LSTM step, and the peepholes of the gates i, f and o."""
    x, h, c, W, U, b = lstm_inputs(generator, case)
    return x, h, c, W, U, b, other_than_0(2 * tenths(generator, 3, len(h)))


@private(
    "an LSTM step with peepholes",
    inputs=peephole_inputs,
    constant="B",
    choices=(1, 2, 3, 4, 5, 6),
    fingerprint="01731d5751ad3f1438864db2c77338166d9deac9c6b77c4999494bdf43033cef",
)
def peephole_step(
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    W: np.ndarray,
    U: np.ndarray,
    b: np.ndarray,
    P: np.ndarray,
    own: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Take one step of an LSTM whose gates see the cell, from the state h, c (H,): return the new (h, c).

    W (4H, D), U (4H, H) and b (4H,) hold the gates i, f, g, o in turn. The rows of P (3, H) are the peepholes
    of i, f and o: each is multiplied by c, number by number, and added before the gate's sigmoid. Gates i and
    f look at the old c, o at the new one; g has none. The forget gate has the bias own besides its own in b.
    """
    raise NotImplementedError


def capped_inputs(generator, case):
    """1 to 5 words of two or three letters that repeat, with their counts; often more merges than fit."""
    if case < 3:
        return {"ab": 1 + case}, 1 + case
    letters = list("abc"[: 2 + case % 2])
    drawn = [
        generator.choice(letters, size=2 + int(generator.integers(2 + case // 3)))
        for _ in range(1 + case // 6)
    ]
    return {"".join(word): 1 + int(generator.integers(5)) for word in drawn}, 2 + case // 3


@private(
    "merges of pieces with a longest length",
    inputs=capped_inputs,
    constant="L",
    choices=(2, 4, 6, 8),  # "less than L" is then nobody else's L
    fingerprint="67c8ab9f5068e848d1c5c80709075bf5ab009f89e8d73827411b66fc20fe9435",
)
def capped_merges(words: dict[str, int], n: int, own: int) -> list[tuple[str, str]]:
    """Learn n merges of byte-pair encoding, of letters, that make no piece longer than own letters.

    `words` says of each word how often it occurs. Each begins as its letters. Merged is, n times, the most
    frequent pair of neighbouring pieces of all those that together have at most own letters, everywhere and
    from the left; of equally frequent ones, the first in Python's order. There are fewer merges if no such
    pair is left.
    """
    raise NotImplementedError


ASSIGNMENT = Assignment(
    "neural",
    {"step": "2.5", "merge": "3.3", "peephole": peephole_step, "pieces": capped_merges},
    "import numpy as np",
)
