"""The token tree in a real JupyterLab: opened, searched and compared, by mouse, by touch and by keyboard."""

from playwright.sync_api import expect

CELL = """\
import numpy as np
from course_utils.widgets.token_tree import TokenTree
def made(tokens):
    def next_log_probs(ids):
        if len(ids) > {longest}:
            raise ValueError("this model reads 9 tokens at once; 10 came")
        logits = 2 * np.random.default_rng([13, *ids]).normal(size=len(tokens))
        return logits - np.log(np.exp(logits).sum())
    return TokenTree(next_log_probs, tokens, {prompt!r}, end_ids={end_ids})
made({tokens})"""
LETTERS = CELL.format(tokens="[f' {c}' for c in 'abcdefghijkl']", prompt="To be", end_ids=[3], longest=99)
STRANGE = [
    "</script><script>window.pwned = 1</script>",
    "😀👩‍👩‍👧",
    "שלום",
    "a",
    "a",
    "",
    "\udcc3",
    "\u0301",
    " " * 40,
]
HOSTILE = CELL.format(tokens=ascii(STRANGE), prompt="", end_ids=[], longest=5)
CELLS, HEIGHT = [LETTERS, HOSTILE, LETTERS], 2600  # the third tree is for the keys


def begin(opened, i=0, width=3):
    widget = opened.widget(i)
    press(opened, widget, "Start over")
    widget.locator("[type=range]").first.fill(str(width))
    widget.locator("[type=range]").nth(1).fill("1")
    opened.settled(widget)
    widget.locator("[role=treeitem]").first.click()
    opened.settled(widget)
    return widget


def press(opened, widget, name, times=1):
    for _ in range(times):
        widget.get_by_role("button", name=name).click(force=True)  # also one that says it does nothing
        opened.settled(widget)


def rows(widget):
    return widget.locator("[role=treeitem]")


def sentence(widget):
    return widget.locator(".cw-sentence")


def chosen(widget):
    """What a screen reader is at."""
    at = widget.get_by_role("tree").get_attribute("aria-activedescendant")
    return widget.page.locator(f"[id='{at}']")


def test_a_click_opens_a_node_and_asks_the_model_once(opened):
    widget = begin(opened)
    n = rows(widget).count()
    assert n == 7  # the prompt, five tokens and the rest
    before = widget.get_by_role("tree").screenshot()
    for count in (n + 6, n, n + 6):
        rows(widget).nth(1).locator(".tt-turn").click()
        opened.settled(widget)
        expect(rows(widget)).to_have_count(count)
    assert widget.get_by_role("tree").screenshot() != before
    expect(rows(widget).nth(1)).to_have_attribute("aria-expanded", "true")
    expect(rows(widget).nth(2)).to_have_attribute("aria-level", "3")
    rows(widget).nth(2).click()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("2 tokens, log p −")
    expect(widget.locator(".tt-columns table").last).to_contain_text("Your path, to the chosen row")
    rows(widget).nth(7).click()  # "the other 7 tokens" show five more
    opened.settled(widget)
    expect(rows(widget)).to_have_count(n + 6 + 5)


def test_the_search_is_drawn_marked_and_compared(opened):
    widget = begin(opened)
    expect(widget.locator(".tt-columns")).to_contain_text("“Step” lets the beam search write one token.")
    press(opened, widget, "Step", times=2)
    expect(widget.locator(".tt-row .tt-beam")).to_have_count(3)
    expect(widget.locator(".tt-row .tt-beam").first).to_contain_text("● in the beam")
    expect(widget.locator(".tt-row .tt-pruned").first).to_contain_text("the last one kept has −")
    expect(widget.locator(".tt-row .tt-greedy").first).to_have_text("◆ greedy")
    ranking, compared = widget.locator(".tt-columns table").all()
    expect(ranking.locator("tbody tr")).to_have_count(6)
    scores = [float(text.replace("−", "-")) for text in ranking.locator("td:last-child").all_inner_texts()]
    assert scores == sorted(scores, reverse=True)
    pruned = widget.locator(".tt-row .tt-pruned").all_inner_texts()
    assert any(f"{scores[3]:.2f}".replace("-", "−") in words for words in pruned)
    press(opened, widget, "Step", times=4)
    expect(sentence(widget)).to_contain_text("times as likely as the greedy one")
    log_p = [float(text.replace("−", "-")) for text in compared.locator("td:nth-child(4)").all_inner_texts()]
    assert log_p[1] > log_p[0]  # the best of the search beside greedy
    shown = sentence(widget).inner_text()
    press(opened, widget, "Step")
    press(opened, widget, "Back")
    expect(sentence(widget)).to_have_text(shown)
    press(opened, widget, "To the end")
    expect(widget.get_by_role("button", name="Step")).to_have_attribute("aria-disabled", "true")
    press(opened, widget, "Step")  # says nothing and breaks nothing
    expect(widget.locator(".cw-problem").first).to_be_hidden()
    expect(widget.locator(".tt-row .tt-finished").first).to_be_attached()


def test_a_width_of_one_is_greedy(opened):
    widget = begin(opened, width=1)
    press(opened, widget, "Step", times=5)
    expect(sentence(widget)).to_contain_text("They are the same text.")
    widget.locator("[type=range]").first.fill("8")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("width 8 with length penalty 1, 5 steps")
    expect(widget.locator(".cw-field span > span").first).to_have_text("8")


def test_an_empty_prompt_and_a_context_that_ends_are_said(opened):
    widget = begin(opened, 1)
    expect(widget.locator(".cw-notice")).to_have_text(
        "The prompt is empty: these are tokens that begin a text."
    )
    press(opened, widget, "To the end")
    expect(widget.locator(".cw-notice")).to_contain_text(
        "The search stops after 6 steps: this model reads 9 tokens at once; 10 came"
    )
    assert widget.locator(".cw-problem").last.is_hidden()


def test_the_table_has_a_row_a_row_of_the_tree(opened):
    widget = begin(opened)
    press(opened, widget, "Step", times=3)
    widget.get_by_role("button", name="Show as table").click()
    expect(widget.locator(".cw-tables tbody tr")).to_have_count(rows(widget).count())
    widget.get_by_role("button", name="Hide table").click()


def test_keys_then_touch(opened):
    widget = opened.widget(2)

    def keys(*names):
        for name in names:
            opened.page.keyboard.press(name)
            opened.settled(widget)

    widget.get_by_role("tree").focus()
    keys("ArrowDown", "ArrowDown", "ArrowUp")
    expect(chosen(widget)).to_have_attribute("aria-posinset", "1")
    keys("ArrowRight")  # opens
    expect(chosen(widget)).to_have_attribute("aria-expanded", "true")
    keys("ArrowRight", "ArrowDown")  # to its first child, and the next
    expect(chosen(widget)).to_have_attribute("aria-level", "3")
    expect(chosen(widget)).to_have_attribute("aria-posinset", "2")
    expect(sentence(widget)).to_contain_text("2 tokens, log p −")
    keys("ArrowLeft")  # to its parent
    expect(chosen(widget)).to_have_attribute("aria-level", "2")
    keys("ArrowLeft")  # closes
    expect(chosen(widget)).to_have_attribute("aria-expanded", "false")
    keys("End")
    expect(chosen(widget)).to_contain_text("the other 7 tokens")
    keys("Enter")
    expect(chosen(widget)).to_contain_text("the other 2 tokens")
    keys(" ")
    expect(rows(widget)).to_have_count(13)  # none is hidden any more, so no row says so
    expect(chosen(widget)).to_have_attribute("aria-posinset", "12")
    keys("Home")
    expect(chosen(widget)).to_have_attribute("aria-label", "the prompt: To be")
    keys("Enter")
    expect(rows(widget)).to_have_count(1)
    keys("Enter")

    keys("Shift+Tab", "Shift+Tab", "Shift+Tab", "Enter", "Enter")  # back to Step, over the two after it
    expect(sentence(widget)).to_contain_text("2 steps")
    keys("Tab", "Tab", "Enter", "Shift+Tab", "Shift+Tab", "Enter")  # Start over keeps the keyboard
    expect(sentence(widget)).to_contain_text("1 step:")

    widget.get_by_role("button", name="Step").tap()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("2 steps")
    rows(widget).nth(1).tap()
    opened.settled(widget)
    expect(rows(widget).nth(1)).to_have_attribute("aria-selected", "true")
    n = rows(widget).count()
    rows(widget).nth(0).locator(".tt-turn").tap()
    opened.settled(widget)
    assert rows(widget).count() != n
    for box in (one.bounding_box() for one in widget.locator(".tt-turn").all()):
        assert box["height"] >= 24 and box["width"] >= 24
