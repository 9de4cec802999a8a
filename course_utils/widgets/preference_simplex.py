"""The simplex of preferences: three answers, what people prefer, and where each method takes a policy."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from course_utils.finetuning import simplex
from course_utils.widgets.base import Widget
from course_utils.widgets.state import Number, OneOf, Some, Whole
from course_utils.widgets.words import percent, plural, quoted, signed, signs

STEPS, SIZE = 400, 8  # of a path, and answers of a group
FURTHEST = 3.0  # of a reward from 0
BETAS = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3]
PAIRS = [1, 3, 10, 30, 100, 300, "endless"]
CORNERS = np.array([[0, 87], [100, 87], [50, 0]])  # of the triangle, in a box of 100 x 87
REWARDS = "first", "second", "third"  # entries of the state
LOOKS = {  # a colour, a mark and the same mark in matplotlib
    "DPO": ("#0072b2", "●", "o"),
    "GRPO": ("#d55e00", "■", "s"),
    "GRPO, undivided": ("#009e73", "▲", "^"),
    "undivided, exact KL": ("#cc79a7", "◆", "D"),
}


class Found(NamedTuple):
    optimum: np.ndarray
    paths: dict[str, Float[np.ndarray, "steps+1 3"]]


class PreferenceSimplex(Widget):
    """A policy over three answers is a point of a triangle; each corner is one answer for certain.

        PreferenceSimplex(["helpful", "short", "rude"], rewards=[1, 0, -1])

    reference: from where all methods start. rewards: at the start, from -3 to 3. The star is the policy of
    the largest E[r] - beta KL(policy || reference); DPO, and the group-relative policy gradient in groups of
    8 in three forms, go so many steps of exact gradients: see `course_utils.finetuning.simplex`. "pairs" is
    on how many choices DPO learns, always the same for the same rewards. methods: which are ticked at first.

    Raises ValueError unless there are three names and a reference above 0 that adds up to 1.
    """

    def __init__(
        self,
        names: Sequence[str],
        rewards: Sequence[float] = (1.0, 0.0, -1.0),
        reference: Sequence[float] = (0.2, 0.3, 0.5),
        beta: float = 0.5,
        methods: Sequence[str] = tuple(LOOKS),
    ):
        self._names, self._reference = list(names), np.array(reference, dtype=float)
        if len(self._names) != 3 or len(rewards) != 3 or self._reference.shape != (3,):
            raise ValueError("expected three names, three rewards and three probabilities of the reference")
        if not self._reference.min() > 0 or abs(self._reference.sum() - 1) > 1e-6:
            raise ValueError(
                f"expected a reference of probabilities above 0 that add up to 1; got {self._reference}: an "
                "answer that the reference never gives is never found"
            )
        draws = np.random.default_rng(0)
        self._asked = draws.permuted(np.tile([0, 1, 2], (PAIRS[-2], 1)), axis=1)[:, :2]
        self._draws = draws.random(PAIRS[-2], dtype=np.float32)
        each = [Number(-FURTHEST, FURTHEST, start=reward) for reward in rewards]
        super().__init__(
            step=Whole(0, STEPS, start=STEPS),
            **dict(zip(REWARDS, each, strict=True)),
            beta=OneOf(BETAS, start=beta),
            pairs=OneOf(PAIRS, start="endless"),
            methods=Some(LOOKS, start=methods),
        )

    def constants(self) -> dict:
        return {
            "names": self._names,
            "reference": self._reference.tolist(),
            "asked": self._asked.tolist(),
            "draws": self._draws.tobytes(),
            "looks": {name: look[:2] for name, look in LOOKS.items()},
            "corners": CORNERS.tolist(),
            "size": SIZE,
        }

    def compute(self, state: dict) -> Found:
        rewards, beta = np.array([state[name] for name in REWARDS]), state["beta"]
        n = state["pairs"]
        wins = (
            simplex.expected_wins(rewards)
            if n == "endless"
            else simplex.drawn_wins(rewards, self._asked[:n], self._draws[:n])
        )
        given = self._reference, rewards, beta, STEPS, SIZE
        paths = {
            "DPO": lambda: simplex.dpo_path(self._reference, wins, beta, STEPS),
            "GRPO": lambda: simplex.group_path(*given),
            "GRPO, undivided": lambda: simplex.group_path(*given, divide=False),
            "undivided, exact KL": lambda: simplex.group_path(*given, divide=False, exact_kl=True),
        }
        return Found(
            simplex.optimum(self._reference, rewards, beta),
            {name: paths[name]() for name in state["methods"]},
        )

    # ---- what is seen ------------------------------------------------------------------------------

    def describe(self) -> str:
        state, step = self.state, self.state["step"]
        rewards = ", ".join(
            f"{quoted(name)} {signed(state[entry], 1)}"
            for name, entry in zip(self._names, REWARDS, strict=True)
        )
        n = "endless pairs" if state["pairs"] == "endless" else plural(state["pairs"], "pair")
        ends = [
            f"{name}{f' on {n}' if name == 'DPO' else ''} at {shares(path[step])}"
            for name, path in self.found.paths.items()
        ]
        after = f"; after {plural(step, 'step')} {', '.join(ends)}" if ends else ""
        best = shares(self.found.optimum)
        return f"With rewards {rewards} and beta {state['beta']:g} the optimum is {best}{after}."

    def picture(self, figure: Figure) -> None:
        axes, step = figure.add_subplot(aspect="equal"), self.state["step"]
        axes.fill(*CORNERS.T, facecolor="none", edgecolor="0.6")
        for name, corner, below in zip(self._names, CORNERS, (True, True, False), strict=True):
            axes.annotate(
                signs(name)[:24], corner, (0, -12 if below else 6), textcoords="offset points", ha="center"
            )
        for name, path in self.found.paths.items():
            colour, _, mark = LOOKS[name]
            points = path[: step + 1] @ CORNERS
            axes.plot(*points.T, color=colour)
            axes.plot(*points[-1], mark, color=colour, label=f"{name}: {shares(path[step])}")
        axes.plot(*self._reference @ CORNERS, "o", color="black", markerfacecolor="white", label="reference")
        best = self.found.optimum
        axes.plot(*best @ CORNERS, "*", color="black", markersize=12, label=f"optimum: {shares(best)}")
        axes.invert_yaxis()
        axes.set_axis_off()
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0.8, 1))


def shares(policy: np.ndarray) -> str:
    return " / ".join(percent(float(p)) for p in policy)
