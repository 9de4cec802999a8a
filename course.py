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

# Standard library and its own two parts only, and Python 3.6 must run it: an old Python gets a sentence.
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))  # it isn't there with PYTHONSAFEPATH
from course_utils.commands.setting_up import (
    HERE,
    LOG,
    PYTHON,
    THREADS,
    VENV,
    is_ready,
    one_at_a_time,
    project,
    say,
    set_up,
    version_of,
)
from course_utils.commands.stops import Stop, explanation

OLDEST = (3, 11)
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


def main(argv):
    asked = [word in ("-h", "--help", "help") for word in argv[:2]]
    old = sys.version_info < OLDEST
    # a command's own help needs the set-up, and a Python that can say whether there is one
    if not argv or asked[0] or (any(asked) and (old or not (active_environment() or is_ready("")))):
        say(__doc__.strip())
        return 0
    if argv[0] not in EXTRAS and argv[0] not in READ_ONLY:
        raise Stop(f"Unknown command {argv[0]!r}: choose from {', '.join([*EXTRAS, *READ_ONLY])}.")
    if old:
        return run_with_newer_python(argv)
    # as it is now: a set-up out of a bundle turns pip's settings off
    python, bundle, environment = active_environment(), bundle_in(argv), {**THREADS, **os.environ}
    if python is None and argv[0] in READ_ONLY:
        if not is_ready(""):
            raise Stop(
                "The workbook is not set up here yet, or not as this version needs it: "
                "`python3 course.py lab` does it."
            )
    elif python is None and not is_ready(EXTRAS[argv[0]]):
        with one_at_a_time():
            if not is_ready(EXTRAS[argv[0]]):  # else: the set-up that we waited for has done it
                set_up(EXTRAS[argv[0]], bundle)
    return hand_over(python or PYTHON, argv, environment)


def hand_over(python, argv, environment):
    """Go on in course_utils.commands.cli; -P keeps the current folder from shadowing installed modules."""
    return go_on([str(python), "-P", "-m", "course_utils.commands.cli", *argv], environment)


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


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):  # from Python 3.7 on
        sys.stdout.reconfigure(errors="backslashreplace")  # in a pipe of Windows, which lacks letters
    try:
        sys.exit(main(sys.argv[1:]))
    except Stop as stop:
        sys.exit(f"course.py: {stop}")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sys.exit(f"course.py: {explanation(str(error), HERE, LOG)}")
        sys.exit(f"course.py: {error}. Check that you may write to {HERE}, then run the same command again.")
    except KeyboardInterrupt:
        sys.exit("course.py: stopped; the same command begins again, and what has been fetched is kept.")
