"""What is committed names no machine, asks for nothing from outside, and is small."""

import contextlib
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MACHINE_PATH = re.compile(r"(?<![\w.~)}])/(root|work|home|Users|opt/wheels)/\w|[A-Z]:\\\\?Users\\")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(org|com)|deb\.debian\.org|conda\.anaconda\.org|download\.pytorch\.org"
)
URL = re.compile(r"(https?|wss?)://|url\(\s*['\"]?//|['\"`]//\w")


def committed():
    """The files that git knows; in a folder without git there is nothing committed to look at."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8")
    if done.returncode:
        pytest.skip("this is no git repository")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def texts():
    for path in committed():
        with contextlib.suppress(UnicodeDecodeError):  # a picture or weights
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def found(pattern, where=lambda name: True):
    return [
        f"{name} line {number}: {line.strip()[:100]}"
        for name, text in texts()
        if where(name)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_path_of_a_machine():
    assert found(MACHINE_PATH) == []


def test_no_host_of_a_package_registry():
    assert found(REGISTRY) == []


def test_no_url_in_front_end_code():
    assert found(URL, lambda name: name.endswith((".js", ".css"))) == []


def test_the_patterns_find_what_they_are_for():
    home = "/" + "root/x"
    assert MACHINE_PATH.search(f"in {home}") and not MACHINE_PATH.search("in my_work/x, notebooks/home/x")
    assert REGISTRY.search("pypi" + ".org")
    assert (
        URL.search("import x from 'https://cdn'") and URL.search('src="//cdn"') and not URL.search("a // b")
    )


def test_no_file_over_20_mb():
    assert [path for path in committed() if path.stat().st_size > 20_000_000] == []


def test_notebooks_carry_no_widget_state():
    for path in committed():
        if path.suffix == ".ipynb":
            assert "widgets" not in json.loads(path.read_text(encoding="utf-8"))["metadata"], path
