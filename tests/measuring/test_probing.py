"""What a cell follows: the properties by hand, and that the right cell is found."""

import numpy as np
import pytest

from course_utils.measuring import probing
from course_utils.measuring.probing import (
    DECAYS,
    PROPERTIES,
    correlations,
    followers,
    layer_probes,
    linear_probe,
    standardised,
)

TEXT = b"\n\nVIOLA\nO my, Ay"
IDS = np.frombuffer(TEXT, dtype=np.uint8)


@pytest.mark.parametrize(
    "name, numbers",
    [
        ("place in the line", [0, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("first line after an empty one: mostly a speaker's name", [0] + [1] * 6 + [0] * 9),
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
    tenths = np.full(3, 0.1)  # whose mean is rounded to another number
    assert np.array_equal(correlations(tenths[:, None], tenths), [0])
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


def rows(n, seed, features=8):
    x = np.random.default_rng(seed).normal(size=(n, features)).astype(np.float32)
    return x, x @ np.arange(features) > 1


def test_a_linear_probe_finds_a_line_and_nothing_in_lots():
    parts = rows(400, 0), rows(200, 1), rows(400, 2)
    found = linear_probe(*parts)
    assert min(found.validation, found.test) > 0.97 and found.decay in DECAYS
    lots = [(x, np.random.default_rng(i).random(len(x)) < 0.5) for i, (x, _) in enumerate(parts)]
    assert abs(linear_probe(*lots).test - 0.5) < 0.1


def test_the_validation_rows_choose_the_decay_and_the_test_has_no_say():
    train, validation, test = rows(60, 0, 40), rows(300, 1, 40), rows(300, 2, 40)
    x, y = train
    noisy = x, y ^ (np.random.default_rng(3).random(len(y)) < 0.2)
    found = linear_probe(noisy, validation, test)
    turned = linear_probe(noisy, validation, (test[0], ~test[1]))
    assert turned[:2] == found[:2]
    assert turned.right == tuple(not right for right in found.right)
    assert np.mean(found.right) == found.test == pytest.approx(1 - turned.test)


def test_features_get_the_size_of_the_training_rows():
    (x, y), (other, _) = rows(50, 0), rows(20, 1)
    train, test = standardised((5 * x + 3, y), (5 * other + 3, y[:20]))
    assert np.allclose(train[0].mean(0), 0, atol=1e-5) and np.allclose(train[0].std(0), 1, atol=1e-4)
    assert np.allclose(test[0], (other - x.mean(0)) / x.std(0), atol=1e-4)


def test_rows_that_no_probe_can_be_fitted_to():
    x, y = rows(20, 0)
    with pytest.raises(ValueError, match="got 20 rows and 19 classes"):
        linear_probe((x, y), (x, y[1:]), (x, y))
    with pytest.raises(ValueError, match=r"a class is False or True \(0 or 1\); got 2"):
        linear_probe((x, y + 1), (x, y + 1), (x, y + 1))
    assert linear_probe((x, y + 0), (x, y + 0), (x, y + 0)) == linear_probe((x, y), (x, y), (x, y))
    with pytest.raises(ValueError, match="need two classes"):
        linear_probe((x, y | True), (x, y), (x, y))


def test_what_is_known_by_heart_is_the_controls_and_what_the_layer_says_is_the_tasks():
    """Layer 0 says which type a token is of; layer 1 says its label, which the type doesn't tell."""

    def part(n, seed):
        draws = np.random.default_rng(seed)
        types, labels = draws.integers(10, size=n), draws.random(n) < 0.5
        said = np.eye(10)[types], np.pad(labels[:, None] - 0.5, ((0, 0), (0, 9)))
        return np.stack(said).astype(np.float32), labels, types

    (task, control), (told, by_lot) = layer_probes(part(400, 0), part(100, 1), part(300, 2))
    assert abs(task - 0.5) < 0.1 and control == 1
    assert told == 1 and by_lot < 0.8
