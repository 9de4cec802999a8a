"""From one sequence to another: an encoder reads the source, a decoder writes the target token by token.

Every encoder-decoder of the course has one interface. `encode(source, lengths)` gives the memory, all that
the decoder will know of the source. `decode(target, memory, state)` gives the logits of the token after each
of `target`, and a state that holds what was read so far, so that each step reads one token. A list, with one
a layer or empty, is in `cross_attentions`.

The GRU's memory is one vector, whatever the length of the source; with attention the decoder also attends to
all states of the encoder, with new weights at every step.

Sources: Sutskever, Vinyals & Le 2014 (encoder-decoder); Cho et al. 2014 (the GRU); Bahdanau, Cho & Bengio
2015 (attention, a bidirectional encoder); Luong, Pham & Manning 2015, section 3.1 (attention after the
recurrent step, so that training runs all steps at once).
"""

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from course_utils.attention import KeyValueCache, MultiHeadAttention, padding_mask, record_attention
from course_utils.tokenizers.symbols import END, PAD, START


def padded(
    rows: Sequence[Sequence[int]], pad: int = PAD
) -> tuple[Int[Tensor, "batch longest"], Int[Tensor, " batch"]]:
    """Rows of ids as one tensor, the shorter ones padded with `pad`, and their lengths. Raises ValueError if
    there are no rows, or one is empty."""
    if not rows or not all(rows):
        raise ValueError(f"expected rows of at least one id each; got {list(rows)[:3]}")
    lengths = torch.tensor([*map(len, rows)])
    array = torch.full((len(rows), lengths.max()), pad)
    array[torch.arange(array.shape[1]) < lengths[:, None]] = torch.tensor([*itertools.chain(*rows)])
    return array, lengths


class Pairs:
    """Random batches of sources and targets for `training.train`.

    `next()` gives (source, lengths, target): the rows padded to the longest of the batch, the target between
    `start` and `end`. Rows are drawn with replacement by a generator of their own, for `pool` batches at
    once; these are sorted by length and cut into batches, which are returned in random order. So the rows of
    a batch are of similar length, and less padding is computed. Raises ValueError if the numbers of sources
    and targets differ, if one of them is empty, or if the end is the padding, which `pair_loss` leaves out.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        batch_size: int,
        seed: int = 0,
        pool: int = 1,
        *,
        pad: int = PAD,
        start: int = START,
        end: int = END,
    ):
        if len(sources) != len(targets) or batch_size < 1 or pool < 1:
            raise ValueError(
                "expected as many targets as sources, and batch_size and pool of at least 1; got "
                f"{len(sources)} sources, {len(targets)} targets, {batch_size} and {pool}"
            )
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


@dataclass(frozen=True)
class GRUMemory:
    """What the GRU's encoder passes to the decoder: its state at each token of the source, and the last."""

    states: Float[Tensor, "batch source d_hidden"]
    mask: Bool[Tensor, "batch 1 1 source"]  # False at padding
    last: Float[Tensor, "batch d_hidden"]


class GRUSeq2Seq(nn.Module):
    """A bidirectional GRU reads, a GRU writes; with n_heads above 0 it also attends to the source.

    Half of the encoder reads forwards and half backwards, and their two last states, concatenated, are the
    decoder's first: with n_heads = 0 that vector of d_hidden numbers is all it ever learns of the source. The
    attention's queries are the decoder's states, and what it gathers is added to them. Raises ValueError for
    an odd d_hidden, and for heads that don't divide it.
    """

    def __init__(
        self, source_vocab: int, target_vocab: int, d_embedding: int, d_hidden: int, n_heads: int = 0
    ):
        super().__init__()
        if d_hidden % 2:
            raise ValueError(f"d_hidden must be even, for the encoder's two directions; got {d_hidden}")
        self.source_embedding = nn.Embedding(source_vocab, d_embedding)
        self.target_embedding = nn.Embedding(target_vocab, d_embedding)
        self.encoder = nn.GRU(d_embedding, d_hidden // 2, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(d_embedding, d_hidden, batch_first=True)
        attentions = [MultiHeadAttention(d_hidden, n_heads)] if n_heads else []
        self.cross_attentions = nn.ModuleList(attentions)
        self.head = nn.Linear(d_hidden, target_vocab)

    def encode(self, source: Int[Tensor, "batch source"], lengths: Int[Tensor, " batch"]) -> GRUMemory:
        # packed, so that the half that reads backwards begins with the last token and not with padding
        x = pack_padded_sequence(self.source_embedding(source), lengths.cpu(), True, enforce_sorted=False)
        states, last = self.encoder(x)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=source.shape[1])
        mask = padding_mask(lengths, source.shape[1])
        return GRUMemory(states, mask, last.transpose(0, 1).flatten(1))  # last: (2, B, C / 2) -> (B, C)

    def decode(
        self,
        target: Int[Tensor, "batch target"],
        memory: GRUMemory,
        state: tuple[Tensor, KeyValueCache] | None = None,
    ) -> tuple[Float[Tensor, "batch target vocab"], tuple[Tensor, KeyValueCache]]:
        hidden, cache = state or (memory.last[None].contiguous(), KeyValueCache())
        x, hidden = self.decoder(self.target_embedding(target), hidden)  # (B, T, C)
        for attention in self.cross_attentions:
            x = x + attention(x, memory.states, memory.mask, cache)[0]
        return self.head(x), (hidden, cache)

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        lengths: Int[Tensor, " batch"],
        target: Int[Tensor, "batch target"],
    ) -> Float[Tensor, "batch target vocab"]:
        return self.decode(target, self.encode(source, lengths))[0]


def pair_loss(
    model: nn.Module, batch: tuple[Tensor, ...], state: None, pad: int = PAD
) -> tuple[Tensor, None]:
    """Mean nats a target token, its end included, padding excluded. The decoder reads the true target, not
    its own (teacher forcing)."""
    source, lengths, target = batch
    logits = model(source, lengths, target[:, :-1])
    loss = functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=pad)
    return loss, None


@torch.no_grad()
def greedy(
    model: nn.Module,
    sources: Sequence[Sequence[int]],
    max_new: int = 32,
    batch_size: int | None = None,
    *,
    pad: int = PAD,
    start: int = START,
    end: int = END,
) -> list[list[int]]:
    """Write the target of each source, always taking the likeliest token, until `end` or `max_new` tokens.

    All sources are one batch. With `batch_size` they are read in batches of similar length, which is faster:
    a short one need not wait for the longest. The answers are in the order of the sources.
    """
    if batch_size:
        order = sorted(range(len(sources)), key=lambda row: len(sources[row]))
        written = {}
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            some = [sources[row] for row in rows]
            written |= zip(rows, greedy(model, some, max_new, pad=pad, start=start, end=end), strict=True)
        return [written[row] for row in range(len(sources))]
    device = next(model.parameters()).device
    source, lengths = (tensor.to(device) for tensor in padded(sources, pad))
    training = model.training
    model.eval()
    memory, state = model.encode(source, lengths), None
    token, written = torch.full_like(lengths, start)[:, None], []  # (B, 1)
    ended = torch.zeros_like(token, dtype=torch.bool)
    while len(written) < max_new and not ended.all():
        logits, state = model.decode(token, memory, state)
        token = logits.argmax(-1)
        ended |= token == end
        written.append(token)
    model.train(training)
    rows = torch.cat(written, dim=1).tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]


@contextlib.contextmanager
def edit_cross_attention(model: nn.Module, edit: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """While it lasts, `edit` changes the weights (B, H, Tq, Tk) of every cross-attention of the model."""
    before = [attention.edit for attention in model.cross_attentions]
    for attention in model.cross_attentions:
        attention.edit = edit
    try:
        yield
    finally:
        for attention, own in zip(model.cross_attentions, before, strict=True):
            attention.edit = own


@torch.no_grad()
def cross_weights(
    model: nn.Module, source: Sequence[int], target: Sequence[int], start: int = START
) -> Float[Tensor, "layers heads target source"]:
    """Where the decoder attends in the source as it writes each token of the target, the first one included:
    row t belongs to target[t], which the decoder has not read yet."""
    device = next(model.parameters()).device
    with record_attention(model.cross_attentions) as weights:
        model(*(x.to(device) for x in (*padded([source]), torch.tensor([[start, *target[:-1]]]))))
    return torch.stack([weights[layer][0] for layer in sorted(weights)])
