"""Variants of exercises 9.4 and 9.5 of chapter 9."""

import numpy as np

from course_utils.learner.checks.generation import (
    GOES_ON,
    _best_of_each,
    accept_draft,
    beam_inputs,
    beam_step,
)
from course_utils.learner.checks.neural import WITHOUT
from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.sampling import IMPORTS, different_shares

# 9.4


def accept_likeliest(
    drafted: np.ndarray, q: np.ndarray, p: np.ndarray, u: np.ndarray
) -> tuple[int, np.ndarray]:
    """Return how many drafted tokens stay, and the distribution (V,) from which the next one is drawn.

    All as in 9.4, except that the draft model does not draw: drafted (K,) are the likeliest tokens of q
    (K, V). The text must still follow the target's p (K + 1, V). u (K,) are the uniform numbers; a token
    stays if its number is below the chance that it has to stay.
    """
    for i, token in enumerate(drafted):
        if u[i] >= p[i, token]:
            rest = p[i].copy()
            rest[token] = 0
            return i, rest / rest.sum()
    return len(drafted), p[-1].copy()


def _without(p, token):
    rest = np.where(np.arange(len(p)) == token, 0, p)
    return rest / rest.sum()


def _likeliest_with(
    stays=lambda p, q, token, u: u < p[token],
    rest=lambda p, q, token: _without(p, token),
    last=lambda p: p[-1],
    which=0,
    number=lambda i, fallen, drafted: i,
):
    """Vary `accept_likeliest`: the rule, what is drawn from after a rejection and after none, which of the
    places where a draft has fallen counts, and the number of those that stay."""

    def answer(drafted, q, p, u):
        fallen = [i for i, token in enumerate(drafted) if not stays(p[i], q[i], token, u[i])]
        if not fallen:
            return len(drafted), last(p)
        i = fallen[which]
        return number(i, fallen, drafted), rest(p[i], q[i], drafted[i])

    return answer


def _what_the_draft_lacks(p, q, token):
    rest = np.maximum(p - q, 0)
    return rest / rest.sum()


def _those_left(i, fallen, drafted):
    return len(drafted) - len(fallen)


def likeliest_inputs(generator, case):
    """One draft or more, the likeliest of q, with which p half agrees; no decision hangs on last digits."""
    vocabulary, k = 3 + case % 2, 1 + case // 6
    q, p = different_shares(generator, k, vocabulary), different_shares(generator, k + 1, vocabulary)
    p[:-1] = (p[:-1] + q) / 2
    drafted = q.argmax(axis=1)
    u = np.round(generator.random(k), 3)
    near = np.abs(u - p[np.arange(k), drafted]) < 0.01
    return drafted, q, p, np.where(near, u / 2, u)


ACCEPT_LIKELIEST = Check(
    id="9.4 again",
    variant_of="9.4",
    title="speculation with a draft that does not draw",
    difficulty=3,
    minutes=12,
    imports=IMPORTS,
    reference=accept_likeliest,
    inputs=likeliest_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: there x was drafted with the chance q(x), here it was certain.",
            accept_draft,
        ),
        Mistake(
            "x was drafted with certainty, not with the chance q(x): it stays with the chance p(x) / 1.",
            _likeliest_with(stays=lambda p, q, token, u: u < p[token] / q[token]),
        ),
        Mistake(
            "The draft gave all to x, and nothing to the others: what it lacks is all of p but p(x).",
            _likeliest_with(rest=_what_the_draft_lacks),
        ),
        Mistake(
            "x had its chance p(x) already: after a rejection it can't be drawn.",
            _likeliest_with(rest=lambda p, q, token: p),
        ),
        Mistake(
            "What is left must sum to 1 again: divide by its sum.",
            _likeliest_with(rest=lambda p, q, token: np.where(np.arange(len(p)) == token, 0, p)),
        ),
        Mistake(
            "The target draws: x stays with the chance p(x), not only where it is the likeliest of p too.",
            _likeliest_with(stays=lambda p, q, token, u: p.argmax() == token),
        ),
        Mistake(GOES_ON, _likeliest_with(number=_those_left)),
        Mistake(GOES_ON, _likeliest_with(number=_those_left, which=-1)),
        Mistake(
            "You accept what you should reject.",
            _likeliest_with(stays=lambda p, q, token, u: u >= p[token]),
        ),
        Mistake(
            "When all drafts stay, the target's distribution after the last one is still unused: p[-1].",
            _likeliest_with(last=lambda p: p[-2]),
        ),
        Mistake(
            "The rejected token does not stay: a new one is drawn in its place.",
            _likeliest_with(number=lambda i, fallen, drafted: i + 1),
        ),
        Mistake(
            "You never reject: then the text comes from the draft model.",
            _likeliest_with(stays=lambda p, q, token, u: True),
        ),
    ),
    hint="The rule of 9.4 divides by the chance with which x was drafted. A model that takes its likeliest "
    "token drafts it with the chance 1, and all others with 0. Put these in the place of q, in the rule and "
    "in max(p - q, 0).",
    neighbour="""One token, once. The draft always says heads, the target says so in 5 cases of 10:

```python
draft, target = np.array([1.0, 0.0, 0.0]), np.array([0.5, 0.3, 0.2])    # heads, tails, on edge
heads_stay = 1.0 * min(1, 0.5 / 1.0)                # 0.5: drafted and kept
lacking = np.maximum(target - draft, 0)             # [0, 0.3, 0.2]: the other half goes here
heads_stay, 0.5 * lacking / lacking.sum()           # 0.5, and [0, 0.3, 0.2]: the target's distribution
```

In the exercise there are several drafts, one after the other.""",
    without=WITHOUT,
)


# 9.5


def beam_step_with_end(
    scores: np.ndarray, log_p: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Take a step of beam search as in 9.5, in which token 0 ends a text.

    scores (K,) are the log-probabilities of the K beams so far, log_p (K, V) those of each next token. Return
    beam, token and score of the K best continuations that have not ended, all (K,), the best first; and the
    score of the best one that has.
    """
    totals = scores[:, None] + log_p
    ended = totals[:, 0].max()
    totals[:, 0] = -np.inf
    best = np.argsort(-totals, axis=None)[: len(scores)]
    return best // log_p.shape[1], best % log_p.shape[1], totals.ravel()[best], float(ended)


def _ending_with(
    total=lambda scores, log_p: scores[:, None] + log_p,
    going=lambda totals: np.where(np.arange(totals.shape[1]) == 0, -np.inf, totals),
    rank=lambda totals: np.argsort(-totals, axis=None),
    split=lambda best, K, V: (best // V, best % V),
    ended=lambda totals, log_p: totals[:, 0].max(),
):
    """Vary `beam_step_with_end`: the candidates' scores, those that may go on, their ranking, how a place
    becomes beam and token, and the score of the text that ended."""

    def answer(scores, log_p):
        totals = total(scores, log_p)
        candidates = going(totals)
        best = rank(candidates)[: len(scores)]
        where = split(best, *candidates.shape)
        return *where, candidates.ravel()[best], float(ended(totals, log_p))

    return answer


def _fewer_beams(scores, log_p):
    beams, tokens, totals = beam_step(scores, log_p)
    going = tokens != 0
    return beams[going], tokens[going], totals[going], beam_step_with_end(scores, log_p)[3]


def _open_of_each(scores, log_p):
    beams, tokens, totals = _best_of_each(scores, log_p[:, 1:])
    return beams, tokens + 1, totals, beam_step_with_end(scores, log_p)[3]


BEAM_STEP_WITH_END = Check(
    id="9.5 again",
    variant_of="9.5",
    title="a step of beam search with an end",
    difficulty=2,
    minutes=10,
    imports=IMPORTS,
    reference=beam_step_with_end,
    inputs=beam_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it lets texts go on after token 0, which ends them.", beam_step
        ),
        Mistake(
            "A text that has ended takes the place of none that goes on.",
            _ending_with(going=lambda totals: totals),
        ),
        Mistake(
            "There are K beams again: leave out the ended texts first, then take the K best.", _fewer_beams
        ),
        Mistake(
            "Without its first column the table begins with token 1, and has V - 1 columns.",
            _ending_with(going=lambda totals: totals[:, 1:]),
        ),
        Mistake(
            "An ended text is as likely as all of its tokens together: add the score of its beam.",
            _ending_with(ended=lambda totals, log_p: log_p[:, 0].max()),
        ),
        Mistake(
            "Any beam may end, not only the best so far: take the best of all endings.",
            _ending_with(ended=lambda totals, log_p: totals[0, 0]),
        ),
        Mistake(
            "The fourth is the best of the texts that end, not of all.",
            _ending_with(ended=lambda totals, log_p: totals.max()),
        ),
        Mistake(
            "Note the best of the texts that end before you put -inf in their place.",
            _ending_with(ended=lambda totals, log_p: -np.inf),
        ),
        Mistake(
            "You took the best continuation of each beam; take the K best of all, wherever they come from.",
            _open_of_each,
        ),
        Mistake(
            "A continuation is as likely as all of its tokens together: add the score of its beam.",
            _ending_with(total=lambda scores, log_p: log_p),
        ),
        Mistake(
            "Log-probabilities add; you multiplied them.",
            _ending_with(total=lambda scores, log_p: scores[:, None] * log_p),
        ),
        Mistake(
            "These are the worst: sort the other way round.",
            _ending_with(rank=lambda totals: np.argsort(totals, axis=None)),
        ),
        Mistake(
            "A score of 0 is a certainty, the best there is: put -inf in the place of an ended text.",
            _ending_with(going=lambda totals: np.where(np.arange(totals.shape[1]) == 0, 0.0, totals)),
        ),
        Mistake(
            "In a flattened table the beam is `place // V` and the token `place % V`.",
            _ending_with(split=lambda best, K, V: (best // K, best % K)),
        ),
        Mistake(
            "Beam and token are swapped: the beam is `place // V`.",
            _ending_with(split=lambda best, K, V: (best % V, best // V)),
        ),
    ),
    hint="Make the table of all totals as in 9.5. Its first column holds the texts that end: note the "
    "largest of them, put `-np.inf` into the column, and rank what is left as before.",
    neighbour="""Two climbers, each with three ways on, of which the first leads back to the hut. Who goes on?

```python
heights = np.array([100.0, 90.0])
ways = np.array([[30.0, 20.0, 1.0], [2.0, 25.0, 8.0]])
totals = heights[:, None] + ways                 # [[130, 120, 101], [92, 115, 98]]
hut = totals[:, 0].max()                         # 130: who stops there is out of the race
totals[:, 0] = -np.inf
best = np.argsort(-totals, axis=None)[:2]        # places 1 and 4
best // 3, best % 3                              # climbers [0, 1], ways [1, 1]
```

In the exercise the heights are log-probabilities, all below 0.""",
    without=WITHOUT,
)

CHECKS = (ACCEPT_LIKELIEST, BEAM_STEP_WITH_END)
