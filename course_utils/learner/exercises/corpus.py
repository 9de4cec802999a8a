"""The exercises of chapter 12 on what is read: duplicates, contamination, packed rows, ranks' shares."""

from collections import Counter
from functools import partial

from course_utils.learner.checks.engine import exercise

exercise = partial(exercise, forbidden_modules=("course_utils", "torch", "datasketch"))
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
