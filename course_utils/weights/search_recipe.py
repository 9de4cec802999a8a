"""Who finds the place in the plays? Counting words, vectors of three bodies, and a reader of pairs.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=2 python -m course_utils.weights.search_recipe

50 queries, written before any of this was trained, look for passages of 38 plays; a score is the mean
reciprocal rank of a right one among the best ten, with the interval of 95 % that drawing other queries would
give. Nobody labelled a pair for us: the bi-encoder and the cross-encoder learn from lines of the 36 training
plays and the passages that they were taken from (the inverse cloze task: Lee, Chang & Toutanova 2019); the
cross-encoder beside passages that share most words with the question, or, as a control, beside any. Such
lines are Shakespeare's words, and the queries are ours. The learning rate is the best of three by such lines
of Twelfth Night; the queries are asked with that rate alone. MiniLM, whose body ours started from, had
learnt from a billion pairs. Writes search.csv, with the tokens and FLOPs of what was trained; what is done is
kept in build/.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils import pretrained
from course_utils.bert import Bert, BertForSequenceClassification, with_new_head
from course_utils.bert.search import BM25, contrastive_loss, embed_rows, mean_pooled, reciprocal_rank
from course_utils.bert.texts import encode_all, padded, padded_pairs
from course_utils.data import corpora
from course_utils.data.evaluations import Speeches, passages, search_queries
from course_utils.tokenizers import WordPieceTokenizer, wordpiece
from course_utils.training import Run, TrainConfig, train
from course_utils.weights import bert_recipe, recording

TABLE = Path(__file__).with_name("search.csv")
READS, LEARNS, ASKS = 126, 62, 30  # tokens of a passage that are read, and in training; of a question
CANDIDATES = 50  # of BM25, that the cross-encoder puts into a new order
RIVALS = 3  # passages beside the right one, among which the cross-encoder learns to choose
WATCHED, WATCHED_CANDIDATES = 60, 8  # questions about Twelfth Night, and passages that are read for each
RATES, SWEEP_SEED, SEEDS = (5e-5, 1.5e-4, 5e-4), 10, (0, 1, 2)
CONFIG = TrainConfig(
    steps=50,
    learning_rate=1e-4,
    warmup_steps=5,
    final_share=0.02,
    weight_decay=0.01,
    precision="mixed",
)
Ids = Int[np.ndarray, " tokens"]
Scores = Float[np.ndarray, "questions texts"]


class LinePairs:
    """Questions and the passages that they were taken from: two lines, and what stands round them.

    In a tenth of the pairs the passage keeps the two lines, so that shared words count for something.
    """

    def __init__(self, passages: Sequence[list[Ids]], seed: int = 0):
        self.passages = [lines for lines in passages if len(lines) > 3]
        self._draws = np.random.default_rng(seed)

    def draw(self, n: int) -> tuple[list[int], list[Ids], list[Ids]]:
        """Which passages were drawn, a question about each, and what stood round it."""
        chosen = self._draws.permutation(len(self.passages))[:n].tolist()
        pairs = [self._cut(self.passages[i]) for i in chosen]
        return chosen, [question for question, _ in pairs], [rest for _, rest in pairs]

    def _cut(self, lines: list[Ids]) -> tuple[Ids, Ids]:
        at = int(self._draws.integers(len(lines) - 1))
        keeps = self._draws.random() < 0.1
        rest = lines if keeps else lines[:at] + lines[at + 2 :]
        return np.concatenate(lines[at : at + 2])[:ASKS], np.concatenate(rest)[:LEARNS]


class BiBatches:
    """Batches (question ids, lengths, passage ids, lengths) for `bi_loss`."""

    def __init__(self, pairs: LinePairs, tokenizer: WordPieceTokenizer, rows: int = 32):
        self.pairs, self.tokenizer, self.rows = pairs, tokenizer, rows

    def next(self) -> tuple[Tensor, ...]:
        _, questions, rests = self.pairs.draw(self.rows)
        return *padded(questions, self.tokenizer), *padded(rests, self.tokenizer)


def bi_loss(model: Bert, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
    """Nats to tell each question's passage from the others of the batch, by their vectors."""
    questions, passages = (
        mean_pooled(model(ids, lengths), lengths) for ids, lengths in (batch[:2], batch[2:])
    )
    return contrastive_loss(questions.float(), passages.float()), None


class CrossBatches:
    """Batches (ids, lengths, segments) for `cross_loss`: each question with its own passage, and then with
    others: those that BM25 takes to be nearest to it or, not `nearest`, any."""

    def __init__(self, pairs: LinePairs, tokenizer: WordPieceTokenizer, rows: int = 8, nearest: bool = True):
        self.pairs, self.tokenizer, self.rows = pairs, tokenizer, rows
        self.nearest, self._draws = nearest, np.random.default_rng(0)
        self.starts = [np.concatenate(lines)[:LEARNS] for lines in pairs.passages]
        self.counts = BM25([text.tolist() for text in self.starts])

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        questions, texts, n = [], [], len(self.starts)
        for own, question, rest in zip(*self.pairs.draw(self.rows), strict=True):
            scores = self.counts.scores(question.tolist()) if self.nearest else self._draws.random(n)
            scores[own] = -1
            rivals = np.argsort(-scores, kind="stable")[:RIVALS]
            texts += [rest, *(self.starts[i] for i in rivals)]
            questions += [question] * (1 + RIVALS)
        return padded_pairs(questions, texts, self.tokenizer)


def cross_loss(
    model: BertForSequenceClassification, batch: tuple[Tensor, ...], state: None
) -> tuple[Tensor, None]:
    """Nats to choose the question's own passage out of four."""
    scores = model(*batch).float().view(-1, 1 + RIVALS)
    return functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64)), None


def encoded(texts: Sequence[str]) -> list[Ids]:
    return encode_all(texts, pretrained.bert_tokenizer())


def lines_of(found: Sequence[Speeches]) -> list[list[Ids]]:
    """The lines of each passage that have at least three tokens, as ids."""
    return [[ids for ids in encoded(p.text.split("\n")) if len(ids) > 2] for p in found]


@functools.lru_cache(maxsize=1)
def training_lines() -> list[list[Ids]]:
    titles = corpora.shakespeare().train
    return lines_of([passage for passage in passages() if passage.play in titles])


@functools.lru_cache(maxsize=1)
def asked() -> tuple[list[Ids], list[Ids], list[list[int]]]:
    """Queries and passages as ids, and which passages are right for each query."""
    found, queries = passages(), search_queries()
    right = [[i for i, passage in enumerate(found) if passage.answers(query)] for query in queries]
    texts = [ids[:READS] for ids in encoded([passage.text for passage in found])]
    return [ids[:ASKS] for ids in encoded([query.query for query in queries])], texts, right


@functools.lru_cache(maxsize=1)
def bm25() -> Scores:
    """How BM25 scores every passage for every query; it counts whole words of whole passages."""
    counts = BM25([wordpiece.words(passage.text) for passage in passages()])
    return np.array([counts.scores(wordpiece.words(query.query)) for query in search_queries()])


def by_vectors(model: Bert, questions: list[Ids], texts: list[Ids]) -> Scores:
    """The cosine of every question's vector and every text's."""
    tokenizer = pretrained.bert_tokenizer()
    with recording.mixed_precision():
        ours, theirs = (embed_rows(model, tokenizer, rows) for rows in (questions, texts))
    return (ours @ theirs.T).numpy()


@torch.no_grad()
def by_pairs(
    model: BertForSequenceClassification,
    questions: list[Ids],
    texts: list[Ids],
    candidates: Bool[np.ndarray, "questions texts"],
) -> Scores:
    """What the cross-encoder says of each question and candidate; minus infinity for other texts."""
    scores, tokenizer = np.full(candidates.shape, -np.inf), pretrained.bert_tokenizer()
    for i, question in enumerate(questions):
        places = np.flatnonzero(candidates[i])
        batch = padded_pairs([question] * len(places), [texts[j] for j in places], tokenizer)
        with recording.mixed_precision():
            scores[i, places] = model(*batch)[:, 0].float().numpy()
    return scores


def best(scores: Scores, n: int) -> Bool[np.ndarray, "questions texts"]:
    """Which n texts score highest for each question."""
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, np.argsort(-scores, axis=1, kind="stable")[:, :n], True, axis=1)
    return chosen


@dataclass(frozen=True)
class Way:
    """A model on our body, the batches and the loss from which it learns, how it scores texts (given
    questions, texts, and which of them BM25 thinks worth a closer look), and where its batches have lengths.
    """

    build: Callable[[Bert], nn.Module]
    batches: Callable[[LinePairs, WordPieceTokenizer], object]
    loss: Callable
    scores: Callable[..., Scores]
    lengths_at: tuple[int, ...] = (1,)


WAYS = {
    "our BERT, bi-encoder": Way(
        lambda body: body,
        BiBatches,
        bi_loss,
        lambda model, questions, texts, candidates: by_vectors(model, questions, texts),
        lengths_at=(1, 3),
    ),
    "our BERT, cross-encoder, near rivals": Way(
        lambda body: with_new_head(body, BertForSequenceClassification, n_classes=1),
        CrossBatches,
        cross_loss,
        by_pairs,
    ),
}
# The control: BM25's rivals share words with the question, and the right passage has mostly lost its own
WAYS["our BERT, cross-encoder, any rivals"] = replace(
    WAYS["our BERT, cross-encoder, near rivals"], batches=functools.partial(CrossBatches, nearest=False)
)


def trained(way: Way, rate: float, seed: int) -> tuple[nn.Module, Run]:
    """A way's model, trained on the lines of the training plays."""
    torch.manual_seed(seed)
    model = way.build(bert_recipe.load().bert)
    batches = way.batches(LinePairs(training_lines(), seed), pretrained.bert_tokenizer())
    config = replace(CONFIG, learning_rate=rate, seed=seed)
    run = recording.finished(train(model, batches, config, loss=way.loss))
    return model.eval(), run


def spent(way: Way, seed: int) -> dict[str, str]:
    """The tokens that a run reads, and its FLOPs."""
    batches = way.batches(LinePairs(training_lines(), seed), pretrained.bert_tokenizer())
    model = way.build(bert_recipe.load().bert)
    return recording.budget(model, batches, way.loss, CONFIG.steps, way.lengths_at)


def watched_rank(way: Way, model: nn.Module) -> float:
    """The mean reciprocal rank for lines of Twelfth Night, of the passages that they were taken from."""
    play = [passage for passage in passages() if passage.play == corpora.VALIDATION]
    pairs = LinePairs(lines_of(play))
    _, questions, texts = pairs.draw(WATCHED)
    counts = BM25([text.tolist() for text in texts])
    candidates = best(np.array([counts.scores(q.tolist()) for q in questions]), WATCHED_CANDIDATES)
    scores = way.scores(model, questions, texts, candidates | np.eye(len(texts), dtype=bool))
    return float(np.mean([reciprocal_rank(row, [i]) for i, row in enumerate(scores)]))


def ranks(scores: Scores) -> Float[np.ndarray, " queries"]:
    """The reciprocal rank of the right passage of each query."""
    return np.array([reciprocal_rank(row, right) for row, right in zip(scores, asked()[2], strict=True)])


def interval(values: Float[np.ndarray, " queries"], draws: int = 10_000) -> tuple[float, float]:
    """Between which means do 95 % of the sets of as many queries lie, drawn from these (Efron 1979)?"""
    chosen = np.random.default_rng(0).integers(len(values), size=(draws, len(values)))
    return tuple(np.quantile(values[chosen].mean(1), [0.025, 0.975]).tolist())


NOTHING = dict.fromkeys(("validation", "seconds", "tokens", "flops"), "")


def row(found: Float[np.ndarray, " queries"], first: dict[str, str] = NOTHING) -> dict:
    """A way's first columns, its mean reciprocal rank, and by how much it is above that of BM25, query by
    query."""
    counted, columns = ranks(bm25()), dict(first)
    for name, values in (("mrr", found), ("over_bm25", found - counted)):
        low, high = interval(values)
        columns |= {name: f"{values.mean():.4f}", f"{name}_low": f"{low:.4f}", f"{name}_high": f"{high:.4f}"}
    return columns


def perfect() -> Scores:
    """What nobody can better who puts BM25's candidates into another order."""
    right = np.zeros(bm25().shape)
    for line, places in zip(right, asked()[2], strict=True):
        line[places] = 1
    return np.where(best(bm25(), CANDIDATES), right, -np.inf)


def drawn_order(draws: int = 1000) -> Float[np.ndarray, " queries"]:
    """What BM25's candidates have in an order that is drawn: the mean of so many."""
    random, candidates = np.random.default_rng(0), best(bm25(), CANDIDATES)
    orders = (np.where(candidates, random.random(candidates.shape), -np.inf) for _ in range(draws))
    return np.mean([ranks(order) for order in orders], axis=0)


UNTRAINED = {
    "BM25": lambda: ranks(bm25()),
    "BM25's 50, perfect order": lambda: ranks(perfect()),
    "BM25's 50, random order": drawn_order,
    "our BERT, mean vectors": lambda: ranks(by_vectors(bert_recipe.load().bert, *asked()[:2])),
    "MiniLM, mean vectors": lambda: ranks(by_vectors(pretrained.load("minilm"), *asked()[:2])),
}


def run(name: str, rate: float, seed: int, final: bool) -> dict:
    """Train a way with one seed; its row has the queries' score if it is final."""
    way = WAYS[name]
    model, run = trained(way, rate, seed)
    columns = {"validation": f"{watched_rank(way, model):.4f}", "seconds": f"{run.seconds:.1f}"}
    columns |= spent(way, seed)
    if not final:
        return dict.fromkeys(row(ranks(bm25())), "") | columns
    questions, texts, _ = asked()
    return row(ranks(way.scores(model, questions, texts, best(bm25(), CANDIDATES))), columns)


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    table = recording.Table(folder / TABLE.name)
    for name, found in UNTRAINED.items():
        table.row(lambda found=found: row(found()), way=name, learning_rate="", seed="")

    def merit(row: dict) -> float:
        return float(row["validation"])

    recording.sweep(table, "way", run, WAYS, RATES, SWEEP_SEED, SEEDS, merit)
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
