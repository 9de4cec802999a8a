"""The database of a store: SQLite with a write-ahead log, in which nothing is ever changed or removed,
but for a student who is forgotten (erasing.py)."""

import contextlib
import sqlite3
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

TRIES, PAUSE = 20, 0.05  # to open a new store that others open too; seconds between them
SCHEMA = """
CREATE TABLE IF NOT EXISTS submissions (
    id INTEGER PRIMARY KEY, assignment TEXT NOT NULL, student TEXT NOT NULL, name TEXT NOT NULL,
    sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, refused TEXT NOT NULL, received TEXT NOT NULL,
    receipt TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS times (
    id INTEGER PRIMARY KEY, submission INTEGER NOT NULL REFERENCES submissions, received TEXT NOT NULL,
    source TEXT NOT NULL, noted TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rounds (
    id INTEGER PRIMARY KEY, assignment TEXT NOT NULL, begun TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS results (
    id INTEGER PRIMARY KEY, submission INTEGER NOT NULL REFERENCES submissions, round INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('graded', 'partial', 'ungradable', 'infra_error')),
    reason TEXT NOT NULL, details TEXT NOT NULL, graded TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS marks (
    id INTEGER PRIMARY KEY, assignment TEXT NOT NULL, student TEXT NOT NULL, question TEXT NOT NULL,
    points REAL NOT NULL, comment TEXT NOT NULL, marked TEXT NOT NULL, sha256 TEXT NOT NULL DEFAULT '',
    who TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, assignment TEXT NOT NULL, student TEXT NOT NULL, question TEXT NOT NULL,
    why TEXT NOT NULL, asked TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS errata (
    id INTEGER PRIMARY KEY, assignment TEXT NOT NULL, question TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('reference', 'accept', 'full marks')), source TEXT NOT NULL,
    why TEXT NOT NULL, who TEXT NOT NULL, noted TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS corrections (
    id INTEGER PRIMARY KEY, erratum INTEGER NOT NULL REFERENCES errata,
    result INTEGER NOT NULL REFERENCES results, before TEXT NOT NULL, after TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS replies (
    id INTEGER PRIMARY KEY, request INTEGER NOT NULL REFERENCES requests,
    mark INTEGER REFERENCES marks, erratum INTEGER REFERENCES errata, why TEXT NOT NULL, who TEXT NOT NULL,
    replied TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS erasures (
    id INTEGER PRIMARY KEY, erased TEXT NOT NULL, number INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS once ON results (submission, round) WHERE status != 'infra_error';
CREATE INDEX IF NOT EXISTS by_student ON submissions (assignment, student);
"""
TABLES = (
    "submissions",
    "times",
    "rounds",
    "results",
    "marks",
    "requests",
    "errata",
    "corrections",
    "replies",
    "erasures",
)
ADDED = {"marks": ("sha256", "who")}  # columns that a store of before lacks
VERSION = zlib.crc32(repr((SCHEMA, TABLES, ADDED)).encode()) >> 1  # fits `user_version`, which is signed


def opened(file: Path) -> sqlite3.Connection:
    """The database in a file, made when it is missing. One that has this schema is not written, so that it
    can be read where it can't be written, and while another writes."""
    database = sqlite3.connect(file, timeout=60, isolation_level=None)
    _write_ahead(database)
    database.execute("PRAGMA synchronous = FULL")
    if database.execute("PRAGMA user_version").fetchone() == (VERSION,):
        return database
    with transaction(database):
        for statement in filter(str.strip, SCHEMA.split(";")):
            database.execute(statement)
        for table, names in ADDED.items():
            there = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
            for name in names:
                if name not in there:
                    database.execute(f"ALTER TABLE {table} ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
        for table in TABLES:
            for change in ("UPDATE", "DELETE"):
                database.execute(
                    f"CREATE TRIGGER IF NOT EXISTS no_{change}_{table} BEFORE {change} ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'the store is append-only'); END"
                )
        database.execute(f"PRAGMA user_version = {VERSION}")
    return database


def _write_ahead(database: sqlite3.Connection) -> None:
    """So that readers don't wait for writers. Of two that open a new store at once SQLite may refuse one
    on the spot, whatever the time-out, since each could wait for the other for ever: it tries again."""
    for tries_left in reversed(range(TRIES)):
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not tries_left:
                raise
            time.sleep(PAUSE)


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing, also when the process is killed."""
    database.execute("BEGIN IMMEDIATE")  # waits for other writers, at most the time-out
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # SQLite has ended it already if, for example, the disk is full
            database.execute("ROLLBACK")
        raise


def now() -> str:
    return as_text(datetime.now(UTC))


def as_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
