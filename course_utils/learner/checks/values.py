"""Values that cross from an answer to its check: copied as plain data, compared, measured, shown.

An answer may return anything: an object whose `__eq__` is always true, a list that contains itself,
a dict of a million entries. So what it returns is first copied into plain data of exact built-in types
and exact `numpy.ndarray`; whatever has another type becomes `Foreign`. From there on no code of the
answer runs.
"""

import math
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass
from types import FunctionType

import numpy as np

MAX_DEPTH = 20
MAX_ITEMS = 100_000
SCALARS = (bool, int, float, str, bytes, type(None), type(...))
NUMPY_SCALARS = {
    np.dtype(code).type for code in "?" + np.typecodes["AllInteger"] + np.typecodes["Float"] + "U"
}
DICTS = (dict, Counter, OrderedDict, defaultdict)
WORDS = {
    bool: "a bool",
    int: "a whole number (int)",
    float: "a number (float)",
    str: "a string",
    bytes: "bytes",
    type(None): "None",
    type(...): "... (Ellipsis)",
    tuple: "a tuple",
    list: "a list",
    dict: "a dict",
    set: "a set",
    frozenset: "a frozenset",
    np.ndarray: "an array",
}


@dataclass(frozen=True)
class Foreign:
    """Stands for a value that can't be compared: `what` says in words what it was."""

    what: str


class _TooLarge(Exception):
    pass


def plain(value):
    """Copy `value` into plain data.

    NumPy scalars become Python's, `Counter`, `defaultdict` and `OrderedDict` become dicts.
    Anything else that is not a built-in or an exact array of numbers or strings, subclasses included,
    becomes `Foreign`; so does a value nested deeper than 20 or holding more than 100,000 items.
    """
    items = 0

    def copy(value, depth):
        nonlocal items
        kind = type(value)
        items += extent(value.shape) if kind is np.ndarray else 1
        if depth > MAX_DEPTH or items > MAX_ITEMS:
            raise _TooLarge
        if kind in SCALARS:
            return value
        if kind in NUMPY_SCALARS:
            item = value.item()
            return item if type(item) in SCALARS else float(item)  # a long double stays one under .item()
        if kind in DICTS:
            return {copy(key, depth + 1): copy(item, depth + 1) for key, item in dict.items(value)}
        if kind in (list, tuple, set, frozenset):
            return kind([copy(item, depth + 1) for item in value])
        if kind is np.ndarray and value.dtype.kind in "biufU":
            return value.copy()
        if kind is np.ndarray:
            return Foreign(f"an array of dtype {value.dtype}")
        if kind is FunctionType:
            return Foreign(f"the function {value.__name__}")
        return Foreign(f"an object of type {kind.__name__}")

    try:
        return copy(value, 0)
    except _TooLarge:
        return Foreign("a value too large or too deeply nested to compare")


def extent(shape: tuple[int, ...]) -> int:
    """How many items an array has, were no axis empty: as lists, shape (10**9, 0) is a billion of them."""
    return math.prod(n or 1 for n in shape)


def difference(expected, got, tolerance: float = 1e-9) -> str | None:
    """Say where two plain values first differ, or None if they are equal.

    Types and shapes count; an int may stand for a float. Floats are equal within the relative `tolerance`
    (or 1e-12 absolutely), in a set to the last digit; NaN equals NaN, and an infinity equals itself. The
    order in a dict doesn't count.
    """
    if type(expected) is float and type(got) in (int, float):
        return None if _close(expected, got, tolerance) else f"{show(got)} where {show(expected)} is expected"
    if type(expected) is not type(got):
        return f"{what(got)} where {what(expected)} is expected"
    if isinstance(expected, dict):
        if missing := [key for key in expected if key not in got]:
            return f"the key {show(missing[0])} is missing"
        if extra := [key for key in got if key not in expected]:
            return f"the key {show(extra[0])} should not be there"
        pairs = [(key, expected[key], got[key]) for key in expected]
    elif isinstance(expected, list | tuple):
        if len(expected) != len(got):
            return f"{len(got)} items where {len(expected)} are expected"
        pairs = [(i, *pair) for i, pair in enumerate(zip(expected, got, strict=True))]
    elif isinstance(expected, np.ndarray):
        return _array_difference(expected, got, tolerance)
    else:
        return None if expected == got else f"{show(got)} where {show(expected)} is expected"
    for place, one, other in pairs:
        if found := difference(one, other, tolerance):
            return f"at {show(place)}: {found}"
    return None


def _close(expected: float, got: float, tolerance: float) -> bool:
    try:
        got = float(got)
    except OverflowError:  # an int beyond the largest float
        return False
    return math.isclose(expected, got, rel_tol=tolerance, abs_tol=1e-12) or (
        expected != expected and got != got
    )


def _array_difference(expected: np.ndarray, got: np.ndarray, tolerance: float) -> str | None:
    if expected.shape != got.shape:
        return f"shape {got.shape} where {expected.shape} is expected"
    if expected.dtype == got.dtype and expected.tobytes() == got.tobytes():
        return None  # as nearly all are, and np.isclose takes its time
    kinds = {"b": "b", "i": "iu", "u": "iu", "f": "iuf", "U": "U"}
    if got.dtype.kind not in kinds[expected.dtype.kind]:
        return f"an array of dtype {got.dtype} where {expected.dtype} is expected"
    if expected.dtype.kind == "f":
        same = np.isclose(got, expected, rtol=tolerance, atol=1e-12, equal_nan=True)
    else:
        same = got == expected
    if np.all(same):
        return None
    place = tuple(int(i) for i in np.argwhere(~same)[0])
    return f"at {list(place)}: {show(got[place].item())} where {show(expected[place].item())} is expected"


def what(value) -> str:
    """Name the kind of a plain value in words: "a dict", "an object of type generator"."""
    return value.what if isinstance(value, Foreign) else WORDS[type(value)]


def size(value) -> int:
    """Measure a plain value: one for each number, string and container in it."""
    if isinstance(value, dict):
        return 1 + sum(size(key) + size(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 1 + sum(size(item) for item in value)
    return value.size if isinstance(value, np.ndarray) else 1


def show(value, limit: int = 400, digits: int = 6) -> str:
    """Write a plain value as Python would, floats with `digits` digits, cut after `limit` characters."""
    text = _text(value, limit, digits)
    return text if len(text) <= limit else f"{text[:limit]} … (cut; {len(text):,} characters)"


def _text(value, limit: int, digits: int) -> str:
    def several(items) -> str:
        return ", ".join(_text(item, limit, digits) for item in items)

    if isinstance(value, Foreign):
        return f"<{value.what}>"
    if isinstance(value, float):
        text = f"{value + 0.0:.{digits}g}"  # + 0.0 turns -0.0 into 0.0
        return text if any(letter in text for letter in ".en") else text + ".0"
    if isinstance(value, int) and value.bit_length() > 200:
        return f"<a whole number of {value.bit_length():,} bits>"
    if isinstance(value, str | bytes) and len(value) > limit:
        return f"{value[:limit]!r} … ({len(value):,} long)"
    if isinstance(value, np.ndarray):
        return f"array({_text(value.tolist(), limit, digits)})"
    if isinstance(value, dict):
        pairs = (f"{_text(key, limit, digits)}: {_text(item, limit, digits)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return f"[{several(value)}]"
    if isinstance(value, tuple):
        return f"({several(value)}{',' if len(value) == 1 else ''})"
    if isinstance(value, set | frozenset):
        return (
            "{" + ", ".join(sorted(_text(item, limit, digits) for item in value)) + "}" if value else "set()"
        )
    return "..." if value is ... else repr(value)
