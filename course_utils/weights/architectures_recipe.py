"""Which architecture writes best for the same compute: two stacks, or one whose mask says who sees whom?

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m course_utils.weights.architectures_recipe

Each reads a verse of the King James Bible and is asked for the same verse in modern English: nats of the
target's tokens, and of no others. All are made of T5's blocks, 128 wide, and have one budget of FLOPs, so
that what costs less a verse makes more steps:

- an encoder-decoder of two layers a stack, 2P parameters for short;
- a prefix language model of two layers, P: it reads the source both ways;
- a causal language model of two layers, P: it reads the source, too, from left to right.

Each one's learning rate is the best of four by its bits on the validation books, with a seed of its own;
then three seeds run and are scored on the test books, in bits a byte; once more each after the source of
another verse, which says whether a model reads its own. Writes architectures.csv; what is done is kept in
build/.

It does not show what a loss on the source too, pretraining, more layers or more steps would change.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from course_utils.data.verses import Verse, verses
from course_utils.seq2seq import (
    T5,
    DecoderOnly,
    Marks,
    Pairs,
    T5Config,
    decoder_only_flops,
    encoder_decoder_flops,
    padded,
    pair_loss,
)
from course_utils.tokenizers import BPETokenizer
from course_utils.training import Run, TrainConfig, train
from course_utils.weights import recording

TABLE = Path(__file__).with_name("architectures.csv")
N_TOKENS, N_SENTINELS = 2048, 8  # of the text; beside them padding, which also starts, the end, and sentinels
SENTINELS = range(N_TOKENS + 2, N_TOKENS + 2 + N_SENTINELS)
MARKS = Marks(pad=N_TOKENS, start=N_TOKENS, end=N_TOKENS + 1)
SHAPE = T5Config(
    N_TOKENS + 2 + N_SENTINELS, d_model=128, n_layers=2, n_heads=4, d_ff=512, d_head=32, marks=MARKS
)
LONGEST = 32  # tokens of a verse: pairs with a longer one are left out
ROWS, POOL = 32, 16  # pairs a batch, and batches that are sorted by length together
BUDGET = 1.5e12  # FLOPs of a run
RATES, SWEEP_SEED, SEEDS = (0.004, 0.01, 0.025, 0.06), 10, (0, 1, 2)
CONFIG = TrainConfig(
    steps=1,
    learning_rate=0.02,
    warmup_steps=20,
    final_share=0.02,
    weight_decay=0.01,
    precision="mixed",
    optimiser="muon",
    momentum=0.95,
)


@dataclass(frozen=True)
class Architecture:
    """What is built, of how many layers a stack, and what a pair costs it."""

    build: Callable[[T5Config], nn.Module]
    n_layers: int
    flops: Callable[..., int]

    @property
    def shape(self) -> T5Config:
        return replace(SHAPE, n_layers=self.n_layers)

    def training_flops(self, source: int, target: int) -> int:
        """Of a pair of so many tokens, start or end included: the backward pass costs twice the forward."""
        names = "n_layers", "d_model", "d_ff", "vocab_size"
        return 3 * self.flops(source, target, **{name: getattr(self.shape, name) for name in names})


ARCHITECTURES = {
    "encoder-decoder, 2P": Architecture(T5, 2, encoder_decoder_flops),
    "prefix LM, P": Architecture(DecoderOnly, 2, decoder_only_flops),
    "causal LM, P": Architecture(functools.partial(DecoderOnly, causal=True), 2, decoder_only_flops),
}


@functools.lru_cache(maxsize=1)
def tokenizer() -> BPETokenizer:
    """Byte-pair encoding of both versions, learnt from the training books."""
    texts = [text for verse in verses().train for text in (verse.old, verse.new)]
    return BPETokenizer.train(texts, N_TOKENS)


Pair = tuple[list[int], list[int]]


@functools.lru_cache(maxsize=3)
def encoded(part: str) -> list[tuple[Verse, Pair]]:
    """The verses of "train", "validation" or "test" that are short enough, each with its source and target as
    ids; a source ends with the end, as T5's do."""
    fast, rows = tokenizer().fast(), getattr(verses(), part)
    olds, news = (
        [text.ids for text in fast.encode_batch([getattr(verse, side) for verse in rows])]
        for side in ("old", "new")
    )
    pairs = [(verse, ([*old, MARKS.end], new)) for verse, old, new in zip(rows, olds, news, strict=True)]
    return [(verse, pair) for verse, pair in pairs if max(map(len, pair)) < LONGEST]


def a_step(architecture: Architecture, pairs: Sequence[Pair]) -> float:
    """FLOPs of a batch of such pairs, on average and without padding."""
    costs = [architecture.training_flops(len(source), len(target) + 1) for source, target in pairs]
    return ROWS * sum(costs) / len(costs)


def step_tokens(pairs: Sequence[Pair]) -> float:
    """Tokens of a batch of such pairs, on average, each row's end included and without padding."""
    return ROWS * sum(len(source) + len(target) + 1 for source, target in pairs) / len(pairs)


def trained(model: nn.Module, pairs: Sequence[Pair], steps: int, rate: float, seed: int) -> Run:
    """Train a model in place, at a learning rate, on pairs drawn with this seed."""
    batches = Pairs(*zip(*pairs, strict=True), ROWS, seed, POOL, marks=MARKS)
    config = replace(CONFIG, steps=steps, learning_rate=rate, seed=seed)
    return recording.finished(train(model, batches, config, loss=pair_loss))


@torch.no_grad()
def bits_per_byte(model: nn.Module, part: str, other_sources: bool = False) -> float:
    """Bits of the modern verses and of their ends, given the old ones, for each byte of the verses.

    With `other_sources` each is asked for after another old verse of about its length: what that costs more
    is what its own source gives it, and how far a wrong one misleads it.
    """
    model.eval()
    rows = sorted(encoded(part), key=lambda row: sum(map(len, row[1])))
    n_bytes = sum(len(verse.new.encode()) for verse, _ in rows)
    sources, targets = ([pair[side] for _, pair in rows] for side in (0, 1))
    if other_sources:
        sources = sources[1:] + sources[:1]
    nats = 0.0
    for first in range(0, len(rows), 64):
        some = slice(first, first + 64)
        target, lengths = padded([[MARKS.start, *ids, MARKS.end] for ids in targets[some]], MARKS.pad)
        with recording.mixed_precision():
            mean, _ = pair_loss(model, (*padded(sources[some], MARKS.pad), target), None)
        nats += mean.item() * (lengths - 1).sum().item()
    return nats / math.log(2) / n_bytes


def scores(model: nn.Module) -> dict:
    """The columns of a final run: bits on the test books, and with the sources of others."""
    return {
        "test_bits": f"{bits_per_byte(model, 'test'):.4f}",
        "other_source_bits": f"{bits_per_byte(model, 'test', other_sources=True):.4f}",
    }


def run(name: str, rate: float, seed: int, final: bool) -> dict:
    """Train one architecture with one seed; its row has the bits on the test books if it is final."""
    architecture, pairs = ARCHITECTURES[name], [pair for _, pair in encoded("train")]
    torch.manual_seed(seed)
    model = architecture.build(architecture.shape)
    flops = a_step(architecture, pairs)
    steps = round(BUDGET / flops)
    done = trained(model, pairs, steps, rate, seed)
    row = {
        "parameters": recording.n_parameters(model),
        "steps": steps,
        "tokens": round(steps * step_tokens(pairs)),
        "flops": f"{steps * flops:.4g}",
        "seconds": f"{done.seconds:.1f}",
        "validation_bits": f"{bits_per_byte(model, 'validation'):.4f}",
    }
    return row | (scores(model) if final else {"test_bits": "", "other_source_bits": ""})


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    table = recording.Table(folder / TABLE.name)
    merit = recording.least("validation_bits")
    recording.sweep(table, "architecture", run, ARCHITECTURES, RATES, SWEEP_SEED, SEEDS, merit)
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
