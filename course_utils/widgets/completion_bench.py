"""The completion and chat bench: a model writes while you watch, with its key-value cache and without.

A text is written in a thread of its own: the handler that starts it returns at once, so the kernel is free
to hear of the stop button and to run other cells. Between two tokens the thread asks whether to stop.
"""

import atexit
import dataclasses
import textwrap
import threading
from time import perf_counter
from uuid import uuid4

from matplotlib.figure import Figure

from course_utils.generation.writing import (
    ENDED_BY,
    MAX_LENGTH,
    Ending,
    Message,
    Settings,
    Writer,
    Writing,
)
from course_utils.widgets.base import Widget
from course_utils.widgets.state import Flag, Number, OneOf, Text, Whole, complete
from course_utils.widgets.words import error_in_words, phrase, plural, shortened, visible

PAUSE = 0.1  # seconds between two pictures of a text that grows
MAX_CHARACTERS = 8000  # of a prompt
QUOTED = 100  # characters of prompt and text in the sentence
LINES = 12  # of the text in the picture


class CompletionBench(Widget):
    """Choose a writer, give it a prompt or talk with it, and see text, speed and memory while it writes.

        CompletionBench({"own GPT": adapters.byte_level(model), "SmolLM2": adapters.smollm2(other)}, "To be,")

    writers: by name; the first is chosen at the start. prompt: what stands in the field at the start.

    `write` does the same from a cell, so that a chapter begins with a text in the picture. The sentence has
    no times, but it quotes the text, and a sampled text may differ from machine to machine. A text that no
    view of the page shows any more is stopped; where the page is gone, it ends at its length, or with the
    kernel. Raises ValueError for no writers.
    """

    def __init__(self, writers: dict[str, Writer], prompt: str = ""):
        self.run: Writing | None = None  # the last one, maybe not yet ended
        if not writers:
            raise ValueError("a bench has one writer at least; got none")
        self._writers = writers
        self._turn = threading.RLock()  # between the thread that writes and the one that hears the learner
        self._asked = {"writer": next(iter(writers)), "chat": False, "prompt": prompt, "system": ""}
        self._asked |= dataclasses.asdict(Settings())
        self._revision = 0  # grows when what was asked for changes, not when a text grows
        self.messages: list[Message] = []
        # the last of each writer, with the cache and without
        self.runs: dict[tuple[str, bool], Writing] = {}
        super().__init__()

    def handle(self, request: dict) -> None:
        """do: "write", with the arguments of `write` and how many characters of the prompt were `cut`;
        "stop"; or "new" for a new conversation."""
        specs = {"do": OneOf(["write", "stop", "new"])}
        if isinstance(request, dict) and request.get("do") == "write":
            specs |= self._arguments()
        values, notices = complete(specs, request)
        do = values.pop("do")
        if do == "write":
            run = self._prepare(values, notices)
            thread = threading.Thread(target=self._work, args=(run,), name="a text is written", daemon=True)
            WRITING[thread] = run
            thread.start()
        elif do == "stop":
            self.stop()
        else:
            with self._turn:
                self._refuse_while_writing()
                self.messages, self.run = [], None
                self._revision += 1

    def _arguments(self) -> dict:
        """What a request to write names."""
        text = Text(MAX_CHARACTERS)
        return {
            "writer": OneOf(self._writers),
            "chat": Flag(),
            "prompt": text,
            "system": text,
            "temperature": Number(0, 1_000_000),
            "top_p": Number(0, 1),
            "length": Whole(1, MAX_LENGTH),
            "seed": Whole(0, 2**32 - 1),
            "stop": text,
            "cache": Flag(),
        }

    def write(self, prompt: str, writer: str | None = None, chat: bool = False, system="", **settings) -> str:
        """Write now, in this thread, and return the text; Ctrl-C ends it. `settings` are those of `Settings`.

        chat: the prompt is the next message of the conversation, under the message `system` if there is one.
        Raises ValueError for an unknown writer, nothing to go on from, and a run that is going on.
        """
        asked = {"writer": writer or next(iter(self._writers)), "chat": chat, "prompt": prompt}
        asked |= {"system": system} | dataclasses.asdict(Settings(**settings))
        run = self._prepare(*complete(self._arguments(), asked))
        run.by_cell = True
        self._work(run)
        if run.problem:
            raise RuntimeError(run.problem)
        return run.text

    def stop(self) -> None:
        """End what is being written, after the token that is being computed."""
        if self.run:
            self.run.stopped.set()

    def close(self) -> None:
        self.stop()
        super().close()

    # ---- writing -----------------------------------------------------------------------------------

    @property
    def writing(self) -> bool:
        return self.run is not None and self.run.ending is None

    def _refuse_while_writing(self) -> None:
        if self.writing:
            raise ValueError("a text is being written: stop it first, or wait for its end")

    def _prepare(self, asked: dict, notices: dict[str, list[str]]) -> Writing:
        """A run that is ready to begin, with all that can be refused beforehand refused."""
        name, chat, prompt, system = (asked[key] for key in ("writer", "chat", "prompt", "system"))
        writer = self._writers[name]
        settings = Settings(**{field.name: asked[field.name] for field in dataclasses.fields(Settings)})
        if chat and not writer.chats:
            raise ValueError(f"{name} was not trained to chat: let it complete a text")
        if not prompt:
            raise ValueError("there is nothing to go on from: type something first")
        with self._turn:
            self._refuse_while_writing()
            opening = [{"role": "system", "content": system}] if system else []
            conversation = [*opening, *self.messages, {"role": "user", "content": prompt}]
            ids = [int(i) for i in writer.encode(conversation if chat else prompt)]
            told = [notice for some in notices.values() for notice in some]
            if len(ids) > writer.context:
                read = f"the last {writer.context:,} are read, the others left out"
                told.append(f"The prompt has {len(ids):,} tokens: {read}.")
            self.run = Writing(name, settings, prompt, chat, ids[-writer.context :], notice=" ".join(told))
            self._asked = asked
            self._revision += 1
            return self.run

    def _work(self, run: Writing) -> None:
        """Write it, to whatever end."""
        shown_at = 0.0

        def report(text: str | None = None) -> bool:
            nonlocal shown_at
            if text is not None:
                run.note(text)
            if run.latest - shown_at >= PAUSE:
                self.show()
                shown_at = perf_counter()
            return run.stopped.is_set()

        try:
            self.show()
            run.begin()
            ending = self._writers[run.writer].write(run.ids, run.settings, report)
            if not isinstance(ending, Ending):
                raise ValueError(f"a writer returns an Ending; got {ending!r}")
        except KeyboardInterrupt:
            ending = Ending("interrupted")
        except Exception as error:  # the callables may be a learner's own code
            run.problem = error_in_words(error) or type(error).__name__
            ending = Ending("failed")
        with self._turn:
            run.ending = ending
            self.runs[run.writer, run.settings.cache] = run
            if run.chat and not run.problem:
                self.messages += [
                    {"role": "user", "content": run.prompt},
                    {"role": "assistant", "content": run.text},
                ]
            self.show()
        WRITING.pop(threading.current_thread(), None)

    # ---- what is seen ------------------------------------------------------------------------------

    def show(self, request_id: str = "", problem: str = "") -> None:
        with self._turn:
            super().show(request_id, problem)

    def problem(self) -> str:
        return self.run.problem if self.run else ""

    def notices(self) -> list[str]:
        return [self.run.notice] if self.run else []

    def constants(self) -> dict:
        return {
            "bench": uuid4().hex,  # what the views of one bench have in common
            "writers": [{"name": name, "chats": writer.chats} for name, writer in self._writers.items()],
            "most": MAX_LENGTH,
            "kept": MAX_CHARACTERS,
            "head": HEAD,
        }

    def view(self) -> dict:
        run = self.run
        return {
            "asked": self._asked,
            "revision": self._revision,
            "messages": self.messages,
            "writing": self.writing,
            "run": run
            and {
                "writer": run.writer,
                "chat": run.chat,
                "text": run.text,
                "failed": bool(run.problem),
                "by_cell": run.by_cell,
                "tokens": run.tokens,
                "first": run.seconds_to_first,
                "speed": run.tokens_per_second,
                "ended_by": run.ending and ENDED_BY[run.ending.reason],
            },
            "rows": self.rows(),
        }

    def rows(self) -> list[list[str]]:
        """The table of the last run of each kind, under HEAD."""
        rows = []
        for name, writer in self._writers.items():
            for cache in (True, False):
                if (run := self.runs.get((name, cache))) is None:
                    continue
                first, speed = run.seconds_to_first, run.tokens_per_second
                rows.append(
                    [
                        name,
                        "on" if cache else "off",
                        f"{len(run.ids):,}",
                        f"{run.tokens:,}",
                        "–" if first is None else f"{first:.3f} s",
                        "–" if speed is None else f"{speed:.1f}",
                        ENDED_BY[run.ending.reason],
                        _megabytes(writer.weights),
                        _megabytes(run.ending.cached * writer.cache),
                        _megabytes(run.ending.cache_bytes),
                    ]
                )
        return rows

    def _compared(self) -> str:
        """Whether the last writer's text changed with the cache; empty if it wasn't asked the same twice."""
        if not self.run or self.writing:
            return ""
        on, off = (self.runs.get((self.run.writer, cache)) for cache in (True, False))
        if not on or not off or not on.text or not off.text:
            return ""
        if on.ids != off.ids or dataclasses.replace(off.settings, cache=True) != on.settings:
            return ""
        shared = min(len(on.text), len(off.text))
        start = f"With the cache and without it, {self.run.writer} wrote"
        parting = next((i + 1 for i in range(shared) if on.text[i] != off.text[i]), None)
        if parting:
            return f"{start} texts that part at character {parting:,}."
        return f"{start} the same {shared:,} characters."

    def describe(self) -> str:
        run = self.run
        if run is None:
            return f"Completion bench with {', '.join(self._writers)}: nothing is written yet."
        cache = f"with{'' if run.settings.cache else 'out'} the cache"
        prompt, text = (phrase(shortened(one, QUOTED)) for one in (run.prompt, run.text))
        start = f"{visible(run.writer)} {'answers' if run.chat else 'continues'} {prompt}"
        if run.ending is None:
            return f"{start} {cache}: it is writing."
        tokens = plural(run.tokens, "token")
        sentence = f"{start} {cache}: {text}, {tokens}, ended by {ENDED_BY[run.ending.reason]}."
        if run.ending.cached:
            by_formula = _megabytes(run.ending.cached * self._writers[run.writer].cache)
            sentence += (
                f" The cache held {run.ending.cached:,} tokens, {by_formula} by the formula and "
                f"{_megabytes(run.ending.cache_bytes)} in its tensors."
            )
        return " ".join([sentence, self._compared()]).strip()

    def picture(self, figure: Figure) -> None:
        rows = self.rows()
        if not rows:
            figure.set_size_inches(7.6, 0.4)
            figure.text(0.01, 0.3, self.describe(), fontsize=10)
            return
        run = self.run or next(reversed(self.runs.values()))
        text = [line for part in visible(run.text).splitlines() for line in textwrap.wrap(part, 95) or [""]]
        prompt = textwrap.shorten(visible(run.prompt), 95, placeholder=" …")
        heights = [1 + min(len(text), LINES + 1), 1.5 * (1 + len(rows))]
        figure.set_size_inches(7.6, 0.2 * sum(heights) + 0.3)
        above, below = figure.subplots(2, 1, height_ratios=heights)
        for axes in (above, below):
            axes.axis("off")
        more = ["…"] if len(text) > LINES else []
        above.text(0, 1, prompt, va="top", fontsize=9, color="#555555")
        above.text(0, 1 - 1.1 / heights[0], "\n".join(text[:LINES] + more), va="top", fontsize=9)
        rows = [[textwrap.shorten(name, 16, placeholder=" …"), *row] for name, *row in rows]
        table = below.table(rows, colLabels=HEAD, cellLoc="left", colLoc="left", loc="upper left", edges="B")
        table.auto_set_font_size(False)
        table.set_fontsize(6.5)
        table.auto_set_column_width(range(len(HEAD)))


HEAD = [
    "Writer",
    "Cache",
    "Tokens read",
    "Tokens written",
    "First after",
    "Tokens/s",
    "Ended by",
    "Weights",
    "Cache, formula",
    "Cache, tensors",
]


def _megabytes(n: int) -> str:
    """10^6 bytes; three digits, or more before the point."""
    return f"{n / 1e6:,.2f} MB" if n < 1e7 else f"{n / 1e6:,.1f} MB"


WRITING: dict[threading.Thread, Writing] = {}


@atexit.register
def _end_threads() -> None:
    """A thread that still computes while Python shuts down can bring the process down with a crash."""
    for thread, run in list(WRITING.items()):
        run.stopped.set()
        thread.join(timeout=5)
