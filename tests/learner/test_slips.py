"""Exercises and their slips: what an edit makes, and which are refused when they are loaded."""

import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from course_utils.learner.checks import CHECKS, discover
from course_utils.learner.checks.engine import exercise


def half(x):
    """Return x / 2; not x / 3."""
    return x / 2


def fail(x):
    return 1 / 0


def halved(slips):
    halving = exercise("9.9", "half", dots=1, minutes=1, inputs=lambda generator, case: (case,))(half)
    halving.slips(slips)
    return halving


def test_a_slip_is_an_edit_of_the_reference():
    halving = halved("""
Twice is not half.
    / 2 → * 2
This sentence is
longer, and so is its edit.
    return → y =
    / 2
    → / 2; return y + 1
This one raises.
    → fail
""")
    sentences = ["Twice is not half.", "This sentence is longer, and so is its edit.", "This one raises."]
    assert [mistake.sentence for mistake in halving.mistakes] == sentences
    assert [mistake.answer(4) for mistake in halving.mistakes[:2]] == [8, 3]
    assert halving.mistakes[0].source == inspect.getsource(half).replace("x / 2\n", "x * 2\n")
    assert [halving.run(mistake.answer).sentence for mistake in halving.mistakes] == sentences
    assert halving(4) == 2


@pytest.mark.parametrize(
    ("slips", "why"),
    [
        ("No.\n    / 4 → / 5", "text '/ 4' must stand once below the docstring; it stands there 0 times"),
        ("No.\n    x / 3 → x", "text 'x / 3' must stand once"),  # in the docstring only
        ("No.\n    / 2 → / 3\n    / 2 → / 4", "text '/ 2' must stand once"),  # the first took it away
        ("No.\n    2", "one arrow; got '2'"),
        ("No.\n    1 → 2 → 3", "one arrow; got '1 → 2 → 3'"),
        ("No.", "one edit or more; got 'No.\\\\n'"),
        ("No.\n    → nowhere", "After the arrow of '→ nowhere' must stand a function of"),
        ("No.\n    → CHECKS", "After the arrow of '→ CHECKS' must stand a function of"),
    ],
)
def test_what_is_no_slip_fails_at_load_and_says_why(slips, why):
    with pytest.raises(ValueError, match=f"^Exercise 9.9: .*{why}"):
        halved(slips)


def test_an_ambiguous_slip_fails_at_load():
    def double(x):
        """Return 2x."""
        return x + x

    with pytest.raises(ValueError, match="'x' must stand once below the docstring; it stands there 2 times"):
        exercise("9.9", "twice", dots=1, minutes=1, inputs=None)(double).slips("No.\n    x → 1")


def test_a_reference_says_what_to_write():
    with pytest.raises(ValueError, match=r"Exercise 9\.9: fail has no docstring"):
        exercise("9.9", "fail", dots=1, minutes=1, inputs=None)(fail).slips("No.\n    1 → 2")


def test_a_variant_is_like_its_original_but_for_what_it_says():
    original, again = CHECKS["8.2"], CHECKS["8.2 again"]
    assert (again.variant_of, again.dots, again.minutes) == ("8.2", original.dots, original.minutes)
    assert again.inputs != original.inputs


def test_no_id_is_used_twice(monkeypatch):
    monkeypatch.setattr(
        sys.modules[CHECKS["8.2"].reference.__module__], "more", replace(CHECKS["8.2"]), raising=False
    )
    with pytest.raises(ValueError, match=r"Two exercises have the id '8\.2'"):
        discover()


def test_help_stands_beside_each_exercise():
    files = {Path(inspect.getfile(check.reference)) for check in CHECKS.values()}
    for file in files:
        ids = re.findall("^## (.*)$", file.with_suffix(".md").read_text(encoding="utf-8"), re.MULTILINE)
        there = [check for check in CHECKS.values() if Path(inspect.getfile(check.reference)) == file]
        assert sorted(ids) == sorted(check.id for check in there)
        assert all(CHECKS[id].hint and CHECKS[id].worked_example for id in ids)
