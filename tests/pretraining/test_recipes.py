"""A recipe is data: what it may say, what it costs, and that it trains what it says."""

import hashlib
from dataclasses import fields
from types import SimpleNamespace

import pytest
from small_llama import TEXT

from course_utils.pretraining import recipes
from course_utils.pretraining.plans import flops_per_token
from course_utils.pretraining.recipes import RANGES, Recipe, lay_out, read_recipe, run

RECIPE = b"""
n_layers = 1
n_heads = 2
d_model = 16
vocab_size = 300
context = 32
batch = 2
steps = 5
learning_rate = 0.01
"""


def test_every_field_has_a_range_and_every_default_lies_in_it():
    assert {field.name for field in fields(Recipe)} == {*RANGES, "optimiser"}
    recipe = read_recipe(RECIPE)
    for name, (low, high) in RANGES.items():
        assert (value := getattr(recipe, name)) is None or low <= value <= high


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("d_model = 16", "", "it says nothing of d_model"),
        ("d_model", "width", "a recipe has no field width; it may have n_layers"),
        ("steps = 5", "steps = 0", "steps must be a whole number from 1 to 50000; got 0"),
        ("steps = 5", "steps = 5.0", "steps must be a whole number"),
        ("steps = 5", "steps = true", "steps must be a whole number from 1 to 50000; got True"),
        ("0.01", "nan", "learning_rate must be a number from 1e-06 to 1.0; got nan"),
        ("0.01", "inf", "learning_rate must be a number"),
        ("0.01", '"0.01"', "learning_rate must be a number"),
        ("0.01", '0.01\noptimiser = "__import__"', "optimiser must be one of adamw, muon; got '__import__'"),
        ("0.01", "0.01\noptimiser = {}", "optimiser must be one of"),
        ("n_heads = 2", "n_heads = 3", "n_heads"),
        ("batch = 2", "batch = 256\ncontext = 512\nvocab_size = 8192", "no TOML"),  # two of a field
        ("n_layers = 1", "import os", "no TOML"),
        ("n_layers = 1", "n_layers = " + "[" * 5000, "no TOML"),
        ("n_layers = 1", "n_layers = " + "9" * 5000, "no TOML"),
        ("n_layers = 1", "# " + "a" * 10_000, "at most 10,000"),
        ("steps = 5", "steps" + ".a" * 4800 + " = 5", "steps must be a whole number"),
        ("steps = 5", "steps = 0x" + "f" * 9000, "got a number of thousands of digits$"),
        ("0.01", f'0.01\noptimiser = "{"a" * 9000}"', "optimiser must be one of .{,150}$"),
        ("0.01", f"0.01\n{'a' * 9000} = 1", "a recipe has no field a{100}; it may have"),
    ],
    ids=range(20),
)
def test_what_is_no_recipe_is_refused_by_name(old, new, said):
    with pytest.raises(ValueError, match=said):
        read_recipe(RECIPE.decode().replace(old, new).encode())


def test_bytes_that_are_no_text():
    with pytest.raises(ValueError, match="no TOML in UTF-8"):
        read_recipe(b"\xff\xfe")


def test_it_costs_what_a_plan_would_count():
    recipe = read_recipe(RECIPE)
    assert recipe.flops == flops_per_token(recipe.config) * 5 * 2 * 32
    assert read_recipe(RECIPE, recipe.flops) == recipe
    with pytest.raises(ValueError, match="they pay for 4 of its 5 steps"):
        read_recipe(RECIPE, recipe.flops - 1)
    wide = RECIPE.replace(b"batch = 2", b"batch = 256").replace(b"300", b"8192").replace(b"= 32", b"= 512")
    many_heads = b"n_layers = 7\nn_heads = 16\nd_model = 32\ncontext = 256\nbatch = 256\nvocab_size = 300\n"
    for large in (wide, many_heads + b"steps = 5\nlearning_rate = 0.01\n"):
        with pytest.raises(ValueError, match="GiB of memory, and 2 are allowed"):
            read_recipe(large)


def test_the_text_is_scored_as_it_was_handed_in(tmp_path, monkeypatch):
    scored = []
    monkeypatch.setattr(recipes.corpus, "read_tokens", lambda path: None)
    monkeypatch.setattr(recipes.model, "read_tokenizer", lambda folder: None)
    for name in ("Epochs", "train"):
        monkeypatch.setattr(recipes, name, lambda *_, **__: None)
    monkeypatch.setattr(recipes, "finished", lambda run: SimpleNamespace(tokens=1, seconds=1.0))
    monkeypatch.setattr(recipes.vocabulary, "bits", lambda gpt, tokenizer, text: scored.append(text))
    digest = hashlib.sha256(RECIPE).hexdigest()
    path = recipes.kept(tmp_path, digest)
    path.parent.mkdir()
    path.write_bytes(RECIPE)
    (tmp_path / recipes.HELD_OUT).write_bytes(b"Full fathom five\r\nthy father lies\r\n")
    run("mine", 320, 0, tmp_path / "under_way" / "first", digest)
    assert scored == ["Full fathom five\r\nthy father lies\r\n"]


def test_it_trains_what_it_says_and_a_seed_decides_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "texts", lambda: [TEXT] * 20)
    digest = hashlib.sha256(RECIPE).hexdigest()
    (tmp_path / "recipes").mkdir()
    (tmp_path / "under_way").mkdir()
    (tmp_path / "recipes" / f"{digest}.toml").write_bytes(RECIPE)
    (tmp_path / recipes.HELD_OUT).write_text(TEXT)
    lay_out(tmp_path, 300)

    def loss(seed, at):
        return run("mine", 320, seed, tmp_path / "under_way" / at, digest)["loss"]

    done = run("mine", 320, 0, tmp_path / "under_way" / "first", digest)
    assert done["d"] == 320 and done["flops"] == read_recipe(RECIPE).flops and 0 < done["loss"] < 8
    assert loss(0, "again") == done["loss"] != loss(1, "other")
    (tmp_path / "recipes" / f"{digest}.toml").write_bytes(RECIPE.replace(b"0.01", b"0.02"))
    with pytest.raises(ValueError, match="the recipe of mine was changed after it was handed in"):
        loss(0, "changed")
