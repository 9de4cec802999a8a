"""What a state allows, what it refuses, and in which words."""

import pytest

from course_utils.widgets.state import (
    After,
    Flag,
    List,
    Number,
    OneOf,
    Record,
    Row,
    Some,
    Text,
    Whole,
    complete,
    merged,
)

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("spec", "value", "says"),
    [
        (Number(0, 10), NAN, "x is a number from 0 to 10; got nan"),
        (Number(0, 10), INFINITY, "x is a number from 0 to 10; got inf"),
        (Number(0, 10), 10**400, "x is a number from 0 to 10; got 1000"),
        (Number(0, 10), True, "got True"),
        (Number(0, 10), "3", "got '3'"),
        (Number(0, 10), None, "got None"),
        (Whole(1, 1000), 1e300, "x is a whole number from 1 to 1,000; got 1e+300"),
        (Whole(1, 1000), 2.0, "got 2.0"),
        (OneOf([2, 3]), 4, "x is one of 2, 3; got 4"),
        (OneOf(["a", "b"]), ["a"], "x is one of a, b; got ['a']"),
        (OneOf([0, 1]), True, "x is one of 0, 1; got True"),
        (OneOf([0.05, 1.0]), NAN, "x is one of 0.05, 1; got nan"),
        (OneOf(range(100)), 100, "22, 23 and 76 more; got 100"),
        (Flag(), 1, "x is true or false; got 1"),
        (Text(5), b"abc", "x is a text; got b'abc'"),
        (Some(["a", "b"]), "a", "x is a list of some of a, b; got 'a'"),
        (Some(["a", "b"]), ["a", "c"], "got ['a', 'c']"),
        (List(Whole(0, 9), 2), [1, 2, 3], "at most 2, each a whole number from 0 to 9; got [1, 2, 3]"),
        (List(Whole(0, 9), 2), [1, NAN], "x[1] is a whole number from 0 to 9; got nan"),
        (List(Whole(0, 9), 2, exactly=True), [1], "x is a list of 2, each"),
        (Row(OneOf("ab"), Whole(0, 1)), ["a"], "x is [one of a, b, a whole number from 0 to 1]; got ['a']"),
        (Row(OneOf("ab"), Whole(0, 1)), ["a", 2], "x[1] is a whole number from 0 to 1; got 2"),
        (Record({"how": OneOf("ab")}), {}, "x is a record of how; got {}"),
        (Record({"how": OneOf("ab")}), {"how": "a", "where": 1}, "x is a record of how; got"),
        (Record({"how": OneOf("ab")}), {"how": "c"}, "x.how is one of a, b; got 'c'"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_in_one_sentence(spec, value, says):
    with pytest.raises(ValueError) as refused:
        merged({"x": spec}, {"x": spec.start if hasattr(spec, "start") else None}, {"x": value})
    assert says in str(refused.value) and len(str(refused.value)) < 300


def test_values_are_kept_as_they_were_declared():
    specs = {"k": OneOf([0.5, 1.0]), "some": Some(["a", "b", "c"]), "path": List(Whole(0, 9), 5)}
    state, _ = merged(specs, {}, {"k": 1, "some": ["c", "a", "c"], "path": (1, 2)})
    assert state == {"k": 1.0, "some": ["a", "c"], "path": [1, 2]} and isinstance(state["k"], float)


def test_what_a_request_does_not_name_stays_and_what_is_not_declared_is_refused():
    specs = {"order": OneOf([1, 2, 3], start=2), "n": Whole(1, 9)}
    state, _ = merged(specs, {}, {})
    assert state == {"order": 2, "n": 1}
    assert merged(specs, state, {"n": 5})[0] == {"order": 2, "n": 5} and state["n"] == 1
    for request, says in [
        ({"colour": 1}, "a request may name order, n; got 'colour'"),
        ({"cut": 1}, "got 'cut'"),  # there is no text
        ([1], "a request is a dict of order, n; got [1]"),
    ]:
        with pytest.raises(ValueError) as refused:
            merged(specs, state, request)
        assert says in str(refused.value)


def test_an_event_names_all_that_there_is():
    specs = {"question": Whole(0, 4), "choice": After("question", lambda q: Whole(0, q))}
    assert complete(specs, {"question": 3, "choice": 2})[0] == {"question": 3, "choice": 2}
    with pytest.raises(ValueError, match="the request names question, choice; choice is missing"):
        complete(specs, {"question": 3})
    with pytest.raises(ValueError, match="choice is a whole number from 0 to 1; got 2"):
        complete(specs, {"question": 1, "choice": 2})


def test_what_follows_from_another_entry_begins_anew_with_it():
    def specs(stays):
        end = After("text", lambda text: Whole(0, len(text), start=len(text)), stays=stays)
        return {"text": Text(9, start="to be"), "focus": end}

    state, _ = merged(specs(False), {}, {})
    assert state["focus"] == 5
    state, _ = merged(specs(False), state, {"focus": 1})
    assert merged(specs(False), state, {"text": "to be"})[0]["focus"] == 1  # the same text
    assert merged(specs(False), state, {"text": "not"})[0]["focus"] == 3
    assert merged(specs(True), state, {"text": "not"})[0]["focus"] == 1
    assert merged(specs(True), state, {"text": ""})[0]["focus"] == 0
    with pytest.raises(ValueError, match="focus is a whole number from 0 to 3; got 5"):
        merged(specs(True), state, {"text": "not", "focus": 5})


@pytest.mark.parametrize(
    ("spec", "text", "cut", "kept", "says"),
    [
        (Text(5), "hello", 0, "hello", []),
        (Text(5), "oh hello", 0, "hello", ["Got 8 characters; the last 5 are read."]),
        (Text(5, kept="first"), "hello, you", 0, "hello", ["Got 10 characters; the first 5 are read."]),
        (Text(5), "hello", 1000, "hello", ["Got 1,005 characters; the last 5 are read."]),
        (Text(5, "byte", why=", no"), "né 🦜", 0, " 🦜", ["Got 4 characters; the last 2 are read, no."]),
        (Text(5, "byte", kept="first"), "né 🦜", 0, "né ", ["Got 4 characters; the first 3 are read."]),
    ],
)  # fmt: skip
def test_a_long_text_is_cut_at_a_whole_character_with_a_notice(spec, text, cut, kept, says):
    state, notices = merged({"text": spec}, {}, {"text": text, "cut": cut})
    assert state == {"text": kept} and notices == {"text": says}


def test_half_a_character_is_left_out_with_a_notice():
    state, notices = merged({"text": Text(9)}, {}, {"text": "to \ud83d"})
    assert state == {"text": "to "} and "lone surrogate" in notices["text"][0]
