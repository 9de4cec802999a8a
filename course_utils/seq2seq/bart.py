"""BART: reads a text that was damaged, and writes the whole of it as it was.

The transformer of 2017 with GELU, a learnt table of positions for each stack, a norm after the embeddings,
and one matrix that embeds source and target and is the output layer.

Source: Lewis et al. 2020, section 2.1; where it says nothing (the norm, two tables), the authors' code
(fairseq).
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import LearnedPositions
from course_utils.seq2seq.checkpoints import depth, fill_known, renamed
from course_utils.seq2seq.encoder_decoder import Seq2SeqTransformer
from course_utils.seq2seq.pairs import Marks
from course_utils.transformer import BlockConfig, Decoder, Encoder, check_ids

MARKS = Marks(pad=1, start=2, end=2)
UNREAD = 2  # rows at the start of each table of positions: the authors' code counts on from the padding's id


@dataclass(frozen=True)
class BARTConfig:
    """The sizes of a BART; the defaults are those of base. dropout acts on the embeddings and on what a
    branch adds."""

    vocab_size: int = 50_265
    d_model: int = 768
    n_layers: int = 6
    n_heads: int = 12
    d_ff: int = 3072
    max_positions: int = 1024
    dropout: float = 0.0
    marks: Marks = MARKS

    @property
    def block(self) -> BlockConfig:
        sizes = self.d_model, self.n_heads, self.d_ff
        return BlockConfig(*sizes, activation="gelu", dropout=self.dropout)


BASE = BARTConfig()
LARGE = BARTConfig(d_model=1024, n_layers=12, n_heads=16, d_ff=4096)


class BART(Seq2SeqTransformer):
    """Post-norm blocks on embeddings of token and position, which are normed together."""

    def __init__(self, config: BARTConfig):
        super().__init__()
        self.config, self.marks = config, config.marks
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.source_positions = LearnedPositions(config.max_positions + UNREAD, config.d_model)
        self.target_positions = LearnedPositions(config.max_positions + UNREAD, config.d_model)
        self.source_norm, self.target_norm = nn.LayerNorm(config.d_model), nn.LayerNorm(config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config.block, config.n_layers)
        self.decoder = Decoder(config.block, config.n_layers)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def embed_source(self, ids: Int[Tensor, "batch source"]) -> Float[Tensor, "batch source d_model"]:
        return self._embed(ids, 0, self.source_positions, self.source_norm)

    def embed_target(self, ids: Int[Tensor, "batch time"], start: int) -> Float[Tensor, "batch time d_model"]:
        return self._embed(ids, start, self.target_positions, self.target_norm)

    def _embed(self, ids: Tensor, start: int, positions: LearnedPositions, norm: nn.LayerNorm) -> Tensor:
        """Raises ValueError for unknown ids, an empty text, and one that is longer than the tables."""
        check_ids(ids, self.config.vocab_size)
        if start + ids.shape[1] > self.config.max_positions:
            raise ValueError(
                f"this BART reads and writes at most {self.config.max_positions} tokens; got "
                f"{start + ids.shape[1]}: cut the text into pieces"
            )
        return self.dropout(norm(self.embedding(ids) + positions(ids.shape[1], start + UNREAD)))

    def logits(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocab"]:
        return functional.linear(x, self.embedding.weight)


# what parameters are called in Hugging Face's files, and here
HF_NAMES = [
    (r"^model\.", ""),
    (r"^shared\.", "embedding."),
    (r"^encoder\.embed_positions\.", "source_positions.table."),
    (r"^decoder\.embed_positions\.", "target_positions.table."),
    (r"^encoder\.layernorm_embedding\.", "source_norm."),
    (r"^decoder\.layernorm_embedding\.", "target_norm."),
    (r"\.layers\.", ".blocks."),
    (r"self_attn_layer_norm\.", "attention_norm."),
    (r"encoder_attn_layer_norm\.", "cross_norm."),
    (r"final_layer_norm\.", "feed_forward_norm."),
    (r"self_attn\.", "attention."),
    (r"encoder_attn\.", "cross_attention."),
    (r"\.q_proj\.", ".query."),
    (r"\.k_proj\.", ".key."),
    (r"\.v_proj\.", ".value."),
    (r"\.out_proj\.", ".output."),
    (r"\.fc1\.", ".feed_forward.up."),
    (r"\.fc2\.", ".feed_forward.down."),
]


def from_hf(weights: dict[str, Tensor], n_heads: int, marks: Marks = MARKS) -> BART:
    """A BART with weights that carry Hugging Face's names; its sizes, but for n_heads, are read off them.

    Raises ValueError for weights that lack a part of it, and for those of a model that adds a bias to its
    logits, as some tuned ones do.
    """
    ours = renamed(weights, HF_NAMES)
    try:
        vocab_size, d_model = ours["embedding.weight"].shape
        d_ff = len(ours["encoder.blocks.0.feed_forward.up.weight"])
        rows = len(ours["source_positions.table.weight"])
    except KeyError:
        raise ValueError(
            f"expected the weights of a BART; got tensors such as {sorted(weights)[:3]}"
        ) from None
    if "final_logits_bias" in ours and ours["final_logits_bias"].any():
        raise ValueError("these weights add a bias to the logits: our BART has none")
    model = BART(BARTConfig(vocab_size, d_model, depth(ours), n_heads, d_ff, rows - UNREAD, marks=marks))
    fill_known(model, ours)
    return model
