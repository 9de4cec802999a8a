"""What the learner has done: one small file for a person to read, `my_work/.course/progress.json`.

    {"version": 1, "exercises": {"1.1": {"tries": 2, "passed": true, "seen": false}}}

`tries` counts wrong answers and requests for help; `seen` says that the solution was shown before an answer
passed. Outside `my_work` nothing is written, so that running a chapter elsewhere leaves no trace and always
starts afresh.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from course_utils.checkpoints import write_atomic

VERSION = 1
FRESH = {"tries": 0, "passed": False, "seen": False}


class Progress:
    """The learner's progress, kept in `file`, or in memory only if that is None.

    A file that can't be read or written is told of in one printed sentence; then memory stands in for it.
    """

    def __init__(self, file: Path | None = None):
        self.file = file
        self._state, _ = _understand({})
        self._read()

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
                entry["passed"] = True
            elif status == "seen":
                entry["seen"] = not entry["passed"] or entry["seen"]
            else:  # the first step of help that is asked for is the hint, which the second wrong answer gets
                entry["tries"] = max(entry["tries"] + 1, 2 if status == "helped" else 0)

        if status != "not yet":
            self.change(note)

    def change(self, note: Callable[[dict], None]) -> None:
        """Let `note` change the whole state, as it is in the file now, and write it."""
        self._read()
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

    def _read(self) -> None:
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
    version, exercises = state.get("version", VERSION), state.get("exercises", {})
    version = version if type(version) is int else 0
    entries = exercises if isinstance(exercises, dict) else {}
    right = {key: {**FRESH, **entry} for key, entry in entries.items() if _is_entry(entry)}
    sound = state is found and version > 0 and entries is exercises and len(right) == len(entries)
    return {**state, "version": max(version, VERSION), "exercises": right}, sound


def _is_entry(entry) -> bool:
    return isinstance(entry, dict) and all(
        type(entry.get(key, usual)) is type(usual) and entry.get(key, usual) >= 0
        for key, usual in FRESH.items()
    )


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
    """Return the progress kept in the learner's `my_work`, or in memory where there is none."""
    work = work_folder()
    if work not in _opened:
        _opened[work] = Progress(work and work / ".course" / "progress.json")
    return _opened[work]
