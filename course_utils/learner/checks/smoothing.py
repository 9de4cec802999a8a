"""What exercises 1.4 to 1.6 of chapter 1, on smoothing, must do, and what usually goes wrong."""

import numpy as np

from course_utils.learner.checks.ngrams import WORDS
from course_utils.learner.checks.old import Check, Mistake

# 1.4


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


def _not_normalised(train_probs, held_out_probs, steps):
    weights = interpolate(train_probs, held_out_probs, steps)[0] * held_out_probs.shape[1]
    return weights, weights @ held_out_probs


def _on_training_text(train_probs, held_out_probs, steps):
    weights = interpolate(train_probs, train_probs, steps)[0]
    return weights, weights @ held_out_probs


def _multiplied(train_probs, held_out_probs, steps):
    weights = interpolate(train_probs, held_out_probs, steps)[0]
    return weights, np.prod(held_out_probs ** weights[:, None], axis=0)


def _multiplied_plainly(train_probs, held_out_probs, steps):
    weights = interpolate(train_probs, held_out_probs, steps)[0]
    return weights, np.prod(weights[:, None] * held_out_probs, axis=0)


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


INTERPOLATE = Check(
    id="1.4",
    title="interpolation with EM weights",
    difficulty=2,
    minutes=12,
    imports="import numpy as np",
    reference=interpolate,
    inputs=interpolate_inputs,
    mistakes=(
        Mistake("Weights must sum to 1.", _not_normalised),
        Mistake(
            "The highest order takes all weight on text it has counted; use held-out.", _on_training_text
        ),
        Mistake("You multiplied; a mixture adds.", _multiplied),
        Mistake("You multiplied; a mixture adds.", _multiplied_plainly),
        Mistake(
            "The weights are still equal: EM moves them at each of its steps.",
            lambda train_probs, held_out_probs, steps: interpolate(train_probs, held_out_probs, 0),
        ),
        Mistake(
            "Each step goes on from the weights of the step before, not from equal ones.",
            lambda train_probs, held_out_probs, steps: interpolate(train_probs, held_out_probs, 1),
        ),
    ),
    hint="One step of EM. First ask, for each token: which share of the mixture's probability came from "
    "which model? That is `weights[:, None] * held_out_probs`, each column divided by its sum. Then a "
    "model's new weight is the mean of its shares over all tokens.",
    neighbour="""The same step with two bags of marbles, one column for each marble that was drawn. Bag A \
holds 3/4 red marbles, bag B 1/4; each draw is from one of the bags, and we drew red, red, blue.

```python
p = np.array([[0.75, 0.75, 0.25],    # bag A: red, red, blue
              [0.25, 0.25, 0.75]])   # bag B
weights = np.array([0.5, 0.5])
shares = weights[:, None] * p        # [[0.375, 0.375, 0.125], [0.125, 0.125, 0.375]]
shares = shares / shares.sum(axis=0) # [[0.75, 0.75, 0.25], [0.25, 0.25, 0.75]]
shares.mean(axis=1)                  # [0.583, 0.417]: bag A was drawn from a little more often
```

In the exercise the bags are models, the marbles held-out tokens, and the step is repeated.""",
    without=("course_utils", "nltk"),
)


# 1.5


def absolute_discount(counts: dict[str, int], lower: dict[str, float], D: float) -> dict[str, float]:
    """Discount the counts of a context's followers by D, and share what is freed as `lower` says.

    `counts` holds the words that followed the context; `lower` is a distribution over the whole vocabulary.
    """
    total = sum(counts.values())
    freed = D * len(counts) / total
    return {word: max(counts.get(word, 0) - D, 0) / total + freed * p for word, p in lower.items()}


def discount_inputs(generator, case):
    """Few followers with many counts, out of a larger vocabulary."""
    words = WORDS[: 3 + case // 3]
    followers = words[: 1 + int(generator.integers(len(words) - 1))]
    counts = generator.integers(1, 3 + case, size=len(followers)).tolist()
    shares = generator.integers(1, 9, size=len(words))
    lower = dict(zip(words, (shares / shares.sum()).tolist(), strict=True))
    return dict(zip(followers, counts, strict=True)), lower, (0.75, 0.5, 0.25)[case % 3]


def _discounted(freed, clip=True):
    """Vary `absolute_discount`: `freed(counts, D)` is the mass that `lower` shares out."""

    def answer(counts, lower, D):
        total = sum(counts.values())
        kept = {word: counts.get(word, 0) - D for word in lower}
        if clip:
            kept = {word: max(count, 0) for word, count in kept.items()}
        return {word: kept[word] / total + freed(counts, D) * p for word, p in lower.items()}

    return answer


ABSOLUTE_DISCOUNT = Check(
    id="1.5",
    title="absolute discounting",
    difficulty=2,
    minutes=10,
    reference=absolute_discount,
    inputs=discount_inputs,
    mistakes=(
        Mistake("You took mass away and gave it to nobody.", _discounted(lambda counts, D: 0)),
        Mistake(
            "The mass freed is D times the number of *distinct* followers.", _discounted(lambda counts, D: D)
        ),
        Mistake(
            "A count below D went negative; clip at 0.",
            _discounted(lambda counts, D: D * len(counts) / sum(counts.values()), clip=False),
        ),
        Mistake(
            "The mass freed is a share of the context's count: divide it by the total too.",
            _discounted(lambda counts, D: D * len(counts)),
        ),
        Mistake(
            "Seen words get their share of `lower` too, not only unseen ones.",
            lambda counts, lower, D: {
                word: (counts[word] - D) / sum(counts.values())
                if word in counts
                else D * len(counts) / sum(counts.values()) * p
                for word, p in lower.items()
            },
        ),
        Mistake(
            "Every word of the vocabulary gets a probability, not only those that followed.",
            lambda counts, lower, D: {
                word: p for word, p in absolute_discount(counts, lower, D).items() if word in counts
            },
        ),
    ),
    hint="Each distinct follower gives up D counts; with `total` counts in all, that frees "
    "`D * len(counts) / total` of the probability. A word gets what is left of its own count, "
    "`max(counts.get(word, 0) - D, 0) / total`, plus the freed mass times `lower[word]`.",
    neighbour="""The same with a tax. Three people earn 6, 3 and 1 coins; a fourth earns nothing. Everybody \
who earns pays half a coin, and what comes in is shared out equally among all four.

```python
earned = {"ann": 6, "bob": 3, "cleo": 1}
people = ["ann", "bob", "cleo", "dan"]
taken = 0.5 * len(earned)                                       # 1.5 coins
{who: max(earned.get(who, 0) - 0.5, 0) + taken / 4 for who in people}
# {"ann": 5.875, "bob": 2.875, "cleo": 0.875, "dan": 0.375}: still 10 coins
```

In the exercise the coins are counts, `lower` says who gets which share, and all is divided by the total.""",
    without=("course_utils", "nltk"),
)


# 1.6


def continuation(bigrams: dict[tuple[str, str], int]) -> dict[str, float]:
    """Return, for each word that follows another, the share of distinct bigrams that end in it."""
    predecessors = {}
    for _, word in bigrams:
        predecessors[word] = predecessors.get(word, 0) + 1
    return {word: number / len(bigrams) for word, number in predecessors.items()}


def _shares(side, weight, total):
    """Vary `continuation`: add `weight(count)` up by the word at `side`, and divide by `total(bigrams)`."""

    def answer(bigrams):
        sums = {}
        for pair, count in bigrams.items():
            sums[pair[side]] = sums.get(pair[side], 0) + weight(count)
        return {word: part / total(bigrams) for word, part in sums.items()}

    return answer


def continuation_inputs(generator, case):
    """Counts of bigrams: "highness" often and after few words, "mercy" after many."""
    bigrams = {("your", "highness"): 2 + case, ("have", "mercy"): 1}
    for _ in range(case):
        pair = (WORDS[int(generator.integers(len(WORDS)))], WORDS[int(generator.integers(len(WORDS)))])
        if pair[1] != "highness":
            bigrams[pair] = 1 + int(generator.integers(4))
    return (bigrams,)


CONTINUATION = Check(
    id="1.6",
    title="Kneser-Ney continuation",
    difficulty=3,
    minutes=12,
    reference=continuation,
    inputs=continuation_inputs,
    mistakes=(
        Mistake(
            "'highness' is frequent but follows 4 words: count predecessors.",
            _shares(1, lambda count: count, lambda bigrams: sum(bigrams.values())),
        ),
        Mistake(
            "You counted what comes after; count what comes before.",
            _shares(0, lambda count: 1, len),
        ),
        Mistake(
            "Divide by distinct pairs, not tokens.",
            _shares(1, lambda count: 1, lambda bigrams: sum(bigrams.values())),
        ),
        Mistake(
            "Divide by distinct pairs, not by the number of different words.",
            _shares(1, lambda count: 1, lambda bigrams: len({word for _, word in bigrams})),
        ),
        Mistake(
            "These are numbers of predecessors; divide by distinct pairs.",
            _shares(1, lambda count: 1, lambda bigrams: 1),
        ),
    ),
    hint="Each key of the dict is one distinct pair, however high its count: walk through the keys alone and "
    "count the second word of each. The number of keys is what to divide by.",
    neighbour="""The same question about travellers: which town is reached from the most places? The number \
of journeys doesn't matter, only the number of different places from which one comes.

```python
journeys = {("london", "dover"): 90, ("york", "bath"): 1, ("london", "bath"): 2}
origins = {}
for start, end in journeys:
    origins[end] = origins.get(end, 0) + 1
origins  # {"dover": 1, "bath": 2}: 90 journeys to dover, but all from one town
```

In the exercise the towns are words, and each number is divided by the number of pairs.""",
    without=("course_utils", "nltk"),
)

CHECKS = (INTERPOLATE, ABSOLUTE_DISCOUNT, CONTINUATION)
