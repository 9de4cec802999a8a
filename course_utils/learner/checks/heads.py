"""What exercises 4.4 to 4.6, on heads, two texts, and halves of the keys, must do, and what goes wrong."""

import numpy as np

from course_utils.learner.checks.attention import IMPORTS, rounded, softmax
from course_utils.learner.checks.neural import WITHOUT
from course_utils.learner.checks.old import Check, Mistake

# 4.4


def mix_heads(weights: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Mix the values v (B, T, C) by heads: head h has its weights (B, H, T, T) and its C / H columns of v."""
    B, T, C = v.shape
    H = weights.shape[1]
    heads = v.reshape(B, T, H, C // H).transpose(0, 2, 1, 3)
    return (weights @ heads).transpose(0, 2, 1, 3).reshape(B, T, C)


def split_heads(v, H):
    return v.reshape(*v.shape[:2], H, -1).swapaxes(1, 2)


def _heads(split=split_heads, merge=lambda mixed: mixed.swapaxes(1, 2)):
    """Vary `mix_heads`: how v becomes (B, H, T, D), and the axes of what was mixed before they are joined."""
    return lambda weights, v: merge(weights @ split(v, weights.shape[1])).reshape(v.shape)


def _by_view(v, H):
    return v.reshape(v.shape[0], H, v.shape[1], -1)


def _overwriting(weights, v):
    heads = v.reshape(*v.shape[:2], weights.shape[1], -1)  # of the caller's own memory
    for i in range(v.shape[1]):
        heads[:, i] = np.einsum("bhj,bjhd->bhd", weights[:, :, i], heads)
    return v


def heads_inputs(generator, case):
    """Two texts or more, two heads or more; a head is not as wide as the text is long."""
    texts, heads, tokens = 2 + case // 20, 2 + case % 2, 3 + case // 10
    weights = generator.integers(1, 10, size=(texts, heads, tokens, tokens)) / 10
    return weights, rounded(generator, texts, tokens, 2 * heads)


MIX_HEADS = Check(
    id="4.4",
    title="split into heads, mix, and merge",
    difficulty=2,
    minutes=10,
    imports=IMPORTS,
    reference=mix_heads,
    inputs=heads_inputs,
    mistakes=(
        Mistake("view alone mixes time and heads: (B,T,H,D), then transpose.", _heads(split=_by_view)),
        Mistake(
            "view alone mixes time and heads: (B,T,H,D), then transpose.",
            _heads(split=_by_view, merge=lambda mixed: mixed),
        ),
        Mistake("Heads and time are swapped on return.", _heads(merge=lambda mixed: mixed)),
        Mistake("You changed the caller's tensor.", _overwriting),
        Mistake(
            "Each head has weights of its own; you used those of the first for all.",
            lambda weights, v: mix_heads(np.broadcast_to(weights[:, :1], weights.shape), v),
        ),
        Mistake(
            "Each head has weights of its own; you averaged them.",
            lambda weights, v: weights.mean(axis=1) @ v,
        ),
        Mistake(
            "A head owns neighbouring columns: the first D, then the next D. Yours owns every H-th.",
            _heads(
                split=lambda v, H: np.stack([v[:, :, h::H] for h in range(H)], axis=1),
                merge=lambda mixed: np.moveaxis(mixed, 1, 3),
            ),
        ),
        Mistake(
            "You mixed queries into keys: the weights stand on the left as they are.",
            lambda weights, v: mix_heads(weights.swapaxes(2, 3), v),
        ),
        Mistake(
            "The heads are still apart: join them to (B, T, C).",
            lambda weights, v: weights @ split_heads(v, weights.shape[1]),
        ),
    ),
    hint="The last axis splits without any move: `v.reshape(B, T, H, D)` with D = C // H. The product of "
    "matrices works on the last two axes, which must be time and width: swap axes 1 and 2. Afterwards swap "
    "them back, and join the last two with `.reshape(B, T, C)`.",
    neighbour="""A shelf of 2 rows with 6 jars each, half of them jam and half honey: put kinds before rows.

```python
shelf = np.array([["j1", "j2", "j3", "h1", "h2", "h3"], ["j4", "j5", "j6", "h4", "h5", "h6"]])
shelf.reshape(2, 2, 3)[0]                      # [["j1", "j2", "j3"], ["h1", "h2", "h3"]]: still row 0
kinds = shelf.reshape(2, 2, 3).swapaxes(0, 1)
kinds[0]                                       # [["j1", "j2", "j3"], ["j4", "j5", "j6"]]: all the jam
kinds.swapaxes(0, 1).reshape(2, 6)             # the shelf again
```

In the exercise the kinds are heads and the rows are tokens, and there is a batch in front.""",
    without=WITHOUT,
)


# 4.5


def cross_attention(
    x: np.ndarray, source: np.ndarray, W_q: np.ndarray, W_k: np.ndarray, W_v: np.ndarray
) -> np.ndarray:
    """Let the target x (T, d_model) read the source (S, d_model): (T, d). All matrices are (d_model, d)."""
    q, k, v = x @ W_q, source @ W_k, source @ W_v
    scores = q @ k.T / np.sqrt(q.shape[1])
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True) @ v


def attention(q, k, v, allowed=True, scale=None, axis=-1):
    """Attention of one head, for the wrong answers to leave the way somewhere in it."""
    scores = q @ k.T * (q.shape[1] ** -0.5 if scale is None else scale)
    return softmax(np.where(allowed, scores, -np.inf), axis) @ v


def cross_inputs(generator, case):
    """A source that is longer or shorter than the target, and at least three tokens."""
    target, source = (2, 3) if case < 10 else (3, 5) if case % 2 else (4, 3)
    d_model, d = source + 1, 2 if case < 20 else source - 1
    matrices = (rounded(generator, d_model, d) for _ in range(3))
    return rounded(generator, target, d_model), rounded(generator, source, d_model), *matrices


CROSS_ATTENTION = Check(
    id="4.5",
    title="cross-attention",
    difficulty=2,
    minutes=8,
    imports=IMPORTS,
    reference=cross_attention,
    inputs=cross_inputs,
    mistakes=(
        Mistake(
            "Keys and values come from the source.",
            lambda x, source, W_q, W_k, W_v: attention(x @ W_q, x @ W_k, x @ W_v),
        ),
        Mistake(
            "The whole source is known: no causal mask.",
            lambda x, source, W_q, W_k, W_v: attention(
                x @ W_q, source @ W_k, source @ W_v, np.tri(len(x), len(source), dtype=bool)
            ),
        ),
        Mistake(
            "Output must have the target's length.",
            lambda x, source, W_q, W_k, W_v: attention(source @ W_q, x @ W_k, x @ W_v),
        ),
        Mistake(
            "Output must have the target's length.",
            lambda x, source, W_q, W_k, W_v: attention(source @ W_q, source @ W_k, source @ W_v),
        ),
        Mistake(
            "Keys and values are swapped: W_k makes what is compared, W_v what is mixed.",
            lambda x, source, W_q, W_k, W_v: attention(x @ W_q, source @ W_v, source @ W_k),
        ),
        Mistake(
            "What is mixed are the values, source @ W_v; you mixed the keys.",
            lambda x, source, W_q, W_k, W_v: attention(x @ W_q, source @ W_k, source @ W_k),
        ),
        Mistake(
            "What is mixed are the values, source @ W_v; you mixed the source itself.",
            lambda x, source, W_q, W_k, W_v: attention(x @ W_q, source @ W_k, source),
        ),
        Mistake(
            "Variance grows with d; scale the scores by 1 / √d.",
            lambda x, source, W_q, W_k, W_v: attention(x @ W_q, source @ W_k, source @ W_v, scale=1),
        ),
        Mistake(
            "d is the head's width, not the model's.",
            lambda x, source, W_q, W_k, W_v: attention(
                x @ W_q, source @ W_k, source @ W_v, scale=len(W_q) ** -0.5
            ),
        ),
        Mistake(
            "You softmaxed over the target; each target token spreads its weight over the source.",
            lambda x, source, W_q, W_k, W_v: attention(x @ W_q, source @ W_k, source @ W_v, axis=0),
        ),
    ),
    hint="Who asks, and who is asked? The target asks: `q = x @ W_q`. The source answers: `k = source @ W_k` "
    "and `v = source @ W_v`. From there on it is 4.1 and 4.2, with scores of the shape (T, S).",
    neighbour="""Two questions, three books. Titles are compared, contents are mixed:

```python
questions = np.array([[1.0, 0.0], [0.0, 1.0]])
titles = np.array([[3.0, 0.0], [0.0, 3.0], [0.0, 3.0]])
contents = np.array([[10.0], [20.0], [40.0]])
scores = questions @ titles.T                  # (2, 3): a row a question, a column a book
exps = np.exp(scores)
exps / exps.sum(axis=1, keepdims=True) @ contents   # [[11.9], [29.5]]: as many rows as questions
```

In the exercise questions are made of the target; titles and contents are both made of the source.""",
    without=WITHOUT,
)


# 4.6


def join_halves(
    mixed_a: np.ndarray, logsum_a: np.ndarray, mixed_b: np.ndarray, logsum_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Join what T queries got from two halves of the keys: mixed (T, D) and log of the sum of exps (T,)."""
    logsum = np.logaddexp(logsum_a, logsum_b)
    share_a, share_b = np.exp(logsum_a - logsum), np.exp(logsum_b - logsum)
    return share_a[:, None] * mixed_a + share_b[:, None] * mixed_b, logsum


def _joined(shares, logsum=np.logaddexp):
    """Vary `join_halves`: `shares(a, b)` of the two halves, and their joint `logsum(a, b)`."""

    def answer(mixed_a, a, mixed_b, b):
        share_a, share_b = shares(a, b)
        return share_a[:, None] * mixed_a + share_b[:, None] * mixed_b, logsum(a, b)

    return answer


def _shares(a, b):
    return np.exp(a - np.logaddexp(a, b)), np.exp(b - np.logaddexp(a, b))


def _plain_logsum(a, b):
    return np.log(np.exp(a) + np.exp(b))


def halves_inputs(generator, case):
    """From the second case on a query may have seen nothing in one half, from the third a logsum be 1,000."""
    queries, width = 2 + case // 20, 3 - case % 2 + case // 20
    width += width == queries
    mixed_a, mixed_b = rounded(generator, queries, width), rounded(generator, queries, width)
    a, b = 1 + np.round(generator.random(queries), 1), 2.2 + np.round(generator.random(queries), 1)
    if case % 3 == 1:
        mixed_b[0], b[0] = 0.0, -np.inf
    elif case % 3 == 2:
        a[0], b[0] = 1000.0, 1000.0 + b[0]
    return mixed_a, a, mixed_b, b


OVERFLOW = "exp(1000) is too large for a float: subtract a logsum before you take exp."

JOIN_HALVES = Check(
    id="4.6",
    title="attention in two halves",
    difficulty=3,
    minutes=12,
    imports=IMPORTS,
    reference=join_halves,
    inputs=halves_inputs,
    mistakes=(
        Mistake(
            "The halves don't weigh the same: each counts by its share of the sum of all exps.",
            _joined(lambda a, b: (np.full_like(a, 0.5), np.full_like(b, 0.5))),
        ),
        Mistake(
            "You added two mixtures: together their weights sum to 2.",
            _joined(lambda a, b: (np.ones_like(a), np.ones_like(b))),
        ),
        Mistake(
            "A logsum is a logarithm: the shares are in proportion to exp of it.",
            _joined(lambda a, b: (a / (a + b), b / (a + b))),
        ),
        Mistake(
            "Adding logarithms multiplies the sums; the sums are to be added.",
            _joined(_shares, lambda a, b: a + b),
        ),
        Mistake(
            "The smaller half counts too: the joint sum is above the larger one.",
            _joined(_shares, np.maximum),
        ),
        Mistake(
            "That is the sum of exps; its logarithm is asked for.",
            _joined(_shares, lambda a, b: np.exp(np.logaddexp(a, b))),
        ),
        Mistake("The shares are swapped.", _joined(lambda a, b: _shares(a, b)[::-1])),
        Mistake(
            OVERFLOW,
            _joined(
                lambda a, b: (np.exp(a) / (np.exp(a) + np.exp(b)), np.exp(b) / (np.exp(a) + np.exp(b))),
                _plain_logsum,
            ),
        ),
        Mistake(
            OVERFLOW,
            _joined(
                lambda a, b: (np.exp(a - _plain_logsum(a, b)), np.exp(b - _plain_logsum(a, b))), _plain_logsum
            ),
        ),
        Mistake(OVERFLOW, _joined(_shares, _plain_logsum)),
    ),
    hint="`np.exp(logsum_a)` is the sum of the exps in the first half, by which its weights were divided. "
    "The share of that half is its sum over both sums: `np.exp(logsum_a - logsum)`, where "
    "`logsum = np.logaddexp(logsum_a, logsum_b)` is log(exp(a) + exp(b)) and never overflows. "
    "`share[:, None]` makes a column, one number for each query.",
    neighbour="""Two classes, of which only the average mark and the number of pupils were kept:

```python
average_a, pupils_a = 2.0, 30
average_b, pupils_b = 3.0, 10
pupils = pupils_a + pupils_b
average_a * pupils_a / pupils + average_b * pupils_b / pupils   # 2.25, not 2.5
```

In the exercise a key counts exp(score) pupils, and of the number of pupils the logarithm was kept.""",
    without=WITHOUT,
)

CHECKS = (MIX_HEADS, CROSS_ATTENTION, JOIN_HALVES)
