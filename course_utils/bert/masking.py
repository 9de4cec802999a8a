"""Masked language modelling: hide some tokens of a text and ask for them.

Of the tokens that are chosen 80 % become [MASK], 10 % another token, 10 % stay: at the last two the model
can't know that it is asked, so it has to think of every token that it reads as perhaps wrong. The loss is
taken at the chosen places alone: those that stay are among them.

Sources: Devlin et al. 2019, section 3.1 and appendix C.2 (80/10/10); Taylor 1953 (the cloze test); whole
words: the authors' code of May 2019.
"""

from functools import lru_cache

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.tokenizers import WordPieceTokenizer

PAD, CLS, SEP, MASK = "[PAD]", "[CLS]", "[SEP]", "[MASK]"
IGNORED = -100  # the label of a place whose loss is not taken, as torch's cross-entropy has it


@lru_cache(maxsize=4)
def special_tokens(tokenizer: WordPieceTokenizer) -> Bool[Tensor, " vocab"]:
    """Which ids of the vocabulary stand for no piece of a word: [CLS], [UNK], [unused0] and their like."""
    return torch.tensor(
        [token[:1] == "[" and token[-1:] == "]" and len(token) > 2 for token in tokenizer.tokens]
    )


def mask_tokens(
    ids: Int[Tensor, "batch time"],
    tokenizer: WordPieceTokenizer,
    rate: float = 0.15,
    *,
    generator: torch.Generator | None = None,
    whole_words: bool = False,
    to_mask: float = 0.8,
    to_random: float = 0.1,
) -> tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]:
    """What the model reads, and what it is asked: the token at the chosen places, -100 elsewhere.

    Each token is chosen with the chance `rate`, by itself or, with `whole_words`, with all pieces of its
    word; special tokens and padding never are. A share `to_mask` of the chosen becomes [MASK], `to_random` a
    random token, the rest stays. Draw anew for each epoch: another gap in the same text is another question.
    `ids` stays as it is. Raises ValueError for a rate that is not between 0 and 1, shares that aren't
    parts of 1, an empty batch, ids that are not the tokenizer's, and texts in which nothing can be masked.
    """
    if not 0 < rate < 1:
        raise ValueError(
            f"rate lies between 0 and 1; got {rate} (at 0 nothing is asked, at 1 nothing is left to tell it "
            "from; BERT has 0.15)"
        )
    if min(to_mask, to_random) < 0 or to_mask + to_random > 1:
        raise ValueError(
            "to_mask and to_random are shares of the chosen, at most 1 together; got "
            f"{to_mask} and {to_random}"
        )
    check_vocabulary(ids, tokenizer)
    special = special_tokens(tokenizer)
    plain = ~special[ids]
    if not plain.any():
        raise ValueError("there is nothing to mask: the texts have no tokens, or special ones only")
    draws = torch.rand(ids.shape, generator=generator)
    if whole_words:
        draws = draws.gather(1, word_starts(ids, tokenizer))
    chosen = plain & (draws < rate)
    labels = ids.masked_fill(~chosen, IGNORED)
    action = torch.rand(ids.shape, generator=generator)
    inputs = ids.masked_fill(chosen & (action < to_mask), tokenizer.ids[MASK])
    swapped = chosen & (action >= 1 - to_random)
    words = torch.nonzero(~special)[:, 0]
    inputs[swapped] = words[torch.randint(len(words), (int(swapped.sum()),), generator=generator)]
    return inputs, labels


def word_starts(ids: Int[Tensor, "batch time"], tokenizer: WordPieceTokenizer) -> Int[Tensor, "batch time"]:
    """For each token the place at which its word begins: its own, unless it is a "##" that goes on."""
    goes_on = _going_on(tokenizer)[ids]
    places = torch.arange(ids.shape[1]).expand_as(ids)
    return places.masked_fill(goes_on, 0).cummax(dim=1).values


@lru_cache(maxsize=4)
def _going_on(tokenizer: WordPieceTokenizer) -> Bool[Tensor, " vocab"]:
    return torch.tensor([token.startswith("##") for token in tokenizer.tokens])


def check_vocabulary(ids: Int[Tensor, "batch time"], tokenizer: WordPieceTokenizer) -> None:
    """Raise ValueError for a batch that is empty, of another shape, or not of this tokenizer's ids."""
    if ids.ndim != 2 or not ids.numel():
        raise ValueError(f"ids have the shape (batch, time), with one token at least; got {tuple(ids.shape)}")
    if ids.min() < 0 or ids.max() >= tokenizer.vocab_size:
        raise ValueError(
            f"this tokenizer has the ids 0 to {tokenizer.vocab_size - 1}; got {int(ids.min())} to "
            f"{int(ids.max())}: take the tokenizer that encoded the text"
        )
    if MASK not in tokenizer.ids:
        raise ValueError(f"the tokenizer has no {MASK}: take the vocabulary of a BERT")


def masked_loss(model: nn.Module, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
    """Mean nats a chosen token, for `training.train`: a batch is (inputs, lengths, labels).

    A batch in which chance chose nothing has the loss 0.
    """
    inputs, lengths, labels = batch
    chosen = labels != IGNORED
    logits = model(inputs, lengths, chosen=chosen)
    return functional.cross_entropy(logits, labels[chosen], reduction="sum") / max(int(chosen.sum()), 1), None
