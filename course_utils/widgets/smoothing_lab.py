"""The smoothing lab: what each smoothing takes from what was counted, and whom it gives it to."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from course_utils.ngrams import NGramModel
from course_utils.ngrams.counting import NGramTable, count_ngrams, ending_ids
from course_utils.tokenizers import ByteTokenizer
from course_utils.widgets.base import Widget
from course_utils.widgets.state import OneOf, Some, Text
from course_utils.widgets.words import BYTES, plural, quoted

# the methods beside each other: what each is called, and the setting that a slider moves
METHODS = {
    "add_k": ("add-k", "k"),
    "interpolated": ("interpolation", None),
    "absolute": ("absolute discounting", "discount"),
    "kneser_ney": ("Kneser-Ney", "discount"),
    "modified_kneser_ney": ("modified Kneser-Ney", None),
}
# what stands in the place of a setting where there is none
FIXED = {
    "interpolated": "weights fitted to the held-out text",
    "modified_kneser_ney": "three discounts an order, from the counts",
}
# where a slider can stand: six round numbers a decade, then steps of 0.05
STOPS = {
    "k": [float(f"{m}e{e}") for e in range(-3, 1) for m in (1, 1.5, 2, 3, 5, 7)] + [10.0],
    "discount": [i / 20 for i in range(1, 21)],
}
MAX_CONTEXT = 200  # characters: far more than any order looks at
MAX_ORDER = 5
ROWS, SEEN_ROWS = 12, 8  # tokens that get bars of their own, and how many of them at most were seen
HARDLY = 0.0005  # less would be written 0.000
HELD_OUT_BYTES = 50_000  # of a held-out text: all curves of orders 2 to 5 then take about 3 s

Counts = Int[np.ndarray, " vocab"]
Bits = Float[np.ndarray, " stops"]


class SmoothingLab(Widget):
    """Smoothings side by side on one context: the mass that each moves, and its bits on held-out text.

    tokens: the V tokens as strings.
    counted(context, order): for each order from 1 up to the longest that the context fills, how often each of
        the V tokens came next, and that count as Kneser-Ney takes it (continuation counts below `order`).
    distribution(method, context, order, settings): the V probabilities, settings being {"k": ..,
        "discount": ..}. JavaScript computes the same from `counted`, so that dragging waits for no kernel.
    estimated: {order: (weights, discounts)}: by order from 1, the weights of "interpolated" and the discounts
        (of a count of 1, of 2, of 3 or more) of "modified_kneser_ney".
    held_out: {order: {method: bits a token}}, at each of the STOPS of its setting; one number without any.
    held_out_name: what the held-out text is.
    split(context): the tokens of a context as strings; the default is one a character.
    examples: contexts on buttons, {what it is: context}; the first is the one that the lab begins with.

    Raises ValueError for an order, method or setting that is none of those offered.
    """

    def __init__(
        self,
        tokens: list[str],
        counted: Callable[[str, int], list[tuple[Counts, Counts]]],
        distribution: Callable[[str, str, int, dict], Float[np.ndarray, " vocab"]],
        estimated: dict[int, tuple[list, list]],
        held_out: dict[int, dict[str, Bits]],
        *,
        held_out_name: str = "held-out text",
        split: Callable[[str], list[str]] = list,
        examples: dict[str, str],
        order: int = 3,
        methods: tuple[str, ...] = ("add_k", "absolute", "kneser_ney"),
        k: float = 0.1,
        discount: float = 0.75,
        unit: str = "byte",
    ):
        self._tokens, self._counted, self._distribution = tokens, counted, distribution
        self._estimated, self._held_out, self._held_out_name = estimated, held_out, held_out_name
        self._split, self._examples, self._unit = split, examples, unit
        start = next(iter(examples.values()))
        super().__init__(
            context=Text(MAX_CONTEXT, start=start, why=", and no order looks at more"),
            order=OneOf(held_out, start=order),
            methods=Some(METHODS, start=methods),
            k=OneOf(STOPS["k"], start=k),
            discount=OneOf(STOPS["discount"], start=discount),
        )

    def compute(self, state: dict) -> list[tuple[Counts, Counts]]:
        return self._counted(state["context"], state["order"])

    # ---- what follows from what was counted ------------------------------------------------------

    @property
    def counts(self) -> Counts:
        """How often each token came after the context: all that maximum likelihood knows."""
        return self.found[-1][0]

    def _used(self) -> list[str]:
        """The tokens of the context that the order looks at."""
        tokens = self._split(self.state["context"])
        return tokens[max(0, len(tokens) - self.state["order"] + 1) :]

    def rows(self) -> list[dict]:
        """All V tokens, in rows: the commonest after the context and the other seen ones; then some that
        never came after it, common elsewhere, the rarest of all, and the other unseen ones."""
        everywhere, counts = self.found[0][0], self.counts
        seen = [i for i in np.lexsort((-everywhere, -counts)) if counts[i]]
        unseen = [i for i in np.argsort(-everywhere, kind="stable") if not counts[i]]
        top = seen[:SEEN_ROWS]
        printable = [i for i in unseen if self._tokens[i].isprintable()] or unseen
        rarest = min(printable, key=lambda i: everywhere[i], default=None)
        own = [i for i in unseen if i != rarest][: ROWS - len(top) - 1] + [rarest] * bool(unseen)
        rows = []
        for what, shown, others in [
            ("seen", top, seen[SEEN_ROWS:]),
            ("unseen", own, [i for i in unseen if i not in own]),
        ]:
            rows += [{"name": self._tokens[i], "what": what, "ids": [int(i)]} for i in shown]
            if others:
                name = f"the other {len(others):,} {what}"
                rows.append({"name": name, "what": what, "ids": [int(i) for i in others], "rest": True})
        return rows

    def probabilities(self, method: str) -> Float[np.ndarray, " vocab"]:
        """The distribution of a method after the context, as the sliders stand."""
        settings = {name: self.state[name] for name in STOPS}
        return self._distribution(method, self.state["context"], self.state["order"], settings)

    def bits(self, method: str) -> float:
        """Bits a token of a method on held-out text, as the sliders stand."""
        bits, setting = self._held_out[self.state["order"]][method], METHODS[method][1]
        return float(bits[STOPS[setting].index(self.state[setting]) if setting else 0])

    def moved(self, method: str) -> str:
        """What a method takes from maximum likelihood, from how many tokens, and who gets it."""
        change = self.probabilities(method) - self.counts / self.counts.sum()
        seen, unit = self.counts > 0, self._unit
        losers, winners = change < -1e-12, seen & (change > 1e-12)
        if not losers.any():
            return "nothing moved"
        taken, kept = -change[losers].sum(), change[winners].sum()
        loser = plural(losers.sum(), f"seen {unit}")
        if taken < HARDLY:
            return f"under 0.001 moved, from {loser}"
        gainers = plural((~seen).sum(), "unseen one")
        if kept < HARDLY:
            return f"{taken:.3f} taken from {loser} and given to {gainers}"
        others = plural(winners.sum(), "other seen one")
        return (
            f"{taken:.3f} taken from {loser}; {kept:.3f} of it given to {others}, "
            f"{taken - kept:.3f} to {gainers}"
        )

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {
            "tokens": list(self._tokens),
            "held_out_name": self._held_out_name,
            "names": {method: name for method, (name, _) in METHODS.items()},
            "settings": {method: setting for method, (_, setting) in METHODS.items()},
            "instead": FIXED,
            "examples": self._examples,
            "unit": self._unit,
        }

    def view(self) -> dict:
        weights, discounts = self._estimated[self.state["order"]]
        held_out = self._held_out[self.state["order"]]
        return {
            "used": list(self._used()),
            "rows": self.rows(),
            "levels": [_sparse(*level) for level in self.found],
            "weights": weights,
            "discounts": discounts,
            "held_out": {method: list(map(float, bits)) for method, bits in held_out.items()},
        }

    def strength(self, method: str) -> str:
        """Where a method's slider stands, or what it has instead."""
        setting = METHODS[method][1]
        if setting is None:
            return FIXED[method]
        return f"{'D' if setting == 'discount' else 'k'} = {self.state[setting]:g}"

    def describe(self) -> str:
        used, unit, total = self._used(), self._unit, int(self.counts.sum())
        sentence = f"Order {self.state['order']} after {quoted(''.join(used)) if used else 'no context'}"
        if total:
            best = int(self.counts.argmax())
            followers = plural(np.count_nonzero(self.counts), f"different {unit}")
            sentence += (
                f", counted {plural(total, 'time')}, with {followers} next; maximum likelihood gives "
                f"{quoted(self._tokens[best])} {100 * self.counts[best] / total:.1f} %"
            )
        else:
            sentence += ", never counted: maximum likelihood has no answer (0 / 0)"
        for method in self.state["methods"]:
            bits = self.bits(method)
            strength = f" ({self.strength(method)})" if METHODS[method][1] else ""
            moved = f"{self.moved(method)}; " if total else ""
            sentence += (
                f". {METHODS[method][0]}{strength}: {moved}held-out text costs "
                f"{bits:.3f} bits per {unit}, perplexity {2**bits:.2f}"
            )
        return f"{sentence}."

    def picture(self, figure: Figure) -> None:
        methods, rows, total = self.state["methods"], self.rows(), self.counts.sum()
        used = quoted("".join(self._used())) if self._used() else "nothing"
        axes = figure.add_subplot()
        axes.set_title(f"Order {self.state['order']}: what comes next after {used}", loc="left", pad=14)
        if not methods:
            return
        mle = np.tile(_by_row(self.counts / max(total, 1), rows), len(methods))
        p = np.concatenate([_by_row(self.probabilities(method), rows) for method in methods])
        kept = np.minimum(p, mle) if total else p
        # one column a method, in one set of axes: five sets take five times as long
        width = max(p.max(), mle.max())
        places, left = np.tile(np.arange(len(rows)), len(methods)), np.arange(len(methods)) * 1.2 * width
        starts = np.repeat(left, len(rows))
        for start, length, style in [
            (starts, kept, {"color": "#0072b2"}),
            (starts + kept, p - kept, {"color": "white", "edgecolor": "#b35c00", "hatch": "xxxx"}),
            (starts + p, mle - p, {"color": "white", "edgecolor": "#0072b2", "hatch": "////"}),
            (starts, mle, {"color": "none", "edgecolor": "black", "linewidth": 1}),
        ]:
            drawn = length > width / 1000
            axes.barh(places[drawn], length[drawn], left=start[drawn], **{"linewidth": 0} | style)
        names = [
            f"{METHODS[method][0]}\n{self.strength(method) if METHODS[method][1] else 'fitted'}\n"
            f"{self.bits(method):.3f} bits per {self._unit}"
            for method in methods
        ]
        labels = [row["name"] if row.get("rest") else quoted(row["name"])[1:-1] for row in rows]
        axes.set_xticks(left, names, ha="left", fontsize=8)
        axes.set_yticks(range(len(rows)), labels, fontsize=9)
        axes.set_xlim(0, left[-1] + 1.2 * width)
        axes.set_xlabel(
            f"the longest bar is {100 * width:.0f} %. Outline: as counted; /// taken from it; xxx given"
        )
        axes.vlines(left, -0.5, len(rows) - 0.5, color="black", linewidth=1)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_ylim(len(rows) - 0.5, -0.5)


def _by_row(p: Float[np.ndarray, " vocab"], rows: list[dict]) -> Float[np.ndarray, " rows"]:
    return np.array([p[row["ids"]].sum() for row in rows])


def _sparse(counts: Counts, kneser_ney: Counts) -> dict:
    """One order's counts for JavaScript: only the tokens that were counted."""
    tokens = np.flatnonzero(counts)
    return {
        "tokens": tokens.tolist(),
        "counts": counts[tokens].tolist(),
        "kneser_ney": kneser_ney[tokens].tolist(),
    }


EXAMPLES = {"rare": "sphinx", "common": " the", "unheard-of": "adz"}


def from_text(texts: dict[str, str], held_out: str, **settings) -> SmoothingLab:
    """The lab on texts {title: text}, counted as bytes up to order 5, and on a text that is not counted."""
    bytes_ = ByteTokenizer()
    tables = count_ngrams([bytes_.encode(text) for text in texts.values()], MAX_ORDER, bytes_.vocab_size)
    return from_tables(tables, held_out, **settings)


def from_tables(
    tables: list[NGramTable], held_out: str, held_out_name: str = "held-out text", **settings
) -> SmoothingLab:
    """The lab on what `counting.count_ngrams` counted of bytes, orders 2 to 5 or as many as there are tables.

    held_out: text that was not counted, called held_out_name; its first 50,000 bytes are scored, and
        interpolation's weights are estimated on them.
    settings: what SmoothingLab takes, such as examples, order, methods, k and discount.
    Raises ValueError for fewer than 2 tables or an empty held_out.
    """
    if len(tables) < 2 or not held_out:
        raise ValueError(
            f"the lab needs tables of order 1 and 2 at least, and a held-out text; "
            f"got {len(tables)} tables and {len(held_out)} characters"
        )
    bytes_ = ByteTokenizer()
    test = bytes_.encode(held_out)[:HELD_OUT_BYTES]
    orders = range(2, min(MAX_ORDER, len(tables)) + 1)
    # continuation counts: how many different tokens has each n-gram followed?
    continuations = [
        np.bincount(above.suffixes, minlength=len(table.keys)) for table, above in pairwise(tables)
    ]

    def fit(method: str, order: int, strength: float | None = None) -> NGramModel:
        setting = METHODS[method][1]
        given = {setting: strength} if setting else {}
        return NGramModel(order, method, **given).fit_tables(tables, test)

    ready = {(m, n): fit(m, n) for m, (_, setting) in METHODS.items() for n in orders if not setting}

    def counted(context: str, order: int) -> list[tuple[Counts, Counts]]:
        levels = []
        ids = ending_ids(tables, bytes_.encode(context)[-(order - 1) :])
        for n, context_id in enumerate(ids):
            counts, kneser_ney = np.zeros((2, bytes_.vocab_size), dtype=np.int64)
            if context_id >= 0:
                followers, grams = tables[n].followers(context_id)
                counts[followers] = tables[n].counts[grams]
                kneser_ney[followers] = (tables[n].counts if n == order - 1 else continuations[n])[grams]
            levels.append((counts, kneser_ney))
        return levels

    def distribution(method: str, context: str, order: int, at: dict) -> Float[np.ndarray, " vocab"]:
        model = ready.get((method, order)) or fit(method, order, at[METHODS[method][1]])
        return model.distribution(bytes_.encode(context))

    def curve(method: str, order: int) -> list[float]:
        setting = METHODS[method][1]
        models = (fit(method, order, stop) for stop in STOPS[setting]) if setting else [ready[method, order]]
        return [model.bits_per_byte(test) for model in models]

    return SmoothingLab(
        BYTES,
        counted,
        distribution,
        {
            n: (
                ready["interpolated", n].weights,
                [list(d[:3]) for d in ready["modified_kneser_ney", n].discounts],
            )
            for n in orders
        },
        {n: {method: curve(method, n) for method in METHODS} for n in orders},
        held_out_name=f"the first {len(test):,} bytes of {held_out_name}",
        split=lambda context: [BYTES[i] for i in bytes_.encode(context)],
        **{"examples": EXAMPLES, "order": min(3, len(tables))} | settings,
    )
