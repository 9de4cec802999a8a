"""Pairs of a source and a target: padded, in batches, and what a model that writes loses on them."""

import hashlib
import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional


class Marks(NamedTuple):
    """The ids that pad a row, stand before a target as the decoder reads it, and end what it writes."""

    pad: int = 0
    start: int = 1
    end: int = 2


MARKS = Marks()


def padded(
    rows: Sequence[Sequence[int]], pad: int = MARKS.pad
) -> tuple[Int[Tensor, "batch longest"], Int[Tensor, " batch"]]:
    """Rows of ids as one tensor, the shorter ones padded with `pad`, and their lengths. Raises ValueError if
    there are no rows, or one is empty."""
    if not len(rows) or not all(map(len, rows)):  # rows may be arrays
        raise ValueError(f"expected rows of at least one id each; got {list(rows)[:3]}")
    lengths = torch.tensor([*map(len, rows)])
    array = torch.full((len(rows), lengths.max()), pad)
    array[torch.arange(array.shape[1]) < lengths[:, None]] = torch.tensor([*itertools.chain(*rows)])
    return array, lengths


class Pairs:
    """Random batches of sources and targets for `training.train`.

    `next()` gives (source, lengths, target): the rows padded to the longest of the batch, the target between
    start and end, as the model's `marks` have them. Rows are drawn with replacement by a generator of their
    own, for `pool` batches at once; these are sorted by length and cut into batches, which are returned in
    random order. So the rows of a batch are of similar length, and less padding is computed. Raises
    ValueError if the numbers of sources and targets differ, if one of them is empty, or if the end is the
    padding, which `pair_loss` leaves out.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        batch_size: int,
        seed: int = 0,
        pool: int = 1,
        *,
        marks: Marks = MARKS,
    ):
        if len(sources) != len(targets) or batch_size < 1 or pool < 1:
            raise ValueError(
                "expected as many targets as sources, and batch_size and pool of at least 1; got "
                f"{len(sources)} sources, {len(targets)} targets, {batch_size} and {pool}"
            )
        pad, start, end = marks
        if pad == end:
            raise ValueError(f"expected another id for the end than for padding; got {end} for both")
        self._source, self._lengths = padded(sources, pad)
        self._target, self._target_lengths = padded([[start, *target, end] for target in targets], pad)
        self.batch_size, self.pool = batch_size, pool
        self._generator = torch.Generator().manual_seed(seed)
        self._waiting = torch.empty(0, batch_size, dtype=torch.long)  # rows of the pool's batches to come

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        if not len(self._waiting):
            self._waiting = self._drawn()
        rows, self._waiting = self._waiting[0], self._waiting[1:]
        lengths, target_lengths = self._lengths[rows], self._target_lengths[rows]
        return (
            self._source[rows, : lengths.max()],
            lengths,
            self._target[rows, : target_lengths.max()],
        )

    def _drawn(self) -> Int[Tensor, "pool batch"]:
        size = (self.pool * self.batch_size,)
        rows = torch.randint(len(self._source), size, generator=self._generator)
        by_length = (self._lengths + self._target_lengths)[rows].argsort(stable=True)
        order = torch.randperm(self.pool, generator=self._generator)
        return rows[by_length].view(self.pool, -1)[order]

    def state(self) -> dict[str, Tensor]:
        shape = torch.tensor([*self._source.shape, *self._target.shape, self.batch_size, self.pool])
        return {
            "shape": shape,
            "sha256": torch.tensor(self._digest, dtype=torch.uint8),
            "waiting": self._waiting,
            "generator": self._generator.get_state(),
        }

    @cached_property
    def _digest(self) -> list[int]:
        return list(hashlib.sha256(self._source.numpy().tobytes() + self._target.numpy().tobytes()).digest())

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from where `state()` was taken. Raises ValueError if it is of other pairs or batches."""
        got, expected = state["shape"].tolist(), self.state()["shape"].tolist()
        if got != expected:
            words = "sources of {} x {} and targets of {} x {} in batches of {}, drawn {} at once"
            theirs = words.format(*got) if len(got) == len(expected) else "pairs as an older course drew them"
            raise ValueError(f"expected a run to resume with {words.format(*expected)}; got {theirs}")
        if "sha256" not in state or state["sha256"].tolist() != self._digest:
            raise ValueError(
                "expected a run to resume with these sources and targets; got others of the same shape, or "
                "an older course's run, which doesn't tell: give it its own pairs, or train again"
            )
        self._generator.set_state(state["generator"])
        self._waiting = state["waiting"]


def pair_loss(model: nn.Module, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
    """Mean nats a target token, its end included, padding excluded. The decoder reads the true target, not
    its own (teacher forcing). The batch is as `Pairs` makes it; the model computes the logits of the chosen
    tokens alone."""
    source, lengths, target = batch
    asked = target[:, 1:]
    real = asked != model.marks.pad
    return functional.cross_entropy(model(source, lengths, target[:, :-1], real), asked[real]), None
