"""WordPiece as BERT reads it: cut a text into words, and a word into the longest pieces of the vocabulary.

Wu et al. (2016), section 4.1; what a word is: the uncased models of Devlin et al. (2019).
`course_utils.tokenizers.WordPieceTokenizer` puts ids around it.
"""

import functools
import string
import unicodedata
from collections.abc import Container

# CJK ideographs: each is a word, since no space stands between them.
IDEOGRAPHS = [
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
]


def words(text: str) -> list[str]:
    """Cut at white space, and around each punctuation mark and ideograph; without case and accents."""
    cleaned = "".join(map(_clean, text))
    # decomposed, é is e and a mark of its own (category Mn), which goes
    plain = (c for c in unicodedata.normalize("NFD", cleaned) if unicodedata.category(c) != "Mn")
    # one at a time: "Σ" would become another letter at the end of a word
    lower = (small for c in plain for small in c.lower())
    return "".join(f" {c} " if _is_punctuation(c) else c for c in lower).split()


@functools.cache  # a text has few characters, each many times
def _clean(c: str) -> str:
    if c in "\t\n\r":
        return " "
    if unicodedata.category(c) in ("Cc", "Cf", "Co") or c == "\N{REPLACEMENT CHARACTER}":  # no letters
        return ""
    return f" {c} " if any(first <= ord(c) <= last for first, last in IDEOGRAPHS) else c


@functools.cache
def _is_punctuation(c: str) -> bool:
    """Also $, + and other ASCII symbols, which Unicode doesn't call punctuation."""
    return c in string.punctuation or unicodedata.category(c)[0] == "P"


def longest_pieces(word: str, vocab: Container[str]) -> list[str] | None:
    """Take the longest piece of `vocab` that begins the word, then the longest that goes on from there.

    A piece that goes on is written with "##". None if the word can't be put together.
    """
    pieces, start = [], 0
    while start < len(word):
        ends = range(len(word), start, -1)
        candidates = (("##" if start else "") + word[start:end] for end in ends)
        piece = next((piece for piece in candidates if piece in vocab), None)
        if piece is None:
            return None
        pieces.append(piece)
        start += len(piece.removeprefix("##") if start else piece)
    return pieces
