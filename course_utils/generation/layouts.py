"""Ways to multiply a matrix by one vector, or by a few: the same product, the weights read in another order.

Which way reads a matrix fastest depends on its shape and type, on the processor and on the library that torch
calls there. On one machine W x^T of two rows reads twice as fast as x W^T, on another a third as fast.
So each is a candidate, as loaded among them, and the machine decides (`python3 course.py bench generate`),
for one row of x, with which a text is written, and for a few, of several texts or of guesses to check.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from course_utils.devices import multiplies_bfloat16
from course_utils.generation import timings

Product = Callable[[Float[Tensor, "... width"]], Float[Tensor, "... out"]]
Layout = Callable[[Float[Tensor, "out width"]], Product | None]  # None: not to be had for this matrix here
FEW, MAX_FEW = 4, 16  # rows of x: with how many the ways for a few are timed, and up to how many they serve
TIMED = 4  # matrices of a kind
BLOCKS = "oneDNN's blocks"


def as_loaded(weight: Float[Tensor, "out width"]) -> Product:
    return lambda x: functional.linear(x, weight)


def as_vector(weight: Float[Tensor, "out width"]) -> Product:
    """A single row as a vector, for which libraries have a product of its own."""
    return lambda x: torch.mv(weight, x.flatten()).view(*x.shape[:-1], -1)


def as_columns(weight: Float[Tensor, "out width"], times: int) -> Product:
    """A single row, so many times over, as W x^T."""

    def product(x: Tensor) -> Tensor:
        several = torch.cat([x.flatten(0, -2)] * times)
        return functional.linear(weight, several)[:, 0].view(*x.shape[:-1], -1)

    return product


def turned(weight: Float[Tensor, "out width"]) -> Product:
    """A few rows of x as W x^T, which is (out, rows)."""
    return lambda x: (
        functional.linear(weight, x.flatten(0, -2)).T.contiguous().view(*x.shape[:-1], len(weight))
    )


def transposed(weight: Float[Tensor, "out width"]) -> Product:
    """A copy of W^T, row after row, for a single row of x."""
    columns = weight.T.contiguous()
    return lambda x: x @ columns


def as_bags(weight: Float[Tensor, "out width"], bags: int) -> Product:
    """A copy of W^T in so many slices of its columns, for a single row of x: W x is the sum of W's columns,
    each times its number of x, and torch sums bags of embeddings so, with weights. The threads share the
    bags; a product of a matrix and a vector is left to one thread by some libraries."""
    out, width = weight.shape
    slices = functional.pad(weight, (0, 0, 0, -out % bags)).view(bags, -1, width)
    table = slices.transpose(1, 2).flatten(0, 1).contiguous()
    places = torch.arange(bags * width).view(bags, width)

    def product(x: Tensor) -> Tensor:
        shares = x.view(1, width).expand(bags, width)
        summed = functional.embedding_bag(places, table, mode="sum", per_sample_weights=shares)
        return summed.flatten()[:out].view(*x.shape[:-1], out)

    return product


def in_slices(weight: Float[Tensor, "out width"], at_most: int) -> Product:
    """The rows in slices, for a single row of x: as a batch of products the threads share them, where a
    product of one matrix and a vector is left to one thread by some libraries."""
    out, width = weight.shape
    slices = math.gcd(out, at_most)
    batch = weight.unflatten(0, (slices, -1))

    def product(x: Tensor) -> Tensor:
        # with other strides, such as those of x.view(width, 1), torch goes a way that was five times as slow
        column = x.contiguous().as_strided((slices, width, 1), (0, 1, width))
        return torch.bmm(batch, column).view(*x.shape[:-1], out)

    return product


def in_blocks(weight: Float[Tensor, "out width"]) -> Product | None:
    """A copy in the blocks that oneDNN reads; in bfloat16 only where the processor multiplies bfloat16.

    torch.compile uses these operations, but torch has no public name for them: None if they are missing.
    """
    fits = weight.dtype == torch.float32
    fits |= weight.dtype == torch.bfloat16 and multiplies_bfloat16(weight.device)
    if not fits:
        return None

    def product(x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, blocks, None, "none", [], "")

    try:
        blocks = torch.ops.mkldnn._reorder_linear_weight(weight, 1)
        product(weight[:1])
    except (AttributeError, RuntimeError, TypeError):
        return None
    return product


# for one row; those that copy nothing come first: they are taken where another is hardly faster
LAYOUTS: dict[str, Layout] = {
    "as loaded": as_loaded,
    "as a vector": as_vector,
    "W x^T, 2 rows": partial(as_columns, times=2),
    "W x^T, 4 rows": partial(as_columns, times=4),
    "8 slices": partial(in_slices, at_most=8),
    "W^T kept": transposed,
    "2 bags": partial(as_bags, bags=2),
    "16 bags": partial(as_bags, bags=16),
    BLOCKS: in_blocks,
}
LAYOUTS_OF_FEW: dict[str, Layout] = {"as loaded": as_loaded, "W x^T": turned}  # none copies W a second time


def products(weights: Sequence[Float[Tensor, "out width"]]) -> list[Product]:
    """For each matrix x -> x W^T, by the layouts that are the fastest here for its shape and type."""
    of_one, of_few = layout_timings(weights, LAYOUTS), layout_timings(weights, LAYOUTS_OF_FEW, FEW)
    found = []
    for weight in weights:
        name = timings.fastest(of_one[kind(weight)])
        one = LAYOUTS[name](weight) or as_loaded(weight)
        few = LAYOUTS_OF_FEW[timings.fastest(of_few[kind(weight, FEW)])](weight)
        # blocks that are there already serve any number of rows, here 1.1 to 2.5 times as fast as the others
        found.append(one if name == BLOCKS else by_rows(weight, one, few))
    return found


def by_rows(weight: Float[Tensor, "out width"], one: Product, few: Product) -> Product:
    """The product by one way for a single row of x, by another for a few, and as loaded for more."""
    width, many = weight.shape[1], as_loaded(weight)

    def product(x: Tensor) -> Tensor:
        if x.numel() == width:
            return one(x)
        return few(x) if x.numel() <= MAX_FEW * width else many(x)

    return product


def layout_timings(
    weights: Sequence[Float[Tensor, "out width"]], layouts: dict[str, Layout], n: int = 1
) -> timings.Timings:
    """Seconds to multiply a matrix of each kind by n vectors, by layout."""
    kinds = [kind(weight, n) for weight in weights]
    return timings.timings(kinds, [*layouts], lambda: measure(weights, layouts, n))


def kind(weight: Float[Tensor, "out width"], n: int = 1) -> str:
    """What a matrix is called in timings with n rows of x."""
    rows, width = weight.shape
    return f"{rows} x {width}, {str(weight.dtype).removeprefix('torch.')}" + f", {n} rows" * (n > 1)


@torch.inference_mode()
def measure(
    weights: Sequence[Float[Tensor, "out width"]], layouts: dict[str, Layout], n: int = 1
) -> timings.Timings:
    """Time layouts in use, with n rows of x: a round goes through the matrices in their order, as a step of
    writing does.

    So they come from memory, and not from a cache where a single one, read again and again, would stay.
    """
    found, timed = Counter(), []
    for weight in weights:
        found[kind(weight)] += 1
        if found[kind(weight)] <= TIMED:
            timed.append(weight)
    candidates = {}
    for name, layout in layouts.items():
        candidates[name] = [
            (kind(weight, n), partial(product, torch.ones(1, n, weight.shape[1], dtype=weight.dtype)))
            for weight in timed
            if (product := layout(weight)) is not None
        ]
    return timings.time_in_turns(candidates)
