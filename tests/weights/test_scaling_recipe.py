"""The runs of chapter 11: what they read, and what is recorded of them."""

import hashlib
import math
import subprocess

import numpy as np
import pytest
import torch

from course_utils.gpt import GPT
from course_utils.scaling import fit_law, isoflop_minima, power, seals
from course_utils.scaling.counting import parameters
from course_utils.scaling.plans import read_log, read_plan
from course_utils.training.batches import Epochs
from course_utils.weights import scaling_recipe as recipe

PLAN = read_plan(recipe.PLAN)


@pytest.fixture
def small(monkeypatch):
    """Short texts in place of the reviews."""
    texts = {part: np.random.default_rng(i).integers(97, 101, 70_000) for i, part in enumerate("tv")}
    monkeypatch.setattr(recipe, "text", lambda part: texts[part[0]])
    recipe._scored.cache_clear()
    yield
    recipe._scored.cache_clear()


def test_a_run_says_what_the_log_needs(small, tmp_path, one_thread):
    line = recipe.run("16x1", 30 * recipe.A_STEP, seed=1, checkpoint=tmp_path / "none.safetensors")
    assert line["n"] == 7_472 and line["body"] == line["n"] - 256 * 16 and line["d"] == 30 * 512
    matrices = 4 * 16**2 + 3 * 16 * 48 + 256 * 16
    assert line["flops"] == (6 * matrices + 12 * 16 * 64) * line["d"]  # and so of `counting`
    assert math.log(4) < line["loss"] < 3  # four letters by chance
    again = recipe.run("16x1", 30 * recipe.A_STEP, seed=1)
    assert again["loss"] == line["loss"] != recipe.run("16x1", 30 * recipe.A_STEP, seed=2)["loss"]
    assert not list(tmp_path.iterdir())


def test_no_byte_is_read_twice_unless_it_is_asked_for(small):
    with pytest.raises(ValueError, match="70,000 bytes, and 70,144 would read some twice"):
        recipe.run("16x1", 137 * recipe.A_STEP, seed=0)
    repeated = recipe.run("16x1", 4 * recipe.A_STEP, seed=0, unique=1_024)
    assert repeated["d"] == 4 * recipe.A_STEP


def test_a_text_of_ones_own_is_read_and_its_last_tenth_scored(small, one_thread):
    plain, strange = "to be or not " * 400, "#" * 520
    alike = recipe.run("16x1", 4 * recipe.A_STEP, seed=0, own=plain + plain[:520])
    assert recipe.run("16x1", 4 * recipe.A_STEP, seed=0, own=plain + strange)["loss"] > alike["loss"] + 0.2
    with pytest.raises(ValueError, match="2,574 bytes, and 4,608 would read some twice"):
        recipe.run("16x1", 9 * recipe.A_STEP, seed=0, own=plain[:2860])
    with pytest.raises(ValueError, match="the text to score has 57 bytes"):
        recipe.run("16x1", recipe.A_STEP, seed=0, own=plain[:570])


@pytest.mark.parametrize(
    "size, tokens, sentence",
    [
        ("16", 512, "such as 64x3; got '16'"),
        ("17x2", 512, "a multiple of 8"),
        ("16x2", 500, "a step reads 512 bytes"),
        ("16x2", 0, "some whole steps; got 0"),
    ],
)
def test_a_run_that_is_none(small, size, tokens, sentence):
    with pytest.raises(ValueError, match=sentence):
        recipe.run(size, tokens, 0)


def test_the_plan_has_budgets_and_only_text_that_is_new():
    n = {size: parameters(GPT(recipe.shape(size))).total for size in {run.size for run in PLAN.runs}}
    budgets = sorted({round(math.log10(6 * n[run.size] * run.tokens), 1) for run in PLAN.runs})
    assert budgets == [9.5, 10.0, 10.5, 11.0, 11.5, 12.0, 12.5]  # half a decade apart
    assert max(run.tokens for run in PLAN.runs) < 26_764_765  # bytes of the training reviews
    assert recipe.isoflop(1e10, ["16x1", "24x2"]) == {"16x1": 223_232, "24x2": 82_944}


def test_the_short_plan_is_the_part_of_the_plan_that_two_decades_need():
    short = read_plan(recipe.FOLDER / "scaling_short_plan.toml")
    first = [run for run in PLAN.runs if run.seed == 0][: len(short.runs)]
    assert [*short.runs] == first and short.runner == PLAN.runner and len(first) == 24


def test_the_learning_rate_was_the_best_of_those_tried_at_each_size():
    for losses in recipe.TRIED.values():
        assert min(losses, key=losses.get) == recipe.RATE


def test_what_is_recorded_is_in_the_plan_and_at_one_learning_rate():
    log = read_log(recipe.LOG)
    assert log.problems == [] and log.names <= {run.name for run in PLAN.runs}
    for line in log.lines:
        assert line["d"] == line["tokens"] and line["rate"] == recipe.RATE


def test_a_text_is_read_once_by_its_windows():
    batches = Epochs(np.arange(6_401) % 256, 256, recipe.ROWS, recipe.CONTEXT)
    reads = torch.cat([batches.next()[0] for _ in range(batches.n_windows // recipe.ROWS)])
    assert reads.numel() == (6_400 // 64 // 8) * 512


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=recipe.SEALS, capture_output=True)


def test_each_seal_was_in_a_commit_before_its_run():
    if git("rev-parse", "--is-shallow-repository").stdout != b"false\n":
        pytest.skip("there is no history of git to look at")
    for line in read_log(recipe.SEALS / seals.RESULTS).lines:
        commit, name = line["seal_commit"], f"{line['seal']}.json"
        assert git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0
        sealed = git("show", f"{commit}:./{name}").stdout
        assert hashlib.sha256(sealed).hexdigest() == line["seal_sha256"]
        assert f'"seal": "{line["seal"]}"'.encode() not in git("show", f"{commit}:./{seals.RESULTS}").stdout


def test_a_seal_was_made_from_runs_of_the_log_at_a_tenth_of_its_budget_or_less():
    lines = {line["run"]: line for line in read_log(recipe.LOG).lines}
    for path in recipe.SEALS.glob("*.json"):
        made, _ = seals.read_seal(path)
        largest = max(6 * lines[name]["n"] * lines[name]["d"] for name in made.runs)
        assert made.largest_budget == largest < 0.11 * made.budget
        assert made.seed not in {line["seed"] for line in lines.values()}
        assert made.plan_sha256 == PLAN.sha256 and made.tokens < 26_764_765
    assert seals.settled(recipe.SEALS)  # none was changed


def test_two_approaches_find_nearly_one_exponent_in_what_is_recorded():
    """About 0.55 of all parameters; counted without embeddings it is far more (Pearce & Song 2024)."""
    runs = [line for line in read_log(recipe.LOG).lines if 6 * line["n"] * line["d"] > 5e9]
    n, body, d, loss = (np.array([line[key] for line in runs], float) for key in ("n", "body", "d", "loss"))
    law = fit_law(n, d, loss, starts=5)
    budgets, best, *_ = isoflop_minima(n, d, loss)
    assert law.exponent == pytest.approx(power(budgets, best)[0], abs=0.1)
    assert fit_law(body, d, loss, starts=5).exponent > law.exponent + 0.05


def test_the_third_decade_is_part_of_the_plan_and_near_what_the_smaller_budgets_foretold():
    large, smaller = read_plan(recipe.FOLDER / "scaling_large_plan.toml"), read_log(recipe.LOG)
    names, log = {run.name for run in large.runs}, read_log(large.log)
    assert names <= {run.name for run in PLAN.runs} - smaller.names and large.runner == PLAN.runner
    assert log.problems == [] and log.names == names
    n, d, loss = (np.array([line[key] for line in smaller.lines], float) for key in ("n", "d", "loss"))
    law = fit_law(n, d, loss, starts=5)
    for line in log.lines:
        assert line["d"] == line["tokens"] and line["rate"] == recipe.RATE
        assert line["loss"] == pytest.approx(law.loss(line["n"], line["d"]), rel=0.03)


def test_the_plays_were_read_by_runs_of_the_plan_and_lost_more_at_the_largest_budget():
    plan, plays = read_plan(recipe.FOLDER / "scaling_plays_plan.toml"), read_log(recipe.PLAYS)
    assert plays.problems == [] and plays.names == {run.name for run in plan.runs} and len(plays.lines) == 47
    reviews = {line["run"]: line for line in read_log(recipe.LOG).lines}
    assert plays.names < reviews.keys()
    apart = {}
    for line in plays.lines:
        other = reviews[line["run"]]
        assert [line[key] for key in ("n", "d", "rate")] == [other[key] for key in ("n", "d", "rate")]
        budget = round(math.log10(6 * line["n"] * line["d"]), 1)
        apart.setdefault(budget, []).append(line["loss"] - other["loss"])
    assert np.mean(apart[9.5]) < -0.02 and min(apart[11.0]) > 0


def test_runs_on_plays_read_the_plays_that_are_for_training(monkeypatch):
    asked = []
    monkeypatch.setattr(recipe, "run", lambda *given, own: asked.append((given, own)))
    recipe.on_plays("16x1", 512, 3)
    [(given, own)] = asked
    assert given == ("16x1", 512, 3, None) and own == recipe.corpora.shakespeare().train_text
