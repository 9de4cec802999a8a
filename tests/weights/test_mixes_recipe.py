"""Another mix of problems for the shipped base."""

from course_utils.pretraining import evaluate, tune
from course_utils.weights import mixes_recipe, recording
from course_utils.weights.making_recipe import MIXES


def test_a_mix_has_so_many_problems_of_each_task_among_the_same_conversations():
    problems = {"orders": 30, "addition": 60, "reversing": 20}
    usual, other = (tune.conversations(problems=mix) for mix in (tune.PROBLEMS, problems))
    assert len(other) == len(usual) - sum(tune.PROBLEMS.values()) + sum(problems.values())
    prompts = {conversation[0]["content"] for conversation in other}
    for name, task in evaluate.TASKS.items():
        assert {problem.prompt for problem in task.problems("train", problems[name])} <= prompts


def test_a_mix_stands_once_in_the_table(tmp_path, monkeypatch):
    path = tmp_path / "mixes.csv"
    path.write_bytes(MIXES.read_bytes())
    monkeypatch.setattr(mixes_recipe, "MIXES", path)
    before = recording.read_table(path)
    row = before[0] | {"mix": "3000-3000-6000", "learnt_from": "3000"}
    for right in ("0.5", "0.75"):
        mixes_recipe.note([row | {"right": right}])
    assert recording.read_table(path) == [*before, row | {"right": "0.75"}]
