"""What would fail on Windows or macOS and shows here: imports, names of files, links, line ends."""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
UNIX_ONLY = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
LONGEST = 160  # characters of a path in a clone: Windows has 260, with the folder that it lies in


def imported_at_once(source: str) -> set[str]:
    """The modules that are imported as soon as a module is: not those inside a function."""
    found, nodes = set(), [ast.parse(source)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return found


def faults_of_names(paths: list[str]) -> list[str]:
    """What Windows can't write, or takes for another file."""
    times = Counter(path.lower() for path in paths)
    bad = [path for path in paths if times[path.lower()] > 1 or len(path) > LONGEST]
    for path in paths:
        parts = PurePosixPath(path).parts
        if any(RESERVED.fullmatch(part) or re.search(r'[<>:"|?*\\]|[ .]$', part) for part in parts):
            bad.append(path)
    return bad


def files() -> list[str]:
    """Mode and path of each file that git keeps."""
    listed = ["git", "-C", str(ROOT), "ls-files", "--stage", "-z"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]


@pytest.mark.parametrize("path", ["course.py", "course_utils"])
def test_nothing_of_unix_alone_is_imported_at_once(path):
    at = ROOT / path
    modules = [at] if at.is_file() else sorted(at.rglob("*.py"))
    assert modules
    found = {str(m.relative_to(ROOT)): imported_at_once(m.read_text("utf-8")) & UNIX_ONLY for m in modules}
    assert {name: bad for name, bad in found.items() if bad} == {}


def test_an_import_at_once_is_found():
    assert imported_at_once("if True:\n    import fcntl.x\ndef f():\n    import pwd") == {"fcntl"}


def test_every_file_can_be_written_anywhere():
    paths = [line.partition("\t")[2] for line in files()]
    assert len(paths) > 300
    assert faults_of_names(paths) == []


def test_a_name_that_cannot_be_written_is_found():
    assert faults_of_names(["a/b", "A/B"]) == ["a/b", "A/B"]
    for path in ("aux.py", "a/con", "a:b", "a /b", "b.", "x" * 161):
        assert faults_of_names([path]) == [path]
    assert faults_of_names(["a/.gitignore", "console.py"]) == []


def test_no_links_and_unix_line_ends():
    assert {line.split()[0] for line in files()} <= {"100644", "100755"}  # no links, no modules
    listed = ["git", "-C", str(ROOT), "ls-files", "--eol"]
    ends = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines()
    stored = {line.split()[0] for line in ends}
    assert stored <= {"i/lf", "i/-text", "i/none"}
    assert "eol=lf" in (ROOT / ".gitattributes").read_text("utf-8")
