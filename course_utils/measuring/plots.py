"""Charts that say in a sentence what they show: for screen readers, and for the comparison of outputs."""

import base64
import html
import io
import math

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter


def png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
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


def line_chart(
    curves: dict[str, dict[float, float]], xlabel: str, ylabel: str, ylim=None, log_x: bool = False
) -> Chart:
    """Curves {name: {x: y}} on one pair of axes, told apart by colour and by mark."""
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    looks = [("#0072B2", "o"), ("#E69F00", "s"), ("#009E73", "^"), ("#CC79A7", "v"), ("#D55E00", "D")]
    if len(curves) > len(looks):
        raise ValueError(f"at most {len(looks)} curves can be told apart; got {len(curves)}")
    lowest = []
    for (name, points), (colour, mark) in zip(curves.items(), looks, strict=False):
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
    figure.legend(frameon=False, loc="outside upper center", ncols=len(curves))  # where it covers no curve
    axes.spines[["top", "right"]].set_visible(False)
    return Chart(figure, f"{ylabel} against {xlabel}; the lowest of each curve: {'; '.join(lowest)}.")
