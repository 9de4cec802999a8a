"""Documents that are no prose: lists of words, code, noise, and text that goes round in circles.

The rules are those of Gopher (Rae et al. 2021, appendix A.1.1 and table A1) and one of C4 (Raffel et al.
2020, section 2.2). Gopher also wants 50 words: many good texts of the course have fewer.
"""

import numpy as np

from course_utils.pretraining.documents import Document
from course_utils.pretraining.filters.runs import runs, words

STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
WORDS_A_STOP_WORD = 25  # a text of at least so many words has one of these, of twice as many two
FEWEST = 3  # lines or runs: fewer are no habit


def quality(document: Document, english: bool = True) -> str | None:
    """A filter: removes a document that breaks one of these rules.

    - words: at least one; in the mean 2.5 characters each or more, and 10 or fewer with the marks at them; 80
      of 100 with a letter;
    - stop words (the, be, to, of, and, that, have, with): two different ones in 50 words or more, one in 25;
    - at most one hash sign or ellipsis to ten words; at most 90 of 100 lines that begin with a bullet, 30
      that end with an ellipsis;
    - no curly bracket: that is code;
    - repetition: at most 30 of 100 lines that stood before; of the characters of its words, at most 20, 18
      and 16 of 100 in the run of 2, 3 and 4 words that is the commonest.

    Unless `english`, the rules on the length of words, on stop words and on signs to ten words are left out:
    other languages have other words, and some no spaces between them.
    """
    separate, found = document.text.split(), words(document.text)
    if not found:
        return "it has no words"
    shortest, longest = (sum(map(len, each)) / len(each) for each in (found, separate))
    if english and (shortest < 2.5 or longest > 10):
        return (
            f"its words have {shortest:.1f} characters in the mean, with marks {longest:.1f}: not 2.5 to 10"
        )
    with_letter = sum(word.isalpha() or any(map(str.isalpha, word)) for word in found) / len(found)
    if with_letter < 0.8:
        return f"only {with_letter:.0%} of its words have a letter, not 80%"
    if "{" in document.text or "}" in document.text:
        return "it has curly brackets, as code has"
    needed = min(len(found) // WORDS_A_STOP_WORD, 2) if english else 0
    if len(STOP_WORDS.intersection(found)) < needed:
        return f"it has fewer than {needed} of the commonest words, such as the, of, and"
    symbols = document.text.count("#") + document.text.count("...") + document.text.count("…")
    if english and symbols > 0.1 * len(separate):
        return f"it has {symbols} hash signs and ellipses to {len(separate)} words, more than one to ten"
    return _lines(document.text) or _repetition(document.text)


def _lines(text: str) -> str | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    habits = {
        "begin with a bullet": (0.9, sum(line.startswith(("•", "‣", "-", "*")) for line in lines)),
        "end with an ellipsis": (0.3, sum(line.endswith(("...", "…")) for line in lines)),
        "stood before": (0.3, len(lines) - len(set(lines))),
    }
    for habit, (allowed, number) in habits.items():
        if number >= FEWEST and number > allowed * len(lines):
            return f"{number} of its {len(lines)} lines {habit}, more than {allowed:.0%}"
    return None


def _repetition(text: str) -> str | None:
    found = words(text)
    total = sum(map(len, found))
    for length, allowed in ((2, 0.20), (3, 0.18), (4, 0.16)):
        numbers = runs(text, length)
        different, counts = np.unique(numbers, return_counts=True)
        times, first = counts.max(), np.argmax(numbers == different[counts.argmax()])
        run = found[first : first + length]
        share = times * sum(map(len, run)) / total
        if times >= FEWEST and share > allowed:
            return f"{share:.0%} of it is {' '.join(run)!r}, {times} times"
    return None
