"""What a model was made of: for each stage the sha256 of all that it read and wrote.

The manifest stands as manifest.json in the model's folder, from the first stage on. It is what a resumed run
trusts: a stage is done if its record says so and the files still have the hashes that it says.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.files import write_atomic
from course_utils.pretraining import documents

NAME = "manifest.json"


@dataclass
class Record:
    """One stage: files by name with their sha256 as it read and wrote them, seconds that it took, however
    often it was stopped, threads of the process that ended it (None in older manifests), and what it noted.
    """

    reads: dict[str, str]
    writes: dict[str, str]
    seconds: float
    notes: dict = field(default_factory=dict)
    threads: int | None = None


@dataclass
class Manifest:
    """plan: what was asked for. made_with: versions and threads. stages: records, in the order of making.
    spent: seconds of stages that were begun and left, until they are done."""

    plan: dict
    made_with: dict
    stages: dict[str, Record] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        content = {"plan": self.plan, "made_with": self.made_with}
        if self.spent:
            content["spent"] = self.spent
        content["stages"] = {name: vars(record) for name, record in self.stages.items()}
        write_atomic(folder / NAME, json.dumps(content, indent=1) + "\n")


def load(folder: Path) -> Manifest:
    """The manifest of a folder. Raises ValueError for a damaged one; FileNotFoundError if there is none."""
    try:
        content = json.loads((folder / NAME).read_bytes())
        stages = {name: Record(**record) for name, record in content.pop("stages").items()}
        return Manifest(**content, stages=stages)
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise ValueError(
            f"{NAME} in {folder.name} is damaged or no manifest of this course ({error}): delete the folder, "
            "or make the model in another"
        ) from None


def sha256(path: Path) -> str:
    """The sha256 of a file, read piece by piece; of a folder, that of the list of its files with theirs, as
    sha256sum prints it, in the order of their names. Files that `documents.from_folder` passes over, as they
    are hidden, links or not to be read, don't count."""
    if path.is_dir():
        files = sorted(documents.files_below(path, tell=lambda said: None))
        seen = [file for file in files if os.access(file, os.R_OK)]
        lines = [f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in seen]
        return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hashes(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    """The sha256 of these files of a folder, "missing" of one that isn't there."""
    return {name: sha256(folder / name) if (folder / name).exists() else "missing" for name in names}
