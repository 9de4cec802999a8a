"""Old English of 1769 and modern English of 2000: the verses of the King James Bible and of the World English
Bible, split by whole books.

    verses().train[0]  # Verse(book="Genesis", chapter=1, number=1, old="In the beginning ...", new=...)

Books repeat each other: the Gospels, Samuel and Kings beside Chronicles, Isaiah 36 to 39 beside 2 Kings, Jude
beside 2 Peter, Ephesians beside Colossians. So what is held out is held out by the book, and the books were
chosen among those that share least with the others: under 1 % of their runs of 8 words stand in what is read
for training (tests/data/test_verses.py).
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from course_utils.data import assets
from course_utils.data.corpora import read_utf8

VALIDATION = ("Lamentations", "Habakkuk", "Malachi", "2 Corinthians", "1 Timothy")
TEST = ("Ruth", "Ecclesiastes", "Song of Solomon", "Jonah", "James", "Revelation")


class Verse(NamedTuple):
    """A verse in old English and in new."""

    book: str
    chapter: int
    number: int
    old: str
    new: str

    @property
    def place(self) -> str:
        return f"{self.book} {self.chapter}:{self.number}"


@dataclass(frozen=True)
class Verses:
    """Verses for training, for tuning (validation), and those that are scored (test), each of whole books."""

    train: list[Verse]
    validation: list[Verse]
    test: list[Verse]


PARTS = ("train", "validation", "test")


@lru_cache(maxsize=1)
def verses() -> Verses:
    """The verses of the asset `english-verses`, fetched on first use (licence and source: assets.toml)."""
    parts = {part: [] for part in PARTS}
    for verse in map(Verse._make, json.loads(read_utf8(assets.path("english-verses")))):
        part = "validation" if verse.book in VALIDATION else "test" if verse.book in TEST else "train"
        parts[part].append(verse)
    return Verses(**parts)


@lru_cache(maxsize=1)
def train_verses_of_1901() -> list[str]:
    """The training verses, in the order of `verses().train`, as the American Standard Version of 1901 has
    them, of which the World English Bible is a modern form: "" for the 12 that it leaves out (the asset
    `verses-1901`, fetched on first use)."""
    numbered = json.loads(read_utf8(assets.path("verses-1901")))
    text = {tuple(place): text for *place, text in numbered}
    books = dict.fromkeys(verse[0] for verse in json.loads(read_utf8(assets.path("english-verses"))))
    numbers = {book: number for number, book in enumerate(books, start=1)}
    return [text[numbers[verse.book], verse.chapter, verse.number] for verse in verses().train]


def shared_runs(held_out: Iterable[str], read: Iterable[str], length: int = 8) -> float:
    """The share of the runs of so many words in held-out texts that also stand in one of those that were
    read, in lower case and without marks. No run goes from one text to the next. Raises ValueError if no
    held-out text has so many words."""
    known = {run for text in read for run in _runs(text, length)}
    asked = [run for text in held_out for run in _runs(text, length)]
    if not asked:
        raise ValueError(f"no held-out text has {length} words")
    return sum(run in known for run in asked) / len(asked)


def _runs(text: str, length: int) -> list[str]:
    words = re.findall("[a-z']+", text.lower())
    return [" ".join(words[i : i + length]) for i in range(len(words) - length + 1)]


class AlignedVerse(NamedTuple):
    """A verse of the test books in words and marks, and by hand which new ones say what which old ones say:
    `links` has their places, from 0. Where that is in doubt there is no link."""

    place: str
    old: list[str]
    new: list[str]
    links: set[tuple[int, int]]


def aligned_verses() -> list[AlignedVerse]:
    """Twelve short verses of the test books, aligned by hand before any model's alignment was looked at."""
    aligned = json.loads(read_utf8(Path(__file__).with_name("verse_alignments.json")))
    return [
        AlignedVerse(
            place,
            old.split(),
            new.split(),
            {tuple(map(int, link.split("-"))) for link in links.split()},  # such as 0-0 1-2
        )
        for place, old, new, links in aligned
    ]
