"""What the learner has done: one small file for a person to read, `my_work/.course/progress.json`.

    {"version": 1,
     "exercises": {"1.1": {"tries": 2, "passed": true, "seen": false}},
     "last passed": "1.1",
     "predictions": {"1.pairs": {"question": "Which share of the pairs is new?",
                                 "chips": {"under 25 %": 40, "over 25 %": 60}, "result": "over 25 %",
                                 "placed": "2026-03-01T10:05:00", "counts": true}},
     "answers": {"0.bits": {"choices": ["2 bits", "3 bits"], "right": true}},
     "shannon game": {"27 letters: a to z and the blank": {  # as `shannon_game.Played` reads it, by passage
         "3f2a90c1b7de": {"guesses": "1 4 1", "wrong": "", "shown": 0, "known": false}}}}

`tries` is the rung of the ladder of help: wrong answers and requests for help, the first of which makes it 2
at least. `seen` says that the solution was shown before an answer passed. A prediction `counts` if its chips
were placed before its result was shown. An answer to a quiz question holds the choices in the order in which
they were tried. Outside `my_work` nothing is written, so that running a chapter elsewhere leaves no trace and
always starts afresh.
"""

import copy
import json
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from course_utils.files import write_atomic

VERSION = 1
LONGEST_CHANGE = 5  # seconds that a kernel waits for another to finish writing
CHIPS = 100  # that a prediction spreads over its options
UNTRIED = {"tries": 0, "passed": False, "seen": False}
NO_BET = {"question": "", "chips": None, "placed": None, "result": None, "counts": False}
UNANSWERED = {"choices": [], "right": False}


@dataclass
class Snapshot:
    """What the learner had done when the file was read.

    problem: a sentence for the learner if the file could not be read or written, else "".
    """

    state: dict
    problem: str = ""

    def attempts(self, exercise_id: str) -> int:
        """The rung of the ladder of help: wrong answers and requests, the first of which leads to 2."""
        return self._exercise(exercise_id)["tries"]

    def passed(self, exercise_id: str) -> bool:
        """Whether an answer to the exercise has ever passed."""
        return self._exercise(exercise_id)["passed"]

    def seen(self, exercise_id: str) -> bool:
        """Whether the solution was shown before an answer passed."""
        return self._exercise(exercise_id)["seen"]

    def last_passed(self) -> str | None:
        """Which exercise passed for the first time last."""
        return self.state.get("last passed")

    def predictions(self) -> dict[str, dict]:
        """All predictions by id, in the order in which they were first placed or settled."""
        return self.state.get("predictions", {})

    def prediction(self, prediction_id: str) -> dict:
        """One prediction: "question", "chips" by option, when "placed", "result", whether it "counts"."""
        return self.predictions().get(prediction_id, NO_BET)

    def answer(self, question_id: str) -> dict:
        """The "choices" tried at a question, in their order, and whether the last one is "right"."""
        return self.state.get("answers", {}).get(question_id, UNANSWERED)

    def _exercise(self, exercise_id: str) -> dict:
        return self.state["exercises"].get(exercise_id, UNTRIED)


class Change(Snapshot):
    """A snapshot that will be written back: see `ProgressFile.change`."""

    def record(self, exercise_id: str, status: str) -> None:
        """Note a verdict's status, or "helped" (a step of help was shown), or "seen" (the solution was)."""
        if status == "not yet":
            return
        entry = self.state["exercises"].setdefault(exercise_id, dict(UNTRIED))
        if status == "passed":
            if not entry["passed"]:
                self.state["last passed"] = exercise_id
            entry["passed"] = True
        elif status == "seen":
            entry["seen"] = not entry["passed"] or entry["seen"]
        else:  # the first step of help that is asked for is the hint, which the second wrong answer gets
            entry["tries"] = max(entry["tries"] + 1, 2 if status == "helped" else 0)

    def place(self, prediction_id: str, question: str, chips: dict[str, int]) -> None:
        """Lock a prediction's chips, which sum to 100; what was placed before stays. One placed after the
        result was shown is kept too, but doesn't count."""
        entry = self._prediction_on(chips.keys(), prediction_id)
        if entry["placed"] is None:
            now = datetime.now().isoformat(timespec="seconds")
            entry |= {"question": question, "chips": chips, "placed": now, "counts": entry["result"] is None}

    def settle(self, prediction_id: str, question: str, result: str, options: list[str]) -> None:
        """Note which of the options came true; a bet on other options, of an older chapter, is dropped."""
        self._prediction_on(set(options), prediction_id).update(question=question, result=result)

    def _prediction_on(self, options: Set[str], prediction_id: str) -> dict:
        """The entry of a prediction, fresh if the chapter has changed its options since."""
        entry = self.state.setdefault("predictions", {}).setdefault(prediction_id, dict(NO_BET))
        known = entry["chips"].keys() == options if entry["chips"] else entry["result"] in (None, *options)
        if not known:
            entry |= NO_BET
        return entry

    def record_answer(self, question_id: str, choice: str, right: bool) -> None:
        """Note a choice at a question, unless it was tried before."""
        entry = self.state.setdefault("answers", {}).setdefault(question_id, copy.deepcopy(UNANSWERED))
        if choice not in entry["choices"]:
            entry["choices"].append(choice)
            entry["right"] = right


class ProgressFile:
    """The learner's progress in `path`, or in memory only if that is None.

    A file that can't be read or written is a snapshot's `problem`, once; then memory stands in for the file.
    Several kernels may share a file: each waits while another changes it, and reads what the others wrote.
    """

    def __init__(self, path: Path | None = None):
        self.path = path
        self._state, _ = _validated({})

    def read(self) -> Snapshot:
        """Read the file. A damaged one is moved aside, and what was right in it goes on in a new one."""
        with self._locked():
            return Snapshot(*self._read())

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Read the file, and write it when the block ends; a block that raises changes nothing.

        A problem of writing stands in the change's `problem` after the block.
        """
        with self._locked():
            before, problem = self._read()
            change = Change(copy.deepcopy(before), problem)
            yield change
            if change.state != before:
                change.problem = f"{change.problem} {self._write(change.state)}".strip()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other kernels out. Where no lock can be had, reading and writing go on."""
        if self.path is None:
            yield
            return
        lock = FileLock(self.path.with_suffix(".lock"))
        with suppress(OSError, NotImplementedError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LONGEST_CHANGE)
        try:
            yield
        finally:
            lock.release()

    def _read(self) -> tuple[dict, str]:
        """The state, from the file or else from memory, and what went wrong."""
        if self.path is None:
            return self._state, ""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8-sig"))  # some editors put a mark first
        except FileNotFoundError:
            return self._state, ""
        except OSError as error:
            return self._state, self._leave_file(f"can't be read ({error.strerror})")
        except (ValueError, RecursionError):  # no UTF-8, no JSON, or nested without end
            return self._state, self._move_aside()
        self._state, is_sound = _validated(found)
        return self._state, "" if is_sound else self._move_aside()

    def _write(self, state: dict) -> str:
        """Keep the state, in the file if there is one; what went wrong."""
        self._state = state
        if self.path is None:
            return ""
        text = json.dumps(state, indent=1, ensure_ascii=False) + "\n"
        try:
            # half a character, which UTF-8 can't hold, becomes JSON's escape for it, as it was in the file
            write_atomic(self.path, text.encode("utf-8", "backslashreplace"))
        except OSError as error:
            return self._leave_file(f"can't be written ({error.strerror})")
        return ""

    def _move_aside(self) -> str:
        number = 1
        while (damaged := self.path.with_name(f"progress.damaged-{number}.json")).exists():
            number += 1
        try:
            os.replace(self.path, damaged)
        except OSError as error:
            return self._leave_file(f"is damaged and can't be moved ({error.strerror})")
        return (
            f"Your progress file was cut short or edited: it is kept as {damaged.name}, "
            f"and a new one goes on with what could be read. {self._write(self._state)}"
        ).strip()

    def _leave_file(self, why: str) -> str:
        path, self.path = self.path, None
        return f"{path} {why}: your progress is kept only until this kernel stops."


def _validated(found) -> tuple[dict, bool]:
    """Return what is right in a state that was read, brought up to date, and whether all of it was."""
    parts = found if isinstance(found, dict) else {}
    state = {name: part for name, part in parts.items() if name in PARTS or _can_be_copied(part)}
    version, last = state.get("version", VERSION), state.get("last passed")
    version = version if type(version) is int else 0
    sound = parts is found and len(state) == len(parts) and version > 0 and isinstance(last, str | None)
    right = {**state, "version": max(version, VERSION), "exercises": {}}
    if not isinstance(last, str):
        right.pop("last passed", None)
    for part, (usual, is_right) in PARTS.items():
        if part not in state:
            continue
        entries = state[part] if isinstance(state[part], dict) else {}
        completed = {key: {**usual, **entry} for key, entry in entries.items() if isinstance(entry, dict)}
        right[part] = {key: e for key, e in completed.items() if is_right(e) and _can_be_copied(e)}
        sound &= entries is state[part] and len(right[part]) == len(entries)
    return right, sound


def _can_be_copied(part) -> bool:
    """Whether `change` can copy it: what is nested hundreds deep overflows the stack."""
    try:
        copy.deepcopy(part)
    except RecursionError:
        return False
    return True


def _is_exercise(entry: dict) -> bool:
    return all(type(entry[key]) is type(usual) and entry[key] >= 0 for key, usual in UNTRIED.items())


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
    "exercises": (UNTRIED, _is_exercise),
    "predictions": (NO_BET, _is_prediction),
    "answers": (UNANSWERED, _is_answer),
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


_opened: dict[Path | None, ProgressFile] = {}


def current() -> ProgressFile:
    """Return the progress file in the learner's `my_work`, or one in memory where there is none."""
    work = work_folder()
    if work not in _opened:
        _opened[work] = ProgressFile(work and work / ".course" / "progress.json")
    return _opened[work]
