"""Which browser the tests drive, and what is done where there is none."""

import os
import subprocess
from pathlib import Path

import pytest

from course_utils.commands import browsers, debian


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without a browser; returns a folder on its PATH, and the commands that would install one."""
    commands = []

    def call(command):
        commands.append(command)
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.setattr(browsers, "PLACES", ("{NoSuchFolder}/chrome.exe",))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    return tmp_path, commands


def program(path):
    path.write_text("")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("name", ["chromium", "google-chrome", "msedge"])
def test_a_browser_on_the_path_is_found(bare, name):
    path = program(bare[0] / (name + ".exe" * (os.name == "nt")))
    assert Path(browsers.find()) == Path(path)  # Windows finds it as .EXE
    assert browsers.find_or_install() == {"CHROMIUM": browsers.find()} and bare[1] == []


def test_one_of_your_own_comes_first_and_others_where_installers_put_them(bare, monkeypatch):
    installed, own = program(bare[0] / "chrome in its place"), program(bare[0] / "own")
    monkeypatch.setattr(browsers, "PLACES", (installed,))
    assert browsers.find() == installed
    monkeypatch.setenv("CHROMIUM", own)
    assert browsers.find() == own


def test_where_there_is_none_one_is_installed(bare, monkeypatch):
    monkeypatch.setattr(debian, "is_root", lambda: True)
    assert browsers.find_or_install() == {}  # of Playwright, since apt brought none
    assert [command[0] for command in bare[1][:2]] == ["apt-get", "apt-get"]
    assert bare[1][2][1:] == ["-m", "playwright", "install", "chromium"]
    monkeypatch.setattr(debian, "is_root", lambda: False)
    monkeypatch.setattr(subprocess, "call", lambda command: 1)
    with pytest.raises(ValueError, match="install Chrome, Chromium or Edge"):
        browsers.find_or_install()
