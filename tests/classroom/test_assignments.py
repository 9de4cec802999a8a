"""Assignments before they are handed in: what is public, what is private, and what each student gets."""

import inspect
import json
import re
import sys
import types
from dataclasses import replace

import nbformat
import numpy as np
import pytest

from course_utils.classroom import checking, handing_out, overlay, places
from course_utils.classroom.assignments import NAMES, Private, find_assignment
from course_utils.classroom.grading import sandbox, verdicts
from course_utils.commands import cli
from course_utils.learner.checks import CHECKS
from course_utils.learner.checks.engine import Check
from course_utils.learner.checks.observing import observe

ASSIGNMENTS = [find_assignment(name) for name in NAMES]
PRIVATE = [ask for each in ASSIGNMENTS for ask in each.asks.values() if isinstance(ask, Private)]
each_one = pytest.mark.parametrize("assignment", ASSIGNMENTS, ids=NAMES)
needs_sandbox = pytest.mark.skipif(bool(sandbox.problem()), reason=sandbox.problem())


@each_one
def test_the_notebook_asks_what_the_assignment_says(assignment):
    notebook = nbformat.read(assignment.path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.course == {"assignment": assignment.name}
    tags = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}
    for asked in assignment.asked():
        cell, tag = tags[asked.id], tags[asked.id].metadata.nbgrader
        assert tag.solution and not tag.locked and tag.schema_version == 3 and not tag.task
        if asked.name:
            assert f"def {asked.name}(" in cell.source and "raise NotImplementedError" in cell.source
            tests = tags[f"{asked.id}-tests"].metadata.nbgrader
            assert tests.grade and tests.locked
            # a chapter's exercise has a public solution: it warms up, and earns nothing
            assert (tests.points > 0) == isinstance(assignment.asks[asked.id], Private)
        else:
            assert tag.grade and cell.cell_type == "markdown"
    assert len(assignment.written()) == 1 and sum(assignment.points().values()) == 20
    assert all(cell.cell_type != "code" or not cell.outputs for cell in notebook.cells)
    assert "SOLUTION" not in nbformat.writes(notebook)


@each_one
def test_what_is_there_when_graded_is_there_in_the_notebook_too(assignment):
    notebook = nbformat.read(assignment.path, as_version=4)
    promised = re.search(r"with (.+?) there\s+already", notebook.cells[0].source)[1]
    first = next(i for i, cell in enumerate(notebook.cells) if "NotImplementedError" in cell.source)
    above = "\n".join(cell.source for cell in notebook.cells[:first] if cell.cell_type == "code")
    for name in re.findall("`(.+?)`", promised):
        line = {"np": "import numpy as np"}.get(name, f"import {name}")
        assert line in above.splitlines() and line in assignment.prelude.splitlines()


@each_one
def test_the_rubric_has_four_levels_with_two_anchors_each(assignment):
    rubric = (assignment.path.parent / "rubric.md").read_text(encoding="utf-8")
    levels = [part.count("\n> ") and part.count("**Anchor") for part in rubric.split("\n## ")[1:]]
    assert levels == [2, 2, 2, 2]


@pytest.mark.parametrize("ask", PRIVATE, ids=lambda ask: ask.name)
def test_no_public_function_is_the_variant(ask):
    """Pasting any solution of the course earns nothing: none gives what the variant gives."""
    assert observe(ask.stub, (*ask.inputs(np.random.default_rng(0), 0), 2)).blank, "the public stub solves it"
    given = (*ask.inputs(np.random.default_rng(0), 0), ask.choices[0])
    for check in CHECKS.values():
        taken = len(inspect.signature(check.reference).parameters)

        def pasted(*arguments, check=check, taken=taken):
            return check.reference(*arguments[:taken])

        pasted.__doc__ = "A reference."
        if taken <= len(given) and not observe(pasted, given).error:
            assert ask.hash_of(pasted) != ask.fingerprint, f"{check.id} is public"


def test_a_class_has_a_private_folder(room):
    assert (room.folder.stat().st_mode & 0o777, (room.folder / "secret.txt").stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )
    with pytest.raises(ValueError, match="never replaced"):
        overlay.new(room.folder)
    with pytest.raises(ValueError, match="which students see"):
        overlay.new(places.home() / "class")
    with pytest.raises(ValueError, match="overlay new"):
        overlay.Overlay(room.folder / "nothing")


def test_references_are_checked_against_the_fingerprints(room):
    assert any("gives other results" in line for line in room.overlay.check())
    (room.folder / "ngrams.py").unlink()
    (room.folder / "secret.txt").unlink()
    overlay.new(room.folder)
    assert all("not written yet" in line for line in room.overlay.check())
    (room.folder / "ngrams.py").write_text("def witten_bell(:")
    assert "SyntaxError" in room.overlay.check()[0]


def test_a_command_names_only_the_references_that_are_not_right(room, monkeypatch):
    asks = {ask.name: ask for ask in room.assignment.asks.values() if isinstance(ask, Private)}
    reference, _ = room.overlay.reference("ngrams", "witten_bell")
    right = replace(asks["witten_bell"], fingerprint=asks["witten_bell"].hash_of(reference))
    doubts = room.overlay.doubts(replace(room.assignment, asks=asks | {"witten_bell": right}))
    assert len(doubts) == 1 and doubts[0].startswith("ngrams page_bits: gives other results")


def test_an_assignment_whose_reference_is_missing_is_not_released(room):
    (room.folder / "ngrams.py").write_text("SLIPS = {}\n")
    with pytest.raises(ValueError, match=r"ngrams\.py can't be read"):
        room.release("ada")


def test_each_student_has_a_seed_a_constant_and_examples_of_their_own(room):
    students = [f"student{i}" for i in range(12)]
    room.release(*students)
    texts = [room.overlay.released("ngrams", student).read_text() for student in students]
    assert len({re.search(r"SEED = (\d+)", text)[1] for text in texts}) == 12
    assert len({re.search(r"\"K = (\d+)", text)[1] for text in texts}) > 2
    assert len(set(texts)) == 12


def test_what_is_released_holds_no_solution_and_nothing_secret(room):
    room.release("ada")
    text = room.overlay.released("ngrams", "ada").read_text()
    secret = (room.folder / "secret.txt").read_text().strip()
    assert secret not in text and "counts.get(word, 0) + own" not in text
    for question in room.overlay.questions(room.assignment, "ada", "hash of a file"):
        assert str(question.hidden_seed) not in text
        assert f"{question.cases()[-1]}" not in text


def test_hidden_inputs_hang_on_the_secret_the_student_and_the_file(room, tmp_path):
    overlay.new(tmp_path / "other")
    seeds = {
        overlay.Overlay(folder).seed("hidden", "ngrams", student, file)
        for folder in (room.folder, tmp_path / "other")
        for student in ("ada", "alan")
        for file in ("1", "2")
    }
    assert len(seeds) == 8


def test_what_was_given_out_is_never_written_again(room):
    room.release("ada")
    path = room.overlay.released("ngrams", "ada")
    path.write_text("as it was")
    assert room.release("ada", "alan") == [room.overlay.released("ngrams", "alan")]
    assert path.read_text() == "as it was"


def test_without_a_roster_all_have_the_notebook_of_everyone(room):
    room.release(overlay.EVERYONE)
    seeds = {q.shown_seed for s in ("ada", "alan") for q in room.overlay.questions(room.assignment, s)}
    assert len(seeds) == 1


def test_after_one_for_everyone_nobody_gets_other_constants(room):
    room.release(overlay.EVERYONE)
    with pytest.raises(ValueError, match=r"ngrams\.ipynb was made for everyone.*delete it"):
        room.release("ada")
    assert room.release(overlay.EVERYONE) == []


def test_after_notebooks_of_their_own_there_is_none_for_everyone(room):
    room.release("ada", "bob")
    with pytest.raises(ValueError, match=r"2 students have a notebook of their own.*by --students"):
        room.release(overlay.EVERYONE)
    assert room.overlay.roster("ngrams") == {"ada", "bob"}
    assert not room.overlay.released("ngrams", overlay.EVERYONE).exists()


def test_a_slip_that_is_no_python_is_named(room):
    file = room.folder / "ngrams.py"
    file.write_text(file.read_text().replace("own * p → p\n", "own * p → p (\n"))
    with pytest.raises(ValueError, match=r"a slip of witten_bell is no Python .*: mend SLIPS"):
        room.overlay.questions(room.assignment, "ada")


def run_cells(assignment, notebook):
    names = {}
    exec(assignment.prelude, names)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id", "seed") not in ("seed", *assignment.written()):
            exec(cell.source, names)


@each_one
def test_the_examples_pass_with_right_answers_and_fail_with_wrong_ones(room_of, assignment):
    room = room_of(assignment.name)
    run_cells(assignment, room.notebook("ada"))
    id, ask = next((id, ask) for id, ask in assignment.asks.items() if isinstance(ask, Private))
    wrong = f"def {ask.name}(*arguments):\n    return arguments[0]"
    with pytest.raises(AssertionError, match=rf"(?s){ask.name}.*expected"):
        run_cells(assignment, room.notebook("ada", **{id: wrong}))


ALMOST = {  # the value, and what the example and the page say
    "changed": (
        "[right(*arguments), arguments[1].setdefault('x', {})][0]",
        "page_bits changes its arguments",
        r"changes its argument `counts`.*: work on a copy\. It does so for page_bits\(.*\)\.",
    ),
    "rounded": (
        "np.float32(right(*arguments))",
        r"where .* is expected, for page_bits\(.*\): expected .*, got ",
        r"is expected\. Yours looks the same, and differs in later digits",
    ),
    "an array": (
        "np.array(right(*arguments))",
        "an array where a number",
        r"is expected\. That is a number \(float\), and yours is another kind of value\.",
    ),
    "its own type": (
        "type('Mine', (float,), {})(right(*arguments))",
        "an object of type Mine where a number",
        r"is expected\. That is a number \(float\), and yours is another kind of value\.",
    ),
}


@needs_sandbox
@pytest.mark.parametrize("value, example, page", ALMOST.values(), ids=ALMOST)
def test_the_examples_refuse_what_is_graded_wrong_and_the_page_says_why(room, value, example, page):
    own = room.answers("ada")["page_bits"]
    own += f"\n\n\nright = page_bits\n\n\ndef page_bits(*arguments):\n    return {value}"
    with pytest.raises(AssertionError, match=f"(?s){example}"):
        run_cells(room.assignment, room.notebook("ada", page_bits=own))
    room.hand_in("ada", page_bits=own)
    mark = room.grade()["ada"].details["marks"][3]
    assert mark["points"] == 0 and re.search(page, mark["sentence"]), mark["sentence"]
    assert "Mine" not in mark["sentence"]


def test_of_an_array_the_page_says_which_dtype_is_expected():
    def whole(n):
        return np.arange(n)

    asked = Check("1", "whole", whole, 1, 1, lambda generator, case: (2 + case,))
    got = [observe(lambda n: np.arange(float(n)), case) for case in asked.cases(0)[: verdicts.EXAMPLES]]
    question, last = verdicts.GradedFunction("a", asked, 1, 0, 0), asked.cases(0)[verdicts.EXAMPLES - 1]
    said = verdicts._looks_alike(question, got, question.examples.call(last))
    assert said == " That is an array of dtype int64, and yours has another dtype."


ROSTERS = {
    "student,name\nada,Ada\nalan,Alan\n": ["ada", "alan"],
    "name,ID\nAda,a.1\n": ["a.1"],
    "Student,student\nada,x\n": ["ada"],
    "Name;Student\r\nAda, A.;ada\r\n": ["ada"],
    "login\nada\n": ["ada"],
    "\ufeffstudent\nada\n": ["ada"],
}


@pytest.mark.parametrize("text, students", ROSTERS.items())
def test_a_roster_is_read(tmp_path, text, students):
    (tmp_path / "roster.csv").write_text(text, encoding="utf-8")
    assert handing_out.read_roster(tmp_path / "roster.csv") == students


@pytest.mark.parametrize(
    "text",
    [
        "",
        "student\n",
        "student\n../ada",
        "student\nada\nada",
        "student\nada\nAda",
        "student\n.x",
        "student\na/b",
        "ada,Ada\nalan,Alan",
        "name,student\nAda",
        "ada\nalan\n",
        "E-Mail\nada@x.org\n",
    ],
)
def test_a_roster_that_could_do_harm_is_refused(tmp_path, text):
    (tmp_path / "roster.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        handing_out.read_roster(tmp_path / "roster.csv")


def test_the_commands_of_a_teacher(room, tmp_path, capsys):
    folder = str(tmp_path / "made")
    cli.main(["overlay", "new", "--overlay", folder])
    cli.main(["overlay", "check", "--overlay", folder])
    assert "not written yet" in capsys.readouterr().out
    (tmp_path / "roster.csv").write_text("student\nada\nalan\n")
    roster = str(tmp_path / "roster.csv")
    cli.main(["release", "ngrams", "--students", roster, "--overlay", str(room.folder)])
    said = capsys.readouterr().out
    assert "Wrote 2 of 2 notebooks" in said and "examples of" not in said
    assert "  But: ngrams witten_bell: gives other results than the course's authors have" in said
    (tmp_path / "more.csv").write_text("student\nada\nalan\ngrace\n")
    file = room.folder / "ngrams.py"
    file.write_text(file.read_text().replace("+ len(counts)", "+ 2 * len(counts)"))
    cli.main(["release", "ngrams", "--students", str(tmp_path / "more.csv"), "--overlay", str(room.folder)])
    assert "other results are expected in the examples of ada, alan. Delete" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="there are ngrams"):
        cli.main(["release", "nothing", "--overlay", str(room.folder)])


@pytest.mark.parametrize("system, private", [("posix", True), ("nt", False)])
def test_a_new_folder_is_called_private_where_it_is(tmp_path, monkeypatch, system, private):
    monkeypatch.setattr(overlay, "os", types.SimpleNamespace(name=system))
    assert ("only you can read" in overlay.new(tmp_path / "class")) == private


@needs_sandbox
def test_a_student_hears_before_the_deadline(room, tmp_path, capsys):
    file = tmp_path / "ngrams.ipynb"
    stub = "def ngram_counts(texts, n):\n    raise NotImplementedError"
    changes = {"perplexity": "import pandas\ndef perplexity(text, model): return 1.0", "count": stub}
    changes |= {"page_bits": "def page_bits(page, counts, lower)\n    return 1.0", "answer": " "}
    nbformat.write(room.notebook("ada", **changes), file)
    assert cli.main(["check", str(file)]) == 0
    out = capsys.readouterr().out
    assert "can be graded, as an answer to ngrams" in out and "The module pandas is not there" in out
    assert "witten_bell: your examples come out right" in out and "count: nothing is written here yet" in out
    assert "perplexity: ModuleNotFoundError" in out and "page_bits: SyntaxError: expected ':' line 1" in out
    assert "nothing is written in the cell answer yet" in out
    file.write_bytes(file.read_bytes()[:-100])
    assert cli.main(["check", str(file)]) == 1
    assert "can't be graded. The file is cut off at byte" in capsys.readouterr().out


@needs_sandbox
def test_a_wrong_answer_hears_on_which_example_and_what_follows_a_right_one_may_fail(room, tmp_path):
    notebook = room.notebook("ada", witten_bell="def witten_bell(counts, lower):\n    return lower")
    for cell in notebook.cells:
        cell.source += "\nprint(my_page)" * cell.source.startswith(f"K = {room.own('ada')}\n")
    nbformat.write(notebook, tmp_path / "a.ipynb")
    said = checking.run_examples(*checking.look(tmp_path / "a.ipynb"))
    expected = r"at .* is expected, for witten_bell\(.*\): expected \{.*\}, got \{.*\}"
    assert re.fullmatch(expected, said["witten_bell"])
    assert said["page_bits"] == "your examples come out right"


@needs_sandbox
def test_an_endless_answer_is_named_before_the_deadline(room, tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "Limits", lambda: sandbox.Limits(seconds=1))
    nbformat.write(room.notebook("ada", witten_bell="while True: pass"), tmp_path / "a.ipynb")
    assert "ran longer than 1 s" in checking.run_examples(*checking.look(tmp_path / "a.ipynb"))["witten_bell"]


@each_one
def test_a_file_that_has_lost_its_metadata_is_known_by_its_answers(assignment):
    notebook = json.loads(assignment.path.read_text("utf-8"))
    notebook["metadata"] = {}
    assert checking.assignment_of(notebook).name == assignment.name
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    assert checking.assignment_of(notebook).name == assignment.name


def test_a_chapter_is_no_answer(capsys):
    assert cli.main(["check", str(places.notebooks() / "01_ngrams.ipynb")]) == 1
    said = "this file earns no point for a function: it has none of witten_bell, page_bits."
    assert said in capsys.readouterr().out


def test_a_file_that_names_no_assignment_and_has_no_answer_is_taken_for_the_first():
    for metadata in ({}, {"metadata": 3}, {"metadata": {"course": 1}}, {"metadata": {"course": {}}}):
        assert checking.assignment_of(metadata).name == NAMES[0]
    assert checking.assignment_of({"metadata": {"course": {"assignment": NAMES[1]}}}).name == NAMES[1]


@pytest.fixture
def check(room, tmp_path, monkeypatch, capsys):
    """Check a file whose examples "run" as `run` does; what is printed."""

    def check(run, **changes):
        monkeypatch.setattr(sandbox, "problem", lambda unsafe: "")
        monkeypatch.setattr(sandbox, "run", run)
        (tmp_path / "ngrams.ipynb").write_text(json.dumps(room.notebook("ada", **changes)))
        assert cli.main(["check", str(tmp_path / "ngrams.ipynb")]) == 0
        return capsys.readouterr().out

    return check


def test_a_sandbox_that_does_not_start_is_one_sentence(check):
    def run(*arguments, **options):
        raise sandbox.SandboxError("The sandbox did not start. \x1b[2J")

    assert r"Its examples were not run. The sandbox did not start. \x1b[2J" in check(run)


def test_unsafe_runs_no_answer_on_windows(room, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", "win32")
    (tmp_path / "ngrams.ipynb").write_text(json.dumps(room.notebook("ada")))
    assert cli.main(["check", str(tmp_path / "ngrams.ipynb"), "--unsafe"]) == 0
    assert "Its examples were not run. No answer can be run on Windows." in capsys.readouterr().out
    with pytest.raises(SystemExit, match="No answer can be run on Windows"):
        cli.main(["grade", "ngrams", "--unsafe", "--overlay", str(room.folder)])


def test_the_courses_own_copy_is_nobodys(room, check, capsys):
    quiet = {"witten_bell": "def witten_bell(counts, lower): return lower"}
    assert "nobody's" not in check(lambda *arguments, **options: "", **quiet)
    cli.main(["check", str(room.assignment.path)])
    assert "  But: this is the course's own copy, with constants that are nobody's" in capsys.readouterr().out


@needs_sandbox
def test_the_courses_own_copy_has_no_examples_that_could_come_out_right(room):
    said = checking.run_examples(*checking.look(room.assignment.path))
    assert set(said.values()) == {"its examples are missing in this file"}


def test_no_terminal_obeys_what_a_file_says(check):
    def run(script, job, accept, **options):
        for id, _ in job["cells"]:
            accept({"id": id, "cell": {"error": "ValueError: \x1b[2J\x9b\ud83d\n"}})
        return ""

    out = check(run, count="def count(text): pass")
    assert r"count: ValueError: \x1b[2J\x9b\ud83d\n" in out and "\x1b" not in out


def test_a_file_is_parsed_once(check, monkeypatch):
    parsed, loads = [], json.loads
    monkeypatch.setattr(json, "loads", lambda text, **options: parsed.append(text) or loads(text, **options))
    check(lambda *arguments, **options: "", answer="this one")
    assert sum("this one" in str(text) for text in parsed) == 1
