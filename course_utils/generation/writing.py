"""What the completion bench is told and keeps: how a text is to be written, by whom, how far it has come."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from course_utils.tokenizers import whole_characters

Message = dict[str, str]  # {"role": "system", "user" or "assistant", "content": a text}
Report = Callable[..., bool]  # see Writer

MOST = 1000  # tokens of a text
ENDED_BY = {
    "end": "an end token",
    "stop": "the stop string",
    "length": "the length asked for",
    "interrupted": "an interruption",
    "failed": "an error",
}


@dataclass(frozen=True)
class Settings:
    """How a text is to be written. Raises ValueError for a value that is not allowed, by name.

    length: the most tokens. stop: a text that ends it and is left out, none if empty. cache: whether keys and
    values are kept from token to token, or computed anew.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    length: int = 60
    seed: int = 0
    stop: str = ""
    cache: bool = True

    def __post_init__(self):
        for name, least, most in [("length", 1, MOST), ("seed", 0, 2**32 - 1)]:
            value = getattr(self, name)
            if not isinstance(value, int) or not least <= value <= most:
                raise ValueError(f"{name} is a whole number from {least} to {most:,}; {value!r} came")
        if not isinstance(self.stop, str) or whole_characters(self.stop)[0] != self.stop:
            raise ValueError(f"stop is a text of whole characters; {self.stop!r} came")
        _ = self.sampler  # refuses its values by name

    @property
    def sampler(self):
        """A `sampling.Sampler`: temperature first, then top-p."""
        from course_utils.sampling import Sampler  # which imports torch

        return Sampler(temperature=self.temperature, top_p=self.top_p)


@dataclass(frozen=True)
class Ending:
    """Why a text ended, one of ENDED_BY, and what its cache held then: `cached` tokens, in tensors of
    `cache_bytes`. Raises ValueError for another reason, and for what is no such number."""

    reason: str
    cached: int = 0
    cache_bytes: int = 0

    def __post_init__(self):
        if self.reason not in ENDED_BY:
            raise ValueError(f"a text is ended by one of {', '.join(ENDED_BY)}; {self.reason!r} came")
        for name in ("cached", "cache_bytes"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} is a whole number from 0 on; {value!r} came")


@dataclass(frozen=True)
class Writer:
    """What writes, as callables and numbers; `course_utils.generation.adapters` makes one of a model.

    encode: the ids of a prompt, a text or, if it `chats`, a list of messages. A ValueError is shown.
    write: `write(ids, settings, report)` goes on from these ids. After each token it calls
        `report(text)` with the text that is new, in whole characters and maybe none; True says: end here.
        While it reads a long prompt it may ask `report()` for the same.
    context: how many ids it reads; a longer prompt is cropped to its end, with notice.
    weights: bytes of all weights. cache: bytes that one token adds to the cache, by the formula.
    """

    encode: Callable[[str | list[Message]], Sequence[int]]
    write: Callable[[list[int], Settings, Report], Ending]
    context: int
    weights: int
    cache: int
    chats: bool = False


@dataclass
class Run:
    """One text: what was asked for, how far it has come, and when."""

    writer: str
    settings: Settings
    prompt: str
    chat: bool
    ids: list[int]
    by_cell: bool = False  # the kernel is busy then, and hears of no stop button
    notice: str = ""
    text: str = ""
    tokens: int = 0
    began: float = 0.0
    first: float = 0.0  # when the first token came, by the same clock
    latest: float = 0.0
    ending: Ending | None = None
    problem: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        self.began = perf_counter()

    def note(self, text: str) -> None:
        """One more token, and the text that came with it."""
        self.latest = perf_counter()
        self.first = self.first or self.latest
        self.text, self.tokens = self.text + text, self.tokens + 1

    @property
    def seconds_to_first(self) -> float | None:
        return self.first - self.began if self.tokens else None

    @property
    def tokens_per_second(self) -> float | None:
        """After the first token, whose time is that of reading the prompt."""
        return (self.tokens - 1) / (self.latest - self.first) if self.tokens > 1 else None
