"""The course's GPT on film reviews, at many sizes and budgets: the runs behind chapter 11's law.

    OMP_NUM_THREADS=1 python -m course_utils.scaling sweep course_utils/weights/scaling_plan.toml

makes what scaling_runs.jsonl lacks, the small budgets first; it may be stopped at any time, and goes on. Each
run reads bytes of the training reviews, none of them twice, in batches of 8 windows of 64. Its learning rate
falls to a fiftieth of its peak at its own last step. It is judged by nats a byte on 1,024 windows of the
validation reviews, which all runs share.

The predictions in seals/ were made from that log, each with a seed of its own for the run to come:

    python -m course_utils.scaling seal PLAN seals/a.json 48x2 737280 --up-to 4e10 --seed 100

and after a commit `settle` made their runs. Git's history shows which came first.

The peak is one for all sizes: Muon makes every update of a matrix equally large, whatever its width, which is
what muP asks for (Yang et al. 2022; Bernstein & Newhouse 2024). It was chosen beforehand at the widths 16 and
48, on a seed of its own: `TRIED` has what was tried.
"""

import functools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional

from course_utils.data import corpora
from course_utils.data.reviews import reviews
from course_utils.gpt import GPT, GPTConfig
from course_utils.scaling.counting import flops, parameters
from course_utils.tokenizers import ByteTokenizer
from course_utils.training import TrainConfig, train
from course_utils.training.batches import Epochs

FOLDER = Path(__file__).parent
PLAN, LOG, SEALS = (FOLDER / name for name in ("scaling_plan.toml", "scaling_runs.jsonl", "seals"))
RATES = FOLDER / "scaling_rates.jsonl"  # of scaling_rates_plan.toml: which rate suits which width
PLAYS = FOLDER / "scaling_plays.jsonl"  # of scaling_plays_plan.toml: the same sizes and bytes of another text
LARGE = FOLDER / "scaling_large_runs.jsonl"  # of scaling_large_plan.toml: the third decade, kept apart
ROWS, CONTEXT = 8, 64
A_STEP = ROWS * CONTEXT  # bytes
SCORED = 1024  # windows of the validation reviews
RATE = 0.05
# size, bytes read -> peak: nats a byte on half of the windows, seed 10
TRIED = {
    ("16x2", 65_536): {0.025: 2.847, 0.05: 2.627, 0.1: 2.768},
    ("16x2", 262_144): {0.025: 2.242, 0.05: 2.214},
    ("48x2", 131_072): {0.025: 2.084, 0.05: 2.069, 0.1: 2.079},
}
CONFIG = TrainConfig(
    steps=1, learning_rate=RATE, final_share=0.02, evaluate_every=1000, optimiser="muon", weight_decay=0.01
)


def shape(size: str) -> GPTConfig:
    """A size is width x layers, such as "64x3". Raises ValueError for what is none."""
    width, _, layers = size.partition("x")
    if not (width.isdecimal() and layers.isdecimal() and int(width) % 8 == 0):
        raise ValueError(
            f"a size is its width, a multiple of 8, an x and its layers, such as 64x3; got {size!r}"
        )
    width, layers = int(width), int(layers)
    d_ff = -(-width // 3) * 8  # 8/3 of the width, as GPTConfig has it, in finer steps
    return GPTConfig(
        ByteTokenizer.vocab_size, CONTEXT, layers, max(width // 32, 1), width, d_ff=d_ff, qk_norm=True
    )


def isoflop(budget: float, sizes: list[str]) -> dict[str, int]:
    """For each size the bytes, in whole steps, at which 6ND is the budget: a table of a plan."""
    n = {size: parameters(GPT(shape(size))).total for size in sizes}
    return {size: max(round(budget / (6 * n[size] * A_STEP)), 1) * A_STEP for size in sizes}


@functools.lru_cache
def text(part: str) -> Int[np.ndarray, " bytes"]:
    """The reviews of "train" or "validation" in one, an empty line after each, as bytes."""
    return ByteTokenizer().encode("".join(review.text + "\n\n" for review in getattr(reviews(), part)))


@functools.lru_cache
def _scored() -> tuple[Tensor, Tensor]:
    return windows(text("validation"))


def windows(held_out: Int[np.ndarray, " bytes"]) -> tuple[Tensor, Tensor]:
    """Evenly spaced windows of a text, SCORED or as many as it has: what is read, what is to be predicted.

    Raises ValueError for a text that is shorter than one.
    """
    if len(held_out) <= CONTEXT:
        raise ValueError(
            f"the text to score has {len(held_out)} bytes, and a window {CONTEXT + 1}: take more"
        )
    ids = torch.from_numpy(held_out).long()
    reads, targets = (x[: (len(ids) - 1) // CONTEXT * CONTEXT].view(-1, CONTEXT) for x in (ids[:-1], ids[1:]))
    chosen = torch.arange(min(SCORED, len(reads))) * max(len(reads) // SCORED, 1)
    return reads[chosen], targets[chosen]


@torch.no_grad()
def validation_loss(model: GPT, scored: tuple[Tensor, Tensor]) -> float:
    """Mean nats a byte of windows that don't overlap; the first bytes of each have little context."""
    reads, targets = scored
    losses = [
        functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum").item()
        for x, y in zip(reads.split(64), targets.split(64), strict=True)
    ]
    return sum(losses) / targets.numel()


def run(
    size: str,
    tokens: int,
    seed: int,
    checkpoint: Path | None = None,
    *,
    learning_rate: float = RATE,
    optimiser: str = CONFIG.optimiser,
    unique: int | None = None,
    own: str | None = None,
) -> dict:
    """Train one model and say what it lost, as `scaling.sweep` asks.

    unique: read only so many of the first training bytes, again and again. Without it a run that would read
    a byte twice is refused. own: another text than the reviews, of which the last tenth is scored. Raises
    ValueError for that and for tokens that are no whole number of steps; Diverged as `train` does.
    """
    config, read = shape(size), text("train") if own is None else ByteTokenizer().encode(own)
    scored = _scored() if own is None else windows(read[-(len(read) // 10) :])
    read = (read if own is None else read[: -(len(read) // 10)])[:unique]
    steps, rest = divmod(tokens, A_STEP)
    if rest or not steps:
        raise ValueError(f"a step reads {A_STEP} bytes, and a run some whole steps; got {tokens:,} bytes")
    torch.manual_seed(seed)
    model, batches = GPT(config), Epochs(read, config.vocab_size, ROWS, CONTEXT, seed)
    if unique is None and tokens > batches.n_windows * CONTEXT:
        raise ValueError(
            f"the training text has {len(read):,} bytes, and {tokens:,} would read some twice: the law "
            "is about text that is new; name `unique` to study what repeating does"
        )
    warmup = min(max(steps // 20, 5), 200)
    settings = replace(
        CONFIG,
        steps=steps,
        learning_rate=learning_rate,
        warmup_steps=warmup,
        seed=seed,
        optimiser=optimiser,
    )
    long = steps > CONFIG.evaluate_every  # what takes seconds needs no checkpoint
    began = time.process_time()
    done = train(model, batches, settings, checkpoint=checkpoint if long else None)
    if done.stopped:
        raise KeyboardInterrupt
    a_window = flops(model, torch.zeros(1, CONTEXT, dtype=torch.long))
    counted = parameters(model)
    return {
        "n": counted.total,
        "body": counted.body,
        "d": done.tokens,
        "flops": a_window.training * done.tokens // CONTEXT,
        "loss": validation_loss(model.eval(), scored),
        "rate": learning_rate,
        "seconds": round(done.seconds, 1),
        "cpu_seconds": round(time.process_time() - began, 1),  # of this process, since it went on
    }


def on_plays(size: str, tokens: int, seed: int, checkpoint: Path | None = None) -> dict:
    """`run` on Shakespeare's 36 training plays, of which the last tenth is scored."""
    return run(size, tokens, seed, checkpoint, own=corpora.shakespeare().train_text)
