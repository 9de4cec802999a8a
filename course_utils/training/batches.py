"""Where training examples come from: a text as token ids, cut into batches that can be continued exactly.

All kinds give `(inputs, targets)`, each (batch, time), the targets one token further on. `state()` says
where the next batch begins, and `restore(state)` goes there, so that a resumed run reads what it would have
read. The tokens may be any 1-D array of integers, also one that stays on disk: `np.load(file,
mmap_mode="r")`.
"""

import hashlib
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

PIECE = 2**20  # tokens that are hashed at a time: a text on disk may be larger than the memory

Batch = tuple[Int[Tensor, "batch time"], Int[Tensor, "batch time"]]


@lru_cache(maxsize=8)  # a batch may stand in two epochs
def epoch_order(seed: int, epoch: int, n: int) -> Int[np.ndarray, " n"]:
    """In which order an epoch reads n things: the numbers from 0 to n - 1, shuffled, not to be written to."""
    order = np.random.default_rng([seed, epoch]).permutation(n)
    order.setflags(write=False)
    return order


class _Text:
    def __init__(self, tokens: Int[np.ndarray, " tokens"], vocab_size: int, batch_size: int, context: int):
        if not isinstance(tokens, np.ndarray) or tokens.ndim != 1 or tokens.dtype.kind not in "iu":
            raise ValueError("tokens must be a 1-D array of integers: encode the text with a tokenizer first")
        if batch_size < 1 or context < 1:
            raise ValueError(f"batch_size and context must be at least 1; got {batch_size} and {context}")
        if len(tokens) <= context or len(tokens) < batch_size * context:
            raise ValueError(
                f"a batch of {batch_size} rows of {context} tokens and one to predict is larger than the "
                f"text, which has {len(tokens)} tokens: take fewer rows, a shorter context, or more text"
            )
        if tokens.min() < 0 or tokens.max() >= vocab_size:  # here: a GPU would say it late and unclearly
            raise ValueError(
                f"tokens must be between 0 and {vocab_size - 1}; got {tokens.min()} to {tokens.max()}"
            )
        self.tokens, self.batch_size, self.context = tokens, batch_size, context

    def _batch(self, starts: Int[np.ndarray, " batch"]) -> Batch:
        places = starts[:, None] + np.arange(self.context + 1)
        rows = torch.from_numpy(self.tokens[places % len(self.tokens)].astype(np.int64))
        return rows[:, :-1], rows[:, 1:]

    @cached_property
    def _digest(self) -> list[int]:
        """The sha256 of the tokens as 64-bit numbers, whatever type they are kept in."""
        found = hashlib.sha256()
        for start in range(0, len(self.tokens), PIECE):
            found.update(self.tokens[start : start + PIECE].astype("<i8"))
        return list(found.digest())

    def _source(self) -> dict[str, Tensor]:
        """What a place belongs to: the text, and how it is cut."""
        return {
            "text_batch_context": torch.tensor([len(self.tokens), self.batch_size, self.context]),
            "text_sha256": torch.tensor(self._digest, dtype=torch.uint8),
        }

    def _check(self, state: dict[str, Tensor]) -> None:
        if state.keys() - {"text_sha256"} != self.state().keys() - {"text_sha256"}:
            raise ValueError(
                f"the run to resume read its text in another way than {type(self).__name__}: give it the "
                "batches that it began with, or name another checkpoint"
            )
        theirs, ours = state["text_batch_context"].tolist(), self._source()["text_batch_context"].tolist()
        if theirs != ours:
            raise ValueError(
                "the run to resume read a text of {} tokens in batches of {} x {}; this one has {} tokens in "
                "batches of {} x {}".format(*theirs, *ours)
            )
        if "text_sha256" not in state:
            raise ValueError(
                "the run to resume was saved before a checkpoint kept its text's sha256, so nothing tells "
                "whether it read this text: train again, or finish it with the version that began it"
            )
        if (digest := state["text_sha256"].tolist()) != self._digest:
            raise ValueError(
                f"the run to resume read another text of {theirs[0]} tokens, with the sha256 "
                f"{bytes(digest).hex()[:12]}...; this one has {bytes(self._digest).hex()[:12]}...: give it "
                "the text that it began with, or name another checkpoint"
            )


class Streams(_Text):
    """Rows that each read on where they stopped: for models that carry a state from batch to batch.

    The text is a ring. The rows start evenly spaced on it and all move on by `context` tokens a batch, so row
    i comes in time to what row i + 1 has read, and its state always belongs to the text before it. Raises
    ValueError if the batch is larger than the text or a token is outside the vocabulary.
    """

    def __init__(self, tokens: Int[np.ndarray, " tokens"], vocab_size: int, batch_size: int, context: int):
        super().__init__(tokens, vocab_size, batch_size, context)
        self._starts = np.arange(batch_size) * (len(tokens) // batch_size)
        self._position = 0

    def next(self) -> Batch:
        batch = self._batch(self._starts + self._position)
        self._position += self.context
        return batch

    def state(self) -> dict[str, Tensor]:
        return self._source() | {"position": torch.tensor(self._position)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go to where `state()` was taken. Raises ValueError if that was another text or batch size."""
        self._check(state)
        self._position = int(state["position"])


class Windows(_Text):
    """Windows that begin anywhere, drawn by a generator of their own: for models without a state.

    Each start is as likely as any other and drawn anew for each row. So windows may overlap, also within a
    batch, and there are no epochs: after as many tokens as the text has, about 1/e of it is still unread.
    Raises ValueError if the batch is larger than the text or a token is outside the vocabulary.
    """

    def __init__(
        self,
        tokens: Int[np.ndarray, " tokens"],
        vocab_size: int,
        batch_size: int,
        context: int,
        seed: int = 0,
    ):
        super().__init__(tokens, vocab_size, batch_size, context)
        self._generator = torch.Generator().manual_seed(seed)

    def next(self) -> Batch:
        last = len(self.tokens) - self.context  # a window and the token after it end with the text
        return self._batch(torch.randint(last, (self.batch_size,), generator=self._generator).numpy())

    def state(self) -> dict[str, Tensor]:
        return self._source() | {"generator": self._generator.get_state()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go to where `state()` was taken. Raises ValueError if that was another text or batch size."""
        self._check(state)
        self._generator.set_state(state["generator"])


class Epochs(_Text):
    """Windows that lie side by side, in a random order: each is read once, then all in another order.

    So a run that reads no more than the text has reads nothing twice; what `Windows` draws overlaps. Raises
    ValueError if the batch is larger than the text or a token is outside the vocabulary.
    """

    def __init__(
        self,
        tokens: Int[np.ndarray, " tokens"],
        vocab_size: int,
        batch_size: int,
        context: int,
        seed: int = 0,
    ):
        super().__init__(tokens, vocab_size, batch_size, context)
        self.n_windows = (len(tokens) - 1) // context  # the last one's last target must exist
        self._seed, self._position = seed, 0

    def next(self) -> Batch:
        numbers = range(self._position, self._position + self.batch_size)
        self._position += self.batch_size
        return self._batch(np.array([self._window(number) for number in numbers]) * self.context)

    def _window(self, number: int) -> int:
        epoch, place = divmod(number, self.n_windows)
        return epoch_order(self._seed, epoch, self.n_windows)[place]

    def state(self) -> dict[str, Tensor]:
        return self._source() | {"position": torch.tensor(self._position), "seed": torch.tensor(self._seed)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go to where `state()` was taken. Raises ValueError if that was another text or batch size."""
        self._check(state)
        self._position, self._seed = int(state["position"]), int(state["seed"])
