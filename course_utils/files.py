"""Files that are either whole or not there, where a crash while writing leaves the old one; and tables."""

import csv
import io
import os
import secrets
import stat
import time
import unicodedata
from itertools import zip_longest
from pathlib import Path

TRIES = 40 if os.name == "nt" else 1  # to take a name


def write_atomic(path: str | Path, content: bytes | str, mode: int | None = None) -> None:
    """Write `content` (text as UTF-8) to `path`: a reader, or a crash, finds the old file or the new one.

    The bytes go to a temporary file in the same folder, reach the disk (fsync), and take the name at once
    (`os.replace`), of a link too: whoever can lay one there must not choose which file is written. `mode`
    says who may read it from the start, as the old file does if None, less what the umask takes; the owner
    may write to it. Raises OSError if the folder is missing, full or read-only; then the old file stands.
    """
    path = Path(path)
    if mode is None:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666
    mode |= stat.S_IWUSR  # Windows neither renames nor removes a read-only temporary file
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
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


def read_table(path: Path) -> tuple[list[list[str]], str]:
    """What a person saved as CSV in UTF-8: its lines, in whose cells any line end may stand; and what parts
    its columns, a semicolon where spreadsheets write numbers with a comma. Raises ValueError for what is no
    such file."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
        head = text.partition("\n")[0]
        delimiter = ";" if head.count(";") > head.count(",") else ","
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)), delimiter
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}: name a table that is saved as CSV in UTF-8") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} can't be read ({error}): save it as CSV in UTF-8, and try again") from None


def one_form(text: str) -> str:
    """A text in Unicode's form C, so that names are the same that look the same: é is one character there,
    and two in what macOS and some browsers write."""
    return unicodedata.normalize("NFC", text)


def by_heading(columns: list[str]) -> dict[str, str]:
    """The columns of a spreadsheet by their names in small letters, as a person may write them; of two such
    the first."""
    headings: dict[str, str] = {}
    for name in columns:
        headings.setdefault(name.strip().lower(), name)
    return headings


def read_spreadsheet(path: Path) -> tuple[list[str], dict[int, dict[str, str]]]:
    """The names of the columns of such a file; and by its number, which a spreadsheet shows, each line that
    is not empty: its cells by these names, "" where it is short. Raises ValueError as `read_table`, for a
    name that stands twice, and for a cell in a column without a name, as the comma of 1,5 makes one."""
    table, delimiter = read_table(path)
    table = [[one_form(cell) for cell in line] for line in table]
    lines = {n: line for n, line in enumerate(table, start=1) if any(map(str.strip, line))}
    names = lines.pop(min(lines, default=0), [])
    if twice := [name for name in names if name.strip() and names.count(name) > 1]:
        raise ValueError(f"{path} has two columns {twice[0]!r}: rename one, and try again")
    for n, line in lines.items():
        cells = zip_longest(names, line, fillvalue="")
        if nameless := [cell for name, cell in cells if cell.strip() and not name.strip()]:
            raise ValueError(
                f"line {n} of {path}: {nameless[0]!r} stands in no column: put a cell that holds a "
                f"{delimiter!r} in quotes, or name the column, and try again"
            )
    return names, {n: dict(zip_longest(names, line[: len(names)], fillvalue="")) for n, line in lines.items()}
