"""The sampling lab without a browser: what crosses, the sentence, the draws, and hostile input."""

import json
import math
import re
import warnings

import numpy as np
import pytest
import torch

from course_utils.sampling import ALLOWED, Sampler, kept
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.sampling_lab import (
    MAX_CHARACTERS,
    MAX_DRAWS,
    NAMED,
    SETTINGS,
    SamplingLab,
    _likeliest,
    bits,
    shares,
    uniform,
)

TOKENS = [" the", " cat", "</script>", "🦜", "שלום", "\udcc3", "", "a", "a", "\n", "$x$", "<b>"]
LOGITS = np.array([3, 2, 1, 1, 1, 0.5, 0, -1, -1, -2, -3, -3], dtype=np.float32)
PROMPTS = ["Once upon", "The cat sat on"]


def next_logits(prompt):
    """The second prompt turns the logits round."""
    if "broken" in prompt:
        raise KeyError("no such layer")
    return LOGITS[::-1] if prompt == PROMPTS[1] else LOGITS


def encode(prompt):
    return [1, 1, 7]


@pytest.fixture
def lab():
    return SamplingLab(next_logits, TOKENS, PROMPTS, encode=encode)


def answer(lab, **request):
    lab._answer(lab, {"id": "me/1", **request}, [])
    return lab.shown


def chain(lab, *order, **settings):
    """The steps with these settings on, those named in `order` first."""
    steps = [
        step | {"on": step["name"] in settings, "value": settings.get(step["name"], step["value"])}
        for step in lab.state["steps"]
    ]
    return sorted(steps, key=lambda step: order.index(step["name"]) if step["name"] in order else 99)


# ---- the sentence --------------------------------------------------------------------------------


def test_the_sentence_has_the_whole_distribution_before_and_after(lab):
    p = np.exp(LOGITS - LOGITS.max(), dtype=float)
    p /= p.sum()
    h = -(p * np.log2(p)).sum()
    sentence = answer(lab, steps=chain(lab, temperature=0.5, top_k=2))["sentence"]
    assert sentence.startswith(
        f"After “Once·upon”: “·the” {100 * p[0]:.1f} %, “·cat” {100 * p[1]:.1f} %, “</script>” "
        f"{100 * p[2]:.1f} %, the other 9 tokens {100 * p[3:].sum():.1f} %; "
        f"entropy {h:.2f} bits, perplexity {2**h:.1f}. Temperature 0.5 leaves all, with "
    )
    q = p[:2] ** 2 / (p[:2] ** 2).sum()
    g = -(q * np.log2(q)).sum()
    assert sentence.endswith(
        f"; then top-k 2 leaves 2 tokens with {100 * (p[:2] ** 2).sum() / (p**2).sum():.1f} %. So: “·the” "
        f"{100 * q[0]:.1f} %, “·cat” {100 * q[1]:.1f} %; entropy {g:.2f} bits, perplexity {2**g:.1f}."
    )


def test_it_is_the_repr_and_the_plain_text(lab):
    bundle = lab._repr_mimebundle_()
    assert repr(lab) == lab.describe() == bundle["text/plain"] == lab.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == lab.model_id
    assert answer(lab, steps=chain(lab))["sentence"].endswith("bits, perplexity 4.8. No sampler is on.")


def test_every_step_leaves_what_the_sampler_leaves():
    logits = np.random.default_rng(0).normal(size=3000).astype(np.float32) * 2
    lab = SamplingLab(lambda _: logits, [str(i) for i in range(3000)], ["x"])
    settings = {"temperature": 1.3, "top_k": 900, "top_p": 0.9, "min_p": 0.02, "typical": 0.8, "eta": 0.01}
    answer(lab, steps=chain(lab, *settings, **settings))
    after = torch.from_numpy(logits)
    for (name, value), (said, left, share, entropy) in zip(
        settings.items(), lab.found.taken.left, strict=True
    ):
        before, after = shares(after), Sampler(**{name: value})(after)
        assert said == f"{SETTINGS[name].label} {value}" and left == kept(after).sum()
        assert share == pytest.approx(before[kept(after)].sum())
        assert entropy == pytest.approx(bits(shares(after)))
    assert lab.found.taken.after == pytest.approx(shares(Sampler(**settings)(torch.from_numpy(logits))))


def test_the_order_matters_and_is_said(lab):
    first = answer(lab, steps=chain(lab, "temperature", "top_p", temperature=3, top_p=0.8))["sentence"]
    second = answer(lab, steps=chain(lab, "top_p", "temperature", temperature=3, top_p=0.8))["sentence"]
    count = re.compile(r"Top-p|top-p 0.8 leaves (\d+) tokens")
    assert count.findall(first) != count.findall(second)
    assert second.index("Top-p 0.8") < second.index("temperature 3") and "then top-p 0.8" in first


def test_zero_is_greedy_and_of_equals_the_first_wins(lab):
    shown = answer(lab, steps=chain(lab, temperature=0), n=100)
    assert "Temperature 0 leaves 1 token with" in shown["sentence"]
    assert "So: “·the” 100.0 %; entropy 0.00 bits, perplexity 1.0. 100 draws" in shown["sentence"]
    assert set(lab.draws().tolist()) == {0}
    assert "leaves all, with 0.00 bits" in answer(lab, steps=chain(lab, temperature=1e-5))["sentence"]


def test_penalties_need_the_ids_of_the_prompt(lab):
    assert lab.fresh["counts"] == [[1, 2], [7, 1]]
    answer(lab, steps=chain(lab, frequency_penalty=10.0, temperature=0))
    assert lab.found.taken.after.argmax() == 0
    answer(lab, steps=chain(lab, frequency_penalty=-10.0, temperature=0))
    assert lab.found.taken.after.argmax() == 1  # it stands twice in the prompt
    plain = SamplingLab(next_logits, TOKENS, PROMPTS)
    assert "repetition_penalty" not in plain.fixed["settings"]
    with pytest.raises(ValueError, match="repetition_penalty needs encode"):
        SamplingLab(next_logits, TOKENS, PROMPTS, repetition_penalty=1.2)


# ---- draws -----------------------------------------------------------------------------------------


def test_a_seed_repeats_its_draws_and_more_draws_go_on_with_them(lab):
    answer(lab, n=100, seed=7)
    first = lab.draws()
    answer(lab, n=1000)
    assert (lab.draws()[:100] == first).all() and len(lab.draws()) == 1000
    answer(lab, seed=8)
    assert (lab.draws()[:100] != first).any()
    most = np.bincount(lab.draws()).argmax()
    assert f"1,000 draws with seed 8: “{TOKENS[most].replace(' ', '·')}” " in lab.describe()


def test_draws_follow_the_probabilities_and_only_these(lab):
    steps = chain(lab, temperature=1.0, top_k=3)
    n = MAX_DRAWS

    def chi_square(p):
        answer(lab, steps=steps, n=n, seed=1)
        counts = np.bincount(lab.draws(), minlength=len(p))
        assert counts[p == 0].sum() == 0
        return ((counts - n * p)[p > 0] ** 2 / (n * p[p > 0])).sum()

    answer(lab, steps=steps)
    assert np.count_nonzero(lab.found.taken.after) == 5  # three tie as the third
    assert chi_square(lab.found.taken.after) < 18.5  # 4 degrees of freedom: exceeded once in 1,000
    tilted = lab.found.taken.after**1.1
    assert chi_square(tilted / tilted.sum()) > 18.5


def test_uniform_numbers_are_spread_evenly_and_differ_by_seed():
    for seed in (0, 1, 2, 2**32 - 1):
        u = uniform(seed, 10_000)
        counts = np.histogram(u, bins=100, range=(0, 1))[0]
        assert u.min() >= 0 and u.max() < 1
        assert ((counts - 100) ** 2 / 100).sum() < 149  # 99 degrees of freedom: exceeded once in 1,000
        assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.04
        assert abs(np.corrcoef(u, uniform(seed + 1, 10_000))[0, 1]) < 0.04


# ---- what crosses ----------------------------------------------------------------------------------


def test_the_logits_cross_once_a_prompt_and_exactly(lab):
    first = lab.fresh
    assert (np.frombuffer(first["logits"], "<f4") == LOGITS).all()
    answer(lab, prompt=PROMPTS[0], steps=chain(lab, top_k=1), n=5, names=[3])
    assert lab.fresh is first
    answer(lab, prompt=PROMPTS[1])
    assert (np.frombuffer(lab.fresh["logits"], "<f4") == LOGITS[::-1]).all()
    assert len(json.dumps(lab.shown)) < 3000


def test_names_cross_for_the_likeliest_and_on_request():
    logits = np.arange(NAMED + 10) / 100
    lab = SamplingLab(lambda _: logits, [f" t{i}" for i in range(NAMED + 10)], ["x"])
    crossed = dict(lab.fresh["names"])
    assert len(crossed) == NAMED and crossed[NAMED + 9] == f" t{NAMED + 9}" and 3 not in crossed
    assert answer(lab, names=[3, 5])["named"] == [(3, " t3"), (5, " t5")]
    for wrong in (-1, 10**9, "x", None, 3.0):
        assert f"names[0] is a whole number from 0 to {NAMED + 9:,}" in answer(lab, names=[wrong])["problem"]
    assert answer(lab, names=[])["named"] == []


@pytest.mark.parametrize("size", [1, 3, 50])
def test_the_likeliest_are_those_of_a_stable_sort_with_ties_at_the_border(size):
    generator = np.random.default_rng(0)
    for _ in range(100):
        p = generator.integers(0, 5, size) / 10
        for n in (1, 2, 7, 50, 99):
            assert _likeliest(p, n) == np.argsort(-p, kind="stable")[:n].tolist()


def test_where_the_lab_begins(lab):
    assert [step["name"] for step in lab.state["steps"] if step["on"]] == ["temperature", "top_p"]
    assert lab.fixed["prompts"] == PROMPTS and lab.fixed["size"] == 12
    assert lab.fixed["settings"]["top_k"]["high"] == 12
    other = SamplingLab(next_logits, TOKENS, PROMPTS, top_p=0.5, min_p=0.1, temperature=2)
    on = [(step["name"], step["value"]) for step in other.state["steps"] if step["on"]]
    assert on == [("top_p", 0.5), ("min_p", 0.1), ("temperature", 2)]


# ---- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "returned, words",
    [
        (np.full(12, np.nan), "the logits contain NaN"),
        (np.full(12, -np.inf), "all logits of a row are -inf"),
        (np.full(12, np.inf), r"a logit is \+inf"),
        (np.full(12, 1e300), r"a logit is \+inf"),
        (np.zeros(11), r"one logit for each of the 12 tokens; got the shape \[11\]"),
        (np.zeros((1, 12)), r"got the shape \[1, 12\]"),
        (None, r"NaN|shape|float"),
        ("words", "ValueError|could not convert"),
    ],
)
def test_logits_that_are_no_distribution_are_refused_in_words(returned, words):
    lab = SamplingLab(lambda prompt: returned if prompt == "bad" else LOGITS, TOKENS, PROMPTS)
    before = lab.describe()
    shown = answer(lab, prompt="bad")
    assert re.search(words, shown["problem"])
    assert shown["sentence"] == before and shown["prompt"] == PROMPTS[0]
    assert answer(lab, prompt=PROMPTS[1])["problem"] == ""
    with pytest.raises((ValueError, TypeError)):
        SamplingLab(lambda prompt: returned, TOKENS, PROMPTS)


def test_some_tokens_may_be_banned():
    logits = np.where(np.arange(12) % 2, -np.inf, LOGITS)
    lab = SamplingLab(lambda _: logits, TOKENS, PROMPTS)
    for name, setting in SETTINGS.items():
        if name in lab.fixed["settings"]:
            answer(lab, steps=chain(lab, **{name: setting.value}), n=100)
            assert (lab.draws() % 2 == 0).all()


def test_a_prompt_that_fails_says_so_and_the_samplers_still_obey(lab):
    before = lab.describe()
    shown = answer(lab, prompt="broken", steps=chain(lab, top_k=1))
    assert shown["problem"] == "KeyError: 'no such layer'" and shown["sentence"] == before
    shown = answer(lab, steps=chain(lab, top_k=1))
    assert shown["prompt"] == PROMPTS[0] and "Top-k 1 leaves 1 token" in shown["sentence"]


def test_a_prompt_is_cropped_and_mended_with_notice(lab):
    assert answer(lab, prompt="x" * 12_000)["notice"] == "Got 12,000 characters; the last 10,000 are read."
    assert len(lab.shown["prompt"]) == MAX_CHARACTERS
    assert "lone surrogate" in answer(lab, prompt="a\ud83d")["notice"] and lab.shown["prompt"] == "a"
    assert answer(lab, prompt="b")["notice"] == ""


@pytest.mark.parametrize("prompt", ["", "\ud83d"])
def test_an_empty_prompt_asks_for_a_character_and_what_was_shown_stays(lab, prompt):
    before, fresh = lab.describe(), lab.fresh
    shown = answer(lab, prompt=prompt)
    assert shown["problem"] == "type a prompt of at least one character; got none"
    assert shown["sentence"] == before and shown["prompt"] == PROMPTS[0] and lab.fresh is fresh
    assert answer(lab, prompt="a")["problem"] == ""
    with pytest.raises(ValueError, match="at least one character"):
        SamplingLab(next_logits, TOKENS, [prompt])


def test_warnings_become_notices(recwarn, capsys):
    def warning(prompt):
        warnings.warn("the prompt was cropped to 256 tokens", stacklevel=1)
        return LOGITS

    lab = SamplingLab(warning, TOKENS, PROMPTS)
    assert lab.shown["notice"] == "the prompt was cropped to 256 tokens"
    assert "got 0: 1 is used" in answer(lab, steps=chain(lab, top_k=0))["notice"]
    assert "got 99: 12 is used" in answer(lab, steps=chain(lab, top_k=99))["notice"]
    assert not recwarn.list and capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name, value", [("temperature", -1), ("temperature", math.nan), ("top_k", 2.5)])
@pytest.mark.parametrize("on", [True, False])
def test_values_that_are_not_allowed_are_refused_by_name(lab, name, value, on):
    before = lab.describe()
    steps = [
        step | ({"value": value, "on": on} if step["name"] == name else {}) for step in lab.state["steps"]
    ]
    shown = answer(lab, steps=steps)
    assert shown["problem"].startswith(f"{name} must be {ALLOWED[name][0]}")
    assert shown["sentence"] == before


@pytest.mark.parametrize(
    "request_, words",
    [
        ({"n": -1}, "n is a whole number from 0 to 10,000; got -1"),
        ({"n": 1e9}, "n is a whole number"),
        ({"seed": 2**32}, "seed is a whole number from 0 to 4,294,967,295"),
        ({"steps": []}, "steps is a list of epsilon, eta, frequency_penalty, "),
    ],
)
def test_requests_that_no_page_makes(lab, request_, words):
    before = lab.describe()
    assert words in answer(lab, **request_)["problem"] and lab.describe() == before


def test_a_penalty_too_strong_for_float32_is_refused(lab):
    shown = answer(lab, steps=chain(lab, repetition_penalty=1e-40))
    assert "+inf" in shown["problem"] and answer(lab, steps=chain(lab))["problem"] == ""


def test_the_lab_needs_a_prompt():
    with pytest.raises(ValueError, match="needs a prompt to begin with; got none"):
        SamplingLab(next_logits, TOKENS, [])
    with pytest.raises(ValueError, match="expected settings among"):
        SamplingLab(next_logits, TOKENS, PROMPTS, topp=0.5)


def test_hostile_tokens_stay_text(lab):
    bundle = lab._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000
    assert dict(lab.fresh["names"])[5] == "‹C3›" and len(lab.fresh["names"]) == 12


@pytest.mark.parametrize("size", [1, 2, 256])
def test_small_vocabularies(size):
    lab = SamplingLab(lambda _: np.zeros(size), ["x"] * size, ["p"])
    answer(lab, n=10)
    assert lab.png() and f"perplexity {size}.0" in lab.describe()


def test_the_picture_gives_no_warning(lab, recwarn):
    lab.png()
    assert not recwarn.list
