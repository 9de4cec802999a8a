"""Language models that count: n-grams, and seven ways to share out their counts, in numpy.

`counting` numbers the n-grams of a text. A smoothing is then two arrays an order: `direct`, what an n-gram
gets from its own count, and `passed_on`, the share that its context hands down to the order below,

    p(w | context) = direct(context, w) + passed_on(context) * p(w | context without its oldest token).

Sources: Shannon 1948 (n-grams as sources of text); Jelinek & Mercer 1980 (interpolation); Ney, Essen &
Kneser 1994 (absolute discounting); Kneser & Ney 1995; Chen & Goodman 1999 (modified Kneser-Ney, and the
comparison of them all); Brants et al. 2007 (stupid backoff).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from course_utils.ngrams.counting import NGramTable, count_ngrams, ending_ids, look_up

MAX_ORDER = 8
UNIFORM = "uniform"
# the settings of each smoothing, with their defaults (None: estimated from the counts)
SMOOTHINGS = {
    "mle": {},
    "add_k": {"k": 1.0},
    "interpolated": {},
    "stupid_backoff": {"alpha": 0.4},
    "absolute": {"discount": 0.75, "base": UNIFORM},
    "kneser_ney": {"discount": None, "base": UNIFORM},
    "modified_kneser_ney": {"base": UNIFORM},
}
LONGEST_ONLY = ("mle", "add_k")  # these never ask a shorter context


class Discounts(NamedTuple):
    """What one order takes from a count of 1, of 2, and of 3 or more. `fallback`: the counts of counts
    gave no usable estimate, and the usual 0.5, 1, 1.5 stand in."""

    one: float
    two: float
    more: float
    fallback: bool


class Level(NamedTuple):
    """How one order shares its probability out: see the formula at the head of this file."""

    direct: Float[np.ndarray, " ngrams"]
    passed_on: Float[np.ndarray, " contexts"]
    seen: np.ndarray  # per context: has it any count to share out?


class NGramModel:
    """A model of the next token given the last `order - 1` tokens.

    smoothing: "mle", "add_k" (k=1.0), "interpolated" (needs `held_out`), "stupid_backoff" (alpha=0.4),
    "absolute" (discount=0.75), "kneser_ney" (discount=None: n1 / (n1 + 2 n2) of each order) or
    "modified_kneser_ney". The last three end at the uniform distribution over the vocabulary; with
    `base=None` they stop at the unigrams, as nltk does.

    Raises ValueError for an order outside 1 to 8, an unknown smoothing or setting, and one out of range.
    """

    def __init__(self, order: int, smoothing: str = "modified_kneser_ney", **settings):
        if not isinstance(order, int | np.integer) or not 1 <= order <= MAX_ORDER:
            raise ValueError(f"order must be an integer from 1 to {MAX_ORDER}; got {order!r}")
        if smoothing not in SMOOTHINGS:
            raise ValueError(f"smoothing must be one of {', '.join(SMOOTHINGS)}; got {smoothing!r}")
        self.order, self.smoothing = int(order), smoothing
        self.settings = SMOOTHINGS[smoothing] | settings
        self._check_settings()
        self.discounts: list[Discounts] = []  # by order, from 1, once a discounting model is fitted
        self.weights: list[float] = []  # by order, from 1, once an interpolated model is fitted
        self._tables: list[NGramTable] = []
        self._levels: list[Level] = []

    def _check_settings(self) -> None:
        allowed = SMOOTHINGS[self.smoothing]
        for name, value in self.settings.items():
            if name not in allowed:
                takes = f"takes {', '.join(allowed)}" if allowed else "takes no settings"
                raise ValueError(f"{self.smoothing} {takes}; got {name!r}")
            if name == "base" and value not in (UNIFORM, None):
                raise ValueError(f"base must be {UNIFORM!r} or None; got {value!r}")
            if name == "k" and not 0 < value < np.inf:
                raise ValueError(f"k must be above 0 and finite; got {value!r}")
            if name in ("alpha", "discount") and value is not None and not 0 < value <= 1:
                raise ValueError(f"{name} must be above 0 and at most 1; got {value!r}")

    # ---- fitting -------------------------------------------------------------------------------

    def fit(
        self,
        tokens: Int[np.ndarray, " tokens"] | Sequence[Int[np.ndarray, " tokens"]],
        vocab_size: int,
        held_out: Int[np.ndarray, " tokens"] | None = None,
    ) -> "NGramModel":
        """Count a text, or a list of texts that no n-gram joins, and estimate the smoothing.

        vocab_size is V, the number of different tokens there can be. held_out is text that was not
        counted; only "interpolated" uses it. Raises ValueError for a text shorter than the order, for a
        token outside 0 to V - 1, and if "interpolated" gets no `held_out`.
        """
        self._tables, self._levels = [], []  # a fit that is refused leaves no earlier one, nor half of one
        if vocab_size < 1:
            raise ValueError(f"vocab_size is the number of different tokens, at least 1; got {vocab_size}")
        self.vocab_size = int(vocab_size)
        is_list = isinstance(tokens, list | tuple) and len(tokens) > 0 and np.ndim(tokens[0]) == 1
        texts = [self._check_tokens(text) for text in (tokens if is_list else [tokens])]
        longest = max(len(text) for text in texts)
        if longest < self.order:
            raise ValueError(
                f"order {self.order} needs a training text of at least {self.order} tokens; "
                + (f"the longest one has {longest}" if longest else "the text is empty")
            )
        return self.fit_tables(count_ngrams(texts, self.order, self.vocab_size), held_out)

    def fit_tables(
        self, tables: list[NGramTable], held_out: Int[np.ndarray, " tokens"] | None = None
    ) -> "NGramModel":
        """Estimate the smoothing from counts that are there: `tables` of `count_ngrams`, this order or more.

        Models that differ in order or smoothing can share one count. Raises ValueError as `fit` does.
        """
        self._levels = []
        if len(tables) < self.order:
            raise ValueError(f"order {self.order} needs tables up to that order; got {len(tables)}")
        if self.smoothing == "interpolated" and (held_out is None or len(held_out) == 0):
            raise ValueError(
                "interpolated needs held_out, text that fit does not count: on counted text "
                "the highest order would take all the weight"
            )
        self.vocab_size = tables[0].vocab_size
        self._tables, self.discounts = tables[: self.order], []
        if self.smoothing == "interpolated":
            self._estimate_weights(self._check_tokens(held_out))
        self._levels = [self._level(table, n) for n, table in enumerate(self._tables, start=1)]
        return self

    def _check_tokens(self, tokens) -> Int[np.ndarray, " tokens"]:
        tokens = np.asarray(tokens)
        if tokens.size == 0:
            return np.zeros(0, dtype=np.int64)
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
            raise ValueError(
                f"tokens must be a 1-D array of integers; got an array of shape {tokens.shape} and type "
                f"{tokens.dtype}: encode the text with a tokenizer first"
            )
        if tokens.min() < 0 or tokens.max() >= self.vocab_size:
            bad = tokens[(tokens < 0) | (tokens >= self.vocab_size)][0]
            raise ValueError(
                f"token {bad} is outside the vocabulary, which goes from 0 to {self.vocab_size - 1}"
            )
        return tokens.astype(np.int64)

    def _level(self, table: NGramTable, n: int) -> Level:
        counts = table.counts
        if "kneser_ney" in self.smoothing and n < self.order:
            # continuation counts: how many different tokens has this n-gram followed?
            counts = np.bincount(self._tables[n].suffixes, minlength=len(table.keys))
        totals = table.per_context(counts)
        seen, totals = totals > 0, np.maximum(totals, 1)
        if self.smoothing in ("mle", "stupid_backoff"):
            return Level(counts / totals[table.contexts], np.zeros(len(totals)), seen)
        if self.smoothing == "add_k":
            added = self.settings["k"] * self.vocab_size  # k to each of the V tokens
            return Level(counts / (totals + added)[table.contexts], added / (totals + added), seen)
        if self.smoothing == "interpolated":
            weight = self.weights[n - 1]
            return Level(weight * counts / totals[table.contexts], np.full(len(totals), 1 - weight), seen)
        discounts = self._discounts(counts, n)
        self.discounts.append(discounts)
        taken = np.array([0.0, *discounts[:3]])[np.minimum(counts, 3)]
        return Level((counts - taken) / totals[table.contexts], table.per_context(taken) / totals, seen)

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
        d, fallback = self.settings["discount"], False
        if d is None:
            fallback = not (n1 and n2)
            d = 0.5 if fallback else n1 / (n1 + 2 * n2)
        return Discounts(d, d, d, fallback)

    def _estimate_weights(self, held_out: np.ndarray, tolerance: float = 1e-6) -> None:
        """Expectation-maximisation on text that was not counted: how often does each order answer?

        From the highest order down, an order that knows the context answers with its weight, or passes
        the question on. E-step: how likely is it, for each token, that this order was asked and that it
        answered? M-step: the weight becomes answered / asked. (Jelinek & Mercer 1980; their weights
        depend on the count of the context too, ours only on the order.)
        """
        shares, known = [], []
        for table, (contexts, grams) in zip(self._tables, look_up(self._tables, held_out), strict=True):
            totals = table.per_context(table.counts)
            known.append((contexts >= 0) & (totals[contexts] > 0))
            shares.append(np.where(grams >= 0, table.counts[grams] / np.maximum(totals[contexts], 1), 0.0))
        self.weights, old = [0.5] * self.order, None
        while old is None or np.abs(np.subtract(self.weights, old)).max() > tolerance:
            p, answered = np.full(len(held_out), 1 / self.vocab_size), []
            for weight, share, knows in zip(self.weights, shares, known, strict=True):
                below, p = p, np.where(knows, weight * share + (1 - weight) * p, p)
                answered.append(1 - np.where(knows, (1 - weight) * below / p, 1.0))
            old, self.weights = self.weights, [0.0] * self.order
            asked = np.ones(len(held_out))
            for n in reversed(range(self.order)):
                if total := asked[known[n]].sum():
                    self.weights[n] = float((asked * answered[n]).sum() / total)
                asked = asked * (1 - answered[n])

    # ---- asking --------------------------------------------------------------------------------

    def _require(self, what: str) -> None:
        """Raise ValueError if the model is not fitted, or has no `what`."""
        if not self._levels:
            raise ValueError(f"the model has not been fitted yet: call fit before {what}")
        if self.smoothing == "stupid_backoff" and what in ("log2_probs", "distribution", "perplexity"):
            raise ValueError(
                f"stupid_backoff has no {what}: its scores do not sum to 1, so they are no probabilities; "
                "use scores, or another smoothing"
            )

    def scores(self, tokens: Int[np.ndarray, " tokens"]) -> Float[np.ndarray, " tokens"]:
        """What the model gives each token after those before it. Probabilities, but for "stupid_backoff"."""
        self._require("scores")
        tokens = self._check_tokens(tokens)
        can_be_zero = self.smoothing in ("mle", "stupid_backoff") or self.settings.get("base", "") is None
        floor = 0.0 if can_be_zero else 1 / self.vocab_size
        p = np.full(len(tokens), floor)
        for n, (contexts, grams) in enumerate(look_up(self._tables, tokens), start=1):
            direct, passed_on, seen = self._levels[n - 1]
            own = np.where(grams >= 0, direct[grams], 0.0)
            if self.smoothing == "stupid_backoff":
                longer = np.where(own > 0, own, self.settings["alpha"] * p)
            else:
                below = floor if self.smoothing in LONGEST_ONLY else p
                longer = np.where((contexts >= 0) & seen[contexts], own + passed_on[contexts] * below, below)
            p[n - 1 :] = longer[n - 1 :]  # the first tokens have fewer than n - 1 before them
        return p

    def log2_probs(self, tokens: Int[np.ndarray, " tokens"]) -> Float[np.ndarray, " tokens"]:
        """log2 of the probability of each token given all tokens before it: minus its cost in bits.

        The first tokens have a shorter context. "mle" gives -inf to what it never counted, also where
        it never met the context. Raises ValueError for "stupid_backoff", whose scores are none.
        """
        self._require("log2_probs")
        with np.errstate(divide="ignore"):
            return np.log2(self.scores(tokens))

    def distribution(self, context: Int[np.ndarray, " context"] = ()) -> Float[np.ndarray, " vocab"]:
        """The probability of every token after `context`, of which the last order - 1 tokens count.

        For "mle" a context that was never followed by anything is 0/0: every distribution fits it
        equally well, and the uniform one is returned so that sampling can go on.
        """
        self._require("distribution")
        context = self._last(context)
        uniform = p = np.full(self.vocab_size, 1 / self.vocab_size)
        for n, context_id in enumerate(ending_ids(self._tables, context)):
            direct, passed_on, seen = self._levels[n]
            if context_id < 0 or not seen[context_id]:
                continue
            if self.smoothing in LONGEST_ONLY:
                if n < len(context):
                    continue
                p = uniform
            followers, ids = self._tables[n].followers(context_id)
            p = passed_on[context_id] * p
            p[followers] += direct[ids]
        return p

    def shares(self, context: Int[np.ndarray, " context"] = ()) -> Float[np.ndarray, " order+1"]:
        """Who answers after `context`: the share of the uniform distribution [0] and of the counts of each
        order [1] to [order]. They sum to 1."""
        self._require("distribution")
        context = self._last(context)
        shares, left = np.zeros(self.order + 1), 1.0
        for n, context_id in reversed(list(enumerate(ending_ids(self._tables, context)))):
            _, passed_on, seen = self._levels[n]
            if context_id >= 0 and seen[context_id]:
                shares[n + 1] = left * (1 - passed_on[context_id])
                left *= passed_on[context_id]
            if self.smoothing in LONGEST_ONLY:
                break
        shares[0] = left
        return shares

    def counts(self, context: Int[np.ndarray, " context"] = ()) -> Int[np.ndarray, " vocab"]:
        """How often each token followed the last order - 1 tokens of `context` in the training text."""
        self._require("counts")
        context = self._last(context)
        counts = np.zeros(self.vocab_size, dtype=np.int64)
        context_id, table = ending_ids(self._tables, context)[-1], self._tables[len(context)]
        if context_id >= 0:
            followers, ids = table.followers(context_id)
            counts[followers] = table.counts[ids]
        return counts

    def _last(self, context) -> Int[np.ndarray, " context"]:
        return self._check_tokens(context[max(0, len(context) - self.order + 1) :])

    # ---- measuring and sampling ----------------------------------------------------------------

    def perplexity(self, tokens: Int[np.ndarray, " tokens"]) -> float:
        """2 to the mean bits a token: as unsure as a fair choice among that many. inf if one has p = 0."""
        self._require("perplexity")
        return float(2 ** self.bits_per_byte(tokens))

    def bits_per_byte(self, tokens: Int[np.ndarray, " tokens"], n_bytes: int | None = None) -> float:
        """Bits to write `tokens` down, over the bytes of the text they stand for (default: one each).

        Raises ValueError if there is no token.
        """
        if len(tokens) == 0:
            raise ValueError("there is no token to score: the text is empty")
        return float(-self.log2_probs(tokens).sum() / (len(tokens) if n_bytes is None else n_bytes))

    def sample(
        self, n: int, context: Int[np.ndarray, " context"] = (), generator: np.random.Generator | None = None
    ) -> Int[np.ndarray, " n"]:
        """n tokens drawn one after the other, each from `distribution` of what stands before it."""
        generator = generator or np.random.default_rng()
        tokens = list(context)
        for _ in range(n):
            cumulative = np.cumsum(self.distribution(tokens))
            draw = generator.random() * cumulative[-1]
            tokens.append(int(np.searchsorted(cumulative, draw, side="right")))
        return np.array(tokens[len(context) :], dtype=np.int64)

    @property
    def entries(self) -> list[int]:
        """How many different n-grams are stored, by order from 1: what a count model has for parameters."""
        return [len(table.keys) for table in self._tables]

    @property
    def megabytes(self) -> float:
        """The size of all tables in memory."""
        arrays = [array for table in self._tables for array in vars(table).values()]
        arrays += [array for level in self._levels for array in level]
        return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray)) / 1e6
