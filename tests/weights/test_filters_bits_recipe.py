"""What filters are worth in bits: the table as it was recorded, and the control that it is compared with."""

import numpy as np
import pytest

from course_utils.weights import filters_bits_recipe as recipe
from course_utils.weights import recording

ROWS = recording.read_table(recipe.TABLE)


def bits(model, name, how, column="unread"):
    found = [row for row in ROWS if (row["model"], row["removed"], row["how"]) == (model, name, how)]
    assert [row["seed"] for row in found] == [str(seed) for seed in recipe.SEEDS]
    return np.array([float(row[column]) for row in found])


def test_as_much_is_removed_at_random_as_by_the_filter():
    by_filter = {(row["model"], row["removed"], row["seed"]): row for row in ROWS if row["how"] == "filter"}
    others = [row for row in ROWS if row["how"] == "random"]
    assert len(others) == (len(recipe.FILTERS) + 2) * len(recipe.SEEDS)
    for row in others:
        more = int(row["bytes_removed"]) - int(
            by_filter[row["model"], row["removed"], row["seed"]]["bytes_removed"]
        )
        assert 0 <= more < 10_000  # one document


def test_to_a_5_gram_language_and_quality_are_worth_most_and_copies_next_to_nothing():
    gained = {
        name: bits("5-gram", name, "random") - bits("5-gram", name, "filter") for name in recipe.FILTERS
    }
    assert min(gained["quality"]) > max(gained["language"]) > min(gained["language"]) > 0.01
    assert max(abs(gained["exact duplicates"])) < 0.003 and min(gained["near-duplicates"]) > 0
    assert max(gained["personal data"]) < 0  # good text goes with an address in it: that is its price


def test_a_leak_flatters_and_to_remove_it_costs_bits_on_what_was_leaked():
    leaked = bits("5-gram", "contamination", "filter", "leaked") - bits("5-gram", "none", "filter", "leaked")
    unread = bits("5-gram", "contamination", "filter") - bits("5-gram", "none", "filter")
    assert min(leaked) > 0.4 and max(abs(unread)) < 0.03


def test_all_filters_together_gain_on_as_much_removed_at_random():
    for model in ("5-gram", "GPT"):
        assert min(bits(model, "all", "random") - bits(model, "all", "filter")) > 0.05


def test_what_reads_as_much_whatever_is_left_gains_on_the_whole_crawl_too():
    gained = {m: bits(m, "none", "filter") - bits(m, "all", "filter") for m in ("5-gram", "GPT")}
    assert max(abs(gained["5-gram"])) < 0.01 and min(gained["GPT"]) > 0.1
    assert max(abs(bits("GPT", "none", "filter") - bits("GPT", "all", "random"))) < 0.05


def test_the_table_has_both_controls():
    tables = (table.splitlines()[1:] for table in recipe.worth()[:2])
    found, a_megabyte = (
        {line[:24].strip(): [*map(float, line[24:].split())] for line in lines} for lines in tables
    )
    assert len(found) == len(recipe.FILTERS) + 2 and [*found] == [*a_megabyte]
    (removed, crawl, random_), by_crawl = found["GPT     all"], a_megabyte["GPT     all"]
    assert len(by_crawl) == len(recipe.SEEDS)
    assert random_ == pytest.approx(removed * np.mean(by_crawl), abs=2e-3)
    gpt = {how: bits("GPT", "all", how).mean() for how in ("filter", "random")}
    assert crawl == pytest.approx(bits("GPT", "none", "filter").mean() - gpt["filter"], abs=6e-4)
    assert random_ == pytest.approx(gpt["random"] - gpt["filter"], abs=6e-4)


def test_good_text_costs_where_none_of_it_is_left():
    none = bits("5-gram", "none", "filter")
    for name in ("personal data", "contamination"):
        assert min(bits("5-gram", name, "filter") - none) > 0.01
        assert max(abs(bits("5-gram", name, "good, one of two") - none)) < 0.003
        assert min(bits("5-gram", name, "good, both") - none) > 0.01
    personal = recipe.cost_of_good().splitlines()[1]
    assert [float(x) for x in personal[20:].split()] == pytest.approx([0.021, 0.001, 0.022], abs=1e-3)


def test_good_passages_go_with_their_copies_or_without():
    crawl = recipe.Crawl(seed=5)
    assert len(crawl.twice) == recipe.TRAIN
    for both, most in ((False, 1), (True, 2)):
        left = crawl.without_good(20_000, seed=1, both=both)
        gone = len(crawl.documents) - len(left)
        missing = [
            one for one, other in crawl.twice if [d.text for d in left].count(one) < 1 + (one == other)
        ]
        assert gone == most * len(missing) and recipe.size(crawl.documents) - recipe.size(left) >= 20_000


def test_gains_are_per_million_bytes_removed_with_their_sign():
    def row(how, unread):
        return {
            "model": "m",
            "removed": "f",
            "how": how,
            "seed": "0",
            "unread": unread,
            "bytes_removed": "500000",
        }

    assert recipe.gains([row("filter", "2.0"), row("random", "2.1")]) == {("m", "f"): [pytest.approx(0.2)]}
    assert recipe.gains([row("filter", "2.1"), row("random", "2.0")])["m", "f"] == [pytest.approx(-0.2)]


def test_a_crawl_has_its_faults_and_not_its_test_but_for_the_leak():
    crawl = recipe.Crawl(seed=5)
    texts = {document.text for document in crawl.documents}
    assert set(crawl.leaked) <= texts and not texts & set(crawl.test[recipe.LEAKED :])
    assert not texts & set(crawl.validation)
    assert recipe.Crawl(seed=6).test == crawl.test
    assert len(crawl.documents) - len(texts) >= 200  # the exact duplicates
    removed = recipe.size(crawl.documents) - recipe.size(crawl.kept("exact duplicates"))
    left = crawl.at_random(removed, seed=1)
    assert 0 <= recipe.size(crawl.documents) - recipe.size(left) - removed < 10_000
    assert crawl.at_random(removed, seed=2) != left
