"""A whole language model, drawn: one stream from ids to logits, and what reads it and adds to it."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from course_utils.measuring.plots import Chart

COLOURS = {
    "table": "#CDE4F2",
    "norm": "#EEEEEE",
    "attention": "#F8DFAE",
    "feed-forward": "#BFE3D6",
}
# Boxes and sums stand on the stream: they are drawn after it, and hide it where they are.
LINES, BOXES, WORDS = {"zorder": 1}, {"zorder": 2}, {"zorder": 3}
ARROW = {"arrowstyle": "-|>", "color": "0.25", "shrinkA": 0, "shrinkB": 0, "linewidth": 1.2}


def model_chart(n_blocks: int, parameters: dict[str, int]) -> Chart:
    """A pre-norm decoder, from ids on the left to logits on the right.

    parameters: how many numbers each part learns, by "embedding", "positions", "last norm" and "output", and
    by "norm", "attention" and "feed-forward" for one of each in one block.
    """
    figure = Figure(figsize=(9.4, 3.5))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 15.6), ylim=(-1.75, 3.3))
    axes.set_axis_off()

    def box(x, y, name, colour):
        label = f"{name}\n{parameters[name]:,}"
        axes.add_patch(
            FancyBboxPatch(
                (x - 0.68, y - 0.34),
                1.36,
                0.68,
                boxstyle="round,pad=0.02",
                fc=COLOURS[colour],
                ec="0.3",
                **BOXES,
            )
        )
        axes.text(x, y, label, ha="center", va="center", fontsize=8, **WORDS)

    axes.annotate(
        "", (14.6, 0), (0.75, 0), arrowprops=ARROW, **LINES
    )  # the stream, below all that stands on it
    axes.text(0.65, 0, "ids\n(T,)", ha="right", va="center", fontsize=9)
    axes.text(14.7, 0, "logits\n(T, V)", ha="left", va="center", fontsize=9)
    box(1.7, 0, "embedding", "table")
    box(3.0, -1.2, "positions", "table")
    _line(axes, [(3.0, -0.86), (3.0, -0.17)])
    _plus(axes, 3.0)
    frame = FancyBboxPatch((3.75, -0.6), 7.1, 3.35, boxstyle="round,pad=0.05", fc="none", ec="0.4", ls="--")
    axes.add_patch(frame)
    axes.text(7.3, 2.95, f"a block, {n_blocks} times, each with weights of its own", ha="center", fontsize=9)
    for start, branch in ((4.0, "attention"), (7.5, "feed-forward")):
        _line(axes, [(start, 0), (start, 1.0), (start + 0.45, 1.0)])
        box(start + 1.13, 1.0, "norm", "norm")
        _line(axes, [(start + 1.13, 1.36), (start + 1.13, 2.1), (start + 1.35, 2.1)])
        box(start + 2.05, 2.1, branch, branch)
        _line(axes, [(start + 2.75, 2.1), (start + 3.05, 2.1), (start + 3.05, 0.17)])
        _plus(axes, start + 3.05)
    axes.text(7.3, -0.45, "the residual stream (T, d_model)", ha="center", va="bottom", fontsize=9)
    box(11.75, 0, "last norm", "norm")
    box(13.5, 0, "output", "table")
    counts = ", ".join(f"{name} {n:,}" for name, n in parameters.items())
    return Chart(
        figure,
        "A whole model: ids, embedding, plus positions, then the residual stream through "
        f"{n_blocks} blocks, last norm, output and logits. In a block two branches read the stream through a "
        f"norm and add to it: first attention, then feed-forward. Parameters of each: {counts}.",
    )


def _line(axes: Axes, points: list[tuple[float, float]]) -> None:
    """A line through points, with a head at the last one."""
    axes.plot(*zip(*points[:-1], strict=True), color="0.25", linewidth=1.2, **LINES)
    axes.annotate("", points[-1], points[-2], arrowprops=ARROW, **LINES)


def _plus(axes: Axes, x: float) -> None:
    """A sum on the stream."""
    axes.plot(x, 0, "o", markersize=13, markerfacecolor="white", markeredgecolor="0.25", **BOXES)
    axes.text(x, -0.01, "+", ha="center", va="center", fontsize=11, **WORDS)
