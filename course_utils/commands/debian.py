"""What the tests need of the system and a Python package can't bring: by apt, where we are root of Debian."""

import os
import subprocess
from pathlib import Path


def install(package: str, announcement: str) -> None:
    """Install a package where we may, saying so first; elsewhere whoever needs it says what to do."""
    if is_root():
        print(announcement, flush=True)
        subprocess.call(["apt-get", "update", "-qq"])
        subprocess.call(["apt-get", "install", "-y", "-qq", package])


def is_root() -> bool:
    # Ubuntu's chromium only points to a snap.
    release = Path("/etc/os-release")
    return (
        hasattr(os, "geteuid")
        and os.geteuid() == 0
        and release.exists()
        and "\nID=debian\n" in f"\n{release.read_text(encoding='utf-8')}"
    )
