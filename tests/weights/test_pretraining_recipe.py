"""The ways to pretrain: what each asks, and that all are tuned alike."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from verse_recipes import forget, holds_what_was_asked, make_small

from course_utils.seq2seq.objectives import put_together
from course_utils.weights import architectures_recipe, recording
from course_utils.weights import pretraining_recipe as recipe

RECORDED = recipe.TABLE
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    make_small(monkeypatch)
    monkeypatch.setattr(recipe, "verses", architectures_recipe.verses)
    monkeypatch.setattr(recipe, "LONGEST", 16)
    monkeypatch.setattr(recipe, "TABLE", tmp_path / "pretraining.csv")
    recipe.windows.cache_clear()
    yield
    forget()
    recipe.windows.cache_clear()


def test_windows_are_whole_and_of_both_bibles():
    found = recipe.windows()
    assert {len(window) for window in found} == {16}
    texts = [recipe.tokenizer().decode(window) for window in found]
    old = [text for text in texts if text == text.upper()]
    assert 0 < len(old) < len(texts)
    train = recipe.verses().train
    assert "".join(old) in "\n".join(verse.old for verse in train)


def test_what_is_asked_of_a_window():
    for window, (source, target) in zip(recipe.windows(), recipe.examples("span corruption", 0), strict=True):
        assert source[-1] == recipe.MARKS.end
        assert put_together(source[:-1], target, recipe.SENTINELS) == window
        assert len(target) < len(window) / 2
    for window, (source, target) in zip(recipe.windows(), recipe.examples("infilling", 0), strict=True):
        assert (
            target == window
            and recipe.SENTINELS[0] in source
            and {*source} - {*window}
            <= {
                recipe.SENTINELS[0],
                recipe.MARKS.end,
            }
        )
    for window, (source, target) in zip(recipe.windows(), recipe.examples("prefix LM", 0), strict=True):
        assert source[:-1] + target == window
    for window, (source, target) in zip(recipe.windows(), recipe.examples("next token", 0), strict=True):
        assert source == [recipe.MARKS.end] and target == window
    assert (
        recipe.examples("prefix LM", 0) == recipe.examples("prefix LM", 0) != recipe.examples("prefix LM", 1)
    )


def test_there_are_sentinels_enough_at_the_recorded_length():
    draws = torch.Generator().manual_seed(0)
    source, _ = recipe.OBJECTIVES["span corruption"]([*range(architectures_recipe.LONGEST)], draws)
    assert len({*source} & {*recipe.SENTINELS}) == 2 <= len(recipe.SENTINELS)


def test_each_is_tuned_alike_and_has_the_budget(monkeypatch):
    trained = []

    def noted(model, pairs, steps, rate, seed):
        trained.append((len(pairs), steps))
        return SimpleNamespace(seconds=1.0)

    pairs = [pair for _, pair in recipe.encoded("train")]
    a_step = recipe.a_step(recipe.MODEL, pairs)
    monkeypatch.setattr(recipe, "BUDGET", 40 * a_step)
    monkeypatch.setattr(recipe, "TUNING", 50)
    monkeypatch.setattr(recipe, "trained", noted)
    recipe.main(recipe.TABLE.parent / "build")
    table = recording.read_table(recipe.TABLE)
    holds_what_was_asked(
        [r for r in table if r["objective"] != "nothing"], [*recipe.OBJECTIVES], recipe.RATES, "objective"
    )
    for row in table:
        assert row["tuning_steps"] == ("90" if row["objective"] == "more pairs" else "50")
        assert (row["test_chrf"] != "") == (row["test_bits"] != "") == (row["seed"] != "10")
    assert len(trained) == (len(recipe.RATES) + len(recipe.SEEDS)) * (len(recipe.OBJECTIVES) * 2 + 2)
    assert {steps for rows, steps in trained if rows == len(pairs)} == {50, 90}


def test_a_translation_is_text_whatever_was_written(monkeypatch):
    sources = [source for _, (source, _) in recipe.encoded("test")]
    monkeypatch.setattr(
        recipe, "greedy", lambda model, sources, **_: [[72, 105, recipe.SENTINELS[0], recipe.MARKS.pad]] * 2
    )
    assert recipe.translate(None, sources) == [recipe.tokenizer().decode([72, 105])] * 2


def test_the_recorded_table_holds_what_was_asked():
    """No way has its best rate at the sweep's edge: the recipe says so."""
    table = recording.read_table(RECORDED)
    assert list(dict.fromkeys(row["objective"] for row in table)) == [*recipe.WAYS]
    for ways in ([way for way in recipe.WAYS if way != "nothing"], ["nothing"]):  # this one has less to spend
        rows = [row for row in table if row["objective"] in ways]
        holds_what_was_asked(rows, ways, recipe.RATES, "objective")
    edges = {str(rate) for rate in (min(recipe.RATES), max(recipe.RATES))}
    at_edge = {row["objective"] for row in table if row["test_bits"] and row["learning_rate"] in edges}
    assert not at_edge
    assert all(float(row["seconds"]) < 240 for row in table)
    a_step = {
        int(row["tokens"]) / int(row["tuning_steps"]) for row in table if row["pretraining_steps"] == "0"
    }
    assert max(a_step) == pytest.approx(min(a_step), rel=1e-4)  # of pairs
    tuning = {row["tuning_steps"] for row in table if row["objective"] != "more pairs"}
    assert tuning == {str(recipe.TUNING)}


def test_what_the_chapter_says_of_the_table():
    """By bits next token leads, by chrF more pairs; who hardly reads the source loses little with another."""
    found = {}
    for row in recording.read_table(RECORDED):
        if row["test_bits"]:
            scores = [float(row[name]) for name in ("test_bits", "other_source_bits", "test_chrf")]
            found.setdefault(row["objective"], []).append(scores)
    bits, after_another, score = ({name: np.array(x)[:, i] for name, x in found.items()} for i in range(3))
    order = ["next token", "more pairs", "infilling", "prefix LM", "nothing", "span corruption"]
    assert all(max(bits[a]) < min(bits[b]) for a, b in pairwise(order))
    assert min(score["more pairs"]) > max(score["infilling, 15 %"])
    assert min(score["infilling"]) > max(max(score[name]) for name in order[3:] + order[:1])
    more = {name: after_another[name].mean() - bits[name].mean() for name in bits}
    expected = {"next token": 0.23, "more pairs": 0.55, "span corruption": 0.08, "prefix LM": 0.06}
    assert {name: more[name] for name in expected} == pytest.approx(expected, abs=0.006)
