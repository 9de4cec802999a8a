"""The exercises of chapter 12 on batches: packed with documents, read in parts, shared by ranks; in NumPy."""

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded


def packed_inputs(generator, case):
    """Rows with borders of their own, some without one, and some with documents of a token or of none."""
    end = [0, 3][case % 2]
    ids = generator.integers(1, 10, size=(1 + case % 3, 4 + case % 6))
    ids[generator.random(ids.shape) < 0.25] = end
    return ids, end


@exercise("12.3", "rows packed with documents", dots=2, minutes=16, inputs=packed_inputs)
def packed_rows(ids: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return targets, places and mask of rows that are full of documents: ids is (rows, T + 1).

    The inputs are all ids of a row but the last. A document's last token is `end`; behind it, and at the
    start of a row, another begins, or what the cut left of one.

    targets (rows, T): the token after each input. But what comes after `end` is another document's, and
    nothing in this one could tell it: there stands -100, which the loss leaves out.
    places (rows, T): 0, 1, 2, ... within each document.
    mask (rows, T, T): True where a query, a row of the T x T, may see a key: itself, and what stands before
    it in its document.
    """
    inputs = ids[:, :-1]
    targets = np.where(inputs == end, -100, ids[:, 1:])
    places, documents = np.zeros_like(inputs), np.zeros_like(inputs)
    for t in range(1, inputs.shape[1]):
        begins = inputs[:, t - 1] == end
        places[:, t] = np.where(begins, 0, places[:, t - 1] + 1)
        documents[:, t] = documents[:, t - 1] + begins
    same = documents[:, :, None] == documents[:, None, :]
    return targets, places, same & np.tri(inputs.shape[1], dtype=bool)


packed_rows.slips("""
A target across a border is left in: what comes after `end` is another document's first token, and nothing in
this one could tell it.
    np.where(inputs == end, -100, ids[:, 1:]) → ids[:, 1:]
You left out where `end` is to be predicted: so it is never learnt where a text ends. Leave out what comes
after it.
    np.where(inputs == end → np.where(ids[:, 1:] == end
The model is to learn where `end` comes, the document's last token: leave out only what comes after it.
    np.where(inputs == end → np.where((inputs == end) | (ids[:, 1:] == end)
The targets are the inputs themselves: the token after each is to be predicted.
    np.where(inputs == end, -100, ids[:, 1:]) → np.where(inputs == end, -100, inputs)
What has no target gets -100; 0 is a token, and would be learnt.
    np.where(inputs == end, -100 → np.where(inputs == end, 0
Places count on through the row: each document begins at 0 again.
    np.where(begins, 0, places[:, t - 1] + 1) → places[:, t - 1] + 1
Places count from 0, not from 1.
    return targets, places → return targets, places + 1
Your documents see each other: at a border the view to the left ends.
    same & np.tri → np.ones_like(same) & np.tri
From the second border on your documents see each other: a document's number goes up at every border.
    documents[:, t - 1] + begins → np.maximum(documents[:, t - 1], begins)
`end` belongs to the document that it ends: the next one begins behind it.
    inputs[:, t - 1] == end → inputs[:, t] == end
Each row has its own borders: you took those of the first.
    inputs[:, t - 1] == end → inputs[:1, t - 1] == end
A token sees those after it in its document, and with them the answer.
    same & np.tri(inputs.shape[1], dtype=bool) → same
A token sees itself as well: without it a document's first token sees nothing.
    np.tri(inputs.shape[1], dtype=bool) → np.tri(inputs.shape[1], k=-1, dtype=bool)
Query and key are swapped: the row is the one that looks, and it looks back.
    np.tri(inputs.shape[1], dtype=bool) → np.tri(inputs.shape[1], dtype=bool).T
True means "may see"; yours is the other way round.
    same & np.tri(inputs.shape[1], dtype=bool) → ~(same & np.tri(inputs.shape[1], dtype=bool))
""")


@packed_rows.variant("as a kernel wants it")
def document_starts(ids: np.ndarray, end: int) -> list[int]:
    """Lay the inputs of 12.3 behind each other, row after row, and return where each document begins there,
    counted from 0, and last how many inputs there are.

    So attention kernels for packed rows are told the borders, in place of a mask. A row begins a document, as
    in 12.3.
    """
    inputs = ids[:, :-1]
    begins = np.ones_like(inputs, dtype=bool)
    begins[:, 1:] = inputs[:, :-1] == end
    return [*np.flatnonzero(begins).tolist(), inputs.size]


document_starts.slips("""
That answers the first version: it gives targets, places and mask; here the borders are asked for.
    → packed_rows
Each row begins a document: the row before it is not seen.
    np.ones_like(inputs, dtype=bool) → np.zeros_like(inputs, dtype=bool)
The number of all inputs is missing at the end: it is where the last document ends.
    , inputs.size] → ]
`end` belongs to the document that it ends: the next one begins behind it.
    inputs[:, :-1] == end → inputs[:, 1:] == end
The last id of each row is no input, only a target.
    inputs = ids[:, :-1] → inputs = ids
Those are the documents' lengths; where each begins is asked for.
    return [*np.flatnonzero(begins).tolist(), inputs.size]
    → return np.diff([*np.flatnonzero(begins), inputs.size]).tolist()
You count in each row anew: the rows lie behind each other.
    np.flatnonzero(begins).tolist() → np.nonzero(begins)[1].tolist()
""")


def micro_batches_inputs(generator, case):
    """From one micro-batch on; the numbers of tokens differ; every third time nothing is to be clipped."""
    width = 2 + case % 2
    micro_batches = []
    for i in range(1 + case % 4):
        x = rounded(generator, 1 + (case + 2 * i) % 5, width)
        micro_batches.append((x, generator.integers(0, 2, size=len(x)).astype(float)))
    return (
        rounded(generator, width),
        micro_batches,
        [0.5, 1.5, 4.0][case // 4 % 3],
        [0.1, 0.25, 50.0][case % 3],
    )


@exercise(
    "12.4", "gradient accumulation equal to a large batch", dots=2, minutes=13, inputs=micro_batches_inputs
)
def accumulated_step(
    w: np.ndarray, micro_batches: list[tuple[np.ndarray, np.ndarray]], rate: float, max_norm: float
) -> np.ndarray:
    """Return the weights after one step, as if all micro-batches were one batch.

    The model says whether a token ends its word: of a token with the features x it says so with probability
    p = 1 / (1 + exp(-x w)). A micro-batch is (x, y): features (tokens, width), and y (tokens,), 1 where it is
    so and 0 elsewhere. The gradient of the loss, **summed** over those tokens, is x.T @ (p - y).

    The loss is the mean over all tokens of all micro-batches. If its gradient is longer than max_norm
    (`np.linalg.norm`), it is scaled to that length. Then w moves against it by `rate` times the gradient.
    """
    gradient, tokens = np.zeros_like(w), 0
    for x, y in micro_batches:
        p = 1 / (1 + np.exp(-(x @ w)))
        gradient += x.T @ (p - y)
        tokens += len(y)
    gradient /= tokens
    norm = np.linalg.norm(gradient)
    if norm > max_norm:
        gradient *= max_norm / norm
    return w - rate * gradient


def a_step_each(w, micro_batches, rate, max_norm):
    for micro_batch in micro_batches:
        w = accumulated_step(w, [micro_batch], rate, max_norm)
    return w


def a_small_step_each(w, micro_batches, rate, max_norm):
    return a_step_each(w, micro_batches, rate / len(micro_batches), max_norm)


def clipped_each(w, micro_batches, rate, max_norm):
    steps = [accumulated_step(w, [micro_batch], rate, max_norm) - w for micro_batch in micro_batches]
    tokens = [len(y) for _, y in micro_batches]
    return w + np.average(steps, axis=0, weights=tokens)


def clipped_on_the_way(w, micro_batches, rate, max_norm):
    gradient, tokens = np.zeros_like(w), sum(len(y) for _, y in micro_batches)
    for x, y in micro_batches:
        gradient += x.T @ (1 / (1 + np.exp(-(x @ w))) - y) / tokens
        gradient *= min(1, max_norm / np.linalg.norm(gradient))
    return w - rate * gradient


accumulated_step.slips("""
You averaged the micro-batches' means: so a token counts for more where its micro-batch has few. Divide the
sum over all tokens by their number.
    x.T @ (p - y) → x.T @ (p - y) / len(y)
    tokens += len(y) → tokens += 1
You step in each micro-batch: the later ones see other weights, and it is no longer one batch. Step once.
    → a_step_each
Small steps, one in each micro-batch, are not one step: the later ones see other weights, and each is clipped
by itself.
    → a_small_step_each
Only the last micro-batch's gradient is left: add, don't replace.
    gradient += x.T → gradient = x.T
That is a step of the last micro-batch alone: what came before was set to zero in the loop.
    gradient += x.T → gradient = x.T
    tokens += len(y) → tokens = len(y)
That is a step of the first micro-batch alone.
    tokens += len(y) → tokens += len(y); break
The sum over all tokens was never divided: so the more micro-batches, the larger the step.
    gradient /= tokens → tokens
You added the means of the micro-batches: with k of them the gradient is k times too long.
    x.T @ (p - y) → x.T @ (p - y) / len(y)
    gradient /= tokens → tokens
Divide by the number of tokens, not of micro-batches.
    tokens += len(y) → tokens += 1
Each micro-batch is clipped by itself; clip once, when all are added: only then is it the batch's gradient.
    → clipped_each
You clip after each micro-batch what has been added so far; clip once, at the end.
    → clipped_on_the_way
You clip the sum; what is to be at most max_norm long is the mean over the tokens: divide first.
    gradient /= tokens → tokens
    w - rate * gradient → w - rate * gradient / tokens
Nothing is clipped.
    gradient *= max_norm / norm → pass
A gradient shorter than max_norm stays as it is; yours is drawn out to that length.
    if norm > max_norm → if norm > 0
You cut each number by itself, which turns the gradient; its length is to be max_norm, its direction stays.
    gradient *= max_norm / norm → gradient = np.clip(gradient, -max_norm, max_norm)
Step against the gradient: it points to where the loss grows.
    w - rate → w + rate
That is the gradient; the weights after the step are asked for.
    return w - rate * gradient → return gradient
""")


def padded_inputs(generator, case):
    """As in 12.4; at the end of most micro-batches stands padding, and before it a token or more."""
    w, micro_batches, rate, max_norm = micro_batches_inputs(generator, case)
    for i, (_, y) in enumerate(micro_batches):
        y[len(y) - (case + i + 1) % min(len(y), 3) :] = -100
    return w, micro_batches, rate, max_norm


@accumulated_step.variant("padding doesn't count", inputs=padded_inputs)
def padded_step(
    w: np.ndarray, micro_batches: list[tuple[np.ndarray, np.ndarray]], rate: float, max_norm: float
) -> np.ndarray:
    """As in 12.4, return the weights after one step, as if all micro-batches were one batch.

    But some tokens are padding: where y is -100, a token has no loss, and is not counted in the mean either.
    """
    gradient, tokens = np.zeros_like(w), 0
    for x, y in micro_batches:
        x, y = x[y != -100], y[y != -100]
        gradient += x.T @ (1 / (1 + np.exp(-(x @ w))) - y)
        tokens += len(y)
    gradient /= tokens
    norm = np.linalg.norm(gradient)
    if norm > max_norm:
        gradient *= max_norm / norm
    return w - rate * gradient


def padding_is_counted(w, micro_batches, rate, max_norm):
    everything = sum(len(y) for _, y in micro_batches)
    gradient = np.zeros_like(w)
    for x, y in micro_batches:
        x, y = x[y != -100], y[y != -100]
        gradient += x.T @ (1 / (1 + np.exp(-(x @ w))) - y) / everything
    return w - rate * gradient * min(1, max_norm / np.linalg.norm(gradient))


padded_step.slips("""
That answers the first version: there no token is padding; here -100 was taken for what is to be learnt.
    → accumulated_step
The padding's loss is left out, but it is counted in the mean: divide by the number of tokens that have one.
    → padding_is_counted
You averaged the micro-batches' means: so a token counts for more where its micro-batch has few.
    - y) → - y) / len(y)
    tokens += len(y) → tokens += 1
Only the last micro-batch's gradient is left: add, don't replace.
    gradient += x.T → gradient = x.T
The sum over all tokens was never divided: so the more micro-batches, the larger the step.
    gradient /= tokens → tokens
Nothing is clipped.
    gradient *= max_norm / norm → pass
Step against the gradient: it points to where the loss grows.
    w - rate → w + rate
""")


def ranks_inputs(generator, case):
    """The ranks seldom share the rows evenly, and each has two or more."""
    ranks = 2 + case % 3
    rows = ranks * (2 + case // 3 % 4) + case // 2 % ranks
    return rows, int(generator.integers(0, 5)), case % 4, int(generator.integers(ranks)), ranks


@exercise("12.5", "which rows a rank reads", dots=2, minutes=8, inputs=ranks_inputs)
def rows_of_rank(rows: int, seed: int, epoch: int, rank: int, ranks: int) -> list[int]:
    """Return the numbers of the rows that one of several processes reads in an epoch, in its order.

    One process would read all rows, numbered from 0, in the order
    `np.random.default_rng([seed, epoch]).permutation(rows)`. Of `ranks` processes each takes every `ranks`-th
    of that order, the first of them, rank 0, from the first on. So at any time they have read together what
    the one would have read; nothing is left out, and nothing is read twice.
    """
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    return order[rank::ranks].tolist()


def own_share_shuffled(rows, seed, epoch, rank, ranks):
    share = np.arange(rows)[rank::ranks]
    return np.random.default_rng([seed, epoch]).permutation(share).tolist()


def own_block_shuffled(rows, seed, epoch, rank, ranks):
    block = np.array_split(np.arange(rows), ranks)[rank]
    return np.random.default_rng([seed, epoch]).permutation(block).tolist()


rows_of_rank.slips("""
Each rank reads everything: with n ranks every row is read n times in an epoch.
    order[rank::ranks] → order
All ranks read the same rows: begin at the rank's own.
    order[rank::ranks] → order[::ranks]
You begin at the rank's row, but leave none to the others: take every `ranks`-th.
    order[rank::ranks] → order[rank:]
Ranks count from 0, not from 1.
    order[rank::ranks] → order[rank - 1 :: ranks]
Each rank draws an order of its own: some rows are read by several ranks, others by none. One order for all.
    [seed, epoch] → [seed, epoch, rank]
A seed for each rank gives each its own order: some rows are read by several ranks, others by none. (And it is
the next run's seed as well.)
    [seed, epoch] → [seed + rank, epoch]
Each epoch has the same order: the epoch belongs to the seed.
    [seed, epoch] → seed
With seed + epoch the first epoch of seed 1 is the second one of seed 0: give both, [seed, epoch].
    [seed, epoch] → seed + epoch
A block for each rank: nothing is lost, but together they don't read what one process would read next.
    order[rank::ranks] → np.array_split(order, ranks)[rank]
The last rows are dropped where the ranks don't share evenly: in each epoch some are never read.
    order[rank::ranks] → order[: rows // ranks * ranks][rank::ranks]
Where the ranks don't share evenly you fill up with the first rows: those are read twice.
    order[rank::ranks] → np.resize(order, -(-rows // ranks) * ranks)[rank::ranks]
Nothing is shuffled.
    order[rank::ranks] → np.arange(rows)[rank::ranks]
Each rank shuffles its own rows, and has the same ones in every epoch: shuffle all, then share.
    → own_share_shuffled
Each rank shuffles its own block of the data, the same one in every epoch: shuffle all, then share.
    → own_block_shuffled
Return the rows in the order in which they are read; yours are sorted by their numbers.
    order[rank::ranks].tolist() → sorted(order[rank::ranks].tolist())
""")


def readers_inputs(generator, case):
    rows, seed, epoch, _, ranks = ranks_inputs(generator, case)
    return rows, seed, epoch, int(generator.integers(rows)), ranks


@rows_of_rank.variant("who reads a row, and when", inputs=readers_inputs)
def reader_of(rows: int, seed: int, epoch: int, row: int, ranks: int) -> tuple[int, int]:
    """Return which rank reads a row in an epoch, and how many it has read before it. The order, and how ranks
    share it, are those of 12.5.

    That is asked when the loss leaps: which rows were read just then?
    """
    order = np.random.default_rng([seed, epoch]).permutation(rows).tolist()
    place = order.index(row)
    return place % ranks, place // ranks


reader_of.slips("""
That answers the first version: it gives a rank's rows; here the reader of one row is asked for.
    → rows_of_rank
order[row] is the row that is read at that place; asked for is the place at which this row is read.
    order.index(row) → order[row]
Nothing is shuffled in yours.
    order.index(row) → row
A block for each rank: they take turns, so the rank is the remainder.
    place % ranks, place // ranks → place // -(-rows // ranks), place % -(-rows // ranks)
The rank first, then how many it has read before.
    place % ranks, place // ranks → place // ranks, place % ranks
That is how many all ranks together have read before; this one has read one in `ranks` of them.
    place // ranks → place
How many it has read before the row: the row itself does not count.
    place // ranks → place // ranks + 1
Each epoch has the same order: the epoch belongs to the seed.
    [seed, epoch] → seed
""")
