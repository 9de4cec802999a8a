"""The IsoFLOP planner in a real browser: its arithmetic against Python, and what a hand does with it."""

import numpy as np
import pytest
from hands import scroll_from
from playwright.sync_api import expect

from course_utils.widgets.isoflop_planner import IsoflopPlanner, count

LAWS = [[1.8172, 477.8, 2143.4, 0.3473, 0.3672], [1.80, 420, 1900, 0.34, 0.365]]
CELL = f"""\
from course_utils.widgets.isoflop_planner import IsoflopPlanner
IsoflopPlanner({LAWS})"""


def test_javascript_plans_as_python_does(browser):
    page, planner = browser.new_page(), IsoflopPlanner(LAWS)
    page.evaluate(
        """async (source) => {
          const names = "\\nexport { inWords, lossesOf, leastPrice, quantile };";
          const blob = new Blob([source, names], { type: "text/javascript" });
          window.planner = await import(URL.createObjectURL(blob));
        }""",
        IsoflopPlanner._esm,
    )
    counts = [0, 7, 99.96, 999.6, 1234, 5e5, 1.2345e6, 9.996e8, 3e12, 1.6e15]
    assert page.evaluate("(x) => x.map(planner.inWords)", counts) == [count(x) for x in counts]
    sizes = planner._sizes.tolist()
    for budget, served in ((21.0, 0), (19.5, 12), (25.0, 14)):
        theirs = page.evaluate("(given) => planner.lossesOf(...given)", [LAWS[1], sizes, budget, served])
        ours = planner.losses(np.array(LAWS[1]), budget, served)
        np.testing.assert_allclose([np.inf if x is None else x for x in theirs], ours, rtol=1e-12)
        loss = float(ours[np.isfinite(ours)][0])
        price = page.evaluate("(given) => planner.leastPrice(...given)", [LAWS[1], sizes, loss, served])
        assert price == pytest.approx(planner.least_price(np.array(LAWS[1]), loss, served), rel=1e-9)
    values = [3, 1, 4, 1, 5, 9, 2, 6]
    assert page.evaluate("(v) => planner.quantile(v, 0.05)", values) == pytest.approx(
        np.quantile(values, 0.05)
    )
    page.close()


def test_a_drag_on_the_picture_chooses_a_size_and_says_what_it_wastes(opened):
    widget = opened.widget()
    sentence = widget.locator(".cw-sentence")
    expect(sentence).not_to_contain_text("With ")
    box = widget.locator(".ip-plot").bounding_box()
    opened.page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 50)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + 2 / 7 * box["width"], box["y"] + 50)
    opened.page.mouse.up()
    expect(sentence).to_contain_text("With 100 million: 2.")
    expect(sentence).to_contain_text("% of the budget")
    share = widget.locator(".ip-grid tbody tr").nth(1).locator("td").nth(5).inner_text()
    assert share in sentence.inner_text()


def test_a_touch_that_scrolls_the_page_is_told_to_the_kernel(opened):
    widget = opened.widget()
    scroll_from(opened.page, widget.locator(".ip-plot"), 3 / 7)
    expect(widget.locator(".cw-sentence")).to_contain_text("With 1 billion: ")


def test_use_moves_the_best_size_down_and_what_can_not_be_paid_is_said(opened):
    widget = opened.widget()
    star = widget.locator(".ip-best")
    before = float(star.evaluate("(dot) => parseFloat(dot.style.left)"))
    widget.get_by_role("slider", name="tokens to be served").fill("6")
    opened.settled(widget)
    assert float(star.evaluate("(dot) => parseFloat(dot.style.left)")) < before - 5
    widget.get_by_role("slider", name="tokens to be served").fill("9")
    opened.settled(widget)
    expect(widget.locator(".cw-problem")).to_contain_text("raise the budget, or serve fewer")
