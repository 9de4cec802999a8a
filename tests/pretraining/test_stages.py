"""Stages end with the same model whatever happens on the way, and refuse what would spoil it."""

import errno
import hashlib
import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

from course_utils.files import write_atomic
from course_utils.pretraining import manifest, stages
from course_utils.pretraining.stages import Stage, run

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def toy(monkeypatch):
    """Stages that take a second, where a process can import them."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import toy_stages

    return toy_stages


def made(folder, toy, **settings):
    said = []
    run(folder, toy.PLAN, toy.STAGES, say=said.append, **settings)
    return said


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return tmp_path_factory.mktemp("first") / "model"


@pytest.fixture
def finished(first, toy, tmp_path):
    """A folder with a finished run, to be spoilt."""
    if not first.exists():
        made(first, toy)
    return Path(shutil.copytree(first, tmp_path / "model"))


def test_each_stage_is_noted_with_what_it_read_and_wrote(tmp_path, toy):
    said = made(tmp_path / "model", toy)
    record = manifest.load(tmp_path / "model")
    assert list(record.stages) == ["text", "tokens", "train"] and record.plan == toy.PLAN
    assert record.stages["text"].notes == {"words": 500} and record.stages["text"].reads == {}
    for name, stage in record.stages.items():
        for file, digest in stage.writes.items():
            assert manifest.sha256(tmp_path / "model" / file) == digest, name
    assert record.stages["train"].reads == record.stages["tokens"].writes
    assert not (tmp_path / "model" / "run.safetensors").exists()
    assert said[0] == "1 of 3, text ..." and said[-1].startswith("3 of 3, train: ")


def test_what_is_done_is_not_done_again(finished, toy):
    before = (finished / "model.safetensors").stat()
    assert made(finished, toy, resume=True) == [
        f"{i} of 3, {name}: done before" for i, name in enumerate(["text", "tokens", "train"], 1)
    ]
    assert (finished / "model.safetensors").stat().st_mtime_ns == before.st_mtime_ns


def test_a_file_that_changed_is_made_again_the_same(finished, toy):
    whole = (finished / "tokens.bin").read_bytes()
    (finished / "tokens.bin").write_bytes(whole[:-1] + b"x")
    said = made(finished, toy, resume=True)
    assert said[1] == "tokens.bin changed since the stage tokens wrote it: it is made again"
    assert (finished / "tokens.bin").read_bytes() == whole and said[-1] == "3 of 3, train: done before"


def test_a_stage_that_adds_to_what_a_kill_left_is_found_by_comparing_hashes(tmp_path):
    """The wrong variant: it doesn't write its file whole."""

    kills = [False, True, False]

    def careless(folder, say):
        with (folder / "log.txt").open("a") as file:
            file.write("half, ")
            if kills.pop(0):
                raise InterruptedError
            file.write("whole")

    for name in ("quiet", "killed", "killed"):
        with suppress(InterruptedError):
            run(tmp_path / name, {}, [Stage("log", careless, ("log.txt",))], resume=True, say=list)
    one, two = (manifest.load(tmp_path / name).stages["log"].writes for name in ("quiet", "killed"))
    assert one != two


def stage_that_takes(seconds, clock, ends=None, notes=None):
    def work(folder, say):
        clock.append(clock[-1] + seconds)
        if ends:
            raise ends
        write_atomic(folder / "x.txt", "x")
        return notes

    return [Stage("work", work, ("x.txt",))]


def test_a_stage_that_was_left_took_all_its_seconds(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(stages, "time", SimpleNamespace(monotonic=lambda: clock[-1]))
    for ends in (KeyboardInterrupt(), MemoryError()):
        with suppress(KeyboardInterrupt, MemoryError):
            run(tmp_path, {}, stage_that_takes(50, clock, ends), resume=True, say=list)
    said = []
    run(tmp_path, {}, stage_that_takes(7, clock), resume=True, say=said.append)
    assert manifest.load(tmp_path).stages["work"].seconds == 107 and said[-1] == "1 of 1, work: 107 s"
    (tmp_path / "x.txt").unlink()
    run(tmp_path, {}, stage_that_takes(7, clock), resume=True, say=list)  # from its beginning
    assert manifest.load(tmp_path).stages["work"].seconds == 7


def test_after_a_kill_training_itself_knows_its_seconds(tmp_path, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(stages, "time", SimpleNamespace(monotonic=lambda: clock[-1]))
    run(tmp_path, {}, stage_that_takes(7, clock, notes={"seconds": 90.5}), say=list)
    assert manifest.load(tmp_path).stages["work"].seconds == 90.5


# What would spoil it


def test_a_run_is_there_already(finished, toy):
    with pytest.raises(ValueError, match="holds a run of this plan, 3 of its stages done: go on with"):
        made(finished, toy)


def test_another_plan(finished, toy):
    with pytest.raises(ValueError, match=r"of another plan: steps=100 there, and steps=300 asked for"):
        run(finished, toy.PLAN | {"steps": 300}, toy.STAGES, resume=True, say=list)


def test_a_folder_of_something_else(tmp_path, toy):
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(ValueError, match=r"holds other things \(thesis.docx\): name an empty one"):
        made(tmp_path, toy)
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["thesis.docx"]


def test_two_runs_at_once(tmp_path, toy):
    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="another run is making a model"):
        made(tmp_path, toy)
    made(tmp_path, toy)


def test_a_disk_without_locks(tmp_path, toy, monkeypatch):
    def missing(lock, timeout):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(FileLock, "acquire", missing)
    with pytest.raises(ValueError, match=r"can't lock the folder .*: name one on another disk"):
        made(tmp_path, toy)


def test_a_full_disk(tmp_path, toy):
    def full(folder, say):
        raise OSError(errno.ENOSPC, "No space left on device")

    broken = [toy.STAGES[0], replace(toy.STAGES[1], run=full), toy.STAGES[2]]
    with pytest.raises(ValueError, match=r"the disk is full, with [\d,]+ MB left: free some"):
        run(tmp_path, toy.PLAN, broken, say=lambda _: None)
    assert made(tmp_path, toy, resume=True)[0] == "1 of 3, text: done before"


@pytest.mark.parametrize("saves", [0, 1])
def test_a_disk_that_is_full_when_the_manifest_is_written(saves, tmp_path, toy, monkeypatch):
    left = [manifest.write_atomic] * saves

    def write(path, content):
        if not left:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        left.pop()(path, content)

    monkeypatch.setattr(manifest, "write_atomic", write)
    with pytest.raises(ValueError, match=r"the disk is full, with [\d,]+ MB left: free some"):
        made(tmp_path, toy)


def test_a_folder_that_is_a_file_or_lies_in_one(tmp_path, toy):
    (tmp_path / "thesis.docx").touch()
    for folder in (tmp_path / "thesis.docx", tmp_path / "thesis.docx" / "model"):
        with pytest.raises(
            ValueError, match=r"can't write to the folder .*thesis.docx.* \(.+\): name another"
        ):
            made(folder, toy)


def test_an_error_that_is_no_full_disk_stays_itself(tmp_path):
    def denied(folder, say):
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(PermissionError):
        run(tmp_path, {}, [Stage("denied", denied, ("x",))], say=lambda _: None)


def test_a_damaged_manifest(finished, toy):
    for content in ("", "[]", "{}", (finished / "manifest.json").read_text()[:-20]):
        (finished / "manifest.json").write_text(content)
        with pytest.raises(ValueError, match=r"manifest.json in .* is damaged"):
            made(finished, toy, resume=True)


def test_other_threads_are_said(finished, toy, monkeypatch):
    here = stages._made_with()
    monkeypatch.setattr(stages, "_made_with", lambda: here | {"threads": 64})
    assert made(finished, toy, resume=True)[0].startswith("It was begun with threads 1: it goes on")
    assert json.loads((finished / "manifest.json").read_text())["made_with"]["threads"] == 1
    made(finished, toy, resume=True)


def test_a_stage_must_write_what_it_says(tmp_path):
    with pytest.raises(RuntimeError, match=r"should have written b.txt"):
        run(tmp_path, {}, [Stage("lazy", lambda folder, say: None, ("b.txt",))], say=lambda _: None)


def test_the_hash_of_a_folder_is_of_names_and_contents(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, name in ((one, "a.txt"), (two, "b.txt")):
        (folder / "in").mkdir(parents=True)
        (folder / "in" / name).write_text("x")
    assert manifest.sha256(one) != manifest.sha256(two)
    (two / "in" / "b.txt").rename(two / "in" / "a.txt")
    assert manifest.sha256(one) == manifest.sha256(two)
    (two / "in" / "a.txt").write_text("y")
    assert manifest.sha256(one) != manifest.sha256(two)


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no UTF-8")
def test_the_hash_of_a_folder_is_of_what_may_be_read(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("x")
    listed = f"{manifest.sha256(tmp_path / 'a.txt')}  a.txt\n"
    assert manifest.sha256(tmp_path) == hashlib.sha256(listed.encode()).hexdigest()
    (tmp_path / ".git").mkdir()
    for name in (".DS_Store", ".git/index", "locked.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link.txt").symlink_to(tmp_path / ".DS_Store")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "locked.txt")  # root may read all
    assert manifest.sha256(tmp_path) == hashlib.sha256(listed.encode()).hexdigest()
    (tmp_path / os.fsdecode(b"d\xe9j\xe0.txt")).touch()
    assert manifest.sha256(tmp_path) != hashlib.sha256(listed.encode()).hexdigest()
