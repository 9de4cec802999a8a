"""What was handed in and what came of it: files kept byte for byte, and an append-only SQLite database.

Every result is one transaction, so that a grader killed at any moment loses none and notes none twice: the
next one goes on with what is pending. Nothing is ever changed or removed; a second grading is a new round.
Only a student who has a right to it is forgotten, whole, and that is noted.
"""

import hashlib
import hmac
import json
import math
import os
import re
import secrets
import weakref
from collections import Counter
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from pathlib import Path

from course_utils.classroom.grading import cells, erasing
from course_utils.classroom.grading.database import as_text, now, opened, transaction

STATUSES = ("graded", "partial", "ungradable", "infra_error")  # the last is tried again by the next run
FAULT = "Something of ours went wrong; it will be graded again"  # a student reads this, and never the error
KEEP_MB = 200  # what is larger is no notebook: its name and size are noted
OURS = "when it was collected"  # as the source of a time


@dataclass(frozen=True)
class Submission:
    """A file that was handed in. `refused` says why it could not even be kept, and is mostly empty."""

    id: int
    assignment: str
    student: str
    name: str
    sha256: str
    bytes: int
    refused: str
    received: str
    receipt: str


@dataclass(frozen=True)
class Given:
    """What a person gave for a question of one file. A mark from before marks had a sha256 holds for any."""

    student: str
    question: str
    sha256: str
    points: float
    comment: str
    who: str = ""

    @property
    def place(self) -> tuple[str, str, str]:
        return self.student, self.question, self.sha256


@dataclass(frozen=True)
class Standing:
    """What counts for a student: the last submission that could be graded, or else the last one."""

    submission: Submission
    status: str  # one of STATUSES, or "pending"
    reason: str
    details: dict
    newer: tuple[str, ...] = ()  # why later submissions don't count
    received: datetime | None = None  # in UTC; by whose clock says `source`
    source: str = OURS
    result: int = 0  # its number in the store


class Store:
    """The store in a folder, made when it is missing. `key` is what receipts are signed with."""

    def __init__(self, folder: Path, key: bytes = b""):
        self.folder, self._key = Path(folder), key
        (self.folder / "submissions").mkdir(parents=True, exist_ok=True)
        self.database = opened(self.folder / "grades.sqlite")
        # with the store: a connection holds itself, so it would stay open until Python looks for such rings
        weakref.finalize(self, self.database.close)

    def close(self) -> None:
        self.database.close()

    def keep(self, assignment: str, student: str, path: Path) -> Submission:
        """Keep a file byte for byte. What the student handed in last is not kept twice."""
        sha256, size, refused = self._copy(path)
        student, name, received = cells.storable(student), cells.storable(path.name), now()
        with transaction(self.database):
            last = self._submissions(
                "assignment = ? AND student = ? ORDER BY id DESC LIMIT 1", assignment, student
            )
            if last and (last[0].sha256, last[0].bytes, last[0].refused) == (sha256, size, refused):
                return last[0]
            signed = "\0".join((assignment, student, sha256, received)).encode()
            receipt = hmac.new(self._key, signed, hashlib.sha256).hexdigest()[:20]
            row = (assignment, student, name, sha256, size, refused, received, receipt)
            made = self.database.execute(
                "INSERT INTO submissions (assignment, student, name, sha256, bytes, refused, received, "
                "receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        return Submission(made.lastrowid, *row)

    def _copy(self, path: Path) -> tuple[str, int, str]:
        """Copy a file to the name of its hash; return hash, size, and why there is none."""
        try:
            handle, size = cells.opened(path)
        except cells.Ungradable as refused:
            return "", 0, str(refused)
        temporary, digest = self.folder / "submissions" / f".{secrets.token_hex(8)}.tmp", hashlib.sha256()
        try:
            if size > KEEP_MB * 1_000_000:
                return "", size, cells.too_large(size)
            with open(handle, "rb", closefd=False) as file, temporary.open("xb") as copy:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
                    copy.write(chunk)
                copy.flush()
                os.fsync(copy.fileno())
                size = copy.tell()
            os.replace(temporary, self.file_of(digest.hexdigest()))
        finally:
            os.close(handle)
            temporary.unlink(missing_ok=True)
        return digest.hexdigest(), size, ""

    def file_of(self, sha256: str) -> Path:
        """Where the bytes of a hash are kept."""
        return self.folder / "submissions" / f"{sha256}.ipynb"

    def content(self, submission: Submission) -> bytes:
        """The bytes that were handed in. Raises Ungradable for what is too large or was refused, and OSError
        if the store has lost or changed them."""
        if submission.refused:
            raise cells.Ungradable(submission.refused)
        if submission.bytes > cells.MAX_MB * 1_000_000:
            raise cells.Ungradable(cells.too_large(submission.bytes))
        content = self.file_of(submission.sha256).read_bytes()
        if hashlib.sha256(content).hexdigest() != submission.sha256:
            raise OSError(f"the kept file of {submission.student} has changed: its sha256 is another one")
        return content

    def receive(self, times: list[tuple[Submission, datetime, str]]) -> None:
        """Note when submissions were received, by whose word, in one transaction; the last word counts."""
        rows = [
            (submission.id, as_text(received), cells.storable(source))
            for submission, received, source in times
        ]
        with transaction(self.database):
            known = self._times()
            self.database.executemany(
                "INSERT INTO times (submission, received, source, noted) VALUES (?, ?, ?, ?)",
                [(*row, now()) for row in rows if known.get(row[0]) != row[1:]],
            )

    def first_received(self, source: str) -> dict[int, datetime]:
        """The earliest time that was noted from a source, by the number of the submission."""
        rows = self.database.execute(
            "SELECT submission, min(received) FROM times WHERE source = ? GROUP BY submission", (source,)
        )
        return {submission: datetime.fromisoformat(received) for submission, received in rows}

    def _times(self) -> dict[int, tuple[str, str]]:
        """What was noted last, by submission: when it was received, by whose word."""
        rows = self.database.execute("SELECT submission, received, source FROM times ORDER BY id")
        return {submission: (received, source) for submission, received, source in rows}

    def received(self) -> dict[int, tuple[str, str]]:
        """When each submission was received, by whose word, by its number. The same bytes again, as after a
        collection from a wrong folder, came when they first came, unless somebody has said otherwise."""
        noted, first, found = self._times(), {}, {}
        for each in self._submissions("1 ORDER BY id"):
            file = each.assignment, each.student, each.sha256
            first[file] = found[each.id] = noted.get(each.id, first.get(file, (each.received, OURS)))
        return found

    def round(self, assignment: str, new: bool = False) -> int:
        """The number of the round of grading that is on, or that begins now."""
        if new or not self._last_round(assignment):
            self.database.execute(  # one statement: of two graders that begin at once, one begins the round
                "INSERT INTO rounds (assignment, begun) SELECT ?, ? "
                "WHERE ? OR NOT EXISTS (SELECT 1 FROM rounds WHERE assignment = ?)",
                (assignment, now(), new, assignment),
            )
        return self._last_round(assignment)

    def _last_round(self, assignment: str) -> int | None:
        [(number,)] = self.database.execute("SELECT max(id) FROM rounds WHERE assignment = ?", (assignment,))
        return number

    def pending(self, assignment: str, round: int) -> list[Submission]:
        """What has no result in a round yet, or only an infra_error, in the order in which it came."""
        return self._submissions(
            "assignment = ? AND NOT EXISTS (SELECT 1 FROM results WHERE submission = submissions.id "
            "AND round = ? AND status != 'infra_error') ORDER BY id",
            assignment,
            round,
        )

    def record(
        self, submission: Submission, round: int, status: str, reason: str = "", details: dict | None = None
    ) -> bool:
        """Note a result in the round in which it was pending, in one transaction. False if there is one
        already, as another grader was faster, if the submission is no longer there, or if an erratum came
        that the grader did not know.

        Raises ValueError for an unknown status.
        """
        if status not in STATUSES:
            raise ValueError(f"a status is one of {', '.join(STATUSES)}; got {status!r}")
        row = (
            submission.id,
            round,
            status,
            cells.storable(reason),
            json.dumps(details or {}),
        )
        with transaction(self.database):
            # by its receipt too: the number of one that was erased may be another's by now
            if not self._submissions("id = ? AND receipt = ?", submission.id, submission.receipt):
                return False
            if details and details.get("errata", 0) != self.last_erratum(submission.assignment):
                return False
            made = self.database.execute(
                "INSERT INTO results (submission, round, status, reason, details, graded) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (*row, now()),
            )
        return made.rowcount == 1

    def last_erratum(self, assignment: str) -> int:
        """The number of the last erratum, or 0."""
        [(number,)] = self.database.execute("SELECT max(id) FROM errata WHERE assignment = ?", (assignment,))
        return number or 0

    def mark(self, assignment: str, marks: list[Given]) -> None:
        """Note marks of a person, in one transaction; the last for a question of a file counts."""
        with transaction(self.database):
            for mark in marks:
                self.insert_mark(assignment, mark)

    def insert_mark(self, assignment: str, mark: Given) -> int:
        """Note a mark within a transaction; return its number."""
        return self.database.execute(
            "INSERT INTO marks (assignment, student, question, sha256, points, comment, who, marked) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (assignment, *map(_stored, astuple(mark)), now()),
        ).lastrowid

    def marks(self, assignment: str) -> list[Given]:
        """All marks that persons gave, in their order."""
        rows = self.database.execute(
            f"SELECT {', '.join(Given.__annotations__)} FROM marks WHERE assignment = ? ORDER BY id",
            (assignment,),
        )
        return [Given(*row) for row in rows]

    def files(self, assignment: str) -> set[tuple[str, str]]:
        """Student and sha256 of all that was kept."""
        rows = self.database.execute(
            "SELECT student, sha256 FROM submissions WHERE assignment = ? AND sha256 != ''", (assignment,)
        )
        return set(rows)

    def standings(self, assignment: str) -> dict[str, Standing]:
        """What counts for each student who has handed something in, by name."""
        results = self.database.execute(
            "SELECT submission, status, reason, details, results.id FROM results "
            "JOIN submissions ON submission = submissions.id WHERE assignment = ? "
            "ORDER BY status != 'infra_error', round, results.id",  # a fault of ours hides no known grade
            (assignment,),
        )
        last = {submission: result for submission, *result in results}
        times, corrected, standings = self.received(), self._corrected(), {}
        for submission in self._submissions("assignment = ? ORDER BY id", assignment):
            status, reason, details, result = last.get(submission.id, ("pending", "not graded yet", "{}", 0))
            before = standings.get(submission.student)
            # which another process may have kept since
            received, source = times.get(submission.id, (submission.received, OURS))
            if before and before.status in ("graded", "partial") and status not in ("graded", "partial"):
                said = FAULT if status == "infra_error" else reason
                newer = (*before.newer, f"{submission.name} of {submission.received}: {said}")
                standings[submission.student] = replace(before, newer=newer)
            else:
                standings[submission.student] = Standing(
                    submission,
                    status,
                    reason,
                    _amended(json.loads(details), corrected.get(result, {})),
                    received=datetime.fromisoformat(received),
                    source=source,
                    result=result,
                )
        return dict(sorted(standings.items()))

    def about(self, student: str) -> dict[str, list[dict]]:
        """Every row on a student, by table."""
        return erasing.about(self.database, student)

    def naming(self, student: str, name: re.Pattern[bytes]) -> Counter[str]:
        """How many rows on others have a student's name in a text, by table and column."""
        return erasing.naming(self.database, student, name)

    def forget(self, student: str) -> int:
        """Remove every row on a student, and the files that nobody else has handed in; return how many rows.

        Raises ValueError if another process has the store open; the same call then goes on later.
        """
        return erasing.forget(self.database, student, self.file_of)

    def _corrected(self) -> dict[int, dict[str, dict]]:
        """By result and question the mark that errata have put in the place of the first one."""
        corrected: dict[int, dict[str, dict]] = {}
        for result, text in self.database.execute("SELECT result, after FROM corrections ORDER BY id"):
            mark = json.loads(text)
            corrected.setdefault(result, {})[mark["id"]] = mark
        return corrected

    def _submissions(self, where: str, *values) -> list[Submission]:
        names = ", ".join(Submission.__annotations__)
        found = self.database.execute(f"SELECT {names} FROM submissions WHERE {where}", values)
        return [Submission(*row) for row in found]


def _amended(details: dict, corrected: dict[str, dict]) -> dict:
    """The details of a result, after what errata have corrected."""
    if not corrected:
        return details
    marks = [corrected.get(mark["id"], mark) for mark in details["marks"]]
    return details | {"marks": marks, "score": math.fsum(mark["points"] for mark in marks)}


def _stored(value: str | float) -> str | float:
    return cells.storable(value) if isinstance(value, str) else value
