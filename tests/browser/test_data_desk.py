"""The data desk in a real browser: what it counts and says against Python, and a walk by keys."""

import numpy as np
from playwright.sync_api import expect

from course_utils.pretraining.filters.judging import Judged
from course_utils.widgets.data_desk import DataDesk

MADE = """\
draws = np.random.default_rng(0)
def judged(i):
    said = {name: f"reason {name}" if draws.random() < 0.4 else None for name in "abc"}
    return Judged(f"text {i}", f"file {i}", said, [*"abc", "", "", None][draws.integers(6)])
desk = DataDesk([judged(i) for i in range(33)])
"""
CELL = f"""\
import numpy as np
from course_utils.pretraining.filters.judging import Judged
from course_utils.widgets.data_desk import DataDesk
{MADE}desk"""


def test_javascript_counts_and_says_what_python_does(browser):
    exec(MADE, made := {"np": np, "Judged": Judged, "DataDesk": DataDesk})
    page, desk = browser.new_page(), made["desk"]
    page.evaluate(
        """async (source) => {
          const blob = new Blob([source, "\\nexport { countsOf, sentenceOf };"], { type: "text/javascript" });
          window.desk = await import(URL.createObjectURL(blob));
        }""",
        DataDesk._esm,
    )
    every = [*range(33)]
    for state in (
        {},
        {"keep": [1, 5, 7], "drop": [2, 6]},
        {"filters": ["b"]},
        {"filters": [], "keep": []},
        {"drop": [], "keep": every},
    ):
        desk.handle(state)
        theirs = page.evaluate("([fixed, state]) => desk.countsOf(fixed, state)", [desk.fixed, desk.state])
        assert [*map(tuple, desk.found.values())] == [tuple(counts.values()) for counts in theirs]
        given = [desk.fixed, desk.state, theirs[-1]]
        assert page.evaluate("(given) => desk.sentenceOf(...given)", given) == desk.describe()
    page.close()


def test_a_verdict_is_overruled_by_keys_alone_and_taken_back(opened):
    widget, keys = opened.widget(), opened.page.keyboard
    sentence, list_ = widget.locator(".cw-sentence"), widget.get_by_role("listbox")
    before = sentence.inner_text()
    widget.get_by_role("combobox").select_option("removed by b")
    list_.focus()
    keys.press("End")
    expect(list_.locator("[role=option]").last).to_have_attribute("aria-selected", "true")
    expect(widget.locator(".dd-reasons")).to_contain_text("b: reason b")
    keys.press("Tab")  # the text, which scrolls
    keys.press("Tab")
    expect(widget.get_by_role("button", name="Keep it")).to_be_focused()
    keys.press("Enter")
    expect(widget.locator(".dd-document")).to_contain_text("✎ kept by you")
    expect(sentence).to_contain_text("and 1 verdict of yours")
    widget.get_by_role("button", name="Drop it").click()
    expect(widget.locator(".dd-document")).to_contain_text("✎ dropped by you")
    widget.get_by_role("button", name="Take my verdicts back").click()
    expect(sentence).to_have_text(before)
    widget.get_by_role("combobox").select_option("all")


def test_pages_hold_ten_documents_and_the_wrong_ones_show_the_truth(opened):
    widget, items = opened.widget(), opened.widget().locator(".dd-item")
    expect(items).to_have_count(10)
    for _ in range(3):
        widget.get_by_role("button", name="next page").click()
    expect(items).to_have_count(3)
    widget.get_by_role("combobox").select_option("wrong")
    expect(widget.get_by_role("checkbox", name="show the truth")).to_be_checked()
    expect(widget.locator(".dd-document")).to_contain_text("the truth: should")
    widget.get_by_role("combobox").select_option("all")
