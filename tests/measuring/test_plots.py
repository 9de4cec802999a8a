"""A chart carries its sentence wherever it goes."""

import math
from io import BytesIO
from itertools import combinations

import pytest
from matplotlib.image import imread

from course_utils.classroom.outputs import LOWEST_OF_CURVES
from course_utils.measuring.plots import along_tokens, dot_chart, line_chart, narrowing_chart, png


def test_a_chart_says_what_it_shows_and_shows_a_picture():
    chart = line_chart({"a <b>": {1: 3.0, 2: 1.5}, "c": {1: 2.0}}, "order", "bits")
    sentence = "bits against order; the lowest of each curve: a <b> 1.500 at 2; c 2.000 at 1."
    assert repr(chart) == sentence
    html = chart._repr_html_()
    assert 'alt="bits against order; the lowest of each curve: a &lt;b&gt; 1.500' in html
    assert "data:image/png;base64," in html


def test_what_was_measured_just_now_is_not_compared_with_another_machines_numbers():
    said = [repr(line_chart({"a": {1: y}}, "order", "bits", measured=True)) for y in (3.0, 2.9)]
    assert said[0] == "bits against order; the lowest of each curve, measured here: a 3.000 at 1."
    assert len({LOWEST_OF_CURVES.sub("", each) for each in said}) == 1


def test_the_curves_lie_in_view():
    axes = line_chart({"a": {1: 30.0, 2: 15.0}}, "x", "y").figure.axes[0]
    low, high = axes.get_ylim()
    assert low < 15 and high > 30
    assert line_chart({"a": {1: 30.0}}, "x", "y", ylim=(0, 5)).figure.axes[0].get_ylim() == (0, 5)
    assert line_chart({"a": {1: 30.0}}, "x", "y", log_x=True).figure.axes[0].get_xscale() == "log"
    assert line_chart({"a": {1: 30.0}}, "x", "y", log_y=True).figure.axes[0].get_yscale() == "log"


def test_more_curves_than_can_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="at most 5 curves"):
        line_chart({str(i): {0: 0} for i in range(6)}, "x", "y")


@pytest.mark.parametrize("x", [[2, 4, 8, 16, 128], [0.6, 20, 900], [75_000, 800_000, 30_310_400]])
def test_the_legend_covers_no_curve_and_the_numbers_on_a_log_axis_can_be_read(x):
    chart = line_chart(
        {str(i): dict(zip(x, range(3, 0, -1), strict=False)) for i in range(5)}, "x", "y", log_x=True
    )
    chart.figure.draw_without_rendering()
    (axes,), (legend,) = chart.figure.axes, chart.figure.legends
    assert not legend.get_window_extent().overlaps(axes.bbox)
    labels = [label for label in axes.get_xticklabels(which="both") if label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    assert len(labels) >= 3 and not any(box.overlaps(other) for box, other in combinations(boxes, 2))
    assert not any("^" in label.get_text() for label in labels)


def test_a_legend_of_long_names_stays_in_the_picture():
    names = ["add_k", "absolute", "interpolated", "kneser_ney", "modified_kneser_ney"]
    for some in (names, names[:4]):
        figure = line_chart({name: {1: 2.0, 2: 1.0} for name in some}, "order n", "bits").figure
        figure.draw_without_rendering()
        box = figure.legends[0].get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_a_picture_is_opaque_or_its_ink_would_be_dark_on_dark_in_the_dark_theme():
    pixels = imread(BytesIO(png(line_chart({"a": {1: 30.0}}, "x", "y").figure)))
    assert pixels.shape[2] == 3 or (pixels[..., 3] == 1).all()
    assert (pixels[0, 0, :3] == 1).all()


def test_a_picture_has_the_pixels_that_matplotlib_saves_in_fewer_bytes():
    pictured, saved = ({"a": {1: 3.0, 2: 1.5}, "b": {1: 2.0}} for _ in range(2))
    line_chart(saved, "order", "bits").figure.savefig(file := BytesIO(), format="png")
    made = png(line_chart(pictured, "order", "bits").figure)
    assert (imread(BytesIO(made)) == imread(BytesIO(file.getvalue()))[..., :3]).all()
    assert len(made) < len(file.getvalue())


def test_a_narrowed_line_says_where_its_last_piece_lies():
    chart = narrowing_chart({"a": 1 / 2, "b": 1 / 4, "c": 1 / 4}, "bac")
    assert repr(chart) == (
        "'bac' has the piece from 19/32 to 5/8 of the line from 0 to 1: its width is 1/32, 5 bits."
    )
    axes = chart.figure.axes[0]
    written = [text.get_text() for text in axes.texts]
    assert written.count("a") == written.count("b") == 4, "each of the four lines is cut among all letters"
    assert written[3:7] == ["0", "1/2", "3/4", "1"] and written[-4:] == ["19/32", "39/64", "79/128", "5/8"]
    chosen = [bar for bar in axes.patches if bar.get_facecolor()[:3] != (1, 1, 1)]
    assert [(bar.get_x(), bar.get_width()) for bar in chosen] == [(0.5, 0.25), (0, 0.5), (0.75, 0.25)]


@pytest.mark.parametrize("text", ["x", "ax", "ab"])
def test_a_letter_without_a_piece_is_named(text):
    with pytest.raises(ValueError, match=f"each letter of '{text}' has a piece.*; '{text[-1]}' has none"):
        narrowing_chart({"a": 1.0, "b": 0}, text)


def test_dots_are_the_runs_and_one_that_diverged_has_none():
    chart = dot_chart({"whole": [2.25, 2.75], "none": [3.0, math.inf]}, "nats")
    (axes,) = chart.figure.axes
    dots = [tuple(map(float, place)) for mark in axes.collections for place in mark.get_offsets()]
    assert dots == [(2.25, 0), (2.75, 0), (3.0, 1)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["whole", "none"]
    assert repr(chart) == "nats, the mean of each: whole 2.50; none inf."


def test_a_text_has_a_bar_and_a_dot_for_each_token():
    chart = along_tokens(["a", "$x", "\n"], "bits", [1.0, 2.0, 3.0], "entropy", [0.5, 2.5, 1.0], "surprise")
    assert repr(chart) == "bits along 3 tokens; surprise lies below entropy at 67% of them."
    axes = chart.figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == [1.0, 2.0, 3.0]
    assert axes.lines[0].get_ydata().tolist() == [0.5, 2.5, 1.0]
    chart.figure.draw_without_rendering()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", r"\$x", r"\n"]
