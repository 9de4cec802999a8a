"""Learning from a verifier beside learning from solutions: equal budgets, and what the mechanics do."""

import numpy as np
import pytest
import torch

from course_utils.finetuning.sft import IGNORED
from course_utils.finetuning.tasks import Problem
from course_utils.gpt import GPT
from course_utils.training import checkpoints
from course_utils.weights import recording, rlvr_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Everything in little: an untrained base, few steps, few problems."""
    sizes = {"BASE_STEPS": 3, "PROMPTS": 30, "RL_STEPS": 6, "GROUPS": 2, "SIZE": 4, "ROUNDS": 2, "BATCH": 4}
    sizes |= {"TEST": 6, "VALIDATION": 4, "SAMPLES": 8, "FEWER": 2, "SEEDS": range(2), "RATES": (1e-3, 3e-3)}
    sizes |= {"BUDGET": 6 * 2 * 4 * 4, "COLUMNS": [c.replace("64", "8") for c in rlvr_recipe.COLUMNS]}
    sizes |= {name: tmp_path / getattr(rlvr_recipe, name).name for name in ("TABLE", "LOG", "BASE")}
    for name, value in sizes.items():
        monkeypatch.setattr(rlvr_recipe, name, value)
    monkeypatch.chdir(tmp_path)
    clear()
    yield
    clear()


def clear(kept=(rlvr_recipe.problems, rlvr_recipe.missed_by_base)):
    for function in kept:
        function.cache_clear()


def test_the_loss_is_on_the_solution_and_its_end():
    [example] = rlvr_recipe.examples([Problem("14 09=", "77 9")])
    assert rlvr_recipe.decode(example.ids) == "14 09=77 9\n"
    learnt = [label for label in example.labels if label != IGNORED]
    assert rlvr_recipe.decode(learnt) == "77 9\n"


def test_every_problem_and_answer_fits_the_window():
    longest = max(len(e.ids) for e in rlvr_recipe.examples(rlvr_recipe.problems("train", 30)))
    assert longest <= rlvr_recipe.CONFIG.context
    assert len(rlvr_recipe.TASK.problems("train", 1)[0].solution) + 1 == rlvr_recipe.MAX_NEW


def test_the_arms_have_one_budget(monkeypatch):
    """Counted by what is really sampled and learnt, in answers read forward."""
    spent, now = dict.fromkeys(rlvr_recipe.WAYS, 0), {}
    sample, train = rlvr_recipe.sample, rlvr_recipe.train

    def counted_sample(model, rows, *rest):
        spent[now["arm"]] += rlvr_recipe.SAMPLED * len(rows)
        return sample(model, rows, *rest)

    def counted_train(model, batches, config, **rest):
        rows = getattr(batches, "batch_size", 0) or batches.groups * batches.size
        own = (
            rlvr_recipe.SAMPLED if now["arm"] == "policy gradient" else 0
        )  # what the rollouts sample themselves
        spent[now["arm"]] += config.steps * rows * (rlvr_recipe.LEARNT + own)
        return train(model, batches, config, **rest)

    rlvr_recipe.make_base()
    monkeypatch.setattr(rlvr_recipe, "sample", counted_sample)
    monkeypatch.setattr(rlvr_recipe, "train", counted_train)
    monkeypatch.setattr(rlvr_recipe, "TASK", rlvr_recipe.TASK.__class__(*always_right()))
    for arm, way in rlvr_recipe.WAYS.items():
        now["arm"] = arm
        way(rlvr_recipe.base(), 1e-3, 0)
    assert spent["policy gradient"] == rlvr_recipe.BUDGET
    for arm in [*rlvr_recipe.WAYS][1:]:
        assert 0.8 * rlvr_recipe.BUDGET <= spent[arm] <= rlvr_recipe.BUDGET

    once = dict(spent)
    for arm in ("policy gradient", "rejection sampling"):
        now["arm"] = arm
        rlvr_recipe.WAYS[arm](rlvr_recipe.base(), 1e-3, 0, times=3)
        assert spent[arm] == 4 * once[arm]


def always_right():
    task = rlvr_recipe.TASK
    return task.name, task.make, lambda prompt, answer: answer != "", task.guess, task.answers


def test_scores_count_what_the_base_missed_apart(monkeypatch):
    asked = rlvr_recipe.problems("test", 6)
    monkeypatch.setattr(rlvr_recipe, "missed_by_base", lambda: (True, True, True, False, False, False))
    answered = [[p.solution] * n + ["no"] * (8 - n) for p, n in zip(asked, (0, 1, 8, 0, 8, 4), strict=True)]
    row = rlvr_recipe.scores(answered, asked)
    assert (row["missed"], row["found"]) == (3, 2)
    assert float(row["pass_1"]) == pytest.approx(21 / 48, abs=1e-4)
    assert float(row["pass_8"]) == pytest.approx(4 / 6, abs=1e-4)
    assert float(row["pass_1_low"]) <= float(row["pass_1"]) <= float(row["pass_1_high"])


def test_an_answer_that_did_not_end_is_none():
    model = GPT(rlvr_recipe.CONFIG)
    with torch.no_grad():
        model.embedding.weight[ord("\n")] = 0
    draws = torch.Generator().manual_seed(0)
    found = rlvr_recipe.answers(model, ["14 09 21="], 5, draws)
    assert len(found) == 1 and len(found[0]) == 5
    assert all(answer == "" or len(answer) < rlvr_recipe.MAX_NEW for answer in found[0])


def test_the_base_is_at_no_distance_from_itself():
    rlvr_recipe.make_base()
    asked = rlvr_recipe.problems("test", 6)
    row = rlvr_recipe.distances(rlvr_recipe.base(), asked, [["111 222 333"]] * 6)
    assert float(row["kl"]) == 0 and float(row["entropy"]) > 0


def test_unfinished_answers_count_in_no_distance():
    rlvr_recipe.make_base()
    asked, model = rlvr_recipe.problems("test", 6), GPT(rlvr_recipe.CONFIG)
    row = rlvr_recipe.distances(model, asked, [["111 222 333"]] * 3 + [["", "111 222 333"]] * 3)
    assert row == rlvr_recipe.distances(model, asked[:3], [["111 222 333"]] * 3)
    assert rlvr_recipe.distances(model, asked, [[""]] * 6) == {"entropy": "nan", "kl": "nan"}


def test_a_recording_that_was_broken_off_goes_on(monkeypatch):
    made = []

    def noted(arm, rate, seed, final, folder):
        if len(made) == 4:
            made.append("")
            raise InterruptedError
        made.append((arm, rate, seed))
        log = [{"seed": seed, "step": 1, "reward": 0.5}]
        recording.write_table(folder / f"rlvr_log_{seed}.csv", log)
        return dict.fromkeys(rlvr_recipe.COLUMNS, "") | {"validation_pass_1": str(rate)}

    monkeypatch.setattr(rlvr_recipe, "run", noted)
    folder = rlvr_recipe.TABLE.parent / "build"
    with pytest.raises(InterruptedError):
        rlvr_recipe.main(folder)
    rlvr_recipe.main(folder)
    rows = recording.read_table(rlvr_recipe.TABLE)
    assert [row["arm"] for row in rows[:2]] == ["base", "guesser"]
    expected = [(arm, rate, 10) for arm in rlvr_recipe.WAYS for rate in (1e-3, 3e-3)]
    expected += [(arm, 3e-3, seed) for arm in rlvr_recipe.WAYS for seed in range(2)]
    assert sorted(run for run in made if run) == sorted(expected)  # each once, at the better rate
    assert len(recording.read_table(rlvr_recipe.LOG)) == 2


def test_a_run_of_each_arm_gives_a_row():
    rlvr_recipe.make_base()
    before = checkpoints.load(rlvr_recipe.BASE)[0]
    for arm in rlvr_recipe.WAYS:
        row = rlvr_recipe.run(arm, 1e-3, 0, True, rlvr_recipe.TABLE.parent)
        assert {*row} == {*rlvr_recipe.COLUMNS} and all(value != "" for value in row.values())
    log = recording.read_table(rlvr_recipe.TABLE.parent / "rlvr_log_0.csv")
    assert len(log) == 6 and {"reward", "dead", "entropy", "kl"} <= log[0].keys()
    assert float(log[0]["kl"]) == pytest.approx(0, abs=1e-4)
    after = checkpoints.load(rlvr_recipe.BASE)[0]
    assert all(np.array_equal(before[name], after[name]) for name in before)
