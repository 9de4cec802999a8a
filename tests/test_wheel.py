"""What `pip install llm-workbook` brings: the workbook outside a clone, in a folder of one's choice."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import venv
import zipfile
from pathlib import Path

import pytest
from answering import ask_until_it_answers

from course_utils.classroom import places

ROOT = Path(__file__).parent.parent
LISTED = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
FILES = subprocess.check_output(LISTED, cwd=ROOT, text=True).splitlines()
CLEAN = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, since a build leaves folders in its source."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    run("pip", "wheel", "--no-deps", "-w", folder, folder)
    return next(folder.glob("llm_workbook-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A fresh environment that has the wheel; the packages that it needs are found where we have them."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, symlinks=os.name != "nt")
    scripts = Path(sysconfig.get_path("scripts", "venv", vars={"base": folder}))
    run("pip", "--python", scripts / "python", "install", "--no-deps", wheel)
    own = sysconfig.get_path("purelib", "venv", vars={"base": folder})
    Path(own, "needed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return scripts


def run(module, *arguments):
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, capture_output=True, env=CLEAN)


def workbook(installed, folder, *arguments):
    return subprocess.run(
        [installed / "llm-workbook", *arguments], cwd=folder, env=CLEAN, capture_output=True, text=True
    )


def test_the_wheel_holds_what_the_clone_holds(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    inside = {name.partition("share/llm-workbook/")[2] for name in names} | {*names}
    wanted = [name for name in FILES if name.startswith(("notebooks/", "course_utils/"))]
    assert wanted and [name for name in wanted if name not in inside] == []
    assert not any(name.startswith(("tests", "benchmarks")) for name in names)


def test_its_package_and_not_that_of_the_clone_is_used(installed, tmp_path):
    asked = [installed / "python", "-c", "import course_utils; print(course_utils.__file__)"]
    found = subprocess.check_output(asked, env=CLEAN, cwd=tmp_path, text=True)
    assert Path(found).is_relative_to(installed.parent)


def test_chapters_are_found_and_work_lies_in_the_folder_of_ones_choice(installed, tmp_path):
    said = workbook(installed, tmp_path, "where")
    assert (said.returncode, said.stderr) == (0, "") and str(tmp_path / "my_work") in said.stdout
    said = workbook(installed, tmp_path, "reset", "1")
    assert said.returncode == 0, said.stderr
    copy = json.loads((tmp_path / "my_work" / "01_ngrams.ipynb").read_text(encoding="utf-8"))
    assert "BEGIN SOLUTION" not in json.dumps(copy)


def test_lab_opens_the_chapters_from_the_wheel(installed, tmp_path):
    settings = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("RUNTIME", "CONFIG", "DATA")}
    told = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    lab = [installed / "llm-workbook", "lab", "--no-browser"]
    with subprocess.Popen(lab, cwd=tmp_path, env=CLEAN | settings, **told) as server:
        watchdog = threading.Timer(60, server.kill)  # ends the reading below
        watchdog.start()
        try:
            found = (re.search(r"http://127\.0\.0\.1:\d+/lab\?token=\w+", line) for line in server.stderr)
            with ask_until_it_answers(next(filter(None, found))[0]) as answer:
                page, status = answer.read().decode(), answer.status
        finally:
            watchdog.cancel()
            server.terminate()
    assert status == 200 and str(tmp_path / "my_work") in page
    copies = {path.name for path in (tmp_path / "my_work").glob("*.ipynb")}
    assert copies == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}


@pytest.mark.parametrize("command", [["test"], ["bench", "ngrams"], ["refresh", "1"]])
def test_what_needs_a_clone_says_so(installed, tmp_path, command):
    said = workbook(installed, tmp_path, *command)
    assert said.returncode == 1 and "needs a clone of the repository" in said.stderr
    assert said.stderr.startswith("llm-workbook: ") and [*tmp_path.iterdir()] == []


def test_a_class_lies_beside_the_folder_of_the_work(installed, tmp_path):
    (tmp_path / "course").mkdir()
    said = workbook(installed, tmp_path / "course", "overlay", "new")
    assert said.returncode == 0, said.stderr
    assert (tmp_path / "course-class" / "secret.txt").exists()


def test_a_package_without_chapters_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(places, "PACKAGE", tmp_path / "course_utils")
    monkeypatch.setattr(places, "files", lambda name: [])
    with pytest.raises(ValueError, match="pip install llm-workbook"):
        places.notebooks()
