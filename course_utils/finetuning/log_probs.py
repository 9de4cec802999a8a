"""How probable a model finds an answer: what every method that learns from judged answers begins with.

Prompt and answer stand in one row; the log-probability of an answer is the **sum** over its tokens, the end
token included, of log p(token | prompt, tokens before). A mean would be that of another distribution, which
favours long answers.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.devices import without_dropout
from course_utils.gpt import GPT
from course_utils.seq2seq.pairs import padded

Ids = Sequence[int]


def with_answers(
    prompts: Sequence[Ids], answers: Sequence[Ids]
) -> tuple[Int[Tensor, "batch time"], Bool[Tensor, "batch time"]]:
    """Each prompt with its answer behind it, padded on the right, and where a token is the answer's.

    In a model that looks back no answer sees the padding. Raises ValueError if there are not as many prompts
    as answers, or if one of them is empty: then nothing would be asked, or learnt.
    """
    if len(prompts) != len(answers) or not all(map(len, [*prompts, *answers])):
        raise ValueError(
            "expected as many prompts as answers, each of at least one token (an answer has its end token); "
            f"got {len(prompts)} prompts and {len(answers)} answers, the shortest of "
            f"{min(map(len, [*prompts, *answers]), default=0)} tokens"
        )
    ids, lengths = padded([[*prompt, *answer] for prompt, answer in zip(prompts, answers, strict=True)])
    starts = torch.tensor([*map(len, prompts)])
    places = torch.arange(ids.shape[1])
    return ids, (places >= starts[:, None]) & (places < lengths[:, None])


def token_log_probs(model: nn.Module, ids: Int[Tensor, "batch time"]) -> Float[Tensor, "batch time-1"]:
    """log p in nats of each token but the first, given those before it."""
    logits = model(ids[:, :-1])
    return -functional.cross_entropy(logits.mT, ids[:, 1:], reduction="none")


def answer_log_probs(
    model: nn.Module, ids: Int[Tensor, "batch time"], answer: Bool[Tensor, "batch time"]
) -> Float[Tensor, " batch"]:
    """log p in nats of each row's answer, the sum over its tokens; for the two see `with_answers`.

    Only for these are logits computed: behind a long prompt they are few.
    """
    asked = answer[:, 1:]
    logits = model(ids[:, :-1], chosen=asked)
    found = -functional.cross_entropy(logits, ids[:, 1:][asked], reduction="none")
    return found.new_zeros(asked.shape).masked_scatter(asked, found).sum(-1)


@torch.no_grad()
def log_probs_of(model: GPT, ids: Tensor, answer: Tensor, rows: int = 256) -> Float[Tensor, " batch"]:
    """`answer_log_probs` without gradients or dropout, `rows` at a time, on the CPU."""
    device = model.embedding.weight.device
    with without_dropout(model):
        parts = [
            answer_log_probs(model, some.to(device), of.to(device)).cpu()
            for some, of in zip(ids.split(rows), answer.split(rows), strict=True)
        ]
    return torch.cat(parts)
