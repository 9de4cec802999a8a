"""The commands, as a learner types them, on a copy of the package with a chapter of one cell."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest

PACKAGE = Path(__file__).parents[2] / "course_utils"


@pytest.fixture
def clone(tmp_path):
    """A clone of the repository with one chapter and one benchmark."""
    shutil.copytree(PACKAGE, tmp_path / "course_utils", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "notebooks").mkdir()
    cell = nbformat.v4.new_code_cell("import os\nprint(os.environ['OMP_WAIT_POLICY'])")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "notebooks" / "01_ngrams.ipynb")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "ngrams.py").write_text("import sys; print('measured', sys.argv[1:])")
    return tmp_path


def command(clone, *argv, **variables):
    """Arguments for subprocess that start the clone's commands as course.py does."""
    env = {**os.environ, "PYTHONPATH": str(clone), "OMP_WAIT_POLICY": "PASSIVE", **variables}
    env.pop("JUPYTER_TOKEN", None)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    return {"args": [sys.executable, "-P", "-m", "course_utils.commands.cli", *argv], "env": env, **pipes}


def run(clone, *argv, **variables):
    done = subprocess.run(**command(clone, *argv, **variables), timeout=120)
    return done.returncode, done.stdout, done.stderr


def ask_until_it_answers(url):
    """JupyterLab says its address a moment before it listens there."""
    for _ in range(600):
        try:
            return urllib.request.urlopen(url)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise
        time.sleep(0.05)
    raise TimeoutError(url)


def test_lab_serves_the_learners_copies_on_loopback_with_a_token(clone):
    settings = {f"JUPYTER_{name}_DIR": str(clone / name) for name in ("RUNTIME", "CONFIG", "DATA")}
    with subprocess.Popen(**command(clone, "lab", "--no-browser", **settings)) as server:
        watchdog = threading.Timer(60, server.kill)  # ends the reading below
        watchdog.start()
        try:
            address = re.compile(r"http://127\.0\.0\.1:(\d+)/lab\?token=(\w{20,})")
            port, token = next(found.groups() for line in server.stderr if (found := address.search(line)))
            url = f"http://127.0.0.1:{port}"
            with pytest.raises(urllib.error.HTTPError, match="403"):
                ask_until_it_answers(f"{url}/api/contents")
            with urllib.request.urlopen(f"{url}/api/contents?token={token}") as answer:
                names = [entry["name"] for entry in json.load(answer)["content"]]
            with urllib.request.urlopen(f"{url}/lab?token={token}") as answer:
                page = answer.read().decode()
            status, _, err = run(clone, "lab", "--port", port)
        finally:
            watchdog.cancel()
            server.terminate()
    assert names == ["01_ngrams.ipynb"] == [path.name for path in (clone / "my_work").glob("*.ipynb")]
    assert '"disabledExtensions": ["@jupyterlab/apputils-extension:announcements"]' in page
    assert status == 1 and re.fullmatch(
        rf"course\.py: port {port} can't be used \(.*\): name another .*\n", err
    )


def test_a_port_that_is_none(clone):
    assert "there is no such port" in run(clone, "lab", "--port", "70000")[2]


def test_a_taken_port_lays_nothing(clone):
    with socket.create_server(("127.0.0.1", 0)) as server:
        status, _, err = run(clone, "lab", "--port", str(server.getsockname()[1]))
    assert status == 1 and "leave --port out" in err and not (clone / "my_work").exists()


@pytest.mark.parametrize("name", ["1", "01", "01_ngrams"])
def test_reset_knows_a_chapter_by_each_of_its_names(clone, name):
    status, out, err = run(clone, "reset", name)
    assert (status, err) == (0, "") and "01_ngrams" in out and (clone / "my_work/01_ngrams.ipynb").exists()


@pytest.mark.parametrize("name", ["reset", "refresh"])
def test_an_unknown_chapter(clone, name):
    status, _, err = run(clone, name, "14")
    assert status == 1 and "'14'" in err and "01_ngrams" in err and err.count("\n") == 1


def test_refresh_stores_outputs(clone):
    assert run(clone, "refresh", "1")[0] == 0
    nb = nbformat.read(clone / "notebooks/01_ngrams.ipynb", as_version=4)
    assert nb.cells[0].outputs[0].text == "PASSIVE\n"


def test_bench(clone):
    assert run(clone, "bench", "ngrams", "--quick") == (0, "measured ['--quick']\n", "")
    status, _, err = run(clone, "bench", "nothing")
    assert status == 1 and "choose from ngrams" in err


def test_where_names_each_folder(clone):
    out = run(clone, "where", COURSE_CACHE=str(clone / "cache"))[1]
    assert all(
        str(folder) in out for folder in (clone / "my_work", clone / "notebooks", clone / "cache", sys.prefix)
    )


def test_doctor(clone):
    status, out, _ = run(clone, "doctor")
    assert status == 0 and out.endswith("Everything works.\n")
    for words in (
        "python",
        "torch",
        "computes correctly",
        "shakespeare",
        "MB free",
        "JupyterLab",
        "anywidget",
        "PASSIVE",
    ):
        assert words in out
    status, out, _ = run(clone, "doctor", COURSE_CACHE=str(clone / "cache"))
    assert status == 1 and "BROKEN  assets" in out and "course.py lab" in out


def test_an_unknown_option_and_no_chapters(clone):
    assert "Unknown option --pot" in run(clone, "lab", "--pot")[2]
    shutil.rmtree(clone / "notebooks")
    assert "clone of its repository" in run(clone, "where")[2]
