"""From text to token ids and back. Bytes and words here; byte-pair encoding comes with chapter 3."""

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
from jaxtyping import Int


class ByteTokenizer:
    """Every UTF-8 byte is one token: 256 ids, no text that can't be encoded, nothing to train."""

    vocab_size = 256

    def encode(self, text: str | bytes) -> Int[np.ndarray, " bytes"]:
        """Ids 0 to 255. Raises ValueError for a lone surrogate, which no UTF-8 text can hold."""
        if isinstance(text, str):
            try:
                text = text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"character {error.start} of the text is the lone surrogate "
                    f"U+{ord(text[error.start]):04X}, half a character: remove it, or read the file as UTF-8"
                ) from None
        return np.frombuffer(text, dtype=np.uint8).astype(np.int64)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of any ids. Raises ValueError for an id outside 0 to 255."""
        ids = np.asarray(ids, dtype=np.int64)
        if len(outside := ids[(ids < 0) | (ids > 255)]):
            raise ValueError(f"a byte id lies between 0 and 255; {outside[0]} came")
        return ids.astype(np.uint8).tobytes()

    def decode(self, ids: Iterable[int], errors: str = "strict") -> str:
        """The text of the ids. A model can sample half a character: `errors="replace"` shows � for it.

        Raises ValueError, naming the byte, if the bytes are not UTF-8 and `errors` is "strict".
        """
        data = self.decode_bytes(ids)
        try:
            return data.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"byte {error.start} ({data[error.start]:#04x}) does not continue a UTF-8 character; "
                'decode(ids, errors="replace") shows � in its place'
            ) from None


class WordTokenizer:
    """Words, marks and line breaks; a word seen fewer than `min_count` times in training is `<unk>`.

    White space follows a rule, so that ordinary text spends no token on it: one space stands before a
    word unless the word opens its line, and none before a mark. Where a text breaks the rule it says so
    with a token of its own: `<space>` adds a space, `<join>` takes the space away. So decoding returns
    the text byte for byte, and a model of these tokens pays for every byte of it.
    """

    UNK, SPACE, JOIN = "<unk>", "<space>", "<join>"
    # a word (with inner apostrophes and hyphens), a blank, or any other single character
    _PIECE = re.compile(r"\w+(?:['’-]\w+)*| |[^\w ]")

    def __init__(self, text: str, min_count: int = 1):
        if min_count < 1:
            raise ValueError(f"min_count is how often a word must occur, at least 1; {min_count} came")
        counts = Counter(self.split(text))
        if not counts:
            raise ValueError("the training text is empty: there is no word to take into the vocabulary")
        kept = [token for token, count in counts.most_common() if count >= min_count]
        special = [self.UNK, self.SPACE, self.JOIN]
        self.tokens = special + [token for token in kept if token not in special]
        self.ids = {token: i for i, token in enumerate(self.tokens)}

    @property
    def vocab_size(self) -> int:
        return len(self.tokens)

    @classmethod
    def split(cls, text: str) -> list[str]:
        """The tokens of a text as strings, before any of them becomes `<unk>`."""
        tokens, spaces, previous = [], 0, "\n"
        for piece in cls._PIECE.findall(text):
            if piece == " ":
                spaces += 1
                continue
            expected = cls._space_before(previous, piece)
            tokens += [cls.SPACE] * (spaces - expected) if spaces >= expected else [cls.JOIN]
            tokens.append(piece)
            spaces, previous = 0, piece
        return tokens + [cls.SPACE] * spaces

    @classmethod
    def join(cls, tokens: Iterable[str]) -> str:
        """The text of the tokens: the inverse of `split`."""
        text, spaces, previous = [], 0, "\n"
        for token in tokens:
            if token in (cls.SPACE, cls.JOIN):
                spaces += 1 if token == cls.SPACE else -1
                continue
            text.append(" " * (spaces + cls._space_before(previous, token)) + token)
            spaces, previous = 0, token
        return "".join(text) + " " * spaces

    @classmethod
    def _space_before(cls, previous: str, token: str) -> int:
        is_word = token == cls.UNK or re.match(r"\w", token)
        return int(bool(is_word) and previous != "\n")

    def encode(self, text: str) -> Int[np.ndarray, " tokens"]:
        return np.array([self.ids.get(token, 0) for token in self.split(text)], dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids, with `<unk>` where the word was not in the vocabulary.

        Raises ValueError for an id outside the vocabulary.
        """
        ids = list(ids)
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(f"a token id lies between 0 and {self.vocab_size - 1}; {i} came")
        return self.join(self.tokens[i] for i in ids)

    def spelling_bits(self, text: str) -> float:
        """What a model must pay on top of `<unk>` to say which word it was: 8 bits for each byte of each
        unknown word and 8 for its end. Without it bits per byte would reward a small vocabulary."""
        unknown = (token for token in self.split(text) if token not in self.ids)
        return sum(8.0 * (len(token.encode()) + 1) for token in unknown)
