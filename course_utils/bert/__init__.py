"""BERT: the encoder of the transformer alone, every position looking at all others, and heads that ask it.

`Bert` turns a text into one vector a token and layer. A head turns vectors into answers: which token stood at
a masked place (`BertForMaskedLM`), whether two texts followed each other too (`BertForPreTraining`), to which
class a text belongs (`BertForSequenceClassification`).

`pretrained.load("minilm")` gives a body whose weights are real.

Source: Devlin et al. 2019, sections 3 (the input's three embeddings: token, position, segment), 3.1 (the two
pre-training tasks) and 3.2 (fine-tuning).
"""

import re
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import LearnedPositions, MultiHeadAttention, padding_mask, record_attention
from course_utils.devices import without_dropout
from course_utils.transformer import BlockConfig, Encoder, check_ids


@dataclass(frozen=True)
class BertConfig:
    """The sizes of a BERT; the defaults are those of base. n_segments: how many texts may stand side by side
    in one input. dropout acts on the embeddings and on what a branch adds."""

    vocab_size: int = 30_522
    d_model: int = 768
    n_layers: int = 12
    n_heads: int = 12
    d_ff: int = 3072
    max_positions: int = 512
    n_segments: int = 2
    dropout: float = 0.0

    @property
    def block(self) -> BlockConfig:
        sizes = self.d_model, self.n_heads, self.d_ff
        return BlockConfig(*sizes, activation="gelu", norm_eps=NORM_EPS, dropout=self.dropout)


NORM_EPS = 1e-12
BASE = BertConfig()
LARGE = BertConfig(d_model=1024, n_layers=24, n_heads=16, d_ff=4096)


class Bert(nn.Module):
    """Embeddings of token, position and segment, normalised together, then post-norm blocks with GELU.

    With `pooler` it also has the layer through which a classifier reads [CLS].
    """

    def __init__(self, config: BertConfig, pooler: bool = False):
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab_size, config.d_model)
        self.position = LearnedPositions(config.max_positions, config.d_model)
        self.segment = nn.Embedding(config.n_segments, config.d_model)
        self.norm = nn.LayerNorm(config.d_model, eps=NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = Encoder(config.block, config.n_layers)
        self.pooler = nn.Linear(config.d_model, config.d_model) if pooler else None
        self.apply(_start)

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, " batch"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
        chosen: Bool[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time d_model"] | Float[Tensor, "chosen d_model"]:
        """One vector a token, out of the last layer; or one for each chosen token, in the order of the batch.
        Then the last block works at those alone: what it would make of the others, nobody reads.

        lengths say where each padded row ends; all tokens are of segment 0 if None. Raises ValueError for
        unknown ids, an empty text, and one that is longer than the table of positions.
        """
        x, mask = self._embedded(ids, lengths, segments)
        if chosen is None:
            return self.encoder(x, mask)
        *blocks, last = self.encoder.blocks
        for block in blocks:
            x = block(x, mask)
        most = max(int(chosen.sum(1).max()), 1)
        places = chosen.byte().argsort(dim=1, descending=True, stable=True)[:, :most]  # the chosen come first
        asked = x.gather(1, places[..., None].expand(-1, -1, x.shape[-1]))  # (B, most, d_model)
        asked = last.attention_norm(asked + last.dropout(last.attention(asked, x, mask)[0]))
        asked = last.feed_forward_norm(asked + last.dropout(last.feed_forward(asked)))
        return asked[chosen.gather(1, places)]

    def hidden_states(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, " batch"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> list[Float[Tensor, "batch time d_model"]]:
        """The stream before the first block and after each: n_layers + 1 tensors. See `forward`."""
        x, mask = self._embedded(ids, lengths, segments)
        states = [x]
        for block in self.encoder.blocks:
            states.append(block(states[-1], mask))
        return states

    def _embedded(self, ids, lengths, segments) -> tuple[Tensor, Tensor | None]:
        """The stream before the first block, and which keys may be looked at."""
        check_ids(ids, self.token.num_embeddings)
        segments = torch.zeros_like(ids) if segments is None else segments
        mask = None if lengths is None else padding_mask(lengths, ids.shape[1]).to(ids.device)
        x = self.token(ids) + self.position(ids.shape[1]) + self.segment(segments)
        return self.dropout(self.norm(x)), mask

    def pooled(self, states: Float[Tensor, "batch time d_model"]) -> Float[Tensor, "batch d_model"]:
        """What stands at [CLS], through the pooler and tanh."""
        return self.pooler(states[:, 0]).tanh()

    @property
    def attentions(self) -> list[MultiHeadAttention]:
        """The attention of each layer."""
        return [block.attention for block in self.encoder.blocks]

    @torch.no_grad()
    def attention_weights(self, ids: Int[Tensor, " time"]) -> Float[Tensor, "layers heads time time"]:
        """Which token each head of each layer looked at, on one text: rows are queries and sum to 1."""
        with without_dropout(self), record_attention(self.attentions) as weights:
            self(ids[None])
        return torch.stack([weights[layer][0] for layer in sorted(weights)])


def _start(module: nn.Module) -> None:
    """First weights as in the authors' code: normal numbers of standard deviation 0.02 (they cut at two of
    those), zeros for biases."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


class MaskedLMHead(nn.Module):
    """From the vector at a place to the logits of what stood there: a layer, GELU, a norm, and then how alike
    the outcome is to the embedding of each token, plus a bias."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.dense = nn.Linear(config.d_model, config.d_model)
        self.norm = nn.LayerNorm(config.d_model, eps=NORM_EPS)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.apply(_start)

    def forward(
        self, states: Float[Tensor, "... d_model"], embedding: Float[Tensor, "vocab d_model"]
    ) -> Float[Tensor, "... vocab"]:
        return functional.linear(self.norm(functional.gelu(self.dense(states))), embedding, self.bias)


class BertForMaskedLM(nn.Module):
    """A BERT that says which token stood at each place."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.bert = Bert(config)
        self.head = MaskedLMHead(config)

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, " batch"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
        chosen: Bool[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time vocab"] | Float[Tensor, "chosen vocab"]:
        """Logits of the token at every place, or at the chosen ones alone: with 30,522 logits a place, that
        saves more than half of the work of a small model."""
        return self.head(self.bert(ids, lengths, segments, chosen), self.bert.token.weight)


class BertForPreTraining(nn.Module):
    """A BERT with the two heads it was trained with: masked tokens, and next-sentence prediction."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.bert = Bert(config, pooler=True)
        self.head = MaskedLMHead(config)
        self.next_sentence = nn.Linear(config.d_model, 2)
        _start(self.next_sentence)

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, " batch"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> tuple[Float[Tensor, "batch time vocab"], Float[Tensor, "batch 2"]]:
        """Logits of the token at every place; and of the second segment following the first (0) or coming
        from somewhere else (1)."""
        states = self.bert(ids, lengths, segments)
        return self.head(states, self.bert.token.weight), self.next_sentence(self.bert.pooled(states))


class BertForSequenceClassification(nn.Module):
    """A BERT that puts a text into one of n_classes, by what stands at [CLS]."""

    def __init__(self, config: BertConfig, n_classes: int = 2):
        super().__init__()
        self.bert = Bert(config, pooler=True)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.d_model, n_classes)
        _start(self.classifier)

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        lengths: Int[Tensor, " batch"] | None = None,
        segments: Int[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch n_classes"]:
        return self.classifier(self.dropout(self.bert.pooled(self.bert(ids, lengths, segments))))


def with_new_head(body: Bert, kind: type[nn.Module], **options) -> nn.Module:
    """A model of `kind` on a copy of a trained body; its head, and a pooler that the body lacks, are new; a
    pooler that the kind lacks is left out."""
    model = kind(body.config, **options)
    mine = model.bert.state_dict()
    model.bert.load_state_dict(mine | {name: x for name, x in body.state_dict().items() if name in mine})
    return model


# what parameters are called in Hugging Face's files, and here
HF_NAMES = [
    (r"embeddings\.word_embeddings\.", "bert.token."),
    (r"embeddings\.position_embeddings\.", "bert.position.table."),
    (r"embeddings\.token_type_embeddings\.", "bert.segment."),
    (r"embeddings\.LayerNorm\.", "bert.norm."),
    (r"encoder\.layer\.(\d+)\.attention\.self\.(query|key|value)\.", r"bert.encoder.blocks.\1.attention.\2."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"bert.encoder.blocks.\1.attention.output."),
    (r"encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.", r"bert.encoder.blocks.\1.attention_norm."),
    (r"encoder\.layer\.(\d+)\.intermediate\.dense\.", r"bert.encoder.blocks.\1.feed_forward.up."),
    (r"encoder\.layer\.(\d+)\.output\.dense\.", r"bert.encoder.blocks.\1.feed_forward.down."),
    (r"encoder\.layer\.(\d+)\.output\.LayerNorm\.", r"bert.encoder.blocks.\1.feed_forward_norm."),
    (r"pooler\.dense\.", "bert.pooler."),
    (r"cls\.predictions\.transform\.dense\.", "head.dense."),
    (r"cls\.predictions\.transform\.LayerNorm\.", "head.norm."),
    (r"cls\.predictions\.bias", "head.bias"),
    (r"cls\.seq_relationship\.", "next_sentence."),
    (r"classifier\.", "classifier."),
]


def from_hf(weights: dict[str, Tensor], n_heads: int, kind: type[nn.Module] = Bert) -> nn.Module:
    """A Bert, or another `kind` of model here, with weights that carry Hugging Face's names; its sizes are
    read off them.

    What the model doesn't have, such as a pooler in a plain Bert, is left out. Raises ValueError for weights
    that lack a part of it.
    """
    ours = {}
    for name, tensor in weights.items():
        name = re.sub("gamma$", "weight", re.sub("beta$", "bias", name.removeprefix("bert.")))
        for pattern, replacement in HF_NAMES:
            if re.match(pattern, name):
                ours[re.sub(pattern, replacement, name)] = tensor
    try:
        (vocab_size, d_model), positions = (
            ours["bert.token.weight"].shape,
            len(ours["bert.position.table.weight"]),
        )
        n_layers = 1 + max(int(name.split(".")[3]) for name in ours if ".blocks." in name)
        d_ff, n_segments = (
            len(ours[f"bert.{part}.weight"]) for part in ("encoder.blocks.0.feed_forward.up", "segment")
        )
    except (KeyError, ValueError):
        raise ValueError(
            f"expected the weights of a BERT; got tensors such as {sorted(weights)[:3]}"
        ) from None
    config = BertConfig(vocab_size, d_model, n_layers, n_heads, d_ff, positions, n_segments)
    if kind is Bert:
        model = Bert(config)
        ours = {name.removeprefix("bert."): tensor for name, tensor in ours.items()}
    elif kind is BertForSequenceClassification:
        model = kind(config, len(ours.get("classifier.bias", (0, 1))))
    else:
        model = kind(config)
    missing = sorted(model.state_dict().keys() - ours.keys())
    if missing:
        raise ValueError(f"these weights lack {missing[0]}, which a {kind.__name__} has: build another kind")
    model.load_state_dict({name: ours[name] for name in model.state_dict()})
    return model
