"""The table of how often each filter is right, as the recipe wrote it, and how the recipe counts."""

import re

import numpy as np
import pytest

from course_utils.pretraining.filters.duplicates import NearDuplicates
from course_utils.weights import filters_recipe as recipe
from course_utils.weights import recording

ROWS = recording.read_table(recipe.TABLE)


def rows(filter_name, way):
    """{kind: row} of a filter in one way."""
    return {row["kind"]: row for row in ROWS if (row["filter"], row["way"]) == (filter_name, way)}


def shares(filter_name, way, should_go):
    """{kind: the share that was removed} of what should go, or stay."""
    found = rows(filter_name, way).values()
    return {row["kind"]: float(row["share"]) for row in found if row["should_go"] == should_go}


def precision(filter_name, way):
    return float(rows(filter_name, way)["precision"]["share"])


def test_near_duplicates_are_looked_for_as_was_best_on_the_other_half():
    f1 = {}
    for n in recipe.LENGTHS:
        for threshold in recipe.THRESHOLDS:
            way = f"{n} words, {threshold}: half for choosing"
            gone = [row for row in rows("near-duplicates", way).values() if row["should_go"] == "yes"]
            right, there = (sum(int(row[name]) for row in gone) for name in ("removed", "n"))
            removed = int(rows("near-duplicates", way)["precision"]["n"])
            f1[n, threshold] = 2 * right / (there + removed)
    default = NearDuplicates()
    assert max(f1, key=f1.get) == (default.length, default.threshold)


@pytest.mark.parametrize("way", ["one reordering each", "all ten"])
def test_nine_of_ten_reorderings_go_and_what_is_alike_stays(way):
    assert min(shares("near-duplicates", way, "yes").values()) > 0.9
    assert max(shares("near-duplicates", way, "no").values()) < 0.005
    assert precision("near-duplicates", way) > 0.99


def test_no_exam_passes_for_english_and_hardly_one_in_a_language_that_was_never_counted():
    assert set(shares("language", "threes of letters", "yes").values()) == {1.0}
    assert min(shares("language", "threes, never counted", "yes").values()) > 0.98
    lost = shares("language", "threes of letters", "no")
    assert lost["reviews"] == 0 and lost["passages"] < 0.05  # two in three of these are coordinates
    assert min(shares("language", "lid.176", "yes").values()) > 0.99
    assert shares("language", "lid.176", "no")["passages"] < lost["passages"]


def test_the_rules_of_quality_leave_random_words_to_the_language_filter():
    alone, both = (shares("quality", way, "yes") for way in ("rules", "rules and language"))
    assert alone["random words"] < 0.7 < 0.9 < both["random words"]
    assert min(both.values()) > 0.9 and max(shares("quality", "rules", "no").values()) < 0.1


def test_the_recorded_quality_is_what_the_filters_do_now():
    assert [{name: str(value) for name, value in row.items()} for row in recipe.kinds()] == [
        row for row in ROWS if row["filter"] == "quality"
    ]


def test_personal_data_with_a_check_digit_or_a_sign_of_its_own_is_found_and_numbers_alone_are_not():
    found = shares("personal data", "planted by Faker", "yes")
    assert found.pop("a card number") > 0.7 and found.pop("a telephone number") > 0.75
    assert set(found.values()) == {1.0}
    assert precision("personal data", "planted by Faker") > 0.95


def test_a_leak_is_found_by_a_run_that_it_leaves_whole():
    for length in recipe.RUN_LENGTHS:
        found = shares("contamination", f"{length} words", "yes")
        assert found["a leak of 20 words"] == found["a leak of 50 words"] == 1
        assert (found["a leak of 50 words, every 10th changed"] > 0.9) == (length == 8)
        assert precision("contamination", f"{length} words") > 0.99
    phrases = {n: shares("contamination", f"{n} words, truth unknown", "no") for n in recipe.RUN_LENGTHS}
    assert phrases[8]["film reviews"] > 10 * phrases[13]["film reviews"]


def test_precision_counts_what_was_removed_and_only_that():
    cases = [
        recipe.Case("bad", True, ["bad", "bad", "good"]),  # the last is bad too, but doesn't look it
        recipe.Case("good", False, ["good"] * 3 + ["bad"]),
    ]
    bad, good, precise = recipe.score(
        "a", "b", lambda document: "no" if document.text == "bad" else None, cases
    )
    assert (bad["removed"], bad["n"], good["removed"], good["n"]) == (2, 3, 1, 4)
    assert (precise["removed"], precise["n"], precise["share"]) == (2, 3, "0.6667")
    everything = recipe.score("a", "b", lambda document: "no", cases)
    assert everything[-1]["share"] == f"{3 / 7:.4f}"  # no better than the mixture
    assert len(recipe.score("a", "b", lambda document: None, cases)) == 2


def test_only_pairs_of_the_first_kind_are_two_orders_of_the_same_words():
    def share_of_words(pair):
        one, other = ({*re.findall(r"\w+", text.lower())} for text in pair)
        return len(one & other) / len(one | other)

    alike = {
        kind: np.mean([share_of_words(pair) for pair in pairs])
        for kind, pairs in recipe.pairs_to_judge().items()
    }
    reordered, translations, others = alike.values()
    assert reordered > 0.95 and 0.2 < translations < 0.9 and others < 0.2


def test_an_exact_duplicate_is_one_whatever_its_white_space_and_case_and_no_word_may_differ():
    assert min(shares("exact duplicates", "one copy each", "yes").values()) > 0.99
    assert set(shares("exact duplicates", "one copy each", "no").values()) == {0.0}
