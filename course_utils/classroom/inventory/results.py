"""From a table of answers to the page that a teacher reads: gain, each question's figures, their limits."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from course_utils.classroom.grading.cells import printable
from course_utils.classroom.inventory.figures import discrimination, gain, interval, kr20
from course_utils.classroom.inventory.items import FORMS, LETTERS, Item, items
from course_utils.classroom.pages import page, stacked
from course_utils.files import read_spreadsheet, write_atomic

WHEN = ("before", "after")
MANY = 30  # sheets; with fewer, the figures of a question, and a form's reliability, are mostly chance
ENOUGH = 20  # students; the gain's interval held the true one in 134, 175, 188 of 200 classes of 3, 10, 20
WEAK, EASY, HARD = 0.2, 0.9, 0.25  # discrimination (Ebel and Frisbie 1991); shares right; 1 of 4 is chance
LIMITS = (
    "What the gain shows: how much more of these questions the class answered right than before. It does not "
    "show that the course was the reason. There is no control group: the same weeks held other courses, the "
    "same people, and a second test of its kind. Only students who took both are counted; who gave up is not "
    "among them. The key is public. Compare it with another year's class, taught in another way and "
    "tested in the same one, before you say what helped."
)


@dataclass(frozen=True)
class Sheet:
    """What one student answered on one occasion: a letter for each question, or nothing."""

    student: str
    when: str
    form: str
    answers: tuple[str, ...]


def read(file: Path) -> list[Sheet]:
    """The sheets in a CSV file with the columns student, when, form, 1, 2, ... Raises ValueError, naming the
    line, for what is none, for an unknown answer, and for a student's second sheet of one occasion."""
    columns, table = read_spreadsheet(file)
    numbers = [str(i) for i in range(1, len(items()) + 1)]
    if missing := [name for name in ("student", "when", "form", *numbers) if name not in columns]:
        raise ValueError(f"{file} has no column {missing[0]!r}: `inventory forms` writes a table to fill in")
    sheets: dict[tuple[str, str], Sheet] = {}
    for line, row in table.items():
        cell = {name: row[name].strip() for name in ("student", "when", "form", *numbers)}
        when, form = cell["when"].lower(), cell["form"].upper()
        answers = tuple(
            _letter(cell[number], form, item) for number, item in zip(numbers, items(), strict=True)
        )
        allowed = {"when": (when, WHEN), "form": (form, FORMS)}
        allowed |= {number: (letter, ("", *LETTERS)) for number, letter in zip(numbers, answers, strict=True)}
        for name, (value, choices) in allowed.items():
            if value not in choices:
                known = ", ".join(filter(None, choices))
                raise ValueError(f"line {line} of {file}: {name} is {value!r}; it is one of {known}")
        key = cell["student"], when
        if not cell["student"] or key in sheets:
            wrong = (
                f"a second sheet of {key[0]} {when} the course"
                if cell["student"]
                else "a sheet without a name"
            )
            raise ValueError(f"line {line} of {file}: {wrong}; each student has one before and one after")
        sheets[key] = Sheet(*key, form, answers)
    if not sheets:
        raise ValueError(f"{file} holds no answers yet")
    return list(sheets.values())


def _letter(answer: str, form: str, item: Item) -> str:
    """The letter of an answer, which may be the text of the choice, or - if open, as platforms export it."""
    choices = item.forms[form].choices if form in FORMS else ()
    if answer in choices:
        return LETTERS[choices.index(answer)]
    return "" if answer == "-" else answer.lower()


def right(sheets: list[Sheet]) -> np.ndarray:
    """1 where an answer is right, else 0: (sheets, questions)."""
    return _chosen(sheets, "right")


def _chosen(sheets: list[Sheet], which: str) -> np.ndarray:
    key = {form: np.array([getattr(item.forms[form], which) for item in items()]) for form in FORMS}
    made = [np.array(sheet.answers) == key[sheet.form] for sheet in sheets]
    return np.array(made, dtype=int).reshape(len(sheets), len(items()))


def matched(sheets: list[Sheet]) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
    """Shares of right answers before and after of those who took both, and their forms in this order."""
    by_student: dict[str, dict[str, Sheet]] = {}
    for sheet in sheets:
        by_student.setdefault(sheet.student, {})[sheet.when] = sheet
    both = [taken for taken in by_student.values() if len(taken) == 2]
    before, after = (right([taken[when] for taken in both]).mean(axis=1) for when in WHEN)
    return before, after, [(taken["before"].form, taken["after"].form) for taken in both]


def said(sheets: list[Sheet]) -> list[str]:
    """Gain and reliability in sentences."""
    before, after, forms = matched(sheets)
    orders = {order: forms.count(order) for order in sorted(set(forms))}
    told = ", ".join(f"{number} took {one} and then {other}" for (one, other), number in orders.items())
    lines = [f"{len(before)} students took both{f': {told}' if told else ''}."]
    if len(before):
        low, high = interval(gain, before, after)
        sure = (
            f"95 % interval {low:z.2f} to {high:z.2f}" if len(before) >= ENOUGH else "too few for an interval"
        )
        lines[0] += f" Right: {before.mean():.0%} before, {after.mean():.0%} after."
        lines.append(
            f"Normalised gain {gain(before, after):z.2f} ({sure}): of what was wrong before, so much was "
            "right after."
        )
    if len(orders) == 1 and len(before):
        lines.append(
            "All took the forms in one order: if one of them is harder, that is part of the gain. Give half "
            "of the class A first, and half B."
        )
    for form in FORMS:
        for when in WHEN:
            own = right([sheet for sheet in sheets if (sheet.form, sheet.when) == (form, when)])
            told = f"too few for KR-20, which takes {MANY} sheets"
            if len(own) >= MANY:
                low, high = interval(kr20, own)
                told = f"KR-20 {kr20(own):.2f} ({low:.2f} to {high:.2f})"
            if len(own):
                lines.append(f"Reliability of form {form} {when} (sheets: {len(own)}): {told}.")
    return lines


@dataclass(frozen=True)
class Figures:
    """A question of a form: shares that were right and that took the misconception, before and after (NaN
    without sheets), its discrimination, the number of sheets, and what to look at."""

    item: Item
    form: str
    right: dict[str, float]
    tempted: dict[str, float]
    discrimination: float
    sheets: int

    @property
    def look(self) -> str:
        if self.sheets < MANY:
            return ""
        last = self.right["after"] if np.isfinite(self.right["after"]) else self.right["before"]
        found = []
        error = 1 / np.sqrt(self.sheets)  # the standard error of a correlation near 0
        if self.discrimination < -error:
            found.append("who is good at the others fails here: is the key right?")
        elif self.discrimination < WEAK - error:
            found.append("it hardly tells who is good at the others")
        if self.right["before"] > EASY:
            found.append("nearly all knew it before")
        if last < HARD:
            found.append("fewer are right than by guessing")
        return "; ".join(found)


def figures(sheets: list[Sheet]) -> list[Figures]:
    """Of each question, form A first."""
    found = []
    for form in FORMS:
        own = [sheet for sheet in sheets if sheet.form == form]
        if not own:
            continue
        groups = np.array([WHEN.index(sheet.when) for sheet in own])
        marks, tempted = right(own), _chosen(own, "tempting")
        tells = discrimination(marks, groups)
        for i, item in enumerate(items()):
            shares = [
                {when: _mean(table[groups == k, i]) for k, when in enumerate(WHEN)}
                for table in (marks, tempted)
            ]
            found.append(Figures(item, form, *shares, float(tells[i]), len(own)))
    return found


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def write(file: Path) -> tuple[Path, list[str]]:
    """Read the answers in a file, write the page beside it, and return where it is and its sentences. Raises
    ValueError as `read` does."""
    sheets = read(file)
    lines = said(sheets)
    head = "".join(
        f"<th scope='col'>{word}</th>"
        for word in (
            "Question",
            "Right",
            "Miscon&shy;ception taken",
            "Discrimi&shy;nation",
            "Look at it",
            "Idea",
        )
    )
    table = "".join(_row(each) for each in figures(sheets))
    few = (
        ""
        if len(sheets) >= 2 * MANY
        else f"With fewer than {MANY} sheets of a form these are mostly chance. "
    )
    body = (
        "".join(f"<p>{escape(printable(line))}</p>" for line in lines)
        + f"<p>{LIMITS}</p><h2>Each question</h2><p>Shares before → after. Discrimination is the correlation "
        f"with the sum of the other questions; below {WEAK:g} a question says little. {few}</p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{table}</tbody></table>"
    )
    path = file.with_name(f"{file.stem}-results.html")
    write_atomic(path, page("Concept inventory", body, "body{max-width:60em}" + stacked("3fr 3fr 3fr 2fr")))
    return path, lines


def _row(each: Figures) -> str:
    number = [item.id for item in items()].index(each.item.id) + 1
    cells = [
        f"{each.form}{number} {each.item.id}",
        *(" → ".join(_percent(share[when]) for when in WHEN) for share in (each.right, each.tempted)),
        "–" if np.isnan(each.discrimination) else f"{each.discrimination:z.2f}",
        each.look,
        each.item.idea,
    ]
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{share:.0%}"
