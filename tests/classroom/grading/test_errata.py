"""Errata: what they touch is graded again, listed before it is written, and written whole or not at all."""

import sqlite3

import pytest

from course_utils.classroom.grading import batch, errata, feedback, regrading, sandbox
from course_utils.classroom.grading.store import Given
from course_utils.commands import cli

REFERENCE = "counts.get(word, 0) + own * p"
OTHER = f"""
def witten_bell(counts, lower, own):
    return {{word: {REFERENCE} + 1 for word, p in lower.items()}}
"""


def in_this_process(pending, work, workers, settings):
    folder, name, unsafe = settings
    overlay = batch.Overlay(batch.Path(folder))
    made = {"assignment": batch.find_assignment(name), "overlay": overlay, "store": overlay.store()}
    batch.context.update(made, unsafe=unsafe)
    return [(submission, work(submission)) for submission in pending]


def points(room):
    return {name: (row.points["witten_bell"], row.points["page_bits"]) for name, row in room.rows().items()}


@pytest.mark.skipif(bool(sandbox.problem()), reason=sandbox.problem())
def test_what_an_erratum_touches_is_graded_again_and_nothing_else(room, capsys, monkeypatch):
    """Ada is right; alan adds one, which was asked in class; eve takes one away."""

    def run(*argv):
        cli.main(
            ["erratum", "ngrams", "witten_bell", *argv, "--why", "so asked", "--overlay", str(room.folder)]
        )
        return capsys.readouterr().out

    for student, more in {"ada": "", "alan": "+ 1", "eve": "- 1"}.items():
        room.hand_in(student, witten_bell=room.answers(student)["witten_bell"].replace("* p", f"* p {more}"))
    room.grade()
    before = {"ada": (8, 6), "alan": (0, 6), "eve": (0, 6)}
    assert points(room) == before

    with pytest.raises(SystemExit, match=r"there is no file .*other\.py: name one that has the function"):
        run("--accept", str(room.folder / "other.py"))
    (room.folder / "other.py").write_text(OTHER)
    accept, store = ["--accept", str(room.folder / "other.py"), "--by", "Ms A"], room.overlay.store()
    said = run(*accept, "--workers", "1")  # in a process of its own
    assert "alan: 0 → 8. Right. so asked\n2 looked at: 1 mark changes.\n" in said
    assert "Nothing is written" in said and points(room) == before
    monkeypatch.setattr(batch, "results_of", in_this_process)
    assert "Written as erratum 1." in run(*accept, "--write")
    assert points(room) == before | {"alan": (8, 6)}
    alan = store.standings("ngrams")["alan"]
    assert alan.details["score"] == 14
    cli.main(["feedback", "ngrams", "--overlay", str(room.folder)])
    pages = {path.stem: path.read_text() for path in (room.folder / "feedback/ngrams").iterdir()}
    assert "witten_bell: 0 → 8 points, by Ms A on 20" in pages["alan"] and "Corrections" not in pages["eve"]
    result = batch.grade_one(room.assignment, room.overlay, store, alan.submission)
    assert store.record(alan.submission, store.round("ngrams", new=True), *result), "it holds from then on"
    assert points(room) == before | {"alan": (8, 6)}
    cli.main(["feedback", "ngrams", "--overlay", str(room.folder)])
    page = (room.folder / "feedback/ngrams/alan.html").read_text()
    assert "witten_bell: 0 → 8 points, by Ms A on 20" in page, "it stays on the page"

    file = room.folder / "ngrams.py"
    file.write_text(file.read_text().replace(REFERENCE, REFERENCE + " - 1"))
    said = run("--write")
    assert "ada: 8 → 0. " in said and "eve: 0 → 8. Right." in said and "3 looked at: 2 marks change" in said
    assert points(room) == {"ada": (0, 6), "alan": (8, 6), "eve": (8, 6)}


def test_full_marks_run_nothing_and_leave_what_a_person_gave(room, planned, monkeypatch, capsys):
    store, kept, _ = planned
    monkeypatch.setattr(sandbox, "run", lambda *arguments, **options: pytest.fail("something was run"))
    store.mark("ngrams", [Given("alan", "witten_bell", kept.sha256, 3, "half", "Mr B")])
    where = ["--overlay", str(room.folder), "--by", "Ms A"]
    cli.main(["erratum", "ngrams", "witten_bell", "--full-marks", "--why", "so", "--write", *where])
    said = "alan: 0 → 8. Full marks for all. so (The 3 points that a person gave stay.)\n"
    assert f"{said}1 looked at: 0 marks change; 1 by hand stays.\n" in capsys.readouterr().out
    cli.main(["feedback", "ngrams", *where[:2]])
    page = (room.folder / "feedback/ngrams/alan.html").read_text()
    assert "3 of 8" in page and "0 → 8 points (the 3 points that a person gave count), by Ms A" in page
    cli.main(["erratum", "ngrams", "witten_bell", "--full-marks", "--why", "again", *where])
    assert "\nIt touches no answer so far.\nNothing is written" in capsys.readouterr().out
    assert room.rows()["alan"].points["witten_bell"] == 3
    assert store.standings("ngrams")["alan"].details["marks"][0]["points"] == 8
    for statement in ("DELETE FROM corrections", "UPDATE errata SET who = 'eve'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store.database.execute(statement)


@pytest.fixture
def planned(room):
    """Alan's mark as the store has it, without a sandbox, and the plan of full marks for all."""
    kept, store = room.result("alan"), room.overlay.store()
    full = {"id": "witten_bell", "title": "", "points": 0, "out_of": 8, "status": "wrong", "sentence": "No."}
    store.record(kept, store.round("ngrams", new=True), "graded", details={"marks": [full], "written": {}})
    found = errata.Erratum("witten_bell", "full marks", "", "so", "Ms A")
    return store, kept, regrading.plan(room.assignment, room.overlay, store, found)


def test_what_is_graded_meanwhile_stops_the_writing_and_a_grader_that_knows_no_erratum(room, planned):
    store, kept, plan = planned
    assert [change.after["points"] for change in plan.changes] == [8]
    details = store.standings("ngrams")["alan"].details | {"errata": 0}
    assert store.record(kept, store.round("ngrams", new=True), "graded", details=details)
    with pytest.raises(ValueError, match="graded meanwhile; nothing is written"):
        regrading.write(room.assignment, store, plan)
    assert errata.of(room.assignment, store) == []
    again = regrading.plan(room.assignment, room.overlay, store, plan.erratum)
    assert regrading.write(room.assignment, store, again) == 1
    new = store.round("ngrams", new=True)
    assert not store.record(kept, new, "graded", details=details), "it was begun before the erratum"
    assert store.pending("ngrams", new) == [kept]
    assert store.record(kept, new, "graded", details=details | {"errata": 1})


def test_an_erratum_is_written_whole_or_not_at_all(room, planned):
    store, _, plan = planned
    broken = [*plan.changes, regrading.Change("eve", None, {}, {}, None)]  # as when the disk is full
    with pytest.raises(sqlite3.IntegrityError):
        regrading.write(room.assignment, store, regrading.Plan(plan.erratum, 2, broken, plan.seen))
    assert errata.of(room.assignment, store) == [] and errata.corrections(room.assignment, store) == {}


def test_a_correction_of_the_sentence_alone_changes_no_points(room):
    room.result("alan")
    alan = room.overlay.store().standings("ngrams")["alan"]
    found = errata.Erratum("witten_bell", "reference", "", "so", "Ms A", noted="2026-11-28")
    said = feedback._corrections([errata.Correction(found, 8, 8), errata.Correction(found, 0, 8)], {}, alan)
    assert "witten_bell: still 8 points, by Ms A on 2026-11-28: so" in said and "8 → 8" not in said
    assert "witten_bell: 0 → 8 points, by Ms A" in said


@pytest.mark.parametrize(
    "question, kind, source, why, said",
    [
        ("answer", "full marks", "", "so", "'answer' has no check that could be wrong; count, perplexity, "),
        ("witten_bell", "full marks", "", " ", "an erratum says why"),
        ("witten_bell", "accept", "def wb(): pass", "so", "does not load as witten_bell: KeyError"),
        ("witten_bell", "accept", "def witten_bell(", "so", "does not load as witten_bell: SyntaxError"),
        ("witten_bell", "accept", "def witten_bell(x): pass", "so", "stops on every input: TypeError"),
    ],
)
def test_an_erratum_that_can_not_be_is_one_sentence(room, question, kind, source, why, said):
    with pytest.raises(ValueError) as error:
        regrading.check(room.assignment, room.overlay, errata.Erratum(question, kind, source, why, "me"))
    assert said in str(error.value)


def test_what_can_not_be_graded_again_stops_the_erratum(room, planned, monkeypatch):
    store, kept, _ = planned
    (store.folder / "submissions" / f"{kept.sha256}.ipynb").unlink()
    monkeypatch.setattr(batch, "results_of", in_this_process)
    with pytest.raises(ValueError, match=r"alan could not be graded again: .*No such file"):
        found = errata.Erratum("witten_bell", "reference", "", "so", "me")
        regrading.plan(room.assignment, room.overlay, store, found)


def test_a_request_may_be_answered_by_an_erratum_about_its_question(room, planned, tmp_path):
    store, _, plan = planned
    (tmp_path / "asked.csv").write_text("student,question,why\nalan,witten_bell,so\nalan,page_bits,so\n")
    where = ["--overlay", str(room.folder)]
    cli.main(["requests", "ngrams", "--add", str(tmp_path / "asked.csv"), *where])
    regrading.write(room.assignment, store, plan)
    cli.main(["reply", "ngrams", "1", "--erratum", "1", "--why", "you were right", *where])
    with pytest.raises(SystemExit, match="there is no erratum 1 about page_bits"):
        cli.main(["reply", "ngrams", "2", "--erratum", "1", "--why", "no", *where])


def test_no_reply_names_an_erratum_that_points_by_hand_hide(room, planned, tmp_path):
    store, _, plan = planned
    (tmp_path / "asked.csv").write_text("student,question,why\nalan,witten_bell,so\n")
    where = ["--overlay", str(room.folder)]
    cli.main(["requests", "ngrams", "--add", str(tmp_path / "asked.csv"), *where])
    cli.main(["reply", "ngrams", "1", "--points", "6", "--why", "nearly", *where])
    regrading.write(room.assignment, store, plan)
    by_erratum = ["reply", "ngrams", "1", "--erratum", "1", "--why", "you were right", *where]
    with pytest.raises(SystemExit, match=r"has 6 points by hand, which count before the 8 .* by --points 8"):
        cli.main(by_erratum)
    cli.main(["reply", "ngrams", "1", "--points", "8", "--why", "you were right", *where])
    cli.main(by_erratum)
