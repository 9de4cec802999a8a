"""The verses that the chapter translates, and how much of the held-out books stands in the others."""

from course_utils.data.verses import (
    PARTS,
    TEST,
    VALIDATION,
    Verse,
    aligned_verses,
    shared_runs,
    train_verses_of_1901,
    verses,
)
from course_utils.measuring.translation import chrf
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


def test_the_version_of_1901_has_the_same_verses_and_lies_between_both():
    train, between = verses().train, train_verses_of_1901()
    assert len(between) == len(train)
    left_out = [verse.place for verse, text in zip(train, between, strict=True) if not text]
    assert len(left_out) == 12 and left_out[0] == "Matthew 17:21"
    for text in filter(None, between):
        assert len(text) > 10 and text == " ".join(text.split())
        assert not set(text) & set("[]{}<>*#`’0123456789")
    some = slice(7, None, 100)
    old, new = ([getattr(verse, side) for verse in train[some]] for side in ("old", "new"))
    apart = chrf(old, new, 0).value
    assert chrf(between[some], new, 0).value > apart + 5 and chrf(between[some], old, 0).value > apart + 5


def test_the_held_out_books_share_little_with_those_that_are_read():
    train = verses().train
    read = [text for verse in train for text in (verse.old, verse.new)] + train_verses_of_1901()
    for part in "validation", "test":
        for side in "old", "new":
            assert shared_runs([getattr(verse, side) for verse in getattr(verses(), part)], read) < 0.01
    chronicles = [verse.new for verse in train if verse.book == "2 Chronicles"]
    rest = [verse.new for verse in train if verse.book != "2 Chronicles"]
    assert shared_runs(chronicles, rest) > 0.15  # a book that repeats another would be noticed


def test_shared_runs_are_of_words_alone_and_cross_no_text():
    assert shared_runs(["And God's SPIRIT, he said: go!"], ["and god's spirit he -- said go"], 3) == 1.0
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
