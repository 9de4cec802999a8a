"""`course.py doctor`: what is installed, whether it works, and what to do about what doesn't."""

import json
import os
import platform
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from course_utils.classroom import places

MIN_FREE_MB = 500  # a training run's checkpoints, outputs and some room
REINSTALL = (
    "delete .venv and run `python3 course.py lab`"
    if places.own_environment()
    else f"install {places.DISTRIBUTION} again, in a new environment"
)


class Broken(Exception):
    """What is broken and what to do."""


def report(root: Path) -> int:
    """Print one line a check; 1 if something is broken, else 0."""
    broken = 0
    for check in (python, torch, numbers, assets, disk, jupyter, widgets, browser, threads):
        try:
            mark, found = "ok    ", check(root)
        except Exception as error:  # whatever it is, the other checks go on
            broken += 1
            mark, found = "BROKEN", f"{error}" if isinstance(error, Broken) else f"{error!r}: {REINSTALL}"
        print(f"{mark}  {check.__name__:8}  {found}", flush=True)
    print("Everything works." if not broken else f"{broken} broken: each line says what to do.")
    return 1 if broken else 0


def python(root: Path) -> str:
    return f"{platform.python_version()} on {platform.platform()}, {sys.executable}"


def torch(root: Path) -> str:
    from course_utils import devices

    facts = devices.describe()
    mixed = facts["mixed precision"]
    return f"{facts['torch']}, computing on {facts['device']}, mixed precision in {mixed}"


def numbers(root: Path) -> str:
    from course_utils import devices

    correct, sentence = devices.self_check(devices.pick())
    if not correct:
        raise Broken(f"{sentence} Compute on the CPU instead: devices.pick('cpu').")
    return sentence


def assets(root: Path) -> str:
    from course_utils.data import assets

    names = [asset.name for asset in assets.manifest().values() if asset.path.exists() or not asset.lazy]
    if missing := assets.missing():
        raise Broken(f"{', '.join(asset.name for asset in missing)} missing: the command `lab` fetches it")
    try:
        for name in names:
            assets.verify(name)
    except assets.AssetError as error:
        raise Broken(str(error)) from None
    return f"{', '.join(names)} in {assets.cache()}, every byte hashed"


def disk(root: Path) -> str:
    free = shutil.disk_usage(root).free // 1_000_000
    if free < MIN_FREE_MB:
        raise Broken(f"{free} MB free in {root}: free some: work needs {MIN_FREE_MB} MB")
    return f"{free:,} MB free in {root}"


def jupyter(root: Path) -> str:
    kernel = Path(sys.prefix, "share/jupyter/kernels/python3/kernel.json")
    command = json.loads(kernel.read_text(encoding="utf-8"))["argv"]
    if shutil.which(command[0]) is None:
        raise Broken(f"the kernel starts {command[0]}, which isn't there: {REINSTALL}")
    return f"JupyterLab {version('jupyterlab')}, ipykernel {version('ipykernel')}"


def widgets(root: Path) -> str:
    extensions = Path(sys.prefix, "share/jupyter/labextensions")
    for name in ("anywidget", "@jupyter-widgets/jupyterlab-manager"):
        if not (extensions / name / "package.json").exists():
            raise Broken(f"JupyterLab's extension {name} isn't in {extensions}: {REINSTALL}")
    return f"anywidget {version('anywidget')}, ipywidgets {version('ipywidgets')}, both known to JupyterLab"


def browser(root: Path) -> str:
    from course_utils.commands import browsers

    return f"{browsers.find() or 'none found'} (only the tests need one)"


def threads(root: Path) -> str:
    from course_utils import devices

    if os.environ.get("OMP_WAIT_POLICY", "").upper() != "PASSIVE":
        raise Broken(
            "OMP_WAIT_POLICY isn't PASSIVE, which is slow: start with `python3 course.py`, or set it."
        )
    return devices.describe()["threads"]
