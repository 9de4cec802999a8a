"""Supervised fine-tuning by a learner's own functions, as they write them in chapter 10.

`lora_forward` (10.1) computes each adapted layer, and merges it in the end; `fresh_adapter` (10.2) makes what
training begins with; `chat_labels` (10.3) lays out question and answer, and says what is to be learnt.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from tokenizers import Tokenizer
from torch import Tensor, nn

from course_utils.finetuning.lora import put, targeted
from course_utils.finetuning.sft import Examples, sft_loss
from course_utils.finetuning.tasks import Problem
from course_utils.gpt import GPT
from course_utils.tokenizers import ByteTokenizer
from course_utils.tokenizers.chat import IGNORED, ChatTemplate, Labelled, Messages
from course_utils.tokenizers.chat import ROLES as ROLE_NAMES
from course_utils.training import TrainConfig, train

# Control characters, which no text has: STX, ETX, and one for each who speaks
START, END, ROLES = 0x02, 0x03, {"user": 0x11, "assistant": 0x12}
CONTEXT = 128  # an order in bytes, and its note; a GPT with rotary positions reads on beyond its training
RANK, ALPHA = 32, 64
CONFIG = TrainConfig(
    steps=80, learning_rate=0.03, warmup_steps=10, weight_decay=0.0, precision="mixed", optimiser="muon"
)


def laid_out(chat_labels: Callable, question: Sequence[int], answer: Sequence[int]) -> Labelled:
    """The ids of a question with its answer, and their labels, by a learner's `chat_labels`."""
    turns = [("user", [*map(int, question)]), ("assistant", [*map(int, answer)])]
    return Labelled(*chat_labels(turns, ROLES, START, END))


def under_template(
    chat_labels: Callable, template: ChatTemplate, tokenizer: Tokenizer, messages: Messages
) -> Labelled:
    """A conversation by a learner's `chat_labels`, laid out as the template has it: there a role is a line
    of several tokens, and a line ends behind each `end`. None of these is to be learnt."""
    lines = {-n: tokenizer.encode(f"{role}\n").ids for n, role in enumerate(ROLE_NAMES, start=1)}
    numbers = dict(zip(ROLE_NAMES, lines, strict=True))
    line_end = tokenizer.encode("\n").ids
    turns = [(turn["role"], tokenizer.encode(turn["content"]).ids) for turn in messages]
    ids, labels = [], []
    for i, label in zip(*chat_labels(turns, numbers, *template.start, *template.end), strict=True):
        ids += lines.get(i, [i])
        labels += [IGNORED] * len(lines[i]) if i in lines else [label]
        if i in template.end:
            ids += line_end
            labels += [IGNORED] * len(line_end)
    return Labelled(ids, labels)


def opening(chat_labels: Callable, question: Sequence[int]) -> list[int]:
    """The ids up to where the answer to a question begins."""
    return laid_out(chat_labels, question, []).ids[:-1]  # without the end of the empty answer


class OwnAdapter(nn.Module):
    """A linear layer, frozen, with an adapter that starts and runs as a learner's functions say."""

    def __init__(self, base: nn.Linear, forward: Callable, fresh: Callable, draws: np.random.Generator):
        super().__init__()
        self.base, self._forward = base, forward
        weight = base.weight.detach().double().numpy()
        factors = fresh(weight, draws.standard_normal((RANK, base.in_features)))
        self.A, self.B = (nn.Parameter(torch.as_tensor(x, dtype=base.weight.dtype)) for x in factors)

    def forward(self, x: Float[Tensor, "... in"]) -> Float[Tensor, "... out"]:
        out = self._forward(x.flatten(0, -2), self.base.weight, self.A, self.B, ALPHA)
        return out.unflatten(0, x.shape[:-1])

    def merged(self) -> Float[Tensor, "out in"]:
        """The one matrix that does the same: its columns are what becomes of each input alone."""
        return self(torch.eye(self.base.in_features)).T


def tune(
    model: GPT,
    tokenizer: ByteTokenizer,
    problems: Sequence[Problem],
    lora_forward: Callable,
    fresh_adapter: Callable,
    chat_labels: Callable,
    config: TrainConfig = CONFIG,
    **options,
) -> GPT:
    """A copy of a GPT that has learnt to answer as the problems are solved, its adapters merged.

    `lora_forward` has to run on tensors; `options` are those of `training.train`. Beside the adapters the
    embeddings train: those of the control characters, and of what no play holds, say nothing yet.
    """
    tuned, draws = GPT(replace(model.config, context=CONTEXT)), np.random.default_rng(0)
    tuned.load_state_dict(model.state_dict())
    layers = targeted(tuned)
    adapters = {name: OwnAdapter(layers[name], lora_forward, fresh_adapter, draws) for name in layers}
    put(tuned, adapters)
    for part in filter(None, (tuned.embedding, tuned.ngrams)):
        part.requires_grad_(True)
    examples = [laid_out(chat_labels, *map(tokenizer.encode, problem)) for problem in problems]
    train(tuned, Examples(examples, 16, CONTEXT, packed=False), config, loss=sft_loss, **options)
    with torch.no_grad():
        for adapter in adapters.values():
            adapter.base.weight.copy_(adapter.merged())
    return put(tuned, layers).eval().requires_grad_(True)
