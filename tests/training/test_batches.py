"""Batches read what they should, in an order that can be continued."""

import hashlib
import itertools

import numpy as np
import pytest
import torch

from course_utils import training
from course_utils.training.batches import Epochs, Streams, Windows, epoch_order

TEXT = np.arange(100) % 50


@pytest.mark.parametrize("kind", [Streams, Windows, Epochs])
def test_targets_are_the_inputs_one_token_on(kind):
    batches = kind(TEXT, 50, batch_size=3, context=7)
    for _ in range(20):
        inputs, targets = batches.next()
        assert inputs.shape == targets.shape == (3, 7) and inputs.dtype == torch.int64
        assert torch.equal(targets, (inputs + 1) % 50)


def test_each_row_of_a_stream_reads_on_where_it_stopped():
    batches = Streams(TEXT, 50, batch_size=3, context=7)
    rows = torch.cat([batches.next()[0] for _ in range(30)], dim=1)
    for row, start in enumerate((0, 33, 66)):
        assert np.array_equal(rows[row], TEXT[(start + np.arange(210)) % 100])


def test_windows_reach_both_ends_of_the_text_and_nothing_beyond():
    text = np.arange(12)
    batches = Windows(text, 12, batch_size=2, context=5)
    firsts = {int(first) for _ in range(60) for first in batches.next()[0][:, 0]}
    assert firsts == set(range(7))  # the last window is 6 to 10, and predicts 11


def test_an_epoch_reads_every_window_once_and_the_next_in_another_order():
    batches = Epochs(np.arange(64), 64, batch_size=3, context=7)  # 9 windows; the last byte is only predicted
    epochs = [[int(first) for _ in range(3) for first in batches.next()[0][:, 0]] for _ in range(2)]
    assert all(sorted(epoch) == [*range(0, 63, 7)] for epoch in epochs) and epochs[0] != epochs[1]
    other = Epochs(np.arange(64), 64, batch_size=3, context=7, seed=1).next()[0][:, 0].tolist()
    assert other != epochs[0][:3]


@pytest.mark.parametrize("kind", [Streams, Windows, Epochs])
def test_a_restored_place_gives_the_same_batches(kind):
    batches = kind(TEXT, 50, batch_size=3, context=7)
    for _ in range(5):
        batches.next()
    place = batches.state()
    expected = [batches.next()[0] for _ in range(5)]
    other = kind(TEXT, 50, batch_size=3, context=7)
    other.restore(place)
    assert all(torch.equal(other.next()[0], inputs) for inputs in expected)


def test_a_restored_place_brings_its_seed_also_into_an_epoch_that_was_drawn_with_another():
    place, other = Epochs(TEXT, 50, 3, 7, seed=1), Epochs(TEXT, 50, 3, 7, seed=2)
    assert not torch.equal(place.next()[0], other.next()[0])
    other.restore(place.state())
    assert torch.equal(place.next()[0], other.next()[0])


def test_the_orders_are_those_that_recorded_runs_read():
    assert epoch_order(3, 1, 9).tolist() == [5, 1, 2, 4, 0, 7, 8, 6, 3]
    with pytest.raises(ValueError, match="read-only"):
        epoch_order(3, 1, 9)[0] = 0  # another batcher of that seed reads it too


@pytest.mark.parametrize("kind", [Streams, Windows, Epochs])
def test_a_place_in_another_text_is_refused(kind):
    place = kind(TEXT, 50, batch_size=3, context=7).state()
    for other in (kind(TEXT[:90], 50, 3, 7), kind(TEXT, 50, 2, 7), kind(TEXT, 50, 3, 8)):
        with pytest.raises(ValueError, match="the run to resume read a text of 100 tokens"):
            other.restore(place)


@pytest.mark.parametrize("kind, other", [*itertools.permutations([Streams, Windows, Epochs], 2)])
def test_a_place_of_another_way_to_read_is_refused(kind, other):
    with pytest.raises(ValueError, match=f"in another way than {other.__name__}"):
        other(TEXT, 50, 3, 7).restore(kind(TEXT, 50, 3, 7).state())


@pytest.mark.parametrize("kind", [Streams, Windows, Epochs])
def test_a_place_in_another_text_of_the_same_length_is_refused(kind):
    batches = kind(TEXT, 50, batch_size=3, context=7)
    changed = TEXT.copy()
    changed[-1] -= 1
    for text in (TEXT[::-1], changed):
        before = batches.state()
        with pytest.raises(ValueError, match=r"another text of 100 tokens, with the sha256 [0-9a-f]{12}"):
            batches.restore(kind(text, 50, batch_size=3, context=7).state())
        assert all(torch.equal(value, before[name]) for name, value in batches.state().items())
    batches.restore(kind(TEXT.astype(np.uint8), 50, batch_size=3, context=7).state())  # the same numbers


@pytest.mark.parametrize("kind", [Streams, Windows, Epochs])
def test_a_place_that_does_not_say_its_text_is_refused(kind):
    batches = kind(TEXT, 50, batch_size=3, context=7)
    with pytest.raises(ValueError, match="saved before a checkpoint kept its text's sha256"):
        batches.restore({key: value for key, value in batches.state().items() if key != "text_sha256"})


def test_each_token_of_a_long_text_counts(monkeypatch):
    monkeypatch.setattr(training.batches, "PIECE", 7)
    digests = set()
    for place in range(len(TEXT)):
        text = TEXT.copy()
        text[place] += 50
        digests.add(tuple(Windows(text, 100, 3, 7).state()["text_sha256"].tolist()))
    assert len(digests) == len(TEXT)


def test_the_text_is_hashed_once(monkeypatch):
    hashed = []
    monkeypatch.setattr(training.batches.hashlib, "sha256", lambda: hashed.append(1) or hashlib.new("sha256"))
    batches = Windows(TEXT, 50, batch_size=3, context=7)
    for _ in range(5):
        batches.restore(batches.state())
    assert len(hashed) == 1


def test_windows_overlap_and_a_seed_gives_the_windows_that_recorded_runs_read():
    """The recipes' results rest on these draws."""
    batches = Windows(np.arange(1000), 1000, batch_size=8, context=100, seed=3)
    starts = np.stack([batches.next()[0][:, 0].numpy() for _ in range(200)])
    assert starts[0].tolist() == [886, 248, 37, 867, 460, 480, 240, 425]
    between = np.diff(np.sort(starts, axis=1))
    assert ((between > 0) & (between < 100)).any(axis=1).mean() > 0.9  # of the batches
    assert (starts % 100 != 0).mean() > 0.9


def test_tokens_may_stay_on_disk(tmp_path):
    np.save(tmp_path / "tokens.npy", TEXT.astype(np.uint16))
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    from_disk, from_memory = Streams(mapped, 50, 3, 7), Streams(TEXT, 50, 3, 7)
    assert all(torch.equal(from_disk.next()[0], from_memory.next()[0]) for _ in range(20))


@pytest.mark.parametrize("kind", [Streams, Windows, Epochs])
@pytest.mark.parametrize(
    "tokens, batch_size, context, sentence",
    [
        (TEXT, 15, 7, "larger than the text, which has 100 tokens"),
        (TEXT, 1, 100, "larger than the text"),
        (TEXT[:0], 1, 1, "larger than the text"),
        (TEXT, 0, 7, "must be at least 1"),
        (TEXT, 3, 0, "must be at least 1"),
        (TEXT + 1, 3, 7, "tokens must be between 0 and 49; got 1 to 50"),
        (TEXT - 1, 3, 7, "tokens must be between 0 and 49; got -1 to 48"),
        (TEXT * 1.0, 3, 7, "1-D array of integers"),
        (TEXT[:, None], 3, 7, "1-D array of integers"),
        ("to be", 3, 7, "1-D array of integers"),
        (torch.arange(50), 3, 7, "1-D array of integers"),
    ],
)
def test_bad_input(kind, tokens, batch_size, context, sentence):
    with pytest.raises(ValueError, match=sentence):
        kind(tokens, 50, batch_size, context)
