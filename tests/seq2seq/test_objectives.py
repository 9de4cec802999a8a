"""Span corruption by what it does to many texts: counts exactly, draws by chi-square; the wrong are found."""

import collections
import itertools

import pytest
import torch

from course_utils.seq2seq.objectives import (
    corrupt_spans,
    prefix_lm,
    put_together,
    random_spans,
    span_corruption,
)
from course_utils.seq2seq.t5 import SENTINELS

pytestmark = pytest.mark.usefixtures("one_thread")


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_counts_of_t5s_code_for_512_tokens():
    for seed in range(50):
        source, target = span_corruption(range(512), SENTINELS, generator=drawn(seed))
        assert (len([*source, 1]), len([*target, 1])) == (462, 104)
        assert len(set(target) & set(SENTINELS)) == 26 and len(set(target) - set(SENTINELS)) == 77
        assert source[0] == 0 and source[-1] == SENTINELS[25] and target[0] == SENTINELS[0]
        assert target[-1] == 511
    with_last = span_corruption(range(512), SENTINELS, generator=drawn(), last_sentinel=True)
    assert len([*with_last[1], 1]) == 105 and with_last[1][-1] == SENTINELS[26]


@pytest.mark.parametrize(
    ("n", "rate", "mean_span", "noise", "count"),
    [(3, 0.15, 3, 1, 1), (10, 0.25, 1, 2, 2), (10, 0.95, 9, 9, 1), (100, 0.5, 5, 50, 10), (2, 0.9, 2, 1, 1)],
)
def test_other_counts(n, rate, mean_span, noise, count):
    """Also at the limits: at least one token is taken out, and one is left."""
    spans = random_spans(n, rate, mean_span, drawn())
    assert (sum(end - start for start, end in spans), len(spans)) == (noise, count)
    assert spans[0][0] > 0 and spans[-1][1] == n
    assert all(one[1] < two[0] for one, two in itertools.pairwise(spans))


def test_ten_thousand_texts_are_put_together_again():
    """Of any ids, repeated or not, at any rate; so nothing is lost, and nothing comes twice."""
    generator = drawn()
    sizes = torch.randint(3, 60, (10_000,), generator=generator).tolist()
    for case, n in enumerate(sizes):
        text = torch.randint(1, 40, (n,), generator=generator).tolist()
        rate, last = (0.15, 0.3, 0.5)[case % 3], case % 2 == 1
        source, target = span_corruption(text, SENTINELS, rate, 3, generator, last)
        assert put_together(source, target, SENTINELS) == text != source
        assert len(source) + len(target) == n + 2 * len(set(source) & set(SENTINELS)) + last


# The draws: of 12 tokens 6 are taken out in 3 spans, so there are 10 x 10 equally likely ways


def as_t5_does(generator):
    return span_corruption(range(12), SENTINELS, 0.5, 2, generator)


def faults(corrupt, draws=5000):
    """What of the objective doesn't hold for texts 0, 1, ..., 11."""
    generator, found, ways = drawn(1), set(), collections.Counter()
    for _ in range(draws):
        source, target = corrupt(generator)
        plain = [i for i in source if i < 12]
        asked = [i for i in target if i < 12]
        if sorted(plain + asked) != [*range(12)] or len(asked) != 6:
            found.add("counts")
        if source[0] >= 12 or source[-1] < 12 or target[-1] >= 12:
            found.add("begins with text, ends on noise")
        if [i for i in source if i >= 12] != [*SENTINELS[:3]]:
            found.add("sentinels of the source")
        if [i for i in target if i >= 12] != [*SENTINELS[:3]]:
            found.add("sentinels of the target")
        try:
            if put_together(source, target, SENTINELS) != [*range(12)]:
                found.add("inverse")
        except ValueError:
            found.add("inverse")
        ways[tuple(asked)] += 1
    chi_square = sum((ways[way] - draws / 100) ** 2 for way in ways) / (draws / 100)
    chi_square += (100 - len(ways)) * draws / 100
    if chi_square > 99 + 4 * (2 * 99) ** 0.5 or len(ways) != 100:
        found.add("equally likely")
    return found


def test_every_way_is_equally_likely():
    assert faults(as_t5_does) == set()


def by_spans(draw, **options):
    def corrupt(generator):
        return corrupt_spans(range(12), draw(generator), SENTINELS, **options)

    return corrupt


def cut_like_dice(generator):
    """Each span has 1 token, and the rest is dealt out token by token: long spans are too rare."""
    spans, place = [], 0
    text, noise = (
        torch.bincount(torch.randint(3, (3,), generator=generator), minlength=3) + 1 for _ in range(2)
    )
    for skipped, length in zip(text.tolist(), noise.tolist(), strict=True):
        spans.append((place + skipped, place + skipped + length))
        place += skipped + length
    return spans


def noise_first(generator):
    return [(0 if i == 0 else 12 - end, 12 - start) for i, (start, end) in
            enumerate(reversed(random_spans(12, 0.5, 2, generator)))]  # fmt: skip


def token_by_token(generator):
    hidden = torch.rand(12, generator=generator) < 0.5
    spans, place = [], 0
    for gone, run in itertools.groupby(hidden.tolist()):
        length = len([*run])
        spans += [(place, place + length)] if gone else []
        place += length
    return spans or [(0, 1)]


def changed(how):
    def corrupt(generator):
        return how(*as_t5_does(generator))

    return corrupt


@pytest.mark.parametrize(
    ("corrupt", "expected"),
    [
        (by_spans(cut_like_dice), "equally likely"),
        (by_spans(noise_first), "begins with text, ends on noise"),
        (by_spans(token_by_token), "counts"),
        (by_spans(lambda generator: random_spans(12, 0.5, 2, generator), last_sentinel=True),
         "begins with text, ends on noise"),
        (lambda generator: span_corruption(range(12), SENTINELS, 0.4, 2, generator), "counts"),
        (lambda generator: span_corruption(range(12), SENTINELS, 0.5, 3, generator),
         "sentinels of the target"),
        (lambda generator: span_corruption(range(12), SENTINELS[1:], 0.5, 2, generator),
         "sentinels of the source"),
        (changed(lambda source, target: ([min(i, SENTINELS[2]) for i in source], target)), "inverse"),
        (changed(lambda source, target: (source, [i for i in target if i < 12])), "sentinels of the target"),
        (changed(lambda source, target: (source, [*target[:-1]])), "counts"),
        (changed(lambda source, target: (source, put_together(source, target, SENTINELS))), "counts"),
        (changed(lambda source, target: ([i for i in source if i < 12], target)), "sentinels of the source"),
    ],
    ids=["uneven spans", "noise first", "tokens by chance", "a last sentinel", "another rate", "longer spans",
         "another first sentinel", "sentinel reused", "no sentinels in the target", "a token lost",
         "the target repeats the text", "no sentinels in the source"],
)  # fmt: skip
def test_a_wrong_variant_is_found(corrupt, expected):
    assert expected in faults(corrupt, 600)


def test_the_same_generator_gives_the_same_and_goes_on():
    generator, text = drawn(3), [*range(100)]
    first, second = (span_corruption(text, SENTINELS, generator=generator) for _ in range(2))
    assert first == span_corruption(torch.arange(100), SENTINELS, generator=drawn(3)) != second
    assert text == [*range(100)]


# Spans that were chosen


def test_chosen_spans():
    text = [10, 11, 12, 13, 14]
    assert corrupt_spans(text, [(0, 2), (4, 5)], [7, 6, 5]) == ([7, 12, 13, 6], [7, 10, 11, 6, 14])
    assert corrupt_spans(text, [(1, 2), (2, 4)], [7, 6, 5], True) == ([10, 7, 6, 14], [7, 11, 6, 12, 13, 5])
    assert put_together([10, 7, 6, 14], [7, 11, 6, 12, 13, 5], [7, 6, 5]) == text


@pytest.mark.parametrize(
    ("spans", "sentence"),
    [
        ([], "in order, within 5 tokens; got \\[\\]"),
        ([(2, 2)], "at least one token each"),
        ([(3, 4), (1, 2)], "in order"),
        ([(1, 3), (2, 4)], "in order"),
        ([(4, 6)], "within 5 tokens"),
        ([(-1, 2)], "within 5 tokens"),
        ([(0, 1), (2, 3), (4, 5)], "3 spans need 3 sentinels; got 2: take a shorter text or fewer spans"),
    ],
)
def test_spans_that_are_refused(spans, sentence):
    with pytest.raises(ValueError, match=sentence):
        corrupt_spans(range(10, 15), spans, [7, 6])


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, float("nan")])
def test_bad_rates(rate):
    with pytest.raises(ValueError, match=r"between 0 and 1; got .*T5 has 0\.15"):
        span_corruption(range(100), SENTINELS, rate)


@pytest.mark.parametrize(
    ("n", "options", "sentence"),
    [
        (2, {}, "2 tokens, and a span about 3: take a longer text or shorter spans"),
        (0, {}, "0 tokens, and a span about 3"),
        (1, {"mean_span": 1}, "1 tokens, and a span about 1"),
        (100, {"mean_span": 0.5}, "at least one token on average; got mean_span = 0.5"),
        (100, {"mean_span": float("nan")}, "got mean_span = nan"),
        (10, {"rate": 0.8, "mean_span": 1}, "8 spans need as many other tokens .* only 2 are left"),
        (3000, {}, "150 spans need 150 sentinels; got 100: take a shorter text or fewer spans"),
    ],
)
def test_texts_that_cannot_be_corrupted(n, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        span_corruption(range(n), SENTINELS, **options)


def test_sentinels_that_are_refused():
    with pytest.raises(ValueError, match="a sentinel of its own; got one twice"):
        span_corruption(range(100), [101] * 30)
    with pytest.raises(ValueError, match="the text has a sentinel in it"):
        span_corruption([*range(100), SENTINELS[90]], SENTINELS)


@pytest.mark.parametrize(
    ("source", "target", "sentence"),
    [
        ([10, 7], [], "begins with a sentinel; got \\[\\] first"),
        ([10, 7], [11, 7, 12], "begins with a sentinel; got \\[11, 7, 12\\]"),
        ([10, 7], [7, 11, 7, 12], "sentinel 7 comes twice"),
        ([10, 7, 6], [7, 11], r"gaps for the sentinels \[7, 6\], and the target spans for \[7\]"),
        ([10, 7], [7, 11, 6, 12], r"gaps for the sentinels \[7\], and the target spans for \[7, 6\]"),
        ([10, 7, 7], [7, 11], r"sentinels \[7, 7\]"),
    ],
)
def test_what_does_not_fit_together(source, target, sentence):
    with pytest.raises(ValueError, match=sentence):
        put_together(source, target, [7, 6, 5])


# Prefix language modelling


def test_a_prefix_ends_anywhere():
    generator = drawn()
    cuts = collections.Counter()
    for _ in range(6000):
        source, target = prefix_lm(range(7), generator)
        assert source + target == [*range(7)]
        cuts[len(source)] += 1
    assert set(cuts) == set(range(1, 7))
    assert all(abs(count - 1000) < 4 * (6000 / 6 * 5 / 6) ** 0.5 for count in cuts.values())
    assert prefix_lm([5, 6]) == ([5], [6])
    with pytest.raises(ValueError, match="at least 2 tokens can be cut in two; got 1"):
        prefix_lm([5])
