"""One call of an answer: what it returned, or how it failed, without harm to the caller."""

import builtins
import contextlib
import copy
import linecache
import os
import re
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from course_utils.learner.checks.values import difference, plain


class Endless(BaseException):
    """A call that was stopped. No Exception, so that an answer's own `except Exception` lets it pass; a bare
    `except:` does catch it."""


@dataclass(frozen=True)
class Outcome:
    """What one call of an answer did: the value that it returned, or how it failed."""

    value: object = None  # plain data
    error: str = ""  # "ValueError: math domain error"
    line: str = ""  # "line 3: counts[gram] += 1"
    changed: int | None = None  # position of an argument that the call changed

    @property
    def endless(self) -> bool:
        return self.error.startswith(f"{__name__}.{Endless.__name__}")

    @property
    def blank(self) -> bool:
        nothing = not self.error and (self.value is None or self.value is ...)
        return nothing or self.error.startswith("NotImplementedError")


def observe(answer: Callable, arguments: tuple, seconds: float | None = None) -> Outcome:
    """Call `answer` on copies of `arguments` and note what it did; what it prints goes nowhere. A call that
    computes for longer than `seconds` is stopped."""
    copies = copy.deepcopy(arguments)
    with _quiet():
        try:
            with _stopped_after(seconds):
                value = plain(answer(*copies))
            left = [*map(plain, copies)]  # plain asks types for their names, which may be the answer's own
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: a check never ends the learner's kernel
            return Outcome(error=_message(error), line=_line(error))
    pairs = enumerate(zip(map(plain, arguments), left, strict=True))
    return Outcome(value, changed=next((i for i, pair in pairs if difference(*pair, tolerance=0.0)), None))


@contextlib.contextmanager
def _stopped_after(seconds: float | None):
    """Stop what computes for longer, by an alarm. Windows has none, and only the main thread gets it; a call
    that waits, and one that never leaves C, go on. What counts is this thread's own time: the machine may be
    busy, and other threads at work."""
    can_stop = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not can_stop:
        yield
        return

    began = time.thread_time()

    def stop(*_):
        if time.thread_time() - began > 0.9 * seconds:  # the alarm counts all threads
            raise Endless(f"it had not come to an end after {seconds:g} seconds of computing")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds / 5)  # the second is until it rings again
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextlib.contextmanager
def _quiet():
    """Silence prints and warnings, and let `input()` and `breakpoint()` fail at once instead of waiting."""

    def refuse(*_, **__):
        raise RuntimeError("input() and breakpoint() can't be used in a check, where nobody answers them")

    waiting = builtins.input, sys.breakpointhook
    builtins.input = sys.breakpointhook = refuse
    try:
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        builtins.input, sys.breakpointhook = waiting


def _message(error: BaseException) -> str:
    """Write type and message in one line, without addresses, which differ from run to run."""
    told = traceback.TracebackException(type(error), error, None, compact=True)
    told.__notes__ = None  # which would be the last lines
    text = " ".join([*told.format_exception_only()][-1].split())
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    return text if len(text) <= 400 else f"{text[:400]} …"


def _line(error: BaseException) -> str:
    """Find the last line of the answer's own file that the error passed through."""
    frames = list(traceback.walk_tb(error.__traceback__))[1:]  # the first frame is `observe`
    if not frames:  # raised by the call itself, such as for a wrong number of parameters
        return ""
    file = frames[0][0].f_code.co_filename
    number = [number for frame, number in frames if frame.f_code.co_filename == file][-1]
    source = linecache.getline(file, number).strip()
    return f"line {number}: {source}" if source else f"line {number}"
