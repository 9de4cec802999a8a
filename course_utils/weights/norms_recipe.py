"""Norms before the branches or after the sum: stacks of narrow blocks at two depths and three learning rates.

    OMP_NUM_THREADS=1 python -m course_utils.weights.norms_recipe

trains each with and without warm-up and with three seeds, and writes norms_log.csv beside this file. Chapter
5 shows the table, and trains two of its runs. A command that is broken off leaves whole trainings; started
again, it goes on with the next one.

Source: Xiong et al. 2020 (pre-norm against post-norm).
"""

import functools
import itertools
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_utils.attention import LearnedPositions
from course_utils.data import corpora
from course_utils.tokenizers import ByteTokenizer
from course_utils.training import TrainConfig, train
from course_utils.training.batches import Windows
from course_utils.transformer import BlockConfig, Decoder
from course_utils.weights import recording

LOG = Path(__file__).parent / "norms_log.csv"
STEPS, BATCH, CONTEXT = 120, 16, 32
NORMS = {"pre-norm": True, "post-norm": False}
LAYERS, RATES, WARMUPS, SEEDS = (4, 16), (1e-3, 3e-3, 1e-2), (0, 60), range(3)


class ByteLM(nn.Module):
    """Bytes and positions into a stream, through `body`, out to logits for the next byte."""

    def __init__(self, body: nn.Module, d_model: int, std: float = 1.0):
        super().__init__()
        self.embedding, self.positions = nn.Embedding(256, d_model), LearnedPositions(CONTEXT, d_model)
        self.body, self.head = body, nn.Linear(d_model, 256)
        for table in (self.embedding, self.positions.table):
            nn.init.normal_(table.weight, std=std)
        for parameter in body.parameters():
            if parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)

    def forward(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time 256"]:
        return self.head(self.body(self.embedding(ids) + self.positions(ids.shape[1])))


def stack(pre_norm: bool, n_layers: int = 16, seed: int = 0) -> ByteLM:
    """A model of the comparison with its first random weights: equal seeds give both norms the same."""
    torch.manual_seed(seed)
    config = BlockConfig(d_model=32, n_heads=4, pre_norm=pre_norm, activation="gelu")
    return ByteLM(Decoder(config, n_layers, cross=False), d_model=32)


def parameters(model: ByteLM) -> dict[str, int]:
    """How many numbers each part of a model learns, by the names that `diagrams.model_chart` wants."""
    block = model.body.blocks[0]
    parts = {
        "embedding": model.embedding,
        "positions": model.positions,
        "norm": block.attention_norm,
        "attention": block.attention,
        "feed-forward": block.feed_forward,
        "last norm": model.body.norm,
        "output": model.head,
    }
    return {name: recording.n_parameters(part) for name, part in parts.items()}


def windows(seed: int = 0) -> Windows:
    """What all of them read."""
    read = ByteTokenizer().encode(corpora.shakespeare().train_text)
    return Windows(read, 256, BATCH, CONTEXT, seed)


def final_loss(model: ByteLM, rate: float, warmup: int, seed: int = 0, steps: int = STEPS) -> float:
    """Train a model; the mean loss of its last 20 steps, in nats a byte."""
    run = recording.finished(train(model, windows(seed), TrainConfig(steps, rate, warmup, seed=seed)))
    return float(np.mean(run.losses[-20:]))


def recorded() -> dict[tuple[str, int, float, int], list[float]]:
    """The log: for each norm, number of layers, learning rate and warm-up the losses, one a seed."""
    losses = {}
    for row in recording.read_table(LOG):
        run = row["norm"], int(row["layers"]), float(row["rate"]), int(row["warmup"])
        losses.setdefault(run, []).append(float(row["loss"]))
    return losses


def main() -> None:
    """Train what the log doesn't hold yet, seed by seed."""
    torch.set_num_threads(1)
    table = recording.Table(LOG)

    def make(norm: str, layers: int, rate: float, warmup: int, seed: int) -> dict:
        return {"loss": f"{final_loss(stack(NORMS[norm], layers, seed), rate, warmup, seed):.3f}"}

    for seed, layers, rate, warmup, norm in itertools.product(SEEDS, LAYERS, RATES, WARMUPS, NORMS):
        run = {"norm": norm, "layers": layers, "rate": rate, "warmup": warmup, "seed": seed}
        table.row(functools.partial(make, **run), **run)


if __name__ == "__main__":
    main()
