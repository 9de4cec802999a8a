"""One text and one choice of spans through five objectives, side by side: what is read, and what is to write.

All hide the same tokens, so that what differs is the objective alone. No end is added, as in `objectives`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from course_utils.seq2seq.noises import infill, infilling_spans
from course_utils.seq2seq.objectives import Span, corrupt_spans


class Corruption(NamedTuple):
    """What the encoder reads, and what the decoder is to write."""

    source: list[int]
    target: list[int]


def corruptions(
    ids: Sequence[int], spans: Sequence[Span], cut: int, sentinels: Sequence[int], mask: int
) -> dict[str, Corruption]:
    """What each objective makes of a text in which these spans are hidden.

    cut: where prefix LM cuts the text in two; it hides the rest, whatever the spans. With 0 nothing is read:
    next-token prediction. A span of length 0 is a mask more for infilling, and nothing for the others. Raises
    ValueError as `corrupt_spans` and `infill` do, and for a cut that leaves nothing to write.
    """
    ids = [*map(int, ids)]
    if not 0 <= cut < len(ids):
        raise ValueError(
            f"the cut lies from 0 to {len(ids) - 1}, so that there is something to write; got {cut}"
        )
    hidden = {i for start, end in spans for i in range(start, end)}
    filled = [(start, end) for start, end in spans if start < end]
    return {
        "span corruption": Corruption(*corrupt_spans(ids, filled, sentinels) if filled else (ids, [])),
        "infilling": Corruption(infill(ids, spans, mask), ids),
        "token masking": Corruption([mask if i in hidden else id_ for i, id_ in enumerate(ids)], ids),
        "token deletion": Corruption([id_ for i, id_ in enumerate(ids) if i not in hidden], ids),
        "prefix LM": Corruption(ids[:cut], ids[cut:]),
    }


def drawn_spans(n: int, rate: float, mean_span: float, seed: int) -> list[Span]:
    """BART's `infilling_spans`, the same for the same seed.

    T5's own rule ends each text on a span: of a sentence, of which 15 % are one span, always the last words.
    """
    return infilling_spans(n, rate, mean_span, torch.Generator().manual_seed(seed))
