"""What the exercises of chapter 8, on GPT, must do, and what usually goes wrong.

They are written out in NumPy; `course_utils.gpt` has the model in PyTorch.
"""

import math

import numpy as np

from course_utils.learner.checks.attention import rounded, softmax
from course_utils.learner.checks.engine import Check, Mistake
from course_utils.learner.checks.neural import WITHOUT, log_softmax

IMPORTS = "import numpy as np"

# 8.1


def next_token_loss(logits: np.ndarray, ids: np.ndarray, padding: int) -> float:
    """Return the mean nats of every next token: logits (B, T, V) were computed from the ids (B, T).

    Rows shorter than T end in the id `padding`, which is never to be predicted.
    """
    logits, targets = logits[:, :-1], ids[:, 1:]
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    nats = -np.take_along_axis(log_p, targets[:, :, None], axis=2)[:, :, 0]
    return float(nats[targets != padding].mean())


def _unshifted_log_softmax(logits):
    return np.log(np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True))


def _mean_of_all(nats, scored):
    return nats[scored].mean()


def _mean_of_rows(nats, scored):
    return np.mean([row[which].mean() for row, which in zip(nats, scored, strict=True)])


def _loss_with(predict=slice(None, -1), target=slice(1, None), log_p=log_softmax, mean=_mean_of_all):
    """Vary `next_token_loss`: which positions predict which, the log softmax, how nats are averaged."""

    def answer(logits, ids, padding):
        targets = ids[:, target]
        scores = log_p(logits[:, predict])
        nats = -np.take_along_axis(scores, targets[:, :, None], axis=2)[:, :, 0]
        return float(mean(nats, targets != padding))

    return answer


def loss_inputs(generator, case):
    """Two rows or more, the first shorter unless padding is -1, no token's id; a logit may be 1,000."""
    rows, time, vocabulary = 2 + case // 10, 4 + case % 3, 3 + case // 6
    padding = [0, vocabulary - 1, -1][case // 3 % 3]
    ids = generator.choice(np.setdiff1d(np.arange(vocabulary), padding), size=(rows, time))
    if padding >= 0:
        ids[0, 3:] = padding
    logits = rounded(generator, rows, time, vocabulary)
    if case % 3 == 2:
        logits[1, 0, ids[1, 1]] = 1000.0
    return logits, ids, padding


LOSS = Check(
    id="8.1",
    title="the loss of every next token",
    difficulty=1,
    minutes=8,
    imports=IMPORTS,
    reference=next_token_loss,
    inputs=loss_inputs,
    mistakes=(
        Mistake(
            "You ask for the token it has just read: loss goes to 0.",
            _loss_with(predict=slice(None), target=slice(None)),
        ),
        Mistake("You predict the past.", _loss_with(predict=slice(1, None), target=slice(None, -1))),
        Mistake("Padding is in the mean.", _loss_with(mean=lambda nats, scored: nats.mean())),
        Mistake(
            "Padding adds nothing to the sum, and must not count in the number either.",
            _loss_with(mean=lambda nats, scored: (nats * scored).sum() / nats.size),
        ),
        Mistake(
            "Padding is the id that was given, not always 0.",
            lambda logits, ids, padding: next_token_loss(logits, ids, 0),
        ),
        Mistake(
            "Every token counts the same: a mean of the rows' means gives a short row too much.",
            _loss_with(mean=_mean_of_rows),
        ),
        Mistake(
            "That is the sum over all tokens; the loss is their mean.",
            _loss_with(mean=lambda nats, scored: nats[scored].sum()),
        ),
        Mistake(
            "These are bits: the loss is in nats.",
            _loss_with(mean=lambda nats, scored: nats[scored].mean() / math.log(2)),
        ),
        Mistake(
            "The minus is missing: a loss is never below 0.",
            _loss_with(mean=lambda nats, scored: -nats[scored].mean()),
        ),
        Mistake("Logit 1,000 gives NaN; subtract the max.", _loss_with(log_p=_unshifted_log_softmax)),
        Mistake(
            "Each position is one prediction: the softmax runs over the vocabulary, the last axis.",
            _loss_with(log_p=lambda logits: log_softmax(logits, axis=1)),
        ),
    ),
    hint="The logits at position t were computed from the ids up to t, so the id at t + 1 judges them: "
    "`logits[:, :-1]` against `ids[:, 1:]`. `np.take_along_axis(log_p, targets[:, :, None], axis=2)` picks "
    "the log-probability of each target. Then leave the padding out, and take one mean over what is left.",
    neighbour="""One row with three guesses of tomorrow's weather, each made after seeing the day itself:

```python
days = np.array([0, 2, 1])                  # 0 sun, 1 cloud, 2 rain
guesses = np.array([[0.5, 0.2, 0.3],        # made after day 0, about day 1
                    [0.1, 0.7, 0.2],        # made after day 1, about day 2
                    [0.4, 0.4, 0.2]])       # made after day 2: nothing to judge it by
made, came = guesses[:-1], days[1:]
-np.log(made[np.arange(2), came]).mean()    # -(ln 0.3 + ln 0.7) / 2 = 0.780
```

In the exercise there are many rows, logits in place of probabilities, and padding to leave out.""",
    without=WITHOUT,
)


# 8.2


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
    cos, sin = np.cos(len(keys) * frequencies), np.sin(len(keys) * frequencies)
    a, b = np.split(np.stack([q, k]), 2, axis=1)
    q, k = np.hstack([a * cos - b * sin, a * sin + b * cos])
    keys, values = np.vstack([keys, k]), np.vstack([values, v])
    scores = keys @ q / np.sqrt(len(q))
    weights = np.exp(scores - scores.max())
    return weights / weights.sum() @ values, keys, values


def _rotate(x, position, frequencies):
    angles = np.asarray(position)[..., None] * frequencies
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate(
        [a * np.cos(angles) - b * np.sin(angles), a * np.sin(angles) + b * np.cos(angles)], axis=-1
    )


def _step_with(
    position=len,
    scale=lambda q: np.sqrt(len(q)),
    rotated="qk",
    read=lambda keys, frequencies: keys,
    weigh=softmax,
):
    """Vary `cached_step`: the new token's position, what is divided by, which vectors are rotated, how the
    keys are read, and how scores become weights."""

    def answer(q, k, v, keys, values, frequencies):
        t = position(keys)
        q, k, v = (
            _rotate(x, t, frequencies) if name in rotated else x
            for name, x in zip("qkv", (q, k, v), strict=True)
        )
        keys, values = np.vstack([keys, k]), np.vstack([values, v])
        scores = read(keys, frequencies) @ q / scale(q)
        return weigh(scores) @ values, keys, values

    return answer


def _blind_to_itself(weigh):
    def answer(q, k, v, keys, values, frequencies):
        _, grown, more = cached_step(q, k, v, keys, values, frequencies)
        scores = keys @ _rotate(q, len(keys), frequencies) / np.sqrt(len(q))
        return weigh(scores) @ values, grown, more

    return answer


def step_inputs(generator, case):
    """A cache of no token or more, fewer or more than a vector has numbers; the vectors' width varies."""
    width, past = 4 + 2 * (case % 2), case % 7
    frequencies = np.array([1.0, 0.1, 0.01])[: width // 2] / (1 + case // 2 % 2)
    q, k, v = rounded(generator, 3, width)
    return q, k, v, rounded(generator, past, width), rounded(generator, past, width), frequencies


NOTHING_TO_HIDE = "One query, all keys: nothing to hide."
ROTATED_ONCE = "Keys were rotated when stored."
SEES_ITSELF = "A token may see itself: add its key and value first, then attend."
ROOT = "Divide the scores by √d, the root of the vectors' width."

CACHED_STEP = Check(
    id="8.2",
    title="one step with a cache",
    difficulty=3,
    minutes=15,
    imports=IMPORTS,
    reference=cached_step,
    inputs=step_inputs,
    mistakes=(
        Mistake("The new token stands at position len(cache).", _step_with(position=lambda keys: 0)),
        Mistake(
            "Positions count from 0: after T tokens comes position T.",
            _step_with(position=lambda keys: len(keys) + 1),
        ),
        Mistake(
            "Positions count from 0: after T tokens comes position T.",
            _step_with(position=lambda keys: len(keys) - 1),
        ),
        Mistake(NOTHING_TO_HIDE, _step_with(weigh=lambda scores: np.eye(len(scores))[0])),
        Mistake(
            ROTATED_ONCE,
            _step_with(read=lambda keys, f: _rotate(keys, np.append(np.arange(len(keys) - 1), 0), f)),
        ),
        Mistake(
            ROTATED_ONCE,
            _step_with(rotated="q", read=lambda keys, f: _rotate(keys, np.arange(len(keys)), f)),
        ),
        Mistake("The query is rotated as well, to the same position.", _step_with(rotated="k")),
        Mistake("Keep the rotated key: the next token will read it.", _step_with(rotated="q")),
        Mistake(
            "Values are what is handed over: only queries and keys are rotated.", _step_with(rotated="qkv")
        ),
        Mistake(SEES_ITSELF, _blind_to_itself(softmax)),  # an empty cache has no largest score: an error
        Mistake(SEES_ITSELF, _blind_to_itself(lambda scores: np.exp(scores) / np.exp(scores).sum())),
        Mistake(ROOT, _step_with(scale=lambda q: 1)),
        Mistake(ROOT, _step_with(scale=lambda q: 2)),
        Mistake(
            "The weights are missing a softmax.",
            _step_with(weigh=lambda scores: scores),
        ),
    ),
    hint="The cache holds T tokens, at the positions 0 to T - 1, so the new one stands at `len(keys)`. "
    "Rotate q and k to there, put k and v below the cache with `np.vstack`, and let the one query attend to "
    "all rows. There is no mask: everything in the cache is the past.",
    neighbour="""A running mean that also keeps what it has seen. Only the new number is worked on:

```python
seen = np.array([2.0, 4.0])          # as they were kept
new = 9.0
position = len(seen)                 # 2: the positions 0 and 1 are taken
seen = np.append(seen, new)
seen.mean(), seen                    # 5.0, and [2.0, 4.0, 9.0] for the next time
```

In the exercise the mean is weighted by a softmax of the scores, and q and k are rotated first.""",
    without=WITHOUT,
)


# 8.3


def scoring_windows(n: int, context: int) -> list[tuple[int, int, int]]:
    """Cut a text of n tokens into windows in which each token is scored once: (start, first, end) of each.

    A window reads the tokens from `start` to before `end`, at most `context` of them, and scores those from
    `first` on. Windows start every context // 2 tokens, so that what is scored has half a context before it.
    """
    windows, start, first = [], 0, 0
    while first < n:
        end = min(start + context, n)
        windows.append((start, first, end))
        start, first = start + context // 2, end
    return windows


def _windows_with(stride=lambda context: context // 2, first=None, clip=True):
    """Vary `scoring_windows`: the stride, and where scoring begins, `first(start, done, context)`."""

    def answer(n, context):
        windows, start, done = [], 0, 0
        while done < n:
            end = min(start + context, n) if clip else start + context
            windows.append((start, first(start, done, context) if first else done, end))
            start, done = start + stride(context), end
        return windows

    return answer


def _until_the_start_passes_the_end(n, context):
    starts = range(0, n, context // 2)
    ends = [min(start + context, n) for start in starts]
    return list(zip(starts, [0, *ends[:-1]], ends, strict=True))


def windows_inputs(generator, case):
    """A text of 1 to 30 tokens, shorter or longer than a window, seldom a whole number of half windows."""
    return 1 + case, 4 + 2 * (case % 4)


WINDOWS = Check(
    id="8.3",
    title="every token scored once",
    difficulty=2,
    minutes=8,
    reference=scoring_windows,
    inputs=windows_inputs,
    mistakes=(
        Mistake(
            "The first tokens of each window have nothing before them: let windows overlap by half.",
            _windows_with(stride=lambda context: context),
        ),
        Mistake(
            "Tokens in the overlap are scored twice.", _windows_with(first=lambda start, done, context: start)
        ),
        Mistake(
            "The first window scores all of its tokens: nothing came before it.",
            _windows_with(first=lambda start, done, context: start + context // 2),
        ),
        Mistake(
            "The last tokens are missing: the last window may be shorter.",
            lambda n, context: [
                window for window in scoring_windows(n, context) if window[2] - window[0] == context
            ],
        ),
        Mistake("The last window ends where the text ends.", _windows_with(clip=False)),
        Mistake(
            "The last windows score nothing: stop when every token is scored.",
            _until_the_start_passes_the_end,
        ),
        Mistake(
            "That costs a window for every token: move by half a context.",
            _windows_with(stride=lambda context: 1),
        ),
    ),
    hint="Keep two numbers: where the window starts, and which token is the first not yet scored. A window "
    "ends at `min(start + context, n)`; the next one starts `context // 2` later and scores from where this "
    "one ended. Go on while a token is left.",
    neighbour="""Two painters share a fence of 7 boards. The second starts 2 boards further on, can reach 4, \
and paints only what is bare:

```python
reach, boards = 4, 7
first_painter = (0, 0, min(0 + reach, boards))    # stands at 0, paints 0 to 3: (0, 0, 4)
second_painter = (2, 4, min(2 + reach, boards))   # stands at 2, paints 4 and 5: (2, 4, 6)
third_painter = (4, 6, min(4 + reach, boards))    # stands at 4, paints 6: (4, 6, 7)
```

In the exercise a loop does it for any length.""",
    without=WITHOUT,
)

CHECKS = (LOSS, CACHED_STEP, WINDOWS)
