"""Names beside the points and lines of a chart, where none covers another.

Each name has places round its point, each with a cost; a name takes the cheapest place while the others stay,
in turn, until none moves (the local search that Christensen, Marks and Shieber compare in "An Empirical
Study of Algorithms for Point-Feature Label Placement", 1995). Nothing is random: the places stay the same.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

# in pixels
Pair = Float[np.ndarray, "2"]
Boxes = Float[np.ndarray, "boxes 4"]  # left, bottom, right, top
Costs = Float[np.ndarray, " boxes"]
Ways = Float[np.ndarray, "boxes points 2"]  # points on the way from a mark to its name

SIDES = np.array([(1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1)])  # the best first
CLOSE, STEP = 5, 9  # pixels from a mark to the first ring of places round it, and from ring to ring
MARGIN = np.array([2, 0])  # pixels that are kept free beside a name
# What a place costs, in pixels of distance: to cover a mark or a name, to lie on a line, and to be taken for
# another's name, because its mark is nearer, or because its mark
# or its name lies close by or on the way to the own mark.
COVERING, CROSSING, MISLEADING = 1e6, 50, 30
ROUNDS = 20


def label(
    axes: Axes,
    points: Sequence[tuple[str, float, float]],
    bands: Sequence[tuple[str, float, float]] = (),
    fontsize: float = 8,
) -> None:
    """Write a name beside each point (name, x, y) and at each horizontal band (name, low, high) or line.

    Call it when all else is drawn. Where there is room, no name covers a mark or another name or leaves the
    axes; as few as possible lie on a line. A name that had to go away from its point gets a thin line to it.
    """
    axes.figure.draw_without_rendering()  # from here on it is known where everything lies
    halo = [withStroke(linewidth=2.5, foreground="white")]
    look = {"fontsize": fontsize, "path_effects": halo, "va": "bottom", "in_layout": False}
    texts = [axes.text(0, 0, name, transform=axes.transAxes, **look) for name, *_ in [*points, *bands]]
    sizes = [text.get_window_extent().size + 2 * MARGIN for text in texts]
    room, to_pixels, from_pixels = axes.bbox.extents, axes.transData.transform, axes.transAxes.inverted()
    centres = np.reshape([to_pixels(place) for _, *place in points], (-1, 2))
    marks = np.hstack([centres - CLOSE, centres + CLOSE])
    ends = axes.get_xlim()
    edges = np.reshape([to_pixels(list(zip(ends, band[1:], strict=True))) for band in bands], (-1, 4))

    places = [_beside(centre, size, room) for centre, size in zip(centres, sizes, strict=False)]
    places += [_along(edge, size) for edge, size in zip(edges, sizes[len(points) :], strict=True)]
    places = [_inside(room, *place) for place in places]
    for i, (boxes, costs, ways) in enumerate(places):
        others = np.delete(marks, [i] * (i < len(marks)), axis=0)
        costs += COVERING * _overlaps(boxes, marks) + CROSSING * _overlaps(boxes, edges)
        costs += MISLEADING * (_overlaps(boxes, others, CLOSE) + _passes(ways, others))
        if i < len(centres):
            costs += MISLEADING * (_nearest(boxes, centres) != i)

    chosen = _arrange(places)
    for text, box in zip(texts, chosen, strict=True):
        text.set_position(from_pixels.transform(box[:2] + MARGIN))
    for centre, box in zip(centres, chosen, strict=False):
        end = np.clip(centre, box[:2], box[2:])
        if np.abs(end - centre).max() > CLOSE:
            x, y = from_pixels.transform([centre, end]).T
            axes.add_artist(Line2D(x, y, transform=axes.transAxes, color="0.6", linewidth=0.6, zorder=1))


def _beside(centre: Pair, size: Pair, room: tuple) -> tuple[Boxes, Costs, Ways]:
    """Places for a name on rings round a mark, and their distance: wherever it is, they fill the room."""
    rings = np.arange(0, np.ptp(room), STEP)[:, None, None]
    corners = (centre + SIDES * (CLOSE + rings) - size * (1 - SIDES) / 2).reshape(-1, 2)
    ends = np.clip(centre, corners, corners + size)
    ways = centre + np.linspace(0, 1, 12)[1:, None] * (ends - centre)[:, None]
    return (
        np.hstack([corners, corners + size]),
        (rings[..., 0] + np.arange(len(SIDES), dtype=float)).ravel(),
        ways,
    )


def _along(edge: Float[np.ndarray, "4"], size: Pair) -> tuple[Boxes, Costs, Ways]:
    """Places for a name above the top of a band and below its bottom, and their distance from the left."""
    left, low, right, high = edge
    x = np.arange(left + CLOSE, right, STEP)
    corners = np.vstack([np.column_stack([x, np.full(len(x), y)]) for y in (high + 1, low - 1 - size[1])])
    costs = np.hstack([x - left, x - left + STEP])
    return np.hstack([corners, corners + size]), costs, np.empty((len(costs), 0, 2))


def _inside(room: tuple, boxes: Boxes, costs: Costs, ways: Ways) -> tuple[Boxes, Costs, Ways]:
    """The places that don't leave the axes; all of them for a name that is wider than the axes."""
    inside = ((boxes[:, :2] >= room[:2]) & (boxes[:, 2:] <= room[2:])).all(axis=1)
    inside |= not inside.any()
    return boxes[inside], costs[inside], ways[inside]


def _arrange(places: list[tuple[Boxes, Costs, Ways]]) -> list[Float[np.ndarray, "4"]]:
    """Choose a box for each name: the best of what comes out when the names take turns in several orders."""
    turns = list(range(len(places)))
    orders = [turns, turns[::-1], turns[::2] + turns[1::2], turns[1::2] + turns[::2]]
    return min((_settle(places, order) for order in orders), key=lambda settled: settled[0])[1]


def _settle(places: list[tuple[Boxes, Costs, Ways]], order: list[int]) -> tuple[float, list]:
    """Let each name take its cheapest box while the others stay, until none moves; total cost and boxes."""
    chosen = [boxes[costs.argmin()] for boxes, costs, _ in places]
    for _ in range(ROUNDS):
        before, total = list(chosen), 0.0
        for i in order:
            boxes, costs, ways = places[i]
            others = np.reshape(chosen[:i] + chosen[i + 1 :], (-1, 4))
            now = costs + COVERING * _overlaps(boxes, others)
            now += MISLEADING * (_overlaps(boxes, others, CLOSE) + _passes(ways, others))
            chosen[i] = boxes[now.argmin()]
            total += now.min()
        if all(map(np.array_equal, chosen, before)):
            break
    return total, chosen


def _overlaps(boxes: Boxes, others: Boxes, margin: float = 0) -> Costs:
    """How many of the others, widened by the margin, each box overlaps."""
    starts, ends = others[None, :, :2] - margin, others[None, :, 2:] + margin
    return ((boxes[:, None, :2] < ends) & (starts < boxes[:, None, 2:])).all(axis=-1).sum(axis=1)


def _nearest(boxes: Boxes, centres: Float[np.ndarray, "marks 2"]) -> Int[np.ndarray, " boxes"]:
    """Which mark is the nearest to each box."""
    gaps = np.maximum(boxes[:, None, :2] - centres, centres - boxes[:, None, 2:]).clip(min=0)
    return np.hypot(gaps[..., 0], gaps[..., 1]).argmin(axis=1)


def _passes(ways: Ways, others: Boxes) -> Costs:
    """How many of the others the way from each box to its mark passes."""
    at = ways[:, :, None]
    return ((others[:, :2] < at) & (at < others[:, 2:])).all(axis=-1).any(axis=1).sum(axis=1)
