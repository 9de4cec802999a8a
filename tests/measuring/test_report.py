"""A measurement says its value and its usual range, and only the value is blanked."""

import math
import re
from html import unescape

import numpy as np
import pytest
import torch

from course_utils.classroom.outputs import BLANKED
from course_utils.measuring.report import VALUE_IN_HTML, VALUE_IN_TEXT, measured, measured_table


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, in order."""
    shown = []
    monkeypatch.setattr("course_utils.measuring.report.display", shown.append)
    return shown


@pytest.mark.parametrize(
    "arguments, line",
    [
        (
            ("validation loss", 1.2339, 1.2, 1.28, "nats"),
            "validation loss: 1.234 nats (usual range 1.20 to 1.28)",
        ),
        (
            ("validation loss", 1.2, 1.2, 1.28, "nats"),
            "validation loss: 1.200 nats (usual range 1.20 to 1.28)",
        ),
        (("loss", 1.281, 1.2, 1.28), "loss: 1.281 (OUTSIDE the usual range 1.20 to 1.28)"),
        (("loss", math.nan, 1.2, 1.28), "loss: nan (OUTSIDE the usual range 1.20 to 1.28)"),
        (("loss", math.inf, 0, 9), "loss: inf (OUTSIDE the usual range 0 to 9)"),
        (("n-grams", 1234567.0, 1e6, 2e6), "n-grams: 1,234,567.0 (usual range 1,000,000 to 2,000,000)"),
        (("n-grams", 1234567, 1e6, 2e6), "n-grams: 1,234,567 (usual range 1,000,000 to 2,000,000)"),
        (("loops", torch.tensor(7), 3, 8), "loops: 7 (usual range 3 to 8)"),
        (("sum minus 1", -2e-13, -1e-12, 1e-12), "sum minus 1: -2e-13 (usual range -1e-12 to 1e-12)"),
        (("one seed", np.float32(0.5), 0.5, 0.5), "one seed: 0.50 (usual range 0.5 to 0.5)"),
    ],
)
def test_line(arguments, line, capsys):
    measured(*arguments)
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.parametrize("low, high", [(2, 1), (math.nan, 1), (0, math.nan), (0, math.inf)])
def test_a_range_that_is_none_is_refused(low, high, shown):
    with pytest.raises(ValueError, match="'loss': got the range"):
        measured("loss", 1.0, low, high)
    with pytest.raises(ValueError, match="'greedy, loss': got the range"):
        measured_table({"drawn": {"loss": (1.0, 0, 1)}, "greedy": {"loss": (1.0, low, high)}})
    assert shown == []


@pytest.mark.parametrize("name, unit", [("a\nb", ""), ("a", "x: y"), ("a", "x (y"), ("a", "\n")])
def test_a_name_or_unit_that_hides_the_value_is_refused(name, unit):
    with pytest.raises(ValueError, match="neither may hold"):
        measured(name, 1.0, 0, 2, unit)


VALUES = [7, 1.25, -1.25, 1e-9, 1e9, 123456789.5, math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("low, high", [(0, 1), (-1e-9, 1e-9), (1e8, 1e9)])
def test_only_the_value_is_blanked_in_text(value, low, high, capsys):
    measured("order 5: seconds 3 (of 4), 2", value, low, high, "bits per byte")
    line = capsys.readouterr().out
    blanked = VALUE_IN_TEXT.sub("VALUE", line)
    start = "order 5: seconds 3 (of 4), 2: "
    assert blanked.startswith(f"{start}VALUE bits per byte (")
    assert blanked.removeprefix(f"{start}VALUE") == " bits per byte" + line.partition(" bits per byte")[2]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("low, high", [(0, 1), (-1e-9, 1e-9), (1e8, 1e9)])
def test_html_and_text_say_the_same_and_only_the_value_is_blanked(value, low, high, shown):
    measured("<b> 3", value, low, high, "bits")
    measured_table({"<b> 3": (value, low, high)}, "bits")
    for one in shown:
        html = one._repr_html_()
        text = unescape(re.sub("<[^>]*>", " ", html))
        for word in re.sub(r"[:()]|usual range", " ", repr(one)).split():
            assert word in re.sub(r"[:()]", " ", text).split()
        assert ("OUTSIDE" in html) == ("OUTSIDE" in repr(one)) == (not low <= value <= high)
        parts = re.split('(?<=<strong class="measured">).*?(?=</strong>)', html)
        assert VALUE_IN_HTML.sub("VALUE", html) == "VALUE".join(parts) and len(parts) == 2


def test_a_table_has_a_line_of_text_for_each_measurement_and_may_have_gaps(shown):
    measured_table({"greedy": {"bits": (1, 0, 2)}, "drawn": {"bits": (3, 0, 2), "loops": (0.5, 0, 1)}})
    assert repr(shown[0]).splitlines() == [
        "greedy, bits: 1 (usual range 0 to 2)",
        "drawn, bits: 3 (OUTSIDE the usual range 0 to 2)",
        "drawn, loops: 0.5 (usual range 0 to 1)",
    ]
    rows = [re.findall(r"<t[hd].*?</t[hd]>", row) for row in shown[0]._repr_html_().split("<tr>")[1:]]
    assert [len(row) for row in rows] == [3, 3, 3] and rows[1][2] == "<td style='text-align:left'></td>"


def test_other_lines_are_left_alone():
    text = "perplexity: 12.5 (range 12 to 13)\nvocabulary: 256\n<strong>12.5</strong>"
    for blanked in BLANKED:
        assert blanked.sub("VALUE", text) == text
