"""What do a model's numbers know of a text? A cell that follows a property, or a line through all of them.

A property is a number at every byte that follows from the bytes up to this one, so that a model which reads
from left to right could know it. Radford, Józefowicz & Sutskever 2017 and Karpathy, Johnson & Fei-Fei 2015
looked into recurrent networks for single cells that follow one.

A linear probe reads all numbers of a vector at once. It can learn much by itself, so that it needs a control:
Hewitt & Liang 2019 let it learn labels by lot too, of which no model can know anything.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

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
    "first line after an empty one: mostly a speaker's name": lambda ids: _since_empty_line(ids) == 0,
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
    # what is constant may differ from its mean, by rounding
    varies = (cells != cells[0]).any(axis=0) & (numbers != numbers[0]).any()
    return np.divide(y @ x, norms, out=np.zeros(x.shape[1]), where=varies & (norms > 0))


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


DECAYS = 1e-4, 1e-3, 1e-2  # weight decays of a probe, of which the validation rows choose one

Rows = tuple[Float[np.ndarray, "rows features"], Bool[np.ndarray, " rows"]]


class Probe(NamedTuple):
    """The weight decay that was best on the validation rows, the shares that were right there and in the
    test, and which of the test rows were."""

    decay: float
    validation: float
    test: float
    right: tuple[bool, ...]


def linear_probe(train: Rows, validation: Rows, test: Rows) -> Probe:
    """Tell two classes by a weighted sum of the features: logistic regression, fitted to the training rows.

    Features of unlike sizes belong through `standardised` first. Raises ValueError if there are not as many
    classes as rows, for classes other than False and True (or 0 and 1), and for training rows of one class.
    """
    for features, classes in (train, validation, test):
        if len(features) != len(classes):
            raise ValueError(f"each row has a class; got {len(features)} rows and {len(classes)} classes")
        if others := {*np.asarray(classes).tolist()} - {False, True}:
            raise ValueError(f"a class is False or True (0 or 1); got {others.pop()!r}")
    if len(found := {*np.asarray(train[1]).tolist()}) != 2:
        raise ValueError(f"the training rows need two classes, to tell apart; got {sorted(found)}")
    fits = {decay: _logistic(*train, decay) for decay in DECAYS}
    best = max(DECAYS, key=lambda decay: np.mean(rows_right(fits[decay], *validation)))
    in_validation, in_test = (rows_right(fits[best], *rows) for rows in (validation, test))
    return Probe(best, float(in_validation.mean()), float(in_test.mean()), tuple(in_test.tolist()))


def standardised(*parts: Rows) -> list[Rows]:
    """The rows with each feature scaled to the mean 0 and the spread 1 that it gets in the first part."""
    mean, spread = parts[0][0].mean(0), parts[0][0].std(0) + 1e-6
    return [((features - mean) / spread, classes) for features, classes in parts]


def rows_right(
    weights: Float[np.ndarray, " 1+features"],
    features: Float[np.ndarray, "rows features"],
    classes: Bool[np.ndarray, " rows"],
) -> Bool[np.ndarray, " rows"]:
    """Which rows fall on the side of their class; the first weight is the constant."""
    return (features @ weights[1:] + weights[0] > 0) == classes


def _logistic(features, classes, decay: float) -> Float[np.ndarray, " 1+features"]:
    """The weights with the fewest nats a row, and `decay` times their squares."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    from course_utils.training.optimisers import LBFGS

    x, y = torch.as_tensor(features).float(), torch.as_tensor(classes).float()
    weights = torch.zeros(x.shape[1] + 1, requires_grad=True)
    optimiser = LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        nats = binary_cross_entropy_with_logits(x @ weights[1:] + weights[0], y)
        nats = nats + decay * weights[1:].square().sum()
        nats.backward()
        return nats

    optimiser.step(closure)
    return weights.detach().numpy()


Layers = tuple[
    Float[np.ndarray, "layers tokens d_model"], Bool[np.ndarray, " tokens"], Int[np.ndarray, " tokens"]
]


def layer_probes(train: Layers, validation: Layers, test: Layers, seed: int = 0) -> list[tuple[float, float]]:
    """For each layer the shares of test tokens whose label a linear probe tells: of the task, and of its
    control.

    A part has the vectors of some tokens in each layer, their labels and their types (ids of the vocabulary).
    In the control task each type has a label by lot, the same wherever it stands: the probe can only learn it
    by heart. What the task has above its control, its selectivity, judges the probe: a large one says that it
    learns little by heart (Hewitt & Liang 2019, section 2). The shares don't subtract. Raises ValueError as
    `linear_probe` does.
    """
    parts = train, validation, test
    lots = np.random.default_rng(seed).random(1 + max(types.max() for *_, types in parts)) < 0.5

    def probe(layer: int, labels: list) -> float:
        rows = [(layers[layer], classes) for (layers, *_), classes in zip(parts, labels, strict=True)]
        return linear_probe(*standardised(*rows)).test

    tasks = [labels for _, labels, _ in parts], [lots[types] for *_, types in parts]
    return [tuple(probe(layer, labels) for labels in tasks) for layer in range(len(train[0]))]
