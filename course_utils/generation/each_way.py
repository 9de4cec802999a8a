"""Prompts that are continued in several ways, all in one batch: a step reads the weights once for all."""

from collections.abc import Mapping, Sequence

import torch

from course_utils.generation import Completion, generate
from course_utils.sampling import Sampler


class EachItsWay(Sampler):
    """The first rows by the first sampler, as many by the next, and so on."""

    def __init__(self, samplers: Sequence[Sampler]):
        super().__init__()
        self.samplers = samplers

    @property
    def needs_counts(self) -> bool:
        return any(sampler.needs_counts for sampler in self.samplers)

    def __call__(self, logits, counts=None):
        n = len(self.samplers)
        parts = logits.chunk(n), n * [None] if counts is None else counts.chunk(n)
        return torch.cat([way(*part) for way, *part in zip(self.samplers, *parts, strict=True)])


def write_each_way(
    model,
    prompts: Sequence[Sequence[int]],
    ways: Mapping[str, Sampler],
    max_new: int,
    generator: torch.Generator | None = None,
) -> dict[str, list[Completion]]:
    """{way: completions}, one of `max_new` tokens for each prompt, with what each token cost the model and
    what a draw was expected to cost (see `Completion`)."""
    sampler = EachItsWay(list(ways.values()))
    rows = [*prompts] * len(ways)
    written = iter(generate(model, rows, max_new, sampler=sampler, generator=generator, measure=True))
    return {way: [next(written) for _ in prompts] for way in ways}
