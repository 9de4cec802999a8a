"""Attention: each position gathers from others what it asks for.

A position asks with a query; every position it may look at answers with a key, and hands over a value. The
weights are a softmax over the keys, so what is gathered is a weighted mean of values. Everything goes two
ways that give the same numbers: written out, to be read and to show the weights, and through torch's fused
kernel, which never keeps the weights.

Masks are boolean and True means "may attend". A query that may attend to nothing gathers nothing: zeros.

Sources: Bahdanau, Cho & Bengio 2015 (attention); Vaswani et al. 2017, sections 3.2 and 3.5 (scaled dot
product, heads, sinusoidal positions); Su et al. 2021 (rotary positions); Ainslie et al. 2023 (grouped
queries).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.devices import multiplies_bfloat16


def attention_weights(
    q: Float[Tensor, "... queries width"],
    k: Float[Tensor, "... keys width"],
    mask: Bool[Tensor, "... queries keys"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "... queries keys"]:
    """softmax(scale q k^T): one distribution over the keys for each query, or zeros if it may attend to none.

    scale is 1 / sqrt(width) if None, which keeps the scores of random vectors at variance 1 (Vaswani et al.
    2017, section 3.2.1). The softmax runs in float32 at least. Raises ValueError for widths that differ, an
    empty sequence, and a mask that is not boolean or doesn't fit.
    """
    if q.shape[-1] != k.shape[-1]:
        raise ValueError(f"queries and keys have one width; q {tuple(q.shape)}, k {tuple(k.shape)} came")
    _check_length(q.shape[-2])
    _check_length(k.shape[-2])
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    scores = (q * scale) @ k.transpose(-2, -1)  # scaled first: half precision ends at 65,504
    _check_mask(mask, scores.shape)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = scores.softmax(-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(q.dtype)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)  # a row of -inf alone became NaN: it gathers nothing
    return weights


def scaled_dot_product_attention(
    q: Float[Tensor, "... queries width"],
    k: Float[Tensor, "... keys width"],
    v: Float[Tensor, "... keys d_value"],
    mask: Bool[Tensor, "... queries keys"] | None = None,
    scale: float | None = None,
) -> tuple[Float[Tensor, "... queries d_value"], Float[Tensor, "... queries keys"]]:
    """The values mixed by `attention_weights`, and those weights.

    Raises ValueError for what `attention_weights` refuses, and if there are not as many values as keys.
    """
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"there are as many values as keys; k {tuple(k.shape)}, v {tuple(v.shape)} came")
    weights = attention_weights(q, k, mask, scale)
    return weights @ v, weights


def causal_mask(t: int, past: int = 0, device: torch.device | None = None) -> Bool[Tensor, "t past+t"]:
    """Each of t positions may attend to itself and to all before it, `past` more of them before the first."""
    _check_length(t)
    return torch.ones(t, past + t, dtype=torch.bool, device=device).tril(past)


def padding_mask(lengths: Int[Tensor, " batch"], t: int) -> Bool[Tensor, "batch 1 1 t"]:
    """No query may attend to a position at or after its sequence's length.

    The shape fits (batch, heads, queries, keys); `causal_mask(t) & padding_mask(lengths, t)` joins the two.
    Raises ValueError for lengths outside 0 to t.
    """
    lengths = torch.as_tensor(lengths)
    if lengths.min() < 0 or lengths.max() > t:
        raise ValueError(
            f"lengths lie between 0 and t = {t}; {int(lengths.min())} to {int(lengths.max())} came"
        )
    return (torch.arange(t, device=lengths.device) < lengths[:, None])[:, None, None]


def sinusoidal_positions(
    t: int, d_model: int, start: int = 0, base: float = 10_000.0
) -> Float[Tensor, "t d_model"]:
    """The fixed vectors of 2017: sine and cosine of the position at d_model / 2 frequencies, in turn.

    PE(p, 2i) = sin(p / base^(2i / d_model)), PE(p, 2i + 1) the cosine (Vaswani et al. 2017, section 3.5).
    Raises ValueError for an odd width.
    """
    angles = _angles(t, d_model, start, base)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class LearnedPositions(nn.Module):
    """A vector for each position from 0 to size - 1, learnt like an embedding: nothing is known beyond."""

    def __init__(self, size: int, d_model: int):
        super().__init__()
        self.table = nn.Embedding(size, d_model)

    def forward(self, t: int, start: int = 0) -> Float[Tensor, "t d_model"]:
        """The vectors of the t positions from `start` on. Raises ValueError beyond the table."""
        size = self.table.num_embeddings
        if start + t > size:
            raise ValueError(
                f"the table of positions has {size} rows and {start + t} positions came: "
                "shorten the text, or build the model with a larger table"
            )
        return self.table.weight[start : start + t]


def rotate(
    x: Float[Tensor, "... t width"], start: int = 0, base: float = 10_000.0
) -> Float[Tensor, "... t width"]:
    """Rotary positions: turn each pair of numbers of x by an angle that grows with its position.

    The dot product of a rotated query and a rotated key depends on their distance alone (Su et al. 2021,
    section 3.2.2). Pairs are (i, i + width / 2), as in Llama; the paper pairs neighbours, which is the same
    up to the order of the rows of the projections. Raises ValueError for an odd width.
    """
    return turned(x, *rotation(x.shape[-2], x.shape[-1], start, base, x.device, x.dtype))


def turned(x: Float[Tensor, "... t width"], cos: Tensor, sin: Tensor) -> Float[Tensor, "... t width"]:
    """x after a `rotation`: of a pair (a, b), a cos - b sin and b cos + a sin."""
    partners = x.roll(x.shape[-1] // 2, dims=-1)
    return torch.addcmul(x * cos, partners, sin)


@lru_cache(maxsize=8)  # every layer turns its queries and its keys by the same angles
@torch.inference_mode(False)  # else what is kept could not be used in training
def rotation(
    t: int, width: int, start: int, base: float, device: torch.device, dtype: torch.dtype
) -> tuple[Float[Tensor, "t width"], Float[Tensor, "t width"]]:
    """Cosine and sine for each number of the vectors at t positions from `start` on; the first of a pair has
    its sine with a minus. Raises ValueError for an odd width."""
    angles = _angles(t, width, start, base)
    cos, sin = angles.cos(), angles.sin()
    return tuple(torch.cat(pair, dim=-1).to(device, dtype) for pair in ([cos, cos], [-sin, sin]))


def _angles(t: int, width: int, start: int, base: float) -> Float[Tensor, "t width/2"]:
    if width % 2:
        raise ValueError(f"positions turn pairs of numbers, so the width is even; {width} came")
    frequencies = base ** (-torch.arange(0, width, 2) / width)
    return torch.arange(start, start + t)[:, None] * frequencies


class KeyValueCache:
    """The keys and values (B, kv heads, T, D) that one attention has computed so far.

    Self-attention adds to it with each call; cross-attention fills it once. What it holds is written
    over after a `crop` only, and never what a `copy.copy` holds too: so that keeps a state to come back to.
    """

    def __init__(self):
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self._room: _Room | None = None

    def __len__(self) -> int:
        return 0 if self.keys is None else self.keys.shape[-2]

    def __copy__(self) -> "KeyValueCache":
        twin = KeyValueCache()
        vars(twin).update(vars(self))
        if self._room is not None:
            self._room.shared = True
        return twin

    def crop(self, length: int) -> None:
        """Forget all but the first `length`; what stood behind is written over, unless a copy has it too."""
        self.keys, self.values = self.keys[..., :length, :], self.values[..., :length, :]
        if self._room is not None and not self._room.shared:
            self._room.length = length

    def extend(self, keys: Tensor, values: Tensor) -> None:
        if self.keys is None:
            self.keys, self.values = keys, values
        elif keys.requires_grad or self.keys.requires_grad:  # what a gradient asks for must not be written to
            self.keys = torch.cat([self.keys, keys], dim=-2)
            self.values = torch.cat([self.values, values], dim=-2)
        else:
            if self._room is None or not self._room.continues(self.keys, keys.shape[-2]):
                self._room = _Room(self.keys, self.values, 2 * (len(self) + keys.shape[-2]))
            self.keys, self.values = self._room.append(keys, values)


class _Room:
    """Keys and values, and as much memory after them: else each new token would copy all before it."""

    def __init__(self, keys: Tensor, values: Tensor, size: int):
        self.both = [x.new_empty((*x.shape[:-2], size, x.shape[-1])) for x in (keys, values)]
        self.length, self.shared = 0, False
        self.append(keys, values)

    def continues(self, keys: Tensor, n: int) -> bool:
        """Whether n more can be written after these keys: they lie here, and nobody has written on."""
        here = self.both[0]
        return (
            here.data_ptr() == keys.data_ptr()
            and self.length == keys.shape[-2] <= here.shape[-2] - n
            and torch.is_inference_mode_enabled() >= here.is_inference()
        )

    def append(self, keys: Tensor, values: Tensor) -> list[Tensor]:
        start, self.length = self.length, self.length + keys.shape[-2]
        for room, new in zip(self.both, (keys, values), strict=True):
            room[..., start : self.length, :] = new
        return [room[..., : self.length, :] for room in self.both]


QK_NORMS = {"rms": functional.rms_norm, "layer": functional.layer_norm}


class MultiHeadAttention(nn.Module):
    """Attention with n_heads sets of queries, keys and values, each d_model / n_heads wide, side by side.

    `forward(x)` is self-attention, `forward(x, memory)` cross-attention from x to a memory of width
    d_memory. With fewer n_kv_heads than heads, neighbouring heads share keys and values (grouped queries;
    one kv head is multi-query attention). rotary_base switches rotary positions on, for self-attention.
    qk_norm "rms" scales each query and key to mean square 1, so that no score exceeds the root of their width
    (Henry et al. 2020); "layer" takes their mean off first (Dehghani et al. 2023).

    `edit`, if set, receives the weights (B, H, Tq, Tk) and returns those to use instead: a way to ablate,
    force or swap heads. Raises ValueError for head counts that don't divide and for an unknown qk_norm.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        *,
        d_memory: int | None = None,
        bias: bool = True,
        rotary_base: float | None = None,
        qk_norm: str | None = None,
    ):
        super().__init__()
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if n_heads < 1 or d_model % n_heads:
            raise ValueError(f"n_heads divides d_model; d_model = {d_model} and n_heads = {n_heads} came")
        if n_kv_heads < 1 or n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads divides n_heads; {n_kv_heads} and n_heads = {n_heads} came")
        if qk_norm not in (None, *QK_NORMS):
            raise ValueError(f"qk_norm is None or one of {', '.join(QK_NORMS)}; {qk_norm!r} came")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        self.rotary_base, self.qk_norm = rotary_base, qk_norm
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias)
        self.key = nn.Linear(d_memory or d_model, d_kv, bias)
        self.value = nn.Linear(d_memory or d_model, d_kv, bias)
        self.output = nn.Linear(d_model, d_model, bias)
        self.edit: Callable[[Tensor], Tensor] | None = None

    def extra_repr(self) -> str:
        names = ("n_heads", "n_kv_heads", "rotary_base", "qk_norm")
        return ", ".join(f"{name}={getattr(self, name)}" for name in names)

    def forward(
        self,
        x: Float[Tensor, "batch queries d_model"],
        memory: Float[Tensor, "batch keys d_memory"] | None = None,
        mask: Bool[Tensor, "#batch #heads #queries keys"] | None = None,
        cache: KeyValueCache | None = None,
        return_weights: bool = False,
    ) -> tuple[Float[Tensor, "batch queries d_model"], Float[Tensor, "batch heads queries keys"] | None]:
        """What each position of x gathered, and the weights if asked for; no mask lets all attend to all.

        With a cache, x goes on after what the cache holds, and mask speaks of all keys. Raises ValueError for
        an empty sequence and a mask of the wrong type or shape.
        """
        if x.ndim != 3 or x.shape[-1] != self.query.in_features:
            raise ValueError(
                f"x has the shape (batch, time, {self.query.in_features}); {tuple(x.shape)} came"
            )
        _check_length(x.shape[1])
        q, k, v = self._projected(x, memory, cache)
        if return_weights or self.edit is not None:
            k, v = (x.repeat_interleave(self.n_heads // self.n_kv_heads, dim=1) for x in (k, v))
            weights = attention_weights(q, k, mask)
            if self.edit is not None:
                weights = self.edit(weights)
            gathered = weights @ v
        else:
            gathered, weights = self._gathered(q, k, v, mask), None
        joined = gathered.transpose(1, 2).flatten(2)  # (B, Tq, d_model)
        return self.output(joined), weights if return_weights else None

    def read(self, x: Float[Tensor, "batch time d_model"]) -> Float[Tensor, "batch time widths"]:
        """Queries, keys and values of x side by side.

        In training they come from one product, for at the sizes of this course three take longer to start.
        Otherwise x may be a single token, and joining the matrices would take longer than reading them.
        """
        layers = self.query, self.key, self.value
        if not self.training:
            return torch.cat([layer(x) for layer in layers], dim=-1)
        weight = torch.cat([layer.weight for layer in layers])
        bias = None if self.query.bias is None else torch.cat([layer.bias for layer in layers])
        return functional.linear(x, weight, bias)

    def _projected(self, x, memory, cache) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, Tq, D), and all keys and values that they may look at (B, kv heads, Tk, D)."""
        if memory is None:
            sizes = self.n_heads + self.n_kv_heads, self.n_kv_heads
            qk, v = self._heads(self.read(x)).split(sizes, dim=1)
            qk = self._normed(qk)
            if self.rotary_base is not None:
                qk = rotate(qk, 0 if cache is None else len(cache), self.rotary_base)
            q, k = qk.split((self.n_heads, self.n_kv_heads), dim=1)
        else:
            q = self._normed(self._heads(self.query(x)))
            if cache is not None and len(cache):
                return q, cache.keys, cache.values
            k, v = self._normed(self._heads(self.key(memory))), self._heads(self.value(memory))
        if cache is None:
            return q, k, v
        cache.extend(k, v)
        return q, cache.keys, cache.values

    def _gathered(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """`fused_attention` of all heads. The queries of heads that share keys are as many more queries of
        one head: so nothing is copied."""
        groups, shared = self.n_kv_heads, self.n_heads // self.n_kv_heads
        if shared == 1:
            return fused_attention(q, k, v, mask)
        if mask is not None:
            _check_mask(mask, (*q.shape[:-1], k.shape[-2]))
            mask = torch.atleast_2d(mask)
            of_each_head = mask.ndim > 2 and mask.shape[-3] > 1
            mask = mask.unflatten(-3, (groups, shared)) if of_each_head else mask.unsqueeze(-3)
            mask = mask.expand(*mask.shape[:-3], shared, q.shape[2], -1).flatten(-3, -2)
        q = q.unflatten(1, (groups, shared)).flatten(2, 3)  # (B, kv heads, shared Tq, D)
        return fused_attention(q, k, v, mask).unflatten(2, (shared, -1)).flatten(1, 2)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.query.out_features // self.n_heads)).transpose(1, 2)

    def _normed(self, x: Tensor) -> Tensor:
        return QK_NORMS[self.qk_norm](x, x.shape[-1:], eps=1e-5) if self.qk_norm else x


@contextmanager
def recorded(attentions: Sequence[MultiHeadAttention]) -> Iterator[dict[int, Tensor]]:
    """Inside, keep the weights (B, H, Tq, Tk) that each of `attentions` used last, by its place in the list.

    An `edit` that is set goes on acting; what it returns is what is kept.
    """
    kept, edits = {}, [attention.edit for attention in attentions]

    def keep(place, edit, weights):
        kept[place] = weights if edit is None else edit(weights)
        return kept[place]

    for place, attention in enumerate(attentions):
        attention.edit = partial(keep, place, attention.edit)
    try:
        yield kept
    finally:
        for attention, edit in zip(attentions, edits, strict=True):
            attention.edit = edit


def fused_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """The output of `scaled_dot_product_attention` by torch's kernel, which never stores the weights.

    On a CPU that multiplies bfloat16, in bfloat16 and over few keys the products themselves are faster
    backward (`python3 course.py bench attention`): in training they are written out there.
    """
    _check_length(k.shape[-2])
    _check_mask(mask, (*q.shape[:-1], k.shape[-2]))
    on_cpu = q.device.type == "cpu"
    trains = q.requires_grad and q.dtype == torch.bfloat16
    if on_cpu and trains and k.shape[-2] <= 256 and multiplies_bfloat16(q.device):
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if mask is not None:
            # Not -inf: a row of nothing else has gradients that are NaN.
            least = torch.finfo(scores.dtype).min
            scores = scores + torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, least)
        gathered = scores.softmax(-1) @ v
    else:
        gathered = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    if mask is None:
        return gathered
    looks = mask.any(-1, keepdim=True)
    if on_cpu and looks.all():  # to ask this of a GPU would make it wait
        return gathered
    return gathered.masked_fill(~looks, 0.0)


def _check_length(t: int) -> None:
    if t < 1:
        raise ValueError("a sequence has at least one position; an empty one came")


def _check_mask(mask: Tensor | None, shape: tuple[int, ...]) -> None:
    if mask is None:
        return
    if mask.dtype != torch.bool:
        hint = (
            " (mask == 0 turns an additive mask of 0 and -inf into one)" if mask.is_floating_point() else ""
        )
        raise ValueError(f"a mask is boolean, True where a query may attend{hint}; {mask.dtype} came")
    try:
        fits = np.broadcast_shapes(mask.shape, shape) == tuple(shape)  # torch's imports sympy: 2 s, once
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"the mask spreads over the scores, {tuple(shape)}; {tuple(mask.shape)} came")
