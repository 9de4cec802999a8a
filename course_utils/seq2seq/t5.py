"""T5: every task is a text that is read and a text that is written.

Beside the transformer of 2017 its blocks norm their inputs, by RMS, and no layer adds a bias; the order is in
a bias on the scores, learnt for each head and bucket of distances and shared by the blocks of a stack; and
scores are not divided by sqrt(d_head): the queries' first weights are smaller by that factor instead.

Sources: Raffel et al. 2020, section 2.1 and, for the first weights, the authors' code (mesh_tensorflow);
Shazeer 2020 (GEGLU, in T5 1.1).
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.seq2seq.checkpoints import depth, fill_known, renamed
from course_utils.seq2seq.encoder_decoder import Seq2SeqTransformer
from course_utils.seq2seq.pairs import Marks
from course_utils.transformer import BlockConfig, Decoder, Encoder, check_ids

MARKS = Marks(pad=0, start=0, end=1)
SENTINELS = range(32_099, 31_999, -1)  # of the published vocabulary: <extra_id_0>, <extra_id_1>, ...


@dataclass(frozen=True)
class T5Config:
    """The sizes of a T5; the defaults are those of T5-small. d_head need not be d_model / n_heads. The
    activation is "relu", or "geglu" as in T5 1.1. dropout acts on the embeddings and on what a branch
    adds."""

    vocab_size: int = 32_128
    d_model: int = 512
    n_layers: int = 6
    n_heads: int = 8
    d_ff: int = 2048
    d_head: int = 64
    activation: str = "relu"
    relative_buckets: int = 32
    dropout: float = 0.0
    marks: Marks = MARKS

    @property
    def block(self) -> BlockConfig:
        return BlockConfig(
            self.d_model,
            self.n_heads,
            self.d_ff,
            pre_norm=True,
            norm="rms",
            norm_eps=1e-6,
            activation=self.activation,
            bias=False,
            dropout=self.dropout,
            d_head=self.d_head,
            scale=1.0,
            relative_buckets=self.relative_buckets,
        )


SMALL = T5Config()
BASE = T5Config(d_model=768, n_layers=12, n_heads=12, d_ff=3072)


def set_first_weights(model: nn.Module, config: T5Config) -> None:
    """Draw each matrix so that what it sums up keeps its variance, as in the authors' code."""
    inputs = {  # how many numbers each output of a layer sums up, here with the scores' missing factor
        "embedding": 1,
        "query": config.d_model * config.d_head,
        "output": config.n_heads * config.d_head,
        "down": config.d_ff,
    }
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            nn.init.normal_(parameter, std=inputs.get(name.split(".")[-2], config.d_model) ** -0.5)


class T5(Seq2SeqTransformer):
    """One matrix embeds source and target and, times 1 / sqrt(d_model), is the output layer."""

    def __init__(self, config: T5Config):
        super().__init__()
        self.config, self.marks = config, config.marks
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config.block, config.n_layers)
        self.decoder = Decoder(config.block, config.n_layers)
        set_first_weights(self, config)

    def embed_source(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time d_model"]:
        check_ids(ids, self.config.vocab_size)
        return self.dropout(self.embedding(ids))

    def embed_target(self, ids: Int[Tensor, "batch time"], start: int) -> Float[Tensor, "batch time d_model"]:
        return self.embed_source(ids)

    def logits(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... vocab"]:
        return functional.linear(x * self.config.d_model**-0.5, self.embedding.weight)


# what parameters are called in Hugging Face's files, and here
HF_NAMES = [
    (r"^shared\.", "embedding."),
    (r"block\.0\.layer\.0\.SelfAttention\.relative_attention_bias\.", "relative.table."),
    (r"final_layer_norm\.", "norm."),
    (r"\.block\.", ".blocks."),
    (r"layer\.0\.SelfAttention\.", "attention."),
    (r"layer\.1\.EncDecAttention\.", "cross_attention."),
    (r"layer\.[12]\.DenseReluDense\.", "feed_forward."),
    (r"layer\.0\.layer_norm\.", "attention_norm."),
    (r"^(decoder.*)layer\.1\.layer_norm\.", r"\1cross_norm."),
    (r"layer\.[12]\.layer_norm\.", "feed_forward_norm."),
    (r"\.q\.", ".query."),
    (r"\.k\.", ".key."),
    (r"\.v\.", ".value."),
    (r"\.o\.", ".output."),
    (r"\.wi_0\.", ".gate."),
    (r"\.wi(_1)?\.", ".up."),
    (r"\.wo\.", ".down."),
]


def from_hf(weights: dict[str, Tensor], marks: Marks = MARKS) -> T5:
    """A T5 with weights that carry Hugging Face's names; its sizes are read off them.

    Raises ValueError for weights that lack a part of it, and for those of a model that has an output layer of
    its own, as T5 1.1 and Flan-T5 do.
    """
    ours = renamed(weights, HF_NAMES)
    try:
        vocab_size, d_model = ours["embedding.weight"].shape
        buckets, n_heads = ours["encoder.relative.table.weight"].shape
        widths = len(ours["encoder.blocks.0.attention.query.weight"])
        d_ff = len(ours["encoder.blocks.0.feed_forward.up.weight"])
    except (KeyError, ValueError):
        raise ValueError(f"expected the weights of a T5; got tensors such as {sorted(weights)[:3]}") from None
    head = ours.get("lm_head.weight")
    if head is not None and not head.equal(ours["embedding.weight"]):
        raise ValueError("these weights have an output layer of their own: our T5 has its embedding for that")
    gated = "encoder.blocks.0.feed_forward.gate.weight" in ours
    config = T5Config(
        vocab_size,
        d_model,
        depth(ours),
        n_heads,
        d_ff,
        widths // n_heads,
        "geglu" if gated else "relu",
        buckets,
        marks=marks,
    )
    model = T5(config)
    fill_known(model, ours)
    return model
