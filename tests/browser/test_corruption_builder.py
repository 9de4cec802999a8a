"""The corruption builder in a real browser: its objectives beside Python's, and what a hand does."""

import json
import random

import pytest
from playwright.sync_api import expect

from course_utils.seq2seq import corruptions as ours
from course_utils.seq2seq.objectives import put_together
from course_utils.widgets.corruption_builder import CorruptionBuilder, spans_of

CELL = """\
from course_utils.seq2seq.corruptions import corruptions, drawn_spans
from course_utils.seq2seq.objectives import put_together
from course_utils.widgets.corruption_builder import CorruptionBuilder
tokens = "Thank you for inviting me to your party last week .".split()
CorruptionBuilder(tokens, corruptions, drawn_spans, put_together, spans=[(2, 4), (8, 9)])"""


def test_javascript_makes_of_a_text_what_python_makes(browser):
    page = browser.new_page()
    page.evaluate(
        """async (source) => {
          const exported = "\\nexport { OBJECTIVES, spansOf, corruptions, putTogether };";
          const blob = new Blob([source, exported], { type: "text/javascript" });
          window.builder = await import(URL.createObjectURL(blob));
        }""",
        CorruptionBuilder._esm,
    )
    rng, cases = random.Random(0), []
    for _ in range(1000):
        n = rng.randint(2, 32)
        share = rng.choice([0, 0.15, 0.5, 1])
        hidden = [i for i in range(n) if rng.random() < share]
        masks = [i for i in range(n + 1) if rng.random() < 0.1 and not {i - 1, i} <= {*hidden}]
        cases.append([n, hidden, masks, rng.randrange(n)])
    found = page.evaluate(
        """(cases) => JSON.parse(cases).map(([n, hidden, masks, cut]) => {
          const sentinels = Array.from({ length: 26 }, (_, i) => n + i);
          const spans = builder.spansOf(hidden, masks);
          const made = builder.corruptions(n, spans, cut, sentinels, n + 26);
          return [spans, made, builder.putTogether(...made["span corruption"], sentinels)];
        })""",
        json.dumps(cases),
    )
    names = page.evaluate("Object.keys(builder.OBJECTIVES)")
    page.close()
    for (n, hidden, masks, cut), (spans, made, text) in zip(cases, found, strict=True):
        sentinels = range(n, n + 26)
        assert [*map(tuple, spans)] == spans_of(hidden, masks)
        theirs = ours.corruptions(range(n), spans, cut, sentinels, n + 26)
        assert {name: (*map(list, each),) for name, each in made.items()} == theirs
        assert text == list(range(n))
        assert not hidden or text == put_together(*theirs["span corruption"], sentinels)
        assert names == [*theirs]


@pytest.fixture(scope="module")
def opened(opened):
    expect(opened.widget().locator(".cw-sentence")).to_contain_text("3 of 11 tokens hidden in 2 spans")
    return opened


def begin(opened):
    widget = opened.widget()
    widget.get_by_role("button", name="Hide nothing").click()
    opened.settled(widget)
    return widget


def hidden(widget):
    return widget.locator("[role=option][aria-selected=true]").all_inner_texts()


def row(widget, name):
    """What the encoder reads and what the decoder writes, each after its length."""
    cells = widget.get_by_role("group", name=name).locator(".cb-cell")
    return [" ".join(cell.locator(".cb-count, .cb-token").all_inner_texts()) for cell in cells.all()]


def middle(widget, place):
    box = widget.get_by_role("option").nth(place).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_drag_hides_what_it_passes_and_the_rows_follow_before_the_kernel(opened):
    widget, mouse = begin(opened), opened.page.mouse
    said = widget.locator(".cw-sentence").inner_text()
    mouse.move(*middle(widget, 2))
    mouse.down()
    mouse.move(*middle(widget, 5), steps=5)
    assert hidden(widget) == ["for", "inviting", "me", "to"]
    mouse.move(*middle(widget, 3), steps=5)
    assert hidden(widget) == ["for", "inviting"]
    assert row(widget, "Span corruption") == [
        "11 Thank you <X> me to your party last week . </s>",
        "4 <X> for inviting </s>",
    ]
    assert widget.locator(".cw-sentence").inner_text() == said  # it waits for the release
    mouse.up()
    opened.settled(widget)
    expect(widget.locator(".cw-sentence")).to_contain_text("2 of 11 tokens hidden in 1 span.")
    # a drag that begins on what is hidden uncovers
    mouse.move(*middle(widget, 3))
    mouse.down()
    mouse.move(*middle(widget, 8), steps=8)
    mouse.up()
    assert hidden(widget) == ["for"]


def test_a_finger_drags_too(opened):
    widget = begin(opened)
    devtools = opened.page.context.new_cdp_session(opened.page)

    def touch(kind, *places):
        points = [dict(zip("xy", middle(widget, place), strict=True)) for place in places]
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 6)
    for place in (7, 8, 9):
        touch("touchMove", place)
    opened.page.wait_for_timeout(300)  # at rest: after a throw, Chromium would swallow the tap below
    touch("touchEnd")
    opened.settled(widget)
    assert hidden(widget) == ["your", "party", "last", "week"]
    expect(widget.locator(".cw-sentence")).to_contain_text("4 of 11 tokens hidden in 1 span.")
    widget.get_by_role("option").nth(7).tap()
    expect(widget.locator(".cw-sentence")).to_contain_text("3 of 11 tokens hidden in 2 spans.")
    assert hidden(widget) == ["your", "last", "week"]


def test_the_keyboard_hides_extends_and_inserts(opened):
    widget, press = begin(opened), opened.page.keyboard.press
    widget.get_by_role("option").nth(0).click()  # it brings the keyboard here
    for key in ("Space", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowLeft"):
        press(key)
    assert hidden(widget) == ["you", "for"]
    for key in ("End", "0", "Space", "ArrowLeft", "ArrowLeft", "Insert"):  # the end itself is never hidden
        press(key)
    opened.settled(widget)
    assert hidden(widget) == ["you", "for"]
    assert row(widget, "Infilling") == [
        "13 Thank [MASK] inviting me to your party last [MASK] week . [MASK] </s>",
        "12 Thank you for inviting me to your party last week . </s>",
    ]
    assert row(widget, "Span corruption")[1] == "4 <X> you for </s>"
    expect(widget.get_by_text("Span corruption can’t")).to_be_visible()
    expect(widget.get_by_role("button", name="Take out the mask before “week”")).to_be_visible()
    press("0")
    expect(widget.get_by_role("option").nth(9)).to_have_attribute("aria-label", "week")
    # a mask that a span has swallowed is gone
    widget.get_by_role("option").nth(10).click()
    press("0")
    press("ArrowLeft")
    press("Shift+ArrowRight")
    opened.settled(widget)
    assert row(widget, "Infilling")[0] == "11 Thank [MASK] inviting me to your party last [MASK] [MASK] </s>"
    # what was hidden by Shift is forgotten with the rest
    widget.get_by_role("button", name="Hide nothing").click()
    widget.locator(".cb-sentence").focus()
    press("Shift+ArrowLeft")
    opened.settled(widget)
    assert len(hidden(widget)) == 2


def test_the_rule_draws_and_the_cut_moves(opened):
    widget = begin(opened)
    widget.get_by_role("button", name="Draw spans").click()
    opened.settled(widget)
    expect(widget.locator(".cw-sentence")).to_contain_text("2 of 11 tokens hidden")
    share = widget.get_by_label("share of tokens that is hidden")
    share.focus()
    for _ in range(5):
        opened.page.keyboard.press("ArrowRight")
    opened.settled(widget)
    expect(widget.locator(".cw-sentence")).to_contain_text("6 of 11 tokens hidden")  # 50 %
    cut = widget.get_by_label("tokens that prefix LM reads")
    cut.focus()
    opened.page.keyboard.press("Home")
    opened.settled(widget)
    assert row(widget, "Prefix LM") == [
        "1 </s>",
        "12 Thank you for inviting me to your party last week . </s>",
    ]
    expect(widget.get_by_text("next-token prediction")).to_be_visible()


def test_put_together_again_follows_the_hand(opened):
    widget = begin(opened)
    widget.get_by_role("button", name="Put together again").click()
    widget.get_by_role("option").nth(1).click()
    panel = widget.locator(".cb-panel")
    expect(panel).to_contain_text("All 11 tokens equal the text")
    assert panel.locator(".cb-token").all_inner_texts()[:4] == ["Thank", "<X>", "you", "for"]
    opened.settled(widget)
    expect(widget.locator(".cw-sentence")).to_contain_text("source and target equal the text.")
    widget.get_by_role("button", name="Put together again").click()
    expect(panel).to_be_hidden()
