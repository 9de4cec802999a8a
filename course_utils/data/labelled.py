"""Texts of which it is known what they are: near-duplicates, kinds of quality, languages. Filters are scored
on them.

They come with OpenAI's evals, where they ask other questions of a model: a passage in several orders is to be
told from its twins there, a text to be compressed, an exam to be passed (Hardalov et al. 2020).
"""

from dataclasses import dataclass
from functools import lru_cache

from course_utils.data import assets
from course_utils.data.corpora import read_json_lines

# The kinds of the labelled texts, under names that say what they are
KINDS = {
    "c4": "web, cleaned",
    "oscar": "web, raw",
    "openwebtext": "web, liked",
    "wikipedia": "encyclopaedia",
    "Abirate/english_quotes": "quotations",
    "codeparrot/github-code": "code",
    "RandomWordsDataset": "random words",
    "RandomCharAndNumberDataset": "random characters",
}
ANSWER = "\nAnswer:"  # ends each question of an exam, in English


@dataclass(frozen=True)
class Reordered:
    """A passage of "openwebtext" or "wikipedia", and the same sentences in ten other orders."""

    source: str
    text: str
    reorderings: list[str]


@lru_cache(maxsize=1)
def reordered_passages() -> list[Reordered]:
    """1,000 passages of each source, fetched on first use.

    A sentence was taken to end at every full stop: where a passage is full of numbers, they were cut at the
    decimal point, and little of it stands in another order that stood in the first.
    """
    return [
        Reordered(file.stem.replace("owt", "openwebtext").removesuffix("_5"), text, list(others.values()))
        for file in assets.files("reordered-passages")
        for text, others in map(_first_and_others, read_json_lines(file))
    ]


def _first_and_others(row: dict[str, str]) -> tuple[str, dict[str, str]]:
    return row.pop("0"), row


def texts_by_kind() -> dict[str, list[str]]:
    """Fifty texts of each of eight kinds (see KINDS), fetched on first use."""
    texts = {kind: [] for kind in KINDS.values()}
    for row in read_json_lines(assets.path("labelled-quality")):
        texts[KINDS[row["type"]]].append(row["text"])
    return texts


def exams() -> dict[str, list[str]]:
    """Questions of school exams with their choices, by language, fetched on first use: none is in English."""
    return {
        file.parent.name.removesuffix("-exams-qa"): [
            row["input"][-1]["content"].removesuffix(ANSWER) for row in read_json_lines(file)
        ]
        for file in assets.files("exams")
    }
