"""The assignment `encoders`: words on the floor. What it asks of students, without the references."""

import numpy as np

from course_utils.classroom.assignments import Assignment, private

CHOICES = (25, 30, 35, 40, 45, 50)  # tenths


def shuffle_inputs(generator, case):
    """1 to 15 ids, and a draw for each."""
    n = 1 + case // 2
    return generator.integers(100, 999, size=n).tolist(), np.round(generator.random(n), 4)


@private(
    "a shuffle with short ways",
    inputs=shuffle_inputs,
    constant="A",
    choices=CHOICES,
    fingerprint="31cae121f174c25daa8daefd8516e040b4c7b99240f54c6d0611317d5b7298b1",
)
def local_shuffle(ids: list[int], draws: np.ndarray, own: int) -> list[int]:
    """Put the tokens into the order of their keys: token i, from 0 on, has the key i + own / 10 * draws[i].

    `draws` (n,) are numbers from 0 to below 1, so that every token moves by less than own / 10 places. Of
    equal keys the earlier token comes first.
    """
    raise NotImplementedError


def length_inputs(generator, case):
    """1 to 30 tokens."""
    return (1 + case,)


@private(
    "how many pairs change places",
    inputs=length_inputs,
    constant="A",
    choices=CHOICES,
    fingerprint="f586237a3c818bfd9e9baaed3dc9acd47eceddeafa57d5883d4836b9c2759da6",
)
def pairs_out_of_order(n: int, own: int) -> float:
    """How many pairs of n tokens are in the wrong order, on average, after `local_shuffle` with this own?

    Exact, for draws that are independent and even between 0 and 1.
    """
    raise NotImplementedError


def copies_inputs(generator, case):
    """1 to 12 ids that are all different, and another one for the mask."""
    n = 1 + case * 2 // 5
    drawn = generator.choice(np.arange(100, 999), size=n + 1, replace=False).tolist()
    return drawn[1:], drawn[0]


@private(
    "copies that hide a token and what follows",
    inputs=copies_inputs,
    constant="R",
    choices=(2, 4, 6),
    fingerprint="447e4f2d91c23fe541c295319d0ce205069f25834eb6156d65d00e6860c0d5cc",
)
def hidden_copies(ids: list[int], mask: int, own: int) -> np.ndarray:
    """Copies of a text of n tokens, (n, n): in row i `mask` hides token i and the own tokens after it.

    Where fewer follow, those are hidden.
    """
    raise NotImplementedError


ASSIGNMENT = Assignment(
    "encoders",
    {
        "loss": "6.4",
        "teacher": "7.4",
        "shuffle": local_shuffle,
        "pairs": pairs_out_of_order,
        "copies": hidden_copies,
    },
)
