"""A plan runs to its end whatever happens on the way, and its log says what happened."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from course_utils.scaling import __main__ as command
from course_utils.scaling import fit_law
from course_utils.scaling.plans import append, read_log, read_plan, read_runs
from course_utils.scaling.sweep import _threads_each, checkpoint_of, sweep

HERE = Path(__file__).parent
PLAN = """
runner = "toy_runner:run"
log = "runs.jsonl"

[[runs]]
seeds = [0, 1]
tokens = { 10 = 1_000, 20 = 500, 40 = 4_000 }
"""


def planned(folder, text=PLAN):
    (folder / "plan.toml").write_text(text)
    return read_plan(folder / "plan.toml")


def test_every_run_is_made_once_and_logged(tmp_path):
    plan, said = planned(tmp_path), []
    assert sweep(plan, say=said.append) == 6 and len(said) == 6
    lines = [json.loads(line) for line in plan.log.read_text().splitlines()]
    assert [line["run"] for line in lines] == [run.name for run in plan.runs]
    assert (
        lines[1] | {"run": "10-1000-1", "size": "10", "tokens": 1000, "seed": 1, "n": 10, "d": 1000}
        == lines[1]
    )
    assert sweep(plan, say=said.append) == 0 and len(said) == 6  # all are there


def test_a_longer_plan_only_makes_what_is_new(tmp_path):
    before = planned(tmp_path)
    sweep(before, say=list)
    after = planned(tmp_path, PLAN + "\n[[runs]]\nseeds = [5]\ntokens = { 80 = 100 }\npause = 0.0\n")
    assert sweep(after, say=list) == 1
    assert after.sha256 != before.sha256 == planned(tmp_path, PLAN + "\n# a remark").sha256
    assert read_runs(after.log)[-1] | {"run": "80-100-5-pause=0.0", "pause": 0.0} == read_runs(after.log)[-1]


def test_the_command_takes_another_log(tmp_path, capsys):
    plan, log = planned(tmp_path), tmp_path / "mine" / "own.jsonl"
    command.main(["sweep", str(tmp_path / "plan.toml"), "--log", str(log)])
    assert capsys.readouterr().out.splitlines()[-1] == "6 runs made; all 6 are in own.jsonl"
    assert len(read_runs(log)) == 6 and not plan.log.exists()


def test_processes_do_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ["PYTHONPATH"]]))
    (tmp_path / "two").mkdir()
    one, two = planned(tmp_path), planned(tmp_path / "two")
    sweep(one, say=list)
    sweep(two, processes=2, say=list)
    by_name = [sorted(read_runs(plan.log), key=lambda line: line["run"]) for plan in (one, two)]
    assert by_name[0] == by_name[1]


def test_a_mistake_in_one_process_loses_no_run_of_the_others(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ["PYTHONPATH"]]))
    broken = "\n[[runs]]\nseeds = [0]\ntokens = { broken = 100 }\n"
    head = PLAN.split("[[runs]]")[0]
    slow = "\n[[runs]]\nseeds = [7]\ntokens = { 90 = 100 }\npause = 1.0\n"
    plan = planned(tmp_path, head + slow + broken)
    with pytest.raises(RuntimeError, match="a mistake in the runner"):
        sweep(plan, processes=2, say=list)
    assert [line["run"] for line in read_runs(plan.log)] == ["90-100-7-pause=1.0"]


def test_a_half_written_line_is_named_and_its_run_made_again(tmp_path):
    plan, said = planned(tmp_path), []
    sweep(plan, say=list)
    whole = plan.log.read_bytes()
    for cut in (1, 30, len(whole.splitlines()[-1])):
        plan.log.write_bytes(whole[:-cut])
        assert sweep(plan, say=said.append) == (cut > 1)  # of one byte less only the line's end is gone
        if cut == 30:
            assert "line 6: cut off or damaged" in said[0] and "cut off" in read_log(plan.log).problems[0]
        assert [line["run"] for line in read_runs(plan.log)] == [run.name for run in plan.runs]
    plan.log.write_bytes(whole + whole.splitlines(keepends=True)[2])  # from two machines, say
    assert len(read_runs(plan.log)) == 6
    assert "line 7: the run 20-500-0 again" in read_log(plan.log).problems[0]


def test_what_comes_after_a_cut_line_stands_on_its_own(tmp_path):
    log = tmp_path / "runs.jsonl"
    log.write_bytes(b'{"run": "a", "lo')
    append(log, {"run": "b"})
    assert log.read_bytes() == b'{"run": "a", "lo\n{"run": "b"}\n' and read_log(log).names == {"b"}


def test_a_line_of_no_run_is_named_and_left_out(tmp_path):
    log = tmp_path / "runs.jsonl"
    for damaged in (b'{"run": ["a"]}', b'{"run": {}}', b'{"run": 1}', b'["run"]', b"[" * 100_000):
        log.write_bytes(damaged + b'\n{"run": "b"}\n')
        assert read_log(log).names == {"b"} and "line 1: cut off or damaged" in read_log(log).problems[0]


def test_what_diverged_or_was_cut_off_is_named_and_left_out_on_request_only(tmp_path):
    more = "\n[[runs]]\nseeds = [0]\ntokens = { 80 = 100, 160 = 100, wild = 10, 13 = 100 }\n"
    plan, said = planned(tmp_path, PLAN + more), []
    sweep(plan, say=said.append)
    assert said[-2:] == [
        "9 of 10: wild-10-0 diverged: step 3: the loss is nan",
        "10 of 10: 13-100-0 was cut off after 50 of 100 tokens, before its learning rate had fallen",
    ]
    with pytest.raises(ValueError, match=r"wild-10-0 diverged.*; 13-100-0 was cut off.*leave_out=True"):
        read_runs(plan.log)
    runs = read_runs(plan.log, leave_out=True)
    assert len(runs) == 8
    assert fit_law(*([run[key] for run in runs] for key in ("n", "d", "loss")), starts=1).E > 0


def test_a_line_that_lacks_a_number_is_named(tmp_path):
    log = tmp_path / "runs.jsonl"
    line = {"run": "a", "n": 10, "d": 100, "tokens": 100, "loss": 3.0}
    for key in ("n", "d", "tokens", "loss"):
        for damaged in ({k: v for k, v in line.items() if k != key}, line | {key: "3"}):
            log.write_text(json.dumps(line | {"run": "b"}) + "\n" + json.dumps(damaged) + "\n")
            with pytest.raises(ValueError, match=f"a has no number for {key}: its line is damaged"):
                read_runs(log)
            assert [run["run"] for run in read_runs(log, leave_out=True)] == ["b"]


def test_a_mistake_in_the_runner_ends_the_sweep_and_keeps_what_is_done(tmp_path):
    plan = planned(tmp_path, PLAN + "\n[[runs]]\nseeds = [0]\ntokens = { broken = 10 }\n")
    with pytest.raises(RuntimeError, match="a mistake"):
        sweep(plan, say=list)
    assert len(read_runs(plan.log)) == 6


def test_two_sweeps_of_one_log_are_refused(tmp_path):
    plan = planned(tmp_path)
    with FileLock(f"{plan.log}.sweep.lock"), pytest.raises(ValueError, match="another sweep is writing"):
        sweep(plan, say=list)
    assert sweep(plan, say=list) == 6


def test_a_disk_without_locks(tmp_path, monkeypatch):
    def missing(lock, timeout):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", missing)
    with pytest.raises(ValueError, match=r"can't lock runs\.jsonl, .*: put it on another disk"):
        sweep(planned(tmp_path), say=list)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda plan: "runner = ", "plan.toml is no TOML"),
        (lambda plan: plan.replace("log", "lag"), 'needs a line `log = "..."`'),
        (lambda plan: plan.split("[[runs]]")[0], "plan.toml is empty"),
        (lambda plan: plan.split("[[runs]]")[0] + "[runs]\nseeds = [0]", r"write \[\[runs\]\], with two"),
        (lambda plan: plan.replace("[0, 1]", "[]"), "plan.toml is empty"),
        (lambda plan: plan.replace("[0, 1]", "3"), "got seeds = 3"),
        (lambda plan: plan.replace("500", "0"), "above 0"),
        (lambda plan: plan.replace("tokens = { 10", "tokens = {} # {"), "got seeds = .* and tokens = {}"),
        (lambda plan: plan.replace("500", "0.5"), "whole numbers"),
        (lambda plan: plan.replace("[0, 1]", "[1, 1]"), "more than once: 10-1000-1, 20-500-1"),
        (lambda plan: plan.replace("toy_runner:run", "toy_runner:walk"), "got 'toy_runner:walk'"),
        (lambda plan: plan.replace("toy_runner:run", "run"), "the plan's runner must be a function"),
    ],
)
def test_a_plan_that_is_none(tmp_path, change, sentence):
    (tmp_path / "plan.toml").write_text(change(PLAN))
    with pytest.raises(SystemExit, match=sentence):
        command.main(["sweep", str(tmp_path / "plan.toml")])


def test_a_log_without_runs_is_said(tmp_path):
    with pytest.raises(ValueError, match="has no run that came to its end"):
        read_runs(tmp_path / "nothing.jsonl")
    with pytest.raises(ValueError, match="processes must be at least 1; got 0"):
        sweep(planned(tmp_path), processes=0)


KILLS = 20 if os.environ.get("COURSE_FULL") else 3


def killed_and_resumed(folder, processes):
    """The plan of a sweep that ran in another process, was killed KILLS times without a warning, and begun
    again each time; at last it ran to its end."""
    count = folder / "starts"
    count.mkdir()
    more = f'pause = 0.05\ncount = "{count}"\n'
    plan, generator = planned(folder, PLAN.replace("[0, 1]", "[0, 1, 2, 3, 4, 5]") + more), random.Random(0)
    run = [sys.executable, "-m", "course_utils.scaling", "sweep", str(folder / "plan.toml")]
    run += ["--processes", str(processes)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ["PYTHONPATH"]])}
    for _ in range(KILLS):
        started, before = len(list(count.iterdir())), time.monotonic()
        sweeping = subprocess.Popen(run, env=environment, stdout=subprocess.DEVNULL)
        while sweeping.poll() is None and len(list(count.iterdir())) == started:
            assert time.monotonic() < before + 120
            time.sleep(0.01)
        time.sleep(generator.uniform(0, 0.2))  # somewhere between its start and a few runs later
        sweeping.send_signal(signal.SIGKILL)
        sweeping.wait()
    subprocess.run(run, env=environment, check=True, stdout=subprocess.DEVNULL)
    return plan


@pytest.mark.parametrize("processes", [1, 2])
def test_no_kill_loses_a_run_or_counts_one_twice(tmp_path, processes):
    plan = killed_and_resumed(tmp_path, processes)
    names = [json.loads(line)["run"] for line in plan.log.read_text().splitlines()]
    assert sorted(names) == sorted(run.name for run in plan.runs)
    sums = sorted((run["size"], run["tokens"], run["seed"], run["loss"]) for run in read_runs(plan.log))
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    undisturbed = planned(quiet, PLAN.replace("[0, 1]", "[0, 1, 2, 3, 4, 5]"))
    sweep(undisturbed, say=list)
    assert sums == sorted((r["size"], r["tokens"], r["seed"], r["loss"]) for r in read_runs(undisturbed.log))


def test_a_sweep_that_forgets_its_log_fails_that_test(tmp_path, monkeypatch):
    """The wrong variant: what is done is made again."""
    plan = planned(tmp_path)
    sweep(plan, say=list)
    monkeypatch.setattr("course_utils.scaling.sweep.to_do", lambda plan, say: list(plan.runs))
    sweep(plan, say=list)
    names = [json.loads(line)["run"] for line in plan.log.read_text().splitlines()]
    assert sorted(names) != sorted(run.name for run in plan.runs)
    assert len(read_log(plan.log).problems) == 6  # and reading counts each once all the same


def test_a_checkpoint_is_gone_when_its_run_is_logged(tmp_path):
    plan = planned(tmp_path)
    checkpoint = checkpoint_of(plan, plan.runs[0])
    checkpoint.parent.mkdir()
    checkpoint.touch()
    sweep(plan, say=list)
    assert not checkpoint.exists()


def test_the_threads_of_a_sweeps_processes_are_no_later_ones(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with _threads_each(2):
        assert os.environ["OMP_NUM_THREADS"] == str(max((os.cpu_count() or 1) // 2, 1))
    assert "OMP_NUM_THREADS" not in os.environ
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with _threads_each(2):
        assert os.environ["OMP_NUM_THREADS"] == "3"
