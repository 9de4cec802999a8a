"""The verses that the chapter translates, and how much of the held-out books stands in the others."""

import re

from course_utils.data.verses import PARTS, TEST, VALIDATION, Verse, aligned_verses, verses
from course_utils.seq2seq.substitution import words


def test_the_parts_are_whole_books_and_share_none():
    books = {part: {verse.book for verse in getattr(verses(), part)} for part in PARTS}
    assert books["validation"] == set(VALIDATION) and books["test"] == set(TEST)
    assert len(set().union(*books.values())) == sum(map(len, books.values())) == 66
    assert [len(getattr(verses(), part)) for part in PARTS] == [29479, 635, 984]


def test_a_verse_is_the_same_in_both():
    first = verses().train[0]
    assert first == Verse(
        "Genesis",
        1,
        1,
        "In the beginning God created the heaven and the earth.",
        "In the beginning God created the heavens and the earth.",
    )
    assert first.place == "Genesis 1:1"


def test_no_verse_is_empty_or_holds_what_the_edition_added():
    for verse in [verse for part in PARTS for verse in getattr(verses(), part)]:
        for text in verse.old, verse.new:
            assert len(text) > 10 and text == " ".join(text.split()), verse
            assert not set(text) & set("[]{}<>*#`\u00ad0123456789"), verse
            assert "dummy" not in text and not text.endswith((" Beloved", " Lover", " Friends")), verse


def runs(text, length=8):
    """All runs of so many words in a text, in lower case and without marks."""
    words = re.findall("[a-z']+", text.lower())
    return [" ".join(words[i : i + length]) for i in range(len(words) - length + 1)]


def shared_runs(held_out, read, length=8):
    """The share of the runs of words in the held-out texts that also stand in one of those that were read."""
    known = {run for text in read for run in runs(text, length)}
    asked = [run for text in held_out for run in runs(text, length)]
    return sum(run in known for run in asked) / len(asked)


def test_the_held_out_books_share_little_with_those_that_are_read():
    train = verses().train
    for part in "validation", "test":
        for side in "old", "new":
            held_out = [getattr(verse, side) for verse in getattr(verses(), part)]
            assert shared_runs(held_out, [getattr(verse, side) for verse in train]) < 0.01
    chronicles = [verse.new for verse in train if verse.book == "2 Chronicles"]
    rest = [verse.new for verse in train if verse.book != "2 Chronicles"]
    assert shared_runs(chronicles, rest) > 0.15  # a book that repeats another would be noticed


def test_runs_are_of_words_alone():
    assert runs("And God's SPIRIT, he said: go!", 3) == [
        "and god's spirit",
        "god's spirit he",
        "spirit he said",
        "he said go",
    ]
    assert shared_runs(["one two three four"], ["Two, three! four five"], 3) == 0.5
    assert shared_runs(["one two three"], ["one two", "three"], 3) == 0.0  # no run crosses two texts


def test_the_verses_aligned_by_hand_are_those_of_the_test_books():
    known = {verse.place: verse for verse in verses().test}
    aligned = aligned_verses()
    assert len(aligned) == 12
    for place, old, new, links in aligned:
        assert old == words(known[place].old) and new == words(known[place].new)
        assert all(i < len(old) and j < len(new) for i, j in links)
        for i, j in links:  # a word of four letters or more that stands in both is linked to itself
            assert (
                old[i].lower() == new[j].lower()
                or len(old[i]) < 4
                or old[i].lower() not in map(str.lower, new)
            ), old[i]
