"""The assignment `ngrams`: whose page is it? What it asks of students, without the references."""

import numpy as np

from course_utils.classroom.assignments import Assignment, private
from course_utils.learner.exercises.ngrams import WORDS
from course_utils.learner.exercises.smoothing import discount_inputs


def witten_bell_inputs(generator, case):
    """Few followers with many counts, and now and then none, out of a larger vocabulary."""
    counts, lower, _ = discount_inputs(generator, case)
    return ({} if case % 10 == 4 else counts), lower


@private(
    "Witten-Bell smoothing",
    inputs=witten_bell_inputs,
    constant="K",
    choices=(2, 3, 4, 5, 6, 7),
    fingerprint="7792b00b1e169f1508e5709a576989a0cc79e1409795008483a2cbf05b7ecafd",
)
def witten_bell(counts: dict[str, int], lower: dict[str, float], own: int) -> dict[str, float]:
    """Smooth the counts of a context's followers by Witten and Bell's rule, with K = own.

    `counts` holds the words that followed the context; `lower` is a distribution over the whole vocabulary.
    With N counts of T different words, the context keeps N / (N + K T) for what it has counted and hands the
    rest down to `lower`. A context that was never followed by anything hands all down.
    """
    raise NotImplementedError


def page_inputs(generator, case):
    """A page of 1 to 8 words, counts of bigrams, and a distribution over more words than the page has."""
    words = WORDS[: 4 + case // 4]
    shares = generator.integers(1, 9, size=len(words))
    lower = dict(zip(words, (shares / shares.sum()).tolist(), strict=True))
    pairs = generator.choice(words, size=(2 + case, 2)).tolist()
    counts: dict[str, dict[str, int]] = {}
    for first, second in pairs:
        followers = counts.setdefault(first, {})
        followers[second] = followers.get(second, 0) + 1 + int(generator.integers(3))
    return np.array(words)[generator.integers(len(words), size=1 + case % 8)].tolist(), counts, lower


@private(
    "bits of a page",
    inputs=page_inputs,
    constant="K",
    choices=(2, 3, 4, 5, 6, 7),
    fingerprint="7fd2aedb1d8d44a3f64925292f27ce0a4ffde97c70d922abef596d23e7d96e3a",
)
def page_bits(page: list[str], counts: dict[str, dict[str, int]], lower: dict[str, float], own: int) -> float:
    """How many bits does a word of the page cost on average, under the smoothed bigrams with K = own?

    `counts[a][b]` says how often b followed a. The first word of the page costs what `lower` gives it, each
    other one what Witten and Bell's rule gives it after the word before.
    """
    raise NotImplementedError


ASSIGNMENT = Assignment(
    "ngrams", {"count": "1.1", "perplexity": "1.3", "witten_bell": witten_bell, "page_bits": page_bits}
)
