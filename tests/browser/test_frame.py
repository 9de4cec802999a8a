"""The frame of a chapter in a real JupyterLab, by keyboard alone: bets, quizzes, and the way through it."""

import contextlib
import json

import nbformat
import pytest
from hands import Learner
from harness import CONTRASTS, PATIENCE, notebook
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import expect

from course_utils.learner.checks import CHECKS
from course_utils.learner.quizzes import questions

FILE = "frame/my_work/01_ngrams.ipynb"
FAR = "many words\n\n" * 300  # JupyterLab keeps what is far from the screen out of the page
OPTIONS = ["under 25 %", "25 to 50 %", "over 50 %", "all"]
CELLS = [
    "from course_utils.learner.overview import overview\n"
    "from course_utils.learner.predict import predict\n"
    "from course_utils.learner.progress_page import progress_page\n"
    "from course_utils.learner.quiz import quiz",
    f'bet = predict("1.pairs", "Which share of the pairs is new?", {OPTIONS})\nbet',
    "",  # for the settlement, which Run All would make before the bet
    'late = predict("1.late", "<b>Is it</b> שלום 🎭?", ["</script>", "no"])\nlate.settle("no")\nlate',
    'quiz("1")',
    'overview("1")',
    "progress_page()",
    "",  # for verdicts and help
    f'predict("1.small", "Which share?", {OPTIONS})',
    'quiz("2")',
]
VERDICTS = 7  # the place of their cell
CODE = """\
from course_utils.learner.checks import CHECKS, check
answers = lambda *_: None, lambda *_: 1 / 0, *[lambda *_: 1] * 3, CHECKS["2.1"].reference
display(*[check("2.1", answer) for answer in answers])
"""
TALL = {"width": 1100, "height": 5000}
FOLDS = "Three old questions", "Core path"


def write_chapters(folder):
    exercises = [
        cell
        for id in ("1.1", "1.2", "1.3")
        for cell in (
            new_markdown_cell(FAR),
            new_markdown_cell(f"### {CHECKS[id].heading}"),
            new_code_cell("...", metadata={"exercise": id, "tags": ["exercise", "core"]}),
        )
    ]
    start = [new_markdown_cell(FAR) for _ in range(20)] + [new_markdown_cell("## 2. Token, distribution")]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    folder.mkdir(parents=True)
    for name, cells in [
        ("00_start_here", [*start, new_markdown_cell(FAR)]),
        ("01_ngrams", [*map(new_code_cell, CELLS), *exercises]),
    ]:
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / f"{name}.ipynb")


@pytest.fixture(scope="module")
def opened(browser, lab):
    """One chapter, run once. The tests go through it in order, as a learner does."""
    write_chapters((lab.folder / FILE).parent)
    with notebook(browser, lab, FILE, viewport=TALL, has_touch=True) as opened:
        run(opened)
        yield opened


def run(opened):
    """Run the cells down to the exercises: those below are not in the page, so no waiting for them."""
    opened.menu("Run", "Run All Cells")
    expect(opened.page.locator(".course-widget")).to_have_count(6, timeout=PATIENCE)


def press(opened, *keys):
    for key in keys:
        opened.page.keyboard.press(key)


def sentence(widget):
    return widget.locator(".cw-sentence")


def chips(widget):
    return [int(slider.input_value()) for slider in widget.get_by_role("slider").all()]


def in_sight(opened, heading):
    expect(opened.page.locator("h2, h3").filter(has_text=heading)).to_be_in_viewport(timeout=PATIENCE)


def kept(opened):
    return json.loads((opened.path.parent / ".course" / "progress.json").read_text(encoding="utf-8"))


def test_chips_are_moved_by_keys_and_never_more_than_100(opened):
    widget = opened.widget(0)
    assert chips(widget) == [25, 25, 25, 25]
    widget.get_by_role("slider").first.focus()
    press(opened, "ArrowUp")
    assert chips(widget) == [25, 25, 25, 25]
    expect(sentence(widget)).to_have_text("No chip is left in your hand: lower another option first.")
    press(opened, "ArrowDown", "ArrowLeft", "PageDown")
    assert chips(widget) == [13, 25, 25, 25]
    expect(widget.locator(".pr-hand")).to_have_text("In your hand: 12 chips")
    press(opened, "Home", "Tab", "Tab", "PageUp", "ArrowRight")
    assert chips(widget) == [0, 25, 36, 25]
    press(opened, "Tab", "Home", "Shift+Tab", "End")
    assert chips(widget) == [0, 25, 75, 0]
    expect(widget.get_by_role("slider").nth(2)).to_have_attribute(
        "aria-valuetext", "75 chips, costs 0.42 bits if true, 0 in hand"
    )
    assert opened.page.locator(".jp-CodeCell").count() >= 7  # no key was taken as a command of the notebook


def test_a_bet_of_fewer_chips_is_not_placed(opened):
    widget = opened.widget(0)
    widget.get_by_role("slider").nth(2).focus()
    press(opened, "PageDown", "Tab", "Tab", "Enter")
    expect(sentence(widget)).to_have_text("10 chips still in your hand: lay them down before you bet.")
    opened.screenshot("frame-bet-open-light", widget)
    widget.get_by_role("slider").nth(2).focus()
    press(opened, "PageDown", "PageDown", "PageDown")
    assert chips(widget) == [0, 25, 35, 0]
    press(opened, "Tab", "Tab", "Tab", "Tab", "Enter")  # spread the rest evenly
    assert chips(widget) == [10, 35, 45, 10]


def test_a_bet_is_placed_and_settled_by_keys(opened):
    widget = opened.widget(0)
    widget.get_by_role("slider").nth(3).focus()
    press(opened, "Tab", "Enter")
    expect(widget.get_by_role("button", name="Bet placed, locked")).to_be_focused()
    expect(sentence(widget)).to_contain_text("placed: 10 on “under 25 %”, 35 on “25 to 50 %”")
    expect(widget.get_by_role("slider").first).to_be_disabled()
    press(opened, "Shift+Enter", "Enter")  # runs the widget's cell again and goes on to the empty cell
    opened.page.keyboard.type('bet.settle("over 50 %")')
    press(opened, "Shift+Enter")
    expect(sentence(widget)).to_have_text(
        "“over 50 %” came true; 45 of your 100 chips were on it: 1.15 bits. Uniform guessing: 2.00 bits. "
        "Your average over 1 prediction: 1.15 bits; uniform guessing: 2.00 bits."
    )
    expect(widget.locator(".pr-true")).to_contain_text("over 50 %✓ came true")
    expect(
        opened.page.locator(".jp-OutputArea [role=status]").filter(has_text="1.15 bits").last
    ).to_be_visible()
    opened.screenshot("frame-bet-settled-light", widget)


def test_a_bet_after_the_result_does_not_count_and_is_its_own(opened):
    widget = opened.widget(1)
    expect(widget.locator(".pr-question")).to_have_text("<b>Is it</b> שלום 🎭?")
    expect(sentence(widget)).to_contain_text("a bet placed now won't count")
    widget.get_by_role("slider").first.focus()
    press(opened, "PageDown", "ArrowDown", "Tab", "End", "Tab", "Enter")
    expect(sentence(widget)).to_contain_text("61 of your 100 chips were on it: 0.71 bits")
    expect(sentence(widget)).to_contain_text("it doesn't count")
    assert chips(widget) == [39, 61] and chips(opened.widget(0)) == [10, 35, 45, 10]
    assert [bet["counts"] for bet in kept(opened)["predictions"].values()] == [False, True]


def answer(opened, widget, number, choice):
    """Answer a question by keys: arrows choose among the radio buttons, Enter on the button answers."""
    card = widget.locator(".qz-card").nth(number)
    card.get_by_role("radio").first.focus()
    press(opened, "Space", *["ArrowDown"] * choice, "Tab", "Enter")
    opened.settled(widget)
    return card


def test_a_quiz_is_answered_wrong_and_right_by_keys(opened):
    quiz, strip = opened.widget(2), opened.widget(3)
    question = questions("1")[0]
    whys = [choice.why.replace("`", "") for choice in question.choices]
    right = [choice.right for choice in question.choices].index(True)
    wrong = (right + 1) % len(whys)
    card = answer(opened, quiz, 0, wrong)
    expect(card.locator(".qz-why:visible")).to_have_text([whys[wrong]])
    expect(card.get_by_role("status")).to_have_text("Not this one. Read why, and try another.")
    opened.screenshot("frame-quiz-wrong-light", card)
    answer(opened, quiz, 0, right)
    expect(card.locator(".qz-why:visible")).to_have_text(whys)
    expect(card.get_by_role("status")).to_be_focused()  # the button is gone; the keyboard stays here
    expect(sentence(quiz)).to_have_text(
        "Quiz of chapter 1: 5 questions, 1 answered, 0 right at the first try."
    )
    answer(opened, quiz, 1, [choice.right for choice in questions("1")[1].choices].index(True))
    expect(sentence(quiz)).to_contain_text("2 answered, 1 right at the first try.")
    expect(sentence(strip)).to_contain_text("3 questions, 0 answered")
    opened.screenshot("frame-quiz-light", quiz)


def test_nothing_chosen_is_said(opened):
    card = opened.widget(2).locator(".qz-card").nth(4)
    card.get_by_role("button", name="Answer").focus()
    press(opened, "Enter")
    expect(card.get_by_role("status")).to_have_text("Choose one first.")


def test_running_the_chapter_again_keeps_bets_and_answers(opened):
    before = kept(opened)
    run(opened)
    expect(sentence(opened.widget(0))).to_contain_text("Your average over 1 prediction: 1.15 bits")
    assert chips(opened.widget(0)) == [10, 35, 45, 10]
    expect(sentence(opened.widget(2))).to_contain_text("2 answered, 1 right")
    expect(opened.page.locator("table").filter(has_text="Bits by prediction")).to_contain_text("1.15")
    assert kept(opened) == before


def test_the_saved_notebook_holds_sentences_and_no_key(opened):
    opened.save()
    saved = nbformat.read(opened.path, as_version=4)
    text = json.dumps(saved, ensure_ascii=False)
    assert "widgets" not in saved.metadata and "widget-view" not in text
    assert "Quiz of chapter 1: 5 questions, 2 answered" in text and "Run this cell to make it live." in text
    assert not any(choice.why in text for question in questions("1")[2:] for choice in question.choices)


def test_the_strip_is_one_line_and_folds_out_by_keys(opened):
    strip = opened.widget(3)
    questions, path = (strip.get_by_role("button", name=name) for name in FOLDS)
    expect(path).to_have_text("Core path: 0 of 3 exercises, about 17 minutes left.")
    assert strip.bounding_box()["height"] < 60
    expect(strip.locator(":is(.qz-panel, .cw-sentence, .cw-foot):visible")).to_have_count(0)
    for theme in ("Dark", "Light"):
        opened.theme(theme)
        opened.screenshot(f"frame-strip-{theme.lower()}", strip)
    questions.focus()
    press(opened, "Enter")
    expect(questions).to_have_attribute("aria-expanded", "true")
    expect(strip.locator(".qz-card:visible")).to_have_count(3)
    expect(strip.locator(".cw-foot")).to_be_visible()
    press(opened, "Enter", "Tab", "Enter")
    expect(path).to_be_focused()
    expect(strip.locator(".qz-card:visible")).to_have_count(0)
    expect(strip.locator("li:visible")).to_have_text(
        [f"○ {CHECKS[id].heading}" for id in ("1.1", "1.2", "1.3")]
    )
    opened.screenshot("frame-core-path-light", strip)


def test_the_core_path_jumps_to_an_exercise_that_is_not_in_the_page(opened):
    heading = CHECKS["1.3"].heading
    expect(opened.page.locator("h3").filter(has_text=heading)).not_to_be_in_viewport()
    opened.widget(3).get_by_role("link", name=heading).focus()  # the test before has unfolded the path
    press(opened, "Enter")
    in_sight(opened, heading.partition(" ·")[0])


def test_every_text_can_be_read_in_both_themes(opened):
    """Of bets, quizzes, old questions, the core path, the progress page and verdicts with help."""
    opened.open()
    run(opened)
    right = [choice.right for choice in questions("1")[2].choices].index(True)
    answer(opened, opened.widget(2), 2, (right + 1) % 3)
    learner = Learner(opened)
    learner.cell(VERDICTS).locator(".jp-InputPrompt").click()
    learner.write(VERDICTS, CODE)
    expect(learner.run(VERDICTS)).to_contain_text(f"2.1 {CHECKS['2.1'].title}: passed.")
    folds = [opened.widget(3).get_by_role("button", name=name) for name in FOLDS]
    for fold in folds:
        fold.click()
    for theme in ("Dark", "Light"):
        opened.theme(theme)
        contrasts = opened.page.locator(".jp-OutputArea-output").evaluate_all(
            f"(all) => all.flatMap({CONTRASTS})"
        )
        opened.screenshot(f"frame-{theme.lower()}")
        assert [text for text in contrasts if text["ratio"] < 4.5] == []
        assert len(contrasts) > 300
    for fold in folds:
        fold.click()


def test_touch_on_a_small_screen(opened):
    opened.page.set_viewport_size({"width": 480, "height": 900})
    widget = opened.widget(4)
    widget.scroll_into_view_if_needed()
    for target in widget.locator("button:visible, input:visible").all():
        box = target.bounding_box()
        assert box["width"] >= 24 and box["height"] >= 24
    widget.get_by_role("button", name="one chip less on under 25 %").tap()
    assert chips(widget) == [24, 25, 25, 25]
    track = widget.get_by_role("slider").nth(1)
    box = track.bounding_box()
    track.tap(position={"x": box["width"] / 5, "y": box["height"] / 2})
    assert 5 <= chips(widget)[1] <= 20
    widget.get_by_role("button", name="Spread the rest evenly").tap()
    assert sum(chips(widget)) == 100
    opened.screenshot("frame-bet-small", widget)
    widget.get_by_role("button", name="Place the bet").tap()
    expect(widget.get_by_role("button", name="Bet placed, locked")).to_be_visible()
    card = opened.widget(5).locator(".qz-card").first
    card.get_by_text(questions("2")[0].right).tap()
    card.get_by_role("button", name="Answer").tap()
    expect(card.get_by_role("status")).to_have_text("Right. Under each choice stands why.")
    opened.screenshot("frame-quiz-small", card)
    opened.page.set_viewport_size(TALL)


def test_what_is_answered_while_the_kernel_is_busy_arrives(opened):
    busy = "import pathlib, time\nwhile not pathlib.Path('free').exists(): time.sleep(0.05)"
    kernel = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    opened.page.evaluate(f"(code) => void {kernel}.requestExecute({{ code }})", busy)
    cards = [opened.widget(5).locator(".qz-card").nth(number) for number in (1, 2, 3, 4)]
    for number, card in enumerate(cards, 1):
        card.get_by_label(questions("2")[number].right).check()
        card.get_by_role("button", name="Answer").click()
    (opened.path.parent / "free").touch()
    for card in cards:
        expect(card.get_by_role("status")).to_have_text("Right. Under each choice stands why.")


def test_a_missed_old_question_leads_to_its_section(opened):
    opened.widget(3).get_by_role("button", name="Three old questions").focus()
    press(opened, "Enter")
    card = answer(opened, opened.widget(3), 0, 0)  # 0.model: its first choice is wrong
    expect(opened.widget(3).get_by_role("button").first).to_have_text("Three old questions: 1 of 3 answered.")
    expect(card.locator(".qz-again")).to_have_text("Look again: chapter 0, 2. Token, distribution")
    here = opened.page.evaluate("jupyterapp.shell.currentWidget.id")
    section = opened.page.locator("h2, h3").filter(has_text="2. Token, distribution")
    for _ in range(5):
        card.get_by_role("link").focus()
        press(opened, "Enter")
        # JupyterLab scrolls once. Where it is slow, what it draws above later pushes the section away again;
        # then another press, as a reader would give it, finds more drawn, and in the end all.
        with contextlib.suppress(AssertionError):
            return expect(section).to_be_in_viewport(timeout=PATIENCE / 4)
        opened.page.evaluate("(id) => jupyterapp.shell.activateById(id)", here)
    pytest.fail("the link does not lead to the section")
