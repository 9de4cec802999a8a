"""The n-gram explorer: what counting says comes next, and how much of a sampled text is copied."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer
from course_utils.widgets.base import Widget
from course_utils.widgets.provenance import CopiedRun, fewest_runs, longest_at, tracer
from course_utils.widgets.state import OneOf, Text, Whole
from course_utils.widgets.words import BYTES, percent, plural, quoted, signs, visible

TOP = 8  # next tokens that get a bar of their own; all others share one, with their number and sum
MAX_CONTEXT = 200  # characters: far more than any order looks at
MAX_SAMPLE = 1000
FULL_COLOUR = 24  # a copied run of this length or more has the last colour, here and in the .js


class Found(NamedTuple):
    """What follows from a state: a row an order, and the sample with its copied runs."""

    rows: list[dict]
    sample: dict


NextTokens = Callable[[str, int], tuple[list[str], np.ndarray, np.ndarray]]


class NGramExplorer(Widget):
    """Type a context; see by order what was counted after it; sample, and see what was copied.

    next_tokens(context, order): the V tokens as strings, their V probabilities, and how often each came
        after the last order - 1 tokens of the context. Or {name: function}: the learner chooses one.
    sample(context, order, n, seed): n tokens that go on from the context, as one string. Or {name: ...}.
    copied(text): the (start, length, title) of the runs that are copied from the training text.
    shares(context, order): how much of the probability comes from the uniform distribution [0] and from the
        counts of each order [1] to [order]; they sum to 1. Or {name: ...}. Without it the widget shows
        which orders were counted, not how they are weighed.
    split(context): the tokens of a context as strings; the default is one a character.
    unit: what one token is called.

    A byte that is no character on its own comes as a lone surrogate (errors="surrogateescape") and is
    shown as ‹C3›. Raises ValueError for an order, n, seed or model that is none of those offered.
    """

    def __init__(
        self,
        next_tokens: NextTokens | dict[str, NextTokens],
        sample: Callable | dict[str, Callable],
        copied: Callable[[str], list[CopiedRun]],
        *,
        shares: Callable | dict[str, Callable] | None = None,
        split: Callable[[str], list[str]] = list,
        orders: Iterable[int] = range(1, 9),
        context: str = "To be, or not to ",
        order: int = 5,
        n: int = 200,
        seed: int = 1,
        unit: str = "character",
    ):
        self._next_tokens, self._sample, self._shares = map(_by_name, (next_tokens, sample, shares))
        self._copied, self._split, self._unit = copied, split, unit
        self._orders = sorted(orders, reverse=True)
        super().__init__(
            context=Text(MAX_CONTEXT, start=context, why=", and no order looks at more"),
            order=OneOf(self._orders, start=order),
            model=OneOf(self._next_tokens),
            n=Whole(1, MAX_SAMPLE, start=n),
            seed=Whole(0, 2**32 - 1, start=seed),
        )

    # ---- what is found -------------------------------------------------------------------------

    def compute(self, state: dict) -> Found:
        tokens = self._split(state["context"])
        return Found([self._row(order, tokens, state) for order in self._orders], self._sampled(state))

    def _row(self, order: int, tokens_before: list[str], state: dict) -> dict:
        """What one order looks at, and its distribution: the top few, and the sum of all others."""
        row = {
            "order": order,
            "used": [visible(token) for token in tokens_before[max(0, len(tokens_before) - order + 1) :]],
        }
        try:
            tokens, p, counts = self._next_tokens[state["model"]](state["context"], order)
            p, counts = np.asarray(p, dtype=float), np.asarray(counts)
            if not len(tokens) == len(p) == len(counts) or not len(tokens):
                raise ValueError(f"got {len(tokens)} tokens, {len(p)} probabilities, {len(counts)} counts")
            if not (np.all(p >= 0) and np.isclose(p.sum(), 1)):  # also false for NaN
                raise ValueError(f"probabilities are at least 0 and sum to 1; these sum to {p.sum():.4g}")
            shares = self._shares.get(state["model"])
            row["shares"] = [float(s) for s in shares(state["context"], order)] if shares else None
            row["problem"] = ""
        except Exception as error:  # the functions may be a learner's own: the other rows still draw
            tokens, p, counts = [], np.zeros(0), np.zeros(0, dtype=int)
            row |= {"shares": None, "problem": visible(f"{error}" or type(error).__name__)}
        top = [i for i in np.lexsort((-counts, -p))[:TOP] if p[i] > 0]
        return row | {
            "seen": int(counts.sum()),
            "followers": int(np.count_nonzero(counts)),
            "tokens": [visible(tokens[i]) for i in top],
            "probabilities": [float(p[i]) for i in top],
            "counts": [int(counts[i]) for i in top],
            "others": {
                "tokens": len(tokens) - len(top),
                "probability": max(0.0, float(p.sum() - p[top].sum())),
                "count": int(counts.sum() - counts[top].sum()),
            },
        }

    def _sampled(self, state: dict) -> dict:
        """A sample, cut into pieces that each lie in one longest copied run, and what can be said of it."""
        sample = {"order": state["order"], "given": visible(state["context"][-60:]), "pieces": []}
        sample["heading"] = f"Order {state['order']} writes on"
        try:
            text = self._sample[state["model"]](state["context"], state["order"], state["n"], state["seed"])
            runs = [CopiedRun(*run) for run in self._copied(text)]
        except Exception as error:
            return sample | {"verdict": visible(f"There is no sample: {error}")}
        longest = max(runs, key=lambda run: run.length, default=None)
        at = longest_at(runs, len(text))
        borders = [0, *(i for i in range(1, len(text)) if at[i] != at[i - 1]), len(text)]
        for start, end in pairwise(borders):
            run = at[start] or CopiedRun(start, end - start, "")  # copied from nowhere
            piece = {
                "text": visible(text[start:end]),
                "width": end - start,
                "run": visible(text[run.start : run.end]),
                "length": run.length if at[start] else 0,
                "title": visible(run.title),
                "longest": at[start] is not None and run == longest,
            }
            sample["pieces"].append(piece)
        return sample | {"verdict": _verdict(text, runs, longest)}

    # ---- what is seen --------------------------------------------------------------------------

    def constants(self) -> dict:
        return {"unit": self._unit, "caption": self._caption(), "weighed": bool(self._shares)}

    def view(self) -> dict:
        return {"rows": self.found.rows, "sample": self.found.sample}

    def _caption(self) -> list[tuple[str, str]]:
        """The words that the learner meets, each with what it means."""
        unit = self._unit
        meaning = " (a letter, a blank, a mark)" if unit in ("byte", "character") else ""
        caption = [
            (
                "Order",
                f" n looks at the last n − 1 {unit}s{meaning}, and at what came next when they were seen.",
            )
        ]
        if self._shares:
            caption.append(
                ("Share:", " how much of the answer that order's counts give. What is left goes down")
            )
            caption.append(("", "to the order below, which looks at less."))
        return caption

    def describe(self) -> str:
        row = next(row for row in self.found.rows if row["order"] == self.state["order"])
        best = [
            f"{quoted(t)} {percent(p)}" for t, p in zip(row["tokens"][:3], row["probabilities"], strict=False)
        ]
        looks_at = quoted("".join(row["used"])) if row["used"] else "no context"
        seen = f"counted {row['seen']:,} times in training" if row["seen"] else "never counted in training"
        sentence = f"Order {row['order']} looks at {looks_at}, {seen}; "
        sentence += row["problem"] or f"most likely next: {', '.join(best)}"
        if others := row["others"]["tokens"] + len(row["tokens"]) - len(best):
            sentence += f", and {others:,} others {percent(max(0.0, 1 - sum(row['probabilities'][:3])))}"
        return f"{sentence}. {self.found.sample['verdict']}"

    def picture(self, figure: Figure) -> None:
        strips, ribbon = figure.subplots(2, 1, height_ratios=[3, 2])
        strips.set_title(f"What comes next after {quoted(self.state['context'][-40:])}, by order", loc="left")
        for row in self.found.rows:
            left = 0.0
            for token, p in zip(row["tokens"], row["probabilities"], strict=True):
                strips.barh(row["order"], p, left=left, color="#0072b2", edgecolor="white", height=0.8)
                if p > 0.03:
                    strips.text(
                        left + p / 2,
                        row["order"],
                        signs(token)[: int(p * 80)],
                        color="white",
                        ha="center",
                        va="center",
                    )
                left += p
            strips.barh(
                row["order"], 1 - left, left=left, color="white", edgecolor="0.7", hatch="///", height=0.8
            )
            seen = f"{row['seen']:,} ×" if row["seen"] else "never seen"
            strips.text(1.01, row["order"], seen, va="center")
        strips.set(
            xlim=(0, 1), yticks=self._orders, ylabel="order", xlabel="probability (hatched: all others)"
        )
        strips.spines[["top", "right"]].set_visible(False)

        sample = self.found.sample
        lengths = [piece["length"] for piece in sample["pieces"] for _ in range(piece["width"])]
        ribbon.set_title(
            f"Copied runs in a sample of order {sample['order']}, longest {max(lengths, default=0)}",
            loc="left",
        )
        if lengths:
            image = ribbon.imshow([lengths], aspect="auto", cmap="cividis", vmin=1, vmax=FULL_COLOUR)
            figure.colorbar(image, ax=ribbon, label="characters")
        ribbon.set(yticks=[], xlabel="character of the sample")


def _by_name(functions) -> dict[str, Callable]:
    """One function or several by name, as a dict."""
    return functions if isinstance(functions, dict) else {"": functions} if functions else {}


def _verdict(text: str, runs: list[CopiedRun], longest: CopiedRun | None) -> str:
    """What is copied in a sample and what is new, in numbers."""
    if longest is None:
        return f"Nothing of the sample's {len(text)} characters stands in the training text."
    run = quoted(text[longest.start : longest.end])
    pieces = fewest_runs(runs)
    nowhere = sum(run is None for run in longest_at(runs, len(text)))
    new = plural(nowhere, "character")
    return (
        f"Longest run copied: {plural(longest.length, 'character')}, from {visible(longest.title)}: {run}. "
        f"The {plural(len(text), 'character')} can be put together from {pieces} copied runs. What is new "
        f"is how they are joined: no run of {longest.length + 1} or more characters is copied"
        + (f", and {new} can be found nowhere in the training text." if nowhere else ".")
    )


def from_models(
    models: dict[int, NGramModel] | dict[str, dict[int, NGramModel]], texts: dict[str, str], **settings
) -> NGramExplorer:
    """The explorer of fitted models of bytes, {order: model}, and of the texts {title: text} they counted.

    models may also be {name: {order: model}}: the learner chooses a smoothing by its name.
    settings: what NGramExplorer takes, such as context, order, n and seed.
    """
    by_name = models if isinstance(next(iter(models.values())), dict) else {"": models}
    bytes_ = ByteTokenizer()

    def next_tokens(models: dict[int, NGramModel], context: str, order: int):
        ids = bytes_.encode(context)
        return BYTES, models[order].distribution(ids), models[order].counts(ids)

    def sample(models: dict[int, NGramModel], context: str, order: int, n: int, seed: int) -> str:
        ids = models[order].sample(n, bytes_.encode(context), np.random.default_rng(seed))
        return bytes_.decode(ids, errors="surrogateescape")

    def shares(models: dict[int, NGramModel], context: str, order: int):
        return models[order].shares(bytes_.encode(context))

    def each(function) -> dict[str, Callable]:
        return {name: partial(function, models) for name, models in by_name.items()}

    return NGramExplorer(
        each(next_tokens),
        each(sample),
        tracer(texts),
        shares=each(shares),
        split=lambda context: [BYTES[i] for i in bytes_.encode(context)],
        orders=next(iter(by_name.values())),
        unit="byte",
        **settings,
    )
