"""Grades, as a person, a student and other systems get them: what is not known is empty, never 0."""

import csv
import json
import sys
import types

import pytest

from course_utils.classroom.grading import batch, feedback, marking, verdicts
from course_utils.classroom.grading.store import Given
from course_utils.classroom.grading.verdicts import Mark, summary
from course_utils.commands import cli

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def graded(room, tmp_path):
    """A class of five, whose results stand in the store as a grader would have put them."""
    store = room.overlay.store()
    room.release("ada", "alan", "grace", "=cmd", "kurt")

    def result(student, status, scores=None, reason="", written=EVIL):
        path = tmp_path / f"{student}.ipynb"
        path.write_text(f"the file of {student}")
        submission, details = store.keep("ngrams", student, path), {}
        if scores:
            points = room.assignment.points()
            marks = [
                Mark(id, id, n, points[id], "passed", "Right.", "a hidden input") for id, n in scores.items()
            ]
            details = summary(marks) | {"notices": [f"odd {EVIL}"], "written": {"answer": written}}
        store.record(submission, 1, status, reason, details)

    result("ada", "graded", {"count": 0, "perplexity": 0, "witten_bell": 8, "page_bits": 6})
    result(
        "alan", "partial", {"count": 0, "perplexity": 0, "witten_bell": 0, "page_bits": 6}, "count: stopped"
    )
    result("grace", "ungradable", reason=f"is cut off {EVIL}")
    result("=cmd", "infra_error", reason="the disk is full")
    store.close()

    def run(*argv):
        cli.main([*argv, "--overlay", str(room.folder)])

    return run


def table(room, form="csv"):
    with (room.folder / "export" / f"ngrams-{form}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def fill_in(room, points):
    """Fill in points as a person does in the file that `grade` wrote."""
    path = marking.to_read(room.assignment, room.overlay, room.overlay.store())
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        line["points"], line["comment"] = points.get(line["student"], ""), "read"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0].keys())
        writer.writeheader()
        writer.writerows(lines)
    return str(path)


def test_a_grade_that_is_not_known_is_empty(room, graded, capsys):
    for command in ("feedback", "export"):
        graded(command, "ngrams")
        assert capsys.readouterr().out.endswith("Students who have handed in: 4.\n")
    head, *lines = table(room)
    found = {line[0]: dict(zip(head, line, strict=True)) for line in lines}
    assert list(found) == ["'=cmd", "ada", "alan", "grace", "kurt"]
    assert {s: (r["status"], r["score"]) for s, r in found.items()} == {
        "ada": ("graded", ""),
        "alan": ("partial", ""),
        "grace": ("ungradable", ""),
        "'=cmd": ("infra_error", ""),
        "kurt": ("missing", ""),
    }
    assert (
        found["ada"]["witten_bell"] == "8" and found["ada"]["answer"] == "" and found["grace"]["count"] == ""
    )
    assert len(found["ada"]["sha256"]) == 64 and len(found["ada"]["receipt"]) == 20
    assert found["kurt"]["receipt"] == "" and found["kurt"]["reason"] == "nothing was handed in"


def test_marks_of_a_person_make_the_grade_whole(room, graded, capsys):
    graded("mark", "ngrams", fill_in(room, {"ada": "4.5", "alan": "0"}))
    assert "Marks noted: 2" in capsys.readouterr().out
    graded("export", "ngrams")
    scores = {line[0]: line[2] for line in table(room)[1:]}
    assert (scores["ada"], scores["alan"], scores["grace"]) == ("18.5", "6", "")
    graded("mark", "ngrams", str(room.folder / "ngrams-to-read.csv"))
    assert "Marks noted: 0" in capsys.readouterr().out


@pytest.mark.parametrize("points", ["7", "-1", "nan", "four", "²"])
def test_points_that_can_not_be_are_refused_and_nothing_is_noted(room, graded, points):
    with pytest.raises(SystemExit, match=f"'?{points}'? points"):
        graded("mark", "ngrams", fill_in(room, {"ada": "4", "alan": points}))
    assert room.overlay.store().marks("ngrams") == []


@pytest.mark.parametrize("text", ["a\u2028b", "a\rb", "a\r\nb", "a\x85b"])
def test_any_line_end_of_a_comment_or_an_answer_comes_back(room, tmp_path, text):
    store = room.overlay.store()
    (tmp_path / "ada.ipynb").write_text("{}")
    kept = store.keep("ngrams", "ada", tmp_path / "ada.ipynb")
    store.record(kept, 1, "graded", details={"written": {"answer": text}})
    mark = Given("ada", "answer", kept.sha256, 4, text)
    store.mark("ngrams", [mark])
    file = marking.to_read(room.assignment, room.overlay, store)
    assert marking.read(file) == [mark], "the comment has changed"
    with file.open(newline="", encoding="utf-8") as lines:
        assert list(csv.reader(lines))[1:] == [["ada", "answer", "4", text, kept.sha256, text]]


def test_moodle_gets_a_user_a_grade_and_a_feedback(room, graded):
    graded("mark", "ngrams", fill_in(room, {"ada": "4"}))
    graded("export", "ngrams", "--format", "moodle")
    head, *lines = table(room, "moodle")
    assert head == ["username", "ngrams", "ngrams feedback"]
    assert {line[0]: line[1] for line in lines} == {
        "ada": "18",
        "alan": "",
        "grace": "",
        "'=cmd": "",
        "kurt": "",
    }
    assert "witten_bell: 8 of 8. Right." in next(line[2] for line in lines if line[0] == "ada")


def test_canvas_gets_its_columns_and_the_points_that_are_possible(room, graded):
    graded("mark", "ngrams", fill_in(room, {"ada": "4"}))
    graded("export", "ngrams", "--format", "canvas")
    head, possible, *lines = table(room, "canvas")
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "ngrams"]
    assert possible[0].strip() == "Points Possible" and possible[-1] == "20"
    assert ["ada", "", "", "ada", "", "18"] in lines and ["grace", "", "", "grace", "", ""] in lines


def test_gradescope_gets_a_file_a_student(room, graded):
    graded("export", "ngrams", "--format", "gradescope")
    folder = room.folder / "export" / "gradescope" / "ngrams"
    ada = json.loads((folder / "ada" / "results.json").read_text())
    assert {test["name"]: (test["score"], test["max_score"]) for test in ada["tests"]} == {
        "count": (0, 0),
        "perplexity": (0, 0),
        "witten_bell": (8, 8),
        "page_bits": (6, 6),
    }
    assert "score" not in ada and all(test["visibility"] == "visible" for test in ada["tests"])
    grace = json.loads((folder / "grace" / "results.json").read_text())
    assert grace["tests"] == [] and "cut off" in grace["output"] and "score" not in grace


def test_without_nbgrader_it_says_what_to_do(room, graded, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbgrader.api", types.ModuleType("nothing"))
    monkeypatch.setitem(sys.modules, "nbgrader", None)
    with pytest.raises(SystemExit, match="pip install nbgrader"):
        graded("export", "ngrams", "--format", "nbgrader")


def test_nbgraders_own_gradebook_has_the_grades(room, graded, monkeypatch):
    api = pytest.importorskip("nbgrader.api", reason="nbgrader is not installed")
    monkeypatch.setenv(
        "PATH", "/usr/bin"
    )  # the environment is not active, and nbgrader starts alembic by name
    graded("mark", "ngrams", fill_in(room, {"ada": "4"}))
    for _ in range(2):  # again, over what is there
        graded("export", "ngrams", "--format", "nbgrader")
    with api.Gradebook(f"sqlite:///{room.folder / 'export' / 'nbgrader' / 'gradebook.db'}") as book:
        ada = book.find_submission("ngrams", "ada")
        assert (ada.score, ada.max_score, ada.needs_manual_grade) == (18, 20, False)
        assert book.find_submission("ngrams", "alan").needs_manual_grade
        with pytest.raises(api.MissingEntry):
            book.find_submission("ngrams", "grace")


def test_feedback_is_a_page_without_scripts_and_secrets(room, graded):
    graded("feedback", "ngrams")
    pages = {path.stem: path.read_text() for path in (room.folder / "feedback" / "ngrams").iterdir()}
    assert sorted(pages) == ["=cmd", "ada", "alan", "grace"]
    for page in pages.values():
        assert "<script" not in page and "default-src 'none'" in page and "a hidden input" not in page
    assert (
        "14 of 20 points, and what is not read yet" in pages["ada"] and "odd &lt;script&gt;" in pages["ada"]
    )
    assert "could not be graded, which is no zero" in pages["grace"] and "of 20" not in pages["grace"]
    assert "it will be graded again" in pages["=cmd"] and "the disk is full" not in pages["=cmd"]
    assert room.overlay.store().standings("ngrams")["ada"].submission.receipt in pages["ada"]


def test_what_went_wrong_of_ours_is_for_the_teacher_alone(room, graded, tmp_path):
    store = room.overlay.store()
    (tmp_path / "later.ipynb").write_text("later")
    store.record(store.keep("ngrams", "ada", tmp_path / "later.ipynb"), 1, "infra_error", "the disk is full")
    for form in ("csv", "moodle", "gradescope"):
        graded("export", "ngrams", "--format", form)
    graded("feedback", "ngrams")
    files = {path for path in room.folder.rglob("*") if path.suffix in (".csv", ".json", ".html")}
    assert [path.name for path in files if "the disk is full" in path.read_text()] == ["ngrams-csv.csv"]
    assert "later.ipynb" in (room.folder / "feedback" / "ngrams" / "ada.html").read_text()


@pytest.mark.parametrize("comment", ["=1+1", "-1 for style", "'tis right", "'"])
def test_a_comment_comes_back_without_the_apostrophe_that_a_spreadsheet_needs(room, graded, comment):
    store = room.overlay.store()
    mark = Given("ada", "answer", store.standings("ngrams")["ada"].submission.sha256, 4, comment)
    store.mark("ngrams", [mark])
    assert marking.read(marking.to_read(room.assignment, room.overlay, store)) == [mark]


def test_half_a_character_stops_no_file_of_the_class(room, tmp_path, monkeypatch):
    monkeypatch.setattr(verdicts, "grade", lambda *arguments, **options: [])
    store, path = room.overlay.store(), tmp_path / "ngrams.ipynb"
    path.write_text(json.dumps(room.notebook("ada", answer="half \ud83d") | {"nbformat": "\ud83d"}))
    kept = store.keep("ngrams", "ada", path)
    store.record(kept, 1, *batch.grade_one(room.assignment, room.overlay, store, kept))
    assert r"half \ud83d" in marking.to_read(room.assignment, room.overlay, store).read_text()
    pages = feedback.feedback(room.assignment, room.overlay, store)
    assert r"\ud83d" in (pages / "ada.html").read_text()


def test_no_file_for_others_says_what_only_the_teacher_may_read(room, graded):
    for form in ("csv", "moodle", "canvas", "gradescope"):
        graded("export", "ngrams", "--format", form)
    for path in (room.folder / "export").rglob("*.*"):
        if path.is_file():
            assert (
                "a hidden input" not in path.read_text()
                and room.overlay._secret.hex() not in path.read_text()
            )
