"""The browser that the browser tests drive: an installed one, or one that is installed for them."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from course_utils.commands import debian

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
# Where installers put them on macOS and Windows without adding them to PATH.
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    "{ProgramFiles}/Google/Chrome/Application/chrome.exe",
    "{ProgramFiles(x86)}/Google/Chrome/Application/chrome.exe",
    "{ProgramFiles(x86)}/Microsoft/Edge/Application/msedge.exe",
)


def find() -> str | None:
    """The path of an installed Chromium, Chrome or Edge; CHROMIUM names one of your own."""
    candidates = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES)]
    for place in PLACES:
        with contextlib.suppress(KeyError):  # no such folder variable: not Windows
            candidates.append(place.format_map(os.environ))
    return next((path for path in candidates if path and Path(path).exists()), None)


def find_or_install() -> dict[str, str]:
    """What to set for the tests: CHROMIUM, or nothing if they are to use Playwright's own browser.

    Raises ValueError if there is none and none can be installed.
    """
    if not find():
        debian.install("chromium", "Installing Chromium for the browser tests (about 100 MB).")
    if browser := find():
        return {"CHROMIUM": browser}
    print("Installing Playwright's Chromium for the browser tests (about 150 MB).", flush=True)
    if subprocess.call([sys.executable, "-m", "playwright", "install", "chromium"]):
        raise ValueError("the tests need a browser and can't install one: install Chrome, Chromium or Edge.")
    return {}
