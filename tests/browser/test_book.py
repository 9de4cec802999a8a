"""The site of the chapters, read from disk in a browser that reaches nothing else: no kernel, no server."""

import re
from pathlib import Path

import nbformat
import pytest
from accessibility import violations
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import expect

from course_utils.classroom import outputs
from course_utils.classroom.book import make, pages
from course_utils.classroom.book.site import on_your_own_computer, openers
from course_utils.learner.checks import find
from course_utils.learner.quizzes import questions

README = Path(__file__).parents[2] / "README.md"
IMPORTS = """\
from course_utils.learner.checks import find, yours
from course_utils.learner.predict import predict
from course_utils.learner.progress_page import progress_page
from course_utils.learner.quiz import quiz
from course_utils.learner.sealed_prediction import SealedPrediction
from course_utils.learner.whose_line import WhoseLine
from course_utils.widgets.gradient_horizon import GradientHorizon
from course_utils.widgets.mask_viewer import MaskViewer"""
VIEWER = """\
def lay_out(question, answer):
    return [(question, "question"), (answer, "answer"), ("<end>", "end")]


MaskViewer(lay_out, "Where?", "Here </script>.")"""
ANSWER = "def bits(p):\n    ### BEGIN SOLUTION\n    return 41 + p\n    ### END SOLUTION"
CELLS = [
    new_markdown_cell(
        "# 1 · A chapter\n\nIt has a formula, $\\sum_i p_i = 1$, and an English sentence.\n\n"
        "Press **Shift + Enter**\nuntil it appears."
    ),
    new_code_cell(IMPORTS, metadata={"tags": ["hide-input"]}),
    new_code_cell(
        "GradientHorizon({'RNN': [0.5**k for k in range(41)], 'LSTM': [0.9**k for k in range(41)]})"
    ),
    new_code_cell(VIEWER),
    new_code_cell('bet = predict("book.1", "Which?", ["one", "two"])\nbet'),
    new_code_cell('bet.settle("two")'),
    new_markdown_cell("So it was the second.\n\n## 2 · After the bet"),
    new_code_cell('quiz("1")'),
    new_code_cell(ANSWER, metadata={"exercise": "0.1", "tags": ["exercise"]}),
    new_code_cell("print(6 * 7)", metadata={"exercise": "0.1", "tags": ["exercise", "check"]}),
    new_code_cell('WhoseLine([("to be", "S"), ("teh be", "M"), ("or not", "S")])'),
    new_code_cell('SealedPrediction("book.2", "How low?", [1.0], lambda: 0.5)'),
    new_markdown_cell("## 3 · Printed"),
    new_code_cell(
        'yours({"0.1": find("0.1").reference})\nprint("six plays, ten plays, " * 9)\nprogress_page()'
    ),
    new_code_cell('print("six   1.5   2.5\\nten   2.5   3.5" + "   4.5" * 20)'),
]

# an option that is named by a label and hides what comes late in it, as those of the masking figure do
NAMELESS = """(widget) => {
  const list = Object.assign(document.createElement("div"), { role: "listbox", ariaLabel: "pieces" });
  list.innerHTML = "<style>#nameless > :nth-child(n + 2) { display: none; }</style>" +
    "<div role=option aria-selected=false id=nameless><span>–</span></div>";
  list.lastChild.setAttribute("aria-label", "the, not chosen");
  widget.append(list);
}"""


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    path = tmp_path_factory.mktemp("chapters") / "01_chapter.ipynb"
    nb = new_notebook(cells=CELLS)
    nb.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(nb, path)
    return path


@pytest.fixture(scope="module")
def book(chapter, tmp_path_factory):
    told, folder = [], tmp_path_factory.mktemp("book")
    make([chapter], README, folder, told.append)
    assert not any(path.suffix == ".py" for path in folder.rglob("*"))
    assert told[:3] == [
        "01_chapter, alive: gradient_horizon, predict, sealed_prediction",
        "01_chapter, on examples: mask_viewer",
        "01_chapter, picture only: none",
    ]
    assert told[3] == "In all 4 places of widgets: 3 alive, 1 on examples, 0 picture only."
    return folder


@pytest.fixture
def page(book, browser):
    context = browser.new_context(offline=True)
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(error))
    page.goto((book / "01_chapter.html").as_uri())
    yield page
    assert not errors and asked and all(url.startswith(("file:", "data:")) for url in asked)
    context.close()


def widget(page, kind):
    return page.locator(f".course-widget[data-widget={kind}]")


def test_what_the_page_computes_answers_at_once(page):
    horizon = widget(page, "gradient_horizon")
    distance, sentence = horizon.get_by_role("slider", name="how many"), horizon.locator(".cw-sentence")
    distance.press("ArrowRight")
    expect(sentence).to_contain_text("11 steps back")  # recorded, as its bias beside it
    horizon.get_by_role("slider", name="forget bias").press("ArrowRight")
    expect(sentence).to_contain_text("at bias 1.5 (0.818 to the power of 11)")
    horizon.get_by_role("checkbox", name="LSTM").press("Space")
    expect(sentence).to_contain_text("page alone")
    expect(distance).to_have_value("11")
    expect(horizon.locator(".cw-problem")).to_be_hidden()


def test_what_python_computes_answers_what_was_tried_and_says_so_of_the_rest(page):
    viewer = widget(page, "mask_viewer")
    before = viewer.locator(".cw-sentence").inner_text()
    viewer.get_by_role("combobox").select_option(index=1)
    expect(viewer.locator(".cw-sentence")).not_to_have_text(before)
    viewer.get_by_role("textbox").first.fill("Who?")
    expect(viewer.locator(".cw-problem")).to_contain_text("open the chapter in JupyterLab")
    assert page.evaluate("window.pwned") is None
    expect(viewer.locator(".cw-sentence")).to_contain_text("Still the answer before: ")


def test_a_refusal_is_in_sight_wherever_in_the_widget_the_hand_is(page):
    page.set_viewport_size({"width": 360, "height": 240})
    viewer = widget(page, "mask_viewer")
    expect(viewer.locator("xpath=preceding-sibling::p")).to_contain_text("not to a text of your own")
    viewer.get_by_role("textbox").last.fill("Who?")
    problem = viewer.locator(".cw-problem")
    expect(problem).to_be_visible()
    viewer.locator(".cw-sentence").scroll_into_view_if_needed()
    expect(viewer.get_by_role("textbox").first).not_to_be_in_viewport()
    expect(problem).to_be_in_viewport(ratio=1)


def test_a_number_in_a_table_stays_on_one_line(page):
    page.set_viewport_size({"width": 360, "height": 740})
    horizon = widget(page, "gradient_horizon")
    horizon.get_by_role("button", name="Show as table").click()
    numbers = horizon.locator("td.cw-number-cell")
    assert numbers.count() > 10
    assert numbers.evaluate_all("all => all.every((one) => getComputedStyle(one).whiteSpace === 'nowrap')")


def test_a_bet_is_laid_and_paid(page):
    bet = widget(page, "predict")
    bet.get_by_role("button", name=re.compile("Place")).click()
    paid = "50 of your 100 chips were on what came true: 1.00 bits."
    expect(bet.locator(".cw-sentence")).to_contain_text(paid)
    page.reload()  # this browser keeps it
    expect(bet.locator(".cw-sentence")).to_contain_text(paid)


def test_a_bet_on_other_options_is_asked_anew(page):
    page.evaluate("""localStorage.setItem("llm-workbook:bet book.1", '{"one": 60, "another": 40}')""")
    page.reload()
    bet = widget(page, "predict")
    expect(bet.get_by_role("button", name=re.compile("Place"))).to_be_visible()
    page.evaluate("""localStorage.setItem("llm-workbook:bet book.1", '{"two": 40, "one": 60}')""")
    page.reload()  # only their order is another
    expect(bet.locator(".cw-sentence")).to_contain_text("40 of your 100 chips were on what came true")


def test_what_came_true_waits_for_the_bet(page):
    told = page.get_by_text("So it was the second.")
    expect(told).not_to_be_visible()
    expect(page.locator("fieldset.course-quiz").first).to_be_visible()  # the next section waits for nothing
    widget(page, "predict").get_by_role("button", name=re.compile("Place")).click()
    expect(told).to_be_visible()
    expect(page.get_by_text("“two” came true.")).to_be_visible()
    page.reload()
    expect(told).to_be_visible()


def test_what_came_true_is_shown_without_a_bet_if_that_is_asked_for(page):
    told = page.get_by_text("So it was the second.")
    page.emulate_media(media="print")
    expect(told).to_be_visible()
    page.emulate_media(media="screen")
    expect(told).not_to_be_visible()
    page.get_by_role("button", name="Show it without a bet").press("Enter")
    expect(told).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.course-held') !== null")
    page.reload()
    expect(told).to_be_visible()


def test_code_is_folded_and_an_exercise_is_not(page):
    code = page.locator("div.highlight", has_text="def lay_out")
    expect(code).not_to_be_visible()
    expect(page.locator("div.highlight", has_text="raise NotImplementedError")).to_be_visible()
    page.emulate_media(media="print")
    expect(code).to_be_visible()
    page.emulate_media(media="screen")
    page.locator("div.cell", has=code).locator("summary", has_text="Code").press("Enter")
    expect(code).to_be_visible()


def test_lines_are_told_apart_by_taps(page):
    lines, told = page.locator(".course-whose li"), page.locator(".course-whose + [role=status]")
    for line, hand in zip(lines.all(), "SSS", strict=True):
        expect(told).to_contain_text("left")
        line.get_by_role("radio", name=re.compile(f"{hand}: ")).check()
    expect(told).to_have_text("2 of 3 right.")
    assert lines.evaluate_all("all => all.map((one) => one.dataset.told)") == ["✓", "✗ M", "✓"]


def test_a_run_that_would_settle_a_bet_needs_python(page):
    sealed = widget(page, "sealed_prediction")
    sealed.get_by_role("button", name="Place the bet").click()
    expect(sealed).to_contain_text("Sealed as nothing")
    sealed.get_by_role("button", name="Run it").click()
    expect(sealed.locator(":scope > .cw-problem")).to_contain_text("open the chapter in JupyterLab")
    expect(sealed.locator(".pr-count").first).to_have_text("50 chips")


def test_a_quiz_says_why_and_only_when_asked(page):
    question = questions("1")[0]
    for choice in question.choices:
        summary = page.locator("fieldset.course-quiz summary").filter(has_text=choice.text).first
        assert not page.get_by_text(choice.why, exact=False).first.is_visible()
        summary.press("Enter")
        said = summary.locator("xpath=../p").inner_text()
        assert said == choice.why if choice.right else said == f"No. {choice.why}"
        assert said.startswith("Right. ") == choice.right

    page.reload()
    expect(page.get_by_text(questions("1")[0].choices[0].why, exact=False).first).to_be_visible()


def test_a_page_says_where_its_chapter_runs_and_links_there_if_it_knows(page, book):
    assert page.get_by_text("Shift + Enter").count() == 0
    page.locator("summary", has_text="Open in JupyterLab, Colab or VS Code").press("Enter")
    expect(page.locator(".course-open li").first).to_contain_text("python3 course.py lab")
    links = page.locator(".course-open").get_by_role("link").evaluate_all("all => all.map((one) => one.href)")
    own = (book / "index.html").as_uri() + "#on-your-own-computer"
    assert {*links} == {own, (book / "01_chapter.ipynb").as_uri()}
    assert (
        "raise NotImplementedError" in nbformat.read(book / "01_chapter.ipynb", as_version=4).cells[8].source
    )
    linked = openers("01_chapter", "some/course")
    assert (
        "https://colab.research.google.com/github/some/course/blob/main/notebooks/01_chapter.ipynb" in linked
    )
    assert "url=https://github.com/some/course.git" in linked and "01_chapter.ipynb" in linked


def test_a_solution_is_not_shown_before_it_is_asked_for(page):
    assert page.locator("div.highlight", has_text="raise NotImplementedError").is_visible()
    solution = page.get_by_text("return 41 + p")
    assert not solution.is_visible() and page.get_by_text("print(6 * 7)").count() == 0
    page.locator("details.course > summary", has_text="A hint").press("Enter")
    expect(page.get_by_text(find("0.1").hint.split("`")[0].strip()[:20]).first).to_be_visible()
    page.locator("details.course > summary", has_text="The solution").press("Enter")
    expect(solution).to_be_visible()
    assert page.get_by_text("BEGIN SOLUTION").count() == 0


def test_nothing_is_said_of_who_ran_it(page):
    assert page.locator(".cell_output", has_text="six plays, ten plays").count() == 1
    assert page.get_by_text("Built of your own").count() == 0
    assert page.get_by_text("In JupyterLab your own progress stands here").count() == 1
    assert page.get_by_text("Exercises and quizzes").count() == 0


def test_a_phone_wraps_what_is_printed_as_prose_and_shows_that_columns_go_on(page):
    page.set_viewport_size({"width": 360, "height": 740})
    prose, columns = (page.locator(".cell_output pre").filter(has_text=text) for text in ("plays", "3.5"))
    wider = "one => one.scrollWidth > one.clientWidth"
    assert not prose.evaluate(wider) and columns.evaluate(wider)
    expect(columns).to_have_class("course-more")
    columns.evaluate("one => { one.scrollLeft = one.scrollWidth; }")
    expect(columns).not_to_have_class("course-more")


def test_the_front_page_says_what_this_is(page, book):
    page.goto((book / "index.html").as_uri())
    assert page.get_by_role("heading", level=1).inner_text().startswith("The LLM Workbook")
    assert page.locator("article img").evaluate_all("all => all.every((img) => img.naturalWidth > 300)")
    assert page.get_by_text("Copyright").count() == 0
    page.get_by_role("link", name="1 · A chapter").last.press("Enter")
    expect(widget(page, "mask_viewer")).to_be_visible()


def test_a_chapter_leads_to_how_the_course_is_got(page):
    page.locator(".course-note").get_by_role("link").press("Enter")
    own = page.locator("section#on-your-own-computer")
    expect(own).to_be_in_viewport()
    for said in ("no account", "Apache", "Python 3.11", "2 cores", "GB of disk", "python3 course.py lab"):
        expect(own).to_contain_text(said)
    assert "https://github.com/some/course)" in on_your_own_computer("", "some/course")
    assert "github" not in on_your_own_computer("", "")


def test_paper_has_no_buttons_that_only_a_page_has(page):
    foot = widget(page, "mask_viewer").locator(".cw-foot")
    expect(foot).to_be_visible()
    page.emulate_media(media="print")
    for left_out in (foot, page.locator(".course-open"), page.locator(".course-note")):
        expect(left_out).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_screen_reader_has_names_and_eyes_have_contrast(page, scheme):
    page.emulate_media(color_scheme=scheme)
    assert violations(page) == []


def test_a_name_that_is_read_aloud_is_kept_where_a_widget_hides_parts_of_it(page):
    widget(page, "mask_viewer").evaluate(NAMELESS)
    option = page.locator("#nameless")
    expect(option).not_to_have_attribute("aria-label", re.compile("."))
    assert option.locator(".course-unseen").is_visible()
    assert violations(page) == []
    page.add_style_tag(content="#nameless > .course-unseen { display: none !important; }")
    assert [one.partition(":")[0] for one in violations(page)] == ["aria-toggle-field-name"]


def test_formulas_search_and_dark(page, book):
    assert page.locator("math").count() == 1
    page.emulate_media(color_scheme="dark")
    colour = "node => getComputedStyle(node).color"
    assert widget(page, "mask_viewer").evaluate(colour) == page.locator("article").evaluate(colour)
    page.goto((book / "search.html").as_uri() + "?q=sentence")
    expect(page.locator("#search-results")).to_contain_text("A chapter")


def test_a_page_is_a_valid_notebook(chapter):
    nbformat.validate(pages.page(nbformat.read(chapter, as_version=4)))


def test_a_chapter_is_run_again_only_if_it_changed(tmp_path):
    nb, path = (
        new_notebook(cells=[new_code_cell("import time\nprint(time.time_ns())")]),
        tmp_path / "03_kept.ipynb",
    )
    nbformat.write(nb, path)
    first, again = (pages.run(path, tmp_path / "cache")[0].cells[0].outputs for _ in range(2))
    assert first and first == again
    nb.cells[0].source += " "
    nbformat.write(nb, path)
    assert pages.run(path, tmp_path / "cache")[0].cells[0].outputs != first
    kept = next((tmp_path / "cache").rglob("*.json")).read_text("utf-8")
    assert "course_utils.learner.progress" in kept


def test_of_text_and_code_only_what_a_run_reads_has_it_run_again(tmp_path, monkeypatch):
    ran, file = [], tmp_path / "03_kept.ipynb"
    read = ["course_utils.a.read", "course_utils.learner.exercises.bits"]
    monkeypatch.setattr(pages, "PACKAGE", tmp_path / "course_utils")
    cell = new_markdown_cell("## A heading\n\nIts text.")

    def write(name, text):
        path = pages.PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def execute(path):
        ran.append(path)
        return {"outputs": [None], "widgets": [], "modules": pages._digests(read)}

    def runs_after(change):
        change()
        nbformat.write(new_notebook(cells=[cell]), file)
        before = len(ran)
        shown = [pages.run(file, tmp_path / "cache")[0].cells[0].source for _ in range(2)]
        assert shown == [cell.source] * 2
        return len(ran) - before

    monkeypatch.setattr(pages, "_execute", execute)
    assert runs_after(lambda: write("a/read.py", "first")) == 1
    for change in (
        lambda: setattr(cell, "source", "## A heading\n\nOther text."),
        lambda: write("a/unread.py", "second"),
        lambda: write("a/widget.js", "second"),
        lambda: write("learner/exercises/bits.py", "second"),
        lambda: write("learner/exercises/bits.md", "second"),
    ):
        assert runs_after(change) == 0
    for change in (
        lambda: setattr(cell, "source", "## Another heading\n\nOther text."),
        lambda: cell.metadata.update(minutes=5),
        lambda: write("a/read.py", "second"),
        lambda: write("a/table.csv", "second"),
    ):
        assert runs_after(change) == 1


def test_a_cell_that_fails_is_named_and_nothing_is_written(tmp_path):
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), tmp_path / "02_broken.ipynb")
    with pytest.raises(outputs.RefreshError, match=r"02_broken.ipynb, cell 1 \(1 / 0\): ZeroDivisionError"):
        make([tmp_path / "02_broken.ipynb"], README, tmp_path / "book")
    assert not (tmp_path / "book").exists()
