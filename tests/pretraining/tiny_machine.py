"""The whole machine with a plan, texts and questions so small that it takes seconds."""

import os
import signal
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from course_utils.pretraining import documents, evaluate, filters, machine, tune
from course_utils.pretraining.filters.quality import quality
from course_utils.pretraining.plans import Plan
from course_utils.scaling import Law

LAW = Law(A=14.3, B=113.1, E=1.2, alpha=0.34, beta=0.44)
LANGUAGE = {"language": lambda document: "nobody asked for this one"}
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # which on Windows ends a process as suddenly
PLAN = Plan("tiny", 3e9, (280, 300), 1e9, context=128, batch=4, tune_steps=3, tune_batch=2, prefer_steps=2)


def write_texts(folder, n=60):
    """Small texts of few words, so that a few steps learn something."""
    draws = np.random.default_rng(0)
    folder.mkdir()
    for number in range(n):
        words = draws.choice(
            ["the", "rain", "fell", "on", "a", "quiet", "house", "and", "nobody", "came"], 150
        )
        lines = [" ".join(words[i : i + 10]).capitalize() + "." for i in range(0, 150, 10)]
        (folder / f"{number:02}.txt").write_text("\n".join(lines) + "\n")
    return folder


@contextmanager
def small():
    """Of each kind of question few, and short ones."""
    with pytest.MonkeyPatch.context() as patch:
        real, later = evaluate.fixed, evaluate.fresh()

        def few(own="", seed=0):
            asked = real(own, seed)
            asked["texts"] = {name: text[:600] for name, text in asked["texts"].items()}
            asked["validation"], asked["choices"] = asked["validation"][:600], asked["choices"][::60]
            asked["problems"] = {name: prompts[:2] for name, prompts in asked["problems"].items()}
            return asked | {"prompts": asked["prompts"][:2]}

        def few_fresh():
            problems = {name: prompts[:2] for name, prompts in later["problems"].items()}
            return {"problems": problems, "prompts": later["prompts"][:2]}

        patch.setattr(evaluate, "fixed", few)
        patch.setattr(evaluate, "fresh", few_fresh)
        patch.setattr(documents, "held_out", lambda: iter([]))  # megabytes of them
        patch.setattr(
            filters,
            "standard",
            lambda asked: LANGUAGE | {"quality": quality, "contamination": filters.Contamination(asked)},
        )
        patch.setattr(evaluate, "ANSWER_TOKENS", 8)
        for name, few_of_them in {"ASKED": 2, "VALIDATED": 2}.items():
            patch.setattr(tune, name, few_of_them)
        patch.setattr(tune, "PROBLEMS", dict.fromkeys(tune.PROBLEMS, 20))
        yield


def make(folder: str, texts: str, sentence: int = 0, seconds: float = 0, tell=list) -> None:
    """What a killed process runs: so many seconds after so many sentences, it is."""
    torch.set_num_threads(1)
    said = []

    def say(line: str) -> None:
        said.append(line)
        tell(line)
        if len(said) == sentence:
            threading.Timer(seconds, os.kill, (os.getpid(), KILL)).start()

    with small():
        machine.make(PLAN, Path(folder), LAW, Path(texts), resume=True, say=say, device="cpu")


if __name__ == "__main__":
    make(*sys.argv[1:], tell=partial(print, flush=True))
