"""A sandbox for code that nobody has read: a fresh group of processes under bubblewrap (Linux).

Inside there are Python, the packages and parts of the course that are named, and an empty scratch folder; all
but that folder is read-only. There is no network, no environment, no other process, no shell, no file of the
grader or of other students, and no root, and the kernel refuses what module `syscalls` lists. Memory,
processes, files, output and time have caps (module `caps` says what holds them). A job goes in and messages
come out, as JSON, over one pipe; each begins with a nonce.

It protects the machine, the grader and other students from what an answer does. It does not protect from

- a flaw of the Linux kernel or of bubblewrap: for code that somebody may have written to find one, take a
  virtual machine;
- messages that an answer forges: answer and script share a process, so that it can find the nonce. They must
  mean no more than outputs do. Whoever listens compares them with what he expects, outside, and decides;
- somebody who reads his own inputs: what goes in is known to the answer.
"""

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from course_utils.classroom.grading import caps, syscalls, visible
from course_utils.classroom.grading.caps import Limits

HELD_UP = 0.5  # seconds: the grader looks each 0.1 s, or was stopped itself (Ctrl-Z, a machine that swaps)
CHANNEL = "course_utils.classroom.grading.channel"
ISOLATION = [
    *("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"),
    *("--cap-drop", "ALL", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--clearenv"),
]
LOCKED = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")  # Ubuntu's, since 24.04
UNLOCK = (
    "Ubuntu keeps it from it: `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` lets it, until "
    "the machine is started again. "
)
LINUX = (
    "Grade on Linux with bubblewrap (on Debian and Ubuntu: `sudo apt install bubblewrap`), or in a container "
    "or virtual machine that has it."
)
INSTEAD = (
    f"{LINUX} --unsafe grades without a sandbox, and then every submission may read and change whatever you "
    "may: type it only for files that you have read."
)


class SandboxError(Exception):
    """The sandbox itself could not start: the fault is not the answer's."""


def problem(unsafe: bool = False) -> str:
    """Why no answer can be run here, in a sandbox or, `unsafe`, without one, and what to do; or an empty
    string."""
    if sys.platform == "win32":  # where Popen hands no file on, and nothing caps a script
        return f"No answer can be run on Windows. {LINUX}"
    if unsafe:
        return ""
    if not sys.platform.startswith("linux"):
        return f"There is no sandbox on {sys.platform}. {INSTEAD}"
    if not shutil.which("bwrap"):
        return f"bubblewrap isn't installed, so there is no sandbox. {INSTEAD}"
    with _file(syscalls.seccomp_filter()) as refused:
        trial = [shutil.which("bwrap"), *_isolation(refused), *visible.mounts((), ())]
        run = [*trial, str(visible.PYTHON), "-c", ""]
        done = subprocess.run(run, capture_output=True, text=True, pass_fds=[refused.fileno()])
    if done.returncode:
        locked = LOCKED.exists() and LOCKED.read_text("ascii").strip() == "1"
        return f"bubblewrap can't start here ({done.stderr.strip()}). {UNLOCK * locked}{INSTEAD}"
    return caps.problem()


def run(
    script: Path,
    job: dict,
    accept: Callable[[dict], bool],
    *,
    packages: tuple[str, ...] = (),
    parts: tuple[str, ...] = (),
    limits: Limits | None = None,
    unsafe: bool = False,
    user: int | None = None,
) -> str:
    """Run a script, which begins with `channel.open_channel`, on a job; return what stopped it, or "".

    `accept` gets each message and says whether it counts: the next one has `limits.seconds` from then on.
    `user` is for a container where root may make no sandbox: the script runs as this user, by its number,
    with rlimits, and without all else that a sandbox has. Raises SandboxError if the script did not even get
    ready.
    """
    limits, nonce = limits or Limits(), secrets.token_hex(16)
    kind = caps.kind() if user is None else "rlimits"
    rlimits = limits.rlimits("unsafe" if unsafe else kind)
    given = json.dumps({"nonce": nonce, "rlimits": rlimits, "job": job}).encode()
    with (
        _file(given) as inbox,
        _file(syscalls.seccomp_filter()) as refused,
        caps.group(limits, kind) as group,
        _laid_open(user, script, (CHANNEL, *parts)) as folder,
    ):
        owner = {}
        if user is not None:
            command = [sys.executable, "-B", "-s", "-P", f"{folder}/main.py"]
            variables = _variables(f"{folder}:{sysconfig.get_path('purelib')}", f"{folder}/scratch")
            owner = {"user": user, "group": user, "extra_groups": [], "cwd": f"{folder}/scratch"}
        elif unsafe:
            command, variables = [sys.executable, "-B", "-s", "-P", str(script)], _unsafe_variables()
        else:
            command, variables = _command(script, packages, parts, limits, refused), {}
        process = subprocess.Popen(
            group.enter(command),
            stdin=inbox,
            pass_fds=[refused.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=variables,
            start_new_session=True,
            **owner,
        )
        try:
            return _listen(process, nonce.encode(), accept, limits, group)
        finally:
            with contextlib.suppress(ProcessLookupError):  # nothing is left of it
                os.killpg(process.pid, signal.SIGKILL)
            if user is not None:
                _end_all(user)
            process.wait()
            process.stdout.close()


@contextlib.contextmanager
def _laid_open(user: int | None, script: Path, parts: tuple[str, ...]) -> Iterator[Path | None]:
    """A folder that any user may read, with a script and the parts that it needs; nothing without a user."""
    if user is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        shutil.copyfile(script, Path(folder, "main.py"))
        for part in parts:
            to = Path(folder, *part.split(".")).with_suffix(".py")
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(visible.ROOT.joinpath(*part.split(".")).with_suffix(".py"), to)
        os.mkdir(f"{folder}/scratch")
        os.chown(f"{folder}/scratch", user, user)
        yield Path(folder)


def _end_all(user: int) -> None:
    """Kill all processes of a user, those too that have left the group."""
    for _ in range(100):
        found = [path for path in Path("/proc").glob("[0-9]*") if _owner(path) == user]
        if not found:
            return
        for path in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(path.name), signal.SIGKILL)
        time.sleep(0.02)


def _owner(path: Path) -> int | None:
    """Whose process this is; None if it has ended, or is only waited for."""
    try:
        ended = "State:\tZ" in (path / "status").read_text("utf-8", "replace")
        return None if ended else path.stat().st_uid
    except OSError:
        return None


def _sealable() -> BinaryIO:
    return os.fdopen(os.memfd_create("given", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "w+b", buffering=0)


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[BinaryIO]:
    """A file to be read from its start. On Linux it is sealed memory: whoever finds it in /proc can't write
    into it, nor by it onto the disk."""
    linux = sys.platform == "linux"
    with _sealable() if linux else tempfile.TemporaryFile(buffering=0) as file:
        file.write(content)
        file.seek(0)
        if linux:
            import fcntl  # not on Windows

            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK
            fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
        yield file


def _isolation(refused: BinaryIO) -> list[str]:
    known = os.fstat(refused.fileno()).st_size  # no filter is known for this machine: the rest must do
    return [*ISOLATION, *(["--seccomp", str(refused.fileno())] if known else [])]


def _command(script, packages, parts, limits, refused) -> list[str]:
    variables = _variables(f"{visible.COURSE}:{visible.PACKAGES}", "/tmp")
    scratch = ["--size", str(limits.scratch_mb << 20), "--tmpfs", "/tmp"]
    return [
        shutil.which("bwrap") or "bwrap",
        *_isolation(refused),
        *(word for name, value in variables.items() for word in ("--setenv", name, value)),
        *scratch,  # below what is mounted next: Python itself may be installed in /tmp
        *visible.mounts(packages, (CHANNEL, *parts)),
        *("--ro-bind", str(script), "/course/main.py", "--proc", "/proc", "--dev", "/dev"),
        *("--remount-ro", "/proc"),  # root's grader is root to the kernel, who may write /proc/sys
        *("--size", "4096", "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),
        *("--chdir", "/tmp", "--remount-ro", "/"),
        *(str(visible.PYTHON), "-B", "-s", "-P", "/course/main.py"),
    ]


def _variables(path: str, home: str) -> dict[str, str]:
    return {"PYTHONPATH": path, "HOME": home, "USER": "student", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}


def _unsafe_variables() -> dict[str, str]:
    return _variables(f"{visible.ROOT}:{sysconfig.get_path('purelib')}", tempfile.gettempdir())


def _listen(process, nonce: bytes, accept, limits: Limits, group: caps.Group) -> str:
    """Take messages until the process ends or reaches a limit; say which."""
    out, rest, noise, received, ready = process.stdout.fileno(), b"", b"", 0, False
    allowed = limits.start_seconds
    since = last = time.monotonic()
    while True:
        waiting, _, _ = select.select([out], [], [], 0.1)
        if breach := group.breach():
            return breach
        now = time.monotonic()
        if now - last > HELD_UP:
            since += now - last
        last = now
        if now - since > allowed:
            if not ready:
                raise SandboxError(f"The sandbox was not ready after {allowed:g} s. {_shown(noise)}")
            return f"ran longer than {allowed:g} s"
        if not waiting:
            continue
        chunk = os.read(out, 1 << 16)
        received += len(chunk)
        if received > limits.output_mb << 20:
            return f"wrote more than {limits.output_mb} MB"
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not line.startswith(nonce):
                noise += line[:500] if len(noise) < 2000 else b""
                continue
            counts = not ready or accept(_message(line[len(nonce) :]))
            if counts:
                ready, allowed = True, limits.seconds
                since = last = time.monotonic()
        if not chunk:
            break
    try:
        status = process.wait(limits.seconds)
    except subprocess.TimeoutExpired:  # it has closed its output, and goes on
        if ready:
            return f"ran longer than {limits.seconds:g} s"
    if not ready:
        raise SandboxError(f"The sandbox did not start. {_shown(noise + rest)}")
    return group.breach() or _ending(status)


def _message(line: bytes) -> dict:
    """The message in a line. What can't be read says nothing."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _shown(noise: bytes) -> str:
    return noise.decode("utf-8", "replace")


def _ending(status: int) -> str:
    """Explain an exit status; bubblewrap gives 128 + the signal, as a shell does."""
    number = -status if status < 0 else status - 128
    if number in set(signal.Signals):
        return f"was stopped by the signal {signal.Signals(number).name}"
    return f"ended by itself, with exit status {status}" if status else ""
