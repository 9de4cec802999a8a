"""One task, four ways: the sentences are split, and what is asked and learnt is one word."""

import numpy as np
import pytest
import torch

from course_utils import pretrained
from course_utils.gpt import GPT, GPTConfig
from course_utils.tokenizers.chat import IGNORED
from course_utils.training import Run
from course_utils.weights import adapting_recipe as recipe
from course_utils.weights import recording


def test_no_sentence_is_trained_on_and_judged_and_seeds_draw_others():
    judged = {review.text for part in recipe.JUDGED for review in recipe.judged_of(part)}
    drawn = [{review.text for review in recipe.drawn(seed)} for seed in (*recipe.SEEDS, recipe.SWEEP_SEED)]
    assert len(judged) == sum(recipe.JUDGED.values())
    for i, texts in enumerate(drawn):
        assert len(texts) == recipe.STEPS * recipe.ROWS and not texts & judged
        assert all(len(texts & other) < 20 for other in drawn[:i])


def test_both_kinds_are_judged_about_as_often():
    for part, n in recipe.JUDGED.items():
        assert 0.4 * n < sum(review.positive for review in recipe.judged_of(part)) < 0.6 * n


def test_one_word_is_learnt_where_the_prompt_ends():
    tokenizer = pretrained.smollm2_tokenizer()
    for (ids, labels), review in zip(recipe.examples(0), recipe.drawn(0), strict=True):
        assert [label for label in labels if label != IGNORED] == ids[-1:]
        assert tokenizer.decode(ids[-1:]) == recipe.ANSWERS[review.positive]
        assert ids[:-1] == recipe.prompted(recipe.PROMPTS[1], review, 0)


def test_the_prompts_end_alike_and_one_shows_examples_of_both_kinds():
    decode, review = pretrained.smollm2_tokenizer().decode, recipe.judged_of("test")[0]
    shown = [decode(recipe.prompted(kind, review, 0)) for kind in recipe.PROMPTS]
    assert all(text.endswith(recipe.ASKED.strip()) and review.text in text for text in shown)
    assert [shown[2].count(word + ".") for word in recipe.ANSWERS] == [2, 2]


def test_each_way_ran_with_its_seeds_at_the_choice_that_was_best_on_validation():
    rows = recording.read_table(recipe.TABLE)
    for way, (_, choices) in recipe.WAYS.items():
        swept = {row["learning_rate"]: row for row in rows if row["way"] == way and not row["test_right"]}
        final = [row for row in rows if row["way"] == way and row["seed"] != str(recipe.SWEEP_SEED)]
        drawn = recipe.SEEDS[:1] if way == "prompt only" else recipe.SEEDS  # nothing is drawn for the prompt
        assert [row["seed"] for row in final] == [*map(str, drawn)]
        assert len(swept) == len(choices) and all(row["test_right"] for row in final)
        assert not any(row["bits_after"] for row in swept.values())
        if len(choices) > 1:
            assert [*swept] == [*map(str, choices)]
            best = max(swept, key=lambda choice: float(swept[choice]["validation_right"]))
            assert {row["learning_rate"] for row in final} == {best}


def test_the_linear_layer_s_sweep_is_not_scored_on_the_test(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(recipe.pretrained, "load", lambda name: GPT(GPTConfig(9, 8, 1, 2, 8)))
    monkeypatch.setattr(recipe, "last_vectors", lambda model, texts: torch.randn(len(texts), 8))
    monkeypatch.setattr(recipe, "bits", lambda model: 1.5)
    swept, final = (recipe.linear("", 0, final) for final in (False, True))
    assert swept["validation_right"] and (swept["test_right"], swept["bits_after"]) == ("", "")
    assert final["test_right"] and final["bits_after"] == "1.5000"


def test_what_does_not_train_forgets_nothing():
    bits = {}
    for row in recording.read_table(recipe.TABLE):
        if row["bits_after"]:
            bits.setdefault(row["way"], []).append(float(row["bits_after"]))
    untouched = bits["prompt only"] + bits["frozen + linear"]
    assert len(set(untouched)) == 1 and min(bits["LoRA"] + bits["all weights"]) > untouched[0]


def test_at_one_rate_lora_forgets_less_and_at_equal_gain_as_much():
    """The control: both at each of three rates, with all seeds."""
    found = {}
    for row in recording.read_table(recipe.TABLE):
        if row["bits_after"] and (way := row["way"].removesuffix(", another rate")) in recipe.RATES:
            scores = found.setdefault((way, float(row["learning_rate"])), [])
            scores.append((float(row["bits_after"]), float(row["test_right"])))
    assert {len(some) for some in found.values()} == {len(recipe.SEEDS)}
    bits, right = ({run: np.mean([s[i] for s in some]) for run, some in found.items()} for i in (0, 1))
    for rate in recipe.COMPARED:
        assert bits["LoRA", rate] < bits["all weights", rate] - 0.01
    near = ("LoRA", 3e-4), ("all weights", 1e-4)
    assert abs(bits[near[0]] - bits[near[1]]) < 0.01 and abs(right[near[0]] - right[near[1]]) < 0.05
    assert bits["LoRA", 1e-3] > bits["all weights", 1e-4] + 0.05  # a sweep that ended there said the opposite


def test_ctrl_c_leaves_no_row(monkeypatch, tmp_path):
    monkeypatch.setattr(recipe.pretrained, "load", lambda name: GPT(GPTConfig(9, 8, 1, 2, 8)))
    monkeypatch.setattr(recipe, "share_right", lambda *_: 0.5)
    monkeypatch.setattr(recipe, "WAYS", {"all weights": recipe.WAYS["all weights"]})
    monkeypatch.setattr(recipe, "train", lambda *_, loss: Run([1.0], stopped=True))
    with pytest.raises(SystemExit, match="the same command goes on"):
        recipe.main(tmp_path)
    assert not any(tmp_path.iterdir())
