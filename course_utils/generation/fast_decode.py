"""Writing token by token, faster: the same sums, in fewer operations and better ones.

A step multiplies each matrix by a single vector. It hardly computes: its time goes into reading the weights
once, and into starting some thousand operations (`python3 course.py bench generate` measures it). So here the
matrices that read the same vector become one, and each is multiplied by the layout that reads it fastest on
this machine.
"""

import itertools
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import KeyValueCache, MultiHeadAttention, causal_mask
from course_utils.attention.positions import apply_rotary, rotary_cos_sin
from course_utils.generation.layouts import Product, products
from course_utils.gpt import GPT, GPTCache
from course_utils.transformer import Block


def optimise_for_decoding(model: GPT) -> GPT:
    """The same model for writing, with the same weights and faster steps; on a GPU, the model itself.

    The first three times that a machine sees matrices of a shape and type, it takes half a second to a second
    to time the ways to multiply them. The two models share their modules, but matrices are joined, and some
    of them copied, as they are now: make it anew after training, converting or moving the model.
    """
    return DecodingGPT(model) if model.embedding.weight.device.type == "cpu" else model


class FastBlock(NamedTuple):
    """The attention, products and norms of one block, at hand: a module looks its own up in Python code."""

    attention: MultiHeadAttention
    qkv: Product
    output: Product
    gate_and_up: Product
    down: Product
    attention_norm: Product
    feed_forward_norm: Product


class DecodingGPT(GPT):
    """A GPT that shares the modules of `model`, and reads tokens into a cache by products of its own.

    It goes the model's usual way in training, without a cache, with padding, and where an attention has an
    `edit`. A module that took the place of a linear layer, such as a LoRA adapter, is called as it is.
    """

    def __init__(self, model: GPT):
        nn.Module.__init__(self)
        self.config, self.training = model.config, model.training
        self.embedding, self.decoder, self.ngrams = model.embedding, model.decoder, model.ngrams
        blocks = model.decoder.blocks
        read = [modules for block in blocks for modules in projections(block)]
        *in_blocks, self._fast_head = products_of([*read, [model.embedding]])
        self._fast_blocks = [
            FastBlock(
                block.attention,
                *in_blocks[4 * i : 4 * i + 4],
                fast_norm(block.attention_norm),
                fast_norm(block.feed_forward_norm),
            )
            for i, block in enumerate(blocks)
        ]

    def body(
        self, x: Float[Tensor, "batch time d_model"], cache: GPTCache | None, mask: Tensor | None
    ) -> Float[Tensor, "batch time d_model"]:
        edited = any(fast.attention.edit for fast in self._fast_blocks)
        if self.training or cache is None or mask is not None or edited:
            return super().body(x, cache, mask)
        start, time = len(cache), x.shape[1]
        causal = causal_mask(time, start, x.device) if time > 1 else None
        turn = turned_at(self._fast_blocks[0].attention, start, x)  # all blocks turn by the same angles
        for block, fast, kept in zip(self.decoder.blocks, self._fast_blocks, cache.blocks, strict=True):
            qkv = fast.qkv(block.shifted(fast.attention_norm(x), "attention", kept))
            if time == 1:
                gathered = gathered_by_one(fast.attention, qkv, kept.attention, turn)
            else:
                q, k, v = fast.attention.split_qkv(qkv, start)
                k, v = kept.attention.extend(k, v)
                gathered = fast.attention.attend(q, k, v, causal)
            x = x + fast.output(gathered)
            both = fast.gate_and_up(block.shifted(fast.feed_forward_norm(x), "feed_forward", kept))
            gate, up = both.chunk(2, dim=-1)
            x = x + fast.down(functional.silu(gate) * up)
        return self.decoder.norm(x)

    def head(self, x: Float[Tensor, "batch time d_model"]) -> Float[Tensor, "batch time vocab"]:
        return super().head(x) if self.training else self._fast_head(x)


def turned_at(attention: MultiHeadAttention, place: int, like: Tensor) -> tuple[Tensor, Tensor] | None:
    """The cosines and sines of one place, as `rotary_cos_sin` has them; None without rotary positions."""
    if attention.rotary_base is None:
        return None
    return rotary_cos_sin(1, attention.d_head, place, attention.rotary_base, like.device, like.dtype)


def gathered_by_one(
    attention: MultiHeadAttention,
    qkv: Float[Tensor, "batch 1 widths"],
    cache: KeyValueCache,
    turn: tuple[Tensor, Tensor] | None,
) -> Float[Tensor, "batch 1 widths"]:
    """What a single position gathers from itself and all in the cache, which it joins: `split_qkv`, `extend`
    and `attend` in fewer operations, as with one position no heads are transposed and nothing is masked.
    `turn` is what `turned_at` gives for it."""
    batch, heads, groups = len(qkv), attention.n_heads, attention.n_kv_heads
    qkv = qkv.view(batch, heads + 2 * groups, 1, attention.d_head)  # (B, heads, T = 1, D)
    qk = attention.normed(qkv[:, :-groups])
    if turn is not None:
        qk = apply_rotary(qk, *turn)
    k, v = cache.extend(qk[:, heads:], qkv[:, -groups:])
    q = qk[:, :heads].view(batch, groups, heads // groups, attention.d_head)  # as in `attend`
    return functional.scaled_dot_product_attention(q, k, v, scale=attention.scale).reshape(batch, 1, -1)


def fast_norm(norm: nn.Module) -> Product:
    """RMS norm of x: of one row in float32 by its product with itself; else as the layer norm of x beside
    -x, whose mean is 0 and whose variance is the mean square of x: torch has one kernel for that, where RMS
    norm takes several. It is called past `functional`, whose checks in Python take about as long."""
    if not isinstance(norm, nn.RMSNorm):
        return norm
    width, gain, zero = len(norm.weight), norm.weight.repeat(2), torch.zeros(())

    def rms_norm(x: Tensor) -> Tensor:
        if x.numel() == width and x.dtype == torch.float32:
            row = x.view(-1)
            scale = (torch.dot(row, row).item() / width + norm.eps) ** -0.5
            return torch.addcmul(zero, x, norm.weight, value=scale)
        both = torch.cat([x, -x], dim=-1)
        return torch.layer_norm(both, (2 * width,), gain, eps=norm.eps)[..., :width]

    return rms_norm


def projections(block: Block) -> list[list[nn.Module]]:
    """The linear layers of a block, those together that read the same vector."""
    attention, feed_forward = block.attention, block.feed_forward
    return [
        [attention.query, attention.key, attention.value],
        [attention.output],
        [feed_forward.gate, feed_forward.up],
        [feed_forward.down],
    ]


def products_of(groups: Sequence[Sequence[nn.Module]]) -> list[Product]:
    """For each group x -> what its modules make of x, side by side. A group with any other module than
    linear layers or the embedding that is the head, such as a LoRA adapter, is called as it is."""
    plain = [all(type(module) in (nn.Linear, nn.Embedding) for module in modules) for modules in groups]
    fast = iter(products(joined_weights([*itertools.compress(groups, plain)])))
    return [
        next(fast) if is_plain else partial(side_by_side, modules)
        for modules, is_plain in zip(groups, plain, strict=True)
    ]


def joined_weights(groups: Sequence[Sequence[nn.Module]]) -> list[Float[Tensor, "out width"]]:
    """One matrix for each group, of which the weights of its modules become views.

    All lie in one array of numpy's, in their order: for an array of 4 MB or more numpy asks Linux for pages
    of 2 MB, where torch takes those of 4 kB. With them a step of SmolLM2 in float32 was 6 % faster.
    """
    n_bytes = sum(module.weight.nbytes for modules in groups for module in modules)
    memory, matrices = torch.from_numpy(np.empty(n_bytes, np.uint8)), []
    for modules in groups:
        weights = [module.weight.detach() for module in modules]
        joined, memory = memory.tensor_split([sum(weight.nbytes for weight in weights)])
        matrices.append(joined.view(weights[0].dtype).view(-1, weights[0].shape[1]))
        torch.cat(weights, out=matrices[-1])
        rows = matrices[-1].split([*map(len, weights)])
        for module, its_rows in zip(modules, rows, strict=True):
            module.weight.data = its_rows
    return matrices


def side_by_side(modules: Sequence[nn.Module], x: Float[Tensor, "... width"]) -> Float[Tensor, "... out"]:
    return torch.cat([module(x) for module in modules], dim=-1)
