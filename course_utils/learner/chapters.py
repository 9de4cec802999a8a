"""Where things stand in the learner's own chapters, and links that jump there.

Files are read as the JSON that they are: importing nbformat takes seconds, in each chapter's first cell.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote


class Cell(NamedTuple):
    """What is needed of a cell."""

    kind: str  # "markdown" or "code"
    id: str
    source: str
    tags: frozenset[str]
    metadata: dict

    @classmethod
    def of(cls, cell: dict) -> "Cell":
        metadata = dict(cell["metadata"])
        tags = frozenset(metadata.get("tags", ()))
        return cls(cell["cell_type"], cell["id"], "".join(cell["source"]), tags, metadata)


class Place(NamedTuple):
    """A cell of a chapter that has a heading."""

    file: str
    cell_id: str
    heading: str

    @property
    def link(self) -> str:
        """A link for JupyterLab. It finds cells by id even where they are not in the page: of a long notebook
        only what is near the screen is. A bare fragment finds headings in the page only."""
        return f"{quote(self.file)}#cell-id={self.cell_id}"


def numbers() -> list[str]:
    """The numbers of the chapters in the current folder, in order."""
    return sorted({str(int(file.stem[:2])) for file in Path().glob("[0-9][0-9]_*.ipynb")}, key=int)


def read(chapter: str) -> tuple[str, list[Cell]] | None:
    """File name and cells of a chapter, as it lies in the current folder; None if it doesn't.

    A copy, such as 01_ngrams-Copy1.ipynb, is not taken for it: its name is longer.
    """
    files = Path().glob(f"{int(chapter):02}_*.ipynb")
    for file in sorted(files, key=lambda file: (len(file.name), file.name)):
        if "." in file.stem:
            continue  # 01_ngrams.new-1234.ipynb lies beside the learner's own
        try:
            cells = [Cell.of(cell) for cell in json.loads(file.read_bytes())["cells"]]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None  # damaged: what shows the path says so, and nothing else fails
        return file.name, cells
    return None


def heading_of(source: str) -> str:
    """The first heading of a Markdown cell, without its signs; "" if there is none."""
    text = re.sub(r"^```.*?^```", "", source, flags=re.MULTILINE | re.DOTALL)  # where # begins a comment
    found = re.search(r"^#{1,6}\s+(.+?)\s*#*$", text, re.MULTILINE)
    return re.sub(r"[*_`]", "", found[1]) if found else ""


def section(chapter: str, words: str) -> Place | None:
    """The first place in a chapter whose heading has these words."""
    found = read(chapter)
    for cell in found[1] if found else ():
        if cell.kind == "markdown" and words.lower() in (heading := heading_of(cell.source)).lower():
            return Place(found[0], cell.id, heading)
    return None
