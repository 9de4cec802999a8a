"""What benchmarks leave alone, and what mustn't pass for measured. No speed is measured here."""

import importlib.util
from pathlib import Path

import pytest
import torch

from course_utils.generation import timings
from course_utils.gpt import GPT, GPTConfig

FOLDER = Path(__file__).parents[1] / "benchmarks"


def benchmark(name):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("one_thread")
def test_generate_leaves_the_users_timings_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    timings.file().write_text('{"another machine": {}}')
    torch.manual_seed(0)
    model = GPT(GPTConfig(16, 8, 1, 2, 8)).eval()
    fast, ids = benchmark("generate").optimised(model), torch.tensor([[1, 2, 3]])
    assert torch.allclose(fast(ids, fast.new_cache()), model(ids, model.new_cache()), atol=1e-5)
    assert "GB/s" in capsys.readouterr().out
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "timings.json": '{"another machine": {}}'
    }


@pytest.mark.parametrize("name", ["XDG_CACHE_HOME", "PIP_CACHE_DIR", "UV_CACHE_DIR", "COURSE_CACHE"])
def test_a_newcomer_has_no_warm_cache(name, tmp_path, monkeypatch):
    monkeypatch.setenv(name, "/warm")
    monkeypatch.setenv("PIP_INDEX_URL", "where packages come from")
    found = benchmark("start").newcomers(tmp_path / "cache")
    assert Path(found[name]).is_relative_to(tmp_path / "cache")
    assert found["PIP_INDEX_URL"] == "where packages come from"
