"""What runs inside the sandbox: the answer cells in their order, then each function on its inputs.

The job is {"prelude": source, "cells": [[id, source]], "questions": [[id, name, [arguments]]]}. Out go
{"id", "cell": outcome} for a cell, and {"id", "case": number, "outcome"} for a call. No expected value is in
here.
"""

import importlib
import io
import linecache
import os
import sys
import types

from course_utils.classroom.grading import wire
from course_utils.classroom.grading.channel import open_channel
from course_utils.learner.checks.observing import Outcome, observe


def define(id: str, source: str, names: dict) -> Outcome:
    """Run a cell; its names stay in `names`."""
    file = f"<{id}>"
    lines = io.StringIO(source, newline=None).readlines()  # `splitlines` ends one at a form feed too
    linecache.cache[file] = (len(source), None, lines, file)
    try:
        code = compile(source, file, "exec")
    except SyntaxError as error:
        return Outcome(error=f"SyntaxError: {error.msg}", line=f"line {error.lineno}")
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        return Outcome(error=f"{type(error).__name__}: {error}")
    # as a function, so that it is the first frame that an error shows
    return observe(types.FunctionType(code, names), ())


def notebook_names() -> dict:
    """The names that a cell starts with. What is right in a notebook is right here, where nothing is shown:
    `display`, and the bars of tqdm.notebook, which are widgets there and plain ones here."""
    bars = types.ModuleType("tqdm.notebook")
    bars.__getattr__ = lambda name: getattr(importlib.import_module("tqdm.std"), name)  # if they are used
    sys.modules[bars.__name__] = bars
    return {"__name__": "__main__", "__builtins__": __builtins__, "display": print}


def main() -> None:
    job, send = open_channel()
    names = notebook_names()
    sys.argv = [""]
    define("prelude", job["prelude"], names)
    for id, source in job["cells"]:
        send({"id": id, "cell": wire.encode_outcome(define(id, source, names))})
    for id, name, cases in job["questions"]:
        for number, case in enumerate(cases):
            outcome = observe(names[name], wire.decode(case)) if name in names else Outcome()
            send({"id": id, "case": number, "outcome": wire.encode_outcome(outcome)})
    os._exit(0)  # threads that an answer has started are not waited for


if __name__ == "__main__":
    main()
