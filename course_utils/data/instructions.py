"""Questions with answers, by topic: what a language model is tuned on to chat.

    instructions().train[0]  # Pair(topic="ai", prompt="What is AI?", answer="Artificial Intelligence is ...")

They are those of ChatterBot (the asset `chatterbot-corpus`), written for a program that chats. A look at them
pays: of the 2,026 entries 1,050 are ten questions about computers, each some hundred times. Tuned on that as
it is, a model would learn ten answers by heart; here each pair stands once.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from course_utils.data import assets
from course_utils.data.corpora import read_utf8


class Pair(NamedTuple):
    """What somebody asks, what is to be answered, and the topic."""

    topic: str
    prompt: str
    answer: str


@dataclass(frozen=True)
class Instructions:
    """Pairs for training, and those that are scored (test). No prompt of one stands in the other."""

    train: list[Pair]
    test: list[Pair]


@lru_cache(maxsize=1)
def instructions() -> Instructions:
    """The pairs, fetched on first use; a fifth of the prompts, by their sha256 without case, are the test.

    Conversations of more than two turns are left out: some are a question with several answers, others go to
    and fro, and nothing says which.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C it is ten times faster
    parts = {"train": {}, "test": {}}  # dicts for their order, and each pair once
    for file in assets.files("chatterbot-corpus"):
        for turns in yaml.load(read_utf8(file), loader)["conversations"]:
            if len(turns) == 2:
                pair = Pair(file.stem, *map(str.strip, turns))
                digest = hashlib.sha256(pair.prompt.lower().encode()).digest()
                parts["test" if digest[0] % 5 == 0 else "train"][pair] = None
    return Instructions(**{name: list(pairs) for name, pairs in parts.items()})
