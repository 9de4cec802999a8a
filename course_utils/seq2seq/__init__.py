"""From one sequence to another: an encoder reads the source, a decoder writes the target token by token.

Every encoder-decoder of the course has one interface. `encode(source, lengths)` gives the memory, all that
the decoder will know of the source. `decode(target, memory, state)` gives the logits of the token after each
of `target`, and a state that holds what was read so far, so that each step reads one token. A list, with one
a layer or empty, is in `cross_attentions`; the ids that pad, start and end are in `marks`.

`GRUSeq2Seq` is two GRUs, `EncoderDecoder` the transformer of 2017, and `T5` and `BART` are those that were
trained to mend damaged texts; `Conditioned` lets what these two write be sampled and searched. `DecoderOnly`
does with one stack what they do with two, and `flops` says what either costs.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_utils.attention import record_attention
from course_utils.devices import without_dropout
from course_utils.seq2seq.bart import BART, BARTConfig
from course_utils.seq2seq.conditioned import Conditioned
from course_utils.seq2seq.decoder_only import DecoderOnly
from course_utils.seq2seq.encoder_decoder import EncoderDecoder, Memory
from course_utils.seq2seq.flops import decoder_only_flops, encoder_decoder_flops
from course_utils.seq2seq.gru import GRUMemory, GRUSeq2Seq
from course_utils.seq2seq.pairs import MARKS, Marks, Pairs, padded, pair_loss
from course_utils.seq2seq.t5 import T5, T5Config

__all__ = [
    "BART",
    "T5",
    "BARTConfig",
    "Conditioned",
    "DecoderOnly",
    "EncoderDecoder",
    "GRUMemory",
    "GRUSeq2Seq",
    "Marks",
    "Memory",
    "Pairs",
    "T5Config",
    "cross_weights",
    "decoder_only_flops",
    "edit_cross_attention",
    "encoder_decoder_flops",
    "greedy",
    "padded",
    "pair_loss",
]

PAD, START, END = MARKS


@torch.no_grad()
def greedy(
    model: nn.Module,
    sources: Sequence[Sequence[int]],
    max_new: int = 32,
    batch_size: int | None = None,
    no_repeat: int | None = None,
) -> list[list[int]]:
    """Write the target of each source, always taking the likeliest token, to its end or for `max_new` tokens.

    All sources are one batch. With `batch_size` they are read in batches of similar length, which is faster:
    a short one need not wait for the longest. The answers are in the order of the sources. With `no_repeat`
    no run of so many tokens is written twice (Paulus et al. 2018): a weak model can't go round in a circle.
    """
    if max_new < 1:
        raise ValueError(f"max_new, how many tokens may be written, is 1 at least; got {max_new}")
    if batch_size:
        return by_length(sources, batch_size, lambda some: greedy(model, some, max_new, None, no_repeat))
    device, (pad, start, end) = next(model.parameters()).device, model.marks
    source, lengths = (tensor.to(device) for tensor in padded(sources, pad))
    token, written = torch.full_like(lengths, start)[:, None], []  # (B, 1)
    ended = torch.zeros_like(token, dtype=torch.bool)
    with without_dropout(model):
        memory, state = model.encode(source, lengths), None
        while len(written) < max_new and not ended.all():
            logits, state = model.decode(token, memory, state)
            if no_repeat and written:
                for row, ids in enumerate(torch.cat(written, dim=1).tolist()):
                    logits[row, -1, repeats(ids, no_repeat)] = -torch.inf
            token = logits.argmax(-1)
            ended |= token == end
            written.append(token)
    rows = torch.cat(written, dim=1).tolist()
    return [row[: row.index(end)] if end in row else row for row in rows]


def by_length(
    sources: Sequence[Sequence[int]], batch_size: int, write: Callable[[list[Sequence[int]]], list[list[int]]]
) -> list[list[int]]:
    """What `write` makes of batches of sources of similar length, in the order of the sources."""
    order = sorted(range(len(sources)), key=lambda row: len(sources[row]))
    written = {}
    for first in range(0, len(order), batch_size):
        rows = order[first : first + batch_size]
        written |= zip(rows, write([sources[row] for row in rows]), strict=True)
    return [written[row] for row in range(len(sources))]


def repeats(ids: Sequence[int], length: int) -> list[int]:
    """The tokens that would end a run of `length` tokens which the ids already hold."""
    end = list(ids[len(ids) - length + 1 :])
    return [ids[i + length - 1] for i in range(len(ids) - length + 1) if list(ids[i : i + length - 1]) == end]


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
    model: nn.Module, source: Sequence[int], target: Sequence[int]
) -> Float[Tensor, "layers heads target source"]:
    """Where the decoder attends in the source as it writes each token of the target, the first one included:
    row t belongs to target[t], which the decoder has not read yet. The model must have cross-attention."""
    device = next(model.parameters()).device
    with without_dropout(model), record_attention(model.cross_attentions) as weights:
        model(*(x.to(device) for x in (*padded([source]), torch.tensor([[model.marks.start, *target[:-1]]]))))
    return torch.stack([weights[layer][0] for layer in sorted(weights)])
