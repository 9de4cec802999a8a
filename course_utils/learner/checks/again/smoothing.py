"""Variants of exercises 1.4 to 1.6 of chapter 1."""

import numpy as np

from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.smoothing import (
    absolute_discount,
    continuation,
    continuation_inputs,
    discount_inputs,
    interpolate,
    interpolate_inputs,
)

# 1.4


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


def _cost(weights, probs):
    return -np.log2(weights @ probs).mean()


def _curve(cost=_cost, steps_done=lambda steps: range(steps + 1), on_train=False):
    """Vary `em_curve`: `cost(weights, probs)` after each number of steps in `steps_done(steps)`."""

    def answer(train_probs, held_out_probs, steps):
        learn_on = train_probs if on_train else held_out_probs
        return [
            float(cost(interpolate(train_probs, learn_on, done)[0], held_out_probs))
            for done in steps_done(steps)
        ]

    return answer


EM_CURVE = Check(
    id="1.4 again",
    variant_of="1.4",
    title="what each step of EM gains",
    difficulty=2,
    minutes=10,
    imports="import numpy as np",
    reference=em_curve,
    inputs=interpolate_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it gives where EM ends; each step's bits are asked for.",
            interpolate,
        ),
        Mistake(
            "The highest order takes all weight on text it has counted; use held-out.", _curve(on_train=True)
        ),
        Mistake(
            "The first number is missing: that of the equal weights, before any step.",
            _curve(steps_done=lambda steps: range(1, steps + 1)),
        ),
        Mistake(
            "The last number is missing: measure once more after the last step.", _curve(steps_done=range)
        ),
        Mistake(
            "Each step goes on from the weights of the step before, not from equal ones.",
            _curve(steps_done=lambda steps: [0] + [1] * steps),
        ),
        Mistake(
            "These are the bits of the whole text: divide by its tokens.",
            _curve(lambda weights, probs: -np.log2(weights @ probs).sum()),
        ),
        Mistake(
            "That is nats; divide by ln 2.", _curve(lambda weights, probs: -np.log(weights @ probs).mean())
        ),
        Mistake(
            "Average the logs, not the probabilities.",
            _curve(lambda weights, probs: -np.log2((weights @ probs).mean())),
        ),
        Mistake(
            "Mix the probabilities, then take the logarithm; you mixed logarithms.",
            _curve(lambda weights, probs: -(weights @ np.log2(probs)).mean()),
        ),
        Mistake(
            "These are perplexities; their logarithms to base 2 are the bits.",
            _curve(lambda weights, probs: 2 ** _cost(weights, probs)),
        ),
    ),
    hint="Measure, then move the weights; steps + 1 times. The cost is the mean of `-np.log2(mixed)`, where "
    "`mixed` is `weights @ held_out_probs`. It is also what each token's shares are divided by.",
    neighbour="""A search that notes where it stands before each step: the square root of 2, by halves.

```python
guess, errors = 1.0, []
for _ in range(3 + 1):
    errors.append(abs(guess ** 2 - 2))
    guess = (guess + 2 / guess) / 2
errors  # [1.0, 0.25, 0.0069, 0.000006]: 3 steps, 4 numbers
```

In the exercise the guess is the weights, the error is the mean bits of a token, and the step is EM's.""",
    without=("course_utils", "nltk"),
)


# 1.5


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


def _backoff(taken=lambda D: D, freed=lambda counts, D: D * len(counts) / sum(counts.values()), share=None):
    """Vary `discounted_backoff`: `taken(D)` goes off each count, `freed(counts, D)` is what others share."""

    def answer(counts, lower, D):
        others = {word: p for word, p in lower.items() if word not in counts}
        share_of = share or (lambda word, others: others[word] / sum(others.values()))
        return {
            word: (counts[word] - taken(D)) / sum(counts.values())
            if word in counts
            else freed(counts, D) * share_of(word, others)
            for word in lower
        }

    return answer


DISCOUNTED_BACKOFF = Check(
    id="1.5 again",
    variant_of="1.5",
    title="absolute discounting, to unseen words",
    difficulty=2,
    minutes=8,
    reference=discounted_backoff,
    inputs=discount_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: there seen words get a share of what is freed too.",
            absolute_discount,
        ),
        Mistake(
            "Sums to less than 1: divide by what `lower` gives to all unseen words together.",
            _backoff(share=lambda word, others: others[word]),
        ),
        Mistake(
            "The unseen words share as `lower` says, not equally.",
            _backoff(share=lambda word, others: 1 / len(others)),
        ),
        Mistake("You took mass away and gave it to nobody.", _backoff(freed=lambda counts, D: 0)),
        Mistake(
            "The mass freed is D times the number of *distinct* followers, over all counts.",
            _backoff(freed=lambda counts, D: D),
        ),
        Mistake(
            "The mass freed is a share of the context's count: divide it by the total too.",
            _backoff(freed=lambda counts, D: D * len(counts)),
        ),
        Mistake(
            "Sums to more than 1: what the unseen words get must be taken off the seen ones.",
            _backoff(taken=lambda D: 0),
        ),
        Mistake(
            "Every word of the vocabulary gets a probability, not only those that followed.",
            lambda counts, lower, D: {
                word: p for word, p in discounted_backoff(counts, lower, D).items() if word in counts
            },
        ),
    ),
    hint="What is freed is the same as in 1.5. Add up first what `lower` gives to the words that are not in "
    "`counts`; each of these gets its part of that sum.",
    neighbour="""A legacy of 12 coins goes to the children who have none yet, in proportion to their ages:

```python
coins = {"ann": 3}
ages = {"ann": 9, "bob": 5, "cleo": 1}
others = sum(age for child, age in ages.items() if child not in coins)  # 6
{child: coins[child] if child in coins else 12 * age / others for child, age in ages.items()}
# {"ann": 3, "bob": 10.0, "cleo": 2.0}: all 12 are given away
```

In the exercise the legacy is what was taken off the counts, and `lower` has the place of the ages.""",
    without=("course_utils", "nltk"),
)


# 1.6


def variety(bigrams: dict[tuple[str, str], int]) -> dict[str, float]:
    """Return, for each word that another follows, its number of distinct followers per follower counted."""
    distinct, counted = {}, {}
    for (word, _), count in bigrams.items():
        distinct[word] = distinct.get(word, 0) + 1
        counted[word] = counted.get(word, 0) + count
    return {word: distinct[word] / counted[word] for word in distinct}


def _over(denominator):
    """Vary `variety`: divide by `denominator(word, bigrams)`."""

    def answer(bigrams):
        distinct = {}
        for word, _ in bigrams:
            distinct[word] = distinct.get(word, 0) + 1
        return {word: number / denominator(word, bigrams) for word, number in distinct.items()}

    return answer


VARIETY = Check(
    id="1.6 again",
    variant_of="1.6",
    title="variety of followers",
    difficulty=2,
    minutes=8,
    reference=variety,
    inputs=continuation_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it shares the distinct bigrams out by what comes second.",
            continuation,
        ),
        Mistake(
            "You counted what comes before; count what comes after.",
            lambda bigrams: variety({pair[::-1]: count for pair, count in bigrams.items()}),
        ),
        Mistake(
            "Divide by the followers counted after this word, not by all distinct pairs.",
            _over(lambda word, bigrams: len(bigrams)),
        ),
        Mistake(
            "Divide by the followers counted after this word, not after all words.",
            _over(lambda word, bigrams: sum(bigrams.values())),
        ),
        Mistake(
            "These are numbers of distinct followers; divide by all the followers counted.",
            _over(lambda word, bigrams: 1),
        ),
        Mistake(
            "That is upside down: distinct followers over all followers, at most 1.",
            lambda bigrams: {word: 1 / share for word, share in variety(bigrams).items()},
        ),
        Mistake(
            "All come to 1: a pair counts once as a distinct follower, and `count` times as a follower.",
            lambda bigrams: dict.fromkeys(variety(bigrams), 1.0),
        ),
    ),
    hint="Keep two dicts by first word. In one each pair counts 1, in the other it counts as often as it "
    "occurs. Then divide.",
    neighbour="""The same question about guests: does a café see new faces, or always the same ones?

```python
visits = {("ann", "mon"): 1, ("ann", "tue"): 4, ("bob", "mon"): 1}
days, cups = {}, {}
for (_, day), count in visits.items():
    days[day] = days.get(day, 0) + 1
    cups[day] = cups.get(day, 0) + count
{day: days[day] / cups[day] for day in days}  # {"mon": 1.0, "tue": 0.25}: on Tuesdays Ann drinks four
```

In the exercise one asks by the first word of a pair.""",
    without=("course_utils", "nltk"),
)

CHECKS = (EM_CURVE, DISCOUNTED_BACKOFF, VARIETY)
