"""Learning from preferences: of two answers to a prompt, somebody chose one.

Bradley and Terry's model says that an answer of reward r is chosen over one of reward s with the probability
sigmoid(r - s). A **reward model** is a GPT with one number for a head, fitted to the choices. What people
want is then the policy of the largest mean reward that stays near a reference,

    maximise  E[r] - beta KL(policy || reference),   reached at  policy ~ reference * exp(r / beta).

**DPO** solves this for r: the reward that a policy is best for is beta log(policy / reference), up to a
number for each prompt, which cancels in a difference. So the policy is fitted to the choices itself, and
there is neither a reward model nor sampling.

    batches = Preferences(pairs, batch_size=16, reference=model)
    train(model, batches, config, loss=dpo(beta=0.1))

Sources: Bradley & Terry 1952; Ouyang et al. 2022, section 3.5 (reward models of language models); Rafailov
et al. 2023, section 4 (DPO).
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.finetuning.log_probs import Ids, answer_log_probs, log_probs_of, with_answers
from course_utils.gpt import GPT

Pair = tuple[Ids, Ids, Ids]  # a prompt, the answer that was chosen, and the one that was rejected
Rewards = Float[Tensor, " pairs"]


def bradley_terry_loss(chosen: Rewards, rejected: Rewards) -> Float[Tensor, ""]:
    """Mean nats a choice: minus log sigmoid(r_chosen - r_rejected). ln 2 where rewards are equal.

    Raises ValueError if there are not as many of both.
    """
    if chosen.shape != rejected.shape or not chosen.numel():
        raise ValueError(
            "expected the rewards of as many chosen as rejected answers, at least one; got shapes "
            f"{list(chosen.shape)} and {list(rejected.shape)}"
        )
    return -functional.logsigmoid(chosen - rejected).mean()


def dpo_loss(
    chosen: Rewards, rejected: Rewards, chosen_before: Rewards, rejected_before: Rewards, beta: float
) -> Float[Tensor, ""]:
    """Mean nats a choice (Rafailov et al. 2023, equation 7): Bradley and Terry's loss of the rewards
    beta (log p - log p of the reference). ln 2 as long as the policy is the reference.

    chosen, rejected: log p of the answers under the policy, summed over their tokens; the same "before",
    under the reference. Raises ValueError for a beta that isn't above 0.
    """
    check_beta(beta)
    return bradley_terry_loss(beta * (chosen - chosen_before), beta * (rejected - rejected_before))


def check_beta(beta: float) -> None:
    if not 0 < beta < float("inf"):
        raise ValueError(
            f"beta must be above 0 (0.1 is usual; large ones stay near the reference); got {beta}"
        )


class RewardModel(GPT):
    """A GPT whose head gives one number where it gave logits: the reward of the text so far.

    `base` lends it its shape and its weights. The head starts at zero, so all rewards do.
    """

    def __init__(self, base: GPT):
        super().__init__(base.config)
        self.load_state_dict(base.state_dict())
        self.score = nn.Linear(base.config.d_model, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def head(self, x: Float[Tensor, "batch time d_model"]) -> Float[Tensor, "batch time"]:
        return self.score(x)[..., 0]

    def rewards(self, ids: Int[Tensor, "batch time"], answer: Tensor) -> Float[Tensor, " batch"]:
        """The reward of each row, read at its answer's last token; see `with_answers`."""
        last = answer.shape[1] - 1 - answer.flip(1).int().argmax(1)  # (B,)
        return self(ids).gather(1, last[:, None])[:, 0]


class Preferences:
    """Random batches of pairs for `training.train`, drawn with replacement.

    `next()` gives (ids, answer), as `with_answers` does: batch_size prompts with the chosen answers, then the
    same prompts with the rejected ones. With a `reference` it gives (ids, before, answer), where `before` is
    log p of each under the reference. That is computed once, here: no second model has to be kept, and none
    that trains is taken for it. Raises ValueError for no pairs, and for one whose answers are the same: no
    policy prefers it to itself, and its loss stays at ln 2.
    """

    def __init__(
        self, pairs: Sequence[Pair], batch_size: int, seed: int = 0, *, reference: GPT | None = None
    ):
        check_pairs(pairs)
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size}")
        prompts, chosen, rejected = map(list, zip(*pairs, strict=True))
        self._ids, self._answer = with_answers([*prompts, *prompts], [*chosen, *rejected])
        self._n, self.batch_size = len(pairs), batch_size
        self._before = None if reference is None else log_probs_of(reference, self._ids, self._answer)
        self._generator = torch.Generator().manual_seed(seed)

    def next(self) -> tuple[Tensor, ...]:
        rows = torch.randint(self._n, (self.batch_size,), generator=self._generator)
        rows = torch.cat([rows, rows + self._n])
        ids, answer = self._ids[rows], self._answer[rows]
        return (ids, answer) if self._before is None else (ids, self._before[rows], answer)

    @cached_property
    def _digest(self) -> Int[Tensor, "32"]:
        content = b"".join(
            [self.batch_size.to_bytes(8), self._ids.numpy().tobytes(), self._answer.numpy().tobytes()]
        )
        return torch.tensor([*hashlib.sha256(content).digest()], dtype=torch.uint8)

    def state(self) -> dict[str, Tensor]:
        return {"generator": self._generator.get_state(), "sha256": self._digest}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Continue from where `state()` was taken. Raises ValueError if it is of other pairs or batches."""
        if not state["sha256"].equal(self._digest):
            raise ValueError(
                f"expected a run to resume with these pairs in batches of {self.batch_size}; got others: "
                "give it its own pairs and batch_size"
            )
        self._generator.set_state(state["generator"])


def check_pairs(pairs: Sequence[Pair]) -> None:
    if not pairs:
        raise ValueError("expected at least one pair of a chosen and a rejected answer; got none")
    for i, (_, chosen, rejected) in enumerate(pairs):
        if [*chosen] == [*rejected]:
            raise ValueError(
                f"the chosen and the rejected answer of pair {i} are the same, so there is nothing to "
                "prefer: leave it out"
            )


def reward_loss(model: RewardModel, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
    """For `training.train`, with batches of `Preferences` without a reference."""
    return bradley_terry_loss(*model.rewards(*batch).chunk(2)), None


def dpo(beta: float) -> Callable:
    """The loss for `training.train`, with batches of `Preferences` with a reference."""
    check_beta(beta)

    def loss(model: GPT, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
        ids, before, answer = batch
        chosen, rejected = answer_log_probs(model, ids, answer).chunk(2)
        return dpo_loss(chosen, rejected, *before.chunk(2), beta), None

    return loss
