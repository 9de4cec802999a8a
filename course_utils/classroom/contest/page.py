"""The page of a contest and its table: places, what can't be told apart, and how small a gain was found."""

import csv
from decimal import ROUND_DOWN, Context
from html import escape
from pathlib import Path

import numpy as np

from course_utils.classroom.contest.holding import Contest, Results
from course_utils.classroom.contest.ranking import LEVEL, Place, found_in, ranked
from course_utils.classroom.grading.gradebook import as_csv
from course_utils.classroom.pages import page
from course_utils.files import write_atomic

EXAMPLE = Path(__file__).with_name("example") / "leaderboard.csv"  # recorded, with its recipes beside it
SHARE = 0.8  # of contests


def write(contest: Contest, found: Results) -> list[str]:
    """Write leaderboard.csv and leaderboard.html into the contest's folder; the lines that say the same."""
    places = ranked(found.scores)
    write_atomic(contest.folder / "leaderboard.csv", _csv(places, found))
    power = power_said(found)
    write_atomic(contest.folder / "leaderboard.html", _html(contest, places, found, power))
    lines = [f"{place.rank:4}  {place.name:30} {_number(place)}  {_beside(place)}" for place in places]
    return [*lines, power]


def _number(place: Place) -> str:
    return f"{place.mean:.4f} ± {place.error:.4f}"


def _beside(place: Place) -> str:
    """A place beside the first, in words."""
    if place.p is None:
        return "the lowest mean"
    return f"{'tied with the first' if place.tied else 'behind'}, p = {_cut(place.p, 2)}"


def _cut(p: float, digits: int) -> str:
    """A p in so many digits, cut and not rounded: below LEVEL it never reads as LEVEL."""
    return f"{float(Context(prec=digits, rounding=ROUND_DOWN).create_decimal(repr(p))):g}"


def scatter(scores: dict[str, list[float]]) -> float:
    """The standard deviation between the seeds of a recipe: of all recipes the median, which no wild one
    moves."""
    return float(np.median([np.std(values, ddof=1) for values in scores.values()]))


def power_said(found: Results) -> str:
    """How small a gain such a contest finds, from the scatter of its own seeds."""
    if len(found.scores) < 2:
        return "With fewer than two recipes nothing is compared."
    recipes, seeds = len(found.scores), len(next(iter(found.scores.values())))
    noise = scatter(found.scores)
    if not noise:
        return "The seeds don't scatter at all."
    return (
        f"Seeds of a recipe scatter by {noise:.4f} bits per byte here (the median). With {seeds} seeds and "
        f"{recipes} recipes a gain of {found_in(SHARE, noise, seeds, recipes):.4f} is found in "
        f"{SHARE:.0%} of contests; among equals somebody falls behind in about {LEVEL:.0%}."
    )


def read_runs(leaderboard: Path) -> dict[str, list[float]]:
    """The scores of each recipe, one a seed, out of a leaderboard.csv."""
    with leaderboard.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["rank"]]
    return {
        row["recipe"]: [float(value) for name, value in row.items() if name.startswith("run ")]
        for row in rows
    }


def _csv(places: list[Place], found: Results) -> str:
    seeds = len(next(iter(found.scores.values()), []))
    head = ["rank", "recipe", "bits per byte", "standard error", "p against the first", "tied with the first"]
    head += ["parameters", "tokens", "FLOPs", *(f"run {i + 1}" for i in range(seeds)), "sha256", "left out"]
    lines = [head]
    for place in places:
        cost = found.costs[place.name]
        line = [place.rank, place.name, f"{place.mean:.5f}", f"{place.error:.5f}"]
        line += ["" if place.p is None else _cut(place.p, 3), "yes" if place.tied else "no"]
        line += [str(cost["n"]), str(cost["d"]), f"{cost['flops']:.4g}"]
        lines.append([*line, *(f"{value:.5f}" for value in found.scores[place.name]), cost["recipe"], ""])
    empty = [""] * (len(head) - 3)
    return as_csv([*lines, *(["", name, *empty, why] for name, why in found.left_out.items())])


def _html(contest: Contest, places: list[Place], found: Results, power: str) -> str:
    words = "Rank", "Recipe", "Bits per byte", "Beside the first", "Para&shy;meters"
    head = "".join(f"<th scope='col'>{word}</th>" for word in words)
    rows = "".join(
        f"<tr><td>{place.rank}</td><th scope='row'>{escape(place.name)}</th><td>{_number(place)}</td>"
        f"<td>{_beside(place)}</td><td>{found.costs[place.name]['n']:,}</td></tr>"
        for place in places
    )
    left_out = "".join(
        f"<li>{escape(name)} is {escape(why)}</li>" for name, why in sorted(found.left_out.items())
    )
    body = (
        f"<p>Each recipe was trained {contest.seeds} times, each time with another seed, on at most "
        f"{contest.flops:.4g} FLOPs. The lowest mean on the held-out text comes first; whoever can't be told "
        f"from it (p of at least {LEVEL}) is tied with it. ± is the standard error of the mean.</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<p>{power}</p>" + (f"<ul>{left_out}</ul>" if left_out else "")
    )
    return page(f"Leaderboard: {escape(contest.name)}", body, "tbody th{overflow-wrap:anywhere}")
