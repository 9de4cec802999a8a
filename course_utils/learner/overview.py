"""A chapter's old questions and its core path, on one line that folds out."""

from course_utils.learner import checks, progress
from course_utils.learner.core_path import CorePath, Stop, core_path
from course_utils.learner.progress import Snapshot
from course_utils.learner.quiz import Quiz, recalled


def overview(chapter: str) -> "Overview":
    """Three old questions before a chapter, such as "1", its core path, and where to go on.

    An exercise whose solution was read is named too, for it waits in a variant.
    """
    snapshot = progress.current().read()
    return Overview(core_path(chapter, snapshot), snapshot)


class Overview(Quiz):
    """Old questions, none before chapter 0, beside a core path as it stood when this was made."""

    def __init__(self, path: CorePath, snapshot: Snapshot):
        self.path = path
        due = ", ".join(check.variant_of for check in checks.due(snapshot))
        super().__init__(
            f"Three old questions before chapter {path.chapter}",
            recalled(path.chapter, snapshot),
            snapshot,
            f"Exercise {due} waits for you in a variant: asked_again()." if due else "",
        )

    def constants(self) -> dict:
        path, on_path = self.path, len(self.path.exercises)
        state = f"{len(path.done)} of {on_path} exercises, about {path.minutes_left} minutes left."
        return super().constants() | {
            "path": {
                "label": f"Core path of chapter {path.chapter}",
                "state": state if path.stops else path.state,
                "exercises": [link(stop) | {"done": stop.exercise in path.done} for stop in path.exercises],
                "next": link(path.next) if path.next else None,
                "found_last": list(path.found_last),
            }
        }

    def describe(self) -> str:
        return f"{super().describe() if self.asked else self.note} {self.path!r}".strip()

    def _repr_mimebundle_(self, **_) -> dict:
        bundle, path = super()._repr_mimebundle_(), self.path._repr_html_()
        if not self.asked:
            return bundle | {"text/html": path}
        fold = f"<details><summary>{self.title}</summary>{bundle['text/html']}</details>"
        return bundle | {"text/html": path + fold}


def link(stop: Stop) -> dict:
    return {"text": stop.place.heading, "file": stop.place.file, "cell": stop.place.cell_id}
