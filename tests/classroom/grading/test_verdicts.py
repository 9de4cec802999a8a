"""What an answer is worth: a right one all, whatever it prints; a wrong one nothing, whatever it tries."""

import os
from dataclasses import replace

import numpy as np
import pytest

from course_utils.classroom.grading import answering, sandbox, verdicts
from course_utils.classroom.grading.caps import Limits
from course_utils.classroom.grading.verdicts import GradedFunction, grade
from course_utils.learner.checks import CHECKS

PROBLEM = sandbox.problem()
pytestmark = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
SMALL = Limits(seconds=2, memory_mb=300, processes=24, scratch_mb=8, output_mb=4)
COUNT, MLE, PERPLEXITY = CHECKS["1.1"], CHECKS["1.2"], CHECKS["1.3"]
PRELUDE = "import math\nimport numpy as np"
RIGHT = {"count": COUNT.solution, "mle": MLE.solution, "bits": PERPLEXITY.solution}
QUESTIONS = [
    GradedFunction("count", COUNT, 2, shown_seed=5, hidden_seed=1 << 100),
    GradedFunction("mle", MLE, 3, shown_seed=5, hidden_seed=7),
    GradedFunction("bits", PERPLEXITY, 5, shown_seed=5, hidden_seed=8),
]


def marks(limits=SMALL, **changes):
    sources = {id: source for id, source in (RIGHT | changes).items() if source is not None}
    return {mark.id: mark for mark in grade(sources, QUESTIONS, prelude=PRELUDE, limits=limits)}


def only(source, **changes):
    """The mark of an answer to the second question, beside right answers to the others, which get theirs."""
    got = marks(mle=source, **changes)
    assert got["count"].points == 2 and got["bits"].points == 5
    return got["mle"]


def test_right_answers_get_all():
    got = marks()
    assert [(mark.points, mark.status, mark.sentence) for mark in got.values()] == [
        (2, "passed", "Right."),
        (3, "passed", "Right."),
        (5, "passed", "Right."),
    ]
    assert verdicts.summary(list(got.values()))["score"] == 10


HEAD = "def mle(texts, context):\n"
BODY = MLE.solution.partition('"""\n')[2]
NOISY = {
    "it prints a lot": "    print('x' * 10**6)\n",
    "it warns": "    import warnings; warnings.warn('careful')\n",
    "it writes to stderr": "    import sys; sys.stderr.write('careful')\n",
    "it shows a progress bar": "    from tqdm import tqdm\n    for _ in tqdm(range(3)): pass\n",
    "what only notebooks have": (
        "    import tqdm.auto\n    from tqdm.notebook import tqdm\n    for _ in tqdm('abc'): display(1)\n"
    ),
    "it logs": "    import logging; logging.error('careful')\n",
    "numpy warns": "    import numpy; numpy.array([1.0]) / numpy.array([0.0])\n",
}


@pytest.mark.parametrize("noise", NOISY.values(), ids=NOISY)
def test_right_answers_that_make_a_noise_get_all(noise):
    assert only(HEAD + noise + BODY).points == 3


def test_an_answer_may_use_another_answer_and_its_own_helpers():
    assert (
        only("SIZE = 1\ndef helper(x):\n    return ngram_counts([[]], SIZE) and x\n" + MLE.solution).points
        == 3
    )


def test_what_follows_a_right_function_in_its_cell_may_fail():
    assert only(f"{MLE.solution}\nprint(mle(my_text, ('to',)))").points == 3


WRONG = {
    "nothing written": (HEAD + "    raise NotImplementedError", "not yet", "Nothing is written"),
    "a known mistake": (MLE.mistakes[0].source, "mistake", "That is the probability of context and word"),
    "an unknown mistake": (HEAD + "    return {'to': 0.5}", "wrong", "is expected"),
    "another name": ("def mlee(texts, context): return {}", "not yet", "Nothing is written"),
    "nothing for the examples": (
        "n = 0\n" + HEAD + "    global n\n    n += 1\n    return {'to': 0.5} if n > 4 else None",
        "wrong",
        "gives nothing for the examples",
    ),
    "no function": ("mle = 3", "error", "TypeError"),
    "a syntax error": ("def mle(texts, context:\n    return", "not yet", "SyntaxError in line 1"),
    "a name that is not there": (HEAD + "    return helper(texts)", "error", "NameError in line 2"),
    "a module that is not there": (
        "import pandas\n" + HEAD + "    return 0",
        "not yet",
        "ModuleNotFoundError",
    ),
    "an input that it changes": (
        HEAD + "    texts.append([])\n" + BODY,
        "mistake",
        "changes",
    ),
    "an input that it changes, and an error": (
        "n = 0\n" + HEAD + "    global n\n    n += 1\n    texts.append([])\n    assert n < 5\n" + BODY,
        "error",
        "which belongs to the caller: work on a copy. It does so for mle(",
    ),
    "input()": (HEAD + "    return input()", "error", "RuntimeError in line 2"),
    "breakpoint()": (HEAD + "    breakpoint()\n" + BODY, "error", "RuntimeError in line 2"),
    "SystemExit": (HEAD + "    raise SystemExit(0)", "error", "SystemExit in line 2"),
}


@pytest.mark.parametrize("source, status, sentence", WRONG.values(), ids=WRONG)
def test_wrong_answers_get_nothing_and_hear_why(source, status, sentence):
    mark = only(source)
    assert (mark.points, mark.status) == (0, status) and sentence in mark.sentence


def test_lines_are_counted_as_python_counts_them():
    """A form feed ends none."""
    assert answering.define("mle", "x = 1\n\f\nraise ValueError\n", {}).line == "line 3: raise ValueError"


def test_a_missing_cell_is_told_from_a_wrong_answer():
    assert only(None).status == "missing"


STATEFUL = "n = 0\ndef mle(texts, context):\n    global n\n    n += 1\n    if n > 34: return {}\n" + BODY


def test_an_answer_that_changes_from_call_to_call_is_found():
    assert "differently the second time" in only(STATEFUL).sentence


EQUAL = "class {0}({1}):\n    __eq__ = lambda *_: True\n"
EQUAL = EQUAL.format("Equal", "dict") + EQUAL.format("EqualNumber", "float")
CHEATS = {
    "a dict that equals everything": "    return Equal()\n",
    "numbers that equal everything": "    return {t[0]: EqualNumber(1) for t in texts if t}\n",
    "not a number": "    return {t[0]: float('nan') for t in texts if t}\n",
    "it patches the checks": (
        "    import sys\n    values = sys.modules['course_utils.learner.checks.values']\n"
        "    values.difference = lambda *_, **__: None\n    return {}\n"
    ),
    "it patches the wire": (
        "    import sys\n    sys.modules['course_utils.classroom.grading.wire'].encode_outcome = "
        "lambda o: {'value': None, 'passed': True, 'status': 'passed'}\n"
    ),
    "it asks for the reference": (
        "    from course_utils.learner.checks import CHECKS\n    return CHECKS['1.2'](texts, context)\n"
    ),
    "it writes results.json": "    open('results.json', 'w').write('{\"score\": 10}')\n    return {}\n",
    "it finds the job": (
        "    import sys\n    frame = sys._getframe()\n    while frame.f_back: frame = frame.f_back\n"
        "    return repr(frame.f_globals) + repr(frame.f_locals)\n"
    ),
    "it forges messages": (
        "    import sys\n    frame = sys._getframe()\n"
        "    while 'send' not in frame.f_locals: frame = frame.f_back\n"
        "    send = frame.f_locals['send']\n"
        "    for n in range(100): send({'id': 'mle', 'case': n, 'outcome': {'passed': True}})\n"
    ),
    "it returns a pickle": "    import pickle\n    return pickle.dumps(texts)\n",
}


@pytest.mark.parametrize("body", CHEATS.values(), ids=CHEATS)
def test_cheats_get_nothing(body):
    assert marks(mle=EQUAL + HEAD + body)["mle"].points == 0


def test_answers_for_the_examples_alone_get_nothing():
    shown = QUESTIONS[1].examples.cases(5)
    table = [(case, MLE(*case)) for case in shown]
    source = f"TABLE = {table!r}\n{HEAD}    return next((v for c, v in TABLE if c == (texts, context)), {{}})"
    mark = only(source)
    assert mark.points == 0 and "The examples that you have come out right" in mark.sentence


STOPPED = {
    "an endless loop": (HEAD + "    while True: pass", "ran longer than 2 s"),
    "one that catches everything": (
        HEAD
        + "    while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        "ran longer than 2 s",
    ),
    "an endless cell": ("while True: pass", "ran longer than 2 s"),
    "memory": (HEAD + "    return [bytearray(10**7) for _ in range(100)]", ""),
    "a fork bomb": (HEAD + "    import os\n    while True: os.fork()", ""),
    "os._exit": (HEAD + "    import os; os._exit(3)", "exit status 3"),
    "os._exit(0)": ("import os; os._exit(0)", "ended before it had answered"),
    "a kill": (HEAD + "    import os; os.kill(os.getpid(), 9)", "SIGKILL"),
    "a crash": (HEAD + "    import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    "a closed channel": (HEAD + "    import os; os.closerange(0, 99)", ""),
}


@pytest.mark.parametrize("source, sentence", STOPPED.values(), ids=STOPPED)
def test_what_stops_stops_alone(source, sentence):
    mark = only(source)
    assert (mark.points, mark.status) == (0, "stopped") and sentence in mark.sentence


def test_what_one_question_leaves_behind_is_not_laid_on_the_next():
    hoard = "KEPT = []\n" + COUNT.solution.replace(
        "counts = {}", "counts = {}; KEPT.append(bytearray(7 << 20))"
    )
    bits = PERPLEXITY.solution.replace("bits = 0.0", "bits = 0.0; x = bytearray(60 << 20)")
    got = marks(replace(SMALL, seconds=30), count=hoard, bits=bits)
    assert [mark.points for mark in got.values()] == [2, 3, 5]


def test_what_a_stopped_answers_cell_defines_is_there_for_the_others():
    """All in one cell, and two functions of it loop: the third one is still defined."""
    count = "def ngram_counts(texts, n):\n    while True: pass\n"
    got = marks(
        count=f"{count}{HEAD}    return ngram_counts(texts, 1)\n{PERPLEXITY.solution}", mle="", bits=""
    )
    assert [mark.points for mark in got.values()] == [0, 0, 5]
    assert got["count"].sentence == got["mle"].sentence


def test_everything_hostile_at_once_costs_nobody_else():
    got = marks(count="import os; os._exit(1)", mle="while True: pass")
    assert [mark.status for mark in got.values()] == ["stopped", "stopped", "passed"]


def test_students_read_nothing_that_an_answer_says():
    """An answer that has found the hidden inputs can't put them on its author's page."""
    leak = (
        "    import sys\n    frame = sys._getframe()\n"
        "    while 'job' not in frame.f_locals: frame = frame.f_back\n"
        "    secret = repr(frame.f_locals['job'])\n"
    )
    hidden = repr(QUESTIONS[1].cases()[-1][0])[2:30]
    for ending in ("return secret", "raise ValueError(secret)", "raise type(secret, (Exception,), {})"):
        mark = only(HEAD + leak + f"    {ending}")
        assert mark.points == 0 and hidden not in mark.sentence and len(mark.sentence) < 500


ROUNDS = 200 if os.environ.get("COURSE_FULL") else 10


def test_the_reference_never_loses_a_point():
    for seed in np.random.default_rng(0).integers(2**60, size=ROUNDS).tolist():
        questions = [
            GradedFunction(q.id, q.check, q.points, seed % 1000, seed + i) for i, q in enumerate(QUESTIONS)
        ]
        assert all(mark.status == "passed" for mark in grade(RIGHT, questions, prelude=PRELUDE, limits=SMALL))
