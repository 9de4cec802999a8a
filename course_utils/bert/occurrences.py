"""One word wherever it stands, and the vector that BERT has for it there.

The table of embeddings has one vector for "bank". By the river and in the city, each layer makes another one
of it, out of its company: Peters et al. 2018 ("contextual"), and for BERT Wiedemann et al. 2019.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from course_utils.bert import Bert
from course_utils.bert.texts import around, check_fit, encode, padded
from course_utils.devices import without_dropout
from course_utils.tokenizers import WordPieceTokenizer


class Occurrence(NamedTuple):
    """A sentence and where a word stands in it: sentence[start:end]."""

    sentence: str
    start: int
    end: int


def occurrences(sentences: Iterable[str], word: str) -> list[Occurrence]:
    """A whole word wherever it stands, capitals or not. Raises ValueError if it stands nowhere."""
    whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
    found = [Occurrence(s, *match.span()) for s in sentences for match in whole.finditer(s) if word]
    if not found:
        raise ValueError(f"{word!r} stands in none of the sentences, as a word of its own")
    return found


@torch.no_grad()
def word_vectors(
    model: Bert, tokenizer: WordPieceTokenizer, places: list[Occurrence]
) -> Float[Tensor, "layers occurrences d_model"]:
    """The stream at each occurrence before the first block (layer 0: token, position and segment, normalised)
    and after each. A word of several pieces has their mean.

    Of a sentence that is too long, the tokens around the word are read, with a warning. Raises ValueError for
    a vocabulary of another size than the model's.
    """
    check_fit(model, tokenizer)
    rows, inside = [], []
    for sentence, start, end in places:
        # a word is encoded by itself, so a sentence may be cut around it
        parts = [encode(part, tokenizer) for part in (sentence[:start], sentence[start:end], sentence[end:])]
        first, last = len(parts[0]), len(parts[0]) + len(parts[1])
        ids, begin = around(np.concatenate(parts), first, last, model.config.max_positions - 2)
        rows.append(ids)
        inside.append(range(1 + first - begin, 1 + last - begin))  # after [CLS]
    with without_dropout(model):
        states = torch.stack(model.hidden_states(*padded(rows, tokenizer)))
    return torch.stack([states[:, i, list(at)].mean(1) for i, at in enumerate(inside)], 1)
