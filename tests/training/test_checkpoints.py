"""A save is whole or not there, and a checkpoint with one wrong bit is refused."""

import itertools
import os
import pickle
import random
import signal
import time

import pytest
import torch
from safetensors import safe_open
from torch import nn

from course_utils import files
from course_utils.training import checkpoints
from course_utils.training.checkpoints import (
    load,
    load_into,
    save,
    save_model,
    without_first_weights,
)

KILLS = 100 if os.environ.get("COURSE_FULL") else 10
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can't fork")
TENSORS = {"weight": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(7), "empty": torch.zeros(0)}


# Tensors


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.safetensors"
    save(path, TENSORS, {"name": 'π "sha256":"', "steps": [1, 2.5, None]})
    return path


def test_tensors_and_notes_come_back_and_other_tools_can_read_them(path):
    tensors, notes = load(path)
    assert notes == {"name": 'π "sha256":"', "steps": [1, 2.5, None]}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(tensors[name], tensor) and tensors[name].dtype == tensor.dtype
    with safe_open(path, "pt") as file:
        assert torch.equal(file.get_tensor("weight"), TENSORS["weight"])


def test_equal_tensors_and_notes_make_equal_files(path):
    """safetensors alone writes its metadata in one order or another."""
    files = set()
    for _ in range(20):
        save(path, TENSORS, {"name": "π"})
        files.add(path.read_bytes())
    assert len(files) == 1


def test_every_flipped_bit_is_caught(path):
    data = path.read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"^run\.safetensors is (damaged|cut off)"):
            load(path)


def test_every_truncation_is_caught(path):
    data = path.read_bytes()
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=r"^run\.safetensors is cut off"):
            load(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(ValueError, match=r"^run\.safetensors is damaged"):
        load(path)


class Bomb:
    def __reduce__(self):
        return print, ("exploded",)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html><html>Not found</html>",
        pickle.dumps(Bomb()),
        (2**62).to_bytes(8, "little") + b"{}",
        b"\2\0\0\0\0\0\0\0{}",
        b"\2\0\0\0\0\0\0\0[]",
        b"\2\0\0\0\0\0\0\x0012",
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
    ],
    ids=["empty", "html", "pickle", "length", "no tensors", "list", "number", "deep"],
)
def test_other_files_are_refused_by_name(content, path, capsys):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^run\.safetensors is cut off, damaged, or no checkpoint"):
        load(path)
    assert capsys.readouterr().out == ""


def test_a_safetensors_file_without_a_digest_is_refused(path):
    from safetensors.torch import save_file

    save_file(TENSORS, path)
    with pytest.raises(ValueError, match="or no checkpoint of this course"):
        load(path)


def test_notes_must_be_json(path):
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save(path, TENSORS, {"what": {1, 2}})
    assert path.read_bytes() == before


# Models


class Tied(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.embedding, self.head = nn.Embedding(5, width), nn.Linear(width, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("seen", torch.zeros(2))
        self.register_buffer("mask", torch.ones(4), persistent=False)


def test_weights_come_back_and_stay_tied(tmp_path):
    path, model, other = tmp_path / "tied.safetensors", Tied(), Tied()
    model.seen += 4
    save_model(path, model, {"trained": True})
    assert load(path)[0].keys() == {"embedding.weight", "seen"}
    assert load_into(path, other) == {"trained": True}
    assert torch.equal(other.head.weight, model.embedding.weight) and torch.equal(other.seen, model.seen)
    assert other.head.weight is other.embedding.weight


def test_modules_built_without_first_weights_draw_no_random_number():
    torch.manual_seed(0)
    with without_first_weights():
        model = Tied()
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(0)))
    assert model.head.weight is model.embedding.weight and model.embedding.weight.shape == (5, 3)


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path):
    sizes, model = [], nn.Linear(200, 200)
    for half in (False, True):
        path = tmp_path / f"{half}.safetensors"
        save_model(path, model, {}, half=half)
        sizes.append(path.stat().st_size)
    other = nn.Linear(200, 200)
    load_into(path, other)
    assert 1.9 < sizes[0] / sizes[1] < 2.1 and other.weight.dtype == torch.float32
    torch.testing.assert_close(other.weight, model.weight, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "other, sentence",
    [
        (lambda: Tied(width=4), r"embedding\.weight has the shape \[5, 3\] there and \[5, 4\] in this Tied"),
        (lambda: nn.Linear(3, 5), r"weight has the shape missing there and \[5, 3\] in this Linear"),
        (lambda: nn.Embedding(5, 3), r"weight has the shape missing there"),
    ],
)
def test_another_models_weights_are_refused_and_change_nothing(other, sentence, tmp_path):
    path, model = tmp_path / "tied.safetensors", other()
    save_model(path, Tied(), {})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=rf"^tied\.safetensors holds another model's weights: {sentence}"):
        load_into(path, model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


# Kills


def in_a_child(action):
    """Run `action` in a fork of this process; returns its id."""
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        torch.set_num_threads(1)  # the threads of this process are not in its fork: it would wait for them
        try:
            action()
        finally:
            os._exit(1)
    return child


def saved_step(path):
    """The step of a checkpoint whose parts all belong together."""
    tensors, notes = load(path)
    assert all((tensor == notes["step"]).all() for tensor in tensors.values())
    return notes["step"]


def save_step(path, step):
    save(path, {f"layer {i}": torch.full((500, 500), float(step)) for i in range(4)}, {"step": step})


@FORKS
def test_a_save_killed_at_any_time_leaves_a_loadable_checkpoint(tmp_path):
    path, last, waits = tmp_path / "run.safetensors", 0, random.Random(0)
    save_step(path, 0)
    for _ in range(KILLS):
        steps = itertools.count(last + 1)
        child = in_a_child(lambda steps=steps: [save_step(path, step) for step in steps])
        time.sleep(waits.uniform(0.01, 0.1))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        before, last = last, saved_step(path)
        assert before <= last
    save_step(path, last + 1)
    for file in tmp_path.iterdir():
        os.utime(file, (0, 0))
    save_step(path, last + 2)
    assert list(tmp_path.iterdir()) == [path]  # nothing is left of the saves that were killed long ago


def test_what_another_kernel_is_writing_stays(tmp_path):
    path, old, young = (
        tmp_path / name for name in ("run.safetensors", ".run.safetensors.1.tmp", ".run.safetensors.2.tmp")
    )
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (0, 0))
    save_step(path, 0)
    assert sorted(tmp_path.iterdir()) == sorted([path, young])


@FORKS
@pytest.mark.parametrize("place, kept", [("half written", 0), ("fsync", 0), ("replace", 0), ("unlink", 1)])
def test_a_save_killed_at_each_step(place, kept, tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    save_step(path, 0)

    def kill(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    def killed_save():
        with monkeypatch.context() as patch:
            if place == "unlink":
                patch.setattr(files.Path, "unlink", kill)
            elif place == "half written":
                patch.setattr(files.os, "fsync", lambda file: (os.ftruncate(file, 5000), kill()))
            else:
                patch.setattr(files.os, place, kill)
            save_step(path, 1)

    child = in_a_child(killed_save)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert saved_step(path) == kept


@FORKS
def test_a_plain_write_would_not_survive(tmp_path, monkeypatch):
    path = tmp_path / "run.safetensors"
    save_step(path, 0)

    def plain(path, content):
        with path.open("wb", buffering=0) as file:
            file.write(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(checkpoints, "write_atomic", plain)
    os.waitpid(in_a_child(lambda: save_step(path, 1)), 0)
    with pytest.raises(ValueError, match="is cut off"):
        load(path)
