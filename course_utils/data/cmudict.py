"""Two tasks that turn one sequence into another: to say a word from its spelling, and to copy a string.

English words and how they are said come from the CMU Pronouncing Dictionary; a phoneme is a speech sound,
written as in ARPAbet: "knight" is said N AY T. Error is counted in phonemes, by the edits (Levenshtein 1966)
that turn what a model says into what the dictionary lists. Both tasks use the same ids: 0 pads, 1 starts, 2
ends, symbols follow.
"""

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from course_utils.data import assets
from course_utils.data.corpora import read_utf8
from course_utils.tokenizers.symbols import Symbols

Phonemes = tuple[str, ...]
Listing = dict[str, tuple[Phonemes, ...]]  # a word -> all the ways in which it is said, the usual one first

STEM = 5  # letters

LETTERS = Symbols("abcdefghijklmnopqrstuvwxyz")
VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
PHONEMES = Symbols(f"{VOWELS} {CONSONANTS}".split())


@dataclass(frozen=True)
class Dictionary:
    """Words for training, for tuning (validation), and those that are scored (test)."""

    train: Listing
    validation: Listing
    test: Listing


@lru_cache(maxsize=1)
def dictionary() -> Dictionary:
    """The words of the asset `cmudict` that are written with the letters a to z alone, the stress of their
    vowels removed. One word in twenty is for validation, and one for the test."""
    listing = defaultdict(dict)  # a dict in place of a set: it keeps the order
    for line in read_utf8(assets.path("cmudict")).splitlines():
        word, *phonemes = line.partition("#")[0].split()  # "read(2) R EH1 D": the second way to say it
        word = re.sub(r"\(\d+\)$", "", word)
        if re.fullmatch("[a-z]+", word):
            listing[word][tuple(re.sub(r"\d", "", phoneme) for phoneme in phonemes)] = None
    splits = {"train": {}, "validation": {}, "test": {}}
    for word, ways in listing.items():
        splits[split_of(word)][word] = tuple(ways)
    return Dictionary(**splits)


def split_of(word: str) -> str:
    """The split of a word, by a hash of its first five letters.

    So "nations", "national" and "nationality" stand together: a word of the test shares its first five
    letters with no word of the training, and a stem as long can't be remembered. A shorter one can ("care" is
    trained on, "careful" is tested), and what comes after a prefix is not protected.
    """
    share = int.from_bytes(hashlib.sha256(word[:STEM].encode()).digest()[:8], "big") % 20
    return {0: "test", 1: "validation"}.get(share, "train")


def errors_at(said: Phonemes, listed: Phonemes) -> list[int]:
    """The fewest edits from what was said to what is listed, each at the listed phoneme that it concerns.

    A phoneme that is wrong or missing counts at its own place, one too many at the place before which it
    stands (at the end: at the last place). Raises ValueError if nothing is listed.
    """
    if not listed:
        raise ValueError("an empty pronunciation is listed; each has at least one phoneme")
    # edits[i][j]: to turn the first j phonemes said into the first i listed
    edits = [list(range(len(said) + 1))]
    for i, expected in enumerate(listed, start=1):
        row = [i]
        for j, got in enumerate(said, start=1):
            row.append(min(edits[-1][j - 1] + (got != expected), edits[-1][j] + 1, row[-1] + 1))
        edits.append(row)
    errors, i, j = [0] * len(listed), len(listed), len(said)
    while i or j:
        if i and j and edits[i][j] == edits[i - 1][j - 1] + (said[j - 1] != listed[i - 1]):
            i, j = i - 1, j - 1
            errors[i] += said[j] != listed[i]
        elif i and edits[i][j] == edits[i - 1][j] + 1:
            i -= 1
            errors[i] += 1
        else:
            j -= 1
            errors[min(i, len(listed) - 1)] += 1
    return errors


def nearest(said: Phonemes, ways: tuple[Phonemes, ...]) -> list[int]:
    """`errors_at` for the listed way that is nearest: who says a word in its second way is right."""
    return min((errors_at(said, listed) for listed in ways), key=lambda errors: sum(errors) / len(errors))


def phoneme_error_rate(said: dict[str, Phonemes], listing: Listing) -> float:
    """Edits per listed phoneme, over all the words that were said: 0 is perfect, and nothing limits it above.

    Raises ValueError if there are no words, or one that isn't listed.
    """
    errors = _errors(said, listing).values()
    return sum(map(sum, errors)) / sum(map(len, errors))


def error_by_length(said: dict[str, Phonemes], listing: Listing) -> dict[int, float]:
    """Phoneme error rate by the letters of a word; the few words of under 4 or over 13 count as 4 or 13."""
    groups = defaultdict(dict)
    for word in sorted(said, key=len):
        groups[min(max(len(word), 4), 13)][word] = said[word]
    return {length: phoneme_error_rate(group, listing) for length, group in groups.items()}


def error_by_position(said: dict[str, Phonemes], listing: Listing) -> list[float]:
    """Phoneme error rate in each fifth of a word, its beginning first."""
    fifths = [[] for _ in range(5)]
    for errors in _errors(said, listing).values():
        for place, error in enumerate(errors):
            fifths[place * 5 // len(errors)].append(error)
    return [sum(fifth) / len(fifth) if fifth else float("nan") for fifth in fifths]


def _errors(said: dict[str, Phonemes], listing: Listing) -> dict[str, list[int]]:
    if not said:
        raise ValueError("got no words; an error rate needs at least one")
    if unknown := said.keys() - listing:
        raise ValueError(f"{min(unknown)!r} is not listed; score the words of the listing")
    return {word: nearest(phonemes, listing[word]) for word, phonemes in said.items()}


def random_strings(count: int, seed: int) -> list[str]:
    """Strings of 4 to 24 random letters, lengths equally likely: no letter says anything about the next.

    Raises ValueError if count is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1; got {count}")
    generator = np.random.default_rng(seed)
    lengths = generator.integers(4, 25, count)
    letters = "".join(generator.choice(list("abcdefghijklmnopqrstuvwxyz"), lengths.sum()))
    ends = lengths.cumsum()
    return [letters[end - length : end] for length, end in zip(lengths, ends, strict=True)]
