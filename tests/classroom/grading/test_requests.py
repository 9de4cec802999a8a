"""Requests for another look: what was asked and answered stays, whole, and stands on the student's page."""

import sqlite3

import pytest

from course_utils.classroom.grading.requests import requests
from course_utils.commands import cli

CSV = "Student,question,Why \nada,witten_bell,=K is 1 in my notebook\n,,\nalan,answer,I wrote <b>Hamlet</b>\n"


@pytest.fixture
def run(room, tmp_path, capsys):
    room.release("ada", "alan", "grace")
    room.result("ada"), room.result("alan")
    (tmp_path / "asked.csv").write_text(CSV)

    def run(*argv):
        cli.main([*argv, "--overlay", str(room.folder)])
        return capsys.readouterr().out

    run.file = str(tmp_path / "asked.csv")
    return run


def asked(room):
    return requests(room.assignment, room.overlay.store())


def test_a_request_is_noted_once_listed_answered_and_shown(room, run):
    said = run("requests", "ngrams", "--add", run.file)
    assert "Requests noted: 2." in said and "Open: 2." in said
    assert "1  ada, witten_bell, " in said and "=K is 1 in my notebook\n   8 of 8. Right." in said
    assert "Requests noted: 0." in run("requests", "ngrams", "--add", run.file)
    run("reply", "ngrams", "1", "--points", "6", "--why", "K is 1, & the rest is wrong", "--by", "Ms A")
    said = run("requests", "ngrams")
    assert "Open: 1." in said and "ada" not in said
    ada = room.rows()["ada"]
    assert (ada.points["witten_bell"], ada.comments["witten_bell"]) == (6, "K is 1, & the rest is wrong")
    run("reply", "ngrams", "1", "2", "--no-change", "--why", "I have read it again", "--by", "Mr B")
    assert "Open: 0." in run("requests", "ngrams")
    assert [[(r.said, r.who) for r in request.replies] for request in asked(room)] == [
        [("6 points", "Ms A"), ("no change", "Mr B")],
        [("no change", "Mr B")],
    ]
    run("feedback", "ngrams")
    ada, alan = ((room.folder / "feedback/ngrams" / f"{s}.html").read_text() for s in ("ada", "alan"))
    assert "6 points, by Ms A on 20" in ada and "K is 1, &amp; the rest is wrong<br>no change, by Mr B" in ada
    assert "I wrote &lt;b&gt;Hamlet" in alan and "K is 1" not in alan


def test_no_terminal_obeys_a_name(room, run, tmp_path):
    room.result("a\x1b[2Jda")
    (tmp_path / "asked.csv").write_text("student,question,why\na\x1b[2Jda,answer,so\n")
    assert r"1  a\x1b[2Jda, answer, " in run("requests", "ngrams", "--add", run.file)


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("alan", "grace", "asked.csv: 'grace' has handed nothing in for ngrams"),
        ("answer", "essay", "asked.csv: there is no question 'essay'; there are count, perplexity"),
        ("I wrote <b>Hamlet</b>", " ", "asked.csv: alan does not say why answer"),
        ("Why", "reason", "has no column 'why'; a request has student, question, why"),
    ],
)
def test_a_request_that_can_not_be_is_refused_and_none_is_noted(room, run, tmp_path, old, new, said):
    (tmp_path / "asked.csv").write_text(CSV.replace(old, new))
    with pytest.raises(SystemExit) as error:
        run("requests", "ngrams", "--add", run.file)
    assert said in str(error.value) and asked(room) == []
    assert new == "reason" or "line 4 of" in str(error.value)


@pytest.mark.parametrize(
    "argv, said",
    [
        (["1", "3", "--points", "2"], "there is no request 3 for ngrams"),
        (["1", "2", "--points", "7"], "7 points for answer can't be: they go from 0 to 6"),
        (["1", "--points", "nan"], "nan points"),
        (["1", "--no-change", "--why", " "], "a reply says why"),
    ],
)
def test_a_reply_that_can_not_be_leaves_all_as_it_was(room, run, argv, said):
    run("requests", "ngrams", "--add", run.file)
    with pytest.raises(SystemExit) as error:
        run("reply", "ngrams", "--why", "so", *argv)
    assert said in str(error.value)
    assert not any(request.replies for request in asked(room))
    assert room.overlay.store().marks("ngrams") == [], "a mark without its reply"


def test_what_was_asked_and_answered_stays(room, run):
    run("requests", "ngrams", "--add", run.file)
    run("reply", "ngrams", "1", "--no-change", "--why", "so")
    with sqlite3.connect(room.folder / "store" / "grades.sqlite") as database:
        for statement in ("DELETE FROM requests", "UPDATE replies SET why = 'other'"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(statement)
