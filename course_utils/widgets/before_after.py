"""Before and after: two models answer one prompt, and each says how likely it finds both answers."""

import textwrap
import warnings
from typing import NamedTuple

from matplotlib.figure import Figure

from course_utils.finetuning.answering import END, Answer, Answerer
from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, Number, Text, Whole
from course_utils.widgets.words import phrase, plural, shortened, visible

MOST = 120  # tokens of an answer: each is a node of the page, and a row of its table
MAX_CHARACTERS = 1000  # of a prompt
STOP = 20  # characters of the string that ends an answer
LINES = 14  # of an answer in the picture
CAPTION = "Bits a token, at temperature 1: who finds whose answer likely?"


class BothAnswers(NamedTuple):
    """Two answers as far as they are written, `written` tokens of each or to its end, and how likely each
    model, a row, finds both: bits of each token, or why there are none. `likely` is empty while they are
    being written, for each model has to read the other's answer for it."""

    settings: tuple
    answers: list[Answer]
    notices: list[str]
    written: int = 0
    likely: tuple[list[list[float] | str], ...] = ()

    @property
    def ended(self) -> bool:
        return all(answer.ended and len(answer.ids) <= self.written for answer in self.answers)

    @property
    def n_steps(self) -> int:
        return self.written if self.ended else self.settings[1]


class BeforeAfter(Widget):
    """Ask two models the same: one before its tuning and after it, or any two.

        answerers = {"before": byte_level(WithoutAdapters(model)), "after": byte_level(model)}
        BeforeAfter(answerers, {"an order": "Mara would like 12 pears on Tuesday."}).write()

    answerers: two of `finetuning.answering`, by name. examples: prompts on buttons, {what it is: text}; the
    first is there at the start. length: of an answer at the start, in tokens.

    A request writes one token of each answer at most, so that none is long; the page asks until it has what
    it wants. `write` does so from a cell. Where writing rests, each model reads the other's answer. Bits are
    -log2 p at temperature 1, at whatever temperature the answer was drawn; a stop string and an end are part
    of it. Raises ValueError for another number of models, and for no example.
    """

    scripts = ("kit/steps",)

    def __init__(self, answerers: dict[str, Answerer], examples: dict[str, str], length: int = 40):
        if len(answerers) != 2 or not examples:
            raise ValueError(
                'expected two models, by name, and a prompt at least, such as {"a play": "To be"}; got '
                f"{plural(len(answerers), 'model')} and {plural(len(examples), 'prompt')}"
            )
        self._answerers, self._examples = answerers, examples
        most = min(MOST, *(answerer.context - 1 for answerer in answerers.values()))
        settings = {
            "prompt": Text(MAX_CHARACTERS, start=next(iter(examples.values()))),
            "length": Whole(1, most, start=min(length, most)),
            "temperature": Number(0, 2),
            "seed": Whole(0, 9999),
            "stop": Text(STOP),
        }
        super().__init__(**settings, step=After(*settings, lambda *_: Whole(0, most)))

    def write(self) -> "BeforeAfter":
        """Write both answers to their ends now, so that a chapter's picture has them. Returns the widget."""
        while not self.found.ended:
            self.handle({"step": self.found.n_steps})
        self.show()
        return self

    def compute(self, state: dict) -> BothAnswers:
        *settings, asked = state.values()
        both = self.found
        if both is None or both.settings != tuple(settings):
            both = self._begin(*settings)
        if asked > both.written and not both.ended:
            both = both._replace(written=both.written + 1)
            for answer in both.answers:
                if len(answer.ids) < both.written and not answer.ended:
                    answer.advance()
        step = state["step"] = min(asked, both.written)
        rests = step and (asked == step or both.ended)
        readers = self._answerers.values() if rests else ()
        return both._replace(likely=tuple(self._read(both, reader, step) for reader in readers))

    def _begin(self, *settings) -> BothAnswers:
        answers, notices = [], []
        for name, answerer in self._answerers.items():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                answers.append(answerer.begin(*settings))
            notices += [f"{visible(name)}: {warning.message}." for warning in caught]
        return BothAnswers(settings, answers, notices)

    def _read(self, both: BothAnswers, reader: Answerer, step: int) -> list[list[float] | str]:
        """What one model finds of the first tokens of both answers."""
        found = []
        for answer in both.answers:
            if answer.answerer is reader:
                found.append(answer.bits[:step])
                continue
            try:
                found.append(reader.bits(both.settings[0], reader.reading(answer, step)).tolist())
            except ValueError as error:
                found.append(str(error))
        return found

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        fixed = {"names": list(self._answerers), "examples": self._examples, "end": END}
        return fixed | {"caption": CAPTION, "most_stop": STOP}

    def notices(self) -> list[str]:
        unread = [cell for row in self.found.likely for cell in row if isinstance(cell, str)]
        return self.found.notices + [f"{reason[:1].upper()}{reason[1:]}." for reason in unread]

    def _bits_of_other(self, k: int) -> list[float | None]:
        """Of answer k's tokens, as the other model finds them, if it has the same tokens."""
        answer, written = self.found.answers[k], self.found.written
        one, other = self._answerers.values()
        bits = self.found.likely[1 - k][k] if self.found.likely and one.tokens == other.tokens else []
        shown = len(answer.ids[:written])
        return [*([] if isinstance(bits, str) else bits), *[None] * shown][:shown]

    def view(self) -> dict:
        both = self.found
        answers = []
        for k, answer in enumerate(both.answers):
            pieces = map(answer.answerer.piece, answer.ids[: both.written])
            answers.append(
                {
                    "tokens": [*map(list, zip(pieces, answer.bits, self._bits_of_other(k), strict=False))],
                    "ended": answer.ended if len(answer.ids) <= both.written else "",
                }
            )
        return {
            "n_steps": both.n_steps,
            "written": both.written,
            "both": answers,
            "likely": [
                [None if isinstance(bits, str) else [sum(bits), len(bits)] for bits in row]
                for row in both.likely
            ],
        }

    def describe(self) -> str:
        step, likely = self.state["step"], self.found.likely
        names = [phrase(shortened(name)) for name in self._answerers]
        prompt = phrase(shortened(self.state["prompt"]))
        if not likely:
            return f"{' and '.join(names)} {'are answering' if step else 'have not answered'} {prompt}."
        answers, finds = [], []
        for k, (name, answer) in enumerate(zip(names, self.found.answers, strict=True)):
            n = plural(len(answer.ids[:step]), "token")
            answers.append(f"{name} answers {phrase(shortened(answer.text(step), 100))}, {n}")
            own, other = _a_token(likely[k][k]), _a_token(likely[k][1 - k])
            finds.append(f"{name} finds its own answer {own}, the other's {other}")
        said = f"To {prompt}, at temperature {self.state['temperature']:g}, {', and '.join(answers)}. "
        return f"{said}Bits a token: {'; '.join(finds)}."

    def picture(self, figure: Figure) -> None:
        step, likely = self.state["step"], self.found.likely
        if not likely:
            figure.set_size_inches(7.6, 0.4)
            figure.text(0.01, 0.3, self.describe(), fontsize=10)
            return
        wrapped = [
            [line for part in answer.text(step).split("\n") for line in textwrap.wrap(part, 50) or [""]]
            for answer in self.found.answers
        ]
        height = 2 + min(LINES, max(map(len, wrapped)))
        figure.set_size_inches(7.6, 0.19 * (height + 8))
        above, below = figure.subplots(2, 1, height_ratios=[height, 7])
        for axes in (above, below):
            axes.axis("off")
        names = [textwrap.shorten(visible(name), 40, placeholder=" …") for name in self._answerers]
        prompt = textwrap.shorten(visible(self.state["prompt"]), 100, placeholder=" …")
        above.text(0, 1, prompt, va="top", fontsize=9, color="#555555")
        for x, name, lines in zip((0, 0.52), names, wrapped, strict=True):
            above.text(x, 1 - 1.2 / height, name, va="top", fontsize=9, weight="bold")
            more = ["…"] if len(lines) > LINES else []
            above.text(x, 1 - 2.3 / height, "\n".join(lines[:LINES] + more), va="top", fontsize=9)
        cells = [[_a_token(bits) for bits in row] for row in likely]
        heads = [f"the answer of {name}" for name in names]
        table = below.table(
            cells, rowLabels=names, colLabels=heads, cellLoc="left", colLoc="left", loc="center"
        )
        table.auto_set_font_size(False)
        table.set_fontsize(8)
        below.set_title(CAPTION, fontsize=9, loc="left")


def _a_token(bits: list[float] | str) -> str:
    """The mean, or a dash where there is none."""
    return "–" if isinstance(bits, str) else f"{sum(bits) / len(bits):.2f}"
