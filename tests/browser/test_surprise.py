"""The surprise line in a real JupyterLab: what a learner types, walks through and sees."""

import numpy as np
from hands import scroll_from
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


def begin(opened, text="to be?"):
    widget = opened.widget()
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


def test_a_long_paste_is_cropped_with_notice(opened):
    widget = begin(opened, text="x" * 10_000)
    expect(widget.locator(".cw-notice").first).to_contain_text("Got 10,000 characters; the last 240")


def test_characters_are_counted_as_python_counts_them(opened):
    widget = begin(opened, text="🦜" * 30_000)  # each is two units of JavaScript's
    expect(widget.locator(".cw-notice").first).to_contain_text("Got 30,000 characters; the last 60 are")


def test_a_touch_that_scrolls_the_page_is_told_to_the_kernel(opened):
    widget = begin(opened)
    scroll_from(opened.page, widget.locator("canvas").first, 1.5 / 6)
    expect(sentence(widget)).to_contain_text("At byte 1:")


def test_there_are_two_tables(opened):
    widget = begin(opened)
    widget.get_by_role("button", name="Show as table").click()
    expect(widget.locator(".cw-tables table")).to_have_count(2)
    widget.get_by_role("button", name="Hide table").click()


def test_a_long_text_is_laid_out_anew_on_a_narrow_page(opened):
    widget = begin(opened, text="to be, or not to be: " * 11)
    lines = widget.locator("canvas").count()
    opened.page.set_viewport_size({"width": 640, "height": 1000})
    expect(widget.locator("canvas").nth(lines)).to_be_attached()
    overflow = widget.evaluate("(node) => node.scrollWidth - node.clientWidth")
    opened.page.set_viewport_size({"width": 1280, "height": 1000})
    assert overflow <= 0


def test_keys_then_touch(opened):
    widget, press = begin(opened, text="to be"), opened.page.keyboard.press
    widget.locator(".cw-strips").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        press(key)
    expect(sentence(widget)).to_contain_text("At byte 1: bytes pays 8.0 bits for “o”")
    press("End")
    expect(sentence(widget)).to_contain_text("At byte 4")

    widget.get_by_role("button", name="a bird").tap()
    expect(sentence(widget)).to_contain_text("over 7 bytes")
    box = widget.locator("canvas").first.bounding_box()
    opened.page.touchscreen.tap(box["x"] + 1.5 * box["width"] / 7, box["y"] + 2)
    expect(sentence(widget)).to_contain_text("At byte 1: bytes pays 8.0 bits for “n”")
