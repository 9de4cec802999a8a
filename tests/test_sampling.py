"""The samplers against transformers' processors, at the edges, and on bad input."""

import math
import warnings

import pytest
import torch
from transformers.generation import logits_process as theirs

from course_utils import sampling
from course_utils.sampling import Sampler, draw, kept, token_counts

pytestmark = pytest.mark.usefixtures("one_thread")

INF, NAN = math.inf, math.nan
NEAR = 1e-6


def probabilities(*values):
    """Logits whose softmax is `values`."""
    return torch.tensor(values).log()


def stays(logits):
    return kept(logits).int().tolist()


# Which tokens stand where their fate turns, in float64: relative to a bar, absolute for a sum.


def near_top_k(logits, k):
    return torch.zeros_like(logits, dtype=torch.bool)  # logits are compared as they are


def near_top_p(logits, p):
    ascending, order = logits.sort()
    near = (ascending.softmax(-1).cumsum(-1) - (1 - p)).abs() < NEAR
    return near.scatter(-1, order, near)


def near_bar(logits, bar):
    return (logits.log_softmax(-1) - math.log(bar)).abs() < NEAR


def near_min_p(logits, p):
    return (logits - logits.amax(-1, keepdim=True) - math.log(p)).abs() < NEAR


def near_eta(logits, least):
    log_p = logits.log_softmax(-1)
    entropy = -(log_p.exp() * log_p).sum(-1, keepdim=True)
    return (log_p - (math.log(least) / 2 - entropy).clamp(max=math.log(least))).abs() < NEAR


def near_typical(logits, mass):
    log_p = logits.log_softmax(-1)
    distance = (log_p + -(log_p.exp() * log_p).sum(-1, keepdim=True)).abs()
    ascending, order = distance.sort()
    sums = log_p.exp().gather(-1, order).cumsum(-1)
    turns = (sums - mass).abs() < NEAR  # this token is the last, or the next one
    near = turns | turns.roll(1, dims=-1)
    last = (sums < mass).sum(-1, keepdim=True).clamp(max=logits.shape[-1] - 1)
    equals = (ascending - ascending.gather(-1, last)).abs() < NEAR
    near |= equals & (equals.sum(-1, keepdim=True) > 1)
    return near.scatter(-1, order, near)


CASES = {
    "top_k": (theirs.TopKLogitsWarper, near_top_k, lambda u: 1 + int(u * 40)),
    "top_p": (theirs.TopPLogitsWarper, near_top_p, lambda u: u),
    "min_p": (theirs.MinPLogitsWarper, near_min_p, lambda u: 0.001 + 0.998 * u),
    "typical": (theirs.TypicalLogitsWarper, near_typical, lambda u: 0.001 + 0.998 * u),
    "epsilon": (theirs.EpsilonLogitsWarper, near_bar, lambda u: 10 ** (-1 - 4 * u)),
    "eta": (theirs.EtaLogitsWarper, near_eta, lambda u: 10 ** (-1 - 4 * u)),
}


def compare(name, ours):
    """On 10,000 random cases: those near a turning place, and of the others those that differ."""
    warper, near_of, value_of = CASES[name]
    generator = torch.Generator().manual_seed(0)
    near_cases = differing = wrong_near = 0
    for i in range(100):  # 100 settings, 100 rows each
        vocab = 3 + i
        spread = 0.5 + 0.04 * i
        logits = spread * torch.randn(100, vocab, generator=generator)
        value = value_of(torch.rand((), generator=generator).item())
        differs = kept(ours(logits, min(value, vocab))) != kept(warper(value)(None, logits))
        near = near_of(logits.double(), value)
        near_cases += near.any(-1).sum().item()
        differing += (differs.any(-1) & ~near.any(-1)).sum().item()
        wrong_near += (differs & ~near).any(-1).sum().item()
    return near_cases, differing, wrong_near


@pytest.mark.parametrize("name", CASES)
def test_kept_sets_equal_those_of_transformers(name):
    near_cases, differing, wrong_near = compare(name, getattr(sampling, name))
    assert near_cases < 10  # 0.1 % of 10,000
    assert differing == 0
    assert wrong_near == 0  # near a turning place, only the tokens that stand there may differ


def sums_from_typical(probs):
    surprise = -probs.log()
    return probs[(surprise - (probs * surprise).sum()).abs().argsort()].cumsum(-1)


MET = {  # settings that some token meets exactly, up to the rounding of the floats
    "top_p": lambda probs: probs.sort(descending=True).values.cumsum(-1)[:-1],
    "min_p": lambda probs: probs.sort().values[:-1] / probs.max(),
    "typical": lambda probs: sums_from_typical(probs)[:-1],
    "epsilon": lambda probs: probs.sort().values[:-1],
}


@pytest.mark.parametrize("name", MET)
def test_at_a_turning_place_only_the_tokens_there_may_differ(name):
    warper, near_of, _ = CASES[name]
    logits = 2 * torch.randn(20, 30, generator=torch.Generator().manual_seed(0))
    for row in logits[:, None]:
        for value in MET[name](row[0].double().softmax(-1)).tolist():
            near = near_of(row.double(), value)
            differs = kept(getattr(sampling, name)(row, value)) != kept(warper(value)(None, row))
            assert near.any() and not (differs & ~near).any()


WRONG = {
    "top_k": lambda logits, k: sampling.top_k(logits, max(k - 1, 1)),
    "top_p": lambda logits, p: sampling.top_p(logits, p * 0.99),
    "min_p": lambda logits, p: sampling.epsilon(logits, p),
    "typical": lambda logits, mass: sampling.top_p(logits, mass),
    "epsilon": lambda logits, least: sampling.epsilon(logits, least * 1.01),
    "eta": lambda logits, least: sampling.epsilon(logits, least),
}


@pytest.mark.parametrize("name", CASES)
def test_the_comparison_notices_a_wrong_rule(name):
    assert compare(name, WRONG[name])[1] > 10


def test_penalties_equal_those_of_transformers():
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(50, 20, generator=generator)
    ids = torch.randint(20, (50, 9), generator=generator)
    counts = token_counts(ids, 20)
    expected = theirs.RepetitionPenaltyLogitsProcessor(1.3)(ids, logits)
    torch.testing.assert_close(sampling.repetition_penalty(logits, counts, 1.3), expected, rtol=0, atol=0)
    by_hand = torch.stack([torch.bincount(row, minlength=20) for row in ids])
    torch.testing.assert_close(sampling.frequency_penalty(logits, counts, 0.5), logits - 0.5 * by_hand)


def test_a_token_is_penalised_once_and_padding_never():
    logits = torch.tensor([1.0, -1, 0, 3])
    counts = token_counts(torch.tensor([0, 0, 1, -1, -1]), 4)
    assert counts.tolist() == [2, 1, 0, 0]
    assert sampling.repetition_penalty(logits, counts, 2).tolist() == [0.5, -2, 0, 3]
    assert sampling.frequency_penalty(logits, counts, 2).tolist() == [-3, -3, 0, 3]


# Edges


EDGES = [
    ("top_k", 2, [0.4, 0.2, 0.2, 0.2], [1, 1, 1, 1]),  # all that tie with the k-th
    ("top_k", 1, [0.4, 0.2, 0.2, 0.2], [1, 0, 0, 0]),
    ("top_p", 0.5, [0.5, 0.3, 0.2], [1, 0, 0]),  # a sum of exactly p is enough
    ("top_p", 0.8, [0.5, 0.3, 0.2], [1, 1, 0]),
    ("top_p", 0.81, [0.5, 0.3, 0.2], [1, 1, 1]),
    ("top_p", 0, [0.5, 0.3, 0.2], [1, 0, 0]),
    ("top_p", 1, [0.5, 0.3, 0.2], [1, 1, 1]),
    ("top_p", 0.5, [0.25, 0.25, 0.25, 0.25], [0, 0, 1, 1]),  # of equals the later stay
    ("top_p", 0.6, [0.25, 0.25, 0.25, 0.25], [0, 1, 1, 1]),
    ("top_p", 0.8, [0.3, 0.1, 0.1, 0.5], [1, 0, 0, 1]),
    ("top_p", 0.8, [0.15, 0.3, 0.3, 0.25], [0, 1, 1, 1]),
    ("min_p", 0.5, [0.5, 0.25, 0.25], [1, 1, 1]),  # exactly at the bar stays
    ("min_p", 0.6, [0.5, 0.25, 0.25], [1, 0, 0]),
    ("min_p", 0, [0.5, 0.25, 0.25], [1, 1, 1]),
    ("min_p", 1, [0.25, 0.5, 0.25], [0, 1, 0]),
    ("min_p", 0.05, [0.9, 0.0274, 0.047, 0.0274], [1, 0, 1, 0]),
    ("min_p", 0.05, [0.97, 0.01, 0.01, 0.01], [1, 0, 0, 0]),
    ("typical", 0.3, [0.5, 0.2, 0.2, 0.1], [0, 1, 1, 0]),  # without the likeliest
    ("epsilon", 0.3, [0.5, 0.3, 0.2], [1, 1, 0]),
    ("epsilon", 0.9, [0.4, 0.4, 0.2], [1, 1, 0]),
    ("eta", 0.5, [0.4, 0.3, 0.3], [1, 1, 1]),  # the bar sinks to 0.24
    ("temperature", 0, [0.4, 0.4, 0.2], [1, 0, 0]),  # of equals the first
]


@pytest.mark.parametrize("name, value, probs, expected", EDGES)
def test_edges(name, value, probs, expected):
    logits = probabilities(*probs)
    assert stays(getattr(sampling, name)(logits, value)) == expected
    if name != "temperature" and (name != "top_p" or value not in (0, 1)):
        assert stays(CASES[name][0](value)(None, logits[None]))[0] == expected


@pytest.mark.parametrize("name", sampling.CUTS)
@pytest.mark.parametrize("vocab", [1, 2, 50])
def test_nothing_comes_back_in_and_one_token_always_stays(name, vocab):
    logits = torch.randn(4, 3, vocab, generator=torch.Generator().manual_seed(0))
    logits[..., vocab // 2 + 1 :] = -INF
    before = logits.clone()
    result = getattr(sampling, name)(logits, 1 if name == "top_k" else 0.5)
    assert result.shape == logits.shape and result.dtype == logits.dtype
    assert kept(result).any(-1).all() and not (kept(result) & ~kept(logits)).any()
    assert torch.equal(logits, before)


def test_rows_are_cut_alone():
    logits = 2 * torch.randn(5, 30, generator=torch.Generator().manual_seed(0))
    for name, cut in sampling.CUTS.items():
        value = 3 if name == "top_k" else 0.4
        together = cut(logits.reshape(5, 1, 30), value).reshape(5, 30)
        assert torch.equal(together, torch.stack([cut(row, value) for row in logits])), name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    logits = torch.tensor([30.0, -5, 29, 0]).to(dtype)
    for name, cut in sampling.CUTS.items():
        result = cut(logits, 2 if name == "top_k" else 0.3)
        assert result.dtype == dtype and kept(result)[..., 0] and not result.isnan().any(), name


def test_float64_may_be_larger_than_float32_can_be():
    logits = torch.tensor([1e39, 1e39 - 1e24, 0], dtype=torch.float64)
    for name, cut in sampling.CUTS.items():
        expected = [1, 1, 1] if name == "temperature" else [1, 0, 0]
        assert stays(cut(logits, 1 if name == "top_k" else 0.3)) == expected, name
    assert draw(logits).item() == 0
    surprise, entropy = sampling.surprise_and_entropy(logits, torch.tensor(0))
    assert surprise == entropy == 0


@pytest.mark.parametrize("value", [1e-5, 1e-30, 1e-44, 1e-300])
@pytest.mark.parametrize("shift", [-1000.0, 0.0, 1000.0])
def test_a_tiny_temperature_is_greedy(value, shift):
    logits = torch.tensor([1.0, 3, 2]) + shift
    assert draw(sampling.temperature(logits, value)).item() == 1


def test_a_row_that_overflows_makes_no_other_greedy():
    rows = torch.tensor([[1e-3, 0.9e-3], [100, 99]])
    cut = sampling.temperature(rows, 1e-37)
    assert torch.equal(cut, torch.stack([sampling.temperature(row, 1e-37) for row in rows]))
    assert stays(cut) == [[1, 1], [1, 0]]


def test_temperature_never_changes_the_ranking():
    logits = torch.randn(100, generator=torch.Generator().manual_seed(0))
    for value in (0.1, 0.7, 1, 3):
        assert torch.equal(sampling.temperature(logits, value).argsort(), logits.argsort())


# The chain


def test_a_chain_applies_its_steps_in_their_order():
    logits = probabilities(0.6, 0.3, 0.1)
    assert stays(Sampler(temperature=5, top_p=0.8)(logits)) == [1, 1, 1]
    assert stays(Sampler(top_p=0.8, temperature=5)(logits)) == [1, 1, 0]
    assert torch.equal(Sampler()(logits), logits)
    assert repr(Sampler(top_p=0.8, temperature=5)) == "Sampler(top_p=0.8, temperature=5)"


def test_a_chain_in_the_order_of_transformers():
    logits = 3 * torch.randn(500, 40, generator=torch.Generator().manual_seed(0))
    ours = Sampler(temperature=1.5, top_k=20, top_p=0.95, min_p=0.02, typical=0.9, epsilon=1e-3, eta=1e-3)
    expected = theirs.TemperatureLogitsWarper(1.5)(None, logits)
    for name in ("top_k", "top_p", "min_p", "typical", "epsilon", "eta"):
        expected = CASES[name][0](ours.settings[name])(None, expected)
    torch.testing.assert_close(ours(logits), expected)


def test_penalties_in_a_chain_need_counts():
    sampler = Sampler(frequency_penalty=100.0, temperature=0)
    counts = token_counts(torch.tensor([2]), 3)
    assert draw(sampler(torch.tensor([1.0, 2, 3]), counts)).item() == 1
    with pytest.raises(ValueError, match="a penalty needs counts"):
        sampler(torch.tensor([1.0, 2, 3]))


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"repetition_penalty": 1e-39}, r"\+inf"),
        ({"frequency_penalty": 1e39}, "all logits of a row are -inf"),
    ],
)
def test_a_last_penalty_that_overflows_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Sampler(**settings)(torch.tensor([1.0, 2]), torch.tensor([1, 1]))


def test_draws_follow_the_probabilities_and_only_these():
    logits = sampling.top_k(probabilities(0.5, 0.3, 0.15, 0.05), 3)
    n, expected = 20_000, torch.tensor([0.5, 0.3, 0.15, 0]) / 0.95

    def chi_square(rows):
        drawn = draw(rows.expand(n, 4), torch.Generator().manual_seed(0))
        counts = torch.bincount(drawn, minlength=4).double()
        assert counts[3] == 0
        return (((counts - n * expected) ** 2)[:3] / (n * expected[:3])).sum().item()

    assert chi_square(logits) < 13.8  # 2 degrees of freedom: exceeded once in 1,000
    assert chi_square(sampling.temperature(logits, 1.1)) > 13.8


def test_one_draw_follows_the_weights_and_only_the_tokens_that_have_one():
    weights, generator = torch.tensor([0, 5, 0, 3, 1.5, 0]), torch.Generator().manual_seed(0)
    drawn = torch.tensor([sampling.draw_one(weights, generator) for _ in range(20_000)])
    counts, expected = torch.bincount(drawn, minlength=6).double(), 20_000 * weights / weights.sum()
    assert not counts[weights == 0].any()
    likely = weights > 0
    assert ((counts - expected)[likely].square() / expected[likely]).sum() < 13.8  # as above


@pytest.mark.parametrize("weight", [0.0, NAN, INF])
def test_without_weight_nothing_is_drawn(weight):
    with pytest.raises(ValueError, match="a draw needs finite weights and one above 0"):
        sampling.draw_one(torch.full((3,), weight))


def test_surprise_and_entropy_are_in_bits():
    surprise, entropy = sampling.surprise_and_entropy(
        probabilities(0.75, 0.25).expand(2, 2), torch.tensor([0, 1])
    )
    assert surprise.tolist() == pytest.approx([0.415, 2], abs=1e-3)
    assert entropy.tolist() == pytest.approx([0.811, 0.811], abs=1e-3)


# Bad input


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("temperature", -1, "a number of at least 0"),
        ("temperature", NAN, "got nan"),
        ("temperature", INF, "got inf"),
        ("temperature", "warm", "got 'warm'"),
        ("temperature", None, "got None"),
        ("top_k", -1, "from 1 to the size of the vocabulary; got -1"),
        ("top_k", 2.5, "got 2.5"),
        ("top_k", NAN, "got nan"),
        ("top_k", INF, "got inf"),
        ("top_p", 1.1, "between 0 and 1; got 1.1"),
        ("top_p", -0.1, "between 0 and 1"),
        ("min_p", 2, "between 0 and 1"),
        ("typical", 0, "above 0 and below 1"),
        ("epsilon", 1, "above 0 and below 1"),
        ("eta", NAN, "above 0 and below 1"),
        ("repetition_penalty", 0, "above 0"),
        ("frequency_penalty", INF, "finite"),
    ],
)
def test_values_that_are_refused_by_name(name, value, words):
    with pytest.raises(ValueError, match=f"^{name} must be .*{words}"):
        Sampler(**{name: value})
    counts = (torch.ones(3, dtype=torch.long),) if name in sampling.PENALTIES else ()
    with pytest.raises(ValueError, match=f"^{name} must be "):
        getattr(sampling, name)(torch.zeros(3), *counts, value)


@pytest.mark.parametrize("k, used", [(0, 1), (10**9, 4)])
def test_k_is_clamped_with_notice(k, used):
    logits = probabilities(0.4, 0.3, 0.2, 0.1)
    with pytest.warns(UserWarning, match=f"top_k .* got {k}: {used} is used"):
        assert kept(sampling.top_k(logits, k)).sum() == used
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampling.top_k(logits, 4)


@pytest.mark.parametrize(
    "logits, words",
    [
        ([[0.0, 1.0], [0.0, NAN]], "NaN"),
        ([[0.0, 1.0], [-INF, -INF]], "all logits of a row are -inf"),
        ([0.0, INF], r"\+inf"),
        ([], "shape"),
        (3.0, "shape"),
    ],
)
def test_logits_that_are_refused(logits, words):
    logits = torch.tensor(logits)
    counts = torch.zeros(logits.shape, dtype=torch.long)
    for name, cut in sampling.CUTS.items():
        with pytest.raises(ValueError, match=words):
            cut(logits, 1 if name == "top_k" else 0.5)
    for penalty in sampling.PENALTIES.values():
        with pytest.raises(ValueError, match=words):
            penalty(logits, counts, 1.0)
    for function in (draw, Sampler()):
        with pytest.raises(ValueError, match=words):
            function(logits)


def test_whole_numbers_are_no_logits():
    with pytest.raises(ValueError, match=r"torch\.int64"):
        sampling.top_p(torch.tensor([1, 2]), 0.5)


def test_an_unknown_step():
    with pytest.raises(ValueError, match=r"expected settings among temperature, top_k, .*; got 'topp'"):
        Sampler(topp=0.9)
