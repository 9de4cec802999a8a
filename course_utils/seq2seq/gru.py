"""Two GRUs: one reads the source, one writes the target, with or without attention between them.

The GRU's memory is one vector, whatever the length of the source; with attention the decoder also attends to
all states of the encoder, with new weights at every step.

Sources: Sutskever, Vinyals & Le 2014 (encoder-decoder); Cho et al. 2014 (the GRU); Bahdanau, Cho & Bengio
2015 (attention, a bidirectional encoder); Luong, Pham & Manning 2015, section 3.1 (attention after the
recurrent step, so that training runs all steps at once).
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from course_utils.attention import KeyValueCache, MultiHeadAttention, padding_mask
from course_utils.seq2seq.pairs import MARKS


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

    marks = MARKS

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
        chosen: Bool[Tensor, "batch target"] | None = None,
    ) -> Float[Tensor, "batch target vocab"] | Float[Tensor, "chosen vocab"]:
        """Logits for the token after each of `target`, or after the chosen ones alone."""
        logits, _ = self.decode(target, self.encode(source, lengths))
        return logits if chosen is None else logits[chosen]
