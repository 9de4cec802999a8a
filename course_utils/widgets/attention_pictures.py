"""A map of attention as a still picture, for the reader who has no kernel."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from course_utils.widgets.attention_arrays import FULL, MASKED
from course_utils.widgets.words import shortened, signs

NAMED = 24  # tokens on a side that are named


def draw_map(axes: Axes, codes: np.ndarray, queries: list[str], keys: list[str], named: int = NAMED) -> None:
    """The bytes of a map (queries, keys), which may be pooled; up to `named` tokens on a side have names."""
    image = axes.imshow(
        np.ma.masked_equal(codes, MASKED),
        cmap=matplotlib.colormaps["cividis"].with_extremes(bad="white"),
        vmin=0,
        vmax=FULL,
        extent=(-0.5, len(keys) - 0.5, len(queries) - 0.5, -0.5),
        aspect="auto",
        interpolation="nearest",  # smoothed, a noisy head takes more than twice the bytes
    )
    for side, names in (("x", keys), ("y", queries)):
        if len(names) <= named:
            labels = [signs(shortened(name, 12)) for name in names]
            getattr(axes, f"set_{side}ticks")(range(len(names)), labels, fontsize=7)
    axes.tick_params(axis="x", rotation=90)
    bar = axes.figure.colorbar(image, ax=axes, ticks=FULL * np.sqrt([0, 0.01, 0.05, 0.25, 0.5, 1]))
    bar.ax.set_yticklabels(["0", "1 %", "5 %", "25 %", "50 %", "100 %"], fontsize=7)
