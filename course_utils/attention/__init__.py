"""Attention: each position gathers from the others what it asks for.

A position asks with a query; each position that it may attend to answers with a key and offers a value. The
weights are a softmax over the keys, so the result is a weighted mean of the values. There are two paths with
the same result: one is written out, to be read and to show the weights; the other is torch's fused kernel,
which mostly doesn't store them.

Masks are boolean: True means "may attend". A query that may attend to nothing gets zeros.

Sources: Bahdanau, Cho & Bengio 2015 (attention); Vaswani et al. 2017, section 3.2 (scaled dot product,
heads); Ainslie et al. 2023 (grouped queries).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention.cache import KeyValueCache
from course_utils.attention.positions import (
    LearnedPositions,
    RelativePositions,
    relative_buckets,
    rotate,
    sinusoidal_positions,
)
from course_utils.devices import multiplies_bfloat16

__all__ = [
    "KeyValueCache",
    "LearnedPositions",
    "MultiHeadAttention",
    "RelativePositions",
    "attention_weights",
    "causal_mask",
    "fused_attention",
    "padding_mask",
    "prefix_mask",
    "record_attention",
    "relative_buckets",
    "rotate",
    "scaled_dot_product_attention",
    "sinusoidal_positions",
]

WRITTEN_OUT = 256  # keys, up to which a CPU that trains in bfloat16 writes the weights out


def attention_weights(
    q: Float[Tensor, "... queries width"],
    k: Float[Tensor, "... keys width"],
    mask: Bool[Tensor, "... queries keys"] | None = None,
    scale: float | None = None,
    bias: Float[Tensor, "... queries keys"] | None = None,
) -> Float[Tensor, "... queries keys"]:
    """softmax(scale q k^T + bias): for each query a distribution over the keys, or zeros if it may see none.

    scale defaults to 1 / sqrt(width), which keeps the scores of random vectors at variance 1 (Vaswani et al.
    2017, section 3.2.1). The softmax is computed in float32 at least. Raises ValueError for different widths,
    an empty sequence, and a mask that is not boolean or has the wrong shape.
    """
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(
            f"queries and keys must have the same width; got q {tuple(q.shape)} and k {tuple(k.shape)}"
        )
    _check_length(q.shape[-2])
    _check_length(k.shape[-2])
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = (q * scale) @ k.transpose(-2, -1)  # scaled first: half precision ends at 65,504
    _check_mask(mask, scores.shape)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(q.dtype)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)  # a row of nothing but -inf has become NaN
    return weights


def scaled_dot_product_attention(
    q: Float[Tensor, "... queries width"],
    k: Float[Tensor, "... keys width"],
    v: Float[Tensor, "... keys d_value"],
    mask: Bool[Tensor, "... queries keys"] | None = None,
    scale: float | None = None,
) -> tuple[Float[Tensor, "... queries d_value"], Float[Tensor, "... queries keys"]]:
    """The mean of the values under `attention_weights`, and those weights.

    Raises ValueError as `attention_weights` does, and if there are not as many values as keys.
    """
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"expected as many values as keys; got k {tuple(k.shape)} and v {tuple(v.shape)}")
    weights = attention_weights(q, k, mask, scale)
    return weights @ v, weights


def causal_mask(t: int, past: int = 0, device: torch.device | None = None) -> Bool[Tensor, "t past+t"]:
    """Each of t positions may attend to itself and to all before it, `past` of which precede the first."""
    _check_length(t)
    return torch.ones(t, past + t, dtype=torch.bool, device=device).tril(past)


def padding_mask(lengths: Int[Tensor, " batch"], t: int) -> Bool[Tensor, "batch 1 1 t"]:
    """No query may attend to a position at or beyond its sequence's length.

    The shape broadcasts to (batch, heads, queries, keys), and `causal_mask(t) & padding_mask(lengths, t)`
    joins the two. Raises ValueError for lengths outside 0 to t.
    """
    lengths = torch.as_tensor(lengths)
    if lengths.min() < 0 or lengths.max() > t:
        raise ValueError(
            f"expected lengths between 0 and t = {t}; got {int(lengths.min())} to {int(lengths.max())}"
        )
    return (torch.arange(t, device=lengths.device) < lengths[:, None])[:, None, None]


def prefix_mask(lengths: Int[Tensor, " batch"], t: int) -> Bool[Tensor, "batch 1 t t"]:
    """Each of t positions may attend to itself and all before it, and to the first of its row, as many as
    `lengths` says: so these see each other both ways, and with length 0 a row is causal.

    The mask of a prefix language model (Raffel et al. 2020, section 3.2.1). Raises ValueError for lengths
    outside 0 to t.
    """
    prefix = padding_mask(lengths, t)
    return causal_mask(t, device=prefix.device) | prefix


QK_NORMS = {"rms": functional.rms_norm, "layer": functional.layer_norm}


class MultiHeadAttention(nn.Module):
    """Attention with n_heads sets of queries, keys and values, each d_model / n_heads wide, side by side.

    `forward(x)` is self-attention, `forward(x, memory)` cross-attention from x to a memory. With fewer
    n_kv_heads than heads, neighbouring heads share keys and values (grouped queries; one kv head is
    multi-query attention). rotary_base switches rotary positions on, for self-attention. qk_norm "rms" scales
    each query and key to mean square 1, so that no score exceeds the root of their width (Henry et al. 2020);
    "layer" subtracts their mean first (Dehghani et al. 2023). d_head sets another width for the heads, and
    scale what scores are multiplied by instead of 1 / sqrt(d_head).

    `query`, `key`, `value` and `output` are linear layers; any module may take the place of one, such as a
    linear layer with a LoRA adapter. `edit`, if set, receives the weights (B, H, Tq, Tk) and returns those to
    use instead: a way to ablate, force or swap heads. Raises ValueError for head counts that don't divide and
    for an unknown qk_norm.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        *,
        bias: bool = True,
        rotary_base: float | None = None,
        qk_norm: str | None = None,
        d_head: int | None = None,
        scale: float | None = None,
    ):
        super().__init__()
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if n_heads < 1 or (d_head is None and d_model % n_heads):
            raise ValueError(f"n_heads must divide d_model; got d_model = {d_model} and n_heads = {n_heads}")
        if n_kv_heads < 1 or n_heads % n_kv_heads:
            raise ValueError(
                f"n_kv_heads must divide n_heads; got n_kv_heads = {n_kv_heads} and n_heads = {n_heads}"
            )
        if qk_norm not in (None, *QK_NORMS):
            raise ValueError(f"qk_norm must be None or one of {', '.join(QK_NORMS)}; got {qk_norm!r}")
        self.d_model, self.d_head, self.scale = d_model, d_head or d_model // n_heads, scale
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        self.rotary_base, self.qk_norm = rotary_base, qk_norm
        self.query = nn.Linear(d_model, self.d_head * n_heads, bias)
        self.key = nn.Linear(d_model, self.d_head * n_kv_heads, bias)
        self.value = nn.Linear(d_model, self.d_head * n_kv_heads, bias)
        self.output = nn.Linear(self.d_head * n_heads, d_model, bias)
        self.edit: Callable[[Tensor], Tensor] | None = None

    def extra_repr(self) -> str:
        names = ("n_heads", "n_kv_heads", "rotary_base", "qk_norm")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)

    def forward(
        self,
        x: Float[Tensor, "batch queries d_model"],
        memory: Float[Tensor, "batch keys d_model"] | None = None,
        mask: Bool[Tensor, "#batch #heads #queries keys"] | None = None,
        cache: KeyValueCache | None = None,
        return_weights: bool = False,
        bias: Float[Tensor, "#batch heads queries keys"] | None = None,
    ) -> tuple[Float[Tensor, "batch queries d_model"], Float[Tensor, "batch heads queries keys"] | None]:
        """What each position of x gathered, and the weights if asked for; without a mask all attend to all.

        The bias is added to the scores. With a cache, x continues what the cache holds, and mask and bias are
        about all keys. Raises ValueError for an empty sequence, and for a mask or an x of the wrong type or
        shape.
        """
        if x.ndim != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"expected x of shape (batch, time, {self.d_model}); got {tuple(x.shape)}")
        _check_length(x.shape[1])
        if memory is None:
            q, k, v = self.split_qkv(self.qkv(x), start=0 if cache is None else len(cache))
            if cache is not None:
                k, v = cache.extend(k, v)
        else:
            q = self.normed(self._heads(self.query(x)))
            if cache:  # filled by an earlier call
                k, v = cache.keys, cache.values
            else:
                k, v = self.normed(self._heads(self.key(memory))), self._heads(self.value(memory))
                if cache is not None:
                    cache.extend(k, v)
        if not return_weights and self.edit is None:
            return self.output(self.attend(q, k, v, mask, bias)), None
        k, v = (x.repeat_interleave(self.n_heads // self.n_kv_heads, dim=1) for x in (k, v))
        weights = attention_weights(q, k, mask, self.scale, bias)
        if self.edit is not None:
            weights = self.edit(weights)
        gathered = (weights @ v).transpose(1, 2).flatten(2)  # (B, Tq, H D)
        return self.output(gathered), weights if return_weights else None

    def qkv(self, x: Float[Tensor, "batch time d_model"]) -> Float[Tensor, "batch time widths"]:
        """Queries, keys and values of x, joined along the last axis.

        In training, and in inference for more vectors than a matrix has columns, the matrices are joined and
        one product computes all three. For fewer, such as a single token, three products are made and their
        results joined: that copies less.
        """
        layers = self.query, self.key, self.value
        join_matrices = self.training or x.shape[:-1].numel() > self.d_model
        if not join_matrices or any(type(layer) is not nn.Linear for layer in layers):
            return torch.cat([layer(x) for layer in layers], dim=-1)
        weight = torch.cat([layer.weight for layer in layers])
        bias = None if self.query.bias is None else torch.cat([layer.bias for layer in layers])
        return functional.linear(x, weight, bias)

    def split_qkv(
        self, qkv: Float[Tensor, "batch time widths"], start: int
    ) -> tuple[Float[Tensor, "batch heads time d_head"], ...]:
        """The queries, keys and values of each head, normed and rotated; the first position is `start`."""
        qk, v = self._heads(qkv).split((self.n_heads + self.n_kv_heads, self.n_kv_heads), dim=1)
        qk = self.normed(qk)
        if self.rotary_base is not None:
            qk = rotate(qk, start, self.rotary_base)
        q, k = qk.split((self.n_heads, self.n_kv_heads), dim=1)
        return q, k, v

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Bool[Tensor, "#batch #heads #queries keys"] | None,
        bias: Float[Tensor, "#batch heads queries keys"] | None = None,
    ) -> Float[Tensor, "batch queries widths"]:
        """What `fused_attention` of all heads gathers, side by side. The queries of heads that share keys
        become more queries of a single head, so that nothing is copied."""
        batch, _, time, _ = q.shape
        groups, shared = self.n_kv_heads, self.n_heads // self.n_kv_heads
        if shared > 1 and mask is not None:
            _check_mask(mask, (*q.shape[:-1], k.shape[-2]))
            mask = torch.atleast_2d(mask)
            of_each_head = mask.ndim > 2 and mask.shape[-3] > 1
            mask = mask.unflatten(-3, (groups, shared)) if of_each_head else mask.unsqueeze(-3)
            mask = mask.expand(*mask.shape[:-3], shared, time, -1).flatten(-3, -2)
        if shared > 1 and bias is not None:
            bias = bias.unflatten(-3, (groups, shared)).flatten(-3, -2)
        q = q.reshape(batch, groups, shared * time, self.d_head)
        gathered = fused_attention(q, k, v, mask, self.scale, bias)
        return gathered.reshape(batch, self.n_heads, time, self.d_head).transpose(1, 2).flatten(2)

    def _heads(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        return x.reshape(batch, time, width // self.d_head, self.d_head).transpose(1, 2)  # (B, heads, T, D)

    def normed(self, x: Float[Tensor, "... d_head"]) -> Float[Tensor, "... d_head"]:
        """Queries or keys after the `qk_norm`, if there is one."""
        return QK_NORMS[self.qk_norm](x, x.shape[-1:], eps=1e-5) if self.qk_norm else x


@contextmanager
def record_attention(attentions: Sequence[MultiHeadAttention]) -> Iterator[dict[int, Tensor]]:
    """While it lasts, record the weights (B, H, Tq, Tk) that each of `attentions` used last, by its index.

    An `edit` that is set still applies; what it returns is what is recorded.
    """
    recorded, edits = {}, [attention.edit for attention in attentions]

    def record(index, edit, weights):
        recorded[index] = weights if edit is None else edit(weights)
        return recorded[index]

    for index, attention in enumerate(attentions):
        attention.edit = partial(record, index, attention.edit)
    try:
        yield recorded
    finally:
        for attention, edit in zip(attentions, edits, strict=True):
            attention.edit = edit


def fused_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """The output of `scaled_dot_product_attention` from torch's kernel, which doesn't store the weights.

    (On a CPU it does under a bias that is learnt.)

    On a CPU that multiplies bfloat16, the backward pass over few keys is faster written out than through the
    kernel (`python3 course.py bench attention`): training in bfloat16 takes that path there.
    """
    _check_length(k.shape[-2])
    _check_mask(mask, (*q.shape[:-1], k.shape[-2]))
    on_cpu = q.device.type == "cpu"
    trains = q.requires_grad and q.dtype == torch.bfloat16
    if on_cpu and trains and k.shape[-2] <= WRITTEN_OUT and multiplies_bfloat16(q.device):
        scores = (q * (q.shape[-1] ** -0.5 if scale is None else scale)) @ k.transpose(-2, -1)
        if bias is not None:
            scores = scores + bias.to(scores.dtype)
        if mask is not None:
            # Not -inf: the gradients of a row of nothing else would be NaN.
            lowest = torch.finfo(scores.dtype).min
            scores = scores + torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, lowest)
        gathered = scores.softmax(-1) @ v
    else:
        added = mask if bias is None else bias.to(q.dtype)
        if bias is not None and mask is not None:
            added = added.masked_fill(~mask, float("-inf"))
        gathered = functional.scaled_dot_product_attention(q, k, v, attn_mask=added, scale=scale)
    if mask is None:
        return gathered
    attends = mask.any(-1, keepdim=True)
    if on_cpu and attends.all():  # asking a GPU would mean waiting for it
        return gathered
    return gathered.masked_fill(~attends, 0.0)


def _check_length(t: int) -> None:
    if t < 1:
        raise ValueError("expected a sequence of at least one position; got an empty one")


def _check_mask(mask: Tensor | None, shape: tuple[int, ...]) -> None:
    if mask is None:
        return
    if mask.dtype != torch.bool:
        hint = "; mask == 0 converts one of 0 and -inf" if mask.is_floating_point() else ""
        raise ValueError(f"expected a boolean mask, True where a query may attend; got {mask.dtype}{hint}")
    try:
        fits = np.broadcast_shapes(mask.shape, shape) == tuple(shape)  # torch's imports sympy: 2 s, once
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"the mask must broadcast to the scores' shape {tuple(shape)}; got {tuple(mask.shape)}"
        )
