"""The house: few rooms, each on its floor. Lower never imports higher, and what needs no torch has none."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "course_utils"
# The drawing in CONTRIBUTING.md: names stand in its first 40 columns, those to come with a star. Models stand
# below training and data, and so know nothing of them.
DRAWING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("a room to come:\n\n```\n")[1]
NAMES = [line[:40].split() for line in DRAWING.split("\n```")[0].splitlines()]
FLOOR = {name.strip("*"): floor for floor, names in enumerate(reversed(NAMES)) for name in names}
MODELS = {"attention", "transformer", "recurrent", "bert", "seq2seq", "gpt", "pretrained"}
# A learner's answer is checked, a text is counted and a command starts without the seconds that torch takes.
WITHOUT_TORCH = ["files", "tokenizers", "ngrams", "data", "measuring", "learner", "classroom", "commands"]
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """The rooms of course_utils that a file imports from, at its top or anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} line {node.lineno}: write the whole name, course_utils..."
            names = [f"{node.module}.{name}" for name in names]
        yield from (name.split(".")[1] for name in names if name.startswith("course_utils."))


def test_the_house_is_seen_at_a_glance():
    rooms, drawn = {room(path) for path in MODULES}, {name for names in NAMES for name in names}
    assert len(rooms) <= 25, f"{len(rooms)} rooms: a helper stands in the room that it helps"
    assert {path.name.removesuffix(".py") for path in PACKAGE.iterdir()} <= rooms | {
        "__init__",
        "__pycache__",
    }
    assert rooms == {name for name in drawn if "*" not in name}, "CONTRIBUTING.md draws other rooms"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_lower_never_imports_higher(path):
    own = room(path)
    for other in imports(path):
        assert FLOOR[other] <= FLOOR[own], f"{own} imports {other}, which stands higher"


def test_no_two_rooms_of_a_floor_import_each_other():
    uses = {(room(path), other) for path in MODULES for other in imports(path) if other != room(path)}
    assert [pair for pair in uses if pair[::-1] in uses] == []


def test_widgets_get_arrays_strings_and_functions_and_never_a_model():
    used = {other for path in MODULES if room(path) == "widgets" for other in imports(path)}
    assert not used & (MODELS | {"data"})


def test_a_breach_is_found(tmp_path):
    (tmp_path / "low.py").write_text("def f():\n    from course_utils import widgets, data\n")
    assert list(imports(tmp_path / "low.py")) == ["widgets", "data"]


def imported(script):
    """Names of the modules that a fresh Python has after a script and had not before."""
    script = f"import sys; before = set(sys.modules)\n{script}\nprint(set(sys.modules) - before)"
    return ast.literal_eval(subprocess.check_output([sys.executable, "-c", script], text=True))


def test_importing_the_package_is_light():
    assert imported("import course_utils") == {"course_utils"}


def test_what_needs_no_torch_imports_none():
    names = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if room(path) in WITHOUT_TORCH and path.name != "jupyter_server_config.py"  # only Jupyter can run it
    ]
    found = imported(f"import {', '.join(names)}")
    assert found >= set(names) and "torch" not in found
