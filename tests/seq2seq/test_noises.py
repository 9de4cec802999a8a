"""BART's noises by what they do to many distinct tokens: right within 4 sigma, and wrong variants are not."""

import collections
import itertools
import math

import pytest
import torch

from course_utils.seq2seq.noises import (
    document_rotation,
    infill,
    infilling_spans,
    sentence_permutation,
    text_infilling,
    token_deletion,
    token_masking,
)

pytestmark = pytest.mark.usefixtures("one_thread")
MASK = -1


def drawn(seed=0):
    return torch.Generator().manual_seed(seed)


def far(count, of, share):
    return abs(count - of * share) > 4 * (of * share * (1 - share)) ** 0.5


def each_as_often(counts, expected):
    """Whether all of `expected` ways came, each as often as the others within 4 sigma."""
    of = sum(counts.values())
    return len(counts) == expected and not any(far(n, of, 1 / expected) for n in counts.values())


# Masking and deletion: 6 of 20 tokens


def hides(noise, draws=3000):
    """Faults of a noise that hides 30 % of the text 0, ..., 19 or leaves it out."""
    generator, found, hidden = drawn(), set(), collections.Counter()
    for _ in range(draws):
        damaged = noise([*range(20)], generator)
        kept = [i for i in damaged if i != MASK]
        if len(kept) != 14 or kept != sorted(set(kept)):
            found.add("counts")
        if len(damaged) == 20 and any(i not in (MASK, place) for place, i in enumerate(damaged)):
            found.add("places")
        hidden.update(set(range(20)) - set(kept))
    if any(far(hidden[place], draws, 0.3) for place in range(20)):
        found.add("evenly")
    return found


def masking(ids, generator):
    return token_masking(ids, MASK, 0.3, generator)


def deletion(ids, generator):
    return token_deletion(ids, 0.3, generator)


def by_chance(ids, generator):
    return [MASK if torch.rand((), generator=generator) < 0.3 else i for i in ids]


@pytest.mark.parametrize("noise", [masking, deletion])
def test_every_token_is_hidden_as_often(noise):
    assert hides(noise) == set()
    assert len(masking(range(20), drawn())) == 20 and len(deletion(range(20), drawn())) == 14


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (lambda ids, generator: token_masking(ids, MASK, 0.35, generator), "counts"),
        (by_chance, "counts"),
        (lambda ids, generator: [*token_masking(ids[:-1], MASK, 6 / 19, generator), ids[-1]], "evenly"),
        (lambda ids, generator: deletion(ids, generator)[::-1], "counts"),
        (lambda ids, generator: masking(ids, generator)[::-1], "places"),
    ],
    ids=["another rate", "by chance", "never the last", "backwards", "backwards, masked"],
)  # fmt: skip
def test_a_wrong_way_to_hide_is_found(noise, expected):
    assert expected in hides(noise, 1000)


# Infilling


def infilling_faults(noise, n=30_000):
    """Faults of a noise that hides 30 % of the text 0, 1, ... in spans of Poisson lengths, one mask each."""
    damaged, found = noise([*range(n)], drawn(2)), set()
    kept, masks = [i for i in damaged if i != MASK], damaged.count(MASK)
    if kept != sorted(set(kept)) or len(kept) != n - round(0.3 * n):
        found.add("counts")
    hidden = n - len(kept)
    if abs(hidden / masks - 3) > 4 * (3 / masks) ** 0.5:
        found.add("mean length")
    lengths = collections.Counter()  # of spans that touch no other
    for before, this, after in zip(damaged, damaged[1:], damaged[2:], strict=False):
        if this == MASK and MASK not in (before, after):
            lengths[after - before - 1] += 1
    alone = sum(lengths.values())
    for length in range(8):
        if far(lengths[length], alone, math.exp(-3) * 3**length / math.factorial(length)):
            found.add(f"share of length {length}")
    if far(sum(i == MASK for i in damaged[: len(damaged) // 2]), masks, 0.5):
        found.add("evenly")
    return found


def infilling(ids, generator):
    return text_infilling(ids, MASK, generator=generator)


def test_spans_have_poissons_lengths_and_one_mask_each():
    assert infilling_faults(infilling) == set()
    for n in (2, 3, 7, 50):
        for seed in range(20):
            spans = infilling_spans(n, generator=drawn(seed))
            assert sum(end - start for start, end in spans) == max(round(0.3 * n), 1)
            assert infill(range(n), spans, MASK).count(MASK) == len(spans)


def spans_of(lengths):
    """A noise with spans of these lengths, evenly spread as ours are."""

    def noise(ids, generator):
        chosen, left = [], round(0.3 * len(ids))
        while left > 0:
            chosen.append(min(lengths(generator), left))
            left -= chosen[-1]
        kept = len(ids) - sum(chosen)
        slots = torch.randperm(kept + len(chosen), generator=generator)[: len(chosen)].sort().values.tolist()
        spans, before = [], 0
        for i, (slot, length) in enumerate(zip(slots, chosen, strict=True)):
            spans.append((slot - i + before, slot - i + before + length))
            before += length
        return infill(ids, spans, MASK)

    return noise


def poisson(mean):
    return lambda generator: int(torch.poisson(torch.tensor(mean), generator=generator))


def geometric(generator):
    return int(torch.empty(()).geometric_(1 / 4, generator=generator)) - 1  # mean 3


def a_mask_a_token(ids, generator):
    damaged = ids.copy()
    for start, end in infilling_spans(len(ids), generator=generator):
        damaged[start:end] = [MASK] * (end - start)
    return damaged


def test_spans_written_out_again_are_right():
    assert infilling_faults(spans_of(poisson(3.0))) == set()


@pytest.mark.parametrize(
    ("noise", "expected"),
    [
        (a_mask_a_token, "mean length"),
        (spans_of(poisson(3.3)), "mean length"),
        (spans_of(lambda generator: 3), "share of length 3"),
        (spans_of(geometric), "share of length 0"),
        (spans_of(lambda generator: max(poisson(3.0)(generator), 1)), "share of length 0"),
        (lambda ids, generator: text_infilling(ids, MASK, 0.31, generator=generator), "counts"),
        (lambda ids, generator: [*infilling(ids[:15_000], generator), *ids[15_000:]], "evenly"),
    ],
    ids=["a mask a token", "too long", "all alike", "geometric", "none of length 0", "another rate",
         "first half only"],
)  # fmt: skip
def test_wrong_infilling_is_found(noise, expected):
    assert expected in infilling_faults(noise)


def test_chosen_spans_are_filled_in():
    assert infill([5, 6, 7, 8], [(0, 0), (1, 3), (4, 4)], MASK) == [MASK, 5, MASK, 8, MASK]
    assert infill([5, 6], [], MASK) == [5, 6]
    for spans in ([(2, 1)], [(1, 3), (2, 4)], [(3, 5)], [(-1, 2)]):
        with pytest.raises(ValueError, match="in order, within 4 tokens"):
            infill([5, 6, 7, 8], spans, MASK)


# Order


TEXT = [1, 2, 0, 3, 0, 4, 5, 6]  # 0 is the full stop; the last sentence has none
SENTENCES = (1, 2, 0), (3, 0), (4, 5, 6)
ORDERS = {tuple(itertools.chain(*order)) for order in itertools.permutations(SENTENCES)}


def orders(noise, draws=2400):
    generator = drawn()
    return collections.Counter(tuple(noise(TEXT, generator)) for _ in range(draws))


def test_every_order_of_the_sentences_comes_as_often():
    counts = orders(lambda ids, generator: sentence_permutation(ids, {0}, generator))
    assert each_as_often(counts, 6)
    assert set(counts) == ORDERS
    assert sentence_permutation([3, 3, 0], {0}) == [3, 3, 0]
    assert set(orders(lambda ids, generator: sentence_permutation(ids, {9}, generator))) == {tuple(TEXT)}


def test_every_token_comes_first_as_often():
    counts = orders(document_rotation)
    assert each_as_often(counts, 8)
    assert set(counts) == {tuple(TEXT[first:] + TEXT[:first]) for first in range(8)}


@pytest.mark.parametrize(
    "noise",
    [
        lambda ids, generator: [ids[i] for i in torch.randperm(len(ids), generator=generator)],
        lambda ids, generator: sentence_permutation(ids, {0, 5}, generator),
        lambda ids, generator: sentence_permutation(ids[:5], {0}, generator) + ids[5:],
        lambda ids, generator: document_rotation(sentence_permutation(ids, {0}, generator), generator),
    ],
    ids=["tokens", "another stop", "the last stays", "rotated too"],
)
def test_a_wrong_order_is_found(noise):
    counts = orders(noise, 600)
    assert not set(counts) <= ORDERS or not each_as_often(counts, 6)


# What is refused


@pytest.mark.parametrize("noise", [lambda *a: token_masking(a[0], MASK, a[1]), token_deletion,
                                   lambda *a: text_infilling(a[0], MASK, a[1])])  # fmt: skip
def test_bad_input(noise):
    for rate in (0, 1, -1, float("nan")):
        with pytest.raises(ValueError, match="rate lies between 0 and 1; got"):
            noise([1, 2, 3], rate)
    for short in ([], [1]):
        with pytest.raises(ValueError, match=f"at least 2 tokens; got {len(short)}: take a longer one"):
            noise(short, 0.3)
    text = [*range(9)]
    assert noise(text, 0.3) != text == [*range(9)]


def test_bad_spans_and_empty_texts():
    for mean in (0, 0.9, float("nan")):
        with pytest.raises(ValueError, match="at least one token on average; got mean_span = "):
            text_infilling(range(9), MASK, 0.3, mean)
    for noise in (document_rotation, lambda ids: sentence_permutation(ids, {0})):
        with pytest.raises(ValueError, match="at least 1 tokens; got 0"):
            noise([])


def permutation(ids, generator):
    return sentence_permutation(ids, {3, 9, 14}, generator)


@pytest.mark.parametrize("noise", [masking, deletion, infilling, permutation, document_rotation])
def test_the_same_generator_gives_the_same_and_goes_on(noise):
    text, generator = [*range(20)], drawn(4)
    first, *more = (noise(text, generator) for _ in range(4))
    assert first == noise(text, drawn(4)) and any(other != first for other in more)
    assert first == noise(torch.arange(20), drawn(4))
    assert text == [*range(20)]
