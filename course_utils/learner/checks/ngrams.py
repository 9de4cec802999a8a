"""What exercises 1.1 to 1.3 of chapter 1, on counting, must do, and what usually goes wrong.

Those on smoothing are in `smoothing`. References are written out in plain Python here:
the learner counts words in dicts, where `course_utils.ngrams` counts token ids in arrays.
"""

import math

import numpy as np

from course_utils.learner.checks.old import Check, Mistake

WORDS = ["to", "be", "or", "not", "the", "king", "and", "queen", "your", "highness", "have", "mercy"]


SMALL_TEXTS = [
    [["to"]],
    [["to"], ["be"]],
    [["to", "be"]],
    [["to", "to"]],
    [["to", "be", "to"]],
    [["to", "be"], ["to"]],
]


def some_texts(generator: np.random.Generator, case: int) -> list[list[str]]:
    """Return a text or two of few words, or draw up to four texts of words that repeat."""
    if case < len(SMALL_TEXTS):
        return SMALL_TEXTS[case]
    words = WORDS[: 2 + case // 4]
    lengths = generator.integers(0, 3 + case, size=1 + int(generator.integers(4)))
    return [generator.choice(words, size=length).tolist() for length in lengths]


# 1.1


def ngram_counts(texts: list[list[str]], n: int) -> dict[tuple[str, ...], int]:
    """Count every run of n tokens in each text: {("to", "be"): 2, ...}. No n-gram joins two texts."""
    counts = {}
    for text in texts:
        for i in range(len(text) - n + 1):
            ngram = tuple(text[i : i + n])
            counts[ngram] = counts.get(ngram, 0) + 1
    return counts


def _counts_of(starts, width):
    """Vary `ngram_counts`: `starts(text, n)` gives the starting places and `width(n)` the length."""

    def answer(texts, n):
        counts = {}
        for text in texts:
            for i in starts(text, n):
                ngram = tuple(text[i : i + width(n)])
                counts[ngram] = counts.get(ngram, 0) + 1
        return counts

    return answer


NGRAM_COUNTS = Check(
    id="1.1",
    title="n-gram counts",
    difficulty=1,
    minutes=5,
    reference=ngram_counts,
    inputs=lambda generator, case: (
        some_texts(generator, case // 2),
        1 + case % (2 if case < 2 * len(SMALL_TEXTS) else 3),
    ),
    mistakes=(
        Mistake("The last n-gram is missing.", _counts_of(lambda text, n: range(len(text) - n), lambda n: n)),
        Mistake(
            "You counted an n-gram that joins two plays.",
            lambda texts, n: ngram_counts([[word for text in texts for word in text]], n),
        ),
        Mistake(
            "An n-gram has n−1 of context and 1 predicted.",
            lambda texts, n: ngram_counts(texts, n + 1),
        ),
        Mistake(
            "At the end of a text you counted runs that are shorter than n.",
            _counts_of(lambda text, n: range(len(text)), lambda n: n),
        ),
        Mistake(
            "Runs may overlap: move on by one word, not by n.",
            _counts_of(lambda text, n: range(0, len(text) - n + 1, n), lambda n: n),
        ),
        Mistake(
            "You noted which n-grams occur, not how often.",
            lambda texts, n: dict.fromkeys(ngram_counts(texts, n), 1),
        ),
        Mistake(
            "You counted the last text only: make the dict before the loop over texts, not inside it.",
            lambda texts, n: ngram_counts(texts[-1:], n),
        ),
    ),
    hint="A text of 5 words holds 4 runs of 2 words, and 3 runs of 3. In general `len(text) - n + 1` runs, "
    "which start at 0, 1, 2, and so on. `tuple(text[i : i + n])` is the run that starts at `i`.",
    neighbour="""The same idea on letters: count the letters of some words that stand first in their word.

```python
def first_letters(words):
    counts = {}
    for word in words:
        letter = word[0]
        counts[letter] = counts.get(letter, 0) + 1
    return counts

first_letters(["to", "be", "the"])  # {"t": 2, "b": 1}
```

`counts.get(letter, 0)` is the count so far, or 0 where there is none. In the exercise a second loop walks \
through the places of each text, and the key is a tuple of n words.""",
    without=("course_utils", "nltk"),
)


# 1.2


def mle(texts: list[list[str]], context: tuple[str, ...]) -> dict[str, float]:
    """Estimate p(word | context) by maximum likelihood, for each word that follows `context` in a text."""
    k = len(context)
    followers = {}
    for text in texts:
        for i in range(len(text) - k):
            if tuple(text[i : i + k]) == context:
                followers[text[i + k]] = followers.get(text[i + k], 0) + 1
    total = sum(followers.values())
    return {word: count / total for word, count in followers.items()}


def _mle_over(denominator):
    """Vary `mle`: divide each follower's count by `denominator(texts, context)`."""

    def answer(texts, context):
        counts = ngram_counts(texts, len(context) + 1)
        return {
            ngram[-1]: count / denominator(texts, context)
            for ngram, count in counts.items()
            if ngram[:-1] == context
        }

    return answer


def mle_inputs(generator, case):
    """Texts, and a context of 0 to 2 words that mostly occurs in them, at times only at a text's end."""
    texts = some_texts(generator, case // 2)
    k = case % 2 if case < 2 * len(SMALL_TEXTS) else case % 3
    contexts = [tuple(text[i : i + k]) for text in texts for i in range(len(text) - k + 1)]
    return texts, contexts[int(generator.integers(len(contexts)))] if contexts else ("king",) * k


MLE = Check(
    id="1.2",
    title="maximum likelihood",
    difficulty=1,
    minutes=6,
    reference=mle,
    inputs=mle_inputs,
    mistakes=(
        Mistake(
            "That is the joint; divide by the context's count.",
            _mle_over(lambda texts, context: sum(ngram_counts(texts, len(context) + 1).values())),
        ),
        Mistake(
            "You divided by the vocabulary, not by how often the context occurred.",
            _mle_over(lambda texts, context: len(set().union(*texts))),
        ),
        Mistake(
            "Sums to less than 1: the last context has no follower.",
            _mle_over(
                lambda texts, context: sum(
                    tuple(text[i : i + len(context)]) == context
                    for text in texts
                    for i in range(len(text) - len(context) + 1)
                )
            ),
        ),
        Mistake(
            "These are counts; a distribution sums to 1.",
            _mle_over(lambda texts, context: 1),
        ),
        Mistake(
            "You found no follower: a slice of a list never equals a tuple; make it one before you compare.",
            lambda texts, context: {},
        ),
        Mistake(
            "You looked at the last word of the context only; all of its words must match.",
            lambda texts, context: mle(texts, context[-1:]),
        ),
        Mistake(
            "A word joined the end of one play with the start of the next.",
            lambda texts, context: mle([[word for text in texts for word in text]], context),
        ),
    ),
    hint="Collect first, divide afterwards. Walk through the places where the context stands and **has a "
    "word after it**; count that word. The number to divide by is the sum of the counts that you collected.",
    neighbour="""The same two steps on letters: which letter follows "t" in a word, and how likely?

```python
def after(words, letter):
    followers = {}
    for word in words:
        for i in range(len(word) - 1):  # the last letter has no follower
            if word[i] == letter:
                followers[word[i + 1]] = followers.get(word[i + 1], 0) + 1
    total = sum(followers.values())
    return {follower: count / total for follower, count in followers.items()}

after(["to", "that", "the"], "t")  # {"o": 1/3, "h": 2/3}; the "t" that ends "that" doesn't count
```

In the exercise the context is a tuple of k words instead of one letter, and k may be 0.""",
    without=("course_utils", "nltk"),
)


# 1.3


def perplexity(text: list[str], model: dict[str, float]) -> float:
    """Return the perplexity of `text` under `model`, which gives each word its probability."""
    bits = 0.0
    for word in text:
        p = model.get(word, 0.0)
        bits += -math.log2(p) if p > 0 else math.inf
    return 2 ** (bits / len(text))


def _log2_probs(text, model):
    return np.log2([model.get(word, 0.0) for word in text])


SMALL_SCORES = [
    (["to"], {"to": 0.25, "be": 0.75}),
    (["to", "be"], {"to": 0.25, "be": 0.5, "or": 0.25}),
    (["to", "caliban"], {"to": 0.5, "be": 0.5}),
]


def perplexity_inputs(generator, case):
    """A text, and a model of more words than the text has; now and then a word is impossible."""
    if case < len(SMALL_SCORES):
        return SMALL_SCORES[case]
    words = WORDS[: 3 + case // 3]
    shares = generator.integers(1, 9, size=len(words))
    model = dict(zip(words, (shares / shares.sum()).tolist(), strict=True))
    text = generator.choice(words, size=1 + case // 2).tolist()
    return ([*text, "caliban"] if case % 10 == 9 else text), model


PERPLEXITY = Check(
    id="1.3",
    title="perplexity",
    difficulty=1,
    minutes=6,
    imports="import math",
    reference=perplexity,
    inputs=perplexity_inputs,
    mistakes=(
        Mistake(
            "Nats need e, bits need 2.",
            lambda text, model: 2 ** -np.mean(_log2_probs(text, model) * math.log(2)),
        ),
        Mistake("Nats need e, bits need 2.", lambda text, model: np.exp(-np.mean(_log2_probs(text, model)))),
        Mistake(
            "Average the logs, not the probabilities.",
            lambda text, model: 1 / np.mean([model.get(word, 0.0) for word in text]),
        ),
        Mistake(
            "Divide by tokens scored.",
            lambda text, model: 2 ** (-np.sum(_log2_probs(text, model)) / len(model)),
        ),
        Mistake(
            "That is one over the probability of the whole text: divide the bits by the number of tokens.",
            lambda text, model: 2 ** -np.sum(_log2_probs(text, model)),
        ),
        Mistake(
            "These are bits per token; perplexity is 2 to that power.",
            lambda text, model: -np.mean(_log2_probs(text, model)),
        ),
        Mistake(
            "The minus is missing: a perplexity is never below 1.",
            lambda text, model: 2 ** np.mean(_log2_probs(text, model)),
        ),
        Mistake(
            "A word that the model lacks has probability 0: it costs infinitely many bits.",
            lambda text, model: perplexity([word for word in text if word in model], model),
        ),
    ),
    hint="Three steps: the bits of each word, `-math.log2(p)`; their mean over the words of the text; 2 to "
    "the power of that mean. A word with probability 0 costs `math.inf` bits.",
    neighbour="""The same average, for dice: a die is thrown three times, and someone gave the faces that \
came up the probabilities 1/2, 1/4 and 1/8.

```python
bits = [-math.log2(p) for p in (1/2, 1/4, 1/8)]  # [1.0, 2.0, 3.0]
average = sum(bits) / len(bits)                  # 2.0 bits a throw
2 ** average                                     # 4.0: as unsure as among 4 equal faces
```

In the exercise the probabilities come from the model, one for each word of the text.""",
    without=("course_utils", "nltk"),
)


CHECKS = (NGRAM_COUNTS, MLE, PERPLEXITY)
