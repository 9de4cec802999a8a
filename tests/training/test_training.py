"""The training loop: what it learns, what it survives, and that a resumed run is the same run."""

import itertools
import json
import math
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from course_utils import devices, files, training
from course_utils.gpt import GPT, GPTConfig
from course_utils.recurrent import RecurrentLM
from course_utils.training import (
    OPTIMISERS,
    Diverged,
    TrainConfig,
    checkpoints,
    learning_rate,
    next_token_loss,
    optimisers,
    recurrent_loss,
    train,
)
from course_utils.training.batches import Streams, Windows
from course_utils.training.optimisers import adamw

TEXT = np.frombuffer(b"to be or not to be that is the question. " * 20, dtype=np.uint8) % 64
CONFIG = TrainConfig(steps=20, learning_rate=0.01, warmup_steps=3, evaluate_every=5)


pytestmark = pytest.mark.usefixtures("one_thread")


class Bigram(nn.Module):
    """The smallest model without a state, with one parameter of each kind."""

    def __init__(self, width=8):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(64, width), nn.LayerNorm(width)
        self.dropout, self.head = nn.Dropout(0.1), nn.Linear(width, 64)

    def forward(self, ids):
        return self.head(self.dropout(self.norm(self.embedding(ids))))


def lstm(d_hidden=16):
    torch.manual_seed(0)
    return RecurrentLM(64, 8, d_hidden, dropout=0.1), Streams(TEXT, 64, 4, 8), recurrent_loss


def bigram(width=8):
    torch.manual_seed(0)
    return Bigram(width), Windows(TEXT, 64, 4, 8), next_token_loss


KINDS = pytest.mark.parametrize("make", [lstm, bigram])


def run(make, config=CONFIG, **settings):
    model, batches, loss = make()
    return model, train(model, batches, config, loss=settings.pop("loss", loss), **settings)


def weights(model):
    return {name: tensor.detach().clone() for name, tensor in model.named_parameters()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# Learning


@KINDS
@pytest.mark.parametrize("precision", ["float32", "mixed"])
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_it_learns(make, precision, optimiser):
    settings = {"learning_rate": 0.03, "precision": precision, "optimiser": optimiser}
    model, done = run(make, replace(CONFIG, steps=150, **settings))
    assert np.mean(done.losses[:5]) > 3.5 and np.mean(done.losses[-5:]) < 2
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not done.stopped and done.step == 150 and done.tokens == 150 * 32


def test_beta2_is_adamws():
    asked, usual = replace(CONFIG, steps=20, beta2=0.9), replace(CONFIG, steps=20)
    assert not same(*(weights(run(bigram, config)[0]) for config in (asked, usual)))


@pytest.mark.parametrize("pays", [True, False])
def test_mixed_precision_multiplies_in_bfloat16_only_where_that_pays(pays, monkeypatch):
    monkeypatch.setattr(devices, "trains_in_bfloat16", lambda device: pays)
    seen = []

    def loss(model, batch, state):
        seen.append(torch.is_autocast_enabled("cpu"))
        return next_token_loss(model, batch, state)

    run(bigram, replace(CONFIG, steps=1, precision="mixed"), loss=loss)
    run(bigram, replace(CONFIG, steps=1, precision="float32"), loss=loss)
    assert seen == [pays, False]


def test_equal_seeds_give_equal_runs_and_other_seeds_others():
    one, other, third = (run(lstm, replace(CONFIG, seed=seed))[1].losses for seed in (1, 1, 2))
    assert one == other != third


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
@pytest.mark.parametrize(("size", "cut"), [(1, [1, 1, 1, 1]), (2, [2, 2]), (3, [3, 1]), (9, [4])])
def test_a_batch_in_micro_batches_trains_the_same_model(size, cut, optimiser, monkeypatch):
    """But for rounding, which Muon's bfloat16 would make visible where that is fast."""
    monkeypatch.setattr(optimisers, "trains_in_bfloat16", lambda device: False)
    config = replace(CONFIG, optimiser=optimiser)
    rows = []

    def loss(model, batch, state):
        rows.append(len(batch[0]))
        model.dropout.p = 0.0
        return next_token_loss(model, batch, state)

    whole, done = run(bigram, config, loss=loss)
    model, again = run(bigram, config, loss=loss, micro_batch=size)
    assert rows == [4] * config.steps + cut * config.steps
    assert again.losses == pytest.approx(done.losses, abs=1e-5) and again.tokens == done.tokens
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(model)[name], tensor, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("make", "size", "words"), [(bigram, 0, "1 or more; got 0"), (lstm, 2, "carries a state")]
)
def test_what_can_not_have_micro_batches(make, size, words):
    model, batches, loss = make()
    before = weights(model)
    with pytest.raises(ValueError, match=words):
        train(model, batches, CONFIG, loss=loss, micro_batch=size)
    assert same(weights(model), before)


def test_the_state_is_carried_its_history_is_not():
    states = []

    def loss(model, batch, state):
        states.append(state)
        return recurrent_loss(model, batch, state, reset_probability=0.0)

    run(lstm, loss=loss)
    assert states[0] is None
    assert all(state.abs().max() > 0 and not state.requires_grad for state in states[1:])


def test_some_states_are_reset_before_a_chunk():
    model, seen = lstm()[0], []
    model.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1]))
    batch = torch.zeros(500, 2, dtype=torch.int64), torch.zeros(500, 2, dtype=torch.int64)
    recurrent_loss(model, batch, torch.ones(2, 1, 500, 16), reset_probability=0.2)
    rows = seen[0].transpose(1, 2).reshape(2, 500, 16)
    reset = (rows[0] == 0).all(-1)
    assert 60 < reset.sum() < 140
    assert torch.equal(rows[1][reset], torch.zeros_like(rows[1][reset]))
    assert (rows[:, ~reset] == 1).all()


def test_the_learning_rate_rises_then_falls_along_a_cosine():
    config = TrainConfig(steps=101, learning_rate=1.0, warmup_steps=10, final_share=0.2)
    rates = [learning_rate(config, step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == 1 and rates[100] == pytest.approx(0.2)
    assert rates[55] == pytest.approx(0.6)  # half-way down
    assert sorted(rates[10:], reverse=True) == rates[10:]


@pytest.mark.parametrize("steps, warmup", [(1, 0), (1, 100), (2, 1), (5, 5)])
def test_short_runs_have_a_learning_rate_too(steps, warmup):
    config = TrainConfig(steps=steps, learning_rate=0.1, warmup_steps=warmup)
    assert all(0 < learning_rate(config, step) <= 0.1 for step in range(steps))


def test_only_matrices_decay():
    model = Bigram()
    groups = adamw(model, weight_decay=0.3).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert {name: decay[id(p)] for name, p in model.named_parameters()} == {
        "embedding.weight": 0.0,
        "norm.weight": 0.0,
        "norm.bias": 0.0,
        "head.weight": 0.3,
        "head.bias": 0.0,
    }


def test_gradients_are_clipped():
    """One step of AdamW hides the gradient's size, its averages don't."""
    model, batches, loss = bigram()
    optimisers = []

    def noting(model, config):
        optimisers.append(adamw(model, config.weight_decay))
        return optimisers[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(OPTIMISERS, "adamw", noting)
        big = lambda *arguments: (loss(*arguments)[0] * 1e6, None)  # noqa: E731
        train(model, batches, replace(CONFIG, steps=1, clip=0.5), loss=big)
    squares = sum(state["exp_avg"].square().sum() for state in optimisers[0].state.values())
    assert (squares.sqrt() / 0.1).item() == pytest.approx(0.5, rel=1e-3)


# Evaluation and report


def test_evaluation_on_schedule_without_gradients_or_dropout():
    modes = []

    def evaluate(model):
        modes.append((model.training, torch.is_grad_enabled()))
        return 7.5

    model, done = run(lstm, replace(CONFIG, steps=12), evaluate=evaluate)
    assert [(step, value) for step, _, value in done.evaluations] == [(5, 7.5), (10, 7.5), (12, 7.5)]
    assert set(modes) == {(False, False)} and model.training
    assert done.losses == run(lstm, replace(CONFIG, steps=12))[1].losses


def test_report():
    reports = []
    _, done = run(bigram, evaluate=lambda model: 1.5, report=reports.append)
    assert [(p.step, p.loss) for p in reports] == list(enumerate(done.losses, start=1))
    assert [p.value for p in reports] == [None] * 4 + [1.5] * 16
    assert {p.steps for p in reports} == {20}
    assert [p.learning_rate for p in reports] == [learning_rate(CONFIG, step) for step in range(20)]
    assert all(p.tokens_per_second > 0 for p in reports)
    assert all(p.seconds_left > 0 for p in reports[:-1]) and reports[-1].seconds_left == 0


def test_it_says_nothing_of_its_own(capfd, tmp_path):
    run(lstm, evaluate=lambda model: 1.0, checkpoint=tmp_path / "run.safetensors")
    assert capfd.readouterr() == ("", "")


# Bad input


@pytest.mark.parametrize(
    "setting, value, sentence",
    [
        ("learning_rate", 0, "above 0 and at most 1; got 0"),
        ("learning_rate", -1e-3, "above 0"),
        ("learning_rate", 1e30, "at most 1; got 1e"),
        ("learning_rate", math.nan, "got nan"),
        ("learning_rate", math.inf, "got inf"),
        ("steps", 0, "steps and evaluate_every must be at least 1"),
        ("evaluate_every", 0, "steps and evaluate_every must be at least 1"),
        ("warmup_steps", -1, "warmup_steps at least 0; got"),
        ("clip", 0.0, r"clip above 0 .* got 0\.1 and 0\.0"),
        ("clip", math.nan, r"clip above 0 .* got 0\.1 and nan"),
        ("final_share", 1.1, r"final_share must be between 0 and 1.* got 1\.1 and 1\.0"),
        ("momentum", 1.0, r"momentum and beta2 must be at least 0 and below 1.* got 1\.0, 0\.99 and 0\."),
        ("beta2", 1.0, r"momentum and beta2 must be at least 0 and below 1.* got 0\.9, 1\.0 and 0\."),
        ("weight_decay", -0.1, r"weight_decay at least 0; got 0\.9, 0\.99 and -0\.1"),
        ("optimiser", "sgd", "optimiser must be one of adamw, muon; got 'sgd'"),
        ("precision", "float16", "precision must be 'float32' or 'mixed'; got 'float16'"),
    ],
)
def test_settings_that_cannot_train(setting, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        replace(CONFIG, **{setting: value})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops_the_run_and_brings_the_weights_back(bad, tmp_path):
    model, batches, _ = bigram()
    path, seen = tmp_path / "run.safetensors", []

    def loss(model, batch, state):
        value, state = next_token_loss(model, batch, state)
        seen.append(weights(model))
        return value * (bad if len(seen) == 8 else 1), state

    with pytest.raises(Diverged, match=r"step 8: the loss is .*learning rate 0\.00\d+; the model has its"):
        train(model, batches, CONFIG, loss=loss, checkpoint=path)
    assert same(weights(model), seen[6])  # those of step 7, the last whose loss was a number
    assert checkpoints.load(path)[1]["run"]["losses"][4:] and len(seen) == 8


def test_a_gradient_that_is_no_number_stops_the_run_too():
    model, batches, _ = bigram()
    seen = []

    def loss(model, batch, state):
        seen.append(weights(model))
        value, state = next_token_loss(model, batch, state)
        return value + (0 * model.head.weight.sum()).sqrt() if len(seen) == 3 else value, state

    with pytest.raises(Diverged, match=r"step 3: the loss is \d.* the norm of its gradient nan"):
        train(model, batches, CONFIG, loss=loss)
    assert same(weights(model), seen[2])


# On a GPU losses are read some at a time; a CPU can do so too


@pytest.fixture
def sync_every_six(monkeypatch):
    monkeypatch.setitem(training.SYNC_EVERY, "cpu", 6)


class NumbersRead(TorchDispatchMode):
    """Counts how often Python asks for the value of a float: each time it would wait for a GPU."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            self.count += args[0].is_floating_point()
        return function(*args, **kwargs or {})


@KINDS
def test_a_run_that_syncs_seldom_is_the_same_run(make, sync_every_six, monkeypatch):
    reported = []
    config = replace(CONFIG, optimiser="muon", evaluate_every=9)
    with NumbersRead() as read:
        model, seldom = run(make, config, evaluate=lambda model: 0, report=lambda p: reported.append(p.step))
    assert reported == [6, 9, 15, 18, 20] and [e[0] for e in seldom.evaluations] == [9, 18, 20]
    assert not read.count
    monkeypatch.delitem(training.SYNC_EVERY, "cpu")
    other, often = run(make, config)
    assert seldom.losses == often.losses and seldom.tokens == often.tokens
    assert same(weights(model), weights(other))


def test_a_run_that_syncs_seldom_names_the_step_too_and_goes_back_further(sync_every_six):
    model, batches, _ = bigram()
    seen = []

    def loss(model, batch, state):
        value, state = next_token_loss(model, batch, state)
        seen.append(weights(model))
        return value * (math.nan if len(seen) == 9 else 1), state

    with pytest.raises(Diverged, match=r"step 9: the loss is nan"):
        train(model, batches, replace(CONFIG, evaluate_every=50), loss=loss)
    assert len(seen) == 12 and same(weights(model), seen[5])  # those of step 6, of the last good sync


def test_ctrl_c_is_noticed_between_two_syncs(sync_every_six):
    steps = itertools.count(1)

    def loss(model, batch, state):
        if next(steps) == 2:
            signal.raise_signal(signal.SIGINT)
        return next_token_loss(model, batch, state)

    _, stopped = run(bigram, replace(CONFIG, evaluate_every=50), loss=loss)
    assert stopped.stopped and stopped.step == 2 == len(stopped.losses)


def out_of_memory(model, batch, state):
    """As a GPU fails in a backward pass, when some gradients are there."""

    def no_room(gradient):
        assert model.head.weight.grad is not None
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    model.embedding.weight.register_hook(no_room)
    return next_token_loss(model, batch, state)


def test_a_full_gpu_is_explained_and_its_memory_let_go():
    words = "the batch of 4 rows of 8 tokens did not fit into the GPU's memory.*: take smaller batches, or"
    with pytest.raises(MemoryError, match=words) as caught:
        run(bigram, loss=out_of_memory)
    assert caught.value.__context__ is None  # nothing holds the frames, and so the tensors, of the failure
    assert all("optimiser" not in frame.frame.f_locals for frame in caught.traceback)
    run(bigram)


@pytest.mark.parametrize(
    "sizes, named", [({"batch_size": 64}, "the batch of 64 rows did"), ({}, "the batch did")]
)
def test_a_batch_that_did_not_fit_is_named_by_what_its_source_says(sizes, named):
    class Source:
        def __init__(self):
            vars(self).update(sizes)

        def next(self):
            return torch.zeros(2, 64, 8, dtype=torch.long).unbind()

    with pytest.raises(MemoryError, match=named):
        train(bigram()[0], Source(), CONFIG, loss=out_of_memory)


def test_what_is_free_is_measured_without_the_gradients_of_the_step(monkeypatch):
    def free():
        assert all(parameter.grad is None for parameter in model.parameters())
        return 3.5 * 2**30, 8 * 2**30

    def loss(model, batch, state):
        model.head.weight.register_hook(
            lambda gradient: monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        )
        return out_of_memory(model, batch, state)

    model, batches, _ = bigram()
    monkeypatch.setattr(torch.cuda, "empty_cache", free)
    monkeypatch.setattr(torch.cuda, "mem_get_info", free)
    with pytest.raises(MemoryError, match=r"of which 3\.5 GiB are free now"):
        train(model, batches, CONFIG, loss=loss)


# Ctrl-C


@pytest.fixture
def ctrl_c_is_heard():
    """A shell starts background jobs with Ctrl-C ignored, and Python then leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_is_heard")
@pytest.mark.parametrize("presses_in_save", [0, 2])
def test_ctrl_c_stops_and_keeps_however_often_it_is_pressed(presses_in_save, tmp_path, monkeypatch):
    path, fsync = tmp_path / "run.safetensors", files.os.fsync

    stopped_by = []

    def press(progress):
        stopped_by.append(progress.stopped)
        if progress.step == 7:
            signal.raise_signal(signal.SIGINT)

    def fsync_while_pressed(file):
        for _ in range(presses_in_save):
            signal.raise_signal(signal.SIGINT)
        fsync(file)

    monkeypatch.setattr(files.os, "fsync", fsync_while_pressed)
    config = replace(CONFIG, evaluate_every=50)
    model, stopped = run(lstm, config, report=press, checkpoint=path)
    assert stopped.stopped and stopped.step == 8 and stopped_by == [False] * 7 + [True]
    saved = checkpoints.load(path)[0]
    assert all(torch.equal(saved[f"model.{name}"], tensor) for name, tensor in weights(model).items())
    with pytest.raises(KeyboardInterrupt):  # afterwards Ctrl-C is what it was
        signal.raise_signal(signal.SIGINT)

    model, resumed = run(lstm, config, checkpoint=path)
    expected, uninterrupted = run(lstm, config)
    assert resumed.losses == uninterrupted.losses and not resumed.stopped
    assert same(weights(model), weights(expected))


def test_it_trains_in_a_thread_where_no_signal_can_be_caught():
    done = []
    thread = threading.Thread(target=lambda: done.append(run(bigram)[1]))
    thread.start()
    thread.join()
    assert done[0].losses == run(bigram)[1].losses


# Resuming

SCRIPT = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
import test_training as t
def kill(report):
    if report.step == 36:
        os.kill(os.getpid(), signal.SIGKILL)
for name, how, path in [job.split(":", 2) for job in sys.argv[2:]]:
    if (child := os.fork()) == 0:
        t.torch.set_num_threads(1)
        optimiser = "muon" if name == "bigram" else "adamw"
        config = t.replace(t.CONFIG, steps=80, evaluate_every=10, optimiser=optimiser)
        report = kill if how == "killed" else None
        model, done = t.run(getattr(t, name), config, report=report, checkpoint=path)
        sums = [tensor.double().sum().item() for tensor in t.weights(model).values()]
        print(json.dumps([done.losses, sums]), flush=True)
        os._exit(0)
    print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def killed_runs(tmp_path_factory):
    """What whole, killed and resumed runs print, five lines a kind; all are forks of one fresh process."""
    folder, jobs = tmp_path_factory.mktemp("killed"), []
    for name in ("lstm", "bigram"):
        for how, file in [("whole", "whole"), ("killed", "killed"), ("resumed", "killed")]:
            jobs.append(f"{name}:{how}:{folder / f'{name}_{file}.safetensors'}")
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), *jobs]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    return {"lstm": lines[:5], "bigram": lines[5:]}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
@KINDS
def test_a_killed_run_goes_on_bit_by_bit(make, killed_runs):
    lines = killed_runs[make.__name__]
    assert len(lines) == 5
    assert [lines[1], lines[2], lines[4]] == ["0", str(int(signal.SIGKILL)), "0"]
    assert lines[0] == lines[3]  # every loss, so the 50 after the last save, and the weights
    assert len(json.loads(lines[0])[0]) == 80 and len(lines[0]) > 1000


@KINDS
def test_every_part_of_the_checkpoint_is_needed(make, tmp_path):
    """Leave one part out of what is restored, and the run is another one."""
    path = tmp_path / "run.safetensors"
    run(make, report=lambda p: p.step == 9 and signal.raise_signal(signal.SIGINT), checkpoint=path)
    tensors, notes = checkpoints.load(path)
    expected = run(make)[1].losses
    parts = {"generator.cpu": torch.get_rng_state(), "optimiser.head.weight.exp_avg": None}
    parts |= {"batches.position": torch.tensor(0), "state": None} if make is lstm else {}
    parts |= {"batches.generator": torch.Generator().get_state()} if make is bigram else {}
    for name, instead in parts.items():
        changed = tensors | {name: torch.zeros_like(tensors[name]) if instead is None else instead}
        checkpoints.save(path, changed, notes)
        assert run(make, checkpoint=path)[1].losses[10:] != expected[10:], name
    checkpoints.save(path, tensors, notes)
    assert run(make, checkpoint=path)[1].losses == expected


def test_a_finished_run_is_only_loaded(tmp_path):
    path = tmp_path / "run.safetensors"
    model, done = run(lstm, evaluate=lambda model: 1.0, checkpoint=path)
    again, loaded = run(lstm, evaluate=lambda model: 1.0, checkpoint=path)
    assert loaded == done and same(weights(model), weights(again))


def test_a_run_of_a_course_that_lacked_a_setting_goes_on(tmp_path):
    path = tmp_path / "run.safetensors"
    run(bigram, report=lambda p: p.step == 9 and signal.raise_signal(signal.SIGINT), checkpoint=path)
    tensors, notes = checkpoints.load(path)
    del notes["config"]["beta2"]
    checkpoints.save(path, tensors, notes)
    assert run(bigram, checkpoint=path)[1].losses == run(bigram)[1].losses


def test_another_run_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    run(lstm, checkpoint=path)
    with pytest.raises(ValueError, match=r"run\.safetensors holds another model's run: RecurrentLM"):
        run(bigram, checkpoint=path)
    with pytest.raises(ValueError, match="another model's run"):
        run(lambda: lstm(d_hidden=17), checkpoint=path)
    gpt = GPT(GPTConfig(64, 8, n_layers=1, n_heads=2, d_model=16))
    run(lambda: (gpt, bigram()[1], next_token_loss), checkpoint=tmp_path / "gpt.safetensors")
    for change in ({"n_heads": 4}, {"qk_norm": True}, {"token_shift": True}, {"rotary_base": 100.0}):
        other = GPT(replace(gpt.config, **change))  # of the same weights' names and shapes
        with pytest.raises(ValueError, match="another model's run"):
            run(
                lambda other=other: (other, bigram()[1], next_token_loss),
                checkpoint=tmp_path / "gpt.safetensors",
            )
    with pytest.raises(ValueError, match=r"a run with learning_rate=0\.01, not learning_rate=0\.02"):
        run(lstm, replace(CONFIG, learning_rate=0.02), checkpoint=path)
    model, _, loss = lstm()
    with pytest.raises(ValueError, match="the run to resume read a text of 820 tokens"):
        train(model, Streams(TEXT[:-1], 64, 4, 8), CONFIG, loss=loss, checkpoint=path)


def test_a_damaged_checkpoint_is_refused_and_the_model_stays_as_it_was(tmp_path):
    path = tmp_path / "run.safetensors"
    run(lstm, checkpoint=path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    model, batches, loss = lstm()
    before = weights(model)
    with pytest.raises(ValueError, match=r"run\.safetensors is damaged"):
        train(model, batches, CONFIG, loss=loss, checkpoint=path)
    assert same(weights(model), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@KINDS
def test_on_a_gpu_it_learns_and_resumes(make, tmp_path):
    def on_gpu():
        model, batches, loss = make()
        return model.to("cuda"), batches, loss

    path = tmp_path / "run.safetensors"
    run(on_gpu, report=lambda p: p.step == 9 and signal.raise_signal(signal.SIGINT), checkpoint=path)
    assert run(on_gpu, checkpoint=path)[1].losses == pytest.approx(run(on_gpu)[1].losses, rel=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_gpu_no_step_waits_between_two_syncs():
    model = GPT(GPTConfig(vocab_size=64, context=8, n_layers=1, n_heads=2, d_model=16)).to("cuda")

    def loss(model, batch, state):
        place = step[0] % training.SYNC_EVERY["cuda"]
        between = 0 < place < training.SYNC_EVERY["cuda"] - 1  # at the first, tables are filled
        torch.cuda.set_sync_debug_mode("error" if between else "default")
        step[0] += 1
        return next_token_loss(model, batch, state)

    step, steps = [0], 3 * training.SYNC_EVERY["cuda"]
    config = replace(CONFIG, steps=steps, evaluate_every=steps, optimiser="muon", precision="mixed")
    try:
        done = train(model, Windows(TEXT, 64, 4, 8), config, loss=loss)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert done.step == steps == step[0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_on_a_full_gpu_a_smaller_batch_trains_next():
    """A GiB is allowed: too little for the first batch's logits, and for the second batch if the first one's
    tensors were still there."""
    text, config = np.resize(TEXT, 2**22), replace(CONFIG, steps=2)
    model = Bigram().to("cuda")
    torch.cuda.empty_cache()
    allowed = torch.cuda.memory_reserved() + 2**30
    torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.mem_get_info()[1])
    try:
        with pytest.raises(MemoryError, match=r"of 4096 rows of 1024 tokens .* GiB are free now"):
            train(model, Windows(text, 64, 4096, 1024), config)
        assert train(model, Windows(text, 64, 640, 1024), config).step == 2
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
