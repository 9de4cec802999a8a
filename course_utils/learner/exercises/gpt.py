"""The exercises of chapter 8, on GPT, in NumPy; `course_utils.gpt` has the model in PyTorch."""

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded


def loss_inputs(generator, case):
    """Two rows or more, the first shorter unless padding is -1, no token's id; any logit may be 1,000."""
    rows, time, vocabulary = 2 + case // 10, 4 + case % 3, 3 + case // 6
    padding = [0, vocabulary - 1, -1][case // 3 % 3]
    ids = generator.choice(np.setdiff1d(np.arange(vocabulary), padding), size=(rows, time))
    if padding >= 0:
        ids[0, 3:] = padding
    logits = rounded(generator, rows, time, vocabulary)
    if case % 3 == 2:
        logits[1, 0, (ids[1, 1] + case % 2) % vocabulary] = 1000.0
    return logits, ids, padding


@exercise("8.1", "the loss of every next token", dots=1, minutes=8, inputs=loss_inputs)
def next_token_loss(logits: np.ndarray, ids: np.ndarray, padding: int) -> float:
    """Return the mean nats of every next token: logits (B, T, V) were computed from the ids (B, T).

    Rows shorter than T end in the id `padding`, which is never to be predicted.
    """
    logits, targets = logits[:, :-1], ids[:, 1:]
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    nats = -np.take_along_axis(log_p, targets[:, :, None], axis=2)[:, :, 0]
    return float(nats[targets != padding].mean())


next_token_loss.slips("""
You ask at each place for the token that the model has just read there: the loss goes to 0.
    logits[:, :-1], ids[:, 1:] → logits, ids
You predict the past: your logits at t + 1 are compared with the id at t, which the model has read.
    logits[:, :-1], ids[:, 1:] → logits[:, 1:], ids[:, :-1]
Padding is in your mean: leave out the places whose target is `padding`.
    nats[targets != padding].mean() → nats.mean()
Padding adds nothing to the sum, and must not count in the number either.
    nats[targets != padding].mean() → (nats * (targets != padding)).mean()
Padding is the id that was given, not always 0.
    targets != padding → targets != 0
Every token counts the same: a mean of the rows' means gives a short row too much.
    nats[targets != padding].mean() → np.mean([row[t != padding].mean() for row, t in zip(nats, targets)])
That is the sum over all tokens; the loss is their mean.
    .mean() → .sum()
These are bits: the loss is in nats.
    .mean() → .mean() / np.log(2)
The minus is missing: a loss is never below 0.
    nats = - → nats =
np.exp(1000) is infinite: subtract the max.
    shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    → np.log(np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True))
exp(-1000) is 0 as a float, and its log infinite: subtract the log of the sum, don't divide and take the log.
    shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    → np.log(np.exp(shifted) / np.exp(shifted).sum(axis=2, keepdims=True))
Each position is one prediction: the softmax runs over the vocabulary, the last axis.
    logits.max(axis=2 → logits.max(axis=1
    np.exp(shifted).sum(axis=2 → np.exp(shifted).sum(axis=1
""")


def left_padded_inputs(generator, case):
    """Those of 8.1, but the padding of the first row stands before its text."""
    logits, ids, padding = loss_inputs(generator, case)
    ids[0] = ids[0, ::-1]
    return logits, ids, padding


@next_token_loss.variant("the bits of each text", inputs=left_padded_inputs)
def bits_of_texts(logits: np.ndarray, ids: np.ndarray, padding: int) -> np.ndarray:
    """Return how many bits each text costs, (B,); its first token, with nothing before it, costs none.

    logits (B, T, V) were computed from the ids (B, T). A text shorter than T has the id `padding` *before*
    it, from which nothing is to be predicted.
    """
    logits, read, targets = logits[:, :-1], ids[:, :-1], ids[:, 1:]
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    nats = -np.take_along_axis(log_p, targets[:, :, None], axis=2)[:, :, 0]
    return np.where(read != padding, nats, 0).sum(axis=1) / np.log(2)


bits_of_texts.slips("""
That answers the first version: it gives one mean, in nats; here each text has its sum of bits.
    → next_token_loss
The first token of a text is predicted from padding alone: leave it out.
    read != padding → targets != padding
Padding is in your sum: put 0 where the id that was read is `padding`.
    np.where(read != padding, nats, 0) → nats
Padding is the id that was given, not always 0.
    read != padding → read != 0
You ask at each place for the token that the model has just read there: the loss goes to 0.
    logits[:, :-1], ids[:, :-1], ids[:, 1:] → logits, ids, ids
You predict the past: your logits at t + 1 are compared with the id at t, which the model has read.
    logits[:, :-1], ids[:, :-1], ids[:, 1:] → logits[:, 1:], ids[:, :-1], ids[:, :-1]
These are means: a text costs what all of its tokens cost together.
    / np.log(2) → / np.log(2) / (read != padding).sum(axis=1)
Every text has a number of its own: add up each row.
    np.where(read != padding, nats, 0).sum(axis=1) → float(np.where(read != padding, nats, 0).sum())
That is nats; divide by ln 2.
    / np.log(2) →
The minus is missing: bits are never below 0.
    nats = - → nats =
np.exp(1000) is infinite: subtract the max.
    shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    → np.log(np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True))
exp(-1000) is 0 as a float, and its log infinite: subtract the log of the sum, don't divide and take the log.
    shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    → np.log(np.exp(shifted) / np.exp(shifted).sum(axis=2, keepdims=True))
Each position is one prediction: the softmax runs over the vocabulary, the last axis.
    logits.max(axis=2 → logits.max(axis=1
    np.exp(shifted).sum(axis=2 → np.exp(shifted).sum(axis=1
""")


def step_inputs(generator, case):
    """A cache of no token or more, fewer or more than a vector has numbers; the vectors' width varies."""
    width, past = 4 + 2 * (case % 2), case % 7
    frequencies = np.array([1.0, 0.1, 0.01])[: width // 2] / (1 + case // 2 % 2)
    q, k, v = rounded(generator, 3, width)
    return q, k, v, rounded(generator, past, width), rounded(generator, past, width), frequencies


def rotate(x, positions, frequencies):
    angles = np.asarray(positions)[..., None] * frequencies
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate(
        [a * np.cos(angles) - b * np.sin(angles), a * np.sin(angles) + b * np.cos(angles)], axis=-1
    )


@exercise("8.2", "one step with a cache", dots=3, minutes=15, inputs=step_inputs)
def cached_step(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray,
    frequencies: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Let one new token attend; return its output (D,), and the keys and values (T + 1, D) to keep.

    q, k and v (D,) belong to the new token, and q and k are not rotated yet. keys (T, D) were rotated when
    they were kept. At position t, number i of the first half of a vector and number i of the second turn by
    the angle t * frequencies[i]: (a, b) becomes (a cos - b sin, a sin + b cos).
    """
    angles = len(keys) * frequencies
    a, b = np.split(np.stack([q, k]), 2, axis=1)
    q, k = np.hstack([a * np.cos(angles) - b * np.sin(angles), a * np.sin(angles) + b * np.cos(angles)])
    keys, values = np.vstack([keys, k]), np.vstack([values, v])
    scores = keys @ q / np.sqrt(len(q))
    weights = np.exp(scores - scores.max())
    return weights / weights.sum() @ values, keys, values


cached_step.slips("""
The new token stands at position `len(keys)`: it comes after all tokens of the cache.
    len(keys) * frequencies → 0 * frequencies
Positions count from 0: after T tokens comes position T.
    len(keys) * frequencies → (len(keys) + 1) * frequencies
Positions count from 0: after T tokens comes position T.
    len(keys) * frequencies → (len(keys) - 1) * frequencies
The one query may see all keys, and needs no mask; yours sees the first key alone.
    weights / weights.sum() @ values → values[0]
The keys of the cache were rotated when they were stored: don't rotate them again.
    keys @ q → rotate(keys, [*range(len(keys) - 1), 0], frequencies) @ q
The keys of the cache were rotated when they were stored: don't rotate them again.
    q, k = np.hstack → q, _ = np.hstack
    keys @ q → rotate(keys, np.arange(len(keys)), frequencies) @ q
The query is rotated as well, to the same position.
    q, k = np.hstack → _, k = np.hstack
Keep the rotated key: the next token will read it.
    q, k = np.hstack → q, _ = np.hstack
Values are what is handed over: only queries and keys are rotated.
    np.vstack([values, v]) → np.vstack([values, rotate(v, len(keys), frequencies)])
A token may see itself: add its key and value first, then attend.
    keys @ q → keys[:-1] @ q
    @ values, → @ values[:-1],
A token may see itself: add its key and value first, then attend.
    keys @ q → keys[:-1] @ q
    scores - scores.max() → scores
    @ values, → @ values[:-1],
Divide the scores by √d, the root of the vectors' width.
    / np.sqrt(len(q)) →
Divide the scores by √d, the root of the vectors' width.
    np.sqrt(len(q)) → 2
The weights are missing a softmax.
    weights / weights.sum() → scores
""")


def window_inputs(generator, case):
    """A full cache of two tokens or more, fewer or more than a vector has numbers; the width varies."""
    width, room = 4 + 2 * (case % 2), 2 + case % 5
    frequencies = np.array([1.0, 0.1, 0.01])[: width // 2] / (1 + case // 2 % 2)
    q, k, v = rounded(generator, 3, width)
    return q, k, v, rounded(generator, room, width), rounded(generator, room, width), frequencies


@cached_step.variant("one step with a full cache", inputs=window_inputs)
def step_in_window(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray,
    frequencies: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Let one new token attend when the cache is full; return its output (D,), and keys and values (T, D).

    The oldest of the T tokens in the cache, the first row, is forgotten to make room. All as in 8.2, except
    that keys are stored unrotated. At each step those that are left and the new one are rotated to the places
    0 to T - 1 that they now have.
    """
    keys, values = np.vstack([keys[1:], k]), np.vstack([values[1:], v])
    places = np.append(np.arange(len(keys)), len(keys) - 1)  # of the keys, and of the query
    angles = places[:, None] * frequencies
    a, b = np.split(np.vstack([keys, q]), 2, axis=1)
    rotated = np.hstack([a * np.cos(angles) - b * np.sin(angles), a * np.sin(angles) + b * np.cos(angles)])
    scores = rotated[:-1] @ rotated[-1] / np.sqrt(len(q))
    weights = np.exp(scores - scores.max())
    return weights / weights.sum() @ values, keys, values


step_in_window.slips("""
That answers the first version: its cache grows, and its keys were rotated when stored.
    → cached_step
The cache is full: forget its first row.
    keys[1:] → keys
    values[1:] → values
The oldest token is the first row, not the last.
    keys[1:] → keys[:-1]
    values[1:] → values[:-1]
Forget first, then attend: the oldest token is still seen.
    keys[1:] → keys
    values[1:] → values
    @ values, keys, values → @ values, keys[1:], values[1:]
Keep the keys as they came: their places change at each step.
    @ values, keys, values → @ values, rotated[:-1], values
No key is rotated yet: each turns to its place.
    np.append(np.arange(len(keys)), → np.append(np.zeros(len(keys)),
Without rotation order is lost: query and keys turn to their places.
    np.append(np.arange(len(keys)), len(keys) - 1) → np.zeros(len(keys) + 1)
The query is rotated as well, to the place of its own key.
    , len(keys) - 1) → , 0)
The query stands where its own key does, at T - 1.
    , len(keys) - 1) → , len(keys))
The oldest key that is left moves up to place 0, the newest is at T - 1: you counted backwards.
    np.arange(len(keys)) → np.arange(len(keys))[::-1]
Values are what is handed over: only queries and keys are rotated.
    @ values, keys → @ rotate(values, np.arange(len(keys)), frequencies), keys
The one query may see all keys, and needs no mask; yours sees the first key alone.
    weights / weights.sum() @ values → values[0]
A token may see itself: add its key and value first, then attend.
    rotated[:-1] @ → rotated[:-2] @
    @ values, → @ values[:-1],
Divide the scores by √d, the root of the vectors' width.
    / np.sqrt(len(q)) →
Divide the scores by √d, the root of the vectors' width.
    np.sqrt(len(q)) → 2
The weights are missing a softmax.
    weights / weights.sum() → scores
""")


def windows_inputs(generator, case):
    """A text of 1 to 30 tokens, shorter or longer than a window, seldom a whole number of half windows."""
    return 1 + case, 4 + 2 * (case % 4)


@exercise("8.3", "every token scored once", dots=2, minutes=8, inputs=windows_inputs)
def scoring_windows(n: int, context: int) -> list[tuple[int, int, int]]:
    """Cut a text of n tokens into windows in which each token is scored once: (start, first, end) of each.

    A window reads the tokens from `start` to before `end`, at most `context` of them, and scores those from
    `first` on. Windows start every context // 2 tokens, so that each later one has half a context before
    what it scores.
    """
    windows, start, first = [], 0, 0
    while first < n:
        end = min(start + context, n)
        windows.append((start, first, end))
        start, first = start + context // 2, end
    return windows


scoring_windows.slips("""
The first tokens of each window have nothing before them: let windows overlap by half.
    start + context // 2 → start + context
Tokens in the overlap are scored twice.
    (start, first, end) → (start, start, end)
The first window scores all of its tokens: nothing came before it.
    (start, first, end) → (start, start + context // 2, end)
The last tokens are missing: the last window may be shorter.
    windows.append → if start + context <= n: windows.append
The last window ends where the text ends.
    min(start + context, n) → start + context
The last windows score nothing: stop when every token is scored.
    while first < n → while start < n
That costs a window for every token: move by half a context.
    start + context // 2 → start + 1
""")


@scoring_windows.variant("what each token has before it")
def tokens_before(n: int, context: int) -> list[int]:
    """Say of each token of a text of n how many the window that scores it reads before it.

    Windows are those of 8.3: each reads at most `context` tokens, one starts every context // 2 tokens, and
    the first one that reads a token scores it. `context` is even.
    """
    before, start, first = [], 0, 0
    while first < n:
        end = min(start + context, n)
        before += range(first - start, end - start)
        start, first = start + context // 2, end
    return before


def in_the_last_window(n, context):
    starts = [start for start, _, _ in scoring_windows(n, context)]
    return [i - max(start for start in starts if start <= i) for i in range(n)]


tokens_before.slips("""
That answers the first version: it lists the windows; a number for each token is asked for.
    → scoring_windows
The first tokens of each window have nothing before them: let windows overlap by half.
    start + context // 2 → start + context
Tokens in the overlap are scored twice.
    range(first - start, → range(0,
The first window scores all of its tokens: nothing came before it.
    range(first - start, → range(context // 2,
The last tokens are missing: the last window may be shorter.
    before += → if start + context <= n: before +=
The last window ends where the text ends.
    min(start + context, n) → start + context
That costs a window for every token: move by half a context.
    start + context // 2 → start + 1
The first window that reads a token scores it, not the last.
    → in_the_last_window
A window knows nothing of what lies before its start: count from there.
    range(first - start, end - start) → range(first, end)
A window reads more than it scores: count from its start.
    range(first - start, end - start) → range(end - first)
The token itself does not stand before it.
    range(first - start, end - start) → range(first - start + 1, end - start + 1)
""")
