"""The items of the concept inventory, and its two forms as pages to fill in."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

import numpy as np

from course_utils.classroom.grading.gradebook import as_csv
from course_utils.classroom.pages import page, stacked
from course_utils.files import write_atomic

FILE = Path(__file__).with_name("items.toml")
FORMS, LETTERS = ("A", "B"), "abcd"
STYLE = "fieldset{border:0;padding:0;margin:1.2em 0;break-inside:avoid}legend{font-weight:bold}"


@dataclass(frozen=True)
class Question:
    """One form of an item: what is asked, four choices, and the letters of the right one and of the one that
    the misconception takes."""

    ask: str
    choices: tuple[str, ...]
    right: str
    tempting: str


@dataclass(frozen=True)
class Item:
    """An idea of the course and the misconception in its way; a question in each form."""

    id: str
    chapter: str
    idea: str
    misconception: str
    source: str
    forms: dict[str, Question]


@cache
def items() -> tuple[Item, ...]:
    """The items, in the order in which both forms ask them."""
    read = tomllib.loads(FILE.read_text("utf-8"))["items"]
    forms = {form: [_question(e[form]) for e in read] for form in FORMS}
    made = {form: _placed(forms[form], seed) for seed, form in enumerate(FORMS)}
    fields = ("id", "chapter", "idea", "misconception", "source")
    return tuple(
        Item(*(entry[field] for field in fields), {form: made[form][i] for form in FORMS})
        for i, entry in enumerate(read)
    )


def _question(entry: dict) -> tuple[str, list[str]]:
    return entry["ask"], [entry["right"], entry["tempting"], *entry["others"]]


def _placed(asked: list[tuple[str, list[str]]], seed: int) -> list[Question]:
    """Choices in a fixed mixed order, in which each letter is right equally often: no letter pays."""
    generator, made = np.random.default_rng(seed), []
    places = generator.permutation(np.arange(len(asked)) % len(LETTERS)).tolist()
    for (ask, choices), place in zip(asked, places, strict=True):
        order = [1 + int(i) for i in generator.permutation(len(choices) - 1)]
        order.insert(place, 0)
        mixed = tuple(choices[i] for i in order)
        made.append(Question(ask, mixed, LETTERS[place], LETTERS[order.index(1)]))
    return made


def write_forms(folder: Path) -> list[Path]:
    """Write both forms as pages for paper or screen and as quizzes for a platform, the key, and a table to
    fill in, which stays where it is there already; return the files that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"form-{form}.html": _page(form) for form in FORMS}
    files |= {f"form-{form}.gift": _gift(form) for form in FORMS} | {"key.html": _key()}
    if not (folder / "answers.csv").exists():
        numbers = (f"{i}" for i in range(1, len(items()) + 1))
        files["answers.csv"] = as_csv([["student", "when", "form", *numbers]])
    for name, text in files.items():
        write_atomic(folder / name, text)
    return [folder / name for name in files]


def _page(form: str) -> str:
    """A form, without a hint at what is right, or at what each question is about."""
    body = (
        "<p>Name: ______________________ &nbsp; Date: ______________</p><p>Tick one answer to each question. "
        "If you don't know, leave it open: this is no exam, and nobody is graded by it.</p>"
    )
    for number, item in enumerate(items(), start=1):
        question = item.forms[form]
        choices = "".join(
            f"<div><label><input type='radio' name='q{number}'> {letter}) {escape(choice)}</label></div>"
            for letter, choice in zip(LETTERS, question.choices, strict=True)
        )
        body += f"<fieldset><legend>{number}. {escape(question.ask)}</legend>{choices}</fieldset>"
    return page(f"Questions, form {form}", body, STYLE)


def _gift(form: str) -> str:
    """A form in GIFT, from which Moodle makes a quiz: the right choice stands after =, each other after ~."""

    def plain(text: str) -> str:
        return re.sub(r"[~=#{}:\\]", r"\\\g<0>", text)

    made = []
    for number, item in enumerate(items(), start=1):
        question = item.forms[form]
        choices = "\n".join(
            ("=" if letter == question.right else "~") + plain(choice)
            for letter, choice in zip(LETTERS, question.choices, strict=True)
        )
        made.append(f"::{form}{number}::[plain]{plain(question.ask)} {{\n{choices}\n}}\n")
    return "\n".join(made)


def _key() -> str:
    head = "".join(
        f"<th scope='col'>{word}</th>" for word in ("", "A", "B", "Idea", "Misconception", "Source")
    )
    lines = "".join(
        f"<tr><td>{number}</td><td>{item.forms['A'].right}</td><td>{item.forms['B'].right}</td>"
        f"<td>{escape(item.idea)}</td><td>{escape(item.misconception)}</td><td>{escape(item.source)}</td></tr>"
        for number, item in enumerate(items(), start=1)
    )
    return page(
        "Key", f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>", stacked("1fr 1fr 1fr")
    )
