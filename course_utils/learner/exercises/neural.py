"""The exercises of chapter 2 on the feed-forward model, in NumPy; `course_utils.recurrent` has the model in
PyTorch."""

import math

import numpy as np

from course_utils.learner.checks.engine import exercise


def windows_inputs(generator, case):
    """Texts of token ids of which one is longer than two windows."""
    n = 2 + case % 3
    lengths = [2 * n + 1, *generator.integers(1, 2 * n + case // 2, size=1 + case // 6)]
    return [generator.integers(0, 20, size=length).tolist() for length in lengths], n


@exercise("2.1", "windows and their next tokens", dots=1, minutes=6, inputs=windows_inputs)
def windows(texts: list[list[int]], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return every run of n token ids that has a next token (X, one a row), and these next tokens (y)."""
    X, y = [], []
    for text in texts:
        for i in range(len(text) - n):
            X.append(text[i : i + n])
            y.append(text[i + n])
    return np.array(X), np.array(y)


windows.slips("""
The answer is in the input.
    text[i + n] → text[i + n - 1]
Move by one; you skip most examples.
    range(len(text) - n) → range(0, len(text) - n, n)
A window joins two plays.
    for text in texts: → for text in [[token for text in texts for token in text]]:
The last example is missing.
    len(text) - n → len(text) - n - 1
You skipped a token: y follows its window at once.
    len(text) - n → len(text) - n - 1
    text[i + n] → text[i + n + 1]
These are windows of n - 1 tokens.
    X, y = → n = n - 1; X, y =
""")


@windows.variant("a window for every token")
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


padded_windows.slips("""
That answers the first version: the first n tokens of each text are not predicted.
    → windows
Oldest token first: what is missing is missing on the left.
    X.append(padded[i : i + n]) → X.append((text[max(i - n, 0) : i] + [0] * n)[:n])
A window joins two plays: each text begins with n zeros of its own.
    for text in texts: → for text in [[token for text in texts for token in text]]:
The answer is in the input: a window ends before its token.
    padded[i : i + n] → padded[i + 1 : i + 1 + n]
The last token of each text is not predicted.
    range(len(text)) → range(len(text) - 1)
One zero is too few: the first token has n places before it, all of them empty.
    [0] * n + text → [0] + text
    range(len(text)) → range(len(padded) - n)
    text[i]) → padded[i + n])
""")


def embeddings_inputs(generator, case):
    """A table that is wider than it is high, so that a column can be picked by mistake."""
    vocabulary, n = 3 + case // 6, 2 + case % 3
    width = vocabulary + 1 + case % 2
    table = generator.integers(-9, 10, size=(vocabulary, width)) / 2
    contexts = generator.integers(0, vocabulary, size=(1 + case // 4, n))
    return table, contexts


@exercise("2.2", "embed and join a context", dots=1, minutes=5, inputs=embeddings_inputs)
def join_embeddings(table: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """Look up the vectors of a batch of contexts (B, n) in the table (V, d) and join them: (B, n * d)."""
    return table[contexts].reshape(len(contexts), -1)


join_embeddings.slips("""
You read columns; an id picks a row.
    table[ → table.T[
Summing forgets order: concatenate.
    .reshape(len(contexts), -1) → .sum(axis=1)
Averaging forgets order: concatenate.
    .reshape(len(contexts), -1) → .mean(axis=1)
Oldest token first.
    [contexts] → [contexts[:, ::-1]]
These are n vectors beside each other: join each context's into one, of n * d numbers.
    .reshape(len(contexts), -1) →
You mixed the tokens' numbers: first all those of the oldest token, then those of the next.
    .reshape → .swapaxes(1, 2).reshape
All contexts became one row: the batch keeps its axis.
    len(contexts), -1 → -1
""")


@join_embeddings.variant("the newest token and the mean of the others", minutes=6)
def newest_and_mean(table: np.ndarray, contexts: np.ndarray) -> np.ndarray:
    """Join for each context (B, n) its newest token's vector and the mean vector of the older ones: (B, 2d).

    The table (V, d) has a row for each id, and the newest token is the last of a context.
    """
    vectors = table[contexts]
    return np.concatenate([vectors[:, -1], vectors[:, :-1].mean(axis=1)], axis=1)


newest_and_mean.slips("""
That answers the first version: it joins the vectors of all n tokens.
    → join_embeddings
You read columns; an id picks a row.
    table[ → table.T[
The newest token is in the mean too: leave it out there.
    vectors[:, :-1] → vectors
The newest token is the last of the context, not the first.
    vectors[:, -1], vectors[:, :-1] → vectors[:, 0], vectors[:, 1:]
The newest token's vector comes first, then the mean.
    vectors[:, -1], vectors[:, :-1].mean(axis=1) → vectors[:, :-1].mean(axis=1), vectors[:, -1]
You summed the older vectors: divide by how many there are.
    mean → sum
Each context becomes one row of 2d numbers: join along the last axis.
    ], axis=1) → ], axis=0)
""")


def bits_inputs(generator, case):
    """Batches of 3 rows and a shorter last one; one logit may be 1,000, of what came or of another byte."""
    vocabulary = 2 + case // 5
    sizes = [3] * (1 + case // 8) + [1 + case % 2]
    logits = [np.round(generator.normal(0, 2, size=(size, vocabulary)), 2) for size in sizes]
    targets = [generator.integers(0, vocabulary, size=size) for size in sizes]
    if case % 3 == 2:
        logits[0][0, (targets[0][0] + case % 2) % vocabulary] = 1000.0
    return logits, targets


@exercise("2.3", "from logits to bits per byte", dots=1, minutes=8, inputs=bits_inputs)
def bits_per_byte(logits: list[np.ndarray], targets: list[np.ndarray]) -> float:
    """Return a model's bits per byte over several batches: logits (B, 256 or fewer), targets (B,)."""
    nats, scored = 0.0, 0
    for batch, target in zip(logits, targets, strict=True):
        shifted = batch - batch.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        nats -= log_p[np.arange(len(target)), target].sum()
        scored += len(target)
    return float(nats / scored / math.log(2))


bits_per_byte.slips("""
np.exp(1000) is infinite: subtract the max.
    shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    → np.log(np.exp(batch) / np.exp(batch).sum(axis=1, keepdims=True))
np.exp(1000) is infinite: subtract the max.
    batch - batch.max(axis=1, keepdims=True) → batch
exp(-1000) is 0 as a float, and its log infinite: subtract the log of the sum, don't divide and take the log.
    shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    → np.log(np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True))
Divide by ln 2.
    / math.log(2) →
The short last batch counts too much; sum, then divide.
    target].sum() → target].mean()
    scored += len(target) → scored += 1
The minus is missing: bits are never below 0.
    nats -= → nats +=
Multiplying by ln 2 turns bits into nats; here it is the other way round.
    / math.log(2) → * math.log(2)
These are the bits of the whole text: divide by its bytes.
    / scored →
Each row is one prediction: the softmax runs over the vocabulary, the last axis.
    batch.max(axis=1 → batch.max(axis=0
    np.exp(shifted).sum(axis=1 → np.exp(shifted).sum(axis=0
""")


@bits_per_byte.variant("bits, token by token")
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


bits_by_target.slips("""
That answers the first version: it gives one number for all tokens together.
    → bits_per_byte
np.exp(1000) is infinite: subtract the max.
    batch - batch.max(axis=1, keepdims=True) → batch
exp(-1000) is 0 as a float, and its log infinite: subtract the log of the sum, don't divide and take the log.
    shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    → np.log(np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True))
Divide by ln 2.
    / math.log(2) →
A batch with few of a token counts too much; sum over all batches, then divide.
    - row[token] / math.log(2) → - row[token] / math.log(2) / (target == token).sum()
    times[token] = times.get(token, 0) + 1 → times[token] = times.get(token, 0) + 1 / (target == token).sum()
These are sums: divide by how often the token is a target.
    / times[token] →
The minus is missing: bits are never below 0.
    0.0) - row → 0.0) + row
Sort by the token that came, not by the likeliest one.
    bits[token] = bits.get(token → bits[int(row.argmax())] = bits.get(int(row.argmax())
    times[token] = times.get(token → times[int(row.argmax())] = times.get(int(row.argmax())
You have the last batch only: make the dicts before the loop over batches.
    shifted = → bits, times = {}, {}; shifted =
""")
