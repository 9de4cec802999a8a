"""Does a token stand in brackets? A label that costs nothing, and that no token carries in itself.

For each token in brackets another of the same type, outside, is taken beside it: then the type tells nothing.
Its place in the row may tell something, so what a probe finds above one half need not be context.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import nn

from course_utils.bert.scores import in_rows
from course_utils.bert.texts import check_fit, padded
from course_utils.devices import without_dropout
from course_utils.tokenizers import WordPieceTokenizer

OPENING, CLOSING = "(", ")"
INSIDE, OUTSIDE, NEITHER = 1, 0, -1


def in_brackets(ids: Int[np.ndarray, " tokens"], tokenizer: WordPieceTokenizer) -> Int[np.ndarray, " tokens"]:
    """INSIDE a pair of brackets, OUTSIDE of any, or NEITHER: a bracket itself, and where only one side has
    one, as beside a smiley."""
    opens, closes = ids == tokenizer.ids[OPENING], ids == tokenizer.ids[CLOSING]
    at = np.arange(len(ids))
    last = np.maximum.accumulate(np.where(opens | closes, at, -1))
    following = np.minimum.accumulate(np.where(opens | closes, at, len(ids))[::-1])[::-1]
    after_opening = np.append(opens, False)[last]  # -1, no bracket yet, is the one that was appended
    before_closing = np.append(closes, False)[following]
    labels = np.where(after_opening == before_closing, after_opening.astype(int), NEITHER)
    return np.where(opens | closes, NEITHER, labels)


@torch.no_grad()
def bracketed_tokens(
    model: nn.Module,
    texts: Sequence[Int[np.ndarray, " tokens"]],
    tokenizer: WordPieceTokenizer,
    longest: int = 64,
    seed: int = 0,
) -> tuple[
    Float[np.ndarray, "layers tokens d_model"], Bool[np.ndarray, " tokens"], Int[np.ndarray, " tokens"]
]:
    """Vectors of tokens in each layer of a `Bert`, whether they stand in brackets, and their types: what
    `measuring.probing.layer_probes` takes as a part.

    Read are the rows of encoded texts that have brackets, cut after `longest` tokens. Raises ValueError for
    texts in which no type stands both in brackets and outside, and for a vocabulary of another size than
    the model's.
    """
    check_fit(model, tokenizer)
    rows = [row for row in in_rows(texts, longest) if (in_brackets(row, tokenizer) == INSIDE).any()]
    types = np.concatenate([*rows, []]).astype(np.int64)
    labels = np.concatenate([*(in_brackets(row, tokenizer) for row in rows), []])
    chosen = np.sort(_pairs(types, labels, np.random.default_rng(seed)))
    if not len(chosen):
        raise ValueError("no type stands both in brackets and outside of them in these texts: give more")
    lengths = np.array([len(row) for row in rows])
    starts = np.cumsum(lengths) - lengths
    found = []
    for first in range(0, len(rows), 64):
        batch = rows[first : first + 64]
        end = starts[first] + sum(map(len, batch))
        here = chosen[(chosen >= starts[first]) & (chosen < end)]
        which = np.searchsorted(starts, here, side="right") - 1
        with without_dropout(model):
            states = model.hidden_states(*padded(batch, tokenizer))
        places = which - first, here - starts[which] + 1  # [CLS] comes first
        found.append(torch.stack([state[places] for state in states]).float())
    return torch.cat(found, dim=1).numpy(), labels[chosen] == INSIDE, types[chosen]


def _pairs(types, labels, draws: np.random.Generator) -> Int[np.ndarray, " tokens"]:
    """As many tokens in brackets as outside, of each type."""
    chosen = []
    for kind in np.unique(types[labels == INSIDE]):
        sides = [np.flatnonzero((types == kind) & (labels == side)) for side in (INSIDE, OUTSIDE)]
        n = min(map(len, sides))
        chosen += [draws.permutation(side)[:n] for side in sides]
    return np.concatenate([*chosen, []]).astype(np.int64)
