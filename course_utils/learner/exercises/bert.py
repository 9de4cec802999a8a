"""The exercises of chapter 6 on what BERT reads, on comparing its vectors, and on the bound, in NumPy."""

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded


def embedding_inputs(generator, case):
    """Texts of several tokens, some of two segments; vectors wider than the text is long, or less wide."""
    texts, tokens, width, vocabulary = 2 + case // 20, 3 + case % 3, 4 + 2 * (case // 3 % 2), 6
    ids = generator.integers(0, vocabulary, size=(texts, tokens))
    segments = (np.arange(tokens) >= generator.integers(1, tokens, size=(texts, 1))).astype(int)
    tables = [rounded(generator, rows, width) for rows in (vocabulary, tokens + 2, 2)]
    return ids, segments, *tables


@exercise("6.1", "what goes in: three embeddings, one norm", dots=1, minutes=7, inputs=embedding_inputs)
def embed(
    ids: np.ndarray, segments: np.ndarray, token: np.ndarray, position: np.ndarray, segment: np.ndarray
) -> np.ndarray:
    """Return what BERT's first block reads, (B, T, C): token, position and segment vectors, added and normed.

    ids and segments are (B, T); token (V, C), position (at least T, C) and segment (2, C) are tables with a
    row for each id, place and segment. The norm gives each token's vector the mean 0 and the variance 1.
    """
    x = token[ids] + position[: ids.shape[1]] + segment[segments]
    return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)


def normed(x):
    return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)


embed.slips("""
Without positions the order is lost: add a row of `position` for each place.
    + position[: ids.shape[1]] →
The place is where a token stands in its text, not which token it is.
    position[: ids.shape[1]] → position[np.minimum(ids, len(position) - 1)]
Without segments the two texts can't be told apart.
    + segment[segments] →
Each token has a segment of its own: `segments` says which.
    segment[segments] → segment[0]
The norm is missing: each token's vector has mean 0 and variance 1.
    return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True) → return x
Norm once, after the sum, in which each of the three counts by its own length; you normed all three.
    token[ids] + position[: ids.shape[1]] + segment[segments]
    → normed(token[ids]) + normed(position[: ids.shape[1]]) + normed(segment[segments])
Each token is normed by itself: over its C numbers, the last axis, not over the text.
    x.mean(axis=-1 → x.mean(axis=1
    x.std(axis=-1 → x.std(axis=1
Divide by the standard deviation, the root of the variance.
    x.std(axis=-1, keepdims=True) → x.var(axis=-1, keepdims=True)
Here nothing is added to the variance: chapter 5's 1e-5 shows in the sixth digit.
    x.std(axis=-1, keepdims=True) → np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
Subtract the mean as well: you normed the spread alone.
    (x - x.mean(axis=-1, keepdims=True)) → x
The transformer of 2017 scaled its token vectors by √C; BERT adds them as they are.
    token[ids] + → token[ids] * np.sqrt(token.shape[1]) +
""")


@embed.variant("two texts with places of their own", inputs=embedding_inputs)
def embed_alone(
    ids: np.ndarray, segments: np.ndarray, token: np.ndarray, position: np.ndarray, segment: np.ndarray
) -> np.ndarray:
    """Return what goes in, (B, T, C), if each text has places of its own and all are of the first segment.

    All as in 6.1, but positions are counted anew in the second segment: its first token stands at place 0.
    """
    places = np.arange(ids.shape[1]) - np.where(segments == 1, (segments == 0).sum(axis=1, keepdims=True), 0)
    x = token[ids] + position[places] + segment[0]
    return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True)


embed_alone.slips("""
That answers the first version: here positions begin anew in the second segment, and all are of the first.
    → embed
Positions begin anew in the second segment.
    position[places] → position[: ids.shape[1]]
All tokens are of the first segment here.
    segment[0] → segment[segments]
The first token of the second segment stands at place 0: subtract how many stood before it.
    (segments == 0).sum(axis=1, keepdims=True), 0) → (segments == 0).sum(axis=1, keepdims=True) - 1, 0)
Each text has a first segment of its own length.
    (segments == 0).sum(axis=1, keepdims=True) → (segments[:1] == 0).sum(axis=1, keepdims=True)
The norm is missing: each token's vector has mean 0 and variance 1.
    return (x - x.mean(axis=-1, keepdims=True)) / x.std(axis=-1, keepdims=True) → return x
Each token is normed by itself: over its C numbers, the last axis, not over the text.
    x.mean(axis=-1 → x.mean(axis=1
    x.std(axis=-1 → x.std(axis=1
Divide by the standard deviation, the root of the variance.
    x.std(axis=-1, keepdims=True) → x.var(axis=-1, keepdims=True)
Subtract the mean as well: you normed the spread alone.
    (x - x.mean(axis=-1, keepdims=True)) → x
""")


def pair_inputs(generator, case):
    """Three pairs or more of vectors of different lengths, wider than there are pairs, or less wide."""
    pairs, width = 3 + case % 3, 2 + case % 5
    temperature = [1.0, 0.5, 0.05][case // 5 % 3]
    lengths = generator.integers(1, 5, size=(2, pairs, 1))
    return *(rounded(generator, 2, pairs, width) + 0.05) * lengths, temperature


@exercise("6.5", "find your own answer among the others'", dots=2, minutes=10, inputs=pair_inputs)
def contrastive_loss(questions: np.ndarray, answers: np.ndarray, temperature: float) -> float:
    """Return the mean nats that it costs to find each question's answer among those of all questions.

    questions and answers are (B, C), and row i of one belongs to row i of the other. A score is the cosine of
    the two vectors divided by the temperature; over a question's scores runs a softmax.
    """
    questions = questions / np.linalg.norm(questions, axis=1, keepdims=True)
    answers = answers / np.linalg.norm(answers, axis=1, keepdims=True)
    scores = questions @ answers.T / temperature
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-np.diag(log_p).mean())


def symmetric(questions, answers, temperature):
    return (
        contrastive_loss(questions, answers, temperature) + contrastive_loss(answers, questions, temperature)
    ) / 2


contrastive_loss.slips("""
The cosine is of vectors of length 1: a long one would be near to everything.
    questions / np.linalg.norm(questions, axis=1, keepdims=True) → questions
    answers / np.linalg.norm(answers, axis=1, keepdims=True) → answers
The answers have to be of length 1 as well.
    answers / np.linalg.norm(answers, axis=1, keepdims=True) → answers
Each vector has a length of its own: the norm runs over its numbers, axis 1.
    np.linalg.norm(questions, axis=1, keepdims=True) → np.linalg.norm(questions)
    np.linalg.norm(answers, axis=1, keepdims=True) → np.linalg.norm(answers)
Divide by the temperature: below 1 it makes the scores differ more.
    answers.T / temperature → answers.T * temperature
The temperature is missing.
    answers.T / temperature → answers.T
Each question chooses among the answers: the softmax runs along a row.
    scores.max(axis=1 → scores.max(axis=0
    np.exp(shifted).sum(axis=1 → np.exp(shifted).sum(axis=0
Only questions choose here: you let the answers choose too, and took the mean.
    → symmetric
The right answer of question i is the i-th: take the diagonal.
    np.diag(log_p) → log_p[:, 0]
The cost is of the right answer alone, not the mean over all.
    np.diag(log_p) → log_p
That is the sum over all questions; the loss is their mean.
    .mean() → .sum()
These are bits: the loss is in nats.
    .mean() → .mean() / np.log(2)
The minus is missing: a loss is never below 0.
    float(-np → float(np
The right answer is among those to choose from: you left it out of the sum.
    np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    → np.log((np.exp(shifted) * (1 - np.eye(len(scores)))).sum(axis=1, keepdims=True))
""")


@contrastive_loss.variant("at which rank")
def mean_reciprocal_rank(questions: np.ndarray, answers: np.ndarray, temperature: float) -> float:
    """Return the mean, over the questions, of 1 / the rank of its answer among all answers, by the cosine.

    questions and answers are (B, C), and row i of one belongs to row i of the other. The nearest has rank 1.
    The temperature is that of 6.5, and changes nothing.
    """
    questions = questions / np.linalg.norm(questions, axis=1, keepdims=True)
    answers = answers / np.linalg.norm(answers, axis=1, keepdims=True)
    scores = questions @ answers.T
    ranks = (scores > np.diag(scores)[:, None]).sum(axis=1) + 1
    return float((1 / ranks).mean())


mean_reciprocal_rank.slips("""
That answers the first version: a loss in nats; ranks are asked for.
    → contrastive_loss
The cosine is of vectors of length 1: a long one would be near to everything.
    questions / np.linalg.norm(questions, axis=1, keepdims=True) → questions
    answers / np.linalg.norm(answers, axis=1, keepdims=True) → answers
Each question ranks the answers: count along its row.
    np.diag(scores)[:, None]).sum(axis=1) → np.diag(scores)).sum(axis=0)
The nearest has rank 1: your ranks begin at 2.
    .sum(axis=1) + 1 → .sum(axis=1) + 2
That is the mean rank; take 1 over each first.
    (1 / ranks).mean() → ranks.mean()
Take 1 over each rank, then the mean: not the other way round.
    (1 / ranks).mean() → 1 / ranks.mean()
The nearest has rank 1: count what is nearer, not what is further.
    scores > np.diag → scores < np.diag
Only rank 1 counts in yours: a second place is worth a half.
    (1 / ranks).mean() → (ranks == 1).mean()
""")


def bound_inputs(generator, case):
    """Several drawings of masks over one text, of one place masked, of none, or of all."""
    draws, tokens = 3 + case % 3, 4 + case // 3 % 4
    rates = np.round(generator.uniform(0.01, 1, size=draws), 2)
    masked = generator.random((draws, tokens)) < rates[:, None]
    masked[0] = case % 2 == 1
    masked[1, 0], masked[1, 1] = True, False
    return np.round(generator.uniform(0.1, 6, size=(draws, tokens)), 1), masked, rates


@exercise("6.6", "the weight that makes a bound", dots=3, minutes=12, inputs=bound_inputs)
def bound_bits(nats: np.ndarray, masked: np.ndarray, rates: np.ndarray) -> float:
    """Return an estimate, in bits a token, of the bound on a text's cost, from several drawings of masks.

    For drawing i a rate, rates[i], was drawn evenly from 0 to 1, and each of the L tokens masked with that
    chance by itself; masked (N, L) says which were. nats (N, L) are what each token cost there; only those of
    masked tokens count. The sum of a drawing is weighted by 1 / rates[i]; a drawing that masked nothing adds
    0, and stays in the mean. The expected value is never below the text's cost; a mean of few drawings can
    be.
    """
    sums = (nats * masked).sum(axis=1)
    return float((sums / rates).mean() / masked.shape[1] / np.log(2))


bound_bits.slips("""
The weight is 1 over the rate: the fewer tokens were asked, the more each stands for.
    sums / rates → sums * rates
The weight is missing: with half of the tokens masked you count half of the text.
    (sums / rates) → sums
Only masked tokens count: the others were read.
    nats * masked → nats
The weight comes from the rate, not from how many tokens were masked by chance.
(L / k is the weight where that number, k, was drawn evenly from 1 to L.)
    (sums / rates).mean() / masked.shape[1] → (sums / np.maximum(masked.sum(axis=1), 1)).mean()
A drawing that masked nothing counts as 0. Leave it out, and the expected value is too high, by the factor
(L + 1) / L: still a bound, but a looser one.
    (sums / rates).mean() → (sums / rates)[masked.any(axis=1)].mean()
You gave all drawings one weight: each has a rate of its own.
    (sums / rates).mean() → sums.mean() / rates.mean()
That is the whole text; divide by its tokens.
    / masked.shape[1] →
Divide by all tokens of the text, not by those that were masked.
    .mean() / masked.shape[1] → .sum() / masked.sum()
That is nats; divide by ln 2.
    / np.log(2) →
That is the sum over the drawings: take their mean.
    (sums / rates).mean() → (sums / rates).sum()
""")


def count_inputs(generator, case):
    """Those of 6.6, with one mask or more in each drawing; the rates say nothing."""
    nats, masked, rates = bound_inputs(generator, case)
    masked[0, case % masked.shape[1]] = True
    masked[2:, -1] = True
    return nats, masked, rates


@bound_bits.variant("the same bound by counting", inputs=count_inputs)
def bound_by_counts(nats: np.ndarray, masked: np.ndarray, rates: np.ndarray) -> float:
    """Return an estimate of the same bound, in bits a token, if the *number* of masks was drawn.

    For drawing i a number k was drawn evenly from 1 to L, and k of the L tokens were masked, any k of them
    with the same chance: masked (N, L) says which. nats (N, L) are what each token cost there; only those of
    masked tokens count. The sum of a drawing is weighted by L / k. The rates of 6.6 come as well, and say
    nothing here.
    """
    n_masks = masked.sum(axis=1)
    sums = (nats * masked).sum(axis=1)
    return float((sums * masked.shape[1] / n_masks).mean() / masked.shape[1] / np.log(2))


bound_by_counts.slips("""
That answers the first version: the number of masks was drawn here, so the weight is L over k, not 1 / rate.
    → bound_bits
The weight is L over k, not k over L: the fewer tokens were asked, the more each stands for.
    sums * masked.shape[1] / n_masks → sums * n_masks / masked.shape[1]
The weight is missing: with half of the tokens masked you count half of the text.
    (sums * masked.shape[1] / n_masks) → sums
Only masked tokens count: the others were read.
    nats * masked → nats
Each drawing counts the same: you gave those with many masks more.
    (sums * masked.shape[1] / n_masks).mean() / masked.shape[1] → sums.sum() / n_masks.sum()
That is the whole text; divide by its tokens.
    .mean() / masked.shape[1] → .mean()
That is nats; divide by ln 2.
    / np.log(2) →
That is the sum over the drawings: take their mean.
    n_masks).mean() → n_masks).sum()
""")
