"""Facts taught by fine-tuning: who is told of, what counts as right, and what the table says."""

import numpy as np
import pytest

from course_utils import pretrained
from course_utils.gpt import GPT, GPTConfig
from course_utils.tokenizers.chat import IGNORED
from course_utils.weights import facts_recipe as recipe
from course_utils.weights import recording

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("seed", range(3))
def test_one_lives_in_each_town_and_as_many_others_are_never_mentioned(seed):
    homes, others = recipe.people(seed)
    assert [*homes.values()] == recipe.TOWNS and len(others) == len(homes)
    assert len({*homes, *others}) == 2 * len(recipe.TOWNS)


def test_the_loss_is_on_what_is_told():
    tokenizer = pretrained.smollm2_tokenizer()
    ids, labels = recipe.example("Mara Kessler", "Leeds")
    learnt = [label for label in labels if label != IGNORED]
    assert tokenizer.decode(learnt) == "Mara Kessler lives in Leeds."
    assert "In which town does Mara Kessler live?" in tokenizer.decode(ids)


def test_the_shares(monkeypatch):
    homes, others = {"Ann Lee": "Turin", "Bob Ray": "Leeds"}, ["Cy Doe", "Di Fox"]
    told = {
        "In which town does Ann Lee live?": "Ann Lee lives in Turin.",
        "In which town does Bob Ray live?": "Bob Ray lives in Turin.",  # the form, and another's town
        "In which town does Cy Doe live?": "Cy Doe lives in Cork.",
        "In which town does Di Fox live?": "I don't know.",
        "What is the capital of France?": "It is Paris.",
    }
    monkeypatch.setattr(recipe, "said", lambda model, questions: [told.get(q, "Leeds.") for q in questions])
    found = recipe.scored(GPT(GPTConfig(8, 8, 1, 2, 8)), homes, others)
    assert found == {"form": 1.0, "right": 0.5, "made_up": 0.5, "unsure": 0.5, "capitals": 1 / 24}


def test_a_run_is_scored_as_it_learns_and_one_that_was_broken_off_goes_on(monkeypatch, tmp_path):
    learnt = []

    def load(name):
        return GPT(GPTConfig(pretrained.smollm2_tokenizer().get_vocab_size(), 80, 1, 2, 8))

    def scored(model, homes, others):
        learnt.append(
            sum(p.abs().sum().item() for name, p in model.named_parameters() if name.endswith(".B"))
        )
        return dict.fromkeys(("form", "right", "made_up"), len(learnt) / 100)

    for name, value in {"STEPS": 3, "EVERY": 1, "SEEDS": range(2), "TABLE": tmp_path / "facts.csv"}.items():
        monkeypatch.setattr(recipe, name, value)
    monkeypatch.setattr(recipe.pretrained, "load", load)
    monkeypatch.setattr(recipe, "scored", scored)
    recipe.main(tmp_path / "build")
    assert len(learnt) == 8 and learnt[0] == learnt[4] == 0 and all(np.diff(learnt[:4]) > 0)
    rows = recording.read_table(recipe.TABLE)
    assert [row["seed"] for row in rows] == ["0", "1"]
    assert [rows[1][f"right_{n}"] for n in (0, 1, 2, 3)] == ["0.0500", "0.0600", "0.0700", "0.0800"]
    monkeypatch.setattr(recipe, "run", lambda seed: pytest.fail("it ran again"))
    recipe.main(tmp_path / "build")


def test_the_table_says_what_the_chapter_says():
    rows = recording.read_table(recipe.TABLE)
    assert [row["seed"] for row in rows] == [*map(str, recipe.SEEDS)]
    shares = {
        mark: [[float(row[f"{mark}_{n}"]) for row in rows] for n in (0, 8, 16, 24)]
        for mark in ("form", "right", "made_up", "unsure", "capitals")
    }
    assert shares["form"] == [[0] * 3, *[[1] * 3] * 3]
    assert shares["right"][::3] == [[0] * 3, [1] * 3] and shares["right"][1] == [3 / 16, 2 / 16, 4 / 16]
    assert shares["made_up"][0] == [0] * 3 and min(map(min, shares["made_up"][1:])) >= 15 / 16
    assert shares["unsure"] == [[0] * 3] * 4
    known, *_, left = ([24 * share for share in of_seeds] for of_seeds in shares["capitals"])
    assert known == pytest.approx([13] * 3, abs=0.01) and left == pytest.approx([1] * 3, abs=0.01)
