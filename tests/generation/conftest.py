"""A clock that only the tests move, and a cache of their own for what is timed."""

import pytest

from course_utils.generation import timings


class Clock:
    now = computed = 0.0
    share = 1.0  # of the time for which the thread has a core

    def pass_by(self, seconds):
        self.now += seconds
        self.computed += self.share * seconds


@pytest.fixture
def clock(monkeypatch):
    """Stands still, so that all candidates are equal, unless a test lets time pass."""
    clock = Clock()
    monkeypatch.setattr(timings, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(timings, "thread_time", lambda: clock.computed)
    return clock


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
