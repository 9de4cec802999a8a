"""A batch of submissions, graded in parallel: each is one job and one transaction, and none stops another."""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from course_utils.classroom.assignments import Assignment, find_assignment
from course_utils.classroom.grading import caps, cells, errata, verdicts
from course_utils.classroom.grading.store import Store, Submission
from course_utils.classroom.overlay import Overlay

Result = tuple[str, str, dict]  # status, reason, details
DIED = "the process that graded it died, perhaps for want of memory"
context: dict = {}  # of a worker


def grade_one(
    assignment: Assignment,
    overlay: Overlay,
    store: Store,
    submission: Submission,
    unsafe: bool = False,
    user: int | None = None,
) -> Result:
    """Grade a submission; never raises. What is no fault of its author's is an infra_error. `user` is for
    where there can be no sandbox, as `sandbox.run` says."""
    try:
        content = store.content(submission)
        answers = cells.read(content, assignment.asked(), assignment.prelude)
        known = errata.of(assignment, store)
        marks = errata.marks(
            assignment, overlay, submission, answers.sources, known, unsafe=unsafe, user=user
        )
    except cells.Ungradable as error:
        return "ungradable", str(error), {}
    except Exception as error:
        return "infra_error", f"{type(error).__name__}: {error}"[:2000], {}
    stopped = [f"{mark.title}: {mark.sentence}" for mark in marks if not mark.ran]
    details = verdicts.summary(marks) | {
        "notices": [*answers.notices, *_changed(assignment, overlay, submission.student, content)],
        "written": {id: answers.sources.get(id, "") for id in assignment.written()},
        "caps": "unsafe" if unsafe else caps.kind(),
        "errata": known[-1].id if known else 0,
    }
    return ("partial" if stopped else "graded"), " ".join(stopped), details


def _changed(assignment: Assignment, overlay: Overlay, student: str, content: bytes) -> list[str]:
    """Say which tests and points in a notebook are not those that its author was given."""
    given = overlay.released(assignment.name, overlay.given_to(assignment.name, student))
    try:
        before, after = (cells.tagged(cells.parse(each)[0]) for each in (given.read_bytes(), content))
    except (OSError, cells.Ungradable):  # ours is not there, or not whole: a notice must not cost a grade
        return []
    found = []
    for id, cell in before.items():
        now = after.get(id, cell)
        if id.endswith("-tests") and now["source"] != cell["source"]:
            found.append(f"The cell {id} is not as it was handed out; that changes nothing: ours counts.")
        if now["points"] != cell["points"]:
            found.append(
                f"The points of {id} are not as they were handed out; that changes nothing: ours count."
            )
    return found


def grade_all(
    assignment: Assignment,
    overlay: Overlay,
    store: Store,
    *,
    workers: int | None = None,
    unsafe: bool = False,
    say: Callable[[str], None] = print,
) -> dict[str, int]:
    """Grade what is pending, and note each result as it comes; return how many have which status."""
    round = store.round(assignment.name)
    pending, counts, start = store.pending(assignment.name, round), {}, time.monotonic()
    if pending:
        say(f"{len(pending)} to grade, with {workers or os.cpu_count()} at a time.")
    results = results_of(
        pending, _work, workers or os.cpu_count() or 1, (str(overlay.folder), assignment.name, unsafe)
    )
    for number, (submission, result) in enumerate(results, start=1):
        status, reason, _ = result
        left = (time.monotonic() - start) / number * (len(pending) - number)
        told = f"{status}: {reason}" if status in ("ungradable", "infra_error") else status
        if store.record(submission, round, *result):
            counts[status] = counts.get(status, 0) + 1
        else:
            told = "not noted, since another grader, an erratum or a deletion came first"
        line = f"{number} of {len(pending)}, {_minutes(left)} left. {submission.student}: {told}"
        say(cells.printable(line))
    return counts


def _minutes(seconds: float) -> str:
    return "{}:{:02}".format(*divmod(round(seconds), 60))


def results_of(
    pending: list[Submission], work: Callable[[Submission], Result], workers: int, settings: tuple
) -> Iterator[tuple[Submission, Result]]:
    """What `work` makes of each in processes of their own, as it comes. If one of these dies, all that is
    left goes one at a time: then it is known whose submission killed it."""
    todo = list(pending)
    while todo:
        spawn = multiprocessing.get_context("spawn")  # a fork would copy the database's connection
        pool = ProcessPoolExecutor(min(workers, len(todo)), spawn, initializer=_begin, initargs=settings)
        try:
            jobs = {pool.submit(work, submission): submission for submission in todo}
            for job in as_completed(jobs):
                result = job.result()
                todo.remove(jobs[job])
                yield jobs[job], result
        except BrokenProcessPool:
            if workers == 1:
                yield todo.pop(0), ("infra_error", DIED, {})
            workers = 1
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(folder: str, assignment: str, unsafe: bool) -> None:
    """Set a worker up; it dies with its parent, and so does the sandbox that it runs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != multiprocessing.parent_process().pid:
            os._exit(1)  # it was killed while this one started, and the signal comes no more
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    overlay = Overlay(Path(folder))
    context.update(
        assignment=find_assignment(assignment), overlay=overlay, store=overlay.store(), unsafe=unsafe
    )


def _work(submission: Submission) -> Result:
    return grade_one(
        context["assignment"], context["overlay"], context["store"], submission, context["unsafe"]
    )
