"""A sealed prediction: first the bet, then the run, once; and the seal tells a bet that was changed."""

import math

import pytest

from course_utils.learner import progress
from course_utils.learner.sealed_prediction import SealedPrediction

CHIPS = [10, 60, 30]


@pytest.fixture(autouse=True)
def fresh_progress(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_WORK", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_opened", {})


def sealed(run=lambda: 2.05, id="11.x"):
    return SealedPrediction(id, "What will it lose?", [2.0, 2.1], run)


def test_the_run_waits_for_the_bet_and_is_made_once():
    made = []
    prediction = sealed(lambda: made.append(1) or 2.05)
    with pytest.raises(ValueError, match="place the bet first"):
        prediction.handle({"run": True})
    prediction.place(CHIPS)
    assert made == [] and prediction.seal in prediction.describe()
    prediction.handle({"run": True})
    assert "“2.00 to 2.10” came true; 60 of your 100 chips were on it: 0.74 bits" in prediction.describe()
    assert "The run came to 2.050." in prediction.describe()
    with pytest.raises(ValueError, match="put to the test once"):
        prediction.handle({"run": True})
    assert made == [1]


@pytest.mark.parametrize(
    ("came", "option"),
    [(1.9, "below 2.00"), (2.0, "2.00 to 2.10"), (2.1, "2.10 or more"), (9, "2.10 or more")],
)
def test_each_value_lies_in_one_range(came, option):
    prediction = sealed(lambda: came)
    prediction.place(CHIPS)
    prediction.handle({"run": True})
    assert f"“{option}” came true" in prediction.describe()


def test_the_seal_is_of_question_ranges_and_chips():
    one, other = sealed(id="11.a"), sealed(id="11.b")
    assert one.seal == ""
    one.place(CHIPS)
    other.place(CHIPS[::-1])
    assert len(one.seal) == 16 and one.seal != other.seal
    assert sealed(id="11.a").seal == one.seal  # the next morning too


def test_a_bet_that_is_edited_while_the_run_is_under_way_settles_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    file = tmp_path / ".course" / "progress.json"

    def tamper():
        file.write_text(file.read_text().replace(": 60", ": 0").replace(": 10", ": 70"))
        return 1.9

    prediction = sealed(tamper)
    prediction.place(CHIPS)
    with pytest.raises(ValueError, match="the bet changed"):
        prediction.handle({"run": True})
    assert "came true" not in prediction.describe() and '"result": null' in file.read_text()


def test_a_run_that_diverged_settles_nothing():
    prediction = sealed(lambda: math.nan)
    prediction.place(CHIPS)
    with pytest.raises(ValueError, match="diverged, and nothing is settled"):
        prediction.handle({"run": True})
    assert "placed: 10" in prediction.describe()


@pytest.mark.parametrize("edges", [[], [2.1, 2.0], [2.0, 2.0]])
def test_edges_rise(edges):
    with pytest.raises(ValueError, match="edges rise"):
        SealedPrediction("11.x", "What?", edges, float)


def test_edges_settle_as_they_are_shown():
    prediction = SealedPrediction("11.x", "What?", [0.1 + 0.2, 0.4], lambda: 0.3)
    prediction.place(CHIPS)
    prediction.handle({"run": True})
    assert "“0.30 to 0.40” came true" in prediction.describe()
    with pytest.raises(ValueError, match=r"at most 2 digits after the point; got \[2\.0, 2\.125\]"):
        SealedPrediction("11.x", "What?", [2.0, 2.125], float)
    prediction = SealedPrediction("11.x", "What?", [2.0, 2.125], lambda: 2.1249, digits=3)
    prediction.place(CHIPS)
    prediction.handle({"run": True})
    assert prediction.view()["came"] == "2.1249" and "The run came to 2.1249." in prediction.describe()
    assert "“2.000 to 2.125” came true" in prediction.describe()


def test_the_picture_shows_the_seal(recwarn):
    prediction = sealed()
    prediction.place(CHIPS)
    assert prediction.png() and not recwarn.list
