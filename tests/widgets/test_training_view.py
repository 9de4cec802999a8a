"""The training view without a browser: what it notes of a run, when it draws, and its sentence."""

import json
import math

import numpy as np
import pytest

from course_utils.recurrent import RecurrentLM
from course_utils.training import StepReport, TrainConfig, recurrent_loss, train
from course_utils.training.batches import Streams
from course_utils.widgets import training_view
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.training_view import PAUSE, POINTS, TrainingView

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves on by hand."""
    now = [100.0]
    monkeypatch.setattr(training_view.time, "monotonic", lambda: now[0])
    return now


def progress(step, steps=100, bits=3.0, value=None, **more):
    return StepReport(step, steps, bits * math.log(2), value, 1e-3, 1234.5, 8.0, **more)


def drawings(view):
    seen = []
    view.observe(lambda change: seen.append(change["new"]["step"]), "shown")
    return seen


def test_it_goes_through_a_real_run():
    view = TrainingView(30, "A small LSTM", "validation bits", "byte")
    values = iter([4.0, 3.5, 3.5])  # two may be equal
    tokens = np.random.default_rng(0).integers(0, 20, size=2000)
    run = train(
        RecurrentLM(20, 4, 8),
        Streams(tokens, 20, 4, 8),
        TrainConfig(30, 1e-2, warmup_steps=2, evaluate_every=10),
        loss=recurrent_loss,
        evaluate=lambda model: next(values),
        report=view,
    )
    assert [step for step, _ in view.losses] == list(range(1, 31))
    np.testing.assert_allclose([bits for _, bits in view.losses], np.array(run.losses) / math.log(2))
    assert view.evaluations == [(10, 4.0), (20, 3.5), (30, 3.5)]
    assert view.shown["step"] == 30 and view.shown["ended"]
    assert view.describe() == "A small LSTM: all 30 steps done, evaluated 3 times."


def test_an_evaluation_that_is_no_number_is_left_out():
    view = TrainingView(100)
    for step, value in ((1, math.nan), (2, math.inf), (3, 2.5)):
        view(progress(step, value=value, evaluated=step))
    assert view.evaluations == [(3, 2.5)]


def test_the_sentence_says_nothing_that_differs_from_machine_to_machine(clock):
    view = TrainingView(100, "The LSTM")
    assert view.describe() == "The LSTM: 100 steps to train, none done yet."
    said = []
    for step in range(1, 101):
        view(progress(step, bits=np.random.default_rng().uniform(), value=2.0))
        said.append(view.describe())
    assert list(dict.fromkeys(said)) == [
        *(f"The LSTM: training, {share} % of 100 steps done." for share in (0, 25, 50, 75)),
        "The LSTM: all 100 steps done, evaluated 1 time.",
    ]
    bundle = view._repr_mimebundle_()
    assert repr(view) == bundle["text/plain"] == view.shown["sentence"] == said[-1]
    assert repr(view.chart()) == said[-1] and "<img" in view.chart()._repr_html_()
    assert bundle[WIDGET_VIEW]["model_id"] == view.model_id


def test_it_draws_at_most_twice_a_second_and_the_end_always(clock):
    view = TrainingView(100)
    seen = drawings(view)
    for step in range(1, 100):
        clock[0] += PAUSE / 8
        view(progress(step))
    assert seen == list(range(1, 100, 8))
    view(progress(100))
    assert seen[-1] == 100


def test_a_run_that_is_stopped_is_drawn_and_said(clock):
    view = TrainingView(100, "The LSTM")
    seen = drawings(view)
    for step in range(1, 8):
        view(progress(step, stopped=step == 7))
    assert seen == [1, 7] and view.shown["ended"]
    assert view.describe() == "The LSTM: stopped after step 7 of 100, evaluated 0 times."


def test_another_run_begins_anew_and_a_resumed_one_where_it_goes_on(clock):
    view = TrainingView(100)
    for step in (1, 2, 3):
        view(progress(step, value=4.0))
    for step in (1, 2):
        view(progress(step, bits=1.0))
    assert view.losses == [(1, pytest.approx(1.0)), (2, pytest.approx(1.0))] and view.evaluations == []
    resumed = TrainingView(100)
    resumed(progress(51, value=2.5, evaluated=50))
    assert resumed.losses == [(51, pytest.approx(3.0))] and resumed.evaluations == [(50, 2.5)]


@pytest.mark.parametrize("n", [1, 2, POINTS, POINTS + 1, 8000])
def test_a_long_curve_is_means_over_as_many_steps(clock, n):
    view = TrainingView(n)
    bits = np.random.default_rng(0).uniform(2, 4, size=n)
    for step, one in enumerate(bits, start=1):
        view(progress(step, n, one))
    curve = np.array(view.curve())
    assert len(curve) <= POINTS and len(json.dumps(view.shown)) < 20_000
    every = math.ceil(n / POINTS)
    np.testing.assert_allclose(curve[0], [(every + 1) / 2, bits[:every].mean()])
    if n % every == 0:
        assert curve[:, 1].mean() == pytest.approx(bits.mean())


def test_a_view_of_no_steps_is_refused():
    with pytest.raises(ValueError, match="1 or more steps; got 0"):
        TrainingView(0)


def test_titles_may_be_anything_and_the_picture_gives_no_warning(clock, recwarn):
    for title in ("", "</script><script>1</script>", "שלום 🦜", "$x$", "half \ud83d"):
        view = TrainingView(3, title, title, title)
        assert view.png()
        view(progress(1, 3, 8.0, 7.0))
        view(progress(2, 3, 2.0, 6.0))
        bundle = view._repr_mimebundle_()
        json.dumps(view.shown).encode("utf-8")
        assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000
    assert not recwarn.list
