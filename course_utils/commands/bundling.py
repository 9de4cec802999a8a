"""What a room without internet needs, in one folder: `course.py bundle` where there is a network, and
`course.py lab --from` where there is none.

    bundle.json   the machine it is for, and size and sha256 of every file; written last, so that a bundle
                  that was half made has none
    course/       the course: copy it to the disk of each computer, and start course.py there
    wheels/       every package, for this kind of machine and this Python
    assets/       texts and weights
"""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from course_utils.commands.bundle_manifest import NAME, size_and_sha256, this_machine
from course_utils.data import assets
from course_utils.files import write_atomic

# of the clone's folder: rosters, submissions and exports may lie there too
COURSE = ("benchmarks", "course_utils", "deploy", "docs", "notebooks", "tests", "course.py", "Containerfile")
COURSE += ("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "LICENSE-TEXT.md", "README.md")
COURSE += ("environment.yml", "pyproject.toml", "requirements.lock")
LEFT_OUT = ("__pycache__", "*.egg-info", ".*_cache", ".ipynb_checkpoints", ".hypothesis")
PASSING = (".*", *LEFT_OUT)  # what running the course leaves in it
BUILDS_THE_COURSE = "setuptools"  # which no package needs, but installing a clone does


def make(root: Path, folder: Path) -> str:
    """Write a bundle of the clone `root` into `folder`, or go on with one; return what it holds, in words.

    All assets must be in the cache. Raises ValueError for a folder that holds something else, for a package
    that can't be had, a full disk; AssetError for an asset that is missing.
    """
    if folder.is_relative_to(root) or root.is_relative_to(folder):
        raise ValueError(
            f"{folder} is inside the course, which goes into the bundle, or holds it: name a folder elsewhere"
        )
    ours = {NAME, "course", "wheels", "assets"}
    there = {path.name for path in folder.iterdir() if path.name[0] != "."} if folder.exists() else set()
    if strange := there - ours:
        raise ValueError(f"{folder} holds {min(strange)}, which is no part of a bundle: name a new folder")
    if foreign := _foreign(folder / "course"):
        raise ValueError(
            f"{folder / 'course'} holds {min(foreign)}, which is no part of a bundle and would be lost: move "
            "it away, or name a new folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).unlink(missing_ok=True)
        shutil.rmtree(folder / "course", ignore_errors=True)
        _course(root, folder / "course")
        _wheels(root, folder / "wheels")
        _assets(folder / "assets")
        files = {path.relative_to(folder).as_posix(): size_and_sha256(path) for path in _files(folder)}
        write_atomic(folder / NAME, json.dumps({"machine": this_machine(), "files": files}, indent=0))
    except OSError as error:
        # copytree tells all that failed: (from, to, why) of each
        why = error.args[0][0][2] if isinstance(error, shutil.Error) else error.strerror
        raise ValueError(
            f"the bundle could not be written ({why}), and is half made: make room, or name another folder, "
            "and the same command goes on"
        ) from error
    size = sum(bytes for bytes, _ in files.values()) / 1e6
    return f"{folder}: {size:,.0f} MB in {len(files):,} files, for {', '.join(this_machine())}."


def _foreign(course: Path) -> list[str]:
    """What stands in a bundle's course beside the course, such as somebody's my_work."""
    there = course.iterdir() if course.is_dir() else ()
    return [path.name for path in there if path.name not in COURSE and not any(map(path.match, PASSING))]


def _course(root: Path, folder: Path) -> None:
    folder.mkdir()
    for path in (root / name for name in COURSE):
        if path.is_dir():
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns(*LEFT_OUT))
        elif path.exists():
            shutil.copy(path, folder)


def _files(folder: Path) -> list[Path]:
    """Without what macOS lays there and changes by itself, such as `.DS_Store`."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    return sorted(path for path in files if not path.name.startswith("."))


def _wheels(root: Path, folder: Path) -> None:
    """Let pip fetch what the course needs, in the versions that are installed here."""
    installed = {found.name: found.version for found in importlib.metadata.distributions()}
    needed = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    folder.mkdir(exist_ok=True)
    limits = folder / "versions.txt"
    write_atomic(limits, "".join(f"{name}=={version}\n" for name, version in sorted(installed.items())))
    command = [sys.executable, "-P", "-m", "pip", "download", "--only-binary=:all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--constraint", limits, "--dest", folder]
    done = subprocess.run([*command, *needed, "uv", BUILDS_THE_COURSE], capture_output=True, text=True)
    limits.unlink()
    if done.returncode:
        raise ValueError(_explained(done.stdout + done.stderr))


def _explained(output: str) -> str:
    if re.search(r"No space left|Errno 28", output):
        return "the disk is full, and the bundle is half made: make room, and the same command goes on"
    if re.search(r"onnection|timed out|name resolution", output) and "No matching" not in output:
        return "no package index can be reached: a bundle is made where there is internet"
    if re.search(r"No matching distribution found for torch==\S+\+", output):
        return (
            "this torch came from PyTorch's own index, which pip does not know: put the address that "
            "pytorch.org names for it into PIP_EXTRA_INDEX_URL, and the same command goes on"
        )
    lines = output.strip().splitlines() or ["no output"]
    line = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1])
    return (
        f"pip could not fetch the packages ({line.strip()}): `course.py doctor` says what is installed here"
    )


def _assets(folder: Path) -> None:
    """Copy all texts and weights, every byte hashed: those that a chapter fetches at its first run, too."""
    shutil.rmtree(folder, ignore_errors=True)
    for asset in assets.manifest().values():
        assets.verify(asset.name)
        asset.copy(asset.folder, folder / asset.name)
