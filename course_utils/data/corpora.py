"""The real text that the chapters run on, normalised by one stated rule and split once and for all.

Shakespeare's 38 plays: The Tempest is the test text of the whole course, Twelfth Night the validation
text, the other 36 are for training. The split is by whole play, so no scene is half learnt.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from course_utils.data import assets

VALIDATION, TEST = "Twelfth Night", "The Tempest"


@dataclass(frozen=True)
class Corpus:
    """Texts for training, for tuning (validation), and the one that is scored (test)."""

    train: dict[str, str]  # title -> text, in the order of the files' names
    validation: str
    test: str

    @cached_property
    def train_text(self) -> str:
        """All training texts in one, an empty line between two of them."""
        return "\n".join(self.train.values())

    @cached_property
    def test_sha256(self) -> str:
        """The fingerprint of the test text's UTF-8 bytes: two scores compare only if it is the same."""
        return hashlib.sha256(self.test.encode()).hexdigest()


def normalise(markdown: str) -> str:
    """Remove the package's Markdown and keep the play: line breaks, speakers' names and case stay.

    The rule: stars, underscores, backslashes, and hashes with the blank behind them go; blanks at the end
    of a line go; the text ends with one line break. Markup repeats itself, so a model that may predict it
    gets cheap bytes: with it in, the same model looks better than it is.
    """
    text = re.sub(r"[*_\\]|#+ ?", "", markdown)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip("\n") + "\n"


def read_utf8(path: Path) -> str:
    """The text of a file. Raises ValueError, naming the file and the byte, if it is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} is not UTF-8: byte {error.object[error.start]:#04x} at offset {error.start} "
            "can't be decoded; save the file as UTF-8 and try again"
        ) from None


def read_json_lines(path: Path) -> list[dict]:
    """The objects of a file that has one in each line."""
    return [json.loads(line) for line in read_utf8(path).rstrip("\n").split("\n")]


@lru_cache(maxsize=1)
def shakespeare() -> Corpus:
    """The plays from the asset `shakespeare` (assets.toml names its package, licence and hashes)."""
    plays = {}
    for path in sorted(assets.files("shakespeare"), key=lambda path: path.name):
        markdown = read_utf8(path)
        heading = re.match(r"# (.+)", markdown)  # one play comes without its title
        title = heading[1].strip() if heading else path.stem.replace("-", " ").title()
        plays[title] = normalise(markdown)
    return Corpus(
        train={title: text for title, text in plays.items() if title not in (VALIDATION, TEST)},
        validation=plays[VALIDATION],
        test=plays[TEST],
    )


def scenes(play: str) -> list[str]:
    """Cut a normalised play where a scene begins; joined again, the pieces are the play, byte for byte."""
    return re.split(r"(?m)^(?=(?:SCENE|PROLOGUE|EPILOGUE)\b)", play)


@lru_cache(maxsize=1)
def verses_by_language() -> dict[str, list[str]]:
    """The same 298 verses (Luke 5 to 10) by language, from the asset `verses`, fetched on first use."""
    return json.loads(read_utf8(assets.path("verses")))
