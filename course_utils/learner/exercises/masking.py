"""The exercises of chapter 6 on masking, in NumPy: what is hidden, what is asked, and what it costs."""

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded

IGNORED = -100
SPECIAL = [0, 1, 2, 3]  # padding, [CLS], [SEP], [MASK]


def selection_inputs(generator, case):
    """Rows of [CLS], tokens, [SEP] and padding; a draw is seldom near the rate, once exactly the rate."""
    rows, tokens = 2 + case // 15, 5 + case % 4
    ids = generator.integers(4, 9, size=(rows, tokens + 3))
    ids[:, 0], ids[:, -2], ids[0, -1], ids[1:, -1] = 1, 2, 0, 2
    ids[1:, -2] = generator.integers(4, 9, size=rows - 1)
    draws = np.round(generator.random(ids.shape), 2)
    rate = [0.5, 0.3, 0.15][case % 3]
    if case % 2:
        draws[0, 1] = rate
    return ids, draws, rate, SPECIAL


@exercise("6.2", "which tokens are asked", dots=1, minutes=6, inputs=selection_inputs)
def choose(ids: np.ndarray, draws: np.ndarray, rate: float, special: list[int]) -> np.ndarray:
    """Return the labels (B, T): the token where one is asked, -100 elsewhere.

    draws (B, T) are drawn uniformly between 0 and 1. A token is asked if its own draw is below `rate` and it
    is none of the special ids, such as padding and [CLS].
    """
    chosen = (draws < rate) & ~np.isin(ids, special)
    return np.where(chosen, ids, -100)


choose.slips("""
You ask for special tokens too, from which there is nothing to learn: leave out the ids of `special`.
    & ~np.isin(ids, special) →
You ask for padding too: leave out all ids of `special`, the first one as well.
    np.isin(ids, special) → np.isin(ids, special[1:])
You ask for [CLS] and [SEP] too: padding is not the only special id.
    np.isin(ids, special) → (ids == special[0])
A token is chosen if its draw is below the rate; you chose the others, 85 of 100 in BERT.
    draws < rate → draws >= rate
A draw that equals the rate is not below it.
    draws < rate → draws <= rate
Where nothing is asked the label is -100; 0 is a token.
    -100) → 0)
You gave every token a label: then the loss is taken everywhere.
    np.where(chosen, ids, -100) → ids
Labels are the tokens that stood there, not 1 or 0.
    np.where(chosen, ids, -100) → chosen.astype(int)
Each text has draws of its own; you used those of the first for all.
    draws < rate → draws[:1] < rate
It is the chosen that have labels; yours are at all other places.
    np.where(chosen, → np.where(~chosen,
""")


GOES_ON = 100  # ids from here on are pieces that go on with a word


def whole_word_inputs(generator, case):
    """Those of 6.2 for two epochs or three, in which about half of the tokens go on with the word before."""
    ids, draws, rate, special = selection_inputs(generator, case)
    goes_on = (generator.random(ids.shape) < 0.5) & ~np.isin(ids, special)
    goes_on[:, 1], goes_on[0, 2:4] = False, True
    later = np.round(generator.random((1 + case % 2, *ids.shape)), 2)
    return ids + GOES_ON * goes_on, np.concatenate([draws[None], later]), rate, special


@choose.variant("which words are asked in each epoch", inputs=whole_word_inputs)
def choose_words(ids: np.ndarray, draws: np.ndarray, rate: float, special: list[int]) -> np.ndarray:
    """Return the labels (epochs, B, T) if whole words are asked, drawn anew for each epoch.

    A label is the token where one is asked, -100 elsewhere. A token whose id is 100 or more goes on with the
    word before it. A word is asked in an epoch, with all its pieces, if the draw of its first piece is below
    `rate` there; special ids never are. ids (B, T) are the same in all epochs; draws are (epochs, B, T).
    """
    places = np.where(ids >= 100, 0, np.arange(ids.shape[1]))
    first = np.maximum.accumulate(places, axis=1)
    chosen = (np.take_along_axis(draws, first[None], axis=2) < rate) & ~np.isin(ids, special)
    return np.where(chosen, ids, -100)


choose_words.slips("""
That answers the first version: each piece has a draw of its own; here a word has one.
    → choose
You drew one mask for all epochs: a text that is read again asks nothing new. Each epoch has draws of its own.
    (draws, first → (draws[:1].repeat(len(draws), axis=0), first
Those are the labels of one epoch alone.
    np.where(chosen, ids, -100) → np.where(chosen, ids, -100)[0]
You ask for special tokens too, from which there is nothing to learn: leave out the ids of `special`.
    & ~np.isin(ids, special) →
You ask for first pieces alone: a word is asked with all its pieces.
    ~np.isin(ids, special) → ~np.isin(ids, special) & (ids < 100)
A word is chosen if its draw is below the rate; you chose the others.
    axis=2) < rate → axis=2) >= rate
A draw that equals the rate is not below it.
    axis=2) < rate → axis=2) <= rate
Where nothing is asked the label is -100; 0 is a token.
    -100) → 0)
You gave every token a label: then the loss is taken everywhere.
    np.where(chosen, ids, -100) → np.broadcast_to(ids, draws.shape)
Each text has words of its own; you used those of the first for all.
    np.maximum.accumulate(places, axis=1) → np.maximum.accumulate(places[:1].repeat(len(ids), 0), axis=1)
A third piece belongs to the first, not to the second: go back until a piece begins the word.
    np.maximum.accumulate(places, axis=1) → np.arange(ids.shape[1]) - (ids >= 100)
""")


MASK_ID = 3


def corruption_inputs(generator, case):
    """Half of the tokens are chosen; what is to be done with each is drawn, once or twice at a border."""
    rows, tokens = 2 + case // 15, 8 + case % 4
    ids = generator.integers(4, 30, size=(rows, tokens))
    chosen = generator.random(ids.shape) < 0.6
    chosen[0, :3] = True
    action = np.round(generator.random(ids.shape), 2)
    action[0, :3] = [[0.8, 0.9, 0.85], [0.3, 0.95, 0.82], [0.84, 0.5, 0.4]][case % 3]
    others = generator.integers(30, 60, size=ids.shape)
    return ids, chosen, action, others, MASK_ID


@exercise("6.3", "80, 10, 10", dots=2, minutes=7, inputs=corruption_inputs)
def corrupt(
    ids: np.ndarray, chosen: np.ndarray, action: np.ndarray, others: np.ndarray, mask_id: int
) -> np.ndarray:
    """Return what the model reads, (B, T): of the chosen 80 % masked, 10 % exchanged, 10 % as they are.

    action (B, T) are drawn uniformly between 0 and 1: below 0.8 a chosen token becomes mask_id, from 0.8 to
    below 0.9 it becomes the token of `others` (B, T), from 0.9 on it stays. All else stays as well.
    """
    read = np.where(chosen & (action < 0.8), mask_id, ids)
    return np.where(chosen & (action >= 0.8) & (action < 0.9), others, read)


corrupt.slips("""
You mask and exchange among all tokens: only the chosen ones are masked or exchanged.
    chosen & (action < 0.8) → action < 0.8
    chosen & (action >= 0.8) & → (action >= 0.8) &
You exchange among all tokens: only chosen ones are exchanged.
    chosen & (action >= 0.8) & → (action >= 0.8) &
In yours all that is chosen becomes [MASK]: then the model need never doubt what it reads.
    chosen & (action < 0.8) → chosen
    chosen & (action >= 0.8) & (action < 0.9) → chosen & (action > 1)
The last tenth stays as it is; you exchange that too.
    & (action < 0.9) →
You exchange none: what is not masked stays, so what the model reads is always right.
    chosen & (action >= 0.8) & (action < 0.9) → chosen & (action > 1)
A tenth of all chosen is exchanged; you took a tenth of what the 80 % left, which is 2 in 100.
    (action < 0.9) → (action < 0.82)
You have masked and exchanged the wrong way round: 80 of 100 are to become [MASK].
    mask_id, ids) → others, ids)
    others, read) → mask_id, read)
You exchange the last tenth and keep the one before it: from 0.8 to below 0.9 a token is exchanged.
    (action >= 0.8) & (action < 0.9) → (action >= 0.9)
A number of 0.8 is not below 0.8.
    (action < 0.8) → (action <= 0.8)
    (action >= 0.8) → (action > 0.8)
A number of 0.9 is not below 0.9.
    (action < 0.9) → (action <= 0.9)
Each text has numbers of its own; you used those of the first for all.
    chosen & (action < 0.8) → chosen & (action[:1] < 0.8)
    chosen & (action >= 0.8) & (action < 0.9) → chosen & (action[:1] >= 0.8) & (action[:1] < 0.9)
""")


@corrupt.variant("other shares, in another order")
def corrupt_less(
    ids: np.ndarray, chosen: np.ndarray, action: np.ndarray, others: np.ndarray, mask_id: int
) -> np.ndarray:
    """Return what the model reads, (B, T): of the chosen 30 % exchanged, 20 % as they are, 50 % masked.

    action (B, T) are drawn uniformly between 0 and 1: below 0.3 a chosen token becomes the token of `others`
    (B, T), from 0.3 to below 0.5 it stays, from 0.5 on it becomes mask_id. All else stays as well.
    """
    read = np.where(chosen & (action >= 0.5), mask_id, ids)
    return np.where(chosen & (action < 0.3), others, read)


corrupt_less.slips("""
That answers the first version: the shares are others here, and masks come last.
    → corrupt
You mask and exchange among all tokens: only the chosen ones are masked or exchanged.
    chosen & (action >= 0.5) → action >= 0.5
    chosen & (action < 0.3) → action < 0.3
You exchange among all tokens: only chosen ones are exchanged.
    chosen & (action < 0.3) → action < 0.3
What stays is exchanged in yours: from 0.3 to below 0.5 a token is left alone.
    (action < 0.3) → (action < 0.5)
What stays is masked in yours: from 0.3 to below 0.5 a token is left alone.
    (action >= 0.5) → (action >= 0.3)
You exchange none: what is not masked stays, so what the model reads is always right.
    chosen & (action < 0.3) → chosen & (action < -1)
You have masked and exchanged the wrong way round.
    mask_id, ids) → others, ids)
    others, read) → mask_id, read)
Each text has numbers of its own; you used those of the first for all.
    chosen & (action >= 0.5) → chosen & (action[:1] >= 0.5)
    chosen & (action < 0.3) → chosen & (action[:1] < 0.3)
A number of 0.5 is not below 0.5, and one of 0.3 is not below 0.3.
    action >= 0.5 → action > 0.5
    action < 0.3 → action <= 0.3
""")


def masked_loss_inputs(generator, case):
    """Two rows or more with labels at some places, -100 elsewhere; a logit may be 1,000."""
    rows, time, vocabulary = 2 + case // 10, 4 + case % 3, 5 + case % 2
    labels = generator.integers(0, vocabulary, size=(rows, time))
    labels[generator.random(labels.shape) < 0.6] = IGNORED
    labels[0, 0], labels[1, 1:] = 2, IGNORED
    labels[1, 0] = 3
    labels[0, 1:3] = [1, IGNORED]
    logits = rounded(generator, rows, time, vocabulary)
    if case % 3 == 2:
        logits[0, 0, 2 + case % 2] = 1000.0  # of the token that is asked, or of another
    return logits, labels


@exercise("6.4", "the loss at the masked places", dots=2, minutes=8, inputs=masked_loss_inputs)
def masked_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean nats of the tokens that are asked: labels (B, T) holds them, and -100 elsewhere.

    logits (B, T, V) speak of the token at the same place: nothing is shifted.
    """
    asked = labels != -100
    logits, labels = logits[asked], labels[asked]
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return float(-log_p[np.arange(len(labels)), labels].mean())


def over_all_places(logits, labels):
    return masked_loss(logits, labels) * (labels != IGNORED).mean()


def row_by_row(logits, labels):
    return float(np.mean([masked_loss(logits[i : i + 1], labels[i : i + 1]) for i in range(len(labels))]))


def shifted_by_one(logits, labels):
    return masked_loss(logits[:, :-1], np.where(labels[:, 1:] < 0, IGNORED, labels[:, 1:]))


masked_loss.slips("""
Tokens that are not asked have no loss, and don't count in the number either.
    → over_all_places
You take the loss at all places; -100 then picks a token, counted from the end.
    asked = labels != -100 → asked, labels = labels > -200, labels % logits.shape[2]
Every token that is asked counts the same; in a mean of the rows' means it counts for more where its row has
few of them.
    → row_by_row
Nothing is shifted: BERT speaks of the place that it stands at.
    → shifted_by_one
That is the sum over all that is asked; the loss is their mean.
    .mean() → .sum()
These are bits: the loss is in nats.
    .mean() → .mean() / np.log(2)
The minus is missing: a loss is never below 0.
    float(-log_p → float(log_p
np.exp(1000) is infinite: subtract the max.
    shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    → np.log(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))
exp(-1000) is 0 as a float, and its log infinite: subtract the log of the sum, don't divide and take the log.
    shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    → np.log(np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True))
The softmax runs over the vocabulary, the last axis.
    logits.max(axis=-1 → logits.max(axis=0
    np.exp(shifted).sum(axis=-1 → np.exp(shifted).sum(axis=0
Token 0 is a token like others: only -100 is left out.
    labels != -100 → labels > 0
""")


@masked_loss.variant("how many it found")
def share_found(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of the tokens asked that have the largest logit at their place.

    logits (B, T, V); labels (B, T) holds the token where one is asked, and -100 elsewhere.
    """
    asked = labels != -100
    return float((logits.argmax(axis=-1) == labels)[asked].mean())


def found_of_all(logits, labels):
    return share_found(logits, labels) * (labels != IGNORED).mean()


def found_row_by_row(logits, labels):
    return float(np.mean([share_found(logits[i : i + 1], labels[i : i + 1]) for i in range(len(labels))]))


def found_shifted(logits, labels):
    asked = labels[:, 1:] != IGNORED
    return float((logits[:, :-1].argmax(axis=-1) == labels[:, 1:])[asked].mean())


share_found.slips("""
That answers the first version: a loss in nats; here the share that is right is asked for.
    → masked_loss
Tokens that are not asked don't count: divide by how many are.
    → found_of_all
Every token that is asked counts the same; in a mean of the rows' means it counts for more where its row has
few of them.
    → found_row_by_row
Nothing is shifted: BERT speaks of the place that it stands at.
    → found_shifted
That is how many were found; the share is asked for.
    .mean() → .sum()
That is the share that was not found.
    == labels)[asked] → != labels)[asked]
The likeliest is the largest logit.
    argmax → argmin
Token 0 is a token like others: only -100 is left out.
    labels != -100 → labels > 0
""")
