"""`course.py bundle`: what goes into the folder, and what is refused."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from standin import make_project, make_wheel

from course_utils.commands import bundling
from course_utils.data import assets

ROOT = Path(__file__).parent.parent
ENTRY = """
[sample]
package = "sample"
version = "1"
wheel = "sample-1.whl"
wheel_sha256 = ""
wheel_bytes = 1
inside = "."
files = "text.txt"
sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
bytes = 5
licence = ""
what_for = ""
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A stand-in for the clone, its packages in a folder, and one asset in the cache."""
    wheels = tmp_path / "index"
    for name in ("tiny_one", "torch", "setuptools", "uv"):
        make_wheel(wheels, name, {f"{name}.py": b""})
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(wheels), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setattr(bundling.importlib.metadata, "distributions", list)
    (tmp_path / "assets.toml").write_text(ENTRY)
    monkeypatch.setattr(assets, "MANIFEST", tmp_path / "assets.toml")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "sample").mkdir(parents=True)
    (tmp_path / "cache" / "sample" / "text.txt").write_text("hello")
    root = make_project(tmp_path / "course")
    for left_out in (".git/config", ".venv/bin/python", "my_work/mine.ipynb", "submissions/ada.ipynb"):
        (root / left_out).parent.mkdir(parents=True)
        (root / left_out).write_text("CANARY")
    for left_out in ("roster.csv", "ada.zip"):
        (root / left_out).write_text("CANARY")
    (root / "course_utils" / "classroom" / "book").mkdir(parents=True)
    (root / "course_utils" / "classroom" / "book" / "plan.md").write_text("a plan")
    return root


def test_a_bundle_holds_course_wheels_and_hashes(root, tmp_path):
    bundling.make(root, tmp_path / "stick")
    manifest = json.loads((tmp_path / "stick" / "bundle.json").read_text())
    assert manifest["machine"][0] == sys.platform and manifest["machine"][2].startswith("Python 3.")
    wheels = {name.split("/")[1].split("-")[0] for name in manifest["files"] if name.startswith("wheels/")}
    assert wheels == {"tiny_one", "torch", "uv", "setuptools"}
    assert {"course/course.py", "course/course_utils/classroom/book/plan.md"} <= {*manifest["files"]}
    assert (tmp_path / "stick" / "assets" / "sample" / "text.txt").read_text() == "hello"
    for file in (tmp_path / "stick").rglob("*"):
        assert not file.is_file() or b"CANARY" not in file.read_bytes()
    (tmp_path / "stick" / ".DS_Store").touch()  # macOS was here
    bundling.make(root, tmp_path / "stick")
    (tmp_path / "stick" / "holiday.jpg").touch()
    with pytest.raises(ValueError, match=r"holds holiday.jpg"):
        bundling.make(root, tmp_path / "stick")


def test_what_a_bundle_takes_is_the_whole_course():
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this is no git repository")
    tops = {name.split("/")[0] for name in done.stdout.splitlines()}
    assert {*bundling.COURSE} == {name for name in tops if not name.startswith(".")}


def test_a_bundle_is_no_part_of_the_course(root):
    for folder in (root / "bundle", root.parent):  # in the latter `course` is the course itself
        with pytest.raises(ValueError, match="inside the course, which goes into the bundle, or holds it"):
            bundling.make(root, folder)
    assert (root / "my_work" / "mine.ipynb").read_text() == "CANARY"


def test_what_somebody_laid_into_the_bundles_course_is_not_deleted(root, tmp_path):
    bundling.make(root, tmp_path / "stick")
    (tmp_path / "stick" / "course" / "__pycache__").mkdir()
    bundling.make(root, tmp_path / "stick")
    mine = tmp_path / "stick" / "course" / "my_work" / "mine.ipynb"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(ValueError, match="holds my_work, which is no part of a bundle and would be lost"):
        bundling.make(root, tmp_path / "stick")
    assert mine.read_text() == "mine"


def test_a_package_that_cannot_be_had_is_named(root, tmp_path):
    (tmp_path / "index" / "tiny_one-1-py3-none-any.whl").unlink()
    with pytest.raises(ValueError, match=r"No matching distribution found for tiny-one"):
        bundling.make(root, tmp_path / "stick")
    assert not (tmp_path / "stick" / "bundle.json").exists()


def test_an_asset_that_is_not_in_the_cache_ends_it(root, tmp_path):
    (tmp_path / "cache" / "sample" / "text.txt").unlink()
    with pytest.raises(assets.DamagedError, match=r"asset sample is missing .*assets.fetch"):
        bundling.make(root, tmp_path / "stick")
    assert not (tmp_path / "stick" / "bundle.json").exists()


def test_a_full_disk_is_a_sentence(root, tmp_path, monkeypatch):
    def full(*arguments, **settings):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ValueError, match=r"No space left.*half made: make room.*goes on"):
        bundling.make(root, tmp_path / "stick")
    assert not (tmp_path / "stick" / "bundle.json").exists()


@pytest.mark.parametrize(
    "output, said",
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("WARNING: Retrying after connection broken by 'NewConnectionError'", "where there is internet"),
        ("Looking\nERROR: something else\n", "ERROR: something else"),
        ("ERROR: No matching distribution found for torch==2.13.0+cpu", "PIP_EXTRA_INDEX_URL"),
    ],
)
def test_what_pip_says_becomes_a_sentence(output, said):
    assert said in bundling._explained(output)


@pytest.fixture
def sample(tmp_path, monkeypatch):
    """A manifest of one asset, whose text is `hello`, in a bundle."""
    (tmp_path / "assets.toml").write_text(ENTRY)
    monkeypatch.setattr(assets, "MANIFEST", tmp_path / "assets.toml")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "stick" / "sample").mkdir(parents=True)
    (tmp_path / "stick" / "sample" / "text.txt").write_text("hello")
    return tmp_path / "stick"


def test_an_asset_is_taken_from_a_bundle(sample):
    assets.take(sample)
    assert assets.verify("sample").read_text() == "hello"
    shutil.rmtree(sample)
    assets.take(sample)  # a bundle without it, and nothing is missing
    assert assets.missing() == []


def test_what_macos_lays_beside_a_file_is_no_part_of_an_asset(sample):
    """Also of one whose files a pattern names."""
    manifest, digest = sample.parent / "assets.toml", hashlib.sha256(b"hello").hexdigest()
    listing = hashlib.sha256(f"{digest}  text.txt\n".encode()).hexdigest()
    manifest.write_text(ENTRY.replace("text.txt", "*.txt").replace(digest, listing))
    (sample / "sample" / "._text.txt").write_bytes(b"\0\5\x16\7")
    assets.take(sample)
    assert [file.name for file in assets.verify("sample").glob("*.txt")] == ["text.txt"]
    (assets.cache() / "sample" / "._text.txt").touch()
    assets.verify("sample")


def test_an_asset_of_a_folder_that_is_read_only_is_taken_alone(sample):
    """Without its mode: whoever isn't root can't move a folder that is read-only."""
    (sample / "sample" / "._text.txt").touch()  # as macOS leaves them on a stick
    (sample / "sample").chmod(0o555)
    assets.take(sample)
    folder = assets.cache() / "sample"
    assert folder.stat().st_mode & 0o200
    assert {file.name for file in folder.iterdir()} == {"text.txt", assets.RECORD}


def test_a_damaged_asset_is_refused_and_named(sample):
    (sample / "sample" / "text.txt").write_text("hallo")
    with pytest.raises(assets.DamagedError, match=r"asset sample in .* is damaged: copy the bundle again"):
        assets.take(sample)
    assert [asset.name for asset in assets.missing()] == ["sample"]


IN_THE_ROOM = """
import re, subprocess, sys, urllib.request
stick, python = sys.argv[1:]
lab = [sys.executable, "course.py", "lab", "--from", stick, "--no-browser"]
with subprocess.Popen(lab, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
    try:
        for line in server.stdout:
            print(line, end="", flush=True)
            if found := re.search(r"(http://127[^/]+)/lab.token=(\\w+)", line):
                break
        asked = f"{found[1]}/api/contents?token={found[2]}"
        assert b"01_ngrams.ipynb" in urllib.request.urlopen(asked).read()
    finally:
        server.terminate()
words = "from course_utils.data import corpora; import torch; print(len(corpora.shakespeare().test))"
print(subprocess.check_output([python, "-c", words], text=True))
"""


@pytest.mark.skipif(
    not os.environ.get("COURSE_FULL"), reason="minutes and 850 MB; `course.py test --full` runs it"
)
@pytest.mark.skipif(not shutil.which("bwrap"), reason="bubblewrap takes the network away")
def test_the_whole_course_opens_where_there_is_no_network(tmp_path):
    stick, room = tmp_path / "a stick", tmp_path / "room"
    bundle = [sys.executable, "-P", "-m", "course_utils.commands.cli", "bundle", stick]
    subprocess.run(bundle, check=True, cwd=tmp_path)
    shutil.copytree(stick / "course", room / "course")
    settings = {"HOME": str(room), "PATH": os.environ["PATH"]}  # no cache, no configuration of ours
    jail = ["bwrap", "--dev-bind", "/", "/", "--unshare-net", "--die-with-parent", "--clearenv"]
    jail += [word for pair in settings.items() for word in ("--setenv", *pair)]
    python = room / "course" / ".venv" / "bin" / "python"
    inside = [*jail, sys.executable, "-c", IN_THE_ROOM, stick, python]
    done = subprocess.run(inside, cwd=room / "course", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"all comes from {stick}" in done.stdout
