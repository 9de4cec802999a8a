"""Conversations by chat: two strangers write to each other about anything. Everyday English, for chapter 6.

7,168 of them from the Chit-Chat Challenge of Brigham Young University's Perception, Control and Cognition
lab (2018). They are as they were typed: slips, slang and rude words are in.
"""

import json
from functools import lru_cache
from typing import NamedTuple

from course_utils.data import assets
from course_utils.data.corpora import read_utf8


class Utterance(NamedTuple):
    """Who wrote, 0 for the one that began the conversation, and what."""

    who: int
    text: str


@lru_cache(maxsize=1)
def conversations() -> list[list[Utterance]]:
    """The asset `chitchat-dataset`, fetched on first use: conversations, each in its order."""
    rows = json.loads(read_utf8(assets.path("chitchat-dataset")))
    return [[Utterance(*message) for message in conversation] for conversation in rows]
