"""The encoder-decoders: padding must not matter, writing step by step must equal reading the true target, and
a run must resume."""

import copy
import itertools
import statistics

import numpy as np
import pytest
import torch
from torch.nn import functional

from course_utils import seq2seq
from course_utils.seq2seq import (
    T5,
    DecoderOnly,
    EncoderDecoder,
    GRUSeq2Seq,
    Marks,
    Pairs,
    T5Config,
    pair_loss,
)
from course_utils.seq2seq.bart import BART, BARTConfig
from course_utils.tokenizers.symbols import END, PAD, START
from course_utils.training import TrainConfig, train
from course_utils.transformer import BlockConfig

pytestmark = pytest.mark.usefixtures("one_thread")

SOURCES = [[3, 4, 5], [6], [7, 3, 4, 5, 6, 7, 8], [8, 8]]
TARGETS = [[5, 4, 3], [6, 6], [8, 7], [4]]
HEADS = pytest.mark.parametrize("n_heads", [0, 1, 2])


def built(n_heads, d_hidden=8):
    torch.manual_seed(0)
    return GRUSeq2Seq(9, 10, 6, d_hidden, n_heads)


def batch(count=4):
    source, lengths = seq2seq.padded(SOURCES[:count])
    target, _ = seq2seq.padded([[START, *target, END] for target in TARGETS[:count]])
    return source, lengths, target


# ---- pairs -----------------------------------------------------------------------------------------------


def test_padding_and_lengths():
    source, lengths = seq2seq.padded([[3, 4, 5], [6]])
    assert source.tolist() == [[3, 4, 5], [6, PAD, PAD]] and lengths.tolist() == [3, 1]
    for rows in ([], [[3], []]):
        with pytest.raises(ValueError, match="expected rows of at least one id each"):
            seq2seq.padded(rows)


@pytest.mark.parametrize("pool", [1, 3])
def test_a_batch_is_cut_to_its_longest_rows(pool):
    pairs = Pairs(SOURCES, TARGETS, batch_size=2, pool=pool)
    seen = set()
    for _ in range(40):
        source, lengths, target = pairs.next()
        assert source.shape == (2, lengths.max())
        assert (target != PAD).sum(1).max() == target.shape[1]
        for row, length, written in zip(source.tolist(), lengths.tolist(), target.tolist(), strict=True):
            which = SOURCES.index(row[:length])
            assert set(row[length:]) <= {PAD}
            assert [i for i in written if i != PAD] == [START, *TARGETS[which], END]
            seen.add(which)
    assert seen == {0, 1, 2, 3}


def test_the_batches_of_a_pool_have_rows_of_like_length_and_come_in_random_order():
    rows = [[3] * length for length in range(1, 21)]

    def pools(pool):
        pairs = Pairs(rows, rows, batch_size=4, seed=1, pool=pool)
        return [[sorted(pairs.next()[1].tolist()) for _ in range(5)] for _ in range(30)]

    for batches in pools(5):
        in_order = sorted(batches)
        assert all(shorter[-1] <= longer[0] for shorter, longer in itertools.pairwise(in_order))
    assert len({batches.index(min(batches)) for batches in pools(5)}) == 5
    assert any(max(batch) - min(batch) > 12 for batch in itertools.chain(*pools(1)))
    lengths = [length for batch in itertools.chain(*pools(5)) for length in batch]
    assert set(lengths) == set(range(1, 21)) and abs(statistics.mean(lengths) - 10.5) < 1


@pytest.mark.parametrize("pool", [1, 3])
def test_pairs_come_in_pairs_and_go_on_where_they_stopped(pool):
    with pytest.raises(ValueError, match="got 4 sources, 3 targets, 2 and 1"):
        Pairs(SOURCES, TARGETS[:3], batch_size=2)
    with pytest.raises(ValueError, match="got 4 sources, 4 targets, 2 and 0"):
        Pairs(SOURCES, TARGETS, batch_size=2, pool=0)
    pairs, other = (Pairs(SOURCES, TARGETS, 2, seed=seed, pool=pool) for seed in (1, 2))
    pairs.next()
    state = pairs.state()
    other.restore(state)
    for _ in range(5):
        for one, two in zip(pairs.next(), other.next(), strict=True):
            assert torch.equal(one, two)
    with pytest.raises(ValueError, match=r"batches of 3, drawn . at once; got .* batches of 2, drawn"):
        Pairs(SOURCES, TARGETS, 3, pool=pool).restore(state)
    for others in ((SOURCES[::-1], TARGETS), (SOURCES, [TARGETS[0], [6, 5], *TARGETS[2:]])):
        same_shape = Pairs(*others, 2, pool=pool)
        before = same_shape.state()
        with pytest.raises(ValueError, match="got others of the same shape"):
            same_shape.restore(state)
        assert all(torch.equal(value, before[name]) for name, value in same_shape.state().items())
    with pytest.raises(ValueError, match="or an older course's run, which doesn't tell"):
        pairs.restore({name: value for name, value in state.items() if name != "sha256"})
    older = {"shape": state["shape"][:5], "generator": state["generator"]}
    with pytest.raises(ValueError, match=r"of 2, drawn . at once; got pairs as an older course drew them"):
        pairs.restore(older)


def test_symbols_are_marked_as_the_models_expect():
    assert Marks() == (PAD, START, END) == (seq2seq.PAD, seq2seq.START, seq2seq.END)


def test_other_ids_for_padding_start_and_end():
    """The same task with its ids turned round gives the same batches, losses and answers, turned round."""
    marks = Marks(pad=9, start=8, end=7)
    there = torch.tensor([9, 8, 7, 3, 4, 5, 6, 2, 1, 0])  # an id of the symbols -> here
    turned = [[[there[i].item() for i in row] for row in rows] for rows in (SOURCES, TARGETS)]
    pairs, others = Pairs(SOURCES, TARGETS, 3, seed=1), Pairs(*turned, 3, seed=1, marks=marks)
    torch.manual_seed(6)
    model = GRUSeq2Seq(10, 10, 6, 8, 2)
    with torch.no_grad():
        model.head.weight.mul_(4)  # so that it ends some targets
        other = copy.deepcopy(model)
        other.marks = marks
        for part in (other.source_embedding, other.target_embedding, other.head):
            for weights in part.parameters():
                weights.copy_(weights[there.argsort()])
    for _ in range(3):
        batch, turned_batch = pairs.next(), others.next()
        assert torch.equal(there[batch[0]], turned_batch[0]) and torch.equal(there[batch[2]], turned_batch[2])
        losses = pair_loss(model, batch, None)[0], pair_loss(other, turned_batch, None)[0]
        torch.testing.assert_close(*losses)
    for size in (None, 2):
        written = seq2seq.greedy(model, SOURCES, 9, size)
        assert any(0 < len(row) < 9 for row in written)
        assert seq2seq.greedy(other, turned[0], 9, size) == [there[row].tolist() for row in written]
    weights = seq2seq.cross_weights(model, SOURCES[2], TARGETS[2])
    torch.testing.assert_close(seq2seq.cross_weights(other, turned[0][2], turned[1][2]), weights)
    with pytest.raises(ValueError, match="another id for the end than for padding; got 0 for both"):
        Pairs(SOURCES, TARGETS, 2, marks=Marks(end=0))


# ---- the models ------------------------------------------------------------------------------------------


ALL_KINDS = {
    "GRU": lambda: built(2),
    "2017": lambda: EncoderDecoder(9, 10, BlockConfig(8, 2), 2),
    "T5": lambda: T5(T5Config(10, 8, n_layers=2, n_heads=2, d_ff=16, d_head=4)),
    "BART": lambda: BART(BARTConfig(10, 8, 2, 2, 16, 16)),
    "decoder": lambda: DecoderOnly(T5Config(10, 8, n_layers=2, n_heads=2, d_ff=16, d_head=4)),
}


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_logits_of_chosen_tokens_alone(kind):
    torch.manual_seed(0)
    model, (source, lengths, target) = ALL_KINDS[kind]().eval(), batch()
    chosen = target % 2 == 1
    with torch.no_grad():
        whole, few = model(source, lengths, target), model(source, lengths, target, chosen)
    assert 0 < len(few) < target.numel() and whole.std() > 0.01
    torch.testing.assert_close(few, whole[chosen])


@HEADS
def test_padding_does_not_matter(n_heads):
    model = built(n_heads).double()
    source, lengths, target = batch()
    together = model(source, lengths, target)
    for i, (own, length) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone = model(*seq2seq.padded([own]), target[i : i + 1])
        torch.testing.assert_close(together[i : i + 1, : len(length) + 2], alone[:, : len(length) + 2])
    wider = functional.pad(source, (0, 3), value=5)  # whatever stands in the padding
    torch.testing.assert_close(model(wider, lengths, target), together)
    more = model(wider, lengths + 3, target)
    assert not torch.allclose(more, together)  # as source, the same ids do matter


@HEADS
def test_teacher_forcing_equals_step_by_step(n_heads):
    model = built(n_heads).double()
    source, lengths, target = batch()
    memory, state, steps = model.encode(source, lengths), None, []
    for t in range(target.shape[1]):
        logits, state = model.decode(target[:, t : t + 1], memory, state)
        steps.append(logits)
    torch.testing.assert_close(torch.cat(steps, dim=1), model(source, lengths, target))


def test_a_later_target_token_changes_nothing_before_it():
    model = built(2)
    source, lengths, target = batch()
    changed = target.clone()
    changed[:, 2] = 9
    before, after = model(source, lengths, target), model(source, lengths, changed)
    torch.testing.assert_close(before[:, :2], after[:, :2], rtol=0, atol=0)
    assert not torch.allclose(before[:, 2:], after[:, 2:])


def test_without_attention_one_vector_is_all_there_is():
    plain, attentive = built(0), built(2)
    source, lengths, target = batch(1)
    for model, same in ((plain, True), (attentive, False)):
        memory = model.encode(source, lengths)
        other = seq2seq.GRUMemory(torch.randn_like(memory.states), memory.mask, memory.last)
        one, two = model.decode(target, memory)[0], model.decode(target, other)[0]
        assert torch.equal(one, two) == same


def test_widths_that_do_not_divide():
    with pytest.raises(ValueError, match="d_hidden must be even, for the encoder's two directions; got 7"):
        GRUSeq2Seq(9, 10, 6, 7)
    with pytest.raises(ValueError, match="n_heads must divide d_model"):
        GRUSeq2Seq(9, 10, 6, 8, n_heads=3)


# ---- training and writing --------------------------------------------------------------------------------


def test_the_loss_counts_no_padding():
    model = built(2).double()
    together = pair_loss(model, batch(), None)[0]
    sums = tokens = 0
    for source, target in zip(SOURCES, TARGETS, strict=True):
        alone = (*seq2seq.padded([source]), torch.tensor([[START, *target, END]]))
        sums, tokens = (
            sums + pair_loss(model, alone, None)[0] * (len(target) + 1),
            tokens + len(target) + 1,
        )
    torch.testing.assert_close(together, sums / tokens)


@pytest.mark.parametrize("n_heads", [0, 2])
def test_it_learns_by_heart_and_writes_it_down(n_heads):
    model = built(n_heads, d_hidden=32)
    config = TrainConfig(steps=150, learning_rate=0.02, warmup_steps=5)
    run = train(model, Pairs(SOURCES, TARGETS, 8), config, loss=pair_loss)
    assert run.losses[-1] < 0.05 < run.losses[0]
    assert seq2seq.greedy(model, SOURCES) == TARGETS
    assert all(seq2seq.greedy(model, SOURCES, batch_size=n) == TARGETS for n in (1, 2, 3, 9))
    assert seq2seq.greedy(model, SOURCES, max_new=1) == [target[:1] for target in TARGETS]
    assert model.training


def test_no_run_of_tokens_is_written_twice():
    assert seq2seq.repeats([1, 2, 3, 1, 2], 3) == [3]
    assert seq2seq.repeats([5, 5, 5], 2) == [5, 5]
    assert seq2seq.repeats([1, 2], 3) == seq2seq.repeats([1], 4) == []
    model = built(2, d_hidden=32)
    targets = [[3, 4, 5, 6] * 3] * len(SOURCES)
    config = TrainConfig(steps=200, learning_rate=0.02, warmup_steps=5)
    train(model, Pairs(SOURCES, targets, 8), config, loss=pair_loss)
    assert seq2seq.greedy(model, SOURCES) == targets
    for length in 2, 4:
        for row in seq2seq.greedy(model, SOURCES, no_repeat=length, batch_size=2):
            runs = [tuple(row[i : i + length]) for i in range(len(row) - length + 1)]
            assert len({*runs}) == len(runs) and row[:4] == [3, 4, 5, 6]


@pytest.mark.parametrize("n_heads", [0, 2])
def test_a_stopped_run_goes_on_bit_by_bit(n_heads, tmp_path):
    config = TrainConfig(steps=12, learning_rate=0.01, warmup_steps=3, evaluate_every=5)

    def run(checkpoint, report=None):
        model, pairs = built(n_heads), Pairs(SOURCES, TARGETS, 3, pool=2)
        return model, train(model, pairs, config, loss=pair_loss, report=report, checkpoint=checkpoint)

    def stop(progress):
        if progress.step == 7:
            raise RuntimeError("pulled the plug")  # two steps after a checkpoint

    model, whole = run(None)
    with pytest.raises(RuntimeError, match="pulled the plug"):
        run(tmp_path / "run.safetensors", stop)
    resumed_model, resumed = run(tmp_path / "run.safetensors")
    assert resumed.losses == whole.losses
    for one, two in zip(model.parameters(), resumed_model.parameters(), strict=True):
        assert torch.equal(one, two)


# ---- looking at and changing where it looks --------------------------------------------------------------


def test_the_weights_are_rows_of_shares_over_the_source():
    weights = seq2seq.cross_weights(built(2), SOURCES[2], TARGETS[0])
    assert weights.shape == (1, 2, 3, 7)  # layers, heads, target, source
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, 3))
    shorter = seq2seq.cross_weights(built(2), SOURCES[2], TARGETS[0][:2])
    torch.testing.assert_close(shorter, weights[:, :, :2])


def test_an_edit_lasts_as_long_as_it_is_asked_for():
    model = built(2)
    source, lengths, target = batch()
    before = model(source, lengths, target)
    with seq2seq.edit_cross_attention(model, lambda weights: weights):
        torch.testing.assert_close(model(source, lengths, target), before)
    with pytest.raises(RuntimeError), seq2seq.edit_cross_attention(model, lambda weights: weights * 0):
        nothing = model(source, lengths, target)
        raise RuntimeError
    assert not torch.allclose(nothing, before)
    torch.testing.assert_close(model(source, lengths, target), before, rtol=0, atol=0)
    with seq2seq.edit_cross_attention(model, lambda weights: weights * 0):
        with seq2seq.edit_cross_attention(model, lambda weights: weights):
            pass
        assert torch.equal(model(source, lengths, target), nothing)


def test_rows_may_be_arrays_and_an_answer_has_a_token_at_least():
    source, lengths = seq2seq.padded([np.array([3, 4, 5]), np.array([0])])
    assert source.tolist() == [[3, 4, 5], [0, 0, 0]] and lengths.tolist() == [3, 1]
    with pytest.raises(ValueError, match="1 at least; got 0"):
        seq2seq.greedy(None, [[3]], max_new=0)
