"""What a model had better not read, and why: each filter looks at a document and keeps it, or gives a reason.

    kept, tally = run(from_folder("my_texts"), standard(held_out()))
    for document in kept:
        ...
    print(tally)

A filter is a function of a document that returns None to keep it, or else a sentence. Those that look for
duplicates remember what they have kept: each stream needs its own. How often each is right is measured where
the truth is known: `course_utils.weights.filters_recipe`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from course_utils.pretraining.documents import Document
from course_utils.pretraining.filters.contamination import Contamination
from course_utils.pretraining.filters.duplicates import ExactDuplicates, NearDuplicates
from course_utils.pretraining.filters.language import Language
from course_utils.pretraining.filters.personal import personal_data
from course_utils.pretraining.filters.quality import quality

Filter = Callable[[Document], str | None]


@dataclass
class Amount:
    """A number of documents, and of their bytes in UTF-8."""

    documents: int = 0
    bytes: int = 0

    def add(self, document: Document) -> None:
        self.documents += 1
        self.bytes += len(document.text.encode())

    def __str__(self) -> str:
        return f"{self.documents:,} documents ({self.bytes / 1e6:.1f} MB)"


@dataclass
class Tally:
    """What was read, what was kept, and what each filter removed. It grows while the stream is used."""

    read: Amount = field(default_factory=Amount)
    kept: Amount = field(default_factory=Amount)
    removed: dict[str, Amount] = field(default_factory=dict)  # by the filter's name

    def __str__(self) -> str:
        removed = "".join(f"; removed by {name}: {amount}" for name, amount in self.removed.items())
        return f"read {self.read}, kept {self.kept}{removed}"


def verdict(document: Document, filters: Mapping[str, Filter]) -> tuple[str, str] | None:
    """The name of the first filter that removes a document, and its reason; None if all keep it.

    The filters behind the first are not asked, so those that remember see only what got to them.
    """
    for name, judge in filters.items():
        if reason := judge(document):
            return name, reason
    return None


def run(documents: Iterable[Document], filters: Mapping[str, Filter]) -> tuple[Iterator[Document], Tally]:
    """The documents that all filters keep, as a stream, and the tally that counts along.

    Put the cheap filters first. Raises ValueError at the end of the stream if no document was kept.
    """
    tally = Tally(removed={name: Amount() for name in filters})
    return _kept(documents, filters, tally), tally


def _kept(documents: Iterable[Document], filters: Mapping[str, Filter], tally: Tally) -> Iterator[Document]:
    for document in documents:
        tally.read.add(document)
        if found := verdict(document, filters):
            tally.removed[found[0]].add(document)
        else:
            tally.kept.add(document)
            yield document
    if not tally.kept.documents:
        raise ValueError(f"no document is left to train on: {tally}; add texts, or leave a filter out")


def standard(evaluation: Iterable[Document], language: str = "english") -> dict[str, Filter]:
    """All six filters for one stream, those that compute least first; `evaluation` is what the model will be
    scored on. Raises ValueError as `Contamination` and `Language` do."""
    return {
        "exact duplicates": ExactDuplicates(),
        "language": Language(language),
        "personal data": personal_data,
        "quality": quality,
        "contamination": Contamination(evaluation),
        "near-duplicates": NearDuplicates(),
    }
