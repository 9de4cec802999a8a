"""What a person gives belongs to the file that was read, and nothing that was filled in is lost."""

import csv
import getpass
import json

import pytest

from course_utils.classroom.grading import formgrader, marking
from course_utils.classroom.grading.store import Given
from course_utils.commands import cli


@pytest.fixture
def run(room):
    room.release("ada", "alan")
    room.result("alan", "the file of alan")

    def run(*argv):
        cli.main([*argv, "--overlay", str(room.folder)])

    return run


def fill_in(file, student, points, comment="read"):
    with file.open(newline="", encoding="utf-8") as lines:
        lines = list(csv.DictReader(lines))
    for line in lines:
        if line["student"] == student:
            line["points"], line["comment"] = points, comment
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    return str(file)


def to_read(room):
    return marking.to_read(room.assignment, room.overlay, room.overlay.store())


def test_a_mark_stays_for_the_same_file_and_is_asked_anew_for_another(room, run, capsys):
    store = room.overlay.store()
    room.result("ada", "first")
    run("mark", "ngrams", fill_in(to_read(room), "ada", "4"), "--by", "Ms A")
    room.result("ada", "first", round=store.round("ngrams", new=True))
    assert room.rows()["ada"].points["answer"] == 4, "graded again, and the mark is lost"
    filled = fill_in(to_read(room), "ada", "5")
    room.result("ada", "second")
    run("mark", "ngrams", filled)  # what was read is the first file
    said = "ada, answer: another file counts by now; this mark is for the one that was read.\n"
    assert capsys.readouterr().out.endswith(said)
    assert (
        room.rows()["ada"].points["answer"] is None
        and room.rows()["ada"].comments["answer"] == "not read yet"
    )
    asked = {line["student"]: line for line in csv.DictReader(to_read(room).open())}
    assert (asked["ada"]["points"], asked["ada"]["comment"]) == ("", "")
    room.result("ada", "first")  # back to what was read
    assert room.rows()["ada"].points["answer"] == 5
    assert [mark.who for mark in store.marks("ngrams")][:1] == ["Ms A"]


def test_a_mark_for_a_function_counts_before_the_machines(room, run, capsys):
    sha256 = room.overlay.store().standings("ngrams")["alan"].submission.sha256
    for points, said in ((3, "Marks noted: 1, by Ms A.\n"), (5, "alan, witten_bell: 3 (so) → 5 (so)\n")):
        mark = Given("alan", "witten_bell", sha256, points, "so")
        print(*marking.note(room.assignment, room.overlay.store(), [mark], "Ms A"), sep="\n")
        assert capsys.readouterr().out.endswith(said)
    alan = room.rows()["alan"]
    assert (alan.points["witten_bell"], alan.comments["witten_bell"], alan.points["page_bits"]) == (
        5,
        "so",
        6,
    )


def test_to_read_on_in_a_list_undoes_no_mark_that_was_given_since(room, run, capsys, tmp_path):
    room.result("ada", "the file of ada")
    first = fill_in(to_read(room), "ada", "4,5", "good")
    run("mark", "ngrams", first)
    (tmp_path / "asked.csv").write_text("student,question,why\nada,answer,so\n")
    run("requests", "ngrams", "--add", str(tmp_path / "asked.csv"))
    run("reply", "ngrams", "1", "--points", "3", "--why", "both")
    capsys.readouterr()
    run("mark", "ngrams", fill_in(room.folder / "ngrams-to-read.csv", "alan", "6"))
    assert capsys.readouterr().out.splitlines()[:2] == [
        f"Marks noted: 1, by {getpass.getuser()}.",
        "ada, answer: 3 (both) counts, given since; 4.5 (good), noted before it, is left out. With another "
        "comment it counts again.",
    ]
    assert room.rows()["ada"].points["answer"] == 3 and room.rows()["alan"].points["answer"] == 6
    run("mark", "ngrams", fill_in(to_read(room), "ada", "4.5", "good after all"))
    assert room.rows()["ada"].points["answer"] == 4.5


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": ""},
        {"student": "eve"},
        {"question": "essay"},
        {"sha256": "00"},
        {"points": 9},
        {"points": -1},
    ],
)
def test_a_mark_that_can_not_be_is_refused_and_none_is_noted(room, run, change):
    store = room.overlay.store()
    (room.submissions / "link.ipynb").symlink_to("/etc/hostname")
    store.keep("ngrams", "alan", room.submissions / "link.ipynb")  # refused: it has no sha256
    mark = {"student": "alan", "question": "answer", "points": 4, "comment": ""}
    mark["sha256"] = room.result("alan").sha256
    with pytest.raises(ValueError, match="can't be: points go from 0 to"):
        marking.note(room.assignment, store, [Given(**mark), Given(**mark | change)], "me")
    assert store.marks("ngrams") == []


def test_a_file_that_somebody_fills_in_is_never_overwritten(room, run):
    first = to_read(room)
    assert to_read(room) == first, "nobody has written into it"
    fill_in(first, "alan", "3")
    second = to_read(room)
    assert second.name == "ngrams-to-read-2.csv" and "3" in [
        mark["points"] for mark in csv.DictReader(first.open())
    ]
    run("mark", "ngrams", str(first))
    assert to_read(room) == first, "what it says was noted"
    run("mark", "ngrams", fill_in(second, "alan", "5"))
    assert to_read(room) == second, "3 was noted before 5; or was it written again since?"
    fill_in(first, "alan", "5")
    assert to_read(room) == first
    for half in ("half of a file that is being saved", "student,question,points,comment,file\nada,answ"):
        first.write_text(half)
        assert to_read(room) == second


def test_a_comment_that_waits_for_its_points_is_kept(room, run, capsys):
    first = to_read(room)
    run("mark", "ngrams", fill_in(first, "alan", "", "well said"))
    assert "alan, answer: a comment, and no points yet; it is not noted.\n" in capsys.readouterr().out
    assert room.overlay.store().marks("ngrams") == []
    assert to_read(room) != first and "well said" in first.read_text("utf-8")
    run("mark", "ngrams", fill_in(first, "alan", "3.3333333", "well said"))
    assert to_read(room) == first and to_read(room) == first, "it was written anew, with fewer digits"


def test_what_was_handed_out_is_no_answer_to_read(room, run):
    room.result("ada", "untouched", answer=room.assignment.tagged()["answer"][1] + "\n")
    asked = {line["student"]: line["answer"] for line in csv.DictReader(to_read(room).open())}
    assert asked == {"ada": "", "alan": "Hamlet."}


def test_a_line_that_is_a_note_of_the_teachers_is_passed_over_and_kept(room, run, capsys):
    path = to_read(room)
    with path.open("a", encoding="utf-8") as out:
        out.write('\n"Ms A read as far as this"\n')
    run("mark", "ngrams", fill_in(path, "alan", "4"))
    assert "Marks noted: 1" in capsys.readouterr().out
    assert to_read(room) != path and "as far as this" in path.read_text("utf-8")
    path.write_text('student,question,points,comment,file\nMs A,,4,"their mean",\n')
    with pytest.raises(SystemExit, match="4 points for '' of 'Ms A' can't be"):
        run("mark", "ngrams", str(path))


EVIL = "<script>alert(1)</script>\n\n[x](javascript:alert(1)) $\\href{javascript:alert(1)}{x}$"


def test_marks_that_were_given_in_the_formgrader_come_back(room, run, capsys, monkeypatch):
    api = pytest.importorskip("nbgrader.api", reason="nbgrader is not installed")
    folder = room.folder / "export" / "nbgrader"
    book = folder / formgrader.BOOK
    room.result("ada", json.dumps(room.notebook("ada", answer=EVIL)), EVIL)
    run("export", "ngrams", "--format", "nbgrader")
    [cell] = [
        cell
        for cell in json.loads((folder / "autograded/ada/ngrams/ngrams.ipynb").read_text())["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "answer"
    ]
    assert "<script" not in cell["source"] and "\n" not in cell["source"], (
        "it would run on the teacher's page"
    )
    with api.Gradebook(f"sqlite:///{book}") as opened:
        grade = opened.find_grade("answer", "ngrams", "ngrams", "ada")
        grade.manual_score, grade.needs_manual_grade = 4.5, False
        opened.find_comment("answer", "ngrams", "ngrams", "ada").manual_comment = "well read"
        opened.find_grade("witten_bell-tests", "ngrams", "ngrams", "alan").extra_credit = -1
        opened.db.commit()
    with pytest.raises(SystemExit, match="holds marks of ada, alan that are not noted"):
        run("export", "ngrams", "--format", "nbgrader")
    run("mark", "ngrams", str(book), "--by", "Ms A")
    assert "Marks noted: 2, by Ms A." in capsys.readouterr().out
    ada, alan = room.rows()["ada"], room.rows()["alan"]
    assert (ada.points["answer"], ada.comments["answer"], ada.score) == (4.5, "well read", 18.5)
    assert (alan.points["witten_bell"], alan.comments["witten_bell"]) == (7, "Right.")
    for _ in range(2):
        run("export", "ngrams", "--format", "nbgrader")
        run("mark", "ngrams", str(book))
        assert "Marks noted: 0" in capsys.readouterr().out

    # Another mark counts now, and the first one is given again; and one is given while `export` runs.
    sha256 = room.overlay.store().standings("ngrams")["ada"].submission.sha256
    note = [Given("ada", "answer", sha256, 5, "well read")]
    marking.note(room.assignment, room.overlay.store(), note, "Ms A")
    run("export", "ngrams", "--format", "nbgrader")
    write_notebook = formgrader._write_notebook

    def meanwhile(*arguments):
        write_notebook(*arguments)
        give("alan", 3)

    def give(student, points):
        with api.Gradebook(f"sqlite:///{book}") as opened:
            grade = opened.find_grade("answer", "ngrams", "ngrams", student)
            grade.manual_score, grade.needs_manual_grade = points, False
            opened.db.commit()

    give("ada", 4.5)
    with pytest.raises(SystemExit, match="holds marks of ada that are not noted"):
        run("export", "ngrams", "--format", "nbgrader")
    give("ada", None)
    monkeypatch.setattr(formgrader, "_write_notebook", meanwhile)
    with pytest.raises(SystemExit, match="holds marks of alan that are not noted"):
        run("export", "ngrams", "--format", "nbgrader")
    run("mark", "ngrams", str(book))
    assert room.rows()["alan"].points["answer"] == 3

    with pytest.raises(SystemExit, match=r"there is no .*elsewhere\.db"):
        run("mark", "ngrams", str(folder / "elsewhere.db"))
    with pytest.raises(SystemExit, match="no gradebook with attention in it"):
        run("mark", "attention", str(book))
    book.write_bytes(b"no database" * 1000)
    with pytest.raises(SystemExit, match="can't be used as nbgrader's gradebook"):
        run("export", "ngrams", "--format", "nbgrader")
