"""What the tests of scaling share: a runner that takes milliseconds, where a plan can name it."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
