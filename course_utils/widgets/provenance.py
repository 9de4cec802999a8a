"""Where a text comes from: which runs of it stand, character for character, in the training text."""

from bisect import bisect
from collections.abc import Callable
from typing import NamedTuple


class Run(NamedTuple):
    """`length` characters from `start` on that stand together in the text called `title`."""

    start: int
    length: int
    title: str

    @property
    def end(self) -> int:
        return self.start + self.length


def tracer(texts: dict[str, str]) -> Callable[[str], list[Run]]:
    """A function that gives all copied runs of a text that lie in no longer copied run, left to right.

    No run crosses from one of `texts` into the next; of several places where a run stands, the first is
    named. A character that stands in none of `texts` lies in no run. `str.find` reads 5 MB in 2 ms, and
    a text of 300 characters needs a few hundred of them: an index would cost more memory than it is worth.
    Raises ValueError if there is no text.
    """
    if not any(texts.values()):
        raise ValueError("there is no text to trace anything to; give {title: text}, at least one not empty")
    everything = "\0".join(texts.values())  # no text holds \0, so no run crosses it
    titles, starts = list(texts), [0]
    for text in texts.values():
        starts.append(starts[-1] + len(text) + 1)

    def trace(text: str) -> list[Run]:
        text = text.replace("\0", "\ud800")  # in a sample the border is no copy: nor is half a character
        runs, start, place = [], 0, 0  # text[start:end - 1] stands at `place` in `everything`

        def keep(end: int) -> None:
            if start < end:
                runs.append(Run(start, end - start, titles[bisect(starts, place) - 1]))

        for end in range(1, len(text) + 1):
            if everything[place + end - 1 - start : place + end - start] == text[end - 1]:
                continue
            found = everything.find(text[start:end])
            if found < 0:
                keep(end - 1)
                # If a run stands somewhere, so does its end: the longest end that does is found by halving.
                low, high = start + 1, end
                while low < high:
                    middle = (low + high) // 2
                    here = everything.find(text[middle:end])
                    low, high, found = (low, middle, here) if here >= 0 else (middle + 1, high, found)
                start = low
            place = found
        keep(len(text))
        return runs

    return trace


def longest_at(runs: list[Run], n: int) -> list[Run | None]:
    """For each of n characters the longest run that it lies in (of equals the first), or None."""
    longest: list[Run | None] = [None] * n
    for run in sorted(reversed(runs), key=lambda run: run.length):  # later ones overwrite
        longest[run.start : run.end] = [run] * run.length
    return longest


def fewest_runs(runs: list[Run]) -> int:
    """How many of the runs are enough to cover all that they cover together."""
    needed = covered = i = 0
    while i < len(runs):
        reach = covered
        while i < len(runs) and runs[i].start <= covered:  # of those that connect, the furthest
            reach = max(reach, runs[i].end)
            i += 1
        if reach > covered:
            needed, covered = needed + 1, reach
        elif i < len(runs):
            covered = runs[i].start  # a gap that no run covers
    return needed
