"""The exercises of chapter 11 beside the package: what a learner writes is what the course computes with."""

import numpy as np
import pytest

from course_utils.gpt import GPT, GPTConfig
from course_utils.learner.exercises import fitting
from course_utils.learner.exercises import scaling as asked
from course_utils.scaling import Law, huber

LAW = Law(A=477.8, B=2143.4, E=1.8172, alpha=0.3473, beta=0.3672)
NUMBERS = [LAW.E, LAW.A, LAW.B, LAW.alpha, LAW.beta]


@pytest.mark.parametrize("layers, width, d_ff", [(1, 8, 16), (3, 24, 64)])
def test_parameters_are_those_of_our_gpt(layers, width, d_ff):
    gpt = GPT(GPTConfig(256, 32, layers, 2, width, d_ff=d_ff))
    total, rest = asked.count_parameters(256, layers, width, d_ff)
    assert total == sum(parameter.numel() for parameter in gpt.parameters())
    assert total - rest == gpt.embedding.weight.numel()


def test_the_objective_is_the_one_that_the_fit_makes_small():
    generator = np.random.default_rng(0)
    n, d = 10 ** generator.uniform(7, 10, 30), 10 ** generator.uniform(9, 11, 30)
    loss = LAW.loss(n, d) * np.exp(generator.normal(size=30) * 0.003)
    assert fitting.objective(NUMBERS, n, d, loss, 1e-3) == pytest.approx(huber(LAW, n, d, loss), rel=1e-12)


def test_the_best_size_is_the_laws_optimum():
    assert asked.best_size(NUMBERS, 5.88e23) == pytest.approx(LAW.optimum(5.88e23), rel=1e-12)
    assert asked.twenty_tokens(NUMBERS, 5.88e23) != pytest.approx(LAW.optimum(5.88e23), rel=0.05)
    n, d = LAW.optimum(1e22)
    near = [LAW.loss(n * factor, d / factor) for factor in (0.9, 1, 1.1)]
    assert min(near) == near[1]


def test_half_of_the_size_reaches_the_loss_at_its_price():
    n, d = LAW.optimum(1e22)
    price = asked.price_of_half(NUMBERS, 1e22)
    assert price > 1 and LAW.loss(n / 2, price * 1e22 / 6 / (n / 2)) == pytest.approx(LAW.loss(n, d))
