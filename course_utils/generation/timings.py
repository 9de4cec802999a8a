"""Which of several ways is the fastest on this machine: timed a few times, then remembered.

Which one it is differs from processor to processor, and the names of processors don't tell. So nothing is
assumed: the candidates are timed where they will run. Whatever disturbs only ever adds time. So the least
counts, of several rounds against what lasts milliseconds, of several occasions against what lasts longer,
such as a neighbour who shares the memory. And what was timed beside busy programs is not remembered: two
threads that wait for each other suffer more than one, so another way would win.
"""

import contextlib
import json
import math
import platform
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from time import perf_counter, thread_time

import torch

from course_utils.data import assets
from course_utils.files import write_atomic

Timings = dict[str, dict[str, float]]  # seconds by task and candidate; infinite where there is no such way
ROUNDS = 5
OCCASIONS = 3
UNDISTURBED = 0.5  # share of the time that the measuring thread must compute (it also waits for its peers)
TIE = 1.05


def timings(tasks: Sequence[str], candidates: Sequence[str], measure: Callable[[], Timings]) -> Timings:
    """The least seconds of each candidate for each task, as remembered from this machine. The first OCCASIONS
    times that a task is asked for, `measure` measures, too.

    They are kept in a file of the course's cache, by machine, number of threads and torch's version. What is
    damaged, or about other candidates, is forgotten. What is measured beside busy programs is returned if
    nothing else is known, and not kept; where the cache can't be written, nothing is kept either.
    """
    known, now = _remembered(), {}
    here = known.setdefault(machine(), {})
    here |= {task: _occasions(here.get(task), candidates) for task in tasks}
    if any(len(here[task]) < OCCASIONS for task in tasks):
        start, computed = perf_counter(), thread_time()
        now = measure()
        if thread_time() - computed >= UNDISTURBED * (perf_counter() - start):
            here |= {task: [*here[task], now[task]][-OCCASIONS:] for task in tasks}
            with contextlib.suppress(OSError):
                file().parent.mkdir(parents=True, exist_ok=True)
                write_atomic(file(), json.dumps(known, indent=1))
    return {
        task: {name: min(seconds[name] for seconds in here[task] or [now[task]]) for name in candidates}
        for task in tasks
    }


def time_in_turns(candidates: dict[str, list[tuple[str, Callable[[], object]]]]) -> Timings:
    """The mean seconds of a candidate's actions for a task; an action is a pair of its task and a function.

    A round runs all the actions of one candidate after the other, then those of the next. Of ROUNDS rounds
    each action's best counts. So actions should be short: beside eight busy programs, products of 0.1 ms were
    told apart rightly, and steps of 20 ms were not.
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
    """The first candidate that is the fastest, or nearly: the simpler ones come first."""
    return next(candidate for candidate, time in seconds.items() if time <= TIE * min(seconds.values()))


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


def _occasions(found: object, candidates: Sequence[str]) -> list[dict[str, float]]:
    """Those of what was found that are seconds of these candidates, in their order."""
    return [
        {name: seconds[name] for name in candidates}
        for seconds in (found if isinstance(found, list) else [])
        if isinstance(seconds, dict)
        and set(seconds) == set(candidates)
        and all(isinstance(x, float) and x >= 0 for x in seconds.values())
    ]
