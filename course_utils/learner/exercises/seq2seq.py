"""The exercises of chapter 7 on encoder-decoders, in NumPy: teacher forcing, relative bias, and the price."""

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded


def targets_inputs(generator, case):
    """Rows of different lengths, one without padding; the start is the padding, as in T5, or another id."""
    rows, time = 2 + case // 10, 4 + case % 3
    start, pad = [(0, 0), (1, 0), (0, 1), (4, 4)][case % 4]
    end = 2 + case % 2
    target = generator.integers(5, 20, size=(rows, time))
    lengths = generator.integers(1, time - 1, size=rows)
    lengths[1] = time - 1
    lengths[0] = 1 + case % 2
    places = np.arange(time)
    target[places == lengths[:, None]] = end
    target[places > lengths[:, None]] = pad
    return target, start, pad


@exercise("7.4", "what the decoder reads, and what it is asked", dots=1, minutes=7, inputs=targets_inputs)
def teacher_forcing(target: np.ndarray, start: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what the decoder reads and its labels, both (B, T), for targets (B, T) that end in padding.

    At each place the label is the target's token, -100 on padding, which takes no loss. What is read there is
    the token before it, and the id `start` at the first place. In T5 `start` and `pad` are the same id.
    """
    starts = np.full((len(target), 1), start)
    read = np.concatenate([starts, target[:, :-1]], axis=1)
    return read, np.where(target == pad, -100, target)


teacher_forcing.slips("""
Not shifted: the decoder reads the very token that it is asked for, and need only repeat it.
    return read, → return target,
Shifted the wrong way: the decoder reads the token after the one that it is asked for.
    [starts, target[:, :-1]] → [target[:, 1:], np.full((len(target), 1), pad)]
You ask for padding too: then most of the loss may be on tokens that nobody wants to read.
    np.where(target == pad, -100, target) → target
You wrote the start over the first token: the others have to move by one place.
    target[:, :-1] → target[:, 1:]
Nothing stands before the first token but the start: your last column came round to the front.
    np.concatenate([starts, target[:, :-1]], axis=1) → np.roll(target, 1, axis=1)
The first token is asked for, too: put the start before the target, and ask for all of it.
    return read, np.where(target == pad, -100, target)
    → return target[:, :-1], np.where(target == pad, -100, target)[:, 1:]
Labels are the target as it stands: only what is read is shifted.
    np.where(target == pad, -100, target)
    → np.concatenate([np.where(target == pad, -100, target)[:, 1:], np.full((len(target), 1), -100)], axis=1)
What is read is as long as the labels: the last token of a row is read by nobody.
    target[:, :-1]] → target]
Labels are the target as it stands: only what is read is shifted.
    np.where(target == pad, -100, target) → np.where(target[:, 1:] == pad, -100, target[:, 1:])
No loss where the *label* is padding; you looked at what is read, which is one place behind.
    target == pad → read == pad
It is padding that takes no loss; you compared the target with `start`, not with `pad`.
    target == pad → target == start
Padding is the id that was given, not always 0.
    target == pad → target == 0
-100 is no token, and can't be read: shift the target, not the labels (and `labels = target` is no copy).
    target[:, :-1]] → np.where(target == pad, -100, target)[:, :-1]]
Where nothing is asked the label is -100; 0 is a token.
    pad, -100, target) → pad, 0, target)
Each row is shifted in itself, along the axis of time; yours reads the row before it.
    np.concatenate([starts, target[:, :-1]], axis=1)
    → np.concatenate([np.full((1, target.shape[1]), start), target[:-1]])
The first place has the start that was given, not the padding.
    np.full((len(target), 1), start) → np.full((len(target), 1), pad)
What is read comes first, then the labels.
    return read, np.where(target == pad, -100, target) → return np.where(target == pad, -100, target), read
""")


@teacher_forcing.variant("two tokens at once")
def two_at_once(target: np.ndarray, start: int, pad: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what a decoder reads, (B, T), and its labels, (B, T, 2), if each place is asked for two tokens.

    Targets (B, T), `start`, `pad` and what is read are those of 7.4. labels[:, :, 0] are its labels, and
    labels[:, :, 1] those of the token after it: -100 on padding, and where the row is at its end.
    """
    starts = np.full((len(target), 1), start)
    read = np.concatenate([starts, target[:, :-1]], axis=1)
    labels = np.where(target == pad, -100, target)
    after = np.concatenate([labels[:, 1:], np.full((len(target), 1), -100)], axis=1)
    return read, np.stack([labels, after], axis=2)


two_at_once.slips("""
That answers the first version: one label a place; here there are two.
    → teacher_forcing
Not shifted: the decoder reads the very token that it is asked for, and need only repeat it.
    return read, → return target,
You ask for padding too: its labels have to be -100.
    np.where(target == pad, -100, target) → target
Your two labels are the same: the second is the token after the first.
    [labels, after], axis → [labels, labels], axis
The second label is the token after the first; yours is the one before it.
    [labels[:, 1:], np.full((len(target), 1), -100)] → [np.full((len(target), 1), -100), labels[:, :-1]]
Nothing comes after the last token of a row: your first label came round to it.
    np.concatenate([labels[:, 1:], np.full((len(target), 1), -100)], axis=1) → np.roll(labels, -1, axis=1)
Nothing comes after the last token of a row: -100, not the padding.
    np.full((len(target), 1), -100) → np.full((len(target), 1), pad)
The next token first, then the one after it.
    [labels, after], axis → [after, labels], axis
The two labels of a place stand on the last axis.
    axis=2) → axis=1)
No loss where the *label* is padding; you looked at what is read, which is one place behind.
    target == pad → read == pad
""")


def borderline(far, side, farthest):
    """Whether a distance lies so near the border of two shared buckets that rounding decides."""
    exact = side // 2
    bucket = np.log(np.maximum(far, exact) / exact) / np.log(farthest / exact) * (side - exact)
    return (exact < far) & (far < farthest) & (np.abs(bucket - np.round(bucket)) < 1e-6)


def distances_inputs(generator, case):
    """Distances both ways, near and beyond the farthest. In the first cases query and keys are 0 and bucket b
    has the bias b, so the scores are the buckets; in the next two only a few keys are scored."""
    both_ways, width = case % 2 == 0, 2 + case % 3
    side = [4, 8, 6][case // 2 % 3]
    buckets, farthest = side * (1 + both_ways), [16, 40, 128][case // 6 % 3]
    near = np.arange(-side, side + 1)
    far = np.concatenate([generator.integers(side, farthest, size=3), [farthest - 1, farthest, 2 * farthest]])
    some = np.concatenate([generator.choice(near, size=1 + case // 2), far, -far, [0, 1, -1]])
    if case < 4:
        some = np.concatenate([near, far[-1:], -far[-1:]])
    elif case < 6:
        some = np.array([-2, -1, 0, 1, 3])
    distances = some[~borderline(np.abs(some), side, farthest)]
    if case < 4:
        q, keys, bias = np.zeros(1), np.zeros((len(distances), 1)), np.arange(buckets, dtype=float)
    else:
        q, keys = rounded(generator, width) + 0.05, rounded(generator, len(distances), width)
        bias = generator.permutation(buckets) / 5 - 1
    return q, keys, distances, bias, farthest, both_ways


@exercise("7.5", "relative position buckets", dots=2, minutes=14, inputs=distances_inputs)
def biased_scores(
    q: np.ndarray, keys: np.ndarray, distances: np.ndarray, bias: np.ndarray, farthest: int, both_ways: bool
) -> np.ndarray:
    """Return T5's scores of N keys for one query, (N,): q · key + the bias of its distance's bucket.

    q is (D,), keys (N, D); distances (N,) are the key's place minus the query's. bias has a number for each
    bucket. In the encoder (`both_ways`) the lower half of the buckets is for keys at or before the query, the
    upper half for later ones. In the decoder all are for keys at or before it, and a later one counts as
    distance 0. Of the n buckets of a side the first e = n // 2 have one distance each, from 0 on. A distance
    d >= e is in bucket e + floor((n - e) ln(d / e) / ln(farthest / e)) of its side, at most in the last.
    """
    n = len(bias) // 2 if both_ways else len(bias)
    e = n // 2
    d = np.abs(distances) if both_ways else np.maximum(-distances, 0)
    shared = e + np.floor((n - e) * np.log(np.maximum(d, e) / e) / np.log(farthest / e)).astype(int)
    bucket = np.where(d < e, d, np.minimum(shared, n - 1))
    bucket += np.where(both_ways & (distances > 0), n, 0)
    return keys @ q + bias[bucket]


biased_scores.slips("""
T5 does not divide by √D: its queries' weights begin smaller by that factor.
    keys @ q + → keys @ q / np.sqrt(len(q)) +
All buckets of a decoder are for keys before the query; yours keeps half of them for later ones, as an encoder
does.
    if both_ways else len(bias) →
    np.abs(distances) if both_ways else np.maximum(-distances, 0) → np.abs(distances)
    both_ways & (distances > 0) → distances > 0
In a decoder a later key counts as distance 0; yours has the bucket of a key as far before the query.
    np.abs(distances) if both_ways else np.maximum(-distances, 0) → np.abs(distances)
Your encoder can't tell before from behind: the upper half of the buckets is for later keys.
    both_ways & (distances > 0), n, 0) → distances > 0, 0, 0)
You treat the encoder as a decoder: it sees later keys, and half of its buckets are for them.
    n = len(bias) // 2 if both_ways else len(bias) → n = len(bias)
    np.abs(distances) if both_ways else np.maximum(-distances, 0) → np.maximum(-distances, 0)
    both_ways & (distances > 0), n, 0) → distances > 0, 0, 0)
A distance is the key's place minus the query's: below 0 the key comes before. You have it turned round.
    np.maximum(-distances, 0) → np.maximum(distances, 0)
    distances > 0 → distances < 0
The halves are exchanged: the upper one is for keys after the query.
    distances > 0 → distances < 0
Distance 0 is in the lower half: only keys after the query are in the upper one.
    distances > 0 → distances >= 0
In a decoder a later key counts as distance 0: you counted those before the query so.
    np.maximum(-distances, 0) → np.maximum(distances, 0)
The far distances share buckets, by their logarithm: yours all land in the last.
    np.minimum(shared, n - 1) → n - 1
The near ones have a bucket each: the logarithm begins at near.
    np.where(d < e, d, np.minimum(shared, n - 1)) → np.minimum(shared, n - 1)
Beyond the farthest there is no bucket: all of them are in the side's last, n - 1.
    np.minimum(shared, n - 1) → shared
The logarithm runs from near to the farthest: divide by ln(farthest / near).
    / np.log(farthest / e) → / np.log(farthest)
The floor is the next whole number below: yours is the nearest.
    np.floor(( → np.round((
Of a side's buckets the first half has one distance each; you took half of all buckets.
    e = n // 2 → e = len(bias) // 2
The bias is added to the score, not multiplied with it.
    keys @ q + → keys @ q *
The bias is missing: then the keys may stand in any order.
    + bias[bucket] → + 0 * bias[bucket]
You give the buckets: look up the bias of each, and add it to q · key.
    keys @ q + bias[bucket] → bucket
""")


def clipped_inputs(generator, case):
    """Those of 7.5 with a farthest distance of a few places, and a bias for each distance up to it."""
    q, keys, distances, _, _, both_ways = distances_inputs(generator, case)
    farthest = 2 + case % 5
    n = 2 * farthest + 1 if both_ways else farthest + 1
    return q + 0.5 * (case >= 2), keys, distances, np.arange(n)[::-1] / 2 - 1, farthest, both_ways


@biased_scores.variant("a bias for each distance, up to a border", inputs=clipped_inputs, dots=2)
def clipped_scores(
    q: np.ndarray, keys: np.ndarray, distances: np.ndarray, bias: np.ndarray, farthest: int, both_ways: bool
) -> np.ndarray:
    """Return the scores of N keys for one query, (N,): q · key / √D + the bias of its distance.

    q, keys and distances are those of 7.5. A distance below -farthest counts as -farthest; one above
    `farthest` counts as `farthest`, and in a decoder (not `both_ways`) one above 0 as 0. bias has a number
    for each distance that is left, the lowest first: 2 farthest + 1 of them in an encoder, farthest + 1 in a
    decoder.
    """
    highest = farthest if both_ways else 0
    return keys @ q / np.sqrt(len(q)) + bias[np.clip(distances, -farthest, highest) + farthest]


clipped_scores.slips("""
That answers the first version: here each distance up to the farthest has a bias of its own.
    → biased_scores
These scores are divided by √D, as usual; T5 leaves that out.
    / np.sqrt(len(q)) →
Divide by √D, not D.
    np.sqrt(len(q)) → len(q)
In a decoder a later key counts as distance 0; yours looks beyond its table.
    farthest if both_ways else 0 → farthest
An encoder has a bias for later keys, too.
    farthest if both_ways else 0 → 0
The lowest distance, -farthest, has the first bias: add the farthest to find its place.
    highest) + farthest] → highest)]
The distance has a sign: before and behind differ.
    np.clip(distances, -farthest, highest) → np.clip(np.abs(distances), -farthest, highest)
A distance is the key's place minus the query's: you turned it round.
    np.clip(distances, → np.clip(-distances,
The bias is missing: then the keys may stand in any order.
    + bias[np.clip(distances, -farthest, highest) + farthest] →
The bias is added after the division: only the product is divided by √D.
    keys @ q / np.sqrt(len(q)) + bias[np.clip(distances, -farthest, highest) + farthest]
    → (keys @ q + bias[np.clip(distances, -farthest, highest) + farthest]) / np.sqrt(len(q))
""")


def sizes_inputs(generator, case):
    """All sizes differ and begin small; the feed-forward layer is not always four times as wide."""
    source, target = 2 + case, 5 + 2 * case + case % 2
    layers, d_model = 1 + (case + 1) // 2, 4 * (2 + case % 5)
    return source, target, layers, d_model, d_model * (2 + case % 4)


@exercise("7.6", "what an encoder-decoder costs", dots=2, minutes=6, inputs=sizes_inputs)
def flops_of_weights(source: int, target: int, layers: int, d_model: int, d_ff: int) -> int:
    """Return the operations of one forward pass in the weights of all layers: 2 a weight that a token passes.

    A source of `source` tokens is read by `layers` encoder layers, a target of `target` tokens by as many
    decoder layers. Attention has four matrices, d_model x d_model, for queries, keys, values and output; a
    feed-forward layer two, d_model x d_ff. A decoder layer has a second attention, whose keys and values are
    made of the encoder's output. Embeddings, norms, biases and the products of queries and keys are left out.
    """
    square, feed_forward = d_model * d_model, 2 * d_model * d_ff
    read = 4 * square + feed_forward + 2 * square
    written = 4 * square + 2 * square + feed_forward
    return 2 * layers * (source * read + target * written)


flops_of_weights.slips("""
Each token passes its own stack: the source the encoder, the target the decoder. In yours all tokens pass all
weights, as they would in a decoder with as many weights.
    source * read + target * written → (source + target) * (read + written)
The target's tokens never pass the encoder.
    target * written → target * (read + written)
Of the decoder's weights the source's tokens pass only those of its cross-attention's keys and values.
    source * read → source * (read + written - 2 * square)
Cross-attention is missing: a decoder's layer has four matrices more.
    4 * square + feed_forward + 2 * square → 4 * square + feed_forward
    4 * square + 2 * square + feed_forward → 4 * square + feed_forward
Cross-attention's keys and values are missing: they are made of every token of the source, in each layer.
    4 * square + feed_forward + 2 * square → 4 * square + feed_forward
Cross-attention's keys and values are made of the source: its tokens pass them, not the target's.
    4 * square + feed_forward + 2 * square → 4 * square + feed_forward
    4 * square + 2 * square + feed_forward → 8 * square + feed_forward
Cross-attention's queries and output are missing: they are made for every token of the target.
    4 * square + 2 * square + feed_forward → 4 * square + feed_forward
A weight is a multiplication and an addition: 2 operations, not 1.
    2 * layers * ( → layers * (
That is training, which goes back as well: 6 operations a weight. One forward pass has 2.
    2 * layers * ( → 6 * layers * (
That is one layer; there are several, in both stacks.
    2 * layers * ( → 2 * (
A feed-forward layer has two matrices: one up, one down.
    2 * d_model * d_ff → d_model * d_ff
The feed-forward layer's width is d_ff; it need not be 4 d_model.
    2 * d_model * d_ff → 8 * d_model * d_model
Attention has four matrices: the output has one, besides queries, keys and values.
    4 * square + feed_forward + 2 * square → 3 * square + feed_forward + 2 * square
    4 * square + 2 * square + feed_forward → 3 * square + square + feed_forward
The lengths are added, not multiplied: a weight costs the same for each token.
    source * read + target * written → source * target * (read + written)
That is how many weights there are: each costs 2 operations for every token that passes it.
    2 * layers * (source * read + target * written) → layers * (read + written)
""")


@flops_of_weights.variant("writing without a cache")
def flops_without_cache(source: int, target: int, layers: int, d_model: int, d_ff: int) -> int:
    """Return the operations in which a target is written token by token by a decoder that keeps nothing.

    All as in 7.6, also that the source is read once, and with it the keys and values of cross-attention made.
    But for token t, from 1 to `target`, the decoder reads all t tokens anew: the start, and those written.
    """
    square, feed_forward = d_model * d_model, 2 * d_model * d_ff
    read = 4 * square + feed_forward + 2 * square
    written = 4 * square + 2 * square + feed_forward
    return 2 * layers * (source * read + target * (target + 1) // 2 * written)


flops_without_cache.slips("""
That answers the first version: each token of the target is read once there, as in training or with a cache.
    → flops_of_weights
Token t costs t tokens of reading: 1 + 2 + ... + target, about half of target².
    target * (target + 1) // 2 → target * target
The start is read as well: for token t the decoder reads t tokens, not t - 1.
    target * (target + 1) // 2 → target * (target - 1) // 2
The source is read once, not for every token that is written.
    source * read → source * target * read
Cross-attention's keys and values are missing: they are made of every token of the source, in each layer.
    4 * square + feed_forward + 2 * square → 4 * square + feed_forward
Cross-attention's queries and output are missing: they are made for every token that the decoder reads.
    4 * square + 2 * square + feed_forward → 4 * square + feed_forward
You read two tokens for each that is written: without a cache all that stands there is read again each time.
    target * (target + 1) // 2 → target * 2
A weight is a multiplication and an addition: 2 operations, not 1.
    2 * layers * ( → layers * (
That is one layer; there are several, in both stacks.
    2 * layers * ( → 2 * (
""")
