"""Attention weights as plain arrays: checked, packed into a byte each, and the arithmetic of their rows.

Weights are (layers, heads, queries, keys) or a part of it; masks are bool, True = may attend.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from course_utils.widgets.words import percent, plural, quoted, shortened, visible

LONGEST = 512  # tokens on a side
FULL, MASKED = 254, 255  # the byte of weight 1, and the byte of a key that may not be attended to
TOLERANCE = 0.01  # how far from 1 a row's sum may lie: what half precision rounds away is less
# keys that many heads attend to when they have nothing to say (Clark et al., 2019, section 3.2)
DELIMITERS = {"[CLS]", "[SEP]", "<s>", "</s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", ".", ",", ";"}
HOWS = {
    "ablate": "ablated (all weights 0)",
    "uniform": "forced to uniform",
    "diagonal": "forced to the diagonal",
    "previous": "forced to the previous token",
    "swap": "swapped with head",
}


@dataclass
class Attention:
    """The attention weights of one model on one text.

    tokens: the T queries as strings. weights: (layers, heads, T, S), what softmax gave. keys: the S keys as
    strings; without them the tokens are the keys too (self-attention). mask: bool, True = may attend,
    broadcastable to the weights. scale: what the scores were multiplied by, as a number or in words.
    sinks: {name: positions} of keys that the learner can hide; by default the first key and delimiters.

    Raises ValueError for what is no such thing. Rows that don't sum to 1 are kept, and named in `warnings`.
    """

    tokens: list[str]
    weights: np.ndarray
    keys: list[str] | None = None
    mask: np.ndarray | None = None
    scale: float | str = "not given"
    sinks: dict[str, list[int]] | None = None

    def __post_init__(self):
        self.cross = self.keys is not None
        self.tokens = _texts(self.tokens, "tokens")
        self.keys = _texts(self.keys, "keys") if self.cross else self.tokens
        self.weights = _weights(self.weights, len(self.tokens), len(self.keys))
        self.may = _mask(self.mask, self.weights.shape)
        if self.sinks is None:
            self.sinks = {f"first key {quoted(self.keys[0])}": [0]}
            marks = [i for i, key in enumerate(self.keys) if i and key.strip(" Ġ▁") in DELIMITERS]
            if marks:
                few = dict.fromkeys(self.keys[i] for i in marks)
                self.sinks[f"delimiters {' '.join(quoted(key) for key in few)}"] = marks
        for name, places in self.sinks.items():
            if not all(0 <= place < len(self.keys) for place in places):
                raise ValueError(
                    f"sinks[{name!r}] are positions from 0 to {len(self.keys) - 1}; got {places}"
                )
        self.sinks = {visible(name): places for name, places in self.sinks.items()}
        self.warnings = self._warnings()

    def _warnings(self) -> list[str]:
        sums = self.weights.sum(-1)
        wrong = np.abs(sums - 1) > TOLERANCE
        if self.may is not None:
            wrong &= ~((sums == 0) & ~self.may.any(-1))  # a row that may attend to nothing gives zeros
        found = []
        if wrong.any():
            layer, head, query = np.argwhere(wrong)[0]
            found.append(
                f"{wrong.sum():,} of {wrong.size:,} rows don't sum to 1: the first is layer {layer}, head "
                f"{head}, query {query}, with {sums[layer, head, query]:.3f}. Softmax over the keys gives 1; "
                "dropout, softmax over another axis or a cut window don't."
            )
        if self.may is not None and (leaked := (self.weights > 0) & ~self.may).any():
            found.append(
                f"{leaked.sum():,} masked weights are above 0: the mask given is not the mask that was used."
            )
        return found

    @cached_property
    def mask_in_words(self) -> str:
        """What the mask hides."""
        if self.may is None:
            return "no mask"
        one = self.may[0, 0]
        if (self.may == one).all():
            if one.all():
                return "the mask allows every key"
            if not self.cross and (one == np.tri(*one.shape, dtype=bool)).all():
                return "causal mask: a token sees itself and what stands before it"
            if (one == one[0]).all():
                return f"padding mask: {(~one[0]).sum()} of {len(self.keys)} keys are hidden from every query"
        return f"mask: {100 * (1 - self.may.mean()):.1f} % of the query-key pairs may not attend"

    @property
    def scale_in_words(self) -> str:
        if isinstance(self.scale, str):
            return f"scale {self.scale}"
        width = round(1 / self.scale**2) if self.scale else 0
        root = f" = 1/√{width}" if width > 1 and np.isclose(width**-0.5, self.scale) else ""
        return f"scores × {self.scale:.4g}{root}"


def _texts(texts, name: str) -> list[str]:
    texts = [texts] if isinstance(texts, str) else list(texts)
    if strange := [text for text in texts if not isinstance(text, str)]:
        raise ValueError(
            f"{name} are strings, one a position; got a {type(strange[0]).__name__}: decode ids first"
        )
    if not 1 <= len(texts) <= LONGEST:
        raise ValueError(f"{name} are 1 to {LONGEST}; got {len(texts)}: show a window of the text")
    return texts


def _weights(weights, n_queries: int, n_keys: int) -> np.ndarray:
    missing = weights is None or (
        isinstance(weights, list | tuple) and any(layer is None for layer in weights)
    )
    if missing:
        raise ValueError(
            "output_attentions came back None: fused attention keeps no weights. Load a transformers model "
            'with attn_implementation="eager", or ask ours for return_weights=True'
        )
    if isinstance(weights, list | tuple):
        weights = [_plain(layer) for layer in weights]
        if len({layer.shape for layer in weights}) > 1:
            shapes = ", ".join(str(layer.shape) for layer in weights)
            raise ValueError(f"every layer has the shape (heads, queries, keys); got {shapes}")
    weights = np.asarray(_plain(weights), dtype=np.float32)
    if weights.ndim != 4:
        hint = {
            2: ": write weights[None, None]",
            3: ": write weights[None] for one layer, weights[:, None] for one head a layer",
            5: ": take one text out of the batch, weights[:, 0]",
        }.get(weights.ndim, "")
        raise ValueError(f"weights have the axes (layers, heads, queries, keys); got {weights.shape}{hint}")
    if weights.shape[2:] != (n_queries, n_keys):
        raise ValueError(
            f"{n_queries} tokens and {n_keys} keys need weights of shape (layers, heads, {n_queries}, "
            f"{n_keys}); got {weights.shape}"
        )
    if 0 in weights.shape:
        raise ValueError(f"there is at least one layer and one head; got {weights.shape}")
    if not np.isfinite(weights).all():
        layer, head, query, key = np.argwhere(~np.isfinite(weights))[0]
        raise ValueError(
            f"weights are numbers; got {weights[layer, head, query, key]} in layer {layer}, head {head}, "
            f"query {query}, key {key}: softmax of a row in which every key is masked gives NaN"
        )
    if (low := weights.min()) < 0:
        raise ValueError(f"weights are at least 0; got {low:.3g}: give what softmax returned, not the scores")
    return weights


def _plain(array) -> np.ndarray:
    """A numpy array of whatever is given; a torch tensor leaves its graph and its device."""
    if hasattr(array, "detach"):
        array = array.detach().float().cpu()
    return np.asarray(array)


def _mask(mask, shape: tuple[int, ...]) -> np.ndarray | None:
    if mask is None:
        return None
    mask = np.asarray(mask.cpu() if hasattr(mask, "cpu") else mask)
    if mask.dtype != bool:
        raise ValueError(
            f"a mask is bool, True = may attend; got {mask.dtype}: compare it first, as in mask == 0"
        )
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise ValueError(f"the mask must broadcast to the weights' shape {shape}; got {mask.shape}") from None


# ---- for the browser -----------------------------------------------------------------------------


def packed(weights: np.ndarray, may: np.ndarray | None) -> np.ndarray:
    """A byte a weight: 254 times its square root, so that 1/512 is still 11 steps above 0; 255 = masked."""
    codes = np.rint(np.sqrt(weights.clip(0, 1)) * FULL).astype(np.uint8)
    return codes if may is None else np.where(may, codes, np.uint8(MASKED))


def pooled(codes: np.ndarray, side: int) -> np.ndarray:
    """Maps (..., queries, keys) of bytes made at most `side` wide and high.

    A cell is the largest of its block (a mean would wash out the diagonals), masked where all of it is.
    """
    signed = np.where(codes == MASKED, -1, codes.astype(np.int16))
    for axis in (-2, -1):
        block = -(-codes.shape[axis] // side)
        signed = np.maximum.reduceat(signed, range(0, codes.shape[axis], block), axis=axis)
    return np.where(signed < 0, MASKED, signed).astype(np.uint8)


# ---- arithmetic: the browser does the same, and a test compares them -----------------------------


def row_entropy(row: np.ndarray) -> float:
    """The entropy in bits of a row of weights, divided by its sum first; 0 for a row of zeros."""
    p = row[row > 0] / max(row.sum(dtype=float), 1e-300)
    return float(-(p * np.log2(p)).sum() + 0.0)


def strongest_in_words(row: np.ndarray, keys: list[str], n_allowed: int, first: int = 0) -> str:
    """The three keys with the largest weights of a row, by name, place (the first is number `first`) and
    share, and what the others have."""
    best = [int(i) for i in np.lexsort((np.arange(len(row)), -row))[:3] if row[i] > 0]
    looks = (
        ", ".join(f"{quoted(shortened(keys[i]))} ({i + first}) {percent(row[i])}" for i in best) or "nothing"
    )
    rest = n_allowed - len(best)
    if best and rest > 0:
        looks += f", {plural(rest, 'other key')} {percent(max(0.0, row.sum() - row[best].sum()))}"
    return looks


def combined(weights: np.ndarray, how: str) -> np.ndarray:
    """Heads (heads, ...) as one: the largest weight of each cell for "max", else their mean."""
    return weights.max(0) if how == "max" else weights.mean(0)


def without(rows: np.ndarray, hidden: list[int], renormalise: bool) -> np.ndarray:
    """Rows (..., keys) with some keys set to 0, and on request the others divided by what is left."""
    rows = np.array(rows)
    rows[..., hidden] = 0
    if renormalise:
        left = rows.sum(-1, keepdims=True)
        rows = np.divide(rows, left, out=np.zeros_like(rows), where=left > 0)
    return rows


def edited(weights: np.ndarray, edits: list[dict], mask: np.ndarray | None = None) -> np.ndarray:
    """The weights (..., heads, queries, keys) of one layer after edits of its heads, as a new array.

    edits: dicts with `head`, `how` ("ablate", "uniform", "diagonal", "previous" or "swap") and for a swap
    `with`, the other head. mask: bool, True = may attend; without one a key is allowed where its weight is
    above 0. "diagonal" is key q for query q, and with unequally many keys the straight line from corner to
    corner; "previous" is key q - 1; where that key is masked, the nearest that is not. A query that may
    attend to nothing gets zeros.
    """
    old, new = np.asarray(weights), np.array(weights)
    may = np.broadcast_to(old > 0 if mask is None else mask, old.shape)
    n_queries, n_keys = old.shape[-2:]
    queries, keys = np.arange(n_queries), np.arange(n_keys)
    for edit in edits:
        head, how = edit["head"], edit["how"]
        allowed = may[..., head, :, :]
        if how == "ablate":
            new[..., head, :, :] = 0
        elif how == "uniform":
            new[..., head, :, :] = allowed / np.maximum(allowed.sum(-1, keepdims=True), 1)
        elif how == "swap":
            new[..., head, :, :] = old[..., edit["with"], :, :]
            new[..., edit["with"], :, :] = old[..., head, :, :]
        elif how in ("diagonal", "previous"):
            line = queries if n_queries == n_keys else queries * (n_keys - 1) / max(n_queries - 1, 1)
            target = np.rint(line) - (how == "previous")
            distance = np.where(allowed, np.abs(keys - target[:, None]), np.inf)
            nearest = keys == distance.argmin(-1)[..., None]
            new[..., head, :, :] = nearest & allowed.any(-1, keepdims=True)
        else:
            raise ValueError(f"how is one of {', '.join(HOWS)}; got {how!r}")
    return new
