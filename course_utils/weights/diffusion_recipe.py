"""Both sides or the left alone: a masked model that bounds a text's cost, beside a GPT of the same blocks.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m course_utils.weights.diffusion_recipe

Two models of bytes (2 layers, 128 wide, windows of 64), which differ in the causal mask and in what they are
asked: the next byte, or the bytes behind masks, weighted so that the mean bounds the cost. They have the same
shape, first weights, windows, steps, optimiser and FLOPs. Both read windows of the training plays, drawn with
replacement: three quarters as many bytes as these have, of which about half are never read. Each model has
the learning rate that is the best of four by its own score on Twelfth Night, with a seed of its own; then
three seeds run.

Both are scored in the same windows, in which the first half is read and the second counts: a byte has 32 to
63 before it. The masked model's number is an estimate of its bound, with the standard error from the drawing
of masks; the GPT's is what the text costs it. The three seeds score The Tempest too, at their end.

The same is asked of a text that is read again and again: the first 40,000 bytes of the plays, with as many
bytes in windows as 4, 16 and 64 readings have, drawn with replacement. For each number of readings the rate
is the best of six, some three times apart, chosen as above. Scored is Twelfth Night alone, at the end of
each run. The gap between bound and cost narrows from 0.9 bits to 0.3, and at 64 readings none is left that
the seeds agree on. But there the GPT costs 0.1 bits more than it did after 16, and that cost is 0.1 bits
below the bound after 64.

Writes diffusion.csv and repeats.csv, row by row: the same command goes on after an interruption; and
diffusion.safetensors, the masked model of all plays with seed 0, in float16. It doesn't show what larger
models, longer texts, or more seeds and readings do; nor how far the bound lies above what the text costs the
masked model, which nobody can compute here.
"""

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.bert.diffusion import Bound, MaskedDiffusion, diffusion_loss, draw_masks, weighted_losses
from course_utils.data import corpora
from course_utils.gpt import GPT, GPTConfig
from course_utils.tokenizers import ByteTokenizer
from course_utils.training import checkpoints, train
from course_utils.training.batches import Windows
from course_utils.weights import gpt_recipe, recording

COMMAND = "OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m course_utils.weights.diffusion_recipe"
TABLE, WEIGHTS = (Path(__file__).with_name(f"diffusion.{end}") for end in ("csv", "safetensors"))
REPEATS = Path(__file__).with_name("repeats.csv")
SHAPE = GPTConfig(ByteTokenizer.vocab_size, context=64, n_layers=2, n_heads=4, d_model=128, qk_norm=True)
ROWS, HALF = 32, SHAPE.context // 2
STEPS, TRIAL_STEPS = 1700, 500
RATES, SWEEP_SEED, SEEDS = (0.005, 0.01, 0.02, 0.04), 10, (0, 1, 2)
FEW, READINGS, FEW_RATES = 40_000, (4, 16, 64), (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
SHIPPED = "masked", 0.01, 0  # its rate is the best of the trials
PLAYS = {"validation": "twelfth_night", "test": "tempest"}  # parts, and their columns
DRAWS = 4  # of masks, of each window that is scored


def next_bytes(model: nn.Module, windows: Int[Tensor, "windows time"]) -> Bound:
    """What the second halves of windows cost a GPT, in bits a byte."""
    nats = 0.0
    for part in windows.split(256):
        losses = functional.cross_entropy(model(part[:, :-1]).mT.float(), part[:, 1:], reduction="none")
        nats += losses[:, HALF - 1 :].sum().item()
    return Bound(nats / windows[:, HALF:].numel() / math.log(2), 0.0)


def masked_bytes(model: nn.Module, windows: Int[Tensor, "windows time"]) -> Bound:
    """What they cost a masked model at most, by DRAWS drawings of masks for each window, always the same."""
    generator, drawn = torch.Generator().manual_seed(0), []
    for _ in range(DRAWS):
        parts = windows.split(256)
        masks = [draw_masks(*part.shape, HALF, generator) for part in parts]
        losses = [weighted_losses(model, *both, HALF) for both in zip(parts, masks, strict=True)]
        drawn.append(torch.cat(losses).sum().item())
    scale = 1 / windows[:, HALF:].numel() / math.log(2)
    drawn = torch.tensor(drawn).double() * scale
    return Bound(drawn.mean().item(), drawn.std().item() / DRAWS**0.5)


Score = Callable[[nn.Module, Int[Tensor, "windows time"]], Bound]
# with what each is trained, beside the default, and how it is scored
MODELS: dict[str, tuple[dict, Score]] = {
    "next byte": ({}, next_bytes),
    "masked": ({"loss": diffusion_loss}, masked_bytes),
}


def build(name: str, seed: int = 0) -> nn.Module:
    """A model with its first random weights: of both the same, but for the embedding of the mask."""
    torch.manual_seed(seed)
    gpt = GPT(SHAPE)
    if name == "next byte":
        return gpt
    model = MaskedDiffusion(SHAPE)
    with torch.no_grad():
        for part, weights in gpt.named_parameters():
            model.get_parameter(part.replace("decoder", "encoder"))[: len(weights)] = weights
    return model


@functools.lru_cache
def windows(part: str) -> Int[Tensor, "windows time"]:
    """The windows of "validation" or "test": each byte but the first 32 is in a second half once."""
    ids = torch.from_numpy(ByteTokenizer().encode(getattr(corpora.shakespeare(), part))).long()
    return ids.unfold(0, SHAPE.context, HALF)


@torch.no_grad()
def score(name: str, model: nn.Module, part: str) -> Bound:
    """Bits a byte of a play in the windows that both models have."""
    return MODELS[name][1](model.eval(), windows(part))


def trained(
    name: str, rate: float, seed: int, steps: int, n_bytes: int | None = None
) -> tuple[nn.Module, dict]:
    """A model that has read so many batches of the plays, or of their first `n_bytes`; and what it took."""
    plays = ByteTokenizer().encode(corpora.shakespeare().train_text)[:n_bytes]
    model = build(name, seed)
    config = replace(
        gpt_recipe.RECORDED.config,
        steps=steps,
        learning_rate=rate,
        warmup_steps=steps // 20,
        evaluate_every=steps,
        seed=seed,
    )
    batches = Windows(plays, SHAPE.vocab_size, ROWS, SHAPE.context, seed)
    done = recording.finished(train(model, batches, config, **MODELS[name][0]))
    return model, {
        "steps": steps,
        "bytes": done.tokens,
        "parameters": recording.n_parameters(model),
        "flops": f"{gpt_recipe.flops_per_token(model) * done.tokens:.4g}",
        "seconds": f"{done.seconds:.1f}",
        "train_bits": f"{sum(done.losses[-50:]) / len(done.losses[-50:]) / math.log(2):.4f}",
    }


def scored(name: str, model: nn.Module, part: str) -> dict:
    """The columns of a play."""
    found = score(name, model, part)
    play = PLAYS[part]
    return {play: f"{found.bits:.4f}", f"{play}_error": f"{found.error:.4f}"}


def run(name: str, rate: float, seed: int, final: bool) -> dict:
    """Train a model on all plays; the rest of its row of the table."""
    model, row = trained(name, rate, seed, STEPS if final else TRIAL_STEPS)
    row |= scored(name, model, "validation")
    row |= scored(name, model, "test") if final else {"tempest": "", "tempest_error": ""}
    if (name, rate, seed) == SHIPPED:
        checkpoints.save_model(WEIGHTS, model, row | {"command": COMMAND}, half=True)
    return row


def reread(name: str, readings: int, rate: float, seed: int) -> dict:
    """Train a model on the few bytes; the rest of its row of their table."""
    model, row = trained(name, rate, seed, readings * FEW // (ROWS * SHAPE.context), FEW)
    return row | scored(name, model, "validation")


def load() -> MaskedDiffusion:
    """The recorded masked model of seed 0. Raises ValueError if its file is damaged."""
    model = build("masked")
    checkpoints.load_into(WEIGHTS, model)
    return model.eval()


def merit(row: dict) -> float:
    return -float(row["twelfth_night"])


def record(table: recording.Table) -> None:
    """Run what is missing: the trials of rates, then the seeds."""
    recording.sweep(table, "model", run, MODELS, RATES, SWEEP_SEED, SEEDS, merit)


def record_repeats(table: recording.Table) -> None:
    """The same for each model and number of readings of few bytes."""

    def row(name: str, readings: int, rate: float, seed: int) -> dict[str, str]:
        make = functools.partial(reread, name, readings, rate, seed)
        return table.row(make, model=name, readings=readings, learning_rate=rate, seed=seed)

    def best(name: str, readings: int) -> float:
        return max(FEW_RATES, key=lambda rate: merit(row(name, readings, rate, SWEEP_SEED)))

    chosen = [(*known, best(*known)) for known in itertools.product(MODELS, READINGS)]
    for seed, known in itertools.product(SEEDS, chosen):
        row(*known, seed)


if __name__ == "__main__":
    record(recording.Table(TABLE))
    if not WEIGHTS.exists():
        run(*SHIPPED, True)
    record_repeats(recording.Table(REPEATS))
