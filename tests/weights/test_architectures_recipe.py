"""The four are equal in what they may spend, and are asked for the same tokens."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from verse_recipes import SHAPE, forget, holds_what_was_asked, make_small

from course_utils.seq2seq import T5, DecoderOnly, pair_loss
from course_utils.weights import architectures_recipe as recipe
from course_utils.weights import recording

RECORDED = recipe.TABLE
A_STEP = 1504.17  # tokens of a batch of pairs
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    make_small(monkeypatch)
    monkeypatch.setattr(recipe, "TABLE", tmp_path / "architectures.csv")
    yield
    forget()


def built(name):
    torch.manual_seed(0)
    architecture = recipe.ARCHITECTURES[name]
    return architecture.build(architecture.shape)


def test_pairs_that_are_too_long_are_left_out():
    found = recipe.encoded("train")
    assert [verse.number for verse, _ in found] == [i for i in range(40) if i != 5]
    verse, (source, target) = found[0]
    assert source[-1] == recipe.MARKS.end and recipe.tokenizer().decode(source[:-1]) == verse.old
    assert recipe.tokenizer().decode(target) == verse.new and recipe.tokenizer().vocab_size <= recipe.N_TOKENS


def test_special_ids_are_no_tokens_of_the_text():
    special = [*{recipe.MARKS.pad, recipe.MARKS.end}, *recipe.SENTINELS]
    assert sorted(special) == [*range(recipe.N_TOKENS, SHAPE.vocab_size)]


def test_a_step_costs_what_its_mean_pair_costs():
    architecture = recipe.ARCHITECTURES["prefix LM, P"]
    pairs = [([5] * 3, [7] * 4), ([5] * 9, [7] * 2)]
    costs = [architecture.training_flops(3, 5), architecture.training_flops(9, 3)]
    assert recipe.a_step(architecture, pairs) == recipe.ROWS * sum(costs) / 2
    weights = 2 * (4 * 16 * 16 + 2 * 16 * 24)
    assert costs[0] == 6 * (8 * weights + 5 * SHAPE.vocab_size * 16) + 12 * 2 * 16 * 8 * 8


def test_parameters_are_p_or_twice_p(monkeypatch):
    monkeypatch.undo()  # of the recorded shape; embeddings apart, which all share
    stacks = {
        name: recording.n_parameters(built(name)) - recipe.SHAPE.vocab_size * 128
        for name in recipe.ARCHITECTURES
    }
    p = stacks["prefix LM, P"]
    assert stacks["causal LM, P"] == p
    assert stacks["encoder-decoder, 2P"] / p == pytest.approx(2, abs=0.4)


def test_only_the_mask_tells_the_two_decoders_apart():
    prefix, causal = built("prefix LM, P"), built("causal LM, P")
    assert isinstance(prefix, DecoderOnly) and not prefix.causal and causal.causal
    for one, other in zip(prefix.parameters(), causal.parameters(), strict=True):
        assert torch.equal(one, other)
    assert isinstance(built("encoder-decoder, 2P"), T5)


@pytest.mark.parametrize("name", recipe.ARCHITECTURES)
@pytest.mark.parametrize("other", [False, True], ids=["", "after another source"])
def test_bits_are_of_the_modern_verses_one_by_one(name, other):
    model, nats = built(name).eval(), 0.0
    pairs = sorted((pair for _, pair in recipe.encoded("validation")), key=lambda pair: sum(map(len, pair)))
    for i, (_, target) in enumerate(pairs):
        source = pairs[(i + other) % len(pairs)][0]
        row = torch.tensor([[recipe.MARKS.start, *target, recipe.MARKS.end]])
        batch = torch.tensor([source]), torch.tensor([len(source)]), row
        with torch.no_grad():
            nats += pair_loss(model, batch, None)[0].item() * (len(target) + 1)
    expected = nats / math.log(2) / sum(len(verse.new) for verse in recipe.verses().validation)
    assert recipe.bits_per_byte(model, "validation", other) == pytest.approx(expected, rel=0.01)


def test_each_spends_the_budget_and_the_test_waits_for_the_choice(monkeypatch):
    a_step = recipe.a_step(
        recipe.ARCHITECTURES["encoder-decoder, 2P"], [pair for _, pair in recipe.encoded("train")]
    )
    monkeypatch.setattr(recipe, "BUDGET", 50 * a_step)
    monkeypatch.setattr(recipe, "trained", lambda *run: SimpleNamespace(seconds=1.0))
    monkeypatch.setattr(recipe, "ARCHITECTURES", dict([*recipe.ARCHITECTURES.items()][::2]))
    recipe.main(recipe.TABLE.parent / "build")
    holds_what_was_asked(
        recording.read_table(recipe.TABLE), recipe.ARCHITECTURES, recipe.RATES, "architecture"
    )


def test_the_tokens_of_a_step():
    assert recipe.step_tokens([([5, 6], [7, 8]), ([5], [7])]) == recipe.ROWS * (5 + 3) / 2


def test_it_trains():
    pairs = [pair for _, pair in recipe.encoded("train")]
    model = built("causal LM, P")
    before = recipe.bits_per_byte(model, "validation")
    assert recipe.trained(model, pairs, 20, 0.1, seed=0).step == 20
    assert recipe.bits_per_byte(model, "validation") < before - 0.5


def test_the_recorded_table_holds_what_was_asked():
    """The best rate lies within the sweep, not at its edge."""
    table = recording.read_table(RECORDED)
    holds_what_was_asked(table, recipe.ARCHITECTURES, recipe.RATES, "architecture")
    assert {row["architecture"] for row in table} == {*recipe.ARCHITECTURES}
    final = {float(row["learning_rate"]) for row in table if row["test_bits"]}
    assert min(recipe.RATES) < min(final) and max(final) < max(recipe.RATES)


def test_what_the_chapter_says_of_the_table():
    """The decoders are ahead by more than seeds differ, and level; each costs more after a wrong source."""
    bits, after_another = {}, {}
    for row in recording.read_table(RECORDED):
        if row["test_bits"]:
            bits.setdefault(row["architecture"], []).append(float(row["test_bits"]))
            after_another.setdefault(row["architecture"], []).append(float(row["other_source_bits"]))
    prefix, causal, both = (bits[name] for name in ("prefix LM, P", "causal LM, P", "encoder-decoder, 2P"))
    assert max(prefix + causal) < min(both)
    assert min(prefix) < max(causal) and min(causal) < max(prefix)
    more = {name: np.mean(after_another[name]) - np.mean(bits[name]) for name in bits}
    expected = {"encoder-decoder, 2P": 0.42, "prefix LM, P": 0.31, "causal LM, P": 0.34}
    assert more == pytest.approx(expected, abs=0.006)


def test_the_recorded_counts_are_those_of_the_models(monkeypatch):
    monkeypatch.undo()
    for row in recording.read_table(RECORDED):
        assert int(row["parameters"]) == recording.n_parameters(built(row["architecture"]))
        assert float(row["flops"]) == pytest.approx(recipe.BUDGET, rel=0.01)
        assert int(row["tokens"]) / int(row["steps"]) == pytest.approx(A_STEP, rel=1e-4)
