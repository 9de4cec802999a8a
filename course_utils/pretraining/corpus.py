"""What was kept of the texts, in two files: documents, a JSON string a line, and their tokens, two bytes
each.

Both are written and read as streams, so neither has to fit into memory, and appear under their name once
they are whole.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer

from course_utils.pretraining.documents import Document
from course_utils.pretraining.vocabulary import encode

AT_ONCE = 64  # documents that are encoded together: of a long file 1 MB, which takes 100 MB of memory


@contextmanager
def _whole_or_not(path: Path):
    """A file to write bytes to, which takes its name at the end; after a kill the same temporary one is
    written again."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # still there only if something above failed


def write_documents(path: Path, documents: Iterable[Document]) -> None:
    """Write the texts of documents."""
    with _whole_or_not(path) as file:
        for document in documents:
            file.write(json.dumps(document.text).encode() + b"\n")


def read_documents(path: Path, one_in: int = 1) -> Iterator[str]:
    """The texts, or one in so many of them, evenly spread."""
    with path.open("rb") as file:
        yield from (json.loads(line) for number, line in enumerate(file) if number % one_in == 0)


def write_tokens(path: Path, texts: Iterable[str], tokenizer: Tokenizer) -> int:
    """Write the ids of the texts, each followed by END_OF_TEXT; returns how many."""
    n_tokens = 0
    with _whole_or_not(path) as file:
        texts = iter(texts)
        while some := [*islice(texts, AT_ONCE)]:
            ids = encode(tokenizer, some)
            file.write(ids.tobytes())
            n_tokens += len(ids)
    return n_tokens


def read_tokens(path: Path) -> Int[np.ndarray, " tokens"]:
    """The ids, which stay on disk until they are used."""
    return np.memmap(path, dtype="<u2", mode="r")
