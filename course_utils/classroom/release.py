"""The learner's copies: chapters without their solutions in `my_work/`, which is never overwritten.

`my_work/.course/release.json` remembers, for each chapter, the release that was offered last, the hash of the
copy that was written (a file that still has it is untouched) and every stub given so far (a cell that is none
of them is the learner's answer).
"""

import copy
import hashlib
import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_utils.files import write_atomic

STUB = ("# YOUR CODE HERE", "raise NotImplementedError")
_MARKER = re.compile(r"(\s*)#+\s*(BEGIN|END) SOLUTION\b", re.IGNORECASE)


def strip_solutions(nb: NotebookNode) -> NotebookNode:
    """A copy of `nb` in which every solution is a stub, and nothing that was computed is left.

    All outputs go, not only the answers' own: later ones would show what the answers are.
    Raises ValueError naming the cell in which the markers don't pair.
    """
    nb = copy.deepcopy(nb)
    nb.metadata.pop("widgets", None)
    for number, cell in enumerate(nb.cells, start=1):
        exercise = cell.metadata.get("exercise")
        try:
            cell.source = _without_solutions(cell.source)
        except ValueError as error:
            raise ValueError(
                f"cell {number}{f' (exercise {exercise})' if exercise else ''}: {error}"
            ) from None
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nb


def _without_solutions(source: str) -> str:
    lines, inside = [], False
    for line in source.split("\n"):
        marker = _MARKER.match(line)
        if not marker:
            lines += [line] * (not inside)
            continue
        begins = marker[2].upper() == "BEGIN"
        if begins == inside:
            raise ValueError(f"{line.strip()!r} has no other half; BEGIN and END SOLUTION come in pairs")
        inside = begins
        if begins:
            lines += [marker[1] + stub for stub in STUB]
    if inside:
        raise ValueError("BEGIN SOLUTION has no END SOLUTION")
    return "\n".join(lines)


def copy_chapters(notebooks: Path, work: Path) -> list[str]:
    """Copy every chapter, solutions removed, to `work`; return what happened, a sentence for each.

    What the learner saved stays as it is. If a chapter changed upstream, a copy that was never saved is
    replaced; beside any other the new version is written once, with the learner's answers carried over.
    Raises ValueError if a chapter can't be released. A folder that can't be written is one sentence.
    """
    messages = []
    try:
        for source in sorted(notebooks.glob("*.ipynb")):
            messages += _copy_chapter(source, work)
    except OSError as error:
        messages.append(_cannot_write(work, error))
    return messages


def _cannot_write(work: Path, error: OSError) -> str:
    return f"Can't write into {work} ({error.strerror}): make it writable or make room, and try again."


def _copy_chapter(source: Path, work: Path) -> list[str]:
    target, new = work / source.name, _release(source)
    release, record = _hash(_dump(new)), _read_state(work).get(source.stem, {})
    if not target.exists():
        _write_copy(new, target)
        return [f"Copied {target.name}."]
    found = target.read_bytes()
    if record.get("release") == release and _load(found):
        return []
    if _hash(found) == release:  # written, but the process ended before it was remembered
        _write_copy(new, target)
        return []
    if _hash(found) == record.get("copy", record.get("laid")):  # "laid": what its first version called it
        _write_copy(new, target)
        return [f"{target.name} is the new version of the chapter; you had not changed the old one."]
    if not _load(found):
        return [
            f"{target.name} can't be read as a notebook and is left as it is; "
            f"`reset {source.stem}` keeps it under another name and writes a fresh copy."
        ]
    beside = target.with_stem(f"{target.stem}.new-{release[:8]}")
    if beside.exists():  # offered before, perhaps worked in since
        _remember(new, target)
        return []
    return [_write_beside(new, target, beside, set(record.get("stubs", [])))]


def _write_copy(new: NotebookNode, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, _dump(new))
    _remember(new, target, copy=_hash(_dump(new)))


def _write_beside(new: NotebookNode, target: Path, beside: Path, stubs: set[str]) -> str:
    """Write a new version beside the learner's, with the answers from the version that was saved last."""
    versions = [
        path
        for path in (target, *target.parent.glob(f"{target.stem}.new-*.ipynb"))
        if _load(path.read_bytes())
    ]
    latest = max(versions, key=lambda path: path.stat().st_mtime)
    answers = {
        exercise: source
        for exercise, source in _answers(_load(latest.read_bytes())).items()
        if _hash(source) not in stubs
    }
    filled = copy.deepcopy(new)
    open_cells = {cell.metadata.exercise: cell for cell in reversed(_answer_cells(filled))}
    for exercise in answers.keys() & open_cells.keys():
        open_cells[exercise].source = answers[exercise]
    write_atomic(beside, _dump(filled))
    _remember(new, target)

    message = (
        f"{target.stem} has changed: the new version is {beside.name}, and your {target.name} is as you left "
        "it."
    )
    if carried := sorted(answers.keys() & open_cells.keys()):
        message += f" Carried over from {latest.name}: your answers to {', '.join(carried)}."
    if dropped := sorted(answers.keys() - open_cells.keys()):
        message += f" No longer asked: {', '.join(dropped)}; those answers stay in {latest.name}."
    return message


def reset(chapter: str, notebooks: Path, work: Path) -> str:
    """Write a fresh copy of a chapter, keep the learner's file beside it, and return where both are.

    Raises ValueError for an unknown chapter, or if `work` can't be written; then the learner's file stands.
    """
    source = find_chapter(chapter, notebooks)
    new, target, old = _release(source), work / source.name, ""
    try:
        if target.exists():
            number = 1
            while (beside := target.with_stem(f"{target.stem}.before-reset-{number}")).exists():
                number += 1
            write_atomic(beside, target.read_bytes())
            old = f" What you had is now {beside.name}."
        _write_copy(new, target)
    except OSError as error:
        raise ValueError(_cannot_write(work, error)) from error
    return f"Wrote a fresh copy of {target.name}.{old}"


def where(notebooks: Path, work: Path) -> str:
    """Where everything is and how to remove it: a few lines to print."""
    copies = [
        f"  {path.name} ({path.stat().st_size / 1000:,.0f} kB)" for path in sorted(work.glob("*.ipynb"))
    ]
    return "\n".join(
        [
            f"The chapters, with solutions: {notebooks}",
            f"Your copies and answers: {work}",
            *(copies or ["  none yet"]),
            "To start a chapter again: reset CHAPTER. To remove everything of yours: delete that folder.",
        ]
    )


def find_chapter(chapter: str, notebooks: Path) -> Path:
    """The notebook that "1", "01", "ngrams" or "01_ngrams" names; ValueError if there is none."""
    sources = sorted(notebooks.glob("*.ipynb"))
    for source in sources:
        number, _, name = source.stem.partition("_")
        if chapter.removesuffix(".ipynb") in (source.stem, name, number, number.removeprefix("0")):
            return source
    raise ValueError(
        f"no chapter {chapter!r}; there are {', '.join(source.stem for source in sources) or 'none'}"
    )


def _release(source: Path) -> NotebookNode:
    """The chapter as it is given out."""
    try:
        return strip_solutions(nbformat.read(source, as_version=nbformat.NO_CONVERT))
    except ValueError as error:
        raise ValueError(f"{source.name}: {error}") from None


def _answer_cells(nb: NotebookNode) -> list[NotebookNode]:
    return [
        cell
        for cell in nb.cells
        if cell.cell_type == "code"
        and "exercise" in cell.metadata
        and "check" not in cell.metadata.get("tags", [])
    ]


def _answers(nb: NotebookNode) -> dict[str, str]:
    """The source of each exercise's answer; a learner may have split the cell, so that parts are joined."""
    answers = {}
    for cell in _answer_cells(nb):
        parts = [answers.get(cell.metadata.exercise, ""), cell.source]
        answers[cell.metadata.exercise] = "\n\n".join(part for part in parts if part.strip())
    return {exercise: source for exercise, source in answers.items() if source}


def _load(content: bytes) -> NotebookNode | None:
    """The notebook, or None if these bytes are none (cut short, damaged, something else)."""
    try:
        nb = nbformat.reads(content.decode("utf-8"), as_version=4)
        nbformat.validate(nb)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, nbformat.ValidationError):
        return None
    return nb


def _dump(nb: NotebookNode) -> bytes:
    return (nbformat.writes(nb, version=nbformat.NO_CONVERT) + "\n").encode("utf-8")


def _hash(content: bytes | str) -> str:
    return hashlib.sha256(
        content if isinstance(content, bytes) else content.strip().encode("utf-8")
    ).hexdigest()


def _state_file(work: Path) -> Path:
    return work / ".course" / "release.json"


def _read_state(work: Path) -> dict[str, dict]:
    """What was copied. A damaged file counts as none: at worst one new version too many is written."""
    try:
        state = json.loads(_state_file(work).read_text(encoding="utf-8"))
        return {chapter: record for chapter, record in state.items() if isinstance(record, dict)}
    except (FileNotFoundError, ValueError, AttributeError):
        return {}


def _remember(new: NotebookNode, target: Path, **changes: str) -> None:
    state = _read_state(target.parent)
    record = state.setdefault(target.stem, {})
    stubs = {*record.get("stubs", []), *map(_hash, _answers(new).values())}
    record |= {"release": _hash(_dump(new)), "stubs": sorted(stubs), **changes}
    _state_file(target.parent).parent.mkdir(exist_ok=True)
    write_atomic(_state_file(target.parent), json.dumps(state, indent=1) + "\n")
