"""Exercises 4.1 to 4.3 of chapter 4, on attention in one head; those on several heads are in `heads`.

They are written out in NumPy; `course_utils.attention` has the same in PyTorch.
"""

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded


def scores_inputs(generator, case):
    """The number of tokens, the width of the model and the width of the head are all different."""
    tokens = 3 + case // 10
    d_model, d = tokens + 2, 2 + case % (tokens - 2)
    return rounded(generator, tokens, d_model), rounded(generator, d_model, d), rounded(generator, d_model, d)


@exercise("4.1", "scores", dots=1, minutes=5, inputs=scores_inputs)
def attention_scores(x: np.ndarray, W_q: np.ndarray, W_k: np.ndarray) -> np.ndarray:
    """Score every key for every query, (T, T), a row a query; x (T, d_model), W_q and W_k (d_model, d)."""
    q, k = x @ W_q, x @ W_k
    return q @ k.T / np.sqrt(q.shape[1])


attention_scores.slips("""
Divide by √d, not d.
    np.sqrt(q.shape[1]) → q.shape[1]
The variance of the scores grows with d: divide them by √d.
    / np.sqrt(q.shape[1]) →
d is the width of a query, not that of the model.
    q.shape[1] → len(W_q)
d is the width of a query, not the number of tokens.
    q.shape[1] → len(x)
Upside down: divide by √d, don't multiply.
    / np.sqrt → * np.sqrt
A row is a query and a column a key; you have them the other way round.
    q @ k.T → k @ q.T
The keys have a matrix of their own, W_k.
    x @ W_k → x @ W_q
The queries have a matrix of their own, W_q.
    x @ W_q → x @ W_k
Scores come before the softmax: they may be negative, and a row need not sum to 1.
    return → scores =
    q.shape[1]) → q.shape[1]); return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
You compared the tokens' own vectors: first make queries and keys of them.
    q @ k.T → x @ x.T
""")


@attention_scores.variant("the scores of the newest token")
def newest_scores(x: np.ndarray, W_q: np.ndarray, W_k: np.ndarray) -> np.ndarray:
    """Score all keys for the last token's query alone, (T,), as a model does for each token it writes."""
    q, k = x[-1] @ W_q, x @ W_k
    return k @ q / np.sqrt(len(q))


newest_scores.slips("""
That answers the first version: it scores the keys for every query; the last one is asked for.
    → attention_scores
That is what all queries think of the last key: take a row.
    x[-1] @ W_q, x @ W_k → x[-1] @ W_k, x @ W_q
The newest token is the last one, not the first.
    x[-1] → x[0]
The newest token may see itself: there are T keys, not T - 1.
    x @ W_k → x[:-1] @ W_k
Keep the shape (T,): one query, T keys.
    k @ q → (k @ q)[None]
Divide by √d, not d.
    np.sqrt(len(q)) → len(q)
The variance of the scores grows with d: divide them by √d.
    / np.sqrt(len(q)) →
d is the width of a query, not that of the model.
    len(q) → len(W_q)
The scores come before the softmax.
    return → scores =
    len(q)) → len(q)); return np.exp(scores) / np.exp(scores).sum()
""")


def attend_inputs(generator, case):
    """From the third case on, rows of scores may be near 1,000 or -1,000, or hold one score of 1,000."""
    tokens = 3 + case // 10
    scores = rounded(generator, tokens, tokens)
    if case % 3 == 2:
        scores[0] += 1000
        scores[1] -= 1000
        scores[2, case % tokens] += 1000
    return scores, rounded(generator, tokens, 2)


@exercise("4.2", "weights, and the mixture", dots=1, minutes=6, inputs=attend_inputs)
def attend(scores: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn scores (T, T), a row a query, into weights; return the mixed values (T, D), and the weights."""
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = exps / exps.sum(axis=1, keepdims=True)
    return weights @ v, weights


attend.slips("""
You softmaxed over queries; each *query's* row sums to 1.
    scores.max(axis=1 → scores.max(axis=0
    exps.sum(axis=1 → exps.sum(axis=0
Subtract the row's max.
    scores - scores.max(axis=1, keepdims=True) → scores
Subtract each row's own max: a row that lies far below the max of the table became 0 / 0.
    scores.max(axis=1, keepdims=True) → scores.max()
Subtract each row's largest score: with a smaller one, exp can still be too large for a float.
    scores.max(axis=1 → scores.min(axis=1
You mixed queries into keys: w @ v.
    weights @ v → weights.T @ v
Each row has a softmax of its own: divide by its own sum, not by that of the whole table.
    scores.max(axis=1, keepdims=True) → scores.max()
    exps.sum(axis=1, keepdims=True) → exps.sum()
The row must sum to 1: divide by its sum.
    / exps.sum(axis=1, keepdims=True) →
Scores can be negative: take exp of each first.
    exps / exps.sum(axis=1, keepdims=True) → scores / scores.sum(axis=1, keepdims=True)
You took the best value alone; a soft lookup mixes them all.
    exps / exps.sum(axis=1, keepdims=True) → np.eye(len(scores))[scores.argmax(axis=1)]
Return the mixed values first, then the weights.
    weights @ v, weights → weights, weights @ v
Return the weights too: they are what one looks at.
    weights @ v, weights → weights @ v
""")


@attend.variant("weights that may add up to less than 1", dots=2, minutes=8)
def attend_or_not(scores: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mix values as in 4.2, where each row has one more key, a silent one, of score 0 and value 0.

    Return the mixed values (T, D) and the weights of the T real keys, (T, T): their rows sum to less than 1.
    """
    top = np.maximum(scores.max(axis=1, keepdims=True), 0)
    exps = np.exp(scores - top)
    weights = exps / (np.exp(-top) + exps.sum(axis=1, keepdims=True))
    return weights @ v, weights


attend_or_not.slips("""
That answers the first version: its rows sum to 1, as if the key of score 0 were not there.
    → attend
You added 1 after the row's max was taken off: by then exp(0) has become exp(-max).
    np.maximum(scores.max(axis=1, keepdims=True), 0) → scores.max(axis=1, keepdims=True)
    np.exp(-top) → 1
Subtract the row's max, or 0 where that is larger.
    np.maximum(scores.max(axis=1, keepdims=True), 0) → 0
The silent key takes a share by its score, like the others, not one part in T + 1.
    np.maximum(scores.max(axis=1, keepdims=True), 0) → scores.max(axis=1, keepdims=True)
    (np.exp(-top) + exps.sum(axis=1, keepdims=True))
    → exps.sum(axis=1, keepdims=True) * len(scores) / (len(scores) + 1)
You softmaxed over queries; the silent key stands in each *row*.
    scores.max(axis=1 → scores.max(axis=0
    exps.sum(axis=1 → exps.sum(axis=0
Its score is 0, so exp of it is 1; you gave it the score 1.
    keepdims=True), 0) → keepdims=True), 1)
    np.exp(-top) → np.exp(1 - top)
You mixed queries into keys: w @ v.
    weights @ v → weights.T @ v
Return the mixed values first, then the weights.
    weights @ v, weights → weights, weights @ v
""")


def masks_inputs(generator, case):
    """Two texts or more, of which one is padded."""
    texts, tokens = 2 + case // 20, 3 + case % 2 + 2 * (case // 20)
    lengths = generator.integers(1, tokens + 1, size=texts)
    lengths[case % texts] = generator.integers(1, tokens - 1)
    return rounded(generator, texts, tokens, tokens), lengths


@exercise("4.3", "a causal mask and a padding mask", dots=2, minutes=9, inputs=masks_inputs)
def masked_weights(scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Give weights (B, T, T) for scores (B, T, T): no token sees a later one, nor padding. lengths (B,)."""
    T = scores.shape[-1]
    causal = np.tril(np.ones((T, T), dtype=bool))
    real = np.arange(T) < lengths[:, None]
    scores = np.where(causal & real[:, None, :], scores, -np.inf)
    exps = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


masked_weights.slips("""
Rows no longer sum to 1: mask scores before.
    scores = np.where(causal & real[:, None, :], scores, -np.inf) →
    return → return (causal & real[:, None, :]) *
A token may see itself.
    dtype=bool) → dtype=bool), -1
A token may see itself.
    dtype=bool) → dtype=bool), -1
    exps / exps.sum(axis=-1, keepdims=True) → np.nan_to_num(exps / exps.sum(axis=-1, keepdims=True))
A token may see itself.
    dtype=bool) → dtype=bool), -1
    -np.inf → -1e9
Padding hides *keys*.
    real[:, None, :] → real[:, :, None]
Padding hides *keys*.
    real[:, None, :] → real[:, :, None]
    exps / exps.sum(axis=-1, keepdims=True) → np.nan_to_num(exps / exps.sum(axis=-1, keepdims=True))
Padding hides *keys*.
    real[:, None, :] → real[:, :, None]
    -np.inf → -1e9
exp(0) is 1: a score of 0 hides nothing. Write -inf in its place.
    -np.inf → 0.0
The padding can still be seen.
    causal & real[:, None, :] → causal
The future can still be seen.
    causal & real[:, None, :] → real[:, None, :]
Each token sees the future and not the past: the triangle lies below the diagonal.
    np.tril → np.triu
A key must pass both masks: and, not or.
    causal & real → causal | real
You hid what may be seen, and kept the rest.
    causal & real[:, None, :] → ~(causal & real[:, None, :])
""")


@masked_weights.variant("padding on the left")
def left_padded_weights(scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Give weights (B, T, T) as in 4.3, where the padding comes *before* the lengths (B,) real tokens.

    No token sees a later one, nor padding. A query that may see no key at all has a row of zeros.
    """
    T = scores.shape[-1]
    causal = np.tril(np.ones((T, T), dtype=bool))
    real = np.arange(T) >= T - lengths[:, None]
    scores = np.where(causal & real[:, None, :], scores, -np.inf)
    top = scores.max(axis=-1, keepdims=True)
    exps = np.exp(scores - np.where(top > -np.inf, top, 0))
    total = exps.sum(axis=-1, keepdims=True)
    return exps / np.where(total > 0, total, 1)


left_padded_weights.slips("""
That answers the first version: there the padding comes after the text, here before it.
    → masked_weights
A query that may see nothing gets zeros; 0 / 0 made NaN of it.
    np.where(total > 0, total, 1) → total
A query that may see nothing gets zeros, not equal weights on what was hidden from it.
    scores, -np.inf → scores, -1e9
The real tokens are the last ones: they begin at T - length.
    T - lengths[:, None] → lengths[:, None]
They begin at T - length itself: you hid the first real token.
    >= T - lengths → > T - lengths
The padding can still be seen.
    causal & real[:, None, :] → causal
A token may see itself.
    dtype=bool) → dtype=bool), -1
The future can still be seen.
    causal & real[:, None, :] → real[:, None, :]
exp(0) is 1: a score of 0 hides nothing.
    scores, -np.inf → scores, 0.0
""")
