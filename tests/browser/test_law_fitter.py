"""The law fitter in a real browser: its fit against Python's, and what a hand does with its points."""

import numpy as np
import pytest
from playwright.sync_api import expect

from course_utils.widgets.law_fitter import LawFitter

X = np.logspace(4, 6, 9)
LOSS = (1.8 + 22 / X**0.25) * np.exp(0.004 * np.random.default_rng(0).normal(size=9))
CELL = f"""\
from course_utils.widgets.law_fitter import LawFitter
LawFitter({X.tolist()}, {LOSS.tolist()}, 1e8, "bytes", truth=2.02)"""


def test_javascript_fits_as_python_does(browser):
    page, fitter = browser.new_page(), LawFitter(X, LOSS, 1e8)
    page.evaluate(
        """async (source) => {
          const blob = new Blob([source, "\\nexport { fitted };"], { type: "text/javascript" });
          window.fitter = await import(URL.createObjectURL(blob));
        }""",
        LawFitter._esm,
    )
    fixed = {**fitter.constants(), "draws": fitter._draws.flatten().tolist()}
    for state in ({"out": [], "floor": False}, {"out": [], "floor": True}, {"out": [2, 8], "floor": True}):
        fitter.handle(state)
        theirs = page.evaluate("(given) => fitter.fitted(given)", fixed | fitter.state)
        for name in ("law", "there", "floor", "exponent", "range"):
            np.testing.assert_allclose(theirs[name], fitter.found[name], rtol=1e-9, err_msg=name)
    page.close()


def test_a_point_is_dragged_put_back_and_left_out(opened):
    widget = opened.widget()
    sentence, point = widget.locator(".cw-sentence"), widget.locator("[role=option]").nth(4)
    before = sentence.inner_text()
    box = point.bounding_box()
    at = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    opened.page.mouse.move(*at)
    opened.page.mouse.down()
    opened.page.mouse.move(at[0], at[1] - 40)
    opened.page.mouse.up()
    opened.settled(widget)
    expect(point).to_have_attribute("aria-selected", "true")
    assert sentence.inner_text() != before
    assert point.bounding_box()["y"] == pytest.approx(box["y"] - 40, abs=3)
    widget.get_by_role("checkbox", name="leave this point out").check()
    expect(sentence).to_contain_text("Through 8 of 9 points")
    widget.get_by_role("button", name="Put all back").click()
    expect(sentence).to_have_text(before)


def test_arrow_keys_choose_a_point_and_move_it(opened):
    widget = opened.widget()
    widget.get_by_role("listbox").focus()
    opened.page.keyboard.press("Home")
    opened.page.keyboard.press("ArrowRight")
    expect(widget.locator("[role=option]").nth(1)).to_have_attribute("aria-selected", "true")
    before = widget.locator(".cw-sentence").inner_text()
    widget.get_by_role("slider", name="loss of the chosen point").focus()
    opened.page.keyboard.press("PageUp")
    opened.settled(widget)
    assert widget.locator(".cw-sentence").inner_text() != before
    widget.get_by_role("button", name="Put all back").click()


def test_a_floor_brings_the_law_to_what_came(opened):
    widget = opened.widget()
    widget.get_by_role("checkbox", name="a law with a floor").check()
    widget.get_by_role("button", name="What came there?").click()
    expect(widget.locator(".cw-sentence")).to_contain_text("floor 1.")
    expect(widget.locator(".lf-grid")).to_contain_text("what came there ★2.020")
