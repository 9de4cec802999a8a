"""IBM model 1 against its sums written out, and the words that are put in each other's place."""

import pytest

from course_utils.data.verses import verses
from course_utils.seq2seq.substitution import NULL, fit, substitute, words

TOY = [("das Haus", "the house"), ("das Buch", "the book"), ("ein Buch", "a book")]  # Koehn 2010, section 4.2
PAIRS = [(old.split(), new.split()) for old, new in TOY]


def slowly(pairs, iterations):
    """The same sums, one after the other."""
    chance = {(o, n): 1.0 for old, new in pairs for o in [NULL, *old] for n in new}
    for _ in range(iterations):
        count, total = dict.fromkeys(chance, 0.0), {}
        for old, new in pairs:
            for n in new:
                whole = sum(chance[o, n] for o in [NULL, *old])
                for o in [NULL, *old]:
                    count[o, n] += chance[o, n] / whole
                    total[o] = total.get(o, 0) + chance[o, n] / whole
        chance = {(o, n): c / total[o] for (o, n), c in count.items()}
    return chance


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_the_table_is_that_of_the_sums_written_out(iterations):
    model = fit(PAIRS, iterations)
    expected = slowly(PAIRS, iterations)
    assert {(o, n) for o, row in model.table.items() for n in row} == expected.keys()
    for (o, n), p in expected.items():
        assert model.table[o][n] == pytest.approx(p)
    assert all(sum(row.values()) == pytest.approx(1) for row in model.table.values())


def test_words_that_come_together_find_each_other():
    model = fit(PAIRS, 30)
    assert model.substitutes() == {"das": "the", "Haus": "house", "Buch": "book", "ein": "a"}
    assert model.counts == {NULL: 0, "das": 2, "Haus": 1, "Buch": 2, "ein": 1}
    assert model.substitutes(seldom=2) == {"das": "the", "Buch": "book"}
    assert model.substitutes(threshold=1.1) == {}
    assert model.align(["ein", "Haus"], ["a", "house"]) == {(0, 0), (1, 1)}
    assert model.align(["das"], ["unheard"]) == set()


def test_marks_are_words_and_spaces_stay():
    text = "Thou'st said: 'the king's well-known  sons' house,' -- go!"
    assert words(text) == [
        *["Thou'st", "said", ":", "'", "the", "king's", "well-known", "sons'", "house", ",", "'"],
        *["-", "-", "go", "!"],
    ]
    changed = substitute("Thou, thou art; THOU  too.", {"thou": "you", "Thou": "You", ";": ","})
    assert changed == "You, you art, THOU  too."


@pytest.mark.parametrize("pairs, iterations", [([], 5), ([([], ["a"])], 5), (PAIRS, 0)])
def test_nothing_to_count_is_refused(pairs, iterations):
    with pytest.raises(ValueError, match="at least one iteration; got"):
        fit(pairs, iterations)


def test_old_words_find_their_modern_ones():
    some = [verse for verse in verses().train if verse.book in ("John", "Mark", "Exodus")]
    model = fit([(words(verse.old), words(verse.new)) for verse in some])
    found = model.substitutes(threshold=0.3, seldom=5)
    for old, new in {"thee": "you", "hath": "has", "LORD": "Yahweh", "unto": "to", "ye": "you"}.items():
        assert found[old] == new
