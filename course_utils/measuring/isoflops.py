"""The picture of approach 2: IsoFLOP curves, a parabola through the runs of each budget."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from course_utils.measuring.plots import LOOKS, Chart
from course_utils.scaling.laws import Values, isoflop_minima, isoflop_parabolas


def isoflop_chart(n: Values, d: Values, loss: Values, ylabel: str) -> Chart:
    """The losses of runs against their sizes n, a colour for each budget 6ND; through each budget's runs a
    parabola, and a star at its lowest point, which may lie outside the sizes that were run.

    Raises ValueError for six budgets, and what `isoflop_minima` does not take.
    """
    parabolas = isoflop_parabolas(n, d, loss)
    if len(parabolas) > len(LOOKS):
        raise ValueError(f"at most {len(LOOKS)} budgets can be told apart; got {len(parabolas)}")
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.add_subplot(xlabel="parameters", ylabel=ylabel, xscale="log")
    stars = []
    for (runs, parabola), budget, best, _, least, (colour, mark) in zip(
        parabolas, *isoflop_minima(n, d, loss), LOOKS, strict=False
    ):
        name = f"{budget:.0e} FLOPs"
        axes.plot(n[runs], loss[runs], mark, color=colour, label=name)
        along = np.geomspace(min(best, *n[runs]), max(best, *n[runs]))
        axes.plot(along, parabola(np.log(along)), color=colour)
        axes.plot(best, least, "*", markersize=16, color=colour, markeredgecolor="black")
        stars.append(f"{name} {least:.3f} at {best:,.0f}")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, loc="outside upper center", ncols=len(stars))
    said = f"{ylabel} against parameters; the lowest point of each budget's parabola: {'; '.join(stars)}."
    return Chart(figure, said)
