"""Every chapter has its parts in the one order, and so has the template that the next ones begin from."""

import ast
import base64
import re
import symtable
from html import unescape

import nbformat
import pytest
from nbval_runner import CHAPTERS

from course_utils.classroom.outputs import WIDGET_VIEW
from course_utils.classroom.release import strip_solutions

TEMPLATE = CHAPTERS[0].parents[1] / "docs" / "chapter_template.ipynb"
FOLDED = {"jupyter": {"source_hidden": True}, "tags": ["hide-input", "set-up"]}
MAX_LINES = 25  # of a code cell as the learner gets it
ASSIGNMENTS = sorted(CHAPTERS[0].parent.glob("assignments/*/*.ipynb"))
each = pytest.mark.parametrize("path", [*CHAPTERS, TEMPLATE], ids=lambda path: path.stem)


def cells_of(path):
    return strip_solutions(nbformat.read(path, as_version=4)).cells


def number_of(path):
    """The chapter's number as its cells write it."""
    return "N" if path == TEMPLATE else str(int(path.stem[:2]))


def headings(cells):
    """{heading: place} of all Markdown cells, each with its signs."""
    texts = {i: cell.source for i, cell in enumerate(cells) if cell.cell_type == "markdown"}
    return {line: i for i, text in texts.items() for line in re.findall(r"^#{1,4} .+$", text, re.MULTILINE)}


def tags(cell):
    return set(cell.metadata.get("tags", ()))


@each
def test_the_first_screen_is_title_promise_folded_set_up_and_the_widget(path):
    cells, number = cells_of(path), number_of(path)
    title = cells[0].source.split("\n\n")
    assert cells[0].cell_type == "markdown" and len(title) == 3
    assert title[0].startswith(f"# {number} · ")
    assert re.fullmatch(r"\*\*[^*]+\*\*", title[1]), "the promise: one paragraph, bold"
    assert "press **Shift + Enter** until the **" in title[2].replace("Press", "press")
    set_up = [cell for cell in cells[1:] if "set-up" in tags(cell)]
    play = 1 + len(set_up)
    assert set_up and cells[1:play] == set_up, "the set-up stands together, below the title"
    for cell in set_up:
        assert cell.metadata == FOLDED and cell.source.startswith("# Set-up"), "the first line is seen"
    assert not any("jupyter" in cell.metadata for cell in cells[play:]), "nothing else is folded"
    assert cells[play].cell_type == "code" and cells[play].source.count("\n") < 3
    assert cells[play + 1].source.startswith("## Play first\n")
    assert cells[play + 2].source == f'overview("{number}")'
    start = cells[play + 3].source
    assert re.match(r"After this chapter you can\n\n1\. .+\n2\. .+\n3\. .+\n\nYou need ", start)
    assert re.search(r"<!-- times -->\n.*<!-- /times -->", start, re.DOTALL)


@each
def test_sections_quiz_and_references_follow_in_order(path):
    cells = cells_of(path)
    places = headings(cells)
    sections = [heading for heading in places if re.match(r"## \d+ · ", heading)]
    assert [int(heading.split()[1]) for heading in sections] == list(range(1, len(sections) + 1))
    minutes = [
        cell.metadata.get("minutes", 0)
        for cell in cells
        if "core" in tags(cell) and "minutes" in cell.metadata
    ]
    assert minutes and all(number > 0 for number in minutes), (
        "the sections on the core path say their minutes"
    )
    end = [places[heading] for heading in ("### What we simplified", "### Quiz", "### References")]
    assert end == sorted(end) and end[0] > places[sections[-1]] and end[-1] == len(cells) - 1
    quiz = cells[places["### Quiz"] + 1].source
    assert quiz == f'from course_utils.learner.quiz import quiz\n\nquiz("{number_of(path)}")'


@each
def test_an_exercise_is_a_heading_an_answer_and_its_check(path):
    cells = cells_of(path)
    answers = [i for i, cell in enumerate(cells) if tags(cell) >= {"exercise"} and "check" not in tags(cell)]
    assert answers
    for i in answers:
        exercise = cells[i].metadata.exercise
        assert re.search(
            rf"(?m)^#### Exercise {re.escape(exercise)} · [●○]{{3}} · \d+ min\n\*\*", cells[i - 1].source
        )
        assert "# YOUR CODE HERE" in cells[i].source
        check = cells[i + 1]
        assert check.metadata.exercise == exercise and tags(check) == {"exercise", "check"}
        assert check.source.startswith(f'check("{exercise}", ')


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_who_skips_an_exercise_off_the_core_path_can_go_on(path):
    """What its answer defines is used under its own heading alone, or asked for by `globals().get`."""
    left_out, used, heading = {}, {}, ""
    for cell in cells_of(path):
        if cell.cell_type == "markdown":
            heading = [heading, *re.findall(r"^#{1,4} .+$", cell.source, re.MULTILINE)][-1]
        elif "exercise" in tags(cell):
            if not tags(cell) & {"core", "check"}:
                left_out |= dict.fromkeys(re.findall(r"^def (\w+)", cell.source, re.MULTILINE), heading)
        else:
            names = {node.id for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)}
            used |= {name: heading for name in names if left_out.get(name, heading) != heading}
    assert used == {}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_who_goes_back_finds_what_was_imported_or_defined(path):
    """Were such a name bound to a value further down, the cells above would fail when they are run again."""
    made, bound = set(), set()
    for cell in cells_of(path):
        if cell.cell_type == "code":
            for symbol in symtable.symtable(cell.source, path.stem, "exec").get_symbols():
                if symbol.is_imported() or symbol.is_namespace():
                    made.add(symbol.get_name())
                elif symbol.is_assigned():
                    bound.add(symbol.get_name())
    assert made & bound == set()


@pytest.mark.parametrize("path", [*CHAPTERS, TEMPLATE, *ASSIGNMENTS], ids=lambda path: path.stem)
def test_no_code_is_longer_than_a_screen_lets_one_read(path):
    long = [
        cell.source
        for cell in cells_of(path)
        if cell.cell_type == "code" and cell.source.count("\n") >= MAX_LINES
    ]
    assert long == []


@each
def test_no_cell_carries_a_note_of_jupytext(path):
    noted = [cell.source for cell in cells_of(path) if "lines_to_next_cell" in cell.metadata]
    assert noted == [], "`course.py refresh` takes them out"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_where_nothing_draws_widgets_the_stored_picture_and_its_sentence_stand(path):
    """As in VS Code without its Jupyter extension, or at GitHub: no view, no script, each picture named."""
    cells, widgets = nbformat.read(path, as_version=4).cells, 0
    for data in (output.data for cell in cells for output in cell.get("outputs", ()) if "data" in output):
        sentence, shown = data["text/plain"], data.get("text/html", "")
        assert sentence.strip() and "object at 0x" not in sentence
        assert WIDGET_VIEW not in data and "<script" not in shown
        pictures = re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)"', shown)
        assert len(pictures) == shown.count("<img")
        for alt, png in pictures:
            assert unescape(alt) == sentence and base64.b64decode(png).startswith(b"\x89PNG")
        widgets += "Run this cell to make it live" in shown
    assert widgets
