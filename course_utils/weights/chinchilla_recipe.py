"""Chinchilla's law refitted, with its bootstrap: what chapter 11 shows where the runs can't be fetched.

    python -m course_utils.weights.chinchilla_recipe

fetches the runs (23 KB, `data.chinchilla`) and writes chinchilla_fits.csv: the law of the 240 runs; that of
all 245; where an optimiser stops that makes the mean of the misses small, or their sum (`stops`); and 200
refits to runs drawn with replacement.
"""

import dataclasses
import itertools
from pathlib import Path

import numpy as np

from course_utils.data import chinchilla
from course_utils.scaling import HOFFMANN, Law, bootstrap, fit_law, huber
from course_utils.scaling.laws import GRID
from course_utils.weights import recording

TABLE = Path(__file__).with_name("chinchilla_fits.csv")
RESAMPLES = 200
GO_ON = {"ftol": 1e-15, "gtol": 1e-12, "maxiter": 10_000, "maxfun": 200_000}  # scipy's ftol is 2e-9


def stops(runs: chinchilla.Runs) -> dict[str, Law]:
    """Where scipy's L-BFGS stops that makes the mean of the Huber losses small, or their sum.

    It starts at Hoffmann's law, or at each of the grid's 20 best, of whose ends the best is taken. It stops
    when scipy's usual tolerance says so, by Besiroglu et al. 2024 (section 3) too early for the mean; or is
    made to go on.
    """
    from scipy.optimize import minimize

    def law(point):
        return Law(*map(float, [*np.exp(point[:3]), *point[3:]]))

    def misfit(point, share=1.0):
        with np.errstate(over="ignore", invalid="ignore"):  # a step may go far out
            return share * huber(law(point), runs.n, runs.d, runs.loss)

    found = {}
    grid = sorted(map(np.array, itertools.product(*GRID)), key=misfit)
    for begin, starts in {"Hoffmann's": [HOFFMANN.point], "the grid's best": grid[:20]}.items():
        for small, share in {"mean": 1 / len(runs.n), "sum": 1.0}.items():
            for on, options in {"": {}, ", made to go on": GO_ON}.items():
                ends = [minimize(misfit, at, share, method="L-BFGS-B", options=options) for at in starts]
                found[f"{small}, from {begin}{on}"] = law(min(ends, key=lambda end: end.fun).x)
    return found


def laws() -> tuple[dict[str, Law], list[Law]]:
    """The laws by name, and the bootstrap of the first, as recorded."""
    rows = recording.read_table(TABLE)
    read = [
        (row["fit"], Law(**{field.name: float(row[field.name]) for field in dataclasses.fields(Law)}))
        for row in rows
    ]
    named = {fit: law for fit, law in read if not fit.startswith("resample")}
    return named, [law for fit, law in read if fit not in named]


def main() -> None:
    kept, dropped = chinchilla.runs()
    everything = [np.concatenate([getattr(part, name) for part in (kept, dropped)]) for name in vars(kept)]
    law = fit_law(kept.n, kept.d, kept.loss)
    fits = {"240 runs": law, "all 245 runs": fit_law(*everything)} | stops(kept)
    resamples = bootstrap(law, kept.n, kept.d, kept.loss, RESAMPLES)
    fits |= {f"resample {i}": fit for i, fit in enumerate(resamples)}
    rows = [{"fit": name} | {key: f"{x:.8g}" for key, x in vars(fit).items()} for name, fit in fits.items()]
    recording.write_table(TABLE, rows)


if __name__ == "__main__":
    main()
