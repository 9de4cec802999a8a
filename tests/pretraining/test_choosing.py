"""How a size, a vocabulary and a loss spike are told."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from course_utils.finetuning.costs import costs
from course_utils.gpt import GPT
from course_utils.pretraining import model, plans, vocabulary
from course_utils.pretraining.model import llama_config
from course_utils.pretraining.plans import (
    PLANS,
    Plan,
    choose,
    memory_needed,
    memory_there,
    plan_named,
    rows_that_fit,
    shape,
    size,
)
from course_utils.pretraining.pretrain import Spike, Telling, spikes
from course_utils.scaling import Law
from course_utils.scaling.counting import flops
from course_utils.tokenizers import BPETokenizer
from course_utils.tokenizers.chat import SPECIAL
from course_utils.training import StepReport, next_token_loss

LAW = Law(A=14.3, B=113.1, E=1.2, alpha=0.34, beta=0.44)
LAPTOP = PLANS["laptop"]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("width", [64, 192, 512])
def test_sizes_and_flops_are_those_of_the_model(width):
    config = shape(width, 300, 32)
    model = GPT(config)
    assert size(config) == sum(parameter.numel() for parameter in model.parameters())
    counted = flops(model, torch.zeros(1, 32, dtype=torch.long)).training / 32
    assert plans.flops_per_token(config) == pytest.approx(counted, rel=0.02)


def test_the_law_decides_and_its_budget_is_spent():
    choice = choose(LAPTOP, LAW, 1024, 3.0, tokens=10**9)
    n, n_bytes = LAW.optimum(LAPTOP.flops * 3.0)
    assert choice.law_n == n and choice.law_tokens * 3.0 == n_bytes
    assert 0.6 < size(choice.config) / n < 1.6
    spent = choice.steps * LAPTOP.batch * LAPTOP.context * plans.flops_per_token(choice.config)
    assert spent == pytest.approx(LAPTOP.flops, rel=0.01)
    larger = choose(replace(LAPTOP, flops=100 * LAPTOP.flops), LAW, 1024, 3.0, tokens=10**12)
    assert size(larger.config) > 3 * size(choice.config) and larger.steps > choice.steps


def test_a_short_text_is_not_read_more_than_four_times():
    """The wrong variant takes the law at its word and reads it eighty times."""
    tokens = 50_000
    choice = choose(LAPTOP, LAW, 1024, 3.0, tokens)
    at_its_word = LAPTOP.flops / (6 * LAW.optimum(LAPTOP.flops * 3.0)[0]) / tokens
    assert at_its_word > 10 and choice.epochs < 1.3 * plans.EPOCHS


def test_a_plan_has_to_be_known():
    assert plan_named("evening").name == "evening"
    with pytest.raises(ValueError, match="there is no plan 'night': choose from laptop, evening, gpu"):
        plan_named("night")


def test_memory_is_asked_for_and_counted():
    there = memory_there(torch.device("cpu"))
    assert there is None or there > 2**26
    small, large = (memory_needed(shape(width, 300, 32), 8) for width in (64, 640))
    assert 4 * 5 * size(shape(64, 300, 32)) < small < large / 20


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("processes", [1, 2])
def test_as_many_rows_are_computed_at_once_as_memory_holds(device, processes, monkeypatch):
    config, rows, on = shape(256, 1024, 256), LAPTOP.batch // processes, torch.device(device)
    own = processes if device == "cpu" else 1  # GPUs are not shared
    for fit, at_once in {1: 1, 3: 3, rows - 1: rows // 2, rows + 1: rows}.items():
        monkeypatch.setattr(plans, "memory_there", lambda _: own * memory_needed(config, fit))  # noqa: B023
        assert rows_that_fit(LAPTOP, config, on, processes) == at_once
    monkeypatch.setattr(plans, "memory_there", lambda _: own * memory_needed(config, 1) - own)
    with pytest.raises(MemoryError, match=r"plan laptop trains .* GiB of memory; 0\.. GiB are"):
        rows_that_fit(LAPTOP, config, on, processes)
    monkeypatch.setattr(plans, "memory_there", lambda _: None)
    assert rows_that_fit(LAPTOP, config, on, processes) == rows


def test_shards_make_room(monkeypatch):
    config, gpu = shape(256, 1024, 256), torch.device("cuda")
    monkeypatch.setattr(plans, "memory_there", lambda _: memory_needed(config, 1, shards=2))
    assert rows_that_fit(LAPTOP, config, gpu, 2, shard=True) == 1
    with pytest.raises(MemoryError, match="needs, a row at a time, about"):
        rows_that_fit(LAPTOP, config, gpu, 2)


@pytest.mark.parametrize("free", [78, 139])
def test_the_plan_for_a_gpu_fits_into_one(free, monkeypatch):
    monkeypatch.setattr(plans, "memory_there", lambda _: free * 2**30)
    plans.check_memory(PLANS["gpu"], LAW, torch.device("cuda"), n_bytes=40.5e6)


def test_what_torch_keeps_of_a_gpu_after_a_trial_is_given_back_and_free_for_other_processes(monkeypatch):
    free = [10]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[-1], 80))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: free.append(65))
    assert memory_there(torch.device("cuda")) == 65 == free[-1]


@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize(("n_layers", "n_heads"), [(3, 1), (3, 16), (1, 16)])
def test_a_step_takes_no_more_memory_than_is_counted(monkeypatch, n_layers, n_heads, mixed):
    """Also where attention's weights are written out, as on a CPU that multiplies bfloat16."""
    monkeypatch.setattr("course_utils.attention.multiplies_bfloat16", lambda device: True)
    config = llama_config(vocab_size=300, context=256, n_layers=n_layers, n_heads=n_heads, d_model=64)
    model, ids = GPT(config), torch.zeros(2, 256, dtype=torch.long)

    def loss():
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            return next_token_loss(model, (ids, ids), None)[0]

    assert costs(model, loss).peak < memory_needed(config, 2)


TEXTS = ["the quick brown fox jumps over the lazy dog. " * 4, "pack my box with five dozen liquor jugs! " * 4]


def test_a_tokenizer_has_its_size_and_gives_every_text_back():
    tokenizer = vocabulary.train_tokenizer(TEXTS, 300)
    assert tokenizer.get_vocab_size() == 300
    for text in [*TEXTS, "Né 🦜\n\n<|im_end|>", ""]:
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    assert vocabulary.train_tokenizer(TEXTS, 300).to_str() == tokenizer.to_str()
    assert vocabulary.train_tokenizer(iter(TEXTS), 300).to_str() == tokenizer.to_str()


def test_each_text_is_followed_by_its_end():
    tokenizer = vocabulary.train_tokenizer(TEXTS, 300)
    ids, end = vocabulary.encode(tokenizer, ["ab", "", "ab"]), tokenizer.token_to_id("<|endoftext|>")
    assert ids.dtype == "<u2" and np.flatnonzero(ids == end).tolist() == [
        len(ids) // 2 - 1,
        len(ids) // 2,
        len(ids) - 1,
    ]


def test_a_vocabulary_has_room_for_bytes():
    with pytest.raises(ValueError, match="256 bytes and 3 special tokens; got a size of 258"):
        vocabulary.train_tokenizer(TEXTS, 258)


def test_trials_spend_the_same_compute_and_are_compared_in_bytes():
    plan = Plan("t", 1e9, (270, 300), 2e9, context=64, batch=4)
    rows = []
    for vocab_size in plan.vocabularies:
        tokenizer = vocabulary.train_tokenizer(TEXTS, vocab_size)
        rows.append(vocabulary.compare(tokenizer, plan, TEXTS * 5, TEXTS[0], torch.device("cpu")))
    assert rows[0]["flops"] == pytest.approx(rows[1]["flops"], rel=0.2)
    assert rows[0]["bytes_a_token"] < rows[1]["bytes_a_token"]
    assert all(0 < row["bits_per_byte"] < 6 for row in rows)
    assert (
        vocabulary.best([{"bits_per_byte": 2.0, "vocab_size": 9}, {"bits_per_byte": 2.0, "vocab_size": 8}])[
            "vocab_size"
        ]
        == 8
    )


# How a run is told


@pytest.mark.parametrize(("steps", "every"), [(12_345, 16), (10_000, 16), (10_000, 1)])
def test_a_run_is_told_forty_times_however_seldom_it_reports(steps, every):
    told = []
    telling = Telling(told.append)
    for step in [*range(every, steps, every), steps]:
        telling(StepReport(step, steps, 1.0, None, 0.1, 100.0, 60.0))
    assert 35 <= len(told) <= 41
    assert told[-1].startswith(f"  step {steps:,} of {steps:,}: loss 1.000 nats")


# Loss spikes


def quiet(n=400):
    draws = np.random.default_rng(0)
    return 3 + 2 / np.arange(1, n + 1) ** 0.5 + 0.05 * draws.standard_normal(n)


def test_a_quiet_run_has_no_spike():
    assert spikes(quiet()) == [] and spikes([]) == [] and spikes([9.0] * 200) == []


def test_a_spike_is_named_once_at_its_highest():
    losses = quiet()
    losses[200:204] += [0.8, 1.5, 1.0, 0.4]
    [spike] = spikes(losses)
    assert spike.step == 202 and spike.loss == losses[201] and spike.usual == pytest.approx(3.14, abs=0.03)
    assert str(spike) == f"loss spike at step 202: {spike.loss:.2f} nats, usual before it {spike.usual:.2f}"
    losses[300] += 2
    assert [s.step for s in spikes(losses)] == [202, 301]


def test_a_rise_that_stays_is_one_spike():
    losses = quiet()
    losses[200:] += 1
    assert [spike.step for spike in spikes(losses)][:1] == [s.step for s in spikes(losses)]
    assert isinstance(spikes(losses)[0], Spike)


def test_merges_learnt_elsewhere_make_the_same_tokens():
    text = "Hello   world, 12 naïve 'tis 🙂\n\n<|im_end|> hello hello world 'tis naïve"
    own = BPETokenizer.train(text, 280)
    tokenizer = vocabulary.from_merges(own.merges)
    model.check_tokenizer(tokenizer, own.vocab_size + len(SPECIAL))
    ids = tokenizer.encode(text).ids
    assert ids == (own.encode(text) + len(SPECIAL)).tolist() and tokenizer.decode(ids) == text
    assert len(ids) < len(vocabulary.from_merges([]).encode(text).ids) == len(text.encode())
