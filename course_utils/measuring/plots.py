"""Charts that say in a sentence what they show: for screen readers, and for the comparison of outputs."""

import base64
import html
import io
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from PIL import Image


def png(figure: Figure) -> bytes:
    """A figure as a PNG file: the pixels of `savefig`, which draws everything twice, in fewer bytes,
    since they are opaque."""
    canvas, file = FigureCanvasAgg(figure), io.BytesIO()
    canvas.draw()
    Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").save(file, "png", dpi=2 * (figure.dpi,))
    return file.getvalue()


# White in the dark theme too: so a picture has the colours that the text names, and dark stays low in a heat
# map. It is the same in JupyterLab, in VS Code, in an export, and where a notebook isn't trusted, which loses
# style sheets and SVG, the two ways to follow a theme.
CARD = (
    "display:inline-block;box-sizing:border-box;max-width:100%;margin:8px 0;padding:12px;"
    "border:1px solid #bdbdbd;border-radius:8px;color:#1a1a1a;background-color:white"
)


def picture_html(png: bytes, sentence: str, caption: str = "") -> str:
    """A picture on a white card in HTML, with the sentence as its alternative text."""
    data = base64.b64encode(png).decode("ascii")
    caption = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    alt = html.escape(sentence)
    return f'<figure style="{CARD}"><img alt="{alt}" src="data:image/png;base64,{data}">{caption}</figure>'


class Chart:
    """A figure that a notebook shows with its sentence: the last line of a cell is enough."""

    def __init__(self, figure: Figure, sentence: str):
        self.figure, self.sentence = figure, sentence

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        return picture_html(png(self.figure), self.sentence)


# colours that are told apart whatever colours one sees, and marks
LOOKS = [("#0072B2", "o"), ("#E69F00", "s"), ("#009E73", "^"), ("#CC79A7", "v"), ("#D55E00", "D")]


def line_chart(
    curves: dict[str, dict[float, float]],
    xlabel: str,
    ylabel: str,
    ylim=None,
    log_x: bool = False,
    measured: bool = False,
    log_y: bool = False,
) -> Chart:
    """Curves {name: {x: y}} on one pair of axes, told by colour and mark; `log_x` and `log_y` make an axis
    logarithmic. `measured`: they were measured just now, so another machine's numbers are a little different.
    Raises ValueError for six."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    if len(curves) > len(LOOKS):
        raise ValueError(f"at most {len(LOOKS)} curves can be told apart; got {len(curves)}")
    lowest = []
    for (name, points), (colour, mark) in zip(curves.items(), LOOKS, strict=False):
        axes.plot(points.keys(), points.values(), marker=mark, color=colour, label=name)
        x = min(points, key=points.get)
        lowest.append(f"{name} {points[x]:.3f} at {x:g}")
    if ylim:
        axes.set_ylim(ylim)
    if log_x:
        doubled = all(math.log2(x).is_integer() for points in curves.values() for x in points)
        axes.set_xscale("log", base=2 if doubled else 10)
        axes.xaxis.set_major_formatter("{x:,.9g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,.9g}")
    letters = sum(len(name) + 8 for name in curves)  # a mark takes 8, and a row holds some 90
    rows = 1 if letters < 85 else 2
    columns = math.ceil(len(curves) / rows)
    figure.legend(frameon=False, loc="outside upper center", ncols=columns)  # where it covers no curve
    axes.spines[["top", "right"]].set_visible(False)
    said = "the lowest of each curve, measured here" if measured else "the lowest of each curve"
    return Chart(figure, f"{ylabel} against {xlabel}; {said}: {'; '.join(lowest)}.")


def along_tokens(
    tokens: Sequence[str], ylabel: str, bars: Sequence[float], bar: str, dots: Sequence[float], dot: str
) -> Chart:
    """A bar and a dot for each token of a text, with what `bar` and `dot` say they are."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    axes = figure.add_subplot(ylabel=ylabel, xlim=(-1, len(tokens)))
    axes.bar(range(len(tokens)), bars, color="#56B4E9", label=bar)
    axes.plot(range(len(tokens)), dots, "o", color="#D55E00", markersize=4, label=dot)
    names = [repr(token)[1:-1].replace("$", r"\$") for token in tokens]
    axes.set_xticks(range(len(tokens)), names, rotation=90, fontsize=7)
    axes.legend(frameon=False)
    below = sum(float(y) < float(x) for x, y in zip(bars, dots, strict=True)) / len(tokens)
    return Chart(
        figure, f"{ylabel} along {len(tokens)} tokens; {dot} lies below {bar} at {below:.0%} of them."
    )


def dot_chart(rows: dict[str, list[float]], xlabel: str) -> Chart:
    """Runs {name: values} as a dot each, a line for a name, with their mean at its end. What is no number,
    such as the loss of a run that diverged, has no dot."""
    figure = Figure(figsize=(7, 0.9 + 0.4 * len(rows)), layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylim=(len(rows) - 0.5, -0.5))
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)
    for y, values in enumerate(rows.values()):
        shown = list(filter(math.isfinite, values))
        axes.scatter(shown, [y] * len(shown), color="#0072B2", s=28, zorder=3)
    means = [f"{sum(values) / len(values):.2f}" for values in rows.values()]
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(rows)), means)
    right.set_ylabel("mean")
    told = "; ".join(f"{name} {mean}" for name, mean in zip(rows, means, strict=True))
    return Chart(figure, f"{xlabel}, the mean of each: {told}.")


def narrowing_chart(distribution: dict[str, float], text: str) -> Chart:
    """The line from 0 to 1, cut among the letters, and for each letter of a text its piece, drawn larger and
    cut again. `distribution` gives every letter's probability, whatever stands before it. Raises ValueError
    for a letter of the text that has none, or 0."""
    if lacking := [letter for letter in text if not distribution.get(letter)]:
        raise ValueError(f"each letter of {text!r} has a piece, of some width; {lacking[0]!r} has none")
    figure = Figure(figsize=(7, 0.9 + 0.8 * len(text)))
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.96), xlim=(-0.02, 1.02), ylim=(-len(text) - 0.4, 0.7))
    axes.set_axis_off()
    low, width = Fraction(0), Fraction(1)
    for row in range(len(text) + 1):
        borders = [low]
        for letter, p in distribution.items():
            borders.append(borders[-1] + width * Fraction(p))
            first, end = (float((border - low) / width) for border in borders[-2:])
            is_next = text[row : row + 1] == letter
            axes.barh(-row, end - first, 0.4, first, color="#0072B2" if is_next else "white", edgecolor="0.3")
            axes.text(
                (first + end) / 2, -row, letter, ha="center", va="center", color="w" if is_next else "k"
            )
            if is_next:  # where the next row comes from
                piece = borders[-2], borders[-1] - borders[-2]
                axes.plot([first, 0], [-row - 0.2, -row - 0.8], [end, 1], [-row - 0.2, -row - 0.8], c="0.6")
        for border in borders:
            at = float((border - low) / width)
            axes.text(at, -row + 0.25, str(border), ha="center", va="bottom", fontsize=9)
        if row < len(text):
            low, width = piece
    end = low + width
    sentence = f"{text!r} has the piece from {low} to {end} of the line from 0 to 1: its width is {width}"
    return Chart(figure, f"{sentence}, {-math.log2(width):g} bits.")
