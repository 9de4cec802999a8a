"""course.py on a stand-in of the workbook: how a set-up can fail, and that the next one succeeds."""

import ast
import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import venv
from functools import partial
from pathlib import Path

import pytest
from standin import LAUNCHER, Index, make_project, make_uv_wheel, make_wheel

from course_utils.commands.stops import explanation

COURSE = Path(__file__).parent.parent / "course.py"
NO_UV = pytest.mark.skipif(importlib.util.find_spec("uv") is None, reason="uv is not installed here")
POSIX = pytest.mark.skipif(os.name == "nt", reason="kills a process group, as only POSIX has them")


@pytest.fixture(scope="session")
def uv_wheel(tmp_path_factory):
    return make_uv_wheel(tmp_path_factory.mktemp("uv"))


@pytest.fixture
def wheels(tmp_path):
    """A folder with all that the stand-in needs, but for uv."""
    for name in ("tiny_one", "tiny_two", "torch"):
        make_wheel(tmp_path / "wheels", name, {f"{name}.py": os.urandom(100_000)})
    return tmp_path / "wheels"


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path / "a folder with blanks")


@pytest.fixture(scope="session")
def with_pip(tmp_path_factory):
    """An environment with pip, to copy where a test is not about making one."""
    folder = tmp_path_factory.mktemp("with_pip") / ".venv"
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    return folder


@pytest.fixture(scope="session")
def with_uv(tmp_path_factory, with_pip, uv_wheel):
    """The same with uv."""
    folder = tmp_path_factory.mktemp("with_uv") / ".venv"
    shutil.copytree(with_pip, folder, symlinks=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    subprocess.run([python, "-m", "pip", "install", "--no-index", uv_wheel], check=True, capture_output=True)
    return folder


def environment(tmp_path, **settings):
    """This process's environment without what configures pip and uv, or names another course, and with the
    given settings."""
    away = ("PIP_", "UV_", "SSL_CERT_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(away)}
    caches = {"UV_CACHE_DIR": str(tmp_path / "uv"), "PIP_CACHE_DIR": str(tmp_path / "pip")}
    quick = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "UV_HTTP_RETRIES": "0"}
    return {**kept, **caches, **quick, **{name: str(value) for name, value in settings.items()}}


def offline(tmp_path, *folders):
    return environment(tmp_path, PIP_NO_INDEX="1", PIP_FIND_LINKS=" ".join(map(str, folders)))


def start(project, env, *argv, **settings):
    command = [sys.executable, str(project / "course.py"), *(argv or ("lab",))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    return subprocess.Popen(command, env=env, **pipes, **settings)


def course(project, env, *argv):
    """Run the launcher to its end: exit status, stdout and stderr."""
    with start(project, env, *argv) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def given(out):
    """What the stand-in's command line was given."""
    return json.loads(out.splitlines()[-1])


def assert_one_sentence(err, *words):
    assert err.startswith("course.py: ") and err.count("\n") == 1, err
    assert all(word in err for word in words), err


def assert_works(project, env, *argv):
    status, out, err = course(project, env, *argv)
    assert (status, err) == (0, ""), out + err
    assert Path(given(out)["prefix"]) == project / ".venv"
    return out


@pytest.mark.parametrize("path", LAUNCHER[:3])  # the last waits until the Python is known to be new enough
def test_python_3_6_can_parse_it(path):
    ast.parse((COURSE.parent / path).read_text(encoding="utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize("path", LAUNCHER)
def test_it_needs_nothing_that_is_installed(path):
    used = set()
    for node in ast.walk(ast.parse((COURSE.parent / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            used |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            used |= {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name for name in used if name.startswith("course_utils")}
    assert {name.partition(".")[0] for name in used - ours} <= sys.stdlib_module_names
    launcher = tuple(each.removesuffix(".py").replace("/", ".") for each in LAUNCHER)
    assert all(name.startswith(launcher) for name in ours), ours


def test_it_finds_its_modules_where_python_leaves_its_folder_out():
    command = [sys.executable, "-P", COURSE, "--help"]
    assert subprocess.run(command, capture_output=True, encoding="utf-8").stdout.startswith(
        "Sets the workbook"
    )


AS_PYTHON_3_6 = f"""
import runpy, subprocess, sys
sys.version_info = (3, 6, 0, 'final', 0)
sys.modules['importlib.metadata'] = None  # new in 3.8
sys.modules['tomllib'] = None  # new in 3.11

class Popen(subprocess.Popen):
    def __init__(self, *command, **options):
        assert 'text' not in options, 'new in 3.7'
        super().__init__(*command, **options)

subprocess.Popen = Popen
sys.argv = [{str(COURSE)!r}, *sys.argv[1:]]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def with_python_3_6(path, *command):
    """Run the launcher in a Python that does as if it were 3.6, with nothing but `path` to find others on."""
    env = {**os.environ, "PATH": str(path)}
    run = [sys.executable, "-c", AS_PYTHON_3_6, *command]
    return subprocess.run(run, env=env, capture_output=True, text=True)


def test_old_python_gets_a_sentence(tmp_path):
    done = with_python_3_6(tmp_path, "lab")
    assert done.returncode == 1
    assert_one_sentence(done.stderr, "needs Python 3.11 or newer", "this is 3.6", "install")


def test_old_python_shows_the_help(tmp_path):
    done = with_python_3_6(tmp_path, "make", "--help")
    assert (done.returncode, done.stderr) == (0, "") and "course.py make" in done.stdout


@POSIX
def test_old_python_finds_a_newer_one(tmp_path):
    (tmp_path / "python3.12").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "python3.12").chmod(0o755)
    done = with_python_3_6(tmp_path, "lab")
    assert (done.stdout, done.stderr) == (f"{COURSE} lab\n", "")


def test_unknown_command_sets_nothing_up(project, tmp_path):
    status, _, err = course(project, offline(tmp_path), "lba")
    assert status == 1 and not (project / ".venv").exists()
    assert_one_sentence(err, "Unknown command 'lba'", "lab, ", "where")


def launcher():
    spec = importlib.util.spec_from_file_location("course", COURSE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_help_names_every_command():
    module = launcher()
    commands = [*module.EXTRAS, *module.READ_ONLY]
    assert [name for name in commands if f"course.py {name} " not in module.__doc__] == []


@pytest.mark.parametrize("command", ["doctor", "where", "reset"])
def test_commands_that_only_look_set_nothing_up(project, tmp_path, command):
    status, _, err = course(project, offline(tmp_path), command)
    assert status == 1 and not (project / ".venv").exists()
    assert_one_sentence(err, "not set up here yet", "course.py lab")


def test_no_venv_module(project, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/sitecustomize.py").write_text("import sys; sys.modules['ensurepip'] = None")
    status, _, err = course(project, {**offline(tmp_path), "PYTHONPATH": str(tmp_path / "broken")})
    assert status == 1 and not (project / ".venv").exists()
    assert_one_sentence(err, "no venv module", "python3-venv")


@NO_UV
def test_first_and_second_start(project, tmp_path, wheels, uv_wheel):
    env = offline(tmp_path, wheels, uv_wheel.parent)
    first = assert_works(project, env, "lab", "--port", "1234")
    assert "up to 11 MB will be fetched" in first and "Installed" in first
    assert given(first)["argv"] == ["lab", "--port", "1234"] and given(first)["threads"] == "PASSIVE"
    log = (project / ".venv/course-setup.log").read_text(encoding="utf-8")
    assert "ipykernel install --sys-prefix" in log and "--env OMP_WAIT_POLICY PASSIVE" in log

    nothing = offline(tmp_path)  # from here on there is nowhere to install from
    assert len(assert_works(project, nothing).splitlines()) == 1
    assert len(assert_works(project, nothing, "where").splitlines()) == 1

    assert "up to 3 MB will be fetched" in assert_works(project, env, "test")
    assert len(assert_works(project, nothing, "lab").splitlines()) == 1  # what tests need serves the lab too

    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('version = "1"', 'version = "2"'))
    assert "Setting up" in assert_works(project, env, "lab")

    stamp = project / ".venv/course-stamp.json"
    older = json.loads(stamp.read_text()) | {"python": "3.10"}  # as if the system's Python was upgraded
    stamp.write_text(json.dumps(older))
    assert "up to 11 MB will be fetched" in assert_works(project, env, "lab")

    moved = project.rename(tmp_path / "moved")
    assert "making .venv again" in assert_works(moved, env)


def test_pip_where_uv_cannot_be_had(project, tmp_path, wheels, with_pip):
    shutil.copytree(with_pip, project / ".venv", symlinks=True)
    assert "uv isn't available" in assert_works(project, offline(tmp_path, wheels))


@pytest.fixture
def telling(project, tmp_path, with_pip):
    """A project whose uv fails, with its UV_ variables as its last line."""
    tell = "import os, sys; sys.exit({name: os.environ[name] for name in os.environ if name[:3] == 'UV_'})"
    wheel = make_wheel(tmp_path / "telling", "uv", {"uv/__init__.py": b"", "uv/__main__.py": tell.encode()})
    shutil.copytree(with_pip, project / ".venv", symlinks=True)
    return project, offline(tmp_path, wheel.parent)


@pytest.mark.parametrize("name", ["timeout", "default-timeout"])
def test_pips_time_limit_is_uvs_too(telling, tmp_path, name):
    project, env = telling
    (tmp_path / "pip.conf").write_text(f"[global]\n{name} = 76.5\n")
    _, _, err = course(project, env | {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")})
    assert_one_sentence(err, "The installer failed", "'UV_HTTP_TIMEOUT': '77'")


def test_a_configuration_that_pip_cannot_read_is_a_sentence(telling, tmp_path):
    project, env = telling
    (tmp_path / "pip.conf").write_text("no-index = 1\n")  # outside any section
    _, _, err = course(project, env | {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")})
    assert "pip can't read its own configuration: what is wrong stands above" in err and "pip.conf" in err
    assert "Traceback" not in err


def test_uv_trusts_what_the_system_trusts(telling):
    project, env = telling
    assert_one_sentence(course(project, env)[2], "'UV_SYSTEM_CERTS': '1'", "'UV_NATIVE_TLS': '1'")
    err = course(project, {**env, "UV_NATIVE_TLS": "0"})[2]
    assert_one_sentence(err, "'UV_NATIVE_TLS': '0'")
    assert "UV_SYSTEM_CERTS" not in err


def test_a_folder_that_the_terminals_encoding_lacks_is_escaped(tmp_path, with_pip):
    """As on Windows, where a file or a pipe is written in a code page."""
    project = make_project(tmp_path / "Łukasz")
    shutil.copytree(with_pip, project / ".venv", symlinks=True)
    _, out, err = course(project, {**offline(tmp_path), "PYTHONIOENCODING": "cp1252"})
    assert_one_sentence(err, "No set of packages fits")
    assert r"\u0141ukasz" in out


@POSIX
def test_killed_installer(project, tmp_path, wheels, with_pip):
    shutil.copytree(with_pip, project / ".venv", symlinks=True)
    backend = project / "standin.py"
    whole = backend.read_text(encoding="utf-8")
    backend.write_text("import os\nos.kill(os.getppid(), 9)  # as Linux does where memory runs out")
    env = offline(tmp_path, wheels)
    assert_one_sentence(course(project, env)[2], "was killed (signal 9)", "memory", "close other programs")
    backend.write_text(whole, encoding="utf-8")
    assert "making .venv again" in assert_works(project, env)


RETRY = "WARNING: Retrying (Retry(total={}, read=None)) after connection broken by {}: /simple/uv/\n"
NO_UV_FOUND = "ERROR: No matching distribution found for uv>=0.7\n"
UNTRUSTED = """error: Failed to fetch: https://index/simple/torch/
  cause: client error (Connect)
  cause: invalid peer certificate: UnknownIssuer
"""
SLOW = """  × Failed to download `torch`
  ├─▶ Failed to extract archive: torch
  ╰─▶ Failed to download distribution due to network timeout. Try increasing UV_HTTP_TIMEOUT
"""
TIMEOUT = "ReadTimeoutError('Read timed out. (read timeout=15)')"
CLOSED = "ProxyError('Tunnel connection failed: 407 Proxy Authentication Required')"
SSL = "SSLError('[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed')"


@pytest.mark.parametrize(
    "output, kind, words",
    [
        (RETRY.format(4, TIMEOUT) + NO_UV_FOUND, "Stop", ["No set of packages", "found for uv>=0.7"]),
        (RETRY.format(0, TIMEOUT) + NO_UV_FOUND, "NoNetwork", ["can be reached", "Read timed out"]),
        (SLOW, "NoNetwork", ["can be reached", "network timeout"]),
        (RETRY.format(0, CLOSED) + NO_UV_FOUND, "NoNetwork", ["can be reached", "407 Proxy"]),
        (RETRY.format(0, SSL) + NO_UV_FOUND, "NoNetwork", ["can't be verified", "`cert`", "VERIFY_FAILED"]),
        (UNTRUSTED, "NoNetwork", ["can't be verified", "`cert`", "UnknownIssuer"]),
        ("Obtaining file:///srv/proxy-lab\nERROR: 7", "Stop", ["The installer failed (ERROR: 7)"]),
    ],
)
def test_what_an_installer_says_becomes_a_sentence(tmp_path, output, kind, words):
    stop = explanation(output, tmp_path, tmp_path / "course-setup.log")
    assert type(stop).__name__ == kind and "course-setup.log" in str(stop)
    assert all(word in str(stop) for word in words), stop


def nobody_listens():
    """The address of an index on a port that was just closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@NO_UV
def test_no_network(project, tmp_path, wheels, with_uv):
    shutil.copytree(with_uv, project / ".venv", symlinks=True)
    status, _, err = course(project, environment(tmp_path, PIP_INDEX_URL=nobody_listens()))
    assert status == 1
    assert_one_sentence(err, "No package index can be reached", "check the network")
    assert "making .venv again" not in assert_works(project, offline(tmp_path, wheels))


def test_no_network_for_uv_itself(project, tmp_path, with_pip):
    shutil.copytree(with_pip, project / ".venv", symlinks=True)
    env = environment(tmp_path, PIP_INDEX_URL=nobody_listens(), PIP_RETRIES=1)
    status, _, err = course(project, env)
    assert status == 1
    assert_one_sentence(err, "No package index can be reached", "check the network")


@NO_UV
@pytest.mark.parametrize("damage", ["truncated", "one byte", "another file"])
def test_damaged_wheel(project, tmp_path, wheels, with_uv, damage):
    shutil.copytree(with_uv, project / ".venv", symlinks=True)
    wheel = wheels / "tiny_one-1-py3-none-any.whl"
    whole = wheel.read_bytes()
    wrong = {
        "truncated": whole[: len(whole) // 2],
        "one byte": whole[:50_000] + bytes([whole[50_000] ^ 1]) + whole[50_001:],
        "another file": b"<html>Log in to this network</html>",
    }
    wheel.write_bytes(wrong[damage])
    narrow = {"COLUMNS": "40"}  # an installer would break its lines there
    status, _, err = course(project, offline(tmp_path, wheels) | narrow)
    assert status == 1
    assert_one_sentence(err, "arrived damaged", "tiny", "run the same command again")
    wheel.write_bytes(whole)
    assert_works(project, offline(tmp_path, wheels))


@contextlib.contextmanager
def index_of(wheels, tmp_path):
    for wheel in wheels.glob("*.whl"):
        folder = tmp_path / "index/simple" / wheel.name.split("-")[0].replace("_", "-")
        folder.mkdir(parents=True)
        shutil.copy(wheel, folder)
    with Index(tmp_path / "index") as index:
        yield index


@NO_UV
def test_download_cut_off(project, tmp_path, wheels, with_uv, uv_wheel):
    shutil.copytree(with_uv, project / ".venv", symlinks=True)
    with index_of(wheels, tmp_path) as index:
        env = environment(tmp_path, PIP_INDEX_URL=index.url, PIP_FIND_LINKS=uv_wheel.parent)
        index.cut.add("tiny_one-1-py3-none-any.whl")
        status, _, err = course(project, env)
        assert status == 1
        assert_one_sentence(err, "A package arrived damaged", "tiny", "run the same command again")
        index.cut.clear()
        assert_works(project, env)


@NO_UV
@POSIX
@pytest.mark.parametrize(
    "how, said", [(signal.SIGKILL, ""), (signal.SIGINT, "stopped; the same command begins again")]
)
def test_killed_download(project, tmp_path, wheels, with_uv, uv_wheel, how, said):
    shutil.copytree(with_uv, project / ".venv", symlinks=True)
    with index_of(wheels, tmp_path) as index:
        env = environment(tmp_path, PIP_INDEX_URL=index.url, PIP_FIND_LINKS=uv_wheel.parent)
        index.held.add("tiny_one-1-py3-none-any.whl")
        heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it
        with start(project, env, start_new_session=True, preexec_fn=heard) as process:
            assert index.reached.wait(60)
            os.killpg(process.pid, how)
            assert said in process.communicate(timeout=60)[1]
        index.held.clear()
        index.release.set()
        assert "making .venv again" in assert_works(project, env)


@NO_UV
def test_two_setups_at_once(project, tmp_path, wheels, with_uv, uv_wheel):
    shutil.copytree(with_uv, project / ".venv", symlinks=True)
    with index_of(wheels, tmp_path) as index:
        env = environment(tmp_path, PIP_INDEX_URL=index.url, PIP_FIND_LINKS=uv_wheel.parent)
        index.held.add("tiny_one-1-py3-none-any.whl")
        with start(project, env) as first:
            assert index.reached.wait(60)
            with start(project, env) as second:
                assert "Another set-up is running" in second.stdout.readline()
                index.release.set()
                outs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0)
    assert "Setting up" in outs[0] and len(outs[1].splitlines()) == 1 and given(outs[1])


def test_too_little_disk_is_said_before(project, tmp_path):
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("[11, 1]", "[11, 999999999]"))
    status, _, err = course(project, offline(tmp_path))
    assert status == 1 and not (project / ".venv").exists()
    assert_one_sentence(err, "needs 999,999,999 MB", "free some")


@NO_UV
def test_full_disk(tmp_path, wheels, uv_wheel, with_pip):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(small)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk takes Linux and the right to mount one")
    try:
        project = make_project(small / "workbook")
        shutil.copytree(with_pip, project / ".venv", symlinks=True)
        env = offline(tmp_path, wheels, uv_wheel.parent)
        status, _, err = course(project, env)  # 40 MB hold pip, but not uv
        assert status == 1
        assert_one_sentence(err, "The disk is full", "free some")
        subprocess.run(["mount", "-o", "remount,size=400m", str(small)], check=True)
        assert "making .venv again" in assert_works(project, env)
    finally:
        subprocess.run(["umount", str(small)], check=True)


@NO_UV
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's plain torch is the large one")
def test_closed_pytorch_index(project, tmp_path, wheels, with_uv):
    shutil.copytree(with_uv, project / ".venv", symlinks=True)
    with index_of(wheels, tmp_path) as index:
        closed = {"HTTPS_PROXY": nobody_listens(), "NO_PROXY": "127.0.0.1"}
        env = environment(tmp_path, PIP_INDEX_URL=index.url, **closed)
        out = assert_works(project, env)
    assert out.count("PyTorch's own index can't be used here") == 1
    assert "up to 22 MB" in out


@NO_UV
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's plain torch is the large one")
def test_what_fails_elsewhere_is_not_laid_on_pytorchs_index(project, tmp_path, with_uv):
    """An index that is closed to the build of this folder, which comes before any request for torch."""
    shutil.copytree(with_uv, project / ".venv", symlinks=True)
    pyproject = project / "pyproject.toml"
    built = pyproject.read_text().replace("requires = []", 'requires = ["tiny-two"]')
    pyproject.write_text(built.replace('dependencies = ["tiny-one", "torch"]', 'dynamic = ["dependencies"]'))
    _, out, err = course(project, environment(tmp_path, PIP_INDEX_URL=nobody_listens()))
    assert_one_sentence(err, "No package index can be reached", "tiny-two")
    assert "PyTorch" not in out and "up to 22 MB" not in out


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's plain torch is the large one")
def test_pip_in_uvs_place_announces_the_larger_build(project, tmp_path, wheels, with_pip):
    shutil.copytree(with_pip, project / ".venv", symlinks=True)
    with index_of(wheels, tmp_path) as index:
        out = assert_works(project, environment(tmp_path, PIP_INDEX_URL=index.url))
    assert "uv isn't available" in out and ("up to 22 MB" in out or shutil.which("nvidia-smi"))


def test_active_environment_that_has_the_package(tmp_path):
    project = make_project(tmp_path / "a folder (1)")
    venv.create(tmp_path / "own", symlinks=os.name != "nt")
    python = tmp_path / "own" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = Path(subprocess.check_output([python, "-c", ask], text=True).strip())
    info = site_packages / "llm_workbook-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llm-workbook\nVersion: 1\n")
    (site_packages / "llm_workbook.pth").write_text(str(project))

    def run(url, *argv, **dir_info):
        (info / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": dir_info}))
        command = [python, project / "course.py", *argv]
        return subprocess.run(command, capture_output=True, text=True, env=offline(tmp_path))

    url = project.as_uri()
    for spelled in (url, url.replace("%28", "(").replace("%29", ")")):  # by pip; by uv
        assert Path(given(run(spelled, "where", editable=True).stdout)["prefix"]) == tmp_path / "own"
    assert given(run(url, "lab", "--help", editable=True).stdout)["argv"] == ["lab", "--help"]
    assert not (project / ".venv").exists()
    for other, how in (("file:///another/clone", {"editable": True}), (url, {}), (url, {"editable": False})):
        assert_one_sentence(run(other, "where", **how).stderr, "not set up here yet")


# A bundle


def machine():
    return [sys.platform, platform.machine(), "Python {}.{}".format(*sys.version_info[:2])]


@pytest.fixture
def bundle(tmp_path, wheels):
    """The stand-in's packages as `course.py bundle` lays them, in a folder with blanks."""
    folder = tmp_path / "a stick"
    shutil.copytree(wheels, folder / "wheels")
    files = {
        f"wheels/{path.name}": [path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()]
        for path in (folder / "wheels").iterdir()
    }
    (folder / "bundle.json").write_text(json.dumps({"machine": machine(), "files": files}))
    (folder / "wheels" / "._torch-1-py3-none-any.whl").touch()  # as macOS leaves them on a stick
    return folder


def without_network(command):
    """The command in a network namespace that has nothing but loopback, and no certificates, where bubblewrap
    can make one."""
    jail = ["bwrap", "--dev-bind", "/", "/", "--unshare-net", "--tmpfs", "/etc/ssl"]
    works = shutil.which("bwrap") and not subprocess.run([*jail, "true"], capture_output=True).returncode
    return [*jail, *command] if works else command


@NO_UV
@pytest.mark.parametrize("option", [["--from", "{}"], ["--from={}"]])
def test_a_bundle_is_all_that_a_set_up_needs(project, tmp_path, bundle, with_uv, option):
    shutil.copytree(with_uv, project / ".venv", symlinks=True)
    away = environment(tmp_path, PIP_INDEX_URL=nobody_listens(), UV_INDEX_URL=nobody_listens())
    argv = ["lab", *(word.format(bundle) for word in option), "--no-browser"]
    command = [sys.executable, project / "course.py", *argv]
    done = subprocess.run(without_network(command), env=away, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert f"all comes from {bundle}" in done.stdout and "fetched" not in done.stdout
    assert given(done.stdout)["argv"] == argv
    assert given(done.stdout)["index"] == away["PIP_INDEX_URL"]  # the bundle was for the set-up alone


def other(key, value):
    def change(bundle):
        manifest = json.loads((bundle / "bundle.json").read_text())
        manifest["machine"][key] = value
        (bundle / "bundle.json").write_text(json.dumps(manifest))

    return change


def flip(bundle):
    wheel = bundle / "wheels" / "tiny_one-1-py3-none-any.whl"
    data = bytearray(wheel.read_bytes())
    data[50_000] ^= 1
    wheel.write_bytes(data)


BROKEN = {
    "half made": (lambda bundle: (bundle / "bundle.json").unlink(), ["no whole bundle", "course.py bundle"]),
    "cut off": (lambda bundle: (bundle / "bundle.json").write_text('{"machine'), ["no whole bundle"]),
    "a list": (lambda bundle: (bundle / "bundle.json").write_text("[]"), ["no whole bundle"]),
    "another system": (other(0, "win32"), ["was made for win32", "make one on a machine like this"]),
    "another processor": (other(1, "sparc"), ["was made for", "sparc"]),
    "another Python": (other(2, "Python 3.9"), ["Python 3.9", "start course.py with that Python"]),
    "one byte": (flip, ["tiny_one-1-py3-none-any.whl", "damaged", "copy the bundle again"]),
    "a wheel too few": (lambda b: (b / "wheels/torch-1-py3-none-any.whl").unlink(), ["torch-1", "missing"]),
    "a wheel too many": (
        lambda b: (b / "wheels/z-1-py3-none-any.whl").touch(),
        ["z-1", "not in its bundle.json"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_bundle_that_is_not_whole_is_refused_before_anything_is_made(project, tmp_path, bundle, what):
    breaks, words = BROKEN[what]
    breaks(bundle)
    status, _, err = course(project, environment(tmp_path), "lab", "--from", str(bundle))
    assert status == 1 and not (project / ".venv").exists()
    assert_one_sentence(err, *words)


@pytest.mark.parametrize("option", ["--from", "--from="])
def test_from_without_a_folder(project, tmp_path, option):
    assert_one_sentence(course(project, environment(tmp_path), "lab", option)[2], "needs the folder")
