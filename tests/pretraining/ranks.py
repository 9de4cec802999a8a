"""What the ranks of a torchrun do in the tests: `ranks.py FOLDER KIND...` trains each kind and notes its
losses and what each rank read. A kind is "ddp" or "fsdp2", with "-muon" if that is the optimiser, in float32
or with "-bfloat16", with "-micro" if each computes three of its four rows at once, with "-same" if ranks read
the same rows (which is wrong), or with "-killed" if rank 1 is killed in its first life."""

import json
import os
import signal
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import distributed

from course_utils.gpt import GPT
from course_utils.pretraining import parallel
from course_utils.pretraining.model import llama_config
from course_utils.training import TrainConfig, optimisers
from course_utils.training.batches import Epochs

VOCAB, CONTEXT, ROWS, STEPS = 64, 16, 8, 12
CONFIG = TrainConfig(STEPS, 0.01, warmup_steps=2, evaluate_every=3)
MUON = replace(CONFIG, learning_rate=0.02, optimiser="muon")  # at the rate of the plans


def model():
    torch.manual_seed(0)
    return GPT(llama_config(vocab_size=VOCAB, context=CONTEXT, n_layers=2, n_heads=2, d_model=32))


def batches():
    tokens = np.random.default_rng(0).integers(VOCAB, size=4000)
    return Epochs(tokens, VOCAB, ROWS, CONTEXT)


@contextmanager
def settings(kind):
    """Those of a kind. In which precision Muon computes is the kind's choice, not the machine's."""
    with mock.patch.object(optimisers, "trains_in_bfloat16", lambda device: kind.endswith("-bfloat16")):
        yield MUON if "-muon" in kind else CONFIG


def main(folder: Path, kinds: list[str]) -> None:
    with parallel.ranks():
        for kind in kinds:
            train(folder, kind)


def train(folder: Path, kind: str) -> None:
    rank, rows, share = distributed.get_rank(), [], parallel.Share.next

    def watched(self):
        if kind.endswith("-same"):
            self.rank = 0
        batch = share(self)
        rows.extend(map(str, batch[0].tolist()))
        return batch

    def report(done):
        first_life = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
        if kind.endswith("-killed") and first_life and rank == 1 and done.step == 8:
            (folder / f"{kind}.killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    parallel.Share.next = watched
    how = {"sharded": kind.startswith("fsdp2"), "micro_batch": 3 if kind.endswith("-micro") else None}
    with settings(kind) as config:
        run = parallel.train_on_all(model(), batches(), config, folder / kind, report=report, **how)
    parallel.Share.next = share
    read = [None, None]
    distributed.all_gather_object(read, rows)
    if rank == 0:
        (folder / f"{kind}.json").write_text(json.dumps({"losses": run.losses, "read": read}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), sys.argv[2:])
