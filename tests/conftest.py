"""What several tests need."""

import os
import sys
from pathlib import Path

import pytest
import torch
from reporting import pytest_configure, pytest_terminal_summary  # noqa: F401 (hooks are found by their names)

from course_utils.learner import progress

# Processes that run at once share the cores: with more threads than cores each waits for the others. So do
# the kernels that they start.
torch.set_num_threads(max(1, torch.get_num_threads() // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))))
os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())

# A process that a test starts imports this tree's package, as pytest itself does, not the installed one.
PATHS = filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")])
os.environ["PYTHONPATH"] = os.pathsep.join(PATHS)

# With it jsonschema, which nbformat imports, makes 38 parsers of addresses: seconds in each process.
sys.modules["rfc3987_syntax"] = None

LONGEST = ["tests/notebooks/test_chapters.py", "tests/browser/"]


def pytest_collection_modifyitems(items):
    """The longest files first: of two processes none shall be left alone with one of them at the end."""
    at = {start: i for i, start in enumerate(LONGEST)}
    items.sort(key=lambda item: min((at[s] for s in LONGEST if item.nodeid.startswith(s)), default=len(at)))


@pytest.fixture
def in_memory(monkeypatch, tmp_path):
    """No my_work folder: progress is kept in memory, and afresh for each test."""
    monkeypatch.delenv("COURSE_WORK", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_opened", {})


@pytest.fixture
def one_thread():
    """Models as small as a test's only wait for a second one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
