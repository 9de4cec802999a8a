"""The report card in a real browser: numbers are picked and say where they come from, examples, Markdown."""

import pytest
from playwright.sync_api import expect

CELL = """\
from course_utils.pretraining.reports import Number, Report
from course_utils.widgets.report_card import ReportCard
def right(k):
    says = f"It comes from file {k}.", f"It is not {k}."
    return Number(f"task {k}", k / 10, "share", *says, k / 20, k / 8, 0.25, 60)
numbers, said = [right(k) for k in range(1, 9)], [[f"asked {k}", f"said {k}"] for k in range(9)]
ReportCard({"base": Report(numbers[:1]), "chat": Report(numbers, ["It fails."], said)})"""


def test_arrow_keys_pick_a_number_and_it_says_where_it_comes_from(opened):
    widget, about = opened.widget(), opened.widget().locator(".rc-about")
    numbers = widget.get_by_role("listbox")
    expect(about).to_contain_text("task 1, chat: 10.0 % (5.0 to 12.5), by chance 25.0 %")
    numbers.focus()
    opened.page.keyboard.press("End")
    expect(about).to_contain_text("Where it comes from: It comes from file 8.")
    expect(about).to_contain_text("What it does not say: It is not 8.")
    expect(widget.locator(".cw-sentence")).to_contain_text("“task 8”, “chat”: 80.0 % (40.0 to 100.0)")
    last = widget.locator(".rc-bar").last
    expect(last).to_have_attribute("aria-selected", "true")
    box, frame = last.bounding_box(), numbers.bounding_box()
    assert frame["y"] <= box["y"] and box["y"] + box["height"] <= frame["y"] + frame["height"] + 1  # in sight


def test_bar_interval_and_chance_stand_where_the_numbers_are(opened):
    track = opened.widget().locator(".rc-bar").nth(4).locator(".rc-track")
    width = track.bounding_box()["width"]
    bar, interval, chance = (part.bounding_box() for part in track.locator("i").all())
    assert bar["width"] / width == pytest.approx(0.4, abs=0.01)  # task 4
    assert interval["width"] / width == pytest.approx(0.3, abs=0.01)
    assert (chance["x"] - bar["x"]) / width == pytest.approx(0.25, abs=0.01)


def test_examples_are_paged_and_the_card_comes_as_text(opened):
    widget = opened.widget()
    widget.get_by_role("combobox").select_option("chat")
    for _ in range(2):
        widget.get_by_role("button", name="more examples").click()
    expect(widget.get_by_role("button", name="more examples")).to_have_attribute("aria-disabled", "true")
    expect(widget.locator(".rc-answer")).to_have_text(["said 8"])
    widget.get_by_role("button", name="examples before").click()
    expect(widget.locator(".rc-answer")).to_have_text([f"said {k}" for k in range(4, 8)])
    widget.get_by_role("combobox").select_option("base")
    expect(widget.locator(".rc-failures")).to_have_text("none is noted")
    widget.get_by_role("button", name="As Markdown").click()
    assert "task 1 | 10.0 % (5.0 to 12.5)" in widget.get_by_label("the card in Markdown").input_value()
    widget.get_by_role("button", name="As Markdown").click()
