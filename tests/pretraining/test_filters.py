"""A stream through filters: what is kept, what each removed, and what is said if nothing is left."""

import pytest

from course_utils.pretraining import filters
from course_utils.pretraining.documents import Document


def long(document):
    return "it is long" if len(document.text) > 5 else None


def shouted(document):
    return "it shouts" if document.text.isupper() else None


def test_the_tally_counts_documents_and_bytes_by_the_filter_that_removed_them():
    texts = ["é", "short", "SHORT", "LONGER TEXT", "fine"]
    kept, tally = filters.run((Document(text, "here") for text in texts), {"long": long, "loud": shouted})
    assert tally.read.documents == 0  # a stream: nothing has been asked for
    assert [document.text for document in kept] == ["é", "short", "fine"]
    assert (tally.read, tally.kept) == (filters.Amount(5, 27), filters.Amount(3, 11))
    assert tally.removed == {"long": filters.Amount(1, 11), "loud": filters.Amount(1, 5)}
    assert str(tally).startswith("read 5 documents (0.0 MB), kept 3 documents")


def test_the_first_filter_that_removes_has_the_word():
    assert filters.verdict(Document("LONG TEXT", ""), {"a": long, "b": shouted}) == ("a", "it is long")
    assert filters.verdict(Document("LONG TEXT", ""), {"b": shouted, "a": long}) == ("b", "it shouts")


def test_if_nothing_is_left_the_message_says_what_took_it():
    kept, _ = filters.run([Document("TEXT", "")], {"long": long, "loud": shouted})
    with pytest.raises(ValueError, match=r"no document is left .* removed by loud: 1 documents .*add texts"):
        next(kept)
    with pytest.raises(ValueError, match=r"no document is left to train on: read 0 documents"):
        [*filters.run([], {})[0]]
