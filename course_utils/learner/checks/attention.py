"""What exercises 4.1 to 4.3, on attention in one head, must do, and what usually goes wrong.

They are written out in NumPy, one head at a time; `course_utils.attention` has the same in PyTorch. Those on
several heads, and on two texts, are in `course_utils.learner.checks.heads`.
"""

import numpy as np

from course_utils.learner.checks.old import Check, Mistake

WITHOUT = ("course_utils", "torch")

IMPORTS = "import numpy as np"


def rounded(generator, *shape):
    """Normal numbers with one digit after the point, for a person to read."""
    return np.round(generator.normal(size=shape), 1)


def softmax(scores, axis=-1):
    exps = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return exps / exps.sum(axis=axis, keepdims=True)


# 4.1


def attention_scores(x: np.ndarray, W_q: np.ndarray, W_k: np.ndarray) -> np.ndarray:
    """Score every key for every query, (T, T), a row a query; x (T, d_model), W_q and W_k (d_model, d)."""
    q, k = x @ W_q, x @ W_k
    return q @ k.T / np.sqrt(q.shape[1])


def _divided_by(divisor):
    return lambda x, W_q, W_k: x @ W_q @ (x @ W_k).T / divisor(len(x), *W_q.shape)


def scores_inputs(generator, case):
    """The number of tokens, the width of the model and the width of the head are all different."""
    tokens = 3 + case // 10
    d_model, d = tokens + 2, 2 + case % (tokens - 2)
    return rounded(generator, tokens, d_model), rounded(generator, d_model, d), rounded(generator, d_model, d)


SCORES = Check(
    id="4.1",
    title="scores",
    difficulty=1,
    minutes=5,
    imports=IMPORTS,
    reference=attention_scores,
    inputs=scores_inputs,
    mistakes=(
        Mistake("Divide by √d, not d.", _divided_by(lambda T, d_model, d: d)),
        Mistake("Variance grows with d; scale it.", _divided_by(lambda T, d_model, d: 1)),
        Mistake("d is the head's width.", _divided_by(lambda T, d_model, d: np.sqrt(d_model))),
        Mistake(
            "d is the width of a query, not the number of tokens.",
            _divided_by(lambda T, d_model, d: np.sqrt(T)),
        ),
        Mistake("Upside down: divide by √d, don't multiply.", _divided_by(lambda T, d_model, d: d**-0.5)),
        Mistake(
            "A row is a query and a column a key; you have them the other way round.",
            lambda x, W_q, W_k: attention_scores(x, W_q, W_k).T,
        ),
        Mistake(
            "The keys have a matrix of their own, W_k.", lambda x, W_q, W_k: attention_scores(x, W_q, W_q)
        ),
        Mistake(
            "The queries have a matrix of their own, W_q.", lambda x, W_q, W_k: attention_scores(x, W_k, W_k)
        ),
        Mistake(
            "Scores come before the softmax: they may be negative, and a row need not sum to 1.",
            lambda x, W_q, W_k: softmax(attention_scores(x, W_q, W_k)),
        ),
        Mistake(
            "You compared the tokens' own vectors: first make queries and keys of them.",
            lambda x, W_q, W_k: x @ x.T / np.sqrt(W_q.shape[1]),
        ),
    ),
    hint="Three steps: queries `x @ W_q`, keys `x @ W_k`, and all dot products between them at once, "
    "`q @ k.T`. The d under the root is how many numbers a query has, `q.shape[1]`.",
    neighbour="""How alike are three films to two tastes? One dot product for each pair, in one product of \
matrices:

```python
tastes = np.array([[1.0, 0.0], [0.5, 0.5]])              # 2 people, 2 numbers each
films = np.array([[4.0, 0.0], [0.0, 2.0], [1.0, 1.0]])   # 3 films
tastes @ films.T          # [[4.0, 0.0, 1.0], [2.0, 1.0, 1.0]]: a row a person, a column a film
tastes @ films.T / np.sqrt(tastes.shape[1])              # all of it divided by √2
```

In the exercise both sides are made of the same tokens, by two matrices.""",
    without=WITHOUT,
)


# 4.2


def attend(scores: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turn scores (T, T), a row a query, into weights; return the mixed values (T, D), and the weights."""
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights = exps / exps.sum(axis=1, keepdims=True)
    return weights @ v, weights


def _weights_by(weigh):
    """Vary `attend`: `weigh(scores)` gives the weights."""

    def answer(scores, v):
        weights = weigh(scores)
        return weights @ v, weights

    return answer


def _shifted_by_the_largest(scores):
    exps = np.exp(scores - scores.max())
    return exps / exps.sum(axis=1, keepdims=True)


def attend_inputs(generator, case):
    """From the third case on, a row of scores may be near 1,000, and another near -1,000."""
    tokens = 3 + case // 10
    scores = rounded(generator, tokens, tokens)
    if case % 3 == 2:
        scores[0] += 1000
        scores[1] -= 1000
    return scores, rounded(generator, tokens, 2)


ATTEND = Check(
    id="4.2",
    title="weights, and the mixture",
    difficulty=1,
    minutes=6,
    imports=IMPORTS,
    reference=attend,
    inputs=attend_inputs,
    mistakes=(
        Mistake(
            "You softmaxed over queries; each *query's* row sums to 1.",
            _weights_by(lambda scores: softmax(scores, axis=0)),
        ),
        Mistake(
            "Subtract the row's max.",
            _weights_by(lambda scores: np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)),
        ),
        Mistake(
            "Subtract each row's own max: next to a row of 1,000 you left 0 / 0 of the others.",
            _weights_by(_shifted_by_the_largest),
        ),
        Mistake(
            "You mixed queries into keys: w @ v.", lambda scores, v: (softmax(scores).T @ v, softmax(scores))
        ),
        Mistake(
            "Each row has a softmax of its own, not the whole table one.",
            _weights_by(lambda scores: np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()),
        ),
        Mistake(
            "The row must sum to 1: divide by its sum.",
            _weights_by(lambda scores: np.exp(scores - scores.max(axis=1, keepdims=True))),
        ),
        Mistake(
            "Scores can be negative: take exp of each first.",
            _weights_by(lambda scores: scores / scores.sum(axis=1, keepdims=True)),
        ),
        Mistake(
            "You took the best value alone; a soft lookup mixes them all.",
            _weights_by(lambda scores: np.eye(len(scores))[scores.argmax(axis=1)]),
        ),
        Mistake("Return the mixed values first, then the weights.", lambda *a: attend(*a)[::-1]),
        Mistake("Return the weights too: they are what one looks at.", lambda *a: attend(*a)[0]),
    ),
    hint="`axis=1` runs along a row, and `keepdims=True` keeps the shape (T, 1), so that each row is divided "
    "by its own sum. Take `scores.max(axis=1, keepdims=True)` off before `np.exp`: it changes no weight, and "
    "no exp is above 1. Then `weights @ v`.",
    neighbour="""Two judges give marks to three singers, and listen to each in proportion to exp(mark):

```python
marks = np.array([[1.0, 3.0, 2.0], [0.0, 0.0, 0.0]])   # a row a judge
exps = np.exp(marks - marks.max(axis=1, keepdims=True))
shares = exps / exps.sum(axis=1, keepdims=True)        # [[0.09, 0.67, 0.24], [0.33, 0.33, 0.33]]
heights = np.array([[1.5], [1.9], [1.7]])
shares @ heights                                       # [[1.82], [1.7]]: what each judge sees on average
```

In the exercise the judges are queries and the singers keys, and a value has several numbers.""",
    without=WITHOUT,
)


# 4.3


def masked_weights(scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Give weights (B, T, T) for scores (B, T, T): no token sees a later one, nor padding. lengths (B,)."""
    T = scores.shape[-1]
    causal = np.tril(np.ones((T, T), dtype=bool))
    real = np.arange(T) < lengths[:, None]
    scores = np.where(causal & real[:, None, :], scores, -np.inf)
    exps = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def _causal(T, lengths, diagonal=0):
    return np.tril(np.ones((T, T), dtype=bool), diagonal)


def _real_keys(T, lengths):
    return (np.arange(T) < lengths[:, None])[:, None, :]


def _real_queries(T, lengths):
    return (np.arange(T) < lengths[:, None])[:, :, None]


def weights_where(allowed, fill=-np.inf, empty=np.nan):
    """Vary `masked_weights`: `allowed(T, lengths)` says what may be seen, `fill` is the score of the rest.

    A row that may see nothing becomes `empty`.
    """

    def answer(scores, lengths):
        seen = np.broadcast_to(allowed(scores.shape[-1], lengths), scores.shape)
        weights = softmax(np.where(seen, scores, fill))
        return np.where(np.isnan(weights), empty, weights)

    return answer


def _after(scores, lengths):
    T = scores.shape[-1]
    return softmax(scores) * (_causal(T, lengths) & _real_keys(T, lengths))


def _with(*masks):
    return lambda T, lengths: np.logical_and.reduce(
        np.broadcast_arrays(*(mask(T, lengths) for mask in masks))
    )


def _strict(T, lengths):
    return _causal(T, lengths, -1)


def masks_inputs(generator, case):
    """Two texts or more, of which one is padded."""
    texts, tokens = 2 + case // 20, 3 + case % 2 + 2 * (case // 20)
    lengths = generator.integers(1, tokens + 1, size=texts)
    lengths[case % texts] = generator.integers(1, tokens - 1)
    return rounded(generator, texts, tokens, tokens), lengths


STRICT, KEYS = "A token may see itself.", "Padding hides *keys*."

MASKED_WEIGHTS = Check(
    id="4.3",
    title="a causal mask and a padding mask",
    difficulty=2,
    minutes=10,
    imports=IMPORTS,
    reference=masked_weights,
    inputs=masks_inputs,
    mistakes=(
        Mistake("Rows no longer sum to 1: mask scores before.", _after),
        Mistake(STRICT, weights_where(_with(_strict, _real_keys))),
        Mistake(STRICT, weights_where(_with(_strict, _real_keys), empty=0.0)),
        Mistake(STRICT, weights_where(_with(_strict, _real_keys), fill=-1e9)),
        Mistake(KEYS, weights_where(_with(_causal, _real_queries))),
        Mistake(KEYS, weights_where(_with(_causal, _real_queries), empty=0.0)),
        Mistake(KEYS, weights_where(_with(_causal, _real_queries), fill=-1e9)),
        Mistake(
            "exp(0) is 1: a score of 0 hides nothing. Write -inf in its place.",
            weights_where(_with(_causal, _real_keys), fill=0.0),
        ),
        Mistake("The padding can still be seen.", weights_where(_causal)),
        Mistake("The future can still be seen.", weights_where(_real_keys)),
        Mistake(
            "Each token sees the future and not the past: the triangle lies below the diagonal.",
            weights_where(_with(lambda T, lengths: _causal(T, lengths).T, _real_keys)),
        ),
        Mistake(
            "A key must pass both masks: and, not or.",
            weights_where(lambda T, lengths: _causal(T, lengths) | _real_keys(T, lengths)),
        ),
        Mistake(
            "You hid what may be seen, and kept the rest.",
            weights_where(lambda T, lengths: ~(_causal(T, lengths) & _real_keys(T, lengths))),
        ),
    ),
    hint="`np.tril(np.ones((T, T), dtype=bool))` is True where key j is not after query i. "
    "`np.arange(T) < lengths[:, None]` is (B, T) and True where a token is real; as a mask of keys it needs "
    "the shape (B, 1, T). Where both are True keep the score, elsewhere put `-np.inf`; then the softmax.",
    neighbour="""Votes, one of them not valid: its score becomes minus infinity, of which exp makes 0.

```python
scores = np.array([2.0, 1.0, 0.0])
valid = np.array([True, False, True])
scores = np.where(valid, scores, -np.inf)   # [2.0, -inf, 0.0]
exps = np.exp(scores - scores.max())        # [1.0, 0.0, 0.14]
exps / exps.sum()                           # [0.88, 0.0, 0.12]: the others share what it had
```

In the exercise which keys are valid depends on the query and on the text.""",
    without=WITHOUT,
)

CHECKS = (SCORES, ATTEND, MASKED_WEIGHTS)
