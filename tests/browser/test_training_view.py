"""The training view in a real JupyterLab: a run that is watched, and one that is stopped."""

import pytest
from harness import CONTRASTS, notebook, write_notebook
from playwright.sync_api import expect

VIEW = """\
from course_utils.widgets.training_view import TrainingView
view = TrainingView({steps}, {title!r}, "bits of <b>it</b>", "byte")
view"""
TRAIN = """\
import numpy as np
from course_utils.training.batches import Streams
from course_utils.recurrent import RecurrentLM
from course_utils.training import TrainConfig, recurrent_loss, train
tokens = np.random.default_rng(0).integers(0, 20, size=2000)
run = train(RecurrentLM(20, 4, 8), Streams(tokens, 20, 4, 8), TrainConfig({steps}, 1e-2, evaluate_every=10),
            loss=recurrent_loss, evaluate=lambda model: 4 + np.random.uniform(), report=view)"""


def sentence(widget):
    return widget.locator(".cw-sentence")


def stat(widget, name):
    return widget.locator(".tv-stats div", has_text=name).locator("b")


@pytest.fixture(scope="module")
def opened(browser, lab):
    """Two views on one page; a run reports to the first."""
    title = "An LSTM </script> שלום 🦜"
    first, second = VIEW.format(steps=40, title=title), VIEW.format(steps=7, title="another")
    write_notebook(lab.folder / "view.ipynb", first, TRAIN.format(steps=40), second)
    with notebook(browser, lab, "view.ipynb") as opened:
        opened.run_all()
        yield opened


def test_a_run_is_drawn_to_its_end_and_the_other_view_waits(opened):
    one, two = opened.widget(0), opened.widget(1)
    expect(sentence(one)).to_have_text("An LSTM </script> שלום 🦜: all 40 steps done, evaluated 4 times.")
    expect(stat(one, "of 40 steps")).to_have_text("40")
    assert 4 < float(stat(one, "training loss").inner_text()) < 5  # log2 of 20 is 4.32
    assert 4 < float(stat(one, "bits of <b>it</b>").inner_text()) < 5
    assert int(stat(one, "bytes a second").inner_text().replace(",", "")) > 0
    assert one.locator("progress").evaluate("(bar) => bar.value / bar.max") == 1
    points = one.locator(".tv-loss").get_attribute("points").split()
    assert len(points) == 40 and points[-1].startswith("100,")
    expect(one.locator(".tv-dot")).to_have_count(4)
    expect(sentence(two)).to_have_text("another: 7 steps to train, none done yet.")
    assert two.locator("progress").evaluate("(bar) => bar.value") == 0


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_every_text_can_be_read_in_both_themes_and_as_a_table(opened, theme):
    opened.theme(theme)
    widget = opened.widget(0)
    widget.get_by_role("button", name="Show as table").click()
    assert widget.locator(".cw-tables table").nth(1).locator("tbody tr").count() == 4
    contrasts = widget.evaluate(CONTRASTS)
    assert 10 < widget.evaluate("(node) => node.querySelectorAll('*').length") < 2000
    widget.get_by_role("button", name="Hide table").click()
    assert len(contrasts) > 50
    assert not [c for c in contrasts if c["ratio"] < 4.5]
    opened.screenshot(f"training-{theme.lower()}", widget)


def test_it_fits_a_narrow_page_and_stays_small(opened):
    widget = opened.widget(0)
    opened.page.set_viewport_size({"width": 640, "height": 1000})
    overflow = widget.evaluate("(node) => node.scrollWidth - node.clientWidth")
    opened.page.set_viewport_size({"width": 1280, "height": 1000})
    assert overflow <= 0
    opened.save()
    assert max(opened.outputs_kept()) < 200_000
    assert opened.refused == []


def test_the_keyboard_goes_in_and_out_and_a_stopped_run_is_said(browser, lab):
    steps = 1_000_000
    write_notebook(
        lab.folder / "view-keys.ipynb",
        VIEW.format(steps=steps, title="A long run"),
        TRAIN.format(steps=steps),
    )
    with notebook(browser, lab, "view-keys.ipynb", has_touch=True) as opened:
        press = opened.page.keyboard.press
        press("Shift+Enter")
        widget = opened.widget(0)
        press("Control+Enter")
        expect(sentence(widget)).to_contain_text("training, 0 % of 1,000,000 steps done", timeout=60_000)
        expect(stat(widget, "of 1,000,000 steps")).not_to_have_text("0")  # live, while the kernel is busy
        press("i")
        press("i")  # interrupts the kernel
        expect(sentence(widget)).to_contain_text("A long run: stopped after step", timeout=60_000)
        expect(stat(widget, "it has ended")).to_have_text("–")
        widget.get_by_role("button", name="Show as table").tap()
        opened.tab_to("button")
        for key in ["d", "d", "a", "b", "x", "j", "k", "m"]:
            press(key)
        assert opened.page.locator(".jp-CodeCell").count() == 2
