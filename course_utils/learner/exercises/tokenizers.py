"""Exercises 3.1 to 3.3 of chapter 3, on bytes, pairs and merging; training and encoding are in `bpe`.

References are written out: the learner writes a function a step, where `course_utils.tokenizers` keeps counts
from merge to merge.
"""

from course_utils.learner.checks.engine import exercise

SMALL_STRINGS = ["", "a", "é", "€", "🦜", "e\u0301", "né", "ça va"]


def some_string(generator, case):
    """Return a character or a few, or draw up to 12 that take 1, 2, 3 or 4 bytes."""
    if case < len(SMALL_STRINGS):
        return (SMALL_STRINGS[case],)
    return ("".join(generator.choice(list("abz ?éßжא€你한🦜🎭\u0301"), size=2 + case // 3)),)


@exercise("3.1", "bytes of a character", dots=1, minutes=4, inputs=some_string)
def byte_counts(text: str) -> list[int]:
    """Say of each character of the text how many bytes it takes in UTF-8."""
    return [len(character.encode()) for character in text]


byte_counts.slips("""
That counts code points.
    character.encode() → character
That is UTF-16: two bytes each, or four beyond U+FFFF.
    .encode() → .encode("utf-16-le")
That is UTF-16, with a mark of two bytes before each character.
    .encode() → .encode("utf-16")
You dropped bytes: it can't be undone.
    .encode() → .encode("ascii", "ignore")
Four bytes each is UTF-32.
    .encode() → .encode("utf-32-le")
Beyond ASCII a character takes 2, 3 or 4 bytes, not always 2.
    len(character.encode()) → 1 if character.isascii() else 2
These are the code points; how many bytes does each of them take?
    len(character.encode()) → ord(character)
These are the bytes; how many of them belong to each character?
    [len(character.encode()) for character in text] → list(text.encode())
That is the sum; give one number for each character.
    [len(character.encode()) for character in text] → len(text.encode())
""")


@byte_counts.variant("where a character begins", minutes=5)
def byte_starts(text: str) -> list[int]:
    """Say of each character of the text at which byte of its UTF-8 it begins; the first byte is 0."""
    starts = []
    at = 0
    for character in text:
        starts.append(at)
        at += len(character.encode())
    return starts


byte_starts.slips("""
That answers the first version: it says how many bytes each takes.
    → byte_counts
That counts code points.
    character.encode() → character
That is UTF-16: two bytes each, or four beyond U+FFFF.
    .encode() → .encode("utf-16-le")
Four bytes each is UTF-32.
    len(character.encode()) → 4
Beyond ASCII a character takes 2, 3 or 4 bytes, not always 2.
    len(character.encode()) → 1 if character.isascii() else 2
You dropped bytes: it can't be undone.
    .encode() → .encode("ascii", "ignore")
These are the ends: note the place before you add the character's bytes.
    starts.append(at) →
    len(character.encode()) → len(character.encode()); starts.append(at)
One number too many: no character begins at the end of the text.
    return starts → return [*starts, at]
The first byte is 0, not 1.
    at = 0 → at = 1
""")


SMALL_WORDS = [
    {(97, 98): 1},
    {(97, 98): 2},
    {(97,): 3},
    {(97, 97, 97): 1},
    {(97, 98): 1, (98, 97): 2},
    {(97, 98, 97, 98): 2},
]


def some_words(generator, case):
    """Return a word or two, or draw up to 5 words of letters that repeat, each with its count."""
    if case < len(SMALL_WORDS):
        return SMALL_WORDS[case]
    letters = list(b"abcd"[: 2 + case // 10])
    drawn = [generator.choice(letters, size=1 + int(generator.integers(6))) for _ in range(1 + case // 6)]
    return {tuple(word.tolist()): 1 + int(generator.integers(9)) for word in drawn}


def words_inputs(generator, case):
    return (some_words(generator, case),)


@exercise("3.2", "pair counts", dots=1, minutes=5, inputs=words_inputs)
def pair_counts(words: dict[tuple[int, ...], int]) -> dict[tuple[int, int], int]:
    """Count each pair of neighbouring ids. `words` holds pre-tokens, tuples of ids, and their counts."""
    counts = {}
    for word, count in words.items():
        for i in range(len(word) - 1):
            pair = (word[i], word[i + 1])
            counts[pair] = counts.get(pair, 0) + count
    return counts


pair_counts.slips("""
A word seen 100 times counts 100.
    + count → + 1
A pair crosses a pre-token border.
    in words.items(): → in [(sum((word * n for word, n in words.items()), ()), 1)]:
(a,b) isn't (b,a).
    (word[i], word[i + 1]) → tuple(sorted((word[i], word[i + 1])))
A pair that stands twice in a word counts twice.
    for i in range(len(word) - 1): → for pair in set(zip(word, word[1:])):
    pair = (word[i], word[i + 1]) →
In (a, a, a) the pair (a, a) stands at two places: count both.
    counts = {} → counts, last = {}, {}
    pair = (word[i], word[i + 1]) → pair = (word[i], word[i + 1]); last = last if i else {}
    counts[pair] = → if last.get(pair) != i - 1: last[pair] = i; counts[pair] =
The last pair of each word is missing.
    len(word) - 1 → len(word) - 2
You counted the ids; count the pairs of neighbours.
    len(word) - 1 → len(word)
    (word[i], word[i + 1]) → word[i]
""")


@pair_counts.variant("counts of runs of three")
def triple_counts(words: dict[tuple[int, ...], int]) -> dict[tuple[int, int, int], int]:
    """Count each run of three ids. `words` holds pre-tokens, tuples of ids, and their counts."""
    counts = {}
    for word, count in words.items():
        for i in range(len(word) - 2):
            triple = (word[i], word[i + 1], word[i + 2])
            counts[triple] = counts.get(triple, 0) + count
    return counts


triple_counts.slips("""
That answers the first version: it counts runs of two.
    → pair_counts
A word seen 100 times counts 100.
    + count → + 1
A run crosses a pre-token border.
    in words.items(): → in [(sum((word * n for word, n in words.items()), ()), 1)]:
A run has an order: (a, b, c) isn't (c, b, a).
    (word[i], word[i + 1], word[i + 2]) → tuple(sorted((word[i], word[i + 1], word[i + 2])))
A run that stands twice in a word counts twice.
    for i in range(len(word) - 2): → for triple in set(zip(word, word[1:], word[2:])):
    triple = (word[i], word[i + 1], word[i + 2]) →
Runs may overlap: move on by one id, not by three.
    range(len(word) - 2) → range(0, len(word) - 2, 3)
The last run of each word is missing.
    len(word) - 2 → len(word) - 3
""")


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


@exercise("3.3", "merge a pair", dots=1, minutes=5, inputs=merge_inputs)
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


merge.slips("""
Merge every occurrence.
    == pair: → == pair and new_id not in merged:
'aaa' holds one non-overlapping pair from the left.
    i += 2 → i += 1
    merged.append(ids[i]) → if i == 0 or (ids[i - 1], ids[i]) != pair: merged.append(ids[i])
'aaa' holds one non-overlapping pair from the left.
    merged = [] → merged, ids, pair = [], ids[::-1], pair[::-1]
    return merged → return merged[::-1]
After a merge you jumped one too far.
    i += 2 → i += 3
The second id of the pair is still there: after a merge, go on behind both.
    i += 2 → i += 1
The last id got lost: it has no right neighbour, and stays.
    while i < len(ids) → while i < len(ids) - 1
(a,b) isn't (b,a).
    == pair → in (pair, pair[::-1])
""")


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


@merge.variant("undo a merge", minutes=5, inputs=unmerge_inputs)
def unmerge(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """Return a new list in which `pair` stands again for each `new_id`: what merging is undone by."""
    split = []
    for i in ids:
        if i == new_id:
            split += pair
        else:
            split.append(i)
    return split


unmerge.slips("""
That answers the first version: it merges, and here a merge is undone.
    → merge
Undo every occurrence, not only the first.
    split += pair → split += pair; new_id = None
(a,b) isn't (b,a).
    split += pair → split += pair[::-1]
Two ids come back for one: the second is missing.
    split += pair → split += pair[:1]
Two ids come back for one: the first is missing.
    split += pair → split += pair[1:]
The pair stands in the list as a tuple: add its two ids, one after the other.
    split += pair → split.append(pair)
The new id is still there: the pair takes its place.
    split += pair → split += (new_id, *pair)
""")
