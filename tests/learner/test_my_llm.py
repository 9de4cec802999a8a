"""The learner's own model: chapters 8 and 9 run the cells that add to it as they stand, on short training."""

import ast
import inspect
import json
import re
import sys
from collections import Counter
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unicodedata import category

import numpy as np
import pytest
import torch

from course_utils.commands import making
from course_utils.data import corpora
from course_utils.finetuning import own_functions
from course_utils.finetuning.lora import LoRALinear
from course_utils.finetuning.orders import orders
from course_utils.generation import adapters
from course_utils.generation.writing import Settings
from course_utils.gpt import GPT, GPTConfig
from course_utils.learner import my_llm
from course_utils.learner.checks import find
from course_utils.learner.progress import work_folder
from course_utils.pretraining import machine
from course_utils.pretraining.plans import PLANS
from course_utils.scaling import Law, bootstrap, fit_law, interval
from course_utils.scaling.plans import read_runs
from course_utils.tokenizers import BPETokenizer, ByteTokenizer, bpe
from course_utils.training import checkpoints
from course_utils.weights import gpt_recipe, scaling_recipe

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
# An answer to the exercise of chapter 5: a block in the pre-norm order.
BLOCK = """\
def block(x, attention_norm, attention, feed_forward_norm, feed_forward):
    x = x + attention(attention_norm(x))
    return x + feed_forward(feed_forward_norm(x))
"""


def code_cells(chapter="08_gpt"):
    cells = json.loads((NOTEBOOKS / f"{chapter}.ipynb").read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def imports():
    nodes = [node for cell in code_cells() for node in ast.parse(cell).body]
    return "\n".join(ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


def section_7():
    """The code from where it looks for a tokenizer to where it saves the model."""
    cells = code_cells()
    start = next(i for i, cell in enumerate(cells) if "progress import work_folder" in cell)
    end = next(i for i, cell in enumerate(cells) if 'find("8.1").run(next_token_loss)' in cell)
    return "\n".join(cells[start : end + 1])


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WORK", str(tmp_path))
    (tmp_path / "my_llm").mkdir()
    return tmp_path / "my_llm"


def run_section_7():
    """Run the cells with the names that earlier sections leave to them; the GPT that they saved."""
    plays = corpora.shakespeare()
    names = {
        "recipe": replace(gpt_recipe.LIVE, config=replace(gpt_recipe.LIVE.config, steps=2, warmup_steps=1)),
        "corpus": replace(plays, validation=plays.validation[:500]),
        "validation": plays.validation[:500],
        "bits": 8.0,
        "live": gpt_recipe.build("live").eval(),
        "next_token_loss": find("8.1").reference,
        "gpt": find("8.4").reference,
        "on_tensors": lambda answer: answer,  # what an earlier cell makes of an answer that takes tensors
        "display": lambda view: None,
    }
    exec(imports(), names)
    exec(section_7(), names)
    return names["my_gpt"]


def completion(writer, length=8):
    written = []
    settings = Settings(temperature=0, length=length)
    writer.write(writer.encode("VIOLA\n"), settings, lambda text="": bool(text and written.append(text)))
    return written


def test_without_a_tokenizer_the_live_gpt_is_saved_and_written_with(mine, capsys):
    model = run_section_7()
    said = capsys.readouterr().out
    assert "No tokenizer of yours lies here" in said and "is torch's: True" in said
    assert "the same logits on your gpt and on the course's block: True" in said
    _, notes = checkpoints.load(mine / "gpt.safetensors")
    assert GPTConfig(**notes["config"]) == model.config
    assert completion(adapters.own_gpt(mine)) == completion(adapters.byte_level(model))


def test_the_gpt_is_trained_on_the_learners_tokens_and_runs_on_their_block(mine, capsys):
    tokenizer = BPETokenizer.train(corpora.shakespeare().validation[:20_000], 300)
    tokenizer.save(mine / "tokenizer.json")
    (mine / "block.py").write_text(BLOCK, encoding="utf-8")
    model = run_section_7()
    said = capsys.readouterr().out
    assert "in your 300 tokens" in said and "the same logits on your gpt and on your block: True" in said
    assert completion(adapters.own_gpt(mine)) == completion(adapters.byte_level(model, tokenizer))


def test_the_courses_code_takes_the_place_of_no_answer_and_is_not_called_the_learners(mine, capsys):
    references = [find(id).reference for id in my_llm.ANSWERS["tuning.py"]]
    file = mine / "tuning.py"
    assert my_llm.save(mine, "tuning.py", *references)
    assert my_llm.load(mine, "tuning.py") and my_llm.whose(mine)["tuning"].startswith("the course's")
    header, source = file.read_text(encoding="utf-8").split("\n\n\n", 1)
    for own in (f"# mine\n{source}", header.removesuffix(", 10.2, 10.3") + f"\n\n\n# mine\n{source}"):
        file.write_text(own, encoding="utf-8")  # all answers, and all but one
        assert my_llm.whose(mine)["tuning"].startswith("its maker's own") == own.startswith("# mine")
        assert not my_llm.save(mine, "tuning.py", *references)
        assert "this time the course's stood in for 10.1, 10.2, 10.3" in capsys.readouterr().out
        my_llm.save_tuned(mine, None, None, *references)  # nor a model that it made
        assert file.read_text(encoding="utf-8") == own and [*mine.iterdir()] == [file]
    file.write_text("def (", encoding="utf-8")  # what can't be run is replaced
    assert my_llm.save(mine, "tuning.py", *references) and my_llm.load(mine, "tuning.py")


def test_the_tokenizer_is_its_makers_only_with_the_merges_that_it_learnt(mine):
    save_tokenizer()
    source = (mine / "tokenizer.py").read_text(encoding="utf-8").split("\n\n\n", 1)[1]
    (mine / "tokenizer.py").write_text(source, encoding="utf-8")  # as a learner's, not the course's
    assert my_llm.whose(mine)["tokenizer"] == "its maker's own"
    (mine / "tokenizer.json").unlink()
    assert my_llm.whose(mine)["tokenizer"].startswith("the course's")


def save_tokenizer():
    """Chapter 3's own cell, on answers that pass and few words."""
    cell = next(cell for cell in code_cells("03_tokenization") if '"tokenizer.py"' in cell)
    plays = corpora.shakespeare()
    answers = {find(id).reference.__name__: find(id).reference for id in ("3.2", "3.3", "3.4", "3.5")}
    names = {
        "find": find,
        "BPETokenizer": BPETokenizer,
        "words": Counter(bpe.PIECE.findall(plays.validation[:5000])),
        "corpus": plays,
    }
    exec(cell, names | answers)


def save_sampler():
    """Chapter 9's own cell, on answers that pass."""
    cell = next(cell for cell in code_cells("09_sampling") if '"sampler.py"' in cell)
    answers = {find(id).reference.__name__: find(id).reference for id in ("9.1", "9.2", "9.6")}
    exec(cell, {"find": find, "my_llm": my_llm, "work_folder": work_folder} | answers)


def test_with_every_answer_there_the_learners_parts_write_a_text_together(mine, capsys):
    save_tokenizer()
    assert "gives the same" in (said := capsys.readouterr().out) and said.endswith("ids: True\n")
    my_llm.save(mine, "block.py", find("5.1").reference)
    run_section_7()
    save_sampler()
    said = capsys.readouterr().out
    parts = [file for file in my_llm.ANSWERS if file not in ("tuning.py", "planning.py")]
    assert sorted(path.name for path in mine.iterdir()) == sorted(
        [*parts, "gpt.safetensors", "tokenizer.json"]
    )
    llm = my_llm.MyLLM(mine)
    assert llm.write("VIOLA\n") in said and len(llm.write("VIOLA\n")) > 30
    assert llm.write("VIOLA\n", seed=1) == llm.write("VIOLA\n", seed=1) != llm.write("VIOLA\n")
    with pytest.raises(ValueError, match="a prompt has one character at least; got none"):
        llm.write("")
    greedy = "".join(completion(adapters.own_gpt(mine), 12))
    assert llm.write("VIOLA\n", 12, T=0, p=1.0) == greedy
    for part in (*parts, "gpt.safetensors"):
        kept = (mine / part).rename(mine / "aside")
        with pytest.raises(ValueError, match=f"{part} is not in my_llm yet"):
            my_llm.MyLLM(mine)
        kept.rename(mine / part)
    source = (mine / "tokenizer.py").read_text(encoding="utf-8")  # a learner's names may be others than ours
    (mine / "tokenizer.py").write_text(source.replace("merges", "rules").replace("pattern", "regex"), "utf-8")
    assert my_llm.MyLLM(mine).write("VIOLA\n") == llm.write("VIOLA\n")


def test_pieces_differ_from_gpt2s_at_other_numbers_and_at_four_separators_only():
    """Among the characters that Python knows. (The separators are white space to `re` alone.)"""
    known = [chr(i) for i in range(sys.maxunicode + 1) if category(chr(i)) not in ("Cn", "Co", "Cs")]
    texts = {c: f"x{c}!{c}" for c in known}
    differing = {c for c in known if re.findall(my_llm.PATTERN, texts[c]) != bpe.PIECE.findall(texts[c])}
    assert differing == {c for c in known if category(c) in ("No", "Nl")} | {*"\x1c\x1d\x1e\x1f"}


def test_a_gpt_runs_on_a_learners_functions_with_all_that_it_has():
    shape = {"qk_norm": True, "token_shift": True, "ngrams": 3, "ngram_rows": 101, "n_kv_heads": 1}
    torch.manual_seed(0)
    model = GPT(GPTConfig(50, context=16, n_layers=2, n_heads=2, d_model=16, **shape)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    ids = torch.randint(50, (2, 9))
    mine = my_llm.assembled(model, find("8.4").reference, find("5.1").reference)
    assert torch.allclose(mine(ids), model(ids), atol=1e-4)


TUNING = [find(id).reference for id in my_llm.ANSWERS["tuning.py"]]


def small_gpt(mine=None):
    """One that never read anything, with the other parts of `my_llm` beside it."""
    torch.manual_seed(0)
    shape = GPTConfig(256, 32, 1, 2, 32, ngrams=3, ngram_rows=101, token_shift=True)
    model = GPT(shape).eval()
    if mine:
        for file in ("block.py", "gpt.py", "sampler.py"):
            my_llm.save(mine, file, *(find(id).reference for id in my_llm.ANSWERS[file]))
        checkpoints.save_model(mine / "gpt.safetensors", model, {"config": asdict(shape), "merges": []})
    return model


def test_the_learners_gpt_is_tuned_by_their_functions_kept_and_answers(mine):
    model, problems = small_gpt(mine), orders(counted=False).problems("train", 1)
    config, calls = replace(own_functions.CONFIG, steps=40), []

    def lora_forward(x, W, A, B, alpha):
        calls.append((len(A), alpha))
        return TUNING[0](x, W, A, B, alpha)

    before = model.embedding.weight.clone()
    tuned = my_llm.tune(model, ByteTokenizer(), problems, lora_forward, *TUNING[1:], config=config)
    assert {*calls[1:]} == {(own_functions.RANK, own_functions.ALPHA)}  # the first is the trial on tensors
    assert model.embedding.weight.equal(before) and type(tuned) is GPT  # a copy, without adapters
    my_llm.save_tuned(mine, tuned, ByteTokenizer(), *TUNING)
    [(question, note)] = problems
    assert my_llm.MyLLM(mine, tuned=True).answer(question) == note
    assert my_llm.MyLLM(mine, tuned=True).answer(question, length=4) == note[:4]
    with pytest.raises(ValueError, match=r"only a tuned model answers: MyLLM\(folder, tuned=True\)"):
        my_llm.MyLLM(mine).answer(question)
    (mine / "tuned.safetensors").unlink()
    with pytest.raises(
        ValueError, match=r"tuned\.safetensors is not in my_llm yet: run the section of chapter"
    ):
        my_llm.MyLLM(mine, tuned=True)


def test_an_adapter_on_the_learners_functions_is_the_courses_and_merges_to_one_matrix():
    torch.manual_seed(0)
    base, x = torch.nn.Linear(40, 36, bias=False), torch.randn(2, 5, 40)
    adapter = own_functions.OwnAdapter(base, *TUNING[:2], np.random.default_rng(0))
    assert torch.allclose(adapter(x), base(x))
    torch.nn.init.normal_(adapter.B)
    ours = LoRALinear(base, own_functions.RANK, own_functions.ALPHA)
    ours.A, ours.B = adapter.A, adapter.B
    assert torch.allclose(adapter(x), ours(x), atol=1e-4) and not torch.allclose(
        adapter(x), base(x), atol=0.1
    )
    assert torch.allclose(x @ adapter.merged().T, adapter(x), atol=1e-4)
    assert torch.allclose(adapter.merged(), base.weight + ours.delta(), atol=1e-5)


def test_a_function_that_does_not_run_on_tensors_gives_way_to_ours(capsys):
    def in_numpy(x, W, A, B, alpha):
        return np.asarray(x) @ W.T + alpha / len(A) * (x @ A.T @ B.T)

    model, problems = small_gpt(), orders(counted=False).problems("train", 1)
    config = replace(own_functions.CONFIG, steps=1)
    ours, theirs = (
        my_llm.tune(model, ByteTokenizer(), problems, forward, *TUNING[1:], config=config)
        for forward in (TUNING[0], in_numpy)
    )
    assert capsys.readouterr().out.startswith("Ours stands in for 10.1: on tensors yours stops (")
    weights = zip(ours.parameters(), theirs.parameters(), strict=True)
    assert all(one.equal(other) for one, other in weights)


def test_the_prompt_is_the_layout_without_an_answer():
    ids, labels = own_functions.laid_out(TUNING[2], b"Hi", b"yes")
    assert bytes(ids) == b"\x02\x11Hi\x03\x02\x12yes\x03" and bytes(labels[-4:]) == b"yes\x03"
    assert own_functions.opening(TUNING[2], b"Hi") == ids[:-4]


@pytest.mark.parametrize("exercise", [id for ids in my_llm.ANSWERS.values() for id in ids])
def test_a_saved_answer_has_the_imports_that_its_cell_begins_with(exercise):
    [chapter] = NOTEBOOKS.glob(f"{int(exercise.split('.')[0]):02}_*.ipynb")
    signature = f"def {find(exercise).reference.__name__}("
    [cell] = [cell for cell in code_cells(chapter.stem) if signature in cell and "BEGIN SOLUTION" in cell]
    nodes = [node for node in ast.parse(cell).body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {ast.unparse(node) for node in nodes} <= {*find(exercise).imports.splitlines()}


OUTSIDE = 3


def uses_a_name_from_elsewhere(logits, T):
    return find("9.1").reference(logits, T + OUTSIDE - 3)


def test_only_what_passes_by_itself_is_kept(mine):
    others = find("9.2").reference, find("9.6").reference
    with pytest.raises(ValueError, match=r"the answer to 9\.1 in sampler\.py does not pass by itself"):
        my_llm.save(mine, "sampler.py", uses_a_name_from_elsewhere, *others)
    assert not (mine / "sampler.py").exists()
    my_llm.save(mine, "sampler.py", find("9.1").reference, *others)
    source = (mine / "sampler.py").read_text(encoding="utf-8")
    heat, *_ = my_llm.load(mine, "sampler.py")
    assert np.allclose(heat(np.log([1.0, 4.0]), 2.0), [1 / 3, 2 / 3])
    for damaged, said in (
        (source.replace("/ T", "", 1), "does not pass"),
        (source.replace("import numpy as np", "", 1), "can't be run"),
        (source.replace("def", "", 1), "can't be run"),
        (source + "\nraise SystemExit\n", "can't be run"),  # what exit() does
    ):
        (mine / "sampler.py").write_text(damaged, encoding="utf-8")
        with pytest.raises(ValueError, match=said):
            my_llm.load(mine, "sampler.py")


@pytest.mark.parametrize(
    "answer",
    [lambda *parts: find("5.1").reference(*parts), partial(find("5.1").reference)],
    ids=["lambda", "partial"],
)
def test_an_answer_without_a_def_is_not_kept(mine, answer):
    with pytest.raises(ValueError, match=r"the answer to 5\.1 is not saved, for its def can't be read"):
        my_llm.save(mine, "block.py", answer)
    assert not (mine / "block.py").exists()


def test_what_a_shown_solution_imports_is_kept_as_the_answer_that_it_is(mine):
    """The solutions to 3.4 and 3.5 begin with an import of `pair_counts` and `merge`, which are checks."""
    cell = {}
    exec(find("3.4").solution, cell)
    train, encode = find("3.4").reference, find("3.5").reference
    my_llm.save(mine, "tokenizer.py", cell["pair_counts"], cell["merge"], train, encode)
    _, merge, *_ = my_llm.load(mine, "tokenizer.py")
    assert merge([97, 98, 97], (97, 98), 256) == [256, 97]


def test_chapter_11_keeps_the_law_of_the_learners_own_runs(mine, capsys):
    cells, planned = code_cells("11_scaling_laws"), find("11.6").reference
    functions = "\n".join(
        next(
            cell[cell.index(f"def {name}(") :].split("\n\n\n")[0] for cell in cells if f"def {name}(" in cell
        )
        for name in ("columns", "numbers")
    )
    names = {"best": planned, "best_size": planned, "np": np, "read_runs": read_runs}
    names |= {"find": find, "work_folder": work_folder, "my_llm": my_llm, "scaling_recipe": scaling_recipe}
    names |= {"fit_law": fit_law, "bootstrap": bootstrap, "interval": interval}
    cell = next(cell for cell in cells if "save_law" in cell) + "\nkeep_law(best, best_size)"
    lines = [json.dumps(run) + "\n" for run in read_runs(scaling_recipe.LOG) if run["seed"] == 0]
    (mine / "runs.jsonl").write_text("".join(lines[:3]))
    exec(f"{functions}\n{cell}", names)
    assert "needs 5 runs or more" in capsys.readouterr().out and not (mine / "law.json").exists()
    (mine / "runs.jsonl").write_text("".join(lines))
    exec(f"{functions}\n{cell}", names)
    assert capsys.readouterr().out.startswith("24 runs; 2e+13 FLOPs ask for")
    assert making.law_of(mine) == fit_law(*names["columns"](read_runs(mine / "runs.jsonl")))
    assert len(my_llm.load(mine, "planning.py")) == 1


def test_a_law_is_kept_with_the_answer_that_plans_by_it(mine):
    def best_size(law, flops):
        return 1.0, 1.0

    law = Law(A=14.3, B=113.1, E=1.2, alpha=0.34, beta=0.44)
    with pytest.raises(ValueError, match=r"11\.6 in planning.py does not pass"):
        my_llm.save_law(mine, law, best_size)
    assert not (mine / "law.json").exists()
    my_llm.save_law(mine, law, find("11.6").reference)
    assert making.law_of(mine) == law
    (kept,) = my_llm.load(mine, "planning.py")
    assert kept([1.2, 14.3, 113.1, 0.34, 0.44], 2e13) == pytest.approx(law.optimum(2e13))


@pytest.mark.parametrize("change", ["other merges", "another size", "none"])
def test_another_tokenizer_is_not_taken_for_that_of_the_gpt(mine, change):
    path, text = mine / "tokenizer.json", "to be or not to be, that is the question " * 50
    first = BPETokenizer.train(text, 260)
    shape = {"vocab_size": 260, "context": 16, "n_layers": 1, "n_heads": 2, "d_model": 8}
    checkpoints.save_model(
        mine / "gpt.safetensors", GPT(GPTConfig(**shape)), {"config": shape, "merges": first.merges}
    )
    first.save(path)
    assert adapters.own_gpt(mine).context == 16
    if change == "none":
        path.unlink()
    else:
        other = BPETokenizer.train(text[::-1], 260 if change == "other merges" else 259)
        other.save(path)
    with pytest.raises(ValueError, match=r"trained with 260 tokens, which are not those of tokenizer\.json"):
        adapters.own_gpt(mine)


def test_whose_part_is_whose_and_what_goes_into_a_made_model(mine):
    nothing = my_llm.whose(mine)
    assert set(nothing) == {*(file.removesuffix(".py") for file in my_llm.ANSWERS), "law"}
    assert all(of.startswith("the course's") for of in nothing.values()) and my_llm.own_merges(mine) == []
    (mine / "block.py").write_text(BLOCK)
    (mine / "gpt.py").write_text("def gpt(): return None\n")
    (mine / "law.json").write_text("{}")
    found = my_llm.whose(mine)
    assert found["law"] == "its maker's own" and found["block"].startswith("its maker's own passes")
    assert found["gpt"] == found["tokenizer"] == nothing["gpt"]


def test_chapter_12_makes_a_model_of_what_is_there(mine, capsys):
    (cell,) = (cell for cell in code_cells("12_make_an_llm") if "TRAIN = False" in cell)
    made, threads = [], []

    def make(*args, **options):
        made.append(inspect.signature(machine.make).bind(*args, **options).arguments)
        assert threads == [2]  # all cores, while it trains

    names = {"mine": mine, "my_llm": my_llm, "own": making.own, "machine": SimpleNamespace(make=make)}
    names |= {"cores": 2, "torch": SimpleNamespace(set_num_threads=threads.append)}
    exec(cell, names)
    assert not made and "tokenizer" in capsys.readouterr().out
    exec(cell.replace("TRAIN = False", "TRAIN = True"), names | {"PLANS": PLANS, "law_of": making.law_of})
    assert threads == [2, 1]
    assert made[0]["folder"] == mine.parent / "models" / "my_llm"
    assert made[0]["whose"] == my_llm.whose(mine) and not made[0]["resume"]
