"""What the exercises of chapter 5, on the transformer, must do, and what usually goes wrong."""

from collections.abc import Callable

import numpy as np

from course_utils.learner.checks.attention import IMPORTS, rounded
from course_utils.learner.checks.neural import WITHOUT
from course_utils.learner.checks.old import Check, Mistake

# 5.1


def block(
    x: np.ndarray, norm_1: Callable, attention: Callable, norm_2: Callable, feed_forward: Callable
) -> np.ndarray:
    """Run a pre-norm transformer block on the residual stream x (T, d_model), and return the new stream."""
    x = x + attention(norm_1(x))
    return x + feed_forward(norm_2(x))


def _named(name, function):
    """A function that a check shows by what it does."""
    function.__name__ = name
    return function


def rms_norm(gain):
    return _named(
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
        _named(f"x → {mixing.tolist()} @ x", lambda x: mixing @ x),
        rms_norm(gains[1]),
        _named(f"x → abs(x @ {W.tolist()})", lambda x: np.abs(x @ W)),
    )


def _post_norm(x, norm_1, attention, norm_2, feed_forward):
    x = norm_1(x + attention(x))
    return norm_2(x + feed_forward(x))


def _normed_stream(x, norm_1, attention, norm_2, feed_forward):
    x = norm_1(x)
    x = norm_2(x + attention(x))
    return x + feed_forward(x)


def _normed_output(x, norm_1, attention, norm_2, feed_forward):
    x = x + norm_1(attention(x))
    return x + norm_2(feed_forward(x))


def _parallel(x, norm_1, attention, norm_2, feed_forward):
    return x + attention(norm_1(x)) + feed_forward(norm_2(x))


BLOCK = Check(
    id="5.1",
    title="a pre-norm block",
    difficulty=3,
    minutes=10,
    imports=f"from collections.abc import Callable\n\n{IMPORTS}",
    reference=block,
    inputs=block_inputs,
    mistakes=(
        Mistake("Normalise the input of the branch, not the sum.", _post_norm),
        Mistake("Add to x itself, or the stream is cut.", _normed_stream),
        Mistake(
            "Each branch has its own norm.",
            lambda x, norm_1, attention, norm_2, feed_forward: block(
                x, norm_1, attention, norm_1, feed_forward
            ),
        ),
        Mistake(
            "The norms are swapped: the first is that of attention.",
            lambda x, norm_1, attention, norm_2, feed_forward: block(
                x, norm_2, attention, norm_1, feed_forward
            ),
        ),
        Mistake("Normalise what a branch reads, not what it adds.", _normed_output),
        Mistake(
            "The feed-forward reads what attention has written: first the one, then the other.", _parallel
        ),
        Mistake(
            "Attention comes first: tokens exchange, then each works on what it got.",
            lambda x, norm_1, attention, norm_2, feed_forward: block(
                x, norm_2, feed_forward, norm_1, attention
            ),
        ),
        Mistake(
            "There is no residual: each branch *adds* to the stream.",
            lambda x, norm_1, attention, norm_2, feed_forward: feed_forward(norm_2(attention(norm_1(x)))),
        ),
        Mistake(
            "The second residual is missing: the feed-forward *adds* to the stream.",
            lambda x, norm_1, attention, norm_2, feed_forward: feed_forward(norm_2(x + attention(norm_1(x)))),
        ),
        Mistake(
            "The second branch adds to what the first has written, not to the x that came in.",
            lambda x, norm_1, attention, norm_2, feed_forward: (
                x + feed_forward(norm_2(x + attention(norm_1(x))))
            ),
        ),
        Mistake(
            "The norms are missing: each branch reads the stream through its own.",
            lambda x, norm_1, attention, norm_2, feed_forward: block(
                x, lambda x: x, attention, lambda x: x, feed_forward
            ),
        ),
        Mistake(
            "The stream itself leaves without a norm: the last norm of the model comes after its last block.",
            lambda *arguments: arguments[3](block(*arguments)),
        ),
    ),
    hint="There are two branches, and both have one form: x plus what a branch makes of a normed copy of x. "
    "Give the result of the first the name `x` again, and the second goes on from it.",
    neighbour="""Two advisers change a balance, one after the other. Each is told it in round hundreds only:

```python
def hundreds(balance):
    return round(balance / 100)

balance = 1234
balance = balance + 5 * hundreds(balance)   # 1294: the balance itself was not rounded
balance = balance - 3 * hundreds(balance)   # 1255: the second was told 13 hundreds, not 12
```

In the exercise the balance is the stream, an adviser is a branch, and what it is told is normed.""",
    without=WITHOUT,
)


# 5.2


def head_scores(weights: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Score heads by the weight that they put on target keys: (H,), and what equal weights would score.

    weights (H, T, T), a row a query; target (T, T) is True where a key is one that the query should look at.
    The mean is over the queries that have a target.
    """
    asked = target.any(axis=1)
    on_target = (weights * target).sum(axis=2)
    chance = target.mean(axis=1)
    return on_target[:, asked].mean(axis=1), float(chance[asked].mean())


def _scored(score=lambda w, t: (w * t).sum(-1), asked=lambda t: t.any(1), chance=lambda t: t.mean(1)):
    """Vary `head_scores`: a row's `score` and `chance`, and which queries are `asked`."""

    def answer(weights, target):
        queries = asked(target)
        return score(weights, target)[:, queries].mean(axis=1), float(chance(target)[queries].mean())

    return answer


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


def _transposed(weights, target):
    return head_scores(weights.swapaxes(1, 2), target)


HEAD_SCORES = Check(
    id="5.2",
    title="the score of a head, and its chance",
    difficulty=2,
    minutes=10,
    imports=IMPORTS,
    reference=head_scores,
    inputs=head_inputs,
    mistakes=(
        Mistake(
            "Queries without a target can't hit any: leave them out of the mean.",
            _scored(asked=lambda target: np.ones(len(target), dtype=bool)),
        ),
        Mistake(
            "Chance is more than 1 in T for a query that has two targets.",
            _scored(chance=lambda target: np.full(len(target), 1 / len(target))),
        ),
        Mistake(
            "The chance is of the same queries as the score: of those that have a target.",
            lambda weights, target: (head_scores(weights, target)[0], float(target.mean())),
        ),
        Mistake(
            "A query's hit is all the weight on its targets: add them up.",
            _scored(score=lambda w, t: (w * t).sum(-1) / np.maximum(t.sum(-1), 1)),
        ),
        Mistake(
            "A query's hit is all the weight on its targets, not the largest of them.",
            _scored(score=lambda w, t: (w * t).max(-1)),
        ),
        Mistake(
            "You counted how often the largest weight is a target; the score is the weight itself.",
            _scored(
                score=lambda w, t: np.take_along_axis(
                    np.broadcast_to(t, w.shape), w.argmax(-1)[..., None], -1
                )[..., 0].astype(float)
            ),
        ),
        Mistake("A row is a query: you read the columns.", _transposed),
        Mistake(
            "A row is a query in `target` too: you read its columns.",
            lambda weights, target: head_scores(weights, target.T),
        ),
        Mistake(
            "Each head has a score of its own; you averaged them.",
            lambda weights, target: (
                np.full(len(weights), head_scores(weights, target)[0].mean()),
                head_scores(weights, target)[1],
            ),
        ),
        Mistake(
            "That is the score over chance; return both.",
            lambda weights, target: (
                head_scores(weights, target)[0] / head_scores(weights, target)[1],
                head_scores(weights, target)[1],
            ),
        ),
    ),
    hint="`(weights * target).sum(axis=2)` is the weight on targets, (H, T). `target.any(axis=1)` says which "
    "queries have a target; pick those, then take the mean. A head that looks at all keys alike puts "
    "`target.mean(axis=1)` of its weight on a query's targets.",
    neighbour="""How well does a player hit the red fields of a board, beside one who throws blindly?

```python
red = np.array([[True, True, False, False], [False, False, False, False], [False, True, False, False]])
throws = np.array([[0.7, 0.2, 0.1, 0.0], [0.3, 0.3, 0.2, 0.2], [0.1, 0.6, 0.2, 0.1]])   # a row a board
has_red = red.any(axis=1)                           # the second board has no red field: no score
(throws * red).sum(axis=1)[has_red].mean()          # 0.75, of 0.9 and 0.6
red.mean(axis=1)[has_red].mean()                    # 0.375 for the blind player, of 0.5 and 0.25
```

In the exercise the boards are queries, the fields keys, and there are several players.""",
    without=WITHOUT,
)

CHECKS = (BLOCK, HEAD_SCORES)
