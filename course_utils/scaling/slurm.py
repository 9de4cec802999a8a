"""A plan as jobs of Slurm, by submitit: for many GPUs or machines that share a disk.

A file of settings goes to submitit as it is: `slurm.toml` beside this module is an example. Each run that the
log lacks is one job of an array. It writes its own line, under a lock of the file; a job that was lost has
none, and the next call submits it again. That call knows nothing of jobs that still wait or run, and submits
them too: make it when there are none.
"""

import tomllib
from pathlib import Path

from course_utils.scaling.plans import Plan
from course_utils.scaling.sweep import make_and_log, runner_of, to_do

EXAMPLE = Path(__file__).with_name("slurm.toml")


def read_settings(path: str | Path) -> dict:
    """What submitit's `update_parameters` takes. Raises ValueError for a file that is no TOML or is empty."""
    try:
        settings = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{Path(path).name} is no TOML: {error}") from None
    if not settings:
        raise ValueError(
            f"{Path(path).name} is empty; {EXAMPLE.name} of `course_utils.scaling` is an example"
        )
    return settings


def submit(plan: Plan, settings: dict, dry_run: bool = False, say=print, cluster: str | None = None) -> list:
    """Submit the runs that the log lacks, and return submitit's jobs; a dry run only says what it would do.

    cluster: "slurm", "local" (processes on this machine), "debug" (here and now), or what submitit finds.
    Raises ValueError if submitit isn't installed or refuses the settings.
    """
    runner_of(plan)
    runs = to_do(plan, say)
    settings_said = ", ".join(f"{name}={value}" for name, value in settings.items())
    if dry_run or not runs:
        say(f"{len(runs)} of {len(plan.runs)} runs to submit as one array, with {settings_said}")
        for run in runs:
            say(f"  {run.name}")
        return []
    try:
        import submitit
    except ImportError:
        raise ValueError("submitit is not installed: `python -m pip install submitit`") from None
    plan.log.parent.mkdir(parents=True, exist_ok=True)
    try:
        executor = submitit.AutoExecutor(plan.log.with_name(f"{plan.log.stem}_jobs"), cluster)
        executor.update_parameters(**settings)
        with executor.batch():  # at whose end sbatch is called
            jobs = [executor.submit(make_and_log, plan, run) for run in runs]
    except (RuntimeError, ValueError, NameError, TypeError) as error:
        raise ValueError(f"submitit refuses: {error}") from None
    say(f"{len(jobs)} of {len(plan.runs)} runs submitted; their lines come to {plan.log.name}")
    return jobs
