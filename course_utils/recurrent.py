"""Neural language models before attention: Bengio's feed-forward model, the recurrent network, and the LSTM.

All three have one interface, `forward(ids, state) -> (logits, state)`. The state is all that a model keeps of
the text so far: the last few tokens, or a vector that each step rewrites. So one loop trains them all, by
truncated back-propagation through time (Williams & Peng 1990): a text is read in chunks, and the next chunk
gets the state's value but not its history.

`RNNCell` and `LSTMCell` are written out, to be read; `RecurrentLM` uses torch's fused kernels for the same
sums.

Sources: Bengio et al. 2003 (feed-forward model); Elman 1990 (RNN); Hochreiter & Schmidhuber 1997 (LSTM);
Gers, Schmidhuber & Cummins 2000 (forget gate).
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from course_utils.devices import without_dropout

LINE_BREAK = 10  # the byte that is read before a text's first one


class FeedForwardLM(nn.Module):
    """The next token from the last `context` tokens: their embeddings, concatenated, through one tanh layer.

    logits = b + W x + U tanh(d + H x) with x the concatenated embeddings (Bengio et al. 2003, eq. 1). The
    state is the last `context - 1` tokens; before the text these are id 0. Raises ValueError for sizes
    below 1.
    """

    def __init__(self, vocab_size: int, context: int, d_embedding: int, d_hidden: int):
        super().__init__()
        _check_sizes(vocab_size=vocab_size, context=context, d_embedding=d_embedding, d_hidden=d_hidden)
        self.vocab_size, self.context = vocab_size, context
        self.embedding = nn.Embedding(vocab_size, d_embedding)
        self.hidden = nn.Linear(context * d_embedding, d_hidden)
        self.from_hidden = nn.Linear(d_hidden, vocab_size)
        self.direct = nn.Linear(context * d_embedding, vocab_size, bias=False)

    def forward(
        self, ids: Int[Tensor, "batch time"], state: Int[Tensor, "batch before"] | None = None
    ) -> tuple[Float[Tensor, "batch time vocab"], Int[Tensor, "batch before"]]:
        """Logits for the token after each of `ids`, and the state after the last of them."""
        if state is None:
            state = ids.new_zeros(len(ids), self.context - 1)
        ids = torch.cat([state, ids], dim=1)  # (B, context - 1 + T)
        windows = ids.unfold(1, self.context, 1)  # (B, T, context), oldest token first
        x = self.embedding(windows).flatten(2)  # (B, T, context * d_embedding)
        logits = self.direct(x) + self.from_hidden(torch.tanh(self.hidden(x)))
        return logits, ids[:, ids.shape[1] - self.context + 1 :]


class RNNCell(nn.Module):
    """One step of an Elman network: h' = tanh(W x + U h + b). The state is (h,)."""

    def __init__(self, d_input: int, d_hidden: int):
        super().__init__()
        _check_sizes(d_input=d_input, d_hidden=d_hidden)
        self.d_hidden = d_hidden
        self.from_input = nn.Parameter(torch.empty(d_hidden, d_input))
        self.from_hidden = nn.Parameter(torch.empty(d_hidden, d_hidden))
        self.bias = nn.Parameter(torch.empty(d_hidden))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(d_hidden**-0.5), d_hidden**-0.5)

    def forward(
        self, x: Float[Tensor, "batch input"], state: Float[Tensor, "1 batch hidden"]
    ) -> Float[Tensor, "1 batch hidden"]:
        (h,) = state
        return torch.tanh(x @ self.from_input.T + h @ self.from_hidden.T + self.bias)[None]


class LSTMCell(nn.Module):
    """One step of an LSTM; the state is (h, c), the hidden state and the cell state.

    The gates read the input and the hidden state: input gate i, forget gate f and output gate o lie between 0
    and 1, the candidate g between -1 and 1. Then c' = f c + i g and h' = o tanh(c'). They are in torch's
    order i, f, g, o. A forget bias of 1 keeps f near sigmoid(1) = 0.73 at first, so that c lasts for a few
    steps before anything is learnt; the gradient through c is multiplied by f at each step.
    """

    def __init__(self, d_input: int, d_hidden: int, forget_bias: float = 1.0):
        super().__init__()
        _check_sizes(d_input=d_input, d_hidden=d_hidden)
        self.d_hidden = d_hidden
        self.from_input = nn.Parameter(torch.empty(4 * d_hidden, d_input))
        self.from_hidden = nn.Parameter(torch.empty(4 * d_hidden, d_hidden))
        self.bias = nn.Parameter(torch.empty(4 * d_hidden))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(d_hidden**-0.5), d_hidden**-0.5)
        nn.init.constant_(self.bias.data[d_hidden : 2 * d_hidden], forget_bias)

    def gates(
        self, x: Float[Tensor, "batch input"], h: Float[Tensor, "batch hidden"]
    ) -> tuple[Float[Tensor, "batch hidden"], ...]:
        """The gates i, f, g, o of one step."""
        i, f, g, o = (x @ self.from_input.T + h @ self.from_hidden.T + self.bias).chunk(4, dim=-1)
        return torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)

    def forward(
        self, x: Float[Tensor, "batch input"], state: Float[Tensor, "2 batch hidden"]
    ) -> Float[Tensor, "2 batch hidden"]:
        h, c = state
        i, f, g, o = self.gates(x, h)
        c = f * c + i * g
        return torch.stack([o * torch.tanh(c), c])


def unroll(
    cell: RNNCell | LSTMCell,
    inputs: Float[Tensor, "batch time input"],
    state: Float[Tensor, "parts batch hidden"],
) -> tuple[Float[Tensor, "batch time hidden"], Float[Tensor, "parts batch hidden"]]:
    """Run a cell over time, one step after the other: every h, and the state at the end."""
    hidden = []
    for x in inputs.unbind(dim=1):
        state = cell(x, state)
        hidden.append(state[0])
    return torch.stack(hidden, dim=1), state


class RecurrentLM(nn.Module):
    """The next token from a state that each step rewrites: embedding, `n_layers` of cells, linear head.

    cell is "lstm" or "rnn"; the layers are torch's fused ones, equal to `unroll` of the cells above. The
    state has the shape (parts, layers, batch, hidden): h, and for an LSTM c. dropout applies to what each
    layer passes up, never to the state. Raises ValueError for an unknown cell or sizes below 1.
    """

    def __init__(
        self,
        vocab_size: int,
        d_embedding: int,
        d_hidden: int,
        n_layers: int = 1,
        cell: str = "lstm",
        forget_bias: float = 1.0,
        dropout: float = 0.0,
    ):
        super().__init__()
        _check_sizes(vocab_size=vocab_size, d_embedding=d_embedding, d_hidden=d_hidden, n_layers=n_layers)
        kinds = {"lstm": nn.LSTM, "rnn": nn.RNN}
        if cell not in kinds:
            raise ValueError(f"cell must be one of {', '.join(kinds)}; got {cell!r}")
        self.vocab_size, self.cell = vocab_size, cell
        self.embedding = nn.Embedding(vocab_size, d_embedding)
        between = dropout if n_layers > 1 else 0.0
        self.layers = kinds[cell](d_embedding, d_hidden, n_layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(d_hidden, vocab_size)
        if cell == "lstm":
            for layer in range(n_layers):
                forget = slice(d_hidden, 2 * d_hidden)  # torch adds two biases: one has the value
                nn.init.constant_(getattr(self.layers, f"bias_ih_l{layer}").data[forget], forget_bias)
                nn.init.zeros_(getattr(self.layers, f"bias_hh_l{layer}").data[forget])

    def forward(
        self, ids: Int[Tensor, "batch time"], state: Float[Tensor, "parts layers batch hidden"] | None = None
    ) -> tuple[Float[Tensor, "batch time vocab"], Float[Tensor, "parts layers batch hidden"]]:
        """Logits for the token after each of `ids`, and the state after the last of them."""
        x = self.embedding(ids)  # (B, T, d_embedding)
        if state is None:
            state = x.new_zeros(
                2 if self.cell == "lstm" else 1, self.layers.num_layers, len(ids), self.layers.hidden_size
            )
        x, last = self.layers(x, tuple(state) if self.cell == "lstm" else state[0])
        state = torch.stack(last) if self.cell == "lstm" else last[None]
        return self.head(self.dropout(x)), state

    def as_cell(self) -> RNNCell | LSTMCell:
        """A copy of the first layer as a cell that shows its gates."""
        layers, kind = self.layers, LSTMCell if self.cell == "lstm" else RNNCell
        cell = kind(layers.input_size, layers.hidden_size).to(layers.weight_ih_l0)
        with torch.no_grad():
            cell.from_input.copy_(layers.weight_ih_l0)
            cell.from_hidden.copy_(layers.weight_hh_l0)
            cell.bias.copy_(layers.bias_ih_l0 + layers.bias_hh_l0)
        return cell


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"{name} must be a whole number of at least 1; got {size!r}")


@torch.no_grad()
def log2_probs(
    model: nn.Module, tokens: Int[np.ndarray, " tokens"], rows: int = 1, start: int = LINE_BREAK
) -> Float[np.ndarray, " tokens"]:
    """log2 p of every token given all before it; the state is carried from token to token.

    The first is predicted after `start`. With `rows` above 1, that many pieces of the text are read side by
    side: faster, and a little worse, as each piece begins with an empty state. Raises ValueError for a text
    shorter than its rows, and for tokens or a `start` outside the vocabulary.
    """
    tokens = np.asarray(tokens)
    if not 1 <= rows <= len(tokens):
        raise ValueError(f"rows must be from 1 to the {len(tokens)} tokens of the text; got {rows}")
    if tokens.min() < 0 or tokens.max() >= model.vocab_size:
        raise ValueError(
            f"expected tokens between 0 and {model.vocab_size - 1}; got {tokens.min()} to {tokens.max()}"
        )
    if not 0 <= start < model.vocab_size:
        raise ValueError(f"start, read before the text, is a token below {model.vocab_size}; got {start}")
    length = -(-len(tokens) // rows)
    padded = np.full(rows * length + 1, start, dtype=np.int64)  # what is read, then what is predicted
    padded[1 : len(tokens) + 1] = tokens
    device = next(model.parameters()).device
    read = torch.from_numpy(padded[:-1].reshape(rows, length)).to(device)
    predicted = torch.from_numpy(padded[1:].reshape(rows, length))
    state, scores = None, []
    with without_dropout(model):
        for here in range(0, length, 512):
            logits, state = model(read[:, here : here + 512], state)
            nats = functional.log_softmax(logits.cpu().double(), dim=-1)  # an Apple GPU has no float64
            scores.append(nats.gather(-1, predicted[:, here : here + 512, None])[..., 0])
    return torch.cat(scores, dim=1).flatten()[: len(tokens)].numpy() / math.log(2)


def bits_per_byte(
    model: nn.Module,
    tokens: Int[np.ndarray, " tokens"],
    n_bytes: int | None = None,
    rows: int = 1,
    start: int = LINE_BREAK,
) -> float:
    """The scoreboard's measure: minus log2 p of the whole text over its bytes (as many as tokens, if None or
    0). Raises ValueError as `log2_probs` does."""
    return float(-log2_probs(model, tokens, rows, start).sum() / (n_bytes or len(tokens)))


class Trace(NamedTuple):
    """What each cell of an LSTM did at each token read, and what the model expected after it."""

    gates: Float[np.ndarray, "time hidden 4"]  # i, f, g, o
    cell_state: Float[np.ndarray, "time hidden"]  # c
    hidden_state: Float[np.ndarray, "time hidden"]  # h
    probabilities: Float[np.ndarray, "time vocab"]  # of the next token


@torch.no_grad()
def trace(model: RecurrentLM, tokens: Int[np.ndarray, " time"]) -> Trace:
    """Read a text from an empty state and record every gate. Raises ValueError for an RNN, several layers or
    no token."""
    if model.cell != "lstm" or model.layers.num_layers != 1:
        raise ValueError(
            f"expected an LSTM of one layer; got cell {model.cell!r} and {model.layers.num_layers} layers"
        )
    tokens = torch.from_numpy(np.array(tokens, dtype=np.int64))
    if not len(tokens):
        raise ValueError("trace needs at least one token to read; got none")
    x = model.embedding(tokens.to(model.embedding.weight.device))  # (T, d_embedding)
    hidden, _ = model.layers(x)  # (T, H)
    # h before each step is known by now, so that one product gives all gates
    i, f, g, o = model.as_cell().gates(x, torch.cat([torch.zeros_like(hidden[:1]), hidden[:-1]]))
    c, cell_states = torch.zeros_like(hidden[0]), []
    for keep, new in zip(f, i * g, strict=True):
        c = keep * c + new
        cell_states.append(c)
    probabilities = functional.softmax(model.head(hidden).cpu().double(), dim=-1)
    gates = torch.stack([i, f, g, o], dim=-1)
    return Trace(*(t.cpu().numpy() for t in (gates, torch.stack(cell_states), hidden, probabilities)))


def gradient_by_distance(
    model: RecurrentLM, ids: Int[Tensor, "batch time"], targets: Int[Tensor, " batch"]
) -> Float[Tensor, " time"]:
    """How much the loss at the last token depends on the input k tokens earlier, for k = 0, 1, ...

    The norm of the loss's gradient with respect to the embedding read k steps before, as a root mean square
    over the batch. Where it vanishes, nothing can be learnt from that far back (Bengio, Simard & Frasconi
    1994).
    """
    read = []
    hook = model.embedding.register_forward_hook(lambda module, inputs, output: read.append(output))
    try:
        logits, _ = model(ids)
    finally:
        hook.remove()
    loss = functional.cross_entropy(logits[:, -1], targets, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, read[0])  # (B, T, d_embedding)
    return gradient.square().sum(-1).mean(0).sqrt().flip(0)
