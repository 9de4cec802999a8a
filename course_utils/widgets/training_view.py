"""The training view: how far a run has come and how its loss falls, in one widget that a run reports to."""

import math
import time

import numpy as np
from matplotlib.figure import Figure

from course_utils.measuring.plots import Chart
from course_utils.training import StepReport
from course_utils.widgets.base import Widget
from course_utils.widgets.words import plural, visible

PAUSE = 0.5  # seconds between two pictures
POINTS = 150  # of the curve; each is the mean of as many steps as it takes
SPAN = 3.0  # bits from the bottom to the top of the curve: the first steps of a run lie higher


class TrainingView(Widget):
    """Show it, then let a run report to it:

        view = TrainingView(config.steps, "The LSTM")
        display(view)
        run = train(model, batches, config, evaluate=validation_bits, report=view)
        view.chart()

    steps: how many the run has. title: what is trained. evaluated: what the run's `evaluate` measures, in the
        unit that it has. unit: what one token is.

    The losses come in nats, as `StepReport` has them, and are shown in bits. The sentence says nothing
    that differs from machine to machine: it stands where the notebook tests compare. Raises ValueError for
    fewer steps than 1.
    """

    def __init__(
        self, steps: int, title: str = "The model", evaluated: str = "evaluation", unit: str = "token"
    ):
        if steps < 1:
            raise ValueError(f"a run has 1 or more steps; got {steps}")
        self._steps = steps
        self._title, self._evaluated, self._unit = map(visible, (title, evaluated, unit))
        self._begin()
        super().__init__()

    def _begin(self) -> None:
        self.latest: StepReport | None = None
        self.losses: list[tuple[int, float]] = []  # step, bits a token
        self.evaluations: list[tuple[int, float]] = []
        self._shown_at = -math.inf

    def __call__(self, progress: StepReport) -> None:
        """Note a step; draw it, but at most twice a second, or a quick step would wait for the picture."""
        if self.latest and progress.step <= self.latest.step:
            self._begin()  # another run
        value = progress.value  # which may be no number: JSON, which takes it to the page, has no NaN
        if value is not None and math.isfinite(value) and progress.evaluated not in dict(self.evaluations):
            self.evaluations.append((progress.evaluated, value))
        self.losses.append((progress.step, progress.loss / math.log(2)))
        self.latest, self._steps = progress, progress.steps
        if self._ended or time.monotonic() - self._shown_at >= PAUSE:
            self.show()
            self._shown_at = time.monotonic()  # after the drawing: the pause is all the run's

    @property
    def _ended(self) -> bool:
        return self.latest is not None and (self.latest.stopped or self.latest.step == self.latest.steps)

    def curve(self) -> list[tuple[float, float]]:
        """The loss in bits against the step, in at most 150 points: means over as many steps each."""
        every = -(-len(self.losses) // POINTS) or 1
        pieces = [np.mean(self.losses[i : i + every], axis=0) for i in range(0, len(self.losses), every)]
        return [(float(step), float(bits)) for step, bits in pieces]

    def chart(self) -> Chart:
        """The curve as it is now, as a picture that stays in the notebook."""
        figure = Figure(figsize=(7, 3.8), layout="constrained")
        self.picture(figure)
        return Chart(figure, self.describe())

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {"title": self._title, "evaluated": self._evaluated, "unit": self._unit, "span": SPAN}

    def view(self) -> dict:
        latest = self.latest
        return {
            "steps": self._steps,
            "step": latest.step if latest else 0,
            "ended": self._ended,
            "rate": latest.learning_rate if latest else None,
            "speed": latest.tokens_per_second if latest else None,
            "left": latest.seconds_left if latest else None,
            "curve": self.curve(),
            "evaluations": self.evaluations,
        }

    def describe(self) -> str:
        n, steps = (self.latest.step if self.latest else 0), self._steps
        of = plural(steps, "step")
        if not self.latest:
            return f"{self._title}: {of} to train, none done yet."
        times = f"evaluated {plural(len(self.evaluations), 'time')}"
        if self.latest.stopped:
            return f"{self._title}: stopped after step {n:,} of {steps:,}, {times}."
        if self._ended:
            return f"{self._title}: all {of} done, {times}."
        quarters = 4 * n // steps  # so that a screen reader hears of it four times, not twice a second
        return f"{self._title}: training, {25 * quarters} % of {of} done."

    def picture(self, figure: Figure) -> None:
        if not self.losses:  # what stands in the notebook from before the run: a line, for there is no curve
            figure.set_size_inches(7.6, 0.4)
            figure.text(0.01, 0.3, self.describe(), fontsize=10)
            return
        axes = figure.add_subplot(xlabel="step", ylabel="bits")
        axes.set_title(self.describe(), loc="left", fontsize=10, wrap=True)
        axes.set_xlim(0, self._steps)
        axes.spines[["top", "right"]].set_visible(False)
        axes.plot(
            *zip(*self.curve(), strict=True), color="#0072b2", label=f"training loss, bits a {self._unit}"
        )
        if self.evaluations:
            style = {"color": "#e69f00", "marker": "D", "markeredgecolor": "black"}
            axes.plot(*zip(*self.evaluations, strict=True), label=self._evaluated, **style)
        values = [y for _, y in self.curve() + self.evaluations]
        least = min(values)  # bits are not below 0: the axis isn't either
        axes.set_ylim(max(least - 0.05, min(least, 0)), min(max(values), least + SPAN) + 0.05)
        axes.legend(frameon=False)
