"""From text to token ids and back: bytes, words, and between them byte-pair encoding and WordPiece."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int

from course_utils.files import write_atomic
from course_utils.tokenizers import bpe, wordpiece


def whole_characters(text: str) -> tuple[str, list[str]]:
    """The text without what no UTF-8 text can hold, and a notice if something was left out."""
    whole = "".join(c for c in text if not 0xD800 <= ord(c) <= 0xDFFF)
    left_out = ["Half a character (a lone surrogate) was left out: UTF-8 can't hold one."] * (whole != text)
    return whole, left_out


class ByteTokenizer:
    """Every UTF-8 byte is one token: 256 ids, no text that can't be encoded, nothing to train."""

    vocab_size = 256

    def encode(self, text: str | bytes) -> Int[np.ndarray, " bytes"]:
        """Ids 0 to 255. Raises ValueError for a lone surrogate, which no UTF-8 text can hold."""
        data = _utf8(text) if isinstance(text, str) else text
        return np.frombuffer(data, dtype=np.uint8).astype(np.int64)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of any ids. Raises ValueError for an id outside 0 to 255."""
        return bytes(_known_ids(ids, self.vocab_size))

    def decode(self, ids: Iterable[int], errors: str = "strict") -> str:
        """The text of the ids. A model can sample half a character: `errors="replace"` shows � for it.

        Raises ValueError, naming the byte, if the bytes are not UTF-8 and `errors` is "strict".
        """
        data = self.decode_bytes(ids)
        try:
            return data.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            wrong = "begins no" if error.reason == "invalid start byte" else "begins an incomplete"
            raise ValueError(
                f"byte {error.start} ({data[error.start]:#04x}) {wrong} UTF-8 character; "
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
            raise ValueError(f"min_count is how often a word must occur, at least 1; got {min_count}")
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
        return self.join(self.tokens[i] for i in _known_ids(ids, self.vocab_size))

    def spelling_bits(self, text: str) -> float:
        """What a model must pay on top of `<unk>` to say which word it was: 8 bits for each byte of each
        unknown word and 8 for its end. Without it bits per byte would reward a small vocabulary."""
        unknown = (token for token in self.split(text) if token not in self.ids)
        return sum(8.0 * (len(token.encode()) + 1) for token in unknown)


class BPETokenizer(ByteTokenizer):
    """Byte-level byte-pair encoding: frequent runs of bytes are tokens, and any text can be encoded.

    Ids 0 to 255 are the bytes (in another order if `byte_order` says so), 256 + k is what merge k makes, the
    special tokens come last. A special token is read in a text only if `encode` allows it: a user who types
    its name doesn't end a document.
    Sennrich, Haddow & Birch (2016); on bytes: Radford et al. (2019), section 2.2.
    """

    LONGEST_KEPT, MOST_KEPT = 32, 100_000  # characters of a piece and pieces whose ids are kept: 20 to 40 MB

    def __init__(
        self,
        merges: Iterable[bpe.Pair] = (),
        special_tokens: Iterable[str] = (),
        byte_order: Iterable[int] = range(256),
    ):
        self.byte_order = [*byte_order]
        if sorted(self.byte_order) != [*range(256)]:
            raise ValueError(f"byte_order names each of the 256 bytes once; got {self.byte_order[:8]} ...")
        self._byte_ids = {byte: i for i, byte in enumerate(self.byte_order)}
        self.tokens = [bytes([byte]) for byte in self.byte_order]  # id -> bytes
        self._new_ids: dict[bpe.Pair, int] = {}  # pair -> what it merges into; the lowest is the earliest
        self._encoded: dict[str, list[int]] = {}  # short pieces met before: most of a text is few words
        for first, second in merges:
            if min(first, second) < 0 or max(first, second) >= len(self.tokens):
                raise ValueError(
                    f"merge {len(self._new_ids)} can only join ids below {len(self.tokens)}, which exist by "
                    f"then; got {(first, second)}"
                )
            if (first, second) in self._new_ids:
                raise ValueError(f"each pair can be merged once; got {(first, second)} twice")
            self._new_ids[first, second] = len(self.tokens)
            self.tokens.append(self.tokens[first] + self.tokens[second])
        self.special_tokens: dict[str, int] = {}
        for name in _special_names(special_tokens):
            self.special_tokens[name] = len(self.tokens)
            self.tokens.append(_utf8(name))

    @classmethod
    def train(
        cls, text: str | Iterable[str], vocab_size: int, special_tokens: Iterable[str] = ()
    ) -> "BPETokenizer":
        """Learn the merges from one text, or from many; no token joins the end of one with the next.

        `vocab_size` counts the bytes, the merges and the special tokens; a text that runs out of pairs gives
        fewer. Raises ValueError for an empty text, a lone surrogate, a special token named twice, or a
        vocabulary too small for bytes and special tokens.
        """
        special_tokens = _special_names(special_tokens)
        n_merges = vocab_size - 256 - len(special_tokens)
        if n_merges < 0:
            raise ValueError(
                f"256 bytes and {len(special_tokens)} special tokens need a vocab_size of at least "
                f"{256 + len(special_tokens)}; got {vocab_size}"
            )
        piece_counts = Counter()
        for document in [text] if isinstance(text, str) else text:
            _utf8(document)
            piece_counts.update(bpe.PIECE.findall(document))
        if not piece_counts:
            raise ValueError("the training text is empty: there is no pair to merge")
        return cls(bpe.learn_merges(piece_counts, n_merges), special_tokens)

    @classmethod
    def from_gpt2(
        cls, vocab: str | Path, merges: str | Path, special_tokens: Iterable[str] = ("<|endoftext|>",)
    ) -> "BPETokenizer":
        """Read a vocab.json and a merges.txt as published for GPT-2; the ids are those of the files.

        Raises ValueError, naming the file, if they are damaged, don't belong together, or have other special
        tokens.
        """
        special_tokens = _special_names(special_tokens)
        pairs = bpe.read_gpt2(Path(vocab), Path(merges), special_tokens)
        return cls(pairs, special_tokens, bpe.BYTE_ORDER)

    @property
    def vocab_size(self) -> int:
        return len(self.tokens)

    @property
    def merges(self) -> list[bpe.Pair]:
        """The merged pairs of ids, the earliest first."""
        return list(self._new_ids)

    def encode(self, text: str, allowed_special: Iterable[str] = ()) -> Int[np.ndarray, " tokens"]:
        """The ids of a text. The special tokens named in `allowed_special` become their ids, others bytes.

        Raises ValueError for a lone surrogate, and for a name that is no special token.
        """
        _utf8(text)
        names = _special_names(allowed_special)
        for name in names:
            if name not in self.special_tokens:
                known = ", ".join(self.special_tokens) or "none"
                raise ValueError(f"{name!r} is no special token of this tokenizer; it has {known}")
        # the longest first: <|end|> must not hide <|end|><|end|>
        either = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
        ids = []
        for i, part in enumerate(re.split(f"({either})", text) if names else [text]):
            if i % 2:  # re.split gives text, name, text, name, ... text
                ids.append(self.special_tokens[part])
            else:
                for piece in bpe.PIECE.findall(part):
                    ids += self._encoded.get(piece) or self._encode_piece(piece)
        return np.array(ids, dtype=np.int64)

    def _encode_piece(self, piece: str) -> list[int]:
        ids = bpe.replay([self._byte_ids[byte] for byte in piece.encode()], self._new_ids)
        if len(piece) <= self.LONGEST_KEPT and len(self._encoded) < self.MOST_KEPT:
            self._encoded[piece] = ids
        return ids

    def unmerged(self, text: str) -> list[str]:
        """The characters of a text, each once, that are several tokens even alone: of these the tokenizer's
        training text had few or none."""
        return [character for character in dict.fromkeys(text) if len(self.encode(character)) > 1]

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of any ids. Raises ValueError for an id outside the vocabulary."""
        return b"".join(self.tokens[i] for i in _known_ids(ids, self.vocab_size))

    def save(self, path: str | Path) -> None:
        """Write merges, special tokens and byte order as JSON, with a fingerprint that `load` compares."""
        content = {"merges": self.merges, "special_tokens": list(self.special_tokens)}
        if self.byte_order != [*range(256)]:
            content["byte_order"] = self.byte_order
        write_atomic(path, json.dumps(content | {"sha256": _fingerprint(content)}) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "BPETokenizer":
        """Read what `save` wrote. Raises ValueError, naming the file, if it says less or anything else."""
        try:
            content = json.loads(Path(path).read_bytes())
            if content.pop("sha256") != _fingerprint(content):
                raise ValueError("another fingerprint")
            return cls(**content)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise ValueError(
                f"{path} is not a tokenizer as save() wrote it: it is cut off, changed, or something else; "
                "take another copy, or train and save it again"
            ) from None

    def fast(self):
        """The same tokenizer as a `tokenizers.Tokenizer` with equal ids, for what expects one.

        Its `encode_special_tokens` is set, so that special tokens in a text are bytes there too. Raises
        ValueError if a special token is called as another token looks.
        """
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        plain = self.tokens[: len(self.tokens) - len(self.special_tokens)]
        visible = ["".join(bpe.VISIBLE[byte] for byte in token) for token in plain]
        if clash := self.special_tokens.keys() & set(visible):
            raise ValueError(f"a special token needs a name that no other token has; {min(clash)!r} is taken")
        merges = [(visible[first], visible[second]) for first, second in self._new_ids]
        ids = {token: i for i, token in enumerate([*visible, *self.special_tokens])}
        fast = Tokenizer(models.BPE(vocab=ids, merges=merges))
        fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        fast.decoder = decoders.ByteLevel()
        fast.add_special_tokens(list(self.special_tokens))
        fast.encode_special_tokens = True
        return fast


class WordPieceTokenizer:
    """Words cut into the longest pieces that a given vocabulary holds, as BERT's uncased models read them.

    "##" says that a piece goes on with the word: "un", "##aff", "##able". A word that can't be put together
    is `[UNK]` as a whole. Case, accents and white space are lost: decoding does not give the text back.
    """

    UNK = "[UNK]"
    LONGEST_WORD = 100  # characters; a longer word is [UNK], as it is for BERT

    def __init__(self, vocab: Iterable[str]):
        self.tokens = list(vocab)
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        if self.UNK not in self.ids:
            raise ValueError(f"a WordPiece vocabulary has a token {self.UNK}; it is not among these")

    @property
    def vocab_size(self) -> int:
        return len(self.tokens)

    def split(self, text: str) -> list[str]:
        """The tokens of a text as strings. Raises ValueError for a lone surrogate."""
        _utf8(text)
        tokens = []
        for word in wordpiece.words(text):
            pieces = wordpiece.longest_pieces(word, self.ids) if len(word) <= self.LONGEST_WORD else None
            tokens += pieces or [self.UNK]
        return tokens

    def encode(self, text: str) -> Int[np.ndarray, " tokens"]:
        """The ids of a text, without the [CLS] and [SEP] that BERT wants around it."""
        return np.array([self.ids[token] for token in self.split(text)], dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The words of the ids, a space between two. Raises ValueError for an id outside the vocabulary."""
        return " ".join(self.tokens[i] for i in _known_ids(ids, self.vocab_size)).replace(" ##", "")


def _utf8(text: str) -> bytes:
    """The bytes of a text. Raises ValueError for a lone surrogate, which no UTF-8 text can hold."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"character {error.start} of the text is the lone surrogate "
            f"U+{ord(text[error.start]):04X}, half a character: remove it, or read the file as UTF-8"
        ) from None


def _known_ids(ids: Iterable[int], vocab_size: int) -> list[int]:
    """The ids as a list. Raises ValueError for one outside the vocabulary: -1 would mean the last token."""
    ids = [int(i) for i in ids]
    for i in ids:
        if not 0 <= i < vocab_size:
            raise ValueError(f"token ids must be between 0 and {vocab_size - 1}; got {i}")
    return ids


def _special_names(names: Iterable[str]) -> list[str]:
    """The special tokens as a list. Raises ValueError if one is empty or named twice."""
    if isinstance(names, str):
        raise ValueError(
            f"special tokens must be a list of names, such as [{names!r}]; got the string {names!r}"
        )
    names = list(names)
    for name, count in Counter(names).items():
        if not name or count > 1:
            raise ValueError(f"each special token needs a name of its own; got {name!r} {count} times")
    return names


def _fingerprint(content: dict) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
