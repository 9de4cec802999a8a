"""The attention explorer in a real JupyterLab: what a learner points at, chooses, changes and sees."""

import re

import numpy as np
import pytest
from matplotlib import colormaps
from playwright.sync_api import expect

from course_utils.widgets import attention_arrays as arrays
from course_utils.widgets.attention_explorer import AttentionExplorer

SETUP = """\
import numpy as np
from course_utils.widgets.attention_arrays import Attention
from course_utils.widgets.attention_explorer import AttentionExplorer
def attention(layers, heads, T, S, mask=True, seed=0):
    scores = np.exp(2 * np.random.default_rng(seed).normal(size=(layers, heads, T, S))) * mask
    return (scores / scores.sum(-1, keepdims=True)).astype(np.float32)
def predict(edits):
    return [("mat", 0.8 * 0.5 ** len(edits)), ("</script>", 0.1)]
"""
CELL = """\
tokens = ["The", " cat", " sat", " on", " the", " mat"]
causal = np.tri(6, dtype=bool)
weights = attention(3, 4, 6, 6, causal)
AttentionExplorer(tokens, weights, mask=causal, scale=0.125, predict=predict)"""
SEVERAL = """\
AttentionExplorer({
    "decoder": Attention(tokens, weights, mask=causal),
    "cross": Attention(tokens, attention(1, 2, 6, 3), keys=["un", " chat", " noir"]),
}, predict=predict)"""
HOSTILE = """\
hostile = ["</script><script>window.pwned = 1</script>", "🦜", "שלום", "a", "a", ""]
hostile += ["\\0", "\\u0301", "x" * 999, "\\n"]
AttentionExplorer(hostile, attention(2, 2, 10, 10), sinks={"<b>": [0]})"""
LARGE = """\
AttentionExplorer([f" token{t}" for t in range(512)], attention(4, 12, 512, 512),
                  keys=[f" key{t}" for t in range(512)], predict=predict)"""
BROKEN = """\
unnormalised = weights.copy()
unnormalised[0, 0, 0] *= 2
AttentionExplorer(tokens, unnormalised, mask=causal)"""
CELLS = [SETUP, CELL, SEVERAL, HOSTILE, LARGE, BROKEN, CELL]  # the last explorer has the keys

TOKENS = ["The", " cat", " sat", " on", " the", " mat"]
CAUSAL = np.tri(6, dtype=bool)
SCORES = np.exp(2 * np.random.default_rng(0).normal(size=(3, 4, 6, 6))) * CAUSAL
WEIGHTS = (SCORES / SCORES.sum(-1, keepdims=True)).astype(np.float32)

# The colour of a pixel of the canvas, at CSS pixels from its corner.
PIXEL = """(canvas, [x, y]) => [...canvas.getContext("2d").getImageData(
  Math.round(x * devicePixelRatio), Math.round(y * devicePixelRatio), 1, 1).data]"""
PICTURE = "(canvas) => canvas.toDataURL()"


def begin(opened):
    """Layer 0, head 0, the last query, nothing hidden, nothing edited."""
    widget = opened.widget()
    widget.scroll_into_view_if_needed()
    if widget.get_by_role("button", name="Undo all").is_visible():
        widget.get_by_role("button", name="Undo all").click()
    control(widget, "Show").select_option("one")
    control(widget, "Layer").select_option("0")
    control(widget, "Head").select_option("0")
    for box in widget.get_by_role("checkbox").all():
        box.uncheck()
    widget.locator(".ae-tokens:not([hidden]) .ae-chip").last.click()
    opened.page.mouse.move(0, 0)
    opened.settled(widget)
    return widget


def control(widget, name):
    """The list under this name."""
    return widget.locator(".cw-field", has_text=re.compile(f"^{name}")).locator("select")


def sentence(widget):
    return widget.locator(".cw-sentence")


def large_map(widget):
    return widget.locator(".ae-map canvas")


def readout(widget):
    return widget.locator(".ae-readout")


def cividis(x):
    return [255 * c for c in colormaps["cividis"](x)[:3]]


# ---- arithmetic ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def call(browser):
    """Call a function of the widget's module in an empty page."""
    page = browser.new_page()
    page.evaluate(
        """async (source) => {
          const exported = "\\nexport { rowEntropy, combined, without, pooled, decoded, encoded };";
          const blob = new Blob([source, exported], { type: "text/javascript" });
          window.widget = await import(URL.createObjectURL(blob));
          window.floats = (numbers) => Float32Array.from(numbers, (x) => x ?? NaN); // JSON has no NaN
          window.plain = (floats) => [...floats].map((x) => (Number.isNaN(x) ? null : x));
        }""",
        AttentionExplorer._esm,
    )
    yield lambda expression, argument=None: page.evaluate(expression, argument)
    page.close()


def masked(weights, may):
    """Weights as the browser has them: None where masked."""
    return [float(w) if ok else None for w, ok in zip(weights.flat, may.flat, strict=True)]


def test_row_entropy_is_pythons(call):
    for row in [*WEIGHTS.reshape(-1, 6), np.zeros(6), np.full(6, 2.0), WEIGHTS[0, 0, 5] * 1.5]:
        assert call("(row) => widget.rowEntropy(floats(row))", row.tolist()) == pytest.approx(
            arrays.row_entropy(row), abs=1e-6
        )


@pytest.mark.parametrize("how", ["mean", "max"])
def test_combined_heads_are_pythons(call, how):
    ours = call(
        "([heads, how]) => plain(widget.combined(heads.map(floats), how))",
        [[masked(head, CAUSAL) for head in WEIGHTS[1, [0, 2, 3]]], how],
    )
    theirs = arrays.combined(WEIGHTS[1, [0, 2, 3]], how)
    assert [w is None for w in ours] == [not ok for ok in CAUSAL.flat]
    assert [w or 0 for w in ours] == pytest.approx(theirs.ravel().tolist(), abs=1e-7)


@pytest.mark.parametrize("renormalise", [False, True])
@pytest.mark.parametrize("hidden", [[0], [1, 4], []])
def test_hidden_keys_are_pythons(call, hidden, renormalise):
    rows = WEIGHTS[2, 1]
    ours = call(
        "([rows, hidden, renormalise]) => plain(widget.without(floats(rows), 6, hidden, renormalise))",
        [masked(rows, CAUSAL), hidden, renormalise],
    )
    theirs = arrays.without(rows, hidden, renormalise and bool(hidden))
    assert [w or 0 for w in ours] == pytest.approx(theirs.ravel().tolist(), abs=1e-6)


@pytest.mark.parametrize("shape", [(3, 20, 30), (2, 49, 7), (2, 100, 131)])
def test_small_maps_are_pythons(call, shape):
    codes = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    codes[:, :9, :9] = arrays.MASKED
    ours = call(
        "([bytes, n, q, k]) => [...widget.pooled(Uint8Array.from(bytes), n, q, k, 48).bytes]",
        [codes.ravel().tolist(), *shape],
    )
    assert ours == arrays.pooled(codes, 48).ravel().tolist()


def test_bytes_are_pythons(call):
    may = np.broadcast_to(CAUSAL, WEIGHTS.shape)
    codes = arrays.packed(WEIGHTS, may)
    assert (
        call("(weights) => [...widget.encoded(floats(weights))]", masked(WEIGHTS, may))
        == codes.ravel().tolist()
    )
    back = call("(bytes) => plain(widget.decoded(bytes))", codes.ravel().tolist())
    assert [w is None for w in back] == [not ok for ok in may.flat]
    assert [w or 0 for w in back] == pytest.approx((WEIGHTS * may).ravel().tolist(), abs=0.005)


# ---- what is seen ----------------------------------------------------------------------------------


def test_the_heat_map_has_the_colours_of_the_weights_and_the_mask_its_own_look(opened):
    widget = begin(opened)
    canvas = large_map(widget)
    cell = canvas.bounding_box()["width"] / 6
    for query, key in np.ndindex(6, 6):
        at = [(key + 0.5) * cell, (query + 0.5) * cell]
        pixel = canvas.evaluate(PIXEL, at)
        if key > query:  # hatched: what shines through is the page
            assert pixel[3] < 255
        else:
            code = np.rint(254 * np.sqrt(WEIGHTS[0, 0, query, key]))
            assert pixel[3] == 255 and pixel[:3] == pytest.approx(cividis(code / 254), abs=9)


def test_the_row_in_focus_moves_with_a_click_and_the_arcs_with_it(opened):
    widget = begin(opened)
    arcs = widget.locator(".ae-arcs")
    before = arcs.evaluate(PICTURE)
    widget.locator(".ae-sentence .ae-chip").nth(2).click()
    opened.page.mouse.move(0, 0)
    opened.settled(widget)
    row = WEIGHTS[0, 0, 2]
    best = int(row.argmax())
    expect(sentence(widget)).to_contain_text(
        f"query “·sat” (2) attends to “{TOKENS[best].replace(' ', '·')}” ({best}) {100 * row[best]:.1f} %"
    )
    expect(readout(widget)).to_contain_text(f"Query ·sat (2) → key {TOKENS[best].replace(' ', '·')} ({best})")
    assert arcs.evaluate(PICTURE) != before


def test_hovering_shows_another_row_without_the_kernel_and_leaving_brings_it_back(opened):
    widget = begin(opened)
    arcs = widget.locator(".ae-arcs")
    before, said = arcs.evaluate(PICTURE), sentence(widget).inner_text()
    widget.locator(".ae-sentence .ae-chip").nth(3).hover()
    expect(readout(widget)).to_contain_text("Query ·on (3)")
    assert arcs.evaluate(PICTURE) != before and sentence(widget).inner_text() == said
    box = large_map(widget).bounding_box()
    large_map(widget).hover(position={"x": box["width"] * 1.5 / 6, "y": box["height"] * 4.5 / 6})
    expect(readout(widget)).to_contain_text("Query ·the (4) → key ·cat (1): ")
    about = float(readout(widget).inner_text().split()[-2])  # a byte's worth
    assert about == pytest.approx(100 * WEIGHTS[0, 0, 4, 1], abs=0.5)
    large_map(widget).hover(position={"x": box["width"] * 4.5 / 6, "y": box["height"] * 1.5 / 6})
    expect(readout(widget)).to_contain_text("Query ·cat (1) → key ·the (4): masked, it may not attend")
    opened.page.mouse.move(0, 0)
    assert arcs.evaluate(PICTURE) == before


def test_a_small_map_chooses_its_head_and_the_caption_names_mask_and_scale(opened):
    widget = begin(opened)
    grid = widget.locator(".ae-columns canvas").first
    before = large_map(widget).evaluate(PICTURE)
    box = grid.bounding_box()
    grid.click(position={"x": box["width"] * 2.5 / 4, "y": box["height"] * 1.5 / 3})
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Layer 1, head 2 (causal mask")
    expect(widget.locator(".ae-caption")).to_contain_text(
        "A row a query, a column a key. Causal mask: a token sees itself and what stands before it; "
        "scores × 0.125 = 1/√64."
    )
    assert large_map(widget).evaluate(PICTURE) != before
    expected = [f"{head}: {arrays.row_entropy(WEIGHTS[1, head, 5]):.2f}" for head in range(4)]
    assert widget.locator(".ae-entropies .ae-chip").all_inner_texts() == expected


def test_heads_are_combined_and_sinks_hidden(opened):
    widget = begin(opened)
    control(widget, "Show").select_option("mean")
    widget.locator(".ae-entropies .ae-chip").nth(1).click()  # takes head 1 away
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Layer 0, mean of heads 0, 2, 3 (")
    plain = large_map(widget).evaluate(PICTURE)
    widget.get_by_label("first key “The”").check()
    opened.settled(widget)
    share = WEIGHTS[0, [0, 2, 3], 5, 0].mean()
    expect(sentence(widget)).to_contain_text(
        f"Hidden: first key “The”, with {100 * share:.1f} % of this row; the others are as they were."
    )
    hidden = large_map(widget).evaluate(PICTURE)
    widget.get_by_label("divide the others by what is left").check()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("the others are divided by what is left.")
    expect(widget.locator(".ae-caption")).to_contain_text("divided by what is left of their row")
    assert len({plain, hidden, large_map(widget).evaluate(PICTURE)}) == 3


def test_an_edit_changes_the_picture_and_the_prediction_until_it_is_undone(opened):
    widget = begin(opened)
    expect(sentence(widget)).to_contain_text("Prediction: “mat” 80.0 %.")
    before = large_map(widget).evaluate(PICTURE)
    control(widget, "What to do").select_option("uniform")
    widget.get_by_role("button", name="Do it").click()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text(
        "With layer 0, head 0: forced to uniform: “mat” 40.0 %; intact “mat” 80.0 %."
    )
    assert large_map(widget).evaluate(PICTURE) != before
    expect(widget.locator(".ae-operate tbody tr").first).to_contain_text("80.0 %")
    expect(widget.locator(".ae-operate tbody tr").first).to_contain_text("40.0 %")
    control(widget, "What to do").select_option("swap")
    control(widget, "Other head").select_option("3")
    widget.get_by_role("button", name="Do it").click()
    opened.settled(widget)  # the last edit of a head is the one that counts
    assert [line.splitlines() for line in widget.locator(".ae-edits li").all_inner_texts()] == [
        ["layer 0, head 0: swapped with head 3", "Undo"]
    ]
    expect(widget.locator(".ae-entropies .ae-chip").first).to_have_text(
        f"0: {arrays.row_entropy(WEIGHTS[0, 3, 5]):.2f}"
    )
    widget.locator(".ae-edits button").click()
    opened.settled(widget)
    expect(widget.get_by_role("button", name="Undo all")).to_be_focused()  # the pressed one has gone
    expect(sentence(widget)).to_contain_text("Prediction: “mat” 80.0 %.")
    assert large_map(widget).evaluate(PICTURE) == before


def test_decoder_and_cross_attention_of_one_model(opened):
    widget = opened.widget(1)
    widget.scroll_into_view_if_needed()
    control(widget, "Attention").select_option("cross")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Cross attention, layer 0, head 0 (no mask; scale not given)")
    assert widget.locator(".ae-tokens").first.locator(".ae-chip").all_inner_texts() == [
        "un",
        "·chat",
        "·noir",
    ]
    widget.get_by_role("button", name="Do it").click()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text(
        "With cross, layer 0, head 0: ablated (all weights 0): “mat” 40.0 %"
    )
    control(widget, "Attention").select_option("decoder")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Decoder attention, layer 0, head 0 (causal mask")
    expect(widget.locator(".ae-entropies .ae-chip")).to_have_count(4)


def test_hostile_tokens(opened):
    widget = opened.widget(2)
    chips = widget.locator(".ae-sentence .ae-chip").all_inner_texts()
    assert chips[0].startswith("</script>") and chips[3:8] == ["a", "a", "∅", "‹00›", "◌\u0301"]
    for chip in widget.locator(".ae-sentence .ae-chip").all():
        chip.click()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("query “⏎” (9) attends to")


def test_rows_that_do_not_sum_to_1_are_shown_with_a_warning(opened):
    expect(opened.widget(4).locator(".cw-problem").first).to_contain_text(
        "1 of 72 rows don't sum to 1: the first is layer 0, head 0, query 0, with 2.000."
    )


def test_512_queries_and_512_keys(opened):
    widget = opened.widget(3)
    widget.scroll_into_view_if_needed()
    assert widget.evaluate("(node) => node.querySelectorAll('*').length") < 1500
    control(widget, "Layer").select_option("3")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Layer 3, head 0 (no mask")
    strongest = re.search(r"attends to “·(key\d+)”", sentence(widget).inner_text())[1]
    expect(readout(widget)).to_contain_text(f"key ·{strongest} (")
    before = large_map(widget).evaluate(PICTURE)
    widget.get_by_role("button", name="Zoom to 32 × 32").click()
    assert widget.locator(".ae-query-names span").count() == 32
    assert large_map(widget).evaluate(PICTURE) != before
    widget.get_by_role("button", name="Show as table").click()
    assert widget.locator(".cw-tables table").first.locator("tbody tr").count() == 41
    assert widget.evaluate("(node) => node.querySelectorAll('*').length") < 2000
    widget.get_by_role("button", name="Hide table").click()
    opened.screenshot("explorer-512", widget)
    opened.save()
    assert max(opened.outputs_kept()) < 200_000


def test_the_table_has_a_row_a_query(opened):
    widget = begin(opened)
    widget.get_by_role("button", name="Show as table").click()
    expect(widget.locator(".cw-tables table").first.locator("tbody tr")).to_have_count(6)
    widget.get_by_role("button", name="Hide table").click()


# ---- keys and touch --------------------------------------------------------------------------------


def test_keys(opened):
    widget = opened.widget(5)

    def press(*keys):
        for key in keys:
            opened.page.keyboard.press(key)
        opened.settled(widget)

    control(widget, "Layer").focus()
    press("ArrowDown")
    expect(sentence(widget)).to_contain_text("Layer 1, head 0")
    opened.tab_to(".ae-tokens")  # the query
    press("Home", "ArrowRight", "ArrowRight")
    expect(sentence(widget)).to_contain_text("query “·sat” (2)")
    opened.tab_to(".ae-place canvas")  # all heads
    press("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft")
    expect(sentence(widget)).to_contain_text("Layer 2, head 1")
    opened.tab_to(".ae-entropies")
    press("End")
    expect(sentence(widget)).to_contain_text("Layer 2, head 3")
    opened.tab_to("select")  # what to do
    press("ArrowDown")
    opened.tab_to("button")
    press("Enter")
    expect(sentence(widget)).to_contain_text("With layer 2, head 3: forced to uniform: “mat” 40.0 %")
    opened.tab_to(".ae-map canvas")  # the heat map
    press("ArrowDown", *["ArrowLeft"] * 6, "ArrowRight")
    expect(readout(widget)).to_contain_text("Query ·on (3) → key ·cat (1)")
    opened.tab_to("[type=checkbox]")
    press("Space")
    expect(sentence(widget)).to_contain_text("Hidden: first key “The”")

    control(widget, "Show").focus()  # several heads at once
    press("ArrowDown")
    expect(sentence(widget)).to_contain_text("mean of heads 0, 1, 2, 3")
    opened.tab_to(".ae-place canvas")
    press("Space")
    expect(sentence(widget)).to_contain_text("mean of heads 0, 1, 2 (")


def test_touch(opened):
    widget = begin(opened)
    widget.locator(".ae-sentence .ae-chip").nth(1).tap()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("query “·cat” (1)")
    grid = widget.locator(".ae-columns canvas").first
    box = grid.bounding_box()
    grid.tap(position={"x": box["width"] * 3.5 / 4, "y": box["height"] * 2.5 / 3})
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Layer 2, head 3")
    box = large_map(widget).bounding_box()
    large_map(widget).tap(position={"x": box["width"] * 0.5 / 6, "y": box["height"] * 4.5 / 6})
    opened.settled(widget)
    expect(readout(widget)).to_contain_text("Query ·the (4) → key The (0)")
