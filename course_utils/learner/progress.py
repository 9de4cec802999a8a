"""What the learner has done: one small file for a person to read, `my_work/.course/progress.json`.

    {"version": 1,
     "exercises": {"1.1": {"tries": 2, "passed": true, "seen": false}},
     "last passed": "1.1",
     "predictions": {"1.pairs": {"question": "Which share of the pairs is new?",
                                 "chips": {"under 25 %": 40, "over 25 %": 60}, "result": "over 25 %",
                                 "placed": "2026-03-01T10:05:00", "counts": true}},
     "answers": {"0.bits": {"choices": ["2 bits", "3 bits"], "right": true}}}

`tries` counts wrong answers and requests for help; `seen` says that the solution was shown before an answer
passed. A prediction `counts` if its chips were placed before its result was shown. An answer to a quiz
question holds the choices in the order in which they were tried. Outside `my_work` nothing is written, so
that running a chapter elsewhere leaves no trace and always starts afresh.
"""

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from course_utils.files import write_atomic

VERSION = 1
CHIPS = 100  # that a prediction spreads over its options
FRESH = {"tries": 0, "passed": False, "seen": False}
OPEN = {"question": "", "chips": None, "placed": None, "result": None, "counts": False}


class Progress:
    """The learner's progress, kept in `file`, or in memory only if that is None.

    A file that can't be read or written is told of in one printed sentence; then memory stands in for it.
    """

    def __init__(self, file: Path | None = None):
        self.file = file
        self._state, _ = _understand({})
        self.reread()

    def attempts(self, exercise_id: str) -> int:
        """How many times the exercise was answered wrongly, or help was asked for."""
        return self._entry(exercise_id)["tries"]

    def passed(self, exercise_id: str) -> bool:
        """Whether an answer to the exercise has ever passed."""
        return self._entry(exercise_id)["passed"]

    def seen(self, exercise_id: str) -> bool:
        """Whether the solution was shown before an answer passed."""
        return self._entry(exercise_id)["seen"]

    def record(self, exercise_id: str, status: str) -> None:
        """Note a verdict's status, or "helped" (a step of help was shown), or "seen" (the solution was)."""

        def note(state: dict) -> None:
            entry = state["exercises"].setdefault(exercise_id, dict(FRESH))
            if status == "passed":
                if not entry["passed"]:
                    state["last passed"] = exercise_id
                entry["passed"] = True
            elif status == "seen":
                entry["seen"] = not entry["passed"] or entry["seen"]
            else:  # the first step of help that is asked for is the hint, which the second wrong answer gets
                entry["tries"] = max(entry["tries"] + 1, 2 if status == "helped" else 0)

        if status != "not yet":
            self.change(note)

    def last_passed(self) -> str | None:
        """Which exercise passed for the first time last."""
        return self._state.get("last passed")

    def predictions(self) -> dict[str, dict]:
        """All predictions by id, in the order in which they were first placed or settled."""
        return {key: dict(entry) for key, entry in self._state.get("predictions", {}).items()}

    def prediction(self, prediction_id: str) -> dict:
        """One prediction: "question", "chips" by option, when "placed", "result", whether it "counts"."""
        return {**OPEN, **self.predictions().get(prediction_id, {})}

    def place(self, prediction_id: str, question: str, chips: dict[str, int]) -> None:
        """Lock a prediction's chips, which sum to 100; what was placed before stays. One placed after the
        result was shown is kept too, but doesn't count."""

        def note(state: dict) -> None:
            entry = state.setdefault("predictions", {}).setdefault(prediction_id, dict(OPEN))
            if entry["chips"] and entry["chips"].keys() != chips.keys():
                entry |= OPEN  # the chapter changed its options since
            if entry["placed"] is None:
                now = datetime.now().isoformat(timespec="seconds")
                entry |= {"question": question, "chips": chips, "placed": now}
                entry["counts"] = entry["result"] is None

        self.change(note)

    def settle(self, prediction_id: str, question: str, result: str, options: list[str]) -> None:
        """Note which of the options came true; a bet on other options, of an older chapter, is dropped."""

        def note(state: dict) -> None:
            entry = state.setdefault("predictions", {}).setdefault(prediction_id, dict(OPEN))
            if entry["chips"] and entry["chips"].keys() != set(options):
                entry |= OPEN
            entry |= {"question": question, "result": result}

        self.change(note)

    def answer(self, question_id: str) -> dict:
        """The "choices" tried at a question, in their order, and whether the last one is "right"."""
        return self._state.get("answers", {}).get(question_id, {"choices": [], "right": False})

    def record_answer(self, question_id: str, choice: str, right: bool) -> None:
        """Note a choice at a question, unless it was tried before."""

        def note(state: dict) -> None:
            entry = state.setdefault("answers", {}).setdefault(question_id, {"choices": [], "right": False})
            if choice not in entry["choices"]:
                entry["choices"].append(choice)
                entry["right"] = right

        self.change(note)

    def change(self, note: Callable[[dict], None]) -> None:
        """Let `note` change the whole state, as it is in the file now, and write it."""
        self.reread()
        note(self._state)
        if self.file is None:
            return
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.file, json.dumps(self._state, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            self._go_on_in_memory(f"can't be written ({error.strerror})")

    def _entry(self, exercise_id: str) -> dict:
        return self._state["exercises"].get(exercise_id, FRESH)

    def reread(self) -> None:
        """Take the file's state, for another chapter's kernel may have written it; sort out a damaged one."""
        if self.file is None:
            return
        try:
            text = self.file.read_text(encoding="utf-8")
            state, sound = _understand(json.loads(text))
        except FileNotFoundError:
            return
        except OSError as error:
            return self._go_on_in_memory(f"can't be read ({error.strerror})")
        except (ValueError, RecursionError):  # no UTF-8, no JSON, or nested without end
            state, sound = _understand(None)
        self._state = state
        if not sound:
            self._set_aside()

    def _set_aside(self) -> None:
        number = 1
        while (damaged := self.file.with_name(f"progress.damaged-{number}.json")).exists():
            number += 1
        try:
            os.replace(self.file, damaged)
        except OSError as error:
            return self._go_on_in_memory(f"is damaged and can't be moved ({error.strerror})")
        print(
            f"Your progress file was cut short or edited: it is kept as {damaged.name}, "
            "and a new one goes on with what could be read."
        )

    def _go_on_in_memory(self, why: str) -> None:
        print(f"{self.file} {why}: your progress is kept only until this kernel stops.")
        self.file = None


def _understand(found) -> tuple[dict, bool]:
    """Return what is right in a state that was read, brought up to date, and whether all of it was."""
    state = found if isinstance(found, dict) else {}
    version, last = state.get("version", VERSION), state.get("last passed")
    version = version if type(version) is int else 0
    sound = state is found and version > 0 and isinstance(last, str | None)
    right = {**state, "version": max(version, VERSION), "exercises": {}}
    if not isinstance(last, str):
        right.pop("last passed", None)
    for part, (usual, is_right) in PARTS.items():
        if part not in state:
            continue
        entries = state[part] if isinstance(state[part], dict) else {}
        completed = {key: {**usual, **entry} for key, entry in entries.items() if isinstance(entry, dict)}
        right[part] = {key: entry for key, entry in completed.items() if is_right(entry)}
        sound &= entries is state[part] and len(right[part]) == len(entries)
    return right, sound


def _is_exercise(entry: dict) -> bool:
    return all(type(entry[key]) is type(usual) and entry[key] >= 0 for key, usual in FRESH.items())


def _is_prediction(entry: dict) -> bool:
    chips, placed = entry["chips"], entry["placed"]
    if not isinstance(entry["question"], str) or not isinstance(entry["result"], str | None):
        return False
    if type(entry["counts"]) is not bool:
        return False
    if chips is None or placed is None:  # settled before anything was placed
        return chips is placed is None and not entry["counts"] and entry["result"] is not None
    whole = isinstance(chips, dict) and all(type(n) is int and n >= 0 for n in chips.values())
    return (
        whole
        and sum(chips.values()) == CHIPS
        and isinstance(placed, str)
        and (entry["result"] is None or entry["result"] in chips)
    )


def _is_answer(entry: dict) -> bool:
    choices = entry["choices"]
    return (
        isinstance(choices, list)
        and all(isinstance(c, str) for c in choices)
        and type(entry["right"]) is bool
    )


PARTS = {
    "exercises": (FRESH, _is_exercise),
    "predictions": (OPEN, _is_prediction),
    "answers": ({"choices": [], "right": False}, _is_answer),
}


def work_folder() -> Path | None:
    """Find `my_work`: where COURSE_WORK (set by `course.py lab`) says, else round the current folder."""
    if work := os.environ.get("COURSE_WORK"):
        return Path(work)
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the folder was removed under the running kernel
        return None
    return next((folder for folder in (here, *here.parents) if folder.name == "my_work"), None)


_opened: dict[Path | None, Progress] = {}


def current() -> Progress:
    """Return the progress kept in the learner's `my_work` now, or in memory where there is none."""
    work = work_folder()
    if work in _opened:
        _opened[work].reread()
    else:
        _opened[work] = Progress(work and work / ".course" / "progress.json")
    return _opened[work]
