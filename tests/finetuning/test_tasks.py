"""Tasks and their verifiers, the sides that share no problem, and pass@k."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest

from course_utils.finetuning import tasks
from course_utils.finetuning.tasks import TASKS, Task, VerifierError, mean_pass_at_k, pass_at_k, wilson

EACH = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@EACH
def test_solutions_are_right_and_other_texts_are_not(task):
    for prompt, solution in task.problems("train", 200):
        assert task.right(prompt, solution)
        for wrong in (
            "",
            solution + "0",
            solution[:-1],
            f" {solution}",
            f"{solution}\n",
            "a" * 50,
            "é\ufffd",
            "+",
            "²+3",
        ):
            assert not task.right(prompt, wrong)


@EACH
def test_the_sides_share_no_problem(task):
    drawn = {side: {p.prompt for p in task.problems(side, 300)} for side in tasks.SIDES}
    assert all(len(prompts) == 300 for prompts in drawn.values())
    assert not drawn["train"] & (drawn["test"] | drawn["validation"]) | drawn["test"] & drawn["validation"]
    assert {tasks.side_of(prompt) for prompt in drawn["test"]} == {"test"}
    assert task.problems("test", 9) == task.problems("test", 9) != task.problems("test", 9, seed=1)


@EACH
def test_a_guesser_is_nearly_always_wrong(task):
    assert task.answers >= 10_000
    draws, problems = np.random.default_rng(0), task.problems("test", 100)
    right = sum(task.right(p.prompt, task.guess(draws, p.prompt)) for p in problems for _ in range(10))
    assert right <= 3


def test_a_guess_has_the_right_form_and_can_be_right():
    draws = np.random.default_rng(0)
    small = tasks.counting(3, "ab")
    assert small.answers == 4 == len({small.guess(draws, "count aab:") for _ in range(100)})
    found = Counter(small.guess(draws, "count aab:") for _ in range(4000))
    assert all(abs(n - 1000) < 5 * math.sqrt(750) for n in found.values())
    assert tasks.counting(20).answers == math.comb(24, 4)
    three = tasks.sorting(3)
    assert three.answers == 6 and any(
        three.right("sort cab:", three.guess(draws, "sort cab:")) for _ in range(50)
    )


@pytest.mark.parametrize(
    "answer, right",
    [
        ("1411+4421", True),
        ("4421+1411", True),
        ("1000+4832", True),
        ("0831+5001", False),
        ("583+5249", False),  # below a tenth
        ("584+5248", True),
        ("2715+3117", False),  # uses 7
        ("1411+4422", False),
        ("1411+4421+0", False),
        ("1411 + 4421", False),
        ("-1000+6832", False),
        ("١٤١١+4421", False),
        ("1" * 5000 + "+1", False),  # more digits than Python reads
    ],
)
def test_addends_has_many_right_answers(answer, right):
    assert TASKS["addends"].right("5832 no 7=", answer) is right


@pytest.mark.parametrize(
    "answer, right",
    [
        ("68 09 92", True),
        ("95 90 56", True),
        ("95 90 57", False),
        ("09 95 92", False),  # the totals of the first two exchanged
        ("68 09", False),
        ("68 09 92 00", False),
        ("068 09 92", False),
        ("68  09 92", False),
        ("68 09 ٩2", False),
    ],
)
def test_digit_sums_has_many_right_answers(answer, right):
    assert TASKS["digit sums"].right("14 09 11=", answer) is right


def test_digit_sums_has_problems_of_each_length():
    task = tasks.digit_sums((2, 4), 3)
    asked = task.problems("train", 200)
    assert {len(p.prompt.split()) for p in asked} == {2, 3, 4} == {len(p.solution.split()) for p in asked}
    assert {len(group) for p in asked for group in p.solution.split()} == {3}
    draws = np.random.default_rng(0)
    assert all(len(task.guess(draws, p.prompt)) == len(p.solution) for p in asked)


def test_a_verifier_that_raises_is_named():
    task = Task("odd", lambda draws: None, lambda prompt, answer: int(answer) % 2, lambda *_: "", 2)
    assert task.right("?", "3")
    with pytest.raises(VerifierError, match=r"'odd' raised ValueError.* on the answer 'x' to '\?'.*any text"):
        task.right("?", "x")


def test_too_many_problems_and_another_side_are_refused():
    with pytest.raises(ValueError, match=r"hardly more than .* problems for test.* 500"):
        tasks.addition(1).problems("test", 500)
    with pytest.raises(ValueError, match="one of test, validation, train; got 'dev'"):
        TASKS["addition"].problems("dev", 1)


def expectation(estimate, p, n, k):
    """The mean of an estimate over all that may be right of n samples, each with the chance p."""
    chances = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    return sum(chance * estimate(np.array([c]), n, k)[0] for c, chance in enumerate(chances))


@pytest.mark.parametrize("k", [1, 4, 10])
def test_pass_at_k_has_no_bias(k):
    for p in (0.03, 0.4):
        truth = 1 - (1 - p) ** k
        assert expectation(pass_at_k, p, 10, k) == pytest.approx(truth, abs=1e-12)
        if k > 1:
            plugged_in = expectation(lambda right, n, k: 1 - (1 - right / n) ** k, p, 10, k)
            assert plugged_in < truth - 0.01


def test_pass_at_k_at_its_ends():
    right = np.array([0, 1, 64])
    assert pass_at_k(right, 64, 64).tolist() == [0, 1, 1]
    np.testing.assert_allclose(pass_at_k(right, 64, 1), right / 64)
    for k, n, given in ((65, 64, right), (0, 64, right), (1, 8, right), (1, 8, -right), (1, 8, right[:0])):
        with pytest.raises(ValueError, match=r"k must be from 1|expected how many"):
            pass_at_k(given, n, k)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    draws, held = np.random.default_rng(0), 0
    for _ in range(100):
        right = draws.binomial(16, draws.beta(0.5, 0.5, size=100))
        share = mean_pass_at_k(right, 16, 1, samples=300)
        held += share.low <= 0.5 <= share.high
    assert 88 <= held <= 100


def test_intervals_are_wilsons():
    for k, n in ((0, 50), (3, 50), (200, 200), (41, 1000)):
        expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
        assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-4)
    assert wilson(0, 0) == (0, 1)  # nothing was seen
