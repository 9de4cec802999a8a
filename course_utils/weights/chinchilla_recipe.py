"""Chinchilla's law refitted, with its bootstrap: what chapter 11 shows where the runs can't be fetched.

    python -m course_utils.weights.chinchilla_recipe

fetches the runs (23 KB, `data.chinchilla`) and writes chinchilla_fits.csv: the law of the 240 runs; that of
all 245; where an optimiser stops that starts at Hoffmann's law and makes the mean small; and 200 refits to
runs drawn with replacement.
"""

import dataclasses
from pathlib import Path

import numpy as np

from course_utils.data import chinchilla
from course_utils.scaling import HOFFMANN, Law, bootstrap, fit_law, huber
from course_utils.weights import recording

TABLE = Path(__file__).with_name("chinchilla_fits.csv")
RESAMPLES = 200


def mean_for_sum(runs: chinchilla.Runs) -> Law:
    """Where L-BFGS stops that makes the mean of the Huber losses small, from Hoffmann's law on, and stops as
    scipy does unless told otherwise. With the sum it would go on (Besiroglu et al. 2024, section 3)."""
    from scipy.optimize import minimize

    def law(point):
        return Law(*map(float, [*np.exp(point[:3]), *point[3:]]))

    def mean(point):
        return huber(law(point), runs.n, runs.d, runs.loss) / len(runs.n)

    return law(minimize(mean, HOFFMANN.point, method="L-BFGS-B").x)


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
    fits = {"240 runs": law, "all 245 runs": fit_law(*everything), "mean for sum": mean_for_sum(kept)}
    resamples = bootstrap(law, kept.n, kept.d, kept.loss, RESAMPLES)
    fits |= {f"resample {i}": fit for i, fit in enumerate(resamples)}
    rows = [{"fit": name} | {key: f"{x:.8g}" for key, x in vars(fit).items()} for name, fit in fits.items()]
    recording.write_table(TABLE, rows)


if __name__ == "__main__":
    main()
