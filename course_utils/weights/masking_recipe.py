"""What does 80/10/10 cure? Four ways to ask for hidden words, and what they leave where none is hidden.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=2 python -m course_utils.weights.masking_recipe

A small BERT (3 layers, 128 wide) learns from the training reviews, in the 4,096 commonest pieces of words,
by the paper's rule, by [MASK] alone, by tokens that are asked for and stay, and by the paper's rule at 40 %.
Each way has the same steps and the learning rate that is the best of three by its own loss on the validation
reviews, with a seed of its own; then three seeds run and are scored on the test reviews:

- at [MASK]: nats, and the share that is the first guess (what frequencies alone earn has a row, too);
- at places that are not masked: how often the head names the token that stands there; and whether a linear
  probe tells from the vector that the token was put there from elsewhere, among as many that were not;
- the mood of a review, by a linear probe on the mean of the last vectors, nothing masked.

Writes masking.csv, with the tokens and FLOPs of each run; what is done is kept in build/. It does not show
what a large model on much text would do: in the paper's own ablation (Devlin et al. 2019, table 8)
fine-tuning hardly cares, and frozen features do. Nor can a probe on the last layer say what the layers
below know.
"""

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from course_utils import pretrained
from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.bert.batches import MaskedTexts
from course_utils.bert.masking import CLS, MASK, PAD, SEP, masked_loss, special_tokens
from course_utils.bert.scores import gaps, in_rows, score
from course_utils.bert.search import embed_rows
from course_utils.bert.texts import padded
from course_utils.data.reviews import reviews
from course_utils.measuring.probing import linear_probe, standardised
from course_utils.tokenizers import WordPieceTokenizer
from course_utils.training import Run, TrainConfig, train
from course_utils.weights import bert_recipe, recording

TABLE = Path(__file__).with_name("masking.csv")
SHAPE = BertConfig(4096, d_model=128, n_layers=3, n_heads=4, d_ff=512, max_positions=64)
BATCH = 2048  # tokens
RATES, SWEEP_SEED, SEEDS = (1e-3, 3e-3, 1e-2), 10, (0, 1, 2)
CONFIG = TrainConfig(
    steps=500,
    learning_rate=1e-3,
    warmup_steps=50,
    final_share=0.02,
    weight_decay=0.01,
    precision="mixed",
)
FREQUENCIES = "frequencies alone"  # a row of the table, beside those of the rules
ROWS = {"train": 600, "validation": 200, "test": 400}  # that the probe on tokens reads
REVIEWS = {"train": 2000, "validation": 500, "test": 1000}  # that the probe on moods reads


@dataclass(frozen=True)
class Rule:
    """The share of the tokens that is asked for, and the shares of these that become [MASK] or another token;
    the rest stays."""

    rate: float
    to_mask: float
    to_random: float


RULES = {
    "80/10/10": Rule(0.15, 0.8, 0.1),
    "all [MASK]": Rule(0.15, 1.0, 0.0),
    "all kept": Rule(0.15, 0.0, 0.0),
    "80/10/10 of 40 %": Rule(0.4, 0.8, 0.1),
}


@functools.lru_cache(maxsize=1)
def tokenizer() -> WordPieceTokenizer:
    """BERT's vocabulary without all but the commonest pieces."""
    full = pretrained.bert_tokenizer()
    special = [PAD, WordPieceTokenizer.UNK, CLS, SEP, MASK]
    counts = np.bincount(np.concatenate(bert_recipe.encoded("train")), minlength=full.vocab_size)
    commonest = [full.tokens[i] for i in np.argsort(-counts, kind="stable")[: SHAPE.vocab_size]]
    return WordPieceTokenizer([*dict.fromkeys([*special, *commonest])][: SHAPE.vocab_size])


@functools.lru_cache(maxsize=3)
def encoded(part: str) -> list[Int[np.ndarray, " tokens"]]:
    """The reviews as ids; a piece that is not so common is [UNK]."""
    small, unknown = tokenizer().ids, tokenizer().ids[WordPieceTokenizer.UNK]
    table = np.array([small.get(token, unknown) for token in pretrained.bert_tokenizer().tokens])
    return [table[text] for text in bert_recipe.encoded(part)]


def batches(rule: Rule, part: str, seed: int) -> MaskedTexts:
    return MaskedTexts(encoded(part), tokenizer(), BATCH, SHAPE.max_positions, seed=seed, **asdict(rule))


def trained(rule: Rule, rate: float, seed: int) -> tuple[BertForMaskedLM, Run]:
    torch.manual_seed(seed)
    model = BertForMaskedLM(SHAPE)
    bert_recipe.start_with_counts(model, encoded("train"))
    config = replace(CONFIG, learning_rate=rate, seed=seed)
    run = recording.finished(train(model, batches(rule, "train", seed), config, loss=masked_loss))
    return model.eval(), run


def spent(rule: Rule, seed: int) -> dict[str, str]:
    """The tokens that a run reads, and its FLOPs."""
    return recording.budget(BertForMaskedLM(SHAPE), batches(rule, "train", seed), masked_loss, CONFIG.steps)


@torch.no_grad()
def own_loss(rule: Rule, model: BertForMaskedLM) -> float:
    """Mean nats of what the rule asks for, in 20 batches of validation reviews."""
    asked = batches(rule, "validation", 0)
    with recording.mixed_precision():
        return sum(masked_loss(model, asked.next(), None)[0].item() for _ in range(20)) / 20


@torch.no_grad()
def copied(model: BertForMaskedLM, rows: list[Int[np.ndarray, " tokens"]]) -> float:
    """How often the head's first guess is the token that stands there, nothing masked."""
    ids, lengths = padded(rows, tokenizer())
    plain = ~special_tokens(tokenizer())[ids]
    with recording.mixed_precision():
        return (model(ids, lengths, chosen=plain).argmax(-1) == ids[plain]).double().mean().item()


def swapped(ids: Int[Tensor, "batch time"], seed: int) -> tuple[Tensor, Tensor]:
    """The ids with 15 % of the tokens in each other's places, and a class for these and as many others: 1 for
    a token that came from elsewhere, 0 for one that stayed, -1 for the rest. What came is of the same kinds
    as what went, so that the token itself tells nothing."""
    draw, plain = torch.Generator().manual_seed(seed), ~special_tokens(tokenizer())[ids]
    places = torch.nonzero(plain)
    places = places[torch.randperm(len(places), generator=draw)[: len(places) * 3 // 10]]
    away, stay = places.tensor_split(2)
    found, classes = ids.clone(), torch.full_like(ids, -1)
    found[tuple(away.T)] = ids[tuple(away.roll(1, 0).T)]
    classes[tuple(stay.T)] = 0
    classes[tuple(away.T)] = (found != ids)[tuple(away.T)].long() * 2 - 1  # the same token: no swap
    return found, classes


@torch.no_grad()
def swapped_vectors(
    model: BertForMaskedLM, part: str
) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
    ids, lengths = padded(in_rows(encoded(part), SHAPE.max_positions)[: ROWS[part]], tokenizer())
    read, classes = swapped(ids, seed=0)
    with recording.mixed_precision():
        states = model.bert(read, lengths, chosen=classes >= 0)
    return states.float().numpy(), (classes[classes >= 0] == 1).numpy()


def mean_vectors(
    model: BertForMaskedLM, part: str
) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"]]:
    rows = [text[: SHAPE.max_positions - 2] for text in encoded(part)[: REVIEWS[part]]]
    with recording.mixed_precision():
        found = embed_rows(model.bert, tokenizer(), rows).numpy()
    return found, np.array([review.positive for review in getattr(reviews(), part)[: REVIEWS[part]]])


def at_masks(answer: Callable[[Tensor, Tensor, Tensor], Float[Tensor, "gaps vocab"]]) -> dict[str, str]:
    """How well the gaps of the test reviews are filled: see `bert.scores.score`."""
    found = score(answer, gaps(encoded("test"), tokenizer(), longest=SHAPE.max_positions, rows=600))
    return {"masked_nats": f"{np.log(found.perplexity):.4f}", "masked_first": f"{found.first:.4f}"}


def by_frequency() -> dict[str, str]:
    """The row of who knows how frequent each piece is in the training reviews, and nothing else."""
    counts = np.bincount(np.concatenate(encoded("train")), minlength=SHAPE.vocab_size)
    counts = torch.from_numpy(counts).double().masked_fill(special_tokens(tokenizer()), 0)
    chances = (counts / counts.sum()).log()
    return {"rule": FREQUENCIES} | at_masks(lambda _, __, chosen: chances.expand(int(chosen.sum()), -1))


def measures(model: BertForMaskedLM) -> dict:
    """What a trained model knows of the test reviews."""
    with recording.mixed_precision():
        row = at_masks(lambda inputs, lengths, chosen: model(inputs, lengths, chosen=chosen))
    row["copied"] = f"{copied(model, in_rows(encoded('test'), SHAPE.max_positions)[:200]):.4f}"
    for name, vectors in (("swapped", swapped_vectors), ("mood", mean_vectors)):
        parts = standardised(*(vectors(model, part) for part in REVIEWS))
        row[name] = f"{linear_probe(*parts).test:.4f}"
    return row


COLUMNS = "masked_nats", "masked_first", "copied", "swapped", "mood"


def run(name: str, rate: float, seed: int, final: bool) -> dict:
    """Train by a rule with one seed; its row has the scores on the test reviews if it is final."""
    model, run = trained(RULES[name], rate, seed)
    row = spent(RULES[name], seed) | {"seconds": f"{run.seconds:.1f}"}
    row["own_nats"] = f"{own_loss(RULES[name], model):.4f}"
    return row | (measures(model) if final else dict.fromkeys(COLUMNS, ""))


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    table = recording.Table(folder / TABLE.name)
    recording.sweep(table, "rule", run, RULES, RATES, SWEEP_SEED, SEEDS, recording.least("own_nats"))
    recording.write_table(TABLE, [*table.rows, by_frequency()])


if __name__ == "__main__":
    main()
