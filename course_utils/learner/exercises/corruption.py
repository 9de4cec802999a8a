"""The exercises of chapter 7 on damaged texts: what is read, what is to be written, and the text again.

They are written out for one text, a list of ids; `course_utils.seq2seq.objectives` and `noises` also draw the
spans.
"""

from itertools import chain

import numpy as np

from course_utils.learner.checks.engine import exercise

MASK = 3


def spans_inputs(generator, case):
    """One span or more, the first without text before it now and then, the last often with text behind it;
    more sentinels than spans, which go up as often as down."""
    count = 1 + (case + 2) // 6
    kept = generator.integers(1, 4, size=count)
    kept[0] = (case + 1) % 4
    hidden = generator.integers(1, 4, size=count)
    hidden[-1] = 2 + case % 2
    ids = generator.integers(10, 90, size=kept.sum() + hidden.sum() + (case + 1) % 3).tolist()
    spans, place = [], 0
    for text, span in zip(kept.tolist(), hidden.tolist(), strict=True):
        spans.append((place + text, place + text + span))
        place += text + span
    sentinels = range(100, 102 + count) if case % 2 else range(99, 97 - count, -1)
    return ids, spans, [*sentinels], 1 + case // 2 % 2


@exercise("7.1", "what T5 reads, and what it writes", dots=2, minutes=9, inputs=spans_inputs)
def source_and_target(
    ids: list[int], spans: list[tuple[int, int]], sentinels: list[int], end: int
) -> tuple[list[int], list[int]]:
    """Return source and target of span corruption, each ended by the id `end`.

    A span (start, stop) is ids[start:stop]; the spans stand in order. In the source each gives way to one
    sentinel: the first span to the first sentinel, and so on. The target has the spans, each after its own
    sentinel. There may be more sentinels than spans.
    """
    source, target, place = [], [], 0
    for sentinel, (start, stop) in zip(sentinels, spans, strict=False):
        source += [*ids[place:start], sentinel]
        target += [sentinel, *ids[start:stop]]
        place = stop
    return [*source, *ids[place:], end], [*target, end]


def places_moved(ids, spans, sentinels, end):
    source, target = list(ids), []
    for sentinel, (start, stop) in zip(sentinels, spans, strict=False):
        source[start:stop] = [sentinel]
        target += [sentinel, *ids[start:stop]]
    return [*source, end], [*target, end]


source_and_target.slips("""
One sentinel for all gaps: nothing tells which of them a span fills. Each has a sentinel of its own.
    zip(sentinels, spans → zip([sentinels[0]] * len(spans), spans
No end: the decoder is never told to stop, and T5's sources have one as well.
    *ids[place:], end] → *ids[place:]]
    [*target, end] → target
The target has no end: the decoder is never told to stop.
    [*target, end] → target
T5 ends its sources too: only your target has its end.
    *ids[place:], end] → *ids[place:]]
That is BART's target, the whole text: T5's decoder writes only what was taken out.
    [*target, end] → [*ids, end]
Yours ends with one sentinel more, as the figure in T5's paper does; here, as in its authors' code, only spans
have one.
    [*target, end] → [*target, sentinels[len(spans)], end]
The answer stands in the source: the sentinel takes the place of its span.
    ids[place:start], sentinel] → ids[place:stop], sentinel]
The answer stands in the source: the sentinel takes the place of its span.
    place = stop → place = start
One sentinel a span, however long it is; yours tells how many tokens are missing.
    ids[place:start], sentinel] → ids[place:start], *[sentinel] * (stop - start)]
One sentinel a span, however long it is; yours has one before each token.
    [sentinel, *ids[start:stop]] → [i for token in ids[start:stop] for i in (sentinel, token)]
The target has no sentinels: nothing tells which gap a token belongs to.
    [sentinel, *ids[start:stop]] → ids[start:stop]
A sentinel stands before its span in the target: it says first which gap comes.
    [sentinel, *ids[start:stop]] → [*ids[start:stop], sentinel]
The spans stand in the target in the order of the text; yours begins with the last one.
    target += [sentinel, *ids[start:stop]] → target = [sentinel, *ids[start:stop], *target]
The first span takes the first sentinel of the list, not the last.
    zip(sentinels, spans → zip(sentinels[::-1], spans
What follows the last span is missing from the source.
    [*source, *ids[place:], end] → [*source, end]
The source goes on where the span ended; yours begins the text anew after each.
    place = stop →
`stop` is the place after the last token of a span; you took one token more.
    place = stop → place = stop + 1
    ids[start:stop] → ids[start : stop + 1]
A span is (start, stop), not (start, length).
    place = stop → place = start + stop
    ids[start:stop] → ids[start : start + stop]
Source first, then target.
    return [*source, *ids[place:], end], [*target, end] → return [*target, end], [*source, *ids[place:], end]
A span's places are those of the text as it was: after the first sentinel yours have moved. (From the last
span to the first they would not.)
    → places_moved
""")


@source_and_target.variant("gaps for a decoder alone")
def one_text(ids: list[int], spans: list[tuple[int, int]], sentinels: list[int], end: int) -> list[int]:
    """Return the one text from which a decoder alone learns to fill gaps, as InCoder did.

    First comes the text with a sentinel in the place of each span (start, stop), as in 7.1 but without an
    end. Behind it stand the spans, each after its sentinel, and the id `end` after every one of them.
    """
    text, behind, place = [], [], 0
    for sentinel, (start, stop) in zip(sentinels, spans, strict=False):
        text += [*ids[place:start], sentinel]
        behind += [sentinel, *ids[start:stop], end]
        place = stop
    return [*text, *ids[place:], *behind]


one_text.slips("""
That answers the first version: two texts, a source and a target; here they are one.
    → source_and_target
One sentinel for all gaps: nothing tells which of them a span fills. Each has a sentinel of its own.
    zip(sentinels, spans → zip([sentinels[0]] * len(spans), spans
Every span has an end here, not only the last.
    *ids[start:stop], end] → *ids[start:stop]]
    *ids[place:], *behind] → *ids[place:], *behind, end]
No span has an end: the decoder is never told when a gap is full.
    *ids[start:stop], end] → *ids[start:stop]]
The text with the gaps has no end here: the spans follow at once.
    *ids[place:], *behind] → *ids[place:], end, *behind]
The answer stands in the text: the sentinel takes the place of its span.
    ids[place:start], sentinel] → ids[place:stop], sentinel]
A sentinel stands before its span, too: it says which gap comes.
    [sentinel, *ids[start:stop], end] → [*ids[start:stop], end]
The gaps come first, then what fills them: a decoder sees only what stands before.
    [*text, *ids[place:], *behind] → [*behind, *text, *ids[place:]]
The spans stand behind the whole text, also behind what follows the last gap.
    *ids[place:], *behind] → *behind, *ids[place:]]
What follows the last span is missing.
    [*text, *ids[place:], *behind] → [*text, *behind]
One sentinel a span, however long it is; yours tells how many tokens are missing.
    ids[place:start], sentinel] → ids[place:start], *[sentinel] * (stop - start)]
`stop` is the place after the last token of a span; you took one token more.
    place = stop → place = stop + 1
    ids[start:stop] → ids[start : stop + 1]
""")


def infilling_inputs(generator, case):
    """Spans of lengths drawn from a Poisson distribution, one of them 0, and some of two tokens or more; two
    may touch, and the last may end the text."""
    count = 1 + (case + 3) // 5
    lengths = np.minimum(generator.poisson(3, size=count), 3 + case // 5)
    lengths[case % count] = 2
    if count > 1:
        lengths[(case + 1) % count] = 0
    before = generator.integers(0, 4, size=count)
    if count > 2:
        before[1 + case % (count - 1)] = 0
    starts = np.cumsum(before) + np.cumsum(lengths) - lengths
    ids = generator.integers(10, 90, size=starts[-1] + lengths[-1] + (case + 1) % 3)
    return ids.tolist(), starts.tolist(), lengths.tolist(), MASK


@exercise("7.2", "one mask for a span of any length", dots=1, minutes=6, inputs=infilling_inputs)
def infilled(ids: list[int], starts: list[int], lengths: list[int], mask: int) -> list[int]:
    """Return what BART reads: the text with one mask in the place of each span.

    Span i begins at the place starts[i] of `ids` and has lengths[i] tokens. A span of length 0 hides nothing:
    its mask stands before the token at that place, or at the very end. The spans stand in order; two may
    touch, or begin at one place.
    """
    damaged, place = [], 0
    for start, length in zip(starts, lengths, strict=True):
        damaged += [*ids[place:start], mask]
        place = start + length
    return [*damaged, *ids[place:]]


def shifted_places(ids, starts, lengths, mask):
    damaged = list(ids)
    for start, length in zip(starts, lengths, strict=True):
        damaged[start : start + length] = [mask]
    return damaged


def touching_joined(ids, starts, lengths, mask):
    damaged, place = [], -1
    for start, length in zip(starts, lengths, strict=True):
        if start != place:
            damaged += [*ids[max(place, 0) : start], mask]
        place = start + length
    return damaged + ids[place:]


def along_the_tokens(ids, starts, lengths, mask):
    spans, damaged, hidden = dict(zip(starts, lengths, strict=True)), [], 0
    for place, token in enumerate(ids):
        if place in spans:
            damaged.append(mask)
            hidden = spans[place]
        if hidden:
            hidden -= 1
        else:
            damaged.append(token)
    return damaged


infilled.slips("""
Two spans may begin at one place, and one may stand at the end: go through the spans, not the tokens.
    → along_the_tokens
A span of length 0 has its mask, too: a mask may stand for no token at all, and the model has to find that
out.
    ids[place:start], mask] → ids[place:start], *[mask] * (length > 0)]
One mask a span, whatever its length: yours tells how many tokens are missing.
    ids[place:start], mask] → ids[place:start], *[mask] * length]
One mask a span, whatever its length: yours tells how many tokens are missing.
    ids[place:start], mask] → ids[place:start], *[mask] * max(length, 1)]
A span of length 0 hides no token; its mask stands before the token there.
    start + length → start + max(length, 1)
Nothing marks the gaps: that is token deletion, another of BART's noises.
    ids[place:start], mask] → ids[place:start]]
The hidden tokens still stand behind their masks: go on after the span.
    start + length → start
A span may have several tokens: all of them go, not the first alone.
    start + length → start + 1
A span hides as many tokens as it is long; you took one more.
    start + length → start + length + 1
The starts are places of the text as it was: after the first mask yours have moved. (From the last span to the
first, nothing moves.)
    → shifted_places
Two spans that touch are two spans, and have two masks.
    → touching_joined
What follows the last span is missing.
    [*damaged, *ids[place:]] → damaged
The second list has lengths; you took them for the places where spans end.
    start + length → length
""")


@infilled.variant("the same spans for a BERT")
def masks_and_labels(
    ids: list[int], starts: list[int], lengths: list[int], mask: int
) -> tuple[list[int], list[int]]:
    """Return what a model like BERT reads to fill the spans of 7.2, and its labels: both as long as `ids`.

    Each token of a span becomes a mask. Its label is the token that stood there; all other labels are -100.
    """
    read, labels = list(ids), [-100] * len(ids)
    for start, length in zip(starts, lengths, strict=True):
        for place in range(start, start + length):
            read[place], labels[place] = mask, ids[place]
    return read, labels


masks_and_labels.slips("""
That answers the first version: one mask a span; BERT's input is as long as the text, a mask for each token.
    → infilled
Where nothing is asked the label is -100; you gave the token.
    [-100] * len(ids) → list(ids)
Where nothing is asked the label is -100; 0 is a token.
    [-100] * len(ids) → [0] * len(ids)
The label is the token that stood there, not the mask.
    mask, ids[place] → mask, mask
A span of length 0 hides nothing here: there is no place for its mask.
    range(start, start + length) → range(start, min(start + max(length, 1), len(ids)))
A span may have several tokens: all of them are asked.
    range(start, start + length) → range(start, start + min(length, 1))
A span hides as many tokens as it is long; you took one more.
    range(start, start + length) → range(start, min(start + length + 1, len(ids)))
The answer can be read off: a token that is asked becomes a mask.
    mask, ids[place] → ids[place], ids[place]
What is read comes first, then the labels.
    return read, labels → return labels, read
""")


def gaps_inputs(generator, case):
    """Source and target as 7.1 has them; the decoder may have named the gaps in another order, and written
    nothing for one of them."""
    ids, spans, sentinels, end = spans_inputs(generator, case + 8)
    source, _ = source_and_target(ids, spans, sentinels, end)
    written = [
        [sentinel, *ids[start:stop]] for sentinel, (start, stop) in zip(sentinels, spans, strict=False)
    ]
    if case % 3 == 1:
        written = written[1:] + written[:1]
    if case % 4 == 3:
        written[0] = written[0][:1]
    return source, [*chain(*written), end], sentinels, end


@exercise("7.3", "put together again", dots=2, minutes=8, inputs=gaps_inputs)
def fill_in(source: list[int], target: list[int], sentinels: list[int], end: int) -> list[int]:
    """Return the text that source and target of 7.1 make: each sentinel gives way to its span.

    Both end in the id `end`, which is no part of the text. A decoder wrote the target: it has every gap's
    sentinel once, not always in the order of the source, and a span may be empty.
    """
    spans, text = {}, []
    for token in target[:-1]:
        if token in sentinels:
            gap = token
            spans[gap] = []
        else:
            spans[gap].append(token)
    for token in source[:-1]:
        text += spans[token] if token in sentinels else [token]
    return text


def in_the_targets_order(source, target, sentinels, end):
    gaps = [token for token in source if token in sentinels]
    named = [token for token in target if token in sentinels]
    renamed = dict(zip(named, gaps, strict=True))
    return fill_in(source, [renamed.get(token, token) for token in target], sentinels, end)


def without_the_last_span(source, target, sentinels, end):
    last = max(place for place, token in enumerate(target) if token in sentinels)
    return fill_in(source, [*target[: last + 1], end], sentinels, end)


def last_gap_left_open(source, target, sentinels, end):
    last = [token for token in target if token in sentinels][-1]
    return fill_in(source, target, [sentinel for sentinel in sentinels if sentinel != last], end)


def spans_behind(source, target, sentinels, end):
    return [token for token in source[:-1] + target[:-1] if token not in sentinels]


fill_in.slips("""
The sentinel says which gap a span fills; you went by the order.
    → in_the_targets_order
The last span is missing: no sentinel follows it, so it is full when the target ends.
    → without_the_last_span
The last gap is still open: no sentinel follows its span, so it is full when the target ends.
    → last_gap_left_open
The spans stand behind the text: each belongs into its gap.
    → spans_behind
The gaps are still open: that is the source without its end.
    spans[token] if token in sentinels else [token] → [token]
A sentinel gives way to its span: it is no token of the text.
    spans[token] if → [token, *spans[token]] if
The source's end is in the text: it says that no more comes, and is no part of it.
    in source[:-1] → in source
The target's end is in the text: it says that no more comes, and is no part of it.
    in target[:-1] → in target
Both ends are in the text: they say that no more comes, and are no part of it.
    in source[:-1] → in source
    in target[:-1] → in target
A span goes on to the next sentinel; you took its first token alone.
    spans[gap].append(token) → spans[gap] = spans[gap] or [token]
A span goes on to the next sentinel; you kept its last token alone.
    spans[gap].append(token) → spans[gap] = [token]
The text between the gaps is missing.
    else [token] → else []
A span may be empty: then the sentinel goes, and nothing takes its place.
    spans[token] if token in sentinels else [token] → spans.get(token) or [token]
""")


@fill_in.variant("where the gaps were")
def filled_places(
    source: list[int], target: list[int], sentinels: list[int], end: int
) -> list[tuple[int, int]]:
    """Return where the spans stand in the text that source and target make: (start, stop) of each.

    Source and target are those of 7.3, and the text is what it puts together. The spans are named in the
    order of the text; an empty one has stop = start.
    """
    lengths, places, here = {}, [], 0
    for token in target[:-1]:
        if token in sentinels:
            gap = token
            lengths[gap] = 0
        else:
            lengths[gap] += 1
    for token in source[:-1]:
        length = lengths[token] if token in sentinels else 1
        if token in sentinels:
            places.append((here, here + length))
        here += length
    return places


def places_in_the_targets_order(source, target, sentinels, end):
    gaps = [token for token in source if token in sentinels]
    named = [token for token in target if token in sentinels]
    renamed = dict(zip(named, gaps, strict=True))
    return filled_places(source, [renamed.get(token, token) for token in target], sentinels, end)


filled_places.slips("""
That answers the first version: the text; here it is asked where its spans stand.
    → fill_in
The sentinel says which gap a span fills; you went by the order.
    → places_in_the_targets_order
Places are counted in the text, where a span has all of its tokens; yours are those of the source.
    here += length → here += 1
That is (start, length): the second number is the place after the last token.
    (here, here + length) → (here, length)
`stop` is the place after the last token; yours is that of the last token.
    (here, here + length) → (here, here + length - 1)
The sentinel is no token of the text: yours counts it as one.
    here += length → here += length + (token in sentinels)
The target's end is no token of its last span.
    in target[:-1] → in target
An empty span has a place as well: stop is start.
    places.append((here, here + length)) → places += [(here, here + length)] * (length > 0)
The text before a gap has a length too: you counted the spans alone.
    else 1 → else 0
""")
