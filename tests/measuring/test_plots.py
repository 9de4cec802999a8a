"""A chart carries its sentence wherever it goes."""

import pytest

from course_utils.measuring.plots import line_chart


def test_a_chart_says_what_it_shows_and_shows_a_picture():
    chart = line_chart({"a <b>": {1: 3.0, 2: 1.5}, "c": {1: 2.0}}, "order", "bits")
    sentence = "bits against order; the lowest of each curve: a <b> 1.500 at 2; c 2.000 at 1."
    assert repr(chart) == sentence
    html = chart._repr_html_()
    assert 'alt="bits against order; the lowest of each curve: a &lt;b&gt; 1.500' in html
    assert "data:image/png;base64," in html


def test_the_curves_lie_in_view():
    axes = line_chart({"a": {1: 30.0, 2: 15.0}}, "x", "y").figure.axes[0]
    low, high = axes.get_ylim()
    assert low < 15 and high > 30
    assert line_chart({"a": {1: 30.0}}, "x", "y", ylim=(0, 5)).figure.axes[0].get_ylim() == (0, 5)
    assert line_chart({"a": {1: 30.0}}, "x", "y", log_x=True).figure.axes[0].get_xscale() == "log"


def test_more_curves_than_can_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="at most 5 curves"):
        line_chart({str(i): {0: 0} for i in range(6)}, "x", "y")
