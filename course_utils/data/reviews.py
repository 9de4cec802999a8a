"""Film reviews, good and bad: modern English, and the question whether the writer liked the film.

25,000 are whole reviews (source "imdb"; Maas et al. 2011), 8,500 are single sentences out of reviews (source
"rotten_tomatoes"; Pang & Lee 2005). The split was fixed before any model of the course read them. Reviews of
one film may stand on both sides of it, so names in the test have often been read before; near-duplicates were
removed.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache

from course_utils.data import assets
from course_utils.data.corpora import read_utf8


@dataclass(frozen=True)
class Review:
    """A text, whether it is favourable, and where it was published."""

    text: str
    positive: bool
    source: str


@dataclass(frozen=True)
class Reviews:
    """Reviews for training, for tuning (validation), and those that are scored (test)."""

    train: list[Review]
    validation: list[Review]
    test: list[Review]


@lru_cache(maxsize=1)
def reviews() -> Reviews:
    """The asset `movie-reviews`, fetched on first use: by the sha256 of a review's text a tenth of them is
    for validation, a tenth for the test, and the rest for training.

    The order is that of the hashes, which is as good as drawn: in the file all bad reviews come first, and
    the first thousand would teach that every film is bad.
    """
    parts = {"train": [], "validation": [], "test": []}
    rows = json.loads(read_utf8(assets.path("movie-reviews")))
    hashed = sorted((hashlib.sha256(row["text"].encode()).hexdigest(), i) for i, row in enumerate(rows))
    for digest, i in hashed:
        part = {0: "test", 1: "validation"}.get(int(digest[:8], 16) % 10, "train")
        parts[part].append(Review(**rows[i]))
    return Reviews(**parts)
