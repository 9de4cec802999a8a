"""The archives of deploy/README.md, on a folder in place of the machine: what was graded comes back whole."""

import re
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from course_utils.classroom.overlay import Overlay
from course_utils.commands import cli

README = (Path(__file__).parents[2] / "deploy" / "README.md").read_text("utf-8")
SECTION = README.split("\n## Backup, and an upgrade")[1].split("\n## ")[0]
GNU_TAR = shutil.which("tar") and b"GNU" in subprocess.check_output(["tar", "--version"])
pytestmark = pytest.mark.skipif(not GNU_TAR, reason="a hub's machine has GNU tar, this one has none")


def run(action, machine, backups):
    """The section's command of tar, with these folders for / and /srv/backup, and today's archive."""
    [command] = re.findall(rf"^tar --{action} .*", SECTION, re.MULTILINE)
    command = re.sub(r"/srv/backup/[\d-]+", f"/srv/backup/{date.today()}", command)
    command = command.replace("/srv/backup", str(backups)).replace("--directory /", f"--directory {machine}")
    subprocess.run(["sh", "-ec", command], check=True)


def exported(folder):
    cli.main(["export", "ngrams", "--format", "csv", "--overlay", str(folder)])
    return (folder / "export" / "ngrams-csv.csv").read_text("utf-8")


def test_what_was_graded_comes_back(room, tmp_path):
    machine, backups = tmp_path / "machine", tmp_path / "backups"
    backups.mkdir()
    room.release("ada")
    room.result("ada")
    folder = machine / "home" / "teacher" / "class"
    shutil.copytree(room.folder, folder)
    submitted = machine / "srv" / "llm-exchange" / "ada" / "llm" / "inbound" / "ngrams.ipynb"
    for file in (submitted, machine / "srv" / "llm-hub" / "hub.sqlite"):
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    submitted.parent.chmod(0o750)
    before = exported(folder)
    run("create", machine, backups)
    assert len([*backups.iterdir()]) == 1

    shutil.rmtree(machine)
    machine.mkdir()
    run("extract", machine, backups)
    assert exported(folder) == before and "ada" in before
    assert submitted.read_text() == "{}" and submitted.parent.stat().st_mode & 0o777 == 0o750
    kept = Overlay(folder)
    assert kept.seed("ada") == room.overlay.seed("ada")  # of the class's secret
    assert not kept.store().pending("ngrams", kept.store().round("ngrams"))
