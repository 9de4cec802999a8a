"""From logits to a token: which tokens a sampler leaves in the race, and how likely each of them then is.

Every step takes logits of shape (..., V) and returns logits of that shape, with -inf for tokens that are
ruled out; so they can be chained, and nothing is a probability before the softmax at the end.

    sampler = Sampler(temperature=0.8, top_p=0.95)  # in this order
    token = draw(sampler(logits), generator)

Where tokens tie, and at every boundary, the kept sets are those of the processors in Hugging Face's
transformers 5. Steps and `draw` raise ValueError for logits that are NaN or +inf, or a row of nothing but
-inf.

Sources: Fan, Lewis & Dauphin 2018 (top-k); Holtzman et al. 2020 (top-p); Nguyen et al. 2024 (min-p);
Meister et al. 2023 (typical); Hewitt, Manning & Liang 2022 (epsilon, eta); Keskar et al. 2019, section 4.1
(repetition penalty).
"""

import math
import warnings
from numbers import Real

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Logits = Float[Tensor, "*batch vocab"]

# What each setting must be, in words and as a test.
ALLOWED = {
    "temperature": ("a number of at least 0 (greedy)", lambda x: 0 <= x < math.inf),
    "top_k": ("a whole number from 1 to the size of the vocabulary", lambda x: x >= 0 and x % 1 == 0),
    "top_p": ("between 0 and 1", lambda x: 0 <= x <= 1),
    "min_p": ("between 0 and 1", lambda x: 0 <= x <= 1),
    "typical": ("above 0 and below 1", lambda x: 0 < x < 1),
    "epsilon": ("above 0 and below 1", lambda x: 0 < x < 1),
    "eta": ("above 0 and below 1", lambda x: 0 < x < 1),
    "repetition_penalty": ("a number above 0 (1 changes nothing)", lambda x: 0 < x < math.inf),
    "frequency_penalty": ("a finite number (0 changes nothing)", math.isfinite),
}


def temperature(logits: Logits, value: float) -> Logits:
    """Divide the logits by `value`: below 1 likely tokens get likelier, above 1 the distribution flattens.

    The ranking never changes. 0 is the limit, greedy: only the largest logit is left, the first of equals.
    """
    _check(logits, "temperature", value)
    if not value:
        return _greedy(logits)
    divided = logits / value
    # A value so small that a row's largest logit overflows is 0 for this precision.
    fits = divided.amax(-1, keepdim=True).isfinite()
    return divided if fits.all() else torch.where(fits, divided, _greedy(logits))


def top_k(logits: Logits, k: int) -> Logits:
    """Keep the k largest logits and any equal to the k-th. A k of 0 or above V is clamped, with a warning."""
    _check(logits, "top_k", k)
    clamped = min(max(int(k), 1), logits.shape[-1])
    if clamped != k:
        warnings.warn(f"top_k must be {ALLOWED['top_k'][0]}; got {k}: {clamped} is used", stacklevel=2)
    return _keep(logits, logits >= logits.topk(clamped).values[..., -1:])


def top_p(logits: Logits, p: float) -> Logits:
    """Keep the fewest likeliest tokens whose probabilities add up to p ("nucleus"), the one that reaches p
    included, and at least one. Of equal tokens at the boundary, the later ids are kept."""
    _check(logits, "top_p", p)
    values = _in_float32(logits)
    ascending = _sorted(values)
    mass = ascending.softmax(-1).cumsum(-1)[..., :-1]  # from the least likely on; the likeliest is never out
    out = (mass <= 1 - p).sum(-1, keepdim=True)
    least = ascending.gather(-1, out)  # of those that are kept
    equal, equal_out = values == least, out - (values < least).sum(-1, keepdim=True)
    nth_equal = equal.cumsum(-1, dtype=torch.int32)
    return _keep(logits, (values > least) | equal & (nth_equal > equal_out))


def min_p(logits: Logits, p: float) -> Logits:
    """Keep the tokens at least p times as likely as the likeliest."""
    _check(logits, "min_p", p)
    probs = _probabilities(logits)
    return _keep(logits, probs >= p * probs.amax(-1, keepdim=True))


def typical(logits: Logits, mass: float) -> Logits:
    """Keep the tokens whose surprise is closest to its mean, the entropy, until their probabilities add up to
    `mass`. The likeliest token may be ruled out, as the one that says least.
    """
    _check(logits, "typical", mass)
    surprise = -_in_float32(logits).log_softmax(-1)  # nats; inf where a token is ruled out already
    probs = torch.exp(-surprise)
    distance = (surprise - _entropy(probs)).abs()
    ascending, order = distance.sort(stable=True)
    before = (probs.gather(-1, order).cumsum(-1) < mass).sum(-1, keepdim=True)
    farthest = ascending.gather(-1, before.clamp(max=logits.shape[-1] - 1))
    return _keep(logits, distance <= farthest)


def epsilon(logits: Logits, least: float) -> Logits:
    """Keep the tokens with a probability of at least `least`, and always the likeliest."""
    _check(logits, "epsilon", least)
    return _keep(logits, (_probabilities(logits) >= least) | _likeliest(logits))


def eta(logits: Logits, least: float) -> Logits:
    """As `epsilon`, with a threshold that falls as many tokens are likely: min(least, sqrt(least) / e^H)."""
    _check(logits, "eta", least)
    probs = _probabilities(logits)
    threshold = (math.sqrt(least) * torch.exp(-_entropy(probs))).clamp(max=least)
    return _keep(logits, (probs >= threshold) | _likeliest(logits))


def repetition_penalty(logits: Logits, counts: Int[Tensor, "*batch vocab"], value: float) -> Logits:
    """Lower the logit of every token that has occurred, for a `value` above 1: divide it, or multiply one
    below 0. `counts` says how often each token has occurred; once has the same effect as often.
    """
    _check(logits, "repetition_penalty", value)
    return torch.where(counts > 0, torch.where(logits < 0, logits * value, logits / value), logits)


def frequency_penalty(logits: Logits, counts: Int[Tensor, "*batch vocab"], value: float) -> Logits:
    """Subtract `value` from a token's logit for each time that it has occurred."""
    _check(logits, "frequency_penalty", value)
    return logits - value * counts


def token_counts(ids: Int[Tensor, "*batch time"], vocab_size: int) -> Int[Tensor, "*batch vocab"]:
    """How often each token of the vocabulary occurs in `ids`; a negative id is padding and isn't counted."""
    counts = torch.zeros(*ids.shape[:-1], vocab_size, dtype=torch.long, device=ids.device)
    return counts.scatter_add(-1, ids.clamp(min=0), (ids >= 0).long())


PENALTIES = {"repetition_penalty": repetition_penalty, "frequency_penalty": frequency_penalty}
CUTS = {
    "temperature": temperature,
    "top_k": top_k,
    "top_p": top_p,
    "min_p": min_p,
    "typical": typical,
    "epsilon": epsilon,
    "eta": eta,
}


class Sampler:
    """Several of the functions above, one after the other, in the order in which they are given.

        sampler = Sampler(repetition_penalty=1.1, temperature=0.8, top_p=0.95)

    The order matters: of a flattened distribution the same top-p keeps more tokens. Without settings it
    leaves the logits as they are. Raises ValueError for an unknown name or a value that is not allowed.
    """

    def __init__(self, **settings: float):
        for name, value in settings.items():
            if name not in ALLOWED:
                raise ValueError(f"expected settings among {', '.join(ALLOWED)}; got {name!r}")
            _check_value(name, value)
        self.settings = settings

    @property
    def greedy(self) -> bool:
        """Whether the temperature is 0, so that the likeliest token is taken."""
        return self.settings.get("temperature") == 0

    @property
    def needs_counts(self) -> bool:
        return not PENALTIES.keys().isdisjoint(self.settings)

    def __call__(self, logits: Logits, counts: Int[Tensor, "*batch vocab"] | None = None) -> Logits:
        """The logits after every step; `counts` (see `token_counts`) is needed for the penalties only."""
        if self.needs_counts and counts is None:
            raise ValueError("a penalty needs counts, how often each token has occurred; got none")
        for name, value in self.settings.items():
            logits = (
                PENALTIES[name](logits, counts, value) if name in PENALTIES else CUTS[name](logits, value)
            )
        if self.needs_counts or not self.settings:
            _check_logits(logits)  # a step checks what it gets; a penalty may overflow
        return logits

    def __repr__(self) -> str:
        return f"Sampler({', '.join(f'{name}={value}' for name, value in self.settings.items())})"


def kept(logits: Logits) -> Bool[Tensor, "*batch vocab"]:
    """Which tokens are not ruled out."""
    return logits > -math.inf


def draw(logits: Logits, generator: torch.Generator | None = None) -> Int[Tensor, "*batch"]:
    """One token for each row, with the probabilities softmax(logits), from a generator on the CPU."""
    _check_logits(logits)
    probs = _probabilities(logits).cpu()
    ids = torch.multinomial(probs.reshape(-1, probs.shape[-1]), 1, generator=generator)
    return ids.reshape(logits.shape[:-1]).to(logits.device)


def draw_one(weights: Float[Tensor, " vocab"], generator: torch.Generator | None = None) -> int:
    """A token, with a probability in proportion to its weight: the weights are laid end to end, and a random
    number falls into one of them. (torch.multinomial takes a number for each token of the vocabulary.) Raises
    ValueError if no weight is above 0, or one isn't finite."""
    ends = weights.double().cumsum(0)
    number = torch.rand(1, dtype=torch.float64, generator=generator) * ends[-1]
    token = int(torch.searchsorted(ends, number, right=True))
    if token == len(weights):
        raise ValueError(
            f"a draw needs finite weights and one above 0; got weights that sum to {float(ends[-1])}"
        )
    return token


def surprise_and_entropy(
    logits: Logits, ids: Int[Tensor, "*batch"]
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """In bits: what each id costs by the probabilities softmax(logits), and what a draw from them is expected
    to cost."""
    surprise = -_in_float32(logits).log_softmax(-1).gather(-1, ids[..., None])
    entropy = _entropy(_probabilities(logits))
    return surprise[..., 0] / math.log(2), entropy[..., 0] / math.log(2)


def _probabilities(logits: Logits) -> Logits:
    return _in_float32(logits).softmax(-1)


def _in_float32(logits: Logits) -> Logits:
    """Up to a constant of each row, which changes no probability: float64 holds larger ones than float32."""
    if logits.dtype == torch.float64:
        logits = logits - logits.amax(-1, keepdim=True)
    return logits.float()


def _sorted(values: Logits) -> Logits:
    """In ascending order. torch sorts the places along, which takes many times as long as numpy's sort."""
    return torch.from_numpy(np.sort(values.detach().numpy())) if values.is_cpu else values.sort().values


def _entropy(probs: Logits) -> Float[Tensor, "*batch 1"]:
    """In nats."""
    return torch.special.entr(probs).sum(-1, keepdim=True)


def _likeliest(logits: Logits) -> Bool[Tensor, "*batch vocab"]:
    return logits == logits.amax(-1, keepdim=True)


def _greedy(logits: Logits) -> Logits:
    likeliest = logits.argmax(-1, keepdim=True)
    return torch.full_like(logits, -math.inf).scatter(-1, likeliest, logits.gather(-1, likeliest))


def _keep(logits: Logits, stay: Bool[Tensor, "*batch vocab"]) -> Logits:
    return logits.masked_fill(~stay, -math.inf)


def _check(logits: Tensor, name: str, value: float) -> None:
    _check_value(name, value)
    _check_logits(logits)


def _check_value(name: str, value: float) -> None:
    words, allowed = ALLOWED[name]
    if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value) or not allowed(value):
        raise ValueError(f"{name} must be {words}; got {value!r}")


def _check_logits(logits: Tensor) -> None:
    """Raise ValueError for logits from which no token can be drawn."""
    if logits.ndim == 0 or 0 in logits.shape or not logits.is_floating_point():
        raise ValueError(
            "expected floating-point logits of shape (..., vocabulary), none of them empty, "
            f"got {logits.dtype} of shape {list(logits.shape)}"
        )
    largest = logits.amax(-1)  # NaN if there is one in the row
    if largest.isfinite().all():
        return
    if largest.isnan().any():
        raise ValueError("the logits contain NaN: the model's weights or input are damaged; reload it")
    if largest.isposinf().any():
        raise ValueError("a logit is +inf: the model overflowed; compute in float32")
    raise ValueError("all logits of a row are -inf: no token is left to draw; rule out fewer")
