"""What a newcomer waits for: a fresh clone with an empty cache, `lab` until its page answers, then once more.

python3 course.py bench start

What is committed is cloned. Packages come from wherever pip is told to take them; how near that is decides
most of the first figure.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
PATIENCE = 900  # seconds
CACHES = "XDG_CACHE_HOME", "PIP_CACHE_DIR", "UV_CACHE_DIR", "COURSE_CACHE"
ADDRESS = re.compile(r"http://\S+?:(\d+)/\S*")


def seconds_to_answer(clone: Path, cache: Path) -> float:
    """Start `lab`, wait until the page that it names answers, and end it."""
    start = time.perf_counter()
    lab = subprocess.Popen(
        [sys.base_prefix + "/bin/python3" if os.name != "nt" else "py", "course.py", "lab", "--no-browser"],
        cwd=clone,
        env=newcomers(cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for line in lab.stdout:
            if found := ADDRESS.search(line):
                wait_for(found[0])
                return time.perf_counter() - start
        sys.exit(f"lab ended with status {lab.wait()} and named no page")
    finally:
        stop(lab)


def newcomers(cache: Path) -> dict[str, str]:
    """The environment without what the course set in it, and with all caches in one folder."""
    dropped = "COURSE_", "VIRTUAL_ENV", "PYTHONPATH"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return kept | {name: str(cache / name) for name in CACHES}


def stop(lab: subprocess.Popen) -> None:
    """By Ctrl-C, and once more for yes. On Windows no signal asks it to: it is killed with its children."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(lab.pid)], capture_output=True, check=False)
    else:
        lab.send_signal(signal.SIGINT)
        lab.send_signal(signal.SIGINT)
    lab.wait(30)


def wait_for(address: str) -> None:
    end = time.perf_counter() + PATIENCE
    while time.perf_counter() < end:
        try:
            with urllib.request.urlopen(address, timeout=10) as page:
                if page.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    sys.exit(f"{address} did not answer within {PATIENCE} s")


def megabytes(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone, cache = Path(folder, "clone"), Path(folder, "cache")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        print(f"the first start took {seconds_to_answer(clone, cache):.1f} s", flush=True)
        print(f"the environment has {megabytes(clone / '.venv'):,.0f} MB", flush=True)
        print(f"the second start took {seconds_to_answer(clone, cache):.1f} s")


if __name__ == "__main__":
    main()
