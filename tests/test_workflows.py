"""The workflows are valid, ask for little, and start what the README says. This machine can't run them."""

import re
import tomllib
from pathlib import Path

import check_jsonschema
import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCHEMAS = ["vendor.github-workflows", "custom.github-workflows-require-timeout"]


def linter(schema, *files):
    """The exit status of check-jsonschema, as its command would have it."""
    with pytest.raises(SystemExit) as ended:
        check_jsonschema.main(["--builtin-schema", schema, *map(str, files)])
    return ended.value.code


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_linter_accepts_the_workflows(schema):
    assert WORKFLOWS
    assert linter(schema, *WORKFLOWS) == 0


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_linter_finds_a_fault(schema, tmp_path):
    text = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace("timeout-minutes:", "time-out:"), encoding="utf-8")
    assert linter(schema, broken) == 1


PUBLISHING = {"pages": "write", "id-token": "write"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_least_permissions_and_pinned_actions(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        runs = [step["run"] for step in job["steps"] if "run" in step]
        if "permissions" in job:
            assert job["permissions"] == PUBLISHING and not runs, "who may write runs nothing of ours"
        else:
            assert any(re.search(r"course\.py (test|book)", run) for run in runs)
        for action in (step["uses"] for step in job["steps"] if "uses" in step):
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", action), action


def test_oldest_and_newest_python_on_each_system():
    workflow = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest, newest = matrix["python"]
    assert project["requires-python"] == f">={oldest}" and int(newest[2:]) > int(oldest[2:])


def test_ci_runs_the_test_command():
    assert 'course.py test "$@"' in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
