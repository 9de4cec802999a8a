"""bundle.json: what `course.py bundle` notes of a bundle, and what `course.py lab --from` compares.

setting_up imports this before anything is installed: standard library only.
"""

import hashlib
import json
import platform
import sys
from pathlib import Path

NAME = "bundle.json"


def this_machine() -> list[str]:
    """What the wheels of a bundle depend on."""
    return [sys.platform, platform.machine(), "Python {}.{}".format(*sys.version_info[:2])]


def size_and_sha256(path: Path) -> list:
    """What is noted of each file, in bytes and hexadecimal digits."""
    with path.open("rb") as file:
        return [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]


def whole_wheels(bundle: Path) -> Path:
    """The folder of a bundle's wheels, each of which was compared, byte for byte. Raises ValueError for what
    is no whole bundle, and for one that was made for another kind of machine."""
    try:
        manifest = json.loads((bundle / NAME).read_text(encoding="utf-8"))
        made_for, files = manifest["machine"], manifest["files"]
        wheels = {name: noted for name, noted in files.items() if name.startswith("wheels/")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f"{bundle} holds no whole bundle (its {NAME} is missing or damaged): `python3 course.py bundle "
            "FOLDER`, where there is internet, makes one, or ends one that was half made."
        ) from None
    if made_for != this_machine():
        raise ValueError(
            "{} was made for {}, and this is {}: make one on a machine like this one, or start course.py "
            "with that Python.".format(bundle, *map(", ".join, (made_for, this_machine())))
        )
    for name, noted in wheels.items():
        if not (bundle / name).is_file() or size_and_sha256(bundle / name) != noted:
            raise ValueError(
                f"{name} in {bundle} is missing or damaged: copy the bundle again, then run the same command."
            )
    there = [path.name for path in (bundle / "wheels").iterdir()]
    # macOS lays a hidden file beside each that it writes to a USB stick
    strange = {f"wheels/{name}" for name in there if not name.startswith(".")} - {*wheels}
    if strange:
        raise ValueError(
            f"{min(strange)} in {bundle} is not in its {NAME}: remove it, or copy the bundle again."
        )
    return bundle / "wheels"
