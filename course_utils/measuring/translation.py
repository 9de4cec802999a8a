"""How near what was written comes to what a translator wrote: chrF and BLEU; and where words are aligned.

chrF compares runs of 1 to 6 characters, BLEU runs of 1 to 4 words; both are of all texts together, from 0 to
100, as the library sacrebleu computes them, whose settings are the field's usual ones.

Sources: Popović 2015 (chrF); Papineni et al. 2002 (BLEU); Post 2018 (sacrebleu); Koehn 2004 (the bootstrap);
Och & Ney 2003, section 4.1 (the alignment error rate).
"""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

Rows = Int[np.ndarray, " texts"] | slice
Link = tuple[int, int]  # places of an old word and of the new one that says the same, from 0


class Score(NamedTuple):
    """A score of all texts together, and the interval that holds 95 % of those of resampled texts."""

    value: float
    low: float
    high: float


def chrf(written: Sequence[str], references: Sequence[str], samples: int = 1000) -> Score:
    """chrF2 of texts, one reference each: the F-score of runs of characters, recall weighing twice.

    Raises ValueError if there are no texts, or not as many as references.
    """
    from sacrebleu.metrics import CHRF  # here: who scores nothing need not load it

    return _bootstrapped(_scorer(CHRF(), written, references), len(references), samples)


def chrf_lead(
    written: Sequence[str], others: Sequence[str], references: Sequence[str], samples: int = 1000
) -> Score:
    """How much more chrF the texts have than others of the same references. Both are scored on the same
    samples: what makes a sample hard for both moves their difference little (Koehn 2004, section 4).

    Raises ValueError as `chrf` does.
    """
    from sacrebleu.metrics import CHRF

    ours, theirs = (_scorer(CHRF(), texts, references) for texts in (written, others))
    return _bootstrapped(lambda rows: ours(rows) - theirs(rows), len(references), samples)


def bleu(written: Sequence[str], references: Sequence[str], samples: int = 1000) -> Score:
    """BLEU of texts, one reference each. Raises ValueError as `chrf` does."""
    from sacrebleu.metrics import BLEU

    return _bootstrapped(_scorer(BLEU(), written, references), len(references), samples)


def _scorer(metric, written: Sequence[str], references: Sequence[str]) -> Callable[[Rows], float]:
    """The metric as a function of which texts are scored."""
    if not written or len(written) != len(references):
        raise ValueError(
            "expected at least one text, and a reference for each; got "
            f"{len(written)} texts and {len(references)} references"
        )
    # What each text counts for itself. It is what sacrebleu sums up in its own bootstrap, which gives half a
    # width for the interval's two ends; no public name leads there.
    counts = np.array(metric._extract_corpus_statistics([*written], [[*references]]))
    return lambda rows: metric._compute_score_from_stats(counts[rows].sum(axis=0).tolist()).score


def _bootstrapped(score: Callable[[Rows], float], n: int, samples: int) -> Score:
    """The score of n texts; and the same where they are drawn anew, with replacement, `samples` times; with 0
    there is no interval, but NaN."""
    generator = np.random.default_rng(0)
    drawn = [score(generator.integers(n, size=n)) for _ in range(samples)]
    return Score(score(slice(None)), *np.quantile(drawn or [np.nan], (0.025, 0.975)).tolist())


def alignment_error_rate(found: Sequence[Collection[Link]], sure: Sequence[Collection[Link]]) -> float:
    """1 - 2 |found and sure| / (|found| + |sure|), over all texts: 0 if the same words are linked, 1 if
    no link is right.

    With sure links alone it is one minus the F-score; Och and Ney also have possible ones. Raises
    ValueError if there are not as many texts, or no link is sure.
    """
    if len(found) != len(sure) or not any(sure):
        raise ValueError(
            "expected the links of as many texts as have sure ones, and a sure link at least; got "
            f"{len(found)} and {len(sure)} texts"
        )
    right = sum(len({*ours} & {*theirs}) for ours, theirs in zip(found, sure, strict=True))
    return 1 - 2 * right / (sum(len({*links}) for links in (*found, *sure)))


def diagonal(n_old: int, n_new: int) -> set[Link]:
    """Each new word linked to the old one that is as far into its text: what order alone says."""
    return {((2 * j + 1) * n_old // (2 * n_new), j) for j in range(n_new)}


def by_chance(n_old: int, n_new: int, generator: np.random.Generator) -> set[Link]:
    """Each new word linked to any old one."""
    return {(int(i), j) for j, i in enumerate(generator.integers(n_old, size=n_new))}
