"""What a cell follows: the properties by hand, and that the right cell is found."""

import numpy as np
import pytest

from course_utils.measuring import probing
from course_utils.measuring.probing import PROPERTIES, correlations, followers

TEXT = b"\n\nVIOLA\nO my, Ay"
IDS = np.frombuffer(TEXT, dtype=np.uint8)


@pytest.mark.parametrize(
    "name, numbers",
    [
        ("place in the line", [0, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("first line after an empty one: a speaker's name", [0] + [1] * 6 + [0] * 9),
        ("lines since an empty one", [1] + [0] * 6 + [1] * 9),
        ("bytes since a capital", [0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3, 4, 5, 0, 1]),
        ("place in the word", [0, 0, 1, 2, 3, 4, 5, 0, 1, 0, 1, 2, 0, 0, 1, 2]),
        ("bytes since a punctuation mark", [*range(12), 0, 1, 2, 3]),
        ("capital letter", [0, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0]),
        ("vowel", [0, 0, 0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0]),
    ],
)
def test_properties_by_hand(name, numbers):
    assert PROPERTIES[name](IDS).astype(int).tolist() == numbers


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_follows_from_what_was_read(name):
    generator = np.random.default_rng(0)
    ids = generator.choice(list(b"\n\nAbe ,"), size=80)
    for t in (1, 17, 40):
        assert np.array_equal(PROPERTIES[name](ids)[:t], PROPERTIES[name](ids[:t]))


def test_correlations_are_pearsons_and_0_for_what_never_changes():
    generator = np.random.default_rng(1)
    cells, numbers = generator.normal(size=(50, 3)), generator.normal(size=50)
    cells[:, 1] = 2
    r = correlations(cells, numbers)
    assert r[1] == 0 and np.array_equal(correlations(cells, np.ones(50)), [0, 0, 0])
    for at in (0, 2):
        assert r[at] == pytest.approx(np.corrcoef(cells[:, at], numbers)[0, 1])


def test_the_cell_that_was_made_to_follow_is_found_and_taken_once(monkeypatch):
    generator = np.random.default_rng(2)
    ids = generator.choice(list(b"\nAbe ,"), size=2000)
    cells = generator.normal(size=(2000, 12))
    cells[:, 7] -= 4 * PROPERTIES["vowel"](ids)
    cells[:, 3] += PROPERTIES["place in the line"](ids)
    found = followers(cells, ids)
    assert len(found) == 8 and {name for name, _ in found.values()} == set(PROPERTIES)
    assert found[7][0] == "vowel" and found[7][1] < -0.7
    assert found[3][0] == "place in the line" and found[3][1] > 0.7
    twice = {"one": PROPERTIES["vowel"], "two": PROPERTIES["vowel"]}
    monkeypatch.setattr(probing, "PROPERTIES", twice)
    assert 7 in followers(cells, ids) and len(followers(cells, ids)) == 2


def test_too_few_cells_or_other_lengths_are_refused():
    with pytest.raises(ValueError, match="got 7 cells, 16 rows and 16 bytes"):
        followers(np.zeros((16, 7)), IDS)
    with pytest.raises(ValueError, match="got 9 cells, 3 rows and 16 bytes"):
        followers(np.zeros((3, 9)), IDS)
