"""Those who wait for an answer, and their turns: a few are written at once, a token of each in turn."""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import torch

from course_utils.data.assets import AssetError
from course_utils.generation import generate
from course_utils.serving.asking import ChatRequest, Refused
from course_utils.serving.offers import ChatModel, Offers

AT_ONCE = 4  # answers, each with a cache
WAITING = 28


@dataclass(frozen=True)
class Finish:
    """How an answer ended, as in `generation.Completion`, and the tokens of conversation and answer."""

    reason: str
    read: int
    written: int


class Turns:
    """A lock that goes to whoever has waited longest."""

    def __init__(self):
        self._guard, self._waiting, self._taken = threading.Lock(), deque(), False

    @contextmanager
    def turn(self):
        self._take()
        try:
            yield
        finally:
            self._give()

    def pass_on(self) -> None:
        """Let all who wait have a turn, then go on."""
        self._give()
        self._take()

    def _take(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            self._waiting.append(mine := threading.Event())
        mine.wait()

    def _give(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


class Desk:
    """Answers for many clients: AT_ONCE are written, WAITING may wait in the order in which they came, and
    who comes then is refused. So the memory for caches and conversations has a bound."""

    def __init__(self, offers: Offers):
        self.offers = offers
        self._turns, self._inside = Turns(), 0
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="an answer")
        self._closed = threading.Event()

    async def answer(self, asked: ChatRequest) -> AsyncIterator[str | Finish]:
        """Pieces of an answer while it is written, then its `Finish`. Closing the iterator ends the answer.

        Raises `Refused` if too many wait, for a conversation that is too long, and for a model that can't be
        loaded.
        """
        if self._inside >= AT_ONCE + WAITING:
            raise Refused(f"{self._inside} answers are asked for already: try again later", status=429)
        loop, news, left = asyncio.get_running_loop(), asyncio.Queue(), threading.Event()

        def in_loop(function: Callable, *arguments) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server has stopped
                loop.call_soon_threadsafe(function, *arguments)

        self._inside += 1
        work = self._threads.submit(self._write, asked, partial(in_loop, news.put_nowait), left)
        work.add_done_callback(lambda _: in_loop(self._leave))
        try:
            while True:
                piece = await news.get()
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                if isinstance(piece, Finish):
                    return
        finally:
            left.set()
            work.cancel()  # if it still waits

    def _leave(self) -> None:
        self._inside -= 1

    def close(self) -> None:
        """End all answers."""
        self._closed.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _write(self, asked: ChatRequest, tell: Callable, left: threading.Event) -> None:
        """In a thread of its own."""
        try:
            chat = self._loaded(asked.model)
            ids = self._laid_out(asked, chat)
            with self._turns.turn():
                tell(self._written(asked, chat, ids, tell, left))
        except (ValueError, ArithmeticError, RuntimeError, MemoryError) as error:  # such as logits of NaN
            tell(Refused(f"{asked.model} can't answer: {error}", status=500))
        except Exception as error:
            tell(error)

    def _laid_out(self, asked: ChatRequest, chat: ChatModel) -> list[int]:
        ids = chat.encode(asked.messages)
        if not 0 < len(ids) < chat.context:
            raise Refused(
                f"the conversation has {len(ids):,} tokens and {asked.model} reads 1 to "
                f"{chat.context - 1:,}: shorten it, or leave out what was said first",
                "messages",
                "context_length_exceeded",
            )
        return ids

    def _written(
        self, asked: ChatRequest, chat: ChatModel, ids: list[int], tell: Callable, left: threading.Event
    ) -> Finish:
        def should_stop() -> bool:
            self._turns.pass_on()
            return left.is_set() or self._closed.is_set()

        def report(_row: int, _id: int, text: str) -> bool:
            if text:
                tell(text)
            return left.is_set()

        generator = torch.Generator()
        generator.seed() if asked.seed is None else generator.manual_seed(asked.seed)
        completion = generate(
            chat.model,
            [ids],
            asked.length,
            sampler=asked.sampler,
            generator=generator,
            end_ids=chat.end_ids,
            decode=chat.decode,
            stop=asked.stop,
            report=report,
            should_stop=should_stop,
        )[0]
        return Finish(completion.reason, len(ids), len(completion.ids))

    def _loaded(self, name: str) -> ChatModel:
        try:
            return self.offers.load(name)
        except (AssetError, ValueError, OSError, MemoryError) as error:
            raise Refused(f"{name} can't be loaded: {error}", "model", status=503) from error
