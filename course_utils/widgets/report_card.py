"""The report card: what models scored, beside each other and beside chance, and where it comes from."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from course_utils.pretraining.card import Section, markdown
from course_utils.pretraining.reports import Number, Report
from course_utils.widgets.base import Widget
from course_utils.widgets.state import OneOf, Whole
from course_utils.widgets.words import phrase, plural, readable, shortened

MOST, MOST_MEASURES = 6, 20  # models, and measures of all together
PAGE = 4  # examples at a time
LOOKS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"]
XLABELS = {"bits": "bits per byte", "share": "share, with 95 % interval; dotted: by chance"}


class ReportCard(Widget):
    """Pick a number, and it says what it is worth.

        ReportCard(reports(folder))

    models: the `Report` of each, of `pretraining.reports`, by name; 1 to 6. A measure that several have
    stands once, with a bar for each. `markdown()` gives the whole card as text. Raises ValueError for no
    model or more than 6, for no measure or more than 20, for two numbers of one measure in a report, and for
    a number that is not finite, has a unit other than bits and share, or only one end of an interval.
    """

    def __init__(self, models: dict[str, Report]):
        self._models = models
        self._numbers = {name: {n.measure: n for n in report.numbers} for name, report in models.items()}
        fullest = sorted(self._numbers.values(), key=len, reverse=True)
        self._measures = [*dict.fromkeys(measure for numbers in fullest for measure in numbers)]
        if not 1 <= len(models) <= MOST or not 1 <= len(self._measures) <= MOST_MEASURES:
            raise ValueError(
                f"a card shows 1 to {MOST} models and 1 to {MOST_MEASURES} measures; got {len(models)} and "
                f"{len(self._measures)}"
            )
        for name, report in models.items():
            if len(self._numbers[name]) < len(report.numbers):
                raise ValueError(
                    f"the report of {phrase(name)} has two numbers of one measure: leave one out"
                )
        for number in (number for numbers in self._numbers.values() for number in numbers.values()):
            if (number.low is None) != (number.high is None):
                raise ValueError(
                    f"the interval of {number.measure} has two ends or none; got {number.low} and "
                    f"{number.high}"
                )
            if number.unit not in ("bits", "share") or not math.isfinite(number.value):
                raise ValueError(
                    f"{number.measure} is a finite number of bits or a share; got {number.value} "
                    f"{number.unit}"
                )
        pages = max(len(report.examples) for report in models.values())
        start = max(models, key=lambda name: len(models[name].numbers))
        super().__init__(
            measure=OneOf(self._measures),
            model=OneOf(models, start=start),
            page=Whole(0, max(math.ceil(pages / PAGE) - 1, 0)),
        )

    def markdown(self) -> str:
        """The card as text: all numbers, where they come from, failures and examples."""
        rows = [["", *self._models]]
        for measure in self._measures:
            cells = [numbers.get(measure) for numbers in self._numbers.values()]
            rows.append([measure, *("" if number is None else in_words(number) for number in cells)])
        sections = [Section("Report card", [], rows)]
        about = []
        for measure in self._measures:
            found = [numbers[measure] for numbers in self._numbers.values() if measure in numbers]
            said = [number.comes for number in found] + [number.not_said for number in found]
            about.append(f"{measure}: {' '.join(dict.fromkeys(said))}")
        sections.append(Section("Where the numbers come from, and what they do not say", about))
        for name, report in self._models.items():
            if report.failures:
                sections.append(Section(f"Known failures: {name}", report.failures))
            if report.examples:
                table = [["asked", "answered"], *report.examples[:PAGE]]
                sections.append(Section(f"What it says: {name}", [], table))
        return markdown(sections)

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        models = [
            {
                "name": name,
                "numbers": [number._asdict() | {"says": in_words(number)} for number in report.numbers],
                "failures": report.failures,
                "examples": report.examples,
            }
            for name, report in self._models.items()
        ]
        return {"models": models, "looks": LOOKS, "page": PAGE, "markdown": self.markdown()}

    def describe(self) -> str:
        measure, model = self.state["measure"], self.state["model"]
        number = self._numbers[model].get(measure)
        beside = [
            f"{phrase(shortened(name))} {in_words(numbers[measure])}"
            for name, numbers in self._numbers.items()
            if measure in numbers and name != model
        ]
        said = "was not measured" if number is None else in_words(number)
        more = f"; beside it {', '.join(beside)}" if beside else ""
        n = f", n = {number.n:,}" if number and number.n else ""
        worth = f" {against_chance(number)}" if number and against_chance(number) else ""
        return f"{phrase(shortened(measure))}, {phrase(shortened(model))}: {said}{n}{more}.{worth}"

    def picture(self, figure: Figure) -> None:
        units = {unit: found for unit in XLABELS if (found := self._with(unit))}
        heights = [len(measures) for measures in units.values()]
        figure.set_size_inches(7.6, 1 + 0.17 * len(self._models) * sum(heights) + 0.3 * len(units))
        places = figure.subplots(len(units), 1, squeeze=False, height_ratios=heights).flat
        for axes, (unit, measures) in zip(places, units.items(), strict=True):
            for k, numbers in enumerate(self._numbers.values()):
                for place, measure in enumerate(measures):
                    if number := numbers.get(measure):
                        self._bar(axes, number, place, k)
            names = [shortened(readable(measure), 40) for measure in measures]
            axes.set_yticks(np.arange(len(measures)), names, fontsize=8)
            axes.invert_yaxis()
            axes.set_xlabel(XLABELS[unit])
            axes.spines[["top", "right"]].set_visible(False)
        models = [
            Patch(color=colour, label=shortened(readable(name), 30))
            for name, colour in zip(self._models, LOOKS, strict=False)
        ]
        figure.legend(handles=models, loc="outside lower left", ncols=3, fontsize=8)

    def _bar(self, axes, number: Number, place: int, k: int) -> None:
        """The number of model k in the picture, with its interval and what guessing reaches."""
        width = 0.8 / len(self._models)
        at = place - 0.4 + width * (k + 0.5)
        axes.barh(at, number.value, width, color=LOOKS[k])
        if number.low is not None:
            axes.plot([number.low, number.high], [at, at], color="black", linewidth=1.5)
        if number.chance is not None:
            axes.plot([number.chance] * 2, [place - 0.45, place + 0.45], ":", color="black")

    def _with(self, unit: str) -> list[str]:
        """The measures in a unit."""
        found = {n.measure for numbers in self._numbers.values() for n in numbers.values() if n.unit == unit}
        return [measure for measure in self._measures if measure in found]


def in_words(number: Number) -> str:
    """The value with its interval and chance: "26.7 % (21.2 to 32.5), by chance 25.0 %"."""
    if number.unit == "bits":
        return f"{number.value:.3f} bits"
    interval = "" if number.low is None else f" ({100 * number.low:.1f} to {100 * number.high:.1f})"
    chance = "" if number.chance is None else f", by chance {_percent(number.chance)}"
    return f"{_percent(number.value)}{interval}{chance}"


def _percent(share: float) -> str:
    """Small ones have more digits: the chance to hit a sum is 0.005 %, not 0.0 %."""
    return f"{100 * share:.1f} %" if share == 0 or share >= 0.01 else f"{100 * share:.2g} %"


def against_chance(number: Number) -> str:
    """What interval and chance say together."""
    if number.chance is None or number.low is None:
        return ""
    if number.low > number.chance:
        return "That is more than guessing reaches."
    if number.high < number.chance:
        return "That is less than guessing reaches."
    return (
        f"As far as {plural(number.n, 'question')} show, that is what guessing reaches."
        if number.n
        else ("As far as this shows, that is what guessing reaches.")
    )
