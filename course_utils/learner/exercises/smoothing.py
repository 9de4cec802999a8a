"""Exercises 1.4 to 1.6 of chapter 1, on smoothing."""

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.ngrams import WORDS


def interpolate_inputs(generator, case):
    """Rows from high order to low. High orders are sure of training tokens, and often wrong on others."""
    models, steps = 2 + case % 2, 1 + case % 4

    def probabilities(tokens, right):
        hit = generator.random((models, tokens)) < right[:models, None]
        p = np.where(hit, generator.integers(5, 10, hit.shape) / 10, 0.0)
        p[-1] = generator.integers(1, 5, tokens) / 10  # the lowest order gives every token something
        return p

    return (
        probabilities(3 + case, np.array([1.0, 0.8, 0.5])),
        probabilities(2 + case, np.array([0.5, 0.6, 0.5])),
        steps,
    )


@exercise("1.4", "interpolation with EM weights", dots=3, minutes=12, inputs=interpolate_inputs)
def interpolate(
    train_probs: np.ndarray, held_out_probs: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find the weights of a mixture of models by EM, from equal ones, and mix the held-out probabilities.

    Both arrays have one row a model and one column a token. Returns (weights, mixed probabilities).
    """
    weights = np.full(len(held_out_probs), 1 / len(held_out_probs))
    for _ in range(steps):
        shares = weights[:, None] * held_out_probs
        shares = shares / shares.sum(axis=0)
        weights = shares.mean(axis=1)
    return weights, weights @ held_out_probs


interpolate.slips("""
Weights must sum to 1.
    shares.mean(axis=1) → shares.sum(axis=1)
The highest order takes all weight on text it has counted; use held-out.
    weights[:, None] * held_out_probs → weights[:, None] * train_probs
You multiplied; a mixture adds.
    weights @ held_out_probs → np.prod(held_out_probs ** weights[:, None], axis=0)
You multiplied; a mixture adds.
    weights @ held_out_probs → np.prod(weights[:, None] * held_out_probs, axis=0)
The weights are still equal: EM moves them at each of its steps.
    weights = shares.mean(axis=1) →
Each step goes on from the weights of the step before, not from equal ones.
    shares = weights[:, None] * held_out_probs → shares = held_out_probs
""")


@interpolate.variant("what each step of EM gains", minutes=10)
def em_curve(train_probs: np.ndarray, held_out_probs: np.ndarray, steps: int) -> list[float]:
    """Follow EM: how many bits does a held-out token cost on average, at equal weights and after each step?

    Both arrays have one row a model and one column a token. Returns steps + 1 numbers.
    """
    weights = np.full(len(held_out_probs), 1 / len(held_out_probs))
    curve = []
    for _ in range(steps + 1):
        mixed = weights @ held_out_probs
        curve.append(float(-np.log2(mixed).mean()))
        weights = (weights[:, None] * held_out_probs / mixed).mean(axis=1)
    return curve


em_curve.slips("""
That answers the first version: it gives where EM ends; each step's bits are asked for.
    → interpolate
The highest order takes all weight on text it has counted; use held-out.
    weights[:, None] * held_out_probs / mixed → weights[:, None] * train_probs / (weights @ train_probs)
The first number is missing: that of the equal weights, before any step.
    return curve → return curve[1:]
The last number is missing: measure once more after the last step.
    steps + 1 → steps
Each step goes on from the weights of the step before, not from equal ones.
    (weights[:, None] * held_out_probs / mixed) → (held_out_probs / held_out_probs.sum(axis=0))
These are the bits of the whole text: divide by its tokens.
    np.log2(mixed).mean() → np.log2(mixed).sum()
That is nats; divide by ln 2.
    np.log2 → np.log
Average the logs, not the probabilities.
    np.log2(mixed).mean() → np.log2(mixed.mean())
Mix the probabilities, then take the logarithm; you mixed logarithms.
    np.log2(mixed) → (weights @ np.log2(held_out_probs))
These are perplexities; their logarithms to base 2 are the bits.
    -np.log2(mixed).mean() → 2 ** -np.log2(mixed).mean()
""")


def discount_inputs(generator, case):
    """Few followers with many counts, out of a larger vocabulary."""
    words = WORDS[: 3 + case // 3]
    followers = words[: 1 + int(generator.integers(len(words) - 1))]
    counts = generator.integers(1, 3 + case, size=len(followers)).tolist()
    shares = generator.integers(1, 9, size=len(words))
    lower = dict(zip(words, (shares / shares.sum()).tolist(), strict=True))
    return dict(zip(followers, counts, strict=True)), lower, (0.75, 0.5, 0.25)[case % 3]


@exercise("1.5", "absolute discounting", dots=2, minutes=5, inputs=discount_inputs)
def absolute_discount(counts: dict[str, int], lower: dict[str, float], D: float) -> dict[str, float]:
    """Discount the counts of a context's followers by D, and share what is freed as `lower` says.

    `counts` holds the words that followed the context; `lower` is a distribution over the whole vocabulary.
    """
    total = sum(counts.values())
    freed = D * len(counts) / total
    return {word: max(counts.get(word, 0) - D, 0) / total + freed * p for word, p in lower.items()}


absolute_discount.slips("""
You took mass away and gave it to nobody.
    D * len(counts) / total → 0
The mass freed is D times the number of *distinct* followers.
    D * len(counts) / total → D
A count below D went negative; clip at 0.
    max(counts.get(word, 0) - D, 0) → (counts.get(word, 0) - D)
D was taken from the words that followed, not from all of the vocabulary: count the followers.
    D * len(counts) / total → D * len(lower) / total
The mass freed is a share of the context's count: divide it by the total too.
    D * len(counts) / total → D * len(counts)
Seen words get their share of `lower` too, not only unseen ones.
    + freed * p → + freed * p * (word not in counts)
Every word of the vocabulary gets a probability, not only those that followed.
    lower.items() → lower.items() if word in counts
""")


@absolute_discount.variant("absolute discounting, to unseen words", minutes=8)
def discounted_backoff(counts: dict[str, int], lower: dict[str, float], D: float) -> dict[str, float]:
    """Discount the counts of a context's followers by D, and give what is freed to the other words only.

    `lower`, a distribution over the whole vocabulary, says in which proportion they share it.
    """
    total = sum(counts.values())
    freed = D * len(counts) / total
    unseen = sum(p for word, p in lower.items() if word not in counts)
    return {
        word: (counts[word] - D) / total if word in counts else freed * p / unseen
        for word, p in lower.items()
    }


discounted_backoff.slips("""
That answers the first version: there seen words get a share of what is freed too.
    → absolute_discount
Sums to less than 1: divide by what `lower` gives to all unseen words together.
    freed * p / unseen → freed * p
The unseen words share as `lower` says, not equally.
    freed * p / unseen → freed / (len(lower) - len(counts))
You took mass away and gave it to nobody.
    D * len(counts) / total → 0.0
The mass freed is D times the number of *distinct* followers, over all counts.
    D * len(counts) / total → D
The mass freed is a share of the context's count: divide it by the total too.
    D * len(counts) / total → D * len(counts)
Sums to more than 1: what the unseen words get must be taken off the seen ones.
    (counts[word] - D) → counts[word]
Every word of the vocabulary gets a probability, not only those that followed.
    return { → lower = {word: p for word, p in lower.items() if word in counts}; return {
""")


def continuation_inputs(generator, case):
    """Counts of bigrams: "highness" often and after few words, "mercy" after many."""
    bigrams = {("your", "highness"): 2 + case, ("have", "mercy"): 1}
    for _ in range(case):
        pair = (WORDS[int(generator.integers(len(WORDS)))], WORDS[int(generator.integers(len(WORDS)))])
        if pair[1] != "highness":
            bigrams[pair] = 1 + int(generator.integers(4))
    return (bigrams,)


@exercise("1.6", "Kneser-Ney continuation", dots=1, minutes=3, inputs=continuation_inputs)
def continuation(bigrams: dict[tuple[str, str], int]) -> dict[str, float]:
    """Return, for each word that follows another, the share of distinct bigrams that end in it."""
    predecessors = {}
    for _, word in bigrams:
        predecessors[word] = predecessors.get(word, 0) + 1
    return {word: number / len(bigrams) for word, number in predecessors.items()}


continuation.slips("""
'highness' is frequent, but after one word only: count predecessors.
    for _, word in bigrams: → for (_, word), count in bigrams.items():
    + 1 → + count
    len(bigrams) → sum(bigrams.values())
You counted what comes after; count what comes before.
    for _, word in → for word, _ in
Divide by distinct pairs, not tokens.
    len(bigrams) → sum(bigrams.values())
Divide by distinct pairs, not by the number of different words.
    len(bigrams) → len(predecessors)
These are numbers of predecessors; divide by distinct pairs.
    number / len(bigrams) → float(number)
""")


@continuation.variant("variety of followers", dots=2, minutes=8)
def variety(bigrams: dict[tuple[str, str], int]) -> dict[str, float]:
    """Return, for each word that stands first in a bigram, its number of distinct followers, divided by the
    sum of the counts of the bigrams that begin with it."""
    distinct, counted = {}, {}
    for (word, _), count in bigrams.items():
        distinct[word] = distinct.get(word, 0) + 1
        counted[word] = counted.get(word, 0) + count
    return {word: distinct[word] / counted[word] for word in distinct}


variety.slips("""
That answers the first version: it shares the distinct bigrams out by what comes second.
    → continuation
You counted what comes before; count what comes after.
    for (word, _), → for (_, word),
Divide by the followers counted after this word, not by all distinct pairs.
    / counted[word] → / len(bigrams)
Divide by the followers counted after this word, not after all words.
    / counted[word] → / sum(bigrams.values())
These are numbers of distinct followers; divide by all the followers counted.
    distinct[word] / counted[word] → float(distinct[word])
That is upside down: distinct followers over all followers, at most 1.
    distinct[word] / counted[word] → counted[word] / distinct[word]
All come to 1: a pair counts once as a distinct follower, and `count` times as a follower.
    + count → + 1
""")
