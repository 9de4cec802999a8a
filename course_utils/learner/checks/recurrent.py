"""What exercises 2.4 to 2.6 of chapter 2, on recurrent networks, must do, and what usually goes wrong.

The steps are for one text and written out in NumPy, where `course_utils.recurrent` takes a batch.
"""

import numpy as np

from course_utils.learner.checks.old import Check, Mistake

WITHOUT = ("course_utils", "torch")

# 2.4


def rnn(xs: np.ndarray, h: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Run h' = tanh(W x + U h + b) over the inputs xs (T, D), from the state h (H,).

    Returns the state after each of them, (T, H).
    """
    states = []
    for x in xs:
        h = np.tanh(W @ x + U @ h + b)
        states.append(h)
    return np.array(states)


def _rnn_with(step, carry):
    """Vary `rnn`: `step(x, h, W, U, b)` gives a state, `carry(start, state)` where the next one starts."""

    def answer(xs, h, W, U, b):
        start, states = h, []
        for x in xs:
            states.append(step(x, h, W, U, b))
            h = carry(start, states[-1])
        return np.array(states)

    return answer


def _rnn_step(x, h, W, U, b):
    return np.tanh(W @ x + U @ h + b)


def _rounded(generator, *shape):
    return generator.integers(-10, 11, size=shape) / 10


def _other_than_0(values):
    return np.where(values == 0, 0.5, values)


def rnn_inputs(generator, case):
    """At least three inputs, and a state that is not 0 at the start."""
    steps, d, hidden = 3 + case // 6, 1 + case % 3, 2 + case % 2
    return (
        _rounded(generator, steps, d),
        _other_than_0(_rounded(generator, hidden)),
        _rounded(generator, hidden, d),
        _other_than_0(_rounded(generator, hidden, hidden)),
        _rounded(generator, hidden),
    )


RNN = Check(
    id="2.4",
    title="a recurrent network",
    difficulty=2,
    minutes=8,
    imports="import numpy as np",
    reference=rnn,
    inputs=rnn_inputs,
    mistakes=(
        Mistake(
            "Output ignores the past.",
            _rnn_with(lambda x, h, W, U, b: np.tanh(W @ x + b), lambda start, state: state),
        ),
        Mistake(
            "tanh goes round the whole sum.",
            _rnn_with(lambda x, h, W, U, b: np.tanh(W @ x + b) + U @ h, lambda start, state: state),
        ),
        Mistake(
            "tanh goes round the whole sum.",
            _rnn_with(lambda x, h, W, U, b: np.tanh(W @ x) + U @ h + b, lambda start, state: state),
        ),
        Mistake(
            "You zero the state at each step.",
            _rnn_with(_rnn_step, lambda start, state: np.zeros_like(state)),
        ),
        Mistake(
            "Every step starts from the first state: the next one starts from what this one gave.",
            _rnn_with(_rnn_step, lambda start, state: start),
        ),
        Mistake(
            "The run starts from the state that is given, not from zeros.",
            lambda xs, h, W, U, b: rnn(xs, np.zeros_like(h), W, U, b),
        ),
        Mistake(
            "The squashing is missing: tanh keeps every number of the state between -1 and 1.",
            _rnn_with(lambda x, h, W, U, b: W @ x + U @ h + b, lambda start, state: state),
        ),
        Mistake(
            "You left out the bias.",
            _rnn_with(lambda x, h, W, U, b: np.tanh(W @ x + U @ h), lambda start, state: state),
        ),
        Mistake(
            "That is the last state alone: return the state after every step.",
            lambda *arguments: rnn(*arguments)[-1],
        ),
    ),
    hint="One step is `h = np.tanh(W @ x + U @ h + b)`. Since the new state has the name of the old one, the "
    "next step starts from it. Append each to a list, and turn the list into an array at the end.",
    neighbour="""The same shape of loop: a bank account. Each month it keeps 0.9 of what was there and takes \
in what comes.

```python
balance, balances = 100.0, []
for income in [0.0, 50.0, 50.0]:
    balance = 0.9 * balance + income
    balances.append(balance)

balances  # [90.0, 131.0, 167.9]: each month starts from the month before
```

In the exercise the balance is a vector, `0.9` a matrix, and tanh squashes the sum.""",
    without=WITHOUT,
)


# 2.5


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


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


def _lstm_with(
    order="ifgo", candidate=np.tanh, keep=lambda f, c: f * c, enter=lambda i, g: i * g, show=np.tanh
):
    """Vary `lstm_step`: the gates' order, the candidate's squashing, and how c and h come about."""

    def answer(x, h, c, W, U, b):
        gate = dict(zip(order, np.split(W @ x + U @ h + b, 4), strict=True))
        i, f, o = (_sigmoid(gate[name]) for name in "ifo")
        c = keep(f, c) + enter(i, candidate(gate["g"]))
        return o * show(c), c

    return answer


def lstm_inputs(generator, case):
    """Two cells or more; what the cell keeps is not small, so that squashing it shows."""
    d, hidden = 1 + case % 3, 2 + case % 2
    return (
        _rounded(generator, d),
        _rounded(generator, hidden),
        _other_than_0(2 * _rounded(generator, hidden)),
        _rounded(generator, 4 * hidden, d),
        _rounded(generator, 4 * hidden, hidden),
        _other_than_0(_rounded(generator, 4 * hidden)),
    )


LSTM_STEP = Check(
    id="2.5",
    title="an LSTM step",
    difficulty=2,
    minutes=12,
    imports="import numpy as np",
    reference=lstm_step,
    inputs=lstm_inputs,
    mistakes=(
        Mistake("Input and forget gates are swapped.", _lstm_with(order="figo")),
        Mistake("The candidate is tanh: it must be able to subtract.", _lstm_with(candidate=_sigmoid)),
        Mistake("Squash the cell with tanh before the output gate.", _lstm_with(show=lambda c: c)),
        Mistake("Candidate and output gate are swapped: the order is i, f, g, o.", _lstm_with(order="ifog")),
        Mistake(
            "The input gate says how much of the candidate comes in: multiply.",
            _lstm_with(enter=lambda i, g: g),
        ),
        Mistake("The forget gate says how much of c stays: multiply.", _lstm_with(keep=lambda f, c: c)),
        Mistake(
            "You forget what the gate says to keep: f near 1 keeps.",
            _lstm_with(keep=lambda f, c: (1 - f) * c),
        ),
        Mistake("Return h first, then c.", lambda *arguments: lstm_step(*arguments)[::-1]),
        Mistake(
            "h shows the new c, not the old one.",
            lambda x, h, c, W, U, b: (
                _sigmoid(np.split(W @ x + U @ h + b, 4)[3]) * np.tanh(c),
                lstm_step(x, h, c, W, U, b)[1],
            ),
        ),
    ),
    hint="`np.split(W @ x + U @ h + b, 4)` gives the four parts in the order i, f, g, o. Three are gates "
    "between 0 and 1, `1 / (1 + np.exp(-z))`; g is `np.tanh`. Then c keeps a share of itself and takes a "
    "share of g in, and h shows a share of `np.tanh(c)`.",
    neighbour="""A water tank with three taps, each open by a share between 0 and 1: what stays, what comes \
in, what is let out.

```python
keep, inlet, outlet = 0.9, 0.5, 0.2
water, rain = 10.0, -4.0              # "rain" may also take water away
water = keep * water + inlet * rain   # 7.0
outlet * np.tanh(water)               # 0.2: what is shown is squashed first
```

In the exercise the taps are vectors, and x and h decide how far each is open.""",
    without=WITHOUT,
)


# 2.6


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


def _chunks_with(between, lay=None, steps=None):
    """Vary `chunk_gradients` in NumPy: derivatives are carried along with the state, from left to right.

    `between(h, dh)` says what a chunk starts from, `lay(xs, rows, chunk)` which tokens a row reads.
    """

    def answer(xs, ys, rows, chunk, w, u):
        lay_out = lay or (lambda text, rows, chunk: text.reshape(rows, -1))
        xs, ys = lay_out(xs, rows, chunk), lay_out(ys, rows, chunk)
        h, dh, gradients = np.zeros(rows), np.zeros((2, rows)), []  # dh: dh/dw and dh/du
        for start in range(0, xs.shape[1], chunk):
            h, dh = between(h, dh)
            total = np.zeros(2)
            for x, y in zip(xs.T[start : start + chunk], ys.T[start : start + chunk], strict=True):
                z = np.array([x, h]) + u * dh  # the derivatives of w x + u h
                h = np.tanh(w * x + u * h)
                dh = (1 - h**2) * z
                total += (2 * (h - y) * dh).mean(axis=1) / (chunk if steps is None else steps)
            gradients.append(total)
        return np.array(gradients)

    return answer


def _detached(h, dh):
    return h, np.zeros_like(dh)


def _interleaved(text, rows, chunk):
    """Chunks dealt out to the rows in turn: each row's next chunk belongs to another place of the text."""
    return np.concatenate(list(text.reshape(-1, rows, chunk)), axis=1)


def _second_backward(xs, ys, rows, chunk, w, u):
    if xs.size > rows * chunk:
        raise RuntimeError("Trying to backward through the graph a second time")
    return chunk_gradients(xs, ys, rows, chunk, w, u)


def chunks_inputs(generator, case):
    """Two rows or more, of two chunks or more."""
    rows, chunk, chunks = 2 + case % 2, 2 + case % 3, 2 + case // 10
    n = rows * chunk * chunks
    xs = _other_than_0(_rounded(generator, n))
    w, u = generator.choice([0.25, 0.5, 0.75, 1.25, -0.5], size=2).tolist()  # exact in float32 too
    return xs, _rounded(generator, n), rows, chunk, w, u


GROWS = "The graph grows with each chunk; detach the state, keep its value."

CHUNK_GRADIENTS = Check(
    id="2.6",
    title="truncated back-propagation through time",
    difficulty=3,
    minutes=15,
    imports="import numpy as np",
    reference=chunk_gradients,
    inputs=chunks_inputs,
    mistakes=(
        Mistake(GROWS, _chunks_with(lambda h, dh: (h, dh))),
        Mistake(GROWS, _second_backward),
        Mistake(
            "You zeroed the state: context ends at the chunk.",
            _chunks_with(lambda h, dh: (np.zeros_like(h), np.zeros_like(dh))),
        ),
        Mistake(
            "The state belongs to another text; keep rows contiguous.", _chunks_with(_detached, _interleaved)
        ),
        Mistake(
            "The state belongs to another text; keep rows contiguous.",
            _chunks_with(_detached, lambda text, rows, chunk: text.reshape(-1, rows).T),
        ),
        Mistake(
            "You summed over the steps of the chunk; the loss is their mean.",
            _chunks_with(_detached, steps=1),
        ),
        Mistake(
            "You detached at every step: within a chunk the gradient goes back to its start.",
            lambda xs, ys, rows, chunk, w, u: (
                _chunks_with(_detached)(xs, ys, rows, 1, w, u).reshape(-1, chunk, 2).mean(axis=1)
            ),
        ),
        Mistake(
            "These are sums over the chunks so far: each chunk's gradient stands for itself.",
            lambda *arguments: chunk_gradients(*arguments).cumsum(axis=0),
        ),
    ),
    hint="Give each row its own contiguous part of the text: `xs.reshape(rows, -1)`. The state starts at 0 "
    "once. At the start of every chunk `h = h.detach()` keeps its value and cuts its history. Then "
    "`torch.autograd.grad(loss, (w, u))` gives the two gradients of the chunk.",
    neighbour="""What `detach` does, in the smallest case: two steps of h' = u h, from 1, with u = 3.

```python
import torch

u = torch.tensor(3.0, requires_grad=True)
h = u * 1.0
torch.autograd.grad(u * h, u)            # 6: u² has the derivative 2u
h = (u * 1.0).detach()                   # still 3, but where it came from is forgotten
torch.autograd.grad(u * h, u)            # 3: h counts as a constant
```

In the exercise the history is cut only between two chunks.""",
    without=("course_utils",),
    tolerance=5e-7,  # a weight kept in float32 has a gradient in float32
)

CHECKS = (RNN, LSTM_STEP, CHUNK_GRADIENTS)
