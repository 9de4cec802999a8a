"""The gradient horizon in a real browser: its arithmetic against Python, and what a learner does with it."""

import numpy as np
from hands import scroll_from
from playwright.sync_api import expect

from course_utils.widgets.gradient_horizon import BIASES, GradientHorizon, beside, sigmoid

CELL = """\
from course_utils.widgets.gradient_horizon import GradientHorizon
GradientHorizon({"RNN": [3 * 0.5**k for k in range(41)], "LSTM </script>": [2 * 0.8**k for k in range(41)],
                 "dead": [1.0] + [0.0] * 40, "שלום 🦜": [1.01**k for k in range(41)]})"""


def test_javascript_says_shares_and_products_as_python_does(browser):
    page = browser.new_page()
    page.evaluate(
        """async (source) => {
          const blob = new Blob([source, "\\nexport { beside, product };"], { type: "text/javascript" });
          window.horizon = await import(URL.createObjectURL(blob));
        }""",
        GradientHorizon._esm,
    )
    shares = [0.0, 1.0, 1.7, 0.1, 1e-9, 1e-30, *(10.0 ** np.random.default_rng(0).uniform(-12, 1, 500))]
    assert page.evaluate("(shares) => shares.map(horizon.beside)", shares) == [beside(s) for s in shares]
    asked = [[b, k] for b in BIASES for k in (0, 1, 7, 200)]
    theirs = page.evaluate("(asked) => asked.map((each) => horizon.product(...each))", asked)
    np.testing.assert_allclose(theirs, [sigmoid(b) ** k for b, k in asked], rtol=1e-12)
    page.close()


def begin(opened, distance=10, bias=1.0):
    widget = opened.widget()
    for box in widget.get_by_role("checkbox").all():
        box.check()
    widget.get_by_role("slider", name="how many").fill(str(distance))
    widget.get_by_role("slider", name="forget bias").fill(str(BIASES.index(bias)))
    opened.settled(widget)
    return widget


def sentence(widget):
    return widget.locator(".cw-sentence")


def test_a_touch_that_scrolls_the_page_is_told_to_the_kernel(opened):
    widget = begin(opened)
    scroll_from(opened.page, widget.locator(".gh-plot"), 30 / 40)
    expect(sentence(widget)).to_contain_text("a byte 30 steps back")


def row(widget, i):
    return widget.locator(".gh-grid tbody tr").nth(i)


def heights(widget):
    """How far down the picture each curve's mark is, in shares of its height."""
    return [
        float(dot.evaluate("(dot) => dot.style.top")[:-1]) / 100 for dot in widget.locator(".gh-dot").all()
    ]


def test_the_slider_reads_every_curve_out(opened):
    widget = begin(opened)
    expect(sentence(widget)).to_contain_text(
        "a byte 10 steps back, beside the last one's: RNN: 1/1,000; LSTM </script>: 1/9.3; dead: 0;"
    )
    expect(row(widget, 0)).to_contain_text("1/1,000 of the last byte’s")
    expect(row(widget, 0)).to_contain_text("2.9 · 10−3")
    expect(row(widget, 2)).to_contain_text("0 times the last byte’s")
    expect(row(widget, 3)).to_contain_text("1.1 times the last byte’s")
    before = widget.locator(".gh-plot").screenshot()
    begin(opened, distance=20)
    expect(row(widget, 0)).to_contain_text("1/1,000,000 of the last byte’s")
    expect(sentence(widget)).to_contain_text("20 steps back, beside the last one's: RNN: 1/1,000,000")
    assert widget.locator(".gh-plot").screenshot() != before


def test_marks_stand_where_the_weights_are_on_the_log_scale(opened):
    widget = begin(opened, distance=30)
    # the top is 10^1, for one curve grows; the lowest of all is 0.5^40, and the grid ends at 10^-12 at most
    top, bottom = 1, -12
    expected = [(top - np.log10(x)) / (top - bottom) for x in (0.5**30, 0.8**30, 1.01**30)]
    np.testing.assert_allclose(sorted(heights(widget)), sorted(x for x in expected if x <= 1), atol=0.01)
    assert widget.locator(".gh-dot").count() == 3


def test_curves_come_and_go_and_the_product_follows_its_bias(opened):
    widget = begin(opened)
    widget.get_by_role("checkbox", name="dead").uncheck()
    widget.get_by_role("checkbox", name="RNN").uncheck()
    opened.settled(widget)
    expect(widget.locator(".gh-plot polyline")).to_have_count(3)
    expect(sentence(widget)).to_contain_text("the last one's: LSTM </script>: 1/9.3;")
    widget.get_by_role("slider", name="forget bias").fill(str(BIASES.index(3.0)))
    expect(widget.locator(".gh-bias .cw-quiet")).to_contain_text("σ(b) = 0.953")
    expect(sentence(widget)).to_contain_text("alone at bias 3 (0.953 to the power of 10): 1/1.6.")


def test_a_press_on_the_picture_moves_the_slider(opened):
    widget = begin(opened)
    box = widget.locator(".gh-plot").bounding_box()
    opened.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 50)
    opened.page.mouse.up()
    expect(sentence(widget)).to_contain_text("a byte 30 steps back")
    expect(widget.get_by_role("slider", name="how many")).to_have_value("30")


def test_the_table_has_the_shares(opened):
    widget = begin(opened, distance=7)
    widget.get_by_role("button", name="Show as table").click()
    table = widget.locator(".cw-tables table").first
    expect(table.locator("tbody tr").nth(5)).to_have_text("70.007810.21001.070.112")
    widget.get_by_role("button", name="Hide table").click()


def test_keys_then_touch(opened):
    widget, press = begin(opened), opened.page.keyboard.press
    widget.get_by_role("slider", name="how many").focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        press(key)
    expect(sentence(widget)).to_contain_text("2 steps back, beside the last one's: RNN: 1/4.0;")
    widget.get_by_role("checkbox", name="RNN").focus()
    press("Space")
    expect(sentence(widget)).to_contain_text("beside the last one's: LSTM")
    widget.locator("label.cw-box").first.tap()
    expect(sentence(widget)).to_contain_text("beside the last one's: RNN")
    box = widget.locator(".gh-plot").bounding_box()
    opened.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 20)
    expect(sentence(widget)).to_contain_text("20 steps back")
