"""What each filter says of each document, and documents of which it is known what should be said.

    judged(course_documents(), standard(held_out()))
    known_documents()

A stream asks a filter only for what the ones before it kept, and keeps no reason. Here all are asked, so that
each can be compared with the truth.
"""

import random
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from course_utils.data import labelled
from course_utils.pretraining.documents import Document, course_documents, held_out
from course_utils.pretraining.filters import Filter, personal, standard

BAD_KINDS = ("code", "random words", "random characters")  # of `labelled.texts_by_kind`
PLACES = ("{text} {datum}", "{datum}: {text}", "{text} Contact: {datum}.", "{text} Ask for it ({datum}).")
NAMES = ("ada", "ben", "chloe", "dimitri", "esra", "farid", "grace", "hugo")
# Addresses and numbers that were set aside for examples (RFC 2606, and 555-0100 to 555-0199), so nobody's.
# The last two are written to be read by people alone.
OF_A_PERSON = (
    "{name}.{n}@example.org",
    "{name}@mail.example.com",
    "(212) 555-01{n}",
    "+1 415 555 01{n}",
    "{name} (at) example dot org",
    "two one two, five five five, oh one {n}",
)
OF_NOBODY = (
    "ISBN 978-0-30-640{n}5-7",
    "19{n}-{n}",
    "${n},500.00",
    "version 3.1.{n}.2",
    "40.71{n}, -74.00{n}",
)


class Judged(NamedTuple):
    """A document, and what each filter says of it, by name: why it would remove it, or None.

    truth: the name of the filter whose task it is to remove it, "" if none should, None if it is not known.
    """

    text: str
    source: str
    reasons: dict[str, str | None]
    truth: str | None = None


def judged(documents: Iterable[Document], filters: Mapping[str, Filter]) -> list[Judged]:
    """What every filter says of every document, in order."""
    return [
        Judged(document.text, document.source, {name: judge(document) for name, judge in filters.items()})
        for document in documents
    ]


def known_documents(seed: int = 0) -> list[Judged]:
    """209 documents of the course's data, fetched on first use, with what all six filters say and the truth.

    119 should go, a larger share than in any real stream, so precision flatters: reorderings and copies of
    passages, exams in sixteen languages, code and noise, leaks of held-out texts, addresses and telephone
    numbers. The rest should stay, though some of it looks bad: quotations, raw text of the Web, reviews,
    prices and years. Passages are those without personal data, as far as the filter itself can tell.
    """
    drawn = random.Random(seed)
    tests = [*held_out()]
    mixed = _mixed(drawn, [test.text for test in tests if len(test.text.split()) >= 50])
    found = judged([document for document, _ in mixed], standard(tests))
    return [each._replace(truth=truth) for each, (_, truth) in zip(found, mixed, strict=True)]


def _mixed(drawn: random.Random, tests: list[str]) -> list[tuple[Document, str]]:
    """Documents with the truth, in an order that is drawn; a passage stands before what repeats it."""
    clean = [each for each in labelled.reordered_passages() if not personal.find(each.text)]
    passages = iter(drawn.sample(clean, 105))  # each is used once: two with the same text would be duplicates
    reviews = [each for each in course_documents() if each.source.startswith("movie-reviews")]
    found = [(drawn.random(), review, "") for review in drawn.sample(reviews, 12)]

    def add(text: str, source: str, truth: str, after: float = 0.0) -> float:
        found.append((after + (1 - after) * drawn.random(), Document(text, source), truth))
        return found[-1][0]

    for name, texts in labelled.exams().items():
        for text in drawn.sample(texts, 2):
            add(text, f"an exam in {name.capitalize()}", "language")
    for kind, texts in labelled.texts_by_kind().items():
        for text in drawn.sample(texts, 7 if kind in BAD_KINDS else 3):
            add(text, kind, "quality" if kind in BAD_KINDS else "")
    for n_words, every in 6 * ((20, 0), (50, 0), (20, 10), (50, 10)):
        leak = leaked(drawn, next(passages).text, drawn.choice(tests), n_words, every)
        add(leak, "a passage with a leak", "contamination")
    for forms, truth in ((OF_A_PERSON, "personal data"), (OF_NOBODY, "")):
        for form in 3 * forms:
            datum = form.format(name=drawn.choice(NAMES), n=drawn.randrange(10, 100))
            add(planted(drawn, next(passages).text, datum), "a passage with numbers in it", truth)
    for number, passage in enumerate(passages):
        place = add(passage.text, f"passage {number} of {passage.source}", "")
        if number < 16:
            text, truth = drawn.choice(passage.reorderings), "near-duplicates"
            add(text, f"passage {number} in another order", truth, place)
        elif number < 24:
            add(passage.text, f"passage {number} once more", "exact duplicates", place)
    return [(document, truth) for _, document, truth in sorted(found, key=lambda each: each[0])]


def leaked(drawn: random.Random, text: str, test: str, n_words: int, every: int) -> str:
    """A text with a run of a test in it, in which every so many words one is another."""
    words = test.split()
    start = drawn.randrange(len(words) - n_words + 1)
    run = words[start : start + n_words]
    if every:
        run[every // 2 :: every] = ["something" for _ in run[every // 2 :: every]]
    return f"{text} {' '.join(run).lower()} {text}"


def planted(drawn: random.Random, text: str, datum: str) -> str:
    """The text with the datum in it, in one of the `PLACES`, drawn."""
    return drawn.choice(PLACES).format(text=text, datum=datum)
