"""Byte-pair encoding, the algorithm: cut a text into pieces, learn merges from them, replay the merges.

Sennrich, Haddow & Birch (2016), section 3.2; on bytes, with this pattern: Radford et al. (2019), section 2.2.
`course_utils.tokenizers.BPETokenizer` puts ids, special tokens and files around it.
"""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import regex

Pair = tuple[int, int]

# GPT-2's pattern: a word with the space before it, a number, a run of other marks, or white space. No token
# crosses the border of a piece; else "dog.", "dog!" and "dog?" would each take a place in the vocabulary.
PIECE = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")

# GPT-2 shows a byte as a character (the space as Ġ): 188 as themselves, the other 68 as those from U+0100 on.
_SHOWN_AS_THEMSELVES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
BYTE_ORDER = _SHOWN_AS_THEMSELVES + [byte for byte in range(256) if byte not in _SHOWN_AS_THEMSELVES]
VISIBLE = {byte: chr(byte if i < 188 else 0x100 + i - 188) for i, byte in enumerate(BYTE_ORDER)}


def merge(ids: list[int], pair: Pair, new_id: int) -> list[int]:
    """Put `new_id` for each `pair` in `ids`, from the left: of (a, a, a) the first two are the pair."""
    first, second = pair
    merged = []
    for i in ids:
        if i == second and merged and merged[-1] == first:
            merged[-1] = new_id
        else:
            merged.append(i)
    return merged


def learn_merges(piece_counts: Mapping[str, int], n_merges: int) -> list[Pair]:
    """Merge the most frequent pair of neighbours, `n_merges` times; fewer if no pair is left.

    `piece_counts` says how often each piece occurs. Merge k makes the id 256 + k. Of equally frequent pairs
    the smallest comes first, with the bytes in BYTE_ORDER: that is how Hugging Face's trainer numbers them.
    """
    pieces = [list(piece.encode()) for piece in piece_counts]
    counts = list(piece_counts.values())
    pair_counts = Counter()
    pieces_with = defaultdict(set)  # pair -> pieces that hold it, or once did
    for k, ids in enumerate(pieces):
        for pair in pairwise(ids):
            pair_counts[pair] += counts[k]
            pieces_with[pair].add(k)

    merges = []
    place = {i: place for place, i in enumerate([*BYTE_ORDER, *range(256, 256 + n_merges)])}
    while len(merges) < n_merges and (most := max(pair_counts.values(), default=0)):
        tied = [pair for pair, count in pair_counts.items() if count == most]
        best = min(tied, key=lambda pair: (place[pair[0]], place[pair[1]]))
        # Only the pieces that hold the pair change: to recount those is all there is to do.
        for k in pieces_with.pop(best):
            before, after = pieces[k], merge(pieces[k], best, 256 + len(merges))
            for pair in pairwise(before):
                pair_counts[pair] -= counts[k]
            for pair in pairwise(after):
                pair_counts[pair] += counts[k]
                pieces_with[pair].add(k)
            pieces[k] = after
        merges.append(best)
    return merges


def replay(ids: list[int], new_ids: Mapping[Pair, int]) -> list[int]:
    """Encode one piece, given as the ids of its bytes: merge the pair that was learnt first, again and again.

    `new_ids` says what a pair merges into; a lower id was learnt earlier. Every merge walks through the whole
    piece, which is quick for words. For texts without spaces there is `BPETokenizer.fast`.
    """
    while len(ids) > 1:
        pair = min(pairwise(ids), key=lambda pair: new_ids.get(pair, math.inf))
        if pair not in new_ids:
            break
        ids = merge(ids, pair, new_ids[pair])
    return ids


def read_gpt2(vocab: Path, merges: Path, special_tokens: Sequence[str]) -> list[Pair]:
    """The merges, as pairs of ids, of a vocab.json and a merges.txt as GPT-2 has them.

    Ids 0 to 255 are the bytes in BYTE_ORDER, 256 + k is what merge k makes, and the special tokens stand in
    vocab.json alone. There is no checksum, but the files say much twice: raises ValueError, naming the file,
    where they disagree.
    """
    try:
        given = json.loads(vocab.read_bytes())
        tokens = sorted(given, key=given.get)
        in_order = [given[token] for token in tokens] == [*range(len(tokens))]
    except (ValueError, TypeError, AttributeError, RecursionError):
        in_order = False
    if not in_order or tokens[:256] != [VISIBLE[byte] for byte in BYTE_ORDER]:
        raise ValueError(
            f"{vocab} is no vocabulary as GPT-2 has it, JSON of each token's id with the bytes first: it is "
            "cut off, changed, or something else; take another copy"
        )
    try:
        lines = merges.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except ValueError:
        raise ValueError(f"{merges} is no UTF-8, so no list of merges; take another copy") from None
    ids = {token: i for i, token in enumerate(tokens)}
    first = int(lines[0].startswith("#version"))
    pairs = []
    for number, line in enumerate(lines[first:], first + 1):
        pair = line.split(" ")
        if len(pair) != 2 or not ids.keys() >= {*pair} or ids.get("".join(pair)) != 256 + len(pairs):
            raise ValueError(
                f"{merges}, line {number}: expected two tokens of {vocab.name} that together make its token "
                f"{256 + len(pairs)}; got {line!r}: take other copies of both files"
            )
        pairs.append((ids[pair[0]], ids[pair[1]]))
    if (rest := tokens[256 + len(pairs) :]) != [*special_tokens]:
        raise ValueError(
            f"the {len(pairs)} merges of {merges} don't make {len(rest)} tokens of {vocab.name} "
            f"({', '.join(map(repr, rest[:3]))}); expected {len(special_tokens)}, the special tokens "
            f"({', '.join(map(repr, special_tokens))}): take other copies of both files, or name the others"
        )
    return pairs
