"""Our losses beside trl's own code, which gets the same log-probabilities and rewards in place of a model.

What trl's trainers ask of a run, such as an accelerator, a stand-in answers. Tried with trl 1.16.
"""

import os
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch

from course_utils.finetuning.policy_gradient import clipped_objective, kl_estimate, mean_over_tokens
from course_utils.finetuning.preferences import bradley_terry_loss, dpo_loss

if not os.environ.get("COURSE_FULL"):
    pytest.skip("`course.py test --full` runs it, if trl is installed", allow_module_level=True)
pytest.importorskip(
    "trl", reason="trl is not installed: `pip install trl`, which brings 67 MB, to compare with it"
)
BETA, ROWS, TIME = 0.3, 6, 5


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def trainer(**settings):
    def same(x, **_):
        return x

    accelerator = SimpleNamespace(device="cpu", gather=same, gather_for_metrics=same, reduce=same)
    metrics = defaultdict(lambda: defaultdict(list))
    usual = {"model": SimpleNamespace(training=False), "aux_loss_enabled": False, "accelerator": accelerator}
    return SimpleNamespace(**usual, _metrics=metrics, _total_train_tokens=0, **settings)


def answers():
    """Where the answers' tokens are, of several lengths."""
    return torch.arange(TIME) < torch.tensor([5, 1, 3, 2, 4, 5])[:, None]


def test_dpo_with_loss_type_sigmoid():
    from trl.trainer.dpo_trainer import DPOTrainer

    log_p, before, mask = numbers(ROWS, TIME) * answers(), numbers(ROWS, seed=1), answers()
    outputs = SimpleNamespace(
        log_probs=log_p,
        entropy=torch.zeros(ROWS, TIME),
        mean_logits=torch.zeros(ROWS, TIME),
        is_top1=torch.zeros(ROWS, TIME, dtype=torch.bool),
    )
    own = trainer(
        **{"ld_alpha": None, "precompute_ref_logps": True, "f_divergence_type": "reverse_kl"},
        **{"loss_types": ["sigmoid"], "loss_weights": [1.0], "beta": BETA, "use_weighting": False},
    )
    chosen_before, rejected_before = before.chunk(2)
    inputs = {
        "input_ids": torch.zeros(ROWS, TIME + 1, dtype=torch.long),
        "completion_mask": torch.nn.functional.pad(mask, (1, 0)).long(),
        "ref_chosen_logps": chosen_before,
        "ref_rejected_logps": rejected_before,
    }
    theirs = DPOTrainer._compute_loss(own, lambda **_: outputs, inputs, False)
    ours = dpo_loss(*log_p.sum(1).chunk(2), chosen_before, rejected_before, BETA)
    torch.testing.assert_close(ours, theirs)


def test_a_reward_models_loss():
    from trl.trainer.reward_trainer import RewardTrainer

    rewards = numbers(ROWS, 1)
    own = trainer(args=SimpleNamespace(center_rewards_coefficient=None))
    theirs = RewardTrainer.compute_loss(own, lambda **_: SimpleNamespace(logits=rewards), {})
    torch.testing.assert_close(bradley_terry_loss(*rewards[:, 0].chunk(2)), theirs)


@pytest.mark.parametrize("over, loss_type", [("answer", "grpo"), ("batch", "bnpo"), ("window", "dr_grpo")])
def test_group_relative_losses(over, loss_type):
    from trl.trainer.grpo_trainer import GRPOTrainer

    log_p, sampled, reference = (numbers(ROWS, TIME, seed=seed) / 3 for seed in range(3))
    advantages, mask = numbers(ROWS, seed=3), answers()
    args = SimpleNamespace(use_bias_correction_kl=False, delta=None)
    own = trainer(
        _get_per_token_logps_and_entropies=lambda *_, **__: (log_p, torch.zeros(ROWS, TIME), None),
        **{"top_entropy_quantile": 1.0, "off_policy_mask_threshold": None, "args": args, "beta": BETA},
        **{"importance_sampling_level": "token", "loss_type": loss_type, "max_completion_length": TIME},
        **{"epsilon_low": 0.2, "epsilon_high": 0.2, "use_vllm": False, "_entropy_bonus_enabled": False},
    )
    ids = torch.zeros(ROWS, TIME, dtype=torch.long)
    inputs = {
        **{"prompt_ids": ids, "prompt_mask": ids, "completion_ids": ids, "completion_mask": mask.long()},
        **{"advantages": advantages, "old_per_token_logps": sampled, "ref_per_token_logps": reference},
    }
    theirs = GRPOTrainer._compute_loss(own, None, inputs)
    objective = clipped_objective(log_p, sampled, advantages) - BETA * kl_estimate(log_p, reference)
    torch.testing.assert_close(-mean_over_tokens(objective, mask, over), theirs)
