"""A text as a file, by a learner's own model and own `cut_line` (exercise 1.7), as chapter 1 has them.

`arithmetic_coding` does the same on arrays, for any model of this course. Here a line of whole numbers is cut
by probability; `narrow` goes into a letter's piece, and puts bits behind all numbers while the line is short.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

WIDTH = 1 << 32  # whole numbers of the first line


class Line(NamedTuple):
    """The whole numbers from low to low + width - 1, each written in n_bits bits."""

    low: int
    width: int
    n_bits: int


def narrow(line: Line, first: int, end: int, full: int = WIDTH) -> Line:
    """The piece from first to end of a line, with so many bits more that it is at least half as wide as full.

    first and end count from the line's low. Raises ValueError for a piece that holds no number.
    """
    if end <= first:
        raise ValueError("a letter's piece is empty, so no number names it: give each letter some width")
    low, width, n_bits = line.low + first, end - first, line.n_bits
    while width < full // 2:
        low, width, n_bits = 2 * low, 2 * width, n_bits + 1
    return Line(low, width, n_bits)


@dataclass(frozen=True)
class LineCoder:
    """Writes a text as one number, and reads it back.

    model gives the probability of each next letter after a text, of which it sees as many letters as start
    has; cut shares out the numbers of a line, {letter: (first, end)}.
    """

    model: Callable[[str], dict[str, float]]
    cut: Callable[[dict[str, float], int], dict[str, tuple[int, int]]]
    start: str = "\n\n"  # what stands before the first letter

    def encode(self, text: str) -> tuple[int, int]:
        """The number that names a text, and in how many bits it is written. KeyError for a letter that the
        model lacks, ValueError for one that has no width."""
        line, padded = Line(0, WIDTH, WIDTH.bit_length() - 1), self.start + text
        for i, letter in enumerate(text):
            pieces = self.cut(self.model(padded[i : i + len(self.start)]), line.width)
            line = narrow(line, *pieces[letter])
        zeros = line.width.bit_length() - 1  # a number of the piece ends with so many, which are left out
        return (line.low + line.width - 1) >> zeros, line.n_bits - zeros

    def decode(self, number: int, n_bits: int, length: int) -> str:
        """The text of so many letters that a number of n_bits bits names; behind its end it has zeros.

        ValueError where a number is in no piece: sums of floats may leave the last ones over."""
        line, text = Line(0, WIDTH, WIDTH.bit_length() - 1), self.start
        number, n_bits = number << line.n_bits, n_bits + line.n_bits
        while len(text) < len(self.start) + length:
            pieces = self.cut(self.model(text[-len(self.start) :]), line.width)
            place = (number >> (n_bits - line.n_bits)) - line.low
            letter = next((letter for letter, (first, end) in pieces.items() if first <= place < end), None)
            if letter is None:
                raise ValueError(
                    f"number {place} of {line.width} is in no letter's piece: cut to the end of the line"
                )
            line, text = narrow(line, *pieces[letter]), text + letter
        return text[len(self.start) :]
