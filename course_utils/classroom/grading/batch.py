"""A batch of submissions, graded in parallel: each is one job and one transaction, and none stops another."""

import ctypes
import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from course_utils.classroom.assignments import Assignment, find_assignment
from course_utils.classroom.grading import caps, cells, errata, verdicts
from course_utils.classroom.grading.store import Standing, Store, Submission
from course_utils.classroom.overlay import Overlay
from course_utils.files import one_form

Result = tuple[str, str, dict]  # status, reason, details
MAX_NAME = 200  # bytes: a page or a folder of that name, with an ending, is still to be made
DIED = "the process that graded it died, perhaps for want of memory"
context: dict = {}  # of a worker


def collect(
    assignment: str,
    folder: Path,
    store: Store,
    names: Mapping[str, str] | None = None,
    lists: Sequence[Path] = (),
) -> tuple[dict[str, Submission], list[str]]:
    """Keep what was handed in: a file or a folder a student, the newest layouts of nbgrader among them.

    FOLDER/STUDENT.ipynb, FOLDER/STUDENT/NAME.ipynb, FOLDER/STUDENT/NAME/NAME.ipynb. Links are noted as such
    and never followed. In a student's folder the notebook of the assignment's name counts; of several other
    files the one that was changed last. One in which nothing is written displaces none in which something is,
    and none that was kept before. `names` says whose a file or folder is that has another name than its
    student; `lists` are the teacher's own files, which nobody has handed in. Returns what was kept, by
    student, and what a teacher should know; raises ValueError if there is no such folder.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ValueError(
            f"{folder} can't be read ({error.strerror}): it holds a folder or a file a student"
        ) from None
    left_out = []
    found: dict[str, list[Path]] = {}
    usual: dict[str, list[Path]] = {}
    for entry in entries:
        path = Path(entry.path)
        listed = not entry.is_symlink() and path.resolve() in lists
        if entry.name.startswith(".") or entry.name == "__MACOSX" or listed:
            continue
        is_folder, named = entry.is_dir(follow_symlinks=False), one_form(entry.name)
        is_notebook = entry.is_symlink() or path.suffix.lower() == ".ipynb" or named in (names or {})
        if not is_folder and not is_notebook:
            left_out.append(entry.name)
            continue
        student = (names or {}).get(named) or cells.storable(named if is_folder else Path(named).stem)
        found.setdefault(student, []).extend(notebooks_in(path, assignment) if is_folder else [path])
        usual.setdefault(student, []).extend(_usual_in(path, assignment) if is_folder else [path])
    kept, remarks, before = {}, [], store.standings(assignment)
    if nowhere := sorted({*(names or {})} - {one_form(entry.name) for entry in entries}):
        remarks.append(f"Named as files, but not in {folder}: {', '.join(nowhere)}.")
    if left_out:
        remarks.append(
            f"Left out, since neither folders nor named .ipynb: {', '.join(left_out)}. --names can say whose "
            "they are."
        )
    for student, paths in found.items():
        if len(student.encode()) > MAX_NAME:
            remarks.append(f"{student[:40]}... is too long a name, and was left out: rename it.")
            continue
        last, said = last_of(student, filled(paths, [], assignment), folder)
        remarks += said
        if last not in usual[student]:
            untouched = [path for path in usual[student] if path not in paths]
            remarks.append(stands_in(student, last, untouched, folder))
        elif last.parent != folder:
            remarks += passed_over(student, last, assignment)
        said, counts_still = blank(student, last, assignment, store, before)
        remarks += said
        if not counts_still:
            kept[student] = store.keep(assignment, student, last)
    return kept, remarks


def blank(
    student: str, file: Path, assignment: str, store: Store, before: Mapping[str, Standing]
) -> tuple[list[str], bool]:
    """What to say if nothing is written in a notebook; and whether one counts still that was kept `before`
    and in which something is."""
    if written(file, assignment) is not False:
        return [], False
    earlier = before.get(student)
    if earlier and written(store.file_of(earlier.submission.sha256), assignment):
        return [f"{student}: nothing is written in {file.name}; what was kept before counts."], True
    return [f"{student}: nothing is written in {file.name}, which counts."], False


def last_of(student: str, paths: list[Path], folder: Path) -> tuple[Path, list[str]]:
    """Of a student's files in a folder the one that was changed last; and what to say if there are others."""
    *others, last = sorted(paths, key=lambda path: (changed(path), path))
    if not others:
        return last, []
    earlier = ", ".join(str(path.relative_to(folder)) for path in others)
    return last, [f"{student} has handed in {last.relative_to(folder)} last; {earlier} does not count."]


def written(path: Path, assignment: str) -> bool | None:
    """Whether something is written in any answer of a notebook, by its tags; None where nobody can tell: a
    tag is lost, or it can't be read. This runs for all files in one process, so no Python is parsed."""
    asked = find_assignment(assignment).asked()
    try:
        found = cells.texts(cells.parse(cells.load(path))[0])
    except cells.Ungradable:
        return None
    tags, functions = {id for id, _ in found}, {answer.id for answer in asked if answer.name}
    if not functions & tags:
        return None

    def plain(source: str) -> str:
        return re.sub(r"\d+", "0", source).strip()  # each student has another constant in the stub

    stubs = {answer.id: plain(answer.stub) for answer in asked}
    if any(plain(source) not in ("", stubs[id]) for id, source in found if id in stubs):
        return True
    return False if functions <= tags else None


def filled(paths: list[Path], others: Iterable[Path], assignment: str) -> list[Path]:
    """Those of a student's notebooks that are not untouched; else those others in which something is written;
    else all of the first."""
    touched = [path for path in paths if written(path, assignment) is not False]
    return touched or [path for path in others if written(path, assignment)] or paths


def stands_in(student: str, counts: Path, untouched: list[Path], folder: Path) -> str:
    """What to say if a notebook counts in place of untouched ones of the usual name or place."""
    names, name = ", ".join(str(path.relative_to(folder)) for path in untouched), counts.relative_to(folder)
    return f"{student}: nothing is written in {names}; {name} counts in its place."


def notebooks_in(folder: Path, assignment: str) -> list[Path]:
    """The notebook in a student's folder, or in nbgrader's folder in that, as `notebooks_at` finds it; if it
    is untouched, those in which something is written, at any depth."""
    inside = (Path(top, name) for top, _, names in os.walk(folder) for name in sorted(names))
    notebooks = (path for path in inside if ".ipynb" in path.name.lower())  # x.ipynb.txt too
    return filled(_usual_in(folder, assignment), notebooks, assignment)


def _usual_in(folder: Path, assignment: str) -> list[Path]:
    inner, named = folder / assignment, folder / f"{assignment}.ipynb"
    within = not os.path.lexists(named) and inner.is_dir() and not inner.is_symlink()
    return notebooks_at(inner if within else folder, assignment)


def notebooks_at(folder: Path, assignment: str) -> list[Path]:
    """The notebook of the assignment's name in a folder, or else all."""
    named = folder / f"{assignment}.ipynb"
    if os.path.lexists(named):
        return [named]
    try:
        others = sorted(Path(folder, name) for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        others = []
    return [path for path in others if path.suffix == ".ipynb"] or others[:1] or [named]


def passed_over(student: str, counts: Path, assignment: str) -> list[str]:
    """What to say if beside the notebook that counts, by its name, others were changed no earlier in which
    something may be written."""
    if counts.name != f"{assignment}.ipynb":
        return []
    others = [path for path in counts.parent.glob("*.ipynb") if changed(path) >= changed(counts)]
    names = sorted(p.name for p in others if p != counts and written(p, assignment) is not False)
    return [
        f"{student}: {counts.name} counts, by its name; {name}, changed no earlier, does not."
        for name in names
    ]


def changed(path: Path) -> float:
    """When a file, or a link itself, was changed; 0 if there is none."""
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0


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
    return f"{seconds // 60:.0f}:{seconds % 60:02.0f}"


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
