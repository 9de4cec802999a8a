"""The exercises of chapter 2 on recurrent networks, in NumPy, for one text; `course_utils.recurrent` takes a
batch, in PyTorch."""

import numpy as np

from course_utils.learner.checks.engine import exercise


def tenths(generator, *shape):
    return generator.integers(-10, 11, size=shape) / 10


def other_than_0(values):
    return np.where(values == 0, 0.5, values)


def rnn_inputs(generator, case):
    """At least three inputs, and a state that is not 0 at the start."""
    steps, d, hidden = 3 + case // 6, 1 + case % 3, 2 + case % 2
    return (
        tenths(generator, steps, d),
        other_than_0(tenths(generator, hidden)),
        tenths(generator, hidden, d),
        other_than_0(tenths(generator, hidden, hidden)),
        tenths(generator, hidden),
    )


@exercise("2.4", "a recurrent network", dots=2, minutes=8, inputs=rnn_inputs)
def rnn(xs: np.ndarray, h: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Run h' = tanh(W x + U h + b) over the inputs xs (T, D), from the state h (H,).

    Returns the state after each of them, (T, H).
    """
    states = []
    for x in xs:
        h = np.tanh(W @ x + U @ h + b)
        states.append(h)
    return np.array(states)


rnn.slips("""
Output ignores the past.
    + U @ h →
tanh goes round the whole sum.
    + U @ h + b) → + b) + U @ h
tanh goes round the whole sum.
    W @ x + U @ h + b) → W @ x) + U @ h + b
You zero the state at each step.
    states.append(h) → states.append(h); h = np.zeros_like(h)
Every step starts from the first state: the next one starts from what this one gave.
    states = [] → start, states = h, []
    U @ h → U @ start
The run starts from the state that is given, not from zeros.
    states = [] → h, states = np.zeros_like(h), []
The squashing is missing: tanh keeps every number of the state between -1 and 1.
    np.tanh(W @ x + U @ h + b) → W @ x + U @ h + b
You left out the bias.
    U @ h + b → U @ h
That is the last state alone: return the state after every step.
    np.array(states) → states[-1]
""")


@rnn.variant("a recurrent network that reads backwards")
def rnn_backwards(xs: np.ndarray, h: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Read the inputs xs (T, D) from the last to the first: h' = tanh(W x + U h + b), from the state h (H,).

    Return the states (T, H) in the order of the inputs: row t has read the inputs from t on.
    """
    states = []
    for x in xs[::-1]:
        h = np.tanh(W @ x + U @ h + b)
        states.append(h)
    return np.array(states[::-1])


rnn_backwards.slips("""
That answers the first version: it reads from the first input to the last.
    → rnn
The states stand in the order of reading: turn them round, so that row t belongs to input t.
    states[::-1] → states
You turned the states round, not the reading: begin with the last input.
    xs[::-1] → xs
Output ignores what was read.
    + U @ h →
tanh goes round the whole sum.
    + U @ h + b) → + b) + U @ h
You zero the state at each step.
    states.append(h) → states.append(h); h = np.zeros_like(h)
Every step starts from the first state: the next one starts from what this one gave.
    states = [] → start, states = h, []
    U @ h → U @ start
The run starts from the state that is given, not from zeros.
    states = [] → h, states = np.zeros_like(h), []
You left out the bias.
    U @ h + b → U @ h
""")


def lstm_inputs(generator, case):
    """Two cells or more; what the cell keeps is not small, so that squashing it shows."""
    d, hidden = 1 + case % 3, 2 + case % 2
    return (
        tenths(generator, d),
        tenths(generator, hidden),
        other_than_0(2 * tenths(generator, hidden)),
        tenths(generator, 4 * hidden, d),
        tenths(generator, 4 * hidden, hidden),
        other_than_0(tenths(generator, 4 * hidden)),
    )


@exercise("2.5", "an LSTM step", dots=2, minutes=12, inputs=lstm_inputs)
def lstm_step(
    x: np.ndarray, h: np.ndarray, c: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take one LSTM step from the state h, c (H,): return the new (h, c).

    W (4H, D), U (4H, H) and b (4H,) hold the gates i, f, g, o in turn.
    """

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    i, f, g, o = np.split(W @ x + U @ h + b, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
    c = f * c + i * g
    return o * np.tanh(c), c


lstm_step.slips("""
Input and forget gates are swapped.
    i, f, g, o = np.split → f, i, g, o = np.split
The candidate is tanh: it must be able to subtract.
    np.tanh(g) → sigmoid(g)
Squash the cell with tanh before the output gate.
    o * np.tanh(c) → o * c
Candidate and output gate are swapped: the order is i, f, g, o.
    i, f, g, o = np.split → i, f, o, g = np.split
The input gate says how much of the candidate comes in: multiply.
    + i * g → + g
The forget gate says how much of c stays: multiply.
    f * c → c
You forget what the gate says to keep: f near 1 keeps.
    f * c → (1 - f) * c
Return h first, then c.
    return o * np.tanh(c), c → return c, o * np.tanh(c)
h shows the new c, not the old one.
    c = f * c → old, c = c, f * c
    np.tanh(c) → np.tanh(old)
""")


@lstm_step.variant("an LSTM that forgets what it replaces", minutes=10)
def coupled_lstm_step(
    x: np.ndarray, h: np.ndarray, c: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Take one step of an LSTM that forgets just as much as it lets in: its forget gate is 1 - i.

    Return the new (h, c), each (H,). W (4H, D), U (4H, H), b (4H,) hold i, f, g, o in turn; the part of f is
    not used.
    """

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    i, _, g, o = np.split(W @ x + U @ h + b, 4)
    i, g, o = sigmoid(i), np.tanh(g), sigmoid(o)
    c = (1 - i) * c + i * g
    return o * np.tanh(c), c


coupled_lstm_step.slips("""
That answers the first version: here the forget gate is 1 - i.
    → lstm_step
The input gate decides, and forgetting follows from it; you let the forget gate decide.
    i, _, g, o → _, i, g, o
    i, g, o = sigmoid(i) → i, g, o = 1 - sigmoid(i)
What comes in is i of the candidate, and 1 - i of the old c stays; you swapped them.
    (1 - i) * c + i * g → i * c + (1 - i) * g
The whole of the old c stays: only 1 - i of it shall.
    (1 - i) * c → c
The candidate is tanh: it must be able to subtract.
    np.tanh(g) → sigmoid(g)
Squash the cell with tanh before the output gate.
    o * np.tanh(c) → o * c
h shows the new c, not the old one.
    c = (1 - i) * c → old, c = c, (1 - i) * c
    np.tanh(c) → np.tanh(old)
The parts stand in the order i, f, g, o: the candidate is the third.
    i, _, g, o → i, g, _, o
Return h first, then c.
    return o * np.tanh(c), c → return c, o * np.tanh(c)
""")


def chunks_inputs(generator, case):
    """Two rows or more, of two chunks or more."""
    rows, chunk, chunks = 2 + case % 2, 2 + case % 3, 2 + case // 10
    n = rows * chunk * chunks
    xs = other_than_0(tenths(generator, n))
    w, u = generator.choice([0.25, 0.5, 0.75, 1.25, -0.5], size=2).tolist()  # exact in float32 too
    return xs, tenths(generator, n), rows, chunk, w, u


@exercise(
    "2.6",
    "truncated back-propagation through time",
    dots=3,
    minutes=15,
    inputs=chunks_inputs,
    tolerance=5e-7,
)
def chunk_gradients(xs: np.ndarray, ys: np.ndarray, rows: int, chunk: int, w: float, u: float) -> np.ndarray:
    """Return the gradients (dL/dw, dL/du) of each chunk of truncated back-propagation, (chunks, 2).

    The text xs and its targets ys (N,) are cut into rows; h' = tanh(w x + u h), from 0; the loss L of a chunk
    is the mean of (h' - y)² over its rows and steps.
    """
    import torch

    w = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    u = torch.tensor(u, dtype=torch.float64, requires_grad=True)
    xs, ys = torch.from_numpy(xs).reshape(rows, -1), torch.from_numpy(ys).reshape(rows, -1)
    h, gradients = torch.zeros(rows, dtype=torch.float64), []
    for start in range(0, xs.shape[1], chunk):
        h = h.detach()
        loss = 0.0
        for t in range(start, start + chunk):
            h = torch.tanh(w * xs[:, t] + u * h)
            loss = loss + ((h - ys[:, t]) ** 2).mean() / chunk
        gradients.append([gradient.item() for gradient in torch.autograd.grad(loss, (w, u))])
    return np.array(gradients)


chunk_gradients.slips("""
The graph grows with each chunk; detach the state, keep its value.
    h = h.detach() →
    (loss, (w, u)) → (loss, (w, u), retain_graph=True)
The graph grows with each chunk; detach the state. (If you do, take both gradients in one call.)
    h = h.detach() →
You zeroed the state: context ends at the chunk.
    h.detach() → torch.zeros_like(h)
The state comes from another part of the text: keep each row contiguous.
    (xs).reshape(rows, -1) → (xs).reshape(-1, rows, chunk).swapaxes(0, 1).reshape(rows, -1)
    (ys).reshape(rows, -1) → (ys).reshape(-1, rows, chunk).swapaxes(0, 1).reshape(rows, -1)
The state comes from another part of the text: keep each row contiguous.
    (xs).reshape(rows, -1) → (xs).reshape(-1, rows).T
    (ys).reshape(rows, -1) → (ys).reshape(-1, rows).T
You summed over the steps of the chunk; the loss is their mean.
    / chunk →
You detached at every step: within a chunk the gradient goes back to its start.
    u * h) → u * h.detach())
These are sums over the chunks so far: each chunk's gradient stands for itself.
    np.array(gradients) → np.cumsum(gradients, axis=0)
""")


@chunk_gradients.variant("train by truncated back-propagation")
def train_by_chunks(xs: np.ndarray, ys: np.ndarray, rows: int, chunk: int, w: float, u: float) -> np.ndarray:
    """Train w and u of h' = tanh(w x + u h) by truncated back-propagation; return the loss of each chunk.

    The text xs and its targets ys (N,) are cut into rows, the state begins at 0, and the loss of a chunk is
    the mean of (h' - y)² over its rows and steps. After each chunk w and u go down by 0.1 times their
    gradients.
    """
    import torch

    w, u = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (w, u))
    xs, ys = torch.from_numpy(xs).reshape(rows, -1), torch.from_numpy(ys).reshape(rows, -1)
    h, losses = torch.zeros(rows, dtype=torch.float64), []
    for start in range(0, xs.shape[1], chunk):
        h = h.detach()
        loss = 0.0
        for t in range(start, start + chunk):
            h = torch.tanh(w * xs[:, t] + u * h)
            loss = loss + ((h - ys[:, t]) ** 2).mean() / chunk
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, (w, u))
        with torch.no_grad():
            for weight, gradient in zip((w, u), gradients, strict=True):
                weight -= 0.1 * gradient
    return np.array(losses)


def never_detached(xs, ys, rows, chunk, w, u):
    """The derivatives of h by w and u go along with it, from left to right, through all chunks."""
    xs, ys = xs.reshape(rows, -1), ys.reshape(rows, -1)
    h, dh, losses, gradients = np.zeros(rows), np.zeros((2, rows)), [], np.zeros(2)
    for t, (x, y) in enumerate(zip(xs.T, ys.T, strict=True), start=1):
        dh = np.array([x, h]) + u * dh
        h = np.tanh(w * x + u * h)
        dh = (1 - h**2) * dh
        losses.append(((h - y) ** 2).mean())
        gradients += (2 * (h - y) * dh).mean(axis=1) / chunk
        if t % chunk == 0:
            (w, u), gradients = (w, u) - 0.1 * gradients, np.zeros(2)
    return np.reshape(losses, (-1, chunk)).mean(axis=1)


train_by_chunks.slips("""
That answers the first version: it gives gradients at weights that never move.
    → chunk_gradients
The graph grows with each chunk; detach the state, keep its value.
    → never_detached
The graph grows with each chunk; detach the state. (If you do, take both gradients in one call.)
    h = h.detach() →
You zeroed the state: context ends at the chunk.
    h.detach() → torch.zeros_like(h)
The state comes from another part of the text: keep each row contiguous.
    (xs).reshape(rows, -1) → (xs).reshape(-1, rows, chunk).swapaxes(0, 1).reshape(rows, -1)
    (ys).reshape(rows, -1) → (ys).reshape(-1, rows, chunk).swapaxes(0, 1).reshape(rows, -1)
The state comes from another part of the text: keep each row contiguous.
    (xs).reshape(rows, -1) → (xs).reshape(-1, rows).T
    (ys).reshape(rows, -1) → (ys).reshape(-1, rows).T
The weights stand still: go down by 0.1 times the gradient after each chunk.
    0.1 * gradient → 0 * gradient
The loss rises: go against the gradient, not along it.
    weight -= → weight +=
The step is 0.1 times the gradient; you took the whole of it.
    0.1 * gradient → gradient
You summed over the steps of the chunk; the loss is their mean.
    / chunk →
The loss of the first chunk is missing: note each before the weights move.
    np.array(losses) → np.array(losses[1:])
""")
