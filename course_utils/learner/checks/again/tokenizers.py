"""Variants of exercises 3.1 to 3.3 of chapter 3."""

from itertools import chain

from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.tokenizers import (
    WITHOUT,
    byte_counts,
    merge,
    pair_counts,
    some_string,
    some_words,
)

# 3.1


def byte_starts(text: str) -> list[int]:
    """Say of each character of the text at which byte of its UTF-8 it begins; the first byte is 0."""
    starts = []
    at = 0
    for character in text:
        starts.append(at)
        at += len(character.encode())
    return starts


def _starts_by(width):
    """Vary `byte_starts`: `width(character)` is how many places a character takes."""
    return lambda text: [sum(map(width, text[:i])) for i in range(len(text))]


BYTE_STARTS = Check(
    id="3.1 again",
    variant_of="3.1",
    title="where a character begins",
    difficulty=1,
    minutes=5,
    reference=byte_starts,
    inputs=some_string,
    mistakes=(
        Mistake("That answers the first version: it says how many bytes each takes.", byte_counts),
        Mistake("That counts code points.", _starts_by(len)),
        Mistake(
            "Two bytes each is UTF-16.", _starts_by(lambda character: len(character.encode("utf-16-le")))
        ),
        Mistake("Four bytes each is UTF-32.", _starts_by(lambda character: 4)),
        Mistake(
            "Beyond ASCII a character takes 2, 3 or 4 bytes, not always 2.",
            _starts_by(lambda character: 1 if character.isascii() else 2),
        ),
        Mistake(
            "You dropped bytes: it can't be undone.",
            _starts_by(lambda character: len(character.encode("ascii", "ignore"))),
        ),
        Mistake(
            "These are the ends: note the place before you add the character's bytes.",
            lambda text: [sum(byte_counts(text)[: i + 1]) for i in range(len(text))],
        ),
        Mistake(
            "One number too many: no character begins at the end of the text.",
            lambda text: [*byte_starts(text), len(text.encode())],
        ),
        Mistake("The first byte is 0, not 1.", lambda text: [start + 1 for start in byte_starts(text)]),
    ),
    hint="A number `at` that begins at 0 says where the next character starts. Note it, then add "
    "`len(character.encode())`.",
    neighbour="""At which second does each song of a record begin?

```python
starts, at = [], 0
for seconds in [180, 240, 200]:
    starts.append(at)
    at += seconds
starts  # [0, 180, 420]
```

In the exercise the songs are characters, and bytes take the place of seconds.""",
    without=WITHOUT,
)


# 3.2


def triple_counts(words: dict[tuple[int, ...], int]) -> dict[tuple[int, int, int], int]:
    """Count each run of three ids. `words` holds pre-tokens, tuples of ids, and their counts."""
    counts = {}
    for word, count in words.items():
        for i in range(len(word) - 2):
            triple = (word[i], word[i + 1], word[i + 2])
            counts[triple] = counts.get(triple, 0) + count
    return counts


def _triples(word):
    return list(zip(word, word[1:], word[2:], strict=False))


def _triples_by(triples_of):
    """Vary `triple_counts`: `triples_of(word)` lists the runs of one word."""

    def answer(words):
        counts = {}
        for word, count in words.items():
            for triple in triples_of(word):
                counts[triple] = counts.get(triple, 0) + count
        return counts

    return answer


def _stream(words):
    return tuple(chain.from_iterable(word for word, count in words.items() for _ in range(count)))


TRIPLE_COUNTS = Check(
    id="3.2 again",
    variant_of="3.2",
    title="counts of runs of three",
    difficulty=1,
    minutes=6,
    reference=triple_counts,
    inputs=lambda generator, case: (some_words(generator, case),),
    mistakes=(
        Mistake("That answers the first version: it counts runs of two.", pair_counts),
        Mistake("A word seen 100 times counts 100.", lambda words: triple_counts(dict.fromkeys(words, 1))),
        Mistake("A run crosses a pre-token border.", lambda words: triple_counts({_stream(words): 1})),
        Mistake(
            "A run has an order: (a, b, c) isn't (c, b, a).",
            _triples_by(lambda word: [tuple(sorted(triple)) for triple in _triples(word)]),
        ),
        Mistake(
            "A run that stands twice in a word counts twice.", _triples_by(lambda word: set(_triples(word)))
        ),
        Mistake(
            "Runs may overlap: move on by one id, not by three.",
            _triples_by(lambda word: _triples(word)[::3]),
        ),
        Mistake("The last run of each word is missing.", _triples_by(lambda word: _triples(word)[:-1])),
    ),
    hint="A word of 5 ids holds 3 runs of three, which begin at 0, 1 and 2: `range(len(word) - 2)`. Add the "
    "word's count, not 1.",
    neighbour="""Which letter pairs frame a vowel, in words that occur so and so often?

```python
words = {"bad": 2, "bed": 1, "bid": 5}
counts = {}
for word, count in words.items():
    frame = (word[0], word[2])
    counts[frame] = counts.get(frame, 0) + count
counts  # {("b", "d"): 8}
```

In the exercise a second loop walks through the places of each word.""",
    without=WITHOUT,
)


# 3.3


def unmerge(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """Return a new list in which `pair` stands again for each `new_id`: what merging is undone by."""
    split = []
    for i in ids:
        if i == new_id:
            split += pair
        else:
            split.append(i)
    return split


def _unmerge_by(parts):
    """Vary `unmerge`: `parts(pair, new_id)` is the list that stands for `new_id`."""
    return lambda ids, pair, new_id: [
        one for i in ids for one in (parts(pair, new_id) if i == new_id else [i])
    ]


def _first_only(ids, pair, new_id):
    at = ids.index(new_id) if new_id in ids else len(ids)
    return unmerge(ids[: at + 1], pair, new_id) + ids[at + 1 :]


SMALL_UNMERGES = [
    ([256], (97, 98), 256),
    ([97, 98], (97, 98), 256),
    ([256, 256], (97, 97), 256),
    ([98, 256, 99], (97, 98), 256),
    ([], (97, 98), 256),
]


def unmerge_inputs(generator, case):
    """A list in which the new id mostly stands, beside ids of the pair."""
    if case < len(SMALL_UNMERGES):
        return SMALL_UNMERGES[case]
    new_id = 256 + case
    ids = generator.choice([97, 98, new_id], size=1 + case // 2, p=[0.3, 0.3, 0.4]).tolist()
    return ids, [(97, 98), (97, 97), (98, 97)][case % 3], new_id


UNMERGE = Check(
    id="3.3 again",
    variant_of="3.3",
    title="undo a merge",
    difficulty=1,
    minutes=5,
    reference=unmerge,
    inputs=unmerge_inputs,
    mistakes=(
        Mistake("That answers the first version: it merges, and here a merge is undone.", merge),
        Mistake("Undo every occurrence, not only the first.", _first_only),
        Mistake("(a,b) isn't (b,a).", _unmerge_by(lambda pair, new_id: pair[::-1])),
        Mistake(
            "Two ids come back for one: the second is missing.", _unmerge_by(lambda pair, new_id: pair[:1])
        ),
        Mistake(
            "Two ids come back for one: the first is missing.", _unmerge_by(lambda pair, new_id: pair[1:])
        ),
        Mistake(
            "The pair stands in the list as a tuple: add its two ids, one after the other.",
            _unmerge_by(lambda pair, new_id: [pair]),
        ),
        Mistake(
            "The new id is still there: the pair takes its place.",
            _unmerge_by(lambda pair, new_id: [new_id, *pair]),
        ),
    ),
    hint="Walk through the ids. One that is not `new_id` goes into the new list by `append`; for `new_id` "
    "both ids of the pair go in: `split += pair`.",
    neighbour="""The same, on text: write two hyphens again for each "–".

```python
def hyphens(text):
    written = ""
    for character in text:
        if character == "–":
            written += "--"
        else:
            written += character
    return written

hyphens("a–b")  # "a--b"
```

In the exercise the list holds ids, and two ids take the place of one.""",
    without=WITHOUT,
)


CHECKS = (BYTE_STARTS, TRIPLE_COUNTS, UNMERGE)
