"""The autograder's zip, unpacked and run as Gradescope does: as /autograder, in a container, as root.

The container is bubblewrap's: this system read-only, no network, nothing of bubblewrap in it.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from course_utils.classroom import overlay
from course_utils.classroom.gradescope import packing, running
from course_utils.classroom.grading import batch, cells
from course_utils.commands import cli

needs_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("bwrap"),
    reason="the container needs Linux, root and bubblewrap",
)
SCHEMA = {"score", "execution_time", "output", "visibility", "stdout_visibility", "extra_data", "tests"}
TEST = {"score", "max_score", "name", "number", "output", "tags", "visibility", "extra_data"}


@pytest.fixture
def autograder(room, tmp_path):
    """A folder laid out as /autograder is, for a class of two."""
    room.release("ada", "bob")
    cli.main(["gradescope", "ngrams", "--overlay", str(room.folder)])
    place = tmp_path / "autograder"
    for name in ("submission", "results"):
        (place / name).mkdir(parents=True)
    with zipfile.ZipFile(room.folder / "gradescope" / "ngrams.zip") as archive:
        archive.extractall(place / "source")
    shutil.copy(place / "source" / "run_autograder", place)
    return place


def hand_in(place, content, email="ada@school.org"):
    (place / "submission" / "my work.ipynb").write_bytes(content)
    users = {"users": [{"email": email, "id": 1, "name": "Ada"}]}
    (place / "submission_metadata.json").write_text(json.dumps(users))


def run(place):
    """Run it in a container; the results, which keep to Gradescope's schema, and what was printed."""
    container = ["bwrap", "--unshare-net", "--die-with-parent", "--cap-add", "ALL"]
    container += ["--tmpfs", "/", "--perms", "1777", "--tmpfs", "/tmp"]
    for folder in ("/usr", "/bin", "/lib", "/lib64", "/etc", "/opt"):
        container += ["--ro-bind-try", folder, folder]
    for folder in map(Path, {sys.base_prefix, sys.prefix}):
        for above in reversed(folder.parents[:-1]):
            container += ["--perms", "0755", "--dir", str(above)]
        container += ["--ro-bind", str(folder), str(folder)]
    container += ["--ro-bind", "/dev/null", shutil.which("bwrap"), "--proc", "/proc", "--dev", "/dev"]
    container += ["--bind", str(place), "/autograder", "--chdir", "/autograder", "--clearenv"]
    container += ["--setenv", "PATH", f"{sys.prefix}/bin:/usr/bin:/bin", "bash", "/autograder/run_autograder"]
    done = subprocess.run(container, capture_output=True, text=True, timeout=300)
    results = json.loads((place / "results" / "results.json").read_text())
    assert results.keys() <= SCHEMA and all(test.keys() <= TEST for test in results["tests"])
    assert all(isinstance(test["score"], int | float) for test in results["tests"])
    return results, done.stdout + done.stderr


def scores(results):
    return {test["name"]: (test["score"], test["max_score"]) for test in results["tests"]}


SPY = """
import os, subprocess

def tried(what):
    try:
        return str(what())
    except OSError as error:
        return type(error).__name__

FOUND = [
    tried(lambda: os.getuid()),
    tried(lambda: os.listdir("/autograder/source")),
    tried(lambda: open("/autograder/source/class/ngrams.py").read()),
    tried(lambda: open("/autograder/results/results.json", "w")),
    tried(lambda: open("/autograder/results/results2.json", "w")),
    tried(lambda: os.kill(os.getppid(), 9)),
    tried(lambda: os.setuid(0)),
    tried(lambda: open("/proc/%d/mem" % os.getppid(), "rb")),
]
subprocess.Popen(["sleep", "1000"], start_new_session=True)


def ngram_counts(texts, n):
    raise ValueError(FOUND)
"""


@needs_root
def test_right_work_and_wrong_is_graded_and_an_answer_reaches_nothing(room, autograder):
    wrong = "def page_bits(page, counts, lower):\n    return 1.0"
    hand_in(autograder, nbformat.writes(room.notebook("ada", count=SPY, page_bits=wrong)).encode())
    module = autograder / "source" / "course" / "course_utils" / "classroom" / "gradescope" / "running.py"
    text = module.read_text()  # so that it prints what a student never sees: the error in full
    module.write_text(text.replace("print(row.status", "print(row.standing.details, row.status"))
    results, printed = run(autograder)
    graded = {"count": (0, 0), "perplexity": (0, 0), "witten_bell": (8, 8), "page_bits": (0, 6)}
    assert scores(results) == graded and "score" not in results
    assert "answer: ? of 6. not read yet" in results["output"]
    assert "ValueError in line" in results["tests"][0]["output"] and "Permission" not in str(results)
    told = printed[printed.index("ValueError: [") :].split("]")[0].replace("\\", "")
    found = [str(running.USER), *["PermissionError"] * 7]
    assert told == "ValueError: [" + ", ".join(f"'{each}'" for each in found)
    left = subprocess.run(
        ["ps", "-o", "stat=,args=", "-u", str(running.USER)], capture_output=True, text=True
    )
    assert [line for line in left.stdout.splitlines() if not line.startswith("Z")] == []


@needs_root
def test_a_broken_file_has_results_too(autograder):
    hand_in(autograder, b"")
    results, _ = run(autograder)
    assert scores(results) == {"this file can be graded": (0, 14)}
    assert results["output"].startswith("Not graded, which is no mark. The file is empty")


def test_any_broken_file_and_any_stranger_has_results(autograder):
    def told():
        running.main(autograder, "ngrams")
        results = json.loads((autograder / "results" / "results.json").read_text())
        assert scores(results) == {"this file can be graded": (0, 14)}
        return results["output"]

    hand_in(autograder, b"")
    assert told().endswith(cells.AGAIN), "and no line an answer"
    for content in (b'{"cells": [', b"\xff\x00", b"PK\x03\x04", b"[" * 9000, b"{}"):
        hand_in(autograder, content)
        assert "The file" in told()
    hand_in(autograder, b"", email="eve@school.org")
    assert "Nobody called eve@school.org" in told()
    hand_in(autograder, b"")
    (autograder / "submission" / "my work.ipynb").unlink()
    assert "can't be opened" in told()


def test_an_untouched_notebook_displaces_no_filled_one(room, autograder, monkeypatch, capsys):
    hand_in(autograder, room.overlay.released("ngrams", "ada").read_bytes())
    (autograder / "submission" / "work").mkdir()
    full = autograder / "submission" / "work" / "full.ipynb.txt"
    full.write_bytes(nbformat.writes(room.notebook("ada")).encode())
    os.utime(full, (1e9, 1e9))
    monkeypatch.setattr(batch, "grade_one", lambda *given, **options: ("ungradable", given[3].name, {}))
    running.main(autograder, "ngrams")
    results = json.loads((autograder / "results" / "results.json").read_text())
    assert results["output"].endswith(" full.ipynb.txt")
    assert "full.ipynb.txt counts in its place" in capsys.readouterr().out  # which the teacher sees


def test_results_are_there_if_the_grader_itself_fails(autograder, capsys, monkeypatch):
    running.main(autograder, "ngrams")  # there is no submission_metadata.json
    results = json.loads((autograder / "results" / "results.json").read_text())
    assert "Something of ours went wrong" in results["output"] and "metadata" in capsys.readouterr().err
    (autograder / "results" / "results.json").unlink()
    killed = (autograder / "run_autograder").read_text().replace("PYTHONPATH=", "exit 1; ")
    subprocess.run(["bash", "-c", killed, str(autograder / "run_autograder")])
    assert json.loads((autograder / "results" / "results.json").read_text()) == results
    hand_in(autograder, b"{}")
    monkeypatch.setattr(batch, "grade_one", lambda *arguments, **options: ("infra_error", "no disk", {}))
    running.main(autograder, "ngrams")
    assert json.loads((autograder / "results" / "results.json").read_text()) == results
    assert "graded again" not in results["output"]


def test_a_student_is_known_by_the_address(autograder):
    shipped = running.Shipped(autograder / "source" / "class")
    for user in ({"email": "ADA@school.org"}, {"email": "ada"}):
        assert shipped.student({"users": [user]}) == "ada"
    for metadata in ({}, {"users": []}, {"users": [{"email": "eve@school.org"}]}):
        with pytest.raises(cells.Ungradable, match="is in the roster"):
            shipped.student(metadata)


def test_one_notebook_for_all_needs_no_roster(room, tmp_path):
    room.release(overlay.EVERYONE)
    with zipfile.ZipFile(packing.pack(room.assignment, room.overlay)) as archive:
        archive.extractall(tmp_path / "source")
    shipped = running.Shipped(tmp_path / "source" / "class")
    assert shipped.student({"users": [{"email": "eve@school.org"}]}) == overlay.EVERYONE
    ask = room.assignment.asks["witten_bell"]
    assert shipped.own("ngrams", overlay.EVERYONE, ask) == room.overlay.own("ngrams", overlay.EVERYONE, ask)


def test_the_zip_holds_no_secret_of_the_class(room, autograder):
    secret = (room.folder / "secret.txt").read_text().strip()
    files = {
        path.relative_to(autograder).as_posix(): path for path in autograder.rglob("*") if path.is_file()
    }
    assert not any(secret.encode() in path.read_bytes() for path in files.values())
    assert "source/course/notebooks/assignments/ngrams/ngrams.ipynb" in files
    for script in ("source/setup.sh", "source/run_autograder"):
        assert files[script].read_text().startswith("#!/bin/bash\n")
        assert subprocess.run(["bash", "-n", files[script]]).returncode == 0
    with zipfile.ZipFile(room.folder / "gradescope" / "ngrams.zip") as archive:
        assert archive.getinfo("run_autograder").external_attr >> 16 == 0o755
        assert "class/attention.py" not in archive.namelist()


def test_a_stop_while_it_is_packed_leaves_the_zip_that_was_there(room, monkeypatch):
    room.release("ada")
    zip_file = packing.pack(room.assignment, room.overlay)
    before, number = zip_file.read_bytes(), itertools.count()
    write = zipfile.ZipFile.writestr

    def stopped(*arguments, **options):
        if next(number) == 2:
            raise KeyboardInterrupt
        write(*arguments, **options)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", stopped)
    with pytest.raises(KeyboardInterrupt):
        packing.pack(room.assignment, room.overlay)
    assert zip_file.read_bytes() == before


def test_what_was_not_released_is_not_packed(room):
    with pytest.raises(SystemExit, match="nobody has ngrams yet"):
        cli.main(["gradescope", "ngrams", "--overlay", str(room.folder)])


LOADED = """
import sys
before = set(sys.modules)
import course_utils.classroom.gradescope.running as running
from course_utils.classroom.assignments import NAMES, find_assignment

for name in NAMES:
    find_assignment(name)
print(running.__file__)
print(*{name.partition(".")[0] for name in sys.modules.keys() - before} - set(sys.stdlib_module_names))
"""


def test_the_grader_there_needs_only_what_setup_installs(autograder):
    course = str(autograder / "source" / "course")
    run = [sys.executable, "-P", "-B", "-c", LOADED]
    place, loaded = subprocess.check_output(run, text=True, env={"PYTHONPATH": course}).splitlines()
    assert place.startswith(course)
    ours = {"course_utils", "cython_runtime"}  # the second is NumPy's
    assert {name for name in loaded.split() if name[0] != "_"} <= {*packing.NEEDS} | ours
