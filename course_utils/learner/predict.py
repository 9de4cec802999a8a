"""Predict first: 100 chips on the options, scored in bits when the result is known.

The cost of a prediction is -log2 of the share of chips on what came true: the loss on which language models
are trained (I. J. Good, "Rational Decisions", 1952, proposed it for forecasts). Whoever spreads the chips
by the true probabilities pays the least in the long run.
"""

import math
from dataclasses import dataclass
from html import escape
from statistics import fmean
from typing import NamedTuple

from matplotlib.figure import Figure

from course_utils.learner import progress
from course_utils.learner.progress import CHIPS, NO_BET, Snapshot
from course_utils.widgets.base import Widget
from course_utils.widgets.state import List, Whole, complete
from course_utils.widgets.words import plural, visible

HALF_A_CHIP = 0.5  # what 0 chips count as in an average, which infinitely many bits would end for ever


def cost(chips: float) -> float:
    """Bits that a prediction costs with so many of the 100 chips on what came true; infinite for 0."""
    return math.log2(CHIPS / chips) if chips else math.inf


class Bet(NamedTuple):
    """A settled prediction that counts: its bits (half a chip stands in for none), and uniform guessing's."""

    question: str
    result: str
    bits: float
    uniform: float


def scored_bets(snapshot: Snapshot) -> list[Bet]:
    """The settled predictions that count, in the order in which they were placed."""
    bets = snapshot.predictions().values()
    settled = [bet for bet in bets if bet["counts"] and bet["result"] is not None]
    return [
        Bet(
            bet["question"],
            bet["result"],
            cost(max(bet["chips"][bet["result"]], HALF_A_CHIP)),
            math.log2(len(bet["chips"])),
        )
        for bet in sorted(settled, key=lambda bet: bet["placed"])
    ]


def running_average(bets: list[Bet]) -> str:
    """The average over some predictions, beside uniform guessing: a sentence, or "" without any."""
    if not bets:
        return ""
    n, own, uniform = len(bets), fmean(bet.bits for bet in bets), fmean(bet.uniform for bet in bets)
    return (
        f"Your average over {plural(n, 'prediction')}: {own:.2f} bits; uniform guessing: {uniform:.2f} bits."
    )


@dataclass(frozen=True)
class Settled:
    """What a prediction cost; it shows itself as its sentence. `bits` is infinite for 0 chips."""

    bits: float
    uniform: float
    sentence: str

    def __repr__(self) -> str:
        return self.sentence

    def _repr_html_(self) -> str:
        return (
            "<div role='status' style='border-left:4px solid var(--jp-info-color1);padding:8px 12px;"
            "color:var(--jp-ui-font-color1);background:var(--jp-layout-color2)'>"
            f"{escape(visible(self.sentence))}</div>"
        )


def predict(id: str, question: str, options: list[str]) -> "Predict":
    """Ask for a prediction: 100 chips on two or more options. Show it, and settle it in a later cell.

    What was placed under this id stays, however often the cell runs, while the options do.
    Raises ValueError for fewer than two options, two alike, or more than there are chips.
    """
    return Predict(id, question, options)


class Predict(Widget):
    """The chips of one prediction: open, then placed and locked, then settled. See `predict`."""

    scripts = ("../learner/chips",)

    def __init__(self, id: str, question: str, options: list[str]):
        if not 2 <= len(set(options)) == len(options) <= CHIPS:
            raise ValueError(
                f"a prediction needs 2 to {CHIPS} options, no two of them alike; got {list(options)}"
            )
        self.id, self.question, self.options = id, visible(question), list(map(visible, options))
        self._snapshot = progress.current().read()
        super().__init__()

    # ---- what happens to it --------------------------------------------------------------------

    def place(self, chips: list[int]) -> None:
        """Lock the bet: one whole number of chips an option, in their order. What was placed stays.

        Raises ValueError for chips that are not whole, below 0, or don't sum to 100.
        """
        self.handle({"chips": chips})
        self.show()

    def settle(self, option: str) -> Settled:
        """Say what the prediction cost, now that `option` came true, and lock it for good.

        Without a bet the cost is that of uniform guessing, and counts nowhere.
        Raises ValueError for an option that was not offered.
        """
        option = visible(option)
        if option not in self.options:
            raise ValueError(f"the options are {', '.join(map(_name, self.options))}; got {option!r}")
        with progress.current().change() as change:
            change.settle(self.id, self.question, option, self.options)
        self._snapshot = change
        self.show()
        bits = cost(self._bet["chips"][option]) if self._placed else math.log2(len(self.options))
        return Settled(bits, math.log2(len(self.options)), f"{self._verdict()} {change.problem}".strip())

    @property
    def result(self) -> int | None:
        """The number of the option that came true, from 0; None until that is known."""
        result = self._bet["result"]
        return None if result is None else self.options.index(result)

    # ---- what base.Widget asks for -------------------------------------------------------------

    def handle(self, request: dict) -> None:
        spread = List(Whole(0, CHIPS), len(self.options), exactly=True)
        chips = complete({"chips": spread}, request)[0]["chips"]
        if sum(chips) != CHIPS:
            raise ValueError(f"a bet is of {CHIPS} chips, no more, no fewer; got {sum(chips)}")
        with progress.current().change() as change:
            change.place(self.id, self.question, dict(zip(self.options, chips, strict=True)))
        self._snapshot = change

    def problem(self) -> str:
        return self._snapshot.problem

    def constants(self) -> dict:
        return {"question": self.question, "options": self.options}

    def view(self) -> dict:
        bet = self._bet
        return {
            "chips": [bet["chips"][option] for option in self.options]
            if self._placed
            else uniform(len(self.options)),
            "placed": self._placed,
            # the result of a bet that is still open would be told too early
            "result": self.options.index(bet["result"]) if self._placed and bet["result"] is not None else -1,
        }

    def describe(self) -> str:
        asked = f"Prediction: {self.question} {CHIPS} chips, {len(self.options)} options"
        if not self._placed:
            shown = " The result has been shown already, so a bet placed now won't count."
            options = ", ".join(map(_name, self.options))
            return f"{asked} ({options}), no bet placed yet.{shown * (self._bet['result'] is not None)}"
        if self._bet["result"] is not None:
            return self._verdict()
        placed = ", ".join(f"{self._bet['chips'][option]} on {_name(option)}" for option in self.options)
        return f"{asked}; placed: {placed}."

    def picture(self, figure: Figure) -> None:
        view = self.view()
        axes = figure.add_subplot()
        bars = axes.barh(self.options, view["chips"], color="#0072B2")
        if view["result"] >= 0:
            bars[view["result"]].set(facecolor="#E69F00", hatch="//", label="came true")
            axes.legend(frameon=False)
        axes.bar_label(bars, padding=3)
        axes.invert_yaxis()
        axes.set(xlim=(0, CHIPS), xlabel="chips" if view["placed"] else "chips (no bet placed yet)")
        axes.set_title(self.question, loc="left", fontsize=10, wrap=True)
        axes.spines[["top", "right"]].set_visible(False)

    # ---- inside --------------------------------------------------------------------------------

    @property
    def _bet(self) -> dict:
        """What is kept of this prediction, unless the chapter has changed its options since."""
        bet = self._snapshot.prediction(self.id)
        known = bet["chips"] is None or bet["chips"].keys() == set(self.options)
        return bet if known and bet["result"] in (None, *self.options) else NO_BET

    @property
    def _placed(self) -> bool:
        return self._bet["placed"] is not None

    def _verdict(self) -> str:
        bet, k = self._bet, len(self.options)
        outcome = f"{_name(bet['result'])} came true"
        guessing = f"{math.log2(k):.2f} bits"
        if not self._placed:
            return f"{outcome}. No bet was placed, so nothing counts: uniform guessing costs {guessing}."
        chips = bet["chips"][bet["result"]]
        said = f"{outcome}; {chips} of your {CHIPS} chips were on it: "
        if chips:
            said += f"{cost(chips):.2f} bits."
        else:
            said += (
                "infinitely many bits, because you called it impossible "
                f"(an average counts half a chip, {cost(HALF_A_CHIP):.2f} bits)."
            )
        said += f" Uniform guessing: {guessing}."
        if not bet["counts"]:
            return f"{said} You bet after the result was shown, so it doesn't count."
        return f"{said} {running_average(scored_bets(self._snapshot))}"


def uniform(options: int) -> list[int]:
    """100 chips spread as evenly as whole chips can be; the first options get those left over."""
    each, left = divmod(CHIPS, options)
    return [each + (i < left) for i in range(options)]


def _name(option: str) -> str:
    return f"“{option}”"
