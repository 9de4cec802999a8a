"""One stack instead of two: source and target are one row, and the mask says who sees whom.

In a prefix language model the source is read both ways, as by an encoder, and the target from left to right.
In a causal one a place of the source, too, sees only what stands before it.

Sources: Liu et al. 2018, section 4.2.3 (a decoder alone); Raffel et al. 2020, section 3.2 (the three masks).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.attention import prefix_mask
from course_utils.seq2seq.t5 import T5Config, set_first_weights
from course_utils.transformer import Encoder, check_ids


class DecoderOnly(nn.Module):
    """A T5 of one stack, which has the interface of an encoder-decoder: a prefix language model or, if
    `causal`, a causal one.

    Nothing but the mask tells the two apart. The relative bias has buckets for both directions in either:
    the causal one never uses half of them. There is no cache: `decode` reads everything again.
    """

    cross_attentions: tuple = ()

    def __init__(self, config: T5Config, causal: bool = False):
        super().__init__()
        self.config, self.marks, self.causal = config, config.marks, causal
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.stack = Encoder(config.block, config.n_layers)
        set_first_weights(self, config)

    def forward(
        self,
        source: Int[Tensor, "batch source"],
        lengths: Int[Tensor, " batch"],
        target: Int[Tensor, "batch time"],
        chosen: Bool[Tensor, "batch time"] | None = None,
    ) -> Float[Tensor, "batch time vocab"] | Float[Tensor, "chosen vocab"]:
        """Logits for the token after each of `target`, or after the chosen ones alone. The target begins
        where its source ends: the padding of the source stands behind both, where nothing that counts can
        see it."""
        places = lengths[:, None] + torch.arange(target.shape[1], device=target.device)  # (B, T)
        row = functional.pad(source, (0, target.shape[1]), value=self.marks.pad)
        row = row.scatter(1, places, target)
        check_ids(row, self.config.vocab_size)
        read_whole = torch.zeros_like(lengths) if self.causal else lengths
        x = self.dropout(self.embedding(row))
        x = self.stack(x, prefix_mask(read_whole, row.shape[1]))
        x = x.gather(1, places[..., None].expand(-1, -1, x.shape[-1]))
        x = x if chosen is None else x[chosen]
        return functional.linear(x * self.config.d_model**-0.5, self.embedding.weight)

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return source, lengths

    def decode(
        self, target: Tensor, memory: tuple[Tensor, Tensor], state: Tensor | None = None
    ) -> tuple[Float[Tensor, "batch time vocab"], Int[Tensor, "batch read"]]:
        """Logits for the token after each of `target`, and all that was read of the target so far."""
        read = target if state is None else torch.cat([state, target], dim=1)
        return self(*memory, read)[:, -target.shape[1] :], read
