"""How large a model a machine makes: three plans, and what a plan needs before it starts.

A plan is a budget in FLOPs, not in minutes: so it makes the same model on a fast machine and on a slow one.
What the budget buys, a size and a number of tokens, is read off a scaling law in `choose`.

Sources: Hoffmann et al. 2022 (the law); Muennighoff et al. 2023 (text that is read up to four times is worth
nearly as much as new text).
"""

import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from course_utils.attention import WRITTEN_OUT
from course_utils.gpt import GPTConfig
from course_utils.pretraining.model import llama_config
from course_utils.scaling import Law

HEAD = 32  # numbers of a head; 64 from a width of 512 on
EPOCHS = 4  # how often a text may be read
WIDTHS = range(64, 2049, 64)


@dataclass(frozen=True)
class Plan:
    """What decides a model, beside its texts.

    flops: of pretraining, forward and backward. text_bytes: of more text, a sample of this size is read.
    vocabularies: sizes of tokenizers, of which one is chosen by models that may use `trial_flops` each.
    batch: windows of `context` tokens in a step. The rates are peaks; tune_steps, tune_batch and prefer_steps
    are those of fine-tuning; the batch is that of both its steps.
    """

    name: str
    flops: float
    vocabularies: tuple[int, ...]
    trial_flops: float
    text_bytes: float = float("inf")
    context: int = 256
    batch: int = 16
    learning_rate: float = 0.02
    optimiser: str = "muon"
    tune_steps: int = 400
    tune_batch: int = 8
    prefer_steps: int = 60
    seed: int = 0

    def settings(self) -> dict:
        """As JSON holds it."""
        as_text = {"vocabularies": [*self.vocabularies], "text_bytes": f"{self.text_bytes:g}"}
        return asdict(self) | as_text


# Each tunes for some three readings of its conversations: `weights.making_recipe` has what eighteen did.
PLANS = {
    plan.name: plan
    for plan in (
        Plan("laptop", 2e13, (1024, 2048, 4096), 3e11, text_bytes=16e6, tune_steps=900),
        Plan("evening", 6e14, (1024, 2048, 4096, 8192), 2e13, context=512, tune_steps=1000, tune_batch=4),
        Plan("gpu", 1e18, (4096, 8192, 16384), 3e15, context=1024, batch=256, tune_steps=250),
    )
}


def plan_named(name: str) -> Plan:
    """Raises ValueError for a plan that there isn't."""
    if name not in PLANS:
        raise ValueError(f"there is no plan {name!r}: choose from {', '.join(PLANS)}")
    return PLANS[name]


@dataclass(frozen=True)
class Choice:
    """A shape, the steps that it trains, the parameters and tokens that the law asked for, had there been
    text enough, and how often the text is read."""

    config: GPTConfig
    steps: int
    law_n: float
    law_tokens: float
    epochs: float


def shape(width: int, vocab_size: int, context: int) -> GPTConfig:
    """Llama's shape at a width, a multiple of 64: a layer for each 64 numbers of it, and at least 2, which is
    as deep as GPT-2's smallest is for its width."""
    heads = width // (HEAD if width < 512 else 2 * HEAD)
    return llama_config(
        vocab_size=vocab_size, context=context, n_layers=max(width // 64, 2), n_heads=heads, d_model=width
    )


def size(config: GPTConfig) -> int:
    """Parameters of a model of this shape, without building it."""
    d, ff, kv = config.d_model, config.block.d_ff, (config.n_kv_heads or config.n_heads) / config.n_heads
    a_block = d * d * (2 + 2 * kv) + 3 * d * ff + 2 * d  # attention, SwiGLU, two norms
    return round(config.vocab_size * d + config.n_layers * a_block + d)


def flops_per_token(config: GPTConfig) -> float:
    """Training FLOPs: 6 a parameter, the embedding being the head too, and 12 n_layers d_model context for
    attention (Chowdhery et al. 2022, appendix B)."""
    return 6.0 * size(config) + 12.0 * config.n_layers * config.d_model * config.context


def choose(plan: Plan, law: Law, vocab_size: int, bytes_a_token: float, tokens: int) -> Choice:
    """The shape whose size is nearest to what the law finds best for the plan's budget, and as many steps as
    the budget pays for.

    The law was fitted to models that read bytes. Here a token is `bytes_a_token` of them, and costs as much
    as one byte did: so the same FLOPs read that much more text, and the law is asked for that budget. Where
    the text, of so many `tokens`, would be read more than EPOCHS times, a larger model reads it EPOCHS times.
    """
    n, n_bytes = law.optimum(plan.flops * bytes_a_token)
    wanted = max(n, plan.flops / (6 * EPOCHS * tokens))
    shapes = [shape(width, vocab_size, plan.context) for width in WIDTHS]
    config = min(shapes, key=lambda each: max(size(each) / wanted, wanted / size(each)))
    a_step = plan.batch * plan.context
    steps = max(round(plan.flops / flops_per_token(config) / a_step), 1)
    return Choice(config, steps, n, n_bytes / bytes_a_token, steps * a_step / tokens)


def memory_needed(config: GPTConfig, rows: int, shards: int = 1) -> int:
    """Bytes that training takes, about: weights, gradients, the last finite weights and two averages in
    float32, or one of so many shards of them, and for each token of the rows that are computed at once what
    the backward pass needs: some 30 vectors a layer, the logits three times and, where `fused_attention` may
    write them out, attention's weights in bfloat16, of each layer and of two more while it computes."""
    a_token = 30 * config.n_layers * config.d_model + 3 * config.vocab_size
    if config.context <= WRITTEN_OUT:
        a_token += (config.n_layers + 2) * config.n_heads * config.context / 2
    return round(4 * (5 * size(config) / shards + rows * config.context * a_token))


def memory_there(device: torch.device) -> int | None:
    """Bytes that are free on a device: those of the machine where a container has a limit, and on macOS all
    that are built in. None where that can't be asked."""
    if device.type == "cuda":
        torch.cuda.empty_cache()  # what torch has freed and keeps no other process could have
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():  # what can be had without swapping
        lines = dict(line.split(":") for line in meminfo.read_text("ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def rows_that_fit(
    plan: Plan, config: GPTConfig, device: torch.device, processes: int = 1, shard: bool = False
) -> int:
    """How many rows of its share of a batch each of the processes, of which every one has such a device, can
    compute at once when it trains this shape in the memory that is free. Raises MemoryError, with the number,
    if not even one fits."""
    there, rows = memory_there(device), plan.batch // processes
    if there is None:
        return rows
    if device.type == "cpu":
        there //= processes  # they share it
    needed = [memory_needed(config, n, processes if shard else 1) for n in range(1, rows + 1)]
    if needed[0] > there:
        raise MemoryError(
            f"the plan {plan.name} trains up to {size(config) / 1e6:,.0f} million parameters and needs, a "
            f"row at a time, about {needed[0] / 2**30:.1f} GiB of memory; {there / 2**30:.1f} GiB are free "
            f"on {device}: close other programs, or take a smaller plan"
        )
    fit = sum(each <= there for each in needed)
    return math.ceil(rows / math.ceil(rows / fit))  # in as few parts, of equal size


def check_memory(
    plan: Plan, law: Law, device: torch.device, processes: int = 1, shard: bool = False, n_bytes: float = 1e15
) -> None:
    """Raises MemoryError, with the number, if the plan's largest model would not fit: before anything starts.

    n_bytes: of the text, where that is known, for a short one makes a larger model. Tokens are taken to be of
    5 bytes, which is more than they will be; `rows_that_fit` is asked again when they are known.
    """
    tokens = round(min(n_bytes, plan.text_bytes) / 5)
    largest = choose(plan, law, max(plan.vocabularies), 5.0, tokens).config
    rows_that_fit(plan, largest, device, processes, shard)
