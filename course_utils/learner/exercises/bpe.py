"""Exercises 3.4 and 3.5 of chapter 3, on training and encoding."""

import re
from itertools import pairwise

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.tokenizers import merge, pair_counts, some_words

SMALL_TRAININGS = [
    ({(97, 98): 1}, 257, 0),
    ({(97, 98): 1}, 257, 1),
    ({(98, 99): 1, (97, 98): 1}, 257, 0),
    ({(97, 98, 99): 2}, 258, 0),
    ({(97, 98, 99): 2, (98, 99): 2}, 258, 0),
]


def train_inputs(generator, case):
    """Words with ties among their pairs; a vocabulary that leaves up to 6 merges."""
    if case < len(SMALL_TRAININGS):
        return SMALL_TRAININGS[case]
    words = {word: 1 + count // 4 for word, count in some_words(generator, case + 5).items()}
    n_special = case % 3
    return words, 256 + n_special + case % 7, n_special


@exercise("3.4", "train", dots=2, minutes=12, inputs=train_inputs)
def train(words: dict[tuple[int, ...], int], vocab_size: int, n_special: int) -> list[tuple[int, int]]:
    """Learn the merges of byte-pair encoding; of pairs that are equally frequent, the smallest comes first.

    `words` says of each pre-token, a tuple of bytes, how often it occurs. `vocab_size` counts the 256 bytes,
    the merges and the special tokens. There are fewer merges if no pair is left.
    """
    merges = []
    for new_id in range(256, vocab_size - n_special):
        counts = pair_counts(words)
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        words = {tuple(merge(list(word), best, new_id)): count for word, count in words.items()}
    return merges


train.slips("""
Tie: take the smallest pair of ids.
    min(counts, key=lambda pair: (-counts[pair], pair)) → max(counts, key=counts.get)
Tie: take the smallest pair of ids.
    min(counts, key=lambda pair: (-counts[pair], pair)) → max(counts, key=lambda pair: (counts[pair], pair))
The bytes take 256 ids; vocab_size - 256 - n_special are left for the merges.
    range(256, vocab_size - n_special) → range(256, 256 + vocab_size)
The bytes take 256 ids; vocab_size - 256 - n_special are left for the merges.
    vocab_size - n_special → vocab_size
Recount after each merge.
    pair_counts(words) → {pair: n for pair, n in pair_counts(words).items() if pair not in merges}
    words = {tuple(merge(list(word), best, new_id)): count for word, count in words.items()} →
A word seen 100 times counts 100.
    pair_counts(words) → pair_counts(dict.fromkeys(words, 1))
The first merge makes the id 256; special tokens come after the merges.
    best, new_id) → best, new_id + n_special)
You stopped at pairs that occur once: go on while a pair is left and the vocabulary has room.
    if not counts: → if not counts or max(counts.values()) < 2:
""")


@train.variant("what becomes of each word")
def segment(
    words: dict[tuple[int, ...], int], vocab_size: int, n_special: int
) -> dict[tuple[int, ...], list[int]]:
    """Train byte-pair encoding on `words` as in 3.4, and return for each word the ids that it has become.

    `words` says of each pre-token, a tuple of bytes, how often it occurs; `vocab_size` counts the 256 bytes,
    the merges and the special tokens. Of pairs that are equally frequent the smallest comes first.
    """
    ids = {word: list(word) for word in words}
    for new_id in range(256, vocab_size - n_special):
        counts = pair_counts({tuple(ids[word]): count for word, count in words.items()})
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        ids = {word: merge(parts, best, new_id) for word, parts in ids.items()}
    return ids


segment.slips("""
That answers the first version: it lists the merges, not the ids of the words.
    → train
Tie: take the smallest pair of ids.
    min(counts, key=lambda pair: (-counts[pair], pair)) → max(counts, key=counts.get)
Tie: take the smallest pair of ids.
    min(counts, key=lambda pair: (-counts[pair], pair)) → max(counts, key=lambda pair: (counts[pair], pair))
The bytes take 256 ids; vocab_size - 256 - n_special are left for the merges.
    range(256, vocab_size - n_special) → range(256, 256 + vocab_size)
The bytes take 256 ids; vocab_size - 256 - n_special are left for the merges.
    vocab_size - n_special → vocab_size
Recount after each merge.
    ids = {word: list(word) for word in words} → ids, done = {word: list(word) for word in words}, []
    pair_counts({tuple(ids[word]): count for word, count in words.items()}) → pair_counts(words)
    if not counts: → if len(counts) == len(done):
    min(counts, → min(counts.keys() - done,
    (-counts[pair], pair)) → (-counts[pair], pair)); done.append(best)
A word seen 100 times counts 100.
    ): count for → ): 1 for
You stopped at pairs that occur once: go on while a pair is left and the vocabulary has room.
    if not counts: → if not counts or max(counts.values()) < 2:
The first merge makes the id 256; special tokens come after the merges.
    best, new_id) → best, new_id + n_special)
The keys are the words as they came, tuples of bytes.
    return ids → return {tuple(parts): parts for parts in ids.values()}
""")


PATTERN = r" ?\w+| ?[^\w\s]+|\s+"
SMALL_ENCODINGS = [
    ("a", [(97, 98)], PATTERN),
    ("ab", [(97, 98)], PATTERN),
    ("é", [(195, 169)], PATTERN),
    ("a b", [(97, 32)], PATTERN),
    ("abc", [(97, 98), (98, 99)], PATTERN),
    ("abc", [(98, 99), (97, 98)], PATTERN),
    ("abc", [(97, 98), (256, 99)], PATTERN),
    ("abc", [(98, 99), (97, 256), (97, 98)], PATTERN),
    ("abab", [(97, 98)], PATTERN),
]


def encode_inputs(generator, case):
    """A text of few letters, and merges of pairs that stand in a similar text, across pieces too."""
    if case < len(SMALL_ENCODINGS):
        return SMALL_ENCODINGS[case]
    text, other = (
        "".join(generator.choice(list("aaabbbcc é!"), size=size)) for size in (3 + case // 2, 10 + case)
    )
    ids, merges = list(other.encode()), []
    while len(merges) < 1 + case // 6:
        place = int(generator.integers(len(ids) - 1))
        merges.append((ids[place], ids[place + 1]))
        ids = merge(ids, merges[-1], 255 + len(merges))
    return text, merges, PATTERN


@exercise("3.5", "encode", dots=2, minutes=9, inputs=encode_inputs)
def encode(text: str, merges: list[tuple[int, int]], pattern: str) -> list[int]:
    """Cut the text into pieces by the pattern, and encode each: merge k, as learnt, makes the id 256 + k."""
    ids = []
    for piece in re.findall(pattern, text):
        piece_ids = list(piece.encode())
        for new_id, pair in enumerate(merges, start=256):
            piece_ids = merge(piece_ids, pair, new_id)
        ids += piece_ids
    return ids


def longest_match(piece, merges):
    tokens = {bytes([byte]): byte for byte in range(256)}
    spelling = {byte: bytes([byte]) for byte in range(256)}
    for new_id, pair in enumerate(merges, start=256):
        spelling[new_id] = spelling[pair[0]] + spelling[pair[1]]
        tokens.setdefault(spelling[new_id], new_id)
    data, matched = piece.encode(), []
    while data:
        longest = next(data[:end] for end in range(len(data), 0, -1) if data[:end] in tokens)
        matched.append(tokens[longest])
        data = data[len(longest) :]
    return matched


def single_pass(piece, merges):
    ids, passed = list(piece.encode()), []
    while ids:
        known = tuple(ids[:2]) in merges
        passed.append(256 + merges.index(tuple(ids[:2])) if known else ids[0])
        ids = ids[1 + known :]
    return passed


def merge_first(ids, pair, new_id):
    place = next((i for i, found in enumerate(pairwise(ids)) if found == pair), len(ids))
    return [*ids[:place], *[new_id][: len(ids) - place], *ids[place + 2 :]]


def replay(piece, merges, choose):
    """Of the merges whose pair stands in the piece, make the one that is chosen, until none is left."""
    ids = list(piece.encode())
    while known := [merges.index(pair) for pair in pairwise(ids) if pair in merges]:
        rank = choose(known)
        ids = merge(ids, merges[rank], 256 + rank)
    return ids


encode.slips("""
BPE replays merges by rank; longest first is WordPiece.
    ids += piece_ids → ids += longest_match(piece, merges)
A merge can create the next pair: repeat until none is left.
    ids += piece_ids → ids += single_pass(piece, merges)
Split by the pattern first.
    re.findall(pattern, text) → [text]
The merge that was learnt first goes first; you began with the last.
    ids += piece_ids → ids += replay(piece, merges, max)
You took the leftmost pair; of all that can be merged, take the one that was learnt first.
    ids += piece_ids → ids += replay(piece, merges, lambda known: known[0])
A merge goes to every place where its pair stands, not to one.
    merge(piece_ids → merge_first(piece_ids
Begin with the bytes of UTF-8, not with code points.
    piece.encode() → map(ord, piece)
Ids 0 to 255 are the bytes: the first merge makes 256.
    return ids → return [i - 256 if i > 255 else i for i in ids]
""")


@encode.variant("how often each token stands")
def token_counts(text: str, merges: list[tuple[int, int]], pattern: str) -> dict[int, int]:
    """Encode the text as in 3.5, and say how often each token id stands in it.

    The text is cut into pieces by the pattern; merge k, as learnt, makes the id 256 + k.
    """
    counts = {}
    for piece in re.findall(pattern, text):
        ids = list(piece.encode())
        for new_id, pair in enumerate(merges, start=256):
            ids = merge(ids, pair, new_id)
        for token in ids:
            counts[token] = counts.get(token, 0) + 1
    return counts


token_counts.slips("""
That answers the first version: it lists the ids, and here they are counted.
    → encode
BPE replays merges by rank; longest first is WordPiece.
    for token in ids: → for token in longest_match(piece, merges):
A merge can create the next pair: repeat until none is left.
    for token in ids: → for token in single_pass(piece, merges):
Split by the pattern first.
    re.findall(pattern, text) → [text]
The merge that was learnt first goes first; you began with the last.
    for token in ids: → for token in replay(piece, merges, max):
You took the leftmost pair; of all that can be merged, take the one that was learnt first.
    for token in ids: → for token in replay(piece, merges, lambda known: known[0]):
A merge goes to every place where its pair stands, not to one.
    merge(ids → merge_first(ids
Begin with the bytes of UTF-8, not with code points.
    piece.encode() → map(ord, piece)
Ids 0 to 255 are the bytes: the first merge makes 256.
    for token in ids: → for token in [i - 256 if i > 255 else i for i in ids]:
You noted which tokens occur, not how often.
    counts.get(token, 0) + 1 → 1
A token that never stands in the text has no key.
    counts = {} → counts = dict.fromkeys(range(256 + len(merges)), 0)
Every piece of the text counts; you have the last one only.
    re.findall(pattern, text) → re.findall(pattern, text)[-1:]
""")
