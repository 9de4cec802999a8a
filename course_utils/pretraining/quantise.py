"""Weights as small whole numbers: int8 with a scale for each row, or 4 bits with a scale and a zero point for
each group of 32 in a row. What is lost is said in bits per byte.

    small = quantise(model, bits=4)
    compare(model, tokens, n_bytes)  # bits per byte, megabytes and tokens/s of each

A weight w becomes q = round((w - zero) / scale), and counts as scale q + zero; with 8 bits zero is 0. Norms
stay as they are: they are few. The embedding is quantised too, as it is the head and a large part of a small
model.

Source: Dettmers et al. 2022, section 2 (int8 by row); Dettmers & Zettlemoyer 2023 (4 bits in small groups).
"""

from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from course_utils.devices import multiplies_bfloat16
from course_utils.generation import generate, unbroken
from course_utils.gpt import GPT
from course_utils.pretraining.vocabulary import bits
from course_utils.training.checkpoints import fill, model_tensors, without_first_weights

GROUP = 32
FEW = 16  # rows of x, below which a product only reads the weights


class Quantised(nn.Module):
    """A matrix (out, width) of whole numbers: x -> x W^T, and for an embedding its rows.

    `numbers` are int8, or two of 4 bits in a byte; `scales` and `zeros` are bfloat16, one a row or group.
    Few rows of x are multiplied in bfloat16 by torch's kernels for such numbers, where the machine and this
    torch have them; else the weights are made anew for each product, which costs more time than it saves.
    Raises ValueError for other bits, and a width that groups of 32 don't divide.
    """

    def __init__(self, weight: Float[Tensor, "out width"], bits: int):
        super().__init__()
        rows, width = weight.shape
        if bits not in (4, 8):
            raise ValueError(f"bits must be 8 (int8 by row) or 4 (in groups of {GROUP}); got {bits!r}")
        if bits == 4 and width % GROUP:
            raise ValueError(
                f"4 bits go in groups of {GROUP}, which must divide the width; got {width}: use 8"
            )
        self.bits, self.width = bits, width
        groups = weight.detach().float().unflatten(1, (-1, width if bits == 8 else GROUP))
        if bits == 8:
            scales, zeros = groups.abs().amax(-1) / 127, torch.zeros(rows, 1)
        else:
            least, most = groups.amin(-1), groups.amax(-1)
            scales = (most - least) / 15
            zeros = least + 8 * scales
        scales, zeros = scales.bfloat16(), zeros.bfloat16()
        steps = torch.where(scales == 0, 1, scales).float()  # all numbers of a group may be equal
        numbers = ((groups - zeros.float()[..., None]) / steps[..., None]).round().flatten(1)
        if bits == 8:
            numbers = numbers.clamp(-127, 127).to(torch.int8)
        else:
            numbers = (numbers.clamp(-8, 7) + 8).to(torch.uint8)
            numbers = numbers[:, ::2] + 16 * numbers[:, 1::2]
        self.register_buffer("numbers", numbers)
        self.register_buffer("scales", scales)
        self.register_buffer("zeros", zeros if bits == 4 else None)
        self._kernel = _kernel(self)

    def unpacked(self, numbers: Tensor) -> Tensor:
        """The whole numbers of rows, one a place; those of 4 bits count from -8, which is kept as 0."""
        return numbers if self.bits == 8 else torch.stack([numbers % 16, numbers // 16], -1).flatten(-2)

    def rows(self, ids: Int[Tensor, "..."] | slice) -> Float[Tensor, "... width"]:
        """Rows as the numbers that they stand for."""
        scales = self.scales[ids].float()[..., None]
        groups = self.unpacked(self.numbers[ids]).float().unflatten(-1, (scales.shape[-2], -1))
        if self.zeros is None:
            return (groups * scales).flatten(-2)
        return ((groups - 8) * scales + self.zeros[ids].float()[..., None]).flatten(-2)

    @property
    def weight(self) -> Float[Tensor, "out width"]:
        return self.rows(slice(None))

    def product(self, x: Float[Tensor, "... width"]) -> Float[Tensor, "... out"]:
        if self._kernel is None or x.numel() > FEW * self.width:
            return functional.linear(x, self.weight)
        return self._kernel(x.flatten(0, -2).bfloat16()).to(x.dtype).unflatten(0, x.shape[:-1])


class QuantisedLinear(Quantised):
    def forward(self, x: Float[Tensor, "... width"]) -> Float[Tensor, "... out"]:
        return self.product(x)


class QuantisedEmbedding(Quantised):
    def forward(self, ids: Int[Tensor, "..."]) -> Float[Tensor, "... width"]:
        return self.rows(ids)


class QuantisedGPT(GPT):
    """A GPT whose matrices are quantised: for writing, not for training."""

    def head(self, x: Float[Tensor, "batch time d_model"]) -> Float[Tensor, "batch time vocab"]:
        return self.embedding.product(x)


def quantise(model: GPT, bits: int = 8) -> GPT:
    """A copy of the model whose matrices have 8 or 4 bits a weight. Raises ValueError as `Quantised` does."""
    with without_first_weights():
        small = QuantisedGPT(model.config).eval()
    fill(small, model_tensors(model), "the model")
    small.embedding = QuantisedEmbedding(small.embedding.weight, bits)
    for block in small.decoder.blocks:
        for part in (block.attention, block.feed_forward):
            for name, layer in list(part.named_children()):
                if isinstance(layer, nn.Linear):
                    setattr(part, name, QuantisedLinear(layer.weight, bits))
    return small


def _kernel(matrix: Quantised) -> Callable[[Tensor], Tensor] | None:
    """x -> x W^T by torch's kernel for these numbers. torch uses it under torch.compile and has no public
    name for it: None where it is missing, or for shapes that it does not take."""
    if not multiplies_bfloat16(matrix.numbers.device):
        return None
    try:
        if matrix.bits == 8:
            numbers, scales = matrix.numbers, matrix.scales[:, 0].contiguous()
            product = lambda x: torch._weight_int8pack_mm(x, numbers, scales)  # noqa: E731
        else:
            packed = torch._convert_weight_to_int4pack_for_cpu(matrix.unpacked(matrix.numbers).int(), 1)
            both = torch.stack([matrix.scales, matrix.zeros], -1).transpose(0, 1).contiguous()
            product = lambda x: torch._weight_int4pack_mm_for_cpu(x, packed, GROUP, both)  # noqa: E731
        product(torch.zeros(1, matrix.width, dtype=torch.bfloat16))
    except (AttributeError, RuntimeError):
        return None
    return product


class Cost(NamedTuple):
    """What a model of so many bits a weight costs: `bits_per_byte` of a text, megabytes of its weights, and
    how many tokens it writes a second, one at a time."""

    name: str
    bits_per_byte: float
    megabytes: float
    tokens_per_second: float


def compare(model: GPT, tokenizer: Tokenizer, text: str, length: int = 64) -> list[Cost]:
    """The model in float32, int8 and 4 bits, on a text.

    The bits are those of the rounded weights, with all other arithmetic in float32. Each writes `length`
    tokens after the text's first 8, greedily, three times in turn; the best of the three counts.
    """
    models = {"float32": model, "int8": quantise(model, 8), "4 bits": quantise(model, 4)}
    seconds = {name: [] for name in models}
    for _ in range(3):
        for name, each in models.items():
            began = perf_counter()
            unbroken(generate(each, [tokenizer.encode(text).ids[:8]], length))
            seconds[name].append(perf_counter() - began)
    return [
        Cost(name, bits(each, tokenizer, text), megabytes(each), length / min(seconds[name]))
        for name, each in models.items()
    ]


def megabytes(model: nn.Module) -> float:
    """Of all weights as they are kept."""
    return sum(tensor.nbytes for tensor in model.state_dict().values()) / 1e6
