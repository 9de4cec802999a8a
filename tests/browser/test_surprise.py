"""The surprise line in a real JupyterLab: what a learner types, walks through and sees."""

import numpy as np
import pytest
from harness import CONTRASTS, notebook, write_notebook
from playwright.sync_api import expect

CELL = """\
from course_utils.widgets.surprise import Piece, SurpriseLine
def every(size):
    def read(text):
        data = text.encode()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        return [Piece(piece, 8.0 * size * (i % 2), b"</script>", 0.125) for i, piece in enumerate(pieces)]
    return read
SurpriseLine({"bytes": every(1), "threes": every(3)}, {"a question": "to be?", "a bird": "un 🦜"})"""


@pytest.fixture(scope="module")
def opened(browser, lab):
    """Two lines on one page, run once. Tests leave each in any state, so each begins with its own."""
    write_notebook(lab.folder / "surprise.ipynb", CELL, CELL)
    with notebook(browser, lab, "surprise.ipynb", viewport={"width": 1280, "height": 1000}) as opened:
        opened.run_all()
        yield opened


def begin(opened, i=0, text="to be?"):
    widget = opened.widget(i)
    widget.locator("textarea").fill("another")
    widget.locator("textarea").fill(text)
    opened.settled(widget)
    return widget


def sentence(widget):
    return widget.locator(".cw-sentence")


def test_strips_are_coloured_by_the_bits_a_byte_of_each_token(opened):
    widget = begin(opened)
    colours = np.array(
        widget.locator("canvas").first.evaluate(
            """(canvas) => {
              const pen = canvas.getContext("2d"), { width, height } = canvas;
              const colour = (row, byte) => [...pen.getImageData((byte + 0.5) * width / 6,
                (row + 0.5) * height / 2, 1, 1).data.slice(0, 3)];
              return [0, 1].map((row) => [0, 1, 2, 3, 4, 5].map((byte) => colour(row, byte)));
            }"""
        )
    )
    low, high = [0, 34, 78], [254, 232, 56]
    assert colours[0].tolist() == [low, high] * 3
    assert colours[1].tolist() == [low] * 3 + [high] * 3


def test_the_pointer_and_the_buttons_pick_a_byte(opened):
    widget = begin(opened)
    box = widget.locator("canvas").first.bounding_box()
    opened.page.mouse.click(box["x"] + 4.5 * box["width"] / 6, box["y"] + 3)
    expect(sentence(widget)).to_contain_text("At byte 4: bytes pays 0.0 bits for “e”")
    widget.get_by_role("button", name="one byte on").click()
    expect(sentence(widget)).to_contain_text("At byte 5: bytes pays 8.0 bits for “?”")
    expect(widget.get_by_role("button", name="one byte on")).to_be_disabled()
    row = widget.locator(".su-found tbody tr").nth(1)
    assert row.locator("th, td").all_inner_texts() == [
        "threes",
        "4.00",
        "24.0",
        "be?",
        "24.0",
        "</script> 12.5 %",
    ]


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "nothing to be surprised at"),
        ("x" * 10_000, "over 240 bytes"),
        ("</script><script>window.pwned = 1</script>", "over 42 bytes"),
        ("👩‍👩‍👧", "over 18 bytes"),
        ("שלום", "over 8 bytes"),
    ],
)
def test_hostile_texts(opened, text, says):
    widget = begin(opened, text=text)
    expect(sentence(widget)).to_contain_text(says)
    expect(widget.locator(".cw-problem")).to_be_hidden()
    assert opened.page.evaluate("window.pwned") is None
    widget.get_by_role("button", name="Show as table").click()
    assert widget.evaluate("(node) => node.querySelectorAll('*').length") < 2000
    widget.get_by_role("button", name="Hide table").click()
    if len(text) == 10_000:
        expect(widget.locator(".cw-notice").first).to_contain_text("Got 10,000 characters; the last 240")


def test_two_on_a_page_are_independent(opened):
    one, two = begin(opened, 0), begin(opened, 1, text="question")
    before = sentence(one).inner_text()
    begin(opened, 1, text="not")
    expect(sentence(two)).to_contain_text("over 3 bytes")
    assert sentence(one).inner_text() == before and one.locator("textarea").input_value() == "to be?"


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_every_text_can_be_read_in_both_themes_and_as_a_table(opened, theme):
    opened.theme(theme)
    widget = begin(opened, text="to be or not to be, un café 🦜 שלום")
    widget.get_by_role("button", name="Show as table").click()
    assert widget.locator(".cw-tables table").count() == 2
    contrasts = widget.evaluate(CONTRASTS)
    widget.get_by_role("button", name="Hide table").click()
    assert len(contrasts) > 60
    assert not [c for c in contrasts if c["ratio"] < 4.5]
    opened.screenshot(f"surprise-{theme.lower()}", widget)


def test_it_fits_a_narrow_page_and_stays_small(opened):
    widget = begin(opened, text="to be, or not to be: " * 11)
    lines = widget.locator("canvas").count()
    opened.page.set_viewport_size({"width": 640, "height": 1000})
    expect(widget.locator("canvas").nth(lines)).to_be_attached()  # the text is laid out anew
    overflow = widget.evaluate("(node) => node.scrollWidth - node.clientWidth")
    opened.screenshot("surprise-narrow", widget)
    opened.page.set_viewport_size({"width": 1280, "height": 1000})
    assert overflow <= 0
    opened.save()
    assert max(opened.outputs_kept()) < 200_000
    assert opened.refused == []


def test_keyboard_alone_then_touch(browser, lab):
    write_notebook(lab.folder / "surprise-keys.ipynb", CELL)
    with notebook(browser, lab, "surprise-keys.ipynb", has_touch=True) as opened:
        press = opened.page.keyboard.press
        press("Control+Enter")
        opened.wait_until_run()
        widget = opened.widget(0)
        opened.tab_to("textarea")
        press("Control+a")
        opened.page.keyboard.type("to be")
        opened.settled(widget)
        opened.tab_to(".cw-strips")
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
            press(key)
        expect(sentence(widget)).to_contain_text("At byte 1: bytes pays 8.0 bits for “o”")
        press("End")
        expect(sentence(widget)).to_contain_text("At byte 4")
        for key in ["d", "d", "a", "b", "x"]:  # in command mode these delete, insert and cut the cell
            press(key)
        assert opened.page.locator(".jp-CodeCell").count() == 1

        widget.get_by_role("button", name="a bird").tap()
        expect(sentence(widget)).to_contain_text("over 7 bytes")
        box = widget.locator("canvas").first.bounding_box()
        opened.page.touchscreen.tap(box["x"] + 1.5 * box["width"] / 7, box["y"] + 2)
        expect(sentence(widget)).to_contain_text("At byte 1: bytes pays 8.0 bits for “n”")
        for box in (one.bounding_box() for one in widget.locator("button, textarea").all()):
            assert box["height"] >= 24 and box["width"] >= 24
