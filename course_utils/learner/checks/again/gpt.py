"""Variants of the exercises of chapter 8."""

import math

import numpy as np

from course_utils.learner.checks.attention import rounded, softmax
from course_utils.learner.checks.engine import Check, Mistake
from course_utils.learner.checks.gpt import (
    IMPORTS,
    NOTHING_TO_HIDE,
    ROOT,
    SEES_ITSELF,
    _rotate,
    _unshifted_log_softmax,
    _windows_with,
    cached_step,
    loss_inputs,
    next_token_loss,
    scoring_windows,
    windows_inputs,
)
from course_utils.learner.checks.neural import WITHOUT, log_softmax

# 8.1


def bits_of_texts(logits: np.ndarray, ids: np.ndarray, padding: int) -> np.ndarray:
    """Return how many bits each text costs, (B,); its first token, with nothing before it, costs none.

    logits (B, T, V) were computed from the ids (B, T). A text shorter than T has the id `padding` *before*
    it, from which nothing is to be predicted.
    """
    read, targets = ids[:, :-1], ids[:, 1:]
    shifted = logits[:, :-1] - logits[:, :-1].max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    nats = -np.take_along_axis(log_p, targets[:, :, None], axis=2)[:, :, 0]
    return np.where(read != padding, nats, 0).sum(axis=1) / np.log(2)


def _bits_with(
    predict=slice(None, -1),
    target=slice(1, None),
    log_p=log_softmax,
    scored=lambda read, targets, padding: (read != padding) & (targets != padding),
    total=lambda bits, scored: bits.sum(axis=1),
):
    """Vary `bits_of_texts`: which positions predict which, the log softmax, what is scored and how."""

    def answer(logits, ids, padding):
        targets = ids[:, target]
        picked = np.take_along_axis(log_p(logits[:, predict]), targets[:, :, None], axis=2)[:, :, 0]
        counts = scored(ids[:, predict], targets, padding)
        return total(np.where(counts, -picked / math.log(2), 0), counts)

    return answer


def left_padded_inputs(generator, case):
    """Those of 8.1, but the padding of the first row stands before its text."""
    logits, ids, padding = loss_inputs(generator, case)
    ids[0] = ids[0, ::-1]
    return logits, ids, padding


BITS_OF_TEXTS = Check(
    id="8.1 again",
    variant_of="8.1",
    title="the bits of each text",
    difficulty=1,
    minutes=8,
    imports=IMPORTS,
    reference=bits_of_texts,
    inputs=left_padded_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it gives one mean, in nats; here each text has its sum of bits.",
            next_token_loss,
        ),
        Mistake(
            "The first token of a text is predicted from padding alone: leave it out.",
            _bits_with(scored=lambda read, targets, padding: targets != padding),
        ),
        Mistake(
            "Padding is in the sum.",
            _bits_with(scored=lambda read, targets, padding: np.ones(read.shape, dtype=bool)),
        ),
        Mistake(
            "Padding is the id that was given, not always 0.",
            lambda logits, ids, padding: bits_of_texts(logits, ids, 0),
        ),
        Mistake(
            "You ask for the token it has just read: loss goes to 0.",
            _bits_with(predict=slice(None), target=slice(None)),
        ),
        Mistake("You predict the past.", _bits_with(predict=slice(1, None), target=slice(None, -1))),
        Mistake(
            "These are means: a text costs what all of its tokens cost together.",
            _bits_with(total=lambda bits, scored: bits.sum(axis=1) / scored.sum(axis=1)),
        ),
        Mistake(
            "Every text has a number of its own: add up each row.",
            _bits_with(total=lambda bits, scored: float(bits.sum())),
        ),
        Mistake("That is nats; divide by ln 2.", lambda *a: bits_of_texts(*a) * math.log(2)),
        Mistake("The minus is missing: bits are never below 0.", lambda *a: -bits_of_texts(*a)),
        Mistake("Logit 1,000 gives NaN; subtract the max.", _bits_with(log_p=_unshifted_log_softmax)),
        Mistake(
            "Each position is one prediction: the softmax runs over the vocabulary, the last axis.",
            _bits_with(log_p=lambda logits: log_softmax(logits, axis=1)),
        ),
    ),
    hint="As in 8.1, `logits[:, :-1]` stand against `ids[:, 1:]`. With padding on the left the last padding "
    "is followed by a real token, which it can't predict: look at what was *read*, `ids[:, :-1]`. Put 0 "
    "where that is padding, add up each row, and divide by `np.log(2)`.",
    neighbour="""How far did each of two trains go between its stops? The second one starts later:

```python
stops = np.array([[10, 30, 35, 60], [-1, -1, 20, 50]])    # kilometres; -1: not on its way yet
left, reached = stops[:, :-1], stops[:, 1:]
np.where(left != -1, reached - left, 0).sum(axis=1)        # [50, 30]: -1 to 20 is no journey
```

In the exercise a journey from one token to the next costs bits, of which the logits tell.""",
    without=WITHOUT,
)


# 8.2


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
    that keys are kept as they came, without rotation. At each step those that are left and the new one are
    rotated to the places 0 to T - 1 that they now have.
    """
    keys, values = np.vstack([keys[1:], k]), np.vstack([values[1:], v])
    places = np.append(np.arange(len(keys)), len(keys) - 1)  # of the keys, and of the query
    angles = places[:, None] * frequencies
    a, b = np.split(np.vstack([keys, q]), 2, axis=1)
    rotated = np.hstack([a * np.cos(angles) - b * np.sin(angles), a * np.sin(angles) + b * np.cos(angles)])
    scores = rotated[:-1] @ rotated[-1] / np.sqrt(len(q))
    weights = np.exp(scores - scores.max())
    return weights / weights.sum() @ values, keys, values


def _window_with(
    kept=lambda old: old[1:],
    places=np.arange,
    query_at=lambda T: T - 1,
    read=lambda values, f: values,
    scale=np.sqrt,
    weigh=softmax,
    keep=lambda keys, f: keys,
):
    """Vary `step_in_window`: the rows that are kept, the places of T keys and of the query, how values are
    read, what is divided by, how scores become weights, and which keys are returned."""

    def answer(q, k, v, keys, values, frequencies):
        keys, values = np.vstack([kept(keys), k]), np.vstack([kept(values), v])
        T = len(keys)
        scores = _rotate(keys, places(T), frequencies) @ _rotate(q, query_at(T), frequencies)
        weights = weigh(scores / scale(len(q)))
        return weights @ read(values, frequencies), keep(keys, frequencies), values

    return answer


def _forgets_afterwards(q, k, v, keys, values, frequencies):
    mixed, keys, values = _window_with(kept=lambda old: old)(q, k, v, keys, values, frequencies)
    return mixed, keys[1:], values[1:]


def _rotated_in_place(rows, frequencies):
    return _rotate(rows, np.arange(len(rows)), frequencies)


def window_inputs(generator, case):
    """A full cache of two tokens or more, fewer or more than a vector has numbers; the width varies."""
    width, room = 4 + 2 * (case % 2), 2 + case % 5
    frequencies = np.array([1.0, 0.1, 0.01])[: width // 2] / (1 + case // 2 % 2)
    q, k, v = rounded(generator, 3, width)
    return q, k, v, rounded(generator, room, width), rounded(generator, room, width), frequencies


STEP_IN_WINDOW = Check(
    id="8.2 again",
    variant_of="8.2",
    title="one step with a full cache",
    difficulty=3,
    minutes=15,
    imports=IMPORTS,
    reference=step_in_window,
    inputs=window_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: its cache grows, and its keys were rotated when stored.",
            cached_step,
        ),
        Mistake("The cache is full: forget its first row.", _window_with(kept=lambda old: old)),
        Mistake("The oldest token is the first row, not the last.", _window_with(kept=lambda old: old[:-1])),
        Mistake("Forget first, then attend: the oldest token is still seen.", _forgets_afterwards),
        Mistake(
            "Keep the keys as they came: their places change at each step.",
            _window_with(keep=_rotated_in_place),
        ),
        Mistake("No key is rotated yet: each turns to its place.", _window_with(places=np.zeros)),
        Mistake(
            "Without rotation order is lost: query and keys turn to their places.",
            _window_with(places=np.zeros, query_at=lambda T: 0),
        ),
        Mistake(
            "The query is rotated as well, to the place of its own key.", _window_with(query_at=lambda T: 0)
        ),
        Mistake("The query stands where its own key does, at T - 1.", _window_with(query_at=lambda T: T)),
        Mistake(
            "The oldest key that is left moves up to place 0, the newest is at T - 1: you counted backwards.",
            _window_with(places=lambda T: np.arange(T)[::-1]),
        ),
        Mistake(
            "Values are what is handed over: only queries and keys are rotated.",
            _window_with(read=_rotated_in_place),
        ),
        Mistake(NOTHING_TO_HIDE, _window_with(weigh=lambda scores: np.eye(len(scores))[0])),
        Mistake(SEES_ITSELF, _window_with(weigh=lambda scores: np.append(softmax(scores[:-1]), 0))),
        Mistake(ROOT, _window_with(scale=lambda D: 1)),
        Mistake(ROOT, _window_with(scale=lambda D: 2)),
        Mistake("The weights are missing a softmax.", _window_with(weigh=lambda scores: scores)),
    ),
    hint="First the new cache: `np.vstack([keys[1:], k])` has T rows again, and so have the values. Row t of "
    "the keys stands at place t, the query where its own key stands, at T - 1. Rotate copies, and return the "
    "rows as they came.",
    neighbour="""A shelf with room for 3 books. The price of a book falls with the places to its right:

```python
shelf = np.array([50.0, 80.0, 20.0])     # as they came, without a price cut
shelf = np.append(shelf[1:], 40.0)       # [80.0, 20.0, 40.0]: the oldest makes room
places = np.arange(len(shelf))           # [0, 1, 2]: what stood at place 1 stands at 0 now
shelf * 0.5 ** (2 - places)              # [20.0, 10.0, 40.0]: today's prices; the shelf stays as it is
```

In the exercise the places give angles, and what is made of the keys is a mixture of the values.""",
    without=WITHOUT,
)


# 8.3


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


def _before(windows, count=lambda start, first, i: i - start):
    """Vary `tokens_before`: `count(start, first, i)` for each token i that the given windows score."""
    return lambda n, context: [
        count(start, first, i) for start, first, end in windows(n, context) for i in range(first, end)
    ]


def _in_the_last_window(n, context):
    starts = [start for start, _, _ in scoring_windows(n, context)]
    return [i - max(start for start in starts if start <= i) for i in range(n)]


TOKENS_BEFORE = Check(
    id="8.3 again",
    variant_of="8.3",
    title="what each token has before it",
    difficulty=2,
    minutes=8,
    reference=tokens_before,
    inputs=windows_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it lists the windows; a number for each token is asked for.",
            scoring_windows,
        ),
        Mistake(
            "The first tokens of each window have nothing before them: let windows overlap by half.",
            _before(_windows_with(stride=lambda context: context)),
        ),
        Mistake(
            "Tokens in the overlap are scored twice.",
            _before(_windows_with(first=lambda start, done, context: start)),
        ),
        Mistake(
            "The first window scores all of its tokens: nothing came before it.",
            _before(_windows_with(first=lambda start, done, context: start + context // 2)),
        ),
        Mistake(
            "The last tokens are missing: the last window may be shorter.",
            _before(lambda n, context: [w for w in scoring_windows(n, context) if w[2] - w[0] == context]),
        ),
        Mistake("The last window ends where the text ends.", _before(_windows_with(clip=False))),
        Mistake(
            "That costs a window for every token: move by half a context.",
            _before(_windows_with(stride=lambda context: 1)),
        ),
        Mistake("The first window that reads a token scores it, not the last.", _in_the_last_window),
        Mistake(
            "A window knows nothing of what lies before its start: count from there.",
            _before(scoring_windows, count=lambda start, first, i: i),
        ),
        Mistake(
            "A window reads more than it scores: count from its start.",
            _before(scoring_windows, count=lambda start, first, i: i - first),
        ),
        Mistake(
            "The token itself does not stand before it.",
            _before(scoring_windows, count=lambda start, first, i: i - start + 1),
        ),
    ),
    hint="Walk through the windows as in 8.3, with `start`, `first` and `end`. Token i is scored by the "
    "window with `first <= i < end`, and has `i - start` tokens before it there.",
    neighbour="""Guards come early and take over when the one before goes. At each hour of the night, how \
long has the one in charge been there?

```python
guards = [(0, 0, 4), (3, 4, 6), (5, 6, 8)]      # comes, takes over, goes
hours = []
for comes, takes_over, goes in guards:
    hours += [hour - comes for hour in range(takes_over, goes)]
hours   # [0, 1, 2, 3, 1, 2, 1, 2]
```

In the exercise the guards are windows, and you know when they come and go.""",
    without=WITHOUT,
)

CHECKS = (BITS_OF_TEXTS, STEP_IN_WINDOW, TOKENS_BEFORE)
