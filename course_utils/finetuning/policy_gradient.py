"""Learning from rewards: answers are sampled, marked, and made more or less probable.

The gradient of the mean reward is the mean of reward times the gradient of log p, over answers that the
policy **itself** samples (Williams 1992). What all answers to a prompt have in common teaches nothing, so a
group of them is sampled and each reward is compared with the group's mean: the **advantage**. No second model
has to learn what reward to expect, as in PPO.

    rollouts = Rollouts(model, prompts, task.right, groups=16, size=16, max_new=12)
    train(model, rollouts, config, loss=policy_gradient())

The rollouts are the batches of the training loop. They hold the model that trains, and sample from it as it
is when a batch is asked for; the loss checks that they did.

Sources: Williams 1992 (REINFORCE); Schulman et al. 2017, section 3 (PPO's clipped ratio); Shao et al. 2024,
section 4.1 (GRPO); Liu et al. 2025, section 3 (what its two divisions do: "Dr. GRPO"); Schulman 2020,
"Approximating KL divergence" (k1, k2, k3).
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from course_utils.devices import without_dropout
from course_utils.finetuning.log_probs import Ids, token_log_probs, with_answers
from course_utils.generation import generate, unbroken
from course_utils.gpt import GPT
from course_utils.sampling import Sampler

Groups = Float[Tensor, "groups size"]
PerToken = Float[Tensor, "batch time"]
TINY = 1e-4  # added to a deviation, as in trl
SAME = 1e-3  # nats a token, by which a policy that hasn't moved may differ from itself by rounding


def dead_groups(rewards: Groups) -> Bool[Tensor, " groups"]:
    """Where all rewards of a group are equal: its advantages are 0, and it teaches nothing."""
    return rewards.amax(1) == rewards.amin(1)


def group_advantages(rewards: Groups, divide: bool = True) -> Groups:
    """Each reward less its group's mean and, if `divide`, over its group's standard deviation: so a group in
    which one of 16 answers is right weighs about as much as one in which half are (Shao et al. 2024). Without
    the division the gradient is that of the mean reward (Liu et al. 2025).

    A dead group has zeros. Raises ValueError for groups of fewer than 2, and rewards that are no finite
    numbers.
    """
    if rewards.ndim != 2 or rewards.shape[1] < 2 or not rewards.isfinite().all():
        raise ValueError(
            "expected finite rewards of shape (groups, size), with a size of at least 2: nothing can be "
            f"compared in a group of one; got shape {list(rewards.shape)}"
        )
    advantages = rewards - rewards.mean(1, keepdim=True)
    if divide:
        advantages = advantages / (rewards.std(1, keepdim=True) + TINY)
    return advantages.masked_fill(dead_groups(rewards)[:, None], 0.0)


def kl_estimate(log_p: Tensor, log_reference: Tensor, kind: str = "k3") -> Tensor:
    """KL(policy || reference) in nats, estimated from each token that the policy sampled (Schulman 2020).

    With d = log p - log reference: "k1" is d, right on average but often negative; "k2" is d² / 2, never
    negative, but biased; "k3" is e^-d - 1 + d, right on average and never negative. (As a part of a loss they
    have other gradients than as a measurement: k3's isn't the KL's.) Raises ValueError for another kind.
    """
    d = log_p - log_reference
    estimates = {"k1": lambda: d, "k2": lambda: d**2 / 2, "k3": lambda: torch.expm1(-d) + d}
    if kind not in estimates:
        raise ValueError(f"kind must be one of {', '.join(estimates)}; got {kind!r}")
    return estimates[kind]()


def clipped_objective(
    log_p: PerToken, log_p_sampled: PerToken, advantages: Float[Tensor, " batch"], clip: float = 0.2
) -> PerToken:
    """What to maximise: ratio times advantage, where a ratio that is more than `clip` off 1 in the direction
    of the advantage earns nothing more (Schulman et al. 2017, equation 7).

    The ratio is that of the probabilities now and when the answer was sampled: 1 in the first step on an
    answer, where the gradient is the plain policy gradient, and something else in further steps on it.
    """
    ratio, advantages = (log_p - log_p_sampled).exp(), advantages[:, None]
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def mean_over_tokens(
    values: PerToken, answer: Bool[Tensor, "batch time"], over: str = "answer"
) -> Float[Tensor, ""]:
    """One number of a batch's tokens. What it divides by decides what long answers weigh:

    "answer": the mean of each answer's mean, in which a token of a long answer counts less, so a long wrong
    one is punished less a token (GRPO). "batch": the mean over all answers' tokens. "window": their sum,
    divided by all places of the batch, those of prompts and padding too. (Dr. GRPO divides by the rows and a
    fixed length, so that a token weighs the same in every batch.) In trl: "grpo", "bnpo" and, where that
    length is the longest row's, "dr_grpo".
    Raises ValueError for another `over`.
    """
    kept = torch.where(answer, values, 0.0)
    if over == "answer":
        return (kept.sum(1) / answer.sum(1)).mean()
    if over not in ("batch", "window"):
        raise ValueError(f"over must be 'answer', 'batch' or 'window'; got {over!r}")
    return kept.sum() / (answer.sum() if over == "batch" else answer.numel())


class StaleSampler(RuntimeError):
    """Answers were sampled from other weights than those that train."""


def policy_gradient(
    *, over: str = "answer", beta: float = 0.0
) -> Callable[[GPT, tuple[Tensor, ...], None], tuple[Tensor, None]]:
    """The loss for `training.train`, with batches of `Rollouts`; with beta above 0, k3's estimate of the KL
    to their reference, times beta, is added. An answer is learnt from once, so its ratio is 1. Computed
    in float32, also in mixed precision.

    Raises StaleSampler at a batch whose answers the model finds more or less probable than the sampler did:
    then they are another model's, and the gradient is that of no reward; ValueError for a negative beta, and
    at a batch without a reference, if beta is above 0.
    """
    if not beta >= 0:
        raise ValueError(f"beta is at least 0; got {beta}")

    def loss(model: GPT, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
        ids, sampled, before, advantages, answer = batch
        with torch.autocast(ids.device.type, enabled=False):  # in float32, as the sampler does
            log_p, answer = token_log_probs(model, ids), answer[:, 1:]
        off = torch.where(answer, (log_p - sampled).abs(), 0.0).max().item()
        if off > SAME:
            raise StaleSampler(
                f"the model that trains and the one that sampled differ by {off:.3g} nats on a token: sample "
                "from the model that trains, after its latest step and without dropout"
            )
        objective = clipped_objective(log_p, sampled, advantages)
        if beta:
            if before.isnan().any():
                raise ValueError("beta weighs the KL to a reference; this batch has none: give Rollouts one")
            objective = objective - beta * kl_estimate(log_p, before)
        return -mean_over_tokens(objective, answer, over), None

    return loss


class Rollouts:
    """Batches for `training.train` that the model itself writes: groups of answers to the same prompt, from
    its weights as they are when `next()` is called.

    encode, decode: from text to ids and back. right(prompt, answer): the reward of a text, 1 or 0 or any
    number. A prompt is answered `size` times, with at most `max_new` tokens; an answer that doesn't end with
    `end` has no reward. A `reference`, if there is one, is read beside it, for the KL.

    `next()` gives (ids, log p of each token but the first, the same under the reference (NaN if there is
    none), advantages, where an answer is). `log` grows by a row each time: mean reward, share of dead groups,
    and for an answer its entropy and its KL to the reference in nats and its tokens, as estimated from those
    sampled.
    """

    COLUMNS = "reward", "dead", "entropy", "kl", "length"

    def __init__(
        self,
        model: GPT,
        prompts: Sequence[str],
        right: Callable[[str, str], float],
        *,
        encode: Callable[[str], Ids],
        decode: Callable[[Ids], str],
        end: int,
        groups: int,
        size: int,
        max_new: int,
        divide: bool = True,
        reference: GPT | None = None,
        seed: int = 0,
    ):
        if groups < 1 or size < 2 or not prompts:
            raise ValueError(
                "expected at least one prompt and one group, and groups of at least 2 answers; got "
                f"{len(prompts)}, {groups} and {size}"
            )
        self.model, self.prompts, self.right = model, prompts, right
        self.encode, self.decode, self.end = encode, decode, end
        self.groups, self.size, self.max_new = groups, size, max_new
        self.divide, self.reference = divide, reference
        self.log: list[dict[str, float]] = []
        self._generator = torch.Generator().manual_seed(seed)
        longest = max(len(encode(prompt)) for prompt in prompts)
        if longest + max_new > model.context:
            raise ValueError(
                f"the longest prompt has {longest} tokens, and with {max_new} new ones it is over the window "
                f"of {model.context}: shorten one of them"
            )

    def next(self) -> tuple[Tensor, ...]:
        chosen = torch.randint(len(self.prompts), (self.groups,), generator=self._generator).tolist()
        prompts = [self.prompts[i] for i in chosen for _ in range(self.size)]
        answers = sample(
            self.model, [self.encode(prompt) for prompt in prompts], self.max_new, self.end, self._generator
        )
        rewards = torch.tensor(
            [
                float(self.right(prompt, self.decode(ids[:-1]))) if ids[-1] == self.end else 0.0
                for prompt, ids in zip(prompts, answers, strict=True)
            ]
        ).view(self.groups, self.size)
        device = self.model.embedding.weight.device
        ids, answer = (x.to(device) for x in with_answers([self.encode(p) for p in prompts], answers))
        log_p = frozen_log_probs(self.model, ids)
        before = torch.full_like(log_p, math.nan)
        if self.reference is not None:
            before = frozen_log_probs(self.reference, ids)
        advantages = group_advantages(rewards, self.divide).flatten().to(device)
        kl = (log_p - before).nan_to_num()  # 0 without a reference
        sums = [(x * answer[:, 1:]).sum(1).mean().item() for x in (-log_p, kl)]
        length = answer.sum(1).float().mean().item()
        row = rewards.mean().item(), dead_groups(rewards).float().mean().item(), *sums, length
        self.log.append(dict(zip(self.COLUMNS, row, strict=True)))
        return ids, log_p, before, advantages, answer

    @cached_property
    def _digest(self) -> Int[Tensor, "32"]:
        content = repr((self.groups, self.size, self.max_new, self.end, self.divide, [*self.prompts]))
        return torch.tensor([*hashlib.sha256(content.encode()).digest()], dtype=torch.uint8)

    def state(self) -> dict[str, Tensor]:
        table = [[row[column] for column in self.COLUMNS] for row in self.log]
        return {
            "generator": self._generator.get_state(),
            "log": torch.tensor(table, dtype=torch.float64).view(-1, len(self.COLUMNS)),
            "sha256": self._digest,
        }

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go to where `state()` was taken. Raises ValueError if that was with other prompts or settings; it
        can't be told of another verifier or reference."""
        if "sha256" not in state or not state["sha256"].equal(self._digest):
            raise ValueError(
                "the run to resume had other prompts, groups or lengths, or an older course saved it, which "
                "doesn't tell: give it those that it began with, or name another checkpoint"
            )
        self._generator.set_state(state["generator"])
        self.log = [dict(zip(self.COLUMNS, row, strict=True)) for row in state["log"].tolist()]


def sample(
    model: GPT,
    prompts: Sequence[Ids],
    max_new: int,
    end: int,
    generator: torch.Generator,
    temperature: float = 1.0,
) -> list[list[int]]:
    """An answer to each prompt. What is learnt from is drawn at temperature 1: at any other the sampler is
    another policy than the one whose log-probabilities are computed."""
    sampler = Sampler(temperature=temperature)
    written = generate(model, prompts, max_new, sampler=sampler, generator=generator, end_ids=[end])
    return [completion.ids for completion in unbroken(written)]


@torch.no_grad()
def frozen_log_probs(model: GPT, ids: Int[Tensor, "batch time"]) -> PerToken:
    """`token_log_probs` without gradients or dropout."""
    with without_dropout(model):
        return token_log_probs(model, ids)
