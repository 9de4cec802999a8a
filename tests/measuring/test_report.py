"""A measured line says the value, the band and the verdict, and only the value is blanked."""

import math

import numpy as np
import pytest

from course_utils.measuring.report import MEASURED_VALUE, measured


@pytest.mark.parametrize(
    "arguments, line",
    [
        (
            ("validation loss", 1.2339, 1.2, 1.28, "nats"),
            "validation loss: 1.234 nats · expected 1.20 to 1.28 · holds",
        ),
        (
            ("validation loss", 1.2, 1.2, 1.28, "nats"),
            "validation loss: 1.200 nats · expected 1.20 to 1.28 · holds",
        ),
        (("loss", 1.281, 1.2, 1.28), "loss: 1.281 · expected 1.20 to 1.28 · OUTSIDE"),
        (("loss", math.nan, 1.2, 1.28), "loss: nan · expected 1.20 to 1.28 · OUTSIDE"),
        (("loss", math.inf, 0, 9), "loss: inf · expected 0 to 9 · OUTSIDE"),
        (
            ("stored n-grams", 1234567, 1e6, 2e6),
            "stored n-grams: 1,234,567.0 · expected 1,000,000 to 2,000,000 · holds",
        ),
        (("sum minus 1", -2e-13, -1e-12, 1e-12), "sum minus 1: -2e-13 · expected -1e-12 to 1e-12 · holds"),
        (("one seed", np.float32(0.5), 0.5, 0.5), "one seed: 0.50 · expected 0.5 to 0.5 · holds"),
    ],
)
def test_line(arguments, line, capsys):
    measured(*arguments)
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.parametrize("low, high", [(2, 1), (math.nan, 1), (0, math.nan), (0, math.inf)])
def test_a_band_that_is_no_band_is_refused(low, high):
    with pytest.raises(ValueError, match="'loss': the band is"):
        measured("loss", 1.0, low, high)


@pytest.mark.parametrize("name, unit", [("a · b", ""), ("a\nb", ""), ("a", "x: y"), ("a", "·")])
def test_a_name_or_unit_that_hides_the_value_is_refused(name, unit):
    with pytest.raises(ValueError, match="neither may hold"):
        measured(name, 1.0, 0, 2, unit)


@pytest.mark.parametrize("value", [1.25, -1.25, 1e-9, 1e9, 123456789.5, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("low, high", [(0, 1), (-1e-9, 1e-9), (1e8, 1e9)])
def test_only_the_value_is_blanked(value, low, high, capsys):
    measured("order 5: seconds 3 of 4", value, low, high, "bits per byte")
    line = capsys.readouterr().out
    blanked = MEASURED_VALUE.sub("VALUE", line)
    start, end = "order 5: seconds 3 of 4: VALUE bits per byte · expected ", f" · {line.rsplit(' · ')[-1]}"
    assert blanked.startswith(start) and blanked.endswith(end)
    assert blanked.removeprefix(start) == line.split("expected ")[1]


def test_other_lines_are_left_alone():
    line = "perplexity: 12.5 · expected 12 to 13\nvocabulary: 256"
    assert MEASURED_VALUE.sub("VALUE", line) == line
