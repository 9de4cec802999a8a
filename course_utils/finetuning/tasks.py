"""Tasks that a program sets and a program marks: endless problems, and rewards that nobody has to label.

    task = TASKS["addition"]
    problems = task.problems("test", 200)
    task.right(problems[0].prompt, "1801")

Whether a problem is for training, validation or test is read off the hash of its prompt: so the sides share
none, however many are drawn. Each of TASKS has at least 10,000 answers of the right form: who guesses among
them is nearly always wrong, and a model that is right has learnt something. `guess` is that guesser.

Source of pass@k: Chen et al. 2021, "Evaluating large language models trained on code", section 2.1.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Draws = np.random.Generator
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIDES = {
    "test": range(0, 32),
    "validation": range(32, 64),
    "train": range(64, 256),
}  # by the hash's first byte
TRIES = 1000  # drawn in vain, one after the other, before a side counts as used up


class Problem(NamedTuple):
    """A prompt, and one right answer to it; there may be others."""

    prompt: str
    solution: str


class VerifierError(RuntimeError):
    """A verifier raised where it should have said no."""


@dataclass(frozen=True)
class Task:
    """make: draws a problem. verify: whether an answer, any text at all, is right. guess: an answer to a
    prompt, drawn evenly from all `answers` of the right form."""

    name: str
    make: Callable[[Draws], Problem]
    verify: Callable[[str, str], bool]
    guess: Callable[[Draws, str], str]
    answers: int

    def problems(self, side: str, n: int, seed: int = 0) -> list[Problem]:
        """So many different problems of a side: "train", "validation" or "test".

        Raises ValueError for another side, or if the task has too few problems.
        """
        if side not in SIDES:
            raise ValueError(f"the side must be one of {', '.join(SIDES)}; got {side!r}")
        draws, found, vain = np.random.default_rng([seed, *side.encode()]), {}, 0
        while len(found) < n:
            problem = self.make(draws)
            if side_of(problem.prompt) == side and problem.prompt not in found:
                found[problem.prompt], vain = problem, 0
            elif (vain := vain + 1) == TRIES:
                raise ValueError(
                    f"the task {self.name!r} has hardly more than {len(found)} problems for {side}; got a "
                    f"request for {n}: ask for fewer, or for longer problems"
                )
        return list(found.values())

    def right(self, prompt: str, answer: str) -> bool:
        """Whether the answer is right. Raises VerifierError, which names task, prompt and answer, if the
        verifier raises: a wrong reward would be learnt."""
        try:
            return bool(self.verify(prompt, answer))
        except Exception as error:
            raise VerifierError(
                f"the verifier of {self.name!r} raised {error!r} on the answer {answer!r} to {prompt!r}: it "
                "must say True or False to any text; nothing was learnt from this batch"
            ) from error


def side_of(prompt: str) -> str:
    """On which side a prompt stands: an eighth is for the test, an eighth for validation."""
    first = hashlib.sha256(prompt.encode()).digest()[0]
    return next(side for side, bytes_ in SIDES.items() if first in bytes_)


def addition(digits: int = 4) -> Task:
    """Two numbers of up to so many digits: "1234+567=" -> "1801"."""
    end = 10**digits

    def make(draws: Draws) -> Problem:
        a, b = draws.integers(end, size=2).tolist()
        return Problem(f"{a}+{b}=", str(a + b))

    def verify(prompt: str, answer: str) -> bool:
        a, b = prompt.removesuffix("=").split("+")
        return answer == str(int(a) + int(b))

    return Task("addition", make, verify, lambda draws, _: str(draws.integers(2 * end - 1)), 2 * end - 1)


def _word(draws: Draws, length: int, letters: str = LETTERS, twice: bool = True) -> str:
    return "".join(draws.choice([*letters], length, replace=twice))


def sorting(length: int = 8) -> Task:
    """Different letters in the order of the alphabet: "sort kdb:" -> "bdk"."""

    def make(draws: Draws) -> Problem:
        word = _word(draws, length, twice=False)
        return Problem(f"sort {word}:", "".join(sorted(word)))

    def verify(prompt: str, answer: str) -> bool:
        return answer == "".join(sorted(prompt[5:-1]))

    def guess(draws: Draws, prompt: str) -> str:
        return "".join(draws.permutation([*prompt[5:-1]]))

    return Task("sorting", make, verify, guess, math.factorial(length))


def reversing(length: int = 6) -> Task:
    """Letters from the last to the first: "turn abc:" -> "cba"."""

    def make(draws: Draws) -> Problem:
        word = _word(draws, length)
        return Problem(f"turn {word}:", word[::-1])

    def verify(prompt: str, answer: str) -> bool:
        return answer == prompt[5:-1][::-1]

    return Task("reversing", make, verify, lambda draws, _: _word(draws, length), len(LETTERS) ** length)


def counting(length: int = 20, letters: str = "abcde") -> Task:
    """How often each letter occurs: "count abbd:" -> "1,2,0,1,0"."""

    def make(draws: Draws) -> Problem:
        word = _word(draws, length, letters)
        return Problem(f"count {word}:", ",".join(str(word.count(letter)) for letter in letters))

    def verify(prompt: str, answer: str) -> bool:
        return answer == ",".join(str(prompt[6:-1].count(letter)) for letter in letters)

    places = length + len(letters) - 1

    def guess(draws: Draws, prompt: str) -> str:
        """Counts that add up to the length: bars between stars, at places drawn evenly."""
        bars = np.sort(draws.choice(places, len(letters) - 1, replace=False))
        return ",".join(map(str, np.diff([-1, *bars, places]) - 1))

    return Task("counting", make, verify, guess, math.comb(places, len(letters) - 1))


def addends(digits: tuple[int, int] = (3, 5)) -> Task:
    """Two numbers that add up to a total without using a digit: "5832 no 7=" -> "1411+4421".

    Many answers are right. Each number must be at least a tenth of the total, so that 1 and the rest, which
    hardly have to be added, don't count. Totals have from `digits[0]` to `digits[1]` digits.
    """

    def make(draws: Draws) -> Problem:
        while True:
            size = draws.integers(digits[0], digits[1] + 1)
            total, banned = int(draws.integers(10 ** (size - 1), 10**size)), str(draws.integers(10))
            for a in draws.integers(-(-total // 10), total * 9 // 10 + 1, size=20).tolist():
                if banned not in f"{a}{total - a}":
                    return Problem(f"{total} no {banned}=", f"{a}+{total - a}")

    def verify(prompt: str, answer: str) -> bool:
        total, banned = prompt.removesuffix("=").split(" no ")
        numbers = answer.split("+")
        if len(numbers) != 2 or not all(n.isascii() and n.isdecimal() and n[0] != "0" for n in numbers):
            return False
        if max(map(len, numbers)) > len(total):  # Python reads no number of thousands of digits
            return False
        a, b = map(int, numbers)
        return a + b == int(total) and 10 * min(a, b) >= int(total) and banned not in answer

    def guess(draws: Draws, prompt: str) -> str:
        """Two numbers up to the total."""
        total = int(prompt.split(" ")[0])
        return "{}+{}".format(*draws.integers(1, total + 1, size=2))

    return Task("addends", make, verify, guess, (10 ** (digits[0] - 1)) ** 2)


def digit_sums(groups: tuple[int, int] = (3, 5), size: int = 2) -> Task:
    """Groups of digits that add up to the totals: "14 09 11=" -> "68 09 92". Many answers are right.

    A problem has from `groups[0]` to `groups[1]` of them, all numbers equally often.
    """

    def drawn(draws: Draws, n: int) -> np.ndarray:
        return draws.integers(10, size=(n, size))

    def written(digits: np.ndarray) -> str:
        return " ".join("".join(map(str, group)) for group in digits)

    def totals_of(prompt: str) -> list[int]:
        return [*map(int, prompt.removesuffix("=").split(" "))]

    def make(draws: Draws) -> Problem:
        digits = drawn(draws, int(draws.integers(groups[0], groups[1] + 1)))
        return Problem(" ".join(f"{total:02}" for total in digits.sum(1)) + "=", written(digits))

    def verify(prompt: str, answer: str) -> bool:
        found = answer.split(" ")
        if not all(len(g) == size and g.isascii() and g.isdecimal() for g in found):
            return False
        return [sum(map(int, group)) for group in found] == totals_of(prompt)

    def guess(draws: Draws, prompt: str) -> str:
        return written(drawn(draws, len(totals_of(prompt))))

    return Task("digit sums", make, verify, guess, 10 ** (groups[0] * size))


TASKS = {
    task.name: task for task in (addition(), sorting(), counting(), reversing(), addends(), digit_sums())
}


class Share(NamedTuple):
    """A share and its 95 % interval: Wilson's, or by drawing the problems anew (mean_pass_at_k)."""

    value: float
    low: float
    high: float


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of which k of n were seen (Wilson 1927): 0 to 1 if n is 0."""
    z = 1.96
    middle, width = k + z * z / 2, z * (k * (n - k) / max(n, 1) + z * z / 4) ** 0.5
    return (middle - width) / (n + z * z), (middle + width) / (n + z * z)


def pass_at_k(right: Int[np.ndarray, " problems"], n: int, k: int) -> Float[np.ndarray, " problems"]:
    """For each problem the chance that at least one of k answers is right, if `right` of n samples were:
    1 - C(n - right, k) / C(n, k), whose mean over samples is exactly 1 - (1 - p)^k (Chen et al. 2021).

    1 - (1 - right / n)^k is too low on average. Raises ValueError if k is above n, where no estimate without
    bias exists, or if `right` isn't from 0 to n.
    """
    right = np.asarray(right)
    if not 1 <= k <= n:
        raise ValueError(f"k must be from 1 to the number of samples, {n}; got {k}: draw more samples")
    if not right.size or right.min() < 0 or right.max() > n:
        raise ValueError(f"expected how many of {n} samples were right, for each problem; got {right}")
    left = n - right[:, None] - np.arange(k)  # wrong samples left, as one is drawn after the other
    return 1 - np.prod(np.maximum(left, 0) / (n - np.arange(k)), axis=1)


def mean_pass_at_k(right: Int[np.ndarray, " problems"], n: int, k: int, samples: int = 2000) -> Share:
    """The mean of `pass_at_k` over problems, with an interval from problems resampled with replacement: the
    larger part of what chance does, for other problems might have been drawn."""
    each = pass_at_k(right, n, k)
    rows = np.random.default_rng(0).integers(len(each), size=(samples, len(each)))
    low, high = np.quantile(each[rows].mean(1), [0.025, 0.975])
    return Share(float(each.mean()), float(low), float(high))
