"""Writing one token at a time, faster: the same sums, in fewer and larger products.

A step multiplies each matrix with a single vector. It hardly computes: its time is that of reading the
weights once, and of starting some thousand operations (`python3 course.py bench generate` measures it). So
here the matrices that read the same vector become one, stored as such a product reads it.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import rotate
from course_utils.devices import multiplies_bfloat16
from course_utils.gpt import GPT
from course_utils.transformer import Block

Product = Callable[[Tensor], Tensor]


def lay_out_for_steps(model: GPT) -> GPT:
    """Give a model's blocks a way of their own for single tokens; on a CPU, in place.

    In float32 the weights are stored anew, columns as rows. bfloat16 gets, besides the weights, a copy in the
    blocks that oneDNN reads, where the processor multiplies bfloat16. In any other case matrices are only
    joined; on a GPU nothing changes. The model can only write from then on: don't train, copy, convert or
    move it, for single tokens go on reading the matrices of this moment, and the head has no gradient.
    """
    weight = model.embedding.weight
    if weight.device.type == "cpu":
        product = _in_columns if weight.dtype == torch.float32 else _in_rows
        if weight.dtype == torch.bfloat16 and multiplies_bfloat16(weight.device):
            product = _in_blocks
        for block in model.decoder.blocks:
            block.forward = _with_steps(block, product)
        model.head = product([model.embedding])
    return model


def _with_steps(block: Block, product: Callable[[Sequence[nn.Module]], Product]) -> Callable:
    """`block.forward`, which reads a single token in another way; all else goes as before."""
    attention, feed_forward = block.attention, block.feed_forward
    n_heads, n_kv = attention.n_heads, attention.n_kv_heads
    d_head = attention.query.out_features // n_heads
    all_heads = product([attention.query, attention.key, attention.value])
    gate_and_up = product([feed_forward.gate, feed_forward.up])
    output, down = product([attention.output]), product([feed_forward.down])

    def forward(x, mask=None, memory=None, memory_mask=None, cache=None):
        if x.shape[1] > 1 or mask is not None or cache is None or attention.edit is not None:
            return Block.forward(block, x, mask, memory, memory_mask, cache)
        read = block.shifted(block.attention_norm(x), "attention", cache)
        heads = all_heads(read).unflatten(-1, (-1, d_head)).transpose(1, 2)  # (B, all heads, 1, D)
        qk, v = heads.split((n_heads + n_kv, n_kv), dim=1)
        qk = rotate(attention._normed(qk), len(cache.own), attention.rotary_base)
        q, k = qk.split((n_heads, n_kv), dim=1)
        cache.own.extend(k, v)
        grouped = q.reshape(len(x), n_kv, -1, d_head)  # queries of the heads that share a key
        gathered = functional.scaled_dot_product_attention(grouped, cache.own.keys, cache.own.values)
        x = x + output(gathered.flatten(1)[:, None])
        read = block.shifted(block.feed_forward_norm(x), "feed_forward", cache)
        gate, up = gate_and_up(read).chunk(2, dim=-1)
        return x + down(functional.silu(gate) * up)

    return forward


def _in_rows(modules: Sequence[nn.Module]) -> Product:
    """x -> what the modules make of x, side by side. Their weights become views of one matrix."""
    rows = torch.cat([module.weight.detach() for module in modules])
    _become_parts(modules, rows)
    return lambda x: functional.linear(x, rows)


def _in_columns(modules: Sequence[nn.Module]) -> Product:
    """The same, of the matrix with its columns as rows.

    For a single token it is computed in four parts, each a quarter of x times the rows that belong to it, and
    their sum: so each thread reads a stretch of memory of its own, nearly as fast as memory can be read.
    """
    columns = torch.cat([module.weight.detach() for module in modules]).T.contiguous()
    _become_parts(modules, columns.T)
    quarters = columns.unflatten(0, (math.gcd(4, len(columns)), -1))  # (4, width / 4, all sizes)

    def product(x: Tensor) -> Tensor:
        if x.shape[1] > 1:
            return x @ columns
        parts = x.unflatten(-1, (len(quarters), -1))[:, 0].transpose(0, 1)  # (4, B, width / 4)
        return (parts @ quarters).sum(0)[:, None]

    return product


def _become_parts(modules: Sequence[nn.Module], rows: Tensor) -> None:
    sizes = [len(module.weight) for module in modules]
    for module, part in zip(modules, rows.split(sizes), strict=True):
        module.weight.data = part


def _in_blocks(modules: Sequence[nn.Module]) -> Product:
    """The same, of a copy. torch.compile calls these operations; torch has no public name for them."""
    joined = torch.cat([module.weight.detach() for module in modules])
    blocks = torch.ops.mkldnn._reorder_linear_weight(joined, 1)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, blocks, None, "none", [], "")
