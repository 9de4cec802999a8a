"""Copying strings of random letters: a GRU without and with attention, trained briefly and six times as long.

    OMP_NUM_THREADS=1 python -m course_utils.weights.copying_recipe

trains each with three seeds and writes copying_log.csv beside this file: the share of new strings of each
length that is copied without an error. Chapter 4 trains the short ones too, with the same settings. A command
that is broken off leaves whole trainings; started again, it goes on with the next one.
"""

import functools
import itertools
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_utils.data.cmudict import LETTERS, PHONEMES, random_strings
from course_utils.seq2seq import GRUSeq2Seq, Pairs, greedy, pair_loss
from course_utils.training import TrainConfig, train
from course_utils.weights import recording

LOG = Path(__file__).parent / "copying_log.csv"
STEPS = 350, 2000
LENGTHS = range(4, 25)
MODELS = {  # equally many parameters
    "GRU": lambda: GRUSeq2Seq(len(LETTERS), len(PHONEMES), d_embedding=64, d_hidden=144),
    "GRU with attention": lambda: GRUSeq2Seq(
        len(LETTERS), len(PHONEMES), d_embedding=64, d_hidden=112, n_heads=4
    ),
}


def copied(model: nn.Module, strings: list[str]) -> dict[int, float]:
    """The share of the strings of each length that the model copies without an error."""
    sources = [LETTERS.encode(string) for string in strings]
    right = {}
    for source, written in zip(sources, greedy(model, sources, batch_size=512), strict=True):
        right.setdefault(len(source), []).append(source == written)
    return {length: float(np.mean(right[length])) for length in sorted(right)}


def train_one(name: str, steps: int, seed: int, n_strings: int = 50_000) -> dict:
    """Train one model; a row of the log."""
    torch.manual_seed(seed)
    model = MODELS[name]()
    strings = [LETTERS.encode(string) for string in random_strings(n_strings, seed=0)]
    batches = Pairs(strings, strings, batch_size=64, seed=seed, pool=4)
    config = TrainConfig(
        steps, learning_rate=0.01, warmup_steps=50, final_share=0.02, weight_decay=0.01, seed=seed
    )
    recording.finished(train(model, batches, config, loss=pair_loss))
    row = {"model": name, "steps": steps, "seed": seed, "parameters": recording.n_parameters(model)}
    shares = copied(model, random_strings(2100, seed=1))
    return row | {str(length): f"{shares[length]:.3f}" for length in LENGTHS}


def recorded() -> dict[tuple[str, int], np.ndarray]:
    """The log: for each model and number of steps the shares, a row a seed, a column a length, 4 to 24."""
    shares = {}
    for row in recording.read_table(LOG):
        seeds = shares.setdefault((row["model"], int(row["steps"])), [])
        seeds.append([float(row[str(length)]) for length in LENGTHS])
    return {run: np.array(seeds) for run, seeds in shares.items()}


def main() -> None:
    """Train what the log doesn't hold yet, seed by seed."""
    torch.set_num_threads(1)
    table = recording.Table(LOG)
    for seed, steps, name in itertools.product(range(3), STEPS, MODELS):
        make = functools.partial(train_one, name, steps, seed)
        table.row(make, model=name, steps=steps, seed=seed)


if __name__ == "__main__":
    main()
