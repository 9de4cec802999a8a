"""Runners for the sweep's tests: a curve for a model, some milliseconds for a training."""

import os
import time
from pathlib import Path


def run(size: str, tokens: int, seed: int, checkpoint: Path, pause: float = 0.0, count: str = "") -> dict:
    """A loss that the run's name decides. `count` names a folder that keeps a file for each start."""
    if count:
        Path(count, f"{size}-{tokens}-{seed}-{os.getpid()}-{time.time_ns()}").touch()
    time.sleep(pause)
    if size == "wild":
        raise ArithmeticError("step 3: the loss is nan")
    if size == "broken":
        raise RuntimeError("a mistake in the runner")
    n = int(size)
    read = tokens // 2 if size == "13" else tokens
    return {
        "n": n,
        "d": read,
        "flops": 6 * n * read,
        "loss": 1 + 10 / n**0.5 + 10 / tokens**0.5 + 0.001 * seed,
    }
