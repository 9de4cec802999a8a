"""The assignment `making`: a model of yours. What it asks of students, without the references."""

from course_utils.classroom.assignments import Assignment, private

WORDS = ["to", "be", "or", "not"]


def stream_inputs(generator, case):
    """2 to 10 texts of few different words, often an earlier one with one word changed, some words more, or
    another text that is said again and again behind it; some are shorter than a run, and capitals differ."""
    words, texts = WORDS[: 2 + case % 3], []
    for _ in range(2 + case // 3):
        fresh = generator.choice(words, size=int(generator.integers(1, 12))).tolist()
        if texts and generator.random() < 0.6:
            old = list(texts[int(generator.integers(len(texts)))])
            more = fresh[: int(generator.integers(3))] if case % 2 else 3 * fresh
            old[int(generator.integers(len(old)))] = fresh[0]
            fresh = old + more
        texts.append(fresh)
    joined = [" ".join(text) for text in texts]
    return ([text.capitalize() if generator.random() < 0.3 else text for text in joined],)


@private(
    "a stream that is cleaned",
    inputs=stream_inputs,
    constant="K",
    choices=(2, 3, 4, 5),
    fingerprint="07dbc0ae61a4a5ac7e70ca6cce7ad5be57610ec7fcc86dfd3c1be431abf6b285",
)
def kept_texts(texts: list[str], own: int) -> list[int]:
    """Return the numbers, from 0, of those texts that are kept when a stream is read once, with K = own.

    A text's runs are those of K words of `text.lower().split()`: one begins at each word that has enough
    words behind it, and a text of fewer words is one run. Each counts once. A text is left out if at least
    half of its runs stand in texts that were kept before it.
    """
    raise NotImplementedError


def step_inputs(generator, case):
    """A step of 24 or more: of the warm-up, the middle or the end, which is asked for most often."""
    steps = int(generator.integers(24, 400))
    warmup = int(generator.integers(steps // 4 + 1)) if case % 5 else 0
    first, last = [(0, max(warmup, 1)), (warmup, steps), (steps // 2, steps), (steps - 4, steps)][case % 4]
    return int(generator.integers(first, last)), steps, warmup, round(float(generator.uniform(0.001, 2)), 3)


@private(
    "a rate that warms up, stays and cools down",
    inputs=step_inputs,
    constant="D",
    choices=(2, 3, 4, 5, 6, 8),
    fingerprint="bef3429e4f9de59a22c6c7c5b9f14dc5ad584ae612c18339d066d20eb8fa4632",
)
def learning_rate(step: int, steps: int, warmup: int, peak: float, own: int) -> float:
    """The learning rate of a step, from 0, of so many steps, with D = own.

    In the first `warmup` steps it is peak (step + 1) / warmup. The last L = steps // D steps cool down: when
    j of them are done it is peak (1 - √(j / L)). Between them it is peak.
    """
    raise NotImplementedError


ASSIGNMENT = Assignment(
    "making",
    {"similar": "12.1", "kept": kept_texts, "rate": learning_rate},
    "import numpy as np",
)
