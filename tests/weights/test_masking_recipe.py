"""Masking: what each rule shows and asks, and measures that a model can't pass by the token alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.bert.masking import IGNORED, special_tokens
from course_utils.data.reviews import Review
from course_utils.weights import bert_recipe, recording
from course_utils.weights import masking_recipe as recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """A tiny shape, and short reviews of 200 kinds of token."""
    draws = np.random.default_rng(0)
    ends = [999, 1012, 1029]  # !, . and ?
    texts = {
        part: [np.append(draws.integers(1000, 1200, size=n), ends) for n in draws.integers(5, 40, 60)]
        for part in PARTS
    }
    rows = {part: [Review("", i % 3 == 0, "") for i in range(60)] for part in PARTS}
    monkeypatch.setattr(bert_recipe, "encoded", texts.__getitem__)
    monkeypatch.setattr(recipe, "reviews", lambda: SimpleNamespace(**rows))
    monkeypatch.setattr(recipe, "SHAPE", BertConfig(150, 8, 1, 2, 16, max_positions=24))
    monkeypatch.setattr(recipe, "BATCH", 256)
    monkeypatch.setattr(recipe, "CONFIG", recipe.replace(recipe.CONFIG, steps=2, warmup_steps=1))
    monkeypatch.setattr(recipe, "TABLE", tmp_path / "masking.csv")
    for kept in (recipe.tokenizer, recipe.encoded):
        kept.cache_clear()
    yield
    for kept in (recipe.tokenizer, recipe.encoded):
        kept.cache_clear()


PARTS = "train", "validation", "test"


def test_the_commonest_pieces_are_kept_and_the_others_unknown():
    tokenizer = recipe.tokenizer()
    assert tokenizer.vocab_size == 150 and tokenizer.tokens[:5] == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
    ]
    full, ids = np.concatenate(bert_recipe.encoded("train")), np.concatenate(recipe.encoded("train"))
    counts = np.bincount(full)
    kept = np.unique(full[ids != 1])
    assert len(kept) == 145 and counts[kept].min() >= counts[np.unique(full[ids == 1])].max()


@pytest.mark.parametrize("name", recipe.RULES)
def test_a_rule_asks_and_hides_its_shares(name):
    rule, asked = recipe.RULES[name], recipe.batches(recipe.RULES[name], "train", 0)
    tokenizer, counts = recipe.tokenizer(), np.zeros(4)
    for _ in range(60):
        inputs, _, labels = asked.next()
        chosen = labels != IGNORED
        hidden = inputs[chosen] == tokenizer.ids["[MASK]"]
        stays = inputs[chosen] == labels[chosen]
        plain = (~special_tokens(tokenizer)[inputs] | chosen).sum()
        counts += [plain, chosen.sum(), hidden.sum(), stays.sum()]
    assert counts[1] / counts[0] == pytest.approx(rule.rate, abs=0.02)
    assert counts[2] / counts[1] == pytest.approx(rule.to_mask, abs=0.03)
    assert counts[3] / counts[1] == pytest.approx(1 - rule.to_mask - rule.to_random, abs=0.03)


def test_what_was_swapped_is_of_the_kinds_that_it_replaces():
    ids = torch.randint(5, 25, (40, 20), generator=torch.Generator().manual_seed(0))
    ids[:, 0], ids[:, -1] = 2, 3
    found, classes = recipe.swapped(ids, seed=1)
    assert torch.equal(found.flatten().sort().values, ids.flatten().sort().values)
    assert (
        torch.equal(found != ids, classes == 1)
        and (classes[special_tokens(recipe.tokenizer())[ids]] == -1).all()
    )
    assert (classes == 0).sum().item() == pytest.approx(0.15 * 40 * 18, abs=1)
    assert (classes == 1).sum().item() == pytest.approx(0.15 * 40 * 18 * 0.95, abs=12)  # one of 20 is no swap


def test_a_head_that_names_what_stands_there_copies():
    model = BertForMaskedLM(recipe.SHAPE).eval()
    rows = [text[:20] for text in recipe.encoded("test")[:3]]

    def names_what_it_reads(ids, lengths, chosen):
        return torch.nn.functional.one_hot(ids[chosen], 150).float()

    assert recipe.copied(names_what_it_reads, rows) == 1 and recipe.copied(model, rows) < 0.5


def test_a_model_is_measured_on_the_test_reviews_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(
        recipe, "score", lambda answer, gaps: asked.extend(gaps) or SimpleNamespace(perplexity=1, first=0)
    )
    row = recipe.measures(BertForMaskedLM(recipe.SHAPE).eval())
    assert tuple(row) == recipe.COLUMNS and all(float(value) >= 0 for value in row.values())
    tokens = sum((labels != IGNORED).sum().item() for *_, labels in asked)
    known = sum((text != 1).sum() for text in recipe.encoded("test"))
    assert tokens == pytest.approx(0.15 * known, rel=0.3)


def test_frequencies_alone_always_name_the_commonest_piece():
    row, tokenizer = recipe.by_frequency(), recipe.tokenizer()
    pieces = np.concatenate(recipe.encoded("train"))
    counts = np.bincount(pieces[pieces > 4], minlength=150)
    asked = recipe.gaps(recipe.encoded("test"), tokenizer, longest=24, rows=600)
    labels = np.concatenate([labels[labels != IGNORED].numpy() for *_, labels in asked])
    assert float(row["masked_first"]) == pytest.approx((labels == counts.argmax()).mean(), abs=1e-4)
    nats = -np.log(counts[labels] / counts.sum()).mean()
    assert float(row["masked_nats"]) == pytest.approx(nats, abs=1e-4)


def test_three_seeds_of_each_rule_and_no_look_at_the_test_before_the_choice(monkeypatch):
    monkeypatch.setattr(recipe, "measures", lambda model: dict.fromkeys(recipe.COLUMNS, "0.5"))
    monkeypatch.setattr(recipe, "RULES", {name: recipe.RULES[name] for name in ("all [MASK]", "all kept")})
    recipe.main(recipe.TABLE.parent / "build")
    table = recording.read_table(recipe.TABLE)
    final = [row for row in table if row["mood"]]
    assert [(row["rule"], row["seed"]) for row in final] == [
        (rule, seed) for rule in recipe.RULES for seed in "012"
    ]
    for rule in recipe.RULES:
        swept = [row for row in table if row["rule"] == rule and not row["mood"]]
        assert [float(row["learning_rate"]) for row in swept] == [*recipe.RATES]
        assert not any(row[name] for row in swept for name in recipe.COLUMNS)
        best = min(swept, key=lambda row: float(row["own_nats"]))["learning_rate"]
        assert {row["learning_rate"] for row in final if row["rule"] == rule} == {best}
