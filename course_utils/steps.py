"""Writing one token at a time, faster: the same sums, in fewer products and better ones.

A step multiplies each matrix with a single vector. It hardly computes: its time is that of reading the
weights once, and of starting some thousand operations (`python3 course.py bench generate` measures it). So
here the matrices that read the same vector become one, and each is multiplied in the way that reads it
fastest.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from course_utils.devices import multiplies_bfloat16
from course_utils.gpt import GPT

Product = Callable[[Tensor], Tensor]
FEW = 16  # rows of x


def lay_out_for_steps(model: GPT) -> GPT:
    """Give a model's blocks products that suit few tokens; on a CPU, in place.

    Matrices that read the same are joined in memory, and become views of the joined one. bfloat16 gets,
    besides, a copy in the blocks that oneDNN reads, where the processor multiplies bfloat16. On a GPU nothing
    changes. The model can only write from then on: don't train, copy, convert or move it, for it goes on
    reading the matrices of this moment.
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
    return model


def _feed_forward(gate_and_up: Product, down: Product, x: Tensor) -> Tensor:
    gate, up = gate_and_up(x).chunk(2, dim=-1)
    return down(functional.silu(gate) * up)


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
