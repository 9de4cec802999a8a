"""From BERT to a model of language: masks at every rate bound the likelihood of a text.

BERT's loss is no probability of a text: scored with all others shown, each token is told what it should tell.
But let a number of masks k be drawn evenly from 1 to L, put them anywhere, and weight the sum of the losses
by L / k. That is the mean cost of naming the tokens one after the other in a random order, and by Jensen's
inequality never less than minus the logarithm of what the model, over all orders, gives to the text. (The
same with a rate t drawn evenly from 0 to 1, each token masked by itself and the sum weighted by 1 / t, varies
more.) Every masked token is [MASK] here: 80/10/10 would break the bound, and with a rate "at least one
mask" would loosen it.

How such a model writes: `generation.unmasking`.

Sources: Uria, Murray & Larochelle 2014 (all orders at once); Austin et al. 2021, Sahoo et al. 2024 and Nie et
al. 2025 (diffusion by masks, its bound, and large models).
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.devices import without_dropout
from course_utils.gpt import GPTConfig
from course_utils.transformer import Encoder, check_ids


class MaskedDiffusion(nn.Module):
    """A GPT's blocks without the causal mask: logits for what stands at each place.

    The vocabulary of `config` has one token more to read, `mask_id`, and no more to write; n-grams and token
    shift look left only, so they are refused.
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        if config.ngrams > 1 or config.token_shift:
            raise ValueError(
                "ngrams and token_shift look left alone: leave them out of a model that looks both ways"
            )
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size + 1, config.d_model)
        self.encoder = Encoder(config.block, config.n_layers)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:  # as in a GPT
                writes = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * config.n_layers if writes else 1) ** 0.5)

    def extra_repr(self) -> str:
        return str(self.config)

    @property
    def mask_id(self) -> int:
        return self.config.vocab_size

    @property
    def vocab_size(self) -> int:
        return self.config.vocab_size

    @property
    def context(self) -> int:
        return self.config.context

    def forward(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time vocab"]:
        """Raises ValueError for an id that is neither a token nor the mask, and for more than `context`."""
        check_ids(ids, self.vocab_size + 1)
        if ids.shape[1] > self.context:
            raise ValueError(f"this model reads {self.context} tokens at once; got {ids.shape[1]}")
        return functional.linear(self.encoder(self.embedding(ids)), self.embedding.weight[: self.vocab_size])


def draw_masks(
    rows: int, length: int, prefix: int = 0, generator: torch.Generator | None = None
) -> Bool[Tensor, "rows length"]:
    """Which places are masked: in each row k of those from `prefix` on, k even over 1 to length - prefix.

    The rows' numbers of masks are spread (each draws from another part of the range, by lot), which leaves
    each one even and makes their mean vary less. Raises ValueError if no place is left to mask.
    """
    free = length - prefix
    if free < 1:
        raise ValueError(f"at least one place is masked: prefix is below {length}; got {prefix}")
    parts = (torch.randperm(rows, generator=generator) + torch.rand(rows, generator=generator)) / rows
    n_masks = (parts * free).long().clamp(max=free - 1) + 1
    ranks = torch.rand(rows, free, generator=generator).argsort(1).argsort(1)
    masked = torch.zeros(rows, length, dtype=torch.bool)
    masked[:, prefix:] = ranks < n_masks[:, None]
    return masked


def weighted_losses(
    model: nn.Module, ids: Int[Tensor, "batch time"], masked: Bool[Tensor, "batch time"], prefix: int = 0
) -> Float[Tensor, " batch"]:
    """Nats of each row after the prefix, by one drawing of masks: L / k times the sum of the losses."""
    logits = model(ids.masked_fill(masked, model.mask_id))[masked]
    losses = torch.zeros(ids.shape, dtype=torch.float32, device=ids.device)
    losses[masked] = functional.cross_entropy(logits.float(), ids[masked], reduction="none")
    return losses.sum(1) * (ids.shape[1] - prefix) / masked.sum(1)


def diffusion_loss(model: nn.Module, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
    """Nats a token, for `training.train` on `Windows`: half of the batch after a prefix of half a window,
    which stays as it is, the other half without. Masks are drawn by torch's own generator."""
    ids = batch[0]
    half, free = len(ids) // 2, 0.0
    for rows, prefix in ((ids[:half], ids.shape[1] // 2), (ids[half:], 0)):
        if len(rows):
            masked = draw_masks(len(rows), rows.shape[1], prefix).to(ids.device)
            free = free + weighted_losses(model, rows, masked, prefix).sum() / (rows.shape[1] - prefix)
    return free / len(ids), None


class Bound(NamedTuple):
    """An estimate of the bits a token that a text takes at most, and its standard error, from the drawing of
    masks. The expected value is a bound; an estimate may lie below it."""

    bits: float
    error: float


@torch.no_grad()
def bound(
    model: nn.Module,
    ids: Int[Tensor, " tokens"],
    prefix: int = 0,
    draws: int = 4,
    seed: int = 0,
    rows: int = 64,
) -> Bound:
    """An estimate of the bound on a text, each token once, in windows of the model's context: disjoint ones,
    or with `prefix` such that all but the first begin with so many tokens that are read and not scored.

    Each window is drawn `draws` times; the error tells how much other masks would have changed the mean.
    Raises ValueError for an empty text, and for a prefix that leaves nothing of a window to score.
    """
    check_ids(ids[None], model.vocab_size)
    if not 0 <= prefix < model.context:
        raise ValueError(f"prefix is from 0 to {model.context - 1}, below the model's context; got {prefix}")
    generator = torch.Generator().manual_seed(seed)
    window, step = model.context, model.context - prefix
    groups = [(ids[None, :window], 0)]
    rest = ids[max(window - prefix, 0) :]
    whole = (len(rest) - prefix) // step
    if whole > 0:
        groups.append((rest[: prefix + whole * step].unfold(0, window, step), prefix))
    if len(ids) > window and (left := (len(rest) - prefix) % step):
        groups.append((rest[None, -prefix - left :], prefix))
    nats, variance = 0.0, 0.0
    for windows, before in groups:
        for part in windows.split(rows):
            masks = [draw_masks(*part.shape, before, generator).to(part.device) for _ in range(draws)]
            with without_dropout(model):
                drawn = torch.stack([weighted_losses(model, part, masked, before) for masked in masks])
            drawn = drawn.cpu().double()  # (draws, rows); an Apple GPU has no float64
            nats += drawn.mean(0).sum().item()
            if draws > 1:
                variance += drawn.sum(1).var().item() / draws
    scale = 1 / (len(ids) * math.log(2))
    return Bound(nats * scale, variance**0.5 * scale if draws > 1 else math.nan)
