"""The core path of a chapter: its sections and exercises, the minutes left, and where to go on.

Nothing of it is kept apart from the chapter: cells tagged "core" are the path. A Markdown cell so tagged says
its section's `minutes` in its metadata; an exercise's answer cell takes them from the exercise's check.
"""

from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from course_utils.learner import chapters
from course_utils.learner.chapters import Place
from course_utils.learner.checks import CHECKS
from course_utils.learner.predict import scored_bets
from course_utils.learner.progress import Snapshot

BOX = (
    "border:1px solid var(--jp-border-color1);border-radius:8px;padding:8px 16px;"
    "color:var(--jp-ui-font-color1);background:var(--jp-layout-color1)"
)


class Stop(NamedTuple):
    """A section, or an exercise, on the core path."""

    place: Place
    minutes: int
    exercise: str = ""


def core_path(chapter: str, snapshot: Snapshot) -> "CorePath":
    """The core path of a chapter, such as "1", as the notebook in the current folder marks it."""
    stops = stops_of(chapter)
    done = {stop.exercise for stop in stops if snapshot.passed(stop.exercise) or snapshot.seen(stop.exercise)}
    return CorePath(chapter, tuple(stops), frozenset(done), tuple(found_last(snapshot)))


def stops_of(chapter: str) -> list[Stop]:
    """The sections and exercises on the core path; none if the chapter isn't in the current folder."""
    found, place, stops = chapters.read(chapter), None, {}
    for cell in found[1] if found else ():
        if cell.kind == "markdown" and (heading := chapters.heading_of(cell.source)):
            place = Place(found[0], cell.id, heading)
        if place is None or "core" not in cell.tags:
            continue
        exercise, minutes = cell.metadata.get("exercise", ""), cell.metadata.get("minutes", 0)
        if exercise in CHECKS:
            minutes = CHECKS[exercise].minutes
        elif exercise:
            continue  # a learner's older copy asks what is no longer asked
        # a learner may have split an answer cell: its first half counts
        stops.setdefault(exercise or cell.id, Stop(place, minutes, exercise))
    return list(stops.values())


def found_last(snapshot: Snapshot) -> list[str]:
    """What the learner found last, a sentence each: a settled prediction, a passed exercise; and what went
    wrong with the progress file."""
    lines = []
    if bets := scored_bets(snapshot):
        question, result, bits, _ = bets[-1]
        lines.append(f"Last prediction: {question} “{result}”, for {bits:.2f} bits.")
    if (passed := snapshot.last_passed()) in CHECKS:
        lines.append(f"Last exercise passed: {passed}, {CHECKS[passed].title}.")
    return [*lines, snapshot.problem] if snapshot.problem else lines


@dataclass(frozen=True)
class CorePath:
    """The core path as it stands; it shows itself on one line that folds out to links, and as a sentence."""

    chapter: str
    stops: tuple[Stop, ...]
    done: frozenset[str]
    found_last: tuple[str, ...]

    @property
    def exercises(self) -> list[Stop]:
        return [stop for stop in self.stops if stop.exercise]

    @property
    def next(self) -> Stop | None:
        """The first open exercise."""
        return next((stop for stop in self.exercises if stop.exercise not in self.done), None)

    @property
    def minutes_left(self) -> int:
        """Minutes of the open exercises, and of the sections after the last exercise that is done."""
        reached = max((i for i, stop in enumerate(self.stops) if stop.exercise in self.done), default=-1)
        return sum(
            stop.minutes
            for i, stop in enumerate(self.stops)
            if (stop.exercise not in self.done if stop.exercise else i > reached)
        )

    @property
    def state(self) -> str:
        """What is done and what is left, in words."""
        if not self.stops:
            return "not marked in this folder's notebooks."
        all_minutes = sum(stop.minutes for stop in self.stops)
        return (
            f"{len(self.done)} of {len(self.exercises)} exercises done, "
            f"about {self.minutes_left} of {all_minutes} minutes left."
        )

    def __repr__(self) -> str:
        going_on = [f"Go on: {self.next.place.heading}."] if self.next else []
        return " ".join([f"Core path of chapter {self.chapter}:", self.state, *going_on, *self.found_last])

    def _repr_html_(self) -> str:
        items = "".join(f"<li style='padding:4px 0'>{self._item(stop)}</li>" for stop in self.exercises)
        going_on = f" <strong>Go on: {_link(self.next)}</strong>" if self.next else ""
        return (
            f"<details style='{BOX}'><summary><strong>Core path of chapter {self.chapter}:</strong> "
            f"{self.state}{going_on}</summary><ul style='list-style:none;padding:0;margin:4px 0'>{items}</ul>"
            f"<p>{'<br>'.join(map(escape, self.found_last))}</p></details>"
        )

    def _item(self, stop: Stop) -> str:
        return f"✓ {_link(stop)}, done" if stop.exercise in self.done else f"○ {_link(stop)}"


def _link(stop: Stop) -> str:
    return f'<a href="{stop.place.link}">{escape(stop.place.heading)}</a>'
