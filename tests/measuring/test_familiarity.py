"""Contexts are counted as plain Python counts them, and names as a reader would."""

import numpy as np
import pytest

from course_utils.measuring.familiarity import in_new_names, times_seen


@pytest.mark.parametrize("n", [1, 3, 7])
def test_contexts_are_counted_where_they_stand(n):
    generator = np.random.default_rng(n)
    text, read = (bytes(generator.integers(0, [2, 256, 3][n % 3], size=size)) for size in (60, 200))
    by_hand = [
        sum(read[j : j + n] == text[i : i + n] for j in range(len(read) - n + 1))
        for i in range(len(text) - n)
    ]
    as_ids = (np.frombuffer(data, dtype=np.uint8) for data in (text, read))
    assert times_seen(*as_ids, n).tolist() == by_hand


def test_the_byte_255_is_no_negative_number():
    ids = np.full(9, 255, dtype=np.uint8)
    assert times_seen(ids, ids, 7).tolist() == [3, 3]


@pytest.mark.parametrize("n", [0, 8])
def test_what_cannot_be_looked_up_is_refused(n):
    with pytest.raises(ValueError, match="1 to 7"):
        times_seen(np.arange(20), np.arange(20), n)
    with pytest.raises(ValueError, match="need 5 bytes"):
        times_seen(np.arange(4), np.arange(20))


def test_a_new_name_is_marked_and_a_known_one_is_not():
    text = "é PROSPERO and the KING, I say"
    marked = in_new_names(text, "KING LEAR")
    assert text.encode()[marked.argmax() :][: marked.sum()] == b"PROSPERO"
    assert marked.sum() == 8
