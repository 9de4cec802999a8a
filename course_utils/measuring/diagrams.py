"""Whole models, drawn: an encoder-decoder without and with attention; a language model's stream from ids to
logits, and what reads it and adds to it."""

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


def encoder_decoder_chart(source: str, target: list[str], looking: int | None = None) -> Chart:
    """A recurrent encoder that reads the letters of `source`, and a decoder that writes `target` and an end.

    Without `looking` one vector joins them; with it the step of that number also attends to all states of the
    encoder: its state is the query, theirs make keys and values.
    """
    written, read = [*target, "end"], ["start", *target]
    n, first = len(source), len(source) + 1.6
    places = [first + 1.25 * step for step in range(len(read))]
    figure = Figure(figsize=(8.6, 3.3 if looking is not None else 2.7))
    top = 4.1 if looking is not None else 2.9
    axes = figure.add_axes((0, 0, 1, 1), xlim=(-0.8, places[-1] + 0.9), ylim=(-1.0, top))
    axes.set_axis_off()

    def state(x, colour):
        size = {"boxstyle": "round,pad=0.02", "fc": COLOURS[colour], "ec": "0.3"}
        axes.add_patch(FancyBboxPatch((x - 0.3, 0.7), 0.6, 0.6, **size, **BOXES))

    def say(x, y, text, **how):
        axes.text(x, y, text, ha="center", va="center", **{"fontsize": 9} | how)

    for x, letter in enumerate(source):
        state(x, "table")
        say(x, -0.1, letter)
        _line(axes, [(x, 0.1), (x, 0.68)])
        if x:
            axes.annotate("", (x - 0.32, 1), (x - 0.68, 1), arrowprops=ARROW | {"arrowstyle": "<|-|>"})
    for x, before, sound in zip(places, read, written, strict=True):
        state(x, "feed-forward")
        say(x, -0.1, before)
        say(x, 2.35, sound)
        _line(axes, [(x, 0.1), (x, 0.68)])
        _line(axes, [(x, 1.32), (x, 2.1)])
        if x > first:
            _line(axes, [(x - 0.93, 1), (x - 0.32, 1)])
    _line(axes, [(n - 0.68, 1), (first - 0.32, 1)])
    say((n + first - 1) / 2, 1.25, "one vector")
    say((n - 1) / 2, -0.7, "the encoder reads both ways")
    say((places[0] + places[-1]) / 2, -0.7, "the decoder reads and writes")
    sentence = f"An encoder-decoder: the encoder reads {', '.join(source)} in both directions; one vector "
    sentence += f"goes to the decoder, which reads {', '.join(read)} and writes {', '.join(written)}."
    if looking is not None:
        x, y, right = places[looking], 3.3, n - 0.65
        box = {"boxstyle": "round,pad=0.02", "fc": COLOURS["attention"], "ec": "0.3"}
        axes.add_patch(FancyBboxPatch((-0.3, y - 0.32), n - 0.4, 0.64, **box, **BOXES))
        say((n - 1) / 2, y, "softmax of the scores, mean of the values", **WORDS)
        for letter in range(n):
            _line(axes, [(letter, 1.32), (letter, y - 0.35)])
        blank = {"fc": "white", "ec": "none", "pad": 1}
        say((n - 1) / 2, 2.1, "a key and a value for each letter", bbox=blank)
        _line(axes, [(x - 0.2, 1.32), (x - 0.2, y + 0.15), (right, y + 0.15)])
        _line(axes, [(right, y - 0.15), (x - 0.45, y - 0.15), (x - 0.45, 1.75), (x - 0.13, 1.75)])
        axes.plot(x, 1.75, "o", markersize=11, markerfacecolor="white", markeredgecolor="0.25", **BOXES)
        say(x, 1.74, "+", **WORDS)
        say((n + x) / 2 - 0.4, y + 0.4, "the query")
        say((n + x) / 2 - 0.4, y - 0.4, "the answer")
        sentence += f" As it writes {written[looking]}, its state is also a query, which is scored against a "
        sentence += "key of each letter; the weighted mean of their values is added to the state on its way "
        sentence += "to the logits."
    return Chart(figure, sentence)


def _line(axes: Axes, points: list[tuple[float, float]]) -> None:
    """A line through points, with a head at the last one."""
    axes.plot(*zip(*points[:-1], strict=True), color="0.25", linewidth=1.2, **LINES)
    axes.annotate("", points[-1], points[-2], arrowprops=ARROW, **LINES)


def _plus(axes: Axes, x: float) -> None:
    """A sum on the stream."""
    axes.plot(x, 0, "o", markersize=13, markerfacecolor="white", markeredgecolor="0.25", **BOXES)
    axes.text(x, -0.01, "+", ha="center", va="center", fontsize=11, **WORDS)
