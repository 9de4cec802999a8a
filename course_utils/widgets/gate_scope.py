"""The gate scope: what a few cells of an LSTM let in, keep and show, byte by byte."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from course_utils.tokenizers import ByteTokenizer
from course_utils.widgets.base import SIGNS, Widget, last_bytes, quoted, visible

KEPT = 300  # bytes of a text that are read
CELLS = 8  # strips that can be told apart
TOP = 8  # next bytes that get a bar of their own; all others share one, with their number and sum
PICTURED = 60  # bytes in the static picture
GATES = ("input gate", "forget gate", "candidate", "output gate")
BYTES = [ByteTokenizer().decode([i], errors="surrogateescape") for i in range(ByteTokenizer.vocab_size)]

Traced = tuple[
    Float[np.ndarray, "time hidden 4"],
    Float[np.ndarray, "time hidden"],
    Float[np.ndarray, "time hidden"],
    Float[np.ndarray, "time 256"],
]


class GateScope(Widget):
    """Type a text and watch up to eight cells of an LSTM; one byte and one cell are in focus.

        GateScope(partial(trace, model), followers(cells, ids), {"a name": "VIOLA"})

    read(ids): for T byte ids the gates i, f, g, o of every cell, what each cell holds (c), what it shows (h),
        and the probabilities of the byte after each: `recurrent.trace` of a model. The text is read after a
        line break, from an empty state, as the scoreboard reads it.
    cells: {cell: (what it follows, r)} of the cells to watch, r being the correlation by which they were
        chosen: what `probing.followers` finds.
    examples: texts on buttons, {what it is: text}; the scope begins with the first.

    Raises ValueError for no cell, more than eight, or a cell that the LSTM lacks.
    """

    scripts = ("byte_lines",)

    def __init__(
        self,
        read: Callable[[Int[np.ndarray, " time"]], Traced],
        cells: dict[int, tuple[str, float]],
        examples: dict[str, str],
    ):
        super().__init__()
        if not 1 <= len(cells) <= CELLS:
            raise ValueError(f"the scope shows 1 to {CELLS} cells; {len(cells)} came")
        self._read, self._watched, self._examples = read, cells, examples
        self.ids = np.zeros(0, dtype=np.uint8)  # nothing is read yet
        self.asked = {"text": next(iter(examples.values())), "cell": next(iter(cells)), "focus": None}
        self.handle({})
        self.show()

    def handle(self, request: dict) -> None:
        """text: what is read; cell: the one in focus; focus: how many bytes of the text have been read there,
        None for all. cut: characters that did not come along."""
        at_the_end = {"focus": None} if "text" in request else {}
        asked = self.asked | at_the_end | {name: request[name] for name in self.asked if name in request}
        if asked["cell"] not in self._watched:
            came = f"{asked['cell']!r} came"
            raise ValueError(f"cell is one of {', '.join(map(str, self._watched))}; {came}")
        text, notice = last_bytes(asked["text"], request.get("cut", 0), KEPT)
        ids = np.frombuffer(b"\n" + text.encode(), dtype=np.uint8)
        focus = len(ids) - 1 if asked["focus"] is None else asked["focus"]
        if focus not in range(len(ids)):
            raise ValueError(f"focus is from 0 to the {len(ids) - 1} bytes of the text; {focus!r} came")
        self._trace(ids)
        self.asked, self.notice = {"text": text, "cell": asked["cell"], "focus": focus}, notice

    def _trace(self, ids: Int[np.ndarray, " time"]) -> None:
        """Read, and keep what is shown; the same text is not read twice."""
        if np.array_equal(ids, self.ids):
            return
        gates, cells, shown, probabilities = self._read(ids)
        watched = list(self._watched)
        if max(watched) >= cells.shape[1] or min(watched) < 0:
            came = f"{', '.join(map(str, watched))} came"
            raise ValueError(f"the cells are numbered from 0 to {cells.shape[1] - 1}; {came}")
        self.gates, self.values, self.shows = gates[:, watched], cells[:, watched], shown[:, watched]
        self.likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]  # (T, TOP)
        self.top = np.take_along_axis(probabilities, self.likeliest, axis=1)
        self.ids = ids

    # ---- what is seen ------------------------------------------------------------------------------

    def view(self) -> dict:
        return self.asked | {
            "notice": self.notice,
            "examples": self._examples,
            # a line break stands before the text
            "pieces": [[c, len(c.encode())] for c in "\n" + self.asked["text"]],
            "cells": [[cell, what, f"{r:+.2f}"] for cell, (what, r) in self._watched.items()],
            "bytes": [visible(name) for name in BYTES],
            "ids": self.ids.tolist(),
            "gates": self.gates.astype(np.float32).tobytes(),  # (T, cells, 4)
            "values": self.values.astype(np.float32).tobytes(),  # (T, cells)
            "shows": self.shows.astype(np.float32).tobytes(),  # (T, cells)
            "likeliest": self.likeliest.astype(np.uint8).tobytes(),  # (T, TOP)
            "top": self.top.astype(np.float32).tobytes(),  # (T, TOP)
        }

    @property
    def _row(self) -> int:
        """Where the cell in focus stands among those that are watched."""
        return list(self._watched).index(self.asked["cell"])

    def describe(self) -> str:
        t, row, cell = self.asked["focus"], self._row, self.asked["cell"]
        n = len(self.ids) - 1
        at = f"after byte {t} of {n}, {quoted(BYTES[self.ids[t]])}" if t else f"before the first of {n} bytes"
        gates = ", ".join(
            f"{name} {_signed(gate)}" for name, gate in zip(GATES, self.gates[t, row], strict=True)
        )
        expected = ", ".join(
            f"{quoted(BYTES[i])} {100 * p:.1f} %"
            for i, p in zip(self.likeliest[t, :3], self.top[t, :3], strict=True)
        )
        rest = 1 - self.top[t, :3].sum()
        return (
            f"{at[0].upper()}{at[1:]}: cell {cell} ({self._watched[cell][0]}) has {gates}; it holds "
            f"{_signed(self.values[t, row])} and shows {_signed(self.shows[t, row])}. Expected next: "
            f"{expected}, the other {len(BYTES) - 3} bytes {100 * rest:.1f} %."
        )

    def picture(self, figure: Figure) -> None:
        t, row = self.asked["focus"], self._row
        start = max(0, min(t - PICTURED // 2, len(self.ids) - PICTURED))
        window = slice(start, start + PICTURED)
        grid = figure.add_gridspec(2, 2, height_ratios=[1.3, 1])
        strips, gates, following = (
            figure.add_subplot(place) for place in (grid[0, :], grid[1, 0], grid[1, 1])
        )
        scale = np.abs(self.values).max(axis=0) + 1e-12
        strips.imshow((self.values / scale)[window].T, cmap="cividis", vmin=-1, vmax=1, aspect="auto")
        signs = [_sign(BYTES[i]) for i in self.ids[window]]
        strips.set_xticks(range(len(signs)), signs, family="monospace", fontsize=7)
        names = [f"{cell}: {what}"[:52] for cell, (what, _) in self._watched.items()]
        strips.set_yticks(range(len(names)), names, fontsize=7)
        strips.set_title(
            "What each cell holds, by its own largest value: yellow +, blue −", loc="left", fontsize=9
        )
        strips.plot(
            t - start, row, "s", color="none", markeredgecolor="black", markeredgewidth=2, markersize=9
        )
        strips.tick_params(length=0)

        gates.barh(GATES, self.gates[t, row], color="#0072b2")
        gates.set(xlim=(-1, 1))
        gates.set_title(
            f"Cell {self.asked['cell']} at byte {t}: holds {_signed(self.values[t, row])}, "
            f"shows {_signed(self.shows[t, row])}",
            loc="left",
            fontsize=9,
        )
        names = [quoted(BYTES[i])[1:-1] for i in self.likeliest[t]]
        names += [f"the other {len(BYTES) - TOP}"]
        bars = following.barh(range(TOP + 1), [*self.top[t], 1 - self.top[t].sum()], color="#0072b2")
        bars[-1].set(facecolor="white", edgecolor="0.5", hatch="///")
        following.set_yticks(range(TOP + 1), names, fontsize=7)
        following.set_title("Expected next", loc="left", fontsize=9)
        for axes in (gates, following):
            axes.invert_yaxis()
            axes.tick_params(labelsize=8, length=0)
            axes.spines[["top", "right"]].set_visible(False)


def _sign(name: str) -> str:
    """One column's worth of a byte: what can't be read in one becomes a dot."""
    sign = name.translate(SIGNS)
    return sign if len(sign) == 1 and not 0xD800 <= ord(sign) <= 0xDFFF else "."


def _signed(value: float) -> str:
    return f"{round(float(value), 2) + 0.0:.2f}".replace("-", "−")  # + 0.0 turns -0.0 into 0.0
