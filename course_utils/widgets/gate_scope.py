"""The gate scope: what a few cells of an LSTM let in, keep and show, byte by byte."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from course_utils.widgets.state import OneOf
from course_utils.widgets.strips import PICTURED, TextStrips, label_bytes, pieces
from course_utils.widgets.words import BYTES, percent, quoted, signed, signs

MAX_BYTES = 300  # of a text that are read
MAX_CELLS = 8  # strips that can be told apart
TOP = 8  # next bytes that get a bar of their own; all others share one, with their number and sum
GATES = ("input gate", "forget gate", "candidate", "output gate")

Traced = tuple[
    Float[np.ndarray, "time hidden 4"],
    Float[np.ndarray, "time hidden"],
    Float[np.ndarray, "time hidden"],
    Float[np.ndarray, "time 256"],
]


@dataclass(frozen=True)
class Watched:
    """What was read, at the cells that are watched, and the likeliest bytes after each."""

    ids: Int[np.ndarray, " time"]
    gates: Float[np.ndarray, "time cells 4"]
    cell_state: Float[np.ndarray, "time cells"]
    hidden_state: Float[np.ndarray, "time cells"]
    likeliest: Int[np.ndarray, "time top"]
    top: Float[np.ndarray, "time top"]


class GateScope(TextStrips):
    """Type a text and watch up to eight cells of an LSTM; one byte and one cell are in focus.

        GateScope(partial(trace, model), followers(cells, ids), {"a name": "VIOLA"})

    read(ids): for T byte ids the gates i, f, g, o of every cell, its cell state c and hidden state h, and
        the probabilities of the byte after each: `recurrent.trace` of a model. The text is read after a
        line break, from an empty state, as the scoreboard reads it.
    cells: {cell: (what it follows, r)} of the cells to watch, r being the correlation by which they were
        chosen: what `probing.followers` finds.
    examples: texts on buttons, {what it is: text}; the scope begins with the first.

    Raises ValueError for no cell, more than eight, or a cell that the LSTM lacks.
    """

    def __init__(
        self,
        read: Callable[[Int[np.ndarray, " time"]], Traced],
        cells: dict[int, tuple[str, float]],
        examples: dict[str, str],
    ):
        if not 1 <= len(cells) <= MAX_CELLS:
            raise ValueError(f"the scope shows 1 to {MAX_CELLS} cells; got {len(cells)}")
        self._read, self._cells = read, cells
        # in focus: how many bytes of the text have been read there, from 0 for the line break before it
        super().__init__(
            examples, MAX_BYTES, lambda text: 1 + len(text.encode()), at_end=True, cell=OneOf(cells)
        )

    def compute(self, state: dict) -> Watched:
        if self.found and state["text"] == self.state["text"]:
            return self.found
        ids = np.frombuffer(b"\n" + state["text"].encode(), dtype=np.uint8)
        gates, cell_state, hidden_state, probabilities = self._read(ids)
        watched = list(self._cells)
        if max(watched) >= cell_state.shape[1] or min(watched) < 0:
            got = ", ".join(map(str, watched))
            raise ValueError(f"the cells are numbered from 0 to {cell_state.shape[1] - 1}; got {got}")
        likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
        top = np.take_along_axis(probabilities, likeliest, axis=1)
        states = cell_state[:, watched], hidden_state[:, watched]
        return Watched(ids, gates[:, watched], *states, likeliest, top)

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return super().constants() | {
            "cells": [[cell, what, signed(r)] for cell, (what, r) in self._cells.items()],
            "bytes": BYTES,
        }

    def view(self) -> dict:
        found = self.found
        return {
            "pieces": pieces("\n" + self.state["text"]),
            "ids": found.ids.tolist(),
            "gates": found.gates.astype(np.float32).tobytes(),  # (T, cells, 4)
            "cell_state": found.cell_state.astype(np.float32).tobytes(),  # (T, cells)
            "hidden_state": found.hidden_state.astype(np.float32).tobytes(),  # (T, cells)
            "likeliest": found.likeliest.astype(np.uint8).tobytes(),  # (T, TOP)
            "top": found.top.astype(np.float32).tobytes(),  # (T, TOP)
        }

    @property
    def _row(self) -> int:
        """Where the cell in focus stands among those that are watched."""
        return list(self._cells).index(self.state["cell"])

    def describe(self) -> str:
        found, t, row, cell = self.found, self.state["focus"], self._row, self.state["cell"]
        n = len(found.ids) - 1
        at = (
            f"After byte {t} of {n}, {quoted(BYTES[found.ids[t]])}" if t else f"Before the first of {n} bytes"
        )
        gates = ", ".join(f"{name} {signed(x)}" for name, x in zip(GATES, found.gates[t, row], strict=True))
        expected = ", ".join(
            f"{quoted(BYTES[i])} {percent(p)}"
            for i, p in zip(found.likeliest[t, :3], found.top[t, :3], strict=True)
        )
        c, h = signed(found.cell_state[t, row]), signed(found.hidden_state[t, row])
        return (
            f"{at}: cell {cell} ({self._cells[cell][0]}) has {gates}; cell state {c}, hidden state {h}. "
            f"Expected next: {expected}, the other {len(BYTES) - 3} bytes "
            f"{percent(1 - found.top[t, :3].sum())}."
        )

    def picture(self, figure: Figure) -> None:
        found, t, row = self.found, self.state["focus"], self._row
        start = max(0, min(t - PICTURED // 2, len(found.ids) - PICTURED))
        window = slice(start, start + PICTURED)
        grid = figure.add_gridspec(2, 2, height_ratios=[1.3, 1])
        places = grid[0, :], grid[1, 0], grid[1, 1]
        strips, gates, following = (figure.add_subplot(place) for place in places)
        look = {"loc": "left", "fontsize": 9}
        scale = np.abs(found.cell_state).max(axis=0) + 1e-12
        strips.imshow((found.cell_state / scale)[window].T, cmap="cividis", vmin=-1, vmax=1, aspect="auto")
        names = [f"{cell}: {what}"[:52] for cell, (what, _) in self._cells.items()]
        label_bytes(strips, [BYTES[i] for i in found.ids[window]], names)
        strips.set_title("The state of each cell, by its own largest: yellow +, blue −", **look)
        frame = {"color": "none", "markeredgecolor": "black", "markeredgewidth": 2, "markersize": 9}
        strips.plot(t - start, row, "s", **frame)

        gates.barh(GATES, found.gates[t, row], color="#0072b2")
        gates.set(xlim=(-1, 1))
        c, h = signed(found.cell_state[t, row]), signed(found.hidden_state[t, row])
        gates.set_title(f"Cell {self.state['cell']} at byte {t}: state {c}, hidden state {h}", **look)
        names = [signs(BYTES[i]) for i in found.likeliest[t]] + [f"the other {len(BYTES) - TOP}"]
        bars = following.barh(range(TOP + 1), [*found.top[t], 1 - found.top[t].sum()], color="#0072b2")
        bars[-1].set(facecolor="white", edgecolor="0.5", hatch="///")
        following.set_yticks(range(TOP + 1), names, fontsize=7)
        following.set_title("Expected next", **look)
        for axes in (gates, following):
            axes.invert_yaxis()
            axes.tick_params(labelsize=8, length=0)
            axes.spines[["top", "right"]].set_visible(False)
