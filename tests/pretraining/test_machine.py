"""The whole machine, at a size that takes seconds: what it leaves behind, and what it refuses."""

import errno
import json
import multiprocessing
import os
import random
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from course_utils.data import corpora
from course_utils.gpt import GPT
from course_utils.pretraining import card, corpus, documents, evaluate, manifest, plans, tune
from course_utils.pretraining import model as models
from course_utils.pretraining.machine import Machine, is_held_out, make
from course_utils.pretraining.plans import PLANS
from course_utils.tokenizers import BPETokenizer
from course_utils.tokenizers.chat import SPECIAL

FULL = os.environ.get("COURSE_FULL")
KILLS = 20 if FULL else 3
MEASURED = "quantise", "card"  # seconds stand in what these write
OTHER_LANGUAGES = (
    "Der Hafen lag noch im Dunkeln, als wir ablegten, und eine Stunde lang sprach niemand ein Wort. Das Meer "
    "war grau bis zum Ende der Welt. Dann begann der alte Mann am Steuer zu summen, und mit der ersten Sonne "
    "sahen wir die Insel, von der er uns erzählt hatte, so flach, dass eine Welle sie verdecken konnte, mit "
    "drei Bäumen und einem Haus, vor dem ein Boot kieloben im Sand lag.",
    "天还没亮，我们就离开了港口，整整一个小时没有人说话。大海灰蒙蒙的，一直伸到世界的尽头……"
    "后来掌舵的老人哼起歌来，太阳刚刚升起，我们就看见了他说过的那座小岛。",
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tiny():
    """The machine at a size that takes seconds, where a process can import it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        import tiny_machine

        with tiny_machine.small():
            yield tiny_machine


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny):
    """A model of a folder of texts, and what was said on the way."""
    torch.set_num_threads(1)
    folder, said = tmp_path_factory.mktemp("made"), []
    texts = tiny.write_texts(folder / "texts")
    (texts / "stolen.txt").write_text(corpora.shakespeare().test[:590])
    make(tiny.PLAN, folder / "model", tiny.LAW, texts, say=said.append, device="cpu")
    return folder / "model", texts, said


def test_it_ends_with_a_model_that_loads_and_writes(made, tiny):
    folder, _, said = made
    trained, tokenizer = models.load(folder)
    assert tokenizer.get_vocab_size() == trained.vocab_size in tiny.PLAN.vocabularies
    [written] = evaluate.answers(trained, tokenizer, ["Who are you?"])
    assert written.ids
    for name in ("base", "chat"):
        assert models.load(folder / name)[1].to_str() == tokenizer.to_str()
    assert "10 of 10, card: " in said[-1]
    assert not list(folder.glob("*.safetensors")) or [p.name for p in folder.glob("*.safetensors")] == [
        models.WEIGHTS
    ]


def test_the_makers_own_tokens_are_taken_and_the_card_says_whose_they_are(made, tmp_path, tiny):
    _, texts, _ = made
    own = BPETokenizer.train("the rain fell on a quiet house and nobody came", 270).merges
    whose = {"tokenizer": "its maker's own", "law": "the course's"}
    make(tiny.PLAN, tmp_path, tiny.LAW, texts, device="cpu", merges=own, whose=whose, say=lambda said: None)
    trained, tokenizer = models.load(tmp_path)
    assert trained.vocab_size == 256 + len(own) + len(SPECIAL)
    assert tokenizer.encode("the rain").ids == [*(BPETokenizer(own).encode("the rain") + len(SPECIAL))]
    card = (tmp_path / "card.md").read_text()
    assert "last, its maker's own" in card and "tokenizer: its maker's own. law: the course's." in card
    again, more = (
        partial(make, tiny.PLAN, tmp_path, tiny.LAW, texts, True, device="cpu"),
        whose | {"block": ""},
    )
    assert again(list, merges=own, whose=more).plan["whose"] == whose  # as it was when the run began
    with pytest.raises(ValueError, match=r"another plan: merges=.{,160} there, and merges=.{,160} asked for"):
        again(list, merges=own[::-1], whose=more)


def test_other_tokens_are_another_plan_though_nobody_says_whose(made, tiny):
    folder, texts, _ = made
    with pytest.raises(ValueError, match=r"another plan: .*merges="):
        make(tiny.PLAN, folder, tiny.LAW, texts, True, list, "cpu", merges=[(1, 2)])


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


@pytest.mark.parametrize("text", OTHER_LANGUAGES, ids=["german", "chinese"])
def test_texts_of_ones_own_may_be_of_any_language(tmp_path, tiny, text):
    (tmp_path / "texts").mkdir()
    (tmp_path / "evaluation.json").write_text(json.dumps({"texts": {"asked": "none of these words " * 5}}))
    for number in range(10):
        (tmp_path / "texts" / f"{number}.txt").write_text(f"{text}\n\n{number}\n", encoding="utf-8")
    steps = Machine(tiny.PLAN, tiny.LAW, tmp_path / "texts", torch.device("cpu"), {}, 1, False)
    noted = steps.documents(tmp_path, say=list)
    held_out = sum(map(is_held_out, documents.from_folder(tmp_path / "texts")))
    assert noted["documents"] == 10 - held_out > 5


def test_of_a_small_text_all_is_read_whatever_lies_beside_it(tmp_path, tiny):
    texts = tiny.write_texts(tmp_path / "texts")
    plan = replace(tiny.PLAN, text_bytes=1e6)
    steps = Machine(plan, tiny.LAW, texts, torch.device("cpu"), {}, 1, False)
    before = [*steps._sample(say=list)]
    for name in ("picture.png", ".hidden"):
        with (texts / name).open("wb") as file:
            file.truncate(100_000_000)
    assert [*steps._sample(say=list)] == before and len(before) > 40


def test_a_plan_that_reads_a_sample_says_so(tmp_path, tiny):
    lines = (f"Line {number} of a long text.\n" for number in range(110_000))
    (tmp_path / "long.txt").write_text("".join(lines))
    read, said = {}, []
    for text_bytes in (1e6, 1e7):
        plan = replace(tiny.PLAN, text_bytes=text_bytes)
        steps = Machine(plan, tiny.LAW, tmp_path, torch.device("cpu"), {}, 1, False)
        read[text_bytes] = sum(len(document.text) for document in steps._sample(say=said.append))
    assert 0.7e6 < read[1e6] < 1.3e6 < 2.5e6 < read[1e7]
    sample, *cut = said
    assert sample == "  the plan tiny reads a sample, about 1 of 3 MB"
    assert len(cut) == 2 and all(re.match("longer than a document of 16 KiB: 1 of 1 files", s) for s in cut)


def test_a_model_is_not_taught_that_it_read_the_courses_texts_if_it_read_others(made, monkeypatch, tiny):
    folder, texts, _ = made
    taught, conversations = [], tune.conversations

    def watched(*asked):
        taught.append(dict(tuple(turn["content"] for turn in turns) for turns in conversations(*asked)))
        raise InterruptedError

    monkeypatch.setattr(tune, "conversations", watched)
    for read in (None, texts):
        with pytest.raises(InterruptedError):
            Machine(tiny.PLAN, tiny.LAW, read, torch.device("cpu"), {}, 1, False).tune(folder, list)
    courses, own = (said["What do you know?"] for said in taught)
    assert "plays, verses and reviews" in courses and "texts that my maker chose" in own


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


def test_a_run_goes_on_to_the_same_model(made, tiny):
    """What a kill leaves: files of a stage without its record."""
    folder, texts, _ = made
    record = manifest.load(folder)
    left = {name: record.stages[name] for name in ("questions", "documents")}
    replace(record, stages=left).save(folder)
    for path in (folder / "base").iterdir():
        path.unlink()
    make(tiny.PLAN, folder, tiny.LAW, texts, resume=True, say=lambda _: None, device="cpu")
    assert written(folder) == {
        name: stage.writes for name, stage in record.stages.items() if name not in MEASURED
    }


def written(folder):
    """The hashes of all that was written, but for what names seconds."""
    stages = manifest.load(folder).stages.items()
    return {name: stage.writes for name, stage in stages if name not in MEASURED}


def test_a_run_that_was_killed_makes_the_same_model(made, tmp_path, tiny):
    """In processes of its own, KILLS of which are killed at random places."""
    folder, texts, _ = made
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    if os.name == "posix":
        context.set_forkserver_preload(["pytest", "course_utils.pretraining.machine"])
    draws, killed, done = random.Random(0), tmp_path / "model", []
    for number in range(KILLS + 1):
        place = (draws.randrange(3, 20), draws.uniform(0, 0.3)) if number < KILLS else ()
        process = context.Process(target=tiny.make, args=(str(killed), str(texts), *place))
        process.start()
        process.join()
        done.append(len(manifest.load(killed).stages))
    assert process.exitcode == 0 and done[-1] == 10
    assert len(set(done)) > 2 and done == sorted(done)  # it was killed at work, and in several stages
    assert written(killed) == written(folder)


def test_the_card_says_what_it_read_cost_and_cannot_do(made):
    folder, *_ = made
    scores = json.loads((folder / "scores.json").read_text())
    for page in ((folder / "card.md").read_text(), (folder / "card.html").read_text()):
        for said in (
            "texts of its maker",
            "FLOPs",
            "assumed and not measured",
            "those before: none",
            "Explained in: chapter 12, section 5",
            "Known fail",
            "What fewer bits a weight cost",
            "Is it over its floors?",
            " validation problems",
            "But these questions were looked at",
            "% of 2",
        ):
            assert said in page
        assert f"{scores['base']['bits_per_byte']['The Tempest']:.3f}" in page
        assert "Of 40 fresh problems of orders it gets 40 wrong." in page
    assert "http" not in page and "<script" not in page and "<svg" in page


def test_what_a_model_says_is_text_on_the_card(made, tmp_path):
    """Nothing that it writes can become part of the page."""
    folder = Path(shutil.copytree(made[0], tmp_path / "model"))
    scores = json.loads((folder / "scores.json").read_text())
    scores["chat"]["examples"] = [{"prompt": "a | b", "answer": "<script>alert(1)</script>\n\n# no heading"}]
    scores["chat"]["fresh"]["tasks"]["orders"]["wrong"] = [["p", "<script>alert(2)</script>"]]
    (folder / "scores.json").write_text(json.dumps(scores))
    card.write(folder, {"gzip": 3.2})
    page, text = (folder / "card.html").read_text(), (folder / "card.md").read_text()
    assert "<script" not in page and "&lt;script&gt;" in page and "gzip 3.20" in page
    assert "a \\| b | &lt;script&gt;alert(1)&lt;/script&gt; # no heading" in text


def test_where_memory_is_short_a_batch_is_computed_in_micro_batches_to_the_same_model(
    made, tmp_path, monkeypatch, tiny
):
    folder, texts, _ = made
    for name in (models.TOKENIZER, "documents.jsonl", "vocabulary.json", "evaluation.json"):
        shutil.copy(folder / name, tmp_path)
    rows = tiny.PLAN.batch // 2
    monkeypatch.setattr("course_utils.pretraining.machine.rows_that_fit", lambda *asked: rows)
    steps, said = Machine(tiny.PLAN, tiny.LAW, texts, torch.device("cpu"), {}, 1, False), []
    steps.tokens(tmp_path, said.append)
    told = f"  each process computes its {2 * rows} rows of a batch {rows} at a time: memory holds no more"
    assert told in said
    chosen = json.loads((tmp_path / "size.json").read_text())
    assert chosen["micro_batch"] == rows and chosen["tokens"] == len(
        corpus.read_tokens(tmp_path / "tokens.bin")
    )
    passes, forward = [], GPT.forward

    def watched(self, ids, *rest):
        if self.training:
            passes.append(len(ids))
        return forward(self, ids, *rest)

    monkeypatch.setattr(GPT, "forward", watched)
    steps.pretrain(tmp_path, list)
    cut, whole = (json.loads((at / "pretrain_log.json").read_text())["losses"] for at in (tmp_path, folder))
    np.testing.assert_allclose(cut, whole, atol=2e-3)
    assert passes == [rows] * 2 * len(whole)


def test_several_processes_pretrain_and_the_stages_go_on_with_what_they_made(made, monkeypatch, tiny):
    folder, texts, _ = made
    record, asked = manifest.load(folder), []
    left = {name: kept for name, kept in record.stages.items() if name not in ("pretrain", *MEASURED)}
    replace(record, stages=left).save(folder)
    monkeypatch.setattr("course_utils.pretraining.parallel.launch", lambda *launched: asked.append(launched))
    make(tiny.PLAN, folder, tiny.LAW, texts, resume=True, say=lambda _: None, device="cpu", processes=2)
    assert asked == [(folder, 2, False, "cpu")]
    assert manifest.load(folder).stages["pretrain"].writes == record.stages["pretrain"].writes


@pytest.mark.skipif(not FULL, reason="two processes start two torchruns: under --full")
@pytest.mark.parametrize("shard", [False, True], ids=["ddp", "fsdp2"])
def test_two_processes_make_a_model_that_is_near_to_that_of_one(shard, made, tmp_path, tiny):
    """Up to rounding, which Muon and AdamW enlarge; FSDP2's is beside a single process with AdamW."""
    _, texts, _ = made
    plan = replace(tiny.PLAN, optimiser="adamw", learning_rate=0.002)
    losses = {}
    for processes in (1, 2):
        folder, among = tmp_path / str(processes), {"processes": processes, "shard": shard and processes > 1}
        make(plan, folder, tiny.LAW, texts, say=lambda _: None, device="cpu", **among)
        log = json.loads((folder / "pretrain_log.json").read_text())
        losses[processes] = np.array(log["losses"]), np.array(log["evaluations"])
        assert not (folder / "pretrain.shards").exists()
    for one, two in zip(*losses.values(), strict=True):
        np.testing.assert_allclose(one, two, atol=2e-3)


# What it refuses


def test_shards_are_for_several_processes(tmp_path, tiny):
    with pytest.raises(ValueError, match="is cut into shards for several processes: ask for 2 or more"):
        make(tiny.PLAN, tmp_path / "model", tiny.LAW, say=list, shard=True)


@pytest.mark.parametrize("processes", [0, 3])
def test_processes_have_to_share_a_batch_evenly(processes, tmp_path, tiny):
    with pytest.raises(ValueError, match=f"{processes} processes can't share a batch of 4 rows evenly"):
        make(tiny.PLAN, tmp_path / "model", tiny.LAW, say=list, processes=processes)
    assert not (tmp_path / "model").exists()


def test_each_process_needs_a_gpu_of_its_own_where_there_are_any(tmp_path, monkeypatch, tiny):
    monkeypatch.setattr("course_utils.devices.pick", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="4 processes need a GPU each, and this machine has 2: ask for 2 or"):
        make(tiny.PLAN, tmp_path / "model", tiny.LAW, say=list, processes=4)
    assert not (tmp_path / "model").exists()


def test_a_plan_that_pays_for_no_trial_is_refused_before_anything_is_written(tmp_path, tiny):
    with pytest.raises(ValueError, match="trial_flops=0, with which its vocabularies are tried"):
        make(replace(tiny.PLAN, trial_flops=0), tmp_path / "model", tiny.LAW, say=list)
    assert not (tmp_path / "model").exists()


def test_no_document_that_the_filters_leave(tmp_path, tiny):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "stolen.txt").write_text(corpora.shakespeare().test[:590])
    with pytest.raises(ValueError, match="no document is left to train on: read 1 documents"):
        make(tiny.PLAN, tmp_path / "model", tiny.LAW, texts, say=lambda _: None, device="cpu")


def test_a_plan_larger_than_memory_is_said_before_it_starts(tmp_path, monkeypatch, tiny):
    monkeypatch.setattr(plans, "memory_there", lambda device: 2**30)
    with pytest.raises(MemoryError, match=r"the plan gpu trains up to [\d,]+ million .* about [\d.]+ GiB"):
        make(PLANS["gpu"], tmp_path / "model", tiny.LAW, say=list)
    assert not (tmp_path / "model").exists()


def test_a_short_text_makes_a_larger_model_which_has_to_fit_too(made, tmp_path, monkeypatch, tiny):
    for name in (models.TOKENIZER, "documents.jsonl", "vocabulary.json"):
        shutil.copy(made[0] / name, tmp_path)
    monkeypatch.setattr(plans, "memory_there", lambda device: 4 * 2**30)
    plan, cpu = PLANS["evening"], torch.device("cpu")
    plans.check_memory(plan, tiny.LAW, cpu)
    with pytest.raises(MemoryError, match=r"up to 1,\d{3} million .* GiB of memory; 4\.0 GiB are free"):
        Machine(plan, tiny.LAW, made[1], cpu, {}, 1, False).tokens(tmp_path, list)
    assert not (tmp_path / "size.json").exists()


def test_no_folder_and_an_empty_one(tmp_path, tiny):
    with pytest.raises(ValueError, match="there is no folder"):
        make(tiny.PLAN, tmp_path / "model", tiny.LAW, tmp_path / "nothing", say=list)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no text was found"):
        make(tiny.PLAN, tmp_path / "model", tiny.LAW, tmp_path / "empty", say=list)


def test_a_model_can_not_lie_in_the_texts_that_it_reads(tmp_path, tiny):
    texts = tiny.write_texts(tmp_path / "texts", n=3)
    with pytest.raises(ValueError, match=r"lies in the folder of texts .* name a folder outside"):
        make(tiny.PLAN, texts / "model", tiny.LAW, texts, say=list)
    assert not (texts / "model").exists()


def test_other_texts_are_another_plan(made, tmp_path, tiny):
    folder, *_ = made
    other = tiny.write_texts(tmp_path / "other", n=3)
    with pytest.raises(ValueError, match="holds a run of another plan: texts="):
        make(tiny.PLAN, folder, tiny.LAW, other, resume=True, say=list)


def test_a_law_that_another_machine_fitted_a_little_otherwise_is_no_other_plan(made, tiny):
    folder, texts, _ = made
    again = partial(make, tiny.PLAN, folder, texts=texts, resume=True, say=list, device="cpu")
    near, other = (replace(tiny.LAW, A=tiny.LAW.A * (1 + off)) for off in (1e-7, 1e-2))
    assert again(law=near).plan["law"] == vars(tiny.LAW)
    with pytest.raises(ValueError, match="holds a run of another plan: law="):
        again(law=other)


def test_too_little_text_for_the_vocabulary(tmp_path, tiny):
    texts = tiny.write_texts(tmp_path / "texts", n=3)
    greedy = replace(tiny.PLAN, vocabularies=(50_000,))
    with pytest.raises(ValueError, match="take more text, or a smaller vocabulary"):
        make(greedy, tmp_path / "model", tiny.LAW, texts, say=list, device="cpu")


def test_a_full_disk_leaves_no_half_of_the_tokens(made, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(corpus.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        corpus.write_tokens(tmp_path / "tokens.bin", ["some text"], models.read_tokenizer(made[0]))
    assert not [*tmp_path.iterdir()]


def test_device_paths_are_not_kept(made):
    folder, texts, _ = made
    assert str(Path(texts).parent) not in (folder / "manifest.json").read_text()
