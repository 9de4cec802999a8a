"""Variants of exercises 3.4 to 3.6 of chapter 3."""

import math
import re
from collections import Counter
from dataclasses import replace

from course_utils.learner.checks.bits import _bits, _of_scored, bits_per_byte, loss_inputs
from course_utils.learner.checks.bpe import ENCODE, TRAIN, encode, encode_inputs, train, train_inputs
from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.tokenizers import WITHOUT, merge

# 3.4


def segment(
    words: dict[tuple[int, ...], int], vocab_size: int, n_special: int
) -> dict[tuple[int, ...], list[int]]:
    """Train byte-pair encoding on `words` as in 3.4, and say as which ids each word ends up.

    `words` says of each pre-token, a tuple of bytes, how often it occurs; `vocab_size` counts the 256 bytes,
    the merges and the special tokens. Of pairs that are equally frequent the smallest comes first.
    """
    ids = {word: list(word) for word in words}
    for new_id in range(256, vocab_size - n_special):
        counts = {}
        for word, count in words.items():
            for i in range(len(ids[word]) - 1):
                pair = (ids[word][i], ids[word][i + 1])
                counts[pair] = counts.get(pair, 0) + count
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        for word in words:
            merged = []
            for i in ids[word]:
                if merged and (merged[-1], i) == best:
                    merged[-1] = new_id
                else:
                    merged.append(i)
            ids[word] = merged
    return ids


def _segmented(answer):
    """Let an answer to the first version say as which ids the words end up with its merges."""

    def segmented(words, vocab_size, n_special):
        ids = {word: list(word) for word in words}
        for new_id, pair in enumerate(answer(words, vocab_size, n_special), start=256):
            ids = {word: merge(parts, pair, new_id) for word, parts in ids.items()}
        return ids

    return segmented


SEGMENT = Check(
    id="3.4 again",
    variant_of="3.4",
    title="what becomes of each word",
    difficulty=2,
    minutes=15,
    reference=segment,
    inputs=train_inputs,
    mistakes=(
        Mistake("That answers the first version: it lists the merges, not the ids of the words.", train),
        *(
            replace(mistake, answer=_segmented(mistake.answer))
            for mistake in TRAIN.mistakes
            if not mistake.sentence.startswith("The first merge makes the id 256")
        ),
        Mistake(
            "The first merge makes the id 256; special tokens come after the merges.",
            lambda words, vocab_size, n_special: {
                word: [i + n_special if i > 255 else i for i in ids]
                for word, ids in segment(words, vocab_size, n_special).items()
            },
        ),
        Mistake(
            "The keys are the words as they came, tuples of bytes.",
            lambda words, vocab_size, n_special: {
                tuple(ids): ids for ids in segment(words, vocab_size, n_special).values()
            },
        ),
    ),
    hint="Keep a dict from each word to its ids as they now are, and count the pairs of these, each with the "
    "count of its word. The merge then goes over the ids of every word.",
    neighbour="""Abbreviations that are agreed one after the other, and what two words have become:

```python
words = {"lowest": 2, "slow": 5}
written = {word: list(word) for word in words}
for pair, sign in [(("l", "o"), "L"), (("L", "w"), "W")]:  # here somebody chose them
    for word in words:
        joined = []
        for letter in written[word]:
            if joined and (joined[-1], letter) == pair:
                joined[-1] = sign
            else:
                joined.append(letter)
        written[word] = joined
written  # {"lowest": ["W", "e", "s", "t"], "slow": ["s", "W"]}
```

In the exercise you choose the pairs too: each time the most frequent one of what is now written.""",
    without=WITHOUT,
)


# 3.5


def token_counts(text: str, merges: list[tuple[int, int]], pattern: str) -> dict[int, int]:
    """Encode the text as in 3.5, and say how often each token id stands in it.

    The text is cut into pieces by the pattern; merge k, as learnt, makes the id 256 + k.
    """
    counts = {}
    for piece in re.findall(pattern, text):
        ids = list(piece.encode())
        for new_id, pair in enumerate(merges, start=256):
            merged = []
            for i in ids:
                if merged and (merged[-1], i) == pair:
                    merged[-1] = new_id
                else:
                    merged.append(i)
            ids = merged
        for i in ids:
            counts[i] = counts.get(i, 0) + 1
    return counts


def _counted(answer):
    """Count the ids of an answer to the first version."""
    return lambda *arguments: dict(Counter(answer(*arguments)))


TOKEN_COUNTS = Check(
    id="3.5 again",
    variant_of="3.5",
    title="how often each token stands",
    difficulty=2,
    minutes=12,
    imports="import re",
    reference=token_counts,
    inputs=encode_inputs,
    mistakes=(
        Mistake("That answers the first version: it lists the ids, and here they are counted.", encode),
        *(replace(mistake, answer=_counted(mistake.answer)) for mistake in ENCODE.mistakes),
        Mistake(
            "You noted which tokens occur, not how often.",
            lambda *arguments: dict.fromkeys(encode(*arguments), 1),
        ),
        Mistake(
            "A token that never stands in the text has no key.",
            lambda text, merges, pattern: (
                dict.fromkeys(range(256 + len(merges)), 0) | token_counts(text, merges, pattern)
            ),
        ),
        Mistake(
            "Every piece of the text counts; you have the last one only.",
            lambda text, merges, pattern: token_counts(re.findall(pattern, text)[-1], merges, pattern),
        ),
    ),
    hint="The loop over the pieces is that of 3.5. Make the dict of counts before it, and count the ids of a "
    "piece once its merges are done.",
    neighbour="""Which signs are left in some words, once "bc" is written as one letter, and then "ab"?

```python
counts = {}
for word in ["abc", "ab"]:
    for pair, letter in [("bc", "X"), ("ab", "Y")]:
        word = word.replace(pair, letter)
    for sign in word:
        counts[sign] = counts.get(sign, 0) + 1
counts  # {"a": 1, "X": 1, "Y": 1}
```

In the exercise the words are the pieces of a text, and the signs are ids.""",
    without=WITHOUT,
)


# 3.6


def bits_per_character(tokens: list[str], nats: list[float], scored: list[bool]) -> float:
    """Return the bits that a model spends on a character (a code point) of the text it was scored on.

    `nats` holds the loss of each token, in nats. Tokens that are not `scored` are only context.
    """
    total, n_characters = 0.0, 0
    for token, loss, counts in zip(tokens, nats, scored, strict=True):
        if counts:
            total += loss / math.log(2)
            n_characters += len(token)
    return total / n_characters


def _characters(tokens):
    return len("".join(tokens))


BITS_PER_CHARACTER = Check(
    id="3.6 again",
    variant_of="3.6",
    title="from loss to bits per character",
    difficulty=3,
    minutes=8,
    imports="import math",
    reference=bits_per_character,
    inputs=loss_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: é is 2 bytes, and here it counts as 1 character.", bits_per_byte
        ),
        Mistake(
            "That is bits per token; another tokenizer would change it.",
            lambda tokens, nats, scored: _bits(_of_scored(nats, scored)) / sum(scored),
        ),
        Mistake(
            "Divide by the characters of the tokens you scored.",
            lambda tokens, nats, scored: _bits(_of_scored(nats, scored)) / _characters(tokens),
        ),
        Mistake(
            "Context is read, not scored: leave out its loss, and its characters too.",
            lambda tokens, nats, scored: _bits(nats) / _characters(tokens),
        ),
        Mistake(
            "Add up the losses of the scored tokens only.",
            lambda tokens, nats, scored: _bits(nats) / _characters(_of_scored(tokens, scored)),
        ),
        Mistake(
            "That is nats; divide by ln 2.",
            lambda tokens, nats, scored: (
                sum(_of_scored(nats, scored)) / _characters(_of_scored(tokens, scored))
            ),
        ),
        Mistake(
            "A bit is less than a nat, so there are more of them: divide by ln 2; you multiplied.",
            lambda tokens, nats, scored: bits_per_character(tokens, nats, scored) * math.log(2) ** 2,
        ),
        Mistake(
            "A blank is a character too.",
            lambda tokens, nats, scored: (
                _bits(_of_scored(nats, scored))
                / _characters([token.strip() for token in _of_scored(tokens, scored)])
            ),
        ),
    ),
    hint="Two sums over the scored tokens: their losses, divided by `math.log(2)`, and `len(token)`, which "
    "counts code points. The answer is the first over the second.",
    neighbour="""Minutes a page, for someone who reads three chapters, of which the first was read before:

```python
pages = [10, 20, 5]
minutes = [3.0, 40.0, 10.0]
new = [False, True, True]
total, read = 0.0, 0
for n, time, is_new in zip(pages, minutes, new):
    if is_new:
        total += time
        read += n
total / read  # 2.0: 50 minutes, 25 pages; the old chapter is in neither sum
```

In the exercise losses take the place of minutes, and characters that of pages.""",
    without=WITHOUT,
)

CHECKS = (SEGMENT, TOKEN_COUNTS, BITS_PER_CHARACTER)
