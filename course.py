#!/usr/bin/env python3
"""Sets the workbook up in .venv and starts it.

    python3 course.py lab [--port N] [--no-browser] [--from BUNDLE]
                                                      copy the chapters to my_work/ and open JupyterLab there
    python3 course.py test [--full] [pytest options]  run every check, as CI does
    python3 course.py doctor                          say what is installed, and whether it works
    python3 course.py where                           say where everything is, and how to remove it
    python3 course.py reset CHAPTER                   start a chapter again; your old file stays beside it
    python3 course.py refresh CHAPTER                 run a chapter of the source and store its outputs
    python3 course.py bench NAME                      run a benchmark beside a peer
    python3 course.py book [FOLDER]                   write the chapters as a site that needs no Python
    python3 course.py make [--plan laptop|evening|gpu] [--texts DIR] [--resume]
                                                      make a language model, from raw text to one that chats
    python3 course.py floors FOLDER                   say which floors a model that was made is over
    python3 course.py convert FOLDER --to FORMAT      write it for transformers or llama.cpp
    python3 course.py chat [FOLDER]                   open a page to chat with a model
    python3 course.py check FILE                      say whether an assignment can be graded as it is

For teachers (docs/teachers_guide.md says more):
    python3 course.py bundle FOLDER                   gather all that a room without internet needs
    python3 course.py overlay new                     make the private folder of a class
    python3 course.py release NAME [--students CSV]   write an assignment's notebooks for students
    python3 course.py grade NAME --submissions DIR    grade what was handed in
    python3 course.py mark NAME CSV                   note the points of written answers
    python3 course.py requests NAME [--add CSV]       note students' requests for another look
    python3 course.py reply NAME REQUEST --why TEXT   answer requests: --points, --erratum or --no-change
    python3 course.py erratum NAME QUESTION --why TEXT [--write]
                                                      a check was wrong: grade again what that touches
    python3 course.py feedback NAME                   write a page for each student
    python3 course.py report NAME                     write a page for you: results, answers that are alike
    python3 course.py gradescope NAME                 pack the autograder that Gradescope runs
    python3 course.py inventory forms|results PATH    write the concept inventory's forms; read the answers
    python3 course.py export NAME [--format FORMAT]   csv, gradescope, nbgrader, moodle or canvas
    python3 course.py student NAME [--export ZIP|--delete]
                                                      say what is kept of one student, export it or delete it
    python3 course.py contest RECIPES [--seeds N]     rank the recipes of a folder by what they train

On Windows: py course.py ...
"""

# Standard library only, and Python 3.6 must parse it: an old Python gets a sentence, not a SyntaxError.
import ast
import contextlib
import errno
import hashlib
import importlib.util
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from urllib.parse import urlsplit

OLDEST = (3, 11)
HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "course-stamp.json"  # written last: what is installed
UNFINISHED = VENV / "course-unfinished"  # there while packages are being written; left behind by a kill
LOG = VENV / "course-setup.log"

# Threads that spin while they wait were measured 9 times slower on a busy machine, and threads that sleep at
# once half as fast on a quiet one. So they spin for a moment. That cost training nothing on two busy cores;
# where SmolLM2 writes, a token took 29 ms for 40 on quiet ones, but 67 ms for 39 beside one busy program.
THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "2000"}
CLASSROOM = ("check", "overlay", "release", "grade", "mark", "requests", "reply", "erratum", "feedback")
CLASSROOM += ("report", "inventory", "export", "gradescope", "student", "contest")
EXTRAS = {
    "lab": "",
    "refresh": "",
    "make": "",
    "floors": "",
    "convert": "",
    "chat": "",
    "bundle": "",
    "test": "test",
    "bench": "test",
    "book": "test",
}  # command -> what it needs installed
EXTRAS.update(dict.fromkeys(CLASSROOM, ""))
READ_ONLY = ("doctor", "where", "reset")  # these never install anything

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


class Stop(Exception):
    """One sentence that says what is wrong and what to do, and the output of the installer that failed."""

    def __init__(self, sentence, output=""):
        super().__init__(sentence)
        self.output = output


class HalfWritten(Stop):
    """Packages may be half written, so the next set-up makes .venv again."""


class NoNetwork(Stop):
    pass


UNREACHABLE = (
    "No package index can be reached ({line}): check the network (or the proxy), then run the same command "
    "again; what has been fetched is kept, and the full output is in {log}."
)
# (kind, pattern of an installer's output, the sentence for it); the first that matches is said.
REASONS = [
    (
        HalfWritten,
        r"No space left on device|os error 28|Errno 28|os error 112|not enough space",
        "The disk is full, with {free:,} MB left in {here}: free some, then run the same command again.",
    ),
    (NoNetwork, r"network timeout|timed out", UNREACHABLE),
    (
        Stop,
        r"invalid package format|hash mismatch|BadZipFile|invalid zip|is invalid|not a zip|"
        r"failed to (extract|read|unzip)|unexpected end of file|corrupt|end of central directory|crc32",
        "A package arrived damaged ({line}): run the same command again; if it stays damaged, "
        "the folder or index that serves it has a bad copy.",
    ),
    (
        NoNetwork,
        r"invalid peer certificate|certificate.verify.failed|no ca certificates",
        "The certificate of a package index can't be verified ({line}): add your network's authority to the "
        "system's store, or set `cert` in pip's configuration to its file, then run the same command again; "
        "the full output is in {log}.",
    ),
    (
        NoNetwork,
        r"failed to fetch|connection (refused|reset|broken|aborted)|connect error|dns error|"
        r"failed to establish|name resolution|network is unreachable|proxyerror|proxy url",
        UNREACHABLE,
    ),
    (
        Stop,
        r"no solution found|no matching distribution|resolutionimpossible",
        "No set of packages fits Python {python} on this machine ({line}): try another Python "
        "from 3.11 on; the full output is in {log}.",
    ),
    (Stop, r"", "The installer failed ({line}): its full output is in {log}."),
]


def say(sentence):
    print(sentence, flush=True)


def main(argv):
    asked = [word in ("-h", "--help", "help") for word in argv[:2]]
    # a command's own help needs the set-up, and a Python that can say whether there is one
    if not argv or asked[0] or (any(asked) and (sys.version_info < OLDEST or not is_ready(""))):
        say(__doc__.strip())
        return 0
    if argv[0] not in EXTRAS and argv[0] not in READ_ONLY:
        raise Stop(f"Unknown command {argv[0]!r}: choose from {', '.join([*EXTRAS, *READ_ONLY])}.")
    if sys.version_info < OLDEST:
        return run_with_newer_python(argv)
    python, bundle = active_environment(), bundle_in(argv)
    if python is None and argv[0] in READ_ONLY:
        if not is_ready(""):
            raise Stop("The workbook is not set up here yet: `python3 course.py lab` does it.")
    elif python is None and not is_ready(EXTRAS[argv[0]]):
        with one_at_a_time():
            if not is_ready(EXTRAS[argv[0]]):  # else: the set-up that we waited for has done it
                set_up(EXTRAS[argv[0]], bundle)
    return hand_over(python or PYTHON, argv)


def hand_over(python, argv):
    """Go on in course_utils.commands.cli; -P keeps the current folder from shadowing installed modules."""
    return go_on([str(python), "-P", "-m", "course_utils.commands.cli", *argv], {**THREADS, **os.environ})


def go_on(command, environment):
    """Be that program from now on; on Windows, which has no such thing, wait for it."""
    if os.name != "nt":
        os.execve(command[0], command, environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the child, which shares our console
    return subprocess.call(command, env=environment)


# Which Python


def run_with_newer_python(argv):
    for minor in range(20, OLDEST[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer and version_of(newer):
            return go_on([newer, __file__, *argv], os.environ)
    raise Stop(
        "The workbook needs Python 3.11 or newer, and this is {}.{}: install a newer Python, "
        "then start course.py with it.".format(*sys.version_info[:2])
    )


def version_of(python):
    """'3.12' for a Python that starts, else None."""
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.check_output(
            [str(python), "-c", script], stderr=subprocess.DEVNULL, encoding="utf-8"
        ).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def active_environment():
    """The running Python, if its conda or virtual environment has this very folder installed, not a copy."""
    import importlib.metadata  # from Python 3.8 on
    from urllib.request import url2pathname  # takes a moment, which only an environment needs

    in_environment = sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir()
    if not in_environment or Path(sys.prefix).resolve() == VENV:
        return None
    # Only site-packages counts: this folder is on sys.path too, as that of the running script.
    site_packages = [sysconfig.get_path("purelib")]
    for found in importlib.metadata.distributions(name=project()["name"], path=site_packages):
        origin = json.loads(found.read_text("direct_url.json") or "{}")
        # Compared as paths, for installers differ in what they quote in an address.
        url = urlsplit(origin.get("url", ""))
        host = f"//{url.netloc}" if url.netloc else ""  # of a share on Windows
        folder = Path(url2pathname(host + url.path)).resolve()
        if folder == HERE and origin.get("dir_info", {}).get("editable"):
            return sys.executable
    return None


# A bundle, for a room without internet: course_utils/commands/bundling.py makes it


def bundle_in(argv):
    """The folder that `lab --from FOLDER` or `lab --from=FOLDER` names, or None."""
    words = []
    for word in argv:
        words += word.split("=", 1) if word.startswith("--from=") else [word]
    if argv[0] != "lab" or "--from" not in words:
        return None
    folder = [*words, ""][words.index("--from") + 1]
    if not folder:
        raise Stop("--from needs the folder of a bundle: `python3 course.py lab --from FOLDER`.")
    return Path(folder).resolve()


def take_all_from(bundle):
    """Let the installers see the wheels of a bundle and nothing else. Raises Stop if it is not whole."""
    sys.path.insert(0, str(HERE))  # it isn't there with PYTHONSAFEPATH
    from course_utils.commands import bundle_manifest  # which an old Python can't parse

    try:
        wheels = bundle_manifest.whole_wheels(bundle)
    except ValueError as error:
        raise Stop(str(error)) from None
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        del os.environ[name]
    # a URI, for blanks in a path would part it in two
    os.environ.update(PIP_CONFIG_FILE=os.devnull, PIP_NO_INDEX="1", PIP_FIND_LINKS=wheels.as_uri())


# What is installed


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


# Setting up


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
    free = free_megabytes()
    if free < kept:
        raise Stop(
            f"Set-up needs {kept:,} MB of disk, and {free:,} MB are free in {HERE}: "
            "free some, then run the same command again."
        )
    comes = f"all comes from {bundle}" if bundle else f"up to {fetched:,} MB will be fetched"
    say(f"Setting up {VENV}, once: {comes} and {kept:,} MB kept.")


def free_megabytes():
    return shutil.disk_usage(HERE).free // 1_000_000


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
    listed = subprocess.check_output([str(PYTHON), "-m", "pip", "config", "list"], text=True)
    pairs = re.findall(r"^(global|install|:env:)\.([\w-]+)=(.*)$", listed, re.M)
    rank = ["global", "install", ":env:"].index  # the later one wins, as in pip
    return {name: ast.literal_eval(value) for _, name, value in sorted(pairs, key=lambda pair: rank(pair[0]))}


def uv_options(settings):
    options = ["--no-index"] if settings.get("no-index", "").lower() in ("1", "true", "yes", "on") else []
    for name, option in UV_OPTIONS.items():
        for value in settings.get(name, "").split():
            options += [option, value]
    return options


# Running an installer


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
        raise explanation(output)
    run(command, {**(variables or {}), "UV_SYSTEM_CERTS": "0"})  # uv has certificates of its own


def explanation(output):
    """The Stop that explains this output of an installer or of the system."""
    output = re.sub(r".*Retry\(total=[1-9].*", "", output)  # pip went on from there: it is no reason
    kind, pattern, sentence = next(reason for reason in REASONS if re.search(reason[1], output, re.I))
    lines = output.strip().splitlines() or ["no output"]
    line = next((line for line in lines if pattern and re.search(pattern, line, re.I)), lines[-1]).strip()
    python = "{}.{}".format(*sys.version_info[:2])
    sentence = sentence.format(line=line, log=LOG, here=HERE, free=free_megabytes(), python=python)
    return kind(sentence, output)


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):  # from Python 3.7 on
        sys.stdout.reconfigure(errors="backslashreplace")  # in a pipe of Windows, which lacks letters
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        sys.exit(f"course.py: {stop}")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sys.exit(f"course.py: {explanation(str(error))}")
        sys.exit(f"course.py: {error}. Check that you may write to {HERE}, then run the same command again.")
    except KeyboardInterrupt:
        sys.exit("course.py: stopped; the same command begins again, and what has been fetched is kept.")
