"""The progress file: whole, readable, forgiving."""

import errno
import json

import pytest

from course_utils.learner import progress
from course_utils.learner.checks import CHECKS, check
from course_utils.learner.progress import Progress

WRONG = CHECKS["1.1"].mistakes[0].answer


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


def write(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def test_what_is_recorded_is_there_again(file):
    store = Progress(file)
    for status in ("not yet", "mistake", "wrong", "error", "seen", "passed"):
        store.record("1.1", status)
    again = Progress(file)
    assert (again.attempts("1.1"), again.passed("1.1"), again.seen("1.1")) == (3, True, True)
    assert (again.attempts("1.2"), again.passed("1.2"), again.seen("1.2")) == (0, False, False)


def test_a_person_can_read_it(file):
    Progress(file).record("1.1", "wrong")
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
    one, other = Progress(file), Progress(file)
    one.record("1.1", "wrong")
    other.record("0.1", "passed")
    one.record("1.1", "wrong")
    assert Progress(file).attempts("1.1") == 2 and Progress(file).passed("0.1")


def test_other_parts_of_the_file_are_kept(file):
    write(file, {"version": 7, "exercises": {}, "later": [1]})
    Progress(file).record("1.1", "passed")
    state = json.loads(file.read_text(encoding="utf-8"))
    assert (state["version"], state["later"]) == (7, [1])


def test_an_older_file_is_brought_up_to_date(file, capsys):
    write(file, {"exercises": {"1.1": {"passed": True}}})
    store = Progress(file)
    assert store.passed("1.1") and store.attempts("1.1") == 0
    store.record("1.1", "wrong")
    state = json.loads(file.read_text(encoding="utf-8"))
    assert state == {"version": 1, "exercises": {"1.1": {"tries": 1, "passed": True, "seen": False}}}
    assert capsys.readouterr().out == ""


GOOD = {"tries": 2, "passed": True, "seen": False}
BET = {
    "question": "Which?",
    "chips": {"a": 60, "b": 40},
    "placed": "2026-03-01T10:05:00",
    "result": "a",
    "counts": True,
}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"version": 1, "exerci',
        b"\xff\xfe\x00",
        b"[" * 100_000,
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
def test_a_damaged_file_is_set_aside(file, content, capsys):
    write(file, content)
    damaged = file.read_bytes()
    store = Progress(file)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "progress.damaged-1.json" in said
    assert file.with_name("progress.damaged-1.json").read_bytes() == damaged
    assert store.attempts("1.1") == 0
    assert store.passed("1.2") == (b"1.2" in damaged)  # what is right in it goes on
    assert store.predictions() == {} and store.last_passed() is None
    assert store.answer("0.bits") == {"choices": [], "right": False}
    store.record("1.1", "wrong")
    assert Progress(file).attempts("1.1") == 1 and capsys.readouterr().out == ""

    write(file, b"{")
    Progress(file)
    assert "progress.damaged-2.json" in capsys.readouterr().out
    assert file.with_name("progress.damaged-1.json").read_bytes() == damaged


def test_one_damaged_part_costs_no_other(file, capsys):
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
    store = Progress(file)
    assert capsys.readouterr().out.count("\n") == 1
    assert store.passed("1.1") and store.predictions() == {"1.a": BET}
    assert store.answer("0.bits")["right"] and store.answer("0.model")["choices"] == []
    store.record("1.2", "wrong")
    assert json.loads(file.read_text(encoding="utf-8"))["later"] == [1]


def test_predictions_and_answers_are_there_again(file):
    store = Progress(file)
    store.place("1.a", "Which?", {"a": 60, "b": 40})
    store.place("1.a", "Which?", {"a": 0, "b": 100})
    store.settle("1.a", "Which?", "a", ["a", "b"])
    store.record_answer("0.bits", "8 bits", False)
    store.record_answer("0.bits", "8 bits", False)
    store.record_answer("0.bits", "3 bits", True)
    again = Progress(file)
    assert again.prediction("1.a") | {"placed": BET["placed"]} == BET
    assert again.answer("0.bits") == {"choices": ["8 bits", "3 bits"], "right": True}
    assert again.prediction("1.b") == progress.OPEN


def test_the_exercise_passed_last_is_one_that_had_not_passed_before(file):
    store = Progress(file)
    for exercise in ("1.2", "1.1", "1.2"):
        store.record(exercise, "passed")
    assert Progress(file).last_passed() == "1.1"


def test_another_kernels_work_is_seen(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "my_work"))
    here, there = progress.current(), Progress(tmp_path / "my_work" / ".course" / "progress.json")
    there.place("1.a", "Which?", {"a": 60, "b": 40})
    assert progress.current() is here and here.prediction("1.a")["chips"] == {"a": 60, "b": 40}


def test_a_read_only_disk_is_told_of_once(file, full_disk, capsys):
    store = Progress(file)
    for _ in range(3):
        store.record("1.1", "wrong")
    assert store.attempts("1.1") == 3
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "Read-only file system" in said and "until this kernel stops" in said


def test_a_damaged_file_on_a_read_only_disk(file, full_disk, capsys):
    write(file, b"{")
    Progress(file).record("1.1", "wrong")
    assert capsys.readouterr().out.count("\n") == 1
    assert file.read_bytes() == b"{"


def test_a_folder_in_its_place(file, capsys):
    file.mkdir(parents=True)
    store = Progress(file)
    store.record("1.1", "wrong")
    assert store.attempts("1.1") == 1 and capsys.readouterr().out.count("\n") == 1


def test_where_it_lies(tmp_path, monkeypatch):
    assert progress.current().file is None
    inside = tmp_path / "my_work" / "deeper"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert progress.current().file == tmp_path / "my_work" / ".course" / "progress.json"
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "elsewhere"))
    assert progress.current().file == tmp_path / "elsewhere" / ".course" / "progress.json"


def test_outside_my_work_nothing_is_written(tmp_path):
    check("1.1", WRONG)
    assert progress.current().attempts("1.1") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_new_kernel_goes_on_where_the_old_one_was(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "my_work"))
    helps = []
    for _ in range(3):
        progress._opened.clear()
        helps.append(len(check("1.1", WRONG).help))
    assert helps == [0, 1, 2]
