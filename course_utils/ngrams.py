"""Language models that count: n-grams with every classical smoothing, in numpy.

One method serves every vocabulary. N-grams are numbered order by order: an n-gram's key is the id of its
first n-1 tokens times the vocabulary size plus its last token, and its id is its key's rank among the
distinct keys. So the followers of one context lie side by side, and a lookup is a binary search.

Every smoothing is then two arrays an order: `direct`, what an n-gram gets from its own count, and
`passed_on`, the share that its context hands down to the order below,

    p(w | context) = direct(context, w) + passed_on(context) * p(w | context without its oldest token).

Sources: Shannon 1948 (n-grams as sources of text); Jelinek & Mercer 1980 (interpolation); Ney, Essen &
Kneser 1994 (absolute discounting); Kneser & Ney 1995; Chen & Goodman 1999 (modified Kneser-Ney, and the
comparison of them all); Brants et al. 2007 (stupid backoff).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

MAX_ORDER = 8
UNIFORM = "uniform"
LONGEST_ONLY = ("mle", "add_k")  # these never ask a shorter context
# what each smoothing may be told, with its default (None: estimated from the counts)
SMOOTHINGS = {
    "mle": {},
    "add_k": {"k": 1.0},
    "interpolated": {},
    "stupid_backoff": {"alpha": 0.4},
    "absolute": {"discount": 0.75, "base": UNIFORM},
    "kneser_ney": {"discount": None, "base": UNIFORM},
    "modified_kneser_ney": {"base": UNIFORM},
}


class Discounts(NamedTuple):
    """What one order takes from a count of 1, of 2, and of 3 or more. `fallback`: the counts of counts
    gave no usable estimate, and the usual 0.5, 1, 1.5 stand in."""

    one: float
    two: float
    more: float
    fallback: bool


@dataclass
class _Order:
    """All distinct n-grams of one n, by id. `contexts` and `suffixes` are ids one order below."""

    keys: Int[np.ndarray, " ngrams"]  # sorted
    counts: Int[np.ndarray, " ngrams"]
    contexts: Int[np.ndarray, " ngrams"]  # the n-gram without its last token
    suffixes: Int[np.ndarray, " ngrams"]  # the n-gram without its first token
    n_contexts: int
    direct: Float[np.ndarray, " ngrams"] | None = None
    passed_on: Float[np.ndarray, " contexts"] | None = None
    seen: np.ndarray | None = None  # does the context have a count to share out?

    def per_context(self, values: np.ndarray) -> np.ndarray:
        """The sum of a value over the n-grams of each context."""
        return np.bincount(self.contexts, weights=values, minlength=self.n_contexts)


class NGramModel:
    """A model of the next token given the last `order - 1` tokens.

    smoothing: "mle", "add_k" (k=1.0), "interpolated" (needs `held_out`), "stupid_backoff" (alpha=0.4),
    "absolute" (discount=0.75), "kneser_ney" (discount=None: n1 / (n1 + 2 n2) of each order) or
    "modified_kneser_ney". The last three end at the uniform distribution over the vocabulary; with
    `base=None` they stop at the unigrams, as nltk does.

    Raises ValueError for an order outside 1 to 8, an unknown smoothing or setting, and k <= 0.
    """

    def __init__(self, order: int, smoothing: str = "modified_kneser_ney", **settings):
        if not isinstance(order, int | np.integer) or not 1 <= order <= MAX_ORDER:
            raise ValueError(f"order is a whole number from 1 to {MAX_ORDER}; {order!r} came")
        if smoothing not in SMOOTHINGS:
            raise ValueError(f"smoothing is one of {', '.join(SMOOTHINGS)}; {smoothing!r} came")
        allowed = SMOOTHINGS[smoothing]
        for name in settings:
            if name not in allowed:
                takes = f"takes {', '.join(allowed)}" if allowed else "takes no settings"
                raise ValueError(f"{smoothing} {takes}; {name!r} came")
        self.order, self.smoothing = int(order), smoothing
        self.settings = allowed | settings
        self._check_settings()
        self.discounts: list[Discounts] = []  # by order, from 1, once a discounting model is fitted
        self.weights: list[float] = []  # by order, from 1, once an interpolated model is fitted
        self._orders: list[_Order] = []

    def _check_settings(self) -> None:
        for name, low, high in [("k", 0, np.inf), ("alpha", 0, 1), ("discount", 0, 1)]:
            value = self.settings.get(name)
            if value is not None and not low < value <= high:
                raise ValueError(f"{name} is above {low} and at most {high}; {value!r} came")
        if self.settings.get("base", UNIFORM) not in (UNIFORM, None):
            raise ValueError(f"base is {UNIFORM!r} or None; {self.settings['base']!r} came")

    # ---- counting ------------------------------------------------------------------------------

    def fit(
        self,
        tokens: Int[np.ndarray, " tokens"] | Sequence[Int[np.ndarray, " tokens"]],
        vocab_size: int,
        held_out: Int[np.ndarray, " tokens"] | None = None,
    ) -> "NGramModel":
        """Count a text, or a list of texts that no n-gram joins, and estimate the smoothing.

        vocab_size is V, the number of different tokens there can be. held_out is text that was not
        counted; only "interpolated" uses it. Raises ValueError for an empty text, for a token outside
        0 to V - 1, and if "interpolated" gets no `held_out`.
        """
        if vocab_size < 1:
            raise ValueError(f"vocab_size is the number of different tokens, at least 1; {vocab_size} came")
        self.vocab_size = int(vocab_size)
        is_list = isinstance(tokens, list | tuple) and len(tokens) > 0 and np.ndim(tokens[0]) == 1
        texts = [self._check_tokens(text) for text in (tokens if is_list else [tokens])]
        longest = max(len(text) for text in texts)
        if longest < self.order:
            raise ValueError(
                f"order {self.order} needs a training text of at least {self.order} tokens; "
                + (f"the longest that came has {longest}" if longest else "the text that came is empty")
            )
        if self.smoothing == "interpolated" and (held_out is None or len(held_out) == 0):
            raise ValueError(
                "interpolated needs held_out, text that fit does not count: on counted text "
                "the highest order would take all the weight"
            )
        self._orders = self._count(texts)
        self.discounts = []
        if self.smoothing == "interpolated":
            self.weights = [0.5] * self.order
            self._estimate_weights(self._check_tokens(held_out))
        for n, order in enumerate(self._orders, start=1):
            order.direct, order.passed_on, order.seen = self._smooth(order, n)
        return self

    def _check_tokens(self, tokens) -> Int[np.ndarray, " tokens"]:
        tokens = np.asarray(tokens)
        if tokens.size == 0:
            return np.zeros(0, dtype=np.int64)
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
            raise ValueError(
                f"tokens are a 1-D array of whole numbers; an array of shape {tokens.shape} and type "
                f"{tokens.dtype} came: encode the text with a tokenizer first"
            )
        if tokens.min() < 0 or tokens.max() >= self.vocab_size:
            bad = tokens[(tokens < 0) | (tokens >= self.vocab_size)][0]
            raise ValueError(
                f"token {bad} is outside the vocabulary, which goes from 0 to {self.vocab_size - 1}"
            )
        return tokens.astype(np.int64)

    def _count(self, texts: list[np.ndarray]) -> list[_Order]:
        tokens = np.concatenate([*texts, np.zeros(self.order, dtype=np.int64)])  # room to look ahead
        tokens = tokens.astype(np.min_scalar_type(self.vocab_size - 1))  # small types sort in linear time
        # how many tokens are left in its own text, from each place on: no n-gram may need more
        left = [np.minimum(np.arange(len(text), 0, -1), self.order).astype(np.int8) for text in texts]
        left = np.concatenate(left)
        starts = self._sorted_starts(tokens, len(left))
        prefixes = np.zeros(len(left), dtype=np.int32)  # ids of the (n-1)-grams, in the order of starts
        id_at = np.zeros(len(left) + 1, dtype=np.int32)  # the same ids, by place in the text
        orders, n_contexts = [], 1
        for n in range(1, self.order + 1):
            fits = left[starts] >= n
            starts, prefixes = starts[fits], prefixes[fits]
            keys = prefixes * np.int64(self.vocab_size) + tokens[starts + (n - 1)]  # ascending
            is_new = np.append(True, keys[1:] != keys[:-1])
            firsts = np.flatnonzero(is_new)
            counts = np.diff(firsts, append=len(keys))
            suffixes = id_at[starts[firsts] + 1]
            keys = keys[firsts]
            orders.append(_Order(keys, counts, keys // self.vocab_size, suffixes, n_contexts))
            prefixes = np.cumsum(is_new, dtype=np.int32) - 1
            id_at[starts] = prefixes
            n_contexts = len(keys)
        return orders

    def _sorted_starts(self, tokens: np.ndarray, n_starts: int) -> np.ndarray:
        """Where each n-gram starts, in the alphabetical order of the n-grams.

        One radix sort, least significant token first, serves all orders at once: sorted by their first 8
        tokens, places are sorted by their first 3 as well. It is what `np.unique` would do order by order,
        at a fraction of the time.
        """
        starts = np.arange(n_starts, dtype=np.int32)
        for offset in reversed(range(self.order)):
            starts = starts[np.argsort(tokens[starts + offset], kind="stable")]
        return starts

    # ---- smoothing -----------------------------------------------------------------------------

    def _smooth(self, order: _Order, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`direct`, `passed_on` and `seen` of one order."""
        counts = order.counts
        if "kneser_ney" in self.smoothing and n < self.order:
            # continuation counts: in how many different ways does this n-gram come about?
            counts = np.bincount(self._orders[n].suffixes, minlength=len(order.keys))
        totals = order.per_context(counts)
        seen = totals > 0
        totals = np.maximum(totals, 1)
        if self.smoothing in ("mle", "stupid_backoff"):
            return counts / totals[order.contexts], np.zeros(len(totals)), seen
        if self.smoothing == "add_k":
            added = self.settings["k"] * self.vocab_size  # = k given to each of the V tokens
            return counts / (totals + added)[order.contexts], added / (totals + added), seen
        if self.smoothing == "interpolated":
            weight = self.weights[n - 1]
            return weight * counts / totals[order.contexts], np.full(len(totals), 1 - weight), seen
        discounts = self._discounts(counts, n)
        self.discounts.append(discounts)
        taken = np.array([0.0, *discounts[:3]])[np.minimum(counts, 3)]
        return (counts - taken) / totals[order.contexts], order.per_context(taken) / totals, seen

    def _discounts(self, counts: np.ndarray, n: int) -> Discounts:
        if n == 1 and self.settings["base"] is None:
            return Discounts(0.0, 0.0, 0.0, False)  # nothing below to pass anything to
        n1, n2, n3, n4 = (int(np.count_nonzero(counts == c)) for c in (1, 2, 3, 4))
        if self.smoothing == "modified_kneser_ney":  # Chen & Goodman 1999, eq. 17
            if min(n1, n2, n3, n4) > 0:
                y = n1 / (n1 + 2 * n2)
                estimate = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
                if all(0 <= d <= count for count, d in enumerate(estimate, start=1)):
                    return Discounts(*estimate, False)
            return Discounts(0.5, 1.0, 1.5, True)
        d = self.settings["discount"]
        if d is None:
            d = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
        return Discounts(d, d, d, self.settings["discount"] is None and not (n1 and n2))

    def _estimate_weights(self, held_out: np.ndarray, tolerance: float = 1e-6) -> None:
        """Expectation-maximisation on text that was not counted: how often does each order answer?

        From the highest order down, an order that knows the context answers with its weight, or passes
        the question on. E-step: how likely is it, for each token, that this order was asked and that it
        answered? M-step: the weight becomes answered / asked. (Jelinek & Mercer 1980; their weights
        depend on the count of the context too, ours only on the order.)
        """
        shares, known = [], []
        for order, contexts, grams in self._walk(held_out):
            totals = order.per_context(order.counts)
            known.append((contexts >= 0) & (totals[contexts] > 0))
            shares.append(np.where(grams >= 0, order.counts[grams] / np.maximum(totals[contexts], 1), 0.0))
        while True:
            p, posterior = np.full(len(held_out), 1 / self.vocab_size), []
            for weight, share, knows in zip(self.weights, shares, known, strict=True):
                below, p = p, np.where(knows, weight * share + (1 - weight) * p, p)
                posterior.append(1 - np.where(knows, (1 - weight) * below / p, 1.0))
            old, asked = self.weights, np.ones(len(held_out))
            self.weights = [0.0] * self.order
            for n in reversed(range(self.order)):
                was_asked = asked[known[n]].sum()
                self.weights[n] = float((asked * posterior[n]).sum() / was_asked) if was_asked else 0.0
                asked = asked * (1 - posterior[n])
            if np.abs(np.subtract(self.weights, old)).max() < tolerance:
                return

    # ---- asking --------------------------------------------------------------------------------

    def _walk(self, tokens: np.ndarray) -> Iterable[tuple[_Order, np.ndarray, np.ndarray]]:
        """For each order, at each token: the id of its context and of the n-gram; -1 if never counted."""
        grams = np.zeros(len(tokens), dtype=np.int64)  # the 0-gram has id 0 everywhere
        for n, order in enumerate(self._orders, start=1):
            contexts = np.concatenate([[0 if n == 1 else -1], grams[:-1]])
            keys = contexts * self.vocab_size + tokens
            places = np.minimum(np.searchsorted(order.keys, keys), len(order.keys) - 1)
            grams = np.where((contexts >= 0) & (order.keys[places] == keys), places, -1)
            yield order, contexts, grams

    def _need(self, what: str) -> None:
        if not self._orders:
            raise ValueError(f"the model has not counted anything yet: call fit before {what}")
        if self.smoothing == "stupid_backoff" and what != "scores":
            raise ValueError(
                f"stupid_backoff has no {what}: its scores do not sum to 1, so they are no probabilities; "
                "use scores, or another smoothing"
            )

    def _probabilities(self, tokens: np.ndarray) -> Float[np.ndarray, " tokens"]:
        """Of each token given those before it in `tokens`, by the formula at the head of this file."""
        can_be_zero = (
            self.smoothing in ("mle", "stupid_backoff") or self.settings.get("base", UNIFORM) is None
        )
        floor = 0.0 if can_be_zero else 1 / self.vocab_size
        p = np.full(len(tokens), floor)
        for n, (order, contexts, grams) in enumerate(self._walk(tokens), start=1):
            direct = np.where(grams >= 0, order.direct[grams], 0.0)
            if self.smoothing == "stupid_backoff":
                longer = np.where(direct > 0, direct, self.settings["alpha"] * p)
            else:
                known = (contexts >= 0) & order.seen[contexts]
                below = floor if self.smoothing in LONGEST_ONLY else p
                longer = np.where(known, direct + order.passed_on[contexts] * below, below)
            p[n - 1 :] = longer[n - 1 :]  # the first tokens have fewer than n - 1 before them
        return p

    def log2_probs(self, tokens: Int[np.ndarray, " tokens"]) -> Float[np.ndarray, " tokens"]:
        """log2 of the probability of each token given all tokens before it: minus its cost in bits.

        The first tokens have a shorter context. "mle" gives -inf to what it never counted, also where
        it never met the context. Raises ValueError for "stupid_backoff", whose scores are none.
        """
        self._need("log2_probs")
        with np.errstate(divide="ignore"):
            return np.log2(self._probabilities(self._check_tokens(tokens)))

    def scores(self, tokens: Int[np.ndarray, " tokens"]) -> Float[np.ndarray, " tokens"]:
        """What the model gives each token, whether or not it sums to 1 over the vocabulary."""
        self._need("scores")
        return self._probabilities(self._check_tokens(tokens))

    def distribution(self, context: Int[np.ndarray, " context"] = ()) -> Float[np.ndarray, " vocab"]:
        """The probability of every token after `context`, of which the last order - 1 tokens count.

        For "mle" a context that was never followed by anything is 0/0: every distribution fits it
        equally well, and the uniform one is returned so that sampling can go on.
        """
        self._need("distribution")
        context = self._check_tokens(context)
        context = context[max(0, len(context) - self.order + 1) :]
        uniform = p = np.full(self.vocab_size, 1 / self.vocab_size)
        for n, context_id in enumerate(self._ending_ids(context)):
            order = self._orders[n]
            if context_id < 0 or not order.seen[context_id]:
                continue
            if self.smoothing in LONGEST_ONLY:
                if n < len(context):
                    continue
                p = uniform
            followers, ids = self._followers(order, context_id)
            p = order.passed_on[context_id] * p
            p[followers] += order.direct[ids]
        return p

    def counts(self, context: Int[np.ndarray, " context"] = ()) -> Int[np.ndarray, " vocab"]:
        """How often each token followed the last order - 1 tokens of `context` in the training text."""
        self._need("counts")
        context = self._check_tokens(context)
        context = context[max(0, len(context) - self.order + 1) :]
        counts = np.zeros(self.vocab_size, dtype=np.int64)
        context_id, order = self._ending_ids(context)[-1], self._orders[len(context)]
        if context_id >= 0:
            followers, ids = self._followers(order, context_id)
            counts[followers] = order.counts[ids]
        return counts

    def _ending_ids(self, context: np.ndarray) -> list[int]:
        """The ids of the last 0, 1, 2, ... tokens of a context; -1 for what was never counted."""
        if len(context) == 0:
            return [0]
        return [0, *(int(grams[-1]) for _, _, grams in self._walk(context))][: len(context) + 1]

    def _followers(self, order: _Order, context_id: int) -> tuple[np.ndarray, slice]:
        """The tokens that were counted after a context, and where their n-grams lie."""
        first = context_id * self.vocab_size
        low, high = np.searchsorted(order.keys, [first, first + self.vocab_size])
        return order.keys[low:high] - first, slice(low, high)

    # ---- measuring and sampling ----------------------------------------------------------------

    def perplexity(self, tokens: Int[np.ndarray, " tokens"]) -> float:
        """2 to the mean bits a token: as unsure as a fair choice among that many. inf if one has p = 0."""
        self._need("perplexity")
        return float(2 ** -self._mean(self.log2_probs(tokens)))

    def bits_per_byte(self, tokens: Int[np.ndarray, " tokens"], n_bytes: int | None = None) -> float:
        """Bits to write `tokens` down, over the bytes of the text they stand for (default: one each)."""
        self._need("bits_per_byte")
        bits = -self._mean(self.log2_probs(tokens)) * len(tokens)
        return float(bits / (len(tokens) if n_bytes is None else n_bytes))

    @staticmethod
    def _mean(log2_probs: np.ndarray) -> float:
        if len(log2_probs) == 0:
            raise ValueError("there is no token to score: the text is empty")
        return float(log2_probs.mean())

    def sample(
        self, n: int, context: Int[np.ndarray, " context"] = (), generator: np.random.Generator | None = None
    ) -> Int[np.ndarray, " n"]:
        """n tokens drawn one after the other, each from `distribution` of what stands before it."""
        self._need("sample")
        generator = generator or np.random.default_rng()
        tokens = list(self._check_tokens(context))
        start = len(tokens)
        for _ in range(n):
            cumulative = np.cumsum(self.distribution(tokens[max(0, len(tokens) - self.order + 1) :]))
            draw = generator.random() * cumulative[-1]
            tokens.append(int(np.searchsorted(cumulative, draw, side="right")))
        return np.array(tokens[start:], dtype=np.int64)

    @property
    def entries(self) -> list[int]:
        """How many different n-grams are stored, by order from 1: what a count model has for parameters."""
        return [len(order.keys) for order in self._orders]
