"""The commands, as a learner types them, on a repository with a chapter of one cell."""

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
from answering import ask_until_it_answers

from course_utils.classroom import places
from course_utils.classroom.overlay import Overlay
from course_utils.commands import cli

PACKAGE = Path(__file__).parents[2] / "course_utils"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository with one chapter and one benchmark, which the commands of this process take for theirs."""
    cell = nbformat.v4.new_code_cell("import os\nprint(os.environ['OMP_WAIT_POLICY'])")
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "notebooks" / "01_ngrams.ipynb")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "ngrams.py").write_text("import sys; print('measured', sys.argv[1:])")
    for name in ("course.py", "pyproject.toml"):  # by which a clone is known
        (tmp_path / name).touch()
    monkeypatch.setattr(places, "clone", lambda: tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    return tmp_path


@pytest.fixture
def run(folder, capfd):
    """Run a command: exit status, stdout and stderr."""

    def run(*argv):
        capfd.readouterr()
        try:
            status, stopped = cli.main(argv), ""
        except SystemExit as stop:  # Python prints the sentence, and exits with 1
            status, stopped = 1, f"{stop.code}\n"
        out, err = capfd.readouterr()
        return status, out, err + stopped

    return run


@pytest.fixture
def clone(folder):
    """The same with the package: to be run by another Python, as course.py does."""
    shutil.copytree(PACKAGE, folder / "course_utils", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def command(clone, *argv, **variables):
    """Arguments for subprocess that start the clone's commands as course.py does."""
    env = {**os.environ, "PYTHONPATH": str(clone), **variables}
    env.pop("JUPYTER_TOKEN", None)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "encoding": "utf-8"}
    return {"args": [sys.executable, "-P", "-m", "course_utils.commands.cli", *argv], "env": env, **pipes}


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
            refused = subprocess.run(**command(clone, "lab", "--port", port), timeout=60)
        finally:
            watchdog.cancel()
            server.terminate()
    assert names == ["01_ngrams.ipynb"] == [path.name for path in (clone / "my_work").glob("*.ipynb")]
    assert '"disabledExtensions": ["@jupyterlab/apputils-extension:announcements"]' in page
    assert refused.returncode == 1
    assert re.fullmatch(rf"course\.py: port {port} can't be used \(.*\): name another .*\n", refused.stderr)


def test_a_port_that_does_not_exist(run):
    assert "there is no such port" in run("lab", "--port", "70000")[2]


def test_where_the_port_is_taken_nothing_is_copied(run, folder):
    with socket.create_server(("127.0.0.1", 0)) as server:
        status, _, err = run("lab", "--port", str(server.getsockname()[1]))
    assert status == 1 and "leave --port out" in err and not (folder / "my_work").exists()


@pytest.mark.parametrize("name", ["1", "01", "01_ngrams"])
def test_reset_knows_a_chapter_by_each_of_its_names(run, folder, name):
    status, out, err = run("reset", name)
    assert (status, err) == (0, "") and "01_ngrams" in out and (folder / "my_work/01_ngrams.ipynb").exists()


@pytest.mark.parametrize("name", ["reset", "refresh"])
def test_an_unknown_chapter(run, name):
    status, _, err = run(name, "14")
    assert status == 1 and "'14'" in err and "01_ngrams" in err and err.count("\n") == 1


def test_refresh_stores_outputs(run, folder):
    assert run("refresh", "1")[0] == 0
    nb = nbformat.read(folder / "notebooks/01_ngrams.ipynb", as_version=4)
    assert nb.cells[0].outputs[0].text == "PASSIVE\n"


def test_bench(run):
    assert run("bench", "ngrams", "--quick") == (0, "measured ['--quick']\n", "")
    status, _, err = run("bench", "nothing")
    assert status == 1 and "choose from ngrams" in err


def test_where_names_each_folder(run, folder, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(folder / "cache"))
    out = run("where")[1]
    for each in (folder / "my_work", folder / "notebooks", folder / "cache", sys.prefix):
        assert str(each) in out
    assert "pip uninstall" in out  # this environment may be anybody's, and course.py would not make it again
    monkeypatch.setattr(sys, "prefix", str(folder / ".venv"))
    assert "You can delete that one, too." in run("where")[1]


def test_a_name_that_the_terminals_encoding_lacks_is_escaped(clone):
    """As on Windows, where a file or a pipe is written in a code page."""
    given = {"COURSE_CACHE": str(clone / "Łukasz"), "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(**command(clone, "where", **given))
    assert (done.returncode, done.stderr) == (0, "") and r"\u0141ukasz" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows tells a closed pipe otherwise")
def test_who_has_read_enough_hears_of_no_broken_pipe(clone):
    with subprocess.Popen(**command(clone, "where")) as ended:
        ended.stdout.close()  # as `| head` does
        assert ended.stderr.read() == ""


def test_an_unknown_option_and_no_chapters(run, folder, monkeypatch):
    assert "Unknown option --pot" in run("lab", "--pot")[2]
    shutil.rmtree(folder / "notebooks")
    monkeypatch.setattr(places, "files", lambda name: [])  # as if no wheel were installed
    assert "clone its repository" in run("where")[2]


@pytest.mark.parametrize(
    "kind, fault",
    [
        (sqlite3.OperationalError, "database or disk is full"),
        (sqlite3.OperationalError, "database is locked"),
        (sqlite3.DatabaseError, "file is not a database"),
    ],
)
def test_a_store_that_cannot_be_used_is_a_sentence(folder, monkeypatch, kind, fault):
    def fails(*_):
        raise kind(fault)

    monkeypatch.setattr(Overlay, "store", fails)
    outside = f"{folder}-class"
    cli.main(["overlay", "new", "--overlay", outside])
    with pytest.raises(SystemExit, match=f"can't be used: {fault}. Nothing is half-written"):
        cli.main(["feedback", "ngrams", "--overlay", outside])


def test_ctrl_c_is_a_sentence(run, monkeypatch):
    def stopped():
        raise KeyboardInterrupt

    monkeypatch.setattr(places, "notebooks", stopped)
    assert run("where") == (1, "", "course.py: stopped; to go on, give the same command again.\n")
