"""Batches of texts to train a BERT on, by epochs: each text comes once in each, in an order drawn anew.

Rows of about one length share a batch of about so many tokens, so little is padding. `state()` and
`restore()` are what `training.train` asks for: a resumed run reads what it would have read.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.bert.masking import mask_tokens
from course_utils.bert.texts import padded
from course_utils.tokenizers import WordPieceTokenizer

POOL = 4096  # rows that are sorted by length together
SENTENCE_ENDS = ".", "!", "?"
Ids = Int[np.ndarray, " tokens"]


class _Epochs:
    """Texts without end. A subclass says in `_rows` what an epoch has of them, and makes batches of it; in
    `_settings`, as bytes, what else decides these."""

    def __init__(
        self, texts: Sequence[Ids], tokenizer: WordPieceTokenizer, tokens: int, longest: int, seed: int
    ):
        if not len(texts):
            raise ValueError("there is no text to train on: give one at least")
        self.texts, self.tokenizer, self.tokens = texts, tokenizer, tokens
        self.room, self.seed = longest - 2, seed
        self._generator = torch.Generator().manual_seed(seed)
        self._epoch, self._position, self._batches = -1, 0, []

    def _rows(self, draws: np.random.Generator) -> list[Ids]:
        raise NotImplementedError

    def _next_rows(self) -> tuple[list[Ids], list[int]]:
        """The rows of the next batch, and their places among those of the epoch."""
        if self._position == len(self._batches):
            self._begin(self._epoch + 1)
        places = self._batches[self._position]
        self._position += 1
        return [self._all[i] for i in places], places

    def _begin(self, epoch: int) -> None:
        self._epoch, self._position, self._batches = epoch, 0, []
        draws = np.random.default_rng([self.seed, epoch])
        self._all = self._rows(draws)
        order = draws.permutation(len(self._all))
        for pool in np.split(order, range(POOL, len(order), POOL)):
            pool = sorted(pool, key=lambda i: -len(self._all[i]))
            batches = []
            while pool:
                n = max(self.tokens // (len(self._all[pool[0]]) + 2), 1)
                batches.append(pool[:n])
                pool = pool[n:]
            self._batches += [batches[i] for i in draws.permutation(len(batches))]

    def _settings(self) -> bytes:
        raise NotImplementedError

    @cached_property
    def _digest(self) -> list[int]:
        found = hashlib.sha256(self._settings())
        for text in self.texts:
            found.update(np.append(text, -1).astype("<i8"))  # -1: where a text ends
        return list(found.digest())

    def state(self) -> dict[str, Tensor]:
        return {
            "texts_sha256": torch.tensor(self._digest, dtype=torch.uint8),
            "tokens": torch.tensor([sum(map(len, self.texts)), self.tokens, self.room, self.seed]),
            "place": torch.tensor([self._epoch, self._position]),
            "generator": self._generator.get_state(),
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go to where `state()` was taken. Raises ValueError if that was with other texts, masks,
        classes, sizes or another seed."""
        got, expected = state["tokens"].tolist(), self.state()["tokens"].tolist()
        if got != expected:
            raise ValueError(
                f"the run to resume had the tokens, batch, length and seed {got}; here they are {expected}"
            )
        if "texts_sha256" not in state or state["texts_sha256"].tolist() != self._digest:
            raise ValueError(
                "the run to resume read other texts of as many tokens, or had other masks or classes, or an "
                "older course saved it, which doesn't tell: give it its own, or train again"
            )
        epoch, position = state["place"].tolist()
        if epoch >= 0:
            self._begin(epoch)
        self._position = position
        self._generator.set_state(state["generator"])


class MaskedTexts(_Epochs):
    """Batches (inputs, lengths, labels) for `masking.masked_loss`.

    Each epoch cuts the texts anew, after whole sentences where it can: seven rows of ten as long as may be,
    the rest of any length, for a model that has never seen a short text reads it badly. Masks are drawn anew
    each time, by `mask_tokens` with its `rate`, `to_mask` and `to_random`. Raises ValueError for rows of less
    than 10 tokens, the two marks included, and for texts without a token.
    """

    def __init__(
        self,
        texts: Sequence[Ids],
        tokenizer: WordPieceTokenizer,
        tokens: int = 2048,
        longest: int = 128,
        rate: float = 0.15,
        seed: int = 0,
        **shares: float,
    ):
        super().__init__(texts, tokenizer, tokens, longest, seed)
        if longest < 10 or not any(map(len, texts)):
            raise ValueError(
                f"rows are of at least 10 tokens, and the texts of one at least; got longest={longest} and "
                f"{sum(map(len, texts))} tokens"
            )
        self.rate, self.shares = rate, shares
        self._ends = [tokenizer.ids[end] for end in SENTENCE_ENDS]

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        rows, _ = self._next_rows()
        ids, lengths = padded(rows, self.tokenizer)
        inputs, labels = mask_tokens(ids, self.tokenizer, self.rate, generator=self._generator, **self.shares)
        return inputs, lengths, labels

    def _settings(self) -> bytes:
        return repr((self.rate, sorted(self.shares.items()))).encode()

    def _rows(self, draws: np.random.Generator) -> list[Ids]:
        return [row for text in self.texts for row in self._cut(text, draws)]

    def _cut(self, text: Ids, draws: np.random.Generator) -> list[Ids]:
        stops = np.append(np.flatnonzero(np.isin(text, self._ends)) + 1, len(text))
        rows, start = [], 0
        while start < len(text):
            most = self.room if draws.random() < 0.7 else int(draws.integers(8, self.room + 1))
            fit = stops[(stops > start) & (stops <= start + most)]
            end = int(fit[-1]) if len(fit) else start + most
            rows.append(text[start:end])
            start = end
        return rows


class LabelledTexts(_Epochs):
    """Batches (ids, lengths, classes) for `class_loss`; of a long text the first tokens are read.

    Raises ValueError if there are not as many classes as texts, or `longest` leaves no token.
    """

    def __init__(
        self,
        texts: Sequence[Ids],
        classes: Sequence[int],
        tokenizer: WordPieceTokenizer,
        tokens: int = 2048,
        longest: int = 128,
        seed: int = 0,
    ):
        super().__init__(texts, tokenizer, tokens, longest, seed)
        if len(texts) != len(classes) or longest < 3:
            raise ValueError(
                "each text has a class, and a row [CLS], a token and [SEP] at least; got "
                f"{len(texts)} texts, {len(classes)} classes and longest={longest}"
            )
        self.classes = torch.as_tensor(classes, dtype=torch.int64)

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        rows, places = self._next_rows()
        return *padded(rows, self.tokenizer), self.classes[places]

    def _settings(self) -> bytes:
        return self.classes.numpy().tobytes()

    def _rows(self, draws: np.random.Generator) -> list[Ids]:
        return [text[: self.room] for text in self.texts]


def class_loss(model: nn.Module, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
    """Mean nats a text, for `training.train`: a batch is (ids, lengths, classes)."""
    ids, lengths, classes = batch
    return functional.cross_entropy(model(ids, lengths), classes), None
