"""The gate scope in a real JupyterLab: what a learner types, walks through, chooses and sees."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from harness import CONTRASTS, notebook, write_notebook
from playwright.sync_api import expect

from course_utils.recurrent import RecurrentLM, trace

CELLS = {3: ("place in the line", 0.81), 11: ("vowel", -0.4), 0: ("a name </script>", 0.5)}
CELL = f"""\
from functools import partial
import torch
from course_utils.recurrent import RecurrentLM, trace
from course_utils.widgets.gate_scope import GateScope
torch.manual_seed(0)
GateScope(partial(trace, RecurrentLM(256, 8, 16)), {CELLS!r}, {{"a question": "to be", "a bird": "un 🦜"}})"""


@pytest.fixture(scope="module")
def read():
    torch.manual_seed(0)
    return partial(trace, RecurrentLM(256, 8, 16))


@pytest.fixture(scope="module")
def opened(browser, lab):
    """Two scopes on one page, run once. Tests leave each in any state, so each begins with its own."""
    write_notebook(lab.folder / "scope.ipynb", CELL, CELL)
    with notebook(browser, lab, "scope.ipynb", viewport={"width": 1280, "height": 1400}) as opened:
        opened.run_all()
        yield opened


def begin(opened, i=0, text="to be", cell=3):
    widget = opened.widget(i)
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
    values = read(list(b"\nto be")).cell_state[:, list(CELLS)].T  # (cells, T)
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


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "Before the first of 0 bytes"),
        ("x" * 10_000, "After byte 300 of 300"),
        ("</script><script>window.pwned = 1</script>", "After byte 42 of 42, “>”"),
        ("👩‍👩‍👧", "After byte 18 of 18, “‹A7›”"),
        ("שלום", "After byte 8 of 8, “‹9D›”"),
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
        expect(widget.locator(".cw-notice").first).to_contain_text("Got 10,000 characters; the last 300")


def test_half_a_character_is_left_out_with_notice(opened):
    widget = begin(opened)
    widget.locator("textarea").evaluate(
        "(area) => { area.value = 'to \\ud83d'; area.dispatchEvent(new Event('input')); }"
    )
    opened.settled(widget)
    expect(widget.locator(".cw-notice").first).to_contain_text("lone surrogate")


def test_two_on_a_page_are_independent(opened):
    one, two = begin(opened, 0), begin(opened, 1, text="question", cell=0)
    before = sentence(one).inner_text()
    begin(opened, 1, text="not", cell=11)
    expect(sentence(two)).to_contain_text("cell 11 (vowel)")
    assert sentence(one).inner_text() == before and one.locator("textarea").input_value() == "to be"


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_every_text_can_be_read_in_both_themes_and_as_a_table(opened, theme):
    opened.theme(theme)
    widget = begin(opened, text="to be or not to be, un café 🦜 שלום")
    widget.get_by_role("button", name="Show as table").click()
    tables = widget.locator(".cw-tables table")
    assert tables.nth(0).locator("tbody tr").count() == 3
    assert tables.nth(1).locator("tbody tr").count() == 20
    contrasts = widget.evaluate(CONTRASTS)
    widget.get_by_role("button", name="Hide table").click()
    assert len(contrasts) > 100
    assert not [c for c in contrasts if c["ratio"] < 4.5]
    opened.screenshot(f"scope-{theme.lower()}", widget)


def test_it_fits_a_narrow_page_and_stays_small(opened):
    widget = begin(opened, text="to be, or not to be: " * 15)
    lines = widget.locator("canvas").count()
    opened.page.set_viewport_size({"width": 640, "height": 1400})
    expect(widget.locator("canvas").nth(lines)).to_be_attached()  # the text is laid out anew
    overflow = widget.evaluate("(node) => node.scrollWidth - node.clientWidth")
    opened.screenshot("scope-narrow", widget)
    opened.page.set_viewport_size({"width": 1280, "height": 1400})
    assert overflow <= 0
    opened.save()
    assert max(opened.outputs_kept()) < 200_000
    assert opened.refused == []


def test_keyboard_alone_then_touch(browser, lab):
    write_notebook(lab.folder / "scope-keys.ipynb", CELL)
    with notebook(browser, lab, "scope-keys.ipynb", has_touch=True) as opened:
        press = opened.page.keyboard.press
        press("Control+Enter")
        opened.wait_until_run()
        widget = opened.widget(0)
        opened.tab_to("textarea")
        press("Control+a")
        opened.page.keyboard.type("to be")
        opened.settled(widget)
        opened.tab_to(".cw-strips")
        for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowDown"):
            press(key)
        expect(sentence(widget)).to_contain_text("After byte 4 of 5, “b”: cell 11")
        for key in ("Home", "ArrowDown", "ArrowDown"):
            press(key)
        expect(sentence(widget)).to_contain_text("Before the first of 5 bytes: cell 0")
        press("End")
        opened.tab_to(".gs-cells")
        press("Home")
        expect(sentence(widget)).to_contain_text("After byte 5 of 5, “e”: cell 3")
        # in command mode these delete, insert, cut and leave the cell
        for key in ["d", "d", "a", "b", "x", "j", "k", "m"]:
            press(key)
        assert opened.page.locator(".jp-CodeCell").count() == 1

        widget.get_by_role("button", name="a bird").tap()
        expect(sentence(widget)).to_contain_text("After byte 7 of 7, “‹9C›”")
        widget.get_by_role("button", name="one byte back").tap()
        widget.get_by_role("option", name="cell 11").tap()
        expect(sentence(widget)).to_contain_text("After byte 6 of 7, “‹A6›”: cell 11")
        box = widget.locator("canvas").first.bounding_box()
        opened.page.touchscreen.tap(box["x"] + 1.5 * box["width"] / 8, box["y"] + 2)
        expect(sentence(widget)).to_contain_text("After byte 1 of 7, “u”: cell 3")
        for box in (one.bounding_box() for one in widget.locator("button, textarea, .gs-cell").all()):
            assert box["height"] >= 24 and box["width"] >= 24
