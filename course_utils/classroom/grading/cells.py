"""The answers of a submitted notebook, out of bytes that nobody has read.

Only cells that are tagged as answers (nbgrader's cell format, version 3) come out. All else stays where it
is: tests and points are those of our own copy, other cells and outputs are nothing to grade. What can't be
read at all is `Ungradable`, with a sentence that says to its author what to do; what was odd is a notice.
"""

import ast
import json
import os
import re
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MAX_MB = 20  # a notebook with its pictures has 1 or 2
MAX_DEPTH = 100  # a notebook nests 6 deep
MAX_VALUES = 500_000
MAX_ANSWER = 100_000  # characters
MAX_CODE = 500_000  # characters of all code cells: reading them takes some seconds at worst
MAX_MAGICS = 20  # lines of Jupyter's commands in an answer
MAX_NOTICES, MAX_NOTICE = 20, 300  # how many, of how many characters each: a person reads them
AGAIN = "Hand in the notebook again."
FORMATS = {  # how files begin that are handed in by mistake
    b"PK\x03\x04": "a zip archive: hand in the notebook itself",
    b"\x1f\x8b": "a gzip archive: hand in the notebook itself",
    b"%PDF": "a PDF: hand in the notebook itself, the file that ends in .ipynb",
    b"<!DOCTYPE": "a web page: hand in the notebook itself, the file that ends in .ipynb",
    b"<html": "a web page: hand in the notebook itself, the file that ends in .ipynb",
}
MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


class Ungradable(ValueError):
    """This file can't be graded; the message says to its author why, and what to do."""


@dataclass(frozen=True)
class Asked:
    """An answer that an assignment asks for: a function in a code cell, or, without a `name`, a text."""

    id: str  # nbgrader's grade_id
    name: str = ""
    stub: str = ""

    @property
    def kind(self) -> str:
        return "code" if self.name else "markdown"


@dataclass(frozen=True)
class Answers:
    """The source of each answer by its grade_id, in the order of the notebook; and what was odd."""

    sources: dict[str, str]
    notices: tuple[str, ...] = ()


def opened(path: Path) -> tuple[int, int]:
    """A handle on a submitted file, which the caller closes, and its size. Raises Ungradable for links and
    devices, which are never followed or waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        what = "is a link to another file, which is not followed" if path.is_symlink() else error.strerror
        raise Ungradable(f"The file can't be opened: {what}. {AGAIN}") from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise Ungradable(f"This is a folder or a device, and no file. {AGAIN}")
    return handle, found.st_size


def load(path: Path) -> bytes:
    """The bytes of a submitted file. Raises Ungradable for what is no ordinary file, or too large."""
    handle, size = opened(path)
    with open(handle, "rb") as file:
        if size > MAX_MB * 1_000_000:
            raise Ungradable(too_large(size))
        return file.read(size)


def read(content: bytes, asked: list[Asked], prelude: str = "") -> Answers:
    """Take the answers out of a notebook; `prelude` is what runs before them. Raises Ungradable, and nothing
    else, for what is none."""
    return answers(*parse(content), asked, prelude)


def parse(content: bytes) -> tuple[dict, list[str]]:
    """A file as JSON has it, and what was odd. Raises Ungradable for what is none."""
    notices: list[str] = []
    return _parse(_decode(content, notices)), notices


def answers(notebook: dict, notices: list[str], asked: list[Asked], prelude: str = "") -> Answers:
    """The answers in what `parse` gives, as `read` has them. Raises Ungradable if there are none."""
    notices = list(notices)
    cells = _cells(notebook, notices)
    lost = not any(cell["id"] for cell in cells)
    sources = {}
    for answer in asked:
        found = _find(answer, cells, notices, lost and bool(sources))
        if found is not None:
            sources[answer.id] = found
    others = {cell["id"].removesuffix("-tests") for cell in cells if cell["kind"] == "code" and cell["id"]}
    functions = {answer.id for answer in asked if answer.name}
    if asked and not (sources.keys() & functions if others - functions else sources):
        raise Ungradable(_nothing_found(cells, asked))
    order = {cell["id"]: i for i, cell in reversed(list(enumerate(cells)))}
    sources = dict(sorted(sources.items(), key=lambda item: order.get(item[0], len(cells))))
    notices += _left_out(sources, asked, cells, prelude)
    notices += [
        f"The module {module} is not there when it is graded; Python's own, numpy and tqdm are."
        for module in _modules(sources[id] for id in sources.keys() & functions)
    ]
    notices = [notice[:MAX_NOTICE] for notice in dict.fromkeys(notices)]
    more = len(notices) - MAX_NOTICES
    return Answers(sources, (*notices[:MAX_NOTICES], *([f"{more:,} more like these."] if more > 0 else [])))


def tagged(notebook: dict) -> dict[str, dict]:
    """Each tagged cell, its answers too, by grade_id, as {id, kind, points, source}: `check` runs the tests
    among them, for their author; no grade comes from them. Raises Ungradable."""
    return {cell["id"]: cell for cell in _cells(notebook, []) if cell["id"]}


def texts(notebook: dict) -> list[tuple[str, str]]:
    """The tag, mostly empty, and the source of each cell; no Python is parsed. Raises Ungradable."""
    return [(cell["id"], cell["source"]) for cell in _cells(notebook, [])]


def storable(text: str) -> str:
    """A text that any database and file takes: half a character (JSON's "\\ud83d") becomes visible."""
    return text.encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """A text that no terminal obeys: a control character becomes visible, as repr shows it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def too_large(size: int) -> str:
    """The sentence for a file of so many bytes."""
    return (
        f"The file has {size / 1e6:,.0f} MB; {MAX_MB} MB are allowed. Clear the outputs (in JupyterLab: "
        "Edit, Clear Outputs of All Cells), save, and hand in again."
    )


def _decode(content: bytes, notices: list[str]) -> str:
    if len(content) > MAX_MB * 1_000_000:
        raise Ungradable(too_large(len(content)))
    if not content:
        raise Ungradable(f"The file is empty (0 bytes): it was perhaps not saved to the end. {AGAIN}")
    if not content.strip(b"\0 \t\r\n"):
        raise Ungradable(f"The file holds {len(content):,} bytes of nothing: saving it went wrong. {AGAIN}")
    for start, what in FORMATS.items():
        if content.lstrip()[: len(start)].lower() == start.lower():
            raise Ungradable(f"The file is {what}.")
    encoding = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Ungradable(
            f"The file is no text in UTF-8 (at byte {error.start:,}), so it is no notebook as Jupyter saves "
            "it. Copy your answers into a fresh copy of the assignment and hand that in."
        ) from None
    if encoding != "utf-8":
        notices.append(
            f"The file was saved as {encoding.removesuffix('-sig').upper()} with a mark at its start."
        )
    _check_nesting(text.encode("utf-8", "replace"))
    return text


def _check_nesting(content: bytes) -> None:
    """Refuse before it is parsed what a parser would need too much memory or stack for."""
    structure = np.frombuffer(STRING.sub(b"", content), np.uint8)
    opening, closing = np.isin(structure, list(b"[{")), np.isin(structure, list(b"]}"))
    depth = int(np.cumsum(opening.astype(np.int32) - closing).max(initial=0))
    if depth > MAX_DEPTH:
        raise Ungradable(f"The file is nested {depth:,} deep; a notebook is not. {AGAIN}")
    values = int((structure == ord(",")).sum())
    if values > MAX_VALUES:
        raise Ungradable(
            f"The file holds {values:,} values; a notebook of {MAX_VALUES:,} is the largest that is read. "
            "Clear the outputs, save, and hand in again."
        )


def _parse(text: str) -> dict:
    try:
        notebook = json.loads(text)
    except json.JSONDecodeError as error:
        raise Ungradable(_not_json(text, error)) from None
    except (ValueError, RecursionError):  # a number of more than 4,300 digits
        raise Ungradable(
            f"The file holds a number too long to be read, and is no notebook. {AGAIN}"
        ) from None
    if not isinstance(notebook, dict):
        raise Ungradable(f"The file is JSON, but no notebook: it holds a {type(notebook).__name__}. {AGAIN}")
    return notebook


def _not_json(text: str, error: json.JSONDecodeError) -> str:
    if mark := re.search(r"^(<{7}|={7}|>{7})( .*)?$", text, re.MULTILINE):
        line = text.count("\n", 0, mark.start()) + 1
        return (
            f"Line {line} holds the mark of a merge conflict ({mark[0][:40]}): keep one of the two versions, "
            "open the notebook in JupyterLab, save, and hand in again."
        )
    if not text.lstrip().startswith("{"):
        return f"The file is text, but no notebook: it begins with {text.lstrip()[:20]!r}. {AGAIN}"
    size, at = len(text.encode("utf-8", "replace")), len(text[: error.pos].encode("utf-8", "replace"))
    half_a_word = re.fullmatch(r"[\w.+-]*\s*", text[error.pos :])  # nothing, `tru`, `\u00`, or `-1.`
    if error.msg.startswith("Unterminated string") or (half_a_word and error.msg != "Extra data"):
        return f"The file is cut off at byte {size:,}: it was not saved or sent to its end. {AGAIN}"
    return (
        f"The file is damaged at byte {at:,} (line {error.lineno}), and no longer a notebook. Open it in "
        "JupyterLab; if it opens, save and hand in again."
    )


def _cells(notebook: dict, notices: list[str]) -> list[dict]:
    """The cells that can be read, each as {id, kind, points, source}; the points are what the file says."""
    cells, version = notebook.get("cells"), notebook.get("nbformat")
    if "worksheets" in notebook and cells is None:
        raise Ungradable(
            "The notebook has the format of 2013 (nbformat 3). Open it in JupyterLab, save, and hand in "
            "again."
        )
    if not isinstance(cells, list) or not cells:
        raise Ungradable(f"The file is JSON, but there are no cells in it. {AGAIN}")
    if version != 4 or isinstance(version, bool):
        said = "has no nbformat" if version is None else f"has another nbformat than 4 ({version!a:.20})"
        notices.append(f"The notebook {said}; its cells could be read.")
    found = []
    for number, cell in enumerate(cells, start=1):
        source = cell.get("source") if isinstance(cell, dict) else None
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            notices.append(f"Cell {number} can't be read and counts as not there.")
            continue
        metadata = cell.get("metadata")
        tag = metadata.get("nbgrader") if isinstance(metadata, dict) else None
        id = tag.get("grade_id") if isinstance(tag, dict) else None
        kind = cell.get("cell_type")
        found.append(
            {
                "id": storable(id) if isinstance(id, str) else "",
                "kind": kind if isinstance(kind, str) else "",
                "points": tag.get("points") if isinstance(tag, dict) else None,
                "source": storable(source),
            }
        )
    lengths = [len(cell["source"]) for cell in found if cell["kind"] == "code"]
    if (length := sum(n for n in lengths if n <= MAX_ANSWER)) > MAX_CODE:  # a longer one isn't read
        raise Ungradable(
            f"The code cells hold {length:,} characters; {MAX_CODE:,} are read. Hand in the notebook that "
            "was handed out, with your answers in it."
        )
    return found


def _find(answer: Asked, cells: list[dict], notices: list[str], lost: bool) -> str | None:
    """The source of an answer; `lost` says that no cell has a tag any more, and functions were found."""
    own = [cell for cell in cells if cell["id"] == answer.id]
    if not own and answer.name:  # its metadata is lost or changed: the function has a name
        own = [cell for cell in cells if cell["kind"] == "code" and _defines(cell["source"], answer.name)][
            -1:
        ]
        if own:
            notices.append(
                f"The cell of {answer.name} has lost its tag {answer.id}; it was found by its name."
            )
    if not own and not answer.name and lost:
        own = [cell for cell in cells if cell["kind"] == answer.kind and cell["source"].strip()][-1:]
        if own:
            notices.append(
                f"The cell of {answer.id} has lost its tag; the last text of the notebook is taken for it."
            )
    if not own:
        notices.append(
            f"The answer cell {answer.id} is missing: copy your answers into a fresh copy of your notebook, "
            "which has it."
        )
        return None
    if any(cell["kind"] != answer.kind for cell in own):
        notices.append(f"The answer cell {answer.id} is no {answer.kind} cell any more; it was read as one.")
    source = _last_or_joined(answer, [cell["source"] for cell in own], notices)
    if len(source) > MAX_ANSWER:
        notices.append(
            f"The answer {answer.id} has {len(source):,} characters; {MAX_ANSWER:,} are read, and it "
            "counts as missing."
        )
        return None
    return without_magics(source, notices) if answer.name else source


def _last_or_joined(answer: Asked, sources: list[str], notices: list[str]) -> str:
    """Of copies the last that is an answer; the parts of a cell that was split belong together. A text may be
    either: all that differ are read."""
    if len(sources) == 1:
        return sources[0]
    sources = [source for source in sources if source.strip()] or [""]
    whole = [source for source in sources if not answer.name or _defines(source, answer.name)]
    if answer.name and len(whole) == 1 < len(sources):
        notices.append(f"The answer cell {answer.id} was split in {len(sources)}; its parts were joined.")
        return "\n\n".join(sources)
    written = [text for text in whole or sources if text.strip() != answer.stub.strip()]
    if not answer.name:
        notices.append(f"The answer cell {answer.id} is there more than once; all its texts are read.")
        return "\n\n".join(dict.fromkeys(written or sources[-1:]))
    notices.append(
        f"The answer cell {answer.id} is there more than once; the last one that has an answer counts."
    )
    return (written or sources)[-1]


def without_magics(source: str, notices: list[str]) -> str:
    """IPython's commands (%%time, %matplotlib, !ls) in an answer that is otherwise Python do nothing."""
    if len(source) > MAX_ANSWER:
        return source  # a parser needs much memory, and such an answer isn't read
    lines = source.split("\n")
    for _ in range(MAX_MAGICS):
        try:
            ast.parse("\n".join(lines))
            break
        except SyntaxError as error:  # a % or ! elsewhere, as in a text or a product, is none
            at = (error.lineno or 0) - 1
            if not 0 <= at < len(lines) or not re.match(r"[ \t]*[%!]", lines[at]):
                return source
            lines[at] = re.sub(r"[%!].*", "pass", lines[at])
        except (ValueError, RecursionError, MemoryError):
            return source
    plain = "\n".join(lines)
    if plain == source or _tree(plain) is None:
        return source
    notices.append(
        "Lines that begin with % or ! are commands of Jupyter; they are left out when it is graded."
    )
    return plain


def _modules(sources: Iterable[str]) -> list[str]:
    """The modules that answers import and that are not there when they are graded."""
    names = set()
    for tree in filter(None, map(_tree, sources)):
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return sorted(names - set(sys.stdlib_module_names) - {"numpy", "tqdm"})


def _tree(source: str) -> ast.Module | None:
    try:
        return ast.parse(source) if len(source) <= MAX_ANSWER else None
    except (
        SyntaxError,
        ValueError,
        RecursionError,
        MemoryError,
    ):  # MemoryError: nested too deep for the parser
        return None


def _defines(source: str, name: str) -> bool:
    tree = _tree(without_magics(source, []))
    if tree is None:
        return re.search(rf"^def {name}\b", source, re.MULTILINE) is not None
    return name in _defined(tree)


def _defined(tree: ast.Module) -> set[str]:
    """The names that a cell gives to functions, classes, modules and values, at its top."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= set(map(_bound, node.names))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def _bound(alias: ast.alias) -> str:
    """The name that `import a.b as c` gives."""
    return alias.asname or alias.name.partition(".")[0]


def _left_out(sources: dict[str, str], asked: list[Asked], cells: list[dict], prelude: str) -> list[str]:
    """Say which names the answers use that only cells define which don't run."""
    trees = [_tree(sources[answer.id]) for answer in asked if answer.name and answer.id in sources]
    trees.append(_tree(prelude))
    nodes = [node for tree in trees if tree for node in ast.walk(tree)]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    used = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    inside = set().union(*(_defined(tree) for tree in trees if tree))
    inside |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    inside |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    inside |= {_bound(node) for node in nodes if isinstance(node, ast.alias)}
    outside = set()
    for cell in cells:
        if cell["kind"] == "code" and not cell["id"] and (tree := _tree(without_magics(cell["source"], []))):
            outside |= _defined(tree)
    return [
        f"An answer uses `{name}`, which stands in a cell that is no answer and does not run when it is "
        "graded: move it into the answer's cell."
        for name in sorted(used & outside - inside)
    ]


def _nothing_found(cells: list[dict], asked: list[Asked]) -> str:
    ids = sorted({cell["id"][:40] for cell in cells if cell["id"]})[:5]
    has = (
        f"Its tagged cells are {', '.join(ids)}: is it another assignment's?" if ids else "No cell has a tag."
    )
    return (
        f"None of the answers is in this notebook ({', '.join(answer.id for answer in asked)}). {has} Copy "
        "your answers into a fresh copy of the assignment and hand that in."
    )
