"""The law on runs whose law is known, and what it says of runs that can't be fitted."""

import os

import numpy as np
import pytest

from course_utils.scaling import (
    HOFFMANN,
    Law,
    bootstrap,
    fit_law,
    huber,
    interval,
    isoflop_minima,
    power,
    prediction_interval,
    rivals,
)

TRUE = Law(A=60.0, B=120.0, E=0.9, alpha=0.35, beta=0.4)
BUDGETS = np.repeat(np.logspace(10, 13, 7), 5)
N = np.concatenate([TRUE.optimum(c)[0] * 2.0 ** np.arange(-2, 3) for c in BUDGETS[::5]])
D = BUDGETS / 6 / N


def noisy(seed, noise=0.005, n=N, d=D):
    return TRUE.loss(n, d) * np.exp(noise * np.random.default_rng(seed).standard_normal(len(n)))


def test_a_law_without_noise_is_found_again():
    found = fit_law(N, D, TRUE.loss(N, D), starts=3)
    np.testing.assert_allclose(found.point, TRUE.point, rtol=1e-4)


def test_the_optimum_is_the_least_loss_of_the_budget():
    budget = 3e12
    n, d = TRUE.optimum(budget)
    assert 6 * n * d == pytest.approx(budget)
    others = n * np.linspace(0.5, 2, 301)
    assert TRUE.loss(n, d) <= TRUE.loss(others, budget / 6 / others).min()
    assert TRUE.optimum(10 * budget)[0] / n == pytest.approx(10**TRUE.exponent)


def test_approach_2_finds_the_same_sizes():
    budgets, n, d, loss = isoflop_minima(N, D, TRUE.loss(N, D))
    np.testing.assert_allclose(budgets, np.logspace(10, 13, 7))
    np.testing.assert_allclose(n, [TRUE.optimum(c)[0] for c in budgets], rtol=0.02)
    np.testing.assert_allclose(loss, TRUE.loss(n, d), rtol=2e-3)
    assert power(budgets, n)[0] == pytest.approx(TRUE.exponent, abs=1e-3)


def test_one_wild_run_hardly_moves_the_fit():
    loss = noisy(0, noise=1e-3)
    wild = loss.copy()
    wild[3] *= 1.5
    # a miss of 50 % counts 500 times a miss of 0.1 % here, and 250,000 times if squared
    exponents = [fit_law(N, D, losses, starts=3).exponent for losses in (wild, loss)]
    assert exponents[0] == pytest.approx(exponents[1], abs=0.02)


def test_a_rival_reads_whole_numbers_of_any_size():
    loss = HOFFMANN.loss(N, D)
    large = 70_000_000_000, 1_400_000_000_000  # 6ND is more than 64 bits hold
    assert rivals(N, D, loss, *large) == rivals(N, D, loss, *map(float, large))


def test_a_prediction_beats_its_rivals_ten_budgets_further():
    loss = noisy(1)
    new = TRUE.optimum(1e14)
    law = fit_law(N, D, loss, starts=3)
    low, high = prediction_interval(law, bootstrap(law, N, D, loss, resamples=40), N, D, loss, *new)
    came = TRUE.loss(*new)
    assert low < came < high and high / low < 1.06
    errors = [abs(guess / came - 1) for guess in rivals(N, D, loss, *new).values()]
    assert abs(law.loss(*new) / came - 1) < 0.3 * min(errors)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda n, d, loss: (n[:4], d[:4], loss[:4]), r"needs 5 runs or more.*got 4"),
        (lambda n, d, loss: [np.tile(one[:4], 3) for one in (n, d, loss)], r"that differ in n or d.*got 4"),
        (lambda n, d, loss: (n, d[:-1], loss), "got 35, 34 and 35"),
        (lambda n, d, loss: (n, d, np.r_[loss[:2], np.nan, loss[3:]]), r"the runs \[2\] have no finite loss"),
        (lambda n, d, loss: (n, d, np.r_[-1.0, loss[1:]]), r"loss must be above 0; runs \[0\] have \[-1.0\]"),
        (lambda n, d, loss: (n, np.r_[0.0, d[1:]], loss), r"d must be above 0; runs \[0\]"),
        (lambda n, d, loss: (n * 0 + 7e3, d, loss), "all runs have one of the sizes, 7000"),
        (lambda n, d, loss: (n, d * 0 + 7e3, loss), "all runs have one of the numbers of tokens"),
        (lambda n, d, loss: (n, 1e12 / n, loss), "one budget, 6ND = 6e.12"),
        (lambda n, d, loss: (n, 1e12 / n // 512 * 512, loss), "one budget, 6ND = 6e.12"),  # whole steps
    ],
)
def test_what_can_not_be_fitted_is_named(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_law(*change(N, D, TRUE.loss(N, D)))


def test_a_budget_needs_three_sizes_and_a_lowest_point():
    with pytest.raises(ValueError, match=r"1e\+10 has 2 sizes"):
        isoflop_minima(N[3:], D[3:], TRUE.loss(N, D)[3:])
    with pytest.raises(ValueError, match="no lowest point"):
        isoflop_minima(N, D, 10 - TRUE.loss(N, D))


def test_the_huber_loss_is_square_near_zero_and_straight_far_from_it():
    one = np.array([1e9])
    for miss, worth in {5e-4: 5e-4**2 / 2, 0.1: 1e-3 * (0.1 - 5e-4)}.items():
        assert huber(HOFFMANN, one, one, HOFFMANN.loss(one, one) * np.exp(-miss)) == pytest.approx(worth)


def test_seeds_of_one_size_are_drawn_together():
    """Three copies of each run say no more than one of each."""
    loss = noisy(2)
    law = fit_law(N, D, loss, starts=3)
    once, thrice = (
        [fit.exponent for fit in bootstrap(law, *(np.tile(one, k) for one in (N, D, loss)), resamples=10)]
        for k in (1, 3)
    )
    assert np.ptp(once) > 0.01 and thrice == pytest.approx(once, abs=1e-3)


def coverage(seeds, trials=200, resamples=200):
    """How often the 90 % intervals, whole and half as wide (rows), hold the truth: of the exponent, and of a
    new run at ten times the largest budget. Each size misses the law by 0.5 %; its seeds, if more than one,
    by as much again, each for itself."""
    new, hits = TRUE.optimum(1e14), np.zeros((2, 2))
    n, d = np.tile(N, seeds), np.tile(D, seeds)
    for seed in range(trials):
        loss = np.tile(noisy(seed), seeds)
        came = noisy(10_000 + seed, n=np.array(new[:1]), d=np.array(new[1:]))[0]
        if seeds > 1:
            generator = np.random.default_rng(20_000 + seed)
            loss = loss * np.exp(0.005 * generator.standard_normal(len(loss)))
            came *= np.exp(0.005 * generator.standard_normal())
        law = fit_law(n, d, loss, starts=3)
        fits = bootstrap(law, n, d, loss, resamples, seed)
        intervals = [
            (interval([fit.exponent for fit in fits]), law.exponent, TRUE.exponent),
            (prediction_interval(law, fits, n, d, loss, *new), law.loss(*new), came),
        ]
        for i, (ends, middle, truth) in enumerate(intervals):
            for j, share in enumerate((1, 0.5)):
                low, high = (middle + share * (end - middle) for end in ends)
                hits[j, i] += low <= truth <= high
    return hits / trials


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.skipif(not os.environ.get("COURSE_FULL"), reason="minutes; COURSE_FULL=1 runs it")
def test_the_interval_of_90_percent_holds_the_truth_about_nine_times_in_ten(capsys, seeds):
    right, half = coverage(seeds)
    with capsys.disabled():
        print(f"\ncoverage of 90 %, seeds {seeds}: exponent, new run {right}; half as wide {half}")
    # four standard errors of 200 trials at 0.9 are 0.085
    assert np.all((right > 0.815) & (right < 0.985))
    assert np.all(half < 0.815)
