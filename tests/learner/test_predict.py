"""Predictions: whole chips, bits as defined, a bet that nobody can change or count twice."""

import json
import math
import re

import pytest

from course_utils.learner import progress
from course_utils.learner.predict import cost, predict, running_average, scored_bets, uniform

pytestmark = pytest.mark.usefixtures("in_memory")

OPTIONS = ["under 25 %", "25 to 50 %", "over 50 %", "all"]


@pytest.fixture
def work(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path / "my_work"))
    return tmp_path / "my_work"


def ask(id="1.pairs", options=OPTIONS):
    return predict(id, "How many pairs are new?", options)


def counted():
    return scored_bets(progress.current().read())


def restart():
    """What the next kernel finds."""
    progress._opened.clear()


def test_cost_in_bits():
    assert [cost(n) for n in (100, 50, 25, 1)] == pytest.approx([0, 1, 2, math.log2(100)])
    assert cost(0) == math.inf


@pytest.mark.parametrize("k", [2, 3, 7, 100])
def test_uniform_chips_are_whole_and_all_there(k):
    chips = uniform(k)
    assert sum(chips) == 100 and max(chips) - min(chips) <= 1


def test_an_open_bet_starts_uniform_and_tells_no_result():
    bet = ask()
    assert bet.shown["chips"] == [25, 25, 25, 25] and not bet.shown["placed"] and bet.shown["result"] == -1
    assert repr(bet) == (
        "Prediction: How many pairs are new? 100 chips, 4 options "
        "(“under 25 %”, “25 to 50 %”, “over 50 %”, “all”), no bet placed yet."
    )


def test_place_and_settle():
    bet = ask()
    bet.place([10, 40, 50, 0])
    assert "10 on “under 25 %”, 40 on “25 to 50 %”, 50 on “over 50 %”, 0 on “all”" in repr(bet)
    settled = bet.settle("over 50 %")
    assert (settled.bits, settled.uniform) == (1.0, 2.0)
    assert repr(settled) == (
        "“over 50 %” came true; 50 of your 100 chips were on it: 1.00 bits. Uniform guessing: 2.00 bits. "
        "Your average over 1 prediction: 1.00 bits; uniform guessing: 2.00 bits."
    )
    assert repr(bet) == repr(settled) and bet.shown["result"] == 2
    assert repr(settled) in settled._repr_html_()


def test_certainty_costs_nothing():
    bet = ask()
    bet.place([0, 0, 0, 100])
    assert "were on it: 0.00 bits." in repr(bet.settle("all"))


def test_the_average_runs_over_all_predictions(work):
    for id, options, chips, result in [
        ("1.a", OPTIONS, [50, 50, 0, 0], "under 25 %"),  # 1 bit of 2
        ("1.b", ["yes", "no"], [25, 75], "yes"),  # 2 bits of 1
        ("1.c", OPTIONS, [25, 25, 25, 25], "all"),  # 2 bits of 2
    ]:
        restart()
        bet = ask(id, options)
        bet.place(chips)
        said = repr(bet.settle(result))
    assert said.endswith("Your average over 3 predictions: 1.67 bits; uniform guessing: 1.67 bits.")
    assert [bet.bits for bet in counted()] == pytest.approx([1, 2, 2])


def test_no_chip_on_the_result_is_told_plainly_and_counts_half_a_chip():
    bet = ask()
    bet.place([0, 50, 50, 0])
    settled = bet.settle("all")
    assert settled.bits == math.inf
    assert "infinitely many bits, because you called it impossible" in repr(settled)
    assert "an average counts half a chip, 7.64 bits" in repr(settled)
    assert running_average(counted()).startswith("Your average over 1 prediction: 7.64 bits")


def test_without_a_bet_uniform_guessing_is_told_and_not_counted():
    settled = ask().settle("all")
    assert repr(settled) == (
        "“all” came true. No bet was placed, so nothing counts: uniform guessing costs 2.00 bits."
    )
    assert (
        (settled.bits, settled.uniform) == (2.0, 2.0) and counted() == [] and running_average(counted()) == ""
    )


def test_a_bet_after_the_result_was_shown_does_not_count(work):
    ask().settle("all")
    restart()
    bet = ask()
    assert "won't count" in repr(bet) and "came true" not in repr(bet) and bet.shown["result"] == -1
    bet.place([0, 0, 0, 100])
    assert repr(bet.settle("all")).endswith("so it doesn't count.")
    assert counted() == []


@pytest.mark.parametrize("settle_first", [True, False])
def test_running_the_cells_again_changes_nothing(work, settle_first):
    bet = ask()
    bet.place([10, 40, 50, 0])
    first = repr(bet.settle("over 50 %")) if settle_first else ""
    for _ in range(2):
        restart()
        again = ask()
        assert again.shown["placed"] and again.shown["chips"] == [10, 40, 50, 0]
        again.place([0, 0, 100, 0])
        assert again.shown["chips"] == [10, 40, 50, 0]
        second = repr(again.settle("over 50 %"))
        assert second == first or not settle_first
    assert counted() == [("How many pairs are new?", "over 50 %", 1.0, 2.0)]


def test_two_widgets_of_one_prediction_are_one_bet():
    one, other = ask(), ask()
    one.place([100, 0, 0, 0])
    other.place([0, 100, 0, 0])
    assert other.shown["chips"] == [100, 0, 0, 0]


@pytest.mark.parametrize(
    ("chips", "says"),
    [
        ([25, 25, 25, 24], "a bet is of 100 chips, no more, no fewer; got 99"),
        ([100, 100, 0, 0], "got 200"),
        ([110, -10, 0, 0], r"chips[0] is a whole number from 0 to 100; got 110"),
        ([50, 50], "chips is a list of 4, each a whole number from 0 to 100; got [50, 50]"),
        ([33.3, 33.3, 33.4, 0], "chips[0] is a whole number from 0 to 100; got 33.3"),
        ([True, 99, 0, 0], "chips[0] is a whole number from 0 to 100; got True"),
        (["25", 25, 25, 25], "chips[0] is a whole number from 0 to 100; got '25'"),
    ],
)
def test_chips_that_are_no_bet_are_refused(chips, says):
    bet = ask()
    with pytest.raises(ValueError, match=re.escape(says)):
        bet.place(chips)
    bet._answer(bet, {"id": "v/0", "chips": chips}, [])
    assert says in bet.shown["problem"] and bet.shown["answers"] == "v/0" and not bet.shown["placed"]


@pytest.mark.parametrize("options", [[], ["one"], ["a", "a"], [str(i) for i in range(101)]], ids=len)
def test_options_that_make_no_prediction_are_refused(options):
    with pytest.raises(ValueError, match="2 to 100 options"):
        ask(options=options)


def test_an_unknown_result_is_refused():
    with pytest.raises(ValueError, match=r"the options are “under 25 %”.*; got 'most'"):
        ask().settle("most")


def test_a_chapter_that_changed_its_options_asks_anew(work):
    bet = ask()
    bet.place([10, 40, 50, 0])
    bet.settle("over 50 %")
    restart()
    changed = ask(options=["under 25 %", "over 25 %"])
    assert not changed.shown["placed"]
    changed.settle("over 25 %")
    assert counted() == []
    restart()
    assert json.loads((work / ".course" / "progress.json").read_text(encoding="utf-8"))["predictions"] == {
        "1.pairs": {
            "question": "How many pairs are new?",
            "chips": None,
            "placed": None,
            "result": "over 25 %",
            "counts": False,
        }
    }
    assert not (work / ".course" / "progress.damaged-1.json").exists() and progress.current()


def test_a_result_among_other_options_does_not_spoil_the_bet_on_the_new_ones(work):
    ask().settle("over 50 %")  # no bet was placed
    restart()
    ask(options=["yes", "no"]).place([60, 40])
    restart()
    assert not progress.current().read().problem
    changed = ask(options=["yes", "no"])
    assert changed.shown["placed"]
    assert "60 of your 100 chips were on it: 0.74 bits" in repr(changed.settle("yes")) and len(counted()) == 1


def test_only_the_order_of_the_options_changed(work):
    ask().place([10, 40, 50, 0])
    assert ask(options=OPTIONS[::-1]).shown["chips"] == [0, 50, 40, 10]


def test_what_the_progress_file_says_reaches_the_learner(work):
    bet = ask()
    (work / ".course" / "progress.json").mkdir(parents=True)  # a folder where the file should be
    bet._answer(bet, {"id": "v/0", "chips": [25, 25, 25, 25]}, [])
    assert "kept only until this kernel stops" in bet.shown["problem"] and bet.shown["placed"]


def test_hard_text_survives(work):
    options = ["</script>", "“quotes” $x$", "🎭", "אבג", "", " ", "\ud800"]
    bet = predict("1.hard", "Which? <b>", options)
    json.dumps(bet.shown).encode("utf-8")
    assert bet._repr_mimebundle_()["text/html"].count("<b>") == 0
    bet.place([40, 10, 10, 10, 10, 10, 10])
    bet.settle("\ud800")
    restart()
    assert predict("1.hard", "Which? <b>", options).shown["result"] == 6


def test_the_picture_is_drawn_in_all_states():
    bet = ask()
    pictures = [bet.png()]
    bet.place([10, 40, 50, 0])
    pictures.append(bet.png())
    bet.settle("all")
    pictures.append(bet.png())
    assert len(set(pictures)) == 3
