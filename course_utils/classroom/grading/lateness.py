"""What lateness costs: `term.toml` in a teacher's overlay, read anew whenever a grade is shown.

    [ngrams]
    deadline = 2026-12-04T23:59:00+01:00   # with its distance from UTC
    grace_minutes = 15                     # so late is still in time
    percent_a_day = 10                     # of the points earned, for each day begun since the deadline
    at_most_percent = 50                   # and never more than this

    [ngrams.extensions]
    ada = { until = 2026-12-11T23:59:00+01:00, reason = "ill" }

Nothing of it is kept with the grades: a deadline that moves changes them at once, and nothing is graded
again.
"""

import tomllib
from collections.abc import Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from course_utils.classroom.assignments import NAMES
from course_utils.files import one_form

FILE = "term.toml"
NUMBERS = {"grace_minutes": 10080, "percent_a_day": 100, "at_most_percent": 100}  # the most of each
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
EXAMPLE = """\
# Deadlines, and what lateness costs. Without a table for an assignment it costs nothing.
#
# [ngrams]
# deadline = 2026-12-04T23:59:00+01:00   # with its distance from UTC
# grace_minutes = 15                     # so late is still in time
# percent_a_day = 10                     # of the points earned, for each day begun since the deadline
# at_most_percent = 50                   # and never more than this
#
# [ngrams.extensions]                    # the reason is for you: no page and no export shows it
# ada = { until = 2026-12-11T23:59:00+01:00, reason = "ill" }
# # what has more than letters from a to z, digits, - and _ stands in quotation marks:
# "alan@school.org" = { until = 2026-12-06T12:00:00+01:00, reason = "network down" }
"""


@dataclass(frozen=True)
class Late:
    """What lateness takes off, in percent of the points earned, and the sentence that says so."""

    percent: float = 0
    sentence: str = ""

    def of(self, points: float) -> float:
        """What is left of so many points."""
        return points * (100 - self.percent) / 100


NOT_LATE = Late()


@dataclass(frozen=True)
class Policy:
    """Of one assignment. Without a deadline nothing is late."""

    deadline: datetime | None = None
    grace: timedelta = timedelta()
    percent_a_day: float = 0
    at_most_percent: float = 100
    extensions: dict[str, datetime] = field(default_factory=dict)

    def late(self, student: str, received: datetime) -> Late:
        """How late is what was received then?"""
        if not self.deadline:
            return NOT_LATE
        due = self.extensions.get(student, self.deadline)
        said = f"due {due:%Y-%m-%d %H:%M} ({due:%Z})" + ", by an extension" * (student in self.extensions)
        over = received - due
        if over <= self.grace:
            return Late(0, f"In time: {said}.")
        percent = min(self.at_most_percent, -(-over // DAY) * self.percent_a_day)
        cost = f"{percent:g} % less" if percent else "which costs nothing"
        return Late(percent, f"{_duration(over)} late, {cost}: {said}.")


def _duration(time: timedelta) -> str:
    minutes = -(-time // MINUTE)
    parts = {"d": minutes // 1440, "h": minutes // 60 % 24, "min": minutes % 60}
    return " ".join(f"{number} {unit}" for unit, number in parts.items() if number)


def read(folder: Path, assignment: str, students: Set[str]) -> Policy:
    """The policy in an overlay's folder. `students` are those who can be named; empty: anybody.

    Raises ValueError, in one sentence, for what the file can't mean.
    """
    file = folder / FILE
    try:
        term = tomllib.loads(one_form(file.read_text("utf-8-sig")))
    except FileNotFoundError:
        return Policy()
    except tomllib.TOMLDecodeError as error:
        raise ValueError(
            f"{file} can't be read: {error}. A name such as rené or alan@school.org, with more than "
            'letters from a to z, digits, - and _, stands in quotation marks: "rené" = { ... }'
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} can't be read: {error}") from None
    if unknown := sorted(term.keys() - {*NAMES}):
        raise ValueError(f"{file}: there is no assignment {unknown[0]!r}; there are {', '.join(NAMES)}")
    table = term.get(assignment)
    if table is None:
        return Policy()
    where = f"{file}, [{assignment}]"
    _only(table, {"deadline", "extensions", *NUMBERS}, where)
    deadline = _moment(table.get("deadline"), f"{where}: deadline")
    numbers = {
        name: _number(table[name], most, f"{where}: {name}")
        for name, most in NUMBERS.items()
        if name in table
    }
    extended = table.get("extensions", {})
    where = f"{file}, [{assignment}.extensions]"
    _only(extended, students or {*extended}, where, "student")
    extensions = {}
    for student, extension in extended.items():
        if not isinstance(extension, dict):
            raise ValueError(
                f"{where}: {student} is {extension}; write when and why: "
                f'"{student}" = {{ until = 2026-12-11T23:59:00+01:00, reason = "ill" }}'
            )
        _only(extension, {"until", "reason"}, f"{where}: {student}")
        until = extensions[student] = _moment(extension.get("until"), f"{where}: {student}, until")
        if until < deadline:
            raise ValueError(
                f"{where}: {student} is due before the others; an extension ends after the deadline"
            )
        if not (isinstance(reason := extension.get("reason"), str) and reason.strip()):
            raise ValueError(f'{where}: the extension of {student} has no reason; write reason = "..."')
    grace = numbers.pop("grace_minutes", 0) * MINUTE
    return Policy(deadline, grace, extensions=extensions, **numbers)


def _only(table: dict, names: Set[str], where: str, what: str = "entry") -> None:
    if not isinstance(table, dict):
        raise ValueError(f"{where} is {table!r}; it is a table, as in the guide's example")
    if unknown := sorted(table.keys() - names):
        raise ValueError(f"{where}: there is no {what} {unknown[0]!r}; there are {', '.join(sorted(names))}")


def _moment(value: object, where: str) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        said = "is missing" if value is None else f"{value} has no zone"
        said = f"{value!r} stands in quotation marks" if isinstance(value, str) else said
        raise ValueError(
            f"{where} {said}; write a date, a time and its distance from UTC, without quotation "
            "marks, as in 2026-12-04T23:59:00+01:00"
        )
    return value


def _number(value: object, most: float, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{where} is {value!r}; it is a number from 0 to {most}")
    return value
