"""One student exported and deleted: all of theirs, and nothing of the others."""

import html
import json
import os
import re
import sqlite3
import sys
import unicodedata
import zipfile

import pytest

from course_utils.classroom import handing_out, privacy
from course_utils.classroom.gradescope import packing
from course_utils.classroom.grading import feedback, lateness, marking
from course_utils.classroom.grading.export import export
from course_utils.classroom.grading.store import Given, Store
from course_utils.commands import cli

CANARY = "CANARY-7f3a"
STUDENTS = ("ada", "adam", "bob", "O'Brien")  # one name is the beginning of another
TERM = """[ngrams]
deadline = 2026-12-04T23:59:00+01:00

[ngrams.extensions]
ada = { until = 2026-12-11T23:59:00+01:00, reason = "ill, CANARY-7f3a" }
bob = { until = 2026-12-11T23:59:00+01:00, reason = "away" }
"""


def run_of(name, seed):
    """A line of a contest's log, as `sweep` writes it."""
    line = {"run": f"{name}-900-{seed}-recipe=of {name}", "size": name, "tokens": 900, "seed": seed}
    return json.dumps(line | {"recipe": f"of {name}", "loss": 4.0})


@pytest.fixture
def graded(room):
    """A class in which everything was made that commands make."""
    room.release(*STUDENTS)
    store = room.overlay.store()
    for student in STUDENTS:
        words = f"{CANARY} of ada" if student == "ada" else f"words of {student}"
        room.hand_in(student, json.dumps({"cells": words}).encode())
        kept = store.keep("ngrams", student, room.submissions / student / "ngrams.ipynb")
        marks = [{"id": "count", "points": 4, "sentence": words, "detail": "a hidden input"}]
        marks[0]["example"] = {"returned": "ValueError: \ud83d"}  # half a character
        details = {"marks": marks, "written": {"answer": words}, "notices": [], "outputs": [words]}
        store.record(kept, store.round("ngrams"), "graded", "", details)
        request = "INSERT INTO requests VALUES (NULL, 'ngrams', ?, 'count', ?, '')"
        number = store.database.execute(request, (student, words)).lastrowid
        reply = "INSERT INTO replies VALUES (NULL, ?, NULL, NULL, ?, 'a teacher', '')"
        store.database.execute(reply, (number, words))
    (room.folder / lateness.FILE).write_text(TERM, "utf-8")
    make_all(room)
    reports, contest = room.folder / "reports", room.folder / "contests" / "spring"
    reports.mkdir()
    (reports / "ngrams.html").write_text("<p>ada, bob and O&#x27;Brien are alike</p>", "utf-8")
    for folder in ("recipes", "runs_under_way"):
        (contest / folder).mkdir(parents=True)
        (contest / folder / "of ada.toml").write_text(CANARY, "utf-8")
    (contest / "leaderboard.html").write_text("<td>ada</td>", "utf-8")
    lines = [run_of(name, seed) for name in ("ada", "ada.lovelace", "bob") for seed in (4, 5)]
    (contest / "runs.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return room


def make_all(room):
    store = room.overlay.store()
    marking.to_read(room.assignment, room.overlay, store)
    feedback.feedback(room.assignment, room.overlay, store)
    for form in ("csv", "moodle", "canvas", "gradescope"):
        export(form, room.assignment, room.overlay, store)
    packing.pack(room.assignment, room.overlay)


def hits(room, *words):
    """The files of the overlay in which a word stands, as a whole, or in whose name it does."""
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w|\.lovelace)" for word in words))
    own = [p for p in room.folder.rglob("*") if p.is_file() and p.name not in ("ngrams.py", "attention.py")]
    return [p for p in own if pattern.search(text_of(p)) or pattern.search(str(p.relative_to(room.folder)))]


def text_of(path):
    """What a file says, packed or escaped as it may be. Those beside a database go when it is closed."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            content = archive.read("class/students.json")
    return html.unescape(content.decode("utf-8", "replace"))


def others(room):
    """All of the others: standings, and the bytes of what is theirs alone."""
    store = room.overlay.store()
    rows = {student: store.about(student) for student in STUDENTS if student != "ada"}
    alone = [p for p in room.folder.rglob("*") if p.is_file() and re.search(r"\b(adam|bob)\b", str(p))]
    return rows, {str(p): p.read_bytes() for p in alone}


def test_a_deleted_student_is_in_no_file_and_the_others_are_as_they_were(graded):
    before, sha256 = others(graded), graded.overlay.store().standings("ngrams")["ada"].submission.sha256
    assert len(hits(graded, "ada", CANARY)) > 10
    said = privacy.delete(graded.overlay, "ada")
    assert hits(graded, "ada", CANARY, sha256) == [], said
    assert others(graded) == before and any("makes it again" in line for line in said)
    table = (graded.folder / "export" / "ngrams-csv.csv").read_text("utf-8")
    assert [line.split(",")[0] for line in table.splitlines()] == [
        '"student"',
        '"O\'Brien"',
        '"adam"',
        '"bob"',
    ]
    runs = (graded.folder / "contests" / "spring" / "runs.jsonl").read_text("utf-8").splitlines()
    assert runs == [run_of(name, seed) for name in ("ada.lovelace", "bob") for seed in (4, 5)]
    assert lateness.read(graded.folder, "ngrams", {"adam", "bob"}).extensions.keys() == {"bob"}
    make_all(graded)
    assert hits(graded, "ada", CANARY) == [] and "bob" in table


def test_what_texts_on_others_say_of_a_student_is_named_and_stays(graded):
    store = graded.overlay.store()
    store.mark("ngrams", [Given("bob", "answer", "", 1, "like ada's, not like adam's", "")])
    graded.result("ada.lovelace", "{}")  # whose own name is another's
    graded.result("carl", answer="as\nada and “rené” have it")  # in JSON the escapes stand before the names
    assert not any(
        "rows on others" in line for who in ("O'Brien", "4") for line in privacy.told(graded.overlay, who)
    )
    assert "rows on others name rené (results, details: 1)" in " ".join(privacy.told(graded.overlay, "rené"))
    named = "In the store, rows on others name ada (results, details: 1; marks, comment: 1)."
    assert named in privacy.told(graded.overlay, "ada")
    assert privacy.delete(graded.overlay, "ada")[-1].startswith(f"{named} They stay: ")
    assert store.about("bob")["marks"][-1]["comment"] == "like ada's, not like adam's"


def test_an_extension_is_found_under_a_name_in_two_characters(graded):
    term, name = graded.folder / lateness.FILE, unicodedata.normalize("NFD", "rené")
    term.write_text(f'[ngrams.extensions]\n"{name}" = {{ reason = "ill" }}\nbob = {{ }}\n', "utf-8")
    graded.release("rené")
    privacy.export(graded.overlay, "rené", graded.folder.parent / "it.zip")
    with zipfile.ZipFile(graded.folder.parent / "it.zip") as archive:
        assert "ill" in archive.read("store.json").decode()
    privacy.delete(graded.overlay, "rené")
    assert "ill" not in term.read_text("utf-8") and "bob" in term.read_text("utf-8")


def test_a_name_that_pages_escape_is_in_no_file(graded):
    assert graded.folder / "reports" / "ngrams.html" in hits(graded, "O'Brien")
    said = privacy.delete(graded.overlay, "O'Brien")
    assert hits(graded, "O'Brien") == [], said


def test_a_name_is_found_in_both_of_unicodes_spellings(graded, capsys):
    """macOS writes é as e and an accent, on the command line and in a list."""
    graded.result("ren\u00e9", "{}")
    roster = graded.folder / "roster.csv"
    roster.write_text("student\nada\nrene\u0301\n", "utf-8")
    cli.main(["student", "rene\u0301", "--overlay", str(graded.folder)])
    assert "submissions 1" in capsys.readouterr().out
    cli.main(["student", "rene\u0301", "--delete", "--overlay", str(graded.folder)])
    assert "still names" not in capsys.readouterr().out
    assert roster.read_text("utf-8").split() == ['"student"', '"ada"']
    assert not any(graded.overlay.store().about("ren\u00e9").values())


@pytest.mark.parametrize("name", ["", ".", "..", "../class", "ngrams/bob", "eve"])
def test_what_names_nobody_deletes_nothing(graded, tmp_path, name):
    exchange = tmp_path / "exchange"
    (exchange / "bob").mkdir(parents=True)

    def there():  # SQLite's own two files come and go with each connection
        return sorted(p for p in tmp_path.rglob("*") if not p.name.endswith(("-wal", "-shm")))

    before = there(), others(graded)
    given = ["student", name, "--overlay", str(graded.folder), "--exchange", str(exchange)]
    with pytest.raises(SystemExit, match=r"can't be a student's name|nothing on a student 'eve'"):
        cli.main([*given, "--delete"])
    assert (there(), others(graded)) == before


def test_a_name_that_others_have_as_points_or_seed_removes_nothing_of_theirs(graded):
    graded.release("4")
    shared = [p for p in graded.folder.rglob("*") if p.suffix in (".csv", ".jsonl")]
    before = {path: path.read_bytes() for path in shared}
    assert sum(b'"4"' in content or b'"seed": 4' in content for content in before.values()) >= 2
    said = privacy.delete(graded.overlay, "4")
    assert not (graded.folder / "release" / "ngrams" / "4").exists()
    assert {path: path.read_bytes() for path in shared} == before, said


def test_what_fails_in_one_place_is_named_and_the_others_are_done(graded, monkeypatch):
    notes, book = graded.folder / "notes.csv", graded.folder / "export" / "nbgrader" / "gradebook.db"
    notes.write_bytes("student,note\nada,José".encode("cp1252"))
    book.parent.mkdir()
    book.write_bytes(b"ada")
    monkeypatch.setitem(sys.modules, "nbgrader.api", None)  # as where it is not installed
    released = graded.folder / "release" / "ngrams" / "ada"

    def closed(path, ignore_errors=False):
        if not ignore_errors:
            raise PermissionError(13, "Permission denied", f"{path}")

    monkeypatch.setattr(privacy.shutil, "rmtree", closed)
    said = "\n".join(privacy.delete(graded.overlay, "ada"))
    whole = graded.folder / "export" / "gradescope" / "ngrams" / "ada"  # a folder too
    left = {path for path in hits(graded, "ada") if not path.is_relative_to(whole)}
    assert left == {notes, book, released / "ngrams.ipynb"}
    for path, why in {notes: "save it as CSV in UTF-8", book: "takes nbgrader", released: "denied"}.items():
        assert re.search(rf"{path} still names ada \(.*{why}.*\): look at it yourself", said)
    with pytest.raises(ValueError, match=r"notes.csv can't be read.*UTF-8"):
        privacy.export(graded.overlay, "ada", graded.folder / "ada.zip")


def test_an_erasure_is_noted_without_the_name_and_the_store_is_append_only_again(graded):
    privacy.delete(graded.overlay, "ada")
    database = sqlite3.connect(graded.folder / "store" / "grades.sqlite")
    assert [number for _, _, number in database.execute("SELECT * FROM erasures")] == [4]
    for statement in ("DELETE FROM submissions", "UPDATE results SET reason = ''", "DELETE FROM erasures"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)


def test_deleting_rows_alone_would_leave_them_in_the_file(graded):
    """What VACUUM is for: the wrong variant, which must fail."""
    database = sqlite3.connect(graded.folder / "store" / "grades.sqlite")
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f"DROP TRIGGER {name}")
    database.execute("PRAGMA secure_delete = OFF")
    database.execute("DELETE FROM results WHERE submission = 1")
    database.commit()
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert CANARY.encode() in (graded.folder / "store" / "grades.sqlite").read_bytes()


@pytest.mark.parametrize("column", ["login", "ID ", "Student"])
def test_a_roster_that_release_takes_is_a_list_of_students(graded, column):
    roster = graded.folder / "roster.csv"
    roster.write_text(f"{column},name\nada,A\nbob,B\n", "utf-8")
    assert handing_out.read_roster(roster) == ["ada", "bob"]
    privacy.export(graded.overlay, "ada", graded.folder.parent / "ada.zip")
    with zipfile.ZipFile(graded.folder.parent / "ada.zip") as archive:
        lists = json.loads(archive.read("store.json"))["lists"]
    assert lists["roster.csv"] == [{column: "ada", "name": "A"}]
    privacy.delete(graded.overlay, "ada")
    assert handing_out.read_roster(roster) == ["bob"]


def test_a_number_beside_the_names_of_a_roster_is_nobodys_name(graded):
    roster = graded.folder / "roster.csv"
    roster.write_text("student,id\n4,1\nbob,4\n", "utf-8")
    graded.release("4")
    privacy.delete(graded.overlay, "4")
    assert handing_out.read_roster(roster) == ["bob"]


def test_a_file_that_another_handed_in_too_stays(graded):
    store = graded.overlay.store()
    copied = store.keep("ngrams", "bob", graded.submissions / "ada" / "ngrams.ipynb")
    privacy.delete(graded.overlay, "ada")
    assert CANARY.encode() in store.content(copied)


def test_a_store_in_use_is_said_and_done_the_next_time(graded):
    reading = sqlite3.connect(graded.folder / "store" / "grades.sqlite", isolation_level=None)
    reading.execute("BEGIN")
    reading.execute("SELECT * FROM results").fetchall()
    store = Store(graded.folder / "store")
    store.database.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(ValueError, match=r"in use.*give this one again"):
        store.forget("ada")
    reading.execute("COMMIT")
    store.forget("ada")
    assert [p for p in hits(graded, CANARY) if "store" in p.parts] == []


def test_what_a_grader_had_in_hand_is_nobodys_result(graded):
    store = graded.overlay.store()
    late = store.keep("ngrams", "ada", graded.submissions / "adam" / "ngrams.ipynb")
    privacy.delete(graded.overlay, "ada")
    again = store.keep("ngrams", "bob", graded.submissions / "adam" / "ngrams.ipynb")
    assert again.id == late.id  # SQLite gives a number that is free again
    assert not store.record(late, store.round("ngrams"), "graded", "", {"written": {"answer": CANARY}})
    assert store.pending("ngrams", 1) == [again] and hits(graded, CANARY) == []


def test_what_no_rule_can_change_is_named(graded):
    term = graded.folder / lateness.FILE
    term.write_text("[ngrams.extensions.ada]\nuntil = 2026-12-11T23:59:00+01:00\n", "utf-8")
    (graded.folder / "notes.txt").write_text("ada was ill", "utf-8")
    said = privacy.delete(graded.overlay, "ada")
    for file in (lateness.FILE, "notes.txt"):
        assert any(file in line and "look at it yourself" in line for line in said)


def test_an_export_holds_every_row_and_every_file(graded, tmp_path, capsys):
    given = ["student", "ada", "--overlay", str(graded.folder)]
    cli.main(given)
    assert "submissions 1" in capsys.readouterr().out
    cli.main([*given, "--export", str(tmp_path / "ada.zip")])
    with zipfile.ZipFile(tmp_path / "ada.zip") as archive:
        names = archive.namelist()
        told = json.loads(archive.read("store.json"))
        text = " ".join(archive.read(name).decode() for name in names)
    assert {"store.json", "release/ngrams/ada/ngrams.ipynb", "feedback/ngrams/ada.html"} <= {*names}
    assert CANARY in text and "words of bob" not in text and "words of adam" not in text
    assert [row["student"] for row in told["store"]["submissions"]] == ["ada"]
    lists = told["lists"]
    assert lists["export/ngrams-csv.csv"][0]["student"] == "ada" and "reports/ngrams.html" not in lists
    assert lists[lateness.FILE] == [
        {"ngrams": {"until": "2026-12-11 23:59:00+01:00", "reason": f"ill, {CANARY}"}}
    ]
    assert [run["seed"] for run in lists["contests/spring/runs.jsonl"]] == [4, 5]
    assert "contests/spring/recipes/of ada.toml" in names
    [mark] = told["store"]["results"][0]["details"]["marks"]
    assert mark["points"] == 4 and "hidden input" not in text
    assert mark["example"]["returned"] == "ValueError: \ud83d"
    assert (tmp_path / "ada.zip").stat().st_mode & 0o077 == 0 or sys.platform == "win32"
    assert any(name.startswith("submissions/") for name in names)
    with pytest.raises(SystemExit, match="is there already"):
        cli.main([*given, "--export", str(tmp_path / "ada.zip")])
    with pytest.raises(SystemExit, match="nothing on a student 'eve'"):
        cli.main(["student", "eve", "--overlay", str(graded.folder), "--export", str(tmp_path / "eve.zip")])


@pytest.mark.parametrize("what", [[], ["--delete"], ["--export", "/nowhere/ada.zip"]])
def test_an_exchange_that_is_not_there_is_refused_before_anything_is_done(graded, tmp_path, what):
    before = privacy.told(graded.overlay, "ada")
    given = ["student", "ada", *what, "--overlay", str(graded.folder), "--exchange", str(tmp_path / "typo")]
    with pytest.raises(SystemExit, match=r"there is no exchange in .*typo: name the folder"):
        cli.main(given)
    assert privacy.told(graded.overlay, "ada") == before


def test_the_exchange_of_a_hub_goes_along(graded, tmp_path):
    for student in STUDENTS:
        folder = tmp_path / "exchange" / student / "llm" / "inbound" / "x"
        folder.mkdir(parents=True)
        (folder / "ngrams.ipynb").write_text(f"by {student}", "utf-8")
        os.utime(folder / "ngrams.ipynb", (0, 0))  # 1970, which a ZIP file has no number for
    privacy.export(graded.overlay, "ada", tmp_path / "ada.zip", tmp_path / "exchange")
    with zipfile.ZipFile(tmp_path / "ada.zip") as archive:
        assert b"by ada" in archive.read("exchange/ada/llm/inbound/x/ngrams.ipynb")
    privacy.delete(graded.overlay, "ada", tmp_path / "exchange")
    assert sorted(path.name for path in (tmp_path / "exchange").iterdir()) == ["O'Brien", "adam", "bob"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each name of a file is Unicode")
def test_a_file_with_a_name_in_no_known_encoding_is_exported(graded, tmp_path):
    folder = tmp_path / "exchange" / "ada"
    folder.mkdir(parents=True)
    (folder / os.fsdecode(b"caf\xe9.ipynb")).write_text("by ada", "utf-8")
    privacy.export(graded.overlay, "ada", tmp_path / "ada.zip", tmp_path / "exchange")
    with zipfile.ZipFile(tmp_path / "ada.zip") as archive:
        assert r"exchange/ada/caf\udce9.ipynb" in archive.namelist()


def test_nbgraders_gradebook_forgets_too(graded):
    pytest.importorskip("nbgrader", reason="nbgrader is not installed here")
    made = export("nbgrader", graded.assignment, graded.overlay, graded.overlay.store())
    assert made in hits(graded, "ada")
    privacy.delete(graded.overlay, "ada")
    assert hits(graded, "ada") == []
