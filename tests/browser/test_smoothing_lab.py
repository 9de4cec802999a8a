"""The smoothing lab in a real browser: its arithmetic against Python, and what a learner does with it."""

import numpy as np
import pytest
from playwright.sync_api import expect

from course_utils.widgets.smoothing_lab import METHODS, STOPS, SmoothingLab, from_text

TEXTS = {
    "The Pirates": "to be a pirate, or not to be a pirate: that is the question\n" * 3,
    "The Parrot": "the parrot asks the question, and the pirate is not to be had\n",
}
HELD_OUT = "is the parrot to be a pirate, or is that the question?"
EXAMPLES = {"rare": "the pa", "common": "to b", "unheard-of": "lynx"}
CELL = f"""\
from course_utils.widgets import smoothing_lab
smoothing_lab.from_text({TEXTS!r}, {HELD_OUT!r}, held_out_name="a riddle", examples={EXAMPLES!r})"""
HEIGHT = 1500


# ---- the arithmetic ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(browser):
    """The widget's module in an empty page."""
    page = browser.new_page()
    page.evaluate(
        """async (source) => {
          const blob = new Blob([source, "\\nexport { distribution, moved };"], { type: "text/javascript" });
          window.lab = await import(URL.createObjectURL(blob));
        }""",
        SmoothingLab._esm,
    )
    yield page
    page.close()


def test_javascript_computes_the_distributions_of_python(page):
    lab = from_text(TEXTS, HELD_OUT, examples=EXAMPLES)
    largest = 0.0
    for order in (2, 3, 4, 5):
        for context in ("the pa", "to b", "lynx", "", "t", "é"):
            for k, discount in [(0.001, 0.05), (0.7, 0.75), (10.0, 1.0)]:
                lab.handle({"context": context, "order": order, "k": k, "discount": discount})
                lab.show()
                theirs = page.evaluate(
                    "([shown, methods]) => methods.map((m) => [...lab.distribution(m, shown, shown)])",
                    [lab.shown | {"size": 256}, list(METHODS)],
                )
                ours = [lab.probabilities(method) for method in METHODS]
                largest = max(largest, np.abs(np.subtract(ours, theirs)).max())
    assert largest < 1e-12  # the same formula in the same order, in the same float64


def test_javascript_counts_what_is_moved_as_python_does(page):
    p, mle = [0.5, 0.3, 0.1, 0.1, 0.0], [0.7, 0.3, 0.0, 0.0, 0.0]
    assert page.evaluate("([p, mle]) => lab.moved(p, mle)", [p, mle]) == {
        "taken": pytest.approx(0.2), "losers": 1, "unseen": 3, "toUnseen": pytest.approx(0.2),
        "winners": 0, "toSeen": 0,
    }  # fmt: skip


# ---- the lab ---------------------------------------------------------------------------------------


def begin(opened, context="to b", methods=("add-k", "absolute discounting", "Kneser-Ney"), order="3"):
    widget = opened.widget()
    widget.locator("textarea").fill(context)
    widget.locator("select").select_option(order)
    for name, _ in METHODS.values():
        widget.get_by_role("checkbox", name=name, exact=True).set_checked(name in methods)
    opened.settled(widget)
    return widget


def slider(widget, sign):
    return widget.get_by_role("slider", name=f"{sign}, ")


def move(opened, widget, sign, value):
    setting = "k" if sign == "k" else "discount"
    slider(widget, sign).fill(str(STOPS[setting].index(value)))
    opened.settled(widget)


def cell(widget, row, column):
    return widget.locator(f".sl-grid tr.{row} td").nth(column)


def widths(widget, row, column, kind):
    box = widget.locator(".sl-token").nth(row).locator("td").nth(column).locator(f".sl-{kind}")
    return box.bounding_box()["width"] if box.count() else 0


def test_moved_mass_is_hatched_said_in_numbers_and_the_sum_stays_1(opened):
    widget = begin(opened)
    move(opened, widget, "k", 0.1)
    expect(widget.locator(".cw-sentence")).to_contain_text("Order 3 after “·b”, counted 7 times")
    bar = widget.locator(".sl-token").first.locator(".sl-bar").first
    before, kept = bar.screenshot(), widths(widget, 0, 0, "kept")
    move(opened, widget, "k", 1.0)
    # 7 of 7 came before e: (7 + 1) / (7 + 256) is left
    taken = 1 - 8 / 263
    expect(cell(widget, "sl-moved", 0)).to_have_text(
        f"{taken:.3f} taken from 1 seen byte and given to 255 unseen ones"
    )
    expect(widget.locator(".cw-sentence")).to_contain_text(
        f"add-k (k = 1): {taken:.3f} taken from 1 seen byte"
    )
    assert [cell(widget, "sl-sum", i).inner_text() for i in range(3)] == ["1.000"] * 3
    outline = widths(widget, 0, 0, "counted")
    assert widths(widget, 0, 0, "kept") < kept < outline
    assert widths(widget, 0, 0, "taken") == pytest.approx(taken * outline, abs=1)
    assert widths(widget, 0, 0, "given") == 0 < widths(widget, 1, 0, "given")
    assert bar.screenshot() != before
    colours = bar.evaluate("(bar) => getComputedStyle(bar.querySelector('.sl-taken')).backgroundImage")
    assert colours.startswith("repeating-linear-gradient(45deg")
    opened.screenshot("smoothing-light", widget)


def test_held_out_cost_follows_the_slider_to_its_lowest_point(opened):
    widget = begin(opened, order="4")
    python = from_text(TEXTS, HELD_OUT, examples=EXAMPLES, order=4)
    for k in (0.001, 0.02, 10.0):
        move(opened, widget, "k", k)
        bits = python.shown["held_out"]["add_k"][STOPS["k"].index(k)]
        expect(cell(widget, "sl-cost", 0)).to_have_text(f"{bits:.3f} bits per byte perplexity {2**bits:.2f}")
    lowest = STOPS["k"][int(np.argmin(python.shown["held_out"]["add_k"]))]
    expect(widget.locator(".sl-panel").first).to_contain_text(f"lowest at k = {lowest:g}")
    left = widget.locator(".sl-panel").first.locator(".cw-dot").first.evaluate("(dot) => dot.style.left")
    assert left == "100%"


def test_methods_are_ticked_and_their_sliders_come_and_go(opened):
    widget = begin(opened, methods=["interpolation", "modified Kneser-Ney"])
    expect(widget.locator(".sl-grid thead th")).to_have_count(2)
    expect(widget.locator(".sl-panel:visible")).to_have_count(0)
    widget.get_by_role("checkbox", name="Kneser-Ney", exact=True).check()
    opened.settled(widget)
    expect(widget.locator(".sl-panel:visible")).to_have_count(1)
    expect(widget.locator(".sl-panel:visible polyline")).to_have_count(3)
    widget = begin(opened, methods=[])
    expect(widget.locator(".cw-scroll").first).to_have_text("Tick a method.")


def test_the_others_are_counted_and_small_bars_can_be_magnified(opened):
    widget = begin(opened)
    move(opened, widget, "k", 0.1)
    expect(widget.locator(".sl-rest")).to_contain_text("the other 244 unseen")
    shares = widget.locator(".sl-rest td").first.inner_text()
    assert float(shares.removesuffix(" %")) == pytest.approx(100 * 244 * 0.1 / 32.6, abs=0.06)
    small = widths(widget, 1, 0, "given")
    widget.get_by_role("button", name="Magnify").click()
    assert widths(widget, 1, 0, "given") == pytest.approx(10 * small, rel=0.05)
    expect(widget.locator(".sl-token").first.locator(".sl-cut")).to_have_count(3)
    widget.get_by_role("button", name="Magnify").click()


def test_the_sum_stays_1_after_any_context(opened):
    for context in ("", "lynx", "x" * 10_000, "</script>", "\U0001f600", "שלום"):
        widget = begin(opened, context=context)
        assert cell(widget, "sl-sum", 0).inner_text() == "1.000"
        if context == "lynx":
            expect(widget.locator(".cw-sentence")).to_contain_text(
                "never counted: maximum likelihood has no answer (0 / 0)"
            )


def test_show_as_table(opened):
    widget = begin(opened)
    move(opened, widget, "k", 1.0)
    widget.get_by_role("button", name="Show as table").click()
    first = widget.locator(".cw-tables table").first
    assert first.locator("tbody tr").first.locator("td").all_inner_texts()[:3] == [
        "e",
        "1.000000",
        "0.030418",
    ]
    assert first.locator("tbody tr").last.locator("td").all_inner_texts() == ["sum of all", *["1.000000"] * 4]
    # the table follows a slider that is being dragged
    move(opened, widget, "k", 10.0)
    expect(first.locator("tbody tr").first).to_contain_text(f"{17 / 2567:.6f}")
    widget.get_by_role("button", name="Hide table").click()


def test_keys_then_touch(opened):
    widget, press = begin(opened, context="the pi"), opened.page.keyboard.press
    widget.locator("select").focus()
    press("ArrowDown")
    opened.settled(widget)
    expect(widget.locator(".cw-sentence")).to_contain_text("Order 4 after “·pi”")
    widget.get_by_role("checkbox", name="add-k").focus()
    press("Space")
    opened.settled(widget)
    expect(widget.locator(".sl-grid thead th")).to_have_count(2)
    press("Space")
    slider(widget, "k").focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        press(key)
    opened.settled(widget)
    expect(widget.locator(".cw-sentence")).to_contain_text("add-k (k = 0.002)")

    widget.get_by_role("button", name="common").tap()
    widget.get_by_label("interpolation").tap()
    opened.settled(widget)
    expect(widget.locator(".cw-sentence")).to_contain_text("interpolation: ")


def test_dragging_needs_no_kernel(opened):
    """The last test here: the kernel is gone for good."""
    widget = begin(opened)
    opened.lab.stop_kernels(opened.name)
    before = cell(widget, "sl-token", 0).inner_text(), cell(widget, "sl-cost", 0).inner_text()
    slider(widget, "k").fill(str(STOPS["k"].index(10.0)))
    after = cell(widget, "sl-token", 0).inner_text(), cell(widget, "sl-cost", 0).inner_text()
    assert before[0] != after[0] and before[1] != after[1]
