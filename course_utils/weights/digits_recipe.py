"""Does it matter to a network how a tokenizer cuts numbers? Addition, with digits glued and split.

    OMP_NUM_THREADS=1 python -m course_utils.weights.digits_recipe

A network like that of Bengio et al. (2003) reads two numbers of three digits, from 000 to 999, and answers
with the four digits of their sum. It is the same in every arm, and so are the sums and their order; only the
cut of what it reads differs:

- split: a digit a token;
- pairs: two digits and one, from the left;
- glued: a number a token.

What a step multiplies is equal, for embeddings are looked up and as wide together; the table of embeddings is
larger where there are more tokens. Each arm's learning rate is the best of four by the loss on sums kept for
that, with a seed of its own; then three seeds are scored on new sums. Glued numbers train eight times as
long, too. Writes digits.csv; a command that is broken off goes on where it was.

The highest rate was best for the three short trainings; 0.1, tried once apart from the table with the sweep's
seed, was worse for each of them.

Source: digits of glued numbers in arithmetic, Nogueira, Jiang & Lin 2021; Singh & Strouse 2024.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.training import Run, TrainConfig, train
from course_utils.weights import recording

TABLE = Path(__file__).with_name("digits.csv")
N_SEEN, N_HELD_OUT, BATCH = 50_000, 5000, 256  # sums, of a million
HIDDEN, WIDTH = 256, 96  # WIDTH: of all embeddings of a sum together
STEPS, LONGER = 1000, 8
RATES, SWEEP_SEED, SEEDS = (0.001, 0.003, 0.01, 0.03), 10, (0, 1, 2)
PLACES = ("thousands", "hundreds", "tens", "units")

Sums = Int[np.ndarray, "sums 2"]


def split(numbers: Sums) -> Int[np.ndarray, "sums 6"]:
    """1 2 3: ten tokens."""
    return np.stack([numbers // 100, numbers // 10 % 10, numbers % 10], -1).reshape(len(numbers), -1)


def pairs(numbers: Sums) -> Int[np.ndarray, "sums 4"]:
    """12 3: the ten digits, and a hundred pairs after them."""
    return np.stack([10 + numbers // 10, numbers % 10], -1).reshape(len(numbers), -1)


def glued(numbers: Sums) -> Sums:
    """123: a thousand tokens."""
    return numbers


@dataclass(frozen=True)
class Arm:
    """How numbers are cut, into how many tokens a sum, of how many there are; how much longer it trains."""

    cut: Callable[[Sums], np.ndarray]
    n_tokens: int
    vocab_size: int
    times: int = 1


ARMS = {
    "split": Arm(split, 6, 10),
    "pairs": Arm(pairs, 4, 110),
    "glued": Arm(glued, 2, 1000),
    f"glued, {LONGER} times as long": Arm(glued, 2, 1000, LONGER),
}


class Adder(nn.Module):
    """The network of Bengio et al. (2003) with a ReLU: embed the tokens, join them, one hidden layer; logits
    of the sum's four digits."""

    def __init__(self, n_tokens: int, vocab_size: int):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, WIDTH // n_tokens)
        self.hidden, self.output = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, len(PLACES) * 10)

    def forward(self, ids: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch places 10"]:
        joined = self.embedding(ids).flatten(1)
        return self.output(functional.relu(self.hidden(joined))).view(-1, len(PLACES), 10)


def sums(part: str) -> Sums:
    """The pairs of numbers that are seen, or of those kept for "validation" or "test"."""
    order = np.random.default_rng(0).permutation(1_000_000)
    first = {"test": 0, "validation": N_HELD_OUT, "train": 2 * N_HELD_OUT}[part]
    some = order[first : first + (N_SEEN if part == "train" else N_HELD_OUT)]
    return np.stack([some // 1000, some % 1000], -1)


def digits_of_sums(numbers: Sums) -> Int[np.ndarray, "sums places"]:
    """0579 for 123 + 456."""
    return numbers.sum(1)[:, None] // 10 ** np.arange(len(PLACES))[::-1] % 10


class Batches:
    """Batches (ids, digits of the sum), drawn by a seed: the same sums however they are cut."""

    def __init__(self, arm: Arm, seed: int):
        numbers = sums("train")
        self.ids, self.answers = torch.from_numpy(arm.cut(numbers)), torch.from_numpy(digits_of_sums(numbers))
        self.generator = torch.Generator().manual_seed(seed)

    def next(self) -> tuple[Tensor, Tensor]:
        some = torch.randint(N_SEEN, (BATCH,), generator=self.generator)
        return self.ids[some], self.answers[some]


def loss(model: nn.Module, batch: tuple[Tensor, Tensor], state: None) -> tuple[Tensor, None]:
    """Mean nats a digit of the sum."""
    ids, answers = batch
    return functional.cross_entropy(model(ids).flatten(0, 1), answers.flatten()), None


def trained(name: str, rate: float, seed: int, report=None) -> tuple[Adder, Run]:
    """The network of an arm, trained at a learning rate."""
    arm = ARMS[name]
    torch.manual_seed(seed)
    model = Adder(arm.n_tokens, arm.vocab_size)
    config = TrainConfig(
        arm.times * STEPS, rate, warmup_steps=50, final_share=0.02, weight_decay=0.01, seed=seed
    )
    return model, train(model, Batches(arm, seed), config, loss=loss, report=report)


@torch.no_grad()
def shares_right(name: str, model: Adder, part: str) -> dict[str, float]:
    """The share of sums of a part with all digits right, and that of each of the four digits."""
    numbers = sums(part)
    right = model(torch.from_numpy(ARMS[name].cut(numbers))).argmax(-1).numpy() == digits_of_sums(numbers)
    return {"sums": float(right.all(1).mean())} | dict(zip(PLACES, right.mean(0).tolist(), strict=True))


@torch.no_grad()
def validation_nats(name: str, model: Adder) -> float:
    """Mean nats a digit on sums that no training saw, by which a learning rate is chosen."""
    numbers = sums("validation")
    ids, answers = ARMS[name].cut(numbers), digits_of_sums(numbers)
    return loss(model, (torch.from_numpy(ids), torch.from_numpy(answers)), None)[0].item()


def flops(steps: int) -> int:
    """Of a training, multiplications and additions; the backward pass costs twice the forward."""
    return 3 * 2 * (WIDTH * HIDDEN + HIDDEN * len(PLACES) * 10) * BATCH * steps


def run(name: str, rate: float, seed: int, final: bool) -> dict:
    """The rest of a row of the table; the shares of new sums only if it is final."""
    model, done = trained(name, rate, seed)
    recording.finished(done)
    row = {
        "steps": done.step,
        "parameters": recording.n_parameters(model),
        "flops": f"{flops(done.step):.4g}",
        "seconds": f"{done.seconds:.1f}",
        "validation_nats": f"{validation_nats(name, model):.5f}",
    }
    shares = shares_right(name, model, "test")
    return row | {column: f"{share:.4f}" if final else "" for column, share in shares.items()}


def recorded() -> dict[str, list[dict[str, float]]]:
    """Of each arm, for each of three seeds, the share of new sums that is right, and of each digit."""
    rows = [row for row in recording.read_table(TABLE) if row["sums"]]
    columns = "learning_rate", "sums", *PLACES
    return {
        name: [{column: float(row[column]) for column in columns} for row in rows if row["cut"] == name]
        for name in ARMS
    }


def nats_by_rate(name: str) -> dict[float, float]:
    """Of an arm, by learning rate, the nats a digit of other sums at the end, with the sweep's one seed."""
    rows = [row for row in recording.read_table(TABLE) if row["cut"] == name and not row["sums"]]
    return {float(row["learning_rate"]): float(row["validation_nats"]) for row in rows}


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    torch.set_num_threads(1)
    table = recording.Table(folder / TABLE.name)
    recording.sweep(table, "cut", run, ARMS, RATES, SWEEP_SEED, SEEDS, recording.least("validation_nats"))
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
