"""The exercises of chapter 9 on writing, writing faster and searching, in NumPy; `course_utils.generation`
does all of it in PyTorch."""

from collections.abc import Callable

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import different_shares, rounded
from course_utils.learner.exercises.transformer import named


def draft_inputs(generator, case):
    """One draft or more; no decision hangs on the last digits, and some fall against p < q and some not."""
    vocabulary, k = 3 + case % 2, 1 + case // 6
    q, p = different_shares(generator, k, vocabulary), different_shares(generator, k + 1, vocabulary)
    drafted = generator.integers(0, vocabulary, size=k)
    rows = np.arange(k)
    u = np.round(generator.random(k), 3)
    near = np.abs(u - p[rows, drafted] / q[rows, drafted]) < 0.01
    return drafted, q, p, np.where(near, 0.99 * u, u)


@exercise("9.4", "speculative acceptance", dots=3, minutes=15, inputs=draft_inputs)
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


def goes_on_to_the_last(drafted, q, p, u):
    rejected = [i for i, token in enumerate(drafted) if u[i] >= p[i, token] / q[i, token]]
    rest = np.maximum(p[rejected[-1]] - q[rejected[-1]], 0) if rejected else p[-1]
    return len(drafted) - len(rejected), rest / rest.sum()


accept_draft.slips("""
Where p < q a draft stays with the chance p / q, drawn by `u`; you reject it each time, so it can never come.
    u[i] >= p[i, token] / q[i, token] → p[i, token] < q[i, token]
After a rejection draw from max(p−q,0), renormalised.
    np.maximum(p[i] - q[i], 0) → p[i]
After a rejection draw from max(p−q,0), renormalised.
    rest / rest.sum() → rest
After a rejection draw from max(p−q,0), renormalised.
    np.maximum(p[i] - q[i], 0) → p[i] - q[i]
    rest.sum() → np.abs(rest).sum()
Stop at the first rejection: later drafts had another past.
    return i, rest → n = sum(u < [p[j, x] / q[j, x] for j, x in enumerate(drafted)]); return int(n), rest
Stop at the first rejection: later drafts had another past.
    → goes_on_to_the_last
Upside down: the target's p stands above, the draft's q below.
    p[i, token] / q[i, token] → q[i, token] / p[i, token]
Upside down: what is missing from the draft is p − q.
    p[i] - q[i] → q[i] - p[i]
The chance is p(x) / q(x), not p(x): where both agree a draft always stays.
    p[i, token] / q[i, token] → p[i, token]
You accept what you should reject.
    u[i] >= → u[i] <
When all drafts stay, the target's distribution after the last one is still unused: p[-1].
    p[-1] → p[-2]
The rejected token does not stay: a new one is drawn in its place.
    return i, → return i + 1,
You never reject: then the text comes from the draft model.
    u[i] >= p[i, token] / q[i, token] → False
""")


def likeliest_inputs(generator, case):
    """One draft or more, the likeliest of q, with which p half agrees; no decision hangs on last digits."""
    vocabulary, k = 3 + case % 2, 1 + case // 6
    q, p = different_shares(generator, k, vocabulary), different_shares(generator, k + 1, vocabulary)
    p[:-1] = (p[:-1] + q) / 2
    drafted = q.argmax(axis=1)
    u = np.round(generator.random(k), 3)
    near = np.abs(u - p[np.arange(k), drafted]) < 0.01
    return drafted, q, p, np.where(near, u / 2, u)


@accept_draft.variant("speculation with a draft that does not draw", minutes=12, inputs=likeliest_inputs)
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


def keeps_all_that_pass(drafted, q, p, u):
    rejected = [i for i, token in enumerate(drafted) if u[i] >= p[i, token]]
    if not rejected:
        return len(drafted), p[-1]
    rest = np.where(np.arange(p.shape[1]) == drafted[rejected[-1]], 0, p[rejected[-1]])
    return len(drafted) - len(rejected), rest / rest.sum()


accept_likeliest.slips("""
That answers the first version: there x was drafted with the chance q(x), here it was certain.
    → accept_draft
x was drafted with certainty, not with the chance q(x): it stays with the chance p(x) / 1.
    >= p[i, token] → >= p[i, token] / q[i, token]
The draft gave all to x, and nothing to the others: what it lacks is all of p but p(x).
    p[i].copy() → np.maximum(p[i] - q[i], 0)
    rest[token] = 0 →
x had its chance p(x) already: after a rejection it can't be drawn.
    rest[token] = 0 →
What is left must sum to 1 again: divide by its sum.
    rest / rest.sum() → rest
The target draws: x stays with the chance p(x), not only where it is the likeliest of p too.
    u[i] >= p[i, token] → token != p[i].argmax()
Stop at the first rejection: later drafts had another past.
    return i, rest → return int(sum(u < [p[j, x] for j, x in enumerate(drafted)])), rest
Stop at the first rejection: later drafts had another past.
    → keeps_all_that_pass
You accept what you should reject.
    u[i] >= → u[i] <
When all drafts stay, the target's distribution after the last one is still unused: p[-1].
    p[-1] → p[-2]
The rejected token does not stay: a new one is drawn in its place.
    return i, → return i + 1,
You never reject: then the text comes from the draft model.
    u[i] >= p[i, token] → False
""")


def beam_inputs(generator, case):
    """One to three beams, often with two of the best from one beam; no two candidates are equal."""
    K, V = 1 + case % 3, 4 + case // 10
    while True:
        probs = different_shares(generator, K, V)
        scores = -np.sort(generator.choice(np.arange(1, 30), size=K, replace=False)) / 10
        totals = np.sort((scores[:, None] + np.log(probs)).ravel())
        if np.diff(totals).min() > 1e-3:
            return scores, np.log(probs)


@exercise("9.5", "a step of beam search", dots=2, minutes=8, inputs=beam_inputs)
def beam_step(scores: np.ndarray, log_p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take one step of beam search: the K best of all continuations, the best first.

    scores (K,) are the log-probabilities of the K beams so far, log_p (K, V) those of each next token.
    Returns which beam each of the new K goes on from, its token, and its score, all (K,).
    """
    totals = scores[:, None] + log_p
    best = np.argsort(-totals, axis=None)[: len(scores)]
    return best // log_p.shape[1], best % log_p.shape[1], totals.ravel()[best]


beam_step.slips("""
You took the best continuation of each beam; take the K best of all, wherever they come from.
    -totals → np.where(totals == totals.max(axis=1, keepdims=True), -totals, np.inf)
A continuation is as likely as all of its tokens together: add the score of its beam.
    scores[:, None] + log_p → log_p
Log-probabilities add; you multiplied them.
    + log_p → * log_p
`scores` has one number for each beam, and a beam is a row of `log_p`: write `scores[:, None]`.
    scores[:, None] → np.resize(scores, log_p.shape[1])
These are the worst: sort the other way round.
    -totals → totals
The best comes first.
    [: len(scores)] → [: len(scores)][::-1]
In a flattened table the beam is `place // V` and the token `place % V`.
    best // log_p.shape[1], best % log_p.shape[1] → best // len(log_p), best % len(log_p)
Beam and token are swapped: the beam is `place // V`.
    best // log_p.shape[1], best % log_p.shape[1] → best % log_p.shape[1], best // log_p.shape[1]
""")


@beam_step.variant("a step of beam search with an end", minutes=10)
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


beam_step_with_end.slips("""
That answers the first version: it lets texts go on after token 0, which ends them.
    → beam_step
A text that has ended must not take the place of one that goes on: leave it out of the ranking.
    totals[:, 0] = -np.inf →
There are K beams again: leave out the ended texts first, then take the K best.
    totals[:, 0] = -np.inf →
    [: len(scores)] → [: len(scores)]; best = best[best % log_p.shape[1] > 0]
Without its first column the table begins with token 1, and has V - 1 columns.
    totals[:, 0] = -np.inf → totals, log_p = totals[:, 1:], log_p[:, 1:]
An ended text is as likely as all of its tokens together: add the score of its beam.
    totals[:, 0].max() → log_p[:, 0].max()
Any beam may end, not only the best so far: take the best of all endings.
    totals[:, 0].max() → totals[0, 0]
The fourth result is the score of the best text that ends, not of the best of all.
    totals[:, 0].max() → totals.max()
Note the best of the texts that end before you put -inf in their place.
    totals[:, 0].max() → -np.inf
You took the best continuation of each beam; take the K best of all, wherever they come from.
    -totals → np.where(totals == totals.max(axis=1, keepdims=True), -totals, np.inf)
A continuation is as likely as all of its tokens together: add the score of its beam.
    scores[:, None] + log_p → log_p.copy()
Log-probabilities add; you multiplied them.
    + log_p → * log_p
These are the worst: sort the other way round.
    -totals → totals
A score of 0 is a certainty, the best there is: put -inf in the place of an ended text.
    = -np.inf → = 0
In a flattened table the beam is `place // V` and the token `place % V`.
    best // log_p.shape[1], best % log_p.shape[1] → best // len(log_p), best % len(log_p)
Beam and token are swapped: the beam is `place // V`.
    best // log_p.shape[1], best % log_p.shape[1] → best % log_p.shape[1], best // log_p.shape[1]
""")


def softmax(logits):
    exps = np.exp(logits - logits.max())
    return exps / exps.sum()


def small_model(table, context):
    """A model that looks at the first and the last of at most `context` tokens."""

    def next_logits(ids):
        if not 1 <= len(ids) <= context:
            raise ValueError(f"this model reads 1 to {context} tokens; got {len(ids)}")
        return table[ids[0]] - table[ids[-1], ::-1]

    return named(f"ids → T[ids[0]] - T[ids[-1], ::-1], T = {table.tolist()}", next_logits)


def text_inputs(generator, case):
    """A prompt shorter or longer than what the model reads, up to 6 numbers, and often a token that ends."""
    vocabulary, context = 3 + case % 3, 2 + case // 10
    model = small_model(3 * rounded(generator, vocabulary, vocabulary), context)
    prompt = generator.integers(vocabulary, size=1 + case % 4).tolist()
    u = np.round(generator.random(1 + case // 5), 3)
    written = write(model, prompt, u, softmax, context, -1)
    end = [-1, written[len(written) // 2], prompt[0]][case % 3]
    return model, prompt, u, named("softmax", softmax), context, end


@exercise("9.6", "the loop that writes", dots=2, minutes=12, inputs=text_inputs)
def write(
    next_logits: Callable,
    prompt: list[int],
    u: np.ndarray,
    probabilities: Callable,
    context: int,
    end: int,
) -> list[int]:
    """Go on from the ids of a prompt by a token for each number of u; return the new ids.

    next_logits(ids) gives the logits (V,) of the token after ids, of which it reads `context` at most;
    probabilities(logits) is what a sampler makes of them. A number between 0 and 1 draws the first token at
    which their sum, in the order of the ids, exceeds it. The token `end` ends the text, and is its last.
    """
    ids = list(prompt)
    for number in u:
        probs = probabilities(next_logits(ids[-context:]))
        sums = np.cumsum(probs)  # up to 1, but for rounding
        token = int(np.searchsorted(sums / sums[-1], number, side="right"))
        ids.append(token)
        if token == end:
            break
    return ids[len(prompt) :]


write.slips("""
You ask about the prompt each time: ask about all that stands there by now, the new tokens too.
    ids[-context:] → list(prompt)[-context:]
Give the model the whole text so far, as much as it reads, and not only the last token.
    ids[-context:] → ids[-1:]
The model reads `context` tokens at most: of a longer text give it the last ones.
    ids[-context:] → ids
Of a long text the end counts: give the model the last tokens, not the first.
    ids[-context:] → ids[:context]
That is greedy: the number decides which token comes, not the largest probability.
    np.searchsorted(sums / sums[-1], number, side="right") → probs.argmax()
The probabilities have to be summed up: a token is drawn where their sum passes the number.
    np.searchsorted(sums / sums[-1], number, side="right") → (probs > number).argmax()
The sum must pass the number: take the first token that does it, not the one before.
    np.searchsorted(sums / sums[-1], number, side="right") → max((sums > number).argmax() - 1, 0)
As good a draw, but another: go through the tokens in the order of their ids, not of their probabilities.
    np.searchsorted(sums / sums[-1], number, side="right")
    → np.argsort(-probs)[(np.cumsum(np.sort(probs)[::-1]) > number).argmax()]
Each token has a number of its own: you use the first for all.
    number, side → u[0], side
Logits can't be drawn from: probabilities(logits) comes first.
    probabilities(next_logits(ids[-context:])) → next_logits(ids[-context:])
    np.searchsorted(sums / sums[-1], number, side="right") → (sums > number).argmax()
The token `end` ends the text: stop there.
    token == end → False
The token `end` belongs to the text, as its last.
    ids.append(token) → ids += [] if token == end else [token]
Only a new token ends the text: `end` may stand in the prompt.
    token == end → end in ids
Return the new ids alone, without the prompt.
    ids[len(prompt) :] → ids
That is the last token alone: return all that are new.
    ids[len(prompt) :] → ids[-1:]
`ids = prompt` makes two names for one list, and so the prompt grows too: copy it.
    list(prompt) → prompt
You return after the first token.
    if token == end: → if True:
""")


def within_inputs(generator, case):
    """As in 9.6; each token may be followed by some others, one by none."""
    next_logits, prompt, u, probabilities, context, _ = text_inputs(generator, case)
    vocabulary = len(next_logits([0]))
    follows = generator.random((vocabulary, vocabulary)) < 0.6
    follows[:, 0] |= ~follows.any(axis=1)
    follows[vocabulary - 1] = False
    rule = named(f"ids → F[ids[-1]], F = {follows.astype(int).tolist()}", lambda ids: follows[ids[-1]])
    return next_logits, [*prompt[:-1], 0], u, probabilities, context, rule


@write.variant("the loop that writes what is allowed", inputs=within_inputs)
def write_within(
    next_logits: Callable,
    prompt: list[int],
    u: np.ndarray,
    probabilities: Callable,
    context: int,
    allowed: Callable,
) -> list[int]:
    """Go on from a prompt as in 9.6, in the bounds of a rule; return the new ids.

    No token ends the text. allowed(ids) says of each token (V,) whether it may come after all these ids,
    however many. What may not come gets the probability 0, and the rest is divided by its sum; then the
    number draws as before. Where nothing may come, the text ends.
    """
    ids = list(prompt)
    for number in u:
        may = allowed(ids)
        if not may.any():
            break
        probs = np.where(may, probabilities(next_logits(ids[-context:])), 0)
        sums = np.cumsum(probs)
        ids.append(int(np.searchsorted(sums / sums[-1], number, side="right")))
    return ids[len(prompt) :]


write_within.slips("""
That answers the first version: it asks no rule.
    → write
Ask the rule about the text so far, not about the prompt each time.
    allowed(ids) → allowed(prompt)
Divide what is left by its sum, or a number above that sum draws nothing.
    np.searchsorted(sums / sums[-1], number, side="right") → (sums > number).argmax()
What the rule forbids gets the probability 0; you forbid what it allows.
    np.where(may, → np.where(~may,
Where nothing may come, the text ends there.
    if not may.any(): → if False:
The text ends where nothing may come, not where something may not.
    may.any() → may.all()
You draw evenly from what may come: keep the probabilities that the model gave it.
    np.where(may, probabilities(next_logits(ids[-context:])), 0) → may.astype(float)
That is greedy: the number decides which of the allowed tokens comes.
    np.searchsorted(sums / sums[-1], number, side="right") → probs.argmax()
You ask the model about the prompt each time: ask about all that stands there by now.
    ids[-context:] → list(prompt)[-context:]
Give the model the whole text so far, as much as it reads, and not only the last token.
    ids[-context:] → ids[-1:]
The model reads `context` tokens at most: of a longer text give it the last ones.
    ids[-context:] → ids
Return the new ids alone, without the prompt.
    ids[len(prompt) :] → ids
A token that is not allowed is left out of the draw: you drew it, and lost a number. First zeros, then draw.
    ids.append(int(np.searchsorted(sums / sums[-1], number, side="right")))
    → t = (np.cumsum(probabilities(next_logits(ids[-context:]))) > number).argmax(); ids += [t] * int(may[t])
""")
