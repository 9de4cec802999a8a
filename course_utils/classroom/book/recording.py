"""What a chapter's widgets say, kept for pages without a kernel.

This runs in the kernel of the chapter: `start` before its first cell, `write` after its last.
"""

import base64
import json
import time
from collections.abc import Iterator
from html import escape
from itertools import combinations, product
from pathlib import Path

from course_utils.learner.predict import Predict
from course_utils.learner.quiz import Quiz
from course_utils.measuring.plots import picture_html
from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, Flag, Number, OneOf, Some, Spec, Text

MOST_ANSWERS, MOST_BYTES, MOST_SECONDS = 60, 1_500_000, 20.0  # of a widget

shown: list[Widget] = []


def start() -> None:
    """From now on a widget that is displayed leaves its place on the page, and is kept."""
    Widget._repr_mimebundle_ = lambda self, **_: {"text/plain": repr(self), "text/html": place(self)}


def place(widget: Widget) -> str:
    """Where a widget will live: its picture until then, and for ever where no script runs."""
    if isinstance(widget, Quiz):
        return folded(widget)
    if widget not in shown:
        shown.append(widget)
    picture = picture_html(widget.png(), repr(widget))
    return f'<div class="course-live" data-live="{shown.index(widget)}">{picture}</div>'


def folded(quiz: Quiz) -> str:
    """A quiz that needs no script: behind each choice, why."""
    parts = [f"<p><strong>{escape(quiz.title)}.</strong> {escape(quiz.note)}</p>"]
    for question in quiz.asked.values():
        choices = "".join(
            f'<details class="course"><summary>{escape(choice.text)}</summary>'
            f"<p>{'Right.' if choice.right else 'No.'} {escape(choice.why)}</p></details>"
            for choice in question.choices
        )
        parts.append(
            f'<fieldset class="course-quiz"><legend>{escape(question.ask)}</legend>{choices}</fieldset>'
        )
    return "".join(parts)


def write(folder: str) -> None:
    """Write what was recorded: a script for each kind of widget, and one with the states of all."""
    folder, records = Path(folder), []
    for widget in shown:
        kind = type(widget).__module__.rpartition(".")[-1]
        script = folder / f"{kind}.js"
        if not script.exists():
            code, export, _ = widget._esm.rpartition("export default { render }")
            if not export:
                raise ValueError(f"{kind}.js must end in `export default {{ render }};`")
            code += "return { render };"
            script.write_text(
                f"courseBook.kinds[{json.dumps(kind)}] = () => {{\n{code}\n}};\n"
                f"courseBook.styles[{json.dumps(kind)}] = {json.dumps(widget._css)};\n",
                encoding="utf-8",
            )
        record = recorded(widget)
        records.append({"kind": kind, "life": life(record)} | record)
    (folder / "recorded.json").write_text(json.dumps(records), encoding="utf-8")


def recorded(widget: Widget) -> dict:
    """What a page needs of a widget: its traits; answers, as pairs of a request and the traits it changes;
    the fields that are `free`, since the page alone draws what they change; and what came true, of a bet."""
    record = {"traits": sent(widget), "answers": [], "free": []}
    if isinstance(widget, Predict):
        return record | {"came_true": widget.result}
    if type(widget).handle is Widget.handle:  # else it hears of events, to which only Python can answer
        begin = dict(widget.state)
        record["answers"] = answers(widget, begin, record["traits"])
        record["free"] = [name for name in begin if is_free(widget, begin, name)]
        ask(widget, begin)
    return record


def life(record: dict) -> str:
    """What a widget does on a page, in a word."""
    if "came_true" in record or record["free"] == [*record["traits"]["fixed"]["specs"]] != []:
        return "alive"
    return "on examples" if len(record["answers"]) > 1 or record["free"] else "as it was"


def answers(widget: Widget, begin: dict, traits: dict) -> list:
    """Pairs for what a hand finds in a step or two, as far as time and place allow."""
    found, until, size = [], time.monotonic() + MOST_SECONDS, 0
    for changes in steps(widget):
        request = ask(widget, begin | changes)
        if request is None:
            continue
        changed = {name: value for name, value in sent(widget).items() if value != traits[name]}
        found.append([packed(request), changed])
        size += len(json.dumps(changed))
        if time.monotonic() > until or size > MOST_BYTES or len(found) == MOST_ANSWERS:
            break
    return found


def ask(widget: Widget, state: dict) -> dict | None:
    """Ask as the page would, which leaves out what Python is to choose; None if that is refused."""
    request = {name: value for name, value in state.items() if value is not None}
    try:
        widget.handle(request)
    except Exception:  # of a callable of the chapter's own; the page will say that it has no answer
        return None
    widget.show()
    return request


def is_free(widget: Widget, begin: dict, name: str) -> bool:
    """Whether other values of a field leave alone what Python sends for the page to draw."""
    if type(widget).view is Widget.view:
        return True
    views = set()
    for value in [begin[name], *others(widget._specs[name], begin[name])]:
        if ask(widget, begin | {name: value}) is not None:
            views.add(json.dumps(packed(widget.view()), sort_keys=True))
    return len(views) == 1 and others(widget._specs[name], begin[name]) != []


def others(spec: Spec | After, value) -> list:
    """Other values of a field: all of a choice, some of what is written or counted."""
    if isinstance(spec, OneOf):
        return [option for option in spec.options if option != value]
    if isinstance(spec, Flag):
        return [not value]
    if isinstance(spec, Some):
        return [some for some in (spec.options, []) if some != value]
    if isinstance(spec, Number):
        return [spec.low, spec.high]
    if isinstance(spec, Text):
        return ["to be", "or not"]
    return []


def steps(widget: Widget) -> Iterator[dict]:
    """Changes of the state by no field, by one, then by two."""
    choices = {
        name: spec.options if isinstance(spec, OneOf) else [False, True]
        for name, spec in widget._specs.items()
        if isinstance(spec, OneOf | Flag)
    }
    yield {}
    for name, values in choices.items():
        yield from ({name: value} for value in values)
    for one, other in combinations(choices, 2):
        yield from ({one: a, other: b} for a, b in product(choices[one], choices[other]))


def sent(widget: Widget) -> dict:
    """The traits that cross to the page, as JSON holds them."""
    names = [
        name
        for name, trait in widget.traits(sync=True).items()
        if trait.this_class.__module__.startswith("course_utils")
    ]
    return {name: packed(getattr(widget, name)) for name in names}


def packed(value):
    """The same with bytes in base64, under a name that host.js knows."""
    if isinstance(value, bytes | memoryview):
        return {"bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict):
        return {str(name): packed(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [packed(one) for one in value]
    return value
