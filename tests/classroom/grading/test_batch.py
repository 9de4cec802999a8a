"""A class hands in: some of it broken or hostile. Each gets a status, and nobody loses by another's file."""

import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import types
from pathlib import Path

import nbformat
import pytest

from course_utils.classroom import overlay
from course_utils.classroom.assignments import NAMES
from course_utils.classroom.grading import batch, collecting, sandbox
from course_utils.classroom.grading.visible import ROOT
from course_utils.commands import cli
from course_utils.learner.checks import CHECKS

pytestmark = pytest.mark.skipif(bool(sandbox.problem()), reason=sandbox.problem())
FULL = bool(os.environ.get("COURSE_FULL"))


@pytest.fixture
def grade(room):
    return room.grade


def command(room, *options):
    run = [
        sys.executable,
        "-m",
        "course_utils.commands.cli",
        "grade",
        "ngrams",
        "--overlay",
        str(room.folder),
    ]
    return [*run, "--submissions", str(room.submissions), "--workers", "2", *options]


def test_a_right_submission_gets_all_points_that_a_machine_gives(room, grade):
    room.hand_in("ada")
    ada = grade()["ada"]
    assert (ada.status, ada.details["score"], ada.details["out_of"]) == ("graded", 14, 14)
    assert ada.details["written"] == {"answer": "Hamlet."} and ada.details["notices"] == []
    assert [mark["points"] for mark in ada.details["marks"]] == [0, 0, 8, 6]


def test_another_students_work_is_right_for_another_constant(room, grade):
    names = [f"s{i}" for i in range(9)]
    thief = next(name for name in names if room.own(name) != room.own("ada"))
    room.hand_in("ada")
    room.release(thief)
    room.hand_in(thief, (room.submissions / "ada" / "ngrams.ipynb").read_bytes())
    marks = {mark["id"]: mark for mark in grade()[thief].details["marks"]}
    own = room.own(thief)
    assert marks["witten_bell"]["points"] == 0 and marks["page_bits"]["points"] == 0
    said = f"That is right for K = {room.own('ada')}; yours is {own}, by the notebook that you were given."
    assert said in marks["witten_bell"]["sentence"]


def test_pasting_the_courses_solutions_earns_nothing(room, grade):
    for i, id in enumerate(("1.5", "1.5 again", "1.6")):
        source = CHECKS[id].solution.replace(f"def {CHECKS[id].reference.__name__}(", "def witten_bell(")
        source = source.replace(
            "lower: dict[str, float], D: float", "lower: dict[str, float], D: float = 0.75"
        )
        room.hand_in(f"s{i}", witten_bell=source)
    for standing in grade().values():
        assert {m["id"]: m["points"] for m in standing.details["marks"]}["witten_bell"] == 0


@pytest.mark.parametrize("name", NAMES[1:])
def test_each_assignment_is_graded(room_of, name):
    """Right answers, and answers that are right for another constant, in one batch."""
    room = room_of(name)
    room.hand_in("ada")
    room.hand_in("eve", more=1)
    points = {student: standing.details["score"] for student, standing in room.grade().items()}
    assert points == {"ada": 14, "eve": 0}


def test_a_damaged_notebook_of_ours_costs_nobody_a_grade(room, grade):
    room.hand_in("ada")
    room.overlay.released("ngrams", "ada").write_text("{")
    ada = grade()["ada"]
    assert (ada.status, ada.details["score"], ada.details["notices"]) == ("graded", 14, [])


def test_a_stopped_answer_makes_a_partial_grade(room, grade):
    notebook = room.notebook("ada", witten_bell="import os; os._exit(5)", **{"page_bits-tests": "pass"})
    [answer] = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("points") == 6][1:]
    answer.metadata.nbgrader.points = 20
    room.hand_in("ada", nbformat.writes(notebook).encode())
    ada = grade()["ada"]
    test, points = ada.details["notices"]
    assert "The cell page_bits-tests is not as it was handed out" in test
    assert "The points of answer are not as they were handed out" in points
    assert (ada.status, ada.details["score"]) == ("partial", 6)
    assert "exit status 5" in ada.reason


def test_layouts_of_folders_are_found_and_links_are_not_followed(room, grade, tmp_path):
    content = nbformat.writes(room.notebook("ada")).encode()
    (room.submissions / "flat.ipynb").write_bytes(content)
    (room.submissions / "packed").mkdir()
    (room.submissions / "packed" / "data.csv").write_text("a,b\n")
    paths = ("nbgrader/ngrams/ngrams.ipynb", "renamed/my work.ipynb", "two/a.ipynb", "two/b.ipynb")
    for path in (*paths, "packed/homework/ngrams.ipynb"):
        (room.submissions / path).parent.mkdir(parents=True, exist_ok=True)
        (room.submissions / path).write_bytes(content)
    (room.submissions / "empty").mkdir()
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "ngrams.ipynb").write_bytes(content)
    (room.submissions / "linked").symlink_to(secret)
    (room.submissions / "link").mkdir()
    (room.submissions / "link" / "ngrams.ipynb").symlink_to(secret / "ngrams.ipynb")
    (room.submissions / "inner").mkdir()
    (room.submissions / "inner" / "ngrams").symlink_to(secret)
    found = {student: (s.status, s.reason) for student, s in grade().items()}
    for student in ("flat", "nbgrader", "renamed", "packed"):
        assert found[student][0] == "graded", found
    assert all("link to another file" in found[student][1] for student in ("linked", "link", "inner"))
    assert found["empty"][0] == "ungradable" and "No such file" in found["empty"][1]


def test_an_untouched_notebook_displaces_none_that_was_kept_and_is_told(room):
    """As the wrong folder would, for a whole class."""
    room.hand_in("ada")
    room.grade()
    room.release("bob")
    store, given = room.overlay.store(), room.folder / "release" / "ngrams"
    kept, remarks = collecting.collect("ngrams", given, store)
    assert [*kept] == ["bob"] and remarks == [
        "ada: nothing is written in ngrams.ipynb; what was kept before counts.",
        "bob: nothing is written in ngrams.ipynb, which counts.",
    ]
    assert room.rows()["ada"].points["witten_bell"] == 8


def test_the_lists_that_a_command_names_are_no_students(room, monkeypatch, capsys):
    (room.submissions / "n.csv").write_text("File,Student\na.zip,ada\n")
    (room.submissions / "t.csv").write_text("Student,Received\nada,2025-12-04T22:59Z\n")
    (room.submissions / "a.zip").write_bytes(b"PK\x03\x04")
    monkeypatch.chdir(room.submissions)
    options = ["--submissions", ".", "--names", "n.csv", "--received", "t.csv"]
    cli.main(["grade", "ngrams", "--overlay", str(room.folder), *options])
    remarks = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  But")]
    assert all("gives other results" in remark for remark in remarks)  # of this room's references
    assert [*room.rows()] == ["ada"]


@pytest.mark.parametrize("damage", [lambda kept: kept.write_bytes(b"{}"), Path.unlink], ids=["lies", "loses"])
def test_what_is_our_fault_is_tried_again(room, grade, damage):
    room.hand_in("ada")
    store = room.overlay.store()
    collecting.collect("ngrams", room.submissions, store)
    shutil.rmtree(room.submissions / "ada")  # else it is kept anew, and whole
    [submission] = store.pending("ngrams", 1)
    kept = store.folder / "submissions" / f"{submission.sha256}.ipynb"
    content = kept.read_bytes()
    damage(kept)  # by a disk
    assert grade()["ada"].status == "infra_error"
    kept.write_bytes(content)
    assert grade()["ada"].status == "graded"


BROKEN = {
    "cut": lambda room: b'{"cells": [{"cell_type": "co',
    "empty": lambda room: b"",
    "binary": lambda room: bytes(range(1, 256)),
    "loop": lambda room: {"count": "while True: pass"},
    "killed": lambda room: {"witten_bell": "import os; os.kill(os.getpid(), 9)"},
}
SIZE = 300 if FULL else 30


MOST_MB = 300  # of memory, of any process of the grader: a notebook of 20 MB is read whole


# From a process that is small itself: a child begins with the most that its parent's memory ever held.
MEASURING = """\
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)"""


def test_a_batch_with_broken_submissions_is_graded_right_around_them(room):
    """One in twenty is broken; the command grades in parallel, in processes of its own, and leaves none."""
    expected = {}
    for i in range(SIZE):
        student, kind = f"s{i:03}", None
        if i % 20 == 7:
            kind = list(BROKEN)[(i // 20) % len(BROKEN)]
            made = BROKEN[kind](room)
            room.hand_in(student, **(made if isinstance(made, dict) else {"content": made}))
        elif i % 3 == 0:
            room.hand_in(student, page_bits="def page_bits(page, counts, lower):\n    return 1.0")
        else:
            room.hand_in(student)
        expected[student] = kind or (8 if i % 3 == 0 else 14)
    measuring = [sys.executable, "-c", MEASURING, *command(room)]
    done = subprocess.run(measuring, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and f"{SIZE} of {SIZE}, 0:00 left" in done.stdout, done.stdout
    assert int(done.stderr) < MOST_MB << 10  # KB
    time.sleep(1)
    assert processes_of(room) == []
    for student, standing in room.overlay.store().standings("ngrams").items():
        kind = expected[student]
        if isinstance(kind, int):
            assert (standing.status, standing.details["score"]) == ("graded", kind), student
        else:
            assert standing.status == ("partial" if kind in ("loop", "killed") else "ungradable")
            assert standing.reason


def processes_of(room):
    """Processes of this machine whose command or environment has the class's folder in it, or a sandbox."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if str(room.folder).encode() in line and folder.name != str(os.getpid()):
            found.append(line)
    return found


KILLS = 20 if FULL else 2


def test_a_grader_that_is_killed_goes_on_where_it_was(room):
    """What was noted before stays, and what was not is graded by the next."""
    students = [f"s{i:03}" for i in range(4 * KILLS)]
    for student in students:
        room.hand_in(student)
    chance, noted = random.Random(0), []
    for number in range(KILLS):
        with subprocess.Popen(command(room), stdout=subprocess.PIPE, cwd=ROOT) as process:
            while b" to grade, " not in process.stdout.readline():  # it has collected
                assert process.poll() is None
            for _ in range(number % 3):  # and graded none, one or two
                process.stdout.readline()
            time.sleep(chance.uniform(0, 0.5))
            assert process.poll() is None, "it was done before it was killed"
            process.send_signal(signal.SIGKILL)
        time.sleep(1)
        assert processes_of(room) == []
        before, noted = noted, results_of(room)
        assert noted[: len(before)] == before
    assert 0 < len(noted) < len(students), "it was killed in the middle"
    subprocess.run(command(room), check=True, capture_output=True, cwd=ROOT)
    standings = room.overlay.store().standings("ngrams")
    assert {student: s.details["score"] for student, s in standings.items()} == dict.fromkeys(students, 14)
    assert sorted(submission for _, submission, _ in results_of(room)) == list(range(1, len(students) + 1))


def results_of(room):
    with sqlite3.connect(room.folder / "store" / "grades.sqlite") as database:
        return database.execute("SELECT id, submission, graded FROM results ORDER BY id").fetchall()


def test_two_graders_at_once_grade_each_once(room):
    for i in range(4):
        room.hand_in(f"s{i}")
    both = [subprocess.Popen(command(room), stdout=subprocess.DEVNULL, cwd=ROOT) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    with sqlite3.connect(room.folder / "store" / "grades.sqlite") as database:
        assert database.execute("SELECT count(*), count(DISTINCT submission) FROM results").fetchone() == (
            4,
            4,
        )


def test_a_worker_that_dies_costs_one_submission_only(room, monkeypatch):
    """Something kills the process that grades one submission: the others are graded, it is tried again."""
    for student in ("ada", "alan", "grace"):
        room.hand_in(student)
    monkeypatch.setattr(batch, "_work", dies_for_alan)
    store = room.overlay.store()
    collecting.collect("ngrams", room.submissions, store)
    counts = batch.grade_all(room.assignment, room.overlay, store, workers=2, say=lambda line: None)
    assert counts == {"graded": 2, "infra_error": 1}
    assert store.standings("ngrams")["alan"].status == "infra_error"


def test_no_terminal_obeys_what_a_submission_says(room, monkeypatch):
    results = [(types.SimpleNamespace(student="a\x1b[2Jda"), ("infra_error", "no\x1b]0;", {}))]
    monkeypatch.setattr(batch, "results_of", lambda *arguments: results)
    monkeypatch.setattr(batch.Store, "pending", lambda *arguments: [results[0][0]])
    monkeypatch.setattr(batch.Store, "record", lambda *arguments: True)
    said = []
    batch.grade_all(room.assignment, room.overlay, room.overlay.store(), say=said.append)
    assert said[-1].endswith(r"a\x1b[2Jda: infra_error: no\x1b]0;")


def test_a_result_that_is_not_noted_is_not_counted(room, monkeypatch):
    work, store, said = room.result("ada"), room.overlay.store(), []
    monkeypatch.setattr(batch, "results_of", lambda *arguments: [(work, ("graded", "", {}))])
    counts = batch.grade_all(room.assignment, room.overlay, store, say=said.append)
    assert counts == {} and "ada: not noted, since another grader" in said[-1]


def dies_for_alan(submission):
    if submission.student == "alan":
        os.kill(os.getpid(), signal.SIGKILL)
    return "graded", "", {}


SPY = """
import os, sys

CANARY = []
for folder, _, files in os.walk("/"):
    if not folder.startswith(("/proc", "/sys", "/usr", "/lib")):
        for name in files:
            try:
                CANARY.append(open(os.path.join(folder, name), errors="replace").read(100_000))
            except (OSError, ValueError):
                pass
CANARY += [repr(dict(os.environ)), open("/proc/self/environ").read(), repr(sys.modules)]


def witten_bell(counts, lower):
    raise ValueError("".join(CANARY))
"""


def test_no_canary_is_inside_and_the_store_stays_as_it_is(room, grade, monkeypatch):
    monkeypatch.setenv("CANARY_TOKEN", "canary-environment")
    references = room.folder / "ngrams.py"
    references.write_text(references.read_text() + "\n# canary-reference\n")
    room.hand_in("ada", answer="canary-of-ada")
    room.hand_in("spy", witten_bell=SPY)
    standings = grade()
    secret = (room.folder / "secret.txt").read_text().strip()
    spied = json.dumps(standings["spy"].details)
    assert not any(canary in spied for canary in ("canary-", secret, standings["ada"].submission.sha256))
    kept = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (room.folder / "store").rglob("*.ipynb")
    }
    assert all(name == f"{digest}.ipynb" for name, digest in kept.items())


def test_without_a_sandbox_it_refuses(room, monkeypatch):
    monkeypatch.setattr(sandbox, "problem", lambda unsafe: "There is no sandbox here.")
    with pytest.raises(SystemExit, match="no sandbox here"):
        cli.main(["grade", "ngrams", "--overlay", str(room.folder)])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_stops_the_grader_is_one_sentence(room, monkeypatch, error):
    def stopped(*arguments, **options):
        raise error

    monkeypatch.setattr(batch, "grade_all", stopped)
    with pytest.raises(SystemExit, match="the same command goes on where it was") as caught:
        cli.main(["grade", "ngrams", "--overlay", str(room.folder)])
    assert str(error) in str(caught.value)
    with pytest.raises(SystemExit, match="the same command without --again goes on where it was"):
        cli.main(["grade", "ngrams", "--overlay", str(room.folder), "--again"])


def test_a_file_that_was_made_from_anothers_notebook_is_named(room, monkeypatch, capsys):
    monkeypatch.setattr(batch, "grade_all", lambda *arguments, **options: {})
    monkeypatch.setattr(sandbox, "problem", lambda unsafe: "")
    for student in ("ada", "bob", "cleo"):
        room.hand_in(student)
    room.hand_in("cleo", (room.submissions / "ada" / "ngrams.ipynb").read_bytes())
    cli.main(["grade", "ngrams", "--submissions", str(room.submissions), "--overlay", str(room.folder)])
    said = [line for line in capsys.readouterr().out.splitlines() if "made from" in line]
    assert said == ["  But: cleo's file was made from ada's notebook: a wrong name, or a copy?"]


def test_what_is_left_of_a_new_round_takes_the_command_without_again(room, monkeypatch, capsys):
    room.result("ada")
    monkeypatch.setattr(batch, "grade_all", lambda *arguments, **options: {})
    cli.main(["grade", "ngrams", "--overlay", str(room.folder), "--again"])
    assert "1 are still to be graded: the same command without --again goes on." in capsys.readouterr().out


def test_again_is_a_new_round(room, grade, capsys):
    room.hand_in("ada")
    grade()
    cli.main(["grade", "ngrams", "--overlay", str(room.folder), "--workers", "1"])
    assert "Nothing is pending" in capsys.readouterr().out
    cli.main(["grade", "ngrams", "--overlay", str(room.folder), "--workers", "1", "--again"])
    assert "1 graded" in capsys.readouterr().out


def test_the_overlay_is_found_by_its_variable(room, monkeypatch):
    monkeypatch.setenv("COURSE_OVERLAY", str(room.folder))
    assert overlay.place() == room.folder.resolve()


def test_minutes_and_seconds_are_rounded_together():
    assert [batch._minutes(seconds) for seconds in (0.4, 59.7, 61, 119.6)] == ["0:00", "1:00", "1:01", "2:00"]
