"""Speculative decoding with mock models: the same distribution, which a wrong rule of acceptance breaks."""

import math
from collections import Counter
from itertools import product

import pytest
import torch
from mocks import Mock

from course_utils.generation import generate, speculation
from course_utils.generation.speculation import LookupDraft, ModelDraft, speculative_generate
from course_utils.sampling import Sampler

pytestmark = pytest.mark.usefixtures("one_thread")

V, N, RUNS = 3, 4, 1500
SAMPLERS = pytest.mark.parametrize("sampler", [Sampler(), Sampler(temperature=0.7, top_k=2)], ids=str)


def drafts():
    return {
        "a model": lambda generator: ModelDraft(Mock(V, seed=7), Sampler(), generator),
        "the text": lambda generator: LookupDraft(1),
    }


def chance(draft_name, sampler):
    """How likely texts of the target's own distribution are to be as far from it as these: a chi-square test,
    which counts all texts that are expected fewer than 5 times as one."""
    model, prompt = Mock(V, spread=1.0), [1, 0, 2, 1]
    generator = torch.Generator().manual_seed(0)
    draft, counts = drafts()[draft_name](generator), Counter()
    for _ in range(RUNS):
        run = speculative_generate(model, prompt, N, draft, k=3, sampler=sampler, generator=generator)
        counts[tuple(run.ids)] += 1
    texts = list(product(range(V), repeat=N))
    expected = torch.full((len(texts),), float(RUNS), dtype=torch.float64)
    for row, text in enumerate(texts):
        for i, token in enumerate(text):
            logits = model.next_probs([*prompt, *text[:i]]).log()
            expected[row] *= sampler(logits).softmax(-1)[token]
    seen, rare = torch.tensor([counts[text] for text in texts]), expected < 5
    assert not seen[expected == 0].any()
    seen, expected = (torch.cat([x[~rare], x[rare].sum(0, keepdim=True)]) for x in (seen, expected))
    chi_square = ((seen - expected) ** 2 / expected).sum()
    freedom = torch.tensor(len(seen) - 1.0, dtype=torch.float64)
    return torch.special.gammaincc(freedom / 2, chi_square / 2).item()  # the upper tail


@pytest.mark.parametrize("draft_name", drafts())
@SAMPLERS
def test_texts_are_distributed_as_without_guesses(draft_name, sampler):
    assert chance(draft_name, sampler) > 0.001


def accept_where_the_target_agrees(drafted, q, p, generator=None):
    for i, token in enumerate(drafted):
        if p[i, token] < q[i, token]:
            return i, int(torch.multinomial((p[i] - q[i]).clamp(min=0), 1, generator=generator))
    return len(drafted), int(torch.multinomial(p[-1], 1, generator=generator))


def draw_anew_from_the_target(drafted, q, p, generator=None):
    for i, token in enumerate(drafted):
        if torch.rand((), generator=generator) * q[i, token] >= p[i, token]:
            return i, int(torch.multinomial(p[i], 1, generator=generator))
    return len(drafted), int(torch.multinomial(p[-1], 1, generator=generator))


@pytest.mark.parametrize("draft_name", drafts())
@SAMPLERS
@pytest.mark.parametrize("rule", [accept_where_the_target_agrees, draw_anew_from_the_target])
def test_a_wrong_rule_fails_the_same_test(draft_name, sampler, rule, monkeypatch):
    monkeypatch.setattr(speculation, "accept", rule)
    assert chance(draft_name, sampler) < 0.001


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("n", [1, 2, 17])
def test_greedy_text_is_the_same_to_the_token(k, n):
    for seed in range(5):
        model = Mock(8, seed=seed)
        expected = generate(model, [[1, 2]], n)[0].ids
        for draft in (LookupDraft(2), ModelDraft(Mock(8, seed=9), Sampler(temperature=0))):
            assert speculative_generate(model, [1, 2], n, draft, k).ids == expected


def test_good_guesses_save_calls():
    model = Mock(8)
    run = speculative_generate(model, [1], 20, ModelDraft(Mock(8), Sampler(temperature=0)), k=4)
    assert run.accepted == run.drafted == 16 and run.calls == 4
    run = speculative_generate(model, [1], 20, ModelDraft(Mock(8, seed=9), Sampler(temperature=0)), k=4)
    assert run.accepted < run.drafted and run.accepted + run.calls == 20


def test_the_draft_reads_each_accepted_token_once():
    draft = ModelDraft(Mock(8), Sampler(temperature=0))
    speculative_generate(Mock(8), [1, 2, 3], 20, draft, k=4)
    assert draft.model.tokens == 3 + 19 - 1  # the last of each four is read with the next; none twice


def test_a_draft_goes_on_with_another_text():
    draft, model = ModelDraft(Mock(8, seed=4), Sampler(temperature=0)), Mock(8)
    for prompt in ([1, 2, 3], [1, 2], [5], [1, 2, 3]):
        expected = generate(model, [prompt], 12)[0].ids
        assert speculative_generate(model, prompt, 12, draft).ids == expected


def test_lookup_proposes_what_followed_the_last_time():
    tokens, q = LookupDraft(2).propose([1, 2, 3, 4, 1, 2, 5, 6, 1, 2], 3, 8)
    assert tokens == [5, 6, 1] and q.argmax(-1).tolist() == [5, 6, 1] and q.sum().item() == 3
    for text in ([1, 2, 3], [1], [1, 2]):
        tokens, q = LookupDraft(2).propose(text, 3, 8)
        assert tokens == [] and q.shape == (0, 8)


def test_it_ends_at_an_end_token():
    model = Mock(8)
    whole = generate(model, [[1]], 20)[0].ids
    end = whole[6]
    expected = generate(model, [[1]], 20, end_ids=[end])[0].ids
    run = speculative_generate(model, [1], 20, ModelDraft(Mock(8), Sampler(temperature=0)), end_ids=[end])
    assert run.ids == expected and run.ids[-1] == end
    assert run.accepted == len(run.ids) - (run.calls - 1)  # what was guessed behind the end does not count


class Interrupted(Mock):
    """Ctrl-C comes in the middle of one of its calls, after it has read."""

    def __init__(self, at, **settings):
        super().__init__(8, **settings)
        self.at = at

    def __call__(self, *args, **settings):
        logits = super().__call__(*args, **settings)
        if self.calls == self.at:
            raise KeyboardInterrupt
        return logits


def test_what_was_written_before_an_interruption_is_kept():
    expected = generate(Mock(8), [[1]], 20)[0].ids
    greedy = Sampler(temperature=0)
    run = speculative_generate(Interrupted(at=3), [1], 20, ModelDraft(Mock(8), greedy), k=4)
    assert (run.ids, run.drafted, run.accepted, run.calls) == (expected[:10], 8, 8, 2)
    assert speculative_generate(Interrupted(at=1), [1], 20, LookupDraft()).ids == []


def test_a_draft_that_was_interrupted_goes_on_with_the_same_text():
    model, draft = Mock(8), ModelDraft(Interrupted(at=7), Sampler(temperature=0))
    text = [2, *speculative_generate(model, [2], 5, draft).ids]
    assert draft.model.calls == 4
    assert speculative_generate(model, [1], 20, draft).ids == []  # broken off in the third guess
    run = speculative_generate(model, text, 20, draft)
    assert run.ids == generate(Mock(8), [text], 20)[0].ids and run.accepted == run.drafted == 16


def test_a_draft_with_a_shorter_context_stops_guessing_there():
    draft, model = ModelDraft(Mock(8, context=6), Sampler(temperature=0)), Mock(8)
    assert speculative_generate(model, [1, 2], 20, draft).ids == generate(model, [[1, 2]], 20)[0].ids


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"draft": ModelDraft(Mock(5), Sampler())}, "the same vocabulary; got 5 tokens and 8"),
        ({"sampler": Sampler(repetition_penalty=1.2)}, "penalties can't be used"),
        ({"k": 0}, "at least 1; got 0"),
        ({"max_new": 64}, "max_new must be below"),
        ({"prompt": []}, "at least one token"),
        ({"prompt": [8]}, "between 0 and 7; got 8"),
        ({"prompt": [[1, 2]]}, r"each a whole number; got \[1, 2\]"),
        ({"prompt": 5}, "expected a prompt of token ids.*got 5"),
    ],
)
def test_input_that_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        speculative_generate(Mock(8), **{"prompt": [1], "max_new": 5, "draft": LookupDraft()} | settings)


def test_a_lookup_of_nothing():
    with pytest.raises(ValueError, match="at least 1; got 0"):
        LookupDraft(0)


def test_equal_models_never_reject():
    """Where p equals q the chance to stay is 1, up to the last digit."""
    draft = ModelDraft(Mock(5), Sampler(), torch.Generator().manual_seed(0))
    run = speculative_generate(Mock(5, context=900), [1], 60, draft, sampler=Sampler())
    assert run.accepted == run.drafted and math.isclose(run.calls, 12)


def test_a_token_is_drawn_where_model_and_draft_differ_by_rounding_only(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.tensor([0.9999999], dtype=torch.float64))
    q, p = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.4999995, 0.5], [0.5, 0.5]])
    assert speculation.accept([0], q, p) == (0, 1)
