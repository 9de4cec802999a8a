"""Orders in everyday words, to be noted in one fixed form: an instruction whose answer a program can check.

    "Mara would like 12 pears on Tuesday."  ->  "Tuesday | Mara | 12 pears"

All that the answer says stands in the prompt, so it asks for no knowledge: what a model has to learn is the
form, and to stop after it.
"""

import re
from collections.abc import Sequence

from course_utils.finetuning.tasks import Draws, Problem, Task

NAMES = [
    *("Mara", "Tom", "Ines", "Paul", "Nadia", "Erik", "Sofia", "Liam", "Hana", "Omar", "Ruth", "Felix"),
    *("Clara", "Hugo", "Amina", "Leo", "Greta", "Noah", "Priya", "Oscar", "Wanda", "Ivan", "Lucy", "Ben"),
]
NEW_NAMES = [  # which no order has that a model learns from
    *("Anna", "Bruno", "Dora", "Emil", "Flora", "Georg", "Helen", "Igor", "Julia", "Karl"),
    *("Lena", "Martin", "Nina", "Otto", "Petra", "Quentin", "Rosa", "Simon", "Tessa", "Victor"),
]
GOODS = [
    *("pears", "apples", "candles", "pencils", "eggs", "lemons", "roses", "books", "plates", "chairs"),
    *("lamps", "towels", "onions", "carrots", "tickets", "stamps", "bottles", "baskets", "cakes", "keys"),
]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
SENTENCES = [
    "{name} would like {number} {goods} on {day}.",
    "Please send {number} {goods} to {name} by {day}.",
    "On {day}, {name} will pick up {number} {goods}.",
    "{name} called: {number} {goods}, and not later than {day}.",
    "We need {number} {goods} ready for {name} this {day}.",
    "For {day} put aside {number} {goods}; {name} pays in cash.",
]
END = 100  # numbers are below
FORM = re.compile(r"(?P<day>\w+) \| (?P<name>\w+) \| (?P<number>\d+) (?P<goods>\w+)")


def note(prompt: str, counted: bool = True, names: Sequence[str] = NAMES) -> str:
    """An order in its one form; without its number, unless `counted`."""
    words = re.findall(r"\w+", prompt)
    name, goods, day = (next(w for w in words if w in known) for known in (names, GOODS, DAYS))
    return f"{day} | {name} | {next(filter(str.isdecimal, words)) + ' ' if counted else ''}{goods}"


def parts_of(answer: str) -> dict[str, str]:
    """The day, name, number and goods of an answer that has the form of a counted order; else none."""
    found = FORM.fullmatch(answer)
    return found.groupdict() if found else {}


def orders(counted: bool = True, names: Sequence[str] = NAMES) -> Task:
    """Orders to note; of the usual names one of 329,280 answers each, or of 3,360 without the number, which
    would have to be copied digit by digit."""

    def make(draws: Draws) -> Problem:
        prompt = str(draws.choice(SENTENCES)).format(**_fields(draws, names))
        return Problem(prompt, note(prompt, counted, names))

    def verify(prompt: str, answer: str) -> bool:
        return answer == note(prompt, counted, names)

    def guess(draws: Draws, _prompt: str) -> str:
        form = "{day} | {name} | {number} {goods}" if counted else "{day} | {name} | {goods}"
        return form.format(**_fields(draws, names))

    n_answers = len(names) * len(GOODS) * len(DAYS)
    return Task("orders", make, verify, guess, n_answers * (END - 2) if counted else n_answers)


def _fields(draws: Draws, names: Sequence[str]) -> dict[str, str]:
    fields = {"name": names, "goods": GOODS, "day": DAYS, "number": range(2, END)}
    return {field: str(draws.choice(values)) for field, values in fields.items()}
