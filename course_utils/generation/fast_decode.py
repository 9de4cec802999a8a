"""Writing token by token, faster: the same sums, in fewer operations and better ones.

A step multiplies each matrix by a single vector. It hardly computes: its time goes into reading the weights
once, and into starting some thousand operations (`python3 course.py bench generate` measures it). So here the
matrices that read the same vector become one, and each is laid out and multiplied in a way that reads it
faster. There is a function for each such layout; `LAYOUTS` lists them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import causal_mask
from course_utils.devices import multiplies_bfloat16
from course_utils.gpt import GPT, GPTCache

Product = Callable[[Float[Tensor, "... width"]], Float[Tensor, "... out"]]
MAX_FEW = 16  # rows of x


def optimise_for_decoding(model: GPT) -> GPT:
    """The same model for writing, with the same weights and faster steps; on a GPU, the model itself.

    The two share their modules, but matrices are joined, and some of them copied, as they are now: make it
    anew after training, converting or moving the model.
    """
    return DecodingGPT(model) if model.embedding.weight.device.type == "cpu" else model


class FastBlock(NamedTuple):
    """The norms and products of one block."""

    attention_norm: Product
    qkv: Product
    output: Product
    feed_forward_norm: Product
    gate_and_up: Product
    down: Product


class DecodingGPT(GPT):
    """A GPT that shares the modules of `model`, and reads tokens into a cache by products of its own.

    It goes the model's usual way in training, without a cache, with padding, and where an attention has an
    `edit`. A module that took the place of a linear layer, such as a LoRA adapter, is called as it is.
    """

    def __init__(self, model: GPT):
        nn.Module.__init__(self)
        self.config, self.training = model.config, model.training
        self.embedding, self.decoder, self.ngrams = model.embedding, model.decoder, model.ngrams
        self._fast_head = product_of([model.embedding])
        self._fast_blocks = [
            FastBlock(
                fast_norm(block.attention_norm),
                product_of([block.attention.query, block.attention.key, block.attention.value]),
                product_of([block.attention.output]),
                fast_norm(block.feed_forward_norm),
                product_of([block.feed_forward.gate, block.feed_forward.up]),
                product_of([block.feed_forward.down]),
            )
            for block in model.decoder.blocks
        ]

    def body(
        self, x: Float[Tensor, "batch time d_model"], cache: GPTCache | None, mask: Tensor | None
    ) -> Float[Tensor, "batch time d_model"]:
        edited = any(block.attention.edit for block in self.decoder.blocks)
        if self.training or cache is None or mask is not None or edited:
            return super().body(x, cache, mask)
        start, time = len(cache), x.shape[1]
        causal = causal_mask(time, start, x.device) if time > 1 else None
        for block, fast, kept in zip(self.decoder.blocks, self._fast_blocks, cache.blocks, strict=True):
            attention = block.attention
            qkv = fast.qkv(block.shifted(fast.attention_norm(x), "attention", kept))
            q, k, v = attention.split_qkv(qkv, start)
            k, v = kept.attention.extend(k, v)
            x = x + fast.output(attention.attend(q, k, v, causal))
            both = fast.gate_and_up(block.shifted(fast.feed_forward_norm(x), "feed_forward", kept))
            gate, up = both.chunk(2, dim=-1)
            x = x + fast.down(functional.silu(gate) * up)
        return self.decoder.norm(x)

    def head(self, x: Float[Tensor, "batch time d_model"]) -> Float[Tensor, "batch time vocab"]:
        return super().head(x) if self.training else self._fast_head(x)


def fast_norm(norm: nn.Module) -> Product:
    """RMS norm of x as the layer norm of x beside -x, whose mean is 0 and whose variance is the mean square
    of x: torch has one kernel for that, where RMS norm takes several."""
    if not isinstance(norm, nn.RMSNorm):
        return norm
    width, gain = len(norm.weight), norm.weight.repeat(2)

    def rms_norm(x: Tensor) -> Tensor:
        both = torch.cat([x, -x], dim=-1)
        return functional.layer_norm(both, (2 * width,), gain, eps=norm.eps)[..., :width]

    return rms_norm


def product_of(modules: Sequence[nn.Module]) -> Product:
    """x -> what the modules make of x, side by side, in the first of LAYOUTS that can be had here.

    The weights of linear layers, or of an embedding that is the head, become views of one matrix.
    """
    if any(type(module) not in (nn.Linear, nn.Embedding) for module in modules):
        return lambda x: torch.cat([module(x) for module in modules], dim=-1)
    joined = torch.cat([module.weight.detach() for module in modules])
    for module, rows in zip(modules, joined.split([len(module.weight) for module in modules]), strict=True):
        module.weight.data = rows
    return next(product for layout in LAYOUTS if (product := layout(joined)) is not None)


def in_blocks(weight: Float[Tensor, "out width"]) -> Product | None:
    """A copy of bfloat16 in the blocks that oneDNN reads, where the processor multiplies bfloat16.

    torch.compile uses these operations, but torch has no public name for them: None if they are missing.
    """
    if weight.dtype != torch.bfloat16 or not multiplies_bfloat16(weight.device):
        return None

    def product(x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, blocks, None, "none", [], "")

    try:
        blocks = torch.ops.mkldnn._reorder_linear_weight(weight, 1)
        product(weight[:1])
    except (AttributeError, RuntimeError, TypeError):
        return None
    return product


def transposed(weight: Float[Tensor, "out width"]) -> Product:
    """Few rows of x as W x^T, and a single one twice over: MKL, which multiplies on x86 processors, then
    reads W two to three times as fast as by x W^T."""

    def product(x: Tensor) -> Tensor:
        few = x.flatten(0, -2)  # (B T, width)
        n = len(few)
        if n > MAX_FEW:
            return functional.linear(x, weight)
        if n == 1:
            few = torch.cat([few, few])
        columns = functional.linear(weight, few)  # (out, B T): W x^T
        return columns.T[:n].contiguous().view(*x.shape[:-1], -1)

    return product


def as_loaded(weight: Float[Tensor, "out width"]) -> Product:
    return lambda x: functional.linear(x, weight)


LAYOUTS: list[Callable[[Tensor], Product | None]] = [in_blocks, transposed, as_loaded]
