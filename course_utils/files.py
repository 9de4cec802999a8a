"""Files that are either whole or not there, where a crash while writing leaves the old one; and tables."""

import csv
import io
import os
import secrets
import time
from pathlib import Path

TRIES = 40 if os.name == "nt" else 1  # to take a name


def write_atomic(path: str | Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`: a reader, or a crash, finds the old file or the new one.

    The bytes go to a temporary file in the same folder, reach the disk (fsync), and take the name at once
    (`os.replace`). Raises OSError if the folder is missing, full or read-only; then the old file stands.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)  # still there only if something above failed


def _replace(old: Path, new: Path) -> None:
    """On Windows a file that somebody is reading can't be replaced; readers are done in a moment."""
    for _ in range(TRIES - 1):
        try:
            return os.replace(old, new)
        except PermissionError:
            time.sleep(0.05)
    os.replace(old, new)


def read_spreadsheet(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """What a person saved as CSV in UTF-8: the names of its columns, and of each line its cells by these
    names, "" where a line is short. Raises ValueError for what is no such file."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), restval="")
        return list(lines.fieldnames or ()), list(lines)  # a cell may hold any line end
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} can't be read ({error}): it is a CSV file in UTF-8") from None


def delimiter_of(text: str) -> str:
    """What parts the columns of a CSV file: a semicolon where spreadsheets write numbers with a comma."""
    head = text.partition("\n")[0]
    return ";" if head.count(";") > head.count(",") else ","
