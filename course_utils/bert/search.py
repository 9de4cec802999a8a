"""Search: texts as vectors, and the passages nearest to a question.

A bi-encoder turns each passage into one vector, once, and a question into another; what is near, is found. A
cross-encoder reads question and passage together, which costs a pass for each pair. BM25 counts words.

Sources: Reimers & Gurevych 2019 (SBERT: mean pooling, bi- against cross-encoder); Gao, Yao & Chen 2021
(SimCSE: the loss in a batch, temperature 0.05); Lee, Chang & Toutanova 2019 (a sentence and the passage that
it was taken from, as training pairs); Robertson & Zaragoza 2009 (BM25).
"""

import math
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.bert.texts import check_fit, encode, padded
from course_utils.devices import without_dropout
from course_utils.tokenizers import WordPieceTokenizer


def mean_pooled(
    states: Float[Tensor, "batch time d_model"], lengths: Int[Tensor, " batch"]
) -> Float[Tensor, "batch d_model"]:
    """The mean of each row's vectors, padding left out, scaled to length 1."""
    real = torch.arange(states.shape[1], device=states.device) < lengths[:, None].to(states.device)
    return functional.normalize((states * real[..., None]).sum(1) / lengths[:, None].to(states), dim=-1)


def embed(
    model: nn.Module,
    tokenizer: WordPieceTokenizer,
    texts: Sequence[str],
    longest: int | None = None,
    tokens: int = 1024,
) -> Float[Tensor, "texts d_model"]:
    """One vector of length 1 for each text: the mean of what a `Bert` makes of its first `longest` tokens,
    [CLS] and [SEP] among them. If None, those are as many as the model reads at once, and a warning says of
    how many texts the rest is left out.

    Texts of about one length are read together, in batches of about `tokens` tokens. Raises ValueError for no
    text, for a `longest` that leaves no token or is more than the model reads, and for a vocabulary of
    another size than the model's.
    """
    check_fit(model, tokenizer)
    if isinstance(texts, str) or not len(texts):
        raise ValueError(f"expected a list of texts to embed, one at least; got {texts[:40]!r}")
    most = model.config.max_positions
    if longest is not None and not 3 <= longest <= most:
        raise ValueError(f"`longest` is 3, for [CLS], a token and [SEP], to {most}; got {longest}")
    rows = [encode(text, tokenizer) for text in texts]
    if longest is None:
        longest = most
        if cut := sum(len(row) > longest - 2 for row in rows):
            warnings.warn(
                f"{cut} of {len(rows)} texts with their marks exceed the {longest} tokens that the model "
                "reads at once: the rest is left out. Embed a long text in parts, or say by `longest` "
                "where to cut",
                stacklevel=2,
            )
    return embed_rows(model, tokenizer, [row[: longest - 2] for row in rows], tokens)


@torch.no_grad()
def embed_rows(
    model: nn.Module,
    tokenizer: WordPieceTokenizer,
    rows: Sequence[Int[np.ndarray, " tokens"]],
    tokens: int = 1024,
) -> Float[Tensor, "texts d_model"]:
    """`embed` for texts that are encoded, and short enough."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i]))
    vectors = torch.empty(len(rows), model.config.d_model)
    while order:
        n = max(tokens // (len(rows[order[0]]) + 2), 1)
        now, order = order[:n], order[n:]
        ids, lengths = padded([rows[i] for i in now], tokenizer)
        with without_dropout(model):
            states = model(ids.to(model.token.weight.device), lengths)
        vectors[now] = mean_pooled(states.float(), lengths).cpu()
    return vectors


def contrastive_loss(
    questions: Float[Tensor, "batch d_model"],
    passages: Float[Tensor, "batch d_model"],
    temperature: float = 0.05,
) -> Float[Tensor, ""]:
    """Nats to tell each question's passage from the others of the batch, by their cosine over `temperature`.

    Raises ValueError for fewer than two pairs, which leave nothing to tell apart, and for other shapes.
    """
    if questions.shape != passages.shape or len(questions) < 2:
        raise ValueError(
            f"there are as many passages as questions, two at least; got {tuple(questions.shape)} and "
            f"{tuple(passages.shape)}"
        )
    questions, passages = functional.normalize(questions, dim=-1), functional.normalize(passages, dim=-1)
    scores = questions @ passages.T / temperature  # (B, B): row i's own passage is in column i
    return functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


class BM25:
    """Words in common, rare ones weighing more, many of one kind less and less, long texts discounted."""

    def __init__(self, texts: Sequence[Sequence[str]], k1: float = 1.2, b: float = 0.75):
        if not len(texts) or any(isinstance(words, str) for words in texts):
            raise ValueError(f"expected texts to search, one at least, each as its words; got {texts[:1]!r}")
        self.counts = [Counter(words) for words in texts]
        lengths = np.array([len(words) for words in texts])
        self.k1, self.damping = k1, k1 * (1 - b + b * lengths / max(lengths.mean(), 1))
        self.holders: dict[str, list[int]] = {}
        for i, counts in enumerate(self.counts):
            for word in counts:
                self.holders.setdefault(word, []).append(i)

    def scores(self, question: Sequence[str]) -> Float[np.ndarray, " texts"]:
        """How well each text answers; 0 for one that shares no word."""
        scores, n = np.zeros(len(self.counts)), len(self.counts)
        for word in set(question):
            where = self.holders.get(word, [])
            rarity = math.log(1 + (n - len(where) + 0.5) / (len(where) + 0.5))
            counts = np.array([self.counts[i][word] for i in where])
            scores[where] += rarity * counts * (self.k1 + 1) / (counts + self.damping[where])
        return scores


def reciprocal_rank(scores: Float[np.ndarray, " texts"], right: Sequence[int], depth: int = 10) -> float:
    """One over the rank of the first right text among the `depth` best, 0 if none is there; a right text with
    the score of others stands behind them."""
    ahead = min(
        sum(np.asarray(scores) >= scores[i]) - sum(scores[j] == scores[i] for j in right) for i in right
    )
    return 1 / (ahead + 1) if ahead < depth else 0.0
