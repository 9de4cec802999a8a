"""The tokenizer bench in a real JupyterLab: what a learner types, drags, chooses and sees."""

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


def begin(opened, text="to be", stop=25):
    """Stops 0 to 20 are so many merges; 22 is the last, 30 merges."""
    widget = opened.widget()
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


def test_of_a_long_paste_the_first_chips_are_shown(opened):
    widget = begin(opened, text="x" * 10_000)
    expect(widget.locator(".tb-chips").first).to_contain_text("more")


def test_the_table_has_a_row_a_chip(opened):
    widget = begin(opened, text="to be or not to be, un café 🦜 שלום", stop=15)
    widget.get_by_role("button", name="Show as table").click()
    expect(widget.locator(".cw-tables table").first.locator("tbody tr")).to_have_count(len(chips(widget, 0)))
    widget.get_by_role("button", name="Hide table").click()


def test_a_long_text_fits_a_narrow_page_and_no_price_runs_into_the_next_column(opened):
    widget = begin(opened, text="to be, or not to be: " * 20)
    opened.page.set_viewport_size({"width": 600, "height": 1000})
    overhang = widget.locator(".tb-costs tbody td:not(:first-child)").evaluate_all(
        "(cells) => cells.map((cell) => cell.lastElementChild.getBoundingClientRect().right"
        " - cell.getBoundingClientRect().right)"
    )
    overflow = widget.evaluate("(node) => node.scrollWidth - node.clientWidth")
    opened.page.set_viewport_size({"width": 1280, "height": 1000})
    assert len(overhang) > 3 and max(overhang) <= 0
    assert overflow <= 0


def test_keys_then_touch(opened):
    widget, press = begin(opened), opened.page.keyboard.press
    widget.get_by_role("slider").focus()
    for key in ("Home", "ArrowRight"):
        press(key)
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("with 1 merge,")
    widget.locator(".tb-chips").first.focus()
    for key in ("Home", "ArrowRight", "ArrowRight", "ArrowLeft"):
        press(key)
    expect(widget.locator(".tb-detail")).to_contain_text("own BPE, token 2:")

    widget.get_by_role("button", name="parrot").tap()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("“un·café·🦜” is 9 characters and 13 bytes")
    widget.locator(".tb-chips").nth(1).locator(".tb-chip").nth(1).tap()
    expect(widget.locator(".tb-detail")).to_contain_text("real BPE, token 2:")
