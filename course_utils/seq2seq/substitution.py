"""Translation word by word: which word stands for which is counted from pairs of texts, and each is replaced.

IBM model 1 asks of a pair only that each word of the new text comes from some word of the old one, whichever
place it has. Nobody marked which; so expectation maximisation guesses (all words alike at first), counts what
the guesses say, and guesses again by the counts.

Source: Brown et al. 1993, section 4 and its model 1, whose sums are those of `fit`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Link = tuple[int, int]  # places of an old word and of the new one that comes from it, from 0

WORD = re.compile(r"\w+(?:['-]\w+)*'?|[^\w\s]")
NULL = ""  # the old word from which those new ones come that no other accounts for


def words(text: str) -> list[str]:
    """The words of a text, each with its apostrophes and hyphens, and its marks."""
    return WORD.findall(text)


@dataclass(frozen=True)
class Model1:
    """How likely a new word is to come from an old one, `table[old][new]`: those of an old word sum to 1.
    `counts` is how often each old word was read."""

    table: dict[str, dict[str, float]]
    counts: dict[str, int]

    def align(self, old: Sequence[str], new: Sequence[str]) -> set[Link]:
        """The likeliest old word of each new one, unless none is known or NULL is likelier."""
        links = set()
        for j, word in enumerate(new):
            chances = [self.table.get(source, {}).get(word, 0.0) for source in old]
            best = int(np.argmax(chances))
            if chances[best] > self.table.get(NULL, {}).get(word, 0.0):
                links.add((best, j))
        return links

    def substitutes(self, threshold: float = 0.0, seldom: int = 1) -> dict[str, str]:
        """The likeliest new word for each old word that was read `seldom` times at least, if its chance is at
        least `threshold`."""
        found = {}
        for old, chances in self.table.items():
            best = max(chances, key=chances.get)
            if old != NULL and self.counts[old] >= seldom and chances[best] >= threshold:
                found[old] = best
        return found


def fit(pairs: Iterable[tuple[Sequence[str], Sequence[str]]], iterations: int = 5) -> Model1:
    """Count which new words come from which old ones, in pairs of an old text and a new one, as words.

    Raises ValueError if there is no pair of two texts that aren't empty, or no iteration.
    """
    pairs = [(old, new) for old, new in pairs if old and new]
    if not pairs or iterations < 1:
        raise ValueError(
            "expected pairs of texts that aren't empty, and at least one iteration; got "
            f"{len(pairs)} such pairs and {iterations} iterations"
        )
    old_ids, new_ids, cells, widths, read = {NULL: 0}, {}, [], [], []
    for old, new in pairs:
        rows = np.array([0, *(old_ids.setdefault(word, len(old_ids)) for word in old)])
        columns = np.array([new_ids.setdefault(word, len(new_ids)) for word in new])
        cells.append((rows << 32 | columns[:, None]).ravel())  # for each new word all it may come from
        widths.append(np.full(len(columns), len(rows)))
        read.append(rows[1:])
    widths = np.concatenate(widths)
    starts = np.cumsum(widths) - widths
    links, which = np.unique(np.concatenate(cells), return_inverse=True)  # each two words that ever met
    sources = links >> 32
    chance = np.ones(len(links))
    for _ in range(iterations):
        share = chance[which]
        share /= np.repeat(
            np.add.reduceat(share, starts), widths
        )  # E: what each new word owes to each old one
        count = np.bincount(which, share)
        chance = count / np.bincount(sources, count)[sources]  # M: of all that an old word is owed
    old_words, new_words = [*old_ids], [*new_ids]
    table = {word: {} for word in old_words}
    for source, target, p in zip(sources, links & 0xFFFFFFFF, chance.tolist(), strict=True):
        table[old_words[source]][new_words[target]] = p
    counts = np.bincount(np.concatenate(read), minlength=len(old_words)).tolist()
    return Model1(table, dict(zip(old_words, counts, strict=True)))


def substitute(text: str, substitutes: dict[str, str]) -> str:
    """The text with each word that has a substitute replaced; marks that have one too, and spaces stay."""
    return WORD.sub(lambda found: substitutes.get(found[0], found[0]), text)
