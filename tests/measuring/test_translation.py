"""chrF, BLEU and the alignment error rate, on texts whose scores are known."""

import numpy as np
import pytest
import sacrebleu

from course_utils.measuring.translation import (
    alignment_error_rate,
    bleu,
    by_chance,
    chrf,
    chrf_lead,
    diagonal,
)

REFERENCES = ["The cat sat on the mat.", "It rained all day.", "He said that he would come home."] * 5
WRITTEN = ["The cat is on the mat.", "It rained all the day.", "He said he would come."] * 5


def test_the_scores_are_those_of_sacrebleu():
    assert chrf(WRITTEN, REFERENCES, 0).value == pytest.approx(
        sacrebleu.corpus_chrf(WRITTEN, [REFERENCES]).score
    )
    assert bleu(WRITTEN, REFERENCES, 0).value == pytest.approx(
        sacrebleu.corpus_bleu(WRITTEN, [REFERENCES]).score
    )
    for perfect in (chrf, bleu):
        assert perfect(REFERENCES, REFERENCES, 0).value == pytest.approx(100)


@pytest.mark.parametrize("score", [chrf, bleu])
def test_the_interval_is_that_of_resampled_texts(score):
    value, low, high = score(WRITTEN, REFERENCES, 300)
    assert low < value < high
    assert score(WRITTEN, REFERENCES, 300) == (value, low, high)
    generator = np.random.default_rng(1)
    drawn = [
        score([WRITTEN[i] for i in rows], [REFERENCES[i] for i in rows], 0).value
        for rows in generator.integers(15, size=(300, 15))
    ]
    np.testing.assert_allclose((low, high), np.quantile(drawn, (0.025, 0.975)), rtol=0.03)
    assert np.isnan(score(WRITTEN, REFERENCES, 0).low)


def test_a_lead_is_resampled_on_the_same_texts():
    assert chrf_lead(WRITTEN, WRITTEN, REFERENCES, 50) == (0, 0, 0)
    worse = [text.removesuffix(".") for text in WRITTEN]
    value, low, high = chrf_lead(WRITTEN, worse, REFERENCES, 300)
    ours, theirs = chrf(WRITTEN, REFERENCES, 300), chrf(worse, REFERENCES, 300)
    assert value == pytest.approx(ours.value - theirs.value)
    assert 0 < low < value < high
    # the two scores' own ranges overlap, as both vary with what is drawn; the lead doesn't
    assert ours.low < theirs.high and high - low < (ours.high - ours.low) / 2
    with pytest.raises(ValueError, match="a reference for each; got 1 texts and 15"):
        chrf_lead(WRITTEN, worse[:1], REFERENCES)


@pytest.mark.parametrize("written, references", [([], []), (["a"], ["a", "b"])])
def test_texts_without_their_references_are_refused(written, references):
    with pytest.raises(ValueError, match="a reference for each; got"):
        chrf(written, references)


def test_alignment_error_rate():
    sure = [{(0, 0), (1, 1)}, {(0, 0)}]
    assert alignment_error_rate(sure, sure) == 0
    assert alignment_error_rate([{(0, 1)}, set()], sure) == 1
    # one of two found links is right, and one of three sure ones found
    assert alignment_error_rate([{(0, 0), (0, 1)}, set()], sure) == pytest.approx(1 - 2 * 1 / (2 + 3))
    with pytest.raises(ValueError, match="a sure link at least"):
        alignment_error_rate([set()], [set()])
    with pytest.raises(ValueError, match="got 1 and 2 texts"):
        alignment_error_rate([set()], sure)


def test_the_diagonal_and_chance():
    assert diagonal(3, 3) == {(0, 0), (1, 1), (2, 2)}
    assert diagonal(2, 4) == {(0, 0), (0, 1), (1, 2), (1, 3)}
    assert diagonal(4, 2) == {(1, 0), (3, 1)}
    links = by_chance(5, 1000, np.random.default_rng(0))
    assert [j for _, j in sorted(links, key=lambda link: link[1])] == [*range(1000)]
    assert all(150 < sum(i == place for i, _ in links) < 250 for place in range(5))
