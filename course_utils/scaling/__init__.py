"""Scaling laws: what a model will lose, before it is trained.

`counting` says what a model costs. `plans` and `sweep` make many runs, whatever happens on the way, `slurm`
on many machines. `laws` fits a law to them, with intervals, and asks it for the best size. `seals` keeps
a prediction until its run has been made. `kaplan` shows how counting without embeddings bends a law.
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
