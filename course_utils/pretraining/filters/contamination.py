"""Documents that hold a piece of what the model will be scored on: it would be asked what it has read.

Sources: Brown et al. 2020, appendix C (GPT-3: a document that shares a run of 13 words with a test is cut);
Touvron et al. 2023 and others since count the same with other lengths.
"""

from collections.abc import Iterable

import numpy as np

from course_utils.pretraining.documents import Document
from course_utils.pretraining.filters.runs import runs, words

LENGTH = 13  # words of a run


class Contamination:
    """Removes a document that shares a run of `length` words with one of the evaluation texts.

    Case, punctuation and line breaks don't count. A text of fewer words is not looked for, since a phrase
    that short may stand anywhere: `too_short` says how many there were. Eight bytes are kept of each run.

    Raises ValueError for a length below 1, and if no text is long enough.
    """

    def __init__(self, evaluation: Iterable[Document], length: int = LENGTH):
        if length < 1:
            raise ValueError(f"length is a number of words of at least 1; got {length!r}")
        self.length, self.too_short, found = length, 0, []
        for document in evaluation:
            if len(words(document.text)) < length:
                self.too_short += 1
            else:
                found.append(runs(document.text, length))
        if not found:
            raise ValueError(
                f"none of the {self.too_short} evaluation texts has {length} words: give longer texts, or a "
                "shorter length"
            )
        self._runs = np.sort(np.concatenate(found))

    def __call__(self, document: Document) -> str | None:
        asked = np.sort(runs(document.text, self.length))  # in order: so the search finds them sooner
        at = np.minimum(np.searchsorted(self._runs, asked), len(self._runs) - 1)
        if shared := int(np.count_nonzero(self._runs[at] == asked)):
            return f"{shared} of its runs of {self.length} words stand in an evaluation text"
        return None
