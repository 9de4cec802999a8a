"""Which word makes the likeliest text? A gap's likeliest words, ranked by the texts that they make.

At the gap a masked model says how likely a word is there. At every other place it says how likely the token
of that place is, with the word in the gap: so it can be asked more than it usually is. Were its answers
those of the true distribution over texts, the first alone would be the best ranking; a network's are not, and
whether the rest helps is a matter of measuring (`weights/by_text_recipe.py`: among the first five it does for
rarer words, and harms over all tokens). The sum of all logs is the text's pseudo-log-likelihood.

Source: Salazar et al. 2020, "Masked Language Model Scoring", section 2.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from course_utils.bert.masking import MASK
from course_utils.bert.texts import Guess, Ids, check_fit, encode, padded
from course_utils.devices import without_dropout
from course_utils.tokenizers import WordPieceTokenizer

CANDIDATES, REACH = 30, 30  # words that are tried, and tokens that are read on each side of the gap


def fill_by_text(
    model: nn.Module, tokenizer: WordPieceTokenizer, text: str, k: int = 5, candidates: int = CANDIDATES
) -> list[Guess]:
    """The k best tokens for the one [MASK] of a text, of so many that the model finds likeliest there. A
    `probability` is the pseudo-likelihood of its text over the sum of those of all candidates: it counts the
    same evidence several times, so don't read it as a chance.

    Reads 30 tokens on each side of the gap, fewer if the model reads fewer: 361 rows for a sentence of 13.
    Raises ValueError for a text with no [MASK], several, or nothing else, for fewer candidates than are asked
    for, and for a tokenizer whose vocabulary is not the model's.
    """
    check_fit(model, tokenizer)
    ids = encode(text, tokenizer)
    if (n := int((ids == tokenizer.ids[MASK]).sum())) != 1:
        raise ValueError(f"write {MASK} where one word is missing; {text[:60]!r} has {n}")
    if len(ids) == 1:
        raise ValueError(f"there is no text around {MASK} to judge by: write some")
    if not 1 <= k <= candidates <= tokenizer.vocab_size:
        raise ValueError(
            f"at least as many words are tried as named, and {tokenizer.vocab_size:,} at most; got "
            f"candidates = {candidates} and k = {k}"
        )
    tokens, at_gap, around = evidence(model, tokenizer, ids, candidates)
    scores = torch.from_numpy(at_gap + around)
    best = scores.softmax(0).topk(k)
    return [
        Guess(tokenizer.tokens[tokens[i]], p)
        for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]


def evidence(
    model: nn.Module, tokenizer: WordPieceTokenizer, ids: Ids, candidates: int
) -> tuple[
    Int[np.ndarray, " candidates"], Float[np.ndarray, " candidates"], Float[np.ndarray, " candidates"]
]:
    """The tokens that are likeliest in the one gap of `ids`, the log of their probability there, and the sum
    of the logs that all other tokens then have."""
    gap = int(np.flatnonzero(ids == tokenizer.ids[MASK])[0])
    reach = min(REACH, (model.bert.config.max_positions - 3) // 2)  # [CLS], the gap and [SEP] take three
    first = max(gap - reach, 0)
    ids, gap = ids[first : gap + reach + 1].copy(), gap - first
    top = log_probabilities(model, tokenizer, ids[None], [gap])[0].topk(candidates)
    others, around = [place for place in range(len(ids)) if place != gap], []
    for token in top.indices.tolist():
        ids[gap] = token
        rows = np.tile(ids, (len(others), 1))
        rows[range(len(others)), others] = tokenizer.ids[MASK]
        logs = log_probabilities(model, tokenizer, rows, others)
        around.append(logs[range(len(others)), ids[others]].sum().item())
    return top.indices.numpy(), top.values.numpy(), np.array(around)


@torch.no_grad()
def log_probabilities(
    model: nn.Module, tokenizer: WordPieceTokenizer, rows: Int[np.ndarray, "rows time"], places: list[int]
) -> Float[torch.Tensor, "rows vocab"]:
    """The logs of what the model expects at one place of each row."""
    ids, lengths = padded(rows, tokenizer)
    asked = torch.zeros(ids.shape, dtype=torch.bool)
    asked[range(len(ids)), [place + 1 for place in places]] = True  # after [CLS]
    with without_dropout(model):
        return model(ids, lengths, chosen=asked).float().log_softmax(-1)
