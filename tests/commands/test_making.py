"""`course.py make`: which law it takes, and what it says when it can't go on."""

import json

import pytest
from small_llama import small_model, small_tokenizer

from course_utils.commands import cli, making
from course_utils.pretraining import machine
from course_utils.pretraining.model import save
from course_utils.scaling import Law
from course_utils.training import Diverged

LAW = {"A": 14.3, "B": 113.1, "E": 1.2, "alpha": 0.34, "beta": 0.44}


def test_the_courses_law_is_that_of_chapter_11(tmp_path):
    law = making.law_of(tmp_path)
    assert isinstance(law, Law) and 0.2 < law.alpha < 0.5 and 0.3 < law.beta < 0.6


def test_the_learners_own_law_comes_first(tmp_path, capsys):
    (tmp_path / "law.json").write_text(json.dumps(LAW))
    assert making.law_of(tmp_path) == Law(**LAW)
    assert capsys.readouterr().out == "Size and tokens are read off the law that chapter 11 kept in my_llm.\n"


def test_outside_the_learners_folder_nothing_is_said_of_whose_it_is(tmp_path):
    assert making.own(tmp_path / "my_llm") == {}
    (tmp_path / "my_llm").mkdir()
    assert making.own(tmp_path / "my_llm")["merges"] == []


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", json.dumps(LAW | {"alpha": 0}), json.dumps(LAW | {"A": "much"})]
)
def test_a_file_that_is_no_law(content, tmp_path):
    (tmp_path / "law.json").write_text(content)
    with pytest.raises(ValueError, match=r"law.json holds no law \(.*\): it needs A, B, E, alpha and beta"):
        making.law_of(tmp_path)


@pytest.mark.parametrize(
    "error, sentence",
    [
        (MemoryError("the plan gpu needs 99 GiB"), "the plan gpu needs 99 GiB"),
        (Diverged("step 3: the loss is nan"), "training diverged: step 3: the loss is nan"),
    ],
)
def test_what_ends_a_run_is_a_sentence(error, sentence, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(machine, "make", fails)
    with pytest.raises(ValueError, match=sentence):
        making.make("gpu", tmp_path / "model", None, False, tmp_path, 1)
    with pytest.raises(ValueError, match="there is no plan 'huge'"):
        making.make("huge", tmp_path / "model", None, False, tmp_path, 1)


def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "make", stopped)
    assert making.make("laptop", tmp_path / "model", None, False, tmp_path, 1) == 130
    assert "the same command with --resume goes on" in capsys.readouterr().out


def test_floors_are_said_and_decide_the_exit_status(tmp_path, capsys):
    right = {"value": 0.5, "low": 0.4, "chance": 0.01}
    chat = {"bits_per_byte": {"a play": 2.1}, "tasks": {"orders": right}, "stops": {"value": 1.0}}
    (tmp_path / "scores.json").write_text(json.dumps({"chat": chat, "5-gram": {"a play": 2.2}}))
    assert making.floors(tmp_path) == 0
    (tmp_path / "scores.json").write_text(json.dumps({"chat": chat, "5-gram": {"a play": 2.0}}))
    assert making.floors(tmp_path) == 1
    assert "MISSED  bits per byte of a play: 2.100 (under the 5-gram's 2.000)" in capsys.readouterr().out
    for content in ("", "[]", "{}"):
        (tmp_path / "scores.json").write_text(content)
        with pytest.raises(ValueError, match="holds no scores of a finished model"):
            making.floors(tmp_path)


def test_a_model_is_written_for_other_programs(tmp_path, capsys):
    tokenizer = small_tokenizer()
    save(tmp_path / "model", small_model(tokenizer.get_vocab_size()), tokenizer)
    assert cli.main(["convert", str(tmp_path / "model"), "--to", "gguf"]) == 0
    elsewhere = tmp_path / "no" / "such" / "model.gguf"
    assert cli.main(["convert", str(tmp_path / "model"), "--to", "gguf", "--out", str(elsewhere)]) == 0
    assert elsewhere.read_bytes() == (tmp_path / "model" / "model.gguf").read_bytes()
    assert elsewhere.read_bytes()[:4] == b"GGUF"
    out = tmp_path / "for transformers"
    assert cli.main(["convert", str(tmp_path / "model"), "--to", "hugging-face", "--out", str(out)]) == 0
    assert json.loads((out / "config.json").read_text())["model_type"] == "llama"
    assert capsys.readouterr().out.endswith(f"Written: {out}\n")
    with pytest.raises(SystemExit, match=r"course\.py: .*config\.json"):
        cli.main(
            ["convert", str(tmp_path / "model"), "--to", "gguf", "--out", str(out / "config.json" / "x")]
        )
    with pytest.raises(SystemExit, match=r"model\.safetensors is not in .*: name the folder of a finished"):
        cli.main(["convert", str(tmp_path), "--to", "gguf"])


def test_shards_are_trained_by_adamw(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(machine, "make", lambda plan, *_, **among: asked.append((plan, among)))
    making.make("gpu", tmp_path / "model", None, False, tmp_path, 8, shard=True)
    [(plan, among)] = asked
    assert (plan.name, plan.optimiser, plan.learning_rate) == ("gpu", "adamw", 0.002)
    assert (among["processes"], among["shard"]) == (8, True)
