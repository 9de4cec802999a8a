"""Variants of exercises 2.4 to 2.6 of chapter 2."""

import numpy as np

from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.recurrent import (
    GROWS,
    chunk_gradients,
    chunks_inputs,
    lstm_inputs,
    lstm_step,
    rnn,
    rnn_inputs,
)

WITHOUT = ("course_utils", "torch")

# 2.4


def rnn_backwards(xs: np.ndarray, h: np.ndarray, W: np.ndarray, U: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Read the inputs xs (T, D) from the last to the first: h' = tanh(W x + U h + b), from the state h (H,).

    Return the states (T, H) in the order of the inputs: row t has read the inputs from t on.
    """
    states = []
    for x in xs[::-1]:
        h = np.tanh(W @ x + U @ h + b)
        states.append(h)
    return np.array(states[::-1])


def _backwards_with(step=lambda x, h, W, U, b: np.tanh(W @ x + U @ h + b), carry=lambda start, state: state):
    """Vary `rnn_backwards`: `step` gives a state, `carry(start, state)` what the next step starts from."""

    def answer(xs, h, W, U, b):
        start, states = h, []
        for x in xs[::-1]:
            states.append(step(x, h, W, U, b))
            h = carry(start, states[-1])
        return np.array(states[::-1])

    return answer


RNN_BACKWARDS = Check(
    id="2.4 again",
    variant_of="2.4",
    title="a recurrent network that reads backwards",
    difficulty=2,
    minutes=8,
    imports="import numpy as np",
    reference=rnn_backwards,
    inputs=rnn_inputs,
    mistakes=(
        Mistake("That answers the first version: it reads from the first input to the last.", rnn),
        Mistake(
            "The states stand in the order of reading: turn them round, so that row t belongs to input t.",
            lambda *arguments: rnn_backwards(*arguments)[::-1],
        ),
        Mistake(
            "You turned the states round, not the reading: begin with the last input.",
            lambda *arguments: rnn(*arguments)[::-1],
        ),
        Mistake("Output ignores what was read.", _backwards_with(lambda x, h, W, U, b: np.tanh(W @ x + b))),
        Mistake(
            "tanh goes round the whole sum.",
            _backwards_with(lambda x, h, W, U, b: np.tanh(W @ x + b) + U @ h),
        ),
        Mistake(
            "You zero the state at each step.",
            _backwards_with(carry=lambda start, state: np.zeros_like(state)),
        ),
        Mistake(
            "Every step starts from the first state: the next one starts from what this one gave.",
            _backwards_with(carry=lambda start, state: start),
        ),
        Mistake(
            "The run starts from the state that is given, not from zeros.",
            lambda xs, h, W, U, b: rnn_backwards(xs, np.zeros_like(h), W, U, b),
        ),
        Mistake("You left out the bias.", _backwards_with(lambda x, h, W, U, b: np.tanh(W @ x + U @ h))),
    ),
    hint="`xs[::-1]` walks from the last input to the first; the step is that of 2.4. The states come out in "
    "the order of reading, so the list is turned round at the end.",
    neighbour="""How much is still to come? A walk from the last stage of a journey to the first:

```python
stages = [5.0, 2.0, 4.0]
left, lefts = 0.0, []
for km in stages[::-1]:
    left = left + km
    lefts.append(left)
lefts[::-1]  # [11.0, 6.0, 4.0]: before the first stage 11 km are left
```

In the exercise a state takes the place of the sum.""",
    without=WITHOUT,
)


# 2.5


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


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _coupled_with(
    order="ifgo",
    candidate=np.tanh,
    mix=lambda i, f, c, g: (1 - i) * c + i * g,
    show=lambda o, old, c: o * np.tanh(c),
):
    """Vary `coupled_lstm_step`: the gates' order, the candidate's squashing, how c and h come about."""

    def answer(x, h, c, W, U, b):
        gate = dict(zip(order, np.split(W @ x + U @ h + b, 4), strict=True))
        i, f, o = (_sigmoid(gate[name]) for name in "ifo")
        new = mix(i, f, c, candidate(gate["g"]))
        return show(o, c, new), new

    return answer


COUPLED_LSTM_STEP = Check(
    id="2.5 again",
    variant_of="2.5",
    title="an LSTM that forgets what it replaces",
    difficulty=2,
    minutes=10,
    imports="import numpy as np",
    reference=coupled_lstm_step,
    inputs=lstm_inputs,
    mistakes=(
        Mistake("That answers the first version: here the forget gate is 1 - i.", lstm_step),
        Mistake(
            "The input gate decides, and forgetting follows from it; you let the forget gate decide.",
            _coupled_with(mix=lambda i, f, c, g: f * c + (1 - f) * g),
        ),
        Mistake(
            "What comes in is i of the candidate, and 1 - i of the old c stays; you swapped them.",
            _coupled_with(mix=lambda i, f, c, g: i * c + (1 - i) * g),
        ),
        Mistake(
            "The whole of the old c stays: only 1 - i of it shall.",
            _coupled_with(mix=lambda i, f, c, g: c + i * g),
        ),
        Mistake("The candidate is tanh: it must be able to subtract.", _coupled_with(candidate=_sigmoid)),
        Mistake(
            "Squash the cell with tanh before the output gate.", _coupled_with(show=lambda o, old, c: o * c)
        ),
        Mistake(
            "h shows the new c, not the old one.", _coupled_with(show=lambda o, old, c: o * np.tanh(old))
        ),
        Mistake(
            "The parts stand in the order i, f, g, o: the candidate is the third.",
            _coupled_with(order="igfo"),
        ),
        Mistake("Return h first, then c.", lambda *arguments: coupled_lstm_step(*arguments)[::-1]),
    ),
    hint="Of the four parts of `np.split(W @ x + U @ h + b, 4)` the second is left alone. The new c is a "
    "mixture: `1 - i` of the old one and `i` of the candidate.",
    neighbour="""A jug of 10 litres in which a share of the water is replaced:

```python
share, water, fresh = 0.25, 8.0, 4.0           # salt in the water, salt in the fresh water
water = (1 - share) * water + share * fresh    # 7.0: what comes in takes the place of what goes
```

In the exercise the share is the input gate, the water the cell, and the fresh water the candidate.""",
    without=WITHOUT,
)


# 2.6


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


def _detached(h, dh):
    return h, np.zeros_like(dh)


def _trained_with(
    between=_detached, lay=lambda text, rows, chunk: text.reshape(rows, -1), rate=0.1, summed=False
):
    """Vary `train_by_chunks` in NumPy: derivatives are carried along with the state, from left to right.

    `between(h, dh)` says what a chunk starts from, `lay(text, rows, chunk)` which tokens a row reads.
    """

    def answer(xs, ys, rows, chunk, w, u):
        xs, ys, weights = lay(xs, rows, chunk), lay(ys, rows, chunk), np.array([w, u])
        h, dh, losses = np.zeros(rows), np.zeros((2, rows)), []  # dh: dh/dw and dh/du
        for start in range(0, xs.shape[1], chunk):
            h, dh = between(h, dh)
            loss, gradient = 0.0, np.zeros(2)
            for x, y in zip(xs.T[start : start + chunk], ys.T[start : start + chunk], strict=True):
                w, u = weights
                z = np.array([x, h]) + u * dh  # the derivatives of w x + u h
                h = np.tanh(w * x + u * h)
                dh = (1 - h**2) * z
                loss += ((h - y) ** 2).mean() / (1 if summed else chunk)
                gradient += (2 * (h - y) * dh).mean(axis=1) / (1 if summed else chunk)
            weights = weights - rate * gradient
            losses.append(loss)
        return np.array(losses)

    return answer


def _second_backward(xs, ys, rows, chunk, w, u):
    raise RuntimeError("Trying to backward through the graph a second time")


TRAIN_BY_CHUNKS = Check(
    id="2.6 again",
    variant_of="2.6",
    title="train by truncated back-propagation",
    difficulty=3,
    minutes=15,
    imports="import numpy as np",
    reference=train_by_chunks,
    inputs=chunks_inputs,
    mistakes=(
        Mistake(
            "That answers the first version: it gives gradients at weights that never move.", chunk_gradients
        ),
        Mistake(GROWS, _trained_with(lambda h, dh: (h, dh))),
        Mistake(GROWS, _second_backward),
        Mistake(
            "You zeroed the state: context ends at the chunk.",
            _trained_with(lambda h, dh: (np.zeros_like(h), np.zeros_like(dh))),
        ),
        Mistake(
            "The state belongs to another text; keep rows contiguous.",
            _trained_with(
                lay=lambda text, rows, chunk: np.concatenate([*text.reshape(-1, rows, chunk)], axis=1)
            ),
        ),
        Mistake(
            "The state belongs to another text; keep rows contiguous.",
            _trained_with(lay=lambda text, rows, chunk: text.reshape(-1, rows).T),
        ),
        Mistake(
            "The weights stand still: go down by 0.1 times the gradient after each chunk.",
            _trained_with(rate=0),
        ),
        Mistake("The loss rises: go against the gradient, not along it.", _trained_with(rate=-0.1)),
        Mistake("The step is 0.1 times the gradient; you took the whole of it.", _trained_with(rate=1)),
        Mistake(
            "You summed over the steps of the chunk; the loss is their mean.", _trained_with(summed=True)
        ),
        Mistake(
            "The loss of the first chunk is missing: note each before the weights move.",
            lambda *arguments: train_by_chunks(*arguments)[1:],
        ),
    ),
    hint="The loop is that of 2.6. At the end of a chunk note `loss.item()`, ask for the gradients, and move "
    "the weights inside `with torch.no_grad():`, as in `w -= 0.1 * gradient`.",
    neighbour="""Downhill on (u - 2)², with the loss noted before each step:

```python
import torch

u, losses = torch.tensor(0.0, requires_grad=True), []
for _ in range(3):
    loss = (u - 2) ** 2
    losses.append(loss.item())
    (gradient,) = torch.autograd.grad(loss, (u,))
    with torch.no_grad():       # the step itself is no part of the graph
        u -= 0.1 * gradient

losses  # [4.0, 2.56, 1.64]
```

In the exercise each step has its own chunk of the text, and the state goes on from chunk to chunk.""",
    without=("course_utils",),
    tolerance=5e-7,  # as in 2.6: a weight kept in float32
)

CHECKS = (RNN_BACKWARDS, COUPLED_LSTM_STEP, TRAIN_BY_CHUNKS)
