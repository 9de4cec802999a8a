"""What the exercises of chapter 1 must do, and what usually goes wrong.

References are written out here in plain Python: the learner counts words in dicts, where
`course_utils.ngrams` counts token ids in arrays.
"""

import numpy as np

from course_utils.checks.engine import Check, Mistake

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
    statement="""An **n-gram** is a run of n tokens: n − 1 of context and the 1 that follows them.
Write `ngram_counts(texts, n)`, which counts every n-gram in a list of texts.

- A text is a list of words, such as `["to", "be", "or", "not", "to", "be"]`.
- The n-grams are the keys of the dict that you return, each a tuple of n words; their counts are the values.
- Each text stands for itself, like a play: no n-gram joins the end of one with the start of the next.
- A text with fewer than n words has no n-gram.

```python
ngram_counts([["to", "be", "or", "to", "be"]], 2)
# {("to", "be"): 2, ("be", "or"): 1, ("or", "to"): 1}
```""",
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

CHECKS = (NGRAM_COUNTS,)
