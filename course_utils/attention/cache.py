"""Keys and values that are kept, so that each token is read once."""

import torch
from torch import Tensor


class KeyValueCache:
    """The keys and values (B, kv heads, T, D) that one attention layer has computed so far.

    Self-attention extends it with each call; cross-attention fills it once. Both tensors lie at the start of
    buffers with room to grow, so that a new token does not copy all the earlier ones. `copy.copy` gives a
    state to come back to: what is written to either of the two later never shows in the other.
    """

    def __init__(self):
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self._buffers: list[Tensor] = []  # of keys and values: (B, kv heads, room, D) each
        self._protected = 0  # how many positions of the buffers a copy reads too

    def __len__(self) -> int:
        return 0 if self.keys is None else self.keys.shape[-2]

    def __copy__(self) -> "KeyValueCache":
        twin = KeyValueCache()
        vars(twin).update(vars(self))
        twin._protected = max(self._protected, len(self))
        self._buffers = []  # the copy takes them over: it is usually the one that is extended next
        return twin

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append the keys and values of new positions, and return those of all positions."""
        start, end = len(self), len(self) + keys.shape[-2]
        if self.keys is None:
            self.keys, self.values = keys, values
        elif keys.requires_grad or self.keys.requires_grad:  # autograd needs what a buffer would overwrite
            self.keys = torch.cat([self.keys, keys], dim=-2)
            self.values = torch.cat([self.values, values], dim=-2)
            self._buffers = []
        else:
            if not self._can_append(end - start):
                self._allocate(2 * end)
            all_keys, all_values = self._buffers
            all_keys[..., start:end, :], all_values[..., start:end, :] = keys, values
            self.keys, self.values = all_keys[..., :end, :], all_values[..., :end, :]
        return self.keys, self.values

    def crop(self, length: int) -> None:
        """Forget all but the first `length` positions."""
        if len(self) > length:
            self.keys, self.values = self.keys[..., :length, :], self.values[..., :length, :]

    def select(self, rows: list[int]) -> None:
        """Keep these rows of the batch, in this order; a row may be repeated."""
        self.keys, self.values = self.keys[rows], self.values[rows]
        self._buffers = []

    def _can_append(self, n: int) -> bool:
        if not self._buffers:
            return False
        buffer = self._buffers[0]
        writable = torch.is_inference_mode_enabled() or not buffer.is_inference()
        return writable and self._protected <= len(self) <= buffer.shape[-2] - n

    def _allocate(self, room: int) -> None:
        buffers = []
        for old in (self.keys, self.values):
            buffer = old.new_empty((*old.shape[:-2], room, old.shape[-1]))
            buffer[..., : len(self), :] = old
            buffers.append(buffer)
        self._buffers, self._protected = buffers, 0  # both, or after Ctrl-C still the old ones
