"""Plain values as JSON, to cross into a sandbox and back; what comes back is not believed.

JSON knows no tuples, dicts with other keys than strings, sets, or arrays: an object with one key, the kind,
stands for each. Nothing is ever unpickled.
"""

import base64
import math
import re
from collections import Counter

import numpy as np

from course_utils.learner.checks.observing import Outcome
from course_utils.learner.checks.values import MAX_DEPTH, MAX_ITEMS, Foreign, extent

SEQUENCES = {"tuple": tuple, "set": set, "frozenset": frozenset}
NUMBERS = re.compile(r"[<>|=]?[biuf][1248]")
MAX_BITS = 100_000
MAX_CHARACTERS = 1_000_000  # of an array of strings, which gives each the room of the longest
COLLISIONS = 100  # keys of one hash: more are made on purpose, to keep us busy
BROKEN = Foreign("a value that can't be read")


def encode(value):
    """A value as `values.plain` makes it, as JSON has it."""
    kind = type(value)
    if kind is int and value.bit_length() > 63:
        return {"int": hex(value)} if value.bit_length() <= MAX_BITS else encode(Foreign("a huge number"))
    if kind in (type(None), bool, int, float, str):
        return value
    if kind is list:
        return [encode(item) for item in value]
    if kind is dict:
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    if kind is np.ndarray and value.dtype.kind == "U":
        return {"strings": [list(value.shape), value.ravel().tolist()]}
    if kind is np.ndarray:
        value = value.astype(float) if value.dtype.itemsize > 8 else value
        data = base64.b64encode(value.tobytes()).decode()
        return {"array": [value.dtype.str, list(value.shape), data]}
    if kind is bytes:
        return {"bytes": base64.b64encode(value).decode()}
    if kind is Foreign:
        return {"foreign": value.what}
    if value is ...:
        return {"ellipsis": ""}
    return {kind.__name__: [encode(item) for item in value]}


def decode(value):
    """The value that `encode` has encoded, or a `Foreign` where this is none. Never raises."""
    left = MAX_ITEMS

    def read(value, depth):
        nonlocal left
        left -= 1
        if left < 0 or depth > MAX_DEPTH + 1:
            raise ValueError
        if isinstance(value, list):
            return [read(item, depth + 1) for item in value]
        if not isinstance(value, dict):
            return value
        [(kind, content)] = value.items()
        if kind == "dict":
            keys = [read(key, depth + 1) for key, _ in content]
            _check_hashes(keys)
            return dict(zip(keys, (read(item, depth + 1) for _, item in content), strict=True))
        if kind in SEQUENCES:
            items = [read(item, depth + 1) for item in content]
            _check_hashes(items if kind != "tuple" else [])
            return SEQUENCES[kind](items)
        if kind == "array":
            left -= len(content[2]) // 10
            return _array(*content)
        if kind == "strings":
            left -= len(content[1])
            texts = [str(text) for text in content[1]]
            if len(texts) * max(map(len, texts), default=0) > MAX_CHARACTERS:
                raise ValueError
            return np.array(texts, dtype=str).reshape(_shape(content[0]))
        return _scalar(kind, content)

    try:
        return read(value, 0)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, MemoryError):
        return BROKEN


def _scalar(kind: str, content: str):
    if kind == "int" and len(content) < MAX_BITS // 4 + 10:
        return int(content, 16)
    if kind == "bytes":
        return base64.b64decode(content, validate=True)
    if kind == "foreign":
        return Foreign(str(content)[:200])
    if kind == "ellipsis":
        return ...
    raise ValueError


def _shape(shape: list[int]) -> list[int]:
    if not all(type(n) is int and n >= 0 for n in shape) or extent(shape) > MAX_ITEMS:
        raise ValueError
    return shape


def _array(dtype: str, shape: list[int], data: str) -> np.ndarray:
    if not NUMBERS.fullmatch(dtype):
        raise ValueError
    content = base64.b64decode(data, validate=True)
    if len(content) != math.prod(_shape(shape)) * np.dtype(dtype).itemsize:
        raise ValueError
    return np.frombuffer(content, dtype).reshape(shape).copy()


def _check_hashes(keys: list) -> None:
    if keys and max(Counter(map(hash, keys)).values()) > COLLISIONS:
        raise ValueError


def encode_outcome(outcome: Outcome) -> dict:
    """An outcome as JSON has it."""
    return {
        "value": encode(outcome.value),
        "error": outcome.error,
        "line": outcome.line,
        "changed": outcome.changed,
    }


def decode_outcome(message: dict, arguments: int) -> Outcome:
    """The outcome of a call with so many arguments, or a broken one. Never raises."""
    if not isinstance(message, dict):
        return Outcome(BROKEN)
    error, line, changed = message.get("error"), message.get("line"), message.get("changed")
    return Outcome(
        decode(message.get("value")),
        error[:500] if isinstance(error, str) else "",
        line[:500] if isinstance(line, str) else "",
        changed if type(changed) is int and 0 <= changed < arguments else None,
    )
