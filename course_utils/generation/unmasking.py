"""Writing by unmasking: a text appears out of masks, some places at a time, in any order.

A model of masks says for each open place what may stand there, each by itself. So places that are filled in
one step don't see each other: many at once are fast, and one at a time is what the bound of `bert.diffusion`
is about. `Masked` is what a model has to offer; `byte_level` and `word_pieces` make it of the course's two
kinds.

Sources: Ghazvininejad et al. 2019 and Chang et al. 2022 (several at once, the surest first); Austin et al.
2021, Sahoo et al. 2024 and Nie et al. 2025 (any order: diffusion by masks).
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_utils.bert.diffusion import MaskedDiffusion
from course_utils.bert.masking import MASK, special_tokens
from course_utils.bert.texts import check_fit, encode, padded, with_masks
from course_utils.devices import without_dropout
from course_utils.tokenizers import ByteTokenizer, WordPieceTokenizer

ORDERS = "confidence", "random"


class Masked(NamedTuple):
    """A model that says what stands behind masks, and how it cuts a text and puts it together.

    log_probs(ids) of T ids: their masks' log-probabilities, (masks, vocab), in the order of the places.
    encode(text): ids, in which [MASK] became `mask_id`. tokens: the text of each id.
    join(tokens): the text of some tokens. context: the most ids at once.
    """

    log_probs: Callable[[Int[Tensor, " time"]], Float[Tensor, "masks vocab"]]
    mask_id: int
    encode: Callable[[str], Int[np.ndarray, " time"]]
    tokens: Sequence[str]
    join: Callable[[Sequence[str]], str]
    context: int


def byte_level(model: MaskedDiffusion) -> Masked:
    """A model of bytes. A byte that is no character by itself is a lone surrogate among the tokens."""

    def log_probs(ids):
        with without_dropout(model):
            return model(ids[None])[0, ids == model.mask_id].float().log_softmax(-1)

    tokens = [bytes([i]).decode("utf-8", "surrogateescape") for i in range(model.vocab_size)]
    cut = partial(with_masks, encode=ByteTokenizer().encode, mask_id=model.mask_id)
    return Masked(log_probs, model.mask_id, cut, tokens, _join_bytes, model.context)


def _join_bytes(tokens: Sequence[str]) -> str:
    data = "".join(tokens).encode("utf-8", "surrogateescape")
    return data.decode("utf-8", "surrogateescape")


def word_pieces(model: nn.Module, tokenizer: WordPieceTokenizer) -> Masked:
    """A `BertForMaskedLM`, which reads the text between [CLS] and [SEP] and here writes no special token.

    It was trained with most of a text shown: the more masks, the less it is what it was trained for. Raises
    ValueError for a tokenizer whose vocabulary is not the model's.
    """
    check_fit(model, tokenizer)
    special, mask_id = special_tokens(tokenizer), tokenizer.ids[MASK]

    def log_probs(ids):
        row, _ = padded([ids.numpy()], tokenizer)
        with without_dropout(model):
            logits = model(row, chosen=row == mask_id).float()
        return logits.masked_fill(special, -math.inf).log_softmax(-1)

    cut, context = partial(encode, tokenizer=tokenizer), model.bert.config.max_positions - 2
    return Masked(log_probs, mask_id, cut, tokenizer.tokens, _join_pieces, context)


def _join_pieces(tokens: Sequence[str]) -> str:
    return re.sub(r" ([.,;:!?])", r"\1", " ".join(tokens).replace(" ##", ""))


class Step(NamedTuple):
    """The text after a step, the places that it filled, and the probability that the model gave to what was
    written there."""

    ids: Int[Tensor, " time"]
    places: Int[Tensor, " filled"]
    probabilities: Float[Tensor, " filled"]


def unmask(
    masked: Masked,
    ids: Int[Tensor, " time"],
    steps: int,
    *,
    order: str = "confidence",
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Iterator[Step]:
    """Write what stands at the masks of `ids`, in so many steps, or as many as there are masks.

    A step fills an even share of the open places, as `fill` does. Raises ValueError for no mask, no step, an
    unknown order, and a negative temperature.
    """
    n_masks = int((ids == masked.mask_id).sum())
    if not n_masks:
        raise ValueError(
            f"nothing is to be written: put the mask's id, {masked.mask_id}, where a token is missing"
        )
    if steps < 1 or order not in ORDERS or temperature < 0:
        raise ValueError(
            f"steps is 1 or more, order one of {', '.join(ORDERS)}, temperature 0 or more; got {steps}, "
            f"{order!r}, {temperature}"
        )
    return _unmasked(masked, ids, min(steps, n_masks), order, temperature, generator)


def _unmasked(masked, ids, steps, order, temperature, generator) -> Iterator[Step]:
    for left in range(steps, 0, -1):
        share = -(-int((ids == masked.mask_id).sum()) // left)
        done = fill(ids, masked.mask_id, expected(masked, ids), share, order, temperature, generator)
        yield done
        ids = done.ids


@torch.no_grad()
def expected(masked: Masked, ids: Int[Tensor, " time"]) -> Float[Tensor, "masks vocab"]:
    """The log-probabilities at each mask. Raises ValueError if the model's are none."""
    log_p, masks = masked.log_probs(ids), int((ids == masked.mask_id).sum())
    if log_p.ndim != 2 or len(log_p) != masks or not ((log_p.exp().sum(1) - 1).abs() < 1e-3).all():
        raise ValueError(
            f"log_probs gives a row for each of {masks} masks, whose exponentials sum to 1; got the shape "
            f"{tuple(log_p.shape)} and sums {log_p.exp().sum(-1).flatten()[:3].tolist()}"
        )
    return log_p


def fill(
    ids: Int[Tensor, " time"],
    mask_id: int,
    log_p: Float[Tensor, "masks vocab"],
    share: int,
    order: str = "confidence",
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Step:
    """Fill so many of the masks: a token is drawn for each of them from log_p / temperature, or at
    temperature 0 the likeliest is taken, and those stay whose probability is highest; any, if order is
    "random". `ids` stays as it is.
    """
    open_places = torch.nonzero(ids == mask_id)[:, 0]
    if temperature:
        tokens = torch.multinomial((log_p / temperature).softmax(-1), 1, generator=generator)[:, 0]
    else:
        tokens = log_p.argmax(-1)
    sure = log_p.gather(1, tokens[:, None])[:, 0].exp()
    ranks = sure if order == "confidence" else torch.rand(sure.shape, generator=generator)
    kept = ranks.topk(min(share, len(ranks))).indices.sort().values
    after = ids.clone()
    after[open_places[kept]] = tokens[kept].to(ids.dtype)
    return Step(after, open_places[kept], sure[kept])
