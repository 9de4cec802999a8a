"""The QKV stepper: attention over a few tokens, one step and one cell at a time, down to the sum."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from course_utils.widgets.base import Widget
from course_utils.widgets.state import List, Number, OneOf, Row, Whole
from course_utils.widgets.words import quoted, visible

# each step, and the matrices that it makes
STEPS = {
    "embeddings": ("x",),
    "queries, keys, values": ("q", "k", "v"),
    "scores": ("scores",),
    "scaled": ("scaled",),
    "masked": ("masked",),
    "weights": ("weights",),
    "output": ("output",),
}
MADE = [name for names in STEPS.values() for name in names if name != "x"]
BETWEEN = ("scores", "scaled", "masked", "weights")  # a row a query, a column a key
MAX_NUMBER = 10  # that may be typed as an embedding number
CLOSE = 1e-5  # float32 is good enough

Matrix = Float[np.ndarray, "rows columns"]


def attention_steps(
    x: Float[np.ndarray, "tokens d_model"],
    W_q: Float[np.ndarray, "d_model d"],
    W_k: Float[np.ndarray, "d_model d"],
    W_v: Float[np.ndarray, "d_model d_v"],
    allowed: Bool[np.ndarray, "tokens tokens"],
) -> dict[str, Matrix]:
    """Every matrix on the way from embeddings to the output of one head (Vaswani et al. 2017, section 3.2.1).

    `allowed` is True where the query in the row may see the key in the column.
    """
    q, k, v = x @ W_q, x @ W_k, x @ W_v
    scores = q @ k.T
    scaled = scores / np.sqrt(q.shape[1])
    masked = np.where(allowed, scaled, -np.inf)
    exps = np.exp(masked - masked.max(axis=1, keepdims=True))
    weights = exps / exps.sum(axis=1, keepdims=True)
    made = (q, k, v, scores, scaled, masked, weights, weights @ v)
    return dict(zip(MADE, made, strict=True))


@dataclass(frozen=True)
class Matrices:
    """Every matrix by its name, and the verdict on the learner's function: what `says` it in words, and `at`,
    the first cell that differs, with what it `got` there."""

    values: dict[str, Matrix]
    verdict: dict = field(default_factory=dict)


class QKVStepper(Widget):
    """One head of self-attention on numbers small enough to check by hand.

    tokens: 3 to 6 strings; x: their embeddings, (T, d_model), which the learner may change.
    W_q, W_k, W_v: (d_model, d); d_model is at most 6, and d at most 4.
    causal: whether a query sees no later key.
    yours(x, W_q, W_k, W_v, allowed): the learner's own function, which returns a dict of some of the matrices
        q, k, v, scores, scaled, masked, weights, output. The first step at which it differs is marked.

    Raises ValueError for another number of tokens, shapes that do not fit or are too large, and numbers that
    are not finite.
    """

    def __init__(
        self,
        tokens: list[str],
        x: Matrix,
        W_q: Matrix,
        W_k: Matrix,
        W_v: Matrix,
        *,
        causal: bool = True,
        yours: Callable[..., dict[str, Matrix]] | None = None,
    ):
        if not 3 <= len(tokens) <= 6:
            raise ValueError(f"the stepper shows 3 to 6 tokens; got {len(tokens)}")
        self.tokens, self._yours = list(tokens), yours
        given = {"x": x, "W_q": W_q, "W_k": W_k, "W_v": W_v}
        given = {name: np.asarray(matrix, dtype=float) for name, matrix in given.items()}
        shapes = {name: matrix.shape for name, matrix in given.items()}
        self._check_shapes(shapes)
        for name, matrix in given.items():
            if not np.isfinite(matrix).all():
                raise ValueError(f"{name} has a number that is not finite; every one must be")
        self._start = given.pop("x")
        self.matrices = given
        T = len(tokens)
        self.causal, self.allowed = causal, np.tri(T, dtype=bool) if causal else np.ones((T, T), dtype=bool)
        names, number = ["x", *self.matrices, *MADE], Number(-MAX_NUMBER, MAX_NUMBER)
        rows = List(number, self._start.shape[1], exactly=True)
        super().__init__(
            x=List(rows, T, start=self._start.tolist(), exactly=True),
            step=Whole(0, len(STEPS) - 1),
            # the last token, since a causal mask leaves the first nothing to mix
            cell=Row(OneOf(names), Whole(0, 5), Whole(0, 5), start=["x", T - 1, 0]),
        )

    def _check_shapes(self, shapes: dict[str, tuple]) -> None:
        T = len(self.tokens)
        if len(shapes["x"]) != 2 or shapes["x"][0] != T or not 1 <= shapes["x"][1] <= 6:
            raise ValueError(f"x has a row for each of the {T} tokens and 1 to 6 columns; got {shapes['x']}")
        d_model = shapes["x"][1]
        for name in ("W_q", "W_k", "W_v"):
            if len(shapes[name]) != 2 or shapes[name][0] != d_model or not 1 <= shapes[name][1] <= 4:
                raise ValueError(
                    f"{name} has {d_model} rows, one for each column of x, and 1 to 4 columns; "
                    f"got {shapes[name]}"
                )
        if shapes["W_q"] != shapes["W_k"]:
            raise ValueError(
                f"W_q and W_k have the same shape, so that queries meet keys; got {shapes['W_q']} and "
                f"{shapes['W_k']}"
            )

    def compute(self, state: dict) -> Matrices:
        x, (name, row, column) = np.array(state["x"], dtype=float), state["cell"]
        values = {"x": x, **self.matrices, **attention_steps(x, *self.matrices.values(), self.allowed)}
        if row >= len(values[name]) or column >= values[name].shape[1]:
            raise ValueError(f"{name} has the shape {values[name].shape}; got the cell [{row}, {column}]")
        return Matrices(values, self._compare(values) if self._yours else {})

    # ---- the learner's own function ----------------------------------------------------------------

    def _compare(self, values: dict[str, Matrix]) -> dict:
        """What to say of the learner's function."""
        x, *matrices = (values[name].copy() for name in ("x", *self.matrices))
        try:
            theirs = self._yours(x, *matrices, self.allowed.copy())
        except Exception as error:
            return {"says": f"it raised {type(error).__name__}: {error}"}
        if not isinstance(theirs, dict) or not theirs:
            return {"says": f"it gave no matrix. Return a dict with some of {', '.join(MADE)}."}
        if unknown := [name for name in theirs if name not in MADE]:
            return {"says": f"{unknown[0]!r} is no step. The steps are {', '.join(MADE)}."}
        given = [name for name in MADE if name in theirs]
        for name in given:
            if found := _difference(theirs[name], values[name]):
                (row, column), got, expected = found
                where = f"{name} differs first, at {name}[{row}, {column}]"
                says = f"{where}: got {got}, expected {expected}."
                return {"says": says, "at": [name, row, column], "got": got}
        return {"says": f"it agrees in all that it gave: {', '.join(given)}."}

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {
            "start": self._start.tolist(),
            "tokens": list(self.tokens),
            "matrices": {name: matrix.tolist() for name, matrix in self.matrices.items()},
            "steps": {step: list(names) for step, names in STEPS.items()},
            "causal": self.causal,
            "max_number": MAX_NUMBER,
        }

    def view(self) -> dict:
        return {"yours": self.found.verdict}

    def describe(self) -> str:
        step, (name, row, column) = self.state["step"], self.state["cell"]
        values, verdict = self.found.values, self.found.verdict
        query = row if name not in self.matrices else 0
        if name in BETWEEN:
            whose = f" of query {quoted(self.tokens[row])} and key {quoted(self.tokens[column])}"
        else:
            whose = f" of {quoted(self.tokens[row])}" if name not in self.matrices else ""
        weights = [
            f"{weight:.2f} for {quoted(token)}"
            for token, weight in zip(self.tokens, values["weights"][query], strict=True)
        ]
        sentence = (
            f"Step {step + 1} of {len(STEPS)}, {list(STEPS)[step]}: {name}[{row}, {column}]{whose} is "
            f"{written(values[name][row, column])}. "
            f"{quoted(self.tokens[query])} mixes with the weights {', '.join(weights)}."
        )
        return f"{sentence} Your function: {verdict['says']}" if verdict else sentence

    def picture(self, figure: Figure) -> None:
        labels = [f"{i} {visible(token)}"[:10] for i, token in enumerate(self.tokens)]
        for axes, name in zip(figure.subplots(1, 3), ("masked", "weights", "output"), strict=True):
            matrix = self.found.values[name]
            shown = np.where(np.isfinite(matrix), matrix, np.nan)
            image = axes.imshow(shown, cmap="cividis", aspect="auto")
            for (i, j), value in np.ndenumerate(matrix):
                dark = np.isfinite(value) and image.norm(value) < 0.5
                axes.text(
                    j,
                    i,
                    written(value, 2),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
            axes.set_title({"masked": "scores, scaled and masked"}.get(name, name), fontsize=9)
            axes.set_yticks(range(len(labels)), labels, fontsize=8)
            columns = range(matrix.shape[1]) if name == "output" else labels
            axes.set_xticks(range(matrix.shape[1]), columns, fontsize=8)


def _difference(got, expected: Matrix) -> tuple[tuple[int, int], str, str] | None:
    """The first place that differs, with what stands there and what was expected, in words; or None."""
    try:
        got = np.asarray(got, dtype=float)
    except (TypeError, ValueError):
        return (0, 0), "no array of numbers", f"one of shape {expected.shape}"
    if got.shape != expected.shape:
        return (0, 0), f"an array of shape {got.shape}", f"one of shape {expected.shape}"
    differing = np.argwhere(~np.isclose(got, expected, rtol=CLOSE, atol=CLOSE))
    if not len(differing):
        return None
    place = tuple(map(int, differing[0]))
    return place, written(got[place]), written(expected[place])


def written(number: float, digits: int = 3) -> str:
    """A number for a sentence: at most so many digits after the point, and a proper minus sign."""
    if np.isnan(number):
        return "NaN"
    if np.isinf(number):
        return "∞" if number > 0 else "−∞"
    if abs(number) >= 1e21:  # by powers of ten, as toFixed from there on; Decimal has 28 digits
        return f"{number:.3g}".replace("-", "−")
    # halves go up, as in JavaScript's toFixed
    rounded = Decimal(abs(float(number))).quantize(Decimal(10) ** -digits, ROUND_HALF_UP)
    text = f"{rounded:f}".rstrip("0").rstrip(".")
    return f"−{text}" if number < 0 and text != "0" else text
