"""Values cross as they are; what pretends to be one comes out as a value that nothing equals."""

import json
import math

import numpy as np
import pytest

from course_utils.classroom.grading import wire
from course_utils.learner.checks.observing import Outcome
from course_utils.learner.checks.values import Foreign, difference, plain, show

VALUES = [
    *(None, True, 0, -1, 2**63, -(10**30), 0.1, math.inf, -math.inf, math.nan, "", "é\ud800", b"\0\xff", ...),
    *([], [1, [2.5, "x"]], (), (1,), ((), [()]), {}, {"a": 1, ("b", 2): [3]}, {1: "int", "1": "str"}),
    *({1, 2}, frozenset({("a", 1)}), np.zeros((0, 3)), np.array(5), np.arange(6).reshape(2, 3)),
    *(np.array([True, False]), np.array(["a", "béc"]), np.array([1.5, math.nan], "f4"), np.array([1], ">i2")),
]


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_a_value_crosses_as_it_is(value):
    got = wire.decode(json.loads(json.dumps(wire.encode(plain(value)))))
    assert type(got) is type(value) and difference(value, got, tolerance=0.0) is None


def test_long_doubles_become_doubles():
    assert wire.decode(wire.encode(np.ones(2, np.longdouble))).dtype == float


def test_what_is_foreign_stays_so():
    assert wire.decode(wire.encode(plain(object()))) == Foreign("an object of type object")
    assert wire.decode(wire.encode(1 << 10**6)) == Foreign("a huge number")
    assert "too large" in plain(np.zeros((10**9, 0))).what, "it would be a billion lists to show"


HOSTILE = {
    "an unknown kind": {"pickle": "gASVBQ=="},
    "two kinds": {"tuple": [], "list": []},
    "no kind": {},
    "an array of objects": {"array": ["|O", [1], "AAAAAAAAAAA="]},
    "an array that is not there": {"array": ["<f8", [10**12], ""]},
    "a billion rows of nothing": {"array": ["<f8", [10**9, 0], ""]},
    "a billion rows of no strings": {"strings": [[10**9, 0], []]},
    "negative shapes": {"array": ["<f8", [-1, -1], "AAAAAAAAAAA="]},
    "a shape of words": {"array": ["<f8", ["1"], "AAAAAAAAAAA="]},
    "data that are none": {"array": ["<f8", [1], "!!"]},
    "a dict of one": {"dict": [[1]]},
    "a list as a key": {"dict": [[[1], 2]]},
    "a set of sets": {"set": [{"set": []}]},
    "a huge number": {"int": "0x" + "f" * 1_000_000},
    "a number that is none": {"int": "zzz"},
    "bytes that are none": {"bytes": 5},
    "too many items": [0] * 200_000,
    "keys of one hash": {"dict": [[{"int": hex(i * (2**61 - 1))}, 0] for i in range(50_000)]},
    "members of one hash": {"set": [{"tuple": [-1 - (i >> b & 1) for b in range(12)]} for i in range(4096)]},
    "strings that don't fit": {"strings": [[3], ["a"]]},
    "strings that would fill the memory": {"strings": [[1001], [""] * 1000 + ["x" * 1000]]},
    "deeply nested": json.loads("[" * 500 + "]" * 500),
}


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_value_comes_out_broken(value):
    assert wire.decode(value) == wire.BROKEN and show(wire.decode(value))


def test_an_outcome_crosses():
    outcome = Outcome([1], "ValueError: no", "line 3: x", 1)
    assert wire.decode_outcome(json.loads(json.dumps(wire.encode_outcome(outcome))), 2) == outcome


@pytest.mark.parametrize("message", [None, [], {}, {"error": 3, "line": {}, "changed": 7}, {"changed": True}])
def test_a_broken_outcome_is_one_of_no_value(message):
    got = wire.decode_outcome(message, 2)
    assert not got.error and not got.line and got.changed is None
