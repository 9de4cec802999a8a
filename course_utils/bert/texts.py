"""Texts as BERT reads them: [CLS], up to 510 tokens, [SEP], padded to one length; and their gaps filled."""

import functools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from course_utils.bert.masking import CLS, MASK, PAD, SEP
from course_utils.devices import without_dropout
from course_utils.tokenizers import WordPieceTokenizer

Ids = Int[np.ndarray, " tokens"]


def encode(text: str, tokenizer: WordPieceTokenizer) -> Int[np.ndarray, " tokens"]:
    """The ids of a text in which the word [MASK] means the token. Warns of words that the vocabulary can't
    make."""
    ids = with_masks(text, tokenizer.encode, tokenizer.ids[MASK])
    if unknown := int((ids == tokenizer.ids[tokenizer.UNK]).sum()):
        warnings.warn(
            f"{unknown} of the words of {text[:40]!r} can't be put together from the vocabulary: the model "
            f"reads {tokenizer.UNK} there",
            stacklevel=2,
        )
    return ids


def encode_all(texts: Iterable[str], tokenizer: WordPieceTokenizer) -> list[Ids]:
    """Many texts without [MASK] as ids, by the library that writes our ids in a tenth of the time. A word
    that the vocabulary can't make is [UNK], as in `encode`; of so many texts none is warned of."""
    found = _fast(tokenizer).encode_batch(list(texts), add_special_tokens=False)
    return [np.array(text.ids, dtype=np.int64) for text in found]


@functools.lru_cache(maxsize=4)
def _fast(tokenizer: WordPieceTokenizer):
    from tokenizers import BertWordPieceTokenizer

    fast = BertWordPieceTokenizer(tokenizer.ids, lowercase=True)
    fast._tokenizer.encode_special_tokens = True  # [SEP] in a text is text; the class has no name for this
    return fast


def with_masks(text: str, encode: Callable[[str], Ids], mask_id: int) -> Ids:
    """The ids of a text in which the word [MASK] means the token `mask_id`; `encode` cuts what is between."""
    first, *rest = [encode(piece) for piece in text.split(MASK)]
    return np.concatenate([first, *(part for piece in rest for part in ([mask_id], piece))]).astype(np.int64)


def padded(
    rows: Sequence[Int[np.ndarray, " tokens"]], tokenizer: WordPieceTokenizer
) -> tuple[Int[Tensor, "batch time"], Int[Tensor, " batch"]]:
    """Rows of ids between [CLS] and [SEP], padded to the longest, and their lengths. Raises ValueError if
    there are no rows."""
    if not len(rows):
        raise ValueError("there is no text to read: give one at least")
    lengths = torch.tensor([len(row) + 2 for row in rows])
    ids = np.full((len(rows), int(lengths.max())), tokenizer.ids[PAD])
    ids[:, 0] = tokenizer.ids[CLS]
    for row, tokens in zip(ids, rows, strict=True):
        row[1 : len(tokens) + 1] = tokens
        row[len(tokens) + 1] = tokenizer.ids[SEP]
    return torch.from_numpy(ids), lengths


def padded_pairs(
    firsts: Sequence[Int[np.ndarray, " tokens"]],
    seconds: Sequence[Int[np.ndarray, " tokens"]],
    tokenizer: WordPieceTokenizer,
) -> tuple[Int[Tensor, "batch time"], Int[Tensor, " batch"], Int[Tensor, "batch time"]]:
    """Two texts a row, as [CLS] first [SEP] second [SEP]: ids, lengths, and segments, 1 in the second."""
    between = [tokenizer.ids[SEP]]
    joined = [np.concatenate([first, between, second]) for first, second in zip(firsts, seconds, strict=True)]
    ids, lengths = padded(joined, tokenizer)
    starts = torch.tensor([len(first) + 2 for first in firsts])
    at = torch.arange(ids.shape[1])
    return ids, lengths, ((at >= starts[:, None]) & (at < lengths[:, None])).long()


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
    ids, _ = around(ids, places[0], places[-1] + 1, model.bert.config.max_positions - 2)
    rows, lengths = padded([ids], tokenizer)
    with without_dropout(model):
        probabilities = model(rows, lengths, chosen=rows == tokenizer.ids[MASK]).softmax(-1)
    best = probabilities.topk(min(k, tokenizer.vocab_size))
    return [
        [Guess(tokenizer.tokens[i], p) for p, i in zip(values, indices, strict=True)]
        for values, indices in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


def around(
    ids: Int[np.ndarray, " tokens"], first: int, last: int, room: int
) -> tuple[Int[np.ndarray, " room"], int]:
    """So many ids, with those from `first` to before `last` in their middle, and where they begin; all of
    them if there is room, else a warning says so.

    Raises ValueError where there is no room for those from first to last.
    """
    if len(ids) <= room:
        return ids, 0
    if last - first > room:
        raise ValueError(
            f"what is asked for lies further apart than the {room} tokens that the model reads at once"
        )
    start = int(np.clip((first + last - room) // 2, 0, len(ids) - room))
    warnings.warn(
        f"the text has {len(ids)} tokens and the model reads {room} at once: those around what is asked for",
        stacklevel=3,
    )
    return ids[start : start + room], start


def check_fit(model: nn.Module, tokenizer: WordPieceTokenizer) -> None:
    """Raise ValueError if the table of tokens of a `Bert`, or of a model around one, has another size than
    the vocabulary."""
    if (rows := getattr(model, "bert", model).config.vocab_size) != tokenizer.vocab_size:
        raise ValueError(
            f"the model has {rows:,} tokens and this tokenizer {tokenizer.vocab_size:,}: take the one that "
            "the model was trained with"
        )
