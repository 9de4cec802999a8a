"""Advantages, KL estimators, clipping and lengths as in trl; and a loop that samples from what it trains."""

import copy
import itertools

import numpy as np
import pytest
import torch

from course_utils.finetuning.policy_gradient import (
    Rollouts,
    StaleSampler,
    clipped_objective,
    dead_groups,
    group_advantages,
    kl_estimate,
    mean_over_tokens,
    policy_gradient,
)
from course_utils.finetuning.tasks import Task, VerifierError
from course_utils.gpt import GPT, GPTConfig
from course_utils.training import TrainConfig, train

pytestmark = pytest.mark.usefixtures("one_thread")
REWARDS = torch.tensor([[1.0, 0, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 3, 0, 0], [0, 0, 0, 0, 0]])


def test_advantages_are_trls():
    """As in trl 1.16, grpo_trainer.py, with scale_rewards="group" and "none"."""
    rewards = REWARDS.numpy().astype(float)
    centred = rewards - rewards.mean(1, keepdims=True)
    np.testing.assert_allclose(group_advantages(REWARDS, divide=False), centred, atol=1e-6)
    expected = centred / (rewards.std(1, ddof=1, keepdims=True) + 1e-4)
    np.testing.assert_allclose(group_advantages(REWARDS), expected, rtol=1e-5)
    for wrong in (
        (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-4),
        centred / (rewards.std() + 1e-4),
    ):
        assert np.abs(wrong - expected).max() > 0.1  # the batch's mean, or its deviation, for the group's


def test_a_dead_group_is_named_and_teaches_nothing():
    assert dead_groups(REWARDS).tolist() == [False, True, False, True]
    a_tenth = torch.full((1, 7), 0.1)  # its mean is not quite 0.1
    for divide in (True, False):
        assert not group_advantages(REWARDS, divide)[[1, 3]].any()
        assert not group_advantages(a_tenth, divide).any()


@pytest.mark.parametrize("rewards", [torch.ones(3, 1), torch.ones(3), torch.tensor([[1.0, float("nan")]])])
def test_what_can_not_be_compared_is_refused(rewards):
    with pytest.raises(
        ValueError, match=r"finite rewards of shape \(groups, size\), with a size of at least 2"
    ):
        group_advantages(rewards)


def test_two_of_the_kl_estimators_are_right_on_average():
    p, q = torch.tensor([0.5, 0.3, 0.15, 0.05]), torch.tensor([0.2, 0.2, 0.2, 0.4])
    truth = (p * (p / q).log()).sum()
    mean = {kind: (p * kl_estimate(p.log(), q.log(), kind)).sum() for kind in ("k1", "k2", "k3")}
    torch.testing.assert_close(mean["k1"], truth)
    torch.testing.assert_close(mean["k3"], truth)
    assert abs(mean["k2"] - truth) > 0.02
    assert kl_estimate(p.log(), q.log(), "k1").min() < 0 <= kl_estimate(p.log(), q.log(), "k3").min()
    reverse = (q * kl_estimate(p.log(), q.log(), "k3")).sum()  # sampled from the reference: another number
    assert abs(reverse - truth) > 0.1
    with pytest.raises(ValueError, match="one of k1, k2, k3; got 'k4'"):
        kl_estimate(p, q, "k4")


def test_k3_is_trls():
    log_p, reference = torch.randn(2, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.exp(reference - log_p) - (reference - log_p) - 1
    torch.testing.assert_close(kl_estimate(log_p, reference), expected)


@pytest.mark.parametrize(
    "ratio, advantage, expected, moves",
    [
        (1.0, 2.0, 2.0, True),
        (1.5, 2.0, 2.4, False),  # likelier by enough
        (0.5, 2.0, 1.0, True),
        (0.5, -2.0, -1.6, False),  # less likely by enough
        (1.5, -2.0, -3.0, True),
        (1.5, 0.0, 0.0, False),
    ],
)
def test_the_clipped_ratio(ratio, advantage, expected, moves):
    log_p = torch.tensor([[np.log(ratio)]], requires_grad=True)
    value = clipped_objective(log_p, torch.zeros(1, 1), torch.tensor([advantage]), 0.2)
    value.sum().backward()
    assert value.item() == pytest.approx(expected) and bool(log_p.grad.any()) is moves


def test_means_over_tokens_are_trls():
    values = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    answer = torch.tensor([[0, 1, 1, 1], [1, 0, 0, 0], [0, 1, 1, 0]]).bool()
    v, m = values.numpy(), answer.numpy()
    expected = {
        "answer": np.mean((v * m).sum(1) / m.sum(1)),
        "batch": (v * m).sum() / m.sum(),
        "window": (v * m).sum() / (3 * 4),
    }
    for over, value in expected.items():
        assert mean_over_tokens(values, answer, over).item() == pytest.approx(value, abs=1e-6)
    for one, other in itertools.combinations(expected.values(), 2):
        assert abs(one - other) > 1e-3
    beside = torch.where(answer, values, float("inf"))  # what stands beside the answers may be anything
    assert mean_over_tokens(beside, answer).item() == pytest.approx(expected["answer"], abs=1e-6)
    with pytest.raises(ValueError, match="'answer', 'batch' or 'window'; got 'tokens'"):
        mean_over_tokens(values, answer, "tokens")


END, GOOD = 1, 7


def small_model():
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=12, context=10, n_layers=1, n_heads=2, d_model=16))


def rollouts(model, right=lambda prompt, answer: GOOD in answer, **others):
    """Prompts and answers are lists of ids here; right are those with the good token in them."""
    settings = {"prompts": [[2, 3], [4, 5, 6]], "groups": 4, "size": 8, "max_new": 4} | others
    return Rollouts(model, right=right, encode=list, decode=list, end=END, **settings)


def test_answers_with_rewards_become_likelier():
    model = small_model()
    batches = rollouts(model, reference=copy.deepcopy(model))
    train(model, batches, TrainConfig(60, 1e-2, warmup_steps=0), loss=policy_gradient())
    rewards = [row["reward"] for row in batches.log]
    assert np.mean(rewards[:5]) < 0.4 < 0.9 < np.mean(rewards[-5:])
    assert batches.log[0]["kl"] == pytest.approx(0, abs=1e-6) and batches.log[-1]["kl"] > 0.5
    assert batches.log[-1]["dead"] > batches.log[0]["dead"]
    assert batches.log[-1]["entropy"] < batches.log[0]["entropy"]


def test_in_mixed_precision_it_trains_as_in_float32(monkeypatch):
    """On any machine: what is compared is computed as it was sampled."""
    monkeypatch.setattr("course_utils.devices.trains_in_bfloat16", lambda device: True)
    losses = [
        train(
            model := small_model(),
            rollouts(model),
            TrainConfig(20, 1e-2, warmup_steps=0, precision=precision),
            loss=policy_gradient(),
        ).losses
        for precision in ("float32", "mixed")
    ]
    assert losses[0] == losses[1]


def test_beta_keeps_it_near_the_reference():
    ends = []
    for beta in (0.0, 1.0):
        model = small_model()
        batches = rollouts(model, reference=copy.deepcopy(model))
        train(model, batches, TrainConfig(40, 1e-2, warmup_steps=0), loss=policy_gradient(beta=beta))
        ends.append(np.mean([row["kl"] for row in batches.log[-5:]]))
    assert ends[1] < ends[0] / 2


def test_beta_needs_a_reference():
    with pytest.raises(ValueError, match="beta is at least 0; got -1"):
        policy_gradient(beta=-1)
    model = small_model()
    with pytest.raises(ValueError, match="this batch has none: give Rollouts one"):
        train(model, rollouts(model), TrainConfig(2, 1e-2, warmup_steps=0), loss=policy_gradient(beta=0.1))
    assert all(row["kl"] == 0 for row in rollouts(model).log)


def test_a_stale_sampler_is_caught_at_its_second_batch():
    model = small_model()
    stale = rollouts(copy.deepcopy(model))
    with pytest.raises(StaleSampler, match=r"differ by .* nats on a token: sample from the model"):
        train(model, stale, TrainConfig(5, 1e-2, warmup_steps=0), loss=policy_gradient())
    assert len(stale.log) == 2


def test_an_unfinished_answer_has_no_reward():
    model = small_model()
    batches = rollouts(model, right=lambda prompt, answer: True, max_new=2)
    ids, *_, answer = batches.next()
    ended = [END in row[of].tolist() for row, of in zip(ids, answer, strict=True)]
    assert 0 < sum(ended) < len(ended)
    assert batches.log[0]["reward"] == pytest.approx(np.mean(ended))


def test_what_a_resumed_run_samples_is_what_it_would_have_sampled(tmp_path):
    def run(steps, name):
        model = small_model()
        batches = rollouts(model)
        config = TrainConfig(6, 1e-2, warmup_steps=0, evaluate_every=3)
        loss, left = policy_gradient(), iter(range(steps))

        def stopping(*given):
            if next(left, None) is None:
                raise InterruptedError
            return loss(*given)

        try:
            train(model, batches, config, loss=stopping, checkpoint=tmp_path / name)
        except InterruptedError:
            return run(6, name)
        return model, batches.log

    (whole, log), (resumed, resumed_log) = run(6, "whole"), run(4, "broken off")
    assert all(map(torch.equal, whole.parameters(), resumed.parameters()))
    assert len(log) == 6 and log == resumed_log


@pytest.mark.parametrize("other", [{"prompts": [[2, 3]]}, {"size": 4}, {"max_new": 3}, {"divide": False}])
def test_a_run_with_other_prompts_or_groups_is_not_gone_on_with(other):
    model = small_model()
    rollouts(model, seed=1).restore(state := rollouts(model).state())  # the state has where the draws were
    with pytest.raises(ValueError, match="the run to resume had other prompts, groups or lengths"):
        rollouts(model, **other).restore(state)


def test_a_verifier_that_raises_ends_the_run_before_its_batch_is_learnt():
    def verify(prompt, answer):
        raise ZeroDivisionError

    model, task = small_model(), Task("odd", None, verify, None, 10**4)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(VerifierError, match=r"'odd' raised ZeroDivisionError"):
        train(model, rollouts(model, task.right), TrainConfig(2, 1e-2), loss=policy_gradient())
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"size": 1}, "groups of at least 2 answers; got 2, 4 and 1"),
        ({"groups": 0}, "at least one prompt and one group"),
        ({"max_new": 8}, "prompt has 3 tokens, and with 8 new ones it is over the window of 10"),
    ],
)
def test_rollouts_that_can_not_be_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        rollouts(small_model(), **settings)
