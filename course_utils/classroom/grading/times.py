"""When a file was received. Its own date says nothing, since whoever has the file can set it.

The store notes when `grade` first kept a file. Where students hand in elsewhere that is too late, and a
teacher names who knows better: a CSV file out of the learning platform, or nbgrader's `timestamp.txt`.
"""

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from course_utils.classroom.grading import cells
from course_utils.classroom.grading.store import OURS, Store, Submission
from course_utils.classroom.handing_out import column_of_names
from course_utils.files import by_heading, one_form, read_spreadsheet

STAMP = "timestamp.txt"
NBGRADER = "nbgrader"  # in place of a CSV file


def note(store: Store, kept: dict[str, Submission], folder: Path, source: str) -> list[str]:
    """Note when what was collected from `folder` was received, by `source`: NBGRADER, or a CSV file's name.

    Returns what a teacher should know: whose time is not known, so that ours counts, or the one that was
    noted before. Raises ValueError, and notes nothing, for a CSV file that can't be read.
    """
    if source == NBGRADER:
        known, lacking = _stamps(folder, kept), f"Without {STAMP} in UTC, or with one in the future"
    else:
        times = read_times(Path(source))
        known = {student: times[student] for student in kept if student in times}
        lacking = f"Not in {source}"
    before, others = noted(store, kept), [student for student in kept if student not in known]
    counts = {
        "when `grade` kept the file counts": [name for name in others if name not in before],
        "the time that was noted before stays": [name for name in others if name in before],
    }
    store.receive([(kept[student], received, Path(source).name) for student, received in known.items()])
    return [f"{lacking}, so that {what}: {', '.join(names)}." for what, names in counts.items() if names]


def noted(store: Store, kept: dict[str, Submission]) -> list[str]:
    """For whose files a time counts that somebody has named."""
    received = store.received()
    return [student for student, submission in kept.items() if received[submission.id][1] != OURS]


def read_times(file: Path) -> dict[str, datetime]:
    """{student: when} of a CSV file with the columns `student` and `received`. Raises ValueError."""
    try:
        columns, lines = read_spreadsheet(file)
    except ValueError as error:
        raise ValueError(f"{error}, or the word {NBGRADER}") from None
    names = by_heading(columns)
    student = column_of_names(columns)
    if student is None or "received" not in names:
        raise ValueError(
            f"{file} needs the columns `student` and `received`; it has {', '.join(names) or 'none'}"
        )
    times = {}
    for line in lines.values():
        name, said = line[student].strip(), line[names["received"]].strip()
        if name in times:
            raise ValueError(f"{name} stands more than once in {file}: say when the last file came")
        if said:  # who has handed in nothing may stand there too
            times[name] = _moment(said, f"{file}, {name}")
    return times


def _stamps(folder: Path, kept: dict[str, Submission]) -> dict[str, datetime]:
    """What nbgrader's `collect` has laid beside each student's notebook."""
    known, folders = {}, {one_form(path.name): path for path in folder.iterdir()}
    for student, submission in kept.items():
        stamp = folders.get(student, folder / student) / submission.assignment / STAMP
        with contextlib.suppress(ValueError):
            text = cells.load(stamp).decode("ascii").strip()  # 2026-12-04 22:58:23.948203 UTC
            known[student] = _moment(text.replace(" UTC", "+00:00"), STAMP)
    return known


def _moment(text: str, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if not moment.tzinfo:
            raise ValueError
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter in the year 9999
        raise ValueError(
            f"{where}: {text[:60]!r} is no time with a zone; write it as 2026-12-04T22:59:00Z or "
            "2026-12-04T23:59:00+01:00"
        ) from None
    if moment > latest():
        raise ValueError(f"{where}: {text[:60]!r} is in the future, by this machine's clock: correct it")
    return moment


def latest() -> datetime:
    """The last moment at which anything can have been received; clocks may differ by an hour."""
    return datetime.now(UTC) + timedelta(hours=1)
