"""What chapter 8 adds to the learner's own model: its cells are run as they stand, on short training."""

import ast
import json
from dataclasses import replace
from pathlib import Path

import pytest

from course_utils.data import corpora
from course_utils.generation import adapters
from course_utils.generation.writing import Settings
from course_utils.gpt import GPT, GPTConfig
from course_utils.learner.checks import find
from course_utils.tokenizers import BPETokenizer
from course_utils.training import checkpoints
from course_utils.weights import gpt_recipe

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "08_gpt.ipynb"
# An answer to the exercise of chapter 5: a block in the pre-norm order.
BLOCK = """\
def block(x, attention_norm, attention, feed_forward_norm, feed_forward):
    x = x + attention(attention_norm(x))
    return x + feed_forward(feed_forward_norm(x))
"""


def code_cells():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
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
        "display": lambda view: None,
    }
    exec(imports(), names)
    exec(section_7(), names)
    return names["my_gpt"]


def completion(writer):
    written = []
    settings = Settings(temperature=0, length=8)
    writer.write(writer.encode("VIOLA\n"), settings, lambda text="": bool(text and written.append(text)))
    return written


def test_without_a_tokenizer_the_live_gpt_is_saved_and_written_with(mine, capsys):
    model = run_section_7()
    said = capsys.readouterr().out
    assert "No tokenizer of yours lies here" in said and "is torch's: True" in said
    _, notes = checkpoints.load(mine / "gpt.safetensors")
    assert GPTConfig(**notes["config"]) == model.config
    assert completion(adapters.own_gpt(mine)) == completion(adapters.byte_level(model))


def test_the_gpt_is_trained_on_the_learners_tokens_and_runs_on_their_block(mine, capsys):
    tokenizer = BPETokenizer.train(corpora.shakespeare().validation[:20_000], 300)
    tokenizer.save(mine / "tokenizer.json")
    (mine / "block.py").write_text(BLOCK, encoding="utf-8")
    model = run_section_7()
    said = capsys.readouterr().out
    assert "in your 300 tokens" in said and "the same logits on your block: True" in said
    assert completion(adapters.own_gpt(mine)) == completion(adapters.byte_level(model, tokenizer))


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
