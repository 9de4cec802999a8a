"""pyproject.toml, environment.yml, the lock, the licences and the README tell the same story."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from course_utils.commands import bundling

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
CONDA_NAMES = {"torch": "pytorch", "playwright": "playwright-python"}  # where conda-forge's name is another


def launcher():
    spec = importlib.util.spec_from_file_location("course", ROOT / "course.py")
    course = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(course)
    return course


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def requirements():
    """Name -> specifier of all that pyproject.toml asks for, the test packages included."""
    lines = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    return {each.name: each.specifier for each in map(Requirement, lines)}


def test_every_requirement_has_a_lower_bound():
    for name, specifier in requirements().items():
        assert any(clause.operator == ">=" for clause in specifier), name


def test_torch_is_one_without_the_hole_in_torch_load():
    assert not any(version in requirements()["torch"] for version in ("2.5.1", "2.9.1"))


def test_the_conda_environment_asks_for_the_same():
    dependencies = yaml.safe_load(read("environment.yml"))["dependencies"]
    itself, *from_pypi = dependencies.pop()["pip"]
    assert itself == "-e ."
    found = {each.name: each.specifier for each in map(Requirement, [*dependencies, *from_pypi])}
    assert str(found.pop("python")) == PROJECT["requires-python"]
    found.pop("pip")
    assert found == {CONDA_NAMES.get(name, name): specifier for name, specifier in requirements().items()}


def locked():
    lines = [line for line in read("requirements.lock").splitlines() if not line.startswith("#")]
    return dict(re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines)


def test_the_lock_holds_what_the_ranges_allow():
    versions = {canonicalize_name(name): Version(version) for name, version in locked().items()}
    for name, specifier in requirements().items():
        assert versions[canonicalize_name(name)] in specifier, name


def test_the_lock_names_no_build_of_one_machine():
    assert all("+" not in version for version in locked().values())
    assert "llm-workbook" not in locked()


def test_what_the_package_needs_is_packaged():
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["course_utils"]
    package = ROOT / "course_utils"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    covered = {path for pattern in patterns for path in package.glob(pattern)}
    assert {path for path in files if path.suffix != ".py"} <= covered


def test_licences():
    assert all(
        words in read("LICENSE") for words in ("Apache License", "Version 2.0", "END OF TERMS AND CONDITIONS")
    )
    assert "CC BY 4.0" in read("LICENSE-TEXT.md")
    for name in PROJECT["license-files"]:
        assert name in read("README.md")


def test_what_is_fetched_is_listed_with_its_licence():
    fetched = tomllib.loads(read("course_utils/data/assets.toml"))
    listed = re.findall(r"^\| `([\w-]+)` \|", read("LICENSE-TEXT.md"), re.MULTILINE)
    assert sorted(listed) == sorted(fetched)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/benchmarks.md", "docs/elsewhere.md"])
def test_the_documents_name_commands_and_files_that_exist(name):
    text = read(name)
    course = launcher()
    commands = set(re.findall(r"course\.py ([a-z]+)", text))
    assert commands and commands <= {*course.EXTRAS, *course.READ_ONLY}
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    missing = [
        link for link in links if "://" not in link and not (ROOT / name).parent.joinpath(link).exists()
    ]
    assert links and missing == []


def test_the_launcher_hands_over_every_command():
    known = {*launcher().EXTRAS, *launcher().READ_ONLY}
    there = subprocess.check_output([sys.executable, "-m", "course_utils.commands.cli", "--help"], text=True)
    assert known == {*re.findall(r"^    (\w+)", there, re.M)}


def test_the_container_starts_the_course_without_rights():
    lines = [line.split(maxsplit=1) for line in read("Containerfile").splitlines() if line[:1].isupper()]
    asked = json.loads(dict(lines)["CMD"])
    assert asked[:3] == ["python3", "course.py", "lab"] and ["USER", "1000"] in lines
    development = json.loads(read(".devcontainer/devcontainer.json"))
    assert development["build"] == {"dockerfile": "../Containerfile", "target": "learner"}
    assert dict(lines)["FROM"] == "learner" and lines[0] == ["FROM", "python:3.12-slim AS learner"]
    assert development["postAttachCommand"].split() == asked
    assert development["forwardPorts"] == [int(asked[-1])]


def test_the_container_holds_what_a_bundle_holds():
    taken = [f"!{name}" for name in bundling.COURSE]
    left_out = [f"**/{pattern}" for pattern in bundling.LEFT_OUT]
    assert read(".dockerignore").splitlines()[1:] == ["*", *taken, *left_out]
