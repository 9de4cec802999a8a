"""What a sandbox shows of this machine: Python, the packages and the parts of the course that are named."""

import re
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

import course_utils

ROOT = Path(course_utils.__file__).parents[1]
PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
COURSE, PACKAGES = "/course", "/packages"  # where they stand inside


def mounts(packages: tuple[str, ...], parts: tuple[str, ...]) -> list[str]:
    """Options of bubblewrap that mount, read-only, `packages` (numpy) and `parts` (course_utils.files).

    What is not named is not there: no import hook has to hide it. Raises ValueError for a part that does not
    exist, and PackageNotFoundError for a package.
    """
    options = []
    for folder in ("/usr/lib", "/usr/lib64", "/lib", "/lib64"):
        if Path(folder).is_symlink():
            options += ["--symlink", str(Path(folder).readlink()), folder]
        elif Path(folder).exists():
            options += ["--ro-bind", folder, folder]
    library = str(Path(sys.base_prefix, "lib"))
    options += ["--ro-bind", library, library, "--ro-bind", str(PYTHON), str(PYTHON)]
    for folder in _site_packages():
        options += ["--tmpfs", folder, "--remount-ro", folder]
    for path in _files_of(packages):
        options += ["--ro-bind", str(path), f"{PACKAGES}/{path.name}"]
    for part in parts:
        path = ROOT.joinpath(*part.split("."))
        path = path if path.is_dir() else path.with_suffix(".py")
        if not path.exists():
            raise ValueError(
                f"There is no module {part}: name parts of the course such as course_utils.ngrams."
            )
        options += ["--ro-bind", str(path), f"{COURSE}/{path.relative_to(ROOT)}"]
    return options


def _site_packages() -> set[str]:
    """Where Python's own packages would be seen beside those that are named."""
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    folders = {sysconfig.get_path(name, vars=base) for name in ("purelib", "platlib")}
    folders |= {"/usr/lib/python3/dist-packages"}
    return {folder for folder in folders if Path(folder).is_dir()}


def _files_of(packages: tuple[str, ...]) -> list[Path]:
    """The files and folders in site-packages that belong to these packages and to what they require."""
    todo, seen, paths = list(packages), set(), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in packages:
                raise
            continue  # required on other systems only
        entries = {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}
        paths |= {Path(found.locate_file(entry)) for entry in entries}
        todo += [re.match(r"[\w.-]+", line)[0] for line in found.requires or [] if "extra ==" not in line]
    return sorted(path for path in paths if path.exists())
