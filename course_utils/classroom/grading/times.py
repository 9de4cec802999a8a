"""When a file was received. Its own date says nothing, since whoever has the file can set it.

The store notes when `grade` first kept a file. Where students hand in elsewhere that is too late, and a
teacher names who knows better: a CSV file out of the learning platform, or nbgrader's `timestamp.txt`.
"""

from datetime import UTC, datetime
from pathlib import Path

from course_utils.classroom.grading import cells
from course_utils.classroom.grading.store import Store, Submission
from course_utils.classroom.handing_out import column_of_names
from course_utils.files import by_heading, one_form, read_spreadsheet

STAMP = "timestamp.txt"
NBGRADER = "nbgrader"  # in place of a CSV file


def note(store: Store, kept: dict[str, Submission], folder: Path, source: str) -> list[str]:
    """Note when what was collected from `folder` was received, by `source`: NBGRADER, or a CSV file's name.

    Returns what a teacher should know: whose time is not known, so that ours counts. Raises ValueError, and
    notes nothing, for a CSV file that can't be read.
    """
    if source == NBGRADER:
        known, remarks = _stamps(folder, kept)
    else:
        times = read_times(Path(source))
        known = {student: times[student] for student in kept if student in times}
        others = ", ".join(student for student in kept if student not in known)
        remarks = [f"Not in {source}, so that when `grade` kept the file counts: {others}."] * bool(others)
    store.receive([(kept[student], received, Path(source).name) for student, received in known.items()])
    return remarks


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


def _stamps(folder: Path, kept: dict[str, Submission]) -> tuple[dict[str, datetime], list[str]]:
    """What nbgrader's `collect` has laid beside each student's notebook."""
    known, others, folders = {}, [], {one_form(path.name): path for path in folder.iterdir()}
    for student, submission in kept.items():
        stamp = folders.get(student, folder / student) / submission.assignment / STAMP
        try:
            text = cells.load(stamp).decode("ascii").strip()  # 2026-12-04 22:58:23.948203 UTC
            known[student] = _moment(text.replace(" UTC", "+00:00"), STAMP)
        except ValueError:
            others.append(student)
    said = f"Without {STAMP} in UTC, so that when `grade` kept the file counts: {', '.join(others)}."
    return known, [said] * bool(others)


def _moment(text: str, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the latter in the year 9999
        pass
    raise ValueError(
        f"{where}: {text[:60]!r} is no time with a zone; write it as 2026-12-04T22:59:00Z or "
        "2026-12-04T23:59:00+01:00"
    )
