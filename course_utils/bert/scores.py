"""How often a masked word is found: the same gaps for every model, so that two scores compare."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from course_utils.bert.masking import IGNORED, mask_tokens
from course_utils.bert.texts import padded
from course_utils.tokenizers import WordPieceTokenizer

Gaps = list[tuple[Int[Tensor, "batch time"], Int[Tensor, " batch"], Int[Tensor, "batch time"]]]


@dataclass(frozen=True)
class GapScore:
    """Shares of the masked tokens that were the first guess, and among the first five; perplexity over the
    vocabulary; and how many tokens were asked."""

    first: float
    first_five: float
    perplexity: float
    tokens: int


def gaps(
    texts: Sequence[Int[np.ndarray, " tokens"]],
    tokenizer: WordPieceTokenizer,
    *,
    rate: float = 0.15,
    longest: int = 128,
    rows: int | None = None,
    seed: int = 0,
) -> Gaps:
    """Encoded texts in rows of up to `longest` tokens, one after the other, and a share `rate` of their
    tokens behind [MASK]: (inputs, lengths, labels), 32 rows at once. With `rows`, that many, drawn at random.

    All chosen tokens become [MASK]: to find one that stayed would be no feat.
    """
    cut = in_rows(texts, longest)
    order = np.random.default_rng(seed).permutation(len(cut))[:rows]
    order = sorted(order, key=lambda i: len(cut[i]))  # so little is padding
    generator, batches = torch.Generator().manual_seed(seed), []
    for start in range(0, len(order), 32):
        ids, lengths = padded([cut[i] for i in order[start : start + 32]], tokenizer)
        inputs, labels = mask_tokens(ids, tokenizer, rate, generator=generator, to_mask=1, to_random=0)
        batches.append((inputs, lengths, labels))
    return batches


def unpadded(batches: Gaps) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """The rows as they are read, without [CLS] and [SEP]; which places are asked; and what stood there."""
    rows, places = [], []
    for inputs, lengths, labels in batches:
        for row, n, label in zip(inputs, lengths.tolist(), labels, strict=True):
            rows.append(row[1 : n - 1].numpy())
            places.append((label[1 : n - 1] != IGNORED).numpy())
    return rows, places, np.concatenate([labels[labels != IGNORED] for *_, labels in batches])


def in_rows(texts: Sequence[Int[np.ndarray, " tokens"]], longest: int = 128) -> list[np.ndarray]:
    """Encoded texts cut into rows that leave room for [CLS] and [SEP]."""
    room = longest - 2
    return [text[start : start + room] for text in texts for start in range(0, len(text), room)]


@torch.no_grad()
def score(answer: Callable[[Tensor, Tensor, Tensor], Float[Tensor, "gaps vocab"]], batches: Gaps) -> GapScore:
    """What `answer(inputs, lengths, chosen)` makes of the gaps; it gives the logits, or log-probabilities, of
    each chosen place. Raises ValueError if there is none."""
    nats, found = 0.0, torch.zeros(5, dtype=torch.int64)
    total = 0
    for inputs, lengths, labels in batches:
        chosen = labels != IGNORED
        logits, targets = answer(inputs, lengths, chosen).float(), labels[chosen]
        nats += functional.cross_entropy(logits, targets, reduction="sum").item()
        found += (logits.topk(5, dim=-1).indices == targets[:, None]).sum(0)
        total += len(targets)
    if not total:
        raise ValueError("no gap was asked: give more text, or a higher rate")
    return GapScore(found[0].item() / total, found.sum().item() / total, math.exp(nats / total), total)
