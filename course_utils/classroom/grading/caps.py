"""Caps on memory and processes: a control group where the system lets us make one, else rlimits.

A control group (cgroup, version 1) caps all processes of a sandbox together. An rlimit caps the memory of
each process alone, so that all may use that times the cap on processes; and it counts no process of root.
"""

import contextlib
import os
import secrets
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOUNTED = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Limits:
    """What a sandbox may use. `seconds` is the longest silence between two messages that count."""

    seconds: float = 10
    start_seconds: float = 60  # until it is ready: a busy machine may take long to import torch
    memory_mb: int = 1024
    processes: int = 64  # threads count as processes
    scratch_mb: int = 64
    output_mb: int = 8

    def rlimits(self, kind: str) -> dict[str, int]:
        """The rlimits, by their names in the module `resource`, that stand beside or for a control group."""
        own = {
            "RLIMIT_CPU": round(self.start_seconds + 10 * self.seconds),
            "RLIMIT_CORE": 0,
            "RLIMIT_NOFILE": 256,
        }
        if kind == "rlimits":
            own |= {"RLIMIT_DATA": self.memory_mb << 20, "RLIMIT_NPROC": self.processes}
            own |= {"RLIMIT_AS": 2 * self.memory_mb << 20}  # what processes share is in no RLIMIT_DATA
        return own | {"RLIMIT_FSIZE": self.scratch_mb << 20}


def kind() -> str:
    """What caps a sandbox here: "cgroup" or "rlimits"."""
    return "cgroup" if _parent("memory") and _parent("pids") else "rlimits"


def problem() -> str:
    """Why caps can't hold here, or an empty string."""
    if kind() == "rlimits" and os.geteuid() == 0:
        return (
            "Processes can't be capped here: root may make no control group in /sys/fs/cgroup, and rlimits "
            "don't count the processes of root. Grade as an ordinary user."
        )
    return ""


@contextlib.contextmanager
def group(limits: Limits, kind: str) -> Iterator["Group"]:
    """A group of processes, capped by "cgroup" or "rlimits", that is gone, with all that is left of them, at
    the end."""
    made = Group(limits, kind)
    try:
        yield made
    finally:
        made.close()


class Group:
    """The control groups of one sandbox; none of them where rlimits must do."""

    def __init__(self, limits: Limits, kind: str):
        self._limits, self._folders = limits, {}
        if kind == "rlimits":
            return
        name = f"course-{os.getpid()}-{secrets.token_hex(4)}"
        for controller, caps in {
            "memory": {"memory.limit_in_bytes": limits.memory_mb << 20, "memory.swappiness": 0},
            "pids": {"pids.max": limits.processes},
            "cpu": {},  # as a group, many busy processes get no more than those of one other sandbox
        }.items():
            parent = _parent(controller)
            if not parent:
                continue  # of "cpu": it is fairer with it, and works without
            _remove_stale(parent)
            folder = self._folders[controller] = parent / name
            folder.mkdir()
            for file, cap in caps.items():
                (folder / file).write_text(str(cap))

    def enter(self, command: list[str]) -> list[str]:
        """The command that joins the group and then becomes `command`."""
        join = [f"echo $$ > {shlex.quote(str(folder / 'cgroup.procs'))}" for folder in self._folders.values()]
        return ["/bin/sh", "-c", " && ".join([*join, 'exec "$@"']), "sh", *command] if join else command

    def breach(self) -> str:
        """Which cap was reached, in words, or an empty string."""
        if not self._folders:
            return ""
        if _count(self._folders["memory"] / "memory.oom_control", "oom_kill"):
            return f"used more than {self._limits.memory_mb:,} MB of memory"
        if _count(self._folders["pids"] / "pids.events", "max"):
            return f"started more than {self._limits.processes} processes"
        return ""

    def close(self) -> None:
        """Wait until the killed processes are gone (a moment), and remove the groups."""
        for folder in self._folders.values():
            for _ in range(100):
                with contextlib.suppress(OSError):  # busy: a process is still dying
                    folder.rmdir()
                    break
                time.sleep(0.02)


def _parent(controller: str) -> Path | None:
    """Our own control group, or the uppermost one, if we may make groups in it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                places = [MOUNTED / controller / path.strip("/"), MOUNTED / controller]
                return next((place for place in places if os.access(place / "cgroup.procs", os.W_OK)), None)
    return None


def _remove_stale(parent: Path) -> None:
    """Remove the groups that killed graders have left; one that has processes stays."""
    for folder in parent.glob("course-*-*"):
        if not Path("/proc", folder.name.split("-")[1]).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()


def _count(file: Path, name: str) -> int:
    words = file.read_text(encoding="utf-8").split()
    return int(words[words.index(name) + 1]) if name in words else 0
