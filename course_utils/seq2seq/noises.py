"""BART's five ways to damage a text. The target is always the whole text as it was.

The paper's tasks differ in what they hide: a masked token leaves its place, a deleted one not even that; of a
span only one mask is left, whatever its length, 0 included; shuffled sentences and a rotated text lose the
order, and no token.

Source: Lewis et al. 2020, section 2.2; the share that is masked: section 5.
"""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from course_utils.seq2seq.objectives import Span, check_rate


def token_masking(
    ids: Sequence[int], mask: int, rate: float = 0.15, generator: torch.Generator | None = None
) -> list[int]:
    """round(rate n) tokens, at least one and not all, become the mask; each is equally likely to.

    Raises ValueError for a rate that is not between 0 and 1, and a text of less than two tokens.
    """
    hidden = _drawn(len(ids), rate, generator).tolist()
    return [mask if gone else int(i) for i, gone in zip(ids, hidden, strict=True)]


def token_deletion(
    ids: Sequence[int], rate: float = 0.15, generator: torch.Generator | None = None
) -> list[int]:
    """round(rate n) tokens, at least one and not all, are left out: where, the model has to find out.

    The paper names no rate for it. Raises ValueError as `token_masking` does.
    """
    hidden = _drawn(len(ids), rate, generator).tolist()
    return [int(i) for i, gone in zip(ids, hidden, strict=True) if not gone]


def infilling_spans(
    n: int, rate: float = 0.3, mean_span: float = 3.0, generator: torch.Generator | None = None
) -> list[Span]:
    """Spans of a text of n tokens, of lengths drawn from a Poisson distribution, 0 included.

    They are drawn until they have round(rate n) tokens, at least one and not all; the one that goes beyond is
    cut short. The spans and the other tokens follow each other in random order, so two spans may touch.
    Raises ValueError as `token_masking` does, and for a mean_span below 1.
    """
    left = _count(n, rate)
    if not mean_span >= 1:
        raise ValueError(f"a span has at least one token on average; got mean_span = {mean_span}")
    lengths, mean, hidden = [], torch.tensor(float(mean_span)), left
    while left:
        lengths.append(min(int(torch.poisson(mean, generator=generator)), left))
        left -= lengths[-1]
    slots = torch.randperm(n - hidden + len(lengths), generator=generator)[: len(lengths)].sort().values
    # the last need not be the one that is cut short
    order = torch.randperm(len(lengths), generator=generator).tolist()
    spans, before = [], 0
    for i, slot in enumerate(slots.tolist()):
        start, length = slot - i + before, lengths[order[i]]
        spans.append((start, start + length))
        before += length
    return spans


def infill(ids: Sequence[int], spans: Sequence[Span], mask: int) -> list[int]:
    """The text with one mask in the place of each span, also of one without a token. Raises ValueError for
    spans that are out of order or outside the text."""
    ids = [*map(int, ids)]
    ends = [0, *(place for span in spans for place in span), len(ids)]
    if ends != sorted(ends):
        raise ValueError(f"expected spans in order, within {len(ids)} tokens; got {[*spans]}")
    damaged, place = [], 0
    for start, end in spans:
        damaged += [*ids[place:start], mask]
        place = end
    return damaged + ids[place:]


def text_infilling(
    ids: Sequence[int],
    mask: int,
    rate: float = 0.3,
    mean_span: float = 3.0,
    generator: torch.Generator | None = None,
) -> list[int]:
    """The text with a mask for each of its `infilling_spans`: how many tokens it hides, the model has to find
    out. Raises ValueError as that does."""
    return infill(ids, infilling_spans(len(ids), rate, mean_span, generator), mask)


def sentence_permutation(
    ids: Sequence[int], stops: Collection[int], generator: torch.Generator | None = None
) -> list[int]:
    """The sentences in random order. Each ends at a token of `stops`, such as the full stop; what follows the
    last one is a sentence too. Raises ValueError for an empty text."""
    _check_length(len(ids), 1)
    sentences: list[list[int]] = [[]]
    for i in map(int, ids):
        sentences[-1].append(i)
        if i in stops:
            sentences.append([])
    sentences = [sentence for sentence in sentences if sentence]
    order = torch.randperm(len(sentences), generator=generator).tolist()
    return [i for place in order for i in sentences[place]]


def document_rotation(ids: Sequence[int], generator: torch.Generator | None = None) -> list[int]:
    """The text from a random token on, and then what stood before it. Raises ValueError for an empty text."""
    _check_length(len(ids), 1)
    ids, first = [*map(int, ids)], int(torch.randint(len(ids), (), generator=generator))
    return ids[first:] + ids[:first]


def _drawn(n: int, rate: float, generator: torch.Generator | None) -> Bool[Tensor, " n"]:
    """Which of n tokens are hidden."""
    hidden = torch.zeros(n, dtype=torch.bool)
    hidden[torch.randperm(n, generator=generator)[: _count(n, rate)]] = True
    return hidden


def _count(n: int, rate: float) -> int:
    check_rate(rate)
    _check_length(n, 2)
    return min(max(round(rate * n), 1), n - 1)


def _check_length(n: int, shortest: int) -> None:
    if n < shortest:
        raise ValueError(f"expected a text of at least {shortest} tokens; got {n}: take a longer one")
