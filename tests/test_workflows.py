"""The workflows are valid, ask for little, and start what the README says. This machine can't run them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEMAS = ["vendor.github-workflows", "custom.github-workflows-require-timeout"]


def linter(schema, *files):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_linter_accepts_the_workflows(schema):
    assert WORKFLOWS
    done = linter(schema, *WORKFLOWS)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_linter_finds_a_fault(schema, tmp_path):
    text = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace("timeout-minutes: 60", "time-out: 60"), encoding="utf-8")
    assert linter(schema, broken).returncode == 1


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_least_permissions_and_pinned_actions(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        steps = job["steps"]
        assert any("course.py test" in step.get("run", "") for step in steps)
        for action in (step["uses"] for step in steps if "uses" in step):
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", action), action


def test_oldest_and_newest_python_on_each_system():
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"][0] == "3.11" and len(matrix["python"]) == 2


def test_ci_runs_the_test_command_and_nothing_else():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line and not line.startswith("#")]
    assert code == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', 'exec python3 course.py test "$@"']
