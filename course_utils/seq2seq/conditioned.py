"""An encoder-decoder that has read its source, in the form in which `generation` wants a model.

So what is written to a source can be sampled or searched for like any other text:

    model = Conditioned(t5, source)
    beam_search(model, [t5.marks.start], max_new=50, end_ids=[t5.marks.end])
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from course_utils.devices import without_dropout
from course_utils.seq2seq.encoder_decoder import Memory, Seq2SeqTransformer
from course_utils.seq2seq.pairs import padded
from course_utils.transformer import BlockCache


class ConditionedCache:
    """What the decoder keeps of the tokens it has read."""

    def __init__(self):
        self.blocks: list[BlockCache] | None = None

    def __len__(self) -> int:
        return len(self.blocks[0].attention) if self.blocks else 0

    def select(self, rows: list[int]) -> None:
        """Keep these rows of the batch, in this order; a row may be repeated."""
        for block in self.blocks:
            block.select(rows)

    @property
    def nbytes(self) -> int:
        """Bytes of the self-attention's keys and values."""
        return sum(block.nbytes for block in self.blocks or [])


class Conditioned(nn.Module):
    """A T5 or BART on one source; a text that goes on from here begins with `marks.start`.

    All rows of a batch continue the same source. `context` is the most that is written, with the start.
    Raises ValueError for a source that the model can't read.
    """

    def __init__(self, model: Seq2SeqTransformer, source: Sequence[int], context: int = 512):
        super().__init__()
        self.model, self.context, self.vocab_size = model, context, model.config.vocab_size
        with without_dropout(model), torch.no_grad():
            ids, lengths = padded([source])
            self.memory = model.encode(ids.to(model.embedding.weight.device), lengths)
        self.train(model.training)

    def new_cache(self) -> ConditionedCache:
        return ConditionedCache()

    def forward(
        self,
        ids: Int[Tensor, "batch time"],
        cache: ConditionedCache | None = None,
        mask: None = None,
        last: int | None = None,
    ) -> Float[Tensor, "batch time vocab"]:
        """Logits for the token after each of `ids`, or only after the `last` of them. Raises ValueError for a
        mask, which prompts of several lengths would need."""
        if mask is not None:
            raise ValueError("expected prompts of one length, such as the start alone; got some with padding")
        memory = Memory(self.memory.states.expand(len(ids), -1, -1), self.memory.mask)
        logits, blocks = self.model.decode(ids, memory, None if cache is None else cache.blocks)
        if cache is not None:
            cache.blocks = blocks
        return logits if last is None else logits[:, -last:]
