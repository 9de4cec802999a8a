"""All that a store's database has on one student: read, or removed for good.

The one exception to append-only, for who has a right to be forgotten. It is noted in `erasures`, without the
name: when, and how many rows.
"""

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from course_utils.classroom.grading.database import TABLES, now, transaction

JSON = ("details", "before", "after")
WRITTEN = (*JSON, "refused", "reason", "comment", "why", "who", "source")  # where a name may stand


def about(database: sqlite3.Connection, student: str) -> dict[str, list[dict]]:
    """Every row on a student, by table."""
    found = {}
    for table, where in _on_students(database).items():
        rows = database.execute(f"SELECT * FROM {table} WHERE {where}", (student,))
        names = [column[0] for column in rows.description]
        found[table] = [dict(zip(names, row, strict=True)) for row in rows]
    return found


def naming(database: sqlite3.Connection, student: str, name: re.Pattern[bytes]) -> Counter[str]:
    """How many rows on others have a student's name in a text, by table and column."""
    found, on_student = Counter(), _on_students(database)
    for table in TABLES:
        on_them = on_student.get(table, "?1 IS NULL")  # true of no row, where a table is on nobody
        rows = database.execute(f"SELECT * FROM {table} WHERE ({on_them}) IS NOT TRUE", (student,))
        columns = [column[0] for column in rows.description]
        for row in rows:
            for column, cell in zip(columns, row, strict=True):
                texts = _texts(json.loads(cell) if column in JSON else cell) if column in WRITTEN else []
                # half a character, which JSON may hold, can't be encoded
                found[f"{table}, {column}"] += any(name.search(t.encode(errors="replace")) for t in texts)
    return +found  # without those that are 0


def _texts(value: object) -> list[str]:
    """All texts of a JSON value: in JSON itself a name may follow an escape, such as that of a line's end."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in parts for text in _texts(part)]


def forget(database: sqlite3.Connection, student: str, file_of: Callable[[str], Path]) -> int:
    """Remove every row on a student, and the files that nobody else has handed in; return how many rows.

    The database is then written anew, since what is deleted stays in its free pages. Raises ValueError if
    another process has it open: its log may hold the rows, and the same call goes on later.
    """
    others = "SELECT sha256 FROM submissions WHERE student != ?1"
    alone = f"SELECT DISTINCT sha256 FROM submissions WHERE student = ?1 AND sha256 NOT IN ({others})"
    removed = 0
    with transaction(database):
        for (sha256,) in database.execute(alone, (student,)).fetchall():
            file_of(sha256).unlink(missing_ok=True)
        asked = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = database.execute(asked).fetchall()  # which refuse any change
        for name, _ in triggers:
            database.execute(f"DROP TRIGGER {name}")
        for table, where in _on_students(database).items():
            removed += database.execute(f"DELETE FROM {table} WHERE {where}", (student,)).rowcount
        if removed:
            database.execute("INSERT INTO erasures (erased, number) VALUES (?, ?)", (now(), removed))
        for _, statement in triggers:
            database.execute(statement)
    database.execute("VACUUM")
    [(busy, _, _)] = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    if busy:
        raise ValueError(
            "the store is in use, and what was removed may stand in its log: when no other command runs, "
            "give this one again"
        )
    return removed


def _on_students(database: sqlite3.Connection) -> dict[str, str]:
    """The tables that say something on a student, with the condition for it: those with a column `student`,
    and those that refer to them, which come first. What refers to no row was a removed student's."""
    asked = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid"
    found: dict[str, str] = {}
    for (table,) in database.execute(asked).fetchall():  # as they were made: the referred to first
        if "student" in [row[1] for row in database.execute(f"PRAGMA table_info({table})")]:
            found[table] = "student = ?1"
            continue
        keys = [(row[3], row[2]) for row in database.execute(f"PRAGMA foreign_key_list({table})")]
        parts = [
            f"{column} IN (SELECT id FROM {parent} WHERE {found[parent]}) "
            f"OR ({column} IS NOT NULL AND {column} NOT IN (SELECT id FROM {parent}))"
            for column, parent in keys
            if parent in found
        ]
        if parts:
            found[table] = " OR ".join(parts)
    return dict(reversed(found.items()))
