"""Where a position stands: fixed sinusoids, a learnt table, a rotation of queries and keys, or a bias.

Attention itself knows no order: a permutation of its input permutes its output. So the order is added to the
vectors (sinusoids, table), or put into the scores (rotary positions, relative bias).

Sources: Vaswani et al. 2017, section 3.5 (sinusoids, learnt tables); Su et al. 2021 (rotary positions);
Raffel et al. 2020, section 2.1 (relative bias in buckets).
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def sinusoidal_positions(t: int, d_model: int, start: int = 0) -> Float[Tensor, "t d_model"]:
    """The fixed vectors of 2017: sine and cosine of the position at d_model / 2 frequencies, interleaved.

    PE(p, 2i) = sin(p / 10000^(2i / d_model)), PE(p, 2i + 1) the cosine (Vaswani et al. 2017, section 3.5).
    Raises ValueError for an odd width.
    """
    angles = _angles(t, d_model, start, base=10_000.0)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class LearnedPositions(nn.Module):
    """A vector for each position from 0 to size - 1, learnt like an embedding; there are none beyond."""

    def __init__(self, size: int, d_model: int):
        super().__init__()
        self.table = nn.Embedding(size, d_model)

    def forward(self, t: int, start: int = 0) -> Float[Tensor, "t d_model"]:
        """The vectors of the t positions from `start` on. Raises ValueError beyond the table."""
        size = self.table.num_embeddings
        if start + t > size:
            raise ValueError(
                f"the position table has {size} rows; got {start + t} positions: "
                "shorten the text, or build the model with a larger table"
            )
        return self.table.weight[start : start + t]


def rotate(
    x: Float[Tensor, "... t width"], start: int = 0, base: float = 10_000.0
) -> Float[Tensor, "... t width"]:
    """Rotary positions: rotate each pair of numbers of x by an angle proportional to its position.

    The dot product of a rotated query and a rotated key depends only on their distance (Su et al. 2021,
    section 3.2.2). Pairs are (i, i + width / 2), as in Hugging Face's Llama; the paper and Meta's code
    pair neighbours, which is the same up to the order of the projections' rows. Raises ValueError for an odd
    width.
    """
    return apply_rotary(x, *rotary_cos_sin(x.shape[-2], x.shape[-1], start, base, x.device, x.dtype))


def apply_rotary(x: Float[Tensor, "... t width"], cos: Tensor, sin: Tensor) -> Float[Tensor, "... t width"]:
    """x rotated by `rotary_cos_sin`: a pair (a, b) becomes (a cos - b sin, b cos + a sin)."""
    partners = x.roll(x.shape[-1] // 2, dims=-1)
    return torch.addcmul(x * cos, partners, sin)


@lru_cache(maxsize=8)  # all layers rotate by the same angles
@torch.inference_mode(False)  # else the cached tensors could not be used in training
def rotary_cos_sin(
    t: int, width: int, start: int, base: float, device: torch.device, dtype: torch.dtype
) -> tuple[Float[Tensor, "t width"], Float[Tensor, "t width"]]:
    """The cosine and sine by which to multiply each number of the vectors at t positions from `start` on; the
    sine of a pair's first number is negated. Raises ValueError for an odd width."""
    angles = _angles(t, width, start, base)
    cos, sin = angles.cos(), angles.sin()
    return tuple(torch.cat(pair, dim=-1).to(device, dtype) for pair in ([cos, cos], [-sin, sin]))


def _angles(t: int, width: int, start: int, base: float) -> Float[Tensor, "t width/2"]:
    if width % 2:
        raise ValueError(f"positions rotate pairs of numbers, so the width must be even; got {width}")
    frequencies = base ** (-torch.arange(0, width, 2) / width)
    return torch.arange(start, start + t)[:, None] * frequencies


def relative_buckets(
    distances: Int[Tensor, "..."], buckets: int = 32, farthest: int = 128, both_ways: bool = True
) -> Int[Tensor, "..."]:
    """The bucket, from 0 to buckets - 1, of each distance: the key's position minus the query's.

    With `both_ways` the upper half of the buckets is for keys that come later; otherwise all are for earlier
    ones, and a later one counts as distance 0. Half of a side's buckets have one distance each, the others
    ever more, by its logarithm; the last has all from about `farthest` on. As in the authors' code (Raffel et
    al. 2020, section 2.1, has the logarithm and the farthest, not how many distances have a bucket each).
    Raises ValueError for a side of less than two buckets, and for a `farthest` that leaves nothing to share.
    """
    side = buckets // 2 if both_ways else buckets
    exact = side // 2
    if exact < 1 or farthest <= exact:
        raise ValueError(
            f"expected at least {4 if both_ways else 2} buckets, and farthest beyond the distances that have "
            f"one each; got {buckets} and {farthest}"
        )
    later = side * (distances > 0) if both_ways else 0
    distances = distances.abs() if both_ways else (-distances).clamp(min=0)
    beyond = (distances.clamp(min=exact) / exact).log() / math.log(farthest / exact)  # 0 to 1, at farthest
    shared = (exact + (beyond * (side - exact)).long()).clamp(max=side - 1)
    return later + torch.where(distances < exact, distances, shared)


class RelativePositions(nn.Module):
    """A learnt number for each head and bucket of distances, which is added to the scores."""

    def __init__(self, n_heads: int, buckets: int = 32, farthest: int = 128, both_ways: bool = True):
        super().__init__()
        self.buckets, self.farthest, self.both_ways = buckets, farthest, both_ways
        self.table = nn.Embedding(buckets, n_heads)

    def forward(self, t: int, past: int = 0) -> Float[Tensor, "1 heads t past+t"]:
        """For the queries at t positions, `past` of which precede the first, and the keys at all of them."""
        places = torch.arange(past + t, device=self.table.weight.device)
        distances = places - places[past:, None]
        buckets = relative_buckets(distances, self.buckets, self.farthest, self.both_ways)
        return self.table(buckets).permute(2, 0, 1)[None]
