"""OpenAI's chat completions and the chat page, on loopback.

    POST /v1/chat/completions    an answer, or with "stream": true a server-sent event for each piece of it
    GET  /v1/models              what may be chosen
    GET  /                       the page

A web page of anyone's may ask a server on loopback, so what a browser says of the asking page is looked at:
a Host that is not loopback is DNS rebinding, and an Origin that is not this server is another site. Any key
is accepted: whoever can reach loopback may use the model.
"""

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from http.client import responses
from pathlib import Path

import tornado.web
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets

from course_utils.serving.asking import MAX_BYTES, ChatRequest, Refused, parse
from course_utils.serving.desk import Desk, Finish
from course_utils.serving.offers import Offers

PAGE, KIT = Path(__file__).parent / "page", Path(__file__).parents[1] / "widgets" / "kit"
FILES = {
    "/": (PAGE / "chat.html", "text/html"),
    "/chat.css": (PAGE / "chat.css", "text/css"),
    "/chat.js": (PAGE / "chat.js", "text/javascript"),
    "/kit.css": (KIT / "kit.css", "text/css"),
    "/dom.js": (KIT / "dom.js", "text/javascript"),
    "/fields.js": (KIT / "fields.js", "text/javascript"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
HOSTS = ("127.0.0.1", "localhost", "[::1]")
FINISHED = {"end": "stop", "stop": "stop", "length": "length", "interrupted": "stop"}  # as OpenAI says it


class Handler(tornado.web.RequestHandler):
    """Answers those who may ask, with every error in OpenAI's format."""

    def initialize(self, desk: Desk, port: int) -> None:
        self.desk, self.hosts = desk, {f"{host}:{port}" for host in HOSTS}

    def set_default_headers(self) -> None:
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        if self.request.headers.get("Host", "").lower() not in self.hosts:
            self._forbid(f"this server answers to {', '.join(sorted(self.hosts))} only")

    def _forbid(self, sentence: str) -> None:
        self.refuse(Refused(sentence, code="forbidden", status=403))

    def refuse(self, refused: Refused) -> None:
        self.set_status(refused.status)
        self.finish(refused.body)

    def write_error(self, status_code: int, **_) -> None:
        """What tornado finds wrong itself: an address, a method, a fault of ours."""
        sentence = f"{responses.get(status_code, 'error')}: {self.request.method} {self.request.path}"
        self.finish(Refused(sentence, status=status_code).body)


class Api(Handler):
    """For programs, and for our own page alone among the pages of a browser."""

    def prepare(self) -> None:
        super().prepare()
        headers = self.request.headers
        foreign = headers.get("Origin", "").removeprefix("http://") not in {"", *self.hosts}
        if not self._finished and (foreign or headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")):
            self._forbid("a page of another site may not ask this server")


class Missing(Api):
    """Any other address."""

    def prepare(self) -> None:
        super().prepare()
        if not self._finished:
            raise tornado.web.HTTPError(404)


class File(Handler):
    def get(self) -> None:
        path, kind = FILES[self.request.path]
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.finish(path.read_bytes())


def described(name: str) -> dict:
    return {"id": name, "object": "model", "created": 0, "owned_by": "llm-workbook"}


class Models(Api):
    def get(self, name: str | None = None) -> None:
        names = self.desk.offers.names
        if name is None:
            self.finish({"object": "list", "data": [*map(described, names)]})
        elif name in names:
            self.finish(described(name))
        else:
            self.refuse(Refused(f"there is no model {name[:80]!r}", "model", "model_not_found", 404))


@tornado.web.stream_request_body
class Completions(Api):
    _answering: asyncio.Task | None = None
    _left = False

    def prepare(self) -> None:
        super().prepare()
        self._body = bytearray()
        if not self._finished:
            self.request.connection.set_max_body_size(2**40)  # `data_received` says what is too long

    def data_received(self, chunk: bytes) -> None:
        self._body += chunk[: MAX_BYTES + 1 - len(self._body)]  # what is longer is refused, and not kept

    async def post(self) -> None:
        try:
            if self.request.headers.get("Content-Type", "").split(";")[0].strip() != "application/json":
                sentence = "the request must be JSON: send it with Content-Type: application/json"
                raise Refused(sentence, status=415)
            if len(self._body) > MAX_BYTES:
                raise Refused(f"a request has at most {MAX_BYTES:,} bytes: shorten it", status=413)
            asked = parse(bytes(self._body), self.desk.offers.names)
            self._answering = asyncio.create_task(self._answer(asked))
            await self._answering
        except Refused as refused:
            self.refuse(refused)
        except (StreamClosedError, asyncio.CancelledError):
            if not self._left:
                raise

    def on_connection_close(self) -> None:
        self._left = True
        if self._answering:
            self._answering.cancel()

    async def _answer(self, asked: ChatRequest) -> None:
        self._about = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": asked.model,
        }
        async with aclosing(self.desk.answer(asked)) as pieces:
            await (self._stream(pieces, asked) if asked.stream else self._whole(pieces))

    async def _whole(self, pieces: AsyncIterator[str | Finish]) -> None:
        *texts, finish = [piece async for piece in pieces]
        message = {"role": "assistant", "content": "".join(texts), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISHED[finish.reason]}
        self.finish(self._about | {"object": "chat.completion", "choices": [choice], "usage": usage(finish)})

    async def _stream(self, pieces: AsyncIterator[str | Finish], asked: ChatRequest) -> None:
        started = False
        try:
            async for piece in pieces:
                if not started:  # only now: what is refused before the first token has a status of its own
                    started = True
                    self.set_header("Content-Type", "text/event-stream")
                    await self._chunk({"role": "assistant", "content": ""})
                if isinstance(piece, str):
                    await self._chunk({"content": piece})
                else:
                    await self._chunk({}, FINISHED[piece.reason])
                    if asked.with_usage:
                        await self._event(self._chunk_of(choices=[], usage=usage(piece)))
        except Refused as refused:
            if not started:
                raise
            await self._event(refused.body)
        self.write("data: [DONE]\n\n")
        self.finish()

    async def _chunk(self, delta: dict, finished: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finished}
        await self._event(self._chunk_of(choices=[choice]))

    def _chunk_of(self, **fields) -> dict:
        return self._about | {"object": "chat.completion.chunk"} | fields

    async def _event(self, content: dict) -> None:
        self.write(f"data: {json.dumps(content)}\n\n")
        await self.flush()


def usage(finish: Finish) -> dict:
    both = {"prompt_tokens": finish.read, "completion_tokens": finish.written}
    return both | {"total_tokens": finish.read + finish.written}


def application(desk: Desk, port: int) -> tornado.web.Application:
    shared = {"desk": desk, "port": port}
    routes = [
        (r"/v1/chat/completions", Completions, shared),
        (r"/v1/models", Models, shared),
        (r"/v1/models/(.+)", Models, shared),
        *((re.escape(path), File, shared) for path in FILES),
    ]
    return tornado.web.Application(
        routes, default_handler_class=Missing, default_handler_args=shared, log_function=lambda _: None
    )


async def serve(offers: Offers, port: int, started: Callable[[], object]) -> None:
    """Serve on 127.0.0.1 until cancelled; `started()` is called when clients may come. Raises OSError if the
    port is taken."""
    desk = Desk(offers)
    server = HTTPServer(application(desk, port), max_body_size=MAX_BYTES)
    server.add_sockets(bind_sockets(port, "127.0.0.1"))
    try:
        started()
        await asyncio.Event().wait()
    finally:
        server.stop()
        desk.close()
