"""Keeping one's place: a decoder that may look only near where it last looked in the source.

A weak translator loses its place where the source has a word twice: it goes on after the other one, and skips
a clause or writes it again. Where old and new words come in nearly the same order, its place can be held for
it as it writes: the cross-attention of a step is cut to a window around the place of the step before.

Source: Luong, Pham & Manning 2015, section 3.2, whose window is predicted, and there in training too.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_utils.seq2seq import by_length, edit_cross_attention, greedy


class Window:
    """An edit of cross-attention for `edit_cross_attention`, for one batch that is written token by token.

    A row's place is the position of the source to which the heads of the last layer together attended most as
    the token before was written; at first it is `start`. No head attends further than `width` from it.
    """

    def __init__(self, width: int, n_layers: int, start: int = 0):
        if width < 1:
            raise ValueError(f"the window reaches at least one position to each side; got {width}")
        self.width, self.n_layers, self.start = width, n_layers, start
        self.places, self._calls = None, 0

    def __call__(self, weights: Float[Tensor, "batch heads 1 source"]) -> Tensor:
        if self.places is None:
            self.places = torch.full((len(weights),), self.start, device=weights.device)
        positions = torch.arange(weights.shape[-1], device=weights.device)
        near = (positions - self.places[:, None]).abs() <= self.width
        weights = weights * near[:, None, None]
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=1e-9)
        self._calls += 1
        if self._calls % self.n_layers == 0:
            self.places = weights.mean(1)[:, -1].argmax(-1)
        return weights


def local_greedy(
    model: nn.Module,
    sources: Sequence[Sequence[int]],
    width: int,
    max_new: int = 32,
    batch_size: int = 64,
    no_repeat: int | None = None,
    start: int = 0,
) -> list[list[int]]:
    """`greedy` with the cross-attention of each step in a `Window`. The answers are in the sources' order."""

    def write(some: list[Sequence[int]]) -> list[list[int]]:
        with edit_cross_attention(model, Window(width, len(model.cross_attentions), start)):
            return greedy(model, some, max_new, no_repeat=no_repeat)

    return by_length(sources, batch_size, write)
