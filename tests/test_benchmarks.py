"""What benchmarks leave alone, and what mustn't pass for measured. No speed is measured here."""

import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from course_utils.generation import timings
from course_utils.gpt import GPT, GPTConfig
from course_utils.measuring import scoreboard

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


def test_the_scoreboard_drifts_by_a_point_that_moved_is_new_or_is_gone():
    drifted, old = benchmark("scoreboard").drifted, {"LSTM": 2.134, "GPT, live": 2.4, "gone": 2.0}
    assert drifted(old, dict(old)) == []
    assert drifted(old, old | {"LSTM": 2.1345, "GPT, live": 2.42}) == []
    new = {"LSTM": 2.136, "GPT, live": 2.44, "new": 2.0}
    assert drifted(old, new) == ["GPT, live", "LSTM", "gone", "new"]


def test_a_bound_that_moved_and_a_point_that_is_no_longer_made_fail_the_scoreboard(monkeypatch, capsys):
    board = benchmark("scoreboard")
    points, lines = scoreboard.recorded()
    made = {"points": points, "bounds": scoreboard.recorded_bounds()}
    monkeypatch.setattr(board, "byte_points", lambda corpus: made["points"][3:])
    for i, name in enumerate(("word_point", "reading_on_point", "smollm2_point")):
        monkeypatch.setattr(board, name, lambda corpus, i=i: points[i])
    for name in ("neural_points", "gpt_points"):
        monkeypatch.setattr(board, name, lambda corpus: [])
    monkeypatch.setattr(board, "bound_points", lambda corpus: made["bounds"])
    monkeypatch.setattr(scoreboard, "compressors", lambda corpus: lines)
    monkeypatch.setattr(sys, "argv", ["scoreboard"])
    board.main()
    assert capsys.readouterr().out.endswith("all as recorded\n")

    (bound,) = made["bounds"]
    made["points"], made["bounds"] = points[:-1], [replace(bound, bits_per_byte=bound.bits_per_byte + 0.01)]
    with pytest.raises(SystemExit, match=f"{re.escape(points[-1].name)}; {bound.name}"):
        board.main()
