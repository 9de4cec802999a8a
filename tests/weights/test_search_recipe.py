"""Search: what the pairs are made of, what is learnt from them, and how the queries' score is told."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from course_utils import pretrained
from course_utils.bert import Bert, BertConfig, BertForMaskedLM, BertForSequenceClassification
from course_utils.bert.search import contrastive_loss, embed_rows
from course_utils.bert.texts import padded_pairs
from course_utils.data import corpora
from course_utils.data.evaluations import Speeches
from course_utils.weights import bert_recipe, recording
from course_utils.weights import search_recipe as recipe

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPE = BertConfig(d_model=8, n_layers=2, n_heads=2, d_ff=16, max_positions=160)
DRAWS = np.random.default_rng(0)
PLAY = [[DRAWS.integers(1000, 1400, size=n) for n in DRAWS.integers(3, 9, size=6)] for _ in range(80)]


def model(kind=Bert, **options):
    torch.manual_seed(0)
    built = kind(SHAPE, **options)
    for parameter in built.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built.eval()


def test_a_question_is_two_lines_that_its_passage_lacks_nine_times_of_ten():
    pairs, kept = recipe.LinePairs(PLAY, seed=1), 0
    for _ in range(10):
        for i, question, rest in zip(*pairs.draw(40), strict=True):
            lines = PLAY[i]
            at = next(j for j in range(5) if np.array_equal(question, np.concatenate(lines[j : j + 2])))
            whole = np.array_equal(rest, np.concatenate(lines))
            kept += whole
            assert whole or np.array_equal(rest, np.concatenate(lines[:at] + lines[at + 2 :]))
    assert 40 - 4 * 6 < kept < 40 + 4 * 6  # 400 pairs, standard deviation 6
    one, again, other = (recipe.LinePairs(PLAY, seed).draw(40)[0] for seed in (1, 1, 2))
    assert one == again != other and len(set(one)) == 40


def test_the_test_play_is_not_read_in_training(monkeypatch):
    monkeypatch.setattr(recipe, "lines_of", lambda passages: [passage.play for passage in passages])
    titles = set(recipe.training_lines.__wrapped__())
    assert len(titles) == 36 and not titles & {corpora.VALIDATION, corpora.TEST}


def test_the_bi_encoder_learns_to_tell_each_questions_passage():
    tokenizer, body = pretrained.bert_tokenizer(), model()
    loss, _ = recipe.bi_loss(body, recipe.BiBatches(recipe.LinePairs(PLAY, 3), tokenizer, 6).next(), None)
    _, questions, rests = recipe.LinePairs(PLAY, 3).draw(6)
    vectors = (embed_rows(body, tokenizer, rows) for rows in (questions, rests))
    assert loss.item() == pytest.approx(contrastive_loss(*vectors).item(), rel=1e-3)


def test_the_cross_encoder_learns_to_choose_the_own_passage_among_near_ones():
    tokenizer = pretrained.bert_tokenizer()
    ids, _, segments = batch = recipe.CrossBatches(recipe.LinePairs(PLAY, 3), tokenizer, 5).next()
    own, questions, rests = recipe.LinePairs(PLAY, 3).draw(5)
    assert len(ids) == 5 * (1 + recipe.RIVALS)
    for i in range(5):
        group = slice(i * 4, i * 4 + 4)
        texts = [row[part == 1].tolist()[:-1] for row, part in zip(ids[group], segments[group], strict=True)]
        wholes = [np.concatenate(lines)[: recipe.LEARNS].tolist() for lines in PLAY]
        assert texts[0] == rests[i].tolist() and all(text in wholes for text in texts[1:])
        assert wholes[own[i]] not in texts[1:]
        asked = [row[1 : len(questions[i]) + 1].tolist() for row in ids[group]]
        assert asked == 4 * [questions[i].tolist()]
        shared = [len({*text} & {*questions[i].tolist()}) for text in texts[1:]]
        assert min(shared) >= 1
    reader = model(BertForSequenceClassification, n_classes=1)
    scores = reader(*batch).view(5, 4)
    expected = -(scores[:, 0] - scores.logsumexp(1)).mean()
    assert torch.allclose(recipe.cross_loss(reader, batch, None)[0], expected, atol=1e-5)


def test_candidates_alone_are_read_each_as_if_alone(monkeypatch):
    monkeypatch.setattr(recording, "mixed_precision", lambda: torch.autocast("cpu", enabled=False))
    reader, tokenizer = model(BertForSequenceClassification, n_classes=1), pretrained.bert_tokenizer()
    questions, texts = [lines[0] for lines in PLAY[:2]], [np.concatenate(lines) for lines in PLAY[:9]]
    candidates = recipe.best(np.arange(18.0).reshape(2, 9) % 7, 4)
    scores = recipe.by_pairs(reader, questions, texts, candidates)
    assert (np.isfinite(scores) == candidates).all() and (candidates.sum(1) == 4).all()
    for i, j in np.argwhere(candidates):
        alone = reader(*padded_pairs([questions[i]], [texts[j]], tokenizer)).item()
        assert scores[i, j] == pytest.approx(alone, abs=1e-4)


def test_the_best_are_those_that_score_highest():
    scores = np.array([[1.0, 3, 2, 3], [5, 4, 9, 0]])
    assert recipe.best(scores, 2).tolist() == [[False, True, False, True], [True, False, True, False]]


def test_an_interval_holds_the_truth_about_as_often_as_it_says():
    draws = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        low, high = recipe.interval(draws.choice([0, 0.2, 1.0], size=50), draws=400)
        held += low <= 0.4 <= high
    assert 0.88 < held / 200 < 0.99


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Passages of a few words in three plays, two queries, and a tiny BERT."""
    words = ["king", "queen", "storm", "ship", "love", "death", "night", "sword", "crown", "fool"]
    draws, found = np.random.default_rng(0), []
    for play in ("Hamlet", corpora.VALIDATION, corpora.TEST):
        for i in range(70):
            lines = [" ".join(draws.choice(words, size=5)) for _ in range(5)]
            found.append(Speeches(play, (10 * i + 1, 10 * i + 5), "\n".join(lines)))
    queries = [SimpleNamespace(query=q, play="Hamlet", lines=(1, 5)) for q in ("king queen", "storm ship")]
    monkeypatch.setattr(recipe, "passages", lambda: found)
    monkeypatch.setattr(recipe, "search_queries", lambda: queries)
    monkeypatch.setattr(bert_recipe, "load", lambda: BertForMaskedLM(SHAPE).eval())
    monkeypatch.setattr(pretrained, "load", lambda name: Bert(SHAPE).eval())
    monkeypatch.setattr(recipe, "CONFIG", recipe.replace(recipe.CONFIG, steps=2, warmup_steps=1))
    monkeypatch.setattr(recipe, "TABLE", tmp_path / "search.csv")
    for kept in (recipe.training_lines, recipe.asked, recipe.bm25):
        kept.cache_clear()
    yield
    for kept in (recipe.training_lines, recipe.asked, recipe.bm25):
        kept.cache_clear()


def test_what_no_reranking_can_better(small):
    right = recipe.asked()[2][0]
    found = recipe.bm25()[0, right].max() > np.sort(recipe.bm25()[0])[-recipe.CANDIDATES - 1]
    assert recipe.ranks(recipe.perfect())[0] == float(found)


def test_the_queries_are_asked_with_the_chosen_rate_alone(small):
    recipe.main(recipe.TABLE.parent / "build")
    table = recording.read_table(recipe.TABLE)
    final = [row for row in table if row["mrr"]]
    expected = [(name, "") for name in recipe.UNTRAINED]
    expected += [(name, seed) for name in recipe.WAYS for seed in "012"]
    assert [(row["way"], row["seed"]) for row in final] == expected
    assert float(final[0]["over_bm25"]) == 0
    for row in final:
        assert float(row["mrr_low"]) <= float(row["mrr"]) <= float(row["mrr_high"])
    for name in recipe.WAYS:
        swept = [row for row in table if row["way"] == name and not row["mrr"]]
        assert [float(row["learning_rate"]) for row in swept] == [*recipe.RATES]
        best = max(swept, key=lambda row: float(row["validation"]))["learning_rate"]
        assert {row["learning_rate"] for row in final if row["way"] == name} == {best}
