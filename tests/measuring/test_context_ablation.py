"""Only what lies further back than k tokens is shuffled."""

import numpy as np
import pytest

from course_utils.measuring.context_ablation import bits_by_context_kept, shuffle_beyond, windows
from course_utils.ngrams import NGramModel

TOKENS = np.random.default_rng(0).integers(0, 50, 3000)


def test_the_near_context_stays_and_the_far_one_keeps_its_letters():
    rows = windows(TOKENS, 8)
    mixed = shuffle_beyond(rows, 3, np.random.default_rng(1))
    np.testing.assert_array_equal(mixed[:, 4:], rows[:, 4:])  # three of context, and the token itself
    np.testing.assert_array_equal(np.sort(mixed[:, :4]), np.sort(rows[:, :4]))
    assert (mixed[:, :4] != rows[:, :4]).any()
    np.testing.assert_array_equal(shuffle_beyond(rows, 7, np.random.default_rng(1)), rows)


def test_an_n_gram_gets_nothing_from_beyond_its_order():
    text = np.tile(np.arange(50), 60)
    model = NGramModel(3, "add_k", k=0.1).fit(text, 50)

    def score(rows):
        return model.log2_probs(rows.ravel())[rows.shape[1] - 1 :: rows.shape[1]]

    bits = bits_by_context_kept(score, text[:500], 6, range(7))
    assert bits[2] == pytest.approx(bits[6], abs=1e-12)  # 2 of context is all that a 3-gram sees
    assert bits[0] > bits[1] > bits[2]
    whole = -model.log2_probs(text[:500])[6:].mean()
    assert bits[6] == pytest.approx(whole)
    some = bits_by_context_kept(score, text[:500], 6, [6], every=10)
    assert some[6] == pytest.approx(-model.log2_probs(text[:500])[6::10].mean())


@pytest.mark.parametrize(
    "ask", [lambda: windows(TOKENS[:3], 4), lambda: shuffle_beyond(TOKENS[None, :5], 5, None)]
)
def test_bad_input(ask):
    with pytest.raises(ValueError, match="got"):
        ask()
