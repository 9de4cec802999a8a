"""Tables as the recipes wrote them: all seeds, at the setting that was chosen, and what the chapters say."""

import itertools

import numpy as np
import pytest

from course_utils.measuring import scoreboard
from course_utils.weights import (
    by_text_recipe,
    diffusion_recipe,
    masking_recipe,
    objectives_recipe,
    recording,
    rlvr_recipe,
    search_recipe,
    sentiment_recipe,
)


def final_and_swept(path, score):
    """The rows that were scored on the test, and those that were only tried."""
    rows = recording.read_table(path)
    return [row for row in rows if row[score]], [row for row in rows if not row[score]]


def assert_the_best_rate(final, swept, way, merit, recipe):
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
    final, [*swept, frequencies] = final_and_swept(masking_recipe.TABLE, "mood")
    assert [*dict.fromkeys(row["rule"] for row in final)] == [*masking_recipe.RULES]
    assert_the_best_rate(final, swept, "rule", lambda row: -float(row["own_nats"]), masking_recipe)
    copied = {rule: values(final, "rule", rule, "copied") for rule in masking_recipe.RULES}
    assert max(copied["all [MASK]"]) < 0.1 and min(copied["80/10/10"]) > 0.7
    assert min(copied["all kept"]) > 0.99
    first = {rule: values(final, "rule", rule, "masked_first") for rule in masking_recipe.RULES}
    assert max(first["all kept"]) < 0.02 and min(first["all [MASK]"]) > 0.05
    assert frequencies["rule"] == masking_recipe.FREQUENCIES  # no rule leaves them far behind
    for rule in {*masking_recipe.RULES} - {"all kept"}:
        for nats in values(final, "rule", rule, "masked_nats"):
            assert nats == pytest.approx(float(frequencies["masked_nats"]), abs=0.06)
    spent = {rule: values(final, "rule", rule, "flops") for rule in masking_recipe.RULES}
    assert spent["80/10/10"] == pytest.approx(spent["all [MASK]"], rel=0.01)
    assert spent["80/10/10"] == pytest.approx(spent["all kept"], rel=0.01)
    assert values(final, "rule", "80/10/10", "tokens") == values(final, "rule", "all kept", "tokens")
    for row in final:  # the probe on swapped tokens finds nothing in any of these small models
        assert float(row["swapped"]) == pytest.approx(0.5, abs=0.02)


def test_the_bound_of_a_masked_model_is_above_what_a_gpt_of_the_same_blocks_costs():
    final, swept = final_and_swept(diffusion_recipe.TABLE, "tempest")
    assert_the_best_rate(final, swept, "model", lambda row: -float(row["twelfth_night"]), diffusion_recipe)
    costs, bounds = (values(final, "model", name, "tempest") for name in diffusion_recipe.MODELS)
    assert {round(float(row["flops"]) / 1e11) for row in final} == {103}
    assert 0.6 < min(bounds) - max(costs) < max(bounds) - min(costs) < 0.7
    assert max(values(final, "model", "masked", "tempest_error")) < 0.006
    (point,) = scoreboard.recorded_bounds()
    assert point.bits_per_byte == bounds[0]


def test_the_gap_between_bound_and_cost_closes_while_few_bytes_are_read_again_and_again():
    rows, bits = recording.read_table(diffusion_recipe.REPEATS), {}
    for name, readings in itertools.product(diffusion_recipe.MODELS, diffusion_recipe.READINGS):
        some = [row for row in rows if (row["model"], row["readings"]) == (name, str(readings))]
        tried, final = some[:-3], some[-3:]
        best = min(tried, key=lambda row: float(row["twelfth_night"]))
        assert [float(row["learning_rate"]) for row in tried] == [*diffusion_recipe.FEW_RATES]
        assert best not in (tried[0], tried[-1])  # lower and higher rates are worse
        assert [row["seed"] for row in final] == [str(seed) for seed in diffusion_recipe.SEEDS]
        assert {row["learning_rate"] for row in final} == {best["learning_rate"]}
        assert {round(int(row["bytes"]) / diffusion_recipe.FEW) for row in some} == {readings}
        bits[name, readings] = np.array([float(row["twelfth_night"]) for row in final])
    few, more, most = (bits["masked", n] - bits["next byte", n] for n in diffusion_recipe.READINGS)
    assert few.min() > 0.8 and 0.27 < more.min() < more.max() < 0.32
    assert -0.02 < most.min() < 0 < most.max() < 0.03
    for late in bits["next byte", 64], bits["masked", 64]:
        assert late.min() > bits["next byte", 16].max() + 0.05


def test_the_next_word_first_fills_gaps_better_and_no_way_tells_more_moods():
    final, swept = final_and_swept(objectives_recipe.TABLE, "mood")
    assert_the_best_rate(final, swept, "way", lambda row: -float(row["validation_nats"]), objectives_recipe)
    assert {row["flops"] for row in final} == {"", "4e+13"}
    assert {row["learning_rate"] for row in final} == {"", "0.02"}  # tried are a lower and a higher one, too
    nats = {way: values(final, "way", way, "validation_nats") for way in objectives_recipe.WAYS}
    assert max(nats["next, then masked"]) < min(nats["masked"]) - 0.09
    moods = {way: values(final, "way", way, "mood") for way in ("untrained", *objectives_recipe.WAYS)}
    assert [len(seeds) for seeds in moods.values()] == [3] * 4
    means = [sum(moods[way]) / 3 for way in objectives_recipe.WAYS]
    assert max(means) - min(means) < 0.015 and min(means) > max(moods["untrained"])
    assert max(float(row["search_mrr"]) for row in final) < 0.01


def test_two_layers_learn_moods_nearly_as_well_as_the_whole_body_and_whole_reviews_counted_are_near():
    final, swept = final_and_swept(sentiment_recipe.TABLE, "test")
    assert_the_best_rate(final, swept, "way", lambda row: float(row["validation"]), sentiment_recipe)
    right = {name: values(final, "way", name, "test") for name in dict.fromkeys(row["way"] for row in final)}
    assert [len(seeds) for seeds in right.values()] == [3] * 6
    mean = {name: sum(seeds) / 3 for name, seeds in right.items()}
    assert mean["last two layers"] == pytest.approx(mean["whole body"], abs=0.01)
    for tuned in ("last two layers", "whole body"):
        assert 0 < mean[tuned] - mean["bag of words, whole reviews"] < 0.03
    assert mean["last two layers"] > mean["frozen"] + 0.02 > mean["frozen, untrained"] + 0.1
    assert max(right["bag of words"]) < min(right["frozen"])


def test_what_learns_to_search_from_lines_stays_behind_counting_and_beside_near_rivals_learns_no_order():
    final, swept = final_and_swept(search_recipe.TABLE, "mrr")
    assert_the_best_rate(final, swept, "way", lambda row: float(row["validation"]), search_recipe)
    nearest, any_rivals = [name for name in search_recipe.WAYS if name != "our BERT, bi-encoder"]
    (drawn,) = (row for row in final if row["way"] == "BM25's 50, random order")
    assert sum(values(final, "way", nearest, "mrr")) / 3 < float(drawn["mrr"])
    assert min(values(final, "way", any_rivals, "mrr")) > float(drawn["mrr_high"])
    for row in final + swept:  # of 8 or 9 candidates for a line chance gives 0.34 or 0.31
        assert row["way"] not in (nearest, any_rivals) or 0.31 < float(row["validation"]) < 0.38
    learnt = [row for row in final if row["way"] in search_recipe.WAYS]
    assert len(learnt) == 9 and all(float(row["over_bm25_high"]) < 0 for row in learnt)
    (mini,) = (row for row in final if row["way"] == "MiniLM, mean vectors")
    assert float(mini["over_bm25_low"]) < 0 < float(mini["over_bm25_high"])


def test_marks_sharpen_what_the_base_can_do_and_solutions_teach_what_it_can_t():
    final, swept = final_and_swept(rlvr_recipe.TABLE, "pass_1")
    assert_the_best_rate(final, swept, "arm", lambda row: float(row["validation_pass_1"]), rlvr_recipe)
    assert [*dict.fromkeys(row["arm"] for row in final)] == ["base", "guesser", *rlvr_recipe.WAYS]
    assert {row["passes"] for row in final[2:]} == {str(rlvr_recipe.BUDGET)} and len(final) == 11
    (base,) = (row for row in final if row["arm"] == "base")
    low, high = float(base["pass_64_low"]), float(base["pass_64_high"])
    assert 0.5 < low < high < 0.8 and int(base["found"]) == 2  # by chance, in 64 answers more
    assert values(final, "arm", "guesser", "pass_64") == [0]

    gradient, rejection, solutions = rlvr_recipe.WAYS
    for arm in (gradient, rejection):
        assert min(values(final, "arm", arm, "pass_1")) > float(base["pass_1_high"])
        assert all(low < share < high for share in values(final, "arm", arm, "pass_64"))
        assert max(values(final, "arm", arm, "found")) <= 4
        assert max(values(final, "arm", arm, "right_5")) < 0.001
    assert max(values(final, "arm", gradient, "pass_1")) < min(values(final, "arm", rejection, "pass_1"))
    assert min(values(final, "arm", solutions, "pass_1")) > max(values(final, "arm", rejection, "pass_1"))
    assert values(final, "arm", solutions, "found") == [72] * 3
    assert max(values(final, "arm", solutions, "right_3")) < float(base["right_3"])
    best = {row["arm"]: float(row["learning_rate"]) for row in final[2:]}
    assert best[solutions] == max(rlvr_recipe.RATES)  # a higher one might do better


def test_the_log_of_the_policy_gradient_has_every_step():
    rows = recording.read_table(rlvr_recipe.LOG)
    steps = [str(step) for step in range(1, rlvr_recipe.RL_STEPS + 1)]
    for seed in map(str, rlvr_recipe.SEEDS):
        log = [row for row in rows if row["seed"] == seed]
        assert [row["step"] for row in log] == steps
        assert abs(float(log[0]["kl"])) < 1e-3 < float(log[-1]["kl"])
        assert all(0 <= float(row["dead"]) <= 1 for row in log)


def test_words_ranked_by_their_text():
    rows = recording.read_table(by_text_recipe.TABLE)
    tried = {float(row["weight"]): float(row["first"]) for row in rows if row["part"] == "validation"}
    best = max(tried, key=tried.get)
    assert [*tried] == [*by_text_recipe.WEIGHTS] and best == 1
    asked = {(row["words"], float(row["weight"])): row for row in rows if row["part"] != "validation"}
    assert {weight for _, weight in asked} == {0, best}
    for row in asked.values():
        for name in ("first", "five"):
            usual = float(asked[row["words"], 0.0][name])
            change = (int(row[f"{name}_gained"]) - int(row[f"{name}_lost"])) / int(row["gaps"])
            assert float(row[name]) == pytest.approx(usual + change, abs=1e-4)
    assert float(asked["content", best]["five"]) > float(asked["content", 0.0]["five"]) + 0.03
    assert float(asked["any", best]["five"]) < float(asked["any", 0.0]["five"])
    assert 20 * float(asked["sentences", best]["five"]) == pytest.approx(16)
