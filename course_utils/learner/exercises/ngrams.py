"""Exercises 1.1 to 1.3 of chapter 1, on counting; those on smoothing are in `smoothing`.

References are written out in plain Python here: the learner counts words in dicts, where
`course_utils.ngrams` counts token ids in arrays.
"""

import math
from collections import Counter

from course_utils.learner.checks.engine import exercise

WORDS = ["to", "be", "or", "not", "the", "king", "and", "queen", "your", "highness", "have", "mercy"]
SMALL_TEXTS = [
    [["to"]],
    [["to"], ["be"]],
    [["to", "be"]],
    [["to", "to"]],
    [["to", "be", "to"]],
    [["to", "be"], ["to"]],
]


def some_texts(generator, case):
    """Return a text or two of few words, or draw up to four texts of words that repeat."""
    if case < len(SMALL_TEXTS):
        return SMALL_TEXTS[case]
    words = WORDS[: 2 + case // 4]
    lengths = generator.integers(0, 3 + case, size=1 + int(generator.integers(4)))
    return [generator.choice(words, size=length).tolist() for length in lengths]


def counts_inputs(generator, case):
    return some_texts(generator, case // 2), 1 + case % (2 if case < 2 * len(SMALL_TEXTS) else 3)


@exercise("1.1", "n-gram counts", dots=1, minutes=5, inputs=counts_inputs)
def ngram_counts(texts: list[list[str]], n: int) -> dict[tuple[str, ...], int]:
    """Count every run of n tokens in each text: {("to", "be"): 2, ...}. No n-gram joins two texts."""
    counts = {}
    for text in texts:
        for i in range(len(text) - n + 1):
            ngram = tuple(text[i : i + n])
            counts[ngram] = counts.get(ngram, 0) + 1
    return counts


ngram_counts.slips("""
The last n-gram is missing.
    len(text) - n + 1 → len(text) - n
You counted an n-gram that joins two plays.
    in texts: → in [sum(texts, [])]:
Your runs have n+1 tokens: an n-gram has n−1 of context, and 1 that is predicted.
    len(text) - n + 1 → len(text) - n
    text[i : i + n] → text[i : i + n + 1]
At the end of a text you counted runs that are shorter than n.
    len(text) - n + 1 → len(text)
Runs may overlap: move on by one word, not by n.
    range(len(text) - n + 1) → range(0, len(text) - n + 1, n)
You noted which n-grams occur, not how often.
    counts.get(ngram, 0) + 1 → 1
You counted the last text only: make the dict before the loop over texts, not inside it.
    in texts: → in texts[-1:]:
""")


@ngram_counts.variant("pairs apart")
def pairs_apart(texts: list[list[str]], gap: int) -> dict[tuple[str, str], int]:
    """Count the pairs of words that stand `gap` places apart in a text; with gap 1 these are the bigrams."""
    counts = {}
    for text in texts:
        for i in range(len(text) - gap):
            pair = (text[i], text[i + gap])
            counts[pair] = counts.get(pair, 0) + 1
    return counts


pairs_apart.slips("""
That answers the first version: it counts runs of `gap` words, not pairs that stand apart.
    → ngram_counts
The last pair is missing.
    len(text) - gap → len(text) - gap - 1
You counted a pair that joins two plays.
    in texts: → in [sum(texts, [])]:
With gap 1 the two words are neighbours: you went one place too far.
    len(text) - gap → len(text) - gap - 1
    text[i + gap] → text[i + gap + 1]
A pair has a first word and a second one: (a, b) isn't (b, a).
    (text[i], text[i + gap]) → (text[i + gap], text[i])
""")


def mle_inputs(generator, case):
    """Texts, and a context of 0 to 2 words that mostly occurs in them, at times only at a text's end."""
    texts = some_texts(generator, case // 2)
    k = case % 2 if case < 2 * len(SMALL_TEXTS) else case % 3
    contexts = [tuple(text[i : i + k]) for text in texts for i in range(len(text) - k + 1)]
    return texts, contexts[int(generator.integers(len(contexts)))] if contexts else ("king",) * k


@exercise("1.2", "maximum likelihood", dots=1, minutes=6, inputs=mle_inputs)
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


mle.slips("""
That is the probability of context and word together; divide by the context's count.
    sum(followers.values()) → sum(max(len(text) - k, 0) for text in texts)
You divided by the vocabulary, not by how often the context occurred.
    sum(followers.values()) → len(set().union(*texts))
Your shares sum to less than 1: don't count a context that has no follower.
    sum(followers.values())
    → sum(tuple(text[i : i + k]) == context for text in texts for i in range(len(text) - k + 1))
These are counts; a distribution sums to 1.
    count / total → float(count)
You found no follower: a slice of a list never equals a tuple; make it one before you compare.
    tuple(text[i : i + k]) → text[i : i + k]
You looked at the last word of the context only; all of its words must match.
    k = len(context) → context = context[-1:]; k = len(context)
A word joined the end of one play with the start of the next.
    in texts: → in [sum(texts, [])]:
""")


@mle.variant("maximum likelihood, backwards")
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


mle_before.slips("""
That answers the first version: it gives the words after `context`, not before it.
    → mle
Your shares sum to less than 1: don't count a context that has no word before it.
    sum(before.values())
    → sum(tuple(text[i : i + k]) == context for text in texts for i in range(len(text) - k + 1))
These are counts; a distribution sums to 1.
    count / total → count
The first word has none before it: text[-1] is the last word of the text.
    range(1, len(text) - k + 1) → range(len(text) - k + 1) if text else []
A word joined the end of one play with the start of the next.
    in texts: → in [sum(texts, [])]:
""")


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


@exercise("1.3", "perplexity", dots=1, minutes=6, inputs=perplexity_inputs)
def perplexity(text: list[str], model: dict[str, float]) -> float:
    """Return the perplexity of `text` under `model`, which gives each word its probability."""
    bits = 0.0
    for word in text:
        p = model.get(word, 0.0)
        bits += -math.log2(p) if p > 0 else math.inf
    return 2 ** (bits / len(text))


perplexity.slips("""
Give the logarithm and the power the same base: for bits that is 2.
    -math.log2(p) → -math.log(p)
Give the logarithm and the power the same base: for bits that is 2.
    2 ** (bits / len(text)) → math.exp(bits / len(text))
Average the logs, not the probabilities.
    2 ** (bits / len(text)) → len(text) / sum(model.get(word, 0.0) for word in text)
Divide by the number of words in the text, not in the model.
    len(text) → len(model)
That is one over the probability of the whole text: divide the bits by the number of tokens.
    bits / len(text) → bits
These are bits per token; perplexity is 2 to that power.
    2 ** (bits / len(text)) → bits / len(text)
The minus is missing: a perplexity is never below 1.
    bits / len(text) → -bits / len(text)
A word that the model lacks has probability 0: it costs infinitely many bits.
    bits = 0.0 → bits = 0.0; text = [word for word in text if word in model]
""")


def counted_inputs(generator, case):
    text, model = perplexity_inputs(generator, case)
    return dict(Counter(text)), model


@perplexity.variant("perplexity of a text that is counted", inputs=counted_inputs)
def perplexity_of_counts(counts: dict[str, int], model: dict[str, float]) -> float:
    """Return the perplexity under `model` of a text of which `counts` says how often each word occurs."""
    bits = 0.0
    for word, count in counts.items():
        p = model.get(word, 0.0)
        bits += count * (-math.log2(p) if p > 0 else math.inf)
    return 2 ** (bits / sum(counts.values()))


perplexity_of_counts.slips("""
That answers the first version: it scores each word once, however often it occurs.
    → perplexity
A word that occurs three times costs its bits three times.
    bits += count * → bits +=
Divide by the words of the text, all of them, not by the number of different ones.
    sum(counts.values()) → len(counts)
Give the logarithm and the power the same base: for bits that is 2.
    -math.log2(p) → -math.log(p)
Give the logarithm and the power the same base: for bits that is 2.
    2 ** (bits / sum(counts.values())) → math.exp(bits / sum(counts.values()))
Average the logs, not the probabilities.
    2 ** (bits / sum(counts.values()))
    → sum(counts.values()) / sum(count * model.get(word, 0.0) for word, count in counts.items())
Divide by the number of words in the text, not in the model.
    sum(counts.values()) → len(model)
That is one over the probability of the whole text: divide the bits by the number of tokens.
    bits / sum(counts.values()) → bits
These are bits per token; perplexity is 2 to that power.
    2 ** (bits / sum(counts.values())) → bits / sum(counts.values())
The minus is missing: a perplexity is never below 1.
    bits / sum(counts.values()) → -bits / sum(counts.values())
A word that the model lacks has probability 0: it costs infinitely many bits.
    bits = 0.0 → bits = 0.0; counts = {word: count for word, count in counts.items() if word in model}
""")
