"""What may be asked of a model, in the JSON of OpenAI's chat completions; all else is refused by name.

Source: OpenAI, API reference, "Create chat completion". What would change the answer and is not to be had
here (tools, several answers, log-probabilities, images) is refused; notes to OpenAI's own service are passed
over.
"""

import json
from dataclasses import dataclass
from typing import NoReturn

from course_utils.sampling import Sampler
from course_utils.tokenizers.chat import Messages

MAX_BYTES = 2_000_000  # of a request
MAX_MESSAGES = 1000
MAX_LENGTH = 1000  # tokens of an answer
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
PASSED_OVER = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
}
USUAL = {
    "n": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logprobs": False,
    "tools": [],
    "logit_bias": {},
}


class Refused(Exception):
    """A request that gets no answer: a sentence, the field to blame, OpenAI's code, the HTTP status."""

    def __init__(self, sentence: str, param: str | None = None, code: str | None = None, status: int = 400):
        super().__init__(sentence)
        self.status = status
        kind = "invalid_request_error" if status < 500 else "server_error"
        self.body = {"error": {"message": sentence, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True)
class ChatRequest:
    """A conversation to answer, and how."""

    model: str
    messages: Messages
    sampler: Sampler
    length: int
    stop: tuple[str, ...]
    seed: int | None
    stream: bool
    with_usage: bool  # at the end of a stream


def parse(body: bytes, names: list[str]) -> ChatRequest:
    """The request in `body`, to one of the models `names`. Raises `Refused`."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        _refuse(None, "the request is not JSON in UTF-8: send an object with model and messages")
    if not isinstance(fields, dict):
        _refuse(None, f"the request must be a JSON object; got {_shown(fields)}")
    fields = {name: value for name, value in fields.items() if value is not None}
    for name, usual in USUAL.items():
        if fields.pop(name, usual) != usual:
            _refuse(name, f"{name} can't be had here: leave it out", "unsupported_parameter")

    def take(name: str, usual, allowed, words: str):
        value = fields.pop(name, usual)
        if not allowed(value):
            _refuse(name, f"{name} must be {words}; got {_shown(value)}")
        return value

    def whole(low: int, high: int):
        return lambda x: x is None or (type(x) is int and low <= x <= high)

    model = take("model", names[0], lambda x: isinstance(x, str), "the name of a model")
    if model not in names:
        sentence = f"there is no model {_shown(model)} here: choose {' or '.join(names)}"
        raise Refused(sentence, "model", "model_not_found", 404)
    messages = _messages(take("messages", None, _is_list, f"a list of 1 to {MAX_MESSAGES:,} messages"))
    temperature = take("temperature", 1, _between(0, 2), "a number from 0 (greedy) to 2")
    top_p = take("top_p", 1, _between(0, 1), "a number from 0 to 1")
    lengths = [
        take(name, None, whole(1, 2**31), "a whole number of at least 1")
        for name in ("max_tokens", "max_completion_tokens")
    ]
    seed = take("seed", None, whole(-(2**63), 2**63 - 1), "a whole number of 64 bits")
    stop = take("stop", [], _is_stop, "a text, or a list of up to 4, none of them empty")
    stream = take("stream", False, _is_flag, "true or false")
    options = take("stream_options", {}, lambda x: isinstance(x, dict), "an object")
    with_usage = options.get("include_usage", False)
    if not _is_flag(with_usage):
        _refuse("stream_options", f"include_usage must be true or false; got {_shown(with_usage)}")
    if unknown := fields.keys() - PASSED_OVER:
        name = min(unknown)
        _refuse(name[:100], f"{_shown(name)} can't be had here: leave it out", "unsupported_parameter")
    return ChatRequest(
        model,
        messages,
        Sampler(temperature=temperature, top_p=top_p),
        min([MAX_LENGTH, *(length for length in lengths if length is not None)]),
        (stop,) if isinstance(stop, str) else tuple(stop),
        seed,
        stream,
        with_usage,
    )


def _messages(given: list) -> Messages:
    messages = []
    for i, message in enumerate(given):
        if not isinstance(message, dict):
            _refuse(f"messages[{i}]", f"a message must be an object; got {_shown(message)}")
        role, content = message.get("role"), message.get("content")
        if not isinstance(role, str) or role not in ROLES:
            _refuse(f"messages[{i}].role", f"role must be one of {', '.join(ROLES)}; got {_shown(role)}")
        if isinstance(content, list):
            content = "".join(_text(part, i) for part in content)
        if not isinstance(content, str):
            _refuse(f"messages[{i}].content", f"content must be a text; got {_shown(content)}")
        try:
            content.encode()
        except UnicodeEncodeError:
            _refuse(f"messages[{i}].content", "content has half a character (a lone surrogate): remove it")
        messages.append({"role": ROLES[role], "content": content})
    return messages


def _text(part: object, i: int) -> str:
    """Of one part of a content."""
    if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
        _refuse(f"messages[{i}].content", f"the parts of a content must be texts; got {_shown(part)}")
    return part["text"]


def _is_list(x: object) -> bool:
    return isinstance(x, list) and 1 <= len(x) <= MAX_MESSAGES


def _is_flag(x: object) -> bool:
    return isinstance(x, bool)


def _is_stop(x: object) -> bool:
    texts = [x] if isinstance(x, str) else x
    return isinstance(texts, list) and len(texts) <= 4 and all(isinstance(t, str) and t for t in texts)


def _between(low: float, high: float):
    return lambda x: type(x) in (int, float) and low <= x <= high  # which NaN is not


def _shown(value: object) -> str:
    """As JSON, cut off."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _refuse(param: str | None, sentence: str, code: str | None = None) -> NoReturn:
    raise Refused(sentence, param, code)
