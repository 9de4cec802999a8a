"""deploy/values.yaml, as far as it goes without a cluster: it says what jupyterhub_config.py says."""

import re
import sys
from pathlib import Path

import yaml
from traitlets.config import Config

from course_utils.data import assets

DEPLOY = Path(__file__).parents[2] / "deploy"
VALUES = yaml.safe_load((DEPLOY / "values.yaml").read_text("utf-8"))
CONFIG = (DEPLOY / "jupyterhub_config.py").read_text("utf-8")
README = (DEPLOY / "README.md").read_text("utf-8")


def test_both_ways_give_a_server_the_same():
    [memory] = re.findall(r'mem_limit = "(\w+)"', CONFIG)
    [cpu] = re.findall(r"cpu_limit = ([\d.]+)", CONFIG)
    singleuser = VALUES["singleuser"]
    assert singleuser["memory"]["limit"] == memory and singleuser["cpu"]["limit"] == float(cpu)
    assert VALUES["cull"]["timeout"] == int(re.findall(r"--timeout=(\d+)", CONFIG)[0])


def test_a_server_runs_by_the_python_of_the_hub():
    config = Config()
    exec(CONFIG, {"get_config": lambda: config, "__file__": str(DEPLOY / "jupyterhub_config.py")})
    assert config.Spawner.cmd == [sys.executable, "-m", "jupyterhub.singleuser"]


def test_each_student_sees_one_folder_of_the_exchange():
    storage = VALUES["singleuser"]["storage"]
    [mount] = storage["extraVolumeMounts"]
    assert mount["subPath"] == "{unescaped_username}"
    assert mount["mountPath"] == VALUES["singleuser"]["extraEnv"]["COURSE_EXCHANGE"]
    assert [volume["name"] for volume in storage["extraVolumes"]] == [mount["name"]]


def test_environment_variables_are_texts():
    assert all(isinstance(value, str) for value in VALUES["singleuser"]["extraEnv"].values())


def test_the_cache_of_a_hub_gets_all_texts_and_weights(monkeypatch):
    [code] = re.findall(r'^COURSE_CACHE=/srv/llm-cache \S+ -c "(.*)"$', README, re.MULTILINE)
    fetched = []
    monkeypatch.setattr(assets, "fetch", fetched.extend)
    exec(code)
    assert {*fetched} == {*assets.manifest()}  # students can't write there
