"""What lateness costs, by a file that a teacher may change at any time; and whose clock says what is late."""

import csv
import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from course_utils.classroom.grading import collecting, lateness, sandbox, times
from course_utils.classroom.grading.store import OURS, Given
from course_utils.commands import cli

needs_sandbox = pytest.mark.skipif(bool(sandbox.problem()), reason=sandbox.problem())
DUE = datetime(2026, 12, 4, 22, 59, tzinfo=UTC)
TERM = """
[ngrams]
deadline = 2026-12-04T23:59:00+01:00
grace_minutes = 15
percent_a_day = 10
at_most_percent = 25
[ngrams.extensions]
ada = { until = 2026-12-06T23:59:00+01:00, reason = "ill" }
"""


@pytest.fixture(autouse=True)
def today(monkeypatch):
    """All this has been."""
    monkeypatch.setattr(times, "latest", lambda: DUE + timedelta(days=30))


@pytest.fixture
def policy(tmp_path):
    def policy(text=TERM, students=frozenset()):
        (tmp_path / lateness.FILE).write_text(text, encoding="utf-8")
        return lateness.read(tmp_path, "ngrams", students)

    return policy


def test_a_mark_that_an_editor_put_first_is_no_part_of_the_policy(policy):
    assert policy("\ufeff" + TERM) == policy()


@pytest.mark.parametrize(
    "student, after, percent, said",
    [
        ("alan", timedelta(days=-3), 0, "In time: due 2026-12-04 23:59 (UTC+01:00)."),
        ("alan", timedelta(minutes=15), 0, "In time"),
        ("alan", timedelta(minutes=15, milliseconds=1), 10, "16 min late, 10 % less: due 2026-12-04 23:59"),
        ("alan", timedelta(days=1), 10, "1 d late"),
        ("alan", timedelta(days=1, milliseconds=1), 20, "1 d 1 min late"),
        ("alan", timedelta(days=9), 25, "9 d late, 25 % less"),
        ("ada", timedelta(days=2), 0, "In time: due 2026-12-06 23:59 (UTC+01:00), by an extension."),
        ("ada", timedelta(days=2, hours=5), 10, "5 h late, 10 % less"),
    ],
)
def test_what_lateness_costs(policy, student, after, percent, said):
    late = policy().late(student, DUE + after)
    assert late.percent == percent and late.sentence.startswith(said)
    assert late.of(18) == pytest.approx(18 * (1 - percent / 100), rel=1e-15)


def test_without_a_file_a_table_or_a_cost_nothing_is_taken_off(policy, tmp_path):
    assert lateness.read(tmp_path, "ngrams", set()).late("ada", DUE).percent == 0
    for text in (lateness.EXAMPLE, TERM.replace("ngrams", "attention"), "[ngrams]\n" + TERM.splitlines()[2]):
        assert policy(text).late("alan", DUE + timedelta(days=99)).percent == 0
    example = re.sub("^# ?", "", lateness.EXAMPLE.partition("\n")[2], flags=re.M)
    assert policy(example).late("alan", DUE + timedelta(days=99)).percent == 50, "the example is none"


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("+01:00\ngrace", "\ngrace", "deadline 2026-12-04 23:59:00 has no zone"),
        ("T23:59:00+01:00\ngrace", "\ngrace", "deadline 2026-12-04 has no zone"),
        ("deadline = 2026-12-04T23:59:00+01:00", "", "deadline is missing"),
        ("a_day = 10", "a_day = -10", "percent_a_day is -10; it is a number from 0 to 100"),
        ("a_day = 10", "a_day = nan", "percent_a_day is nan"),
        ("a_day = 10", 'a_day = "10"', "percent_a_day is '10'"),
        (
            "grace_minutes = 15",
            "grace = 15",
            "there is no entry 'grace'; there are at_most_percent, deadline",
        ),
        ("ada =", "dda =", "there is no student 'dda'; there are ada, alan"),
        ("2026-12-06", "2026-12-01", "ada is due before the others"),
        ('"ill"', '" "', "the extension of ada has no reason"),
        ("{ until = 2026-12-06T23:59:00+01:00,", "{", "ada, until is missing"),
        ("ada = {", "ada = 3 # {", 'ada is 3; write when and why: "ada" = { until = '),
        (
            "ada = {",
            "ada = 2026-12-11T23:59:00Z # {",
            'ada is 2026-12-11 23:59:00+00:00; write when and why: "ada" = { until = ',
        ),
        (
            "2026-12-04T23:59:00+01:00",
            '"2026-12-04T23:59:00Z"',
            "deadline '2026-12-04T23:59:00Z' stands in quotation marks; write a date, a time",
        ),
        ("ada =", "rené =", "digits, - and _, stands in quotation marks"),
        ("[ngrams]", "[ngram]", "there is no assignment 'ngram'; there are ngrams"),
        (TERM, "ngrams = 3", "[ngrams] is 3; it is a table"),
        ("15", "15 minutes", "can't be read: "),
    ],
)
def test_what_the_file_can_not_mean_is_one_sentence(policy, old, new, said):
    with pytest.raises(ValueError) as error:
        policy(TERM.replace(old, new), {"ada", "alan"})
    assert said in str(error.value) and lateness.FILE in str(error.value)


@pytest.fixture
def handed_in(room, tmp_path):
    """Ada and alan have handed in, and have 14 and 4 points; ours is the only clock."""
    store = room.overlay.store()
    room.release("ada", "alan", "grace")
    points = room.assignment.points()
    for student in ("ada", "alan"):
        folder = room.submissions / student / "ngrams"
        folder.mkdir(parents=True)
        (folder / "ngrams.ipynb").write_text(student)
        os.utime(folder / "ngrams.ipynb", (0, 0))  # a student's clock, in 1970
    kept, _ = collecting.collect("ngrams", room.submissions, store)
    for submission in kept.values():
        marks = [{"id": id, "points": points[id], "sentence": "Right."} for id in room.assignment.asks]
        store.record(submission, 1, "graded", details={"marks": marks, "written": {"answer": "Hamlet."}})
        store.mark("ngrams", [Given(submission.student, "answer", submission.sha256, 4, "")])
    return kept


def run(room, *argv):
    cli.main([*argv, "--overlay", str(room.folder)])


def exported(room, form="csv"):
    run(room, "export", "ngrams", "--format", form)
    with (room.folder / "export" / f"ngrams-{form}.csv").open(newline="", encoding="utf-8") as file:
        return {line["username" if form == "moodle" else "student"]: line for line in csv.DictReader(file)}


def test_a_grade_follows_the_file_without_grading_again(room, handed_in, tmp_path):
    lines = "student,received\nada,2026-12-06T00:00+01:00\nalan,2026-12-05T22:59:01Z\ngrace,\n"
    (tmp_path / "lms.csv").write_text(lines)
    store, given = room.overlay.store(), str(tmp_path / "lms.csv")
    assert times.note(store, handed_in, room.submissions, given) == []
    assert times.note(store, handed_in, room.submissions, given) == [], "the same again"
    assert store.database.execute("SELECT count(*) FROM times").fetchone() == (2,)
    assert {name: line["score"] for name, line in exported(room).items()} == {
        "ada": "18",
        "alan": "18",
        "grace": "",
    }
    (room.folder / lateness.FILE).write_text(TERM.replace("ill", "CANARY"))
    found = exported(room)
    assert (found["ada"]["score"], found["alan"]["score"]) == ("18", "14.4")
    assert [found["alan"][name] for name in ("before lateness", "% off", "by")] == ["18", "20", "lms.csv"]
    assert found["alan"]["lateness"].startswith("1 d 1 min late, 20 % less")
    moodle = exported(room, "moodle")["alan"]
    assert (
        moodle["ngrams"] == "14.4" and "14.4 of 20 points (18 before 20 % less)" in moodle["ngrams feedback"]
    )
    run(room, "export", "ngrams", "--format", "gradescope")
    results = json.loads((room.folder / "export/gradescope/ngrams/alan/results.json").read_text())
    assert results["score"] == 14.4 and "(18 before 20 % less)" in results["output"]
    run(room, "feedback", "ngrams")
    pages = {name: (room.folder / "feedback/ngrams" / f"{name}.html").read_text() for name in ("ada", "alan")}
    assert "14.4 of 20 points (18 before 20 % less). 1 d 1 min late" in pages["alan"]
    assert "2026-12-05 22:59 UTC (lms.csv)" in pages["alan"]
    assert "In time: due 2026-12-06 23:59 (UTC+01:00), by an extension." in pages["ada"]
    assert not any("CANARY" in page for page in pages.values()), "why an extension was given is no page's"
    (room.folder / lateness.FILE).write_text(TERM.replace("2026-12-04", "2026-12-06"))
    assert exported(room)["alan"]["score"] == "18"


def test_the_time_that_counts_is_ours_unless_a_teacher_names_another(room, handed_in):
    standing = room.overlay.store().standings("ngrams")["alan"]
    assert abs(standing.received - datetime.now(UTC)) < timedelta(hours=1) and standing.source == OURS
    for name, text in {
        "ada": "2026-12-04 22:58:23.948203 UTC\n",
        "alan": "9999-12-31T23:59:59-12:00",
    }.items():
        (room.submissions / name / "ngrams" / times.STAMP).write_text(text)
    store = room.overlay.store()
    [remark] = times.note(store, handed_in, room.submissions, times.NBGRADER)
    lacking = "Without timestamp.txt in UTC, or with one in the future"
    assert remark == f"{lacking}, so that when `grade` kept the file counts: alan."
    ada, alan = store.standings("ngrams").values()
    assert (ada.received, ada.source) == (DUE - timedelta(seconds=36, microseconds=52000), times.NBGRADER)
    assert alan == standing, "what a student writes beside their file was taken for a time"


def test_a_time_that_was_noted_before_stays_and_that_is_said(room, handed_in, tmp_path):
    store, first, second = room.overlay.store(), tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("student,received\nada,2026-12-04T22:58Z\n")
    second.write_text("student,received\ngrace,\n")
    ours = "so that when `grade` kept the file counts: alan."
    assert times.note(store, handed_in, room.submissions, str(first)) == [f"Not in {first}, {ours}"]
    assert times.note(store, handed_in, room.submissions, str(second)) == [
        f"Not in {second}, {ours}",
        f"Not in {second}, so that the time that was noted before stays: ada.",
    ]
    assert store.standings("ngrams")["ada"].source == "a.csv"


@needs_sandbox
def test_without_a_list_the_command_says_how_many_have_a_time(room, handed_in, capsys):
    store = room.overlay.store()
    run(room, "grade", "ngrams", "--submissions", str(room.submissions))
    assert "The time that counts: when this command first saw a file.\n" in capsys.readouterr().out
    store.receive([(handed_in["ada"], DUE, "lms.csv")])
    run(room, "grade", "ngrams", "--submissions", str(room.submissions))
    assert "first saw a file; for 1 of them another was noted before, and stays.\n" in capsys.readouterr().out


def test_the_same_file_again_is_as_late_as_it_was(room, handed_in, tmp_path, monkeypatch):
    """Else one collection from a wrong folder would make a class late."""
    store, file = room.overlay.store(), tmp_path / "ngrams.ipynb"
    before = store.standings("ngrams")["ada"].received

    monkeypatch.setattr("course_utils.classroom.grading.store.now", lambda: "2099-01-01T00:00:00.000+00:00")

    def hand_in(text):
        file.write_text(text)
        return store.keep("ngrams", "ada", file)

    hand_in("another")
    assert store.standings("ngrams")["ada"].received == before, "which alone was graded"
    again = hand_in("ada")
    store.record(again, 1, "graded")
    assert again.received > handed_in["ada"].received
    assert store.standings("ngrams")["ada"].received == before
    store.receive([(handed_in["ada"], DUE, "lms.csv")])
    assert (store.standings("ngrams")["ada"].received, store.standings("ngrams")["ada"].source) == (
        DUE,
        "lms.csv",
    )
    store.receive([(again, DUE + timedelta(days=1), "lms.csv")])
    assert store.standings("ngrams")["ada"].received == DUE + timedelta(days=1)


def test_what_was_given_out_is_not_collected(room):
    room.release("ada")
    with pytest.raises(SystemExit, match="holds what was given out: name what students have handed in"):
        run(room, "grade", "ngrams", "--submissions", str(room.folder / "release" / "ngrams"))


@pytest.mark.parametrize(
    "text, said",
    [
        ("student,received\nada,2026-12-04 22:58", "ada: '2026-12-04 22:58' is no time with a zone"),
        ("student,received\nada,yesterday", "'yesterday' is no time"),
        ("student,when\nada,2026-12-04", "needs the columns `student` and `received`; it has student, when"),
        ("", "it has none"),
        ("student,received\nada,2099-12-04T22:58Z", "'2099-12-04T22:58Z' is in the future"),
        ("student;received\nada;2026-12-04T22:58Z\nada;2026-12-05T22:58Z", "ada stands more than once"),
    ],
)
def test_times_that_can_not_be_read_are_refused_and_none_is_noted(room, handed_in, tmp_path, text, said):
    (tmp_path / "lms.csv").write_text(text)
    with pytest.raises(ValueError) as error:
        times.note(room.overlay.store(), handed_in, room.submissions, str(tmp_path / "lms.csv"))
    assert said in str(error.value)
    assert room.overlay.store().standings("ngrams")["ada"].source == OURS
    with pytest.raises(ValueError, match="or the word nbgrader"):
        times.read_times(Path("nowhere.csv"))
