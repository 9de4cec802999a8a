"""What several tests need."""

import pytest

from course_utils import progress


@pytest.fixture
def in_memory(monkeypatch, tmp_path):
    """No my_work folder: progress is kept in memory, and afresh for each test."""
    monkeypatch.delenv("COURSE_WORK", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_opened", {})
