"""A run that is killed twenty times, in all its long stages, ends with the model of one that wasn't."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from course_utils.pretraining import manifest

KILLS = {"documents": 2, "tokenizer": 4, "pretrain": 6, "tune": 4, "prefer": 2, "scores": 2}
KILLED = -signal.SIGKILL if os.name == "posix" else 1
BEGINS = re.compile(r"\d+ of 10, (\w+) \.\.\.$")
COMPARED = (
    *("tokens.bin", "vocabulary.json", "base/model.safetensors", "chat/model.safetensors"),
    *("choices.json", "model.safetensors", "scores.json"),
)


def only_if(variable, reason):
    return pytest.mark.skipif(not os.environ.get(variable), reason=reason)


@pytest.fixture(scope="module")
def tiny():
    """The machine at a size that takes seconds, where a process can import it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        import tiny_machine

        yield tiny_machine


@pytest.fixture
def making(request, tmp_path, tiny):
    """The command that makes a model of this plan in a folder, or goes on with it."""
    if request.param == "tiny":
        texts = tiny.write_texts(tmp_path / "texts")
        return lambda folder: [tiny.__file__, str(folder), str(texts)]
    asked = ["-m", "course_utils.commands.cli", "make", "--plan", request.param, "--resume", "--folder"]
    return lambda folder: [*asked, str(folder)]


def run(command, folder, stage=None, share=0.0, took=None):
    """Its exit status, and the stage that it was in at its end. With `stage`, it is killed when that share of
    the seconds that this stage took has passed, or, if it is done sooner, of the next one's."""
    timer, at = None, ""
    command = [sys.executable, *command]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if found := BEGINS.match(line):
                at = found[1]
                if timer:
                    timer.cancel()
                if stage and [*took].index(at) >= [*took].index(stage):
                    timer = threading.Timer(share * took[at], process.kill)
                    timer.start()
    if timer:
        timer.cancel()
    return process.returncode, at


def hashes(folder):
    stages = manifest.load(folder).stages.values()
    written = {name: digest for stage in stages for name, digest in stage.writes.items()}
    return {name: written[name] for name in COMPARED}


@pytest.mark.parametrize(
    "making",
    [
        pytest.param("tiny", marks=only_if("COURSE_FULL", "minutes: `course.py test --full` runs it")),
        pytest.param("laptop", marks=only_if("COURSE_LAPTOP", "some 20 minutes: COURSE_LAPTOP=1 runs it")),
    ],
    indirect=True,
)
def test_twenty_kills_leave_the_model_as_it_is(making, tmp_path):
    """Of n kills each comes, in the mean, after an nth or so of its stage: the last may find it done."""
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    assert run(making(alone), tmp_path)[0] == 0
    took = {name: stage.seconds for name, stage in manifest.load(alone).stages.items()}
    draws, fell = random.Random(0), []
    for stage, times in KILLS.items():
        for _ in range(times):
            share = draws.uniform(0, min(2 / times, 0.9))
            status, at = run(making(killed), tmp_path, stage, share, took)
            assert status == KILLED, f"it ended by itself, with {status}, after the kills in {fell}"
            fell.append(at)
            print(f"kill {len(fell)}: in {at}, after {share:.0%} of its {took[at]} s", flush=True)
    assert run(making(killed), tmp_path)[0] == 0
    print(f"in each stage: {[(stage, fell.count(stage)) for stage in took]}; {hashes(killed)}")
    assert {*KILLS} <= {*fell}
    assert hashes(killed) == hashes(alone)
