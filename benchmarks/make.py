"""Pretraining of `course.py make` beside transformers' Trainer: the same shape, batch and tokens.

python3 course.py bench make

The shape is that of the plan for a laptop. Ours is the machine's own loop, with the plan's Muon and with
AdamW, in mixed precision where the processor multiplies bfloat16; theirs is Trainer on their Llama, with the
AdamW that is fused, in float32 and in bfloat16, each as it is and, where there is a C++ compiler, by
torch.compile. Each trains anew in every round, whose median step counts: so no compiling does.
"""

import contextlib
import functools
import io
import itertools
import platform
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import transformers

from course_utils.pretraining.plans import PLANS, shape, size
from course_utils.pretraining.pretrain import build, train_config
from course_utils.training import train
from course_utils.training.batches import Epochs

sys.path.append(str(Path(__file__).parent))
from _steps import DEVICE, types
from train import llama

ROUNDS, STEPS, FIRST = 5, 10, 3  # the first steps of a run are left out
PLAN = PLANS["laptop"]
CONFIG = shape(128, 4096, PLAN.context)
TOKENS = np.random.default_rng(0).integers(CONFIG.vocab_size, size=40 * PLAN.batch * PLAN.context)


def speed(times):
    """Tokens a second, of the times at which steps ended."""
    seconds = statistics.median(np.diff(times)[FIRST:])
    return PLAN.batch * PLAN.context / seconds


def ours(optimiser):
    plan, times = replace(PLAN, optimiser=optimiser), []
    batches = Epochs(TOKENS, CONFIG.vocab_size, plan.batch, plan.context)
    settings = replace(train_config(plan, STEPS), evaluate_every=STEPS)
    model = build(CONFIG, 0).to(DEVICE)
    train(model, batches, settings, report=lambda _: times.append(time.perf_counter()))
    return speed(times)


def theirs(half, compiled):
    times = []

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, *_, **__):
            times.append(time.perf_counter())

    rows = torch.from_numpy(TOKENS).view(-1, PLAN.context)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        asked = transformers.TrainingArguments(
            folder,
            max_steps=STEPS,
            per_device_train_batch_size=PLAN.batch,
            bf16=half,
            torch_compile=compiled,
            use_cpu=DEVICE.type == "cpu",
            optim="adamw_torch_fused",
            learning_rate=1e-3,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        data = [{"input_ids": row, "labels": row} for row in rows]
        transformers.Trainer(llama(CONFIG), asked, train_dataset=data, callbacks=[Clock()]).train()
    return speed(times)


def main():
    if DEVICE.type == "cuda":  # see `train`'s SYNC_EVERY
        sys.exit(
            "this benchmark times single steps, and on a GPU `train` tells of 16 at once: it is for CPUs"
        )
    transformers.logging.set_verbosity_error()
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {DEVICE}, torch {torch.__version__}")
    print(f"{size(CONFIG):,} parameters, batches of {PLAN.batch} x {PLAN.context} tokens")
    ways = {f"ours, {name}": lambda name=name: ours(name) for name in ("muon", "adamw")}
    kinds = {"": False} | ({", compiled": True} if shutil.which("g++") else {})
    for (name, half), (kind, compiled) in itertools.product(types(), kinds.items()):
        ways[f"transformers, {name}{kind}"] = functools.partial(theirs, half, compiled)
    speeds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            speeds[name].append(way())
    for name, found in speeds.items():
        print(f"{name}: {statistics.median(found):,.0f} tokens/s")
    best = [
        max((n for n in ways if n.startswith(who)), key=lambda n: statistics.median(speeds[n]))
        for who in ("ours", "transformers")
    ]
    for mine in ("ours, muon", best[0]):
        ratios = [one / other for one, other in zip(speeds[mine], speeds[best[1]], strict=True)]
        low, middle, high = (f"{value:.2f}" for value in statistics.quantiles(ratios, n=4))
        print(f"{mine} / {best[1]}: {middle} (quartiles {low} to {high})")


if __name__ == "__main__":
    main()
