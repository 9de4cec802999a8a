"""Variants of exercises 2.1 to 2.3 of chapter 2."""

import math

import numpy as np

from course_utils.learner.checks.neural import (
    OVERFLOW,
    WITHOUT,
    bits_inputs,
    bits_per_byte,
    embeddings_inputs,
    join_embeddings,
    windows,
    windows_inputs,
)
from course_utils.learner.checks.old import Check, Mistake

# 2.1


def padded_windows(texts: list[list[int]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return for every token of each text the n ids before it (X, one row a token), and the tokens (y).

    Before the first token of a text, id 0 stands in for what is missing.
    """
    X, y = [], []
    for text in texts:
        padded = [0] * n + text
        for i in range(len(text)):
            X.append(padded[i : i + n])
            y.append(text[i])
    return np.array(X), np.array(y)


def _padded_on_the_right(texts, n):
    rows = [(text[max(0, i - n) : i], text[i]) for text in texts for i in range(len(text))]
    return np.array([x + [0] * (n - len(x)) for x, _ in rows]), np.array([y for _, y in rows])


PADDED_WINDOWS = Check(
    id="2.1 again",
    variant_of="2.1",
    title="a window for every token",
    difficulty=1,
    minutes=6,
    imports="import numpy as np",
    reference=padded_windows,
    inputs=windows_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: the first n tokens of each text are not predicted.", windows
        ),
        Mistake("Oldest token first: what is missing is missing on the left.", _padded_on_the_right),
        Mistake(
            "A window joins two plays: each text begins with n zeros of its own.",
            lambda texts, n: padded_windows([[token for text in texts for token in text]], n),
        ),
        Mistake(
            "The answer is in the input: a window ends before its token.",
            lambda texts, n: (
                np.array([([0] * n + text)[i + 1 : i + 1 + n] for text in texts for i in range(len(text))]),
                padded_windows(texts, n)[1],
            ),
        ),
        Mistake(
            "The last token of each text is not predicted.",
            lambda texts, n: padded_windows([text[:-1] for text in texts], n),
        ),
        Mistake(
            "One zero is too few: the first token has n places before it, all of them empty.",
            lambda texts, n: windows([[0, *text] for text in texts], n),
        ),
    ),
    hint="Put n zeros before the text: `padded = [0] * n + text`. The token at place `i` of the text stands "
    "at `i + n` there, so the n ids before it are `padded[i : i + n]`.",
    neighbour="""The mean of three days, for the first days too; before the first it did not rain:

```python
rain = [6, 3, 0, 9]
padded = [0, 0] + rain
[sum(padded[i : i + 3]) / 3 for i in range(len(rain))]  # [2.0, 3.0, 3.0, 4.0]
```

In the exercise a window ends before its token, and there are several texts.""",
    without=WITHOUT,
)


# 2.2


def newest_and_mean(table: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """Join for each context (B, n) its newest token's vector and the mean vector of the older ones: (B, 2d).

    The table (V, d) has a row for each id, and the newest token is the last of a context.
    """
    vectors = table[contexts]
    return np.concatenate([vectors[:, -1], vectors[:, :-1].mean(axis=1)], axis=1)


def _joined(first, second, axis=1):
    """Vary `newest_and_mean`: join two vectors that come from the vectors (B, n, d) of a context."""

    def answer(table, contexts):
        vectors = table[contexts]
        return np.concatenate([first(vectors), second(vectors)], axis=axis)

    return answer


def _newest(vectors):
    return vectors[:, -1]


def _mean_of_older(vectors):
    return vectors[:, :-1].mean(axis=1)


NEWEST_AND_MEAN = Check(
    id="2.2 again",
    variant_of="2.2",
    title="the newest token and the mean of the others",
    difficulty=1,
    minutes=6,
    imports="import numpy as np",
    reference=newest_and_mean,
    inputs=embeddings_inputs,
    mistakes=(
        Mistake("That answers the first version: it joins the vectors of all n tokens.", join_embeddings),
        Mistake(
            "You read columns; an id picks a row.",
            lambda table, contexts: newest_and_mean(table.T, contexts),
        ),
        Mistake(
            "The newest token is in the mean too: leave it out there.",
            _joined(_newest, lambda vectors: vectors.mean(axis=1)),
        ),
        Mistake(
            "The newest token is the last of the context, not the first.",
            _joined(lambda vectors: vectors[:, 0], lambda vectors: vectors[:, 1:].mean(axis=1)),
        ),
        Mistake("The newest token's vector comes first, then the mean.", _joined(_mean_of_older, _newest)),
        Mistake(
            "You summed the older vectors: divide by how many there are.",
            _joined(_newest, lambda vectors: vectors[:, :-1].sum(axis=1)),
        ),
        Mistake(
            "Each context becomes one row of 2d numbers: join along the last axis.",
            _joined(_newest, _mean_of_older, axis=0),
        ),
    ),
    hint="`vectors = table[contexts]` has the shape (B, n, d). `vectors[:, -1]` are the newest, "
    "`vectors[:, :-1]` the others, whose mean over the tokens is over `axis=1`.",
    neighbour="""The last mark of each pupil, and the mean of the marks before:

```python
marks = np.array([[2.0, 4.0, 1.0], [3.0, 3.0, 5.0]])  # two pupils, three marks
np.stack([marks[:, -1], marks[:, :-1].mean(axis=1)], axis=1)  # [[1.0, 3.0], [5.0, 3.0]]
```

In the exercise a mark is a vector of d numbers, so the two are joined, not stacked.""",
    without=WITHOUT,
)


# 2.3


LN_2 = math.log(2)


def bits_by_target(logits: list[np.ndarray], targets: list[np.ndarray]) -> dict[int, float]:
    """Say of each token that is a target how many bits the model spends on it, on average over all batches.

    logits (B, 256 or fewer) and targets (B,) come as a list of batches.
    """
    bits, times = {}, {}
    for batch, target in zip(logits, targets, strict=True):
        shifted = batch - batch.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        for row, token in zip(log_p, target.tolist(), strict=True):
            bits[token] = bits.get(token, 0.0) - row[token] / math.log(2)
            times[token] = times.get(token, 0) + 1
    return {token: bits[token] / times[token] for token in bits}


def _by_target(stable=True, unit=LN_2, total=np.mean, key=lambda row, token: token):
    """Vary `bits_by_target`: `total` makes a number of the bits of a key, `unit` the nats of a bit."""

    def answer(logits, targets):
        bits = {}
        for batch, target in zip(logits, targets, strict=True):
            shifted = batch - batch.max(axis=1, keepdims=True) if stable else batch
            log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
            for row, token in zip(log_p, target.tolist(), strict=True):
                bits.setdefault(key(row, token), []).append(-row[token] / unit)
        return {token: float(total(values)) for token, values in bits.items()}

    return answer


def _means_of_batch_means(logits, targets):
    means = {}
    for batch, target in zip(logits, targets, strict=True):
        for token, bits in bits_by_target([batch], [target]).items():
            means.setdefault(token, []).append(bits)
    return {token: float(np.mean(values)) for token, values in means.items()}


BITS_BY_TARGET = Check(
    id="2.3 again",
    variant_of="2.3",
    title="bits, token by token",
    difficulty=1,
    minutes=8,
    imports="import math\n\nimport numpy as np",
    reference=bits_by_target,
    inputs=bits_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it gives one number for all tokens together.", bits_per_byte
        ),
        Mistake(OVERFLOW, _by_target(stable=False)),
        Mistake("Divide by ln 2.", _by_target(unit=1)),
        Mistake(
            "A batch with few of a token counts too much; sum over all batches, then divide.",
            _means_of_batch_means,
        ),
        Mistake("These are sums: divide by how often the token is a target.", _by_target(total=np.sum)),
        Mistake(
            "The minus is missing: bits are never below 0.", _by_target(total=lambda bits: -np.mean(bits))
        ),
        Mistake(
            "Sort by the token that came, not by the likeliest one.",
            _by_target(key=lambda row, token: int(row.argmax())),
        ),
        Mistake(
            "You have the last batch only: make the dicts before the loop over batches.",
            lambda logits, targets: bits_by_target(logits[-1:], targets[-1:]),
        ),
    ),
    hint="Two dicts that outlive the batches: the bits of each token, and how often it was the target. "
    "A row's log softmax is that of 2.3; divide at the very end.",
    neighbour="""The mean mark in each subject, from papers that come in two heaps:

```python
heaps = [[("art", 2), ("math", 5)], [("math", 1), ("math", 3)]]
total, papers = {}, {}
for heap in heaps:
    for subject, mark in heap:
        total[subject] = total.get(subject, 0) + mark
        papers[subject] = papers.get(subject, 0) + 1
{subject: total[subject] / papers[subject] for subject in total}  # {"art": 2.0, "math": 3.0}
```

In the exercise a heap is a batch, the subject a target, and the mark its bits.""",
    without=WITHOUT,
)

CHECKS = (PADDED_WINDOWS, NEWEST_AND_MEAN, BITS_BY_TARGET)
