"""The base of every widget: its state, one front-end module, one sentence, one picture.

A widget is three things to its readers: a live view (drawn by the `.js` file beside the `.py` file),
a sentence with its numbers (`describe`), and a picture that stays in the notebook when no kernel runs
(`picture`). Screen readers, tests, nbval and `repr` all use the sentence.

The way of a click: JavaScript sends a request (a dict) → `handle` reads it by the declared state, or refuses
it → `compute` finds what follows → `show` puts the state, `view()` and the sentence into the synchronised
trait `shown` → JavaScript draws it. What never changes crosses once, in the trait `fixed`.
"""

import re
import sys
import warnings
from pathlib import Path

import anywidget
import matplotlib
import traitlets
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from course_utils.measuring.plots import picture_html, png
from course_utils.widgets.state import After, Spec, merged
from course_utils.widgets.words import ISOLATES, all_visible, error_in_words, visible

HERE = Path(__file__).parent
KIT = tuple(f"kit/{name}" for name in ("dom", "canvas", "keys", "kernel", "lecture", "frame", "fields"))
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

COMMENT = re.compile(r"/\*.*?\*/\n?|^ *//[^\n]*\n", re.DOTALL | re.MULTILINE)


def _code(path: Path) -> str:
    """A .js or .css file without its comments, which need not cross to every page."""
    return COMMENT.sub("", path.read_text(encoding="utf-8"))


def _beside(module: str, suffix: str) -> str:
    """The code of the file beside a module, of the same name: empty if there is none."""
    module_file = getattr(sys.modules[module], "__file__", None)  # None for a class written in a notebook
    path = Path(module_file).with_suffix(suffix) if module_file else None
    return _code(path) if path and path.exists() else ""


def _make_drawable(figure: Figure) -> None:
    """Make each text visible, for matplotlib fails at a lone surrogate, and draws a box for an isolate."""

    def drawable(text):
        return visible(text).translate(dict.fromkeys(map(ord, ISOLATES)))

    for text in figure.findobj(matplotlib.text.Text):
        text.set_text(drawable(text.get_text()))
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if axis.get_scale() == "log":  # its usual labels are formulas, and no formula is drawn: 1e+08 is text
            axis.set_major_formatter(LogFormatter()), axis.set_minor_formatter(LogFormatter())
        places = axis.get_majorticklocs()  # what stands at them is written when the figure is drawn
        names = list(map(str, axis.get_major_formatter().format_ticks(places)))
        if any(drawable(name) != name for name in names):
            axis.set_ticks(places, [drawable(name) for name in names])


class Widget(anywidget.AnyWidget):
    """Subclass it in a module with a `.js` file of the same name beside it.

    The constructor checks what it is given, keeps it in attributes, and declares the state in its last line:

        super().__init__(order=OneOf([2, 3, 4]), text=Text(200, start="To be"))

    `self.state` has the values now, `self.found` what `compute` found for them. The `.js` file ends in
    `export default { render }`; the files of `kit/` are in its scope. A `.css` file beside it is optional,
    and its rules hold in this widget alone. `scripts` names further `.js` files of this folder that come
    before its own, such as "kit/strip", each with its `.css` if it has one.
    """

    scripts: tuple[str, ...] = ()
    _widget = ""  # the name of the module that has the front end

    fixed = traitlets.Dict().tag(sync=True)
    shown = traitlets.Dict().tag(sync=True)
    lecture = traitlets.List().tag(sync=True)  # the steps that `for_lecture` planned

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # traitlets makes a subclass of each widget's class, on which anywidget has put `_esm` as a trait.
        if "_esm" in cls.__dict__:
            return
        # One ES module made of all files. An import in the browser would need a URL, and there is none
        # that holds in JupyterLab, in VS Code and offline alike.
        if script := _beside(cls.__module__, ".js"):
            before = [_code(HERE / f"{name}.js") for name in KIT + cls.scripts]
            cls._esm = "\n".join([*before, script])
            # Each widget on a page brings the kit's rules once more. Its own lie within its name, so that
            # they hold in it alone, and win over the kit's, whichever copy comes last.
            cls._widget = cls.__module__.rpartition(".")[-1]
            parts = [HERE / f"{name}.css" for name in cls.scripts]
            own = "".join(_code(path) for path in parts if path.exists()) + _beside(cls.__module__, ".css")
            kit = _code(HERE / "kit/kit.css")
            cls._css = f'{kit}.course-widget[data-widget="{cls._widget}"] {{\n{own}}}\n'

    def __init__(self, begin: dict | None = None, /, **specs: Spec | After):
        """specs: what each entry of the state may be. begin: where some of them begin, if not at their start.

        Raises ValueError for a beginning that is not allowed.
        """
        self._specs, self.found = specs, None
        self.state, self._text_notices = merged(specs, {}, begin or {})
        self.found = self.compute(self.state)
        # all that is large crosses in the message that opens the widget
        declared = {name: spec.for_page() for name, spec in specs.items()}
        fixed = self.constants() | {"widget": self._widget, "specs": declared}
        super().__init__(fixed=all_visible(fixed), shown=self._message())
        self.on_msg(self._answer)

    # ---- what a subclass writes ----------------------------------------------------------------
    # A name may be any text. Half a character in it is made visible on its way out of here; blanks, control
    # characters and right-to-left text are the subclass's: `words.signs` in a picture, `words.quoted` in a
    # sentence, the kit's `visible` on the page.

    def compute(self, state: dict):
        """What follows from a state that is allowed. It may still refuse it by a ValueError, whose sentence
        the learner sees, and settle what the specs can't say by changing `state`; it changes nothing else,
        so that a refusal leaves the widget as it was."""
        return None

    def constants(self) -> dict:
        """What JavaScript needs and never changes."""
        return {}

    def view(self) -> dict:
        """What JavaScript needs beside the state: numbers, strings, lists, dicts, and bytes for arrays."""
        return {}

    def notices(self) -> list[str]:
        """What else the learner should know of what was asked, in sentences."""
        return []

    def problem(self) -> str:
        """What is wrong, in a sentence, whatever is asked."""
        return ""

    def describe(self) -> str:
        """One sentence that says with numbers what the widget shows."""
        raise NotImplementedError

    def picture(self, figure: Figure) -> None:
        """Draw on an empty figure what the widget shows, for the reader who has no kernel."""
        raise NotImplementedError

    # ---- what it gets --------------------------------------------------------------------------

    def handle(self, request: dict) -> None:
        """Change the state as asked; what the request does not name stays.

        Raises ValueError for what is not allowed, and then nothing has changed. A widget that hears of
        events, such as a bet that is placed, writes its own and reads the request by `state.complete`.
        """
        state, notices = merged(self._specs, self.state, request)
        found = self.compute(state)
        self.state, self.found, self._text_notices = state, found, self._text_notices | notices

    def for_lecture(self, *steps: dict) -> "Widget":
        """The same widget for a lecture: in large type, and a step at each press of Page Down.

        steps: what each changes beside the one before, by the names of the state, and under "say" what is
        shown with it. The first screen is the widget as it is now. Raises ValueError, with the number of the
        step, for what is not allowed.
        """
        planned = [{"state": self.state, "say": ""}]
        for number, step in enumerate(steps, 1):
            changes = {name: value for name, value in step.items() if name != "say"}
            try:
                state, _ = merged(self._specs, planned[-1]["state"], changes)
                self.compute(state)
                if "step" in changes and state["step"] < changes["step"]:  # a request writes a step at most
                    raise ValueError(
                        f"step is at most {state['step']} of what is written so far; got {changes['step']}: "
                        "let the widget write further, then plan the lecture"
                    )
            except ValueError as error:
                raise ValueError(f"step {number} of the lecture: {error}") from None
            planned.append({"state": state, "say": step.get("say", "")})
        self.lecture = all_visible(planned)
        return self

    def show(self, request_id: str = "", problem: str = "") -> None:
        """Send what is to be seen to every view of this widget."""
        self.shown = self._message(request_id, problem)

    def _message(self, request_id: str = "", problem: str = "") -> dict:
        notices = [notice for some in self._text_notices.values() for notice in some] + self.notices()
        message = {
            "notice": " ".join(notices),
            **self.state,
            **self.view(),
            "sentence": self.describe(),
            "answers": request_id,
            "problem": problem or self.problem(),
        }
        return all_visible(message)

    def _answer(self, _widget, request: dict, _buffers) -> None:
        request_id, problem = "", ""
        if isinstance(request, dict):
            request_id = request.get("id", "")
            request = {name: value for name, value in request.items() if name != "id"}
        try:
            self.handle(request)
        except KeyboardInterrupt:  # the kernel goes on, and so must the view
            problem = "Interrupted before it was done."
        except Exception as error:
            # Any error, not only ValueError: the callables may be a learner's own code, and an answer
            # must go out, or the view would wait for it for ever.
            problem = error_in_words(error)
        self.show(request_id if isinstance(request_id, str) and request_id.isascii() else "", problem)

    def __repr__(self) -> str:
        return visible(self.describe())

    def png(self) -> bytes:
        """The static picture as a PNG file, on white: it must be readable in both themes."""
        figure = Figure(figsize=(7.6, 4.2), dpi=110, layout="constrained", facecolor="white")
        # A dollar sign is text here, no formula; and a missing glyph must not write to stderr.
        with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            self.picture(figure)
            _make_drawable(figure)
            return png(figure)

    def _repr_mimebundle_(self, **_) -> dict:
        sentence = repr(self)
        return {
            "text/plain": sentence,
            "text/html": picture_html(self.png(), sentence, "Run this cell to make it live."),
            WIDGET_VIEW: {"version_major": 2, "version_minor": 1, "model_id": self.model_id},
        }
