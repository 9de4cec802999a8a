"""Writing several tokens at a time: a cheap draft guesses them, and one call of the model checks them all.

Where most of a call's time is spent on reading the weights, a model reads k tokens in little more time than
one: there guesses are nearly free, and each right one saves a call. They are accepted or rejected so that the
text has the same distribution as without guesses.

Sources: Leviathan, Kalman & Matias 2023; Chen et al. 2023 (speculative decoding); Saxena 2023 (drafts looked
up in the text itself).
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from course_utils.generation import (
    GREEDY,
    check_max_new,
    checked_ids,
    crop,
    device_of,
    evaluating,
    room_for_prompt,
)
from course_utils.generation.prefix import NextLogits
from course_utils.sampling import Sampler, draw, draw_one


class LookupDraft:
    """Guess that the text repeats itself: find its last `n` tokens earlier on, and propose what followed."""

    vocab_size = None  # whichever the model has

    def __init__(self, n: int = 2):
        if n < 1:
            raise ValueError(f"n, how many tokens are looked up, must be at least 1; got {n}")
        self.n = n

    def propose(self, text: list[int], k: int, vocab_size: int) -> tuple[list[int], Tensor]:
        """At most k ids, and the probabilities (k, V) that they were drawn from: each was certain."""
        pattern, tokens = text[-self.n :], []
        for start in range(len(text) - self.n - 1, -1, -1):
            if text[start : start + self.n] == pattern:
                tokens = text[start + self.n : start + self.n + k]
                break
        q = torch.zeros(len(tokens), vocab_size)
        q[range(len(tokens)), tokens] = 1.0
        return tokens, q


class ModelDraft:
    """A smaller model with the same vocabulary guesses, with a sampler of its own."""

    def __init__(self, model, sampler: Sampler, generator: torch.Generator | None = None):
        self.model, self.sampler, self.generator = model, sampler, generator
        self.vocab_size, self.next_logits = model.vocab_size, NextLogits(model)

    def propose(self, text: list[int], k: int, vocab_size: int) -> tuple[list[int], Tensor]:
        """At most k ids (none beyond its context), and the probabilities (k, V) that they were drawn from."""
        tokens, q = [], []
        for _ in range(min(k, self.model.context - len(text))):
            logits = self.sampler(self.next_logits([*text, *tokens]))
            tokens.append(int(draw(logits, self.generator)))
            q.append(logits.softmax(-1).cpu())
        return tokens, torch.stack(q) if q else torch.zeros(0, vocab_size)


@dataclass
class Speculation:
    """What was written, and what it took: tokens drafted, tokens of those accepted, calls of the model."""

    ids: list[int] = field(default_factory=list)
    drafted: int = 0
    accepted: int = 0
    calls: int = 0


def speculative_generate(
    model,
    prompt: Sequence[int],
    max_new: int,
    draft: LookupDraft | ModelDraft,
    k: int = 4,
    *,
    sampler: Sampler = GREEDY,
    generator: torch.Generator | None = None,
    end_ids: Collection[int] = (),
) -> Speculation:
    """Continue a prompt: the draft guesses k tokens at a time, which one call of the model checks together.

    The text has the same distribution as without guesses: see `accept`. It is faster where one call with
    k + 1 tokens costs less than the calls that it saves. Ctrl-C ends it, and keeps what is written. Raises
    ValueError as `generate` does, for a draft with another vocabulary, and for a sampler with penalties.
    """
    check_max_new(max_new)
    if not isinstance(k, int) or k < 1:
        raise ValueError(f"k, how many tokens are guessed at a time, must be at least 1; got {k!r}")
    if draft.vocab_size not in (None, model.vocab_size):
        raise ValueError(
            f"draft and model must have the same vocabulary; got {draft.vocab_size} tokens and "
            f"{model.vocab_size}: take a draft that was trained with the same tokenizer"
        )
    if sampler.needs_counts:
        raise ValueError(
            f"penalties can't be used, as guesses are checked before they are counted; got {sampler}"
        )
    prompt = crop(checked_ids(prompt, model.vocab_size), room_for_prompt(model, max_new))
    cache, run = model.new_cache(), Speculation()
    with suppress(KeyboardInterrupt):
        while len(run.ids) < max_new:
            text = [*prompt, *run.ids]
            room = max_new - len(run.ids) - 1  # a call gives one token more than was guessed
            drafted, q = draft.propose(text, min(k, room), model.vocab_size) if room else ([], None)
            cache.crop(len(text) - 1)
            unread = [*text[len(cache) :], *drafted]
            ids = torch.tensor([unread], device=device_of(model))
            with evaluating(model):
                logits = model(ids, cache, None, last=len(drafted) + 1)[0].float()
                p = sampler(logits).softmax(-1).cpu()  # (drafted + 1, V)
            n, token = accept(drafted, q, p, generator)
            run.drafted, run.calls = run.drafted + len(drafted), run.calls + 1
            for i, new in enumerate([*drafted[:n], token]):
                run.ids.append(new)
                run.accepted += i < n
                if new in end_ids:
                    return run
    return run


def accept(
    drafted: list[int],
    q: Float[Tensor, "drafted vocab"] | None,
    p: Float[Tensor, "drafted+1 vocab"],
    generator: torch.Generator | None = None,
) -> tuple[int, int]:
    """How many drafted tokens are accepted, and the token after them; q are the draft's probabilities, p the
    model's.

    A token x is accepted with probability min(1, p(x) / q(x)). After the first rejection one is drawn from
    max(p - q, 0), renormalised: from what the draft proposes too seldom. So each token is distributed as p
    (Leviathan, Kalman & Matias 2023, theorem in appendix A.1).
    """
    for i, token in enumerate(drafted):
        u = torch.rand((), dtype=torch.float64, generator=generator)
        if u * q[i, token] >= p[i, token]:
            too_seldom = (p[i] - q[i]).clamp(min=0)
            # Where p and q differ by rounding only, nothing may be left of their difference.
            return i, draw_one(too_seldom if too_seldom.any() else p[i], generator)
    return len(drafted), draw_one(p[-1], generator)
