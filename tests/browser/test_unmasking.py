"""Unmasking in a real JupyterLab: written, taken back and scrubbed, by mouse, by keyboard and by touch."""

import numpy as np
from playwright.sync_api import expect

CELL = """\
import numpy as np
import torch
from course_utils.bert.texts import with_masks
from course_utils.generation.unmasking import Masked
from course_utils.widgets.unmasking import Unmasking
def log_probs(ids):
    masks = int((ids == 3).sum())
    sure = torch.linspace(0.9, 0.5, masks)[:, None]
    return torch.cat([sure, (1 - sure) * 0.75, (1 - sure) * 0.25], 1).log()
def encode(text):
    return with_masks(text, lambda piece: np.frombuffer(piece.encode(), np.uint8) % 3, 3)
masked = Masked(log_probs, 3, encode, ["a", "</script>", "c"], "".join, 40)
Unmasking(masked, {"a beginning": ("to be", 6), "gaps": ("to [MASK] or n[MASK]t", 0)})"""

HIGH = [254, 232, 56]  # the end of the colour scale


def begin(opened):
    widget = opened.widget()
    widget.get_by_role("slider", name="temperature").fill("0")
    widget.get_by_role("spinbutton", name="Places a step").fill("1")
    widget.locator("select").select_option("confidence")
    widget.get_by_role("button", name="gaps").click()
    press(opened, widget, "a beginning")
    return widget


def press(opened, widget, name):
    widget.get_by_role("button", name=name).click(force=True)  # also one that says it does nothing
    opened.settled(widget)


def boxes(widget):
    """The lines of each box: its token, its step, its probability."""
    return [box.inner_text().split("\n") for box in widget.locator("[role=option]").all()]


def colours(widget):
    style = "(box) => getComputedStyle(box).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    return [box.evaluate(style) for box in widget.locator("[role=option]").all()]


def sentence(widget):
    return widget.locator(".cw-sentence")


def test_a_text_is_written_to_its_end_and_shaded_by_its_order(opened):
    widget = begin(opened)
    assert [box[1:] for box in boxes(widget)[5:]] == [["?", f"{p}%"] for p in (90, 82, 74, 66, 58, 50)]
    press(opened, widget, "Write")
    expect(sentence(widget)).to_contain_text(
        "Step 6 of 6, the surest first, temperature 0: 6 of 6 masks filled"
    )
    assert boxes(widget)[5:] == [["a", str(step), "90%"] for step in range(1, 7)]
    expect(widget.locator(".un-text")).to_have_text("cacccaaaaaa")
    order = np.array(colours(widget)[5:])
    assert (np.diff(order[:, 0]) > 0).all() and order[-1].tolist() == HIGH
    assert colours(widget)[0] not in order.tolist()
    expect(widget.get_by_role("button", name="Step ▶")).to_have_attribute("aria-disabled", "true")


def test_scrubbing_back_shows_the_text_of_then_at_once(opened):
    widget = begin(opened)
    press(opened, widget, "Write")
    after = widget.evaluate(
        """(widget) => {
          const scrub = widget.querySelector("[aria-label=step]");
          scrub.value = 2;
          scrub.dispatchEvent(new Event("input"));
          return [...widget.querySelectorAll("[role=option]")].map((box) => box.children[1].textContent);
        }"""
    )
    assert after[5:] == ["1", "2", "?", "?", "?", "?"]
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Step 2 of 6")
    expect(widget.locator(".un-text")).to_have_text("cacccaa▁▁▁▁")
    press(opened, widget, "Step ▶")
    expect(sentence(widget)).to_contain_text("Step 3 of 6")
    press(opened, widget, "◀ Back")
    press(opened, widget, "◀ Back")
    expect(sentence(widget)).to_contain_text("Step 1 of 6")
    press(opened, widget, "Start over")
    expect(sentence(widget)).to_contain_text("Step 0 of 6")


def test_a_long_way_of_the_scrubber_is_written_step_by_step(opened):
    widget = begin(opened)
    widget.get_by_role("slider", name="step").fill("5")
    expect(sentence(widget)).to_contain_text("Step 5 of 6")
    expect(widget.get_by_role("slider", name="step")).to_have_value("5")


def test_a_place_tells_what_was_expected_there(opened):
    widget = begin(opened)
    press(opened, widget, "Write")
    widget.locator("[role=option]").nth(7).click()
    opened.settled(widget)
    expect(widget.locator(".un-asked p")).to_have_text(
        "Place 8: a was written in step 3, where the model gave it 90.0 %. It expected then"
    )
    expect(widget.locator(".cw-bars")).to_contain_text("</script>7.5 %")
    widget.locator("[role=option]").nth(0).click()
    expect(widget.locator(".un-asked")).to_have_text("Place 1: c was given.")


def test_other_settings_begin_anew_and_what_can_not_be_written_is_said(opened):
    widget = begin(opened)
    press(opened, widget, "Write")
    widget.get_by_role("spinbutton", name="Places a step").fill("4")
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Step 0 of 2")
    widget.locator("select").select_option("random")
    press(opened, widget, "Write")
    expect(sentence(widget)).to_contain_text("Step 2 of 2, in random order")
    widget.get_by_role("spinbutton", name="Masks after it").fill("0")
    opened.settled(widget)
    expect(widget.locator(".cw-problem")).to_contain_text("there is nothing to write: put [MASK] where")
    expect(widget.locator("[role=option]")).to_have_count(11)
    press(opened, widget, "gaps")
    expect(widget.locator(".cw-problem")).to_be_hidden()


def test_keys_then_touch(opened):
    widget = begin(opened)
    widget.get_by_role("slider", name="step").focus()
    for key in ("ArrowRight", "ArrowRight"):
        opened.page.keyboard.press(key)
        opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Step 2 of 6")
    widget.get_by_role("listbox").focus()
    opened.page.keyboard.press("Home")
    opened.page.keyboard.press("ArrowRight")
    expect(widget.locator(".un-asked")).to_have_text("Place 2: a was given.")
    widget.get_by_role("button", name="Step ▶").tap()
    opened.settled(widget)
    expect(sentence(widget)).to_contain_text("Step 3 of 6")
    widget.locator("[role=option]").nth(5).tap()
    expect(widget.locator(".un-asked p")).to_contain_text("Place 6: a was written in step 1")
