"""What several tests need."""

import pytest
import torch

from course_utils.learner import progress


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
