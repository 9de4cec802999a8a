"""Run a plan: what its log lacks, in processes on this machine or as jobs of Slurm.

However it ends, by Ctrl-C, by kill -9 or because the power fails, the same call goes on: runs that are in the
log are not made again, and a run that was under way goes on from its checkpoint if its runner keeps one.

A runner is a function of the name in the plan, `package.module:function`, called as

    runner(size, tokens, seed, checkpoint, **options)

which trains one model, with a schedule that ends at `tokens`, and returns at least "n" (parameters), "d"
(tokens that were read), "flops" and "loss" (nats a token), each a number. An ArithmeticError (`training`
raises `Diverged`) is logged as a run that diverged; any other error ends the sweep.
"""

import importlib
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from course_utils.scaling.plans import Plan, PlannedRun, append, read_log, what_is_wrong
from course_utils.scaling.processes import end_after


def sweep(
    plan: Plan,
    processes: int = 1,
    say: Callable[[str], None] = print,
    sign: Callable[[dict], dict] = dict,
) -> int:
    """Make the runs that the log lacks, `processes` at a time; returns how many it made. `sign` gives what is
    written for a line.

    Raises ValueError if another sweep of this log is under way, if the log can't be locked, or if a process
    was killed.
    """
    if processes < 1:
        raise ValueError(f"processes must be at least 1; got {processes}")
    runner_of(plan)  # a wrong name is said before anything starts
    plan.log.parent.mkdir(parents=True, exist_ok=True)
    with _alone(plan.log):
        waiting, made = to_do(plan, say), 0
        for run, result in _results(plan, waiting, processes):
            line = keep(plan, run, result, sign=sign)
            made += 1
            told = what_is_wrong(line) or f"{run.name}, loss {line['loss']:.4f}"
            say(f"{made} of {len(waiting)}: {told}")
    return made


def to_do(plan: Plan, say: Callable[[str], None] = print) -> list[PlannedRun]:
    """The runs that have no line in the log yet; what is wrong with the log is said."""
    log = read_log(plan.log)
    for problem in log.problems:
        say(problem)
    return [run for run in plan.runs if run.name not in log.names]


def keep(
    plan: Plan,
    run: PlannedRun,
    result: dict,
    log: Path | None = None,
    sign: Callable[[dict], dict] = dict,
    **more,
) -> dict:
    """Write a run's line, which ends with `more`, to the plan's log or another, and drop the run's
    checkpoint; returns the line."""
    line = {"run": run.name, "size": run.size, "tokens": run.tokens, "seed": run.seed}
    line = sign(line | dict(run.options) | result | more)
    append(log or plan.log, line)
    checkpoint_of(plan, run).unlink(missing_ok=True)
    return line


def checkpoint_of(plan: Plan, run: PlannedRun) -> Path:
    """Where a run's runner may keep what it has so far."""
    return plan.log.with_name(f"{plan.log.stem}_under_way") / f"{run.name}.safetensors"


def runner_of(plan: Plan) -> Callable[..., dict]:
    """The function that the plan names. Raises ValueError if there is none."""
    module, _, name = plan.runner.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            'the plan\'s runner must be a function, as "package.module:function"; '
            f"got {plan.runner!r}: {error}"
        ) from None


def make(plan: Plan, run: PlannedRun) -> dict:
    """One run, here and now."""
    checkpoint = checkpoint_of(plan, run)
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    try:
        return runner_of(plan)(run.size, run.tokens, run.seed, checkpoint, **dict(run.options))
    except ArithmeticError as error:
        return {"loss": None, "d": 0, "error": str(error)}


def make_and_log(plan: Plan, run: PlannedRun) -> dict:
    """One run and its line in the log: a job of Slurm."""
    return keep(plan, run, make(plan, run))


@contextmanager
def _threads_each(processes: int) -> Iterator[None]:
    """Processes that are started inside get so many threads each that all together keep every core busy."""
    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    os.environ["OMP_NUM_THREADS"] = str(max((os.cpu_count() or 1) // processes, 1))
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]


def _results(plan: Plan, runs: list[PlannedRun], processes: int) -> Iterator[tuple[PlannedRun, dict]]:
    if processes == 1:
        yield from ((run, make(plan, run)) for run in runs)
        return
    context = multiprocessing.get_context("spawn")
    with (
        _threads_each(processes),
        ProcessPoolExecutor(processes, context, initializer=_end_with_parent) as pool,
    ):
        futures, error = {pool.submit(make, plan, run): run for run in runs}, None
        try:
            while futures:
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    run = futures.pop(future)
                    if not future.exception():
                        yield run, future.result()
                    elif not error:  # what others have begun is still to be logged; nothing more is begun
                        error = future.exception()
                        futures = {other: its for other, its in futures.items() if not other.cancel()}
        finally:
            pool.shutdown(cancel_futures=True)
    if isinstance(error, BrokenProcessPool):
        raise ValueError(
            "a process of the sweep was killed (too little memory?): what is done is kept; start it "
            "again, with fewer processes"
        )
    if error:
        raise error


def _end_with_parent() -> None:
    """When the sweep is killed its processes must end too: the next one makes their runs."""
    end_after(multiprocessing.parent_process().join)


class _alone:
    """Two sweeps of one log would make the same runs. The lock ends with its process, also by a kill."""

    def __init__(self, log: Path):
        self.log, self.lock = log, FileLock(f"{log}.sweep.lock")

    def __enter__(self) -> None:
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            raise ValueError(f"another sweep is writing {self.log.name}: wait for it, or stop it") from None
        except NotImplementedError:
            raise ValueError(
                f"can't lock {self.log.name}, which keeps a second sweep out: put it on another disk"
            ) from None

    def __exit__(self, *_) -> None:
        self.lock.release()
