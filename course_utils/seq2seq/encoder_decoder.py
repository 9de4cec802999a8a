"""The transformer as it was in 2017, and what every encoder-decoder of two stacks has in common.

Source: Vaswani et al. 2017, sections 3.1 (the two stacks) and 3.4 (embeddings).
"""

import math
from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import MultiHeadAttention, padding_mask, sinusoidal_positions
from course_utils.seq2seq.pairs import MARKS
from course_utils.transformer import BlockCache, BlockConfig, Decoder, Encoder, check_ids


class Memory(NamedTuple):
    """What the encoder passes to the decoder."""

    states: Float[Tensor, "batch source d_model"]
    mask: Bool[Tensor, "batch 1 1 source"]  # False at padding


class Seq2SeqTransformer(nn.Module):
    """An encoder that reads a source whole, and a decoder that writes a target from left to right.

    A subclass makes these two, and says how they read ids and what the last vectors mean.
    """

    encoder: Encoder
    decoder: Decoder
    marks = MARKS

    def embed_source(self, ids: Int[Tensor, "batch source"]) -> Float[Tensor, "batch source d_model"]:
        raise NotImplementedError

    def embed_target(self, ids: Int[Tensor, "batch time"], start: int) -> Float[Tensor, "batch time d_model"]:
        """The vectors of tokens that follow `start` others."""
        raise NotImplementedError

    def logits(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocab"]:
        raise NotImplementedError

    @property
    def cross_attentions(self) -> list[MultiHeadAttention]:
        return [block.cross_attention for block in self.decoder.blocks]

    def encode(self, source: Int[Tensor, "batch source"], lengths: Int[Tensor, " batch"]) -> Memory:
        """Read the sources, padded on the right to one length; no position attends to the padding."""
        x = self.embed_source(source)
        mask = padding_mask(lengths, source.shape[1]).to(source.device)
        return Memory(self.encoder(x, mask), mask)

    def decode(
        self, target: Int[Tensor, "batch time"], memory: Memory, state: list[BlockCache] | None = None
    ) -> tuple[Float[Tensor, "batch time vocab"], list[BlockCache]]:
        """Logits for the token after each of `target`, and the state to go on from; `state` is left alone."""
        caches = [cache.copy() for cache in state] if state else [BlockCache() for _ in self.decoder.blocks]
        x = self.embed_target(target, len(caches[0].attention))
        return self.logits(self.decoder(x, memory.states, memory.mask, caches)), caches

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        lengths: Int[Tensor, " batch"],
        target: Int[Tensor, "batch time"],
        chosen: Bool[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time vocab"] | Float[Tensor, "chosen vocab"]:
        """Logits for the token after each of `target`, or after the chosen ones alone: with thousands of
        logits a token, those after padding are worth leaving out."""
        memory = self.encode(source, lengths)
        x = self.decoder(self.embed_target(target, 0), memory.states, memory.mask)
        return self.logits(x if chosen is None else x[chosen])


class EncoderDecoder(Seq2SeqTransformer):
    """The transformer of 2017.

    Embeddings times sqrt(d_model) plus sinusoidal positions; the target's embedding is also the output layer
    (Vaswani et al. 2017, section 3.4). `config` gives the blocks of both stacks.
    """

    def __init__(self, source_vocab: int, target_vocab: int, config: BlockConfig, n_layers: int):
        super().__init__()
        self.source_embedding = nn.Embedding(source_vocab, config.d_model)
        self.target_embedding = nn.Embedding(target_vocab, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config, n_layers)
        self.decoder = Decoder(config, n_layers)
        for name, parameter in self.named_parameters():
            if "embedding" in name:
                nn.init.normal_(parameter, std=config.d_model**-0.5)
            elif parameter.dim() == 2:
                nn.init.xavier_uniform_(parameter)

    def embed_source(self, ids: Tensor) -> Tensor:
        return self._embed(self.source_embedding, ids, 0)

    def embed_target(self, ids: Tensor, start: int) -> Tensor:
        return self._embed(self.target_embedding, ids, start)

    def logits(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.target_embedding.weight)

    def _embed(self, embedding: nn.Embedding, ids: Tensor, start: int) -> Tensor:
        check_ids(ids, embedding.num_embeddings)
        x = embedding(ids) * math.sqrt(embedding.embedding_dim)
        positions = sinusoidal_positions(ids.shape[1], embedding.embedding_dim, start)
        return self.dropout(x + positions.to(x))
