"""Which of several ways is the fastest on this machine: timed once, then remembered.

Which one it is differs from processor to processor, and the names of processors don't tell. So nothing is
assumed: the candidates are timed where they will run.
"""

import contextlib
import json
import math
import platform
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from time import perf_counter

import torch

from course_utils.data import assets
from course_utils.files import write_atomic

Timings = dict[str, dict[str, float]]  # seconds by task and candidate; infinite where there is no such way
ROUNDS = 5


def timings(tasks: Sequence[str], candidates: Sequence[str], measure: Callable[[], Timings]) -> Timings:
    """The seconds of each candidate for each task: as remembered from this machine, or else by `measure`.

    They are kept in a file of the course's cache, by machine, number of threads and torch's version. What is
    missing there, damaged, or about other candidates is measured again. A cache that can't be written only
    means that next time it is measured anew.
    """
    known = _remembered()
    here = known.setdefault(machine(), {})
    if not all(_holds(here.get(task), candidates) for task in tasks):
        here |= measure()
        with contextlib.suppress(OSError):
            file().parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file(), json.dumps(known, indent=1))
    return {task: here[task] for task in tasks}


def time_in_turns(candidates: dict[str, list[tuple[str, Callable[[], object]]]]) -> Timings:
    """The mean seconds of a candidate's actions for a task; an action is a pair of its task and a function.

    A round runs all the actions of one candidate after the other, then those of the next. Of ROUNDS rounds
    each action's best counts: warming up and other programs only ever add time. So actions should be short:
    beside eight busy programs, products of 0.1 ms were told apart rightly, and steps of 20 ms were not.
    """
    best = {candidate: [math.inf] * len(actions) for candidate, actions in candidates.items()}
    for _ in range(ROUNDS):
        for candidate, actions in candidates.items():
            for i, (_, action) in enumerate(actions):
                start = perf_counter()
                action()
                best[candidate][i] = min(best[candidate][i], perf_counter() - start)
    seconds = defaultdict(lambda: {candidate: math.inf for candidate in candidates})
    for candidate, actions in candidates.items():
        for task in {task for task, _ in actions}:
            times = [time for (its, _), time in zip(actions, best[candidate], strict=True) if its == task]
            seconds[task][candidate] = mean(times)
    return dict(seconds)


def fastest(seconds: dict[str, float]) -> str:
    """The candidate that needs the fewest seconds; the first of equals."""
    return min(seconds, key=seconds.get)


def machine() -> str:
    """What the timings hold for."""
    name = platform.processor()
    with contextlib.suppress(OSError):  # only Linux has this file, and there the line above says little
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), name)
    return f"{platform.node()}, {name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def file() -> Path:
    return assets.cache() / "timings.json"


def _remembered() -> dict[str, Timings]:
    try:
        known = json.loads(file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and all(isinstance(x, dict) for x in known.values()) else {}


def _holds(seconds: object, candidates: Sequence[str]) -> bool:
    """Whether `seconds` is an entry about these candidates."""
    return (
        isinstance(seconds, dict)
        and set(seconds) == set(candidates)
        and all(isinstance(x, float) and x >= 0 for x in seconds.values())
    )
