"""Pretraining: the course's training loop on a text that stays on disk, watched for loss spikes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from course_utils.gpt import GPT, GPTConfig
from course_utils.pretraining.plans import Plan
from course_utils.pretraining.stages import Say
from course_utils.training import Run, StepReport, TrainConfig, train
from course_utils.training.batches import Epochs
from course_utils.training.checkpoints import RunFile

WINDOW = 50  # steps before one, with which it is compared
SPIKE = 6.0  # times the usual scatter above what is usual
LEAST = 0.1  # nats: less is no spike, however quiet the run


@dataclass(frozen=True)
class Spike:
    """A step, counted from 1, whose loss stood out: what it was, and the median of those before; nats."""

    step: int
    loss: float
    usual: float

    def __str__(self) -> str:
        return f"loss spike at step {self.step:,}: {self.loss:.2f} nats, usual before it {self.usual:.2f}"


def spikes(losses: Sequence[float]) -> list[Spike]:
    """The steps whose loss is far above the WINDOW before them: by SPIKE times their scatter (1.48 times the
    median distance from the median, which a spike in the window hardly moves) and by LEAST nats.

    The first WINDOW steps have too few before them. Neighbouring steps are one spike, at its highest.
    """
    found: list[Spike] = []
    losses = np.asarray(losses, dtype=float)
    for at in range(WINDOW, len(losses)):
        before = losses[at - WINDOW : at]
        usual = float(np.median(before))
        scatter = 1.48 * float(np.median(np.abs(before - usual)))
        if losses[at] <= usual + max(SPIKE * scatter, LEAST):
            continue
        spike = Spike(at + 1, float(losses[at]), usual)
        if not found or spike.step - found[-1].step > WINDOW:
            found.append(spike)
        elif spike.loss > found[-1].loss:
            found[-1] = spike
    return found


def train_config(plan: Plan, steps: int) -> TrainConfig:
    """A short warm-up, then down to a fiftieth of the peak; saved 25 times."""
    return TrainConfig(
        steps,
        plan.learning_rate,
        warmup_steps=min(100, steps // 10),
        final_share=0.02,
        evaluate_every=max(steps // 25, 1),
        seed=plan.seed,
        precision="mixed",
        optimiser=plan.optimiser,
    )


def build(config: GPTConfig, seed: int) -> GPT:
    """A model with its first random weights."""
    torch.manual_seed(seed)
    return GPT(config)


def pretrain(
    config: GPTConfig,
    plan: Plan,
    steps: int,
    tokens: Int[np.ndarray, " tokens"],
    *,
    device: torch.device | str = "cpu",
    micro_batch: int | None = None,
    evaluate: Callable[[GPT], float] | None = None,
    checkpoint: Path | RunFile | None = None,
    say: Say = print,
) -> tuple[GPT, Run]:
    """Train a new model on the tokens, or go on from the checkpoint. Raises KeyboardInterrupt on Ctrl-C, with
    what was done kept, and what `train` raises."""
    batches = Epochs(tokens, config.vocab_size, plan.batch, config.context, plan.seed)
    model = build(config, plan.seed).to(device)
    told = Telling(say)
    config = train_config(plan, steps)
    run = finished(
        train(
            model,
            batches,
            config,
            micro_batch=micro_batch,
            evaluate=evaluate,
            report=told,
            checkpoint=checkpoint,
        )
    )
    for spike in spikes(run.losses):
        say(f"{spike}")
    return model, run


def finished(run: Run) -> Run:
    """The run, if it came to its end. Raises KeyboardInterrupt for one that Ctrl-C stopped."""
    if run.stopped:
        raise KeyboardInterrupt
    return run


class Telling:
    """Says how a run goes, forty times or so."""

    def __init__(self, say: Say):
        self.say, self.told = say, 0  # fortieths of the run

    def __call__(self, report: StepReport) -> None:
        part = 40 * report.step // report.steps
        if part == self.told:
            return
        self.told = part
        value = "" if report.value is None else f", validation {report.value:.3f} bits per byte"
        self.say(
            f"  step {report.step:,} of {report.steps:,}: loss {report.loss:.3f} nats{value}, "
            f"{report.tokens_per_second:,.0f} tokens/s, {report.seconds_left / 60:.1f} min left"
        )
