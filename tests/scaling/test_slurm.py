"""A plan goes to Slurm as one array of jobs. The sbatch of these tests only keeps what it is given."""

import re
import stat

import pytest

from course_utils.scaling import __main__ as command
from course_utils.scaling import slurm
from course_utils.scaling.plans import read_log, read_plan, read_runs
from course_utils.scaling.sweep import sweep

PLAN = """
runner = "toy_runner:run"
log = "runs.jsonl"
[[runs]]
seeds = [0, 1]
tokens = { 10 = 1_000, 20 = 500 }
"""
SETTINGS = slurm.read_settings(slurm.EXAMPLE)
SBATCH = '#!/bin/sh\ncp "$1" "{}"\necho Submitted batch job 77\n'


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "plan.toml").write_text(PLAN)
    return read_plan(tmp_path / "plan.toml")


@pytest.fixture
def sbatch(tmp_path, monkeypatch):
    """Where the script lies that Slurm would have got."""
    programs, script = tmp_path / "bin", tmp_path / "submitted.sh"
    programs.mkdir()
    for name in ("sbatch", "srun", "sacct", "scancel"):
        (programs / name).write_text(SBATCH.format(script))
        (programs / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return script


def test_a_dry_run_says_what_would_be_submitted_and_submits_nothing(plan, capsys, sbatch):
    command.main(["sweep", str(plan.log.with_name("plan.toml")), "--slurm", str(slurm.EXAMPLE), "--dry-run"])
    said = capsys.readouterr().out
    assert said.startswith("4 of 4 runs to submit as one array, with name=scaling, timeout_min=240,")
    assert [line.strip() for line in said.splitlines()[1:]] == [run.name for run in plan.runs]
    assert not sbatch.exists() and not plan.log.exists()


def test_slurm_gets_one_array_with_the_settings(plan, sbatch):
    jobs = slurm.submit(plan, SETTINGS, say=list, cluster="slurm")
    script = sbatch.read_text()
    assert [job.job_id for job in jobs] == [f"77_{i}" for i in range(4)]
    for option in ("array=0-3%4", "cpus-per-task=4", "mem=8GB", "partition=main", "time=240"):
        assert re.search(rf"^#SBATCH --{option}$", script, re.MULTILINE), option


def test_what_sbatch_refuses_is_a_sentence(plan, sbatch):
    (sbatch.parent / "bin" / "sbatch").write_text(
        "#!/bin/sh\necho sbatch: error: invalid partition >&2\nexit 1\n"
    )
    with pytest.raises(ValueError, match=r"submitit refuses: sbatch: error: invalid partition"):
        slurm.submit(plan, SETTINGS, say=list, cluster="slurm")


def test_each_job_makes_one_run_that_the_log_lacks(plan):
    first = read_plan(plan.log.with_name("plan.toml"))
    sweep(first, say=list)
    plan.log.write_bytes(b"\n".join(plan.log.read_bytes().splitlines()[:3])[:-20])  # two whole lines, one cut
    said = []
    jobs = slurm.submit(plan, SETTINGS, say=said.append, cluster="debug")
    assert [job.result()["run"] for job in jobs] == ["20-500-0", "20-500-1"]
    assert "line 3: cut off" in said[0] and said[1].startswith("2 of 4 runs submitted")
    assert [line["run"] for line in read_runs(plan.log)] == [run.name for run in plan.runs]
    assert slurm.submit(plan, SETTINGS, say=said.append) == [] and "0 of 4" in said[-1]
    assert len(read_log(plan.log).problems) == 1


def test_settings_that_are_none(plan, tmp_path):
    (tmp_path / "empty.toml").touch()
    (tmp_path / "odd.toml").write_text("name: scaling")
    for name, sentence in {"empty": "empty.toml is empty", "odd": "odd.toml is no TOML"}.items():
        with pytest.raises(ValueError, match=re.escape(sentence)):
            slurm.read_settings(tmp_path / f"{name}.toml")
    with pytest.raises(ValueError, match="submitit refuses"):
        slurm.submit(plan, {"minutes": 3}, say=list, cluster="debug")
