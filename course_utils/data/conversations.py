"""Conversations of strangers who wrote to each other: everyday English, as people type it.

7,168 of them, of 1,315 people who took part in the Chit-Chat Challenge of a university from April to
November 2018 (the lab for perception, control and cognition of Brigham Young University).
"""

import json

from course_utils.data import assets
from course_utils.data.corpora import read_utf8


def conversations() -> list[list[str]]:
    """The messages of each conversation in turn: the asset `chitchat`, fetched on first use."""
    return json.loads(read_utf8(assets.path("chitchat")))
