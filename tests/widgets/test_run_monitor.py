"""The run monitor without a browser: what is read from logs, runs that report, what is named, bad input."""

import json
import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from course_utils.training import StepReport
from course_utils.widgets import run_monitor
from course_utils.widgets.run_monitor import PAUSE, POINTS, RunMonitor, facts

FALL = [4 * 0.99**k for k in range(200)]
ODD = "", "</script>", "שלום 🦜", "$x$", "half \ud83d"


def report(step, steps=20, loss=3.0, value=None, speed=100.0, **more):
    return StepReport(step, steps, loss, value, 1e-3, speed, 1.0, **more)


def test_a_log_is_read_with_its_speed_and_the_time_left():
    run = facts(
        "a",
        {"losses": FALL, "seconds": 50.0, "tokens": 2000, "steps": 300, "evaluations": [[100, 20.0, 2.5]]},
    )
    assert run["speed"] == 40 and run["left"] == pytest.approx(25) and not run["over"]
    assert run["loss"] == pytest.approx(np.mean(FALL[-50:])) and run["evaluations"] == [(100, 2.5)]
    assert run_monitor._along(run, "seconds", np.array([50, 100, 150])) == pytest.approx([10, 20, 35])
    assert run_monitor._along(run, "tokens", np.array([50])) == pytest.approx([500])
    assert facts("a", {"losses": FALL})["speed"] is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, ""),
        ({"losses": [*FALL, math.nan]}, "diverged: the loss of step 201 is no number"),
        ({"losses": [*FALL, math.inf]}, "diverged: the loss of step 201 is no number"),
        ({"diverged": "the norm is inf"}, "diverged: the norm is inf"),
        (
            {"losses": FALL + [FALL[-1] + 0.02 * k for k in range(80)]},
            "its loss rose: 1.63 nats over its last 50 steps",
        ),
        ({"losses": FALL + [FALL[-1] + 0.4] * 80}, ""),  # a little is no divergence
        ({"steps": 300}, ""),
        ({"steps": 300, "stopped": True}, "stopped after step 200"),
    ],
)
def test_how_a_run_went_wrong_is_named(change, says):
    assert facts("a", {"losses": FALL} | change)["ending"].startswith(says)
    assert bool(facts("a", {"losses": FALL} | change)["ending"]) == bool(says)


def test_what_is_no_number_or_no_plain_one_is_passed_over_and_a_name_may_be_a_rate():
    log = {
        "losses": np.float32([2, 1]),
        "evaluations": [(1, np.float64(2)), (2, math.nan)],
        "tokens": np.int64(8),
    }
    monitor = RunMonitor({0.3: log | {"seconds": np.float32(2)}})
    assert json.dumps(monitor.fixed["runs"][0] | {"curve": ""})
    assert "“0.3” 2 of 2 steps, loss 1.50 nats, validation 2.000 bits" in repr(monitor)


def test_spikes_are_found_where_the_log_has_none_and_steps_without_a_loss_are_passed_over():
    losses = [None, *FALL]
    losses[121] += 5
    losses[60] = None
    [[step, loss]] = facts("a", {"losses": losses})["spikes"]
    assert step == 122 and loss == losses[121]
    assert facts("a", {"losses": losses, "spikes": []})["spikes"] == []
    assert facts("a", {"losses": losses})["notes"] == [
        f"loss spike at step 122: {loss:.2f} nats, usual before it 1.55"
    ]


def test_a_long_run_crosses_as_means_and_its_gaps_stay_gaps():
    losses = np.random.default_rng(0).uniform(2, 3, 3 * POINTS).tolist()
    losses[:3] = [None] * 3
    curve = facts("a", {"losses": losses})["curve"]
    assert len(curve) == POINTS and np.isnan(curve[0])
    np.testing.assert_allclose(curve[1:], np.array(losses[3:]).reshape(-1, 3).mean(1))


def test_a_run_that_reports_is_shown_at_once_at_its_end_and_else_seldom(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(run_monitor.time, "monotonic", lambda: now[0])
    monitor, seen = RunMonitor(), []
    assert repr(monitor) == "No run has begun."
    monitor.observe(lambda change: seen.append(change["new"]["sentence"]), "shown")
    told = monitor.follow("a", tokens=10, flops=1e6)
    for step in range(1, 21):
        now[0] += PAUSE / 4
        told(report(step, value=2.0 if step > 9 else None, evaluated=10))
    quarters = [f"1 run: “a” {share} % of 20 steps." for share in (0, 25, 25, 50, 75)]
    assert seen == [*quarters, "1 run: “a” 20 of 20 steps."]  # after steps 1, 5, 9, 13, 17 and 20
    [run] = monitor.shown["runs"]
    assert run["ends"] == {"steps": 20, "tokens": 200, "FLOPs": 2e7, "seconds": 2.0} and run[
        "evaluations"
    ] == [(10, 2.0)]
    monitor.follow("b")(report(1))
    monitor.diverged("b", ArithmeticError("step 2: the loss is nan"))
    assert seen[-1] == "2 runs: “a” 20 of 20 steps; “b” 1 of 20 steps, diverged."


def test_a_restart_is_named_and_its_seconds_go_on():
    monitor = RunMonitor()
    told = monitor.follow("a", tokens=10)
    for step, began in ((1, 0), (2, 0), (3, 0), (4, 0), (3, 2), (4, 2), (5, 2)):
        told(report(step, loss=float(step), began=began))
    log = monitor._followed["a"]
    assert log["restarts"] == [3] and log["losses"] == [1, 2, 3, 4, 5]
    assert log["seconds"] == pytest.approx(0.4 + 0.3)  # four steps, then three more
    later = monitor.follow("from a checkpoint")
    later(report(8, began=7))
    later(report(9, began=7))
    log = monitor._followed["from a checkpoint"]
    assert log["losses"] == [None] * 7 + [3.0] * 2 and log["restarts"] == [8]
    monitor.refresh()
    assert monitor.found[1]["notes"] == ["restarted with step 8"]


def test_a_gpu_reports_every_sixteenth_step_and_that_is_no_restart():
    monitor = RunMonitor()
    told = monitor.follow("a", tokens=10)
    told(report(16, steps=64))
    told(report(32, steps=64))
    log = monitor._followed["a"]
    assert log["restarts"] == [] and log["seconds"] == pytest.approx(3.2)
    told(
        report(40, steps=64, began=24)
    )  # from a checkpoint; the 8 steps after it are lost, not their seconds
    assert log["restarts"] == [25] and log["losses"] == [*[None] * 15, 3.0, *[None] * 23, 3.0]
    assert log["seconds"] == pytest.approx(3.2 + 1.6)


def test_seconds_that_nobody_knows_are_counted_as_if_at_the_speed_of_now():
    monitor = RunMonitor()
    monitor.follow("a", tokens=10)(report(10_001, steps=20_000, began=10_000))
    log = monitor._followed["a"]
    assert log["tokens"] / log["seconds"] == pytest.approx(100.0)


def test_a_restart_keeps_the_evaluations_before_it_and_takes_those_after_it_anew():
    monitor = RunMonitor()
    told = monitor.follow("a")
    seen = [(1, None, 0, 0), (2, 9.0, 2, 0), (4, 8.0, 4, 0), (3, 9.0, 2, 2), (4, 1.0, 4, 2)]
    for step, value, at, began in seen:
        told(report(step, value=value, evaluated=at, began=began))
    assert monitor._followed["a"]["evaluations"] == [(2, 9.0), (4, 1.0)]


def test_a_ninth_run_is_refused_before_it_trains():
    monitor = RunMonitor(lambda: {"old": {"losses": FALL}})
    for name in "abcdefg":
        monitor.follow(name)(report(1))
    monitor.follow("a")  # once more is no ninth
    with pytest.raises(ValueError, match="at most 8 runs can be told apart: follow “h” in another"):
        monitor.follow("h")
    monitor.refresh()
    assert len(monitor.found) == 8


def test_a_run_that_began_later_and_diverges_is_cut_in_the_picture(recwarn):
    monitor, figure = RunMonitor({"a": {"losses": [None, None, 3.0, *FALL, 900.0]}}), Figure()
    monitor.picture(figure)
    assert figure.axes[0].get_ylim()[1] == pytest.approx(1.15 * 3)
    assert not recwarn.list


def test_logs_that_grow_are_asked_for_again_and_one_that_fails_leaves_the_widget_as_it_was():
    losses = [2.0]
    monitor = RunMonitor(lambda: {"a": {"losses": losses, "steps": 1 // (5 - len(losses)) + 9}})
    losses.append(1.0)
    monitor._answer(monitor, {"id": "me/1"}, [])
    assert "“a” 0 % of 9 steps" in monitor.shown["sentence"] and monitor.found[0]["done"] == "2 of 9"
    losses += [1.0] * 3
    monitor._answer(monitor, {"id": "me/2"}, [])
    assert "ZeroDivisionError" in monitor.shown["problem"] and monitor.found[0]["done"] == "2 of 9"


def test_the_sentence_of_logs_has_numbers_and_what_is_not_known_is_noticed():
    monitor = RunMonitor(
        {"a": {"losses": FALL, "evaluations": [[200, 2.5]]}, "b": {"losses": [1.0], "flops": 5}}
    )
    assert "“a” 200 of 200 steps, loss 0.70 nats, validation 2.500 bits, 0 spikes; “b”" in repr(monitor)
    monitor.handle({"x": "FLOPs"})
    assert monitor.notices() == ["Of “a” the FLOPs are not known, so nothing is drawn."]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({str(i): {"losses": []} for i in range(9)}, "at most 8 runs can be told apart; got 9"),
        ({"a": {}}, "the log of “a” is a dict with losses"),
        ({"a": [1, 2]}, r"got \[1, 2\]"),
        *[
            ({"a": {"losses": FALL} | wrong}, f"the log of “a” is a dict with losses.* fails with {kind}")
            for wrong, kind in [
                ({"losses": 5}, "TypeError"),
                ({"evaluations": None}, "TypeError"),
                ({"evaluations": [[1, None]]}, "TypeError"),
                ({"evaluations": [[2]]}, "ValueError"),
                ({"evaluations": [[]]}, "IndexError"),
                ({"spikes": [{"loss": 2.0, "usual": 1.0}]}, "KeyError"),
                ({"steps": math.inf}, "OverflowError"),
            ]
        ],
    ],
)
def test_bad_input_is_refused_in_a_sentence(runs, message):
    with pytest.raises(ValueError, match=message):
        RunMonitor(runs)


def test_names_may_be_anything_and_the_picture_gives_no_warning(recwarn):
    monitor = RunMonitor({name: {"losses": FALL, "evaluations": [[9, 2.0]]} for name in ODD})
    for asked in ({"log": True}, {"x": "tokens"}):  # of which nothing is known
        monitor.handle(asked)
        assert monitor.png()
    assert not recwarn.list
