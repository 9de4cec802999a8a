"""Texts as BERT reads them: [CLS], up to 510 tokens, [SEP], padded to one length; and batches to train on."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from course_utils.bert.masking import CLS, MASK, PAD, SEP, mask_tokens
from course_utils.tokenizers import WordPieceTokenizer

SENTENCE_ENDS = ".", "!", "?"


@dataclass(frozen=True)
class Batch:
    """Rows of ids, where each ends, and which text each came from: a long one takes several rows."""

    ids: Int[Tensor, "batch time"]
    lengths: Int[Tensor, " batch"]
    texts: Int[Tensor, " batch"]


def encode(text: str, tokenizer: WordPieceTokenizer) -> Int[np.ndarray, " tokens"]:
    """The ids of a text in which the word [MASK] means the token. Warns of characters that are unknown."""
    pieces = [tokenizer.encode(piece) for piece in text.split(MASK)]
    mask = np.array([tokenizer.ids[MASK]])
    ids = np.concatenate([pieces[0], *(part for piece in pieces[1:] for part in (mask, piece))]).astype(
        np.int64
    )
    if unknown := int((ids == tokenizer.ids[tokenizer.UNK]).sum()):
        warnings.warn(
            f"{unknown} of the words of {text[:40]!r} can't be put together from the vocabulary: the model "
            f"reads {tokenizer.UNK} there",
            stacklevel=2,
        )
    return ids


def batch(texts: Iterable[str], tokenizer: WordPieceTokenizer, longest: int = 512) -> Batch:
    """Texts side by side, between [CLS] and [SEP], padded on the right.

    A text of more than `longest` tokens, those two counted, is cut into windows that overlap by half, and a
    warning says so. Raises ValueError for no text at all.
    """
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        raise ValueError("a batch has one text at least; none came")
    rows, origins, room = [], [], longest - 2
    for origin, text in enumerate(texts):
        ids = encode(text, tokenizer)
        starts = range(0, max(len(ids) - room // 2, 1), room // 2) if len(ids) > room else [0]
        if len(ids) > room:
            warnings.warn(
                f"text {origin} has {len(ids) + 2} tokens and the model reads {longest} at once: it is read "
                f"in {len(starts)} windows that overlap by half",
                stacklevel=2,
            )
        rows += [ids[start : start + room] for start in starts]
        origins += [origin] * len(starts)
    return Batch(*padded(rows, tokenizer), torch.tensor(origins))


def padded(
    rows: Sequence[Int[np.ndarray, " tokens"]], tokenizer: WordPieceTokenizer
) -> tuple[Int[Tensor, "batch time"], Int[Tensor, " batch"]]:
    """Rows of ids between [CLS] and [SEP], padded to the longest, and their lengths."""
    lengths = torch.tensor([len(row) + 2 for row in rows])
    ids = np.full((len(rows), int(lengths.max())), tokenizer.ids[PAD])
    ids[:, 0] = tokenizer.ids[CLS]
    for row, tokens in zip(ids, rows, strict=True):
        row[1 : len(tokens) + 1] = tokens
        row[len(tokens) + 1] = tokenizer.ids[SEP]
    return torch.from_numpy(ids), lengths


class MaskedTexts:
    """Batches (inputs, lengths, labels) for `masking.masked_loss`, drawn from encoded texts without end.

    Each epoch cuts the texts anew, after whole sentences where it can: seven rows of ten as long as may be,
    the rest of any length, for a model that has never seen a short text reads it badly. Rows of about one
    length share a batch of about `tokens` tokens, so little is padding. Masks are drawn anew each time.
    """

    def __init__(
        self,
        texts: Sequence[Int[np.ndarray, " tokens"]],
        tokenizer: WordPieceTokenizer,
        tokens: int = 2048,
        longest: int = 128,
        rate: float = 0.15,
        seed: int = 0,
    ):
        self.texts, self.tokenizer, self.tokens = texts, tokenizer, tokens
        self.room, self.rate, self.seed = longest - 2, rate, seed
        self._ends = [tokenizer.ids[end] for end in SENTENCE_ENDS]
        self._generator = torch.Generator().manual_seed(seed)
        self._epoch, self._position, self._batches = -1, 0, []

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        if self._position == len(self._batches):
            self._begin(self._epoch + 1)
        rows = self._batches[self._position]
        self._position += 1
        ids, lengths = padded(rows, self.tokenizer)
        inputs, labels = mask_tokens(ids, self.tokenizer, self.rate, generator=self._generator)
        return inputs, lengths, labels

    def _begin(self, epoch: int) -> None:
        self._epoch, self._position = epoch, 0
        draws = np.random.default_rng([self.seed, epoch])
        rows = [row for text in self.texts for row in self._cut(text, draws)]
        order = draws.permutation(len(rows))
        self._batches = []
        for pool in np.split(order, range(4096, len(rows), 4096)):
            pool = sorted(pool, key=lambda i: -len(rows[i]))
            batches = []
            while pool:
                n = max(self.tokens // (len(rows[pool[0]]) + 2), 1)
                batches.append([rows[i] for i in pool[:n]])
                pool = pool[n:]
            self._batches += [batches[i] for i in draws.permutation(len(batches))]

    def _cut(self, text: Int[np.ndarray, " tokens"], draws: np.random.Generator) -> list[np.ndarray]:
        stops = np.append(np.flatnonzero(np.isin(text, self._ends)) + 1, len(text))
        rows, start = [], 0
        while start < len(text):
            most = self.room if draws.random() < 0.7 else int(draws.integers(8, self.room + 1))
            fit = stops[(stops > start) & (stops <= start + most)]
            end = int(fit[-1]) if len(fit) else start + most
            rows.append(text[start:end])
            start = end
        return rows

    def state(self) -> dict[str, Tensor]:
        return {
            "tokens": torch.tensor([sum(map(len, self.texts)), self.tokens, self.room, self.seed]),
            "place": torch.tensor([self._epoch, self._position]),
            "generator": self._generator.get_state(),
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go to where `state()` was taken. Raises ValueError if that was another text, size or seed."""
        if state["tokens"].tolist() != self.state()["tokens"].tolist():
            raise ValueError(
                f"the run to resume had the tokens, batch, length and seed {state['tokens'].tolist()}; "
                f"{self.state()['tokens'].tolist()} came"
            )
        epoch, position = state["place"].tolist()
        if epoch >= 0:
            self._begin(epoch)
        self._position = position
        self._generator.set_state(state["generator"])


class Guess(NamedTuple):
    """A token for a gap, and its probability."""

    token: str
    probability: float


@torch.no_grad()
def fill_mask(model: nn.Module, tokenizer: WordPieceTokenizer, text: str, k: int = 5) -> list[list[Guess]]:
    """The k likeliest tokens for each [MASK] of a text. Each gap is filled by itself: see what two of them
    make together.

    A text that is too long is read around its masks. Raises ValueError for a text without [MASK], and for a
    tokenizer whose vocabulary is not the model's.
    """
    check_fit(model, tokenizer)
    ids = encode(text, tokenizer)
    places = np.flatnonzero(ids == tokenizer.ids[MASK])
    if not len(places):
        raise ValueError(f"write {MASK} where a word is missing; {text[:60]!r} has none")
    room = model.bert.config.max_positions - 2
    if len(ids) > room:
        start = int(np.clip(places.mean() - room // 2, 0, len(ids) - room))
        if places[0] < start or places[-1] >= start + room:
            raise ValueError(
                f"the masks lie further apart than the {room} tokens that the model reads at once"
            )
        warnings.warn(
            f"the text has {len(ids)} tokens and the model reads {room} at once: those around the masks",
            stacklevel=2,
        )
        ids = ids[start : start + room]
    rows, lengths = padded([ids], tokenizer)
    probabilities = model(rows, lengths, chosen=rows == tokenizer.ids[MASK]).softmax(-1)
    best = probabilities.topk(min(k, tokenizer.vocab_size))
    return [
        [Guess(tokenizer.tokens[i], p) for p, i in zip(values, indices, strict=True)]
        for values, indices in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


def check_fit(model: nn.Module, tokenizer: WordPieceTokenizer) -> None:
    """Raise ValueError if the model's table of tokens has another size than the vocabulary."""
    if (rows := model.bert.config.vocab_size) != tokenizer.vocab_size:
        raise ValueError(
            f"the model has {rows:,} tokens and this tokenizer {tokenizer.vocab_size:,}: take the one that "
            "the model was trained with"
        )
