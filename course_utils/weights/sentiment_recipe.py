"""Did the writer like the film? Three ways to ask our BERT, beside two controls.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=2 python -m course_utils.weights.sentiment_recipe

All ways learn from the same 1,500 training reviews and read their first 126 tokens (one counts whole reviews
too: that costs it nothing). A linear layer reads the mean of the last vectors: alone, on the trained body and
on one with its first random weights; with the last two layers; with the whole body. Each way tries three
settings, which are learning rates, or weight decays where the fit is exact, and the validation reviews
choose. A seed draws the reviews, their order and the first weights of what is new. Writes sentiment.csv,
with the tokens and FLOPs of what reads by a body; what is done is kept in build/. The test reviews are scored
with the chosen setting alone.
"""

import functools
import itertools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from course_utils import pretrained
from course_utils.bert import Bert
from course_utils.bert.batches import LabelledTexts, class_loss
from course_utils.bert.search import embed_rows, mean_pooled
from course_utils.data.reviews import reviews
from course_utils.finetuning.lora import trainable
from course_utils.measuring.probing import linear_probe, standardised
from course_utils.training import TrainConfig, train
from course_utils.weights import bert_recipe, recording

TABLE = Path(__file__).with_name("sentiment.csv")
REVIEWS = {"train": 1500, "validation": 600, "test": 1500}
HELD_OUT = "validation", "test"
READS, BATCH, EPOCHS = 128, 2048, 2  # tokens of a review, tokens a batch, times that each review is read
RATES, SWEEP_SEED, SEEDS = (5e-5, 1.5e-4, 5e-4), 10, (0, 1, 2)
CONFIG = TrainConfig(
    steps=1,
    learning_rate=1e-4,
    warmup_steps=10,
    final_share=0.02,
    weight_decay=0.01,
    precision="mixed",
)


class MoodReader(nn.Module):
    """A body, the mean of its last vectors, and a linear layer with two outcomes."""

    def __init__(self, body: Bert):
        super().__init__()
        self.bert, self.classifier = body, nn.Linear(body.config.d_model, 2)

    def forward(
        self, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch 2"]:
        return self.classify(mean_pooled(self.bert(ids, lengths), lengths))

    def classify(self, vectors: Float[Tensor, "batch d_model"]) -> Float[Tensor, "batch 2"]:
        """Vectors have the length 1; their numbers should have about that size."""
        return self.classifier(vectors * vectors.shape[-1] ** 0.5)


def last_two_layers(model: MoodReader) -> list[nn.Module]:
    return [*model.bert.encoder.blocks[-2:], model.classifier]


def whole(model: MoodReader) -> list[nn.Module]:
    return [model]


TUNED = {"last two layers": last_two_layers, "whole body": whole}


@functools.lru_cache(maxsize=6)
def sample(part: str, seed: int = 0) -> tuple[list[Int[np.ndarray, " tokens"]], Bool[np.ndarray, " reviews"]]:
    """Whole reviews as ids, and which are favourable: for training a seed draws them, else the first."""
    texts, rows, n = bert_recipe.encoded(part), getattr(reviews(), part), REVIEWS[part]
    chosen = np.random.default_rng(seed).permutation(len(rows))[:n] if part == "train" else range(n)
    return [texts[i] for i in chosen], np.array([rows[i].positive for i in chosen])


def read(part: str, seed: int = 0) -> list[Int[np.ndarray, " tokens"]]:
    """What a model reads of each review."""
    return [text[: READS - 2] for text in sample(part, seed)[0]]


def untrained_body() -> Bert:
    torch.manual_seed(0)
    return Bert(bert_recipe.MINILM).eval()


BODIES = {"frozen, untrained": untrained_body, "frozen": lambda: bert_recipe.load().bert}


def vectors(body: Bert, rows: list[Int[np.ndarray, " tokens"]]) -> Float[np.ndarray, "reviews d_model"]:
    with recording.mixed_precision():
        return embed_rows(body, pretrained.bert_tokenizer(), rows).numpy()


@functools.lru_cache(maxsize=2)
def _held_out_vectors(way: str) -> list[Float[np.ndarray, "reviews d_model"]]:
    body = BODIES[way]()
    return [vectors(body, read(part)) for part in HELD_OUT]


def frozen(way: str, seed: int) -> dict:
    """Logistic regression on the mean vectors of a body that stays as it is."""
    body, start = BODIES[way](), time.perf_counter()
    features = vectors(body, read("train", seed))
    took = time.perf_counter() - start
    row = _fitted(standardised(*_with_moods([features, *_held_out_vectors(way)], seed)), took)
    return row | spent_frozen(way, seed)


def spent_frozen(way: str, seed: int) -> dict[str, str]:
    """The tokens of the reviews that a frozen body reads once, and the FLOPs of that."""
    rows, body = read("train", seed), BODIES[way]().requires_grad_(False)
    flops = recording.flops_of(functools.partial(vectors, body, rows))
    return {"tokens": str(n_tokens(rows)), "flops": f"{flops:.3g}"}


def n_tokens(rows: list[Int[np.ndarray, " tokens"]]) -> int:
    """Of rows between their two marks."""
    return sum(len(row) + 2 for row in rows)


def words_of_start(text: Int[np.ndarray, " tokens"]) -> Int[np.ndarray, " kinds"]:
    return np.unique(text[: READS - 2])


BAGS = {"bag of words": words_of_start, "bag of words, whole reviews": np.unique}


def bag_of_words(way: str, seed: int) -> dict:
    """Logistic regression on which pieces of words a review has, among those of two training reviews."""
    parts = [[BAGS[way](text) for text in sample(part, seed)[0]] for part in REVIEWS]
    start = time.perf_counter()
    known = np.flatnonzero(np.bincount(np.concatenate(parts[0])) > 1)
    features = [np.array([np.isin(known, text) for text in texts], dtype=np.float32) for texts in parts]
    return _fitted(_with_moods(features, seed), time.perf_counter() - start)


def _with_moods(features: list[np.ndarray], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(x, sample(part, seed)[1]) for x, part in zip(features, REVIEWS, strict=True)]


def _fitted(parts: list[tuple[np.ndarray, np.ndarray]], took: float) -> dict:
    start = time.perf_counter()
    found = linear_probe(*parts)
    took += time.perf_counter() - start
    return _row(found.decay, parts[0][0].shape[1] + 1, took, found.validation, found.test)


def reader(way: str, seed: int) -> MoodReader:
    """Our BERT under a new linear layer; what the way trains has gradients."""
    torch.manual_seed(seed)
    model = MoodReader(bert_recipe.load().bert).requires_grad_(False)
    for module in TUNED[way](model):
        module.requires_grad_(True)
    return model


def tuned(way: str, rate: float, seed: int, parts: tuple[str, ...] = HELD_OUT) -> dict:
    """Train a part of the body and the linear layer, and score them on some of the held-out parts."""
    model = reader(way, seed)
    config = replace(CONFIG, steps=steps_of(seed), learning_rate=rate, seed=seed)
    run = recording.finished(train(model, batches(seed), config, loss=class_loss))
    shares = (share_right(model.eval(), part) for part in parts)
    row = _row(config.weight_decay, trainable(model), run.seconds, *shares)
    return row | recording.budget(reader(way, seed), batches(seed), class_loss, steps_of(seed))


def batches(seed: int) -> LabelledTexts:
    moods = sample("train", seed)[1]
    return LabelledTexts(read("train", seed), moods, pretrained.bert_tokenizer(), BATCH, READS, seed)


def steps_of(seed: int) -> int:
    return round(EPOCHS * n_tokens(read("train", seed)) / BATCH)


@torch.no_grad()
def share_right(model: MoodReader, part: str) -> float:
    """The share of held-out reviews whose mood the model tells."""
    found = model.classify(torch.from_numpy(vectors(model.bert, read(part)))).argmax(1).numpy()
    return float(np.mean(found == sample(part)[1]))


def _row(decay: float, trained: int, seconds: float, validation: float, test: float | None = None) -> dict:
    row = {"weight_decay": decay, "trained": trained, "seconds": f"{seconds:.1f}"}
    row |= {"validation": f"{validation:.4f}", "test": "" if test is None else f"{test:.4f}"}
    return row | {"tokens": "", "flops": ""}


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    table = recording.Table(folder / TABLE.name)
    for ways, fit in ((BAGS, bag_of_words), (BODIES, frozen)):
        for way, seed in itertools.product(ways, SEEDS):
            table.row(functools.partial(fit, way, seed), way=way, learning_rate="", seed=seed)

    def run(way: str, rate: float, seed: int, final: bool) -> dict:
        return tuned(way, rate, seed, HELD_OUT if final else HELD_OUT[:1])

    def merit(row: dict) -> float:
        return float(row["validation"])

    recording.sweep(table, "way", run, TUNED, RATES, SWEEP_SEED, SEEDS, merit)
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
