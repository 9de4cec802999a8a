"""What the doctor finds, and that each line of a broken set-up says what to do."""

import shutil
import sys

import pytest

from course_utils import devices
from course_utils.commands import doctor
from course_utils.data import assets

CHECKS = ["python", "torch", "numbers", "assets", "disk", "jupyter", "widgets", "browser", "threads"]


@pytest.fixture
def report(capsys, monkeypatch, tmp_path):
    """The report: exit status, and what it says by check."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")

    def report():
        status = doctor.report(tmp_path)
        *lines, last = capsys.readouterr().out.splitlines()
        assert [line.split()[1] for line in lines] == CHECKS
        return status, dict(zip(CHECKS, lines, strict=True)), last

    return report


def test_everything_works(report):
    status, lines, last = report()
    assert (status, last) == (0, "Everything works.")
    assert all(line.startswith("ok  ") for line in lines.values())
    for check, words in {
        "numbers": "computes correctly",
        "assets": "shakespeare",
        "disk": "MB free",
        "jupyter": "JupyterLab",
        "widgets": "anywidget",
        "threads": "PASSIVE",
    }.items():
        assert words in lines[check]


def break_assets(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "nothing"))


def break_bytes(monkeypatch, tmp_path):
    def verify(name):
        raise assets.DamagedError(f"The asset {name} has changed; assets.fetch() gets it again.")

    monkeypatch.setattr(assets, "verify", verify)


def break_numbers(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "self_check", lambda device: (False, "The device cpu computes wrongly."))


def break_disk(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10**6))


def break_prefix(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))


def break_threads(monkeypatch, tmp_path):
    monkeypatch.delenv("OMP_WAIT_POLICY")


BROKEN = {  # check -> words of its line
    break_assets: {"assets": ["shakespeare", "`lab` fetches"]},
    break_bytes: {"assets": ["has changed", "assets.fetch() gets it again"]},
    break_numbers: {"numbers": ["computes wrongly", "devices.pick('cpu')"]},
    break_disk: {"disk": ["1 MB free in ", "free some"]},
    break_prefix: {"jupyter": [doctor.REINSTALL], "widgets": ["anywidget isn't in ", doctor.REINSTALL]},
    break_threads: {"threads": ["start with `python3 course.py`"]},
}


@pytest.mark.parametrize("how", BROKEN, ids=lambda how: how.__name__)
def test_what_is_broken_says_what_to_do_and_the_rest_is_checked(how, report, monkeypatch, tmp_path):
    monkeypatch.setattr(assets, "verify", lambda name: None)  # the real bytes were hashed above
    how(monkeypatch, tmp_path)
    status, lines, last = report()
    assert status == 1 and last == f"{len(BROKEN[how])} broken: each line says what to do."
    for check, line in lines.items():
        assert line.startswith("BROKEN" if check in BROKEN[how] else "ok  "), line
        assert all(words in line for words in BROKEN[how].get(check, [])), line
