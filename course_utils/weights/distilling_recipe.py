"""Distillation: a small GPT has one play to learn from, and what SmolLM2 would have said at each place of it.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m course_utils.weights.distilling_recipe

After each token of the play, three arms of one GPT and one number of steps learn

- hard labels: the token that comes;
- smoothed labels: that token with 0.9, and all evenly with 0.1, which a rule without knowledge can give;
- SmolLM2's distribution: the probability that it gives to each token (Hinton et al. 2015, at temperature 1).

Tokens are SmolLM2's. The 2,047 that are frequent in the play are kept, and all others are one: SmolLM2's
probabilities for those are added up. Scored is which of the kept tokens comes, where one comes. The others
are rare in this play, which chose them, and not elsewhere: a teacher may know that, labels can't. (They were
scored, too, at first.) Rate and number of steps are the best of three, and of every 25, by
bits a token on the first part of Twelfth Night, with a seed of its own for the rate; then three seeds are
scored on another part of it. SmolLM2 itself is scored there too; it has probably read these plays. Writes
distilling.csv; what is done is kept in build/.

FLOPs are those of the small model's training, the same for all arms, and in SmolLM2's own row those of its
reading the play, which come on top for the arm that it teaches. A run takes 15 seconds of one core.
"""

import functools
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils import pretrained
from course_utils.data import corpora
from course_utils.gpt import GPT, GPTConfig
from course_utils.training import TrainConfig, train
from course_utils.training.batches import epoch_order
from course_utils.weights import recording

TABLE = Path(__file__).with_name("distilling.csv")
CONFIG = GPTConfig(vocab_size=2048, context=128, n_layers=2, n_heads=4, d_model=64)
OTHER = CONFIG.vocab_size - 1
STEPS, ROWS, EVERY = 300, 8, 25
WINDOWS = 192  # 24,576 tokens of the first play
HELD_OUT = {"validation": 40, "test": 80}  # windows of Twelfth Night
ARMS = "hard labels", "smoothed labels", "SmolLM2's distribution"
RATES, SWEEP_SEED, SEEDS = (1e-3, 3e-3, 1e-2), 10, range(3)
SMOOTHING = 0.1

Windows = Int[Tensor, "windows context+1"]


def cut(text: str, n: int) -> Windows:
    """The first n windows of a text, as SmolLM2's tokens; each begins with the last of the one before."""
    size = CONFIG.context
    ids = pretrained.smollm2_tokenizer().encode(text[: 8 * size * n]).ids[: n * size + 1]
    return torch.tensor(ids).unfold(0, size + 1, size)


@functools.cache
def windows() -> dict[str, Windows]:
    """What is read, as SmolLM2's tokens: one play, and two parts of Twelfth Night."""
    plays, n = corpora.shakespeare(), sum(HELD_OUT.values())
    held_out = cut(plays.validation, n)
    parts = dict(zip(HELD_OUT, held_out.split([*HELD_OUT.values()]), strict=True))
    return parts | {"play": cut(plays.train_text, WINDOWS)}


@functools.cache
def kept() -> list[int]:
    """The tokens that stand for themselves: those most frequent in the play."""
    return [i for i, _ in Counter(windows()["play"].flatten().tolist()).most_common(OTHER)]


def small(ids: Windows) -> Windows:
    """Windows of the small model's tokens."""
    table = torch.full((pretrained.smollm2_tokenizer().get_vocab_size(),), OTHER)
    table[kept()] = torch.arange(len(kept()))
    return table[ids]


@functools.cache
def taught(part: str) -> Float[Tensor, "windows context vocab"]:
    """SmolLM2's probabilities of the small model's tokens after each token but a window's last."""
    teacher, rows = pretrained.load("smollm2-135m").eval(), []
    for some in windows()[part].split(4):
        with torch.no_grad(), recording.mixed_precision():
            p = teacher(some[:, :-1]).float().softmax(-1)
        own = torch.zeros(*p.shape[:2], CONFIG.vocab_size)
        own[..., : len(kept())] = p[..., kept()]
        own[..., OTHER] = (1 - own.sum(-1)).clamp(min=0)
        rows.append(own)
    return torch.cat(rows)


class Batches:
    """Windows in a new order each epoch, and what is to be learnt after each of their tokens."""

    def __init__(self, inputs: Tensor, targets: Tensor, seed: int):
        self.inputs, self.targets, self.seed, self.drawn = inputs, targets, seed, 0

    def next(self) -> tuple[Tensor, Tensor]:
        epoch, place = divmod(self.drawn, len(self.inputs) // ROWS)
        self.drawn += 1
        rows = epoch_order(self.seed, epoch, len(self.inputs))[place * ROWS : (place + 1) * ROWS]
        return self.inputs[rows.tolist()], self.targets[rows.tolist()]


def loss_of(smoothing: float = 0.0) -> Callable:
    """Mean nats of the targets, tokens or distributions, under the model."""

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor], state: None) -> tuple[Tensor, None]:
        inputs, targets = batch
        logits = model(inputs).flatten(0, 1)
        return functional.cross_entropy(logits, targets.flatten(0, 1), label_smoothing=smoothing), None

    return loss


def bits(model: nn.Module, part: str) -> float:
    """Bits a kept token of a part of Twelfth Night, after what stands before it in its window."""
    with torch.no_grad():
        return bits_of_kept(model.eval()(small(windows()[part])[:, :-1]).log_softmax(-1), part)


def bits_of_kept(log_p: Float[Tensor, "windows context vocab"], part: str) -> float:
    """Bits a token that is kept, among those that are."""
    targets, log_p = small(windows()[part])[:, 1:], log_p[..., :OTHER].log_softmax(-1)
    is_kept = targets < OTHER
    return -log_p[is_kept].gather(-1, targets[is_kept][:, None]).mean().item() / math.log(2)


def run(arm: str, rate: float, seed: int, final: bool) -> dict:
    """Train one arm; the rest of its row, with the bits of the test if it is final."""
    ids = small(windows()["play"])
    targets = taught("play") if arm.startswith("SmolLM2") else ids[:, 1:]
    torch.manual_seed(seed)
    model, scores = GPT(CONFIG), []

    def evaluate(model: nn.Module) -> float:
        scores.append((bits(model, "validation"), bits(model, "test") if final else 0.0, EVERY * len(scores)))
        return scores[-1][0]

    config = TrainConfig(STEPS, rate, warmup_steps=20, evaluate_every=EVERY, seed=seed)
    loss = loss_of(SMOOTHING if arm.startswith("smoothed") else 0.0)
    recording.finished(
        train(model, Batches(ids[:, :-1], targets, seed), config, loss=loss, evaluate=evaluate)
    )
    validation, test, before = min(scores)
    return {
        "validation_bits": f"{validation:.4f}",
        "test_bits": f"{test:.4f}" if final else "",
        "best_step": before + EVERY,
        "flops": f"{6 * recording.n_parameters(model) * STEPS * ROWS * CONFIG.context:.3g}",
    }


def teacher_itself() -> dict:
    """The row of SmolLM2: what it has to give, and the FLOPs of its reading of the play."""
    row = {f"{part}_bits": f"{bits_of_kept(taught(part).log(), part):.4f}" for part in HELD_OUT}
    n = recording.n_parameters(pretrained.load("smollm2-135m"))
    return row | {"best_step": "", "flops": f"{2 * n * WINDOWS * CONFIG.context:.3g}"}


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    torch.set_num_threads(1)
    table = recording.Table(folder / TABLE.name)
    table.row(teacher_itself, arm="SmolLM2 itself", learning_rate="", seed="")
    recording.sweep(table, "arm", run, ARMS, RATES, SWEEP_SEED, SEEDS, recording.least("validation_bits"))
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
