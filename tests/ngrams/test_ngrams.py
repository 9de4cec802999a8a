"""NGramModel against nltk, a naive transcription of modified Kneser-Ney, and its own contract."""

import itertools
from collections import Counter

import numpy as np
import pytest
from nltk.lm import (
    MLE,
    AbsoluteDiscountingInterpolated,
    KneserNeyInterpolated,
    Lidstone,
    StupidBackoff,
    Vocabulary,
)
from nltk.util import everygrams

from course_utils.ngrams import SMOOTHINGS, NGramModel
from course_utils.ngrams.counting import count_ngrams
from course_utils.tokenizers import ByteTokenizer

PROBABILISTIC = [name for name in SMOOTHINGS if name != "stupid_backoff"]
V = 6


def text(seed=0, length=120, doubled=True):
    """Zipf-like tokens 0 to 4 of a vocabulary of 6, so that one token never occurs. Written twice in a row:
    nltk divides by zero for a context that stands only at the very start, where nothing precedes it."""
    rng = np.random.default_rng(seed)
    tokens = rng.choice(5, size=length, p=[0.4, 0.25, 0.2, 0.1, 0.05])
    return np.concatenate([tokens, tokens]) if doubled else tokens


def fitted(order, smoothing, tokens=None, **settings):
    held_out = text(9) if smoothing == "interpolated" else None
    return NGramModel(order, smoothing, **settings).fit(text() if tokens is None else tokens, V, held_out)


# ---- equal to nltk -----------------------------------------------------------------------------


def nltk_model(kind, order, tokens, **settings):
    words = [str(t) for t in tokens]
    # nltk's vocabulary adds <UNK> by itself: with it there are V types
    model = kind(order=order, vocabulary=Vocabulary([str(t) for t in range(V - 1)]), **settings)
    model.fit([list(everygrams(words, max_len=order))])
    return model


PAIRS = [
    ("mle", {}, MLE, {}),
    ("add_k", {"k": 0.3}, Lidstone, {"gamma": 0.3}),
    ("stupid_backoff", {"alpha": 0.4}, StupidBackoff, {"alpha": 0.4}),
    ("absolute", {"discount": 0.75, "base": None}, AbsoluteDiscountingInterpolated, {"discount": 0.75}),
    ("kneser_ney", {"discount": 0.1, "base": None}, KneserNeyInterpolated, {"discount": 0.1}),
]


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("ours, settings, theirs, their_settings", PAIRS, ids=[p[0] for p in PAIRS])
def test_equal_to_nltk_in_seen_and_unseen_contexts(ours, settings, theirs, their_settings, order):
    model = fitted(order, ours, **settings)
    reference = nltk_model(theirs, order, text(), **their_settings)
    for context in itertools.product(range(5), repeat=order - 1):
        for word in range(5):
            got = model.scores(np.array([*context, word]))[-1]
            expected = reference.unmasked_score(str(word), tuple(map(str, context)))
            assert got == pytest.approx(expected, abs=1e-9), (context, word)


# ---- worked by hand ----------------------------------------------------------------------------


def test_values_worked_by_hand():
    # "abracadabra": a is followed by b twice, c once, d once. 4 of 11 bigram places begin with a.
    letters = "abcdr"
    tokens = np.array([letters.index(c) for c in "abracadabra"])
    after_a = [0]
    assert fitted(2, "mle", tokens).distribution(after_a)[:5] == pytest.approx([0, 1 / 2, 1 / 4, 1 / 4, 0])
    # add-one over 6 tokens: (2 + 1) / (4 + 6)
    assert fitted(2, "add_k", tokens, k=1).distribution(after_a)[1] == pytest.approx(3 / 10)
    # Kneser-Ney, D = 1/2: the bigram types are ab br ra ac ca ad da, 7 of them; b has 1 predecessor, a has 3.
    # p(b|a) = (2 - 1/2)/4 + (3 * 1/2)/4 * 1/7;  p(a|a) = 0 + 3/8 * 3/7
    kn = fitted(2, "kneser_ney", tokens, discount=0.5, base=None)
    assert kn.distribution(after_a)[1] == pytest.approx(3 / 8 + 3 / 8 / 7)
    assert kn.distribution(after_a)[0] == pytest.approx(3 / 8 * 3 / 7)
    # with the uniform below: p(a) = (3 - 1/2)/7 + (5 * 1/2)/7 * 1/6
    kn = fitted(2, "kneser_ney", tokens, discount=0.5)
    assert kn.distribution(after_a)[0] == pytest.approx(3 / 8 * (2.5 / 7 + 2.5 / 7 / 6))


# ---- modified Kneser-Ney, transcribed ----------------------------------------------------------


def naive_modified_kneser_ney(texts, order, vocab_size):
    """Chen & Goodman 1999, section 3, with dictionaries and no thought for speed."""
    grams = [
        Counter(tuple(t[i : i + n]) for t in texts for i in range(len(t) - n + 1))
        for n in range(1, order + 1)
    ]
    tables = []
    for n in range(order):
        counts = grams[n] if n == order - 1 else Counter(gram[1:] for gram in grams[n + 1])
        n1, n2, n3, n4 = (sum(c == k for c in counts.values()) for k in (1, 2, 3, 4))
        discounts = (0.5, 1.0, 1.5)
        if min(n1, n2, n3, n4) > 0:
            y = n1 / (n1 + 2 * n2)
            found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
            if all(0 <= d <= k for k, d in enumerate(found, 1)):
                discounts = found
        tables.append((counts, discounts))

    def p(word, context):
        if context is None:
            return 1 / vocab_size
        counts, discounts = tables[len(context)]
        followers = {gram[-1]: c for gram, c in counts.items() if gram[:-1] == context}
        below = context[1:] if context else None
        if not followers:
            return p(word, below)
        take = {w: discounts[min(c, 3) - 1] for w, c in followers.items()}
        total = sum(followers.values())
        own = (followers[word] - take[word]) / total if word in followers else 0
        return own + sum(take.values()) / total * p(word, below)

    return p


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [40, 600])  # the short text makes some orders fall back
def test_modified_kneser_ney_equals_the_formula(order, length):
    texts = [text(1, length, doubled=False), text(2, length // 2, doubled=False)]
    model = NGramModel(order, "modified_kneser_ney").fit(texts, V)
    naive = naive_modified_kneser_ney([list(t) for t in texts], order, V)
    for context in itertools.product(range(V), repeat=order - 1):
        expected = [naive(word, context) for word in range(V)]
        np.testing.assert_allclose(model.distribution(np.array(context)), expected, rtol=0, atol=1e-9)


def test_discounts_say_where_the_estimate_failed():
    model = fitted(3, "modified_kneser_ney", np.arange(5))
    assert model.discounts[2] == (0.5, 1.0, 1.5, True)
    wide = NGramModel(3).fit(np.random.default_rng(0).zipf(1.5, 5000) % 300, 300)
    assert [d.fallback for d in wide.discounts] == [False] * 3
    assert all(0 <= d[k] <= k + 1 for d in wide.discounts for k in range(3))


# ---- contract ----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 5, 8])
@pytest.mark.parametrize("smoothing", PROBABILISTIC)
def test_distribution_sums_to_one_seen_and_unseen(smoothing, order):
    model = fitted(order, smoothing)
    contexts = [(), (0,), (5,), (5, 5, 5, 5, 5, 5, 5), (0, 1, 2, 0, 1, 2, 0, 1, 2, 0), tuple(text()[-7:])]
    for context in contexts:
        p = model.distribution(np.array(context, dtype=int))
        assert p.dtype == np.float64 and p.shape == (V,) and (p >= 0).all()
        assert abs(p.sum() - 1) < 1e-12


@pytest.mark.parametrize("smoothing", PROBABILISTIC)
def test_log2_probs_and_distribution_agree(smoothing):
    model, tokens = fitted(4, smoothing), text(3)
    got = model.log2_probs(tokens)
    for i, token in enumerate(tokens[:60]):
        p = model.distribution(tokens[:i])[token]
        if smoothing == "mle" and got[i] == -np.inf:
            continue  # 0/0 in an unseen context: see distribution's docstring
        assert got[i] == pytest.approx(np.log2(p), abs=1e-9)


@pytest.mark.parametrize("smoothing", PROBABILISTIC)
@pytest.mark.parametrize("context", [(), (0,), (5,), (0, 1), (4, 4, 4)])
def test_shares_say_who_answers(smoothing, context):
    shares = fitted(4, smoothing).shares(context)
    assert shares.shape == (5,) and shares.sum() == pytest.approx(1)
    assert not shares[len(context) + 2 :].any()
    if smoothing == "mle":
        assert shares[0 if 5 in context or context == (4, 4, 4) else len(context) + 1] == 1


@pytest.mark.parametrize("smoothing", PROBABILISTIC)
def test_models_can_share_one_count(smoothing):
    tables = count_ngrams([text()], 5, V)
    shared = NGramModel(3, smoothing).fit_tables(tables, held_out=text(9))
    np.testing.assert_array_equal(shared.scores(text(3)), fitted(3, smoothing).scores(text(3)))


def test_a_longer_context_is_cut_to_its_last_tokens():
    model = fitted(3, "kneser_ney")
    np.testing.assert_array_equal(model.distribution([4, 4, 0, 1]), model.distribution([0, 1]))


def test_mle_zeros_cost_infinitely_many_bits():
    model = fitted(3, "mle")
    assert model.log2_probs(np.array([0, 0, 5]))[-1] == -np.inf
    assert model.perplexity(np.array([0, 0, 5])) == np.inf
    assert model.bits_per_byte(np.array([0, 0, 5])) == np.inf


def test_stupid_backoff_refuses_to_be_a_distribution():
    model = fitted(3, "stupid_backoff")
    assert model.scores(text()).min() > 0
    for ask in (model.distribution, model.perplexity, model.log2_probs, model.bits_per_byte):
        with pytest.raises(ValueError, match=r"stupid_backoff has no .*scores"):
            ask(np.array([0, 1]))


def test_no_ngram_joins_two_texts():
    model = NGramModel(2, "mle").fit([np.array([0, 1]), np.array([2, 3])], V)
    assert model.counts([1]).sum() == 0
    assert list(model.counts([0])) == [0, 1, 0, 0, 0, 0]
    assert model.entries == [4, 2]


def test_perplexity_and_bits_are_one_number_in_two_units():
    model, tokens = fitted(3, "absolute"), text(4)
    bits = -model.log2_probs(tokens).sum()
    assert model.perplexity(tokens) == pytest.approx(2 ** (bits / len(tokens)))
    assert model.bits_per_byte(tokens, n_bytes=1000) == pytest.approx(bits / 1000)


def test_interpolation_weights_beat_other_weights_on_held_out_text():
    model = fitted(3, "interpolated")
    best = model.perplexity(text(9))
    assert all(0 <= w <= 1 for w in model.weights)
    for n in range(3):
        for step in (-0.05, 0.05):
            other = fitted(3, "interpolated")
            if not 0 < other.weights[n] + step < 1:
                continue
            other.weights[n] += step
            other._levels = [other._level(table, k) for k, table in enumerate(other._tables, start=1)]
            assert other.perplexity(text(9)) > best


def test_sampling_follows_the_distribution():
    model = fitted(2, "modified_kneser_ney")
    draws = np.array([model.sample(1, [0], np.random.default_rng(s))[0] for s in range(2000)])
    p = model.distribution([0])
    expected = 2000 * p
    chi2 = ((np.bincount(draws, minlength=V) - expected) ** 2 / expected).sum()
    assert chi2 < 20.5  # 0.1 % point of chi-square with 5 degrees of freedom
    wrong = 2000 * model.distribution([1])
    assert ((np.bincount(draws, minlength=V) - wrong) ** 2 / wrong).sum() > 20.5
    again = model.sample(30, [0], np.random.default_rng(7))
    np.testing.assert_array_equal(again, model.sample(30, [0], np.random.default_rng(7)))


def test_bytes_to_order_8_and_words_to_order_5():
    tokens = ByteTokenizer().encode("To be, or not to be, that is the question. " * 30)
    assert NGramModel(8).fit(tokens, 256).perplexity(tokens) < 1.1
    words = np.random.default_rng(0).integers(0, 30_000, 5000)
    assert abs(NGramModel(5).fit(words, 30_000).distribution(words[:4]).sum() - 1) < 1e-12


# ---- bad input ---------------------------------------------------------------------------------

BAD = [
    (lambda: NGramModel(0), "from 1 to 8; got 0"),
    (lambda: NGramModel(9), "from 1 to 8; got 9"),
    (lambda: NGramModel(2.5), "from 1 to 8; got 2.5"),
    (lambda: NGramModel(2, "laplace"), "one of mle, add_k"),
    (lambda: NGramModel(2, "add_k", k=0), "k must be above 0"),
    (lambda: NGramModel(2, "add_k", k=float("nan")), "k must be above 0"),
    (lambda: NGramModel(2, "mle", k=1), "takes no settings"),
    (lambda: NGramModel(2, "absolute", k=1), "takes discount, base"),
    (lambda: NGramModel(2, "absolute", base="x"), "base must be"),
    (lambda: NGramModel(2).fit(np.array([], dtype=int), V), "is empty"),
    (lambda: NGramModel(2).fit([], V), "is empty"),
    (lambda: NGramModel(2).fit(np.array([1]), V), "at least 2 tokens; the longest one has 1"),
    (lambda: NGramModel(2).fit(np.array([0, 6]), V), "token 6 is outside the vocabulary"),
    (lambda: NGramModel(2).fit(np.array([0, -1]), V), "token -1 is outside"),
    (lambda: NGramModel(2).fit(np.array([0.5, 1.0]), V), "1-D array of integers"),
    (lambda: NGramModel(2).fit("text", V), "encode the text"),
    (lambda: NGramModel(2).fit(np.array([0, 1]), 0), "vocab_size"),
    (lambda: NGramModel(3).fit_tables(count_ngrams([text()], 2, V)), "up to that order; got 2"),
    (lambda: NGramModel(2, "interpolated").fit(np.array([0, 1]), V), "needs held_out"),
    (lambda: NGramModel(2).distribution([0]), "call fit before"),
    (lambda: fitted(2, "mle").perplexity(np.array([], dtype=int)), "no token to score"),
    (lambda: fitted(2, "mle").distribution([9]), "token 9 is outside"),
]


def test_a_fit_that_was_refused_is_none():
    model = fitted(2, "interpolated")
    for again in ({"held_out": np.array([9])}, {}):
        with pytest.raises(ValueError):
            model.fit(text(), V, **again)
        with pytest.raises(ValueError, match="not been fitted yet"):
            model.scores(text())


@pytest.mark.parametrize("ask, message", BAD, ids=[message for _, message in BAD])
def test_bad_input_says_what_it_got_and_what_is_allowed(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
