"""Arms at their own temperatures: chosen on validation problems; runs that go on; what the table says."""

import pytest

from course_utils.weights import cooled_recipe as recipe
from course_utils.weights import recording, rlvr_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def small(monkeypatch, tmp_path):
    sizes = {"TEST": 4, "VALIDATION": 3, "FEWER": 2, "SAMPLES": 4}
    for name, value in sizes.items():
        monkeypatch.setattr(rlvr_recipe, name, value)
    monkeypatch.setattr(rlvr_recipe, "missed_by_base", lambda: (True, False, True, False))
    monkeypatch.setattr(recipe, "TABLE", tmp_path / "cooled.csv")
    rlvr_recipe.problems.cache_clear()
    yield
    rlvr_recipe.problems.cache_clear()


def test_the_temperature_is_the_one_of_most_right_validation_answers(small, monkeypatch):
    asked = []

    def right_at_a_half(model, prompts, n, draws, temperature):
        asked.append((len(prompts), n, temperature))
        solutions = {
            p.prompt: p.solution for side in ("validation", "test") for p in rlvr_recipe.problems(side, 4)
        }
        return [[solutions.get(p, "") if temperature == 0.5 else "no"] * n for p in prompts]

    monkeypatch.setattr(recipe, "answers", right_at_a_half)
    row = recipe.scored(None, 0)
    assert row["temperature"] == 0.5 and float(row["pass_1"]) == 1
    assert asked == [*((3, 2, t) for t in recipe.TEMPERATURES), (4, 4, 0.5)]  # the test is asked once


def test_all_arms_of_the_table_train_at_their_rates_and_a_second_start_runs_nothing(
    small, monkeypatch, tmp_path
):
    trained = []
    for arm in recipe.WAYS:
        monkeypatch.setitem(recipe.WAYS, arm, lambda *given, arm=arm: trained.append((arm, *given[1:])))
    recipe.main(tmp_path)
    first = recipe.TABLE.read_bytes()
    rates = {"policy gradient": 3e-4, "rejection sampling": 3e-4, "solutions": 3e-3}
    assert trained == [(arm, rate, seed) for arm, rate in rates.items() for seed in range(3)]
    recipe.main(tmp_path)
    assert len(trained) == 9 and recipe.TABLE.read_bytes() == first


def test_the_table_says_what_the_chapter_says():
    rows = recording.read_table(recipe.TABLE)
    assert {row["temperature"] for row in rows} == {"0.1"}
    base, *trained = ((row["arm"], float(row["pass_1"])) for row in rows)
    gains = {}
    for arm, share in trained:
        gains.setdefault(arm, []).append(100 * (share - base[1]))
    assert {arm: (round(min(found)), round(max(found))) for arm, found in gains.items()} == {
        "policy gradient": (1, 4),
        "rejection sampling": (5, 7),
        "solutions": (38, 43),
    }
    assert all(float(row["right_3"]) == 1 for row in rows if row["arm"] != "solutions")
