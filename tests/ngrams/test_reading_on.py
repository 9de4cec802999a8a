"""What the n-gram that reads on may know of a text, and when."""

import numpy as np
import pytest

from course_utils.data import corpora
from course_utils.ngrams import NGramModel, reading_on
from course_utils.tokenizers import ByteTokenizer

SETTINGS = {"weight": 0.3, "block": 40}


@pytest.fixture(scope="module")
def tokens():
    return ByteTokenizer().encode(corpora.shakespeare().validation)[:2000]


@pytest.fixture(scope="module")
def model(tokens):
    return NGramModel(4).fit(tokens[:1000], 256)


def test_no_token_is_counted_before_it_is_paid_for(model, tokens):
    """Another future changes no price; another past changes those of the next blocks."""
    text = tokens[1000:1200]
    p, changed = reading_on.scores(model, text, **SETTINGS), text.copy()
    changed[130:] = ord("z")
    other = reading_on.scores(model, changed, **SETTINGS)
    np.testing.assert_array_equal(p[:130], other[:130])
    changed = text.copy()
    changed[:4] = ord("z")
    assert (reading_on.scores(model, changed, **SETTINGS)[40:] != p[40:]).any()


@pytest.mark.parametrize("at", [39, 97])
def test_it_gives_probabilities(model, tokens, at):
    text = tokens[1000 : 1000 + at + 1]
    rows = [np.append(text[:-1], token) for token in range(256)]
    total = sum(reading_on.scores(model, row, **SETTINGS)[-1] for row in rows)
    assert total == pytest.approx(1, abs=1e-9)


def test_it_is_the_mixture_of_two_models(model, tokens):
    text = tokens[1000:1120]
    second = NGramModel(4).fit(text[:80], 256)
    expected = (
        0.7 * model.distribution(text[:100])[text[100]] + 0.3 * second.distribution(text[:100])[text[100]]
    )
    assert reading_on.scores(model, text, **SETTINGS)[100] == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(reading_on.scores(model, text, weight=0, block=40), model.scores(text))


def test_what_it_reads_pays(model, tokens):
    text = np.tile(tokens[1000:1300], 3)
    later = slice(300, None)
    gain = np.log2(reading_on.scores(model, text, **SETTINGS)) - model.log2_probs(text)
    assert gain[later].mean() > 0.5


@pytest.mark.parametrize(
    "settings, message", [({"weight": 1.0}, "less than 1; got 1.0"), ({"block": 3}, "the order, 4; got 3")]
)
def test_settings_that_make_no_sense_are_refused(model, tokens, settings, message):
    with pytest.raises(ValueError, match=message):
        reading_on.scores(model, tokens, **settings)
