"""The progress page: exercises, quizzes, predictions, scoreboard, and the learner's own language model."""

from dataclasses import dataclass
from html import escape

from course_utils.learner import chapters, progress
from course_utils.learner.checks import CHECKS
from course_utils.learner.checks.engine import Check
from course_utils.learner.core_path import BOX
from course_utils.learner.predict import Bet, running_average, scored_bets
from course_utils.learner.quizzes import all_questions
from course_utils.measuring import scoreboard
from course_utils.measuring.scoreboard import Point

# which chapter makes which part
MY_LLM = {"tokenizer": 3, "block": 5, "GPT": 8, "sampler": 9, "tuning": 10, "law": 11}
SIGNS = {"passed": "✓", "seen": "◐", "open": "○"}


def progress_page() -> "ProgressPage":
    """All that was done so far in the chapters of the current folder, from the files in `my_work`."""
    snapshot, work, here = progress.current().read(), progress.work_folder(), chapters.numbers()

    def state(exercise: str) -> str:
        return "passed" if snapshot.passed(exercise) else "seen" if snapshot.seen(exercise) else "open"

    def right_at_once(chapter: str) -> int:
        return sum(snapshot.answer(q.id)["choices"][:1] == [q.right] for q in all_questions()[chapter])

    def is_asked(check: Check) -> bool:
        return not check.variant_of or snapshot.seen(check.variant_of) or snapshot.passed(check.id)

    asked = [check.id for check in CHECKS.values() if check.id.partition(".")[0] in here and is_asked(check)]
    return ProgressPage(
        exercises={exercise: state(exercise) for exercise in asked},
        quizzes={c: (right_at_once(c), len(all_questions()[c])) for c in here if c in all_questions()},
        bets=scored_bets(snapshot),
        points=sorted(scoreboard.recorded()[0], key=lambda point: point.bits_per_byte),
        my_llm=sorted(path.name for path in (work / "my_llm").glob("[!.]*")) if work else [],
        problem=snapshot.problem,
    )


@dataclass(frozen=True)
class ProgressPage:
    """The progress page as it stands; it shows itself in tables, and as sentences with their numbers.

    exercises: "passed", "seen" or "open" by id; quizzes: how many questions were right at the first try, of
    how many, by chapter; bets: the predictions that count; points: the scoreboard, the fewest bits first;
    my_llm: the names of the files that the learner's own language model is made of; problem: what went wrong
    with the progress file, if anything did.
    """

    exercises: dict[str, str]
    quizzes: dict[str, tuple[int, int]]
    bets: list[Bet]
    points: list[Point]
    my_llm: list[str]
    problem: str = ""

    def __repr__(self) -> str:
        states = list(self.exercises.values())
        lowest = scoreboard.lowest(self.points)
        right = sum(right for right, _ in self.quizzes.values())
        asked = sum(asked for _, asked in self.quizzes.values())
        return (
            f"Exercises: {states.count('passed')} of {len(states)} passed, {states.count('seen')} seen. "
            f"Quizzes: {right} of {asked} questions right at the first try. {self._predictions()} "
            f"Scoreboard: {len(self.points)} models; of those that have not read the play the lowest is "
            f"{lowest.name} with {lowest.bits_per_byte:.3f} bits per byte. {self._my_llm()} {self.problem}"
        ).strip()

    def _repr_html_(self) -> str:
        done = [[chapter, self._exercises(chapter), self._quiz(chapter)] for chapter in self._chapters()]
        most = max((max(bet.bits, bet.uniform) for bet in self.bets), default=0)
        bits = [
            [
                str(i),
                escape(bet.question),
                *_bar(bet.bits, most, "#0072b2"),
                *_bar(bet.uniform, most, "#e69f00"),
            ]
            for i, bet in enumerate(self.bets, 1)
        ]
        board = [[escape(point.name), *_bar(point.bits_per_byte, 8, "#0072b2")] for point in self.points]
        return (
            f"<div style='{BOX}'>"
            + _table("Exercises and quizzes", ("chapter", "exercises", "quiz, right at the first try"), done)
            + f"<p>{escape(self._predictions())}</p>"
            + _table("Bits by prediction", ("", "prediction", "you", "", "uniform", ""), bits)
            + _table("Scoreboard, on The Tempest", ("model", "bits per byte", "of 8"), board)
            + f"<p>{escape(self._my_llm())}</p><p>{escape(self.problem)}</p></div>"
        )

    def _chapters(self) -> list[str]:
        return sorted({id.partition(".")[0] for id in self.exercises} | self.quizzes.keys(), key=int)

    def _exercises(self, chapter: str) -> str:
        return "<br>".join(
            f"{SIGNS[state]} {escape(f'{id} {CHECKS[id].title}')}: {state}"
            for id, state in self.exercises.items()
            if id.partition(".")[0] == chapter
        )

    def _quiz(self, chapter: str) -> str:
        return "{} of {}".format(*self.quizzes[chapter]) if chapter in self.quizzes else ""

    def _predictions(self) -> str:
        return f"Predictions: {running_average(self.bets) or 'none is settled yet.'}"

    def _my_llm(self) -> str:
        if self.my_llm:
            return f"Your own language model, in my_work/my_llm: {', '.join(self.my_llm)}."
        parts = ", ".join(f"{part} in chapter {chapter}" for part, chapter in MY_LLM.items())
        return f"Your own language model, my_work/my_llm, is still empty. You will make its {parts}."


def _bar(value: float, most: float, colour: str) -> tuple[str, str]:
    """A number, and a bar of its length, as two cells."""
    bar = f"<div style='width:{140 * value / most:.0f}px;height:12px;background:{colour}'></div>"
    return f"{value:.2f}", bar


def _table(caption: str, head: tuple[str, ...], rows: list[list[str]]) -> str:
    """An HTML table, or nothing for no rows."""
    if not rows:
        return ""
    style = "style='text-align:left;vertical-align:top'"
    names = "".join(f"<th scope='col' {style}>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td {style}>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return (
        "<table style='margin:8px 0'><caption style='text-align:left;font-weight:bold'>"
        f"{escape(caption)}</caption><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
    )
