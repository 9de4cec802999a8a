"""Scaling laws: what a model will lose, before it is trained.

`laws` fits a law to runs, with intervals, and asks it for the best size. `kaplan` shows how counting without
embeddings bends a law.
"""

from course_utils.scaling.laws import (
    HOFFMANN,
    HOFFMANN_PRINTED,
    Law,
    bootstrap,
    fit_law,
    huber,
    interval,
    isoflop_minima,
    power,
    prediction_interval,
    rivals,
)

__all__ = [
    "HOFFMANN",
    "HOFFMANN_PRINTED",
    "Law",
    "bootstrap",
    "fit_law",
    "huber",
    "interval",
    "isoflop_minima",
    "power",
    "prediction_interval",
    "rivals",
]
