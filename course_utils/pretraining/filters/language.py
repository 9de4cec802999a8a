"""Which language a document is in, by its letters in threes.

For each language it was counted how often each three letters in a row stand in its texts; a text belongs to
the language under which its own threes are most probable, taken as independent (naive Bayes). That is chapter
1's counting. Beside lid.176 of fastText, which knows 176 languages, it lets through less that is not English
and loses a little more that is, mostly lines of coordinates: `course_utils.weights.filters_recipe` has the
table, and `languages_recipe` counts.

Sources: Dunning 1994, "Statistical identification of language"; Cavnar & Trenkle 1994; Joulin et al. 2017
(fastText); Wenzek et al. 2020 (CCNet, where a language filter is the first step).
"""

import re
from functools import lru_cache
from importlib import resources

import numpy as np
from jaxtyping import Float, Int
from safetensors.numpy import load

from course_utils.pretraining.documents import Document
from course_utils.pretraining.filters.runs import hashed

LOG2_ROWS = 14  # of the table: threes that fall on the same row share it
UNKNOWN = 11.5  # bits for three letters: what costs more in each language is in none of them
TABLE = resources.files("course_utils") / "weights" / "languages.safetensors"


def threes(text: str) -> Int[np.ndarray, " threes"]:
    """The row of the table for each three characters in a row, without case; all between two words, digits
    and marks too, is one space. Empty if the text has no letter."""
    letters = " ".join(re.sub(r"[\W\d_]+", " ", text.lower()).split())
    if not letters:
        return np.zeros(0, dtype=np.int64)
    codes = np.frombuffer(f" {letters} ".encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    return (hashed(codes, 3) >> np.uint64(64 - LOG2_ROWS)).astype(np.int64)


@lru_cache(maxsize=1)
def table() -> tuple[list[str], Float[np.ndarray, "rows languages"]]:
    """The languages, and log2 of the probability of each three letters in each."""
    stored = load(TABLE.read_bytes())
    languages = sorted(stored)
    return languages, np.stack([stored[name] for name in languages], axis=1).astype(np.float32)


def identify(text: str) -> tuple[str, float]:
    """The most probable language of a text, and the bits that three letters cost in it.

    ("unknown", the bits) if they cost more than 11.5; a text without letters costs infinitely many.
    """
    languages, log2_probs = table()
    rows = threes(text)
    if not len(rows):
        return "unknown", np.inf
    means = log2_probs[rows].mean(axis=0)
    best = int(means.argmax())
    return languages[best] if -means[best] <= UNKNOWN else "unknown", float(-means[best])


class Language:
    """A filter: removes a document that is not in the language that is wanted.

    Raises ValueError for a language that it can't tell.
    """

    def __init__(self, wanted: str = "english"):
        if wanted not in table()[0]:
            raise ValueError(f"the language is one of {', '.join(table()[0])}; got {wanted!r}")
        self.wanted = wanted

    def __call__(self, document: Document) -> str | None:
        found, bits = identify(document.text)
        if found == self.wanted:
            return None
        if found == "unknown":
            letters = "it has no letters" if np.isinf(bits) else f"three letters cost {bits:.1f} bits at best"
            return f"it is in no language that is known: {letters}"
        return f"it is in {found.capitalize()}, not in {self.wanted.capitalize()}"
