"""What the completion bench asks of a writer, and what it keeps of a text while it is written."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from course_utils.tokenizers import whole_characters

Message = dict[str, str]  # {"role": "system", "user" or "assistant", "content": a text}
Report = Callable[..., bool]  # see Writer

MAX_LENGTH = 1000  # tokens of a text
ENDED_BY = {
    "end": "an end token",
    "stop": "the stop string",
    "length": "the length asked for",
    "interrupted": "an interruption",
    "failed": "an error",
}


@dataclass(frozen=True)
class Settings:
    """How a text is to be written. Raises ValueError, by name, for a value that is not allowed.

    length: the largest number of tokens. stop: a string that ends the text and is left out, none if empty.
    cache: whether keys and values are kept from token to token, or computed anew.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    length: int = 60
    seed: int = 0
    stop: str = ""
    cache: bool = True

    def __post_init__(self):
        for name, low, high in [("length", 1, MAX_LENGTH), ("seed", 0, 2**32 - 1)]:
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ValueError(f"{name} must be a whole number from {low} to {high:,}; got {value!r}")
        if not isinstance(self.stop, str) or whole_characters(self.stop)[0] != self.stop:
            raise ValueError(f"stop must be a text of whole characters; got {self.stop!r}")
        _ = self.sampler  # which checks the others

    @property
    def sampler(self):
        """A `sampling.Sampler`: temperature first, then top-p."""
        from course_utils.sampling import Sampler  # which imports torch

        return Sampler(temperature=self.temperature, top_p=self.top_p)


@dataclass(frozen=True)
class Ending:
    """Why a text ended, one of ENDED_BY, and what its cache held then: `cached` tokens, in tensors of
    `cache_bytes`. Raises ValueError for another reason, and for numbers that can't be."""

    reason: str
    cached: int = 0
    cache_bytes: int = 0

    def __post_init__(self):
        if self.reason not in ENDED_BY:
            raise ValueError(f"reason must be one of {', '.join(ENDED_BY)}; got {self.reason!r}")
        for name in ("cached", "cache_bytes"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be a whole number of at least 0; got {value!r}")


@dataclass(frozen=True)
class Writer:
    """What writes, as callables and numbers; `course_utils.generation.adapters` makes one of a model.

    encode: the ids of a prompt, which is a text or, if it `chats`, a list of messages. The message of a
        ValueError is shown.
    write: `write(ids, settings, report)` continues these ids. After each token it calls `report(text)`
        with the new text, in whole characters and possibly empty; True means: stop here. While it reads a
        long prompt it may call `report()` to ask the same.
    context: how many ids it reads; a longer prompt is cropped to its end, with a notice.
    weights: bytes of all weights. cache: bytes that one token adds to the cache, by the formula.
    """

    encode: Callable[[str | list[Message]], Sequence[int]]
    write: Callable[[list[int], Settings, Report], Ending]
    context: int
    weights: int
    cache: int
    chats: bool = False


@dataclass
class Writing:
    """One text: what was asked for, what is written so far, and when."""

    writer: str
    settings: Settings
    prompt: str
    chat: bool
    ids: list[int]
    by_cell: bool = False  # the kernel is busy then, and no stop button reaches it
    notice: str = ""
    text: str = ""
    tokens: int = 0
    began: float = 0.0
    first: float = 0.0  # when the first token was written, by the same clock
    latest: float = 0.0
    ending: Ending | None = None
    problem: str = ""
    stopped: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        self.began = perf_counter()

    def note(self, text: str) -> None:
        """Add a token and its text."""
        self.latest = perf_counter()
        self.first = self.first or self.latest
        self.text, self.tokens = self.text + text, self.tokens + 1

    @property
    def seconds_to_first(self) -> float | None:
        return self.first - self.began if self.tokens else None

    @property
    def tokens_per_second(self) -> float | None:
        """After the first token, which takes as long as reading the prompt."""
        return (self.tokens - 1) / (self.latest - self.first) if self.tokens > 1 else None
