"""The exercises of chapter 10 on LoRA and on tuning with conversations, in NumPy."""

import numpy as np

from course_utils.learner.checks.engine import exercise
from course_utils.learner.exercises.inputs import rounded


def lora_inputs(generator, case):
    """From one token and rank 1 on; the matrix is square at times; alpha is neither the rank nor 1."""
    rank, n_in = 1 + case % 3, 3 + case % 2
    n_out, tokens = n_in + case % 4 // 2, 1 + case % 5
    alpha = float(rank + 1 + case % 4)
    x, A = rounded(generator, tokens, n_in), rounded(generator, rank, n_in)
    return x, rounded(generator, n_out, n_in), A, rounded(generator, n_out, rank), alpha


@exercise("10.1", "a matrix with an adapter beside it", dots=1, minutes=7, inputs=lora_inputs)
def lora_forward(x: np.ndarray, W: np.ndarray, A: np.ndarray, B: np.ndarray, alpha: float) -> np.ndarray:
    """Return what a linear layer with a LoRA adapter makes of the tokens x (T, in): an array (T, out).

    The layer multiplies by W (out, in), without a bias. The adapter adds (alpha / rank) B A to that matrix,
    with A (rank, in) and B (out, rank).
    """
    rank = len(A)
    return x @ W.T + alpha / rank * (x @ A.T @ B.T)


lora_forward.slips("""
The adapter is scaled: multiply by alpha / rank.
    alpha / rank * →
Alpha is in the scale as well: it is alpha / rank, not 1 / rank.
    alpha / rank → 1 / rank
Alpha stands in the scale once; yours is squared.
    alpha / rank → alpha**2 / rank
Divide alpha by the rank: so a larger rank does not mean larger steps.
    alpha / rank → alpha
It is alpha / rank; with the root of the rank it is another method, rsLoRA.
    alpha / rank → alpha / np.sqrt(rank)
The rank is the short side of A and B: the number of rows of A.
    alpha / rank → alpha / A.shape[1]
The scale is upside down: alpha / rank.
    alpha / rank → rank / alpha
The matrix itself is missing: the adapter stands beside it, not in its place.
    x @ W.T + alpha → alpha
The adapter is added to the matrix's output, not taken from it.
    x @ W.T + alpha → x @ W.T - alpha
Only the adapter is scaled; the matrix's own output stays as it is.
    x @ W.T + alpha / rank * (x @ A.T @ B.T) → alpha / rank * (x @ W.T + x @ A.T @ B.T)
The adapter is missing: that is the layer as it was.
    + alpha / rank * (x @ A.T @ B.T) →
The adapter reads x, as the matrix does, not what the matrix made of it.
    (x @ A.T @ B.T) → (x @ W.T @ A.T @ B.T)
""")


@lora_forward.variant("one matrix again")
def merged_forward(x: np.ndarray, W: np.ndarray, A: np.ndarray, B: np.ndarray, alpha: float) -> np.ndarray:
    """Merge the adapter of 10.1 into its matrix, and return that one matrix (out, in).

    x is what it will multiply, as in 10.1; a matrix does not depend on it.
    """
    return W + alpha / len(A) * B @ A


merged_forward.slips("""
That answers the first version: it gives the outputs; here the merged matrix is asked for.
    → lora_forward
The adapter is scaled: multiply by alpha / rank.
    alpha / len(A) * →
Alpha is in the scale as well: it is alpha / rank, not 1 / rank.
    alpha / len(A) → 1 / len(A)
Alpha stands in the scale once; yours is squared.
    alpha / len(A) → alpha**2 / len(A)
Divide alpha by the rank: so a larger rank does not mean larger steps.
    alpha / len(A) → alpha
The rank is the short side of A and B: the number of rows of A.
    alpha / len(A) → alpha / A.shape[1]
The scale is upside down: alpha / rank.
    alpha / len(A) → len(A) / alpha
Merging adds to the matrix; you subtract, as unmerging does.
    W + alpha → W - alpha
The matrix itself is missing: that is ΔW alone.
    W + alpha → alpha
ΔW is B A, first A, then B; A B has the shape of the rank.
    B @ A → A @ B
The adapter is missing: that is the matrix as it was.
    + alpha / len(A) * B @ A →
""")


def start_inputs(generator, case):
    """A matrix, square at times, and normal draws (rank, in) that are never 0."""
    rank, n_in = 1 + case % 3, 3 + case % 4
    draws = rounded(generator, rank, n_in)
    return rounded(generator, n_in + case % 3, n_in), np.where(draws == 0, 0.5, draws)


@exercise("10.2", "an adapter that changes nothing yet", dots=1, minutes=6, inputs=start_inputs)
def fresh_adapter(W: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return A (rank, in) and B (out, rank) of a fresh adapter beside W (out, in).

    Its ΔW is to be zero, so that tuning starts from the model as it is, and yet it has to be able to learn:
    so A is random and B is zero. draws (rank, in) are normal numbers of spread 1; those of A have the spread
    1 / sqrt(in), so that A x is about as large as the numbers of x, however wide it is.
    """
    A = draws / np.sqrt(draws.shape[1])
    return A, np.zeros((len(W), len(draws)))


fresh_adapter.slips("""
Both factors are zero: each multiplies the other's gradient by zero, and neither ever moves.
    A = draws / np.sqrt(draws.shape[1]) → A = np.zeros(draws.shape)
Both factors are random: ΔW isn't zero, and the model is changed before it has learnt anything.
    np.zeros((len(W), len(draws))) → np.resize(draws, (len(W), len(draws)))
B, which is zero, and A, which is random, are the other way round.
    A = draws / np.sqrt(draws.shape[1]) → A = np.zeros(draws.shape)
    np.zeros((len(W), len(draws))) → np.resize(draws / np.sqrt(draws.shape[1]), (len(W), len(draws)))
A x grows with the width: divide the draws by sqrt(in).
    draws / np.sqrt(draws.shape[1]) → draws
Divide by the root of the width: by the width itself A comes out too small.
    np.sqrt(draws.shape[1]) → draws.shape[1]
The width is the number of columns of A, not of its rows.
    np.sqrt(draws.shape[1]) → np.sqrt(len(draws))
A sums over the inputs, so their number counts: the columns of W, not its rows.
    np.sqrt(draws.shape[1]) → np.sqrt(len(W))
B has a row for each output and a column for each rank: B A must have the shape of W.
    np.zeros((len(W), len(draws))) → np.zeros((len(draws), len(W)))
B has as many rows as W has, its outputs.
    np.zeros((len(W), len(draws))) → np.zeros((W.shape[1], len(draws)))
First A, then B.
    return A, np.zeros((len(W), len(draws))) → return np.zeros((len(W), len(draws))), A
""")


def turned_inputs(generator, case):
    """Those of 10.2, turned: W (in, out), draws (in, rank)."""
    W, draws = start_inputs(generator, case)
    return W.T, draws.T


@fresh_adapter.variant("the same for GPT-2's layout", inputs=turned_inputs)
def fresh_adapter_turned(W: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return A (in, rank) and B (rank, out) of a fresh adapter beside W (in, out), which multiplies as x W.

    As in 10.2 A is random with the spread 1 / sqrt(in) and B is zero, but all matrices lie on their sides:
    ΔW is A B. draws (in, rank) are normal numbers of spread 1.
    """
    A = draws / np.sqrt(len(draws))
    return A, np.zeros((draws.shape[1], W.shape[1]))


fresh_adapter_turned.slips("""
That answers the first version: there W is (out, in); here it is (in, out), and so are the others turned.
    → fresh_adapter
Both factors are zero: each multiplies the other's gradient by zero, and neither ever moves.
    A = draws / np.sqrt(len(draws)) → A = np.zeros(draws.shape)
Both factors are random: ΔW isn't zero, and the model is changed before it has learnt anything.
    np.zeros((draws.shape[1], W.shape[1])) → np.resize(draws, (draws.shape[1], W.shape[1]))
A's product grows with the width: divide the draws by sqrt(in).
    draws / np.sqrt(len(draws)) → draws
Divide by the root of the width: by the width itself A comes out too small.
    np.sqrt(len(draws)) → len(draws)
The width is the number of rows of A here, not of its columns.
    np.sqrt(len(draws)) → np.sqrt(draws.shape[1])
B has a row for each rank and a column for each output: A B must have the shape of W.
    np.zeros((draws.shape[1], W.shape[1])) → np.zeros((W.shape[1], draws.shape[1]))
B has as many columns as W has, its outputs.
    np.zeros((draws.shape[1], W.shape[1])) → np.zeros((draws.shape[1], len(W)))
First A, then B.
    return A, np.zeros((draws.shape[1], W.shape[1])) → return np.zeros((draws.shape[1], W.shape[1])), A
""")

ROLES = {"system": 3, "user": 4, "assistant": 5}  # ids of their names


def turns_inputs(generator, case):
    """One question with its answer at first, then several, some after a system message; ids from 6 on."""
    roles = ["system"] * (case % 3 == 2) + ["user", "assistant"] * (1 + case % 4)
    turns = [
        (role, generator.integers(6, 30, size=1 + (case + i) % 3).tolist()) for i, role in enumerate(roles)
    ]
    return turns, dict(ROLES), 1, 2


@exercise("10.3", "what an answer teaches", dots=2, minutes=8, inputs=turns_inputs)
def chat_labels(
    turns: list[tuple[str, list[int]]], roles: dict[str, int], start: int, end: int
) -> tuple[list[int], list[int]]:
    """Lay out a conversation for training; return its ids and, as many, their labels.

    A turn is a role and the ids of what is said. It is laid out as the id `start`, the id of its role (in
    `roles`), its own ids, and the id `end`. The label of a token is its id where the model is to learn it:
    what assistants say, and the end of it, or they would never stop. Elsewhere it is -100, which the loss
    leaves out. The loss shifts ids and labels, not you.
    """
    ids, labels = [], []
    for role, said in turns:
        answer = [*said, end]
        ids += [start, roles[role], *answer]
        labels += [-100, -100, *(answer if role == "assistant" else [-100] * len(answer))]
    return ids, labels


chat_labels.slips("""
All labels are -100: the loss is a mean over nothing, and nothing is learnt.
    *(answer if role == "assistant" else [-100] * len(answer)) → *[-100] * len(answer)
In yours the prompt has labels too: so the model learns to ask the user's questions.
    *(answer if role == "assistant" else [-100] * len(answer)) → *answer
All tokens are labelled, the template's too: what assistants say, with its end, is to be learnt.
    [-100, -100, *(answer if role == "assistant" else [-100] * len(answer))]
    → [start, roles[role], *answer]
In yours what the user says is learnt, and not the answers: it has to be the other way round.
    role == "assistant" → role == "user"
What is said to the assistant is no answer: system messages aren't learnt either.
    role == "assistant" → role != "user"
The end of an answer is part of it: without its label the model never learns to stop.
    *(answer if role == "assistant" else [-100] * len(answer))
    → *(said if role == "assistant" else [-100] * len(said)), -100
The template lost its end token: each turn closes with it.
    answer = [*said, end] → answer = [*said]
The start and the role's name are the template's: it writes them, the model doesn't learn them.
    [-100, -100, *(answer if role == "assistant" else [-100] * len(answer))]
    → [start, roles[role], *answer] if role == "assistant" else [-100] * (len(answer) + 2)
Where nothing is learnt the label is -100; 0 is a token, and would be learnt.
    [-100, -100, *(answer if role == "assistant" else [-100] * len(answer))]
    → [0, 0, *(answer if role == "assistant" else [0] * len(answer))]
You shifted the labels; the loss does that again, and each token would learn the one after the next.
    return ids, labels → return ids, [*labels[1:], -100]
Only the last turn came back: add each to those before.
    ids += [ → ids = [
    labels += [ → labels = [
Ids first, then labels.
    return ids, labels → return labels, ids
""")


@chat_labels.variant("the last answer alone")
def last_answer_labels(
    turns: list[tuple[str, list[int]]], roles: dict[str, int], start: int, end: int
) -> tuple[list[int], list[int]]:
    """As in 10.3, but only the last turn, an assistant's, is to be learnt, with its end.

    Earlier answers may come from another model, or be bad ones that the user complained of: they are read,
    and not learnt. Return ids and labels.
    """
    ids, labels = [], []
    for i, (role, said) in enumerate(turns, 1):
        answer = [*said, end]
        ids += [start, roles[role], *answer]
        labels += [-100, -100, *(answer if i == len(turns) else [-100] * len(answer))]
    return ids, labels


last_answer_labels.slips("""
That answers the first version: there all answers are learnt, here the last one alone.
    → chat_labels
All labels are -100: the loss is a mean over nothing, and nothing is learnt.
    *(answer if i == len(turns) else [-100] * len(answer)) → *[-100] * len(answer)
In yours the prompt has labels too: so the model learns to ask the user's questions.
    *(answer if i == len(turns) else [-100] * len(answer)) → *answer
The end of an answer is part of it: without its label the model never learns to stop.
    *(answer if i == len(turns) else [-100] * len(answer))
    → *(said if i == len(turns) else [-100] * len(said)), -100
The template lost its end token: each turn closes with it.
    answer = [*said, end] → answer = [*said]
The start and the role's name are the template's: it writes them, the model doesn't learn them.
    [-100, -100, *(answer if i == len(turns) else [-100] * len(answer))]
    → [start, roles[role], *answer] if i == len(turns) else [-100] * (len(answer) + 2)
You shifted the labels; the loss does that again, and each token would learn the one after the next.
    return ids, labels → return ids, [*labels[1:], -100]
That is the last question: the turn before the last.
    i == len(turns) → i == len(turns) - 1
Only the last turn came back: what came before it is read as well.
    ids += [ → ids = [
    labels += [ → labels = [
""")


def packing_inputs(generator, case):
    """From one text that fills its row to several with room left; texts of one token are among them."""
    lengths = generator.integers(1, 5, size=1 + case % 4).tolist()
    return lengths, sum(lengths) + case % 3


@exercise("10.4", "several texts in one row", dots=2, minutes=10, inputs=packing_inputs)
def packing_mask(lengths: list[int], room: int) -> np.ndarray:
    """Return who may attend to whom in a row of `room` tokens that holds texts of these lengths, one after
    the other: an array (room, room) of booleans, a row for each query, True where the key may be seen.

    A token sees itself and those before it in its own text. What is left of the row at its end is padding:
    it sees nothing, and nothing sees it.
    """
    mask, start = np.zeros((room, room), dtype=bool), 0
    for length in lengths:
        end = start + length
        mask[start:end, start:end] = np.tri(length, dtype=bool)
        start = end
    return mask


def without_borders(lengths, room):
    mask, n = np.zeros((room, room), dtype=bool), sum(lengths)
    mask[:n, :n] = np.tri(n, dtype=bool)
    return mask


def padding_as_a_text(lengths, room):
    return packing_mask([*lengths, room - sum(lengths)], room)


packing_mask.slips("""
Your texts see each other: at a border the view to the left ends.
    → without_borders
That is the causal mask of the whole row: texts see each other, and the padding sees all.
    return mask → return np.tri(room, dtype=bool)
A token sees those after it in its text, and with them the answer.
    np.tri(length, dtype=bool) → True
Query and key are swapped: the row is the one that looks, and it looks back.
    np.tri(length, dtype=bool) → np.tri(length, dtype=bool).T
A token sees itself as well: without it a text's first token sees nothing.
    np.tri(length, dtype=bool) → np.tri(length, k=-1, dtype=bool)
Your padding sees itself, as if it were a text: it is to see nothing.
    → padding_as_a_text
All texts lie on the first one: each begins where the one before it ended.
    start = end → start = 0
You left a gap between the texts: each begins right where the one before it ended.
    mask[start:end, start:end] = np.tri(length, dtype=bool)
    → mask[start + 1 : end, start + 1 : end] = np.tri(length - 1, dtype=bool)
True means "may see"; yours is the other way round.
    return mask → return ~mask
Only the first text is in your mask.
    start = end → break
""")


@packing_mask.variant("where each token stands")
def packed_places(lengths: list[int], room: int) -> tuple[list[int], list[int]]:
    """Say of each token of such a row of `room` tokens which text it belongs to, counted from 0, and at which
    place of it, from 0: two lists of `room` numbers.

    These are what a packed row hands to a model that counts positions from the row's start. The padding at
    the end has text -1 and place 0.
    """
    texts, places = [], []
    for number, length in enumerate(lengths):
        texts += [number] * length
        places += range(length)
    padding = room - len(texts)
    return texts + [-1] * padding, places + [0] * padding


packed_places.slips("""
That answers the first version: it gives the mask; the text and the place of each token are asked for.
    → packing_mask
Each text begins at place 0 again; yours count on through the row.
    places += range(length) → places += range(len(places), len(places) + length)
Places count from 0, not from 1.
    places += range(length) → places += range(1, length + 1)
Texts count from 0, not from 1.
    enumerate(lengths) → enumerate(lengths, 1)
The padding is missing: the row has `room` tokens.
    return texts + [-1] * padding, places + [0] * padding → return texts, places
The padding belongs to no text: its number is -1, not that of a further text.
    texts + [-1] * padding → texts + [len(lengths)] * padding
The padding would belong to the first text: its number is -1.
    texts + [-1] * padding → texts + [0] * padding
All tokens of the padding are at place 0.
    places + [0] * padding → places + [*range(padding)]
Texts first, then places.
    return texts + [-1] * padding, places + [0] * padding
    → return places + [0] * padding, texts + [-1] * padding
""")
