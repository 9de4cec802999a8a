"""Variants of exercises 1.1 to 1.3 of chapter 1."""

import math
from collections import Counter
from dataclasses import replace

from course_utils.learner.checks.ngrams import (
    NGRAM_COUNTS,
    PERPLEXITY,
    mle,
    mle_inputs,
    ngram_counts,
    perplexity,
    perplexity_inputs,
)
from course_utils.learner.checks.old import Check, Mistake

# 1.1


def pairs_apart(texts: list[list[str]], gap: int) -> dict[tuple[str, str], int]:
    """Count the pairs of words that stand `gap` places apart in a text; with gap 1 these are the bigrams."""
    counts = {}
    for text in texts:
        for i in range(len(text) - gap):
            pair = (text[i], text[i + gap])
            counts[pair] = counts.get(pair, 0) + 1
    return counts


PAIRS_APART = Check(
    id="1.1 again",
    variant_of="1.1",
    title="pairs apart",
    difficulty=1,
    minutes=5,
    reference=pairs_apart,
    inputs=NGRAM_COUNTS.inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it counts runs of `gap` words, not pairs that stand apart.",
            ngram_counts,
        ),
        Mistake(
            "The last pair is missing.",
            lambda texts, gap: pairs_apart([text[:-1] for text in texts], gap),
        ),
        Mistake(
            "You counted a pair that joins two plays.",
            lambda texts, gap: pairs_apart([[word for text in texts for word in text]], gap),
        ),
        Mistake(
            "With gap 1 the two words are neighbours: you went one place too far.",
            lambda texts, gap: pairs_apart(texts, gap + 1),
        ),
        Mistake(
            "A pair has a first word and a second one: (a, b) isn't (b, a).",
            lambda texts, gap: pairs_apart([text[::-1] for text in texts], gap),
        ),
    ),
    hint="In a text of 5 words, 3 pairs stand 2 places apart: they begin at 0, 1 and 2.",
    neighbour="""Letters that stand next to each other, in one word:

```python
def bigrams(word):
    counts = {}
    for i in range(len(word) - 1):
        pair = (word[i], word[i + 1])
        counts[pair] = counts.get(pair, 0) + 1
    return counts

bigrams("noon")  # {("n", "o"): 1, ("o", "o"): 1, ("o", "n"): 1}
```""",
    without=("course_utils", "nltk"),
)


# 1.2


def mle_before(texts: list[list[str]], context: tuple[str, ...]) -> dict[str, float]:
    """Estimate by maximum likelihood which word comes just before `context`, for each that ever does."""
    k = len(context)
    before = {}
    for text in texts:
        for i in range(1, len(text) - k + 1):
            if tuple(text[i : i + k]) == context:
                before[text[i - 1]] = before.get(text[i - 1], 0) + 1
    total = sum(before.values())
    return {word: count / total for word, count in before.items()}


def _counted_before(texts, context):
    """Count instead of dividing: what each word before `context` comes to, and how often `context` stands."""
    k = len(context)
    places = [
        (text, i) for text in texts for i in range(len(text) - k + 1) if tuple(text[i : i + k]) == context
    ]
    before = {}
    for text, i in places:
        if i > 0:
            before[text[i - 1]] = before.get(text[i - 1], 0) + 1
    return before, len(places)


def _shares_of_places(texts, context):
    before, places = _counted_before(texts, context)
    return {word: count / places for word, count in before.items()}


def _round_the_corner(texts, context):
    wrapped = [[*text[-1:], *text] for text in texts]  # text[i - 1] is the last word where i is 0
    return mle_before(wrapped, context)


MLE_BEFORE = Check(
    id="1.2 again",
    variant_of="1.2",
    title="maximum likelihood, backwards",
    difficulty=1,
    minutes=6,
    reference=mle_before,
    inputs=mle_inputs,
    mistakes=(
        Mistake("That answers the first version: it gives the words after `context`, not before it.", mle),
        Mistake("Sums to less than 1: the first context has no word before it.", _shares_of_places),
        Mistake(
            "These are counts; a distribution sums to 1.",
            lambda texts, context: _counted_before(texts, context)[0],
        ),
        Mistake(
            "The first word has none before it: text[-1] is the last word of the text.", _round_the_corner
        ),
        Mistake(
            "A word joined the end of one play with the start of the next.",
            lambda texts, context: mle_before([[word for text in texts for word in text]], context),
        ),
    ),
    hint="Begin at place 1, where a word comes before. Divide by the sum of what you counted.",
    neighbour="""Which letter comes before "e" in some words, and how likely?

```python
def before_e(words):
    counts = {}
    for word in words:
        for i in range(1, len(word)):
            if word[i] == "e":
                counts[word[i - 1]] = counts.get(word[i - 1], 0) + 1
    total = sum(counts.values())
    return {letter: count / total for letter, count in counts.items()}

before_e(["be", "he", "the", "end"])  # {"b": 1/3, "h": 2/3}
```""",
    without=("course_utils", "nltk"),
)


# 1.3


def perplexity_of_counts(counts: dict[str, int], model: dict[str, float]) -> float:
    """Return the perplexity under `model` of a text of which `counts` says how often each word occurs."""
    bits = 0.0
    for word, count in counts.items():
        p = model.get(word, 0.0)
        bits += count * (-math.log2(p) if p > 0 else math.inf)
    return 2 ** (bits / sum(counts.values()))


def _bits(counts, model):
    return sum(counts.values()) * math.log2(perplexity_of_counts(counts, model))


def _counted_inputs(generator, case):
    text, model = perplexity_inputs(generator, case)
    return dict(Counter(text)), model


def _on_the_text(answer):
    """Let an answer to the first version see the text written out, word by word."""
    return lambda counts, model: answer(list(Counter(counts).elements()), model)


PERPLEXITY_OF_COUNTS = Check(
    id="1.3 again",
    variant_of="1.3",
    title="perplexity of a text that is counted",
    difficulty=1,
    minutes=6,
    imports="import math",
    reference=perplexity_of_counts,
    inputs=_counted_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it scores each word once, however often it occurs.", perplexity
        ),
        Mistake(
            "A word that occurs three times costs its bits three times.",
            lambda counts, model: perplexity(counts, model) ** (len(counts) / sum(counts.values())),
        ),
        Mistake(
            "Divide by the words of the text, all of them, not by the number of different ones.",
            lambda counts, model: 2 ** (_bits(counts, model) / len(counts)),
        ),
        *(replace(mistake, answer=_on_the_text(mistake.answer)) for mistake in PERPLEXITY.mistakes),
    ),
    hint="A word with the count c costs its bits c times. The length of the text is the sum of the counts.",
    neighbour="""The mean mark of a class, from how often each mark was given:

```python
given = {1: 2, 2: 5, 3: 1}
total = sum(mark * count for mark, count in given.items())  # 15
total / sum(given.values())                                 # 1.875: of 8 marks, not of 3
```

In the exercise the marks are the bits of the words; at the end 2 is raised to their mean.""",
    without=("course_utils", "nltk"),
)

CHECKS = (PAIRS_APART, MLE_BEFORE, PERPLEXITY_OF_COUNTS)
