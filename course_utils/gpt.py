"""GPT: a stack of blocks that look back, trained to predict the next token.

One class serves what a learner trains and what SmolLM2 is loaded into. It is the decoder of chapter 5 without
a source to attend to, in SmolLM2's form, which is Llama's block (RMS norm on each branch's input, rotary
positions, SwiGLU, no biases) with heads that may share keys and values, and, as in many small models, one
matrix as both embedding and head.

Sources: Liu et al. 2018 (a decoder alone); Radford et al. 2018, 2019 (GPT, its initialisation); Touvron et
al. 2023 (Llama's block); Ainslie et al. 2023 (grouped queries); Press & Wolf 2017 (tied embeddings); Pagnoni
et al. 2024 (embeddings of n-grams).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.devices import without_dropout
from course_utils.transformer import BlockCache, BlockConfig, Decoder, check_ids


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a GPT; `context` is the largest number of tokens that it reads at once.

    With fewer n_kv_heads than n_heads, neighbouring heads share keys and values; if None, each has its own.
    d_ff is 8/3 d_model, rounded up to a multiple of 64, if None: SwiGLU has three matrices where others have
    two, so this costs what 4 d_model costs them. With ngrams >= 2, runs of up to that many tokens have
    embeddings as well, in ngram_rows rows: see `NGramEmbedding`. For the rest see `BlockConfig`; the defaults
    are those of Llama's block. Raises ValueError for sizes below 1; head counts and widths must divide as
    `MultiHeadAttention` requires.
    """

    vocab_size: int
    context: int
    n_layers: int
    n_heads: int
    d_model: int
    n_kv_heads: int | None = None
    d_ff: int | None = None
    rotary_base: float = 10_000.0
    norm: str = "rms"
    norm_eps: float = 1e-5
    qk_norm: bool = False
    token_shift: bool = False
    ngrams: int = 1
    ngram_rows: int = 32_749
    dropout: float = 0.0

    def __post_init__(self):
        for name in ("vocab_size", "context", "n_layers", "n_heads", "d_model", "ngrams", "ngram_rows"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}")

    @property
    def block(self) -> BlockConfig:
        return BlockConfig(
            self.d_model,
            self.n_heads,
            self.d_ff or -(-8 * self.d_model // (3 * 64)) * 64,
            self.n_kv_heads,
            pre_norm=True,
            norm=self.norm,
            norm_eps=self.norm_eps,
            activation="swiglu",
            bias=False,
            dropout=self.dropout,
            rotary_base=self.rotary_base,
            qk_norm=self.qk_norm,
            token_shift=self.token_shift,
        )


class NGramEmbedding(nn.Module):
    """The sum of a vector for the last 2 tokens at each position, one for the last 3, and so on to `longest`.

    So the model has what an n-gram model counts, for the price of a look-up: nothing is multiplied. No table
    has room for every n-gram. Each is a number in base vocab_size + 1, and its row is that number modulo the
    number of rows, preferably a prime; several n-grams may share a row. Rows start at zero.
    Source: Pagnoni et al. 2024, section 3.2.1; they have a table for each n.
    """

    def __init__(self, vocab_size: int, d_model: int, longest: int, rows: int):
        super().__init__()
        self.vocab_size, self.longest = vocab_size, longest
        self.table = nn.Embedding(rows, d_model)
        nn.init.zeros_(self.table.weight)

    def forward(self, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time d_model"]:
        """The id `vocab_size` stands for no token, as before the first one."""
        padded = functional.pad(ids, (self.longest - 1, 0), value=self.vocab_size)
        latest = padded.unfold(1, self.longest, 1).flip(-1)  # (B, T, longest): this id, the one before, ...
        places = torch.arange(self.longest, device=ids.device)
        numbers = (latest * (self.vocab_size + 1) ** places).cumsum(-1)[..., 1:]  # (B, T, longest - 1)
        return self.table(numbers % self.table.num_embeddings).sum(-2)


class GPTCache:
    """What a GPT keeps of the tokens it has read: a cache for each block and, with `ngrams`, their ids."""

    def __init__(self, n_layers: int):
        self.blocks = [BlockCache() for _ in range(n_layers)]
        self.ids: Int[Tensor, "batch time"] | None = None  # vocab_size at padding

    def __len__(self) -> int:
        """How many tokens have been read."""
        return len(self.blocks[0].attention)

    def copy(self) -> "GPTCache":
        """A state to come back to: what is read into either of the two later never shows in the other."""
        twin = GPTCache(0)
        twin.blocks, twin.ids = [block.copy() for block in self.blocks], self.ids
        return twin

    def select(self, rows: list[int]) -> None:
        """Keep these rows of the batch, in this order; a row may be repeated."""
        for block in self.blocks:
            block.select(rows)
        self.ids = None if self.ids is None else self.ids[rows]

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        for block in self.blocks:
            block.crop(length)
        self.ids = None if self.ids is None else self.ids[:, :length]

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, without their room to grow."""
        return sum(block.nbytes for block in self.blocks) + (0 if self.ids is None else self.ids.nbytes)


class GPT(nn.Module):
    """Logits for the token after each of those read.

    Weights start as normal numbers of standard deviation 0.02, those that write to the stream divided by
    sqrt(2 n_layers): so more layers add hardly more variance (Radford et al. 2019, section 2.3).
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.decoder = Decoder(config.block, config.n_layers, cross=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                writes = name.endswith(("output.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (2 * config.n_layers if writes else 1) ** 0.5)
        self.ngrams = None
        if config.ngrams > 1:
            self.ngrams = NGramEmbedding(config.vocab_size, config.d_model, config.ngrams, config.ngram_rows)

    def extra_repr(self) -> str:
        return str(self.config)

    @property
    def vocab_size(self) -> int:
        return self.config.vocab_size

    @property
    def context(self) -> int:
        return self.config.context

    def new_cache(self) -> GPTCache:
        """An empty cache for `forward` to fill."""
        return GPTCache(self.config.n_layers)

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        cache: GPTCache | None = None,
        mask: Bool[Tensor, "batch 1 #time past+time"] | None = None,
        last: int | None = None,
        chosen: Bool[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time vocab"] | Float[Tensor, "chosen vocab"]:
        """Logits for the token after each of `ids`, or only after the `last` of them, or the `chosen` ones.

        With a cache, ids continue what was read into it before. A mask of one row is False where a token read
        so far is padding: nothing attends to it. Only distances between positions count here, so padding on
        the left changes nothing. A mask with a row for each of `ids` is False where that one may not look, as
        into another text of its row. Raises ValueError for an empty sequence, more tokens than `context`, ids
        outside the vocabulary, and such a mask for a model whose `ngrams` or `token_shift` look back without
        asking it. (A GPU in training would have to wait for the check of the ids: batches are checked when
        made.)
        """
        check_ids(ids, self.vocab_size, look=not (ids.is_cuda and self.training))
        n_tokens = (0 if cache is None else len(cache)) + ids.shape[1]
        if n_tokens > self.context:
            raise ValueError(
                f"this GPT reads at most {self.context} tokens at once; got {n_tokens}: keep the last "
                f"{self.context}, or build it with a longer context"
            )
        packed = mask is not None and mask.shape[-2] > 1
        if packed and (self.ngrams is not None or self.config.token_shift):
            raise ValueError(
                "this GPT has ngrams or token_shift, which read the tokens just before whatever the mask "
                "says: give each text a row of its own"
            )
        x = self.embedding(ids)  # (B, T, d_model)
        real = None if mask is None or packed else mask[:, 0, 0, -ids.shape[1] :]  # (B, T), False at padding
        if self.ngrams is not None:
            x = x + self._embed_ngrams(ids, cache, real)
        if real is not None:  # blocks without biases make zeros of zeros: padding adds nothing to the stream
            x = x.masked_fill(~real[..., None], 0.0)
        x = self.body(x, cache, mask)
        if last is not None:
            x = x[:, -last:]
        return self.head(x if chosen is None else x[chosen])

    def _embed_ngrams(self, ids: Tensor, cache: GPTCache | None, real: Tensor | None) -> Tensor:
        """The embeddings of the n-grams that end at each of `ids`; they may begin in what was read before."""
        read, length = ids if real is None else ids.masked_fill(~real, self.vocab_size), ids.shape[1]
        if cache is not None:
            read = cache.ids = read if cache.ids is None else torch.cat([cache.ids, read], dim=1)
        return self.ngrams(read[:, -(length + self.config.ngrams - 1) :])[:, -length:]

    def body(
        self, x: Float[Tensor, "batch time d_model"], cache: GPTCache | None, mask: Tensor | None
    ) -> Float[Tensor, "batch time d_model"]:
        """The stream after the last block and norm."""
        return self.decoder(x, caches=None if cache is None else cache.blocks, mask=mask)

    def head(self, x: Float[Tensor, "batch time d_model"]) -> Float[Tensor, "batch time vocab"]:
        """Logits from the stream: its dot product with the embedding of each token."""
        return functional.linear(x, self.embedding.weight)


MAX_LOGITS = 2**20  # at once: 4 MB in float32


@torch.no_grad()
def log2_probs(
    model: nn.Module,
    tokens: Int[np.ndarray, " tokens"],
    context: int | None = None,
    start: int = ord("\n"),
) -> Float[np.ndarray, " tokens"]:
    """log2 p of every token, each scored once, in windows of `context` tokens (the model's if None) that
    overlap by half. So each is predicted from at least half a window, except at the text's start, which
    follows the token `start`.

    Raises ValueError for no tokens, and for tokens or a `start` outside the vocabulary.
    """
    if not 0 <= start < model.vocab_size:
        raise ValueError(f"start, read before the text, is a token below {model.vocab_size}; got {start}")
    context = model.context if context is None else context
    tokens = torch.from_numpy(np.asarray(tokens, dtype=np.int64))
    check_ids(tokens[None], model.vocab_size)
    stride = max(context // 2, 1)
    n_windows = max(-(-(len(tokens) - context) // stride), 0) + 1
    read = torch.full(((n_windows - 1) * stride + context,), start)
    read[1 : len(tokens)] = tokens[:-1]  # what lies beyond the end affects no prediction that counts
    predicted = functional.pad(tokens, (0, len(read) - len(tokens)))
    device, scores = model.embedding.weight.device, []
    read, predicted = (x.unfold(0, context, stride).to(device) for x in (read, predicted))
    rows_at_once = max(MAX_LOGITS // (context * model.vocab_size), 1)
    with without_dropout(model):
        for rows, targets in zip(read.split(rows_at_once), predicted.split(rows_at_once), strict=True):
            nats = functional.log_softmax(model(rows).float(), dim=-1)
            scores.append(nats.gather(-1, targets[..., None])[..., 0])  # (B, T)
    scores = torch.cat(scores).cpu().double()  # an Apple GPU has no float64
    each_once = torch.cat([scores[0, :-stride], scores[:, -stride:].flatten()])
    return each_once[: len(tokens)].numpy() / math.log(2)


def bits_per_byte(model: nn.Module, tokens: Int[np.ndarray, " tokens"], n_bytes: int | None = None) -> float:
    """The scoreboard's measure: minus log2 p of the whole text over its bytes (as many as tokens, if None).

    With tokens of several bytes it is an upper bound, as the text has other segmentations too.
    """
    return float(-log2_probs(model, tokens).sum() / (n_bytes or len(tokens)))
