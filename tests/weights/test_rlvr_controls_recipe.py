"""The controls of learning from a verifier: what they learn, that they go on, and what their table says."""

import pytest

from course_utils.weights import cooled_recipe, recording, rlvr_recipe
from course_utils.weights import rlvr_controls_recipe as recipe

pytestmark = pytest.mark.usefixtures("one_thread")


def test_no_solution_of_5_groups_is_learnt_and_none_of_the_test(monkeypatch):
    learnt = []
    monkeypatch.setattr(rlvr_recipe, "PROMPTS", 300)
    monkeypatch.setattr(rlvr_recipe, "tuned", lambda model, solved, *rest: learnt.extend(solved))
    recipe.by_shorter_solutions(None, 3e-3, 0)
    assert len(learnt) == 600 and {len(p.solution.split()) for p in learnt} == {3, 4}
    assert not {p.prompt for p in learnt} & {p.prompt for p in rlvr_recipe.TASK.problems("test", 200)}


def test_a_second_start_runs_nothing(monkeypatch, tmp_path):
    trained = []
    for arm, (_, rate) in recipe.WAYS.items():

        def way(model, rate, seed, arm=arm):
            trained.append((arm, rate, seed))

        monkeypatch.setitem(recipe.WAYS, arm, (way, rate))
    monkeypatch.setattr(rlvr_recipe, "scored", lambda model, seed: {"pass_1": 0.5})
    monkeypatch.setattr(cooled_recipe, "scored", lambda model, seed: {"temperature": 0.1, "pass_1": 0.75})
    monkeypatch.setattr(recipe, "TABLE", tmp_path / "controls.csv")
    for _ in range(2):
        recipe.main(tmp_path)
    assert trained == [(arm, rate, seed) for seed in range(3) for arm, (_, rate) in recipe.WAYS.items()]
    row = recording.read_table(recipe.TABLE)[0]
    assert (row["pass_1"], row["cooled_pass_1"], row["learning_rate"]) == ("0.5", "0.75", "0.0003")


def test_the_table_says_what_the_chapter_says():
    rows = recording.read_table(recipe.TABLE)
    assert [(row["arm"], row["seed"]) for row in rows] == [
        (arm, str(n)) for n in range(3) for arm in recipe.WAYS
    ]
    gradient, rejection, shorter = (
        {key: [float(row[key]) for row in rows if row["arm"] == arm] for key in rows[0] if "_" in key}
        for arm in recipe.WAYS
    )
    assert {round(100 * share) for share in gradient["pass_1"]} == {49, 50}
    assert {round(100 * share) for share in rejection["pass_1"]} == {50, 51}
    assert {round(100 * share) for share in gradient["cooled_pass_1"]} == {60, 61}
    assert {round(100 * share) for share in rejection["cooled_pass_1"]} == {61}
    assert min(shorter["cooled_pass_1"]) > max(rejection["cooled_pass_1"])
    assert all(max(arm["right_5"] + arm["cooled_right_5"]) < 0.001 for arm in (gradient, rejection, shorter))
