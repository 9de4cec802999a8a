"""Variants of exercises 4.1 to 4.3 of chapter 4."""

import numpy as np

from course_utils.learner.checks.attention import (
    IMPORTS,
    attend,
    attend_inputs,
    attention_scores,
    masked_weights,
    masks_inputs,
    scores_inputs,
    softmax,
)
from course_utils.learner.checks.old import Check, Mistake

WITHOUT = ("course_utils", "torch")

# 4.1


def newest_scores(x: np.ndarray, W_q: np.ndarray, W_k: np.ndarray) -> np.ndarray:
    """Score all keys for the last token's query alone, (T,), as a model does for each token it writes."""
    q, k = x[-1] @ W_q, x @ W_k
    return k @ q / np.sqrt(len(q))


def _newest(divisor=lambda T, d_model, d: np.sqrt(d), row=lambda table: table[-1]):
    """Vary `newest_scores`: what dot products are divided by, and the row of the table that is returned."""
    return lambda x, W_q, W_k: row(x @ W_q @ (x @ W_k).T) / divisor(len(x), *W_q.shape)


NEWEST_SCORES = Check(
    id="4.1 again",
    variant_of="4.1",
    title="the scores of the newest token",
    difficulty=1,
    minutes=5,
    imports=IMPORTS,
    reference=newest_scores,
    inputs=scores_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it scores the keys for every query; the last one is asked for.",
            attention_scores,
        ),
        Mistake(
            "That is what all queries think of the last key: take a row.", _newest(row=lambda t: t[:, -1])
        ),
        Mistake("The newest token is the last one, not the first.", _newest(row=lambda t: t[0])),
        Mistake(
            "The newest token may see itself: there are T keys, not T - 1.", _newest(row=lambda t: t[-1, :-1])
        ),
        Mistake("Keep the shape (T,): one query, T keys.", _newest(row=lambda t: t[-1:])),
        Mistake("Divide by √d, not d.", _newest(lambda T, d_model, d: d)),
        Mistake("Variance grows with d; scale it.", _newest(lambda T, d_model, d: 1)),
        Mistake("d is the head's width.", _newest(lambda T, d_model, d: np.sqrt(d_model))),
        Mistake(
            "The scores come before the softmax.",
            lambda *arguments: softmax(newest_scores(*arguments), axis=0),
        ),
    ),
    hint="One query is a vector, `q = x[-1] @ W_q`, of the shape (d,). The keys are those of all tokens, "
    "(T, d), so `k @ q` has T numbers. Only the last token needs a query.",
    neighbour="""A new guest meets all who are at the party, himself included:

```python
likes = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])   # a row a guest; the last one is new
likes @ likes[-1]                                        # [1.0, 2.0, 2.0]: one number a guest
```

In the exercise query and keys are made by two matrices, and the numbers are divided by √d.""",
    without=WITHOUT,
)


# 4.2


def attend_or_not(scores: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mix values as in 4.2, where each row has one more key, a silent one, of score 0 and value 0.

    Return the mixed values (T, D) and the weights of the T real keys, (T, T): their rows sum to less than 1.
    """
    top = np.maximum(scores.max(axis=1, keepdims=True), 0)
    exps = np.exp(scores - top)
    weights = exps / (np.exp(-top) + exps.sum(axis=1, keepdims=True))
    return weights @ v, weights


def _or_not(weigh):
    """Vary `attend_or_not`: `weigh(scores)` gives the weights of the real keys."""

    def answer(scores, v):
        weights = weigh(scores)
        return weights @ v, weights

    return answer


def _with_a_key(scores, score=0.0, axis=1):
    """Weights of the real keys beside one more, of a given score."""
    more = np.full_like(scores[:, :1] if axis == 1 else scores[:1], score)
    weights = softmax(np.concatenate([scores, more], axis), axis)
    return weights[:, :-1] if axis == 1 else weights[:-1]


def _one_after_the_shift(scores):
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exps / (1 + exps.sum(axis=1, keepdims=True))


ATTEND_OR_NOT = Check(
    id="4.2 again",
    variant_of="4.2",
    title="weights that may add up to less than 1",
    difficulty=2,
    minutes=8,
    imports=IMPORTS,
    reference=attend_or_not,
    inputs=attend_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: its rows sum to 1, as if the key of score 0 were not there.",
            attend,
        ),
        Mistake(
            "You added 1 after the row's max was taken off: by then exp(0) has become exp(-max).",
            _or_not(_one_after_the_shift),
        ),
        Mistake(
            "Subtract the row's max, or 0 where that is larger.",
            _or_not(lambda scores: np.exp(scores) / (1 + np.exp(scores).sum(axis=1, keepdims=True))),
        ),
        Mistake(
            "The silent key takes a share by its score, like the others, not one part in T + 1.",
            _or_not(lambda scores: softmax(scores) * len(scores) / (len(scores) + 1)),
        ),
        Mistake(
            "You softmaxed over queries; the silent key stands in each *row*.",
            _or_not(lambda s: _with_a_key(s, axis=0)),
        ),
        Mistake(
            "Its score is 0, so exp of it is 1; you gave it the score 1.",
            _or_not(lambda scores: _with_a_key(scores, 1.0)),
        ),
        Mistake(
            "You mixed queries into keys: w @ v.",
            lambda scores, v: (attend_or_not(scores, v)[1].T @ v, attend_or_not(scores, v)[1]),
        ),
        Mistake("Return the mixed values first, then the weights.", lambda *a: attend_or_not(*a)[::-1]),
    ),
    hint="Without care for large numbers the weights are `np.exp(scores) / (1 + sum)`: the 1 is exp(0). Now "
    "take the same number off all T + 1 scores, the silent one included: the larger of the row's max and 0.",
    neighbour="""A vote where one may abstain, which has score 0, like a candidate whom nobody knows:

```python
scores = np.array([2.0, -1.0])
np.exp(scores) / (1 + np.exp(scores).sum())   # [0.84, 0.04]: the missing 0.11 abstained
```

In the exercise there are many voters, and scores that exp can't take as they are.""",
    without=WITHOUT,
)


# 4.3


def left_padded_weights(scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Give weights (B, T, T) as in 4.3, where the padding comes *before* the lengths (B,) real tokens.

    No token sees a later one, nor padding. A query that may see no key at all has a row of zeros.
    """
    T = scores.shape[-1]
    causal = np.tril(np.ones((T, T), dtype=bool))
    real = np.arange(T) >= T - lengths[:, None]
    allowed = causal & real[:, None, :]
    scores = np.where(allowed, scores, -np.inf)
    top = scores.max(axis=-1, keepdims=True)
    exps = np.exp(scores - np.where(top > -np.inf, top, 0))
    total = exps.sum(axis=-1, keepdims=True)
    return exps / np.where(total > 0, total, 1)


def _left(real=None, diagonal=0, fill=-np.inf, empty=0.0):
    """Vary `left_padded_weights`: which keys are `real(T, lengths)`, and what an empty row becomes."""

    def answer(scores, lengths):
        T = scores.shape[-1]
        keys = (real or (lambda T, lengths: np.arange(T) >= T - lengths[:, None]))(T, lengths)
        allowed = np.tri(T, k=diagonal, dtype=bool) & keys[:, None, :]
        weights = softmax(np.where(allowed, scores, fill))
        return np.where(np.isnan(weights), empty, weights)

    return answer


LEFT_PADDED_WEIGHTS = Check(
    id="4.3 again",
    variant_of="4.3",
    title="padding on the left",
    difficulty=2,
    minutes=10,
    imports=IMPORTS,
    reference=left_padded_weights,
    inputs=masks_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: there the padding comes after the text, here before it.",
            masked_weights,
        ),
        Mistake("A query that may see nothing gets zeros; 0 / 0 made NaN of it.", _left(empty=np.nan)),
        Mistake(
            "A query that may see nothing gets zeros, not equal weights on what was hidden from it.",
            _left(fill=-1e9),
        ),
        Mistake(
            "The real tokens are the last ones: they begin at T - length.",
            _left(lambda T, n: np.arange(T) >= n[:, None]),
        ),
        Mistake(
            "They begin at T - length itself: you hid the first real token.",
            _left(lambda T, n: np.arange(T) > T - n[:, None]),
        ),
        Mistake("The padding can still be seen.", _left(lambda T, n: np.ones((len(n), T), dtype=bool))),
        Mistake("A token may see itself.", _left(diagonal=-1)),
        Mistake("The future can still be seen.", _left(diagonal=99)),
        Mistake("exp(0) is 1: a score of 0 hides nothing.", _left(fill=0.0)),
    ),
    hint="`np.arange(T) >= T - lengths[:, None]` is True where a token is real. With padding on the left the "
    "first queries see nothing, and a softmax of minus infinities is 0 / 0. Put zeros in the place of such "
    "rows at the end, or don't take their max off and divide by 1.",
    neighbour="""Shares of a cake, in a house where on one day nobody came:

```python
eaten = np.array([[2.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
total = eaten.sum(axis=1, keepdims=True)
eaten / np.where(total > 0, total, 1)   # [[0.5, 0.25, 0.25], [0.0, 0.0, 0.0]]: no 0 / 0
```

In the exercise what is eaten are the exps, and the empty days are the queries of the padding.""",
    without=WITHOUT,
)

CHECKS = (NEWEST_SCORES, ATTEND_OR_NOT, LEFT_PADDED_WEIGHTS)
