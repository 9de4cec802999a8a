"""Lower never imports higher: a model knows nothing of widgets, plots or classrooms."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "course_utils"
# From the ground up. A room may import from its own floor and from those below.
FLOORS = [
    {"files", "devices"},
    {"tokenizers"},
    {"attention", "sampling", "ngrams", "scaling"},
    {"transformer", "recurrent"},
    {"bert", "seq2seq", "gpt"},
    {"training", "data"},
    {"pretrained"},
    {"generation", "finetuning", "pretraining"},
    {"measuring"},
    {"widgets"},
    {"learner", "weights"},
    {"classroom"},
    {"commands"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imports(path):
    """The modules of course_utils that a file imports, at its top or anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} line {node.lineno}: write the whole name, course_utils..."
            names = [f"{node.module}.{name}" for name in names]
        yield from (name.split(".")[1] for name in names if name.startswith("course_utils."))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_lower_never_imports_higher(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in FLOOR, f"{own} stands on no floor yet: add it to FLOORS"
    for other in imports(path):
        assert other in FLOOR, f"{other} stands on no floor yet: add it to FLOORS"
        assert FLOOR[other] <= FLOOR[own], f"{own} imports {other}, which stands higher"


def test_a_breach_is_found(tmp_path):
    (tmp_path / "low.py").write_text("def f():\n    from course_utils import widgets, data\n")
    assert list(imports(tmp_path / "low.py")) == ["widgets", "data"]


def test_importing_the_package_is_light():
    script = "import sys; before = set(sys.modules); import course_utils; print(set(sys.modules) - before)"
    added = ast.literal_eval(subprocess.check_output([sys.executable, "-c", script], text=True))
    assert added == {"course_utils"}
