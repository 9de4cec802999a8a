"""The next token's logits, text after text, without reading again what two texts begin with alike."""

import torch
from jaxtyping import Float
from torch import Tensor

from course_utils.generation import device_of, evaluating


class NextLogits:
    """A model as a function from the ids of a text to the logits of the token after it.

    A cache keeps the text that was read last. Of the next one only what follows their common beginning is
    read: a single token where a text goes on by one.
    """

    def __init__(self, model):
        self.model, self.cache, self.read = model, model.new_cache(), []

    def __call__(self, text: list[int]) -> Float[Tensor, " vocab"]:
        """Raises ValueError as the model does, for no ids, unknown ones, and more than its context."""
        agreed = common_prefix(self.read, text[:-1])  # the last token is read for its logits
        self.read = text[:agreed]  # which stays true if Ctrl-C interrupts what follows
        self.cache.crop(agreed)
        with evaluating(self.model):
            ids = torch.tensor([text[agreed:]], device=device_of(self.model))
            logits = self.model(ids, self.cache, None, last=1)[0, -1].float()
        self.read = [*text]
        return logits


def common_prefix(one: list[int], other: list[int]) -> int:
    """How many tokens two texts begin with alike."""
    for i, pair in enumerate(zip(one, other, strict=False)):
        if pair[0] != pair[1]:
            return i
    return min(len(one), len(other))
