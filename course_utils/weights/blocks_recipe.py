"""What is each part of a block for? Stacks of two blocks that lack one.

    OMP_NUM_THREADS=1 python -m course_utils.weights.blocks_recipe

A stack of pre-norm blocks predicts the next byte of Shakespeare's plays, and so does each stack that lacks
one part: the residual, all norms, the feed-forward layers, the attention, the positions. All read the same
tokens in the same order and begin from the same weights, as far as they have them. Without feed-forward
layers a stack has half of them: one more has them back, in six blocks of attention alone. (The stack
without attention was not tried with more weights.) What norms do may depend on how large the stream is at
first: LARGE has the whole stack and the one without norms again, with embeddings of standard deviation 1 in
place of 0.1. Another number in DEPTHS adds deeper stacks to the record.

An arm's learning rate is the best of five by its loss on the first half of Twelfth Night, with a seed for
that alone; then three seeds run and are scored on the second half. Writes blocks.csv; what is done is kept in
build/.

It does not show what other widths, more steps, a warm-up for each arm or other first matrices would change.
He et al. (2023) train deep stacks without residuals, Zhang et al. (2019) without norms, by such means.
"""

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import causal_mask
from course_utils.data import corpora
from course_utils.finetuning.lora import trainable
from course_utils.tokenizers import ByteTokenizer
from course_utils.training import Diverged, TrainConfig, train
from course_utils.training.batches import Windows
from course_utils.transformer import BlockConfig, Decoder
from course_utils.weights import recording
from course_utils.weights.norms_recipe import CONTEXT, ByteLM

TABLE = Path(__file__).with_name("blocks.csv")
CONFIG = BlockConfig(d_model=64, n_heads=4, pre_norm=True, activation="gelu")
STEPS, WARMUP, BATCH = 800, 80, 8
RATES, SWEEP_SEED, SEEDS = (0.0008, 0.002, 0.005, 0.0125, 0.03), 10, (0, 1, 2)


@dataclass(frozen=True)
class Arm:
    """A stack of so many blocks that lacks one part, or none; std is that of its first embeddings."""

    n_layers: int
    without: str = ""
    std: float = 0.1

    def build(self, seed: int = 0) -> ByteLM:
        """The model with its first weights: equal seeds give all arms of one depth the same."""
        torch.manual_seed(seed)
        model = ByteLM(Decoder(CONFIG, self.n_layers, cross=False), CONFIG.d_model, self.std)
        model.body = Stack(model.body, self.without)
        if self.without == "positions":
            nn.init.zeros_(model.positions.table.weight).requires_grad_(False)
        return model

    @property
    def flops(self) -> int:
        """Multiplications and additions of a training: three times those of the forward passes, for the
        matrices and for the scores and mixtures of all pairs, masked or not."""
        d = CONFIG.d_model
        attention = 0 if self.without == "attention" else 4 * d**2 + 2 * CONTEXT * d
        feed_forward = 0 if self.without == "feed-forward" else 8 * d**2
        a_token = self.n_layers * (attention + feed_forward) + d * 256
        return 3 * 2 * a_token * STEPS * BATCH * CONTEXT


DEPTHS, PARTS = (2,), ("residual", "norm", "feed-forward", "attention", "positions")
ARMS = {
    f"no {part}, {n} blocks" if part else f"whole, {n} blocks": Arm(n, part)
    for n in DEPTHS
    for part in ("", *PARTS)
}
ARMS["no feed-forward, 6 blocks"] = Arm(6, "feed-forward")  # the weights of two whole blocks
LARGE = {"whole, large embeddings": Arm(2, std=1.0), "no norm, large embeddings": Arm(2, "norm", std=1.0)}
ARMS |= LARGE


class Stack(nn.Module):
    """The blocks of a decoder, one part taken away."""

    def __init__(self, decoder: Decoder, without: str):
        super().__init__()
        self.without, self.blocks, self.norm = without, decoder.blocks, decoder.norm
        if without == "norm":
            self.norm = nn.Identity()
            for block in self.blocks:
                block.attention_norm = block.feed_forward_norm = nn.Identity()
        for block in self.blocks:
            if without == "attention":
                del block.attention, block.attention_norm
            if without == "feed-forward":
                del block.feed_forward, block.feed_forward_norm

    def forward(self, x: Float[Tensor, "batch time d_model"]) -> Float[Tensor, "batch time d_model"]:
        mask = causal_mask(x.shape[1], device=x.device)
        for block in self.blocks:
            if self.without != "attention":
                x = self._after(x, block.attention(block.attention_norm(x), mask=mask)[0])
            if self.without != "feed-forward":
                x = self._after(x, block.feed_forward(block.feed_forward_norm(x)))
        return self.norm(x)

    def _after(self, x, branch):
        return branch if self.without == "residual" else x + branch


@functools.cache
def read(part: str) -> np.ndarray:
    """The bytes of the plays of "train", or of Twelfth Night, "validation", as ids."""
    corpus = corpora.shakespeare()
    return ByteTokenizer().encode(corpus.train_text if part == "train" else corpus.validation)


def halves() -> tuple[Tensor, Tensor]:
    """Twelfth Night in windows of a context and one byte, its first half and its second."""
    ids = torch.from_numpy(read("validation").astype("int64"))
    return ids[: len(ids) // (CONTEXT + 1) * (CONTEXT + 1)].view(-1, CONTEXT + 1).tensor_split(2)


@torch.no_grad()
def loss(model: ByteLM, windows: Tensor) -> float:
    """Nats of a byte, the mean over all places of the windows."""
    logits = model.eval()(windows[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).item()


def trained(arm: Arm, rate: float, seed: int) -> ByteLM:
    """Build an arm and train it. Raises Diverged if its loss stops being a number."""
    model = arm.build(seed)
    batches = Windows(read("train"), 256, BATCH, CONTEXT, seed)
    recording.finished(train(model, batches, TrainConfig(STEPS, rate, WARMUP, seed=seed)))
    return model


def run(name: str, rate: float, seed: int, final: bool) -> dict:
    """Train an arm with one seed; its row has the loss on the second half if it is final."""
    arm, (first, second) = ARMS[name], halves()
    row = {
        "parameters": trainable(arm.build()),
        "steps": STEPS,
        "tokens": STEPS * BATCH * CONTEXT,
        "flops": f"{arm.flops:.4g}",
    }
    try:
        model = trained(arm, rate, seed)
        losses = loss(model, first), loss(model, second)
    except Diverged:
        losses = math.inf, math.inf
    return row | {"validation_nats": f"{losses[0]:.4f}", "nats": f"{losses[1]:.4f}" if final else ""}


def recorded() -> dict[str, tuple[float, list[float]]]:
    """Of each arm its best learning rate, and its losses on the second half of Twelfth Night, one a seed."""
    found = {}
    for row in recording.read_table(TABLE):
        if row["nats"]:
            _, losses = found.setdefault(row["arm"], (float(row["learning_rate"]), []))
            losses.append(float(row["nats"]))
    return found


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    torch.set_num_threads(1)
    table = recording.Table(folder / TABLE.name)
    recording.sweep(table, "arm", run, ARMS, RATES, SWEEP_SEED, SEEDS, recording.least("validation_nats"))
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
