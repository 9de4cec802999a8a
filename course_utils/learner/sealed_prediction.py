"""A sealed prediction: chips on what a run will lose, a seal that holds them, then the run itself."""

import hashlib
import json
import math
from collections.abc import Callable
from itertools import pairwise

from matplotlib.figure import Figure

from course_utils.learner import progress
from course_utils.learner.predict import Predict
from course_utils.widgets.state import Flag, complete


class SealedPrediction(Predict):
    """Chips on ranges of a value, and a button that starts what will give the value: once, and after the bet.

        SealedPrediction("11.sealed", "What will the larger run lose?", [2.0, 2.1, 2.2], run)

    edges: where one range ends and the next begins; the first and the last are open. run: makes the run, and
        returns its value. digits: after the point of an edge; the value is shown with one more. The seal is
        the beginning of the sha256 of id, question, ranges and chips: whoever has written it down can tell
        whether the bet was changed afterwards. Raises ValueError for edges that don't rise or have more
        digits, and as `predict` does.
    """

    def __init__(self, id: str, question: str, edges: list[float], run: Callable[[], float], digits: int = 2):
        edges = list(edges)
        said = [f"{edge:.{digits}f}" for edge in edges]
        self._edges, self._run, self._came, self._digits = [*map(float, said)], run, None, digits
        if not all(map(math.isclose, self._edges, edges)):
            raise ValueError(f"edges have at most {digits} digits after the point; got {edges}")
        if not edges or any(low >= high for low, high in pairwise(self._edges)):
            raise ValueError(f"edges rise from one to the next, and there is one or more; got {edges}")
        between = [f"{low} to {high}" for low, high in pairwise(said)]
        super().__init__(id, question, [f"below {said[0]}", *between, f"{said[-1]} or more"])

    @property
    def seal(self) -> str:
        """The first 16 signs of the sha256 of the bet; "" before it is placed."""
        if not self._placed:
            return ""
        chips = [self._bet["chips"][option] for option in self.options]
        sealed = json.dumps([self.id, self.question, self.options, chips])
        return hashlib.sha256(sealed.encode()).hexdigest()[:16]

    def handle(self, request: dict) -> None:
        """Place the bet, {"chips": [...]}; then make the run and settle, {"run": True}.

        Raises ValueError for a run before its bet, a second run, and a result that is no number: then nothing
        is settled.
        """
        if not isinstance(request, dict) or "run" not in request:
            super().handle(request)
            return
        if not complete({"run": Flag()}, request)[0]["run"]:
            raise ValueError("run is true, or is not asked for; got False")
        if not self._placed:
            raise ValueError("place the bet first: a prediction comes before its run")
        if self._bet["result"] is not None:
            raise ValueError("the run was made and the bet settled: a prediction is put to the test once")
        sealed, came = self.seal, float(self._run())
        if not math.isfinite(came):
            raise ValueError(f"the run gave {came}, no loss: it diverged, and nothing is settled")
        self._snapshot = progress.current().read()  # whose file may have been edited during the run
        if self.seal != sealed:
            raise ValueError(
                f"the seal was {sealed} before the run and is {self.seal} after it: the bet changed"
            )
        self._came = came
        self.settle(self.options[sum(came >= edge for edge in self._edges)])

    def view(self) -> dict:
        came = None if self._came is None else f"{self._came:.{self._digits + 1}f}"
        return super().view() | {"seal": self.seal, "came": came}

    def describe(self) -> str:
        said, view = super().describe(), self.view()
        if not self._placed:
            return said
        came = "" if view["came"] is None else f" The run came to {view['came']}."
        return f"{said} Seal {self.seal}.{came}"

    def picture(self, figure: Figure) -> None:
        super().picture(figure)
        if self._placed:
            figure.axes[0].set_xlabel(f"chips, sealed as {self.seal}")
