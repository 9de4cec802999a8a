"""Two processes train what one would have trained, share no data, and go on when one of them is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from course_utils.pretraining import parallel
from course_utils.training import checkpoints, train

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}  # the ranks are CPUs
FULL = os.environ.get("COURSE_FULL")
ONLY_FULL = pytest.mark.skipif(not FULL, reason="another torchrun: `course.py test --full` starts it")
NEAR = 1e-5  # nats, by which sums in another order may differ

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(sys.platform == "win32", reason="torchrun's gloo is not tested on Windows"),
]


@pytest.fixture(scope="module")
def toy():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        import ranks

        yield ranks


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Losses and rows of each kind of run; one torchrun for those that live, and one in which a rank dies."""
    folder = tmp_path_factory.mktemp("ranks")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    lives = ["ddp", "fsdp2", "ddp-micro", "fsdp2-micro", "ddp-same", "ddp-muon", "ddp-muon-bfloat16"]
    dies = ["ddp-killed", "fsdp2-killed"] if FULL else ["ddp-killed"]
    for restarts, kinds in [("0", lives), *(("1", [kind]) for kind in dies)]:
        command = [*torchrun, "--max-restarts", restarts, str(HERE / "ranks.py"), str(folder), *kinds]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
    return folder, {kind: json.loads((folder / f"{kind}.json").read_text()) for kind in [*lives, *dies]}


@pytest.fixture(scope="module")
def alone(toy):
    """Losses of the same run in one process, by kind; with `micro_batch` it adds in another order."""
    torch.set_num_threads(1)

    @cache
    def losses(kind, micro_batch=None):
        with toy.settings(kind) as config:
            return train(toy.model(), toy.batches(), config, micro_batch=micro_batch).losses

    return losses


def apart(losses, others):
    return max(abs(one - other) for one, other in zip(losses, others, strict=True))


@pytest.mark.parametrize("kind", ["ddp", "fsdp2", "ddp-micro", "fsdp2-micro", "ddp-muon"])
def test_two_processes_train_as_one(kind, trained, alone):
    assert apart(trained[1][kind]["losses"], alone("ddp-muon" if kind == "ddp-muon" else "ddp")) < NEAR


def test_muon_in_bfloat16_enlarges_roundings_in_two_processes_as_in_one(trained, alone):
    """So it is not DDP that takes them apart: one process that adds in another order is as far off."""
    kind = "ddp-muon-bfloat16"
    in_float32 = apart(trained[1]["ddp-muon"]["losses"], alone("ddp-muon"))
    for others in (trained[1][kind]["losses"], alone(kind, micro_batch=4)):
        assert 2 * in_float32 < apart(others, alone(kind)) < 100 * NEAR


def test_ranks_never_share_data(trained, toy):
    for kind in ("ddp", "fsdp2"):
        first, second = map(set, trained[1][kind]["read"])
        assert not first & second and len(first | second) == toy.ROWS * toy.STEPS


def test_ranks_that_read_the_same_are_found(trained, alone):
    """The wrong variant."""
    wrong = trained[1]["ddp-same"]
    first, second = map(set, wrong["read"])
    assert first & second
    assert apart(wrong["losses"], alone("ddp")) > 100 * NEAR


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp2", marks=ONLY_FULL)])
def test_a_rank_that_is_killed_costs_only_time(kind, trained):
    assert (trained[0] / f"{kind}-killed.killed").exists()
    assert trained[1][f"{kind}-killed"]["losses"] == trained[1][kind]["losses"]


@pytest.mark.skipif(not FULL, reason="four torchruns in turns of two: `course.py test --full` starts them")
@pytest.mark.parametrize("restarts, kinds", [(0, ["ddp", "fsdp2"]), (1, ["ddp-killed"])])
def test_two_machines_train_as_one_process(restarts, kinds, alone, tmp_path):
    """Each with a torchrun and a rank of its own; here they meet on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    torchrun += ["--master-addr", "127.0.0.1", "--master-port", str(port), "--max-restarts", str(restarts)]
    what = [str(HERE / "ranks.py"), str(tmp_path), *kinds]
    machines = [
        subprocess.Popen(
            [*torchrun, "--node-rank", number, *what], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
        )
        for number in "01"
    ]
    try:
        said = [machine.communicate(timeout=300)[1] for machine in machines]
    finally:
        for machine in machines:
            machine.terminate()
    assert [machine.returncode for machine in machines] == [0, 0], "".join(said)[-3000:]
    assert len([*tmp_path.glob("*.killed")]) == restarts
    for kind in kinds:
        found = json.loads((tmp_path / f"{kind}.json").read_text())
        assert apart(found["losses"], alone("ddp")) < NEAR
        first, second = map(set, found["read"])
        assert first and second and not first & second


def test_one_process_goes_on_with_the_file_of_two(trained, toy):
    model = toy.model()
    done = train(model, toy.batches(), toy.CONFIG, checkpoint=trained[0] / "ddp")
    assert done.losses == trained[1]["ddp"]["losses"]
    with pytest.raises(ValueError, match="holds a run with steps=12"):
        train(model, toy.batches(), replace(toy.CONFIG, steps=20), checkpoint=trained[0] / "ddp")


def test_shards_are_safetensors_and_nothing_is_pickled(trained, toy):
    folder = trained[0] / "fsdp2"
    latest = json.loads((folder / parallel.LATEST).read_text())
    files = sorted(path.name for path in (folder / latest["folder"]).iterdir())
    assert latest["folder"] == f"step-{toy.STEPS}" and len(files) == 2
    assert all(name.endswith(".safetensors") for name in files)
    assert [path.name for path in folder.iterdir() if path.is_dir()] == [latest["folder"]]
    whole = {name: tensor.shape for name, tensor in checkpoints.model_tensors(toy.model()).items()}
    for name in files:
        with safe_open(folder / latest["folder"] / name, "pt") as file:
            shard = file.get_slice("model.embedding.weight").get_shape()
        assert shard == [whole["embedding.weight"][0] // 2, whole["embedding.weight"][1]]


def test_a_batch_must_be_shared_evenly(toy):
    with pytest.raises(ValueError, match="a batch of 8 rows can't be shared evenly by 3 processes"):
        parallel.Share(toy.batches(), 0, 3)


def test_a_launch_that_fails_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(ValueError, match="pretraining on 2 processes failed: what they said stands above"):
        parallel.launch(tmp_path, 2, shard=False)


TELLS_HOW_IT_RUNS = """#!{python}
import json, os, pathlib, sys
how = {{"threads": os.environ["OMP_NUM_THREADS"], "safe path": sys.flags.safe_path}}
pathlib.Path("how.json").write_text(json.dumps(how))
"""


def stand_in(folder, script):
    """A program for Python itself, which starts torchrun."""
    path = folder / "torchrun"
    path.write_text(script.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("processes, each", [(2, "4"), (16, "1")])
def test_ranks_share_the_threads_and_import_nothing_from_where_they_run(
    processes, each, monkeypatch, tmp_path
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(sys, "executable", stand_in(tmp_path, TELLS_HOW_IT_RUNS))
    monkeypatch.chdir(tmp_path)
    parallel.launch(tmp_path, processes, shard=False)
    assert json.loads((tmp_path / "how.json").read_text()) == {"threads": each, "safe path": True}


SLOW_TO_STOP = """#!{python}
import pathlib, signal, time
stop = []
signal.signal(signal.SIGINT, lambda *_: stop.append(1))
pathlib.Path("ready").touch()
while not stop:
    time.sleep(0.01)
time.sleep(1)  # as ranks that save
pathlib.Path("saved").touch()
"""


def test_ctrl_c_waits_until_all_ranks_have_saved(tmp_path):
    code = f"""
import signal, sys
from course_utils.pretraining import parallel
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
sys.executable = {stand_in(tmp_path, SLOW_TO_STOP)!r}
parallel.launch("folder", 2, False)
"""
    launched = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=ENVIRONMENT,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "ready").exists():
        assert launched.poll() is None, launched.communicate()[1]
        time.sleep(0.05)
    os.killpg(launched.pid, signal.SIGINT)  # as a terminal does
    assert launched.communicate()[1].rstrip().endswith("KeyboardInterrupt")
    assert (tmp_path / "saved").exists()


def test_ranks_end_with_a_launch_that_is_killed(tmp_path):
    """They would train on beside those of the next launch, and both save to the same files."""
    pipe = tmp_path / "manifest.json"  # as nobody writes to it, a rank that reads it works for ever
    os.mkfifo(pipe)
    code = "import sys; from course_utils.pretraining import parallel; parallel.launch(sys.argv[1], 1, False)"
    launched = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (rank := _writer(pipe)):
        if time.monotonic() > deadline:
            launched.kill()
        assert launched.poll() is None, launched.communicate(timeout=60)[1]
        time.sleep(0.05)
    launched.kill()
    try:
        launched.communicate(timeout=60)  # until torchrun and its rank have let go of stderr too
    finally:
        pipe.unlink()  # a rank that is left reads nothing, and those after it find no manifest
        os.close(rank)


def _writer(pipe):
    """A descriptor to write to a pipe; None if nobody reads it."""
    with suppress(OSError):
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)


def test_muon_needs_whole_matrices(toy, monkeypatch, tmp_path):
    monkeypatch.setattr(parallel.distributed, "get_rank", lambda: 0)
    monkeypatch.setattr(parallel.distributed, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match="muon needs them whole: take adamw, or DDP"):
        config = replace(toy.CONFIG, optimiser="muon")
        parallel.train_on_all(toy.model(), toy.batches(), config, tmp_path / "run", sharded=True)
