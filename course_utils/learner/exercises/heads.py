"""Exercises 4.4 to 4.6 of chapter 4, on heads, two texts, and halves of the keys."""

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded


def heads_inputs(generator, case):
    """Two texts or more, two heads or more; a head is not as wide as the text is long."""
    texts, heads, tokens = 2 + case // 20, 2 + case % 2, 3 + case // 10
    weights = generator.integers(1, 10, size=(texts, heads, tokens, tokens)) / 10
    return weights, rounded(generator, texts, tokens, 2 * heads)


@exercise("4.4", "split into heads, mix, and merge", dots=2, minutes=8, inputs=heads_inputs)
def mix_heads(weights: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Mix the values v (B, T, C) by heads: head h has its weights (B, H, T, T) and its C / H columns of v."""
    B, T, C = v.shape
    H = weights.shape[1]
    heads = v.reshape(B, T, H, C // H).transpose(0, 2, 1, 3)
    return (weights @ heads).transpose(0, 2, 1, 3).reshape(B, T, C)


def overwriting(weights, v):
    heads = v.reshape(*v.shape[:2], weights.shape[1], -1)  # of the caller's own memory
    for i in range(v.shape[1]):
        heads[:, i] = np.einsum("bhj,bjhd->bhd", weights[:, :, i], heads)
    return v


mix_heads.slips("""
reshape alone mixes time and heads: (B,T,H,D), then transpose.
    v.reshape(B, T, H, C // H).transpose(0, 2, 1, 3) → v.reshape(B, H, T, C // H)
reshape alone mixes time and heads: (B,T,H,D), then transpose.
    v.reshape(B, T, H, C // H).transpose(0, 2, 1, 3) → v.reshape(B, H, T, C // H)
    (weights @ heads).transpose(0, 2, 1, 3) → (weights @ heads)
Heads and time are swapped on return.
    (weights @ heads).transpose(0, 2, 1, 3) → (weights @ heads)
You changed the caller's tensor.
    → overwriting
Each head has weights of its own; you used those of the first for all.
    weights @ heads → weights[:, :1] @ heads
Each head has weights of its own; you averaged them.
    (weights @ heads).transpose(0, 2, 1, 3).reshape(B, T, C) → weights.mean(axis=1) @ v
A head owns neighbouring columns: the first D, then the next D. Yours owns every H-th.
    v.reshape(B, T, H, C // H).transpose(0, 2, 1, 3) → v.reshape(B, T, C // H, H).transpose(0, 3, 1, 2)
    (weights @ heads).transpose(0, 2, 1, 3) → (weights @ heads).transpose(0, 2, 3, 1)
You mixed queries into keys: the weights stand on the left as they are.
    weights @ heads → weights.swapaxes(2, 3) @ heads
The heads are still apart: join them to (B, T, C).
    (weights @ heads).transpose(0, 2, 1, 3).reshape(B, T, C) → weights @ heads
""")


@mix_heads.variant("what each head writes")
def head_outputs(weights: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Say what each head alone writes, (B, H, T, C): its mixture in its own columns of v (B, T, C), else 0.

    weights (B, H, T, T) as in 4.4. Summed over the heads, this is what 4.4 returns.
    """
    B, T, C = v.shape
    H = weights.shape[1]
    D = C // H
    heads = v.reshape(B, T, H, D).transpose(0, 2, 1, 3)
    outputs = np.zeros((B, H, T, C))
    for h in range(H):
        outputs[:, h, :, h * D : (h + 1) * D] = weights[:, h] @ heads[:, h]
    return outputs


head_outputs.slips("""
That answers the first version: the heads are joined; each one's part is asked for.
    → mix_heads
The columns of the other heads are missing: they are 0.
    return outputs → return weights @ heads
reshape alone mixes time and heads: (B,T,H,D), then transpose.
    v.reshape(B, T, H, D).transpose(0, 2, 1, 3) → v.reshape(B, H, T, D)
A head owns neighbouring columns, not every H-th.
    h * D : (h + 1) * D → h::H
Every head writes into its own columns, not into the first.
    h * D : (h + 1) * D → :D
A head mixes its own columns alone, not all of v.
    return outputs → return weights @ v[:, None]
You mixed queries into keys: the weights stand on the left as they are.
    weights[:, h] @ → weights[:, h].swapaxes(1, 2) @
The heads stand before time: (B, H, T, C).
    return outputs → return outputs.swapaxes(1, 2)
""")


def cross_inputs(generator, case):
    """A source that is longer or shorter than the target, and at least three tokens."""
    target, source = (2, 3) if case < 10 else (3, 5) if case % 2 else (4, 3)
    d_model, d = source + 1, 2 if case < 20 else source - 1
    matrices = (rounded(generator, d_model, d) for _ in range(3))
    return rounded(generator, target, d_model), rounded(generator, source, d_model), *matrices


@exercise("4.5", "cross-attention", dots=2, minutes=8, inputs=cross_inputs)
def cross_attention(
    x: np.ndarray, source: np.ndarray, W_q: np.ndarray, W_k: np.ndarray, W_v: np.ndarray
) -> np.ndarray:
    """Let the target x (T, d_model) read the source (S, d_model): (T, d). All matrices are (d_model, d)."""
    q, k, v = x @ W_q, source @ W_k, source @ W_v
    scores = q @ k.T / np.sqrt(q.shape[1])
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True) @ v


cross_attention.slips("""
Keys and values come from the source.
    source @ W_k, source @ W_v → x @ W_k, x @ W_v
The whole source is known: no causal mask.
    q @ k.T / np.sqrt(q.shape[1])
    → np.where(np.tri(len(x), len(source)), q @ k.T / np.sqrt(q.shape[1]), -np.inf)
Output must have the target's length.
    x @ W_q, source @ W_k, source @ W_v → source @ W_q, x @ W_k, x @ W_v
Output must have the target's length.
    x @ W_q → source @ W_q
Keys and values are swapped: W_k makes what is compared, W_v what is mixed.
    source @ W_k, source @ W_v → source @ W_v, source @ W_k
What is mixed are the values, source @ W_v; you mixed the keys.
    source @ W_v → source @ W_k
What is mixed are the values, source @ W_v; you mixed the source itself.
    source @ W_v → source
Variance grows with d; scale the scores by 1 / √d.
    / np.sqrt(q.shape[1]) →
d is the head's width, not the model's.
    q.shape[1] → len(W_q)
You softmaxed over the target; each target token spreads its weight over the source.
    scores.max(axis=1 → scores.max(axis=0
    exps.sum(axis=1 → exps.sum(axis=0
""")


@cross_attention.variant("source and target in one lookup", minutes=10)
def prefix_attention(
    x: np.ndarray, source: np.ndarray, W_q: np.ndarray, W_k: np.ndarray, W_v: np.ndarray
) -> np.ndarray:
    """Let the target x (T, d_model) read the source (S, d_model) and itself up to each token: (T, d).

    There is one softmax over both. The whole source may be seen, and of the target no later token.
    """
    both = np.concatenate([source, x])
    q, k, v = x @ W_q, both @ W_k, both @ W_v
    T, S = len(x), len(source)
    scores = np.where(np.tri(T, S + T, S, dtype=bool), q @ k.T / np.sqrt(q.shape[1]), -np.inf)
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True) @ v


prefix_attention.slips("""
That answers the first version: there the target reads the source alone, not itself.
    → cross_attention
You added two mixtures: one softmax runs over source and target.
    np.concatenate([source, x]) → x
    len(source) → 0
    return → return cross_attention(x, source, W_q, W_k, W_v) +
You averaged two mixtures: one softmax runs over source and target.
    np.concatenate([source, x]) → x
    len(source) → 0
    return → return cross_attention(x, source, W_q, W_k, W_v) / 2 +
    @ v → @ (v / 2)
The target sees its own future.
    np.tri(T, S + T, S, dtype=bool) → True
The whole source is known: mask the target's part alone.
    np.tri(T, S + T, S, → np.tri(T, S + T,
A token may see itself.
    np.tri(T, S + T, S, → np.tri(T, S + T, S - 1,
The target reads the source too, not itself alone.
    np.concatenate([source, x]) → x
    len(source) → 0
Variance grows with d; scale the scores by 1 / √d.
    / np.sqrt(q.shape[1]) →
""")


def halves_inputs(generator, case):
    """From the second case on a query may have seen nothing in one half, then one logsum or both be 1,000."""
    queries, width = 2 + case // 20, 3 - case % 2 + case // 20
    width += width == queries
    mixed_a, mixed_b = rounded(generator, queries, width), rounded(generator, queries, width)
    a, b = 1 + np.round(generator.random(queries), 1), 2.2 + np.round(generator.random(queries), 1)
    if case % 3 == 1:
        mixed_b[0], b[0] = 0.0, -np.inf
    elif case % 3 == 2:
        a[0], b[0] = a[0] if case % 2 else 1000.0, 1000.0 + b[0]
    return mixed_a, a, mixed_b, b


@exercise("4.6", "attention in two halves", dots=3, minutes=12, inputs=halves_inputs)
def join_halves(
    mixed_a: np.ndarray, logsum_a: np.ndarray, mixed_b: np.ndarray, logsum_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Join what T queries got from two halves of the keys: mixed (T, D) and log of the sum of exps (T,)."""
    logsum = np.logaddexp(logsum_a, logsum_b)
    share_a, share_b = np.exp(logsum_a - logsum), np.exp(logsum_b - logsum)
    return share_a[:, None] * mixed_a + share_b[:, None] * mixed_b, logsum


join_halves.slips("""
The halves don't weigh the same: each counts by its share of the sum of all exps.
    share_a[:, None] * mixed_a + share_b[:, None] * mixed_b → 0.5 * mixed_a + 0.5 * mixed_b
You added two mixtures: together their weights sum to 2.
    share_a[:, None] * mixed_a + share_b[:, None] * mixed_b → mixed_a + mixed_b
A logsum is a logarithm: the shares are in proportion to exp of it.
    np.exp(logsum_a - logsum) → logsum_a / (logsum_a + logsum_b)
    np.exp(logsum_b - logsum) → logsum_b / (logsum_a + logsum_b)
Adding logarithms multiplies the sums; the sums are to be added.
    mixed_b, logsum → mixed_b, logsum_a + logsum_b
The smaller half counts too: the joint sum is above the larger one.
    mixed_b, logsum → mixed_b, np.maximum(logsum_a, logsum_b)
That is the sum of exps; its logarithm is asked for.
    mixed_b, logsum → mixed_b, np.exp(logsum)
The shares are swapped.
    share_a, share_b = → share_b, share_a =
exp(1000) is too large for a float: subtract a logsum before you take exp.
    np.logaddexp(logsum_a, logsum_b) → np.log(np.exp(logsum_a) + np.exp(logsum_b))
    np.exp(logsum_a - logsum) → np.exp(logsum_a) / np.exp(logsum)
    np.exp(logsum_b - logsum) → np.exp(logsum_b) / np.exp(logsum)
exp(1000) is too large for a float: subtract a logsum before you take exp.
    np.logaddexp(logsum_a, logsum_b) → np.log(np.exp(logsum_a) + np.exp(logsum_b))
exp(1000) is too large for a float: subtract a logsum before you take exp.
    mixed_b, logsum → mixed_b, np.log(np.exp(logsum_a) + np.exp(logsum_b))
Subtract the larger logsum before you take exp: above the smaller it can still be too large for a float.
    np.logaddexp(logsum_a, logsum_b) → logsum_a + np.log(1 + np.exp(logsum_b - logsum_a))
""")


def without_inputs(generator, case):
    """The logsum of all is 0.5 or more above that of the half; from the third case on both may be 1,000."""
    queries, width = 2 + case // 20, 3 + case // 20
    b = 1 + np.round(generator.random(queries), 1)
    if case % 3 == 2:
        b[0] += 1000
    logsum_all = b + 0.5 + np.round(generator.random(queries), 1)
    return rounded(generator, queries, width), logsum_all, rounded(generator, queries, width), b


@join_halves.variant("take a half of the keys away", inputs=without_inputs)
def without_half(
    mixed_all: np.ndarray, logsum_all: np.ndarray, mixed_b: np.ndarray, logsum_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take half b of the keys away again: mixed (T, D) and logsum (T,) of the keys that are left."""
    share_b = np.exp(logsum_b - logsum_all)
    mixed = (mixed_all - share_b[:, None] * mixed_b) / (1 - share_b)[:, None]
    return mixed, logsum_all + np.log1p(-share_b)


without_half.slips("""
That answers the first version: it joins two halves; here one is taken away.
    → join_halves
What is left must be scaled up again, so that its weights sum to 1.
    / (1 - share_b)[:, None] →
A logsum is a logarithm: the share is exp of a difference.
    np.log1p(-share_b) → np.log1p(-np.exp(logsum_b - logsum_all))
    share_b = np.exp(logsum_b - logsum_all) → share_b = logsum_b / logsum_all
The difference of two logsums is the logarithm of a ratio; subtract the sums themselves.
    logsum_all + np.log1p(-share_b) → logsum_all - logsum_b
The logsum of what is left is below that of all.
    + np.log1p(-share_b) →
The half weighs by its share, not by one half.
    (mixed_all - share_b[:, None] * mixed_b) / (1 - share_b)[:, None] → (mixed_all - 0.5 * mixed_b) / 0.5
Half b is still in the mixture: take its part away, exp(logsum_b - logsum_all) times mixed_b.
    (mixed_all - share_b[:, None] * mixed_b) / (1 - share_b)[:, None] → mixed_all
exp(1000) is too large for a float: subtract a logsum before you take exp.
    np.exp(logsum_b - logsum_all) → np.exp(logsum_b) / np.exp(logsum_all)
    logsum_all + np.log1p(-share_b) → np.log(np.exp(logsum_all) - np.exp(logsum_b))
exp(1000) is too large for a float: subtract a logsum before you take exp.
    logsum_all + np.log1p(-share_b) → np.log(np.exp(logsum_all) - np.exp(logsum_b))
""")
