"""The control of chapter 10's marks: a coin that knows nothing, the same scores, and what the table says."""

import numpy as np
import pytest
import torch

from course_utils.weights import coin_recipe as recipe
from course_utils.weights import recording, rlvr_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_coin_calls_its_share_right_whatever_is_answered():
    tossed = [recipe.coin(0)("02 15 07 04=", "") for _ in range(3)]
    assert len(set(tossed)) == 1  # the same seed, the same first toss
    tosses = recipe.coin(1)
    for answer in ("02 96 25 04", "nonsense"):  # a right one, and a wrong one
        marks = [tosses("02 15 07 04=", answer) for _ in range(2000)]
        assert np.mean(marks) == pytest.approx(recipe.CALLED_RIGHT, abs=0.04)


def test_the_verifier_gives_a_mark_only_to_what_is_right():
    marks = recipe.MARKS["the verifier's"](seed=0)
    assert marks("02 15 07 04=", "02 96 25 04") and not marks("02 15 07 04=", "nonsense")


def test_no_problem_that_is_learnt_is_held_out():
    asked = recipe.marked_answers(rlvr_recipe.base(), recipe.TASK.right).prompts
    assert len(asked) == recipe.PROMPTS and not {*asked} & {problem.prompt for problem in recipe.held_out()}
    assert {len(problem.solution.split()) for problem in recipe.held_out()} == {4}


def test_a_seed_draws_answers_of_its_own():
    drawn = []
    for seed in (0, 0, 1):
        rollouts = recipe.marked_answers(rlvr_recipe.base(), recipe.TASK.right, seed)
        drawn.append(rollouts.next()[0])
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_a_gain_is_that_on_the_same_problems(monkeypatch):
    monkeypatch.setattr(recipe, "_before", lambda: np.array([0.0, 0.5, 0.25, 0.25]))
    monkeypatch.setattr(recipe, "n_right", lambda model: np.array([16, 32, 32, 0]))
    found = {name: float(value) for name, value in recipe.scored(None).items()}
    assert found["pass_1"] == pytest.approx(80 / 256, abs=1e-4) and found["pass_64"] == 0.75
    assert found["gain"] == 0.0625 and found["give_or_take"] == pytest.approx(0.2347, abs=1e-3)


def test_a_second_start_runs_nothing(monkeypatch, tmp_path):
    trained = []

    def run(marks, seed):
        trained.append((marks, seed))
        return {"marked_right": 0.2, "pass_1": 0.3}

    monkeypatch.setattr(recipe, "run", run)
    monkeypatch.setattr(recipe, "scored", lambda model: {"pass_1": 0.2})
    monkeypatch.setattr(recipe, "TABLE", tmp_path / "coin.csv")
    for _ in range(2):
        recipe.main(tmp_path)
    assert trained == [(marks, seed) for marks in recipe.MARKS for seed in recipe.SEEDS]
    rows = recording.read_table(recipe.TABLE)
    assert [row["marks"] for row in rows] == ["none yet", *(marks for marks, _ in trained)]
    assert rows[0]["marked_right"] == ""


def test_the_table_says_what_the_chapter_says():
    base, *rows = recording.read_table(recipe.TABLE)
    assert [(row["marks"], row["seed"]) for row in rows] == [
        (m, str(n)) for m in recipe.MARKS for n in range(3)
    ]
    by_verifier, by_coin = ([row for row in rows if row["marks"] == marks] for marks in recipe.MARKS)
    assert (base["pass_1"], base["pass_64"]) == ("0.1750", "1.0000")
    assert {round(100 * float(row["pass_1"])) for row in by_verifier} == {28, 29}
    assert {row["pass_64"] for row in by_verifier} == {"1.0000"}
    assert max(float(row["pass_1"]) for row in by_coin) < 0.03
    assert {round(100 * float(row["marked_right"])) for row in by_coin} == {18}
    for row in rows:  # each gains or loses more than chance over the problems explains
        assert abs(float(row["gain"])) > 3 * float(row["give_or_take"])
