"""The exercises of chapter 5, on the transformer, in NumPy; `course_utils.transformer` has it in PyTorch."""

from collections.abc import Callable
from functools import partial

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded

exercise = partial(exercise, forbidden_modules=("course_utils", "torch"))


def named(name, function):
    """A function that a check shows by what it does."""
    function.__name__ = name
    return function


def rms_norm(gain):
    return named(
        f"x → {gain.tolist()} * x / rms(x)",
        lambda x: gain * x / np.sqrt((x**2).mean(axis=-1, keepdims=True)),
    )


def block_inputs(generator, case):
    """Two norms with different gains, a mixing of tokens, and a feed-forward that is not linear."""
    tokens, width = 2 + case // 10, 3 - case % 2
    gains = [generator.integers(1, 5, size=width) / 2 for _ in range(2)]
    gains[1][0] = gains[0][0] + 1
    mixing = np.tril(generator.integers(1, 5, size=(tokens, tokens))) / 2
    W = generator.integers(-4, 5, size=(width, width)) / 2
    W[0, 0] = 1.5
    return (
        rounded(generator, tokens, width) + 0.05,
        rms_norm(gains[0]),
        named(f"x → {mixing.tolist()} @ x", lambda x: mixing @ x),
        rms_norm(gains[1]),
        named(f"x → abs(x @ {W.tolist()})", lambda x: np.abs(x @ W)),
    )


@exercise("5.1", "a pre-norm block", dots=3, minutes=10, inputs=block_inputs)
def block(
    x: np.ndarray, norm_1: Callable, attention: Callable, norm_2: Callable, feed_forward: Callable
) -> np.ndarray:
    """Run a pre-norm transformer block on the residual stream x (T, d_model), and return the new stream."""
    x = x + attention(norm_1(x))
    return x + feed_forward(norm_2(x))


block.slips("""
Normalise the input of the branch, not the sum.
    x + attention(norm_1(x)) → norm_1(x + attention(x))
    x + feed_forward(norm_2(x)) → norm_2(x + feed_forward(x))
Add to x itself, or the stream is cut.
    x = x + attention(norm_1(x)) → x = norm_1(x); x = norm_2(x + attention(x))
    feed_forward(norm_2(x)) → feed_forward(x)
Each branch has its own norm.
    norm_2( → norm_1(
The norms are swapped: the first is that of attention.
    attention(norm_1( → attention(norm_2(
    feed_forward(norm_2( → feed_forward(norm_1(
Normalise what a branch reads, not what it adds.
    attention(norm_1(x)) → norm_1(attention(x))
    feed_forward(norm_2(x)) → norm_2(feed_forward(x))
The feed-forward reads what attention has written: first the one, then the other.
    x = x + attention(norm_1(x)) → both = x + attention(norm_1(x))
    return x → return both
Attention comes first: tokens exchange, then each works on what it got.
    x = x + attention(norm_1(x)) → x = x + feed_forward(norm_2(x))
    return x + feed_forward(norm_2(x)) → return x + attention(norm_1(x))
There is no residual: each branch *adds* to the stream.
    x + attention → attention
    x + feed_forward → feed_forward
The second residual is missing: the feed-forward *adds* to the stream.
    return x + → return
The second branch adds to what the first has written, not to the x that came in.
    x = x + attention(norm_1(x)) →
    norm_2(x) → norm_2(x + attention(norm_1(x)))
The norms are missing: each branch reads the stream through its own.
    norm_1(x) → x
    norm_2(x) → x
The stream itself leaves without a norm: the last norm of the model comes after its last block.
    x + feed_forward(norm_2(x)) → norm_2(x + feed_forward(norm_2(x)))
""")


@block.variant("a post-norm block", dots=2, minutes=6)
def post_norm_block(
    x: np.ndarray, norm_1: Callable, attention: Callable, norm_2: Callable, feed_forward: Callable
) -> np.ndarray:
    """Run a post-norm block, that of 2017: a branch reads x as it is, and the sum of both is normed."""
    x = norm_1(x + attention(x))
    return norm_2(x + feed_forward(x))


post_norm_block.slips("""
That answers the first version: it norms what a branch reads; here the sum is normed.
    → block
Norm the sum, not what the branch adds.
    norm_1(x + attention(x)) → x + norm_1(attention(x))
    norm_2(x + feed_forward(x)) → x + norm_2(feed_forward(x))
Each sum has its own norm.
    norm_2( → norm_1(
The norms are swapped: the first is that of attention.
    x = norm_1( → x = norm_2(
    return norm_2( → return norm_1(
There is a norm after each branch, not only after the second.
    norm_1(x + attention(x)) → x + attention(x)
The second sum is normed too.
    norm_2(x + feed_forward(x)) → x + feed_forward(x)
There is no residual: each branch *adds* to what it read.
    x + attention → attention
    x + feed_forward → feed_forward
Attention comes first.
    x = norm_1(x + attention(x)) → x = norm_2(x + feed_forward(x))
    return norm_2(x + feed_forward(x)) → return norm_1(x + attention(x))
""")


def head_inputs(generator, case):
    """A query without target, one with two, and the others with one or two."""
    heads, tokens = 2 + case // 20, 3 + case % 2 + 2 * (case // 20)
    weights = generator.integers(1, 10, size=(heads, tokens, tokens))
    weights = np.round(weights / weights.sum(axis=-1, keepdims=True), 2)
    weights[:, :, 0] = np.round(1 - weights[:, :, 1:].sum(axis=-1), 2)
    target = np.zeros((tokens, tokens), dtype=bool)
    _none, two, *others = generator.permutation(tokens)
    target[two, generator.permutation(tokens)[:2]] = True
    for query in others:
        target[query, generator.integers(tokens, size=2)] = True
    if (target == target.T).all():
        target[two] = np.roll(target[two], 1)
    return weights, target


@exercise("5.2", "the score of a head, and its chance", dots=2, minutes=10, inputs=head_inputs)
def head_scores(weights: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Score heads by the weight that they put on target keys: (H,), and what equal weights would score.

    weights (H, T, T), a row a query; target (T, T) is True where a key is one that the query should look at.
    The mean is over the queries that have a target.
    """
    asked = target.any(axis=1)
    on_target = (weights * target).sum(axis=2)
    chance = target.mean(axis=1)
    return on_target[:, asked].mean(axis=1), float(chance[asked].mean())


head_scores.slips("""
Queries without a target can't hit any: leave them out of the mean.
    target.any(axis=1) → np.ones(len(target), dtype=bool)
Chance is more than 1 in T for a query that has two targets.
    target.mean(axis=1) → np.full(len(target), 1 / len(target))
The chance is of the same queries as the score: of those that have a target.
    chance[asked] → chance
A query's hit is all the weight on its targets: add them up.
    .sum(axis=2) → .sum(axis=2) / np.maximum(target.sum(axis=1), 1)
A query's hit is all the weight on its targets, not the largest of them.
    .sum(axis=2) → .max(axis=2)
You counted how often the largest weight is a target; the score is the weight itself.
    (weights * target).sum(axis=2) → target[np.arange(len(target)), weights.argmax(axis=2)].astype(float)
A row is a query: you read the columns.
    weights * target → weights.transpose(0, 2, 1) * target
A row is a query in `target` too: you read its columns.
    asked = → target = target.T; asked =
Each head has a score of its own; you averaged them.
    .mean(axis=1), float → .mean(axis=1).mean().repeat(len(weights)), float
That is the score over chance; return both.
    .mean(axis=1), float → .mean(axis=1) / chance[asked].mean(), float
""")


@head_scores.variant("how often a head hits, and its chance", minutes=8)
def hit_rates(weights: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Say how often the key with a head's largest weight is a target, (H,), and how often a random key is.

    weights (H, T, T) and target (T, T) as in 5.2; only queries that have a target count. Of equal weights the
    first one is taken.
    """
    asked = target.any(axis=1)
    looked_at = weights.argmax(axis=2)
    hits = target[np.arange(len(target)), looked_at]
    return hits[:, asked].mean(axis=1), float(target[asked].mean())


hit_rates.slips("""
That answers the first version: it averages weights; here it is counted who has the largest.
    → head_scores
Queries without a target can't hit any: leave them out.
    target.any(axis=1) → np.ones(len(target), dtype=bool)
Chance is more than 1 in T for a query that has two targets.
    float(target[asked].mean()) → 1 / len(target)
The chance is of the same queries as the hits: of those that have a target.
    target[asked].mean() → target.mean()
A row is a query: you looked for the largest weight of a column.
    argmax(axis=2) → argmax(axis=1)
You took the smallest weight.
    argmax → argmin
A row is a query in `target` too.
    asked = → target = target.T; asked =
These are numbers of hits: divide by the queries that have a target.
    .mean(axis=1), float → .sum(axis=1), float
""")
