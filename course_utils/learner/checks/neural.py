"""What exercises 2.1 to 2.3 of chapter 2, on the feed-forward model, must do, and what usually goes wrong.

Those on recurrent networks are in `course_utils.learner.checks.recurrent`.
"""

import math

import numpy as np

from course_utils.learner.checks.old import Check, Mistake

WITHOUT = ("course_utils", "torch")

# 2.1


def windows(texts: list[list[int]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return every run of n token ids that has a next token (X, one a row), and these next tokens (y)."""
    X, y = [], []
    for text in texts:
        for i in range(len(text) - n):
            X.append(text[i : i + n])
            y.append(text[i + n])
    return np.array(X), np.array(y)


def _windows_of(starts, target):
    """Vary `windows`: `starts(text, n)` gives the starting places and `target(n)` how far off y stands."""

    def answer(texts, n):
        pairs = [(text[i : i + n], text[i + target(n)]) for text in texts for i in starts(text, n)]
        return np.array([x for x, _ in pairs]), np.array([y for _, y in pairs])

    return answer


def windows_inputs(generator, case):
    """Texts of token ids of which one is longer than two windows."""
    n = 2 + case % 3
    lengths = [2 * n + 1, *generator.integers(1, 2 * n + case // 2, size=1 + case // 6)]
    return [generator.integers(0, 20, size=length).tolist() for length in lengths], n


WINDOWS = Check(
    id="2.1",
    title="windows and their next tokens",
    difficulty=1,
    minutes=6,
    imports="import numpy as np",
    reference=windows,
    inputs=windows_inputs,
    mistakes=(
        Mistake(
            "The answer is in the input.",
            _windows_of(lambda text, n: range(len(text) - n), lambda n: n - 1),
        ),
        Mistake(
            "Move by one; you skip most examples.",
            _windows_of(lambda text, n: range(0, len(text) - n, n), lambda n: n),
        ),
        Mistake(
            "A window joins two plays.",
            lambda texts, n: windows([[token for text in texts for token in text]], n),
        ),
        Mistake(
            "The last example is missing.",
            _windows_of(lambda text, n: range(len(text) - n - 1), lambda n: n),
        ),
        Mistake(
            "You skipped a token: y follows its window at once.",
            _windows_of(lambda text, n: range(len(text) - n - 1), lambda n: n + 1),
        ),
        Mistake("These are windows of n - 1 tokens.", lambda texts, n: windows(texts, n - 1)),
    ),
    hint="A text of 5 tokens holds 3 examples with n = 2: they start at 0, 1 and 2. In general "
    "`len(text) - n`. The input that starts at `i` is `text[i : i + n]`, and the token after it is "
    "`text[i + n]`.",
    neighbour="""The same with days: from the temperatures of two days, guess that of the third.

```python
days = [3, 5, 4, 8, 9]
X, y = [], []
for i in range(len(days) - 2):
    X.append(days[i : i + 2])
    y.append(days[i + 2])

np.array(X), np.array(y)  # [[3, 5], [5, 4], [4, 8]] and [4, 8, 9]
```

In the exercise there are several texts, and the windows have n tokens.""",
    without=WITHOUT,
)


# 2.2


def join_embeddings(table: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """Look up the vectors of a batch of contexts (B, n) in the table (V, d) and join them: (B, n * d)."""
    return table[contexts].reshape(len(contexts), -1)


def embeddings_inputs(generator, case):
    """A table that is wider than it is high, so that a column can be picked by mistake."""
    vocabulary, n = 3 + case // 6, 2 + case % 3
    width = vocabulary + 1 + case % 2
    table = generator.integers(-9, 10, size=(vocabulary, width)) / 2
    contexts = generator.integers(0, vocabulary, size=(1 + case // 4, n))
    return table, contexts


JOIN_EMBEDDINGS = Check(
    id="2.2",
    title="embed and join a context",
    difficulty=1,
    minutes=5,
    imports="import numpy as np",
    reference=join_embeddings,
    inputs=embeddings_inputs,
    mistakes=(
        Mistake(
            "You read columns; an id picks a row.",
            lambda table, contexts: table.T[contexts].reshape(len(contexts), -1),
        ),
        Mistake("Summing forgets order: concatenate.", lambda table, contexts: table[contexts].sum(axis=1)),
        Mistake(
            "Averaging forgets order: concatenate.", lambda table, contexts: table[contexts].mean(axis=1)
        ),
        Mistake(
            "Oldest token first.",
            lambda table, contexts: table[contexts[:, ::-1]].reshape(len(contexts), -1),
        ),
        Mistake(
            "These are n vectors beside each other: join each context's into one, of n * d numbers.",
            lambda table, contexts: table[contexts],
        ),
        Mistake(
            "You mixed the tokens' numbers: first all those of the oldest token, then those of the next.",
            lambda table, contexts: table[contexts].swapaxes(1, 2).reshape(len(contexts), -1),
        ),
        Mistake(
            "All contexts became one row: the batch keeps its axis.",
            lambda table, contexts: table[contexts].reshape(-1),
        ),
    ),
    hint="`table[contexts]` picks the row of every id and has the shape (B, n, d). What is left is to join "
    "the last two axes: `.reshape(len(contexts), -1)`.",
    neighbour="""Two words, each with three letters, and a table that gives a letter two numbers:

```python
table = np.array([[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]])
words = np.array([[2, 0, 1], [0, 0, 2]])
picked = table[words]   # shape (2, 3, 2): a row of the table for each letter
picked[0]               # [[2.0, 2.1], [0.0, 0.1], [1.0, 1.1]]
np.concatenate([picked[0, 0], picked[0, 1], picked[0, 2]])   # the first word, joined: 6 numbers
```

In the exercise all contexts of the batch are joined at once.""",
    without=WITHOUT,
)


# 2.3


def bits_per_byte(logits: list[np.ndarray], targets: list[np.ndarray]) -> float:
    """Return a model's bits per byte over several batches: logits (B, 256 or fewer), targets (B,)."""
    nats, scored = 0.0, 0
    for batch, target in zip(logits, targets, strict=True):
        shifted = batch - batch.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        nats -= log_p[np.arange(len(target)), target].sum()
        scored += len(target)
    return float(nats / scored / math.log(2))


def log_softmax(logits, axis=-1):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _plain_softmax(batch):
    return np.log(np.exp(batch) / np.exp(batch).sum(axis=1, keepdims=True))


def _scored_by(log_probs, total):
    """Vary `bits_per_byte`: log_probs(batch) in nats, and how the nats of the batches become a number."""

    def answer(logits, targets):
        nats = [-log_probs(batch)[np.arange(len(t)), t] for batch, t in zip(logits, targets, strict=True)]
        return total(nats)

    return answer


def _mean_bits(nats):
    return np.mean(np.concatenate(nats)) / math.log(2)


def bits_inputs(generator, case):
    """Batches of 3 rows and a shorter last one; from the third case on, one logit may be 1,000."""
    vocabulary = 2 + case // 5
    sizes = [3] * (1 + case // 8) + [1 + case % 2]
    logits = [np.round(generator.normal(0, 2, size=(size, vocabulary)), 2) for size in sizes]
    targets = [generator.integers(0, vocabulary, size=size) for size in sizes]
    if case % 3 == 2:
        logits[0][0, targets[0][0]] = 1000.0
    return logits, targets


OVERFLOW = "Logit 1,000 gives NaN; subtract the max."

BITS_PER_BYTE = Check(
    id="2.3",
    title="from logits to bits per byte",
    difficulty=1,
    minutes=8,
    imports="import math\n\nimport numpy as np",
    reference=bits_per_byte,
    inputs=bits_inputs,
    mistakes=(
        Mistake(OVERFLOW, _scored_by(_plain_softmax, _mean_bits)),
        Mistake(
            OVERFLOW,
            _scored_by(lambda batch: batch - np.log(np.exp(batch).sum(axis=1, keepdims=True)), _mean_bits),
        ),
        Mistake("Divide by ln 2.", _scored_by(log_softmax, lambda nats: np.mean(np.concatenate(nats)))),
        Mistake(
            "The short last batch counts too much; sum, then divide.",
            _scored_by(log_softmax, lambda nats: np.mean([each.mean() for each in nats]) / math.log(2)),
        ),
        Mistake(
            "The minus is missing: bits are never below 0.",
            _scored_by(log_softmax, lambda nats: -_mean_bits(nats)),
        ),
        Mistake(
            "Multiplying by ln 2 turns bits into nats; here it is the other way round.",
            _scored_by(log_softmax, lambda nats: np.mean(np.concatenate(nats)) * math.log(2)),
        ),
        Mistake(
            "These are the bits of the whole text: divide by its bytes.",
            _scored_by(log_softmax, lambda nats: np.sum(np.concatenate(nats)) / math.log(2)),
        ),
        Mistake(
            "Each row is one prediction: the softmax runs over the vocabulary, the last axis.",
            _scored_by(lambda batch: log_softmax(batch, axis=0), _mean_bits),
        ),
    ),
    hint="Add the nats of all batches up, count the bytes, and divide once, at the end. A row's log softmax "
    "is `row - log(sum(exp(row)))`; subtract the row's maximum from the row first, which changes nothing in "
    "the result but keeps `exp` at most 1. `log_p[np.arange(len(target)), target]` picks each row's target.",
    neighbour="""One row by hand: three logits, one of them large.

```python
row = np.array([1000.0, 999.0, 0.0])
# np.exp(1000.0) is inf: too large for a float
shifted = row - row.max()                          # [0.0, -1.0, -1000.0]
log_p = shifted - np.log(np.exp(shifted).sum())    # [-0.313, -1.313, -1000.313], in nats
-log_p[1] / math.log(2)                            # 1.895 bits if token 1 came
```

In the exercise there are many rows, in batches, of which the last may be shorter.""",
    without=WITHOUT,
)

CHECKS = (WINDOWS, JOIN_EMBEDDINGS, BITS_PER_BYTE)
