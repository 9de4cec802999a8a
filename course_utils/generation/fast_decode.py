"""Writing one token at a time, faster: the same sums, in fewer operations and better ones.

A step multiplies each matrix with a single vector. It hardly computes: its time is that of reading the
weights once, and of starting some thousand operations (`python3 course.py bench generate` measures it). So
here the matrices that read the same vector become one, each is multiplied in the way that reads it fastest,
and between two products little is left to start.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import rotation, turned
from course_utils.devices import multiplies_bfloat16
from course_utils.gpt import GPT
from course_utils.transformer import Decoder

Product = Callable[[Tensor], Tensor]
FEW = 16  # rows of x


def lay_out_for_steps(model: GPT) -> GPT:
    """Give a model products that suit few tokens, and a way through its blocks for one; on a CPU, in place.

    Matrices that read the same are joined in memory, and become views of the joined one. bfloat16 gets,
    besides, a copy in the blocks that oneDNN reads, where the processor multiplies bfloat16. Blocks with
    `qk_norm` or `token_shift` get the products alone; on a GPU nothing changes. The model can only write from
    then on: don't train, copy, convert or move it, for it goes on reading the matrices of this moment.
    """
    weight = model.embedding.weight
    if weight.device.type == "cpu":
        in_blocks = weight.dtype == torch.bfloat16 and multiplies_bfloat16(weight.device)
        product = _in_blocks if in_blocks else _in_rows
        for block in model.decoder.blocks:
            attention, feed_forward = block.attention, block.feed_forward
            attention.read = product([attention.query, attention.key, attention.value])
            attention.output.forward = product([attention.output])
            gate_and_up, down = product([feed_forward.gate, feed_forward.up]), product([feed_forward.down])
            feed_forward.forward = partial(_feed_forward, gate_and_up, down)
        model.head = product([model.embedding])
        if not (model.config.qk_norm or model.config.token_shift):
            model.decoder.forward = _one_token(model.decoder)
    return model


def _feed_forward(gate_and_up: Product, down: Product, x: Tensor) -> Tensor:
    gate, up = gate_and_up(x).chunk(2, dim=-1)
    return down(functional.silu(gate) * up)


def _one_token(decoder: Decoder) -> Callable[..., Tensor]:
    """`Decoder.forward` for one token that may look at all before it. What is chosen and checked there at
    each call is settled here, once; padding, an `edit` and more tokens at once go the usual way."""
    attentions = [block.attention for block in decoder.blocks]
    heads, kv_heads, base = attentions[0].n_heads, attentions[0].n_kv_heads, attentions[0].rotary_base
    width = attentions[0].query.out_features // heads
    parts = [
        (
            _norm_of_one(block.attention_norm),
            block.attention.read,
            block.attention.output.forward,
            _norm_of_one(block.feed_forward_norm),
            block.feed_forward.forward,
        )
        for block in decoder.blocks
    ]

    def forward(x, memory=None, memory_mask=None, caches=None, mask=None) -> Tensor:
        edited = any(attention.edit for attention in attentions)
        if edited or x.shape[1] > 1 or mask is not None or caches is None:
            return Decoder.forward(decoder, x, memory, memory_mask, caches, mask)
        x = x[:, 0]  # (B, d_model)
        turn = rotation(1, width, len(caches[0].own), base, x.device, x.dtype)
        for part, cache in zip(parts, caches, strict=True):
            attention_norm, read, output, feed_forward_norm, feed_forward = part
            qkv = read(attention_norm(x)).view(len(x), -1, 1, width)  # (B, heads, 1, D)
            qk, v = qkv.split_with_sizes((heads + kv_heads, kv_heads), 1)
            q, k = turned(qk, *turn).split_with_sizes((heads, kv_heads), 1)
            cache.own.extend(k, v)
            q = q.view(len(x), kv_heads, -1, width)  # heads that share keys are more queries of one head
            gathered = functional.scaled_dot_product_attention(q, cache.own.keys, cache.own.values)
            x = x + output(gathered.reshape(x.shape))
            x = x + feed_forward(feed_forward_norm(x))
        return decoder.norm(x)[:, None]

    return forward


def _norm_of_one(norm: nn.Module) -> Product:
    """A block's norm, for one token. RMS norm goes as the layer norm of x beside -x, whose mean is 0 and
    whose variance is the mean square of x: torch has one kernel for that, and makes RMS norm of several."""
    if not isinstance(norm, nn.RMSNorm):
        return norm.forward
    width, gain = len(norm.weight), norm.weight.repeat(2)

    def rms_norm(x: Tensor) -> Tensor:
        both = torch.cat([x, -x], dim=-1)
        return functional.layer_norm(both, (2 * width,), gain, eps=norm.eps)[..., :width]

    return rms_norm


def _in_rows(modules: Sequence[nn.Module]) -> Product:
    """x -> what the modules make of x, side by side. Their weights become views of one matrix W.

    Few rows of x are multiplied as W x^T, and a single one twice over: MKL, which multiplies on x86
    processors, then reads W two to three times as fast as by x W^T.
    """
    rows = _joined(modules)

    def product(x: Tensor) -> Tensor:
        few = x.flatten(0, -2)  # (B T, width)
        n = len(few)
        if n > FEW:
            return functional.linear(x, rows)
        if n == 1:
            few = torch.cat([few, few])
        columns = functional.linear(rows, few)  # (sizes, B T): W x^T
        return columns.T[:n].contiguous().view(*x.shape[:-1], -1)

    return product


def _in_blocks(modules: Sequence[nn.Module]) -> Product:
    """The same, of a copy. torch.compile calls these operations; torch has no public name for them."""
    blocks = torch.ops.mkldnn._reorder_linear_weight(_joined(modules), 1)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, blocks, None, "none", [], "")


def _joined(modules: Sequence[nn.Module]) -> Tensor:
    rows = torch.cat([module.weight.detach() for module in modules])
    for module, part in zip(modules, rows.split([len(module.weight) for module in modules]), strict=True):
        module.weight.data = part
    return rows
