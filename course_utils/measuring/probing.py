"""What does a cell follow? Properties of a text, byte by byte, and the cell whose value goes with each.

A property is a number at every byte that follows from the bytes up to this one, so that a model which reads
from left to right could know it. Radford, Józefowicz & Sutskever 2017 and Karpathy, Johnson & Fei-Fei 2015
looked into recurrent networks for single cells that follow one.
"""

import numpy as np
from jaxtyping import Float, Int

CAPITALS, SMALL = range(ord("A"), ord("Z") + 1), range(ord("a"), ord("z") + 1)


def _since(event: np.ndarray) -> np.ndarray:
    """How many places back the last event is, 0 where it is; before the first, the text's start counts."""
    at = np.arange(len(event))
    return at - np.maximum.accumulate(np.where(event, at, 0))


def _empty_lines(ids: np.ndarray) -> np.ndarray:
    """True at a line break that follows a line break: an empty line has just ended."""
    breaks = ids == ord("\n")
    return breaks & np.append(False, breaks[:-1])


def _since_empty_line(ids: np.ndarray) -> np.ndarray:
    """How many lines have ended since the last empty one."""
    ended = np.cumsum(ids == ord("\n"))
    return ended - np.maximum.accumulate(np.where(_empty_lines(ids), ended, 0))


# name: a function from T bytes to T numbers
PROPERTIES = {
    "place in the line": lambda ids: _since(ids == ord("\n")),
    "first line after an empty one: a speaker's name": lambda ids: _since_empty_line(ids) == 0,
    "lines since an empty one": _since_empty_line,
    "bytes since a capital": lambda ids: _since(np.isin(ids, CAPITALS)),
    "place in the word": lambda ids: _since(~np.isin(ids, [*CAPITALS, *SMALL])),
    "bytes since a punctuation mark": lambda ids: _since(np.isin(ids, list(b".,;:?!"))),
    "capital letter": lambda ids: np.isin(ids, CAPITALS),
    "vowel": lambda ids: np.isin(ids, list(b"aeiouAEIOU")),
}


def correlations(
    cells: Float[np.ndarray, "time cells"], numbers: Float[np.ndarray, " time"]
) -> Float[np.ndarray, " cells"]:
    """The correlation (Pearson's r) of each cell's value with a number, 0 where either is constant."""
    x, y = cells - cells.mean(axis=0), numbers - np.mean(numbers)
    norms = np.sqrt((x**2).sum(axis=0) * (y**2).sum())
    return np.divide(y @ x, norms, out=np.zeros(x.shape[1]), where=norms > 0)


def followers(
    cells: Float[np.ndarray, "time cells"], ids: Int[np.ndarray, " time"]
) -> dict[int, tuple[str, float]]:
    """The pair of a cell and a property that correlate most, either sign; of the rest the next, and so on,
    until each of the PROPERTIES has a cell of its own.

    Returns {cell: (property, r)} in the properties' order. Raises ValueError for fewer cells than properties,
    or unequal lengths.
    """
    cells, ids = np.asarray(cells, dtype=np.float64), np.asarray(ids)
    if len(cells) != len(ids) or cells.shape[1] < len(PROPERTIES):
        raise ValueError(
            f"{len(PROPERTIES)} properties need as many cells, and a row of cells for each byte; "
            f"got {cells.shape[1]} cells, {len(cells)} rows and {len(ids)} bytes"
        )
    r = np.array([correlations(cells, measure(ids).astype(np.float64)) for measure in PROPERTIES.values()])
    free, taken = np.abs(r), {}
    for _ in PROPERTIES:
        row, cell = np.unravel_index(free.argmax(), free.shape)
        taken[int(row)] = int(cell)
        free[row], free[:, cell] = -1, -1
    return {taken[row]: (name, float(r[row, taken[row]])) for row, name in enumerate(PROPERTIES)}
