"""Stages that survive a kill: each reads files of one folder and writes others, and is done once it is
noted.

However a run ends, by Ctrl-C, by kill -9 or because the power fails, the same command with `resume` goes on.
A stage's files are written whole or not at all, and its record follows them; a stage without a record is run
again, from the checkpoints that it keeps while it works. So a run that was killed makes the same model as
one that wasn't, bit by bit on the same machine and threads. (On a CPU each process times anew, by
`devices.trains_in_bfloat16`, whether that is faster than float32: where they nearly tie, one that goes on may
take the other.)
"""

import errno
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from course_utils.pretraining import manifest
from course_utils.pretraining.manifest import Manifest, Record

Say = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """A step, and the names of the files that it reads, writes, and keeps only until it is done.

    `run(folder, say)` does it; what it returns, if anything, is noted in the manifest.
    """

    name: str
    run: Callable[[Path, Say], dict | None]
    writes: tuple[str, ...]
    reads: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()


def run(
    folder: Path, plan: dict, stages: Sequence[Stage], resume: bool = False, say: Say = print
) -> Manifest:
    """Run the stages that the folder's manifest doesn't hold yet, or whose files have changed since.

    plan: what decides the result, as JSON can hold it. Raises ValueError, in one sentence each: for a folder
    that can't be written to or locked, one with a run in it without `resume`, one of another plan, for two
    runs at once, and if the disk is full.
    """
    with _alone(folder), _disk_full_said(folder):
        made = _begin(folder, plan, resume, say)
        for number, stage in enumerate(stages, 1):
            at = f"{number} of {len(stages)}, {stage.name}"
            if _is_done(folder, stage, made.stages.get(stage.name), say):
                say(f"{at}: done before")
            else:
                say(f"{at} ...")
                made.stages.pop(stage.name, None)
                _do(folder, stage, made, say)
                say(f"{at}: {made.stages[stage.name].seconds:.0f} s")
            for name in stage.scratch:
                _remove(folder / name)
    return made


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _begin(folder: Path, plan: dict, resume: bool, say: Say) -> Manifest:
    here = _made_with()
    if not (folder / manifest.NAME).exists():
        if found := sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")):
            raise ValueError(
                f"the folder {folder} holds other things ({', '.join(found[:3])}): name an empty one, or one "
                "that isn't there yet"
            )
        made = Manifest(plan, here)
        made.save(folder)
        return made
    made = manifest.load(folder)
    if other := [name for name in {**plan, **made.plan} if plan.get(name) != made.plan.get(name)]:
        there, asked = ({name: of.get(name) for name in other} for of in (made.plan, plan))
        raise ValueError(
            f"the folder {folder} holds a run of another plan: {_named(there)} there, and {_named(asked)} "
            "asked for; ask for the same, or name another folder"
        )
    if not resume:
        raise ValueError(
            f"the folder {folder} holds a run of this plan, {len(made.stages)} of its stages done: go on "
            "with --resume, or name another folder"
        )
    if changed := [
        f"{name} {made.made_with.get(name)}" for name in here if made.made_with.get(name) != here[name]
    ]:
        say(f"It was begun with {', '.join(changed)}: it goes on, but not bit by bit as it would have there.")
    made.made_with = made.made_with | here
    return made


def _named(values: dict) -> str:
    return ", ".join(f"{name}={value!s:.160}" for name, value in values.items())


def _made_with() -> dict:
    import torch

    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def _is_done(folder: Path, stage: Stage, record: Record | None, say: Say) -> bool:
    if record is None or record.reads != manifest.hashes(folder, stage.reads):
        return False
    written = manifest.hashes(folder, stage.writes)
    changed = [name for name in stage.writes if written[name] != record.writes.get(name)]
    if changed:
        say(f"{', '.join(changed)} changed since the stage {stage.name} wrote it: it is made again")
    return not changed


def _do(folder: Path, stage: Stage, made: Manifest, say: Say) -> None:
    """Run a stage and note it; of one that Ctrl-C or an error ends, note the seconds, which then count on."""
    reads, began = manifest.hashes(folder, stage.reads), time.monotonic() - made.spent.pop(stage.name, 0)
    try:
        notes = stage.run(folder, say) or {}
        writes = manifest.hashes(folder, stage.writes)
        if missing := [name for name, digest in writes.items() if digest == "missing"]:
            raise RuntimeError(f"the stage {stage.name} should have written {', '.join(missing)}")
    except BaseException:
        made.spent[stage.name] = round(time.monotonic() - began, 1)
        made.save(folder)
        raise
    # a kill notes nothing here: training, which notes its own seconds in its checkpoints, may know of more
    seconds = max(round(time.monotonic() - began, 1), notes.get("seconds", 0))
    made.stages[stage.name] = Record(reads, writes, seconds, notes, _made_with()["threads"])
    made.save(folder)


@contextmanager
def _disk_full_said(folder: Path):
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free = shutil.disk_usage(folder).free / 1e6
        raise ValueError(
            f"the disk is full, with {free:,.0f} MB left: free some, then go on with --resume; what was done "
            "before is kept"
        ) from None


@contextmanager
def _alone(folder: Path):
    """Make the folder and lock it; the lock ends with its process, also by a kill."""
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"another run is making a model in {folder}: wait for it, stop it, or name another folder"
        ) from None
    except OSError as error:
        raise ValueError(f"can't write to the folder {folder} ({error.strerror}): name another") from None
    except NotImplementedError:
        raise ValueError(
            f"can't lock the folder {folder}, which keeps a second run out: name one on another disk"
        ) from None
    try:
        yield
    finally:
        lock.release()
