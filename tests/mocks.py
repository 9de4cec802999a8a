"""A model for tests of generation: no weights, yet every token, every row and every mask matters to it."""

import torch

from course_utils.gpt import GPTCache


class Mock:
    """Logits by the sum of all tokens read so far, modulo the vocabulary, from a random table.

    What it has read it keeps in a real cache, so a row, a token or a padding that is mixed up there shows.
    """

    def __init__(self, vocab_size, context=64, seed=0, spread=2.0):
        generator = torch.Generator().manual_seed(seed)
        self.table = spread * torch.randn(vocab_size, vocab_size, generator=generator)
        self.vocab_size, self.context = vocab_size, context
        self.calls = self.tokens = 0

    def new_cache(self):
        return GPTCache(1)

    def __call__(self, ids, cache=None, mask=None, last=None):
        self.calls, self.tokens = self.calls + 1, self.tokens + ids.numel()
        read = ids[:, None, :, None].float() + 1  # as keys (batch, heads, time, width); padding would count
        if cache is not None:
            read, _ = cache.blocks[0].attention.extend(read, read)
        assert read.shape[2] <= self.context
        if mask is not None:
            read = read * mask[..., None].squeeze(2)
        sums = read[:, 0, :, 0].cumsum(1).long() % self.vocab_size  # (B, all that was read)
        return self.table[sums][:, -(last or ids.shape[1]) :]

    def next_probs(self, text):
        """The distribution after a whole text, by the definition."""
        return self.table[sum(token + 1 for token in text) % self.vocab_size].double().softmax(-1)
