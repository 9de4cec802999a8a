"""Documents that were read before, word for word or nearly.

What stands twice is learnt by heart, takes the place of something new, and may stand in the test as well.
Sources: Broder 1997 (shingles and MinHash); Indyk & Motwani 1998 (locality-sensitive hashing); Lee et al.
2022, "Deduplicating training data makes language models better".
"""

import hashlib

import numpy as np
from datasketch import MinHash, MinHashLSH

from course_utils.pretraining.documents import Document
from course_utils.pretraining.filters.runs import runs


class ExactDuplicates:
    """Removes a document whose text was read before; case and white space don't count. It keeps 16 bytes of
    each document, and where it is from."""

    def __init__(self):
        self._read: dict[bytes, str] = {}

    def __call__(self, document: Document) -> str | None:
        same = " ".join(document.text.casefold().split())
        digest = hashlib.sha256(same.encode()).digest()[:16]
        if digest in self._read:
            return f"it says what {self._read[digest]} says, word for word"
        self._read[digest] = document.source
        return None


class NearDuplicates:
    """Removes a document that shares much with one that it kept: of the runs of `length` words that stand in
    either, at least the share `threshold` stands in both (the Jaccard similarity).

    It is estimated. A hash puts all runs in an order, as good as drawn; the first run of one text is the
    first of the other with a probability of just that similarity, so the share of 128 such orders in which
    they agree tells it, to within 0.08 in 95 of 100. So that a document is not compared with each one
    before, only those are looked at that agree in all of several orders at once (the bands of an LSH).
    Of each document that it keeps, some 5 KB of hashes stay in memory. Threshold and length are those that
    were best where the truth is known (`course_utils.weights.filters_recipe`).

    Raises ValueError for a threshold outside 0 to 1, and a length below 1.
    """

    def __init__(self, threshold: float = 0.7, length: int = 2, orders: int = 128):
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is a share between 0 and 1; got {threshold!r} (0.7 is the default)")
        if length < 1:
            raise ValueError(f"length is a number of words of at least 1; got {length!r}")
        self.threshold, self.length = threshold, length
        self._empty = MinHash(orders, hashfunc=int)
        self._bands = MinHashLSH(threshold, orders)
        self._kept: list[tuple[str, np.ndarray]] = []

    def __call__(self, document: Document) -> str | None:
        numbers = np.unique(runs(document.text, self.length))
        if not len(numbers):
            return None
        sketch = self._empty.copy()
        sketch.update_batch((numbers >> np.uint64(32)).tolist())
        for i in self._bands.query(sketch):
            source, hashes = self._kept[i]
            shared = float(np.mean(hashes == sketch.hashvalues))
            if shared >= self.threshold:
                return f"it shares about {shared:.0%} of its runs of {self.length} words with {source}"
        self._bands.insert(len(self._kept), sketch)
        self._kept.append((document.source, sketch.hashvalues))
        return None
