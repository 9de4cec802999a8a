"""Mutation tests of every check, and what the engine must survive."""

import ast
import builtins
import inspect
import math
import os
import re
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from difflib import unified_diff
from functools import partial
from html import unescape
from itertools import combinations
from pathlib import Path

import nbformat
import numpy as np
import pytest

from course_utils.classroom.release import strip_solutions
from course_utils.learner import progress
from course_utils.learner.checks import CHECKS, asked_again, check, engine, help_me, yours
from course_utils.learner.checks.observing import observe
from course_utils.learner.checks.slips import source_of
from course_utils.learner.checks.values import difference, plain, show
from course_utils.learner.checks.verdict import Verdict, markdown_to_html

EVERY = pytest.mark.parametrize("exercise", CHECKS.values(), ids=CHECKS)
COUNTS = CHECKS["1.1"]
# what holds for the engine is tested with a dict, a number, and a tuple of arrays
ENGINE = pytest.mark.parametrize("exercise", [CHECKS[id] for id in ("1.1", "1.3", "8.2")], ids=lambda c: c.id)


@pytest.fixture(autouse=True)
def fresh_progress(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_WORK", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "_opened", {})


# Every check, by mutation


@EVERY
def test_reference_passes(exercise):
    assert exercise.run(exercise.reference).status == "passed"


@EVERY
def test_solution_shown_passes(exercise):
    namespace = {}
    exec(exercise.solution, namespace)
    assert exercise.run(namespace[exercise.reference.__name__]).status == "passed"


@EVERY
@pytest.mark.parametrize("returned", [NotImplementedError, None, ...], ids=str)
def test_blank_stub_is_not_yet_done(exercise, returned):
    def stub(*arguments):
        if returned is NotImplementedError:
            raise NotImplementedError
        return returned

    verdict = exercise.run(stub)
    assert verdict.status == "not yet"
    assert ("end it with `return`" in verdict.sentence) == (returned is None)


def told(exercise, mistake):
    """A known wrong answer as a failure tells of it: its sentence, and the lines that it edits."""
    sources = [source_of(answer).splitlines() for answer in (exercise.reference, mistake.answer)]
    edited = [line for line in unified_diff(*sources, n=0, lineterm="") if re.match(r"[-+] ", line)]
    return "\n".join([f"{exercise.id}, {mistake.sentence}", *edited, ""])


@EVERY
def test_each_mistake_earns_its_own_sentence(exercise):
    for mistake in exercise.mistakes:
        verdict = exercise.run(mistake.answer)
        earned = verdict.status == "mistake" and verdict.sentence == mistake.sentence
        assert earned, f"expected {told(exercise, mistake)}got {verdict}"


@EVERY
def test_no_two_mistakes_agree(exercise):
    outcomes = [[observe(mistake.answer, case) for case in exercise.cases()] for mistake in exercise.mistakes]
    for (one, ones), (other, others) in combinations(zip(exercise.mistakes, outcomes, strict=True), 2):
        apart = not all(map(exercise.agree, ones, others))
        assert apart, f"agree on all inputs: {told(exercise, one)}and {told(exercise, other)}"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no alarm")
def test_a_call_that_never_ends_is_stopped(monkeypatch):
    monkeypatch.setattr(engine, "SECONDS", 0.1)
    before = signal.getsignal(signal.SIGVTALRM)

    def endless(ids, starts, lengths, mask):
        while True:
            try:
                ids.append(mask)
                ids.pop()
            except Exception:
                continue

    verdict = CHECKS["7.2"].run(endless)
    assert (verdict.status, verdict.sentence) == ("mistake", engine.ENDLESS)
    assert [name for name, _ in verdict.facts] == ["Input", "Where it was"]
    assert signal.getsignal(signal.SIGVTALRM) == before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0)


# Right on most inputs, and on all that the cases once had; no sentence is theirs.
NEARLY_RIGHT = {
    "2.3": lambda right, logits, targets: right([np.minimum(batch, 700) for batch in logits], targets),
    "6.4": lambda right, logits, labels: right(np.minimum(logits, 700), labels),
    "8.1": lambda right, logits, *rest: right(np.minimum(logits, 700), *rest),
    "8.3": lambda right, n, context: [(0, 0, context), *right(n, context)[1:]],  # a first window is full
    "9.2": lambda right, probs, p: right(probs, 0.0 if p == 1 else p),  # no sum is over 1: argmax gives 0
    "9.4": lambda right, drafted, *rest: right(np.squeeze(drafted), *rest),  # one draft loses its axis
    "9.5": lambda right, scores, log_p: right(np.squeeze(scores), log_p),
}


@pytest.mark.parametrize("exercise", NEARLY_RIGHT)
def test_what_is_nearly_right_fails(exercise):
    verdict = CHECKS[exercise].run(partial(NEARLY_RIGHT[exercise], CHECKS[exercise].reference))
    assert verdict.status in ("wrong", "error")


@EVERY
def test_a_variant_knows_the_solution_of_the_first_version(exercise):
    if exercise.variant_of:
        verdict = exercise.run(CHECKS[exercise.variant_of].reference)
        assert verdict.sentence.startswith("That answers the first version: ")
    else:
        assert f"{exercise.id} again" in CHECKS


@EVERY
@pytest.mark.parametrize("factor", [1 + 1e-6, 1 - 1e-6])
def test_slightly_wrong_numbers_fail_without_a_guess(exercise, factor):
    def scale(value):
        if isinstance(value, dict):
            return {key: scale(item) for key, item in value.items()}
        return type(value)(map(scale, value)) if isinstance(value, list | tuple) else value * factor

    verdict = exercise.run(lambda *arguments: scale(exercise.reference(*arguments)))
    assert verdict.status == "wrong" and not verdict.sentence


@ENGINE
@pytest.mark.parametrize(
    "error", [ValueError("a\nb"), SystemExit(0), RecursionError(), GeneratorExit()], ids=repr
)
def test_an_answer_that_raises_is_told_of(exercise, error):
    def answer(*arguments):
        raise error

    verdict = exercise.run(answer)
    assert verdict.status == "error"
    assert ("Where", "line") in [(label, text.split()[0]) for label, text in verdict.facts]
    assert "raise error" in repr(verdict) and type(error).__name__ in repr(verdict)


@ENGINE
def test_noise_does_not_flunk(exercise, capfd):
    def answer(*arguments):
        print("so far")
        print("a bar", file=sys.stderr)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        np.log(np.zeros(1))
        return exercise.reference(*arguments)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert exercise.run(answer).status == "passed"
    assert capfd.readouterr() == ("", "")


@EVERY
def test_changed_arguments_are_noticed(exercise):
    def spoil(argument):
        if isinstance(argument, list):
            argument.append("spoilt")
        elif isinstance(argument, dict):
            argument.clear()
        elif isinstance(argument, np.ndarray):
            argument[...] = argument == 0
        return isinstance(argument, list | dict | np.ndarray)

    def answer(*arguments):
        value = exercise.reference(*arguments)
        for argument in arguments:
            spoil(argument)
        return value

    changeable = any([spoil(argument) for argument in exercise.cases()[-1]])
    verdict = exercise.run(answer)
    assert verdict.status == ("mistake" if changeable else "passed")
    assert ("changes its argument" in verdict.sentence) == changeable
    assert exercise.run(exercise.reference).status == "passed"  # the cases themselves are as they were


class AlwaysEqual:
    def __eq__(self, other):
        return True

    __hash__ = object.__hash__


class EqualDict(dict):
    __eq__ = AlwaysEqual.__eq__


class EqualFloat(float):
    __eq__ = AlwaysEqual.__eq__


class EqualInt(int):
    __eq__ = AlwaysEqual.__eq__


class EqualArray(np.ndarray):
    def __array_function__(self, *_, **__):
        return True

    def __eq__(self, other):
        return True


@ENGINE
def test_objects_with_their_own_equality_fail(exercise):
    def disguise(value):
        kinds = {dict: EqualDict, float: EqualFloat, int: EqualInt}
        if type(value) in kinds:
            return kinds[type(value)](value)
        return value.view(EqualArray) if isinstance(value, np.ndarray) else type(value)(map(disguise, value))

    for answer in (
        lambda *arguments: AlwaysEqual(),
        lambda *arguments: disguise(exercise.reference(*arguments)),
    ):
        verdict = exercise.run(answer)
        assert verdict.status == "wrong"
        assert "object of type" in repr(verdict)


@ENGINE
def test_numpy_scalars_count_as_numbers(exercise):
    def to_numpy(value):
        if isinstance(value, dict):
            return {key: to_numpy(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(item if isinstance(item, np.ndarray) else to_numpy(item) for item in value)
        return np.asarray(value)[()]

    assert exercise.run(lambda *arguments: to_numpy(exercise.reference(*arguments))).status == "passed"


def endless():
    while True:
        yield 1


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


RECURSIVE = []
RECURSIVE.append(RECURSIVE)


@pytest.mark.parametrize(
    "value",
    [
        RECURSIVE,
        nested(50_000),
        endless(),
        range(10**18),
        10**9000,
        "x" * 10**7,
        list(range(10**6)),
        {i: "y" * 1000 for i in range(5000)},
        np.zeros(10**7),
        np.array([AlwaysEqual()], dtype=object),
        np.ma.masked_array([1.0], mask=[True]),
        float,
        {(): {frozenset({b"z"}): {1, 2}}},
        "\ud800<script>",
    ],
    ids=lambda value: type(value).__name__,
)
def test_odd_values_are_shown_briefly(value):
    verdict = COUNTS.run(lambda *arguments: value)
    assert verdict.status == "wrong"
    assert len(repr(verdict)) < 4000
    assert "<script>" not in verdict._repr_html_()


# The engine


def test_the_same_words_in_every_run():
    """No address, no time, no order of a set: two interpreters with different hash seeds agree."""
    script = (
        "from course_utils.learner.checks import CHECKS\n"
        "class Odd: pass\n"
        "def fail(*arguments): raise ValueError(Odd())\n"
        "for c in CHECKS.values():\n"
        "    odd = lambda *a: Odd(), lambda *a: {'a', 'b', 'c'}\n"
        "    for answer in (fail, *odd, *(m.answer for m in c.mistakes[:2])): print(c.run(answer))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            check=True,
        ).stdout.decode()
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] and "0x" not in said[0]


def test_the_smallest_input_is_shown():
    def answer(texts, n):
        counts = COUNTS.reference(texts, n)
        return {**counts, ("too", "much"): 1} if sum(map(len, texts)) > 3 else counts

    verdict = COUNTS.run(answer)
    smallest = min(
        (case for case in COUNTS.cases() if sum(map(len, case[0])) > 3),
        key=lambda case: sum(map(len, case[0])) + len(case[0]),
    )
    assert dict(verdict.facts)["Smallest input"] == f"ngram_counts({smallest[0]}, {smallest[1]})"
    assert dict(verdict.facts)["Difference"] == "the key ('too', 'much') should not be there"


def test_the_line_of_an_error_is_in_the_learners_cell():
    namespace = {}
    exec(
        compile(
            "def inner(x):\n    return x[9]\n\ndef answer(texts, n):\n    return inner(texts)", "cell", "exec"
        ),
        namespace,
    )
    assert dict(COUNTS.run(namespace["answer"]).facts)["Where"] == "line 2"
    calls_numpy = lambda texts, n: np.reshape([1, 2], 3)  # noqa: E731
    assert "np.reshape" in dict(COUNTS.run(calls_numpy).facts)["Where"]


def test_an_error_that_cannot_say_what_it_is():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError

    def answer(texts, n):
        raise Mute

    assert "Mute" in repr(COUNTS.run(answer))


def test_what_an_answer_puts_into_its_argument_may_be_anything():
    class Nameless(type):
        @property
        def __name__(cls):
            raise ZeroDivisionError

    class Thing(metaclass=Nameless):
        pass

    def answer(texts, n):
        texts.append(Thing())
        return {}

    verdict = COUNTS.run(answer)
    assert verdict.status == "error" and "ZeroDivisionError" in repr(verdict)


def test_notes_of_an_error_hide_neither_its_type_nor_its_message():
    def answer(texts, n, error):
        error.add_note("Two lines\nbeside it.")
        raise error

    wrong = COUNTS.run(partial(answer, error=ValueError("no text")))
    assert dict(wrong.facts)["Yours raised"] == "ValueError: no text"
    assert COUNTS.run(partial(answer, error=NotImplementedError())).status == "not yet"


def test_errors_and_blanks_on_some_inputs_only():
    def unfinished(texts, n):
        if n == 3:
            raise NotImplementedError
        return COUNTS.reference(texts, n)

    verdict = COUNTS.run(unfinished)
    assert verdict.status == "error" and dict(verdict.facts)["Smallest input"].endswith(", 3)")


def test_a_mistake_that_raises_on_every_input_is_told_by_its_whole_message():
    def gpt(ids, embedding, blocks, norm):
        raise ValueError("too many values to unpack")

    assert any(
        all(observe(known.answer, case).error.startswith("ValueError") for case in CHECKS["8.4"].cases())
        for known in CHECKS["8.4"].mistakes
    )
    assert CHECKS["8.4"].run(gpt).status == "error"


def test_wrong_number_of_parameters():
    verdict = COUNTS.run(lambda texts: {})
    assert verdict.status == "error" and "positional argument" in repr(verdict)


def test_state_kept_between_calls_is_noticed():
    def answer(texts, n, counts={}):  # noqa: B006
        for ngram, count in COUNTS.reference(texts, n).items():
            counts[ngram] = counts.get(ngram, 0) + count
        return counts

    verdict = COUNTS.run(answer)
    assert verdict.status == "mistake" and "between two calls" in verdict.sentence


def test_changing_and_wrong_is_both_said():
    def answer(texts, n):
        texts.clear()
        return {("x",): 1}

    verdict = COUNTS.run(answer)
    assert verdict.status == "wrong" and "`texts`" in verdict.sentence


@pytest.mark.parametrize("ask", [lambda: input("?"), lambda: breakpoint()], ids=["input", "breakpoint"])
def test_nobody_is_asked(ask):
    before = builtins.input, sys.breakpointhook
    verdict = COUNTS.run(lambda texts, n: ask())
    assert verdict.status == "error" and "nobody answers" in repr(verdict)
    assert (builtins.input, sys.breakpointhook) == before


def test_an_interrupt_passes_through():
    def answer(texts, n):
        raise KeyboardInterrupt

    before = builtins.input, sys.stdout
    with pytest.raises(KeyboardInterrupt):
        COUNTS.run(answer)
    assert (builtins.input, sys.stdout) == before


@pytest.mark.parametrize("answer", [5, None, {}, "ngram_counts", AlwaysEqual()])
def test_what_is_no_function_gets_a_sentence(answer):
    verdict = check("1.1", answer)
    assert verdict.status == "not yet" and "check('1.1', ngram_counts)" in verdict.sentence


def test_unknown_exercise():
    with pytest.raises(ValueError, match=r"no exercise '9\.9'; there are 0\.1, 0\.2, 1\.1"):
        check("9.9", COUNTS.reference)


def test_html_says_what_the_text_says():
    for answer in (COUNTS.reference, lambda texts, n: None, lambda texts, n: {"<b>": 1}):
        verdict = COUNTS.run(answer)
        html = verdict._repr_html_()
        assert "role='status'" in html and "var(--jp-" in html
        assert repr(verdict)[0] in html and repr(verdict).splitlines()[0][2:] in html
        assert "<b>" not in html
        assert verdict.passed == (verdict.status == "passed")


def test_markup_of_a_sentence_is_rendered_and_products_are_left_alone():
    html = Verdict(
        "9.9", "x", "mistake", "The *distinct* ones of `lower`; a*b*c and 2 * 3 * 4 <i>"
    )._repr_html_()
    assert "The <em>distinct</em> ones of <code>lower</code>; a*b*c and 2 * 3 * 4 &lt;i&gt;" in html


@pytest.mark.parametrize(
    "text, html",
    [
        ("**the first `x`**", "<strong>the first <code>x</code></strong>"),
        ("*the `x` of `y`*", "<em>the <code>x</code> of <code>y</code></em>"),
        ("**of `a**b`** and `c * d`", "<strong>of <code>a**b</code></strong> and <code>c * d</code>"),
        ("`a`*`b` + `c`*`d`", "<code>a</code>*<code>b</code> + <code>c</code>*<code>d</code>"),
    ],
)
def test_code_stands_in_bold_and_emphasis_and_keeps_its_stars(text, html):
    assert unescape(markdown_to_html(text)) == f"<p>{html}</p>"


@EVERY
def test_the_code_in_hints_and_mistakes_is_shown_as_it_is(exercise):
    help = "\n\n".join([exercise.hint, exercise.worked_example, *(m.sentence for m in exercise.mistakes)])
    assert "<" not in "".join(re.findall("<code>(.*?)</code>", markdown_to_html(help)))


def test_comparison():
    nan, inf = float("nan"), float("inf")
    equal = [
        (nan, nan), (inf, inf), (1.0, 1 + 1e-12), (2.0, 2), (0.0, -0.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (np.array([nan, inf]), np.array([nan, inf])), (np.array([1.0]), np.array([1])),
        (np.array([0.0]), np.array([-0.0])),
    ]  # fmt: skip
    different = [
        (inf, -inf), (nan, 1.0), (1.0, nan), (2, 2.0), (1, True), (True, 1), (1.0, True), (1.0, 10**400),
        ([1], (1,)), ([1], [1, 1]), ("a", b"a"), ({"a": 1}, {"a": 1.0}), ({"a": 1}, {}), ({}, {"a": 1}),
        (np.zeros(2), np.zeros((2, 1))), (np.zeros(2, int), np.zeros(2)), (np.zeros(1), [0.0]),
        (np.array([inf]), np.array([-inf])), (np.array(0.5), 0.5), (1.0, 1 + 1e-7),
        (np.array([1]), np.array([1]).view(float)),  # the same bytes
    ]  # fmt: skip
    assert [difference(*pair) for pair in equal] == [None] * len(equal)
    assert all(difference(*pair) for pair in different)
    assert difference({"a": [1.0, 2.0]}, {"a": [1.0, 3.0]}) == "at 'a': at 1: 3.0 where 2.0 is expected"


def test_showing():
    assert show(plain((1.0, -0.0, [np.float32(0.5)], {("to",): np.int64(2)}, float("inf"), ...))) == (
        "(1.0, 0.0, [0.5], {('to',): 2}, inf, ...)"
    )
    assert show(np.array([[0.1, 2]])) == "array([[0.1, 2.0]])"
    assert show(2 / 3) == "0.666667" and show(1e-30) == "1e-30" and show(set()) == "set()"


# The ladder of help


def test_ladder():
    wrong = COUNTS.mistakes[0].answer
    first, second, third = (check("1.1", wrong) for _ in range(3))
    assert [len(verdict.help) for verdict in (first, second, third)] == [0, 1, 2]
    assert all(verdict.sentence == "The last n-gram is missing." for verdict in (first, second, third))
    assert COUNTS.hint in repr(second) and COUNTS.worked_example in repr(third)
    assert "<pre" in third._repr_html_()
    assert not progress.current().read().seen("1.1")
    assert COUNTS.solution in repr(help_me("1.1"))
    assert progress.current().read().seen("1.1")
    assert check("1.1", COUNTS.reference).help == ()


def test_help_without_a_try_climbs_the_same_ladder():
    assert COUNTS.hint in help_me("1.1").text
    assert COUNTS.worked_example in help_me("1.1").text
    assert not progress.current().read().seen("1.1")
    assert COUNTS.solution in help_me("1.1")._repr_markdown_()
    assert progress.current().read().seen("1.1")


def test_blank_cells_do_not_climb_and_solutions_after_passing_are_not_held_against_one():
    for _ in range(5):
        check("1.1", lambda texts, n: None)
    assert progress.current().read().attempts("1.1") == 0
    check("1.1", COUNTS.reference)
    assert COUNTS.solution in help_me("1.1").text
    assert not progress.current().read().seen("1.1")


def test_a_solution_that_was_seen_is_asked_again_until_the_variant_passes():
    assert asked_again().text == "Nothing is left to ask again."
    for _ in range(3):
        help_me("1.1")
    asked = asked_again().text
    assert 'check("1.1 again", pairs_apart)' in asked and "1.2 again" not in asked
    check("1.1 again", CHECKS["1.1 again"].reference)
    assert asked_again().text == "Nothing is left to ask again."


def value_said(comment):
    """The value that a comment begins with, up to its end, a colon or a semicolon; None if there is none."""
    for end in [len(comment), *(found.start() for found in re.finditer("[:;]", comment))]:
        with suppress(SyntaxError, ValueError):
            return ast.literal_eval(comment[:end])


def leaves(value):
    """The numbers and texts in nested lists, tuples, dicts, arrays and tensors, in their order."""
    value = value.tolist() if hasattr(value, "tolist") else value
    value = [*value.items()] if isinstance(value, dict) else value
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list | tuple) else [value]


def rounded(leaf):
    return pytest.approx(leaf, rel=1e-3, abs=5e-3) if isinstance(leaf, float) else leaf


@EVERY
def test_worked_examples_run_and_give_what_their_comments_say(exercise):
    blocks = re.findall(r"```python\n(.*?)```", exercise.worked_example, re.DOTALL)
    assert blocks
    for block in blocks:
        names = {"math": math, "np": np}
        for statement in ast.parse(block).body:
            line = block.splitlines()[statement.end_lineno - 1]
            if isinstance(statement, ast.Expr):
                value = eval(ast.unparse(statement), names)
            else:
                exec(ast.unparse(statement), names)
                value = names.get(line.split()[0])  # of what is assigned to
            said = value_said(line.partition("  # ")[2])
            if said is not None and value is not None:
                assert leaves(value) == [rounded(leaf) for leaf in leaves(said)], line


# The notebooks


def exercise_cells():
    """Of every exercise in the notebooks: its number, the text above, its answer, and what a learner gets."""
    folder = Path(__file__).parents[2] / "notebooks"
    for file in sorted(folder.glob("*.ipynb")):
        released = nbformat.read(file, as_version=4)
        for i, (cell, stub) in enumerate(zip(released.cells, strip_solutions(released).cells, strict=True)):
            if "exercise" in cell.metadata and "check" not in cell.metadata.get("tags", []):
                yield cell.metadata.exercise, released.cells[i - 1].source, cell.source, stub.source


def test_every_exercise_is_asked_once():
    """Those of a chapter that is still to be written wait for it."""
    asked = [exercise for exercise, *_ in exercise_cells()]
    chapters = {exercise.split(".")[0] for exercise in asked}
    there = [i for i, check in CHECKS.items() if i.split(".")[0] in chapters and not check.variant_of]
    assert sorted(asked) == sorted(there)


def test_the_text_above_an_answer_has_the_heading_and_the_title_of_its_exercise():
    for exercise, above, *_ in exercise_cells():
        begin = f"#### {CHECKS[exercise].heading}\n**{CHECKS[exercise].title}.** "
        assert begin.lower() in above.lower()  # a title may begin with a capital there


def test_each_exercise_passes_in_its_notebook_and_its_stub_is_blank():
    earlier = {}  # a chapter's answers so far: a later one may call them, and brings its own imports
    for exercise, _, solution, stub in exercise_cells():
        reference, own = CHECKS[exercise].reference, earlier.setdefault(exercise.split(".")[0], {})
        for source, status in ((stub, "not yet"), (solution, "passed")):
            namespace = dict(own)
            exec(source, namespace)
            answer = namespace[reference.__name__]
            assert inspect.signature(answer) == inspect.signature(reference)
            assert CHECKS[exercise].run(answer).status == status, f"{exercise}: expected {status}"
        own[reference.__name__] = answer


# What a cell builds of several answers


def test_what_is_not_solved_yet_is_stood_in_for(capsys):
    def stub(*arguments):
        raise NotImplementedError

    own = partial(CHECKS["0.1"].reference)
    assert yours({"0.1": own, "0.2": stub}) == [own, CHECKS["0.2"].reference]
    assert capsys.readouterr().out == (
        "Built of your own 0.1. Ours stand in for 0.2: solve, then run this cell again.\n"
    )
    assert yours({"0.1": own}) == [own]
    assert capsys.readouterr().out == "Built of your own 0.1.\n"
    assert yours({"0.2": stub}) == [CHECKS["0.2"].reference]
    assert capsys.readouterr().out == "Ours stand in for 0.2: solve, then run this cell again.\n"
    assert not progress.current().read().passed("0.1"), "it builds, and notes no try"
    with pytest.raises(ValueError, match="no exercise"):
        yours({"7.7": own})
