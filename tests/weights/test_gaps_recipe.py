"""The table of who fills the gaps: every reader once, on the same gaps, and nothing scored twice."""

from course_utils.bert.scores import GapScore
from course_utils.weights import bert_recipe, gaps_recipe, recording

READERS = ["the commonest token", "counts from both sides", "our BERT"]


def test_the_recorded_readers_were_asked_the_same_gaps():
    rows = recording.read_table(gaps_recipe.TABLE)
    assert [row["reader"] for row in rows] == READERS
    assert len({row["tokens"] for row in rows}) == 1
    assert all(float(row["first"]) < float(row["first_five"]) < 1 for row in rows)


def test_our_bert_fills_more_gaps_than_counts_do_and_is_surer():
    _, both, ours = recording.read_table(gaps_recipe.TABLE)
    assert float(ours["first"]) > 0.36 and float(ours["first"]) > float(both["first"]) + 0.08
    assert float(ours["perplexity"]) < float(both["perplexity"]) * 2 / 3


def test_a_reader_that_was_scored_is_not_scored_again(tmp_path, monkeypatch):
    asked = []

    def counts(part):
        asked.append(part)
        return {"unigram": GapScore(0.1, 0.2, 900.0, 7), "both sides": GapScore(0.3, 0.5, 70.0, 7)}

    def scored(model, part):
        asked.append("model")
        return GapScore(0.4, 0.6, 40.0, 7)

    monkeypatch.setattr(bert_recipe, "baseline_scores", counts)
    monkeypatch.setattr(bert_recipe, "load", lambda: None)
    monkeypatch.setattr(bert_recipe, "scored", scored)
    monkeypatch.setattr(gaps_recipe, "TABLE", tmp_path / "gaps.csv")
    for _ in range(2):
        gaps_recipe.main(tmp_path / "build")
    assert asked == ["test", "model"]
    rows = recording.read_table(tmp_path / "gaps.csv")
    assert [(row["reader"], row["first"]) for row in rows] == list(
        zip(READERS, ["0.1", "0.3", "0.4"], strict=True)
    )
