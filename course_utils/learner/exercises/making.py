"""The exercises of chapter 12 on the model itself: a step, a question, smaller numbers, a planted secret."""

from functools import partial

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import different_shares, rounded

exercise = partial(exercise, forbidden_modules=("course_utils", "torch"))


def micro_batches_inputs(generator, case):
    """From one micro-batch on; the numbers of tokens differ; every third time nothing is to be clipped."""
    width = 2 + case % 2
    micro_batches = []
    for i in range(1 + case % 4):
        x = rounded(generator, 1 + (case + 2 * i) % 5, width)
        micro_batches.append((x, generator.integers(0, 2, size=len(x)).astype(float)))
    return (
        rounded(generator, width),
        micro_batches,
        [0.5, 1.5, 4.0][case // 4 % 3],
        [0.1, 0.25, 50.0][case % 3],
    )


@exercise(
    "12.4", "gradient accumulation equal to a large batch", dots=2, minutes=9, inputs=micro_batches_inputs
)
def accumulated_step(
    w: np.ndarray, micro_batches: list[tuple[np.ndarray, np.ndarray]], rate: float, max_norm: float
) -> np.ndarray:
    """Return the weights after one step, as if all micro-batches were one batch.

    The model says whether a token ends its word: of a token with the features x it says so with probability
    p = 1 / (1 + exp(-x w)). A micro-batch is (x, y): features (tokens, width), and y (tokens,), 1 where it is
    so and 0 elsewhere. The gradient of the loss, **summed** over those tokens, is x.T @ (p - y).

    The loss is the mean over all tokens of all micro-batches. If its gradient is longer than max_norm
    (`np.linalg.norm`), it is scaled to that length. Then w moves against it by `rate` times the gradient.
    """
    gradient, tokens = np.zeros_like(w), 0
    for x, y in micro_batches:
        p = 1 / (1 + np.exp(-(x @ w)))
        gradient += x.T @ (p - y)
        tokens += len(y)
    gradient /= tokens
    norm = np.linalg.norm(gradient)
    if norm > max_norm:
        gradient *= max_norm / norm
    return w - rate * gradient


def a_step_each(w, micro_batches, rate, max_norm):
    for micro_batch in micro_batches:
        w = accumulated_step(w, [micro_batch], rate, max_norm)
    return w


def a_small_step_each(w, micro_batches, rate, max_norm):
    return a_step_each(w, micro_batches, rate / len(micro_batches), max_norm)


def clipped_each(w, micro_batches, rate, max_norm):
    steps = [accumulated_step(w, [micro_batch], rate, max_norm) - w for micro_batch in micro_batches]
    tokens = [len(y) for _, y in micro_batches]
    return w + np.average(steps, axis=0, weights=tokens)


def clipped_on_the_way(w, micro_batches, rate, max_norm):
    gradient, tokens = np.zeros_like(w), sum(len(y) for _, y in micro_batches)
    for x, y in micro_batches:
        gradient += x.T @ (1 / (1 + np.exp(-(x @ w))) - y) / tokens
        gradient *= min(1, max_norm / np.linalg.norm(gradient))
    return w - rate * gradient


accumulated_step.slips("""
You averaged the micro-batches' means: so a token counts for more where its micro-batch has few. Divide the
sum over all tokens by their number.
    x.T @ (p - y) → x.T @ (p - y) / len(y)
    tokens += len(y) → tokens += 1
You step in each micro-batch: the later ones see other weights, and it is no longer one batch. Step once.
    → a_step_each
Small steps, one in each micro-batch, are not one step: the later ones see other weights, and each is clipped
by itself.
    → a_small_step_each
Only the last micro-batch's gradient is left: add, don't replace.
    gradient += x.T → gradient = x.T
That is a step of the last micro-batch alone: what came before was set to zero in the loop.
    gradient += x.T → gradient = x.T
    tokens += len(y) → tokens = len(y)
That is a step of the first micro-batch alone.
    tokens += len(y) → tokens += len(y); break
The sum over all tokens was never divided: so the more micro-batches, the larger the step.
    gradient /= tokens → tokens
You added the means of the micro-batches: with k of them the gradient is k times too long.
    x.T @ (p - y) → x.T @ (p - y) / len(y)
    gradient /= tokens → tokens
Divide by the number of tokens, not of micro-batches.
    tokens += len(y) → tokens += 1
Each micro-batch is clipped by itself; clip once, when all are added: only then is it the batch's gradient.
    → clipped_each
You clip after each micro-batch what has been added so far; clip once, at the end.
    → clipped_on_the_way
You clip the sum; what is to be at most max_norm long is the mean over the tokens: divide first.
    gradient /= tokens → tokens
    w - rate * gradient → w - rate * gradient / tokens
Nothing is clipped.
    gradient *= max_norm / norm → pass
A gradient shorter than max_norm stays as it is; yours is drawn out to that length.
    if norm > max_norm → if norm > 0
You cut each number by itself, which turns the gradient; its length is to be max_norm, its direction stays.
    gradient *= max_norm / norm → gradient = np.clip(gradient, -max_norm, max_norm)
Step against the gradient: it points to where the loss grows.
    w - rate → w + rate
That is the gradient; the weights after the step are asked for.
    return w - rate * gradient → return gradient
""")


def padded_inputs(generator, case):
    """As in 12.4; at the end of most micro-batches stands padding, and before it a token or more."""
    w, micro_batches, rate, max_norm = micro_batches_inputs(generator, case)
    for i, (_, y) in enumerate(micro_batches):
        y[len(y) - (case + i + 1) % min(len(y), 3) :] = -100
    return w, micro_batches, rate, max_norm


@accumulated_step.variant("padding doesn't count", inputs=padded_inputs)
def padded_step(
    w: np.ndarray, micro_batches: list[tuple[np.ndarray, np.ndarray]], rate: float, max_norm: float
) -> np.ndarray:
    """As in 12.4, return the weights after one step, as if all micro-batches were one batch.

    But some tokens are padding: where y is -100, a token has no loss, and is not counted in the mean either.
    """
    gradient, tokens = np.zeros_like(w), 0
    for x, y in micro_batches:
        x, y = x[y != -100], y[y != -100]
        gradient += x.T @ (1 / (1 + np.exp(-(x @ w))) - y)
        tokens += len(y)
    gradient /= tokens
    norm = np.linalg.norm(gradient)
    if norm > max_norm:
        gradient *= max_norm / norm
    return w - rate * gradient


def padding_is_counted(w, micro_batches, rate, max_norm):
    everything = sum(len(y) for _, y in micro_batches)
    gradient = np.zeros_like(w)
    for x, y in micro_batches:
        x, y = x[y != -100], y[y != -100]
        gradient += x.T @ (1 / (1 + np.exp(-(x @ w))) - y) / everything
    return w - rate * gradient * min(1, max_norm / np.linalg.norm(gradient))


padded_step.slips("""
That answers the first version: there no token is padding; here -100 was taken for what is to be learnt.
    → accumulated_step
The padding's loss is left out, but it is counted in the mean: divide by the number of tokens that have one.
    → padding_is_counted
You averaged the micro-batches' means: so a token counts for more where its micro-batch has few.
    - y) → - y) / len(y)
    tokens += len(y) → tokens += 1
Only the last micro-batch's gradient is left: add, don't replace.
    gradient += x.T → gradient = x.T
The sum over all tokens was never divided: so the more micro-batches, the larger the step.
    gradient /= tokens → tokens
Nothing is clipped.
    gradient *= max_norm / norm → pass
Step against the gradient: it points to where the loss grows.
    w - rate → w + rate
""")


def choices_inputs(generator, case):
    """From two options on; they differ in tokens, in characters, and in bytes a character."""
    n, question = 2 + case % 3, 1 + case // 2 % 3
    words = ["no", "yes", "ça", "naïve", "é", "to be sure", "Äpfel"]
    options = generator.permutation(words)[:n].tolist()
    ids, tables = [], []
    start = generator.integers(0, 4, size=question).tolist()
    for i in range(n):
        ids.append(start + generator.integers(0, 4, size=1 + (case + i) % 3).tolist())
        tables.append(np.round(np.log(different_shares(generator, len(ids[-1]), 4)), 2))
    return options, ids, tables, question


@exercise("12.6", "multiple choice by likelihood", dots=2, minutes=9, inputs=choices_inputs)
def likeliest(
    options: list[str], ids: list[list[int]], log_p: list[np.ndarray], question: int
) -> tuple[int, list[float]]:
    """Return which option a model finds likeliest, counted from 0, and the score of each.

    `ids[k]` are the tokens of the question, of which there are `question`, and behind them those of option k.
    The model read them: row t of `log_p[k]`, an array (tokens, V), has log p of each token as the one that
    comes **after** place t. The score of an option is the sum of log p of its own tokens, over its length in
    bytes of UTF-8, so that a long option is not worse for being long.
    """
    scores = []
    for option, tokens, table in zip(options, ids, log_p, strict=True):
        total = sum(table[t - 1, tokens[t]] for t in range(question, len(tokens)))
        scores.append(float(total / len(option.encode())))
    return int(np.argmax(scores)), scores


likeliest.slips("""
The sum alone favours short options, as each token more makes it smaller: divide by the length in bytes.
    total / len(option.encode()) → total
You divide by the number of tokens; by bytes is asked: then the score does not depend on the tokenizer.
    / len(option.encode()) → / (len(tokens) - question)
You divide by all tokens, the question's too; the length is that of the option, in bytes.
    / len(option.encode()) → / len(tokens)
You divide by characters; in UTF-8 an é has two bytes.
    len(option.encode()) → len(option)
The question's tokens are in the sum: only those of the option are to be scored.
    range(question, → range(1,
The shift is missing: what place t says is about the token after it, so a token's log p stands a row above.
    table[t - 1, → table[t,
The option's first token is missing: the question's last place speaks of it.
    range(question, → range(question + 1,
The option's last token is missing.
    range(question, len(tokens)) → range(question, len(tokens) - 1)
That is the log p of what the model would have written itself; what matters are the option's tokens.
    table[t - 1, tokens[t]] → table[t - 1].max()
That is the least likely: a larger log p is better.
    np.argmax(scores) → np.argmin(scores)
That is the loss; the score is log p, which is negative.
    scores.append(float( → scores.append(-float(
    np.argmax(scores) → np.argmin(scores)
Options count from 0.
    int(np.argmax(scores)) → int(np.argmax(scores)) + 1
The option first, then the scores.
    return int(np.argmax(scores)), scores → return scores, int(np.argmax(scores))
""")


def alone_inputs(generator, case):
    """As in 12.6, with log p of each option after no question in place of its text."""
    options, ids, tables, question = choices_inputs(generator, case)
    return (-generator.integers(5, 60, size=len(options)) / 10).tolist(), ids, tables, question


@likeliest.variant("what the question adds", inputs=alone_inputs)
def likelier_than_alone(
    alone: list[float], ids: list[list[int]], log_p: list[np.ndarray], question: int
) -> tuple[int, list[float]]:
    """Return which option gained most by the question, counted from 0, and the gain of each in nats.

    As in 12.6, but nothing is divided by a length. Instead, take off what the option's tokens are worth
    without the question: `alone[k]` is the sum of their log p behind "Answer:". So common words have no
    advantage.
    """
    gains = []
    for before, tokens, table in zip(alone, ids, log_p, strict=True):
        total = sum(table[t - 1, tokens[t]] for t in range(question, len(tokens)))
        gains.append(float(total - before))
    return int(np.argmax(gains)), gains


likelier_than_alone.slips("""
That answers the first version: it divides by the length of the option's text; here log p alone is taken off.
    → likeliest
Take off what the option is worth without the question.
    total - before → total
It is taken off, not added.
    total - before → total + before
The logarithm of a ratio is a difference; you divided the logarithms.
    total - before → total / before
The other way round: the gain is log p with the question less log p without.
    total - before → before - total
The question's tokens are in the sum: only those of the option are to be scored.
    range(question, → range(1,
The shift is missing: what place t says is about the token after it, so a token's log p stands a row above.
    table[t - 1, → table[t,
The option's first token is missing: the question's last place speaks of it.
    range(question, → range(question + 1,
That is the one that lost most: a larger gain is better.
    np.argmax(gains) → np.argmin(gains)
""")
