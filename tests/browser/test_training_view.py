"""The training view in a real JupyterLab: a run that is watched, and one that is stopped."""

import pytest
from hands import Learner
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
            loss=recurrent_loss, evaluate=lambda model: 4.2 + np.random.uniform() / 2, report=view)"""
FIRST, SECOND = (
    VIEW.format(steps=40, title="An LSTM </script> שלום 🦜"),
    VIEW.format(steps=7, title="another"),
)
LONG = VIEW.format(steps=1_000_000, title="A long run"), TRAIN.format(steps=1_000_000)
# two views on one page; a run reports to the first. A long run follows, which isn't begun
CELLS = [FIRST, TRAIN.format(steps=40), SECOND, *LONG]


def sentence(widget):
    return widget.locator(".cw-sentence")


def stat(widget, name):
    return widget.locator(".tv-stats div", has_text=name).locator("b")


@pytest.fixture(scope="module")
def opened(laid):
    for i in range(3):
        Learner(laid).run(i)
    return laid


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


def test_the_table_has_a_row_an_evaluation(opened):
    widget = opened.widget(0)
    widget.get_by_role("button", name="Show as table").click()
    expect(widget.locator(".cw-tables table").nth(1).locator("tbody tr")).to_have_count(4)
    widget.get_by_role("button", name="Hide table").click()


def test_a_run_is_seen_while_the_kernel_is_busy_and_a_stopped_one_is_said(opened):
    learner = Learner(opened)
    learner.cell(3).locator(".jp-InputPrompt").click()
    learner.press("Shift+Enter", "Control+Enter")
    widget = opened.widget(2)
    expect(sentence(widget)).to_contain_text("training, 0 % of 1,000,000 steps done", timeout=60_000)
    expect(stat(widget, "of 1,000,000 steps")).not_to_have_text("0")  # live, while the kernel is busy
    learner.press("i", "i")  # interrupts the kernel
    expect(sentence(widget)).to_contain_text("A long run: stopped after step", timeout=60_000)
    expect(stat(widget, "it has ended")).to_have_text("–")
