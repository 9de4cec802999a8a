"""The progress file: whole, readable, forgiving."""

import errno
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from filelock import Timeout

from course_utils.learner import progress
from course_utils.learner.checks import asked_again, check, help_me
from course_utils.learner.overview import overview
from course_utils.learner.passages import GameText, Passage
from course_utils.learner.predict import predict
from course_utils.learner.progress import ProgressFile
from course_utils.learner.progress_page import progress_page
from course_utils.learner.quiz import quiz
from course_utils.learner.shannon_game import ShannonGame


def nothing_counted(texts, n):
    return {}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "my_work" / ".course" / "progress.json"


@pytest.fixture
def full_disk(monkeypatch):
    def fail(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(progress, "write_atomic", fail)
    monkeypatch.setattr(progress.os, "replace", fail)


@pytest.fixture(autouse=True)
def nothing_open(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_WORK", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_opened", {})


def record(file, exercise, *statuses):
    """Note them one by one; the problem that the last change met."""
    for status in statuses:
        with file.change() as change:
            change.record(exercise, status)
    return change.problem


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def test_what_is_recorded_is_there_again(file):
    record(ProgressFile(file), "1.1", "not yet", "mistake", "wrong", "error", "seen", "passed")
    again = ProgressFile(file).read()
    assert (again.attempts("1.1"), again.passed("1.1"), again.seen("1.1")) == (3, True, True)
    assert (again.attempts("1.2"), again.passed("1.2"), again.seen("1.2")) == (0, False, False)


def test_a_person_can_read_it(file):
    record(ProgressFile(file), "1.1", "wrong")
    assert file.read_text(encoding="utf-8").splitlines() == [
        "{",
        ' "version": 1,',
        ' "exercises": {',
        '  "1.1": {',
        '   "tries": 1,',
        '   "passed": false,',
        '   "seen": false',
        "  }",
        " }",
        "}",
    ]


def test_two_kernels_add_up(file):
    one, other = ProgressFile(file), ProgressFile(file)
    record(one, "1.1", "wrong")
    record(other, "0.1", "passed")
    record(one, "1.1", "wrong")
    both = ProgressFile(file).read()
    assert both.attempts("1.1") == 2 and both.passed("0.1")


def test_a_kernel_waits_while_another_changes_the_file(file):
    one, other = ProgressFile(file), ProgressFile(file)
    with one.change() as change:
        change.record("1.1", "wrong")
        waiting = threading.Thread(target=record, args=(other, "1.1", "wrong"))
        waiting.start()
        waiting.join(0.3)  # time enough to write, were there no lock
    waiting.join()
    assert ProgressFile(file).read().attempts("1.1") == 2


@pytest.mark.parametrize("error", [NotImplementedError("no locks here"), PermissionError(), Timeout("x")])
def test_without_a_lock_all_goes_on(file, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(progress.FileLock, "acquire", fail)
    assert record(ProgressFile(file), "1.1", "wrong") == "" and ProgressFile(file).read().attempts("1.1") == 1


def test_a_change_that_fails_changes_nothing(file):
    for store in (ProgressFile(file), ProgressFile()):
        record(store, "1.1", "wrong")
        with pytest.raises(ZeroDivisionError), store.change() as change:
            change.record("1.1", "wrong")
            change.record_answer("0.bits", "8 bits", 1 / 0)
        assert store.read().attempts("1.1") == 1


def test_a_snapshot_stays_as_it_was(file):
    for store in (ProgressFile(file), ProgressFile()):
        before = store.read()
        record(store, "1.1", "wrong")
        assert before.attempts("1.1") == 0


def test_other_parts_of_the_file_are_kept(file):
    write(file, {"version": 7, "exercises": {}, "later": [1]})
    record(ProgressFile(file), "1.1", "passed")
    state = json.loads(file.read_text(encoding="utf-8"))
    assert (state["version"], state["later"]) == (7, [1])


def test_an_older_file_is_brought_up_to_date(file):
    write(file, {"exercises": {"1.1": {"passed": True}}})
    store = ProgressFile(file)
    before = store.read()
    assert before.passed("1.1") and before.attempts("1.1") == 0 and before.problem == ""
    assert record(store, "1.1", "wrong") == ""
    state = json.loads(file.read_text(encoding="utf-8"))
    assert state == {"version": 1, "exercises": {"1.1": {"tries": 1, "passed": True, "seen": False}}}


GOOD = {"tries": 2, "passed": True, "seen": False}
BET = {
    "question": "Which?",
    "chips": {"a": 60, "b": 40},
    "placed": "2026-03-01T10:05:00",
    "result": "a",
    "counts": True,
}
DEEP = b"[" * 600 + b"]" * 600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"version": 1, "exerci',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"exercises": {"1.2": {"passed": true}}, "later": ' + DEEP + b"}",
        b'{"exercises": {"1.1": {"tries": 3, "more": ' + DEEP + b'}, "1.2": {"passed": true}}}',
        b"[]",
        b"null",
        {"version": "one", "exercises": {"1.2": GOOD}},
        {"version": 1, "exercises": []},
        {"version": 1, "exercises": {"1.1": 3, "1.2": GOOD}},
        {"version": 1, "exercises": {"1.1": {"tries": "2"}, "1.2": GOOD}},
        {"version": 1, "exercises": {"1.1": {"tries": -1}, "1.2": GOOD}},
        {"version": 1, "exercises": {"1.1": {"tries": 1, "passed": "yes"}, "1.2": GOOD}},
        {"version": 1, "exercises": {"1.2": GOOD}, "last passed": 3},
        {"version": 1, "exercises": {"1.2": GOOD}, "predictions": [], "answers": {}},
        {
            "version": 1,
            "exercises": {"1.2": GOOD},
            "predictions": {"1.a": BET | {"chips": {"a": 60, "b": 39}}},
        },
        {
            "version": 1,
            "exercises": {"1.2": GOOD},
            "predictions": {"1.a": BET | {"chips": {"a": 101, "b": -1}}},
        },
        {
            "version": 1,
            "exercises": {"1.2": GOOD},
            "predictions": {"1.a": BET | {"chips": {"a": 50.5, "b": 49.5}}},
        },
        {"version": 1, "exercises": {"1.2": GOOD}, "predictions": {"1.a": BET | {"chips": None}}},
        {"version": 1, "exercises": {"1.2": GOOD}, "predictions": {"1.a": BET | {"result": "c"}}},
        {"version": 1, "exercises": {"1.2": GOOD}, "predictions": {"1.a": BET | {"result": ["b"]}}},
        {"version": 1, "exercises": {"1.2": GOOD}, "predictions": {"1.a": BET | {"placed": 3}}},
        {"version": 1, "exercises": {"1.2": GOOD}, "predictions": {"1.a": BET | {"counts": 1}}},
        {"version": 1, "exercises": {"1.2": GOOD}, "predictions": {"1.a": BET | {"question": None}}},
        {"version": 1, "exercises": {"1.2": GOOD}, "answers": {"0.bits": {"choices": "3 bits"}}},
        {"version": 1, "exercises": {"1.2": GOOD}, "answers": {"0.bits": {"choices": [3]}}},
        {"version": 1, "exercises": {"1.2": GOOD}, "answers": {"0.bits": {"choices": [], "right": "no"}}},
    ],
    ids=repr,
)
def test_a_damaged_file_is_set_aside(file, content):
    write(file, content)
    damaged = file.read_bytes()
    store = ProgressFile(file)
    found = store.read()
    assert "it is kept as progress.damaged-1.json" in found.problem and "\n" not in found.problem
    assert file.with_name("progress.damaged-1.json").read_bytes() == damaged
    for whole in (found, ProgressFile(file).read()):  # what is right in it goes on, in every kernel
        assert whole.attempts("1.1") == 0
        assert whole.passed("1.2") == (b"1.2" in damaged)
        assert whole.predictions() == {} and whole.last_passed() is None
        assert whole.answer("0.bits") == {"choices": [], "right": False}
    assert record(store, "1.1", "wrong") == ""
    again = ProgressFile(file).read()
    assert again.attempts("1.1") == 1 and again.problem == ""

    write(file, b"{")
    assert "progress.damaged-2.json" in ProgressFile(file).read().problem
    assert file.with_name("progress.damaged-1.json").read_bytes() == damaged


def test_what_a_running_kernel_knows_outlives_a_file_that_is_cut_short(file):
    store = ProgressFile(file)
    record(store, "1.1", "passed")
    write(file, b'{"version": 1, "exer')
    assert "it is kept as progress.damaged-1.json" in (found := store.read()).problem
    assert found.passed("1.1") and ProgressFile(file).read().passed("1.1")


def test_a_mark_that_an_editor_put_first_is_no_damage(file):
    record(ProgressFile(file), "1.1", "passed")
    write(file, b"\xef\xbb\xbf" + file.read_bytes())
    assert (found := ProgressFile(file).read()).passed("1.1") and found.problem == ""


def test_one_damaged_part_costs_no_other(file):
    write(
        file,
        {
            "version": 1,
            "exercises": {"1.1": GOOD, "1.2": 3},
            "predictions": {"1.a": BET, "1.b": BET | {"chips": {"a": 1}}},
            "answers": {"0.bits": {"choices": ["3 bits"], "right": True}, "0.model": 1},
            "later": [1],
        },
    )
    store = ProgressFile(file)
    found = store.read()
    assert "progress.damaged-1.json" in found.problem
    assert found.passed("1.1") and found.predictions() == {"1.a": BET}
    assert found.answer("0.bits")["right"] and found.answer("0.model")["choices"] == []
    record(store, "1.2", "wrong")
    assert json.loads(file.read_text(encoding="utf-8"))["later"] == [1]


def test_half_a_character_in_an_unknown_part_is_kept(file):
    write(file, b'{"version": 1, "exercises": {}, "later": "\\ud800"}')
    assert record(ProgressFile(file), "1.1", "passed") == ""
    assert ProgressFile(file).read().passed("1.1")
    assert json.loads(file.read_text(encoding="utf-8"))["later"] == "\ud800"


def test_predictions_and_answers_are_there_again(file):
    with ProgressFile(file).change() as change:
        change.place("1.a", "Which?", {"a": 60, "b": 40})
        change.place("1.a", "Which?", {"a": 0, "b": 100})
        change.settle("1.a", "Which?", "a", ["a", "b"])
        change.record_answer("0.bits", "8 bits", False)
        change.record_answer("0.bits", "8 bits", False)
        change.record_answer("0.bits", "3 bits", True)
    again = ProgressFile(file).read()
    assert again.prediction("1.a") | {"placed": BET["placed"]} == BET
    assert again.answer("0.bits") == {"choices": ["8 bits", "3 bits"], "right": True}
    assert again.prediction("1.b") == progress.NO_BET


def test_the_exercise_passed_last_is_one_that_had_not_passed_before(file):
    for exercise in ("1.2", "1.1", "1.2"):
        record(ProgressFile(file), exercise, "passed")
    assert ProgressFile(file).read().last_passed() == "1.1"


def test_another_kernels_work_is_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "my_work"))
    here, there = progress.current(), ProgressFile(tmp_path / "my_work" / ".course" / "progress.json")
    with there.change() as change:
        change.place("1.a", "Which?", {"a": 60, "b": 40})
    assert progress.current() is here and here.read().prediction("1.a")["chips"] == {"a": 60, "b": 40}


def test_a_read_only_disk_is_told_of_once(file, full_disk):
    store = ProgressFile(file)
    problem = record(store, "1.1", "wrong")
    assert "Read-only file system" in problem and "until this kernel stops" in problem
    assert record(store, "1.1", "wrong", "wrong") == "" and store.read().attempts("1.1") == 3


def test_a_damaged_file_on_a_read_only_disk(file, full_disk):
    write(file, b"{")
    store = ProgressFile(file)
    assert "is damaged and can't be moved (Read-only file system)" in record(store, "1.1", "wrong")
    assert file.read_bytes() == b"{" and store.read().attempts("1.1") == 1


def test_a_folder_in_its_place(file):
    file.mkdir(parents=True)
    store = ProgressFile(file)
    assert "can't be read" in record(store, "1.1", "wrong")
    assert store.read().attempts("1.1") == 1 and store.read().problem == ""


def test_where_it_lies(tmp_path, monkeypatch):
    assert progress.current().path is None
    inside = tmp_path / "my_work" / "deeper"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert progress.current().path == tmp_path / "my_work" / ".course" / "progress.json"
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "elsewhere"))
    assert progress.current().path == tmp_path / "elsewhere" / ".course" / "progress.json"


def test_outside_my_work_nothing_is_written(tmp_path):
    check("1.1", nothing_counted)
    assert progress.current().read().attempts("1.1") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_new_kernel_goes_on_where_the_old_one_was(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "my_work"))
    helps = []
    for _ in range(3):
        progress._opened.clear()
        helps.append(len(check("1.1", nothing_counted).help))
    assert helps == [0, 1, 2]


# ---- requests: what a learner does, and what each costs ---------------------------------------------------


def game():
    return ShannonGame(
        {"t": GameText([Passage("key", "", "x" * 60, "aba")], "ab", [], lambda *_: np.zeros((0, 3)))}
    )


def click(widget, **request):
    """What a click in the page does."""
    widget._answer(widget, {"id": "v/0"} | request, [])
    return widget


def guess(widget):
    return click(widget, text="t", passage="key", ranks=[1], wrong="", shown=0, known=False, go="")


# what makes something, and what is then done with it: both are requests
REQUESTS = {
    "check": (lambda: None, lambda _: check("1.1", nothing_counted)),
    "help": (lambda: None, lambda _: help_me("1.1")),
    "variants": (lambda: None, lambda _: asked_again()),
    "progress page": (lambda: None, lambda _: progress_page()),
    "overview": (lambda: None, lambda _: overview("1")),
    "quiz": (lambda: None, lambda _: quiz("1")),
    "answer": (lambda: quiz("1"), lambda made: click(made, question=0, choice=0)),
    "bet": (lambda: None, lambda _: predict("1.a", "Which?", ["a", "b"])),
    "place": (lambda: predict("1.a", "Which?", ["a", "b"]), lambda made: click(made, chips=[60, 40])),
    "settle": (lambda: predict("1.a", "Which?", ["a", "b"]), lambda made: made.settle("a")),
    "game": (lambda: None, lambda _: game()),
    "guess": (game, guess),
}
WRITING = {"check", "help", "answer", "place", "settle", "guess"}


@pytest.fixture
def work(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "my_work"))
    record(progress.current(), "1.2", "wrong")
    return tmp_path / "my_work" / ".course" / "progress.json"


def shown(made):
    """All that a learner sees of it."""
    return repr(made) + str(getattr(made, "shown", ""))


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_reads_the_file_once_and_writes_it_at_most_once(request_, work, monkeypatch):
    before, act = REQUESTS[request_]
    made, reads, writes = before(), [], []
    read, write = Path.read_text, progress.write_atomic
    monkeypatch.setattr(
        Path, "read_text", lambda path, *args, **named: reads.append(path) or read(path, *args, **named)
    )
    monkeypatch.setattr(progress, "write_atomic", lambda *file: writes.append(file) or write(*file))
    shown(act(made))
    assert reads.count(work) == 1 and len(writes) == (request_ in WRITING)


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_problem_reaches_the_learner(request_, work, capsys):
    before, act = REQUESTS[request_]
    made = before()
    work.write_text("{")
    assert "it is kept as progress.damaged-1.json" in shown(act(made))
    assert capsys.readouterr().out == "" and "damaged" not in shown(act(made))


@pytest.mark.parametrize("request_", ["answer", "place", "settle", "guess"])
def test_a_click_is_drawn_once(request_, work):
    before, act = REQUESTS[request_]
    made, drawn = before(), []
    made.observe(drawn.append, "shown")
    calls = []
    view = made.view
    object.__setattr__(made, "view", lambda: calls.append(1) or view())
    act(made)
    assert len(calls) == len(drawn) == 1
