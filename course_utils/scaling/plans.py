"""A plan of runs, and the log of those that are done.

A plan is a TOML file:

    runner = "course_utils.weights.scaling_recipe:run"
    log = "scaling_runs.jsonl"

    [[runs]]
    seeds = [0, 1, 2]
    tokens = { 16x1 = 90_112, 16x2 = 61_440 }

A run is a size, a number of tokens and a seed, and known by these. What else stands in a table of the plan is
an option for all its runs, and part of what they are known by. The log has a line of JSON for each run that
came to an end, in the order in which they did. A line is written whole or, if the machine stops just then,
cut off; what is cut off is named by `read_log` and run again by `sweep`.
"""

import hashlib
import json
import math
import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock


@dataclass(frozen=True)
class PlannedRun:
    """A size by its name, the tokens to read, a seed, and options as (name, value)."""

    size: str
    tokens: int
    seed: int
    options: tuple[tuple[str, object], ...] = ()

    @property
    def name(self) -> str:
        """Fit for a file, and different for different runs."""
        rest = "".join(f"-{key}={value}" for key, value in self.options)
        return f"{self.size}-{self.tokens}-{self.seed}{rest}".replace("/", "_")


@dataclass(frozen=True)
class Plan:
    """Who trains, where it is logged, and the runs in their order."""

    runner: str
    log: Path
    runs: tuple[PlannedRun, ...]

    @property
    def sha256(self) -> str:
        """Of what is to be run, whatever the file looks like."""
        said = [self.runner, [[run.size, run.tokens, run.seed, run.options] for run in self.runs]]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def read_plan(path: str | Path) -> Plan:
    """Read a plan. Raises ValueError for one that is no TOML, lacks something, is empty or names a run twice;
    FileNotFoundError if there is none."""
    path = Path(path)
    try:
        plan = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is no TOML: {error}") from None
    for name in ("runner", "log"):
        if not isinstance(plan.get(name), str):
            raise ValueError(f'{path.name} needs a line `{name} = "..."`; `scaling.plans` shows a plan')
    tables = plan.get("runs", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ValueError(f"the runs of {path.name} are tables: write [[runs]], with two brackets")
    runs = [run for table in tables for run in _runs(table, path.name)]
    if not runs:
        raise ValueError(f"{path.name} is empty: it needs a table [[runs]] with seeds and tokens by size")
    names = [run.name for run in runs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{path.name} names a run more than once: {', '.join(twice)}")
    return Plan(plan["runner"], path.parent / plan["log"], tuple(runs))


def _runs(table: dict, file: str) -> list[PlannedRun]:
    seeds, tokens = table.get("seeds"), table.get("tokens")
    options = tuple(sorted((key, value) for key, value in table.items() if key not in ("seeds", "tokens")))
    whole = isinstance(seeds, list) and isinstance(tokens, dict) and tokens and [*seeds, *tokens.values()]
    if not whole or not all(type(number) is int for number in whole) or min(tokens.values()) < 1:
        raise ValueError(
            f"a table [[runs]] of {file} needs seeds, such as [0, 1], and tokens by size, such as "
            f"{{ 16x2 = 61_440 }}, whole numbers above 0; got seeds = {seeds!r} and tokens = {tokens!r}"
        )
    return [PlannedRun(size, d, seed, options) for size, d in tokens.items() for seed in seeds]


@dataclass
class Log:
    """The lines of a log, one a run, and a sentence for each thing that is wrong with it."""

    lines: list[dict] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {line["run"] for line in self.lines}


def read_log(path: str | Path) -> Log:
    """Read a log; one that isn't there is empty. A line that is cut off, or of a run that has one already, is
    left out and named."""
    log, path, names = Log(), Path(path), set()
    for number, text in enumerate(path.read_bytes().split(b"\n") if path.exists() else [], 1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
            if not isinstance(name := line["run"], str):
                raise TypeError
        except (ValueError, TypeError, KeyError, RecursionError):
            log.problems.append(
                f"{path.name}, line {number}: cut off or damaged ({len(text)} bytes); its run counts as not "
                "made, and the next sweep makes it"
            )
            continue
        if name in names:
            log.problems.append(f"{path.name}, line {number}: the run {name} again; its first line counts")
        else:
            names.add(name)
            log.lines.append(line)
    return log


def append(path: Path, line: dict) -> None:
    """Add a line and wait until the disk has it. What a crash left of another line ends before it."""
    content = json.dumps(line).encode() + b"\n"
    with FileLock(f"{path}.lock"), path.open("ab+") as file:  # O_APPEND: what is there can't be overwritten
        if file.tell():
            file.seek(-1, os.SEEK_END)
            content = content if file.read(1) == b"\n" else b"\n" + content
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def what_is_wrong(line: dict) -> str | None:
    """Why a line of the log should enter no fit, if it shouldn't."""
    loss = line.get("loss")
    if ("loss" in line and loss is None) or (isinstance(loss, float) and not math.isfinite(loss)):
        return f"{line['run']} diverged: {line.get('error', 'its loss is no number')}"
    if lacking := [key for key in ("n", "d", "tokens", "loss") if not isinstance(line.get(key), int | float)]:
        return f"{line['run']} has no number for {', '.join(lacking)}: its line is damaged"
    if line["d"] < line["tokens"]:
        return (
            f"{line['run']} was cut off after {line['d']:,} of {line['tokens']:,} tokens, before its "
            "learning rate had fallen"
        )
    return None


def read_runs(path: str | Path, leave_out: bool = False) -> list[dict]:
    """The lines of a log that a law can be fitted to.

    Raises ValueError, naming them, for runs that diverged or were cut off; with `leave_out` these are left
    out, and the law is then about the others: say so beside it. Raises it also for a log without a run.
    """
    log = read_log(path)
    wrong = [sentence for line in log.lines if (sentence := what_is_wrong(line))]
    if wrong and not leave_out:
        raise ValueError(
            f"{'; '.join(wrong)}. Delete their lines, and the sweep makes them again (with a lower learning "
            "rate), or leave them out with leave_out=True and say so"
        )
    if good := [line for line in log.lines if not what_is_wrong(line)]:
        return good
    raise ValueError(f"{Path(path).name} has no run that came to its end: run the sweep first")
