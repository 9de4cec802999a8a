"""Batches of span corruption: what they hold, that they are drawn anew, and that a run can be resumed."""

import numpy as np
import pytest
import torch

from course_utils.seq2seq import T5, Marks, T5Config, pair_loss
from course_utils.seq2seq.corrupted import CorruptedWindows
from course_utils.seq2seq.objectives import put_together
from course_utils.training import TrainConfig, train

MARKS = Marks(40, 40, 41)
SENTINELS = range(42, 60)
TEXT = np.arange(400) % 40


def batches(text=TEXT, seed=0, rate=0.2, rows=8, context=30):
    return CorruptedWindows(text, SENTINELS, rows, context, seed, rate=rate, marks=MARKS)


def whole(source, length, target):
    """The window that a row of a batch was made of."""
    assert source[length - 1] == 41 and set(source[length:].tolist()) <= {40}
    target = target.tolist()
    assert target[0] == 40 and target.count(41) == 1
    return put_together(source[: length - 1].tolist(), target[1 : target.index(41)], SENTINELS)


def test_each_row_is_a_window_of_the_text():
    source, lengths, target = batches().next()
    assert source.shape == (8, 30 - 6 + 2 + 1) and target.shape == (8, 1 + 6 + 2 + 1)
    for row in zip(source, lengths, target, strict=True):
        window = whole(*row)
        start = window[0]
        assert window == (np.arange(start, start + 30) % 40).tolist()


def test_a_window_is_damaged_anew_each_time():
    drawn = batches(TEXT[:30], rows=1)  # one window
    sources = {tuple(drawn.next()[0][0].tolist()) for _ in range(50)}
    assert len(sources) > 25  # of 115 ways
    assert {whole(*(x[0] for x in drawn.next()))[0] for _ in range(5)} == {0}


def test_every_place_of_the_text_is_read():
    drawn = batches(np.arange(32) % 40, rows=64)
    firsts = {whole(*row)[0] for row in zip(*drawn.next(), strict=True)}
    assert firsts == {0, 1, 2}


def test_a_resumed_run_reads_what_it_would_have_read():
    one, other = batches(), batches(seed=5)
    one.next()
    other.restore(one.state())
    for got, expected in zip(other.next(), one.next(), strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize(
    "other, message",
    [
        (batches(rate=0.3), "at rate 0.3 and"),
        (batches(rows=4), "batches of 4 x 30"),
        (batches(TEXT[:200]), "read 200 tokens"),
        (batches(TEXT[::-1]), "another text of this length"),
    ],
)
def test_another_run_is_refused(other, message):
    with pytest.raises(ValueError, match=message):
        batches().restore(other.state())


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"context": 401}, "got 8 and 401 for 400 tokens"),
        ({"rows": 0}, "a batch_size of at least 1"),
        ({"rate": 1.0}, "rate lies between 0 and 1"),
        ({"rate": 0.5, "context": 300}, "take a shorter text or fewer spans"),
    ],
)
def test_what_cannot_be_corrupted_is_refused_at_once(changes, message):
    with pytest.raises(ValueError, match=message):
        batches(**changes)


def test_a_t5_learns_from_them():
    torch.manual_seed(0)
    model = T5(T5Config(60, d_model=32, n_layers=1, n_heads=2, d_ff=64, d_head=16, marks=MARKS))
    config = TrainConfig(steps=150, learning_rate=0.01, warmup_steps=10, optimiser="muon")
    losses = train(model, batches(), config, loss=pair_loss).losses
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) / 2
