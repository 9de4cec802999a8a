"""BERT: the encoder of the transformer alone, every position looking at all others.

So far it is the body, which turns a text into one vector a token and layer; `pretrained.load("minilm")` gives
one whose weights are real.

Source: Devlin et al. 2019, section 3 (the input's three embeddings: token, position, segment).
"""

import re
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_utils.attention import LearnedPositions, MultiHeadAttention, padding_mask, recorded
from course_utils.transformer import BlockConfig, Encoder, check_ids


@dataclass(frozen=True)
class BertConfig:
    """The sizes of a BERT. n_segments: how many texts may stand side by side in one input."""

    vocab_size: int
    d_model: int
    n_layers: int
    n_heads: int
    d_ff: int
    max_positions: int = 512
    n_segments: int = 2


class Bert(nn.Module):
    """Embeddings of token, position and segment, normalised together, then post-norm blocks with GELU."""

    def __init__(self, config: BertConfig):
        super().__init__()
        block = BlockConfig(config.d_model, config.n_heads, config.d_ff, activation="gelu", norm_eps=1e-12)
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        self.position = LearnedPositions(config.max_positions, config.d_model)
        self.segment = nn.Embedding(config.n_segments, config.d_model)
        self.norm = nn.LayerNorm(config.d_model, eps=block.norm_eps)
        self.encoder = Encoder(block, config.n_layers)

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, " batch"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time d_model"]:
        """One vector a token, out of the last layer."""
        return self.hidden_states(ids, lengths, segments)[-1]

    def hidden_states(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, " batch"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> list[Float[Tensor, "batch time d_model"]]:
        """The stream before the first block and after each: n_layers + 1 tensors.

        lengths say where each padded row ends; all tokens are of segment 0 if None. Raises ValueError for
        unknown ids, an empty text, and one that is longer than the table of positions.
        """
        check_ids(ids, self.token.num_embeddings)
        segments = torch.zeros_like(ids) if segments is None else segments
        mask = None if lengths is None else padding_mask(lengths, ids.shape[1]).to(ids.device)
        embedded = self.token(ids) + self.position(ids.shape[1]) + self.segment(segments)
        states = [self.norm(embedded)]
        for block in self.encoder.blocks:
            states.append(block(states[-1], mask))
        return states

    @property
    def attentions(self) -> list[MultiHeadAttention]:
        """The attention of each layer."""
        return [block.attention for block in self.encoder.blocks]

    @torch.no_grad()
    def attention_weights(self, ids: Int[Tensor, " time"]) -> Float[Tensor, "layers heads time time"]:
        """Which token each head of each layer looked at, on one text: rows are queries and sum to 1."""
        with recorded(self.attentions) as weights:
            self(ids[None])
        return torch.stack([weights[layer][0] for layer in sorted(weights)])


# what BERT's parameters are called in the files that others publish, and here
PUBLISHED = [
    (r"embeddings\.word_embeddings\.", "token."),
    (r"embeddings\.position_embeddings\.", "position.table."),
    (r"embeddings\.token_type_embeddings\.", "segment."),
    (r"embeddings\.LayerNorm\.", "norm."),
    (r"encoder\.layer\.(\d+)\.attention\.self\.(query|key|value)\.", r"encoder.blocks.\1.attention.\2."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"encoder.blocks.\1.attention.output."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.", r"encoder.blocks.\1.attention_norm."),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.", r"encoder.blocks.\1.feed_forward.up."),
    (r"encoder\.layer\.(\d+)\.output\.dense\.", r"encoder.blocks.\1.feed_forward.down."),
    (r"encoder\.layer\.(\d+)\.output\.LayerNorm\.", r"encoder.blocks.\1.feed_forward_norm."),
]


def from_published(weights: dict[str, Tensor], n_heads: int) -> Bert:
    """A Bert with weights that carry the names of Hugging Face's BertModel; its sizes are read off them.

    What is not part of the body (a pooler, buffers) is left out.
    """
    ours = {}
    for name, tensor in weights.items():
        for pattern, replacement in PUBLISHED:
            if re.match(pattern, name):
                ours[re.sub(pattern, replacement, name)] = tensor
    (vocab_size, d_model), positions = ours["token.weight"].shape, len(ours["position.table.weight"])
    n_layers = 1 + max(int(name.split(".")[2]) for name in ours if name.startswith("encoder."))
    d_ff, n_segments = len(ours["encoder.blocks.0.feed_forward.up.weight"]), len(ours["segment.weight"])
    model = Bert(BertConfig(vocab_size, d_model, n_layers, n_heads, d_ff, positions, n_segments))
    model.load_state_dict(ours)
    return model
