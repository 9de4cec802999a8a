"""Batches for T5's pretraining: windows of a text, and spans taken out of each, drawn anew each time."""

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from course_utils.seq2seq.objectives import span_corruption
from course_utils.seq2seq.pairs import MARKS, Marks, padded


class CorruptedWindows:
    """Batches (source, lengths, target) of `span_corruption` for `training.train` and `pair_loss`.

    A window of `context` tokens begins anywhere in the text, and its spans are drawn, both by a generator of
    their own: a text that is read twice is not damaged twice in the same places. Sources end with the end,
    targets stand between start and end, as the `marks` have them. Raises ValueError for a text shorter than a
    window, and as `span_corruption` does.
    """

    def __init__(
        self,
        tokens: Int[np.ndarray, " tokens"],
        sentinels: Sequence[int],
        batch_size: int,
        context: int,
        seed: int = 0,
        *,
        rate: float = 0.15,
        mean_span: float = 3.0,
        marks: Marks = MARKS,
    ):
        if batch_size < 1 or not 1 < context <= len(tokens):
            raise ValueError(
                "expected a batch_size of at least 1, and a context of at least 2 tokens and at most the "
                f"text's; got {batch_size} and {context} for {len(tokens)} tokens"
            )
        self.tokens, self.sentinels, self.marks = np.asarray(tokens), [*sentinels], marks
        self.batch_size, self.context, self.rate, self.mean_span = batch_size, context, rate, mean_span
        self._generator = torch.Generator().manual_seed(seed)
        self._corrupted(0, torch.Generator())  # what can't be corrupted is refused at once

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        last = len(self.tokens) - self.context
        starts = torch.randint(last + 1, (self.batch_size,), generator=self._generator).tolist()
        rows = [self._corrupted(start, self._generator) for start in starts]
        source, lengths = padded([[*source, self.marks.end] for source, _ in rows], self.marks.pad)
        target, _ = padded(
            [[self.marks.start, *target, self.marks.end] for _, target in rows], self.marks.pad
        )
        return source, lengths, target

    def _corrupted(self, start: int, generator: torch.Generator) -> tuple[list[int], list[int]]:
        window = self.tokens[start : start + self.context].tolist()
        return span_corruption(window, self.sentinels, self.rate, self.mean_span, generator)

    @cached_property
    def _digest(self) -> list[int]:
        return list(hashlib.sha256(self.tokens.astype("<i8").tobytes()).digest())

    def state(self) -> dict[str, Tensor]:
        sizes = [len(self.tokens), self.batch_size, self.context, self.rate, self.mean_span]
        return {
            "sizes": torch.tensor(sizes, dtype=torch.float64),
            "sha256": torch.tensor(self._digest, dtype=torch.uint8),
            "generator": self._generator.get_state(),
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go to where `state()` was taken. Raises ValueError if that was another text or size."""
        got, expected = state["sizes"].tolist(), self.state()["sizes"].tolist()
        if got != expected:
            words = "{:.0f} tokens in batches of {:.0f} x {:.0f}, at rate {} and a mean span of {}"
            raise ValueError(
                f"the run to resume read {words.format(*got)}; this one has {words.format(*expected)}"
            )
        if state["sha256"].tolist() != self._digest:
            raise ValueError("the run to resume read another text of this length: give it its own text")
        self._generator.set_state(state["generator"])
