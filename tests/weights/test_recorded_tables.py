"""The tables of chapter 6 as the recipes wrote them: all seeds, at the setting that was chosen."""

import pytest

from course_utils.weights import masking_recipe, recording


def final_and_swept(path, score):
    """The rows that were scored on the test, and those that were only tried."""
    rows = recording.read_table(path)
    return [row for row in rows if row[score]], [row for row in rows if not row[score]]


def assert_the_best_rate_of_three(final, swept, way, merit, recipe):
    """Each of its seeds ran at the rate that had the most merit on the validation reviews."""
    assert [row["seed"] for row in final if row["learning_rate"]] == [str(s) for s in recipe.SEEDS] * len(
        {row[way] for row in swept}
    )
    for name in {row[way] for row in swept}:
        tried = {row["learning_rate"]: merit(row) for row in swept if row[way] == name}
        assert [float(rate) for rate in tried] == [*recipe.RATES]
        assert {row["learning_rate"] for row in final if row[way] == name} == {max(tried, key=tried.get)}


def values(rows, way, name, column):
    return [float(row[column]) for row in rows if row[way] == name]


def test_what_80_10_10_cures_is_the_head_where_nothing_is_hidden():
    final, swept = final_and_swept(masking_recipe.TABLE, "mood")
    assert [*dict.fromkeys(row["rule"] for row in final)] == [*masking_recipe.RULES]
    assert_the_best_rate_of_three(final, swept, "rule", lambda row: -float(row["own_nats"]), masking_recipe)
    copied = {rule: values(final, "rule", rule, "copied") for rule in masking_recipe.RULES}
    assert max(copied["all [MASK]"]) < 0.1 and min(copied["80/10/10"]) > 0.7
    assert min(copied["all kept"]) > 0.99
    first = {rule: values(final, "rule", rule, "masked_first") for rule in masking_recipe.RULES}
    assert max(first["all kept"]) < 0.02 and min(first["all [MASK]"]) > 0.05
    for row in final:  # the probe on swapped tokens finds nothing in any of these small models
        assert float(row["swapped"]) == pytest.approx(0.5, abs=0.02)
