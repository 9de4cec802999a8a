"""The exercises of chapter 5, on the transformer, in NumPy; `course_utils.transformer` has it in PyTorch."""

from collections.abc import Callable

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded


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


@exercise("5.1", "a pre-norm block", dots=1, minutes=4, inputs=block_inputs)
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


@block.variant("a post-norm block")
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


def branch_inputs(generator, case):
    """Tokens, width and hidden width are all different; no vector has mean 0."""
    tokens, width = 2 + case // 20, 3 + 2 * (case % 2)
    hidden = width + 3
    return (
        rounded(generator, tokens, width) + 1.5,
        generator.integers(1, 7, size=width) / 2,
        generator.integers(-4, 5, size=(width, hidden)) / 2,
        generator.integers(-4, 5, size=(hidden, width)) / 2,
    )


@exercise("5.3", "norm and feed-forward", dots=2, minutes=8, inputs=branch_inputs)
def feed_forward_branch(x: np.ndarray, gain: np.ndarray, up: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return what the feed-forward branch adds to the stream x (T, d_model): layer norm, up, ReLU, down.

    gain (d_model,), up (d_model, d_ff), down (d_ff, d_model). The norm adds 1e-5 to the variance.
    """
    centred = x - x.mean(axis=1, keepdims=True)
    variance = (centred**2).mean(axis=1, keepdims=True)
    normed = centred / np.sqrt(variance + 1e-5)
    return np.maximum((gain * normed) @ up, 0) @ down


feed_forward_branch.slips("""
Each position is normed by itself, over its own numbers: along the last axis.
    centred = x - x.mean(axis=1, → centred = x - x.mean(axis=0,
    (centred**2).mean(axis=1, → (centred**2).mean(axis=0,
Each position has its own mean and variance; you took those of all numbers at once.
    centred = x - x.mean(axis=1, keepdims=True) → centred = x - x.mean()
    (centred**2).mean(axis=1, keepdims=True) → (centred**2).mean()
You scale without subtracting the mean: that is RMS norm.
    - x.mean(axis=1, keepdims=True) →
The mean is subtracted, but the vector isn't scaled.
    centred / np.sqrt(variance + 1e-5) → centred
Divide by the root of the variance, not by the variance.
    np.sqrt(variance + 1e-5) → (variance + 1e-5)
Here the variance is the mean of the d_model squares: divide by d_model, not by one less.
    variance = (centred**2).mean(axis=1, keepdims=True) → variance = x.var(axis=1, ddof=1, keepdims=True)
Add 1e-5 to the variance, under the root: a vector of equal numbers would be 0 divided by 0.
    variance + 1e-5) → variance)
Add 1e-5 to the variance, before the root is taken.
    np.sqrt(variance + 1e-5) → (np.sqrt(variance) + 1e-5)
The gain is missing: after the norm each number has a factor of its own.
    (gain * normed) → normed
The gain comes after the norm: before, its factors would change mean and variance.
    centred = x - x.mean(axis=1, keepdims=True) → x = gain * x; centred = x - x.mean(axis=1, keepdims=True)
    (gain * normed) → normed
The branch reads a normed copy of the stream, not the stream.
    (gain * normed) → (gain * x)
The bend is missing: without it two matrices do no more than one.
    np.maximum((gain * normed) @ up, 0) → (gain * normed) @ up
The bend stands between the two matrices, not before them.
    np.maximum((gain * normed) @ up, 0) → np.maximum(gain * normed, 0) @ up
The bend stands between the two matrices, not after them.
    np.maximum((gain * normed) @ up, 0) @ down → np.maximum((gain * normed) @ up @ down, 0)
ReLU keeps what is above 0 and makes the rest 0; you kept the rest.
    np.maximum → np.minimum
ReLU makes negative numbers 0; it doesn't turn their sign.
    np.maximum((gain * normed) @ up, 0) → np.abs((gain * normed) @ up)
Return what the branch adds: the sum with the stream is the block's work.
    return np.maximum → return x + np.maximum
""")


@feed_forward_branch.variant("RMS norm and a squared ReLU")
def squared_branch(x: np.ndarray, gain: np.ndarray, up: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return what another branch adds to the stream x (T, d_model): RMS norm, up, squared ReLU, down.

    RMS norm adds 1e-5 to the mean square, divides by the root of this sum, and subtracts nothing. A squared
    ReLU turns what is below 0 into 0, and squares the rest (So et al. 2021). The shapes are those of 5.3.
    """
    normed = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-5)
    return np.maximum((gain * normed) @ up, 0) ** 2 @ down


squared_branch.slips("""
That answers the first version: here no mean is subtracted, and the ReLU is squared.
    → feed_forward_branch
Nothing is subtracted in RMS norm: with the mean it would be layer norm.
    normed = x → x = x - x.mean(axis=1, keepdims=True); normed = x
Each position is normed by itself, over its own numbers: along the last axis.
    mean(axis=1 → mean(axis=0
Divide by the root of the *mean* of the squares, not of their sum.
    (x**2).mean( → (x**2).sum(
Divide by the root of the mean square.
    np.sqrt((x**2).mean(axis=1, keepdims=True) + 1e-5) → ((x**2).mean(axis=1, keepdims=True) + 1e-5)
Add 1e-5 to the mean square, under the root.
    + 1e-5) → )
The gain is missing: after the norm each number has a factor of its own.
    (gain * normed) → normed
The branch reads a normed copy of the stream, not the stream.
    (gain * normed) → (gain * x)
The ReLU isn't squared.
    , 0) ** 2 → , 0)
First the ReLU, then the square: a square has lost its sign.
    np.maximum((gain * normed) @ up, 0) ** 2 → ((gain * normed) @ up) ** 2
Return what the branch adds: the sum with the stream is the block's work.
    return np.maximum → return x + np.maximum
""")


def cost_inputs(generator, case):
    """A small GPT, then larger ones; the feed-forward layer is seldom 4 d_model wide, T never d_model."""
    n_layers, d_model = int(generator.integers(2, 5 + case)), 4 * (1 + case)
    T, d_ff = d_model + int(generator.integers(1, 9)), d_model + int(generator.integers(1, 3 * d_model))
    return T, n_layers, d_model, d_ff, T + d_ff + int(generator.integers(1, 99))


@exercise("5.4", "what a GPT costs", dots=2, minutes=5, inputs=cost_inputs)
def flops_a_token(T: int, n_layers: int, d_model: int, d_ff: int, vocab_size: int) -> int:
    """Return the FLOPs that a GPT spends on a token, forwards, when it reads T tokens at once."""
    matrices = 4 * d_model**2 + 2 * d_model * d_ff
    pairs = 2 * T * d_model
    return 2 * (n_layers * (matrices + pairs) + d_model * vocab_size)


flops_a_token.slips("""
A weight costs two operations, a multiplication and an addition: twice as many.
    return 2 * → return
Attention has four matrices: for queries, keys, values, and the output.
    4 * d_model**2 → 3 * d_model**2
The feed-forward layer has two matrices, one up and one down.
    2 * d_model * d_ff → d_model * d_ff
The feed-forward layer here is d_ff wide, not 4 d_model.
    2 * d_model * d_ff → 8 * d_model**2
A query meets all T keys twice: for the scores, and for the mixture.
    pairs = 2 * T → pairs = T
All T tokens together have T² pairs; one token has T.
    pairs = 2 * T * → pairs = 2 * T**2 *
Scores and mixtures are missing: they have no weights, but they cost 4 T d_model in each block.
    (matrices + pairs) → matrices
Each block has scores and mixtures of its own.
    n_layers * (matrices + pairs) → n_layers * matrices + pairs
The last product is missing: from d_model numbers to a logit for each word of the vocabulary.
    + d_model * vocab_size →
The logits are made once, after the last block.
    (matrices + pairs) + d_model * vocab_size → (matrices + pairs + d_model * vocab_size)
Looking up an embedding multiplies nothing: the vocabulary costs once, at the logits.
    + d_model * vocab_size → + 2 * d_model * vocab_size
That is one block: there are n_layers.
    n_layers * ( → (
That is forwards and backwards; asked is forwards alone, a third of it.
    return 2 * → return 6 *
That is all T tokens; asked is one.
    return 2 * → return 2 * T *
""")


@flops_a_token.variant("what training costs, with a gate")
def training_flops_a_token(T: int, n_layers: int, d_model: int, d_ff: int, vocab_size: int) -> int:
    """Return the FLOPs that a GPT with a gate spends on a token in training, counted as in 5.4.

    With a gate the feed-forward layer has a third matrix, as large as the others. Backwards, each product of
    matrices becomes two of the same cost.
    """
    matrices = 4 * d_model**2 + 3 * d_model * d_ff
    pairs = 2 * T * d_model
    return 6 * (n_layers * (matrices + pairs) + d_model * vocab_size)


training_flops_a_token.slips("""
That answers the first version: here the feed-forward layer has a gate, and it is trained.
    → flops_a_token
The feed-forward layer has three matrices: gate, up and down.
    3 * d_model * d_ff → 2 * d_model * d_ff
That is forwards alone: backwards costs twice as much as that.
    return 6 * → return 2 *
Forwards and backwards are three times the forward pass: backwards each product becomes *two*.
    return 6 * → return 4 *
A weight costs two operations, a multiplication and an addition.
    return 6 * → return 3 *
A query meets all T keys twice: for the scores, and for the mixture.
    pairs = 2 * T → pairs = T
Each block has scores and mixtures of its own.
    n_layers * (matrices + pairs) → n_layers * matrices + pairs
The last product is missing: from d_model numbers to a logit for each word of the vocabulary.
    + d_model * vocab_size →
That is all T tokens; asked is one.
    return 6 * → return 6 * T *
""")
