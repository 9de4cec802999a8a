"""The two tasks of chapters 4 and 5, and the errors that are counted in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.data import cmudict
from course_utils.data.cmudict import PHONEMES, errors_at, nearest

SOUNDS = st.lists(st.sampled_from("ABC"), max_size=6).map(tuple)


def test_the_dictionary_is_this_one():
    words = cmudict.dictionary()
    assert [len(split) for split in (words.train, words.validation, words.test)] == [106055, 5335, 6103]
    everything = words.train | words.validation | words.test
    assert everything["knight"] == (("N", "AY", "T"),)
    assert everything["read"] == (("R", "EH", "D"), ("R", "IY", "D"))
    assert "it's" not in everything and "a.m." not in everything
    said = {phoneme for ways in everything.values() for way in ways for phoneme in way}
    assert said == set(PHONEMES.symbols[3:])  # no stress, no comment, and none is missing


def test_no_stem_stands_in_two_splits():
    words = cmudict.dictionary()
    stems = [{word[:5] for word in split if len(word) >= 5} for split in (words.train, words.test)]
    assert len(stems[1]) > 1000 and not stems[0] & stems[1]
    assert cmudict.split_of("national") == cmudict.split_of("nationality")
    leaky = [{word[:5] for word in list(words.train)[part::20]} for part in (0, 1)]
    assert leaky[0] & leaky[1]  # a split by word would have failed


@pytest.mark.parametrize(
    ("said", "errors"),
    [
        ("N AY T", [0, 0, 0]),
        ("N IY T", [0, 1, 0]),  # a wrong one
        ("N T", [0, 1, 0]),  # a missing one
        ("K N AY T", [1, 0, 0]),  # one too many counts where it stands
        ("N AY T S", [0, 0, 1]),
        ("", [1, 1, 1]),
        ("N AY T T T T", [0, 0, 3]),
    ],
)
def test_an_error_counts_at_its_place(said, errors):
    assert errors_at(tuple(said.split()), ("N", "AY", "T")) == errors


@given(SOUNDS, SOUNDS.filter(len), SOUNDS.filter(len))
def test_the_edits_are_a_distance(said, listed, other):
    distance = sum(errors_at(said, listed))
    assert (distance == 0) == (said == listed)
    assert abs(len(said) - len(listed)) <= distance <= max(len(said), len(listed))
    assert distance <= sum(errors_at(said, other)) + sum(errors_at(other, listed))


def test_the_nearest_listed_way_counts():
    ways = (("R", "EH", "D"), ("R", "IY", "D"))
    assert nearest(("R", "IY", "D"), ways) == [0, 0, 0]
    assert cmudict.phoneme_error_rate({"read": ("R", "IY")}, {"read": ways}) == pytest.approx(1 / 3)


def test_the_rate_is_per_phoneme_and_not_per_word():
    listing = {"aa": (("A",),), "bbbbb": (("B",) * 9,), "cccc": (("C",) * 10,), "d" * 20: (("D",) * 2,)}
    said = {"aa": (), "bbbbb": ("B",) * 9}
    assert cmudict.phoneme_error_rate(said, listing) == 0.1  # the mean of the words' rates is 0.5
    assert cmudict.error_by_length(said, listing) == {4: 1.0, 5: 0.0}
    assert cmudict.error_by_length({"d" * 20: ("D",)}, listing) == {13: 0.5}
    later = {"cccc": ("C",) * 7 + ("A", "C", "C")}
    assert cmudict.error_by_position(later, listing) == [0, 0, 0, 0.5, 0]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="got no words"):
        cmudict.phoneme_error_rate({}, {})
    with pytest.raises(ValueError, match="'zz' is not listed"):
        cmudict.error_by_length({"zz": ()}, {"aa": (("A",),)})
    with pytest.raises(ValueError, match="an empty pronunciation is listed"):
        errors_at(("A",), ())
    with pytest.raises(ValueError, match="at least 1; got 0"):
        cmudict.random_strings(0, seed=0)


def test_random_strings_have_every_length_and_letter():
    strings = cmudict.random_strings(4000, seed=1)
    assert {len(string) for string in strings} == set(range(4, 25))
    assert set("".join(strings)) == set("abcdefghijklmnopqrstuvwxyz")
    assert strings == cmudict.random_strings(4000, seed=1) != cmudict.random_strings(4000, seed=2)
