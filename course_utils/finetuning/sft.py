"""Supervised fine-tuning: next-token prediction on conversations, with loss on the answers alone.

    template = smollm2_template()
    examples = [template.labelled(messages) for messages in conversations]
    train(model, Examples(examples, batch_size=8, context=256), config, loss=sft_loss)

Conversations are short and of all lengths. Padded to the longest, most of a batch may be padding; packed,
several stand in one row, and a mask keeps each from looking into another.

Sources: Ouyang et al. 2022, "InstructGPT", section 3 (the step); Krell et al. 2021 (packing without
cross-contamination).
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.tokenizers.chat import IGNORED, Labelled
from course_utils.training.batches import epoch_order


def document_mask(documents: Int[Tensor, "batch time"]) -> Bool[Tensor, "batch 1 time time"]:
    """Which positions belong to one text: `documents` numbers the texts of each row, padding being one too.
    That nothing looks ahead is the decoder's own mask."""
    return (documents[:, :, None] == documents[:, None, :])[:, None]


def pack(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Put texts of these lengths into rows of `room` tokens: the longest first, each into the first row that
    has room for it. Returns the texts' numbers, a list a row.

    A row that is too full for one text is so for all of its length: the search for the next goes on there.
    """
    rows, left, length, at = [], [], None, 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if lengths[i] != length:
            length, at = lengths[i], 0
        while at < len(rows) and left[at] < length:
            at += 1
        if at == len(rows):
            rows.append([]), left.append(room)
        rows[at].append(i)
        left[at] -= length
    return rows


class Examples:
    """Batches of labelled texts, for `training.train` with `sft_loss`: each once an epoch, in a new order.

    Packed, a row holds as many texts as find room in `context` tokens, and `batch_size` counts rows; else
    each text has a row of its own, padded to the longest of its batch. Texts are never cut. Raises ValueError
    for no text, one longer than the context, one whose labels are all `IGNORED` but for its first token,
    which nothing predicts, and ids and labels that don't go together.
    """

    def __init__(
        self, examples: Sequence[Labelled], batch_size: int, context: int, packed: bool = True, seed: int = 0
    ):
        if batch_size < 1 or not examples:
            raise ValueError(
                f"expected an example and a batch_size of at least 1; got {len(examples)} examples and "
                f"{batch_size}"
            )
        for number, (ids, labels) in enumerate(examples):
            _check(number, ids, labels, context)
        lengths = [len(ids) for ids, _ in examples]
        self.rows = pack(lengths, context) if packed else [[i] for i in range(len(examples))]
        self.examples, self.batch_size, self.context = examples, batch_size, context
        self._packed, self._seed, self._drawn = packed, seed, 0

    def next(self) -> tuple[Int[Tensor, "batch time"], ...]:
        """Ids, labels and, if packed, the number of the text that each position belongs to, -1 at padding."""
        numbers = range(self._drawn, self._drawn + self.batch_size)
        self._drawn = numbers.stop
        return self.batch([self._row(number) for number in numbers])

    def _row(self, number: int) -> list[int]:
        epoch, place = divmod(number, len(self.rows))
        return self.rows[epoch_order(self._seed, epoch, len(self.rows))[place]]

    def batch(self, rows: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "batch time"], ...]:
        """The batch whose rows hold the texts with these numbers."""
        longest = max(sum(len(self.examples[i].ids) for i in row) for row in rows)
        ids, labels, documents = np.full((3, len(rows), longest), [[[0]], [[IGNORED]], [[-1]]])
        for at, row in enumerate(rows):
            start = 0
            for number, i in enumerate(row):
                end = start + len(self.examples[i].ids)
                ids[at, start:end], labels[at, start:end] = self.examples[i]
                labels[at, start] = IGNORED  # what stands before it is another text, or nothing
                documents[at, start:end] = number
                start = end
        tensors = [torch.from_numpy(x) for x in (ids, labels, documents)]
        return tuple(tensors if self._packed else tensors[:2])

    @cached_property
    def _digest(self) -> Int[Tensor, "32"]:
        content = repr(
            (self._packed, self._seed, self.batch_size, self.context, [*map(tuple, self.examples)])
        )
        return torch.tensor([*hashlib.sha256(content.encode()).digest()], dtype=torch.uint8)

    def state(self) -> dict[str, Tensor]:
        return {"drawn": torch.tensor(self._drawn), "sha256": self._digest}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go to where `state()` was taken. Raises ValueError if that was with other examples or settings."""
        if "sha256" not in state or not state["sha256"].equal(self._digest):
            raise ValueError(
                "the run to resume had other examples, rows or another seed: give it those that it began "
                "with, or name another checkpoint"
            )
        self._drawn = int(state["drawn"])


def _check(number: int, ids: Sequence[int], labels: Sequence[int], context: int) -> None:
    """Raise ValueError, naming the example, if nothing can be learnt from it as it is."""
    if len(ids) != len(labels) or any(
        label not in (i, IGNORED) for i, label in zip(ids, labels, strict=True)
    ):
        raise ValueError(
            f"example {number}: each label must be its token's own id, or {IGNORED} where nothing is learnt; "
            "the loss shifts them, not you"
        )
    if len(ids) > context:
        raise ValueError(
            f"example {number} has {len(ids)} tokens with its answer, and a row has room for {context}: "
            "shorten it, or take a larger context; cut off, it would teach to write without an end"
        )
    if all(label == IGNORED for label in labels[1:]):
        raise ValueError(
            f"example {number} has no token to learn: its labels are all {IGNORED}; is its answer empty, or "
            "was it taken for part of the prompt?"
        )


def sft_loss(model: nn.Module, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
    """Mean nats of the tokens that have a label, each predicted from those before it in its own text.

    Only for these are logits computed: with a vocabulary of 49,152 they are a fifth of a small model's work.
    Raises ValueError for a batch without any, whose mean would be 0 / 0.
    """
    ids, labels, *documents = batch
    targets = labels[:, 1:]
    learnt = targets != IGNORED
    if not learnt.any():
        raise ValueError(f"all labels of this batch are {IGNORED}: no token of it is to be learnt")
    mask = document_mask(documents[0][:, :-1]) if documents else None
    logits = model(ids[:, :-1], mask=mask, chosen=learnt)
    return functional.cross_entropy(logits, targets[learnt]), None
