"""Exercise 1.7 of chapter 1: the cut of a line, with which one samples, writes a file, and reads it back."""

from course_utils.learner.checks.engine import exercise

SMALL_CUTS = [
    ({"a": 1.0}, 4),
    ({"a": 0.5, "b": 0.5}, 4),
    ({"a": 0.25, "b": 0.75}, 8),
    ({"b": 0.5, "a": 0.25, "c": 0.25}, 6),
]


def cut_inputs(generator, case):
    """Shares in 64ths, whose sums are exact in any order. The width is seldom a multiple of 64."""
    if case < len(SMALL_CUTS):
        return SMALL_CUTS[case]
    borders = generator.choice(range(1, 64), size=1 + case % 5, replace=False)
    ends = sorted([*borders.tolist(), 64])
    letters = generator.permutation(list("abcdef"))[: len(ends)].tolist()
    shares = {
        letter: (end - first) / 64 for letter, first, end in zip(letters, [0, *ends], ends, strict=False)
    }
    return shares, 5 + 3 * case + int(generator.integers(100))


@exercise("1.7", "a line, cut by probability", dots=2, minutes=5, inputs=cut_inputs)
def cut_line(distribution: dict[str, float], width: int) -> dict[str, tuple[int, int]]:
    """Share the whole numbers below `width` out among the letters: {letter: (first number, end)}, in order.

    A letter has the numbers from `first` up to, but without, `end`, where the next letter begins.
    """
    pieces, below = {}, 0.0
    for letter, p in distribution.items():
        pieces[letter] = (int(width * below), int(width * (below + p)))
        below += p
    return pieces


cut_line.slips("""
Each letter begins where the one before it ends; yours all begin at 0.
    below += p →
You rounded the lengths, so numbers are left over at the end: round the borders.
    below = {}, 0.0 → below = {}, 0
    (int(width * below), int(width * (below + p))) → (below, below + int(width * p))
    below += p → below += int(width * p)
You rounded the lengths, and the pieces no longer meet: round the borders.
    int(width * (below + p)) → int(width * below) + int(width * p)
That is where a piece begins and how long it is; give where it ends.
    int(width * (below + p)) → int(width * (below + p)) - int(width * below)
These are shares of 1: multiply both borders by the width.
    int(width * below) → below
    int(width * (below + p)) → below + p
Keep the order of the dict: who reads the file must cut the line in the same way.
    distribution.items() → sorted(distribution.items(), key=lambda item: -item[1])
Keep the order of the dict: who reads the file must cut the line in the same way.
    distribution.items() → sorted(distribution.items())
The end is the first number that no longer belongs to the letter: take nothing off it.
    int(width * (below + p)) → int(width * (below + p)) - 1
Round both borders down, as int does: writer and reader must round alike.
    int(width * below) → round(width * below)
    int(width * (below + p)) → round(width * (below + p))
""")


def narrow_inputs(generator, case):
    """A line that begins somewhere, and one of its letters."""
    distribution, width = cut_inputs(generator, case)
    return distribution, 1 + case % 3 + 10 * case, width, str(generator.choice(list(distribution)))


@cut_line.variant("a line, narrowed to one letter", minutes=6, inputs=narrow_inputs)
def narrow(distribution: dict[str, float], low: int, width: int, letter: str) -> tuple[int, int]:
    """A line of `width` whole numbers begins at `low`. Cut it as in 1.7: where does the piece of `letter`
    begin, and how many numbers has it?"""
    below = 0.0
    for other, p in distribution.items():
        first, end = int(width * below), int(width * (below + p))
        if other == letter:
            return low + first, end - first
        below += p


narrow.slips("""
That answers the first version: it cuts the whole line; here one letter's piece is asked for.
    → cut_line
The line begins at `low`, not at 0.
    low + first → first
That is where the piece ends; give how many numbers it has.
    end - first → low + end
Round the borders, not the length: else the pieces no longer meet.
    end - first → int(width * p)
That is where the next piece begins: add up what comes before the letter, without its own p.
    low + first → low + end
The borders are whole numbers of the line: multiply the probabilities by the width.
    int(width * below), int(width * (below + p)) → below, below + p
Add up the probabilities of all the letters before this one; you kept only that of the one just before.
    below += p → below = p
Keep the order of the dict: who reads the file must cut the line in the same way.
    distribution.items() → sorted(distribution.items())
""")
