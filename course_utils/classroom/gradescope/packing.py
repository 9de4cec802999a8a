"""The autograder's zip: setup.sh, run_autograder, the grader, and of the class what grading needs.

After Gradescope's "Autograder Specifications" (gradescope-autograders.readthedocs.io/en/latest/specs/): the
archive is unpacked into /autograder/source, setup.sh runs once as root, and run_autograder runs for each
submission, in a container of its own.
"""

import io
import json
import shlex
import zipfile
from importlib import metadata
from pathlib import Path

from course_utils.classroom import places
from course_utils.classroom.assignments import Assignment, Private
from course_utils.classroom.gradescope.running import fault
from course_utils.classroom.overlay import EVERYONE, Overlay
from course_utils.files import write_atomic

NEEDS = ("numpy", "tqdm", "filelock")
PARTS = ("__init__.py", "files.py", "classroom", "learner")  # of course_utils
KINDS = (".py", ".md")
SETUP = """#!/bin/bash
# Gradescope runs this once, as root, when the autograder is built.
set -euo pipefail
apt-get update
apt-get install -y python3 python3-venv
python=python3
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    apt-get install -y python3.11 python3.11-venv
    python=python3.11
fi
"$python" -m venv /autograder/venv
/autograder/venv/bin/pip install {needs}
chmod -R go= /autograder/source
"""
RUN = """#!/bin/bash
# Gradescope copies this file into /autograder, and starts it there for each submission, as root.
here="$(cd "$(dirname "$0")" && pwd)"
chmod -R go= "$here/source"  # the references: no answer, which runs as another user, may read them
chmod 755 "$here/results"
printf '%s' {fault} > "$here/results/results.json"  # until the grader has written better ones
python="$here/venv/bin/python"
[ -x "$python" ] || python=python3
PYTHONPATH="$here/source/course" "$python" -B -m course_utils.classroom.gradescope.running "$here" {name}
"""


def pack(assignment: Assignment, overlay: Overlay) -> Path:
    """Write gradescope/NAME.zip into the overlay; return where it is. Raises ValueError if a reference is
    missing, or if nothing was released."""
    name = assignment.name
    overlay.questions(assignment, EVERYONE)  # is every reference there?
    students = {*overlay.roster(name), *[EVERYONE] * overlay.released(name, EVERYONE).exists()}
    if not students:
        raise ValueError(f"nobody has {name} yet: `release {name}` it, and then pack its autograder")
    private = [ask for ask in assignment.asks.values() if isinstance(ask, Private)]
    known = {
        student: {
            "seed": overlay.shown_seed(name, student),
            "own": {ask.name: overlay.own(name, student, ask) for ask in private},
        }
        for student in sorted(students)
    }
    needs = " ".join(f"{package}=={metadata.version(package)}" for package in NEEDS)
    files = {
        "setup.sh": SETUP.format(needs=needs),
        "run_autograder": RUN.format(name=name, fault=shlex.quote(fault(assignment))),
        # a secret of its own: the class's would give away the inputs of other assignments
        "class/secret.txt": overlay.signature("gradescope", name),
        "class/students.json": json.dumps(known),
        f"class/{name}.py": (overlay.folder / f"{name}.py").read_text("utf-8"),
        f"course/notebooks/assignments/{name}/{name}.ipynb": assignment.path.read_text("utf-8"),
        "course/course.py": "",  # these two say that this is the course's folder
        "course/pyproject.toml": "",
    }
    for part in PARTS:
        path = places.PACKAGE / part
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix in KINDS:
                files[f"course/{file.relative_to(places.PACKAGE.parent).as_posix()}"] = file.read_text(
                    "utf-8"
                )
    path = overlay.folder / "gradescope" / f"{name}.zip"
    path.parent.mkdir(exist_ok=True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, text in files.items():
            entry = zipfile.ZipInfo(inside)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if "/" not in inside else 0o644) << 16
            archive.writestr(entry, text)
    write_atomic(path, packed.getvalue())
    return path
