"""The n-gram explorer in a real JupyterLab: what a learner sees, types and hears."""

import re

import pytest
from playwright.sync_api import expect

TEXTS = """\
texts = {
    "The Pirates": "to be a pirate, or not to be a pirate: that is the question\\n" * 3,
    "The Parrot": "the parrot asks the question, and the pirate is not to be had\\n",
}
"""
MODELS = """\
from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer
from course_utils.widgets import ngram_explorer
tokens = [ByteTokenizer().encode(text) for text in texts.values()]
plain = {n: NGramModel(n, "mle").fit(tokens, 256) for n in range(1, 6)}
smooth = {n: NGramModel(n).fit(tokens, 256) for n in range(1, 6)}
"""
FIRST = """ngram_explorer.from_models(
    {"plain counts": plain, "Kneser-Ney": smooth}, texts, context="not to ", n=80
)"""
SECOND = 'ngram_explorer.from_models(plain, texts, context="the p", order=3, n=40)'
ODD_TOKENS = ["</script><script>pwned=1</script>", '"', "'", "\U0001f600", "שלום", "a", "a", ""]
HOSTILE = f"""\
import numpy as np
odd = {ODD_TOKENS!r} + ["\\udcc3"]
p = np.arange(9, 0, -1) / 45
ngram_explorer.NGramExplorer(
    lambda context, order: (odd, p, np.arange(9)),
    lambda context, order, n, seed: "<img src=x onerror=pwned=1>\\udcc3é שלום",
    lambda text: [(0, 4, "<b>Title</b>")],
    orders=[1, 2], order=2, context="<i>\\n",
)
"""
CELLS = [TEXTS, MODELS, FIRST, SECOND, HOSTILE]
ROWS, BARS, RIBBON = (f'[role="listbox"].{name}' for name in ("ng-rows", "ng-bars", "ng-ribbon"))


def sentence(widget):
    return widget.locator(".cw-sentence")


def type_context(opened, widget, text):
    widget.locator("textarea").fill(text)
    opened.settled(widget)


def test_typing_changes_the_sentence_the_rows_and_the_pixels(opened):
    widget = opened.widget(0)
    type_context(opened, widget, "not to ")
    expect(sentence(widget)).to_contain_text("Order 5 looks at “·to·”, counted 4 times in training")
    before = widget.locator(".ng-left").screenshot()
    type_context(opened, widget, "the pira")
    # “pira” stands 6 times in The Pirates and once in The Parrot, always before t
    expect(sentence(widget)).to_contain_text("Order 5 looks at “pira”, counted 7 times in training")
    expect(sentence(widget)).to_contain_text("“t” 100.0 %")
    assert widget.locator(".ng-left").screenshot() != before
    opened.screenshot("explorer-light", widget)


def test_a_row_is_chosen_and_its_share_and_sample_follow(opened):
    widget = opened.widget(0)
    widget.locator("select").select_option("Kneser-Ney")
    type_context(opened, widget, "a pirat")
    widget.locator(".ng-row").nth(2).click()  # orders 5, 4, 3
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Order 3 looks at “at”")
    shares = widget.locator(".ng-share b").all_inner_texts()
    assert shares[:2] == ["–", "–"] and shares[2].endswith("%") and float(shares[2][:-1]) > 50
    expect(widget.locator(".ng-bottom h4")).to_have_text("Order 3 writes on")
    widget.locator("select").select_option("plain counts")
    opened.settled(widget)
    assert widget.locator(".ng-share b").all_inner_texts()[2] == "100.0 %"


def test_what_if_moves_the_bars_and_another_seed_the_sample(opened):
    widget = opened.widget(0)
    type_context(opened, widget, "be a pirate")
    widget.locator(".ng-row").last.click()
    opened.settled(widget)
    first = widget.locator(".ng-bar").first
    before = first.locator(".ng-now").bounding_box()["width"]
    widget.get_by_label("how many more times").fill("1000")
    expect(widget.locator(".ng-answer")).to_contain_text("model itself stays as it is")
    assert first.locator(".ng-now").bounding_box()["width"] > 2 * before
    widget.get_by_role("button", name="Put back").click()
    assert first.locator(".ng-now").bounding_box()["width"] == pytest.approx(before, abs=1)
    sample = widget.locator(RIBBON).inner_text()
    widget.get_by_role("button", name="Another one").click()
    opened.settled(widget)
    assert widget.locator(RIBBON).inner_text() != sample
    assert widget.get_by_label("seed").input_value() == "2"


def test_the_ribbon_is_coloured_by_the_length_of_the_copied_run(opened):
    widget = opened.widget(0)
    type_context(opened, widget, "not to ")
    widget.locator(".ng-row").first.click()
    opened.settled(widget)
    longest = int(re.search(r"Longest run copied: (\d+)", sentence(widget).inner_text())[1])
    underlined = widget.locator(".ng-piece.ng-longest")
    expect(underlined).to_have_count(1)
    expect(widget.locator(".ng-run")).to_contain_text(f"{longest} characters, copied from The Pirates")
    low, high = (
        piece.evaluate("(node) => getComputedStyle(node).backgroundColor")
        for piece in (shortest_piece(widget), underlined)
    )
    blue_of = (
        [int(part) for part in re.findall(r"\d+", low)],
        [int(part) for part in re.findall(r"\d+", high)],
    )
    assert sum(blue_of[1][:2]) > sum(blue_of[0][:2])  # longer is yellower: more red and green


def shortest_piece(widget):
    lengths = widget.locator(".ng-piece").evaluate_all(
        "(nodes) => nodes.map((node) => Number(node.ariaLabel.match(/run of (\\d+)/)[1]))"
    )
    return widget.locator(".ng-piece").nth(lengths.index(min(lengths)))


def test_hostile_tokens_are_text(opened):
    widget = opened.widget(2)
    names = widget.locator(".ng-bar[role=option] .ng-name").all_inner_texts()
    assert names == [*ODD_TOKENS[:-1], "∅"]
    expect(widget.locator(".ng-rest .ng-name")).to_have_text("the other 1 characters")
    expect(widget.locator(RIBBON)).to_contain_text("<img src=x onerror=pwned=1>‹C3›é שלום")
    expect(widget.locator(".ng-run")).to_contain_text("copied from <b>Title</b>")
    expect(widget.locator(".ng-used").first).to_have_text("⏎")
    assert opened.page.evaluate("typeof pwned") == "undefined"


def test_a_notice_goes_with_what_it_is_about(opened):
    widget = opened.widget(1)
    type_context(opened, widget, "x" * 9_998 + "to")
    expect(widget.locator(".cw-notice")).to_contain_text("Got 10,000 characters; the last 200 are read")
    type_context(opened, widget, "")
    expect(widget.locator(".cw-notice")).to_be_hidden()
    expect(widget.locator(".cw-problem")).to_be_hidden()
    expect(sentence(widget)).to_contain_text("looks at no context")


def test_show_as_table(opened):
    widget = opened.widget(1)
    type_context(opened, widget, "pira")
    widget.locator(".ng-row").first.click()
    opened.settled(widget)
    widget.get_by_role("button", name="Show as table").click()
    row = widget.locator("table").first.locator("tbody tr").first
    assert row.locator("td").all_inner_texts()[:3] == ["5", "pira", "7"]
    expect(row).to_contain_text("t 100.0 %")
    widget.get_by_role("button", name="Hide table").click()
    expect(widget.locator("table")).to_have_count(0)


def test_the_longest_sample_stays_small(opened):
    widget = opened.widget(0)
    widget.get_by_role("spinbutton", name="bytes").fill("1000")
    widget.get_by_role("spinbutton", name="bytes").press("Enter")
    opened.settled(widget)
    widget.get_by_role("button", name="Show as table").click()
    nodes = widget.evaluate("(node) => node.querySelectorAll('*').length")
    expect(widget.locator("table")).to_have_count(3)
    widget.get_by_role("button", name="Hide table").click()
    assert nodes < 2000


def test_the_harness_refuses_and_records_what_goes_outside(opened):
    failed = opened.page.evaluate(
        """async () => {
          const fetched = await fetch("https://example.invalid/a").then(() => "answered", () => "failed");
          const socket = new WebSocket("wss://example.invalid/b");
          return [fetched, await new Promise((done) => {
            socket.onopen = () => done("answered");
            socket.onerror = () => done("failed");
          })];
        }"""
    )
    assert failed == ["failed", "failed"]
    assert opened.refused == ["https://example.invalid/a", "wss://example.invalid/b"]
    opened.refused.clear()  # all else that is asked for fails at the page's end


def test_keys_then_touch(opened):
    """A row, a bar, a what-if and a run of the ribbon."""
    widget, press = opened.widget(0), opened.page.keyboard.press
    type_context(opened, widget, "to be a pi")
    widget.locator(ROWS).focus()
    press("Home")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Order 5 looks at “a·pi”")
    press("ArrowDown")
    press("ArrowDown")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Order 3 looks at “pi”")
    press("End")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Order 1 looks at no context")
    widget.locator(BARS).focus()
    press("ArrowDown")
    expect(widget.locator(".ng-bar").nth(1)).to_have_attribute("aria-selected", "true")
    opened.tab_to("input")
    press("ArrowUp")
    press("ArrowUp")
    expect(widget.get_by_label("how many more times")).to_have_value("2")
    expect(widget.locator(".ng-answer")).to_contain_text("would be")
    widget.locator(RIBBON).focus()
    press("Home")
    expect(widget.locator(".ng-run")).to_contain_text("Run 1 of")
    press("ArrowRight")
    expect(widget.locator(".ng-run")).to_contain_text("Run 2 of")
    for key in ("ArrowDown", "ArrowUp"):
        press(key)
    assert opened.page.evaluate(f"document.activeElement.matches('{RIBBON}')")

    for row, order in [(3, 2), (4, 1)]:
        widget.locator(".ng-row").nth(row).tap()
        opened.settled(widget)
        expect(sentence(widget)).to_contain_text(f"Order {order}")
    widget.locator(".ng-bar").nth(2).tap()
    expect(widget.locator(".ng-bar").nth(2)).to_have_attribute("aria-selected", "true")
