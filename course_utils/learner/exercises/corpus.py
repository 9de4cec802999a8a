"""The exercises of chapter 12 on documents: near-duplicates, and those that hold the test."""

import re
from collections import Counter

from course_utils.learner.checks.engine import exercise

WORDS = ["the", "cat", "and", "a", "dog", "sat", "on", "mat"]


def texts_inputs(generator, case):
    """Few different words, so that runs come again; one text is the other one changed a little. At times one
    or both are shorter than a run, and a capital differs."""
    length = 2 + case % 2
    one = generator.choice(WORDS[: 3 + case % 5], size=length + 1 + case // 2 % 7).tolist()
    at = int(generator.integers(len(one)))
    one, other = [
        (one, [*one[:at], "bird", *one[at + 1 :]]),
        (one, [*one[at:], *one[:at]]),
        (one, [*one, *one]),
        (one, [*one[: at + 1], *one]),
        (one, one[: length - 1]),
        (one[: length - 1], one[: length - 1]),
    ][case % 6]
    texts = [" ".join(one).capitalize(), " ".join(other)]
    return *(texts if case // 6 % 2 else texts[::-1]), length


@exercise("12.1", "near-duplicates by shingles", dots=1, minutes=7, inputs=texts_inputs)
def similarity(one: str, other: str, length: int) -> float:
    """Return how alike two texts are: of the runs of `length` words that stand in either, the share that
    stands in both.

    Words are what `text.lower().split()` gives. At each word begins a run ("shingle"), as long as `length`
    words are left; it counts once, however often it comes. A text of fewer words is one run.
    """

    def runs(text):
        words = text.lower().split()
        return {tuple(words[i : i + length]) for i in range(max(len(words) - length + 1, 1))}

    one, other = runs(one), runs(other)
    return len(one & other) / len(one | other)


def _counted(text, length):
    words = text.lower().split()
    return Counter(tuple(words[i : i + length]) for i in range(max(len(words) - length + 1, 1)))


def each_time(one, other, length):
    one, other = _counted(one, length), _counted(other, length)
    return (one & other).total() / (one | other).total()


def any_order(one, other, length):
    one, other = ({frozenset(run) for run in _counted(text, length)} for text in (one, other))
    return len(one & other) / len(one | other)


similarity.slips("""
You compare single words: texts on one subject share most of them. Compare runs of `length` words.
    tuple(words[i : i + length]) → tuple(words[i : i + 1])
Your runs are of letters: split the text into words.
    text.lower().split() → text.lower()
Capitals don't count: `lower()` first.
    text.lower().split() → text.split()
The last run is missing: one begins at each word that has enough words behind it.
    len(words) - length + 1, 1 → len(words) - length, 1
Runs at the end are cut short: the last one begins `length` words before the end.
    max(len(words) - length + 1, 1) → len(words)
Runs overlap: one begins at each word. Yours lie side by side, and one word more in front moves them all.
    range(max(len(words) - length + 1, 1)) → range(0, max(len(words) - length + 1, 1), length)
A text shorter than a run has none in yours: it is one run.
    max(len(words) - length + 1, 1) → len(words) - length + 1
A run counts once, however often it comes: take sets.
    → each_time
Within a run the order of its words counts.
    → any_order
Divide by the runs in either, not by those of the first text: long texts hold much of every short one.
    len(one | other) → len(one)
Divide by the runs in either, not by the fewer of the two.
    len(one | other) → min(len(one), len(other))
That counts shared runs twice below the line: the union has each once.
    len(one | other) → (len(one) + len(other))
That is Dice's coefficient: twice the shared runs over the sum. Asked for is the share of the union.
    len(one & other) / len(one | other) → 2 * len(one & other) / (len(one) + len(other))
That is how far apart they are: one minus what is asked for.
    return len(one & other) / → return 1 - len(one & other) /
That is how many runs they share; which share of the union is it?
    / len(one | other) → / 1
""")


@similarity.variant("how much of it stands in the other")
def contained(one: str, other: str, length: int) -> float:
    """Return which share of the different runs of text `one` stands in text `other`.

    Runs of `length` words as in 12.1. So a passage that was copied into a long text is found, which
    similarity misses.
    """

    def runs(text):
        words = text.lower().split()
        return {tuple(words[i : i + length]) for i in range(max(len(words) - length + 1, 1))}

    one, other = runs(one), runs(other)
    return len(one & other) / len(one)


contained.slips("""
That answers the first version: it divides by the runs in either; here by those of the first text.
    → similarity
The share is of the first text's runs, not of the second's.
    / len(one) → / len(other)
That is how many runs they share; which share of the first one's is it?
    / len(one) → / 1
You compare single words: compare runs of `length` words.
    tuple(words[i : i + length]) → tuple(words[i : i + 1])
Your runs are of letters: split the text into words.
    text.lower().split() → text.lower()
Capitals don't count: `lower()` first.
    text.lower().split() → text.split()
The last run is missing: one begins at each word that has enough words behind it.
    len(words) - length + 1, 1 → len(words) - length, 1
Runs overlap: one begins at each word.
    range(max(len(words) - length + 1, 1)) → range(0, max(len(words) - length + 1, 1), length)
That is what is not in the other: one minus what is asked for.
    return len(one & other) / → return 1 - len(one & other) /
""")


def read_and_asked_inputs(generator, case):
    """Tests and documents of a few words. A document holds a run of a test, across a line and in other
    marks; one that is cut off by a word; one that begins and ends inside of words; the end of a test and the
    beginning of the next; a test that is shorter than a run; or nothing of the kind."""
    length = 2 + case % 3
    words = ["he", "art", "so", "on", "in", "it", "up", "we", "me", "at", "go", "of", "be", "do"]
    words = generator.permutation(words).tolist()
    one, two = words[: length + 1 + case % 2], words[6 : 6 + length + 1]
    short, other = words[10 : 10 + length - 1], ["the", "king", "said"]
    at = int(generator.integers(len(one) - length + 1))
    run = one[at : at + length]
    documents = [
        f"{' '.join(other)} {', '.join(run[:-1])}\n{run[-1].upper()}.",
        f"{' '.join(run[:-1])} {' '.join(other)} {run[-1]}",
        f"x{' '.join(run)}y and {' '.join(other)}",
        f"{' '.join([*other, *one][-len(other) - 1 :])} {' '.join(two[: length - 1])}",
        f"{' '.join(other)} {' '.join(short)} {' '.join(other)}",
        f"{' '.join(two)} {' '.join(other)}",
        " ".join([*other, one[-1], *two[: length - 1], *other]),
        " ".join(two[-length:]),
    ]
    picked = generator.permutation(len(documents))[: 1 + case % 5]
    tests = [f"{' '.join(one).capitalize()}?", " ".join(two), " ".join(short)][: 2 + case % 2]
    return [documents[i] for i in picked], tests, length


@exercise("12.2", "documents that hold the test", dots=2, minutes=13, inputs=read_and_asked_inputs)
def clean_documents(documents: list[str], tests: list[str], length: int) -> list[int]:
    """Return which documents a model may read, counted from 0: those that share no run of `length` words with
    any of the tests.

    The words of a text are `re.findall(r"\\w+", text.lower())`: so capitals, marks and line breaks don't
    count. A text of fewer words has no run: a phrase that short may stand anywhere.
    """

    def runs(text):
        words = re.findall(r"\w+", text.lower())
        return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}

    asked = set().union(*map(runs, tests))
    return [i for i, document in enumerate(documents) if not runs(document) & asked]


def in_letters(documents, tests, length):
    """A run is found inside of longer words as well."""
    words = [re.findall(r"\w+", test.lower()) for test in tests]
    asked = [" ".join(w[i : i + length]) for w in words for i in range(len(w) - length + 1)]
    texts = [" ".join(re.findall(r"\w+", document.lower())) for document in documents]
    return [i for i, text in enumerate(texts) if not any(run in text for run in asked)]


def short_tests_too(documents, tests, length):
    lengths = [min(length, len(re.findall(r"\w+", test))) for test in tests]
    kept = [clean_documents(documents, [test], n) for test, n in zip(tests, lengths, strict=True)]
    return [i for i in range(len(documents)) if all(i in those for those in kept)]


def whole_tests(documents, tests, length):
    lengths = [max(length, len(re.findall(r"\w+", test))) for test in tests]
    kept = [clean_documents(documents, [test], n) for test, n in zip(tests, lengths, strict=True)]
    return [i for i in range(len(documents)) if all(i in those for those in kept)]


clean_documents.slips(r"""
Marks count in yours, so a comma hides a run: take the words alone, `re.findall(r"\w+", ...)`.
    re.findall(r"\w+", text.lower()) → text.lower().split()
Capitals count in yours: `lower()` first.
    text.lower() → text
Your runs are of letters: look for words.
    re.findall(r"\w+", text.lower()) → text.lower()
You remove what shares a word with a test: any text does. It takes a run of `length` words.
    tuple(words[i : i + length]) → tuple(words[i : i + 1])
The last run is missing: one begins at each word that has enough words behind it.
    len(words) - length + 1 → len(words) - length
Runs overlap: one begins at each word. Yours lie side by side, and one word more in front hides all.
    range(len(words) - length + 1) → range(0, len(words) - length + 1, length)
You ran the tests together: a run from the end of one into the next stands in no test.
    *map(runs, tests) → runs(" ".join(tests))
You look for the letters of a run, and find them inside of longer words: compare runs of whole words.
    → in_letters
You also look for tests shorter than a run: a phrase that short may stand anywhere.
    → short_tests_too
You look for whole tests: a piece of `length` words gives the answer away as well.
    → whole_tests
Only the first test is looked for.
    map(runs, tests) → map(runs, tests[:1])
Those are the documents that have to go.
    if not runs(document) → if runs(document)
Documents count from 0.
    enumerate(documents) → enumerate(documents, 1)
The numbers of the documents are asked for, not their texts.
    return [i for → return [document for
""")


@clean_documents.variant("which questions were seen")
def seen_tests(documents: list[str], tests: list[str], length: int) -> list[int]:
    """Return which tests a model has seen, counted from 0: those that share a run of `length` words with any
    of the documents that it read. Runs as in 12.2.

    A score on the others alone says what it can do, and the difference what reading was worth.
    """

    def runs(text):
        words = re.findall(r"\w+", text.lower())
        return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}

    read = set().union(*map(runs, documents))
    return [i for i, test in enumerate(tests) if runs(test) & read]


seen_tests.slips(r"""
That answers the first version: the documents that are clean; asked for are the tests that were seen.
    → clean_documents
Those are the tests that were not seen.
    if runs(test) & read → if not runs(test) & read
You take a test for seen only if all of its runs were; one is enough.
    if runs(test) & read → if runs(test) and runs(test) <= read
Marks count in yours, so a comma hides a run: take the words alone, `re.findall(r"\w+", ...)`.
    re.findall(r"\w+", text.lower()) → text.lower().split()
Capitals count in yours: `lower()` first.
    text.lower() → text
A word in common is no sign: it takes a run of `length` words.
    tuple(words[i : i + length]) → tuple(words[i : i + 1])
The last run is missing: one begins at each word that has enough words behind it.
    len(words) - length + 1 → len(words) - length
Only the first document is looked at.
    map(runs, documents) → map(runs, documents[:1])
Tests count from 0.
    enumerate(tests) → enumerate(tests, 1)
""")
