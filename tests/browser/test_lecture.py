"""A widget in a lecture: large type, and one key a step, from anywhere in it."""

import pytest
from playwright.sync_api import expect

TEXTS = {"A Riddle": "to be a pirate, or not to be a pirate: that is the question\n" * 3}
LAB = f"""\
from course_utils.widgets import smoothing_lab
smoothing_lab.from_text({TEXTS!r}, "that is a pirate", examples={{"common": "to b"}}).for_lecture(
    {{"order": 2, "say": "It looks at one byte."}},
    {{"context": "a pi", "order": 4}},
)"""
# two that draw at once what the hand does, and so don't wait for the kernel's answer
STEPPER = """\
import numpy as np
from course_utils.widgets.qkv_stepper import QKVStepper
QKVStepper(["the", "cat", "sat"], np.eye(3), *[np.eye(3)] * 3).for_lecture({"step": 5})"""
SAMPLERS = """\
from course_utils.widgets.sampling_lab import SamplingLab
lab = SamplingLab(lambda prompt: np.linspace(4, -4, 9), list("abcdefghi"), ["A prompt"])
lab.for_lecture({"steps": [step | {"on": False} for step in lab.state["steps"]]})"""
CELLS, HEIGHT = [LAB, STEPPER, SAMPLERS], 4000


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


def test_a_stepper_shows_the_planned_step(opened):
    widget = opened.widget(1)
    widget.get_by_role("button", name="Next", exact=True).click()
    expect(widget.get_by_role("tab", selected=True)).to_have_text("6 weights")
    expect(widget.get_by_role("grid", name="weights")).to_be_visible()


def test_the_samplers_are_those_that_were_planned(opened):
    widget = opened.widget(2)
    expect(widget.get_by_role("checkbox", checked=True)).to_have_count(2)
    widget.get_by_role("button", name="Next").click()
    expect(widget.get_by_role("checkbox", checked=True)).to_have_count(0)
    widget.get_by_role("button", name="Draw 1", exact=True).click()  # which sends the samplers
    opened.settled(widget)
    expect(widget.locator(".cw-sentence")).to_contain_text("No sampler is on. 1 draw")
