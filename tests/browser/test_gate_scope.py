"""The gate scope in a real JupyterLab: what a learner types, walks through, chooses and sees."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from course_utils.recurrent import RecurrentLM, trace

NAMED = {3: ("place in the line", 0.81), 11: ("vowel", -0.4), 0: ("a name </script>", 0.5)}
CELL = f"""\
from functools import partial
import torch
from course_utils.recurrent import RecurrentLM, trace
from course_utils.widgets.gate_scope import GateScope
torch.manual_seed(0)
GateScope(partial(trace, RecurrentLM(256, 8, 16)), {NAMED!r}, {{"a question": "to be", "a bird": "un 🦜"}})"""
HEIGHT = 1400


@pytest.fixture(scope="module")
def read():
    torch.manual_seed(0)
    return partial(trace, RecurrentLM(256, 8, 16))


def begin(opened, text="to be", cell=3):
    widget = opened.widget()
    widget.locator("textarea").fill("another")  # so that the focus goes to the end of what comes now
    widget.locator("textarea").fill(text)
    opened.settled(widget)
    widget.get_by_role("option", name=f"cell {cell} ").click()
    opened.settled(widget)
    return widget


def sentence(widget):
    return widget.locator(".cw-sentence")


def numbers(text):
    return [float(n.replace("−", "-")) for n in re.findall(r"−?\d+\.\d\d\b", text)]


def pixels(widget):
    """The colours of the first line's strips: a row a cell, a column a byte."""
    return np.array(
        widget.locator("canvas").first.evaluate(
            """(canvas) => {
              const pen = canvas.getContext("2d"), side = 14 * devicePixelRatio;
              const at = (i) => (i + 0.5) * side;
              const colour = (x, y) => [...pen.getImageData(at(x), at(y), 1, 1).data.slice(0, 3)];
              return Array.from({ length: canvas.height / side }, (_, y) =>
                Array.from({ length: canvas.width / side }, (_, x) => colour(x, y)));
            }"""
        )
    )


def test_strips_are_coloured_by_what_the_cells_hold(opened, read):
    widget = begin(opened)
    values = read(list(b"\nto be")).cell_state[:, list(NAMED)].T  # (cells, T)
    colours = pixels(widget)
    assert colours.shape == (3, 6, 3)
    lightness = colours @ [0.3, 0.6, 0.1]  # cividis grows lighter with the value
    for row, value, colour in zip(lightness, values, colours, strict=True):
        assert np.array_equal(np.argsort(row), np.argsort(value))
        largest = np.abs(value).argmax()
        ends = {True: [254, 232, 56], False: [0, 34, 78]}
        assert colour[largest].tolist() == ends[bool(value[largest] > 0)]


def test_the_gates_and_what_comes_of_them_are_those_of_the_model(opened, read):
    widget = begin(opened, cell=11)
    gates, cells, hidden, probabilities = read(list(b"\nto be"))
    i, f, g, o = gates[5, 11]
    expect(widget.locator(".cw-heading").nth(1)).to_have_text("Cell 11 after byte 5 of 5, e")
    said = numbers(" ".join(widget.locator(".gs-gates b").all_inner_texts()))
    np.testing.assert_allclose(said, [i, f, g, o], atol=0.00501)
    c, h = widget.locator(".gs-sums b").all_inner_texts()
    np.testing.assert_allclose(numbers(f"{c} {h}"), [cells[5, 11], hidden[5, 11]], atol=0.00501)
    np.testing.assert_allclose(numbers(sentence(widget).inner_text())[:4], [i, f, g, o], atol=0.00501)
    expect(widget.locator(".gs-next")).to_contain_text("the other 248")
    shares = [float(text.split()[0]) for text in widget.locator(".gs-next b").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    assert shares[0] == pytest.approx(100 * probabilities[5].max(), abs=0.0501)


def test_javascript_carries_the_cell_on_as_the_model_does(browser, read):
    from course_utils.widgets.gate_scope import GateScope

    page = browser.new_page()
    page.evaluate(
        """async (source) => {
          const blob = new Blob([source, "\\nexport { carry, wrap };"], { type: "text/javascript" });
          window.scope = await import(URL.createObjectURL(blob));
        }""",
        GateScope._esm,
    )
    traced = read(list(b"\nto be, or not to be"))
    steps = [
        [float(before), *map(float, gates[:3])]
        for before, gates in zip(traced.cell_state[:-1, 5], traced.gates[1:, 5], strict=True)
    ]
    theirs = page.evaluate("(steps) => steps.map((step) => scope.carry(...step))", steps)
    np.testing.assert_allclose(theirs, traced.cell_state[1:, 5], atol=1e-6)
    lines = page.evaluate("scope.wrap([['a', 1], ['b', 1], ['🦜', 4], ['c', 1]], 5)")
    assert [(line["start"], line["width"]) for line in lines] == [(0, 2), (2, 5)]
    page.close()


def test_the_pointer_picks_a_byte_and_a_cell(opened):
    widget = begin(opened)
    box = widget.locator("canvas").first.bounding_box()
    column, strip = box["width"] / 6, box["height"] / 3
    opened.page.mouse.move(box["x"] + 2.5 * column, box["y"] + 1.5 * strip)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + 3.5 * column, box["y"] + 1.5 * strip)
    expect(widget.locator(".cw-heading").nth(1)).to_have_text("Cell 11 after byte 3 of 5, ·")
    opened.page.mouse.up()
    expect(sentence(widget)).to_contain_text("After byte 3 of 5, “·”: cell 11 (vowel) has")
    expect(widget.locator(".cw-column").first).to_be_visible()


def test_the_walk_ends_where_the_text_does(opened):
    widget = begin(opened, text="to")
    expect(widget.get_by_role("button", name="one byte on")).to_be_disabled()
    for _ in range(2):
        widget.get_by_role("button", name="one byte back").click()
    expect(sentence(widget)).to_contain_text("Before the first of 2 bytes: cell 3")
    expect(widget.get_by_role("button", name="one byte back")).to_be_disabled()
    expect(widget.get_by_role("button", name="one byte back")).to_be_focused()  # the keyboard stays
    widget.locator("textarea").press_sequentially("x")
    expect(sentence(widget)).to_contain_text("After byte 3 of 3, “x”: cell 3")


def test_a_long_paste_is_cropped_with_notice(opened):
    widget = begin(opened, text="x" * 10_000)
    expect(widget.locator(".cw-notice").first).to_contain_text("Got 10,000 characters; the last 300")


def test_the_tables_have_a_row_a_cell_and_a_row_a_byte(opened):
    widget = begin(opened, text="to be or not to be, un café 🦜 שלום")
    widget.get_by_role("button", name="Show as table").click()
    tables = widget.locator(".cw-tables table")
    assert tables.nth(0).locator("tbody tr").count() == 3
    assert tables.nth(1).locator("tbody tr").count() == 20
    widget.get_by_role("button", name="Hide table").click()


def test_a_long_text_is_laid_out_anew_on_a_narrow_page(opened):
    widget = begin(opened, text="to be, or not to be: " * 15)
    lines = widget.locator("canvas").count()
    opened.page.set_viewport_size({"width": 640, "height": 1400})
    expect(widget.locator("canvas").nth(lines)).to_be_attached()
    overflow = widget.evaluate("(node) => node.scrollWidth - node.clientWidth")
    opened.page.set_viewport_size({"width": 1280, "height": 1400})
    assert overflow <= 0


def test_keys_then_touch(opened):
    widget, press = begin(opened), opened.page.keyboard.press
    widget.locator(".cw-strips").focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowDown"):
        press(key)
    expect(sentence(widget)).to_contain_text("After byte 4 of 5, “b”: cell 11")
    for key in ("Home", "ArrowDown", "ArrowDown"):
        press(key)
    expect(sentence(widget)).to_contain_text("Before the first of 5 bytes: cell 0")
    press("End")
    widget.locator(".gs-cells").focus()
    press("Home")
    expect(sentence(widget)).to_contain_text("After byte 5 of 5, “e”: cell 3")

    widget.get_by_role("button", name="a bird").tap()
    expect(sentence(widget)).to_contain_text("After byte 7 of 7, “‹9C›”")
    widget.get_by_role("button", name="one byte back").tap()
    widget.get_by_role("option", name="cell 11").tap()
    expect(sentence(widget)).to_contain_text("After byte 6 of 7, “‹A6›”: cell 11")
    box = widget.locator("canvas").first.bounding_box()
    opened.page.touchscreen.tap(box["x"] + 1.5 * box["width"] / 8, box["y"] + 2)
    expect(sentence(widget)).to_contain_text("After byte 1 of 7, “u”: cell 3")
