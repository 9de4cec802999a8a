"""The exercise of chapter 8 that puts a GPT together, in NumPy. Its answer runs on PyTorch's tensors as well,
and so with the weights of a `course_utils.gpt.GPT`: see `learner.my_llm.assembled`."""

from collections.abc import Callable

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded
from course_utils.learner.exercises.transformer import named, rms_norm


def mixing_block(W, nearness):
    """A block with its residual: a token gets a mean of what the mask shows it, in which later places count
    more, and which then goes through W."""

    def block(x, positions, mask):
        weights = np.where(mask, np.exp(nearness * np.asarray(positions)), 0)
        weights = weights / weights.sum(axis=-1, keepdims=True)
        return x + np.tanh(weights @ x @ W)

    return named(f"(x, positions, mask) → x + tanh(mean of what is seen @ {W.tolist()})", block)


def gpt_inputs(generator, case):
    """Two texts or three of 4 to 6 tokens, a vocabulary wider than the stream, two blocks or three."""
    width, vocabulary = 2 + case % 2, 5 + case % 3
    ids = generator.integers(vocabulary, size=(2 + case // 20, 4 + case // 10))
    ids[1] = np.roll(ids[0], 1)
    blocks = [
        mixing_block(rounded(generator, width, width) + np.eye(width), (n + 1) / 2)
        for n in range(2 + case // 15)
    ]
    gain = generator.integers(1, 5, size=width) / 2
    return ids, rounded(generator, vocabulary, width) + 0.05, blocks, rms_norm(gain)


@exercise("8.4", "a GPT, put together", dots=2, minutes=7, inputs=gpt_inputs)
def gpt(ids: np.ndarray, embedding: np.ndarray, blocks: list[Callable], norm: Callable) -> np.ndarray:
    """Return the logits (B, T, V) of the token after each of ids (B, T).

    embedding (V, d_model) has a row for each token, and is the output's too. Each of blocks makes a new
    stream of one: block(x, positions, mask), with the places of the tokens (T,) and the causal mask (T, T),
    True where a token may look. norm comes last.
    """
    T = ids.shape[1]
    positions, mask = np.arange(T), np.tri(T, dtype=bool)
    x = embedding[ids]
    for block in blocks:
        x = block(x, positions, mask)
    return norm(x) @ embedding.T


gpt.slips("""
The last norm is missing: nothing has normed the stream itself since it began.
    norm(x) @ → x @
The last norm comes once, after the last block; each block has norms of its own inside.
    x = block(x, positions, mask) → x = norm(block(x, positions, mask))
    norm(x) @ → x @
The last norm comes once, after the last block; each block has norms of its own inside.
    x = block(x, positions, mask) → x = norm(block(x, positions, mask))
The norm is that of the stream: it comes before the output, not before the first block.
    x = embedding[ids] → x = norm(embedding[ids])
    norm(x) @ → x @
Positions are forgotten: every token stands at place 0, so nothing but the mask tells their order.
    np.arange(T) → np.zeros(T)
A position is the place in the text, not the token's id.
    np.arange(T) → ids[0]
The mask is off: each token sees the one that it is to predict.
    np.tri(T, dtype=bool) → np.ones((T, T), dtype=bool)
The mask is upside down: a row is a token that looks, a column one that is seen.
    np.tri(T, dtype=bool) → np.tri(T, dtype=bool).T
A token may see itself: the diagonal of the mask is True.
    np.tri(T, dtype=bool) → np.tri(T, k=-1, dtype=bool)
Each token sees all before it, not only itself.
    np.tri(T, dtype=bool) → np.eye(T, dtype=bool)
ids is (B, T): the length of a text is ids.shape[1], len(ids) is the number of texts.
    ids.shape[1] → len(ids)
A block goes on from the stream that the one before it left: keep the result as x.
    x = block(x, positions, mask) → y = block(x, positions, mask)
    return norm(x) → return norm(y)
The blocks do nothing: keep what they return as x.
    x = block(x, positions, mask) → block(x, positions, mask)
A block has its residuals inside: it returns the new stream, not what is added to it.
    x = block(x, positions, mask) → x = x + block(x, positions, mask)
All blocks work, one after the other: you return after the first.
    x = block(x, positions, mask) → return norm(block(x, positions, mask)) @ embedding.T
The first of the blocks works first.
    in blocks → in blocks[::-1]
The output is missing: the logits are dot products with the embedding of each token.
    norm(x) @ embedding.T → norm(x)
These are probabilities; logits come before the softmax.
    return norm(x) @ embedding.T
    → e = np.exp(norm(x) @ embedding.T); return e / e.sum(axis=2, keepdims=True)
Every token has a next one: you return the logits of the last place alone.
    norm(x) @ embedding.T → (norm(x) @ embedding.T)[:, -1]
Nothing is to be shifted here: the logits at t are those of the token after t, and the loss does the rest.
    norm(x) @ embedding.T → (norm(x) @ embedding.T)[:, :-1]
That root belongs to the transformer of 2017: a GPT takes the rows of the embedding as they are.
    x = embedding[ids] → x = embedding[ids] * np.sqrt(embedding.shape[1])
""")


@gpt.variant("what a GPT would say after each block", minutes=10)
def logit_lens(ids: np.ndarray, embedding: np.ndarray, blocks: list[Callable], norm: Callable) -> np.ndarray:
    """Return the logits that the stream would give before the first block, and after each: (L + 1, B, T, V).

    All as in 8.4: each of the L blocks is block(x, positions, mask); the norm and the output are those of the
    end, put on the stream at each depth. They change nothing in what the next block reads.
    """
    T = ids.shape[1]
    positions, mask = np.arange(T), np.tri(T, dtype=bool)
    streams = [embedding[ids]]
    for block in blocks:
        streams.append(block(streams[-1], positions, mask))
    return np.stack([norm(x) @ embedding.T for x in streams])


logit_lens.slips("""
That answers the first version: it gives the logits at the end; here those of each depth are asked for.
    → gpt
The stream before the first block counts too.
    for x in streams → for x in streams[1:]
The last block's stream is missing: there are L + 1 depths.
    for x in streams → for x in streams[:-1]
The norm is missing: it comes before the output at each depth.
    norm(x) @ → x @
The norm is for looking only: the next block reads the stream as it was.
    block(streams[-1], → block(norm(streams[-1]),
A block goes on from the stream that the one before it left.
    block(streams[-1], → block(streams[0],
These are the streams; the output makes logits of them.
    norm(x) @ embedding.T → norm(x)
Depth is the first axis: (L + 1, B, T, V).
    for x in streams]) → for x in streams], axis=1)
Depth grows from the first block to the last: the first entry comes before any block.
    for x in streams → for x in streams[::-1]
Positions are forgotten: every token stands at place 0, so nothing but the mask tells their order.
    np.arange(T) → np.zeros(T)
The mask is off: each token sees the one that it is to predict.
    np.tri(T, dtype=bool) → np.ones((T, T), dtype=bool)
The mask is upside down: a row is a token that looks, a column one that is seen.
    np.tri(T, dtype=bool) → np.tri(T, dtype=bool).T
ids is (B, T): the length of a text is ids.shape[1], len(ids) is the number of texts.
    ids.shape[1] → len(ids)
That is what each block adds; the stream is asked for.
    np.stack([norm(x) @ embedding.T for x in streams])
    → np.stack([norm(x) @ embedding.T for x in [streams[0], *np.diff(streams, axis=0)]])
""")
