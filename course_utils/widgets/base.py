"""The base of every widget: one front-end module, one sentence, one picture.

A widget is three things to its readers: a live view (drawn by the `.js` file beside the `.py` file),
a sentence with its numbers (`describe`), and a picture that stays in the notebook when no kernel runs
(`picture`). Screen readers, tests, nbval and `repr` all use the sentence.

The way of a click: JavaScript sends a request (a dict) → `handle(request)` changes the widget → `show()`
puts `view()` and the sentence into the one synchronised trait, `shown` → JavaScript draws it.
"""

import sys
import warnings
from pathlib import Path

import anywidget
import matplotlib
import traitlets
from matplotlib.figure import Figure

from course_utils.measuring.plots import picture_html, png
from course_utils.tokenizers import whole_characters

HERE = Path(__file__).parent
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KEPT = 200  # characters of the context that are kept: far more than any order looks at


def _beside(module: str, suffix: str) -> str:
    """The text of the file beside a module, of the same name: empty if there is none."""
    module_file = getattr(sys.modules[module], "__file__", None)  # None for a class written in a notebook
    path = Path(module_file).with_suffix(suffix) if module_file else None
    return path.read_text(encoding="utf-8") if path and path.exists() else ""


def visible(text: str) -> str:
    """Text that any browser can receive: a byte that is no UTF-8 on its own becomes ‹C3›.

    Python decodes such a byte to a lone surrogate (`errors="surrogateescape"`), which JSON on its way to
    the browser can't carry; the other lone surrogates become ‹D83D› by the same rule.
    """
    return "".join(
        f"‹{ord(c) - 0xDC00 if 0xDC80 <= ord(c) <= 0xDCFF else ord(c):X}›"
        if 0xD800 <= ord(c) <= 0xDFFF
        else c
        for c in text
    )


def text_of(data: bytes) -> str:
    """The bytes of a token as text; a byte that is no whole character becomes ‹C3›."""
    return visible(data.decode("utf-8", "surrogateescape"))


# blanks and control characters, which a reader can't see (and HTML can't hold: NUL becomes �)
SIGNS = {code: f"‹{code:02X}›" for code in [*range(32), 127]} | {
    ord(" "): "·",
    ord("\n"): "⏎",
    ord("\t"): "⇥",
}


def quoted(text: str) -> str:
    """Text for a sentence, in quotes, with a sign for each blank and control character."""
    return f"“{visible(text).translate(SIGNS)}”"


def plural(n: int, noun: str) -> str:
    """1 token, 2,000 tokens."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def readable(context: str, cut: int = 0) -> tuple[str, str]:
    """The context without what no model can read, and a notice of what was left out."""
    notices = []
    if len(context) + cut > KEPT:
        notices.append(
            f"{len(context) + cut:,} characters came; the last {KEPT} are used, and no order looks at more."
        )
        context = context[-KEPT:]
    whole, left_out = whole_characters(context)
    return whole, " ".join(notices + left_out)


def last_bytes(text: str, cut: int, n: int) -> tuple[str, str]:
    """The last n bytes of a text, in whole characters, and a notice of what was left out; `cut` characters
    before the text did not come along."""
    whole, notices = whole_characters(text)
    kept = whole.encode()[-n:].decode(errors="ignore")  # half a character may stand at the start
    if cut or kept != whole:
        came = f"{len(text) + cut:,} characters came"
        notices.insert(0, f"{came}; the last {len(kept)} are read, as if nothing stood before them.")
    return kept, " ".join(notices)


class Widget(anywidget.AnyWidget):
    """Subclass it in a module with a `.js` file of the same name beside it, and write the four methods.

    The `.js` file ends in `export default { render }`; what `base.js` defines is in its scope (`frame`,
    `chooser`, `element`, `visible`, ...). A `.css` file beside it is optional. `scripts` names further `.js`
    files of this folder that come before its own.
    """

    scripts: tuple[str, ...] = ()

    shown = traitlets.Dict().tag(sync=True)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        # traitlets makes a subclass of each widget's class, on which anywidget has put `_esm` as a trait.
        if "_esm" in cls.__dict__:
            return
        # One ES module made of all files. An import in the browser would need a URL, and there is none
        # that holds in JupyterLab, in VS Code and offline alike.
        if script := _beside(cls.__module__, ".js"):
            before = [(HERE / f"{name}.js").read_text(encoding="utf-8") for name in ("base", *cls.scripts)]
            cls._esm = "\n".join([*before, script])
            cls._css = (HERE / "base.css").read_text(encoding="utf-8") + _beside(cls.__module__, ".css")

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.on_msg(self._answer)

    # ---- what a subclass writes ----------------------------------------------------------------

    def describe(self) -> str:
        """One sentence that says with numbers what the widget shows."""
        raise NotImplementedError

    def picture(self, figure: Figure) -> None:
        """Draw on an empty figure what the widget shows, for the reader who has no kernel."""
        raise NotImplementedError

    def view(self) -> dict:
        """What JavaScript needs to draw: numbers, strings, lists, dicts, and bytes for arrays."""
        raise NotImplementedError

    def handle(self, request: dict) -> None:
        """Change the widget as the learner asked. A ValueError's sentence is shown to the learner."""
        raise NotImplementedError

    # ---- what it gets --------------------------------------------------------------------------

    def show(self, request_id: str = "", problem: str = "") -> None:
        """Send what is to be seen to every view of this widget."""
        self.shown = {**self.view(), "sentence": self.describe(), "answers": request_id, "problem": problem}

    def _answer(self, _widget, request: dict, _buffers) -> None:
        problem = ""
        try:
            self.handle(request)
        except Exception as error:
            # Any error, not only ValueError: the callables may be a learner's own code, and an answer
            # must go out, or the view would wait for it for ever.
            problem = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        self.show(request.get("id", ""), visible(problem))

    def __repr__(self) -> str:
        return self.describe()

    def png(self) -> bytes:
        """The static picture as a PNG file, on white: it must be readable in both themes."""
        figure = Figure(figsize=(7.6, 4.2), dpi=110, layout="constrained", facecolor="white")
        # A dollar sign is text here, no formula; and a missing glyph must not write to stderr.
        with matplotlib.rc_context({"text.parse_math": False}), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            self.picture(figure)
            return png(figure)

    def _repr_mimebundle_(self, **_) -> dict:
        sentence = visible(self.describe())
        return {
            "text/plain": sentence,
            "text/html": picture_html(self.png(), sentence, "Run this cell to make it live."),
            WIDGET_VIEW: {"version_major": 2, "version_minor": 1, "model_id": self.model_id},
        }
