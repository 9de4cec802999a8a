"""The translator in a real JupyterLab: token by token, arcs, a token put in, an edit, keys and touch."""

import numpy as np
import pytest
from playwright.sync_api import expect

CELL = """\
import numpy as np
from course_utils.generation.translating import Candidate, Translation
from course_utils.widgets.translator import Translator
def translate(task, text, forced, more):
    words = text.split()
    if not words:
        raise ValueError("the source is empty: type a verse")
    wanted = [sum(map(ord, word)) % 900 for word in words] + [999]
    ids = [*forced, *wanted[len(forced) : len(forced) + more]]
    weights = np.full((2, 2, len(ids), len(words) + 2), 0.2 / (len(words) + 1))
    for t in range(len(ids)):
        weights[0, :, t, 0] = 0.8
        weights[1, :, t, t + 1] = 0.8
    names = dict(zip(wanted, [*(word.upper() for word in words), "</s>"])) | {901: "</script>", 902: "YE"}
    best = [[Candidate(i, names[i], 0.75), Candidate(901, names[901], 0.125), Candidate(902, "YE", 0.0625)]
            for i in wanted[: len(ids)]]
    p = [{each.id: each.p for each in row}[i] for row, i in zip(best, ids)]
    source, target = [task, *words, "</s>"], [names[i] for i in ids]
    return Translation(source, target, ids, p, best, weights, ids[-1] == 999, [])
tasks = {"modern: ": "old to modern", "old: ": "modern to old"}
examples = {"a verse": ("modern: ", "thou art here"), "long": ("old: ", "w " * 45)}
Translator(translate, examples, tasks, place=1)"""
ARC = [43, 140, 196]


def begin(opened):
    widget = opened.widget()
    press(opened, widget, "long")
    press(opened, widget, "a verse")
    widget.get_by_label("Layer").select_option("1")
    widget.get_by_role("listbox", name="Written").get_by_role("option").nth(1).click()
    opened.settled(widget)
    return widget


def press(opened, widget, name):
    widget.get_by_role("button", name=name, exact=True).click(force=True)  # also one that has nothing to do
    opened.settled(widget)


def tokens(widget, row):
    options = widget.get_by_role("listbox", name=row).get_by_role("option")
    return [text.split("\n")[0] for text in options.all_inner_texts()]


def shades(widget):
    """How much of the arcs' blue lies on each token of the source."""
    return widget.evaluate(
        """(widget) => {
          const canvas = widget.querySelector(".ae-arcs"), ratio = window.devicePixelRatio || 1;
          const origin = canvas.getBoundingClientRect();
          return [...widget.querySelector("[role=listbox]").children].map((token) => {
            const { left, top } = token.getBoundingClientRect();
            const [x, y] = [left - origin.left + 3, top - origin.top + 3].map((at) => at * ratio);
            return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data];
          });
        }"""
    )


def sentence(widget):
    return widget.locator(".cw-sentence")


def test_it_is_written_token_by_token_and_the_focus_goes_along(opened):
    widget = begin(opened)
    press(opened, widget, "Start over")
    expect(sentence(widget)).to_contain_text("nothing is written yet")
    assert tokens(widget, "Written") == []
    for n, token in enumerate(["THOU", "ART"], 1):
        press(opened, widget, "Step ▶")
        expect(sentence(widget)).to_contain_text(f"{n} of 4 tokens. Token {n}, “{token}”, has 75.0 %")
    press(opened, widget, "Write all")
    assert tokens(widget, "Written") == ["THOU", "ART", "HERE", "</s>"]
    expect(widget.locator(".tr-text")).to_have_text("THOUARTHERE")
    press(opened, widget, "long")  # in several requests
    assert len(tokens(widget, "Written")) == 46
    expect(sentence(widget)).to_contain_text("46 of 46 tokens")


def test_the_shade_of_a_source_token_is_the_weight_of_the_head_in_view(opened):
    widget = begin(opened)
    strong = np.array(shades(widget))[:, 3]
    assert strong.argmax() == 2 and (np.delete(strong, 2) < strong[2] / 2).all()
    assert shades(widget)[2][:3] == pytest.approx(ARC, abs=3)
    widget.get_by_label("Layer").select_option("0")
    opened.settled(widget)
    assert np.array(shades(widget))[:, 3].argmax() == 0
    expect(widget.locator(".tr-readout")).to_contain_text("with 80.0 %")


def test_a_token_put_in_is_marked_and_taken_back_and_keeps_the_keyboard(opened):
    widget = begin(opened)
    candidate = widget.get_by_role("button", name="write </script> here")
    candidate.focus()
    opened.page.keyboard.press("Enter")
    opened.settled(widget)
    assert tokens(widget, "Written") == ["THOU", "</script>", "HERE", "</s>"]
    expect(widget.locator("[role=option].tr-forced")).to_have_text("</script>13% ✎")
    expect(candidate).to_be_focused()
    expect(candidate).to_have_attribute("aria-pressed", "true")
    press(opened, widget, "Take back what you put in")
    assert tokens(widget, "Written") == ["THOU", "ART", "HERE", "</s>"]


def test_an_edit_of_the_source_marks_what_is_new_and_an_empty_one_is_refused(opened):
    widget = begin(opened)
    text = widget.locator("textarea")
    text.fill("thou art not here")
    expect(widget.get_by_role("button", name="Translate")).to_have_class("cw-main")
    text.press("Enter")
    opened.settled(widget)
    assert tokens(widget, "Written") == ["THOU", "ART", "NOT", "HERE", "</s>"]
    expect(widget.locator("[role=option].tr-changed")).to_have_text("NOT75%")
    text.fill(" ")
    press(opened, widget, "Translate")
    expect(widget.locator(".cw-problem")).to_contain_text("the source is empty: type a verse")
    assert tokens(widget, "Source")[1:-1] == ["thou", "art", "not", "here"]
    widget.get_by_role("listbox", name="Written").get_by_role("option").first.click()
    opened.settled(widget)
    expect(widget.locator(".cw-problem")).to_be_hidden()
    expect(sentence(widget)).to_contain_text("Token 1, “THOU”")


def test_keys_then_touch(opened):
    widget = begin(opened)
    widget.get_by_role("listbox", name="Written").focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        opened.page.keyboard.press(key)
        opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Token 3, “HERE”")
    widget.get_by_role("listbox", name="Source").focus()
    opened.page.keyboard.press("Home")
    expect(widget.locator(".tr-readout")).to_contain_text("looks at modern:· (1) with 5.0 %")
    widget.get_by_role("listbox", name="Written").get_by_role("option").first.tap()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Token 1, “THOU”")
    widget.locator("select").first.select_option("modern to old")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("modern to old: “thou art here”")
