"""What somebody tried who had read the guide and no code: cheats, which earn nothing."""

import copy
import json
import os
import socket

import pytest

from course_utils.classroom.grading import caps, cells, sandbox
from course_utils.commands import cli

pytestmark = pytest.mark.skipif(bool(sandbox.problem()), reason=sandbox.problem())
FULL = bool(os.environ.get("COURSE_FULL"))

EQUAL_TO_ALL = """
class Yes(dict):
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = lambda *_: True
    __ne__ = lambda *_: False
    __hash__ = lambda self: 0
    __len__ = lambda self: 4
    __float__ = lambda self: 1.0
    __sub__ = __rsub__ = __abs__ = lambda *_: 0.0
    __getitem__ = __getattr__ = __call__ = lambda self, *_, **__: self
    __array__ = lambda *_, **__: np.zeros(1)
    __reduce__ = lambda self: (eval, ("__import__('os')._exit(0)",))


def witten_bell(counts, lower):
    return Yes()
"""
PATCHES = """
import builtins, json, numpy.testing

for module, names in (
    (np, "allclose isclose array_equal all any abs"),
    (math, "isclose fabs isnan"),
    (numpy.testing, "assert_allclose assert_equal"),
    (json, "dumps dump"),
    (builtins, "all any abs isinstance len type"),
):
    for name in names.split():
        setattr(module, name, lambda *_, **__: True)


def witten_bell(counts, lower):
    return {}
"""
WRITES = """
import os, socket, sqlite3, sys


def witten_bell(counts, lower):
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if name not in ("proc", "sys", "lib", "usr")]
        for name in files:
            if name.endswith((".sqlite", ".db", ".csv", ".json")):
                try:
                    sqlite3.connect(os.path.join(folder, name)).execute("DELETE FROM results")
                except Exception:
                    pass
    for path in (*PATHS, "/etc/x", "/dev/shm/x", f"{sys.prefix}/x", np.__file__):
        try:
            open(path, "a").write("mine")
        except OSError:
            pass
    try:
        socket.create_connection(("127.0.0.1", PORT), 0.2)
    except OSError:
        pass
    return dict(lower)
"""
FORGES = """
import gc, json, os, sys


def witten_bell(counts, lower):
    frame, texts = sys._getframe(), [x for x in gc.get_objects() if isinstance(x, str) and 15 < len(x) < 100]
    while frame:
        texts += [value for value in frame.f_locals.values() if isinstance(value, str)]
        for function in frame.f_locals.values():
            for cell in getattr(function, "__closure__", None) or ():
                try:
                    texts.append(cell.cell_contents["nonce"])
                except (TypeError, KeyError, ValueError):
                    pass
        frame = frame.f_back
    said = {"id": "witten_bell", "case": 0, "outcome": {}, "status": "passed", "passed": True, "points": 8}
    data = "".join(f"\\n{nonce}{json.dumps(said)}\\n" for nonce in [*texts[:50], *texts[-50:]]).encode()
    for way_out in range(64):
        try:
            os.write(way_out, data)
        except OSError:
            pass
    return dict(lower)
"""
LEAVES = """
import atexit, os

atexit.register(print, "8 of 8. Right.")


def witten_bell(counts, lower):
    print('{"status": "graded", "points": 8}', flush=True)
    os._exit(0)
"""
STOPS_OTHERS = """
import os, signal


def witten_bell(counts, lower):
    for process in (os.getppid(), 1, -1):
        try:
            os.kill(process, signal.SIGKILL)
        except OSError:
            pass
    raise SystemExit(0)
"""
BY_HEART = """
EXAMPLES = []
{examples}


def witten_bell(counts, lower):
    return next((value for case, value in EXAMPLES if case == (counts, lower)), dict(lower))
"""
THE_COURSES_OWN = """
import importlib, sys

found = []
for name in ("learner.exercises.ngrams", "classroom.assignments.ngrams", "classroom.overlay", "ngrams"):
    try:
        found.append(importlib.import_module(f"course_utils.{name}"))
    except ImportError:
        pass
found += [module for name, module in list(sys.modules.items()) if "course" in name or name == "__main__"]


def witten_bell(counts, lower):
    for module in found:
        for name, value in vars(module).items():
            if callable(value) and ("reference" in name or "witten" in name) and value is not witten_bell:
                return value(counts, lower)
    return dict(lower)
"""
NO_NUMBERS = """
def witten_bell(counts, lower):
    return dict.fromkeys(lower, float("nan"))
"""
OUTLIVES = """
import os, time


def witten_bell(counts, lower):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                time.sleep(0.1)
        os._exit(0)
    os.wait()
    return dict(lower)
"""
CHANGES_THE_INPUTS = """
def witten_bell(counts, lower):
    counts.clear()
    lower.update(dict.fromkeys(lower, 1 / len(lower)))
    return dict(lower)
"""
SABOTAGE = """
import sys

for name, value in list(vars(sys.modules["__main__"]).items()):
    if callable(value) and name != "main":
        setattr(sys.modules["__main__"], name, lambda *_, **__: {"passed": True})


def witten_bell(counts, lower):
    return dict(lower)
"""
CHEATS = {
    "an object that equals all": (EQUAL_TO_ALL, " is expected."),
    "every comparison is patched": (PATCHES, ""),
    "it writes where grades might be": (WRITES, " is expected."),
    "it forges the channel": (FORGES, " is expected."),
    "it leaves, with success": (LEAVES, "Your answer ended before it had answered."),
    "it stops all processes that it sees": (STOPS_OTHERS, "SystemExit"),
    "the examples by heart": (BY_HEART, "The examples that you have come out right, other inputs don't."),
    "the course's own functions": (THE_COURSES_OWN, " is expected."),
    "not a number": (NO_NUMBERS, " is expected."),
    "a process that outlives the grading": (OUTLIVES, ""),
    "other inputs for the reference": (CHANGES_THE_INPUTS, "changes its argument `counts`"),
}


def groups():
    """The control groups of sandboxes of this process: one that still had a process could not be removed."""
    return [
        path
        for name in ("memory", "pids", "cpu")
        for path in (caps.MOUNTED / name).rglob(f"course-{os.getpid()}-*")
    ]


@pytest.mark.parametrize("source, sentence", CHEATS.values(), ids=CHEATS)
def test_a_cheat_earns_nothing_and_its_authors_other_answers_keep_their_points(room, source, sentence):
    examples = cells.tagged(room.notebook("eve"))["witten_bell-tests"]["source"]
    examples = examples[examples.index("EXAMPLES") : examples.index("\nfor arguments")]
    paths = [str(room.folder / name) for name in ("x", "secret.txt", "ngrams.py", "store/grades.sqlite")]
    source = source.replace("EXAMPLES = []\n{examples}", examples).replace("*PATHS", f"*{paths}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        room.hand_in("eve", witten_bell=source.replace("PORT", str(server.getsockname()[1])))
        before = contents(room)
        marks = {mark["id"]: mark for mark in room.grade()["eve"].details["marks"]}
        with pytest.raises(BlockingIOError):
            server.accept()
    assert marks["witten_bell"]["points"] == 0 and sentence in marks["witten_bell"]["sentence"]
    assert [marks[id]["status"] for id in ("count", "perplexity", "page_bits")] == ["passed"] * 3
    assert contents(room) == before and groups() == []


def contents(room):
    """What the class's folder holds, but for the store."""
    paths = [path for path in room.folder.rglob("*") if path.is_file() and path.parent.name != "store"]
    return {path: path.read_bytes() for path in paths if path.parent.name != "submissions"}


@pytest.mark.skipif(not FULL, reason="--full only")
def test_who_breaks_the_script_inside_loses_what_comes_after(room):
    room.hand_in("eve", witten_bell=SABOTAGE)
    eve = room.grade()["eve"]
    assert eve.details["score"] == 0 and eve.reason.count("perhaps one of the cells") == 4


def test_points_tests_and_questions_of_ones_own_change_nothing(room):
    notebook = room.notebook("eve")
    tagged = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}
    asked = room.assignment.asked()
    before = cells.read(json.dumps(notebook).encode(), asked)
    tagged["witten_bell-tests"].metadata.nbgrader.points = 800
    tagged["page_bits-tests"].metadata.nbgrader.update(solution=True)
    tagged["page_bits-tests"].source = "pass"
    tagged["answer"].metadata.nbgrader.points = 20
    bonus = copy.deepcopy(tagged["count"])
    bonus.metadata.nbgrader.update(grade_id="bonus", grade=True, points=100)
    bonus.source = "def bonus():\n    return 1"
    notebook.cells.append(bonus)
    assert cells.read(json.dumps(notebook).encode(), asked) == before
    assert sum(room.assignment.points().values()) == 20


SPY = """
import gc, os, sys


def everything():
    found, frame = [], sys._getframe()
    while frame:
        found.append(f"{frame.f_locals.get('job')} {frame.f_locals} {frame.f_globals}")
        frame = frame.f_back
    found += [open(f"/proc/{process}/{name}", errors="replace").read(9000)
              for process in os.listdir("/proc") if process.isdigit() for name in ("environ", "cmdline")]
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if name not in ("proc", "sys", "lib", "usr", "packages")]
        found += [open(os.path.join(folder, name), errors="replace").read(2000) for name in files
                  if name.endswith((".py", ".txt", ".json", ".sqlite", ".ipynb", ".md"))]
    found += [x for x in gc.get_objects() if isinstance(x, str)]
    return "\\n".join(text[:2000] for text in found)[:50_000]


FOUND = "canary-of-the-spy" + everything()


"""
TELLS = [
    "raise ValueError(FOUND)",
    "return {FOUND: 1.0}",
    "raise type(FOUND[:99], (Exception,), {})",
]


CANARIES = ("environment", "references", "spy")


def test_no_canary_comes_out_in_any_file_for_students(room, monkeypatch):
    """Whatever an answer finds, it tells in every way that it has; then all files are searched."""
    monkeypatch.setenv("TOKEN", "canary-of-the-environment")
    references = room.folder / "ngrams.py"
    references.write_text(f"{references.read_text()}\nCANARY = 'canary-of-the-references'\n")
    room.hand_in("ada", answer="canary-of-ada")
    spies = [f"eve{number}" for number in range(len(TELLS))]
    for spy, tell in zip(spies, TELLS, strict=True):
        source = f"{SPY}def witten_bell(counts, lower):\n    {tell}"
        room.hand_in(spy, witten_bell=source, page_bits=source.replace("witten_bell(", "page_bits(page, "))
    standing = room.grade()[spies[0]]
    assert standing.status == "graded" and standing.details["score"] == 0
    secrets = {room.overlay._secret.hex(), *(f"canary-of-the-{where}" for where in CANARIES)}
    for spy in spies:
        kept = room.overlay.store().standings("ngrams")[spy].submission
        secrets |= {str(q.hidden_seed) for q in room.overlay.questions(room.assignment, spy, kept.sha256)}
    folder = ["--overlay", str(room.folder)]
    for form in ("csv", "moodle", "canvas", "gradescope"):
        cli.main(["export", "ngrams", "--format", form, *folder])
    cli.main(["feedback", "ngrams", *folder])
    files = [path for name in ("export", "feedback", "release") for path in (room.folder / name).rglob("*.*")]
    texts = {path: path.read_text() for path in files if path.is_file()}
    assert len(texts) == 3 + 4 + 4 + 4, "all formats, a page, a file and a notebook for each student"
    for path, text in texts.items():
        assert not [secret for secret in secrets if secret in text], path
        assert "canary-of-ada" not in text and len(text) < 30_000
