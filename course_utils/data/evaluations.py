"""What BERT is asked, everyday sentences, searches, and words of two senses, fixed before a model answered;
and a text that SmolLM2 can't have read.

The queries describe places of the plays in today's words; a play's own words are mostly avoided, since those
could be found by counting.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from course_utils.data import corpora

FOLDER = Path(__file__).parent
PASSAGE_WORDS = 100


@dataclass(frozen=True)
class Cloze:
    """A sentence with one [MASK], and the words that a fluent speaker may put there."""

    sentence: str
    accepted: list[str]


@dataclass(frozen=True)
class Query:
    """What somebody looks for, and where it is: the first and the last line of the play, counted from 1."""

    query: str
    play: str
    act: str
    scene: str
    lines: tuple[int, int]


@dataclass(frozen=True)
class Sense:
    """A sentence in which a word stands once, and in which of its two senses."""

    word: str
    sense: str
    sentence: str


@dataclass(frozen=True)
class Speeches:
    """Some speeches of a scene, with their first and last line in the play, counted from 1."""

    play: str
    lines: tuple[int, int]
    text: str

    def answers(self, query: Query) -> bool:
        """Whether half of this passage's lines are of the place that is looked for, or half of that place
        is here."""
        (first, last), (start, end) = self.lines, query.lines
        shared = min(last, end) - max(first, start) + 1
        return self.play == query.play and 2 * shared >= min(last - first, end - start) + 1


def everyday_sentences() -> list[Cloze]:
    """Twenty sentences whose gap nearly everybody fills with one of a few words."""
    return [Cloze(**row) for row in _read("everyday_sentences.json")]


def search_queries() -> list[Query]:
    """Fifty queries about well-known places in 22 plays."""
    return [Query(**row | {"lines": tuple(row["lines"])}) for row in _read("search_queries.json")]


def word_senses(word: str) -> list[Sense]:
    """Forty sentences of ours, twenty a sense: "bank" by the river or for money, "match" for fire or a game.

    The word stands as early in one sense as in the other, and no word of its company is in all sentences of
    a sense. Raises ValueError for another word.
    """
    found = [sense for row in _read("word_senses.json") if (sense := Sense(**row)).word == word]
    if not found:
        raise ValueError(f"there are sentences for bank and match; got {word!r}")
    return found


def quiz_explanations() -> str:
    """What the quizzes of chapters 0 to 5 explained on 30 November 2026: a text newer than SmolLM2.

    It is kept as it was, so that a better explanation in a quiz doesn't change what chapter 8 measures.
    """
    return (FOLDER / "quiz_explanations.txt").read_text(encoding="utf-8").replace("\n", " ").strip()


@lru_cache(maxsize=1)
def passages() -> list[Speeches]:
    """The 38 plays in passages: whole speeches of one scene, joined until they have 100 words."""
    plays = corpora.shakespeare()
    texts = plays.train | {corpora.VALIDATION: plays.validation, corpora.TEST: plays.test}
    return [passage for title, play in texts.items() for passage in _cut(title, play)]


def _cut(title: str, play: str) -> list[Speeches]:
    found, line = [], 1
    for scene in corpora.scenes(play):
        gathered = ""
        pieces = re.split(r"(?<=\n)(?=\n)", scene)  # each speech with the empty line before it
        for i, piece in enumerate(pieces):
            gathered += piece
            if len(gathered.split()) >= PASSAGE_WORDS or i == len(pieces) - 1:
                empty = len(gathered) - len(gathered.lstrip("\n"))
                text = gathered.strip("\n")
                if text:
                    found.append(Speeches(title, (line + empty, line + empty + text.count("\n")), text))
                line += gathered.count("\n")
                gathered = ""
    return found


def _read(name: str) -> list[dict]:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))
