"""The recorded comparisons of chapter 6: a rate was chosen before three seeds were scored with it."""

import pytest

from course_utils.weights import masking_recipe, objectives_recipe, recording, search_recipe, sentiment_recipe

# recipe, its ways, the column that names them, the one that chose the rate, which is best, and a scored one
TABLES = {
    "masking": (masking_recipe, masking_recipe.RULES, "rule", "own_nats", min, "mood"),
    "sentiment": (sentiment_recipe, sentiment_recipe.TUNED, "way", "validation", max, "test"),
    "search": (search_recipe, search_recipe.WAYS, "way", "validation", max, "mrr"),
    "objectives": (objectives_recipe, objectives_recipe.WAYS, "way", "validation_nats", min, "mood"),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_rate_is_the_best_of_the_sweep_and_three_seeds_are_scored(name):
    recipe, ways, column, by, better, scored = TABLES[name]
    table = recording.read_table(recipe.TABLE)
    for way in ways:
        rows = [row for row in table if row[column] == way]
        swept = [row for row in rows if int(row["seed"]) == recipe.SWEEP_SEED]
        final = [row for row in rows if row not in swept]
        assert [float(row["learning_rate"]) for row in swept] == [*recipe.RATES]
        assert [int(row["seed"]) for row in final] == [*recipe.SEEDS] and all(row[scored] for row in final)
        best = better(swept, key=lambda row: float(row[by]))["learning_rate"]
        assert {row["learning_rate"] for row in final} == {best}


def test_what_is_not_swept_stands_beside_it():
    seen = [row["way"] for row in recording.read_table(sentiment_recipe.TABLE)]
    for way in (*sentiment_recipe.BAGS, *sentiment_recipe.BODIES):
        assert seen.count(way) == 3
    first = recording.read_table(search_recipe.TABLE)[: len(search_recipe.UNTRAINED)]
    assert [row["way"] for row in first] == [*search_recipe.UNTRAINED]
    assert 0.26 < float(first[0]["mrr"]) < 0.265 and float(first[0]["over_bm25"]) == 0  # BM25
