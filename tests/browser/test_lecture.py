"""A widget in a lecture: large type, and one key a step, from anywhere in it."""

import pytest
from playwright.sync_api import expect

TEXTS = {"A Riddle": "to be a pirate, or not to be a pirate: that is the question\n" * 3}
CELL = f"""\
from course_utils.widgets import smoothing_lab
smoothing_lab.from_text({TEXTS!r}, "that is a pirate", examples={{"common": "to b"}}).for_lecture(
    {{"order": 2, "say": "It looks at one byte."}},
    {{"context": "a pi", "order": 4}},
)"""
HEIGHT = 1800


@pytest.fixture
def widget(opened):
    widget = opened.widget()
    widget.get_by_role("button", name="Next").focus()
    for _ in range(3):
        opened.page.keyboard.press("PageUp")
    opened.settled(widget)
    return widget


def at(widget):
    return widget.locator(".cw-step").inner_text(), widget.locator("select").input_value()


def test_page_down_goes_on_and_page_up_comes_back(opened, widget):
    text, order = widget.locator("textarea"), widget.locator("select").input_value()
    begun = text.input_value()
    assert at(widget) == ("1 of 3", order) and order != "2"
    text.focus()  # the keyboard may be anywhere in the widget
    opened.page.keyboard.press("PageDown")
    opened.settled(widget)
    assert at(widget) == ("2 of 3: It looks at one byte.", "2")
    expect(widget.locator(".cw-sentence")).to_contain_text("Order 2")
    for _ in range(2):  # the last step stays
        opened.page.keyboard.press("PageDown")
        opened.settled(widget)
        assert at(widget) == ("3 of 3", "4") and text.input_value() == "a pi"
    for _ in range(2):
        opened.page.keyboard.press("PageUp")
    opened.settled(widget)
    assert at(widget) == ("1 of 3", order) and text.input_value() == begun


def test_buttons_do_the_same_and_say_where_it_ends(opened, widget):
    back, on = (widget.get_by_role("button", name=name) for name in ("Back", "Next"))
    expect(back).to_have_attribute("aria-disabled", "true")
    on.click()
    on.press("Enter")
    opened.settled(widget)
    assert at(widget) == ("3 of 3", "4")
    expect(on).to_have_attribute("aria-disabled", "true")
    back.press("Enter")
    opened.settled(widget)
    assert at(widget)[1] == "2"


def test_what_the_hand_changes_in_between_is_put_right_by_the_next_step(opened, widget):
    widget.locator("select").select_option("5")
    opened.settled(widget)
    opened.page.keyboard.press("PageDown")
    opened.settled(widget)
    assert at(widget)[1] == "2"


def test_the_type_is_large_and_full_screen_is_left_by_the_same_button(opened, widget):
    size = "(node) => node.currentCSSZoom ?? getComputedStyle(node).zoom"
    assert float(widget.evaluate(size)) == 1.5
    assert widget.evaluate("(node) => node.scrollWidth <= node.clientWidth")
    opened.screenshot("lecture", widget)
    whole = widget.get_by_role("button", name="Full screen")
    whole.click()
    opened.page.wait_for_function("() => document.fullscreenElement?.classList.contains('cw-lecture')")
    opened.page.keyboard.press("PageDown")
    opened.settled(widget)
    assert at(widget)[1] == "2"
    whole.click()
    opened.page.wait_for_function("() => !document.fullscreenElement")
