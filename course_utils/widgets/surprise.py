"""The surprise line: one text, coloured by how much each of several models is surprised at it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from course_utils.widgets.strips import PICTURED, TextStrips, label_bytes, pieces
from course_utils.widgets.words import quoted, text_of

MAX_BYTES = 240  # of a text: with a token before it, they fit into 256
MAX_BITS = 8.0  # a byte, at the end of the colour scale: what guessing among 256 bytes costs
MAX_READERS = 4  # strips that can be told apart


class Piece(NamedTuple):
    """A token of a text as a model found it: its bytes, its surprise in bits, and what the model took for
    likeliest in its place, with that one's probability."""

    data: bytes
    bits: float
    guess: bytes
    p: float


class SurpriseLine(TextStrips):
    """Type a text and see, byte by byte, which of several models had expected it.

        SurpriseLine({"bytes": read_bytes, "words": read_words}, {"a line": "To be, or not to be"})

    readers: {name: read}. `read(text)` gives the tokens of a text as `Piece`s, joined the text's own bytes.
        Models may cut it differently: all are aligned by bytes, and a token's bits are spread evenly over its
        bytes.
    examples: texts on buttons, {what it is: text}; the first is read at the start.

    Raises ValueError for no reader, or more than four.
    """

    def __init__(self, readers: dict[str, Callable[[str], list[Piece]]], examples: dict[str, str]):
        if not 1 <= len(readers) <= MAX_READERS:
            raise ValueError(f"1 to {MAX_READERS} readers can be told apart; got {len(readers)}")
        self._readers = readers
        super().__init__(examples, MAX_BYTES, lambda text: len(text.encode()))

    def compute(self, state: dict) -> dict[str, list[Piece]]:
        text = state["text"]
        if text == self.state["text"] and self.found is not None:
            return self.found
        found = {name: read(text) if text else [] for name, read in self._readers.items()}
        for name, tokens in found.items():
            if (got := b"".join(piece.data for piece in tokens)) != text.encode():
                raise ValueError(f"{name} read other bytes than the text's: got {got[:40]!r}")
        return found

    def _in_focus(self, name: str) -> Piece:
        """The token of a reader that has the byte in focus."""
        ends = np.cumsum([len(piece.data) for piece in self.found[name]])
        return self.found[name][int(np.searchsorted(ends, self.state["focus"], side="right"))]

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return super().constants() | {"max_bits": MAX_BITS}

    def view(self) -> dict:
        return {
            "pieces": pieces(self.state["text"]),
            "readers": {
                name: [
                    [len(data), text_of(data), float(bits), text_of(guess), float(p)]
                    for data, bits, guess, p in tokens
                ]
                for name, tokens in self.found.items()
            },
        }

    def describe(self) -> str:
        n = len(self.state["text"].encode())
        if not n:
            return "No text: nothing to be surprised at."
        totals = {name: sum(piece.bits for piece in tokens) for name, tokens in self.found.items()}
        whole = [f"{name} {bits / n:.2f} ({bits:.1f} bits in all)" for name, bits in totals.items()]
        here = [
            f"{name} pays {piece.bits:.1f} bits for {quoted(text_of(piece.data))} (likeliest was "
            f"{quoted(text_of(piece.guess))}, {100 * piece.p:.0f} %)"
            for name, piece in ((name, self._in_focus(name)) for name in self.found)
        ]
        focus = self.state["focus"]
        return f"Bits a byte over {n} bytes: {', '.join(whole)}. At byte {focus}: {'; '.join(here)}."

    def picture(self, figure: Figure) -> None:
        text, names = self.state["text"], [name[:24] for name in self.found]
        starts = range(0, max(len(text.encode()), 1), PICTURED)
        figure.set_size_inches(7.6, 0.6 + 0.42 * len(starts) * (1 + 0.35 * len(names)))
        rows = figure.subplots(len(starts), 1, squeeze=False)[:, 0]
        bits = np.array(
            [
                np.repeat([p.bits / len(p.data) for p in tokens], [len(p.data) for p in tokens])
                for tokens in self.found.values()
            ]
        )  # (readers, bytes)
        characters = [c for c, width in pieces(text) for c in (c, *[""] * (width - 1))]
        for axes, start in zip(rows, starts, strict=True):
            strip = np.full((len(names), PICTURED), np.nan)
            here = bits[:, start : start + PICTURED]
            strip[:, : here.shape[1]] = here
            axes.imshow(strip, cmap="cividis", vmin=0, vmax=MAX_BITS, aspect="auto")
            label_bytes(axes, characters[start : start + PICTURED], names)
            axes.tick_params(labeltop=True, labelbottom=False)
            axes.spines[:].set_visible(False)
        rows[0].set_title(f"Bits a byte: dark 0, yellow {MAX_BITS:.0f} and more", loc="left", fontsize=9)
