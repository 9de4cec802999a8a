"""What code in a sandbox can reach and use up: hostile scripts, each under caps that stop it at once."""

import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from course_utils.classroom.grading import caps, sandbox, syscalls
from course_utils.classroom.grading.caps import Limits
from course_utils.classroom.grading.visible import ROOT

PROBLEM = sandbox.problem()
pytestmark = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
SMALL = Limits(seconds=3, memory_mb=200, processes=24, scratch_mb=8, output_mb=1)
OPEN = "from course_utils.classroom.grading.channel import open_channel\njob, send = open_channel()\n"


@pytest.fixture
def run(tmp_path):
    """Run a script in a sandbox: what stopped it, and the messages that came."""

    def run(script, job=None, **options):
        path, messages = tmp_path / "script.py", []
        path.write_text(OPEN + script, encoding="utf-8")

        def accept(message):
            messages.append(message)
            return True

        stopped = sandbox.run(path, job or {}, accept, **{"limits": SMALL, **options})
        return stopped, messages

    return run


def alive(mark):
    """Whether any process of this machine has `mark` in its command."""
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark.encode() in command.read_bytes():
                return True
        except OSError:  # it has just ended
            continue
    return False


def is_gone(mark):
    for _ in range(10):
        if not alive(mark):
            return True
        time.sleep(0.1)
    return False


def test_a_job_goes_in_and_messages_come_out(run):
    script = "import numpy\nsend({'sum': float(numpy.sum(job['numbers'])), 'file': __file__})"
    assert run(script, {"numbers": [1, 2]}, packages=("numpy",)) == (
        "",
        [{"sum": 3.0, "file": "/course/main.py"}],
    )


def test_only_what_is_named_can_be_imported(run):
    script = """
import importlib
for name in job['names']:
    try:
        importlib.import_module(name)
        send({name: True})
    except ImportError:
        send({name: False})
"""
    names = [
        "numpy",
        "torch",
        "pip",
        "pytest",
        "course_utils.files",
        "course_utils.ngrams",
        "course_utils.learner.checks",
    ]
    _, found = run(script, {"names": names}, packages=("numpy",), parts=("course_utils.files",))
    assert [name for message in found for name, there in message.items() if there] == [
        "numpy",
        "course_utils.files",
    ]


@pytest.mark.skipif(not os.environ.get("COURSE_FULL"), reason="seconds, for torch; --full only")
def test_torch_works_within_the_caps(run):
    script = "import torch\nx = torch.ones(3, requires_grad=True)\n(x @ x).backward()\n"
    script += "send({'grad': x.grad.tolist()})"
    assert run(script, packages=("torch",), limits=Limits(seconds=60)) == ("", [{"grad": [2.0] * 3}])


def test_a_part_that_does_not_exist_is_named(run):
    with pytest.raises(ValueError, match=r"no module course_utils\.nothing"):
        run("", parts=("course_utils.nothing",))


def test_nothing_of_the_machine_is_inside(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "canary")
    secret = tmp_path / "another student's work.ipynb"
    secret.write_text("canary")
    script = """
import os
environment = open('/proc/self/environ').read() + open('/proc/1/environ').read() + str(os.environ)
everything = [os.path.join(folder, file) for folder, _, files in os.walk('/')
              if not folder.startswith(('/proc', '/usr', '/lib')) for file in files]
processes = [name for name in os.listdir('/proc') if name.isdigit()]
send({'environment': environment, 'files': everything, 'processes': len(processes),
      'seen': [path for path in job['paths'] if os.path.exists(path)], 'user': [os.getuid(), os.getgid()]})
"""
    paths = [
        str(secret),
        str(ROOT),
        str(Path.home() / ".ssh"),
        "/etc/passwd",
        "/bin/sh",
        "/usr/bin/env",
        str(Path.home() / ".bashrc"),
    ]
    _, [found] = run(script, {"paths": paths})
    assert "canary" not in found["environment"] and found["seen"] == []
    library = str(Path(sys.base_prefix, "lib"))
    rest = [file for file in found["files"] if not file.startswith((library, "/dev/"))]
    python = str(Path(sys._base_executable).resolve())
    assert set(rest) - {python} == {"/course/main.py", "/course/course_utils/classroom/grading/channel.py"}
    assert found["processes"] == 2 and found["user"] == [1000, 1000]


REFUSED = {
    "become root": "os.setuid(0)",
    "mount": "assert ctypes.CDLL(None, use_errno=True).mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "a namespace of its own": "assert ctypes.CDLL(None, use_errno=True).unshare(0x10000000) == 0",
    "write into the system": "open('/usr/lib/x', 'w')",
    "write into the course": "open('/course/main.py', 'w')",
    "write at the root": "open('/x', 'w')",
    "change the kernel": "open('/proc/sys/kernel/core_pattern', 'w')",
    "change itself in /proc": "open('/proc/self/oom_score_adj', 'w').write('-1000')",
    "write beside the scratch": "open('/dev/x', 'w')",
    "fill the scratch": "[open(f'/tmp/{i}', 'wb').write(bytes(5 << 20)) for i in range(2)]",
    "fill the shared memory": "open('/dev/shm/x', 'wb').write(bytes(1 << 20))",
    "write one large file": "os.ftruncate(os.open('/tmp/x', os.O_CREAT | os.O_RDWR), 1 << 30)",
    "write into what was given": "os.write(os.open('/proc/1/fd/0', os.O_RDWR), b'x')",
    "have memory that is a file": "os.memfd_create('x')",
    "trace the first process": "assert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0",
    "keep a key": "assert ctypes.CDLL(None).syscall(job['keyctl'], 0, -3, 1) >= 0",
    "raise a limit": "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, 1 << 40))",
    "signal the grader": "os.kill(job['grader'], 9)",
    "reach loopback": "socket.create_connection(('127.0.0.1', job['port']), timeout=1)",
    "reach cloud metadata": "socket.create_connection(('169.254.169.254', 80), timeout=1)",
    "reach the host of a virtual machine": "socket.socket(getattr(socket, 'AF_VSOCK', 40))",
    "ask for a name": "socket.getaddrinfo('example.org', 80)",
}


def test_what_it_may_not_do_fails(run):
    script = """
import ctypes, os, signal, socket
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for name, attempt in job['attempts'].items():
    try:
        exec(attempt)
        send({name: 'done'})
    except (OSError, ValueError, AssertionError) as error:
        send({name: 'refused'})
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        keyctl = syscalls.DENIED["keyctl"][platform.machine() == "aarch64"]
        port = server.getsockname()[1]
        job = {"attempts": REFUSED, "grader": os.getpid(), "port": port, "keyctl": keyctl}
        stopped, found = run(script, job)
    assert stopped == ""
    assert found == [{name: "refused"} for name in REFUSED]


MEMORY = (
    "used more than 200 MB of memory" if caps.kind() == "cgroup" else "ended by itself, with exit status 1"
)
PROCESSES = (
    "started more than 24 processes" if caps.kind() == "cgroup" else "ended by itself, with exit status 1"
)


@pytest.mark.parametrize(
    "script, stopped",
    [
        ("while True: pass", "ran longer than 1 s"),
        ("import time; time.sleep(60)", "ran longer than 1 s"),
        (
            "import signal\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)\n"
            "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
            "ran longer than 1 s",
        ),
        ("x = [bytearray(10**7) for _ in range(100)]", MEMORY),
        ("import os\nfor _ in range(8): os.fork()\nimport time; time.sleep(60)", PROCESSES),
        ("import os; os._exit(7)", "ended by itself, with exit status 7"),
        ("raise SystemExit(3)", "ended by itself, with exit status 3"),
        ("import os; os.kill(os.getpid(), 9)", "was stopped by the signal SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "was stopped by the signal SIGSEGV"),
        ("while True: send({'x': 'y' * 10000})", "wrote more than 1 MB"),
        (
            "import os\nwhile True:\n  os.write(3, b'x' * 10000); os.write(4, b'x' * 10000)",
            "wrote more than 1 MB",
        ),
    ],
)
def test_what_uses_too_much_is_stopped_and_named(run, script, stopped):
    assert run(script, limits=Limits(**{**vars(SMALL), "seconds": 1}))[0] == stopped


def test_time_in_which_the_grader_was_held_up_is_not_the_scripts(tmp_path):
    (tmp_path / "script.py").write_text(OPEN + "send({'a': 1})\nsend({'b': 1})")
    messages = []

    def accept(message):
        if not messages:
            time.sleep(1.5)  # as with Ctrl-Z, while the script goes on
        messages.append(message)
        return False

    limits = Limits(**{**vars(SMALL), "seconds": 1})
    assert sandbox.run(tmp_path / "script.py", {}, accept, limits=limits) == ""
    assert messages == [{"a": 1}, {"b": 1}]


@pytest.mark.parametrize("take", ["bytearray(300 << 20)", "mmap.mmap(-1, 500 << 20)"])
def test_rlimits_cap_memory_where_there_is_no_control_group(run, monkeypatch, take):
    monkeypatch.setattr(caps, "kind", lambda: "rlimits")
    script = f"import mmap\ntry:\n    x = {take}\n    send({{'got': 1}})\nexcept (MemoryError, OSError): pass"
    assert run(script) == ("", [])


def test_a_sandbox_has_its_own_share_of_the_processor(tmp_path):
    if not caps._parent("cpu"):
        pytest.skip("no control groups here")
    (tmp_path / "script.py").write_text(f"{OPEN}send({{}})\nimport time; time.sleep(9)")
    seen = []

    def accept(message):
        groups = caps._parent("cpu").glob(f"course-{os.getpid()}-*/cgroup.procs")
        seen.extend(group.read_text().split() for group in groups)
        return True

    sandbox.run(tmp_path / "script.py", {}, accept, limits=Limits(**{**vars(SMALL), "seconds": 0.1}))
    assert len(seen) == 1 and len(seen[0]) >= 2, "bubblewrap and the script are in a group of their own"


def test_a_filter_of_system_calls_is_there_for_what_is_known():
    programs = {machine: syscalls.seccomp_filter(machine) for machine in ("x86_64", "aarch64", "riscv64")}
    assert programs["riscv64"] == b"" and len({*programs.values()}) == 3
    assert all(len(program) % 8 == 0 for program in programs.values())


def test_prints_go_nowhere_and_cost_nothing(run):
    script = "import os, sys\nprint('x' * 10**7); sys.stderr.write('y' * 10**7); os.write(1, b'z' * 10**6)\n"
    assert run(script + "send({'a': 1})") == ("", [{"a": 1}])


def test_only_messages_with_the_nonce_count(run):
    script = """
import json, os
for way_out in range(3, 9):
    try:
        os.write(way_out, b'{"forged": 1}\\n' + b'0' * 32 + b'{"forged": 2}\\n')
    except OSError:
        pass
send({'true': 1})
"""
    assert run(script) == ("", [{"true": 1}])


def test_a_fork_that_comes_back_has_no_say(run):
    assert run("import os\nos.fork()\nsend({'a': 1})\nimport time; time.sleep(0.2)") == ("", [{"a": 1}])


DETACH = (
    "import subprocess, sys\n"
    "sleep = [sys.executable, '-c', 'import time; time.sleep(60)', job['mark']]\n"
    "subprocess.Popen(sleep, start_new_session=True)\n"
    "send({'started': True})\n"
)


@pytest.mark.parametrize("then", ["", "while True: pass"], ids=["it ends", "it is stopped"])
def test_no_process_is_left(run, then):
    mark = secrets.token_hex(8)
    _, messages = run(DETACH + then, {"mark": mark}, limits=Limits(**{**vars(SMALL), "seconds": 0.5}))
    assert messages == [{"started": True}] and is_gone(mark)


def test_a_killed_grader_leaves_no_process(tmp_path):
    mark = secrets.token_hex(8)
    (tmp_path / "script.py").write_text(OPEN + DETACH + "while True: pass")
    grader = (
        "import sys; from pathlib import Path; from course_utils.classroom.grading import sandbox\n"
        "sandbox.run(Path(sys.argv[1]), {'mark': sys.argv[2]}, print)"
    )
    command = [sys.executable, "-u", "-c", grader, str(tmp_path / "script.py"), mark]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        process.stdout.readline()  # started
        assert alive(mark)
        process.send_signal(signal.SIGKILL)
    assert is_gone(mark)


def test_groups_of_killed_graders_are_removed():
    if caps.kind() != "cgroup":
        pytest.skip("no control groups here: rlimits cap, and leave nothing behind")
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    stale = caps._parent("pids") / f"course-{ended.pid}-0"
    stale.mkdir()
    with caps.group(SMALL, caps.kind()):
        assert not stale.exists()


def test_what_does_not_start_is_the_graders_own_fault(tmp_path):
    (tmp_path / "script.py").write_text("import nothing_of_this_name")
    with pytest.raises(sandbox.SandboxError, match="nothing_of_this_name"):
        sandbox.run(tmp_path / "script.py", {}, print)


def test_without_bubblewrap_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    for system in ("linux", "darwin"):
        monkeypatch.setattr(sys, "platform", system)
        assert "container" in sandbox.problem() and "--unsafe" in sandbox.problem()
        assert sandbox.problem(unsafe=True) == ""


def test_windows_runs_no_answer_and_says_what_to_do(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    assert "container" in sandbox.problem() and "--unsafe" not in sandbox.problem()
    assert sandbox.problem(unsafe=True) == sandbox.problem()


def test_where_ubuntu_keeps_bubblewrap_from_starting_it_says_how_to_let_it(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/false")
    monkeypatch.setattr(sandbox, "LOCKED", tmp_path / "locked")
    assert "can't start here" in sandbox.problem() and "sysctl" not in sandbox.problem()
    for value, said in {"1": True, "0": False}.items():
        (tmp_path / "locked").write_text(f"{value}\n")
        assert ("sudo sysctl -w kernel.apparmor_restrict" in sandbox.problem()) == said


def test_unsafe_has_the_same_channel_and_the_same_clock(run):
    assert run("send(job)", {"a": 1}, unsafe=True) == ("", [{"a": 1}])
    assert run("while True: pass", unsafe=True, limits=Limits(seconds=0.5))[0] == "ran longer than 0.5 s"
    closed = "import os, time; os.closerange(0, 256); time.sleep(60)"
    assert run(closed, unsafe=True, limits=Limits(seconds=0.5))[0] == "ran longer than 0.5 s"
