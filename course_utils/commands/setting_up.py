"""Makes .venv, once, and says whether it is up to date.

course.py imports this before anything is installed: standard library only, and Python 3.6 must run it as far
as saying that it is too old.
"""

import ast
import contextlib
import hashlib
import importlib.util
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from course_utils.commands.stops import HalfWritten, NoNetwork, Stop, explanation, free_megabytes

HERE = Path(__file__).resolve().parents[2]
VENV = HERE / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "course-stamp.json"  # written last: what is installed
UNFINISHED = VENV / "course-unfinished"  # there while packages are being written; left behind by a kill
LOG = VENV / "course-setup.log"

# Threads that spin while they wait were measured 9 times slower on a busy machine, and threads that sleep at
# once half as fast on a quiet one. So they spin for a moment. That cost training nothing on two busy cores;
# where SmolLM2 writes, a token took 29 ms for 40 on quiet ones, but 67 ms for 39 beside one busy program.
THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}

# uv reads none of pip's configuration; these are the settings that decide where packages come from.
UV_OPTIONS = {
    "find-links": "--find-links",
    "constraint": "--constraint",
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "trusted-host": "--allow-insecure-host",
}
UV_VARIABLES = {
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",  # pip takes both names
}
# As pip does: a network's own authority is in the system's store only. To older and to newer uvs:
UV_SYSTEM_CERTS = {"UV_NATIVE_TLS": "1", "UV_SYSTEM_CERTS": "1"}


def say(sentence):
    print(sentence, flush=True)


def version_of(python):
    """'3.12' for a Python that starts, else None."""
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.check_output(
            [str(python), "-c", script], stderr=subprocess.DEVNULL, encoding="utf-8"
        ).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def pyproject():
    import tomllib  # from Python 3.11 on

    return tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))


def project():
    return pyproject()["project"]


def stamp(extra):
    """What the environment must have been made from to be up to date."""
    text = json.dumps(project(), sort_keys=True)
    return {
        "project": hashlib.sha256(text.encode()).hexdigest(),
        "folder": str(HERE),
        "python": version_of(PYTHON),
        "extra": extra,
    }


def read_stamp():
    try:
        return json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def is_ready(extra):
    found = read_stamp()
    # An environment with the test packages serves the lab too.
    return not UNFINISHED.exists() and found == stamp(found.get("extra")) and extra in ("", found["extra"])


@contextlib.contextmanager
def one_at_a_time():
    """Hold the set-up lock of this folder. The system frees it when its holder dies."""
    with open(HERE / ".setup.lock", "ab") as file:
        if not try_lock(file):
            say("Another set-up is running in this folder: waiting for it to end.")
            while not try_lock(file):
                time.sleep(0.2)
        # Installers inherit it, so that one which outlives a killed launcher still holds the lock.
        os.set_inheritable(file.fileno(), True)
        yield


def try_lock(file):
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def set_up(extra, bundle=None):
    if bundle:
        take_all_from(bundle)
    before = read_stamp()
    moved = before.get("folder", str(HERE)) != str(HERE)
    if VENV.exists() and (UNFINISHED.exists() or moved or not version_of(PYTHON)):
        say("The earlier set-up was interrupted or moved: making .venv again.")
        before = {}
        shutil.rmtree(VENV)
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise Stop(
            "This Python has no venv module: install it (on Debian and Ubuntu: "
            "`sudo apt install python3-venv`), then run the same command again."
        )
    parts = ["test"] if extra else []
    if {**before, "extra": extra} != stamp(extra):  # else only the test packages are missing
        parts.append("cuda" if torch_backend({}) == "auto" else "cpu")
    announce(parts, bundle)
    VENV.mkdir(exist_ok=True)
    STAMP.unlink(missing_ok=True)
    LOG.unlink(missing_ok=True)
    UNFINISHED.touch()
    try:
        make_environment()
        install(extra)
        install_kernel_spec()
    except HalfWritten:
        raise
    except Stop:
        UNFINISHED.unlink()  # the installer gave up cleanly, so the next one can go on from what is there
        raise
    STAMP.with_suffix(".new").write_text(json.dumps(stamp(extra)), encoding="utf-8")
    os.replace(STAMP.with_suffix(".new"), STAMP)
    UNFINISHED.unlink()


def announce(parts, bundle=None):
    """Say how much will be fetched, and refuse now what would fill the disk later."""
    sizes = pyproject()["tool"]["course"]["megabytes"]
    fetched, kept = (sum(sizes[part][i] for part in parts) for i in range(2))
    free = free_megabytes(HERE)
    if free < kept:
        raise Stop(
            f"Set-up needs {kept:,} MB of disk, and {free:,} MB are free in {HERE}: "
            "free some, then run the same command again."
        )
    comes = f"all comes from {bundle}" if bundle else f"up to {fetched:,} MB will be fetched"
    say(f"Setting up {VENV}, once: {comes} and {kept:,} MB kept.")


def make_environment():
    if (
        version_of(PYTHON)
        and subprocess.call([str(PYTHON), "-c", "import pip"], stderr=subprocess.DEVNULL) == 0
    ):
        return
    # From the base Python: the running one may be the .venv that was just removed.
    base = getattr(sys, "_base_executable", None) or sys.executable
    run([base, "-m", "venv", VENV])


def install_kernel_spec():
    threads = [word for pair in THREADS.items() for word in ("--env", *pair)]
    command = ["ipykernel", "install", "--sys-prefix", "--name", "python3", "--display-name", "LLM Workbook"]
    run([PYTHON, "-m", *command, *threads])


def install(extra):
    """Install this folder with uv, or with pip where uv isn't available."""
    target = ["--editable", f".[{extra}]" if extra else "."]
    try:
        run([PYTHON, "-m", "pip", "install", "uv>=0.7"])
    except (HalfWritten, NoNetwork):
        raise
    except Stop:
        say("uv isn't available here: installing with pip, which takes a few minutes longer.")
        if torch_backend(pip_settings()) == "cpu":  # which pip doesn't choose
            announce(["cuda"])
        return run([PYTHON, "-m", "pip", "install", *target])
    settings = pip_settings()
    uv = [PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON, *uv_options(settings)]
    variables = {UV_VARIABLES[name]: value for name, value in settings.items() if name in UV_VARIABLES}
    if "UV_HTTP_TIMEOUT" in variables:  # whole seconds, where pip takes parts of one
        variables["UV_HTTP_TIMEOUT"] = str(math.ceil(float(variables["UV_HTTP_TIMEOUT"])))
    backend = torch_backend(settings)
    if backend:
        try:
            return run([*uv, "--torch-backend", backend, *target], variables)
        except Stop as stop:
            if isinstance(stop, HalfWritten) or "pytorch.org" not in stop.output:
                raise
            say("PyTorch's own index can't be used here: taking the larger build of the usual index instead.")
            announce(["cuda"])
    run([*uv, *target], variables)


def torch_backend(settings):
    """The build to ask PyTorch's own index for, or None. (Linux's plain torch is the CUDA one, 3 GB.)"""
    if not sys.platform.startswith("linux") or "find-links" in settings:
        return None
    return "auto" if shutil.which("nvidia-smi") else "cpu"


def pip_settings():
    """pip's own configuration, files and PIP_ variables: {'find-links': '/wheels', ...}."""
    try:
        listed = subprocess.check_output([str(PYTHON), "-m", "pip", "config", "list"], text=True)
    except subprocess.CalledProcessError:
        raise Stop(
            "pip can't read its own configuration: what is wrong stands above, in a file or a PIP_ variable; "
            "mend it, then run the same command again."
        ) from None
    pairs = re.findall(r"^(global|install|:env:)\.([\w-]+)=(.*)$", listed, re.M)
    rank = ["global", "install", ":env:"].index  # the later one wins, as in pip
    return {name: ast.literal_eval(value) for _, name, value in sorted(pairs, key=lambda pair: rank(pair[0]))}


def uv_options(settings):
    options = ["--no-index"] if settings.get("no-index", "").lower() in ("1", "true", "yes", "on") else []
    for name, option in UV_OPTIONS.items():
        for value in settings.get(name, "").split():
            options += [option, value]
    return options


def take_all_from(bundle):
    """Let the installers see the wheels of a bundle and nothing else. Raises Stop if it is not whole."""
    from course_utils.commands import bundle_manifest  # which an old Python can't import

    try:
        wheels = bundle_manifest.whole_wheels(bundle)
    except ValueError as error:
        raise Stop(str(error)) from None
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        del os.environ[name]
    # a URI, for blanks in a path would part it in two
    os.environ.update(PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1", PIP_FIND_LINKS=wheels.as_uri())


def run(command, variables=None):
    """Run it with its main steps on the screen and all of its output in the log; raises Stop if it fails."""
    # not wrapped: explanation() takes one line of the output
    output, environment = "", {"UV_NO_WRAP": "1", **os.environ, **(variables or {})}
    if not any(name in environment for name in UV_SYSTEM_CERTS):
        environment.update(UV_SYSTEM_CERTS)
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=HERE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        close_fds=os.name == "nt",  # see one_at_a_time
    )
    with process, LOG.open("a", encoding="utf-8") as log:
        for line in process.stdout:
            output += line
            log.write(line)
            if re.match(r"\s*(Downloading \S|Installed \d)", line):
                say("  " + line.strip())
    if process.returncode < 0:
        often = (
            ", most often because memory ran out: close other programs" if process.returncode == -9 else ""
        )
        raise HalfWritten(
            f"The installer was killed (signal {-process.returncode}){often}. Run the same command again."
        )
    if not process.returncode:
        return
    if "No CA certificates were loaded" not in output or environment.get("UV_SYSTEM_CERTS") == "0":
        raise explanation(output, HERE, LOG)
    run(command, {**(variables or {}), "UV_SYSTEM_CERTS": "0"})  # uv has certificates of its own
