"""The surprise line: one text, coloured by how much each of several models is surprised at it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from course_utils.widgets.base import SIGNS, Widget, last_bytes, quoted, text_of

KEPT = 240  # bytes of a text that are read: with a token before it, they fit into 256
MOST = 8.0  # bits a byte at the end of the colour scale: what guessing among 256 bytes costs
PICTURED = 60  # bytes in a line of the static picture
READERS = 4  # strips that can be told apart


class Piece(NamedTuple):
    """A token of a text as a model found it: its bytes, its surprise in bits, and what the model took for
    likeliest in its place, with that one's probability."""

    data: bytes
    bits: float
    guess: bytes
    p: float


class SurpriseLine(Widget):
    """Type a text and see, byte by byte, which of several models had expected it.

        SurpriseLine({"bytes": read_bytes, "words": read_words}, {"a line": "To be, or not to be"})

    readers: {name: read}. `read(text)` gives the tokens of a text as `Piece`s, joined the text's own bytes.
        Models may cut it differently: all are aligned by bytes, and a token's bits are spread evenly over its
        bytes.
    examples: texts on buttons, {what it is: text}; the first is read at the start.

    Raises ValueError for no reader, or more than four.
    """

    scripts = ("byte_lines",)

    def __init__(self, readers: dict[str, Callable[[str], list[Piece]]], examples: dict[str, str]):
        super().__init__()
        if not 1 <= len(readers) <= READERS:
            raise ValueError(f"1 to {READERS} readers can be told apart; {len(readers)} came")
        self._readers, self._examples = readers, examples
        self.text, self.found = None, {}
        self.handle({"text": next(iter(examples.values()))})
        self.show()

    def handle(self, request: dict) -> None:
        """text: what is read; focus: the byte in focus. cut: characters that did not come along."""
        text, notice = self.text, ""
        if "text" in request:
            text, notice = last_bytes(request["text"], request.get("cut", 0), KEPT)
        found = self.found if text == self.text else self._read(text)
        focus, n = request.get("focus", 0), len(text.encode())
        if focus not in range(max(n, 1)):
            raise ValueError(f"focus is a byte of the text, from 0 to {max(n - 1, 0)}; {focus!r} came")
        self.text, self.found, self.focus, self.notice = text, found, focus, notice

    def _read(self, text: str) -> dict[str, list[Piece]]:
        found = {name: read(text) if text else [] for name, read in self._readers.items()}
        for name, pieces in found.items():
            if (came := b"".join(piece.data for piece in pieces)) != text.encode():
                raise ValueError(f"{name} read other bytes than the text's: {came[:40]!r} came")
        return found

    def _in_focus(self, name: str) -> Piece:
        """The token of a reader that has the byte in focus."""
        ends = np.cumsum([len(piece.data) for piece in self.found[name]])
        return self.found[name][int(np.searchsorted(ends, self.focus, side="right"))]

    # ---- what is seen ------------------------------------------------------------------------------

    def view(self) -> dict:
        return {
            "text": self.text,
            "focus": self.focus,
            "notice": self.notice,
            "examples": self._examples,
            "most": MOST,
            "pieces": [[c, len(c.encode())] for c in self.text],
            "readers": {
                name: [
                    [len(data), text_of(data), float(bits), text_of(guess), float(p)]
                    for data, bits, guess, p in pieces
                ]
                for name, pieces in self.found.items()
            },
        }

    def describe(self) -> str:
        n = len(self.text.encode())
        if not n:
            return "No text: nothing to be surprised at."
        totals = {name: sum(piece.bits for piece in pieces) for name, pieces in self.found.items()}
        whole = [f"{name} {bits / n:.2f} ({bits:.1f} bits in all)" for name, bits in totals.items()]
        here = [
            f"{name} pays {piece.bits:.1f} bits for {quoted(text_of(piece.data))} (likeliest was "
            f"{quoted(text_of(piece.guess))}, {100 * piece.p:.0f} %)"
            for name, piece in ((name, self._in_focus(name)) for name in self.found)
        ]
        return f"Bits a byte over {n} bytes: {', '.join(whole)}. At byte {self.focus}: {'; '.join(here)}."

    def picture(self, figure: Figure) -> None:
        data = self.text.encode()
        starts = range(0, max(len(data), 1), PICTURED)
        figure.set_size_inches(7.6, 0.6 + 0.42 * len(starts) * (1 + 0.35 * len(self.found)))
        rows = figure.subplots(len(starts), 1, squeeze=False)[:, 0]
        bits = np.array(
            [
                np.repeat([p.bits / len(p.data) for p in found], [len(p.data) for p in found])
                for found in self.found.values()
            ]
        )  # (readers, bytes)
        signs = [sign for c in self.text for sign in (_sign(c), *[""] * (len(c.encode()) - 1))]
        for axes, start in zip(rows, starts, strict=True):
            strip = np.full((len(self.found), PICTURED), np.nan)
            here = bits[:, start : start + PICTURED]
            strip[:, : here.shape[1]] = here
            axes.imshow(strip, cmap="cividis", vmin=0, vmax=MOST, aspect="auto")
            axes.set_xticks(
                range(here.shape[1]), signs[start : start + PICTURED], family="monospace", fontsize=8
            )
            axes.set_yticks(range(len(self.found)), [name[:24] for name in self.found], fontsize=7)
            axes.tick_params(length=0, labeltop=True, labelbottom=False)
            axes.spines[:].set_visible(False)
        rows[0].set_title(f"Bits a byte: dark 0, yellow {MOST:.0f} and more", loc="left", fontsize=9)


def _sign(c: str) -> str:
    """One column's worth of a character: what can't be read in one becomes a dot."""
    sign = c.translate(SIGNS)
    return sign if len(sign) == 1 else "."
