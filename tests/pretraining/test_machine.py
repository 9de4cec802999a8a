"""The whole machine, at a size that takes seconds: what it leaves behind, and what it refuses."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from course_utils.data import corpora
from course_utils.pretraining import card, documents, evaluate, filters, manifest, plans, tune
from course_utils.pretraining import model as models
from course_utils.pretraining.machine import make
from course_utils.pretraining.plans import PLANS, Plan
from course_utils.scaling import Law

LAW = Law(A=14.3, B=113.1, E=1.2, alpha=0.34, beta=0.44)
LANGUAGE = {"language": lambda document: "nobody asked for this one"}
TINY = Plan("tiny", 3e9, (280, 300), 1e9, context=128, batch=4, tune_steps=3, tune_batch=2, prefer_steps=2)

pytestmark = pytest.mark.usefixtures("one_thread")


def write_texts(folder, n=60):
    """Small texts of few words, so that a few steps learn something."""
    draws = np.random.default_rng(0)
    folder.mkdir()
    for number in range(n):
        words = draws.choice(
            ["the", "rain", "fell", "on", "a", "quiet", "house", "and", "nobody", "came"], 150
        )
        lines = [" ".join(words[i : i + 10]).capitalize() + "." for i in range(0, 150, 10)]
        (folder / f"{number:02}.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def small_questions():
    """Of each kind of question few, and short ones."""
    with pytest.MonkeyPatch.context() as patch:
        real = evaluate.fixed

        def few(own="", seed=0):
            asked = real(own, seed)
            asked["texts"] = {name: text[:600] for name, text in asked["texts"].items()}
            asked["validation"], asked["choices"] = asked["validation"][:600], asked["choices"][::60]
            asked["problems"] = {name: prompts[:2] for name, prompts in asked["problems"].items()}
            return asked | {"prompts": asked["prompts"][:2]}

        patch.setattr(evaluate, "fixed", few)
        patch.setattr(documents, "held_out", lambda: iter([]))  # megabytes of them
        patch.setattr(
            filters, "standard", lambda asked: {"contamination": filters.Contamination(asked)} | LANGUAGE
        )
        patch.setattr(evaluate, "ANSWER_TOKENS", 8)
        for name, few_of_them in {"ASKED": 2, "VALIDATED": 2, "PROBLEMS": 20}.items():
            patch.setattr(tune, name, few_of_them)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory, small_questions):
    """A model of a folder of texts, and what was said on the way."""
    torch.set_num_threads(1)
    folder, said = tmp_path_factory.mktemp("made"), []
    texts = write_texts(folder / "texts")
    (texts / "stolen.txt").write_text(corpora.shakespeare().test[:590])
    make(TINY, folder / "model", LAW, texts, say=said.append, device="cpu")
    return folder / "model", texts, said


def test_it_ends_with_a_model_that_loads_and_writes(made):
    folder, _, said = made
    trained, tokenizer = models.load(folder)
    assert tokenizer.get_vocab_size() == trained.vocab_size in TINY.vocabularies
    [written] = evaluate.answers(trained, tokenizer, ["Who are you?"])
    assert written.ids
    for name in ("base", "chat"):
        assert models.load(folder / name)[1].to_str() == tokenizer.to_str()
    assert "9 of 9, card: " in said[-1]
    assert not list(folder.glob("*.safetensors")) or [p.name for p in folder.glob("*.safetensors")] == [
        models.WEIGHTS
    ]


def test_the_questions_were_fixed_before_anything_was_read(made):
    folder, *_ = made
    record = manifest.load(folder)
    assert next(iter(record.stages)) == "questions"
    digest = manifest.sha256(folder / "evaluation.json")
    assert record.stages["questions"].writes["evaluation.json"] == digest
    assert record.stages["scores"].reads["evaluation.json"] == digest


def test_what_is_held_out_is_not_read(made):
    folder, texts, _ = made
    asked = json.loads((folder / "evaluation.json").read_text())
    read = [json.loads(line) for line in (folder / "documents.jsonl").read_text().splitlines()]
    files = [path.read_text() for path in sorted(texts.iterdir())]
    held_out = [text for text in files[:-1] if text not in read]  # the last is stolen
    assert 0 < len(held_out) < 15 and len(read) + len(held_out) == len(files) - 1
    assert asked["texts"]["your own texts"][:500] in "\n\n".join(held_out)


def test_what_is_asked_is_not_read(made):
    """A file of the folder holds lines of The Tempest, which the model is scored on."""
    folder, texts, said = made
    stolen = (texts / "stolen.txt").read_text()
    assert stolen not in [json.loads(line) for line in (folder / "documents.jsonl").read_text().splitlines()]
    assert any("removed by contamination: 1 documents" in sentence for sentence in said)


def test_the_scores_stand_beside_chance_and_the_5_gram(made):
    folder, *_ = made
    scores = json.loads((folder / "scores.json").read_text())
    assert (
        scores["base"]["bits_per_byte"].keys()
        == scores["5-gram"].keys()
        == scores["chat"]["bits_per_byte"].keys()
    )
    assert scores["base"]["next line"]["chance"] == 0.25
    assert scores["base"]["bits_per_byte"]["your own texts"] < 6  # it has learnt something
    for task in scores["chat"]["tasks"].values():
        assert task["low"] <= task["value"] <= task["high"] and 0 <= task["chance"] < 0.1
    assert len(scores["chat"]["examples"]) == 2


def test_a_run_goes_on_to_the_same_model(made):
    """What a kill leaves: files of a stage without its record."""
    folder, texts, _ = made
    record = manifest.load(folder)
    left = {name: record.stages[name] for name in ("questions", "documents")}
    replace(record, stages=left).save(folder)
    for path in (folder / "base").iterdir():
        path.unlink()
    make(TINY, folder, LAW, texts, resume=True, say=lambda _: None, device="cpu")
    again = manifest.load(folder)
    record.stages.pop("card"), again.stages.pop("card")  # it names the seconds
    assert [s.writes for s in again.stages.values()] == [s.writes for s in record.stages.values()]


def test_the_card_says_what_it_read_cost_and_cannot_do(made):
    folder, *_ = made
    scores = json.loads((folder / "scores.json").read_text())
    for page in ((folder / "card.md").read_text(), (folder / "card.html").read_text()):
        for said in (
            "texts of its maker",
            "FLOPs",
            "assumed and not measured",
            "Loss spikes: none",
            "Known fail",
        ):
            assert said in page
        assert f"{scores['base']['bits_per_byte']['The Tempest']:.3f}" in page
        assert "Of orders it gets 100% wrong." in page
    assert "http" not in page and "<script" not in page and "<svg" in page


def test_what_a_model_says_is_text_on_the_card(made, tmp_path):
    """Nothing that it writes can become part of the page."""
    folder = Path(shutil.copytree(made[0], tmp_path / "model"))
    scores = json.loads((folder / "scores.json").read_text())
    scores["chat"]["examples"] = [{"prompt": "a | b", "answer": "<script>alert(1)</script>\n\n# no heading"}]
    (folder / "scores.json").write_text(json.dumps(scores))
    card.write(folder, {"gzip": 3.2})
    page, text = (folder / "card.html").read_text(), (folder / "card.md").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "gzip 3.20" in page
    assert "a \\| b | <script>alert(1)</script>  # no heading" in text


def test_several_processes_pretrain_and_the_stages_go_on_with_what_they_made(made, monkeypatch):
    folder, texts, _ = made
    record, asked = manifest.load(folder), []
    left = {name: kept for name, kept in record.stages.items() if name not in ("pretrain", "card")}
    replace(record, stages=left).save(folder)
    monkeypatch.setattr("course_utils.pretraining.parallel.launch", lambda *launched: asked.append(launched))
    make(TINY, folder, LAW, texts, resume=True, say=lambda _: None, device="cpu", processes=2)
    assert asked == [(folder, 2)]
    assert manifest.load(folder).stages["pretrain"].writes == record.stages["pretrain"].writes


# What it refuses


def test_a_plan_larger_than_memory_is_said_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "memory_there", lambda device: 2**30)
    with pytest.raises(MemoryError, match=r"the plan gpu trains up to \d+ million .* needs about [\d.]+ GiB"):
        make(PLANS["gpu"], tmp_path / "model", LAW, say=list)
    assert not (tmp_path / "model").exists()


def test_no_folder_and_an_empty_one(tmp_path):
    with pytest.raises(ValueError, match="there is no folder"):
        make(TINY, tmp_path / "model", LAW, tmp_path / "nothing", say=list)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no text was found"):
        make(TINY, tmp_path / "model", LAW, tmp_path / "empty", say=list)


def test_other_texts_are_another_plan(made, tmp_path):
    folder, *_ = made
    other = write_texts(tmp_path / "other", n=3)
    with pytest.raises(ValueError, match="holds a run of another plan: texts="):
        make(TINY, folder, LAW, other, resume=True, say=list)


def test_too_little_text_for_the_vocabulary(tmp_path, small_questions):
    texts = write_texts(tmp_path / "texts", n=3)
    greedy = replace(TINY, vocabularies=(50_000,))
    with pytest.raises(ValueError, match="take more text, or a smaller vocabulary"):
        make(greedy, tmp_path / "model", LAW, texts, say=list, device="cpu")


def test_device_paths_are_not_kept(made):
    folder, texts, _ = made
    assert str(Path(texts).parent) not in (folder / "manifest.json").read_text()
