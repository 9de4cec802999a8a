"""A real JupyterHub by deploy/jupyterhub_config.py: two accounts, nbgrader's exchange, our grading.

It runs in a room of its own: a mount namespace with a teacher and two students in /etc/passwd, so that the
rights of the files are the real ones, and a network that has nothing but loopback. Its packages lie in an
environment of their own, since nbgrader and notebook change every JupyterLab beside which they are installed.
"""

import csv
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PACKAGES = [*PROJECT["optional-dependencies"]["hub"], "configurable-http-proxy"]  # a proxy without Node
ACCOUNTS = {
    "teacher": (20000, "/srv/teacher"),
    "ada": (20001, "/srv/home/ada"),
    "bob": (20002, "/srv/home/bob"),
}
LACKING = [
    what
    for what, there in {
        "uv": importlib.util.find_spec("uv"),
        "bubblewrap": shutil.which("bwrap"),
        "root, to be two users": getattr(os, "geteuid", lambda: 1)() == 0,
    }.items()
    if not there
]
FULL = bool(os.environ.get("COURSE_FULL"))
whole = pytest.mark.skipif(not FULL, reason="two servers and a grading: `course.py test --full` runs them")
pytestmark = pytest.mark.skipif(bool(LACKING), reason=f"a hub needs {', '.join(LACKING)}")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with the extra `hub`; all else is found where the tests have it."""
    folder = tmp_path_factory.mktemp("hub")
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    install = [*uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *PACKAGES]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the packages of a hub can't be had: {done.stderr.strip().splitlines()[-1]}")
    own = sysconfig.get_path("purelib", "venv", vars={"base": str(folder)})
    Path(own, "needed.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    return folder


def room(folder, environment):
    """The command that runs another in the room."""
    for name, line in {"passwd": "{0}:x:{1}:{1}::{2}:/bin/sh\n", "group": "{0}:x:{1}:\n"}.items():
        lines = [line.format(account, *settings) for account, settings in ACCOUNTS.items()]
        (folder / name).write_text(Path("/etc", name).read_text("utf-8") + "".join(lines), "utf-8")
    command = ["bwrap", "--die-with-parent", "--cap-add", "ALL", "--proc", "/proc", "--dev", "/dev"]
    command += [*(f"--unshare-{what}" for what in ("net", "pid", "ipc")), "--tmpfs", "/srv"]
    command += ["--perms", "0755", "--dir", "/srv/home"]
    for everybodys in ("/tmp", "/dev/shm"):
        command += ["--perms", "1777", "--tmpfs", everybodys]
    command += ["--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]
    for top in map(Path, (sys.base_prefix, sys.prefix, ROOT, environment)):
        for path in reversed([top, *top.parents][:-1]):  # for everybody, whatever it is outside
            command += ["--perms", "0755", "--dir", str(path)]
        for path in top.iterdir():
            command += ["--ro-bind-try", str(path), str(path)]
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path("/", name).is_symlink():
            command += ["--symlink", f"usr/{name}", f"/{name}"]
    for name in ("passwd", "group"):
        command += ["--ro-bind", str(folder / name), f"/etc/{name}"]
    imported = [ROOT, ROOT / "deploy", ROOT / "tests" / "classroom"]  # by the scenario
    settings = {"PATH": f"{environment}/bin:/usr/bin:/bin", "PYTHONPATH": ":".join(map(str, imported))}
    command += [word for pair in settings.items() for word in ("--setenv", *pair)]
    # bubblewrap covers parts of /proc, and then the kernel lets no sandbox inside have its own
    return [*command, "sh", "-c", 'mount -t proc proc /proc && exec "$@"', "sh"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory, environment):
    """What the scenario saw."""
    script = [str(environment / "bin" / "python"), str(Path(__file__).with_name("hub_scenario.py"))]
    script += [] if FULL else ["short"]
    command = [*room(tmp_path_factory.mktemp("room"), environment), *script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-8000:]
    return json.loads(done.stdout)


@whole
def test_an_assignment_goes_out_comes_in_is_graded_and_given_back(seen):
    grades = {row["student"]: row for row in csv.DictReader(io.StringIO(seen["grades"]))}
    assert {"ada", "bob"} == {*grades}
    assert grades["ada"]["status"] == grades["bob"]["status"] == "graded"
    assert float(grades["ada"]["witten_bell"]) > 0 == float(grades["bob"]["witten_bell"])
    assert "01_ngrams.ipynb" in seen["chapters"] and seen["who"] == "ada"
    assert "ngrams: ada" in seen["page"] and "bob" not in seen["page"]


@whole
def test_no_student_comes_to_what_is_not_theirs(seen):
    assert seen["tried"] and seen["refused"] == seen["tried"] and seen["own"] == 0


def test_who_guesses_a_password_stays_outside(seen):
    assert seen["thief"].startswith("ada may not log in")


def test_hub_proxy_and_servers_hear_this_machine_only(seen):
    assert seen["addresses"] == ["0100007F"]


def test_the_hub_knows_every_setting(seen):
    assert "not recognized" not in seen["log"]
