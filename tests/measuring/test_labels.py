"""No name on a chart covers another, or a mark, or leaves the axes."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from course_utils.measuring import labels, scoreboard
from course_utils.measuring.labels import label

POINTS, LINES = scoreboard.recorded()
N_GRAMS = [point for point in POINTS if "n-gram" in point.family]
YOU = {"you": (0.9, 1.8)}
# what is shown: (points, compressors, against, intervals)
CHARTS = {
    "chapter 0": ([point for point in N_GRAMS if not point.is_adaptive], LINES, "context_bytes", {}),
    "chapter 1": (N_GRAMS, LINES, "parameters", {}),
    "chapter 1, played": (N_GRAMS, LINES, "parameters", YOU),
    "chapter 2": ([point for point in POINTS if point.family != "transformer"], {}, "train_seconds", {}),
    "chapter 8": (POINTS, {}, "parameters", {}),
    **{f"all, {against}": (POINTS, LINES, against, YOU) for against in scoreboard.AGAINST},
}


def faults(axes, places):
    """What is wrong with the names on a chart with marks at these places."""
    axes.figure.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in axes.texts}
    marks = axes.transData.transform(places)
    found = [f"{one} covers {two}" for one, two in combinations(boxes, 2) if boxes[one].overlaps(boxes[two])]
    for name, box in boxes.items():
        if any(box.contains(*mark) for mark in marks):
            found.append(f"{name} covers a mark")
        if not all(axes.bbox.contains(*corner) for corner in box.corners()):
            found.append(f"{name} leaves the axes")
    return found


def linked_marks(axes):
    """Where the lines begin that lead from a mark to a name away from it."""
    lines = [line for line in axes.lines if line.get_transform() is axes.transAxes]
    return [axes.transAxes.transform(line.get_xydata()[0]) for line in lines]


def naive(places):
    """All names above and to the right of their points."""
    return [boxes[0] for boxes, _, _ in places]


def draw(chart):
    points, lines, against, intervals = CHARTS[chart]
    shown = [point for point in points if getattr(point, against) is not None]
    axes = scoreboard.chart(points, lines, against, intervals).figure.axes[0]
    assert {text.get_text() for text in axes.texts} == {p.name for p in shown} | {*lines, *intervals}
    return axes, [(getattr(point, against), point.bits_per_byte) for point in shown]


@pytest.mark.parametrize("chart", CHARTS)
def test_the_scoreboard(chart):
    assert faults(*draw(chart)) == []


@pytest.mark.parametrize("chart", [name for name in CHARTS if name.startswith("chapter")])
def test_a_name_is_nearest_to_its_own_mark_or_has_a_line_to_it(chart):
    axes, places = draw(chart)
    axes.figure.draw_without_rendering()
    marks = axes.transData.transform(places)
    linked = linked_marks(axes)
    for text, own in zip(axes.texts, marks, strict=False):
        box = text.get_window_extent()
        distances = np.hypot(*(np.clip(marks, box.p0, box.p1) - marks).T)
        at = np.hypot(*(marks - own).T).argmin()
        is_linked = any(np.allclose(own, start) for start in linked)
        assert is_linked or distances[at] <= distances.min() + labels.MARGIN.max(), text.get_text()


@pytest.mark.parametrize("chart", ["chapter 0", "chapter 1", "chapter 8"])
def test_naive_places_are_found_out(chart, monkeypatch):
    monkeypatch.setattr(labels, "_arrange", naive)
    assert faults(*draw(chart))


def scatter(places, bands=()):
    axes = Figure(figsize=(7, 4), layout="constrained").add_subplot(xlim=(-0.1, 1.1), ylim=(-0.1, 1.1))
    axes.plot(*zip(*places, strict=True), "o")
    label(axes, [(f"model {i}, live", x, y) for i, (x, y) in enumerate(places)], bands)
    return axes


UNIT = st.integers(0, 200).map(lambda n: n / 200)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(UNIT, UNIT), min_size=1, max_size=18, unique=True), st.lists(UNIT, max_size=3))
@example([(0.5, n / 200) for n in range(0, 45, 3)], [0.1])  # in one column
@example([(1.0, 0.0), (0.0, 0.0), (1.0, 1.0), (0.0, 1.0)], [])  # in the corners
def test_points_anywhere(places, heights):
    assert faults(scatter(places, [(f"line {i}", y, y) for i, y in enumerate(heights)]), places) == []


def test_random_points_of_naive_places_are_found_out(monkeypatch):
    monkeypatch.setattr(labels, "_arrange", naive)
    places = np.random.default_rng(0).uniform(size=(18, 2)).tolist()
    assert faults(scatter(places), places)


def test_places_stay_the_same():
    places = np.random.default_rng(0).uniform(size=(18, 2)).tolist()
    one, other = ([text.get_position() for text in scatter(places).texts] for _ in range(2))
    assert one == other


def test_a_name_that_is_free_stays_at_its_point_and_has_no_line():
    axes = scatter([(0.2, 0.2), (0.8, 0.8)])
    assert linked_marks(axes) == []
    at = axes.transData.transform((0.2, 0.2))
    assert np.hypot(*(axes.texts[0].get_window_extent().p0 - at)) < 12


def test_a_name_far_from_its_point_gets_a_line_to_it():
    places = [(0.5, 0.5 + n / 100) for n in range(10)]
    axes = scatter(places)
    starts = linked_marks(axes)
    marks = axes.transData.transform(places)
    assert starts and all(np.abs(marks - start).max(axis=1).min() < 1 for start in starts)


def test_a_name_wider_than_the_axes_is_written_all_the_same():
    axes = Figure(figsize=(2, 2)).add_subplot()
    label(axes, [("a name " * 20, 0.5, 0.5)])
    assert len(axes.texts) == 1
