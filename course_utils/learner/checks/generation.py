"""What exercises 9.4 and 9.5 of chapter 9, on writing faster and on searching, must do, and what goes wrong.

They are written out in NumPy; `course_utils.generation` has both on whole texts, in PyTorch.
"""

import numpy as np

from course_utils.learner.checks.neural import WITHOUT
from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.sampling import IMPORTS, different_shares

# 9.4


def accept_draft(drafted: np.ndarray, q: np.ndarray, p: np.ndarray, u: np.ndarray) -> tuple[int, np.ndarray]:
    """Return how many drafted tokens stay, and the distribution (V,) from which the next one is drawn.

    drafted (K,) are token ids, drawn from the draft model's probabilities q (K, V); p (K + 1, V) are the
    target's, for the same places and the one after; u (K,) are the uniform numbers of the K decisions. A
    token x stays if u < p(x) / q(x).
    """
    for i, token in enumerate(drafted):
        if u[i] >= p[i, token] / q[i, token]:
            rest = np.maximum(p[i] - q[i], 0)
            return i, rest / rest.sum()
    return len(drafted), p[-1].copy()


def _draft_with(
    stays=lambda p, q, u: u < p / q,
    rest=lambda p, q: np.maximum(p - q, 0) / np.maximum(p - q, 0).sum(),
    last=lambda p, q: p[-1],
):
    """Vary `accept_draft`: the rule, what is drawn from after a rejection, and after none."""

    def answer(drafted, q, p, u):
        for i, token in enumerate(drafted):
            if not stays(p[i, token], q[i, token], u[i]):
                return i, rest(p[i], q[i])
        return len(drafted), last(p, q)

    return answer


def _goes_on(which):
    def answer(drafted, q, p, u):
        rejected = [i for i, token in enumerate(drafted) if u[i] >= p[i, token] / q[i, token]]
        if not rejected:
            return len(drafted), p[-1]
        i = rejected[which]
        rest = np.maximum(p[i] - q[i], 0)
        return len(drafted) - len(rejected), rest / rest.sum()

    return answer


def _keeps_the_rejected(drafted, q, p, u):
    n, rest = accept_draft(drafted, q, p, u)
    return min(n + 1, len(drafted)), rest


def draft_inputs(generator, case):
    """One draft or more; no decision hangs on the last digits, and some fall against p < q and some not."""
    vocabulary, k = 3 + case % 2, 1 + case // 6
    q, p = different_shares(generator, k, vocabulary), different_shares(generator, k + 1, vocabulary)
    drafted = generator.integers(0, vocabulary, size=k)
    rows = np.arange(k)
    u = np.round(generator.random(k), 3)
    near = np.abs(u - p[rows, drafted] / q[rows, drafted]) < 0.01
    return drafted, q, p, np.where(near, 0.99 * u, u)


GOES_ON = "Stop at the first rejection: later drafts had another past."
REST = "After a rejection draw from max(p−q,0), renormalised."

ACCEPT_DRAFT = Check(
    id="9.4",
    title="speculative acceptance",
    difficulty=3,
    minutes=15,
    imports=IMPORTS,
    reference=accept_draft,
    inputs=draft_inputs,
    mistakes=(
        Mistake(
            "Accept with chance min(1, p/q), else you bias to the draft.",
            _draft_with(stays=lambda p, q, u: p >= q),
        ),
        Mistake(REST, _draft_with(rest=lambda p, q: p)),
        Mistake(REST, _draft_with(rest=lambda p, q: np.maximum(p - q, 0))),
        Mistake(REST, _draft_with(rest=lambda p, q: (p - q) / np.abs(p - q).sum())),
        Mistake(GOES_ON, _goes_on(0)),
        Mistake(GOES_ON, _goes_on(-1)),
        Mistake(
            "Upside down: the target's p stands above, the draft's q below.",
            _draft_with(stays=lambda p, q, u: u < q / p),
        ),
        Mistake(
            "Upside down: what is missing from the draft is p − q.",
            _draft_with(rest=lambda p, q: np.maximum(q - p, 0) / np.maximum(q - p, 0).sum()),
        ),
        Mistake(
            "The chance is p(x) / q(x), not p(x): where both agree a draft always stays.",
            _draft_with(stays=lambda p, q, u: u < p),
        ),
        Mistake("You accept what you should reject.", _draft_with(stays=lambda p, q, u: u >= p / q)),
        Mistake(
            "When all drafts stay, the target's distribution after the last one is still unused: p[-1].",
            _draft_with(last=lambda p, q: p[-2]),
        ),
        Mistake("The rejected token does not stay: a new one is drawn in its place.", _keeps_the_rejected),
        Mistake(
            "You never reject: then the text comes from the draft model.",
            _draft_with(stays=lambda p, q, u: True),
        ),
    ),
    hint="Go through the drafts in turn. As long as `u[i] < p[i, token] / q[i, token]`, a draft stays. At "
    "the first that doesn't, return its place and what the draft had too little of: "
    "`np.maximum(p[i] - q[i], 0)`, divided by its sum. If none fails, `p[-1]` gives one token more.",
    neighbour="""One token, once. The draft says heads in 8 of 10 cases, the target in 5:

```python
q, p = np.array([0.8, 0.2]), np.array([0.5, 0.5])
heads_stay = 0.8 * min(1, 0.5 / 0.8)     # 0.5: drafted and kept
tails_stay = 0.2 * min(1, 0.5 / 0.2)     # 0.2
rejected = 1 - heads_stay - tails_stay   # 0.3, and max(p - q, 0) = [0, 0.3]: all of it becomes tails
heads_stay, tails_stay + rejected        # (0.5, 0.5): the target's own distribution
```

In the exercise there are several drafts, one after the other.""",
    without=WITHOUT,
)


# 9.5


def beam_step(scores: np.ndarray, log_p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take one step of beam search: the K best of all continuations, the best first.

    scores (K,) are the log-probabilities of the K beams so far, log_p (K, V) those of each next token.
    Returns which beam each of the new K goes on from, its token, and its score, all (K,).
    """
    totals = scores[:, None] + log_p
    best = np.argsort(-totals, axis=None)[: len(scores)]
    return best // log_p.shape[1], best % log_p.shape[1], totals.ravel()[best]


def _beams_with(
    total=lambda scores, log_p: scores[:, None] + log_p,
    rank=lambda totals: np.argsort(-totals, axis=None),
    split=lambda best, K, V: (best // V, best % V),
):
    """Vary `beam_step`: the candidates' scores, their ranking, how a place becomes beam and token."""

    def answer(scores, log_p):
        totals = total(scores, log_p)
        best = rank(totals)[: len(scores)]
        return *split(best, *log_p.shape), totals.ravel()[best]

    return answer


def _best_of_each(scores, log_p):
    tokens = log_p.argmax(axis=1)
    totals = scores + log_p.max(axis=1)
    order = np.argsort(-totals)
    return order, tokens[order], totals[order]


def beam_inputs(generator, case):
    """One to three beams, often with two of the best from one beam; no two candidates are equal."""
    K, V = 1 + case % 3, 4 + case // 10
    while True:
        probs = different_shares(generator, K, V)
        scores = -np.sort(generator.choice(np.arange(1, 30), size=K, replace=False)) / 10
        totals = np.sort((scores[:, None] + np.log(probs)).ravel())
        if np.diff(totals).min() > 1e-3:
            return scores, np.log(probs)


BEAM_STEP = Check(
    id="9.5",
    title="a step of beam search",
    difficulty=2,
    minutes=8,
    imports=IMPORTS,
    reference=beam_step,
    inputs=beam_inputs,
    mistakes=(
        Mistake(
            "You took the best continuation of each beam; take the K best of all, wherever they come from.",
            _best_of_each,
        ),
        Mistake(
            "A continuation is as likely as all of its tokens together: add the score of its beam.",
            _beams_with(total=lambda scores, log_p: log_p),
        ),
        Mistake(
            "Log-probabilities add; you multiplied them.",
            _beams_with(total=lambda scores, log_p: scores[:, None] * log_p),
        ),
        Mistake(
            "scores has one number for each beam, a row: `scores[:, None]`.",
            _beams_with(total=lambda scores, log_p: np.resize(scores, log_p.shape[1]) + log_p),
        ),
        Mistake(
            "These are the worst: sort the other way round.",
            _beams_with(rank=lambda t: np.argsort(t, axis=None)),
        ),
        Mistake(
            "The best comes first.", lambda scores, log_p: tuple(x[::-1] for x in beam_step(scores, log_p))
        ),
        Mistake(
            "In a flattened table the beam is `place // V` and the token `place % V`.",
            _beams_with(split=lambda best, K, V: (best // K, best % K)),
        ),
        Mistake(
            "Beam and token are swapped: the beam is `place // V`.",
            _beams_with(split=lambda best, K, V: (best % V, best // V)),
        ),
    ),
    hint="`scores[:, None] + log_p` is a table of all K times V candidates. "
    "`np.argsort(-totals, axis=None)[:K]` gives the places of the K largest in the flattened table; turn "
    "each back into a row, `// V`, and a column, `% V`.",
    neighbour="""Two climbers, each with three ways on. Which two of the six are highest?

```python
heights = np.array([100, 90])
ways = np.array([[5, 20, 1], [2, 40, 8]])
totals = heights[:, None] + ways                 # [[105, 120, 101], [92, 130, 98]]
best = np.argsort(-totals, axis=None)[:2]        # places 4 and 1
best // 3, best % 3                              # climbers [1, 0], ways [1, 1]
```

In the exercise the heights are log-probabilities, all below 0.""",
    without=WITHOUT,
)

CHECKS = (ACCEPT_DRAFT, BEAM_STEP)
