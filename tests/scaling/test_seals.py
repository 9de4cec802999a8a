"""A seal comes first, stays as it is, and is put to the test once."""

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from course_utils.scaling import Law, seals
from course_utils.scaling import __main__ as command
from course_utils.scaling.plans import PlannedRun, read_plan, read_runs
from course_utils.scaling.sweep import checkpoint_of, sweep

HERE = Path(__file__).parent
PLAN = """
runner = "toy_runner:run"
log = "runs.jsonl"
[[runs]]
seeds = [0]
tokens = { 10 = 6_000, 20 = 3_000, 40 = 1_500, 80 = 750 }
[[runs]]
seeds = [1]
tokens = { 10 = 600, 20 = 300, 40 = 150, 80 = 75 }
"""
NEW = PlannedRun("100", 6_000, 0)


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A plan that ran, and a seal in a repository of its own, not yet committed."""
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "plan.toml").write_text(PLAN)
    plan = read_plan(folder / "plan.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        sweep(plan, say=list)
    seals.seal(folder / "seals" / "one.json", plan, read_runs(plan.log), NEW, n=100)
    git(folder, "init", "-q")
    return folder


@pytest.fixture
def sealed(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "seals" / "one.json"
    return read_plan(tmp_path / "plan.toml"), path, seals.read_seal(path)[0]


def commit(path):
    git(path.parent, "add", path.name)
    git(path.parent, "commit", "-q", "-m", "Seal")


def test_a_seal_says_all_that_is_needed_to_judge_it(sealed):
    plan, path, made = sealed
    assert json.loads(path.read_text()) == asdict(made)
    assert made.budget == 6 * 100 * 6_000 and made.largest_budget == 6 * 10 * 6_000
    assert made.low < made.loss < made.high and made.runs == [run.name for run in plan.runs]
    assert made.plan_sha256 == plan.sha256 and len(made.log_sha256) == 64
    assert seals.law_of(made).loss(100, 6_000) == pytest.approx(made.loss, abs=1e-4)
    assert isinstance(seals.law_of(made), Law) and made.rivals["the least loss so far"] > made.loss


def test_nothing_runs_before_the_seal_is_committed(sealed):
    plan, path, _ = sealed
    with pytest.raises(ValueError, match=r"one\.json is in no commit"):
        seals.settle(path, plan)
    git(path.parent, "add", path.name)  # staged is not committed
    with pytest.raises(ValueError, match=r"one\.json is in no commit"):
        seals.settle(path, plan)
    assert not (path.parent / seals.RESULTS).exists()


def test_a_committed_seal_is_put_to_the_test_once(sealed):
    plan, path, made = sealed
    commit(path)
    checkpoint = checkpoint_of(plan, NEW)
    checkpoint.parent.mkdir(exist_ok=True)
    checkpoint.touch()
    line = seals.settle(path, plan)
    assert not checkpoint.exists()
    assert line["loss"] == pytest.approx(1 + 10 / 100**0.5 + 10 / 6_000**0.5)
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=path.parent, text=True).strip()
    assert line["seal_commit"] == head and line["seal_sha256"] == seals.read_seal(path)[1]
    with pytest.raises(ValueError, match="has its result already"):
        seals.settle(path, plan)
    (row,) = seals.settled(path.parent)
    assert row["came"] == line["loss"] and row["inside"] is (made.low <= line["loss"] <= made.high)
    assert row["error"] == made.loss / line["loss"] - 1 and len(row["rivals_errors"]) == 2


def test_a_changed_seal_is_refused(sealed):
    plan, path, made = sealed
    commit(path)
    honest = path.read_bytes()
    path.write_text(json.dumps(asdict(made) | {"loss": 2.0}))
    with pytest.raises(ValueError, match="was changed after it was committed"):
        seals.settle(path, plan)
    path.write_bytes(honest)
    seals.settle(path, plan)
    path.write_text(json.dumps(asdict(made) | {"loss": 2.1}))
    commit(path)  # even if that is committed
    with pytest.raises(ValueError, match="was changed after its run"):
        seals.settled(path.parent)
    path.unlink()
    with pytest.raises(ValueError, match="seals one are gone"):
        seals.settled(path.parent)


def test_a_seal_of_another_plan_is_refused(sealed):
    """Its runner may train anything else."""
    plan, path, _ = sealed
    commit(path)
    other = replace(plan, runner=f"{__name__}:another_runner")
    with pytest.raises(ValueError, match=r"one\.json was sealed from another plan"):
        seals.settle(path, other)
    assert not (path.parent / seals.RESULTS).exists()
    seals.settle(path, replace(plan, log=plan.log.with_name("mine.jsonl")))  # the log may be another


def another_runner(size, tokens, seed, checkpoint):
    return {"n": 100, "d": tokens, "loss": 0.5}


def test_a_seal_that_changes_while_it_runs_does_not_count(sealed, monkeypatch):
    plan, path, _ = sealed
    commit(path)

    def make(plan, run):
        path.write_text(path.read_text().replace('"seed": 0', '"seed": 7'))
        return {"n": 100, "d": 6_000, "loss": 2.0}

    monkeypatch.setattr(seals, "make", make)
    with pytest.raises(ValueError, match="was changed while its run was under way"):
        seals.settle(path, plan)
    assert not (path.parent / seals.RESULTS).exists()


def test_without_the_check_of_the_commit_that_test_would_fail(sealed, monkeypatch):
    """The wrong variant."""
    plan, path, _ = sealed
    monkeypatch.setattr(seals, "commit_of", lambda path: "")
    assert seals.settle(path, plan)["seal_commit"] == ""


def test_failures_and_open_seals_are_listed(sealed):
    plan, path, made = sealed
    path.with_name("far_off.json").write_text(json.dumps(asdict(made) | {"loss": 9, "low": 8, "high": 10}))
    commit(path)
    commit(path.with_name("far_off.json"))
    seals.settle(path.with_name("far_off.json"), plan)
    rows = {row["seal"]: row for row in seals.settled(path.parent)}
    assert rows["far_off"]["inside"] is False and rows["one"]["came"] is None


def test_a_run_is_made_for_one_seal_only(sealed, monkeypatch):
    plan, path, _ = sealed
    two = shutil.copy(path, path.with_name("two.json"))
    commit(path)
    commit(two)
    seals.settle(path, plan)
    monkeypatch.setattr(seals, "make", None)
    with pytest.raises(ValueError, match=r"the run of two\.json was made already, for the seal one"):
        seals.settle(two, plan)
    assert [row["came"] is None for row in seals.settled(path.parent)] == [False, True]


def test_what_can_not_be_sealed(sealed):
    plan, path, _ = sealed
    runs = read_runs(plan.log)
    with pytest.raises(ValueError, match="sealed already"):
        seals.seal(path, plan, runs, NEW, n=100)
    with pytest.raises(ValueError, match="no larger than the largest"):
        seals.seal(path.with_name("two.json"), plan, runs, PlannedRun("10", 6_000, 1), n=10)
    path.with_name("two.json").write_text("{}")
    with pytest.raises(ValueError, match=r"two\.json is no seal"):
        seals.read_seal(path.with_name("two.json"))


def test_by_the_command(sealed, capsys):
    plan, path, _ = sealed
    two, named = path.with_name("two.json"), str(plan.log.with_name("plan.toml"))
    command.main(["seal", named, str(two), "40", "6000", "--up-to", "4e5", "--seed", "3"])
    assert seals.read_seal(two)[0].runs == [run.name for run in plan.runs]
    with pytest.raises(SystemExit, match=r"two\.json is in no commit"):
        command.main(["settle", named, str(two)])
    commit(two)
    command.main(["settle", named, str(two)])
    assert "nats came" in capsys.readouterr().out and seals.settled(path.parent)[0]["seal"] == "two"
    with pytest.raises(SystemExit, match="the log knows no size '41': it has 10, 20, 40, 80"):
        command.main(["seal", named, str(path.with_name("three.json")), "41", "6000"])
    with pytest.raises(SystemExit, match="needs 5 runs"):
        command.main(["seal", named, str(path.with_name("three.json")), "40", "6000", "--up-to", "2e4"])
