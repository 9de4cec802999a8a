"""The tokenizer bench in a real JupyterLab: what a learner types, drags, chooses and sees."""

import pytest
from harness import CONTRASTS, notebook, write_notebook
from playwright.sync_api import expect

TRAIN = "to be or not to be, that is the question\n" * 9 + "the rest is silence, or is the parrot here?"
CELL = f"""\
from course_utils.tokenizers import BPETokenizer, WordPieceTokenizer
from course_utils.widgets.tokenizer_bench import TokenizerBench, byte_tokens, word_piece_tokens
own = BPETokenizer.train({TRAIN!r}, 256 + 30)
pieces = WordPieceTokenizer(["[UNK]", "to", "be", "que", "##st", "##ion"])
verses = {{"English": ["to be", "the question"], "French": ["être", "la question"],
          "Russian": ["быть", "вопрос"]}}
others = {{"real BPE": byte_tokens(own.fast()), "WordPiece": word_piece_tokens(pieces)}}
TokenizerBench(own.merges, others, verses, {{"line": "to be", "parrot": "un café 🦜"}})"""


@pytest.fixture(scope="module")
def opened(browser, lab):
    """Two benches on one page, run once. Tests leave each in any state, so each begins with its own."""
    write_notebook(lab.folder / "bench.ipynb", CELL, CELL)
    with notebook(browser, lab, "bench.ipynb") as opened:
        opened.run_all()
        yield opened


def begin(opened, i=0, text="to be", stop=25):
    """Stops 0 to 20 are so many merges; 22 is the last, 30 merges."""
    widget = opened.widget(i)
    widget.locator("textarea").fill(text)
    widget.get_by_role("slider").fill(str(stop))
    opened.settled(widget)
    return widget


def chips(widget, row):
    return widget.locator(".tb-chips").nth(row).locator(".tb-chip .cw-mono").all_inner_texts()


def sentence(widget):
    return widget.locator(".cw-sentence")


def test_merges_join_the_chips_and_the_sentence_counts_them(opened):
    widget = begin(opened, stop=0)
    assert chips(widget, 0) == ["t", "o", "·", "b", "e"]
    expect(sentence(widget)).to_contain_text(
        "“to·be” is 5 characters and 5 bytes: 5 tokens by own BPE with 0 merges"
    )
    before = widget.locator(".tb-chips").first.screenshot()
    begin(opened, stop=22)
    assert chips(widget, 0) == ["to", "·be"]
    expect(sentence(widget)).to_contain_text("2 tokens by own BPE with 30 merges")
    expect(widget.locator(".tb-learnt")).to_contain_text(
        "30 of 30 merges: a vocabulary of 286. The last one made"
    )
    assert widget.locator(".tb-chips").first.screenshot() != before


def test_a_chip_tells_its_id_bytes_and_parts(opened):
    widget = begin(opened, text="to é", stop=22)
    widget.locator(".tb-chips").first.locator(".tb-chip").first.click()
    expect(widget.locator(".tb-detail")).to_contain_text("own BPE, token 1: to has the id")
    expect(widget.locator(".tb-detail")).to_contain_text("the bytes 74 6F; merged from t and o")
    assert chips(widget, 0)[-2:] == ["‹C3›", "‹A9›"]
    widget.locator("select").select_option("bytes")
    expect(widget.locator(".tb-chip small").first).to_have_text("74 6F")
    widget.locator("select").select_option("id")


def test_languages_cost_what_the_bars_say(opened):
    widget = begin(opened, stop=0)
    cells = widget.locator(".tb-costs tbody tr").nth(2).locator("td").nth(1)
    expect(cells).to_contain_text("1.18 ×")  # (8 + 12) bytes against (5 + 12)
    begin(opened, stop=22)
    more = widget.locator(".tb-costs tbody tr").nth(2).locator("td b").first.inner_text()
    assert float(more.split()[0]) > 1.18


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "“” is 0 characters and 0 bytes: 0 tokens"),
        ("x" * 10_000, "is 2,000 characters and 2,000 bytes"),
        ("</script><script>window.pwned = 1</script>", "is 42 characters"),
        ("👩‍👩‍👧", "is 5 characters and 18 bytes"),
        ("שלום", "is 4 characters and 8 bytes"),
    ],
)
def test_hostile_texts(opened, text, says):
    widget = begin(opened, text=text)
    expect(sentence(widget)).to_contain_text(says)
    expect(widget.locator(".cw-problem")).to_be_hidden()
    assert opened.page.evaluate("window.pwned") is None
    assert widget.evaluate("(node) => node.querySelectorAll('*').length") < 2000
    if len(text) == 10_000:
        expect(widget.locator(".tb-chips").first).to_contain_text("more")
        expect(widget.locator(".cw-notice")).to_contain_text("Got 10,000 characters")


def test_half_a_character_is_left_out_with_notice(opened):
    widget = begin(opened)
    widget.locator("textarea").evaluate(
        "(area) => { area.value = 'to \\ud83d'; area.dispatchEvent(new Event('input')); }"
    )
    opened.settled(widget)
    expect(widget.locator(".cw-notice")).to_contain_text("lone surrogate")


def test_two_on_a_page_are_independent(opened):
    one, two = begin(opened, 0), begin(opened, 1, text="question", stop=3)
    before = sentence(one).inner_text()
    begin(opened, 1, text="not", stop=4)
    expect(sentence(two)).to_contain_text("with 4 merges")
    assert sentence(one).inner_text() == before and one.locator("textarea").input_value() == "to be"


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_every_text_can_be_read_in_both_themes_and_as_a_table(opened, theme):
    opened.theme(theme)
    widget = begin(opened, text="to be or not to be, un café 🦜 שלום", stop=15)
    widget.get_by_role("button", name="Show as table").click()
    rows = widget.locator(".cw-tables table").first.locator("tbody tr")
    assert rows.count() == len(chips(widget, 0))
    contrasts = widget.evaluate(CONTRASTS)
    widget.get_by_role("button", name="Hide table").click()
    assert len(contrasts) > 100
    assert not [c for c in contrasts if c["ratio"] < 4.5]
    opened.screenshot(f"bench-{theme.lower()}", widget)


def test_no_price_of_a_language_runs_into_the_next_column(opened):
    widget = begin(opened)
    opened.page.set_viewport_size({"width": 600, "height": 1000})
    overhang = widget.locator(".tb-costs tbody td:not(:first-child)").evaluate_all(
        "(cells) => cells.map((cell) => cell.lastElementChild.getBoundingClientRect().right"
        " - cell.getBoundingClientRect().right)"
    )
    opened.page.set_viewport_size({"width": 1280, "height": 1000})
    assert len(overhang) > 3 and max(overhang) <= 0


def test_it_fits_a_narrow_page_and_stays_small(opened):
    widget = begin(opened, text="to be, or not to be: " * 20)
    opened.page.set_viewport_size({"width": 700, "height": 1000})
    overflow = widget.evaluate("(node) => node.scrollWidth - node.clientWidth")
    opened.screenshot("bench-narrow", widget)
    opened.page.set_viewport_size({"width": 1280, "height": 1000})
    assert overflow <= 0
    opened.save()
    assert max(opened.outputs_kept()) < 200_000
    assert opened.refused == []


def test_keyboard_alone_then_touch(browser, lab):
    write_notebook(lab.folder / "bench-keys.ipynb", CELL)
    with notebook(browser, lab, "bench-keys.ipynb", has_touch=True) as opened:
        press = opened.page.keyboard.press
        press("Control+Enter")
        opened.wait_until_run()
        widget = opened.widget(0)
        opened.tab_to("textarea")
        press("Control+a")
        opened.page.keyboard.type("to be")
        opened.tab_to("[type=range]")
        for key in ("Home", "ArrowRight"):
            press(key)
        opened.settled(widget)
        expect(sentence(widget)).to_contain_text("with 1 merge,")
        opened.tab_to(".tb-chips")
        for key in ("Home", "ArrowRight", "ArrowRight", "ArrowLeft"):
            press(key)
        expect(widget.locator(".tb-detail")).to_contain_text("own BPE, token 2:")
        # in command mode these delete, insert, cut and leave the cell
        for key in ["d", "d", "a", "b", "x", "j", "k", "m"]:
            press(key)
        assert opened.page.locator(".jp-CodeCell").count() == 1

        widget.get_by_role("button", name="parrot").tap()
        opened.settled(widget)
        expect(sentence(widget)).to_contain_text("“un·café·🦜” is 9 characters and 13 bytes")
        widget.locator(".tb-chips").nth(1).locator(".tb-chip").nth(1).tap()
        expect(widget.locator(".tb-detail")).to_contain_text("real BPE, token 2:")
        for box in (
            one.bounding_box() for one in widget.locator("button, select, textarea, .tb-chip, input").all()
        ):
            assert box["height"] >= 24 and box["width"] >= 24
