"""How often three letters follow each other, in eighteen languages: what `filters.language` is told by.

    python -m course_utils.weights.languages_recipe

Counts every second question of the exams and the verses of the languages that have some, and for English
plays, verses, reviews and passages; saves languages.safetensors, log2 of the probabilities in float16.
`filters_recipe` scores them on the other half. It takes some seconds, and there is no chance in it.
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save

from course_utils.data import corpora, labelled, reviews, verses
from course_utils.files import write_atomic
from course_utils.pretraining.filters.language import LOG2_ROWS, threes

WEIGHTS = Path(__file__).with_name("languages.safetensors")
PRIOR = 0.5  # a count for each row that no text has
VERSES = {"french": "French, 1910", "spanish": "Spanish, 1909", "italian": "Italian, 1649"}
RUSSIAN = "Russian, 1876"


def texts() -> dict[str, list[str]]:
    """What is counted, by language."""
    bibles = corpora.verses_by_language()
    english = [
        corpora.shakespeare().train_text[:300_000],
        *(verse.old for verse in verses.verses().train[::10]),
        *(verse.new for verse in verses.verses().train[5::10]),
        *(review.text for review in reviews.reviews().train[:1200]),
        *(passage.text for passage in labelled.reordered_passages()[::2]),
    ]
    exams = {name: questions[::2] for name, questions in labelled.exams().items()}
    more = {name: exams[name] + bibles[verse] for name, verse in VERSES.items()}
    return {"english": english, **exams, **more, "russian": bibles[RUSSIAN]}


def count(texts: list[str]) -> np.ndarray:
    counts = np.bincount(np.concatenate([threes(text) for text in texts]), minlength=2**LOG2_ROWS) + PRIOR
    return np.log2(counts / counts.sum()).astype(np.float16)


def main() -> None:
    write_atomic(WEIGHTS, save({name: count(found) for name, found in sorted(texts().items())}))


if __name__ == "__main__":
    main()
