"""Variants of exercises 4.4 to 4.6 of chapter 4."""

import numpy as np

from course_utils.learner.checks.attention import IMPORTS, rounded
from course_utils.learner.checks.heads import (
    OVERFLOW,
    attention,
    cross_attention,
    cross_inputs,
    heads_inputs,
    join_halves,
    mix_heads,
    split_heads,
)
from course_utils.learner.checks.neural import WITHOUT
from course_utils.learner.checks.old import Check, Mistake

# 4.4


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


def _placed(columns=lambda h, H, C: slice(h * (C // H), (h + 1) * (C // H)), mixed=None):
    """Vary `head_outputs`: the columns of head h among H, and what is mixed, (B, H, T, D)."""

    def answer(weights, v):
        H, C = weights.shape[1], v.shape[2]
        heads = mixed(weights, v) if mixed else weights @ split_heads(v, H)
        outputs = np.zeros((*weights.shape[:3], C))
        for h in range(H):
            outputs[:, h, :, columns(h, H, C)] = heads[:, h]
        return outputs

    return answer


HEAD_OUTPUTS = Check(
    id="4.4 again",
    variant_of="4.4",
    title="what each head writes",
    difficulty=2,
    minutes=10,
    imports=IMPORTS,
    reference=head_outputs,
    inputs=heads_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: the heads are joined; each one's part is asked for.", mix_heads
        ),
        Mistake(
            "The columns of the other heads are missing: they are 0.",
            lambda w, v: w @ split_heads(v, w.shape[1]),
        ),
        Mistake(
            "view alone mixes time and heads: (B,T,H,D), then transpose.",
            _placed(mixed=lambda w, v: w @ v.reshape(*w.shape[:3], -1)),
        ),
        Mistake(
            "A head owns neighbouring columns, not every H-th.", _placed(lambda h, H, C: slice(h, None, H))
        ),
        Mistake(
            "Every head writes into its own columns, not into the first.",
            _placed(lambda h, H, C: slice(C // H)),
        ),
        Mistake("A head mixes its own columns alone, not all of v.", lambda w, v: w @ v[:, None]),
        Mistake(
            "You mixed queries into keys: the weights stand on the left as they are.",
            lambda w, v: head_outputs(w.swapaxes(2, 3), v),
        ),
        Mistake("The heads stand before time: (B, H, T, C).", lambda *a: head_outputs(*a).swapaxes(1, 2)),
    ),
    hint="Start from `np.zeros((B, H, T, C))`. Head h owns the columns `h * D` to `(h + 1) * D`, of v and of "
    "what it writes, and mixes them with `weights[:, h]`.",
    neighbour="""Two painters share a wall of 4 metres; what does each of them paint?

```python
wall = np.array([1.0, 2.0, 3.0, 4.0])
parts = np.zeros((2, 4))
for painter in range(2):
    own = slice(painter * 2, (painter + 1) * 2)
    parts[painter, own] = 10 * wall[own]
parts   # [[10, 20, 0, 0], [0, 0, 30, 40]]: their sum is the painted wall
```

In the exercise painting is mixing over time, and there is a batch in front.""",
    without=WITHOUT,
)


# 4.5


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


def _prefix(allowed, scale=None):
    """Vary `prefix_attention`: `allowed(T, S)` says what of source and target may be seen."""

    def answer(x, source, W_q, W_k, W_v):
        both = np.concatenate([source, x])
        return attention(x @ W_q, both @ W_k, both @ W_v, allowed(len(x), len(source)), scale)

    return answer


def _seen(T, S, diagonal=0):
    return np.tri(T, S + T, S + diagonal, dtype=bool)


def _two_softmaxes(x, source, W_q, W_k, W_v):
    own = attention(x @ W_q, x @ W_k, x @ W_v, np.tri(len(x), dtype=bool))
    return cross_attention(x, source, W_q, W_k, W_v) + own


def _mean_of_two(*arguments):
    return _two_softmaxes(*arguments) / 2


PREFIX_ATTENTION = Check(
    id="4.5 again",
    variant_of="4.5",
    title="source and target in one lookup",
    difficulty=2,
    minutes=10,
    imports=IMPORTS,
    reference=prefix_attention,
    inputs=cross_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: there the target reads the source alone, not itself.",
            cross_attention,
        ),
        Mistake("You added two mixtures: one softmax runs over source and target.", _two_softmaxes),
        Mistake("You averaged two mixtures: one softmax runs over source and target.", _mean_of_two),
        Mistake("The target sees its own future.", _prefix(lambda T, S: np.ones((T, S + T), dtype=bool))),
        Mistake(
            "The whole source is known: mask the target's part alone.",
            _prefix(lambda T, S: np.tri(T, S + T, dtype=bool)),
        ),
        Mistake("A token may see itself.", _prefix(lambda T, S: _seen(T, S, -1))),
        Mistake(
            "The target reads the source too, not itself alone.",
            lambda x, source, W_q, W_k, W_v: attention(x @ W_q, x @ W_k, x @ W_v, np.tri(len(x), dtype=bool)),
        ),
        Mistake("Variance grows with d; scale the scores by 1 / √d.", _prefix(_seen, scale=1)),
    ),
    hint="`both = np.concatenate([source, x])` has S + T rows, and keys and values are made of it; queries "
    "are made of `x`. Query i may see the S source tokens and i + 1 of its own: "
    "`np.tri(T, S + T, S, dtype=bool)`.",
    neighbour="""A triangle that begins further right, for 2 pages that are there and 3 that are written:

```python
np.tri(3, 2 + 3, 2, dtype=int)
# [[1, 1, 1, 0, 0],
#  [1, 1, 1, 1, 0],
#  [1, 1, 1, 1, 1]]: both old pages, and the new ones up to its own
```

In the exercise the old pages are the source and the new ones the target.""",
    without=WITHOUT,
)


# 4.6


def without_half(
    mixed_all: np.ndarray, logsum_all: np.ndarray, mixed_b: np.ndarray, logsum_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take half b of the keys away again: mixed (T, D) and logsum (T,) of the keys that are left."""
    share_b = np.exp(logsum_b - logsum_all)
    mixed = (mixed_all - share_b[:, None] * mixed_b) / (1 - share_b)[:, None]
    return mixed, logsum_all + np.log1p(-share_b)


def _left_over(share=lambda a, b: np.exp(b - a), divide=True, logsum=None):
    """Vary `without_half`: the `share` of half b in all, whether what is left is scaled up, its `logsum`."""

    def answer(mixed_all, a, mixed_b, b):
        part = share(a, b)
        mixed = mixed_all - part[:, None] * mixed_b
        mixed = mixed / (1 - part)[:, None] if divide else mixed
        return mixed, logsum(a, b) if logsum else a + np.log1p(-np.exp(b - a))

    return answer


def without_inputs(generator, case):
    """The logsum of all is 0.5 or more above that of the half; from the third case on both may be 1,000."""
    queries, width = 2 + case // 20, 3 + case // 20
    b = 1 + np.round(generator.random(queries), 1)
    if case % 3 == 2:
        b[0] += 1000
    logsum_all = b + 0.5 + np.round(generator.random(queries), 1)
    return rounded(generator, queries, width), logsum_all, rounded(generator, queries, width), b


WITHOUT_HALF = Check(
    id="4.6 again",
    variant_of="4.6",
    title="take a half of the keys away",
    difficulty=3,
    minutes=12,
    imports=IMPORTS,
    reference=without_half,
    inputs=without_inputs,
    mistakes=(
        Mistake("That answers the first version: it joins two halves; here one is taken away.", join_halves),
        Mistake(
            "What is left must be scaled up again, so that its weights sum to 1.", _left_over(divide=False)
        ),
        Mistake("A logsum is a logarithm: the share is exp of a difference.", _left_over(lambda a, b: b / a)),
        Mistake(
            "The difference of two logsums is the logarithm of a ratio; subtract the sums themselves.",
            _left_over(logsum=lambda a, b: a - b),
        ),
        Mistake("The logsum of what is left is below that of all.", _left_over(logsum=lambda a, b: a)),
        Mistake(
            "The half weighs by its share, not by one half.", _left_over(lambda a, b: np.full_like(a, 0.5))
        ),
        Mistake(
            "Half b counts by its share in all: take exp(logsum_b - logsum_all) of it.",
            _left_over(lambda a, b: np.zeros_like(a)),
        ),
        Mistake(
            OVERFLOW,
            _left_over(lambda a, b: np.exp(b) / np.exp(a), logsum=lambda a, b: np.log(np.exp(a) - np.exp(b))),
        ),
        Mistake(OVERFLOW, _left_over(logsum=lambda a, b: np.log(np.exp(a) - np.exp(b)))),
    ),
    hint="All is share_b of the half plus 1 - share_b of the rest, where share_b is "
    "`np.exp(logsum_b - logsum_all)`. Solve for the rest. The sum of exps that is left is 1 - share_b of all "
    "of it; its logarithm is `logsum_all + np.log(1 - share_b)`.",
    neighbour="""The average mark of 40 pupils was 2.25. Ten of them, with an average of 3, leave:

```python
average, pupils, leaving = 2.25, 40, 10
share = leaving / pupils
(average - share * 3.0) / (1 - share)   # 2.0, of the 30 who stay
```

In the exercise a key counts exp(score) pupils, and of their number the logarithm was kept.""",
    without=WITHOUT,
)

CHECKS = (HEAD_OUTPUTS, PREFIX_ATTENTION, WITHOUT_HALF)
