"""The summary of a run says which of its files took the time, also of another process."""

import os
import subprocess
import sys
from pathlib import Path

from slowest_files import MAX_FILES

SLOW = """\
import time
import pytest
@pytest.fixture
def slow():
    time.sleep({seconds})
def test_one(slow): pass
def test_two(slow): pass
"""


def test_the_slowest_files_are_named(tmp_path):
    for i in range(MAX_FILES + 2):
        seconds = 0.2 if i == 7 else 0
        (tmp_path / f"test_{i}.py").write_text(SLOW.format(seconds=seconds), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "slowest_files", "-p", "xdist", "-n", "1", "."]
    alone = {"PYTHONPATH": str(Path(__file__).parent), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | alone
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    _, summary = done.stdout.split("slowest files")
    lines = [line.split() for line in summary.splitlines() if line.endswith(".py")]
    assert len(lines) == MAX_FILES
    assert lines[0][1:] == ["s", "test_7.py"] and float(lines[0][0]) >= 0.4  # both fixtures, slept through
