"""What exercises 3.4 and 3.5 of chapter 3 must do, on training and encoding, and what usually goes wrong."""

import re
from itertools import pairwise

from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.tokenizers import WITHOUT, merge, pair_counts, some_words

# 3.4


def train(words: dict[tuple[int, ...], int], vocab_size: int, n_special: int) -> list[tuple[int, int]]:
    """Learn the merges of byte-pair encoding; of pairs that are equally frequent, the smallest comes first.

    `words` says of each pre-token, a tuple of bytes, how often it occurs. `vocab_size` counts the 256 bytes,
    the merges and the special tokens. There are fewer merges if no pair is left.
    """
    merges = []
    for new_id in range(256, vocab_size - n_special):
        counts = {}
        for word, count in words.items():
            for i in range(len(word) - 1):
                pair = (word[i], word[i + 1])
                counts[pair] = counts.get(pair, 0) + count
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        merged_words = {}
        for word, count in words.items():
            merged = []
            for i in word:
                if merged and (merged[-1], i) == best:
                    merged[-1] = new_id
                else:
                    merged.append(i)
            merged_words[tuple(merged)] = count
        words = merged_words
    return merges


def _smallest(counts):
    return min(counts, key=lambda pair: (-counts[pair], pair))


def _train(words, n_merges, first_id=256, choose=_smallest, least=1):
    """Vary `train`: `choose(counts)` takes the pair, which must occur `least` times."""
    merges = []
    while len(merges) < n_merges:
        counts = pair_counts(words)
        if not counts or max(counts.values()) < least:
            break
        merges.append(choose(counts))
        new_id = first_id + len(merges) - 1
        words = {tuple(merge(list(word), merges[-1], new_id)): count for word, count in words.items()}
    return merges


def _by_first_counts(words, vocab_size, n_special):
    counts = pair_counts(words)
    return sorted(counts, key=lambda pair: (-counts[pair], pair))[: vocab_size - 256 - n_special]


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


TRAIN = Check(
    id="3.4",
    title="train",
    difficulty=2,
    minutes=15,
    reference=train,
    inputs=train_inputs,
    mistakes=(
        Mistake(
            "Tie: take the smallest pair of ids.",
            lambda words, vocab_size, n_special: _train(
                words, vocab_size - 256 - n_special, choose=lambda counts: max(counts, key=counts.get)
            ),
        ),
        Mistake(
            "Tie: take the smallest pair of ids.",
            lambda words, vocab_size, n_special: _train(
                words,
                vocab_size - 256 - n_special,
                choose=lambda counts: max(counts, key=lambda pair: (counts[pair], pair)),
            ),
        ),
        Mistake(
            "256 ids are taken: V−256−specials merges.",
            lambda words, vocab_size, n_special: _train(words, vocab_size),
        ),
        Mistake(
            "256 ids are taken: V−256−specials merges.",
            lambda words, vocab_size, n_special: _train(words, vocab_size - 256),
        ),
        Mistake("Recount after each merge.", _by_first_counts),
        Mistake(
            "A word seen 100 times counts 100.",
            lambda words, vocab_size, n_special: train(dict.fromkeys(words, 1), vocab_size, n_special),
        ),
        Mistake(
            "The first merge makes the id 256; special tokens come after the merges.",
            lambda words, vocab_size, n_special: _train(
                words, vocab_size - 256 - n_special, first_id=256 + n_special
            ),
        ),
        Mistake(
            "You stopped at pairs that occur once: go on while a pair is left and the vocabulary has room.",
            lambda words, vocab_size, n_special: _train(words, vocab_size - 256 - n_special, least=2),
        ),
    ),
    hint="Each round has three steps: count the pairs of the words **as they now are**; take the best pair, "
    "`min(counts, key=lambda pair: (-counts[pair], pair))`; put the new id in its place in every word. Your "
    "functions of 3.2 and 3.3 are the first step and the last.",
    neighbour="""One round, with letters and without the loop around it; "low" occurs 5 times, "lot" twice:

```python
words = {("l", "o", "w"): 5, ("l", "o", "t"): 2}
counts = {("l", "o"): 7, ("o", "w"): 5, ("o", "t"): 2}
best = min(counts, key=lambda pair: (-counts[pair], pair))  # ("l", "o")
words = {("lo", "w"): 5, ("lo", "t"): 2}                    # merged: the next round counts these
```

A key such as (-7, ("l", "o")) puts the most frequent pair first, and among equals the smallest.""",
    without=WITHOUT,
)


# 3.5

PATTERN = r" ?\w+| ?[^\w\s]+|\s+"


def encode(text: str, merges: list[tuple[int, int]], pattern: str) -> list[int]:
    """Cut the text into pieces by the pattern, and encode each: merge k, as learnt, makes the id 256 + k."""
    ids = []
    for piece in re.findall(pattern, text):
        piece_ids = list(piece.encode())
        for new_id, pair in enumerate(merges, start=256):
            merged = []
            for i in piece_ids:
                if merged and (merged[-1], i) == pair:
                    merged[-1] = new_id
                else:
                    merged.append(i)
            piece_ids = merged
        ids += piece_ids
    return ids


def _encode_by(replay, begin=lambda piece: list(piece.encode())):
    """Vary `encode`: `replay(ids, new_ids)` merges within one piece; `new_ids` is {pair: id}."""

    def answer(text, merges, pattern):
        new_ids = {pair: new_id for new_id, pair in enumerate(merges, start=256)}
        pieces = (replay(begin(piece), new_ids) for piece in re.findall(pattern, text))
        return [i for piece in pieces for i in piece]

    return answer


def _replay(choose):
    """Merge the pair that `choose(known pairs, new_ids)` takes, everywhere, until none is left."""

    def replay(ids, new_ids):
        while known := [pair for pair in pairwise(ids) if pair in new_ids]:
            pair = choose(known, new_ids)
            ids = merge(ids, pair, new_ids[pair])
        return ids

    return replay


def _longest_match(ids, new_ids):
    tokens = {bytes([byte]): byte for byte in range(256)}
    spelling = {byte: bytes([byte]) for byte in range(256)}
    for pair, new_id in new_ids.items():
        spelling[new_id] = spelling[pair[0]] + spelling[pair[1]]
        tokens.setdefault(spelling[new_id], new_id)
    data, matched = bytes(ids), []
    while data:
        longest = next(data[:end] for end in range(len(data), 0, -1) if data[:end] in tokens)
        matched.append(tokens[longest])
        data = data[len(longest) :]
    return matched


def _single_pass(ids, new_ids):
    passed, i = [], 0
    while i < len(ids):
        pair = tuple(ids[i : i + 2])
        passed.append(new_ids.get(pair, ids[i]))
        i += 2 if pair in new_ids else 1
    return passed


def _first_place_only(ids, new_ids):
    for pair, new_id in new_ids.items():
        for i in range(len(ids) - 1):
            if (ids[i], ids[i + 1]) == pair:
                ids = [*ids[:i], new_id, *ids[i + 2 :]]
                break
    return ids


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


ENCODE = Check(
    id="3.5",
    title="encode",
    difficulty=2,
    minutes=12,
    imports="import re",
    reference=encode,
    inputs=encode_inputs,
    mistakes=(
        Mistake("BPE replays merges by rank; longest first is WordPiece.", _encode_by(_longest_match)),
        Mistake("A merge can create the next pair: repeat until none is left.", _encode_by(_single_pass)),
        Mistake(
            "Split by the pattern first.",
            lambda text, merges, pattern: encode(text, merges, r"(?s).+"),
        ),
        Mistake(
            "The merge that was learnt first goes first; you began with the last.",
            _encode_by(_replay(lambda known, new_ids: max(known, key=new_ids.get))),
        ),
        Mistake(
            "You took the leftmost pair; of all that can be merged, take the one that was learnt first.",
            _encode_by(_replay(lambda known, new_ids: known[0])),
        ),
        Mistake(
            "A merge goes to every place where its pair stands, not to one.", _encode_by(_first_place_only)
        ),
        Mistake(
            "Begin with the bytes of UTF-8, not with code points.",
            _encode_by(
                _replay(lambda known, new_ids: min(known, key=new_ids.get)), lambda piece: [*map(ord, piece)]
            ),
        ),
        Mistake(
            "Ids 0 to 255 are the bytes: the first merge makes 256.",
            lambda text, merges, pattern: [i - 256 if i > 255 else i for i in encode(text, merges, pattern)],
        ),
    ),
    hint="`re.findall(pattern, text)` gives the pieces, `list(piece.encode())` the ids to begin with. Then "
    "walk through `merges` from the first to the last, and merge each pair wherever it now stands. Your "
    "function of 3.3 does one such step.",
    neighbour="""Rules with an order, on letters: "bc" is written as one letter first, then "ab" is.

```python
rules = [("bc", "X"), ("ab", "Y")]
word = "abcab"
for pair, letter in rules:  # in the order in which they were learnt
    word = word.replace(pair, letter)
word  # "aXY": "abc" is a and X, though the second rule stands further left in it
```

`str.replace` goes from the left and through the whole word, like a merge.""",
    without=WITHOUT,
)


CHECKS = (TRAIN, ENCODE)
