"""Where the chapters lie, and where a learner's work goes: in a clone of the repository, or from a wheel."""

import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
DISTRIBUTION = "llm-workbook"


def clone() -> Path | None:
    """The clone that this package is part of; None if it was installed from a wheel."""
    known_by = "course.py", "pyproject.toml"  # a file of one of these names may lie beside any package
    return PACKAGE.parent if all((PACKAGE.parent / name).is_file() for name in known_by) else None


def own_environment() -> bool:
    """Whether this Python is that of the .venv which course.py makes in its clone."""
    root = clone()
    return root is not None and Path(sys.prefix).resolve() == root / ".venv"


def clone_for(command: str) -> Path:
    """The clone, for a command that needs one. Raises ValueError without."""
    if found := clone():
        return found
    raise ValueError(f"`{command}` needs a clone of the repository: use `python3 course.py {command}` there")


def program() -> str:
    """What a user has typed to get here."""
    return "course.py" if clone() else DISTRIBUTION


def home() -> Path:
    """The folder that holds `my_work`: the clone, or the current folder where there is none."""
    return clone() or Path.cwd()


def work() -> Path:
    """The folder of a learner's copies, progress and models."""
    return home() / "my_work"


def notebooks() -> Path:
    """The folder of the chapters. Raises ValueError if they are in no clone and were not installed."""
    if (found := clone()) and (found / "notebooks").is_dir():
        return found / "notebooks"
    try:
        first = [path for path in files(DISTRIBUTION) or () if path.name == "00_start_here.ipynb"]
    except PackageNotFoundError:
        first = []
    if not first:
        raise ValueError(
            f"there are no chapters with {PACKAGE}: install the workbook by `pip install {DISTRIBUTION}`, or "
            "clone its repository and use `python3 course.py` there"
        )
    return Path(first[0].locate()).resolve().parent
