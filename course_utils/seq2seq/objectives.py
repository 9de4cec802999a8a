"""What a text is turned into for an encoder-decoder to learn from: a source, and the target to write.

In span corruption (T5) the target has only what was taken out; `put_together` makes the text again.
In prefix language modelling it is how the text goes on. BART's ways to damage a text, of which the target is
the whole, are in `noises`. No function adds start or end: `Pairs` puts them round a target, and T5 ends its
sources too.

Source: Raffel et al. 2020, sections 3.1.4 (sentinels), 3.3.1 (prefix language modelling) and 3.3.4 (spans);
how spans are drawn: the authors' code, `random_spans_noise_mask`.
"""

import itertools
from collections.abc import Sequence

import torch

Span = tuple[int, int]  # the first place, and the one after the last


def random_spans(
    n: int, rate: float = 0.15, mean_span: float = 3.0, generator: torch.Generator | None = None
) -> list[Span]:
    """Spans of a text of n tokens that together have a share `rate` of it, mean_span tokens each on average.

    How many tokens and how many spans is fixed: round(rate n) and round of that over mean_span, at least one
    of each. Text and spans take turns, beginning with text and ending on a span; of all ways to do so each is
    equally likely. Raises ValueError for a rate that is not between 0 and 1, spans shorter than a token, a
    text shorter than a span, and spans that the rest of the text can't keep apart.
    """
    check_rate(rate)
    if not mean_span >= 1:
        raise ValueError(f"a span has at least one token on average; got mean_span = {mean_span}")
    if n < max(mean_span, 2):
        raise ValueError(
            f"the text has {n} tokens, and a span about {mean_span:g}: take a longer text or shorter spans"
        )
    noise = min(max(round(rate * n), 1), n - 1)
    count = max(round(noise / mean_span), 1)
    if count > n - noise:
        raise ValueError(
            f"{count} spans need as many other tokens to keep them apart; of {n} tokens only {n - noise} are "
            "left: take a lower rate or longer spans"
        )
    spans, place = [], 0
    for text, span in zip(_parts(n - noise, count, generator), _parts(noise, count, generator), strict=True):
        spans.append((place + text, place + text + span))
        place += text + span
    return spans


def _parts(total: int, count: int, generator: torch.Generator | None) -> list[int]:
    """A sum of `count` numbers of at least 1: of all with this total, each is equally likely."""
    cuts = torch.randperm(total - 1, generator=generator)[: count - 1].sort().values + 1
    ends = [0, *cuts.tolist(), total]
    return [end - start for start, end in itertools.pairwise(ends)]


def corrupt_spans(
    ids: Sequence[int], spans: Sequence[Span], sentinels: Sequence[int], last_sentinel: bool = False
) -> tuple[list[int], list[int]]:
    """The text with one sentinel in the place of each span, and the spans, each after its sentinel.

    With `last_sentinel` one more ends the target, as in the paper's figure 2; the authors' code writes none.
    Raises ValueError for spans that are empty, out of order or outside the text, fewer sentinels than spans
    need, sentinels that are not distinct, and a text that has one.
    """
    ids = [*map(int, ids)]
    ends = [0, *(place for span in spans for place in span), len(ids)]
    if ends != sorted(ends) or any(start == end for start, end in spans) or not spans:
        raise ValueError(
            f"expected spans of at least one token each, in order, within {len(ids)} tokens; got {[*spans]}"
        )
    needed = len(spans) + last_sentinel
    if needed > len(sentinels):
        raise ValueError(
            f"{len(spans)} spans need {needed} sentinels; got {len(sentinels)}: take a shorter text or fewer "
            "spans"
        )
    _check_sentinels(sentinels)
    if set(sentinels).intersection(ids):
        raise ValueError("the text has a sentinel in it: which span would it stand for?")
    source, target, place = [], [], 0
    for sentinel, (start, end) in zip(sentinels, spans, strict=False):
        source += [*ids[place:start], sentinel]
        target += [sentinel, *ids[start:end]]
        place = end
    return [*source, *ids[place:]], [*target, *sentinels[len(spans) : needed]]


def span_corruption(
    ids: Sequence[int],
    sentinels: Sequence[int],
    rate: float = 0.15,
    mean_span: float = 3.0,
    generator: torch.Generator | None = None,
    last_sentinel: bool = False,
) -> tuple[list[int], list[int]]:
    """T5's objective: source and target of `corrupt_spans`, with spans drawn by `random_spans`.

    Of 512 tokens 77 are taken out, in 26 spans; so the source has 461 and the target 103, one more each with
    an end. Raises ValueError as those two do.
    """
    return corrupt_spans(
        ids, random_spans(len(ids), rate, mean_span, generator), sentinels, last_sentinel=last_sentinel
    )


def put_together(source: Sequence[int], target: Sequence[int], sentinels: Sequence[int]) -> list[int]:
    """The text of which `corrupt_spans` made source and target: each sentinel gives way to its span.

    Raises ValueError where they don't fit together: a target that begins with no sentinel, one that comes
    twice or that only one of the two has. (One without a span may end the target.)
    """
    _check_sentinels(sentinels)
    known, source, target = {*sentinels}, [*map(int, source)], [*map(int, target)]
    if not target or target[0] not in known:
        raise ValueError(f"expected a target that begins with a sentinel; got {target[:3]} first")
    spans: dict[int, list[int]] = {}
    for i in target:
        if i in spans:
            raise ValueError(f"sentinel {i} comes twice in the target: its span would be two")
        if i in known:
            span = spans[i] = []
        else:
            span.append(i)
    if not span:
        del spans[target[-1]]
    asked = [i for i in source if i in known]
    if sorted(asked) != sorted(spans):
        raise ValueError(
            f"the source has gaps for the sentinels {asked}, and the target spans for {[*spans]}: each needs "
            "the other, once"
        )
    return [i for each in source for i in spans.get(each, [each])]


def prefix_lm(ids: Sequence[int], generator: torch.Generator | None = None) -> tuple[list[int], list[int]]:
    """A text cut in two at a place drawn at random: what is read whole, and how it goes on.

    Neither is empty. Raises ValueError for a text of less than two tokens.
    """
    if len(ids) < 2:
        raise ValueError(f"a text of at least 2 tokens can be cut in two; got {len(ids)}")
    ids, cut = [*map(int, ids)], int(torch.randint(1, len(ids), (), generator=generator))
    return ids[:cut], ids[cut:]


def check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise ValueError(
            f"rate lies between 0 and 1; got {rate} (at 0 nothing is asked, at 1 nothing is left to tell it "
            "from; T5 has 0.15)"
        )


def _check_sentinels(sentinels: Sequence[int]) -> None:
    if len({*sentinels}) < len(sentinels):
        raise ValueError("each span needs a sentinel of its own; got one twice")
