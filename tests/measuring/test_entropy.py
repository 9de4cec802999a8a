"""Shannon's bounds: his own table, a player whose entropy is known, and what few guesses do to them."""

from functools import cache

import numpy as np
import pytest

from course_utils.data.corpora import shakespeare
from course_utils.measuring import entropy
from course_utils.measuring.entropy import (
    SHANNON_1951,
    bootstrap_interval,
    corrected_bounds,
    guess_ranks,
    letters_27,
    make_monotone,
    miller_madow,
    rank_counts,
    self_play,
    shannon_bounds,
)
from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer


@cache
def played():
    """A 4-gram of the training plays plays 20,000 letters of its own."""
    encode = ByteTokenizer().encode
    model = NGramModel(4).fit([encode(play) for play in shakespeare().train.values()], 256)
    return self_play(model, 20_000, np.random.default_rng(1))


def naive_upper(ranks):
    """What a game without pooling and correction would print: the entropy of the counts as they are."""
    return shannon_bounds(sorted(rank_counts(ranks), reverse=True)).upper


# ---- Shannon's table ------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "lower", "upper"), [(1, 3.262, 4.065), (2, 2.495, 3.437), (4, 1.755, 2.686)])
def test_shannons_own_table(n, lower, upper):
    bounds = shannon_bounds(SHANNON_1951[n].percent)
    assert bounds == pytest.approx((lower, upper), abs=0.01)
    assert bounds == pytest.approx(SHANNON_1951[n].printed, abs=0.1)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_wrong_formula_misses_the_table(n):
    """The usual slip: log2 i weighed by q_i alone, without the differences."""
    q = np.array(SHANNON_1951[n].percent) / sum(SHANNON_1951[n].percent)
    wrong = (q * np.log2(np.arange(1, len(q) + 1))).sum()
    assert wrong != pytest.approx(SHANNON_1951[n].printed.lower, abs=0.1)


def test_bounds_by_hand():
    assert shannon_bounds([7]) == (0, 0)
    assert shannon_bounds([1, 1]) == (1, 1)
    assert shannon_bounds([5] * 8) == pytest.approx((3, 3))
    # 3/4, 1/4: lower 2 (1/4) log2 2, upper 3/4 log2(4/3) + 1/4 log2 4
    assert shannon_bounds([3, 1, 0]) == pytest.approx((0.5, 0.75 * np.log2(4 / 3) + 0.5))


@pytest.mark.parametrize(
    ("frequencies", "sentence"),
    [
        ([5, 3, 4], r"guess 3 was right more often \(4\) than guess 2 \(3\).*make_monotone"),
        ([], "got none"),
        ([[1, 2]], r"shape \(1, 2\)"),
        ([3, -1], "guess 2 has -1"),
        ([3, float("nan")], "guess 2 has nan"),
        ([float("inf"), 1], "guess 1 has inf"),
        ([0, 0], "nothing was guessed"),
    ],
)
def test_bad_frequencies(frequencies, sentence):
    with pytest.raises(ValueError, match=sentence):
        shannon_bounds(frequencies)


@pytest.mark.parametrize("ranks", [[], [1, 0], [1.5], [[1]]])
def test_bad_ranks(ranks):
    with pytest.raises(ValueError, match="integers from 1"):
        corrected_bounds(ranks)


# ---- monotone counts and the correction -----------------------------------------------------------


def test_pooling():
    assert make_monotone([5, 3, 1]).pooled == 0
    counts, pooled = make_monotone([5, 1, 3, 0, 0, 1])
    assert counts == pytest.approx([5, 2, 2, 1 / 3, 1 / 3, 1 / 3])
    assert pooled == 5
    assert make_monotone([1, 2, 6]).counts == pytest.approx([3, 3, 3])  # the pooled pair violates again


def test_pooling_is_the_nearest_falling_sequence():
    """Against the minimax formula of isotonic regression."""
    generator = np.random.default_rng(3)
    for _ in range(50):
        counts = generator.integers(1, 9, size=generator.integers(1, 9))
        k = len(counts)
        expected = [
            min(max(counts[a : b + 1].mean() for b in range(i, k)) for a in range(i + 1)) for i in range(k)
        ]
        monotone = make_monotone(counts)
        assert monotone.counts == pytest.approx(expected)
        assert monotone.counts.sum() == pytest.approx(counts.sum())
        shannon_bounds(monotone.counts)  # no rise is left, not even by rounding


def test_pooling_moves_both_bounds_outward():
    counts = rank_counts(played().ranks[:100])
    i = np.arange(1, len(counts) + 1)
    raw_lower = (counts / counts.sum() * np.diff(i * np.log2(i), prepend=0)).sum()  # eq. 17, summed by parts
    lower, upper = shannon_bounds(make_monotone(counts).counts)
    assert lower < raw_lower
    assert upper > naive_upper(played().ranks[:100])


def test_miller_madow():
    assert miller_madow([4, 0, 1]) == pytest.approx(1 / (2 * 5 * np.log(2)))
    generator = np.random.default_rng(0)
    games = generator.multinomial(200, np.full(8, 1 / 8), size=2000)  # 3 bits
    plug_in = [shannon_bounds(sorted(game, reverse=True)).upper for game in games]
    lacking = 3 - np.mean(plug_in)
    assert lacking > 0.02
    assert np.mean([miller_madow(game) for game in games]) == pytest.approx(lacking, rel=0.1)


# ---- a player whose entropy is known --------------------------------------------------------------


def test_the_bounds_bracket_a_known_entropy():
    lower, upper = corrected_bounds(played().ranks)
    assert lower + 0.3 < played().entropy < upper - 0.3


def test_nats_bracket_nothing():
    """The test above can fail: natural logarithms put the upper bound below the truth."""
    _, upper = corrected_bounds(played().ranks)
    assert upper * np.log(2) < played().entropy


def test_twenty_guesses_push_the_naive_upper_bound_below_the_truth():
    games = played().ranks[: 200 * 20].reshape(200, 20)
    naive = np.mean([naive_upper(game) for game in games])
    corrected = np.mean([corrected_bounds(game).upper for game in games])
    assert naive < played().entropy - 0.1
    assert corrected > played().entropy + 0.1


def test_the_correction_is_nearly_unbiased_from_a_hundred_guesses_on():
    target = corrected_bounds(played().ranks).upper
    games = played().ranks.reshape(200, 100)
    assert np.mean([corrected_bounds(game).upper for game in games]) == pytest.approx(target, abs=0.05)
    assert np.mean([naive_upper(game) for game in games]) < target - 0.15


def test_bootstrap_interval():
    ranks = played().ranks[:300]
    interval = bootstrap_interval(ranks, np.random.default_rng(0))
    again = bootstrap_interval(ranks, np.random.default_rng(0))
    assert interval == again
    bounds = corrected_bounds(ranks)
    for (low, high), bound in zip(interval, bounds, strict=True):
        assert low < bound < high
    longer = bootstrap_interval(played().ranks[:3000], np.random.default_rng(0))
    assert np.diff(longer.upper) < np.diff(interval.upper) / 2
    one_sided = bootstrap_interval([1, 1, 1], np.random.default_rng(0))
    assert one_sided == ((0, 0), (0, 0))


def test_the_interval_holds_the_truth_about_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(entropy, "RESAMPLES", 100)
    target = corrected_bounds(played().ranks)
    hits = np.zeros(2)
    for game in played().ranks.reshape(200, 100)[:100]:
        interval = bootstrap_interval(game, np.random.default_rng(0))
        hits += [low <= bound <= high for (low, high), bound in zip(interval, target, strict=True)]
    assert (hits >= 87).all() and (hits < 100).all()


# ---- guessing -------------------------------------------------------------------------------------


def test_ranks_by_hand():
    distribution = [0.2, 0.5, 0.2, 0.1]
    assert guess_ranks([distribution] * 4, [0, 1, 2, 3]).tolist() == [
        2,
        1,
        3,
        4,
    ]  # a tie: the smaller id first
    with pytest.raises(ValueError, match="0 to 3 here; got 4"):
        guess_ranks([distribution], [4])
    with pytest.raises(ValueError, match="NaN"):
        guess_ranks([[0.5, float("nan")]], [0])


def test_self_play_of_a_fair_choice():
    model = NGramModel(1, "mle").fit(np.arange(8), 8)
    game = self_play(model, 400, np.random.default_rng(0))
    assert game.entropy == pytest.approx(3)
    assert set(game.ranks) == set(range(1, 9))
    assert corrected_bounds(game.ranks).upper == pytest.approx(3, abs=0.05)
    with pytest.raises(ValueError, match="at least 1; got 0"):
        self_play(model, 0, np.random.default_rng(0))


def test_letters_27():
    assert letters_27("SCENE I.\n\nO'er-leap, Émile!") == "scene i o er leap mile"
    assert set(letters_27(shakespeare().test)) <= set(entropy.ALPHABET_27)
