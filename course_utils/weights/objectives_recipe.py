"""Which objective teaches most for the same compute: masked words, the next word, or the one after the other?

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m course_utils.weights.objectives_recipe

One body (4 layers, 192 wide), one text (the training reviews and the 36 plays: 9.1 million byte-pair tokens,
of 4,096), one budget of FLOPs. What differs is whether a place may look to the right, and what is asked. Each
way's learning rate is the best of three by its own loss on the validation reviews, with a seed of its own;
then three seeds run and are tried on two tasks that were named beforehand: the mood of a review by a linear
probe on the frozen body, and the search over the plays by mean-pooled vectors. The control is the body before
training. Writes objectives.csv; what is done is kept in build/.
"""

import functools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import padding_mask
from course_utils.bert.diffusion import MaskedDiffusion
from course_utils.bert.search import mean_pooled, reciprocal_rank
from course_utils.data import corpora
from course_utils.data.evaluations import passages, search_queries
from course_utils.data.reviews import reviews
from course_utils.gpt import GPT, GPTConfig
from course_utils.measuring.probing import linear_probe, standardised
from course_utils.tokenizers import BPETokenizer
from course_utils.training import TrainConfig, next_token_loss, train
from course_utils.training.batches import Windows
from course_utils.weights import recording

TABLE = Path(__file__).with_name("objectives.csv")
SHAPE = GPTConfig(4096, context=128, n_layers=4, n_heads=4, d_model=192, qk_norm=True)
ROWS, RATE = 32, 0.3
BUDGET = 4e13  # FLOPs of a run
RATES, SWEEP_SEED, SEEDS = (0.01, 0.02, 0.04), 10, (0, 1, 2)
CONFIG = TrainConfig(
    steps=1,
    learning_rate=0.01,
    warmup_steps=50,
    final_share=0.02,
    weight_decay=0.01,
    precision="mixed",
    optimiser="muon",
    momentum=0.95,
)
READS = 128  # tokens of a review or a passage that a task reads


def masked_places_loss(model: MaskedDiffusion, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
    """Mean nats a masked token; each is masked by itself, and all that are become [MASK]."""
    ids = batch[0]
    chosen = torch.rand(ids.shape) < RATE
    states = model.encoder(model.embedding(ids.masked_fill(chosen, model.mask_id)))
    logits = functional.linear(states[chosen], model.embedding.weight[: model.vocab_size])
    return functional.cross_entropy(logits, ids[chosen]), None


@dataclass(frozen=True)
class Objective:
    """What is built, what is asked, and at what share of the places: there the head multiplies."""

    kind: type[nn.Module]
    loss: object
    share: float

    @property
    def flops_per_token(self) -> float:
        """6 a weight and token, the head only where something is asked, and the attention's scores."""
        head, model = SHAPE.vocab_size * SHAPE.d_model, self.kind(SHAPE)
        body = sum(p.numel() for p in model.parameters() if p.dim() == 2) - model.embedding.weight.numel()
        return 6.0 * (body + self.share * head) + 12.0 * SHAPE.n_layers * SHAPE.d_model * SHAPE.context

    def steps(self, flops: float) -> int:
        return round(flops / (self.flops_per_token * ROWS * SHAPE.context))


MASKED = Objective(MaskedDiffusion, masked_places_loss, RATE)
NEXT = Objective(GPT, next_token_loss, 1.0)
WAYS = {"masked": [MASKED], "next": [NEXT], "next, then masked": [NEXT, MASKED]}


@functools.lru_cache
def tokenizer():
    """Byte-pair encoding learnt from a tenth of the reviews and a tenth of the plays' lines."""
    lines = corpora.shakespeare().train_text.splitlines(keepends=True)[::10]
    texts = [review.text for review in reviews().train[::10]]
    return BPETokenizer.train(["".join(lines), *texts], SHAPE.vocab_size).fast()


def encoded(texts: list[str]) -> list[Int[np.ndarray, " tokens"]]:
    return [np.array(text.ids) for text in tokenizer().encode_batch(texts)]


@functools.lru_cache
def tokens(part: str) -> Int[np.ndarray, " tokens"]:
    """The text of "train" or "validation" in one: reviews, and for training the plays."""
    texts = [review.text + "\n\n" for review in getattr(reviews(), part)]
    plays = list(corpora.shakespeare().train.values()) if part == "train" else []
    mixed = np.random.default_rng(0).permutation(len(texts))
    return np.concatenate(encoded([*(texts[i] for i in mixed), *plays]))


@torch.no_grad()
def states(model: nn.Module, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, " batch"]) -> Tensor:
    """What the last block says at each place of padded rows."""
    if isinstance(model, GPT):  # what stands before the padding can't see it
        return model.decoder(model.embedding(ids))
    return model.encoder(model.embedding(ids), padding_mask(lengths, ids.shape[1]))


def vectors(model: nn.Module, texts: list[Int[np.ndarray, " tokens"]]) -> Float[Tensor, "texts d_model"]:
    """One mean-pooled vector a text, of its first tokens."""
    found = torch.empty(len(texts), SHAPE.d_model)
    for places in np.array_split(np.argsort([len(text) for text in texts]), -(-len(texts) // 64)):
        rows = [torch.from_numpy(texts[i][:READS]) for i in places]
        lengths = torch.tensor([len(row) for row in rows])
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        found[places] = mean_pooled(states(model, ids, lengths), lengths)
    return found


@functools.lru_cache
def _moods(part: str) -> tuple[list[np.ndarray], Bool[np.ndarray, " reviews"]]:
    rows = getattr(reviews(), part)[:6000]
    return encoded([row.text for row in rows]), np.array([row.positive for row in rows])


def mood(model: nn.Module) -> float:
    """The share of test reviews whose mood a logistic regression on frozen vectors tells.

    It learns from 6,000 training reviews; its weight decay is the best of three on the validation reviews.
    """
    parts = [(vectors(model, texts).numpy(), moods) for texts, moods in map(_moods, PARTS)]
    return linear_probe(*standardised(*parts)).test


PARTS = "train", "validation", "test"


@functools.lru_cache
def _search_texts():
    found, queries = passages(), search_queries()
    right = [[i for i, passage in enumerate(found) if passage.answers(query)] for query in queries]
    return encoded([p.text for p in found]), encoded([q.query for q in queries]), right


def search(model: nn.Module) -> float:
    """The mean reciprocal rank of the right passage, among the best ten."""
    found, queries, right = _search_texts()
    scores = (vectors(model, queries) @ vectors(model, found).T).numpy()
    return float(np.mean([reciprocal_rank(row, places) for row, places in zip(scores, right, strict=True)]))


@torch.no_grad()
def validation_loss(objective: Objective, model: nn.Module) -> float:
    """The objective's own loss on 256 windows of the validation reviews."""
    torch.manual_seed(0)
    windows = Windows(tokens("validation"), SHAPE.vocab_size, ROWS, SHAPE.context)
    return sum(objective.loss(model, windows.next(), None)[0].item() for _ in range(8)) / 8


@torch.no_grad()
def without_causal_mask(model: GPT, fresh: MaskedDiffusion) -> MaskedDiffusion:
    """A GPT's weights in a model that looks both ways: the causal mask is no weight, and the embedding of the
    masked place is the one that is new."""
    fresh.encoder.load_state_dict(model.decoder.state_dict())
    fresh.embedding.weight[: SHAPE.vocab_size] = model.embedding.weight
    return fresh


def tried(model: nn.Module) -> dict:
    """How the model does at both tasks."""
    return {"mood": f"{mood(model):.4f}", "search_mrr": f"{search(model):.4f}"}


def untrained(seed: int) -> dict:
    """The control: the body as a seed draws it."""
    torch.manual_seed(seed)
    return dict.fromkeys(("tokens", "flops", "validation_nats"), "") | tried(MASKED.kind(SHAPE).eval())


def trained(way: str, rate: float, seed: int, final: bool, checkpoint: Path) -> dict:
    """Train one way with one seed within the budget; a final run is tried on both tasks."""
    stages, model, n_tokens, flops = WAYS[way], None, 0, 0.0
    for i, objective in enumerate(stages):
        torch.manual_seed(seed)
        built = objective.kind(SHAPE)
        model = built if model is None else without_causal_mask(model, built)
        steps = objective.steps(BUDGET / len(stages))
        config = replace(
            CONFIG, steps=steps, learning_rate=rate, seed=seed, evaluate_every=max(steps // 4, 1)
        )
        batches = Windows(tokens("train"), SHAPE.vocab_size, ROWS, SHAPE.context, seed=2 * seed + i)
        kept = checkpoint.with_name(f"{checkpoint.name}_{i}.safetensors")
        run = recording.finished(
            train(model, batches, config, loss=objective.loss, report=recording.show, checkpoint=kept)
        )
        n_tokens += run.tokens
        flops += objective.flops_per_token * run.tokens
    nats = validation_loss(stages[-1], model.eval())
    row = {"tokens": n_tokens, "flops": f"{flops:.3g}", "validation_nats": f"{nats:.4f}"}
    return row | (tried(model) if final else {"mood": "", "search_mrr": ""})


def main(folder: Path = Path("build")) -> None:
    table = recording.Table(folder / TABLE.name)

    def run(way: str, rate: float, seed: int, final: bool) -> dict:
        name = f"objectives_{way.replace(', ', '_').replace(' ', '_')}_{rate}_{seed}"
        return trained(way, rate, seed, final, folder / name)

    for seed in SEEDS:
        table.row(lambda seed=seed: untrained(seed), way="untrained", learning_rate="", seed=seed)
    recording.sweep(table, "way", run, WAYS, RATES, SWEEP_SEED, SEEDS, recording.least("validation_nats"))
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
