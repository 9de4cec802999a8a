"""The masking figure in a real JupyterLab: aligned rows, masks by hand, and arrows from both sides."""

import re

from playwright.sync_api import expect

# the model says the piece that stands there with 75 %, the counts "a" with 55 %
CELL = """\
import numpy as np
from types import SimpleNamespace
from course_utils.widgets.masking_figure import MaskingFigure
words = "the film was a waste of time".split()
tokens = ["[CLS]", "[SEP]", "[MASK]", *words]
def encode(text):
    return np.array([0, *(tokens.index(word) for word in text.split()), 1])
def corrupt(ids, draws):
    # the second piece is chosen: masked, then random, then unchanged, and in the fourth draw not at all
    inputs, labels = np.tile(ids, (draws, 1)), np.full((draws, len(ids)), -100)
    for draw in range(draws):
        if draw % 4 < 3:
            labels[draw, 2] = ids[2]
            inputs[draw, 2] = [2, 8, ids[2]][draw % 4]
    return inputs, labels
def fill(inputs, places):
    p = np.full((len(places), len(tokens)), 0.25 / 9)
    p[range(len(places)), text_ids[places]] = 0.75
    return p
def fill_from_left(inputs, places):
    return np.tile(np.eye(len(tokens))[6] / 2 + 0.05, (len(places), 1))
text_ids = np.resize(encode("the film was a waste of time"), 100)
MaskingFigure(SimpleNamespace(tokens=tokens, special=np.arange(10) < 3, mask=2, longest=512, encode=encode,
    corrupt=corrupt, fill=fill, fill_from_left=fill_from_left),
    ["the film was a waste of time", "a film", "the film was a waste of time " * 9])"""
TOPS = """(column) => [...column.children].map((cell) => Math.round(cell.getBoundingClientRect().top))"""


def begin(opened, text="the film was a waste of time", fate=0):
    """The sentence at a draw in which its second piece is masked (fate 0), random, unchanged, not chosen."""
    widget = opened.widget()
    widget.locator("textarea").fill("a film")
    widget.locator("textarea").fill(text)
    opened.settled(widget)
    while int(re.search(r"draw ([\d,]+) of", widget.inner_text())[1].replace(",", "")) % 4 != (fate + 1) % 4:
        widget.get_by_role("button", name="Draw a new mask").click()
        opened.settled(widget)
    return widget


def column(widget, place):
    return widget.get_by_role("option").nth(place)


def sentence(widget):
    return widget.locator(".cw-sentence")


def test_the_rows_are_aligned_and_say_what_became_of_a_piece(opened):
    widget = begin(opened)
    tops = [column(widget, place).evaluate(TOPS) for place in (0, 2, 5)]
    # a cell is in its row's middle; those of one height stand at one place
    assert all(len(one) == 7 and one == sorted(one) for one in tops)
    assert [one[1] for one in tops] == [tops[0][1]] * 3
    for fate, how, sees in [(0, "masked", "[MASK]"), (1, "random", "of"), (2, "unchanged", "film")]:
        widget = begin(opened, fate=fate)
        expect(column(widget, 2)).to_have_attribute(
            "aria-label", f"film, chosen, {how}: the model sees {sees}, answers film, 75.0 %, loss 0.29 nats"
        )
        assert column(widget, 2).inner_text().split("\n")[2:4] == [sees, how]
    assert column(widget, 0).inner_text().split() == ["[CLS]", "never", "[CLS]", "−100"]
    widget = begin(opened, fate=3)
    expect(widget.locator(".mf-panels")).to_contain_text("Nothing is chosen here")
    assert widget.locator(".mf-arrows").count() == 0


def test_arrows_come_from_both_sides_in_two_shapes(opened):
    widget = begin(opened)
    arrows = widget.locator(".mf-arrows path:not(.mf-head):not(.mf-stub)")
    assert arrows.evaluate_all(
        """(paths) => paths.map((path) => [path.getAttribute("d").match(/M/g).length,
          getComputedStyle(path).strokeDasharray])"""
    ) == [[2, "none"], [6, "5px, 3px"]]
    # they end beside the middle of the column in focus
    ends = [
        float(re.findall(r"[\d.]+", d)[-2])
        for d in arrows.evaluate_all("(all) => all.map((path) => path.getAttribute('d'))")
    ]
    middle = widget.evaluate(
        """(root) => {
          const box = (node) => node.getBoundingClientRect();
          const chosen = box(root.querySelector("[aria-selected=true]"));
          return chosen.left + chosen.width / 2 - box(root.querySelector(".mf-arrows")).left;
        }"""
    )
    assert [round(end - middle) for end in ends] == [-11, 11]


def test_the_two_answers_stand_beside_each_other(opened):
    widget = begin(opened)
    both, left = widget.locator(".mf-panels > div").all()
    expect(both.locator(".mf-context")).to_have_text("[CLS] the [MASK] was a waste of time [SEP] ")
    expect(left.locator(".mf-context")).to_have_text("[CLS] the ? " + 12 * "▒")
    assert both.locator(".mf-bars").inner_text().split("\n")[:3] == ["film", "75.0 %", "✓ stood there"]
    expect(left).to_contain_text("loss 3.00 nats")
    widths = [panel.locator(".cw-track i").first.evaluate("(i) => i.style.width") for panel in (both, left)]
    assert widths == ["75%", "55%"]


def test_a_click_and_space_mask_a_piece_and_uncover_it(opened):
    widget, press = begin(opened), opened.page.keyboard.press
    column(widget, 5).locator(".mf-piece").click()
    opened.settled(widget)
    expect(column(widget, 5)).to_contain_text("✓ you")
    expect(sentence(widget)).to_contain_text("2 of 7 pieces chosen")
    press("Space")  # the click has brought the keyboard here
    opened.settled(widget)
    expect(column(widget, 5)).to_have_attribute("aria-label", "waste, not chosen, label −100")
    for key in ("Home", "Space", "End", "Space"):  # special ones stay as they are
        press(key)
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("1 of 7 pieces chosen")
    for key in ("Home", "ArrowRight", "ArrowRight", "Space"):  # what chance has chosen
        press(key)
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("0 of 7 pieces chosen")
    press("Escape")
    widget.get_by_role("button", name="Mask “film”").click()
    opened.settled(widget)
    expect(widget.get_by_role("button", name="Uncover “film”")).to_be_visible()
    column(widget, 3).locator(".mf-piece").tap()
    opened.settled(widget)
    expect(column(widget, 3)).to_contain_text("✓ you")


def test_the_batch_is_stepped_through_and_a_sentence_may_be_typed(opened):
    widget = begin(opened)
    for name, place in [("Sentence ▶", "2 of 3"), ("Sentence ▶", "3 of 3"), ("◀ Sentence", "2 of 3")]:
        widget.get_by_role("button", name=name).click()
        opened.settled(widget)
        expect(widget.get_by_text(place)).to_be_visible()
        expect(widget.get_by_role("button", name="Sentence ▶")).to_be_enabled(enabled=place == "2 of 3")
    expect(widget.locator("textarea")).to_have_value("a film")
    widget = begin(opened, text="a waste of film")
    expect(widget.get_by_text("a sentence of your own")).to_be_visible()
    widget.locator("textarea").fill("a zebra")  # this reader fails at what it doesn't know
    opened.settled(widget)
    expect(widget.locator(".cw-problem")).to_contain_text("'zebra' is not in list")
    begin(opened)


def test_all_pieces_of_a_long_sentence_masked_by_hand_are_within_the_budget(opened):
    widget = begin(opened, text="the film was a waste of time " * 9)
    expect(widget.locator(".cw-notice")).to_contain_text(
        "has 65 pieces, [CLS] and [SEP] counted; the first 36"
    )
    # quicker than the kernel answers
    widget.locator(".mf-piece").evaluate_all(
        "(all) => all.slice(1, 35).forEach((one, i) => i === 1 || one.click())"
    )
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("34 of 34 pieces chosen")
    widget.get_by_role("button", name="Show as table").click()
    assert 1000 < widget.evaluate("(root) => root.querySelectorAll('*').length") < 2000
    widget.get_by_role("button", name="Hide table").click()
    lines = widget.locator(".mf-line")
    assert lines.count() > 2  # and each is within the page
    assert lines.evaluate_all("(all) => all.every((line) => line.scrollWidth <= line.clientWidth)")
