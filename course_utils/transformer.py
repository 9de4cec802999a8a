"""The transformer: a stream of vectors, and blocks that read it and add to it.

Each position carries one vector, the residual stream. Attention moves information between positions; the
feed-forward layer works on each position by itself. Both are branches that add their result to the stream. In
the order of 2017 the sum is normalised (post-norm); since GPT-2 it is mostly each branch's input (pre-norm),
so that no block norms the stream itself.

`layer_norm` and `rms_norm` are written out, to be read; the blocks use torch's kernels for the same sums.

Sources: Vaswani et al. 2017 (encoder, decoder); He et al. 2016 (residual connections); Ba, Kiros & Hinton
2016 (layer norm); Zhang & Sennrich 2019 (RMS norm); Xiong et al. 2020 (pre-norm against post-norm); Shazeer
2020 (SwiGLU, GEGLU); Raffel et al. 2020 (relative bias); Peng et al. 2023 (token shift).
"""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import (
    KeyValueCache,
    MultiHeadAttention,
    RelativePositions,
    causal_mask,
)


def layer_norm(
    x: Float[Tensor, "... width"], gain: Float[Tensor, " width"], bias: Float[Tensor, " width"], eps=1e-5
) -> Float[Tensor, "... width"]:
    """Each vector of x shifted to mean 0 and scaled to variance 1, then gain and bias."""
    x = x - x.mean(-1, keepdim=True)
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * gain + bias


def rms_norm(x: Float[Tensor, "... width"], gain: Float[Tensor, " width"], eps=1e-5) -> Tensor:
    """Each vector of x scaled to mean square 1, then gain: layer norm without subtracting the mean."""
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * gain


def tanh_gelu(x: Tensor) -> Tensor:
    """Nearly GELU, by a formula with tanh (Hendrycks & Gimpel 2016, section 2)."""
    return functional.gelu(x, approximate="tanh")


NORMS = {"layer": nn.LayerNorm, "rms": nn.RMSNorm}
GATED = {"swiglu": functional.silu, "geglu": tanh_gelu}
ACTIVATIONS = {"relu": functional.relu, "gelu": functional.gelu, **GATED}


@dataclass(frozen=True)
class BlockConfig:
    """What the blocks of a stack share. The defaults are the block of 2017, with biases in attention
    too; d_ff is 4 d_model if None.

    Llama's block has pre_norm=True, norm="rms", activation="swiglu", bias=False and a rotary_base. dropout
    applies to what a branch adds. qk_norm normalises queries and keys with the kind of `norm`. token_shift is
    only for a pre-norm decoder: see `Block`. With relative_buckets, the blocks of a stack share a bias for
    each distance: see `attention.RelativePositions`. For d_head and scale see `MultiHeadAttention`. Raises
    ValueError for an unknown norm or activation.
    """

    d_model: int
    n_heads: int
    d_ff: int | None = None
    n_kv_heads: int | None = None
    pre_norm: bool = False
    norm: str = "layer"
    norm_eps: float = 1e-5
    activation: str = "relu"
    bias: bool = True
    dropout: float = 0.0
    rotary_base: float | None = None
    qk_norm: bool = False
    token_shift: bool = False
    d_head: int | None = None
    scale: float | None = None
    relative_buckets: int = 0

    def __post_init__(self):
        for name, value, known in [
            ("norm", self.norm, NORMS),
            ("activation", self.activation, ACTIVATIONS),
        ]:
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")


class FeedForward(nn.Module):
    """Two linear layers with a nonlinearity between, on each position by itself: d_model -> d_ff -> d_model.

    With "swiglu" and "geglu" the output of a third layer is multiplied in: down(silu(gate(x)) * up(x)), or
    gelu in silu's place.
    """

    def __init__(self, d_model: int, d_ff: int, activation: str = "relu", bias: bool = True):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.up = nn.Linear(d_model, d_ff, bias)
        self.gate = nn.Linear(d_model, d_ff, bias) if activation in GATED else None
        self.down = nn.Linear(d_ff, d_model, bias)

    def extra_repr(self) -> str:
        return self.activation.__name__

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        if self.gate is None:
            return self.down(self.activation(self.up(x)))
        return self.down(self.activation(self.gate(x)) * self.up(x))


class BlockCache:
    """What one block keeps from call to call: the keys and values of its self-attention and cross-attention,
    and with `token_shift` the inputs that later positions will read. A `copy` is a state to come back to.
    """

    def __init__(self):
        self.attention, self.cross_attention = KeyValueCache(), KeyValueCache()
        self.shift_state: dict[str, Tensor] = {}  # branch -> half of each of its inputs so far (B, T, C / 2)

    def copy(self) -> "BlockCache":
        twin = BlockCache()
        twin.attention, twin.cross_attention = copy.copy(self.attention), copy.copy(self.cross_attention)
        twin.shift_state = dict(self.shift_state)
        return twin

    def select(self, rows: list[int]) -> None:
        """Keep these rows of the batch, in this order; a row may be repeated."""
        for cache in (self.attention, self.cross_attention):
            if len(cache):
                cache.select(rows)
        self.shift_state = {branch: x[rows] for branch, x in self.shift_state.items()}

    def crop(self, length: int) -> None:
        """Forget all but the first `length` positions."""
        self.attention.crop(length)
        # Whatever the attention's length: a call that Ctrl-C interrupted may have extended this one alone.
        self.shift_state = {branch: x[:, :length] for branch, x in self.shift_state.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of the self-attention's keys and values and of the shift state, without room to grow."""
        keys_and_values = [self.attention.keys, self.attention.values] if len(self.attention) else []
        return sum(x.nbytes for x in (*keys_and_values, *self.shift_state.values()))


class Block(nn.Module):
    """Self-attention, cross-attention if `cross`, and a feed-forward layer: branches of one stream.

    With `token_shift` self-attention and feed-forward layer read half of their input's numbers one position
    late (zeros at the first): so the previous token is at hand, and no head has to fetch it.
    """

    def __init__(self, config: BlockConfig, cross: bool = False):
        super().__init__()
        sizes = config.d_model, config.n_heads, config.n_kv_heads
        heads = {"bias": config.bias, "d_head": config.d_head, "scale": config.scale}
        self.pre_norm, self.token_shift = config.pre_norm, config.token_shift
        self.attention = MultiHeadAttention(
            *sizes,
            **heads,
            rotary_base=config.rotary_base,
            qk_norm=config.norm if config.qk_norm else None,
        )
        self.attention_norm = make_norm(config)
        self.cross_attention = self.cross_norm = None
        if cross:
            self.cross_attention = MultiHeadAttention(*sizes, **heads)
            self.cross_norm = make_norm(config)
        self.feed_forward = FeedForward(
            config.d_model, config.d_ff or 4 * config.d_model, config.activation, config.bias
        )
        self.feed_forward_norm = make_norm(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch time d_model"],
        mask: Bool[Tensor, "#batch #heads time keys"] | None = None,
        memory: Float[Tensor, "batch source d_model"] | None = None,
        memory_mask: Bool[Tensor, "#batch #heads #time source"] | None = None,
        cache: BlockCache | None = None,
        bias: Float[Tensor, "#batch heads time keys"] | None = None,
    ) -> Float[Tensor, "batch time d_model"]:
        """The stream after this block. With a cache, x goes on after what the cache holds. The bias is added
        to the scores of self-attention."""
        own, cross = (cache.attention, cache.cross_attention) if cache else (None, None)
        x = self._branch(
            x,
            self.attention_norm,
            lambda x: self.attention(self.shifted(x, "attention", cache), None, mask, own, bias=bias)[0],
        )
        if self.cross_attention is not None:
            x = self._branch(
                x, self.cross_norm, lambda x: self.cross_attention(x, memory, memory_mask, cross)[0]
            )
        return self._branch(
            x, self.feed_forward_norm, lambda x: self.feed_forward(self.shifted(x, "feed_forward", cache))
        )

    def shifted(
        self, x: Float[Tensor, "batch time d_model"], branch: str = "", cache: BlockCache | None = None
    ) -> Float[Tensor, "batch time d_model"]:
        """A branch's normed input as the branch reads it: with `token_shift` half of it one position late."""
        if not self.token_shift:
            return x
        half = x.shape[-1] // 2
        late = x[..., :half]
        if cache:
            late = torch.cat([cache.shift_state.get(branch, late[:, :0]), late], dim=1)
            cache.shift_state[branch] = late
        late = functional.pad(late[:, -x.shape[1] - 1 :], (0, 0, 1, -1))[:, -x.shape[1] :]
        return torch.cat([late, x[..., half:]], dim=-1)

    def _branch(self, x, norm, run):
        if self.pre_norm:
            return x + self.dropout(run(_cast_for_products(norm(x))))
        return norm(x + self.dropout(run(x)))


def _cast_for_products(x: Tensor) -> Tensor:
    """x in the precision in which autocast multiplies: cast once here, not by each matrix that reads it."""
    device = x.device.type
    return x.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else x


def make_norm(config: BlockConfig) -> nn.Module:
    bias = {} if config.norm == "rms" else {"bias": config.bias}
    return NORMS[config.norm](config.d_model, eps=config.norm_eps, **bias)


def make_relative(config: BlockConfig, both_ways: bool) -> RelativePositions | None:
    buckets = config.relative_buckets
    return RelativePositions(config.n_heads, buckets, both_ways=both_ways) if buckets else None


class Encoder(nn.Module):
    """A stack of blocks in which every position may attend to every other; if pre-norm, a last norm."""

    def __init__(self, config: BlockConfig, n_layers: int):
        super().__init__()
        self.blocks = nn.ModuleList(Block(config) for _ in range(n_layers))
        self.relative = make_relative(config, both_ways=True)
        self.norm = make_norm(config) if config.pre_norm else nn.Identity()

    def forward(
        self, x: Float[Tensor, "batch time d_model"], mask: Bool[Tensor, "..."] | None = None
    ) -> Float[Tensor, "batch time d_model"]:
        bias = self.relative and self.relative(x.shape[1])
        for block in self.blocks:
            x = block(x, mask, bias=bias)
        return self.norm(x)


class Decoder(nn.Module):
    """A stack of blocks in which a position may attend to itself, to those before it and, if `cross`, to a
    memory. Without `cross` this is the body of a GPT.
    """

    def __init__(self, config: BlockConfig, n_layers: int, cross: bool = True):
        super().__init__()
        self.blocks = nn.ModuleList(Block(config, cross) for _ in range(n_layers))
        self.relative = make_relative(config, both_ways=False)
        self.norm = make_norm(config) if config.pre_norm else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "batch time d_model"],
        memory: Float[Tensor, "batch source d_model"] | None = None,
        memory_mask: Bool[Tensor, "..."] | None = None,
        caches: list[BlockCache] | None = None,
        mask: Bool[Tensor, "batch 1 #time past+time"] | None = None,
    ) -> Float[Tensor, "batch time d_model"]:
        """The stream after the last block; the caches, one a block, are extended by x.

        The mask is False where a position read so far is padding, to which nothing attends; with a row for
        each position of x, where that one may not look.
        """
        past = len(caches[0].attention) if caches else 0
        bias = self.relative and self.relative(x.shape[1], past)
        if x.shape[1] > 1:  # a single position may attend to all there is
            causal = causal_mask(x.shape[1], past, x.device)
            mask = causal if mask is None else causal & mask
        for block, cache in zip(self.blocks, caches or [None] * len(self.blocks), strict=True):
            x = block(x, mask, memory, memory_mask, cache, bias)
        return self.norm(x)


def check_ids(ids: Int[Tensor, "batch time"], vocab_size: int, look: bool = True) -> None:
    """Raise ValueError for an empty sequence and, if `look`, for ids outside the vocabulary, on which a GPU
    would just crash."""
    if ids.ndim != 2 or not ids.numel():
        raise ValueError(
            f"expected ids of shape (batch, time) with at least one token; got {tuple(ids.shape)}"
        )
    if not look:
        return
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= vocab_size:
        raise ValueError(f"expected token ids between 0 and {vocab_size - 1}; got {low} to {high}")
