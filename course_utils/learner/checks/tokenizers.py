"""What exercises 3.1 to 3.3 of chapter 3 must do, on bytes, pairs and merging, and what usually goes wrong.

Training and encoding are in `bpe`, scoring in `bits`. References are
written out: the learner writes a function a step, where `tokenizers.bpe` keeps counts from merge to merge.
"""

from itertools import chain, pairwise

import numpy as np

from course_utils.learner.checks.old import Check, Mistake

WITHOUT = ("course_utils", "tokenizers")

# 3.1


def byte_counts(text: str) -> list[int]:
    """Say of each character of the text how many bytes it takes in UTF-8."""
    return [len(character.encode()) for character in text]


def _counts_in(encoding, errors="strict"):
    return lambda text: [len(character.encode(encoding, errors)) for character in text]


SMALL_STRINGS = ["", "a", "é", "€", "🦜", "e\u0301", "né", "ça va"]


def some_string(generator: np.random.Generator, case: int) -> tuple[str]:
    """Return a character or a few, or draw up to 12 that take 1, 2, 3 or 4 bytes."""
    if case < len(SMALL_STRINGS):
        return (SMALL_STRINGS[case],)
    return ("".join(generator.choice(list("abz ?éßжא€你한🦜🎭\u0301"), size=2 + case // 3)),)


BYTE_COUNTS = Check(
    id="3.1",
    title="bytes of a character",
    difficulty=1,
    minutes=4,
    reference=byte_counts,
    inputs=some_string,
    mistakes=(
        Mistake("That counts code points.", lambda text: [len(character) for character in text]),
        Mistake("Two bytes each is UTF-16.", _counts_in("utf-16-le")),
        Mistake("Two bytes each is UTF-16.", _counts_in("utf-16")),  # with a byte-order mark each time
        Mistake("You dropped bytes: it can't be undone.", _counts_in("ascii", "ignore")),
        Mistake("Four bytes each is UTF-32.", _counts_in("utf-32-le")),
        Mistake(
            "Beyond ASCII a character takes 2, 3 or 4 bytes, not always 2.",
            lambda text: [1 if character.isascii() else 2 for character in text],
        ),
        Mistake(
            "These are the code points; how many bytes does each of them take?",
            lambda text: [ord(character) for character in text],
        ),
        Mistake(
            "These are the bytes; how many of them belong to each character?",
            lambda text: list(text.encode()),
        ),
        Mistake("That is the sum; give one number for each character.", lambda text: len(text.encode())),
    ),
    hint='`"é".encode()` gives the bytes of UTF-8, here two of them. A loop over a string goes from code '
    "point to code point.",
    neighbour="""The other way round: how many characters do these bytes hold?

```python
def characters(data):
    return len(data.decode())  # decode, like encode, means UTF-8 unless told otherwise

characters(b"n\\xc3\\xa9")  # 2: \\xc3\\xa9 is é
```

In the exercise you go from characters to bytes, and ask of each character alone.""",
    without=WITHOUT,
)


# 3.2


def pair_counts(words: dict[tuple[int, ...], int]) -> dict[tuple[int, int], int]:
    """Count each pair of neighbouring ids. `words` holds pre-tokens, tuples of ids, and their counts."""
    counts = {}
    for word, count in words.items():
        for i in range(len(word) - 1):
            pair = (word[i], word[i + 1])
            counts[pair] = counts.get(pair, 0) + count
    return counts


def _pairs_by(pairs_of):
    """Vary `pair_counts`: `pairs_of(word)` lists the pairs of one word."""

    def answer(words):
        counts = {}
        for word, count in words.items():
            for pair in pairs_of(word):
                counts[pair] = counts.get(pair, 0) + count
        return counts

    return answer


def _pairs_apart(word):
    """The pairs that don't overlap: in (a, a, a) there is one (a, a)."""
    pairs, last = [], {}
    for i, pair in enumerate(pairwise(word)):
        if last.get(pair) != i - 1:
            pairs.append(pair)
            last[pair] = i
    return pairs


def _stream(words):
    return tuple(chain.from_iterable(word for word, count in words.items() for _ in range(count)))


SMALL_WORDS = [
    {(97, 98): 1},
    {(97, 98): 2},
    {(97,): 3},
    {(97, 97, 97): 1},
    {(97, 98): 1, (98, 97): 2},
    {(97, 98, 97, 98): 2},
]


def some_words(generator: np.random.Generator, case: int) -> dict[tuple[int, ...], int]:
    """Return a word or two, or draw up to 5 words of letters that repeat, each with its count."""
    if case < len(SMALL_WORDS):
        return SMALL_WORDS[case]
    letters = list(b"abcd"[: 2 + case // 10])
    drawn = [generator.choice(letters, size=1 + int(generator.integers(6))) for _ in range(1 + case // 6)]
    return {tuple(word.tolist()): 1 + int(generator.integers(9)) for word in drawn}


PAIR_COUNTS = Check(
    id="3.2",
    title="pair counts",
    difficulty=1,
    minutes=6,
    reference=pair_counts,
    inputs=lambda generator, case: (some_words(generator, case),),
    mistakes=(
        Mistake(
            "A word seen 100 times counts 100.",
            lambda words: pair_counts(dict.fromkeys(words, 1)),
        ),
        Mistake("A pair crosses a pre-token border.", lambda words: pair_counts({_stream(words): 1})),
        Mistake(
            "(a,b) isn't (b,a).",
            _pairs_by(lambda word: [tuple(sorted(pair)) for pair in pairwise(word)]),
        ),
        Mistake(
            "A pair that stands twice in a word counts twice.", _pairs_by(lambda word: set(pairwise(word)))
        ),
        Mistake("In (a, a, a) the pair (a, a) stands at two places: count both.", _pairs_by(_pairs_apart)),
        Mistake(
            "The last pair of each word is missing.",
            _pairs_by(lambda word: list(pairwise(word))[:-1]),
        ),
        Mistake(
            "You counted the ids; count the pairs of neighbours.",
            _pairs_by(lambda word: word),
        ),
    ),
    hint="Two loops: over the words with their counts, and in each word over the places that have a right "
    "neighbour. Add the word's count, not 1.",
    neighbour="""The same on single letters: how often does each occur, if we know how often each word does?

```python
def letter_counts(words):
    counts = {}
    for word, count in words.items():
        for letter in word:
            counts[letter] = counts.get(letter, 0) + count
    return counts

letter_counts({"the": 10, "he": 3})  # {"t": 10, "h": 13, "e": 13}
```

In the exercise the key is a pair, and a word of n ids has n - 1 of them.""",
    without=WITHOUT,
)


# 3.3


def merge(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """Return a new list in which `new_id` stands for each occurrence of `pair`, found from the left."""
    merged = []
    i = 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


def _merge_by(step, end=0, once=False):
    """Vary `merge`: go on by `step` after a merge, stop `end` places early, or merge `once`."""

    def answer(ids, pair, new_id):
        merged, i = [], 0
        while i < len(ids) - end:
            if tuple(ids[i : i + 2]) == pair and not (once and new_id in merged):
                merged.append(new_id)
                i += step
            else:
                merged.append(ids[i])
                i += 1
        return merged

    return answer


def _overlapping(ids, pair, new_id):
    merged = []
    for i in range(len(ids)):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new_id)
        elif i == 0 or tuple(ids[i - 1 : i + 1]) != pair:
            merged.append(ids[i])
    return merged


def _either_order(ids, pair, new_id):
    merged = []
    for i in ids:
        if merged and (merged[-1], i) in (pair, pair[::-1]):
            merged[-1] = new_id
        else:
            merged.append(i)
    return merged


SMALL_MERGES = [
    ([97, 98], (97, 98), 256),
    ([98, 97], (97, 98), 256),
    ([97, 97, 97], (97, 97), 256),
    ([97, 98, 97, 98], (97, 98), 256),
    ([97, 98, 99], (97, 98), 256),
    ([], (97, 98), 256),
]


def merge_inputs(generator, case):
    """A list in which the pair mostly stands; the pair is twice the same id now and then."""
    if case < len(SMALL_MERGES):
        return SMALL_MERGES[case]
    ids = generator.choice([97, 98, 99], size=1 + case // 2, p=[0.5, 0.3, 0.2]).tolist()
    return ids, [(97, 98), (97, 97), (98, 97)][case % 3], 256 + case


MERGE = Check(
    id="3.3",
    title="merge a pair",
    difficulty=1,
    minutes=6,
    reference=merge,
    inputs=merge_inputs,
    mistakes=(
        Mistake("Merge every occurrence.", _merge_by(step=2, once=True)),
        Mistake("'aaa' holds one non-overlapping pair from the left.", _overlapping),
        Mistake(
            "'aaa' holds one non-overlapping pair from the left.",
            lambda ids, pair, new_id: merge(ids[::-1], pair[::-1], new_id)[::-1],
        ),
        Mistake("After a merge you jumped one too far.", _merge_by(step=3)),
        Mistake(
            "The second id of the pair is still there: after a merge, go on behind both.", _merge_by(step=1)
        ),
        Mistake("The last id got lost: it has no right neighbour, and stays.", _merge_by(step=2, end=1)),
        Mistake("(a,b) isn't (b,a).", _either_order),
    ),
    hint="Let `i` walk through the list in a `while` loop, since its steps differ: 2 after a merge, 1 "
    "otherwise. Has place `i` a right neighbour? Ask before you look at it.",
    neighbour="""The same walk, on text: write one "–" for each two hyphens, from the left.

```python
def dashes(text):
    written = ""
    i = 0
    while i < len(text):
        if text[i : i + 2] == "--":  # a slice may end beyond the text
            written += "–"
            i += 2
        else:
            written += text[i]
            i += 1
    return written

dashes("a--b---")  # "a–b–-"
```

In the exercise the list holds ids, and what is found is a pair of them.""",
    without=WITHOUT,
)


CHECKS = (BYTE_COUNTS, PAIR_COUNTS, MERGE)
