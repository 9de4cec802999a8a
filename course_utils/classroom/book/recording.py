"""What a chapter's widgets say, kept for pages without a kernel.

This runs in the kernel of the chapter: `start` before its first cell, `write` after its last.
"""

import base64
import json
import sys
import time
from html import escape
from itertools import chain, combinations, product
from pathlib import Path

from course_utils.classroom.book import tours
from course_utils.learner.overview import Overview
from course_utils.learner.predict import Predict
from course_utils.learner.progress_page import ProgressPage
from course_utils.learner.quiz import Quiz
from course_utils.learner.shannon_game import ShannonGame
from course_utils.measuring.plots import picture_html
from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, Number, Text

MOST_ANSWERS, MOST_SENTENCES, MOST_ROUNDS = 400, 500, 6  # of a widget
MOST_BYTES, MOST_SECONDS = 1_500_000, 60.0  # of the processor: a busy machine records as many answers
ALIVE, EXAMPLES, PICTURE = "alive", "on examples", "picture only"
STAYS = "A picture: this one computes in Python. Open the chapter in JupyterLab to use it."
NO_PROGRESS = (
    "In JupyterLab your own progress stands here: exercises, quizzes, predictions, and the scoreboard."
)

shown: list[Widget] = []


def start() -> None:
    """From now on a widget that is displayed leaves its place on the page, and is kept."""
    for kind in (Widget, Overview):
        kind._repr_mimebundle_ = lambda self, **_: {"text/plain": repr(self), "text/html": place(self)}
    ProgressPage._repr_html_ = lambda self: f"<p>{NO_PROGRESS}</p>"  # the one here is of this run


def place(widget: Widget) -> str:
    """Where a widget will live: its picture until then, and for ever where no script runs."""
    if isinstance(widget, Overview):
        return path_of(widget) + (fold(escape(widget.title), folded(widget)) if widget.asked else "")
    if isinstance(widget, Quiz):
        return f"<p><strong>{escape(widget.title)}.</strong></p>{folded(widget)}"
    if widget not in shown:
        shown.append(widget)
    stays = type(widget).handle is not Widget.handle and not isinstance(widget, Predict | ShannonGame)
    picture = picture_html(widget.png(), repr(widget), STAYS if stays else "")
    return f'<div class="course-live" data-live="{shown.index(widget)}">{picture}</div>'


def path_of(overview: Overview) -> str:
    """The exercises of a chapter's core path: what a reader has done is not known here."""
    path = overview.path
    links = "".join(
        f'<li><a href="{escape(stop.place.file)}#cell-id={escape(stop.place.cell_id)}">'
        f"{escape(stop.place.heading)}</a></li>"
        for stop in path.exercises
    )
    about = f"Core path of chapter {path.chapter}: about {path.minutes_left} minutes"
    return fold(f"<strong>{about}</strong>", f"<ul>{links}</ul>")


def folded(quiz: Quiz) -> str:
    """Questions that need no script: behind each choice, why; that of the right one begins with "Right."."""
    asked = ""
    for question in quiz.asked.values():
        choices = "".join(
            fold(escape(choice.text), f"<p>{'' if choice.right else 'No. '}{escape(choice.why)}</p>")
            for choice in question.choices
        )
        asked += f'<fieldset class="course-quiz"><legend>{escape(question.ask)}</legend>{choices}</fieldset>'
    return asked


def fold(summary: str, html: str) -> str:
    return f'<details class="course"><summary>{summary}</summary>{html}</details>'


def write(path: str) -> None:
    """Write what was recorded of each widget, in the order of their places, and the names of the course's
    modules that the chapter loaded."""
    loaded = sorted(name for name in sys.modules if name.partition(".")[0] == "course_utils")
    Path(path).write_text(json.dumps([[recorded(widget) for widget in shown], loaded]), encoding="utf-8")


def recorded(widget: Widget) -> dict:
    """What a page needs of a widget: which it is, how it lives there, and, unless it stays a picture, its
    traits and who answers for it: a bet, the game, or examples."""
    kind = widget._widget
    module = next(of.__module__ for of in type(widget).__mro__ if of.__module__.endswith(f".{kind}"))
    fixed = packed(widget.fixed | tours.BESIDE.get(kind, lambda _: {})(widget))
    record = {"kind": kind, "module": module, "traits": {"fixed": fixed} | sent(widget)}
    if isinstance(widget, Predict):
        return record | {"life": ALIVE, "id": widget.id, "came_true": widget.result}
    if isinstance(widget, ShannonGame):
        return record | {"life": ALIVE, "rounds": rounds(widget)}
    if type(widget).handle is not Widget.handle:  # it hears of events, to which only Python can answer
        return {"kind": kind, "life": PICTURE}
    begin, refined = dict(widget.state), tours.REFINED.get(kind, {})
    free = [name for name in begin if is_free(widget, begin, name, refined)]
    record |= {"free": free, "refined": refined, "after": after(widget)}
    record["answers"] = answers(widget, begin, free, record["traits"])
    record["sentences"] = sentences(widget, begin, free)
    record["offers"] = offers(widget, record["answers"])
    ask(widget, begin)
    return record | {"life": ALIVE if len(free) == len(begin) else EXAMPLES}


def after(widget: Widget) -> dict[str, list[str]]:
    """The entries that Python may choose, and those from which they follow."""
    return {name: list(spec.names) for name, spec in widget._specs.items() if isinstance(spec, After)}


def answers(widget: Widget, begin: dict, free: list[str], traits: dict) -> list:
    """Pairs of a request and of what its answer changes beside the one before, while time and place last."""
    found, until, size, before = [], time.thread_time() + MOST_SECONDS, 0, traits
    for changes in tours.tour(widget, begin, free):
        request = ask(widget, begin | untied(widget, changes))
        if request is not None:
            now = sent(widget)
            found.append(
                [request, {name: news(before, now, name) for name in now if now[name] != before[name]}]
            )
            before, size = now, size + len(json.dumps(found[-1]))
        if time.thread_time() > until or size > MOST_BYTES or len(found) == MOST_ANSWERS:
            break
    return found


def untied(widget: Widget, changes: dict) -> dict:
    """These changes, with what follows from them left for Python to choose."""
    tied = {name: None for name, others in after(widget).items() if any(other in changes for other in others)}
    return tied | changes


def news(before: dict, now: dict, trait: str):
    """What is new in a trait: all of it, but of `shown`, which keeps its entries, those that changed."""
    if trait != "shown":
        return now[trait]
    return {name: value for name, value in now[trait].items() if before[trait].get(name, ()) != value}


def offers(widget: Widget, answers: list) -> dict:
    """The texts that a page can answer, {"name", "texts"}, of a widget that has none on its buttons."""
    names = [name for name, spec in widget._specs.items() if isinstance(spec, Text)]
    texts = list(dict.fromkeys(request[names[0]] for request, _ in answers)) if names else []
    has_its_own = {"examples", "prompts", "sentences"} & widget.fixed.keys()
    return {"name": names[0], "texts": texts} if len(texts) > 1 and not has_its_own else {}


def sentences(widget: Widget, begin: dict, free: list[str]) -> list:
    """Pairs of changes among what is free, and the sentence that says them."""
    found, until = [], time.thread_time() + MOST_SECONDS / 4
    choices = {name: tours.all_of(tours.spec_of(widget, name)) for name in free}
    one = ({name: value} for name, values in choices.items() for value in values)
    two = ({a: x, b: y} for a, b in combinations(choices, 2) for x, y in product(choices[a], choices[b]))
    for changes in chain(one, two):
        if ask(widget, begin | changes) is not None:
            found.append([changes, widget.shown["sentence"]])
        if time.thread_time() > until or len(found) == MOST_SENTENCES:
            break
    return found


def ask(widget: Widget, state: dict) -> dict | None:
    """Ask as the page would, which leaves out what Python is to choose, and asks on while more is written.

    Returns the request, or None if it is refused.
    """
    request, before = {name: value for name, value in state.items() if value is not None}, -1
    try:
        while True:
            widget.handle(request)
            widget.show()
            written = widget.shown.get("written", -1)  # most widgets write nothing, and are asked once
            if written <= before:
                return request
            before = written
    except Exception:  # of a callable of the chapter's own; the page will say that it has no answer
        return None


def is_free(widget: Widget, begin: dict, name: str, refined: dict) -> bool:
    """Whether other values of an entry leave alone what Python sends for the page to draw."""
    spec = tours.spec_of(widget, name)
    if type(widget).view is Widget.view or name in tours.FIXED.get(widget._widget, lambda _: [])(widget):
        return True
    if len(tours.all_of(spec)) == 1:
        return True
    if any(name in others for others in after(widget).values()):  # what follows may only come later
        return False
    steps = {one: tours.spec_of(widget, one) for one in ("step", "steps") if one in widget._specs}
    later = {one: counted.high for one, counted in steps.items() if isinstance(counted, Number)}
    asked = []
    for state in (begin, begin | later) if name not in later else (begin,):
        ask(widget, state)
        first, values = drawn(widget, refined), tours.others(spec, state[name])
        asked += [ask(widget, state | {name: value}) and drawn(widget, refined) == first for value in values]
    ask(widget, begin)
    return True in asked and False not in asked


def drawn(widget: Widget, refined: dict) -> dict:
    """What Python sends for the page to draw, beside the state and words."""
    traits = sent(widget)
    words = {*widget.state, *refined, "sentence", "notice", "answers", "problem"}
    return traits | {"shown": {name: value for name, value in traits["shown"].items() if name not in words}}


def rounds(game: ShannonGame) -> dict[str, list[dict]]:
    """What the game shows of the first passages of each text, before any guess."""
    found = {}
    for text in game.fixed["texts"]:
        played = {"text": text, "passage": "", "ranks": [], "wrong": "", "shown": 0, "known": False}
        ask(game, played | {"go": text})
        found[text] = []
        while game.shown["passage"] and len(found[text]) < MOST_ROUNDS:
            found[text].append(packed(game.shown))
            ask(game, played | {"passage": game.shown["passage"]["key"], "known": True, "go": "next"})
    return found


def sent(widget: Widget) -> dict:
    """The traits that cross to the page and may change, as JSON holds them."""
    return {
        name: packed(getattr(widget, name))
        for name, trait in widget.traits(sync=True).items()
        if trait.this_class.__module__.startswith("course_utils") and name != "fixed" and name[0] != "_"
    }


def packed(value):
    """The same with bytes in base64, under a name that host.js knows."""
    if isinstance(value, bytes | memoryview):
        return {"bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict):
        return {str(name): packed(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [packed(one) for one in value]
    return value
