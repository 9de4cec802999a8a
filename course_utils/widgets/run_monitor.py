"""The run monitor: several training runs side by side, from their logs or while they go."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from course_utils.pretraining.pretrain import WINDOW, spikes
from course_utils.training import StepReport
from course_utils.widgets.base import Widget
from course_utils.widgets.state import Flag, OneOf, Some, Whole
from course_utils.widgets.words import phrase, plural, readable, shortened

MOST = 8  # runs: more can't be told apart
POINTS = 2000  # of a run that cross to the page; each is the mean of as many steps as it takes
NOTES = 8  # of a run that are listed
RISEN = 0.5  # nats above its best, after which a run is said to have risen
PAUSE = 0.5  # seconds between two pictures of a run that reports
AXES = ("steps", "tokens", "FLOPs", "seconds")
LOOKS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#b8a800", "#8c8c8c"]
KEYS = ("losses", "evaluations", "seconds", "tokens", "flops", "steps", "stopped", "spikes", "restarts")
KEYS += ("diverged",)


class RunMonitor(Widget):
    """Losses, validation, spikes, speed and time left of at most 8 runs.

        RunMonitor({"laptop": run_log(folder), "mine": vars(run)})   # of what is over
        RunMonitor(lambda: {"laptop": run_log(folder)})              # asked again while somebody looks
        monitor = RunMonitor()                                       # of what goes on in this kernel
        train(model, batches, config, report=monitor.follow("rate 0.3", tokens=16 * 256))

    A log is a dict, of which all but `losses` may be missing: losses, nats a token, one a step (None where
    it is not known); evaluations, rows that begin with the step and end with the bits, and may have the
    seconds between; seconds, tokens and flops so far; steps, as planned; stopped; spikes, of which each has
    a step, a loss and what was usual, else they are looked for (`pretraining.spikes`); restarts, steps with
    which it went on from a checkpoint; diverged, a sentence. Other keys are passed over.

    The sentence of a monitor that watches says nothing that differs from machine to machine; show it again
    after the runs, and its picture stays in the notebook. Raises ValueError for more than 8 runs and for a
    log that is none, and whatever the function raises that is asked for them.
    """

    def __init__(self, runs: dict[str, dict] | Callable[[], dict[str, dict]] | None = None):
        self._runs, self._followed, self._shown_at = runs or {}, {}, -math.inf
        self._live = runs is None or callable(runs)
        super().__init__(
            x=OneOf(AXES),
            smooth=OneOf([1, 10, 30, 100], start=10),
            log=Flag(),
            hidden=Some(range(MOST), start=[]),
            run=Whole(0, MOST - 1),
        )

    # ---- runs that report ------------------------------------------------------------------------------

    def follow(
        self, name: str, tokens: int | None = None, flops: float | None = None
    ) -> Callable[[StepReport], None]:
        """What a run reports to, as `train` wants it. tokens, flops: of a step, if they are known.

        A run that goes on from a checkpoint, or comes to a step that it had, was restarted. Raises ValueError
        for a ninth run, before it trains.
        """
        if len({*map(str, self._followed), *(run["name"] for run in self.found), str(name)}) > MOST:
            raise ValueError(
                f"at most {MOST} runs can be told apart: follow {phrase(name)} in another monitor"
            )
        log = self._followed[name] = {"losses": [], "evaluations": [], "restarts": []}
        begun, before = 0, 0.0  # the steps before those of this process; their seconds, None if unknown

        def report(progress: StepReport) -> None:
            nonlocal begun, before
            losses, step = log["losses"], progress.step
            if step <= len(losses) or progress.began > begun:
                begun = progress.began
                del losses[begun:]
                log["restarts"].append(begun + 1)
                log["evaluations"] = [row for row in log["evaluations"] if row[0] <= begun]
                before = log.get("seconds")
            losses += [*[None] * (step - 1 - len(losses)), progress.loss]
            if progress.value is not None and progress.evaluated not in dict(log["evaluations"]):
                log["evaluations"].append((progress.evaluated, progress.value))
            log.update(steps=progress.steps, stopped=progress.stopped)
            if tokens:
                log["tokens"] = tokens * step
                known, after = (begun, before) if before is not None else (0, 0.0)  # else: all at this speed
                log["seconds"] = after + tokens * (step - known) / progress.tokens_per_second
            if flops:
                log["flops"] = flops * step
            if progress.stopped or step == progress.steps or time.monotonic() - self._shown_at >= PAUSE:
                self.refresh()

        return report

    def diverged(self, name: str, why: Exception | str) -> None:
        """Note that a run that is followed was ended by an error, such as `training.Diverged`."""
        self._followed[name]["diverged"] = str(why)
        self.refresh()

    def refresh(self) -> None:
        """Ask for the logs again, and show them."""
        self.handle({})
        self.show()
        self._shown_at = time.monotonic()  # after the drawing: the pause is all the run's

    # ---- what is found of them -------------------------------------------------------------------------

    def compute(self, state: dict) -> list[dict]:
        if self.found is not None and not self._live:
            return self.found
        logs = {**(self._runs() if callable(self._runs) else self._runs), **self._followed}
        if len(logs) > MOST:
            raise ValueError(f"at most {MOST} runs can be told apart; got {len(logs)}: leave some out")
        return [facts(str(name), log) for name, log in logs.items()]

    # ---- what is seen ----------------------------------------------------------------------------------

    def constants(self) -> dict:
        asked = callable(self._runs)
        return {"looks": LOOKS, "asked": asked, "window": WINDOW, **({} if self._live else self._seen())}

    def view(self) -> dict:
        return self._seen() if self._live else {}

    def _seen(self) -> dict:
        runs = [run | {"curve": run["curve"].astype(np.float32).tobytes()} for run in self.found]
        return {"runs": runs}

    def notices(self) -> list[str]:
        x = self.state["x"]
        without = [phrase(run["name"]) for run in self.found if not run["ends"][x]]
        return [f"Of {', '.join(without)} the {x} are not known, so nothing is drawn."] if without else []

    def describe(self) -> str:
        if not self.found:
            return "No run has begun."
        said = []
        for run in self.found:
            ending = run["ending"].split(":")[0] if self._live else run["ending"]
            ending = f", {ending}" if ending else ""
            numbers = "" if self._live else f", {_numbers(run)}"
            done = run["quarters"] if self._live and not run["over"] else run["done"]
            said.append(f"{phrase(shortened(run['name']))} {done} steps{numbers}{ending}")
        return f"{plural(len(self.found), 'run')}: {'; '.join(said)}."

    def picture(self, figure: Figure) -> None:
        drawn = [i for i in range(len(self.found)) if i not in self.state["hidden"]]
        if not any(len(self.found[i]["curve"]) for i in drawn):
            figure.set_size_inches(7.6, 0.4)
            figure.text(0.01, 0.3, shortened(self.describe(), 120), fontsize=9)
            return
        x, scale = self.state["x"], "log" if self.state["log"] else "linear"
        left = figure.add_subplot(1, 2, 1, xlabel=x, ylabel="loss, nats a token", xscale=scale, yscale=scale)
        right = figure.add_subplot(1, 2, 2, xlabel=x, ylabel="validation, bits", xscale=scale)
        for i in drawn:
            run, look = (
                self.found[i],
                {"color": LOOKS[i], "label": shortened(readable(self.found[i]["name"]), 30)},
            )
            if not run["ends"][x] or not len(run["curve"]):
                continue
            steps = run["every"] * (np.arange(len(run["curve"])) + 0.5) + 0.5
            left.plot(_along(run, x, steps), run["curve"], linewidth=1, **look)
            for step, loss in run["spikes"]:
                left.plot(
                    _along(run, x, np.array([step])), [loss], "^", color=LOOKS[i], markeredgecolor="black"
                )
            if run["evaluations"]:
                at, bits = np.array(run["evaluations"], dtype=float).T
                right.plot(_along(run, x, at), bits, ".-", **look)
        curves = [self.found[i]["curve"] for i in drawn]
        starts = [curve[known][0] for curve in curves if (known := np.isfinite(curve)).any()]
        if starts and left.get_ylim()[1] > 1.15 * max(starts):  # a loss that diverges leaves the picture
            left.set_ylim(top=1.15 * max(starts))
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=3, fontsize=8)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)


def facts(name: str, log: dict) -> dict:
    """What the page draws and says of a log. Raises ValueError for one that is none."""
    needed = f"the log of {phrase(name)} is a dict with losses, as {', '.join(KEYS)}"
    if not isinstance(log, dict) or "losses" not in log:
        raise ValueError(f"{needed}; got {log!r:.80}")
    try:
        return _facts(name, log)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
        raise ValueError(f"{needed}, each as RunMonitor says; this one fails with {error!r:.80}") from None


def _facts(name: str, log: dict) -> dict:
    losses = np.array([math.nan if x is None else x for x in log["losses"]], dtype=float)
    n = len(losses)
    ok = np.flatnonzero(np.isfinite(losses))
    rows = [[*map(float, row)] for row in log.get("evaluations", []) if math.isfinite(row[-1])]
    evaluations = [(int(step), bits) for step, *_, bits in rows]
    found = (
        log["spikes"] if "spikes" in log else [asdict(one) for one in _spikes(tuple(losses[ok]), tuple(ok))]
    )
    ends = {"steps": n} | {x: float(log.get(x.lower()) or 0) for x in AXES[1:]}  # 0 where it is not known
    seconds, planned = ends["seconds"], int(log.get("steps") or n)
    clock = [row[:2] for row in rows if len(row) == 3]
    last = float(losses[ok][-WINDOW:].mean()) if len(ok) else None
    restarts = [*map(int, log.get("restarts", []))]
    ending = _ending(log, losses, ok, last)
    if not ending and n < planned:
        ending = f"stopped after step {n:,}" if log.get("stopped") else ""
    notes = [ending] * bool(ending) + [f"restarted with step {step:,}" for step in restarts]
    notes += [
        f"loss spike at step {s['step']:,}: {s['loss']:.2f} nats, usual before it {s['usual']:.2f}"
        for s in found
    ]
    every = -(-n // POINTS) or 1
    return {
        "name": name,
        "done": f"{n:,} of {planned:,}",
        # a screen reader hears of a run that goes on four times, not twice a second
        "quarters": f"{25 * (4 * n // max(planned, 1))} % of {planned:,}",
        "curve": _means(losses, every),
        "every": every,
        "evaluations": evaluations,
        "ends": ends,
        "clock": [[0, 0], *clock, [n, seconds]] if seconds and n else [],
        "loss": last,
        "speed": ends["tokens"] / seconds if ends["tokens"] and seconds else None,
        "left": seconds / n * (planned - n) if seconds and n and not ending else None,
        "spikes": [[s["step"], s["loss"]] for s in found],
        "restarts": restarts,
        "ending": ending,
        "over": bool(ending) or n >= planned,
        "notes": [*notes[:NOTES], *[f"and {len(notes) - NOTES} more"] * (len(notes) > NOTES)],
    }


def _ending(log: dict, losses: Float[np.ndarray, " steps"], ok: np.ndarray, last: float | None) -> str:
    """How a run went wrong, or nothing."""
    if log.get("diverged"):
        return f"diverged: {log['diverged']}"
    if len(losses) and log["losses"][-1] is not None and not math.isfinite(losses[-1]):
        return f"diverged: the loss of step {len(losses):,} is no number"
    if len(ok) < 3 * WINDOW:
        return ""
    usual = [float(np.median(losses[ok][at : at + WINDOW])) for at in range(0, len(ok) - WINDOW + 1, WINDOW)]
    if last - min(usual) > RISEN:
        return f"its loss rose: {last:.2f} nats over its last {WINDOW} steps, {min(usual):.2f} at its best"
    return ""


@lru_cache(maxsize=2 * MOST)  # a log that has not changed is asked for again and again
def _spikes(losses: tuple[float, ...], at: tuple[int, ...]) -> list:
    """The spikes of those steps whose loss is known; `at` counts from 0."""
    return [type(one)(int(at[one.step - 1]) + 1, one.loss, one.usual) for one in spikes(losses)]


def _means(losses: Float[np.ndarray, " steps"], every: int) -> Float[np.ndarray, " points"]:
    """The mean of each `every` steps; NaN where none is known."""
    known = np.isfinite(losses)
    starts = np.arange(0, len(losses), every)
    if not len(starts):
        return losses
    n = np.add.reduceat(known.astype(float), starts)
    total = np.add.reduceat(np.where(known, losses, 0), starts)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


def _along(run: dict, x: str, steps: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """Where steps stand on an axis. Seconds lie on straight lines between those that are known."""
    if x == "seconds":
        return np.interp(steps, *zip(*run["clock"], strict=True))
    return steps * run["ends"][x] / run["ends"]["steps"]


def _numbers(run: dict) -> str:
    last = "no loss" if run["loss"] is None else f"loss {run['loss']:.2f} nats"
    bits = f", validation {run['evaluations'][-1][1]:.3f} bits" if run["evaluations"] else ""
    return f"{last}{bits}, {plural(len(run['spikes']), 'spike')}"
