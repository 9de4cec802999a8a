"""The store loses nothing, changes nothing and notes nothing twice, also when its writer is killed."""

import gc
import hashlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from course_utils.classroom.grading import database as module
from course_utils.classroom.grading.cells import Ungradable
from course_utils.classroom.grading.store import STATUSES, Given, Store
from course_utils.classroom.grading.visible import ROOT


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store", b"key")
    yield made
    made.close()


@pytest.fixture
def hand_in(store, tmp_path):
    def hand_in(student="ada", content=b"{}", name="work.ipynb"):
        (tmp_path / name).write_bytes(content)
        return store.keep("ngrams", student, tmp_path / name)

    return hand_in


def test_a_submission_is_kept_byte_for_byte(store, hand_in):
    content = bytes(range(256)) * 100
    kept = hand_in(content=content)
    assert kept.sha256 == hashlib.sha256(content).hexdigest() and kept.bytes == len(content)
    assert store.content(kept) == content


def test_each_submission_has_a_receipt_that_only_the_key_makes(store, hand_in, tmp_path):
    one, other = hand_in("ada"), hand_in("alan")
    assert len(one.receipt) == 20 and one.receipt != other.receipt
    forger = Store(tmp_path / "forged", b"another key")
    assert forger.keep("ngrams", "ada", tmp_path / "work.ipynb").receipt != one.receipt


@pytest.mark.parametrize(
    "refusals, code, opens",
    [(3, sqlite3.SQLITE_BUSY, True), (99, sqlite3.SQLITE_BUSY, False), (1, sqlite3.SQLITE_CORRUPT, False)],
)
def test_a_new_store_that_another_opens_too_is_tried_again(tmp_path, monkeypatch, refusals, code, opens):
    tries = []

    class Refusing(sqlite3.Connection):
        def execute(self, statement, *values):
            if "journal_mode" in statement:
                tries.append(statement)
                if len(tries) <= refusals:
                    error = sqlite3.OperationalError("database is locked")
                    error.sqlite_errorcode = code
                    raise error
            return super().execute(statement, *values)

    monkeypatch.setattr(module.sqlite3, "connect", partial(sqlite3.connect, factory=Refusing))
    monkeypatch.setattr(module, "PAUSE", 0)
    if opens:
        store = Store(tmp_path / "new")
        assert store.database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        store.close()
    else:
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            Store(tmp_path / "new")
    assert len(tries) == {3: 4 + 1, 99: module.TRIES, 1: 1}[refusals]  # the test asks too


def test_what_was_handed_in_last_is_not_kept_twice(store, hand_in):
    first, same, other = hand_in(content=b"1"), hand_in(content=b"1"), hand_in(content=b"2")
    assert same == first and [s.id for s in store.pending("ngrams", 1)] == [first.id, other.id]
    assert hand_in(content=b"1").id not in (
        first.id,
        other.id,
    )  # back to an older version: it is the last now


def test_links_and_huge_files_are_noted_but_not_kept(store, tmp_path):
    (tmp_path / "secret").write_text("canary")
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "secret")
    with (tmp_path / "huge.ipynb").open("wb") as file:
        file.truncate(10**12)
    for name, reason in {"link.ipynb": "a link", "huge.ipynb": "1,000,000 MB"}.items():
        kept = store.keep("ngrams", "ada", tmp_path / name)
        with pytest.raises(Ungradable, match=reason):
            store.content(kept)
    assert list((store.folder / "submissions").iterdir()) == []


def test_a_kept_file_that_has_changed_or_is_lost_is_a_fault_of_ours(store, hand_in):
    kept = hand_in(content=b"{}")
    store.file_of(kept.sha256).write_bytes(b"[]")
    with pytest.raises(OSError, match="has changed"):
        store.content(kept)
    store.file_of(kept.sha256).unlink()
    with pytest.raises(FileNotFoundError):
        store.content(kept)


def test_what_is_kept_and_too_large_to_be_a_notebook_is_ungradable(store, hand_in):
    with pytest.raises(Ungradable, match="21 MB"):
        store.content(hand_in(content=bytes(21_000_000)))


def test_nothing_can_be_changed_or_removed(store, hand_in):
    store.record(hand_in(), 1, "graded")
    store.mark("ngrams", [Given("ada", "essay", "", 2, "")])
    with sqlite3.connect(store.folder / "grades.sqlite") as database:
        for statement in (
            "UPDATE results SET status = 'partial'",
            "DELETE FROM submissions",
            "DELETE FROM marks",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(statement)


def test_a_result_is_noted_once_a_round(store, hand_in):
    work = hand_in()
    assert store.record(work, 1, "graded") and not store.record(work, 1, "partial")
    assert store.pending("ngrams", 1) == []
    assert (store.round("ngrams"), store.round("ngrams"), store.round("ngrams", new=True)) == (1, 1, 2)
    assert store.pending("ngrams", 2) == [work] and store.record(work, 2, "partial")
    assert store.standings("ngrams")["ada"].status == "partial"


def test_a_result_of_an_older_round_leaves_the_new_one_to_be_graded(store, hand_in):
    work, old = hand_in(), store.round("ngrams")
    new = store.round("ngrams", new=True)  # another grader begins again, while this one is at work
    assert store.record(work, old, "graded") and store.pending("ngrams", new) == [work]
    late = hand_in("alan")
    assert store.record(late, new, "partial") and store.record(late, old, "graded")
    assert store.standings("ngrams")["alan"].status == "partial"


def test_reading_the_round_waits_for_no_writer(store):
    number, other = store.round("ngrams"), sqlite3.connect(store.folder / "grades.sqlite")
    store.database.execute("PRAGMA busy_timeout = 0")
    other.execute("BEGIN IMMEDIATE")
    assert store.round("ngrams") == number
    other.close()


def test_a_fault_of_ours_is_tried_again(store, hand_in):
    work = hand_in()
    store.record(work, 1, "infra_error", "the disk is full")
    assert store.pending("ngrams", 1) == [work] and store.standings("ngrams")["ada"].status == "infra_error"
    assert store.record(work, 1, "graded") and store.pending("ngrams", 1) == []


def test_a_fault_of_ours_in_a_newer_round_hides_no_grade(store, hand_in):
    work = hand_in()
    store.record(work, 1, "graded", details={"score": 7})
    new = store.round("ngrams", new=True) + 1
    store.record(work, new, "infra_error", "the disk is full")
    standing = store.standings("ngrams")["ada"]
    assert (standing.status, standing.details) == ("graded", {"score": 7})
    assert store.pending("ngrams", new) == [work] and store.record(work, new, "partial")
    assert store.standings("ngrams")["ada"].status == "partial"


@pytest.mark.parametrize("mode", ["ro", "rw"])
def test_a_store_is_read_where_it_can_not_be_written_now_or_ever(store, hand_in, monkeypatch, mode):
    hand_in()
    connect = sqlite3.connect

    def opened(file, **options):
        return connect(f"file:{file}?mode={mode}", uri=True, **options | {"timeout": 0})

    monkeypatch.setattr(module.sqlite3, "connect", opened)
    store.database.execute("BEGIN IMMEDIATE")
    reader = Store(store.folder)
    assert [*reader.standings("ngrams")] == ["ada"]
    reader.close()
    store.database.execute("ROLLBACK")


def test_a_full_disk_is_called_by_its_name_and_leaves_nothing_half_written(store, hand_in):
    work = hand_in()
    store.database.execute("PRAGMA max_page_count = 1")  # SQLite takes what there is, and no more
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.record(work, 1, "graded", details={"long": "x" * 100_000})
    store.database.execute("PRAGMA max_page_count = 1000000")
    assert store.pending("ngrams", 1) == [work] and store.record(work, 1, "graded")


def test_an_unknown_status_is_refused(store, hand_in):
    with pytest.raises(ValueError, match=STATUSES[0]):
        store.record(hand_in(), 1, "zero")


def test_an_earlier_valid_submission_still_counts(store, hand_in):
    good = hand_in(content=b"good")
    store.record(good, 1, "graded", details={"score": 7})
    store.record(hand_in(content=b"cut"), 1, "ungradable", "is cut off")
    standing = store.standings("ngrams")["ada"]
    assert standing.submission == good and standing.details == {"score": 7}
    assert "is cut off" in standing.newer[0]
    store.record(later := hand_in(content=b"later"), 1, "partial")
    assert store.standings("ngrams")["ada"].submission == later


def test_marks_of_a_person_are_kept_and_none_is_lost(store):
    marks = [
        Given("ada", "essay", "ab", 2, "good", "Ms A"),
        Given("ada", "essay", "ab", 3, "half \udc80", "B"),
    ]
    store.mark("ngrams", marks)
    assert store.marks("ngrams") == [marks[0], replace(marks[1], comment=r"half \udc80")]


def test_marks_are_noted_all_or_none(store):
    with pytest.raises(sqlite3.Error):
        store.mark("ngrams", [Given("ada", "essay", "ab", 2, ""), Given("alan", "essay", None, 3, "")])
    assert store.marks("ngrams") == []


def test_a_store_from_before_marks_had_a_file_is_opened_and_keeps_its_marks(tmp_path):
    (tmp_path / "store").mkdir()
    with sqlite3.connect(tmp_path / "store" / "grades.sqlite") as old:
        old.execute(
            "CREATE TABLE marks (id INTEGER PRIMARY KEY, assignment TEXT NOT NULL, student TEXT NOT NULL, "
            "question TEXT NOT NULL, points REAL NOT NULL, comment TEXT NOT NULL, marked TEXT NOT NULL)"
        )
        old.execute("INSERT INTO marks VALUES (1, 'ngrams', 'ada', 'answer', 4, 'good', '')")
    for _ in range(2):
        assert Store(tmp_path / "store").marks("ngrams") == [Given("ada", "answer", "", 4, "good")]


def test_any_name_can_be_stored(store, hand_in):
    for student in ("Ø; DROP TABLE results", "half \udc80 a sign", "=1+1", "a" * 255):
        store.record(hand_in(student), 1, "ungradable", f"for {student}")
    assert len(store.standings("ngrams")) == 4


BURST = 500 if os.environ.get("COURSE_FULL") else 100


def test_a_burst_at_the_deadline_is_kept_whole(tmp_path):
    """Eight writers with connections of their own, as the processes of a hub would be."""

    def hand_in(writer):
        store = Store(tmp_path / "store", b"")
        for i in range(writer, BURST, 8):
            path = tmp_path / f"{i}.ipynb"
            path.write_text(str(i))
            store.keep("ngrams", f"student {i}", path)
        store.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hand_in, range(8)))
    store = Store(tmp_path / "store", b"")
    assert len(store.standings("ngrams")) == BURST
    assert all(store.content(s) == s.student.split()[1].encode() for s in store.pending("ngrams", 1))


def test_a_store_that_nobody_holds_has_let_go_of_its_file(tmp_path):
    """At once, so that its folder can be copied or removed by the next line."""
    gc.disable()
    try:
        store = Store(tmp_path / "store", b"")
        store.round("ngrams")
        assert (tmp_path / "store" / "grades.sqlite-wal").exists()
        del store
        assert {path.name for path in (tmp_path / "store").iterdir()} == {"grades.sqlite", "submissions"}
    finally:
        gc.enable()


WRITER = """
import sys
from pathlib import Path
from course_utils.classroom.grading.store import Store
store = Store(Path(sys.argv[1]) / "store", b"")
print("ready", flush=True)
for path in sorted(Path(sys.argv[1]).glob("*.ipynb")):
    store.keep("ngrams", path.stem, path)
for submission in store.pending("ngrams", 1):
    store.record(submission, 1, "graded", details={"score": submission.id})
"""


def test_a_writer_that_is_killed_loses_none_and_notes_none_twice(tmp_path):
    for i in range(30):
        (tmp_path / f"{i:02}.ipynb").write_text(str(i))
    command, chance = [sys.executable, "-c", WRITER, str(tmp_path)], random.Random(0)
    for _ in range(5):
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    store = Store(tmp_path / "store", b"")
    assert {student: s.status for student, s in store.standings("ngrams").items()} == {
        f"{i:02}": "graded" for i in range(30)
    }
    [(results,)] = store.database.execute("SELECT count(*) FROM results")
    assert results == 30 and all(store.content(s.submission) for s in store.standings("ngrams").values())
