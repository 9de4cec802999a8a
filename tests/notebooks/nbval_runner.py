"""How a notebook is run and compared: strict nbval, in a process of its own, one notebook at a time."""

import os
import subprocess
import sys
from pathlib import Path

from course_utils.classroom.outputs import CELL_SECONDS, QUIET_THREADS

HERE = Path(__file__).parent
SANITISE = HERE / "sanitise.cfg"
CHAPTERS = sorted((HERE.parents[1] / "notebooks").glob("*.ipynb"))


def nbval(notebook: Path) -> subprocess.CompletedProcess:
    """Run a notebook in its own folder and compare every output; the kernel is this environment's."""
    command = [sys.executable, "-m", "pytest", notebook.name, "--nbval", "--nbval-current-env"]
    command += [f"--nbval-sanitize-with={SANITISE}", f"--nbval-cell-timeout={CELL_SECONDS}"]
    command += ["-p", "nbval_watchdog", "-p", "nbval.plugin", "-p", "no:cacheprovider"]
    command += [f"--rootdir={notebook.parent}"]
    command += ["-rA", "--color=no"]
    # nbval reads its files in the platform's encoding; UTF-8 mode makes that UTF-8 everywhere.
    path = os.pathsep.join([str(HERE), os.environ["PYTHONPATH"]])
    environment = os.environ | QUIET_THREADS | {"PYTHONPATH": path, "PYTHONUTF8": "1"}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # no notebook needs the others
    return subprocess.run(
        command, cwd=notebook.parent, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
