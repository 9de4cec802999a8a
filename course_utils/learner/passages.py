"""Passages for Shannon's game, cut from The Tempest, and the n-grams that play on them too."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from course_utils.data import corpora
from course_utils.measuring.entropy import ALPHABET_27, letters_27
from course_utils.ngrams import NGramModel
from course_utils.ngrams.counting import count_ngrams
from course_utils.tokenizers import ByteTokenizer

CONTEXT, HIDDEN = 100, 50  # characters of a passage that are shown, and that are guessed
LEAST_CONTEXT = 60  # characters without which nobody could begin to guess
ORDERS = range(1, 8)
SCOREBOARD, LETTERS = "Every character, as on the scoreboard", "27 letters: a to z and the blank"

# A scene in which one of these lines stands gives no passage: who remembers it need not guess.
FAMOUS_LINES = [
    "Full fathom five",
    "Come unto these yellow sands",
    "Hell is empty",
    "the dark backward and abysm of time",
    "You taught me language",
    "what's past is prologue",
    "misery acquaints a man",
    "the isle is full of noises",
    "Our revels now are ended",
    "such stuff as dreams are made on",
    "O brave new world",
    "Where the bee sucks",
    "this rough magic",
    "this thing of darkness",
    "Now my charms are all o'erthrown",
]
# Less famous: only the passage is left out.
KNOWN_LINES = [
    "Admired Miranda",
    "Full many a lady",
    "some sports are painful",
    "Travellers ne'er did lie",
    "three men of sin",
]


@dataclass(frozen=True)
class Passage:
    """`context` is shown, `hidden` is guessed character by character, `place` says where both stand.

    key: a name that stays as long as the passage does; the same passage in other letters has the same key.
    Raises ValueError if fewer than 60 characters are shown or none is hidden.
    """

    key: str
    place: str
    context: str
    hidden: str

    def __post_init__(self):
        if len(self.context) < LEAST_CONTEXT or not self.hidden:
            raise ValueError(
                f"a passage shows at least {LEAST_CONTEXT} characters and hides at least 1; this one shows "
                f"{len(self.context)} and hides {len(self.hidden)}: take a longer text"
            )

    def in_27_letters(self) -> "Passage":
        context = letters_27(self.context)
        return replace(self, context=context, hidden=letters_27(self.context + self.hidden)[len(context) :])


@dataclass(frozen=True)
class GameText:
    """A text to play on.

    alphabet: every character that can occur, the commonest first.
    model_bits(context, hidden): the bits that each model needs for each hidden character, [models, hidden].
    Raises ValueError without a passage, or if a hidden character is not in the alphabet.
    """

    passages: list[Passage]
    alphabet: str
    models: list[str]
    model_bits: Callable[[str, str], Float[np.ndarray, "models hidden"]]

    def __post_init__(self):
        if not self.passages:
            raise ValueError("a text to play on needs at least one passage; got none")
        hidden = set("".join(passage.hidden for passage in self.passages))
        if missing := hidden - set(self.alphabet):
            raise ValueError(f"the alphabet lacks {sorted(missing)}, which nobody could guess")

    def passage(self, key: str) -> Passage | None:
        return next((passage for passage in self.passages if passage.key == key), None)


def cut(place: str, text: str) -> list[Passage]:
    """Passages that share no character, each from the beginning of a line on.

    Raises ValueError for a text shorter than one passage.
    """
    if len(text) < CONTEXT + HIDDEN:
        raise ValueError(
            f"a passage is {CONTEXT} characters to read and {HIDDEN} to guess; the text has only {len(text)}"
        )
    passages, start = [], 0
    while (end := start + CONTEXT + HIDDEN) <= len(text):
        middle = start + CONTEXT
        key = hashlib.sha256(text[start:end].encode()).hexdigest()[:12]
        passages.append(Passage(key, place, text[start:middle], text[middle:end]))
        start = text.find("\n", end) + 1 or len(text)
    return passages


def unfamiliar_scenes(play: str) -> dict[str, str]:
    """{place: scene} for the scenes of The Tempest without a famous line."""
    found, act = {}, ""
    for scene in corpora.scenes(play):
        heading = scene.split(".")[0]
        if heading.startswith("SCENE") and not _quotes(scene, FAMOUS_LINES):
            found[f"Act {act}, Scene {heading.removeprefix('SCENE ')}"] = scene
        if next_act := re.search(r"^ACT (\w+)", scene, re.MULTILINE):  # at the end of a scene
            act = next_act[1]
    return found


def course_texts(models: dict[int, NGramModel] | None = None) -> dict[str, GameText]:
    """The Tempest as the scoreboard has it, and in 27 letters; `shannon_game` says what `models` may be."""
    corpus = corpora.shakespeare()
    passages = [
        passage
        for place, scene in unfamiliar_scenes(corpus.test).items()
        for passage in cut(place, scene)
        if not _quotes(passage.context + passage.hidden, KNOWN_LINES)
    ]
    in_letters = [passage.in_27_letters() for passage in passages]
    common, common_27 = Counter(corpus.train_text), Counter()
    for character, count in common.items():
        common_27[character.lower() if character.lower() in ALPHABET_27 else " "] += count
    return {
        SCOREBOARD: _text(passages, common, ByteTokenizer().encode, lambda: models or byte_models()),
        LETTERS: _text(in_letters, common_27, _ids_27, letter_models),
    }


def _text(
    passages: list[Passage],
    common: Counter,
    encode: Callable[[str], Int[np.ndarray, " tokens"]],
    models: Callable[[], dict[int, NGramModel]],
) -> GameText:
    def model_bits(context, hidden):  # one token a character: The Tempest is ASCII
        ids = encode(context + hidden)
        return [-models()[order].log2_probs(ids)[len(context) :] for order in ORDERS]

    alphabet = "".join(character for character, _ in common.most_common())
    return GameText(passages, alphabet, [f"{order}-gram" for order in ORDERS], model_bits)


@lru_cache(maxsize=1)
def byte_models() -> dict[int, NGramModel]:
    """1- to 7-grams of the training plays' bytes, counted when they are first needed."""
    encode = ByteTokenizer().encode
    return _fitted([encode(play) for play in corpora.shakespeare().train.values()], ByteTokenizer.vocab_size)


@lru_cache(maxsize=1)
def letter_models() -> dict[int, NGramModel]:
    """1- to 7-grams of the training plays in 27 letters, counted when they are first needed."""
    plays = corpora.shakespeare().train.values()
    return _fitted([_ids_27(letters_27(play)) for play in plays], len(ALPHABET_27))


def _fitted(texts: list[Int[np.ndarray, " tokens"]], vocab_size: int) -> dict[int, NGramModel]:
    tables = count_ngrams(texts, max(ORDERS), vocab_size)
    return {order: NGramModel(order).fit_tables(tables) for order in ORDERS}


def _ids_27(text: str) -> Int[np.ndarray, " tokens"]:
    letters, characters = (np.frombuffer(s.encode(), np.uint8) for s in (ALPHABET_27, text))
    return np.searchsorted(letters, characters)


def _quotes(text: str, lines: list[str]) -> bool:
    return any(letters_27(line) in letters_27(text) for line in lines)
