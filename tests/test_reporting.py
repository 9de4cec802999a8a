"""A run names what fails at once, and its summary which files took the time, also of another process."""

import os
import subprocess
import sys
from pathlib import Path

from reporting import MAX_FILES

SLOW = """\
import time
import pytest
@pytest.fixture
def slow():
    time.sleep({seconds})
def test_one(slow): pass
def test_two(slow): pass
"""
FAILS = """\
import time
def test_fails(): assert 1 == 2
def test_goes_on(): time.sleep(5)
"""
COMMAND = [sys.executable, "-m", "pytest", "-p", "reporting", "-p", "xdist", "-n", "1", "."]


def settings(folder: Path) -> dict:
    alone = {"PYTHONPATH": str(Path(__file__).parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | alone
    return {"cwd": folder, "env": env, "text": True}


def test_the_slowest_files_are_named(tmp_path):
    for i in range(MAX_FILES + 2):
        seconds = 0.2 if i == 7 else 0
        (tmp_path / f"test_{i}.py").write_text(SLOW.format(seconds=seconds), encoding="utf-8")
    done = subprocess.run([*COMMAND, "-q"], capture_output=True, check=True, **settings(tmp_path))
    _, summary = done.stdout.split("slowest files")
    lines = [line.split() for line in summary.splitlines() if line.endswith(".py")]
    assert len(lines) == MAX_FILES
    assert lines[0][1:] == ["s", "test_7.py"] and float(lines[0][0]) >= 0.4  # both fixtures, slept through


def test_a_failure_is_named_while_the_run_goes_on(tmp_path):
    (tmp_path / "test_it.py").write_text(FAILS, encoding="utf-8")
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, **settings(tmp_path)) as running:
        named = next(line for line in running.stdout if "failed" in line)
        running.kill()
    assert named.split() == ["test_it.py::test_fails", "failed", "(call)"]
