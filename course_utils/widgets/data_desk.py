"""The data desk: documents with what each filter says of them, to be overruled; and how right all that is."""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from course_utils.finetuning.tasks import wilson
from course_utils.pretraining.filters.judging import Judged
from course_utils.widgets.base import Widget
from course_utils.widgets.state import Flag, OneOf, Some, Whole
from course_utils.widgets.words import plural, readable, shortened

MOST = 300  # documents
MOST_FILTERS = 12
SHOWN, ALL_SHOWN = 1500, 240_000  # characters of a document, and of all: they cross to the page
KEPT, REMOVED, OVERRULED, WRONG = "kept", "removed", "overruled", "wrong"
TOGETHER = "all together"


class Counts(NamedTuple):
    """Of the documents that are `removed`, the truth of `known` is known, and `right` should go; of those
    that `should` go, `found` are removed."""

    removed: int
    known: int
    right: int
    should: int
    found: int


class DataDesk(Widget):
    """Page through documents, see why each is removed or kept, and overrule it.

        DataDesk(known_documents())

    documents: of `pretraining.filters.judging`, all judged by the same filters; 1 to 300.

    A document goes if a filter that acts has a reason, or if it is dropped by hand; what is kept by hand no
    filter removes. Where the truth is known each filter has its precision, of what it removed the share that
    should go, for whatever reason, and its recall, of what it is there to remove the share that it does; both
    with Wilson's interval. Raises ValueError for more or no documents, and for those of other filters.
    """

    def __init__(self, documents: list[Judged]):
        if not 1 <= len(documents) <= MOST:
            raise ValueError(
                f"the desk holds 1 to {MOST} documents; got {len(documents)}: take a sample of them"
            )
        self._documents, self._filters = documents, [*documents[0].reasons]
        if not 1 <= len(self._filters) <= MOST_FILTERS:
            raise ValueError(f"expected 1 to {MOST_FILTERS} filters; got {len(self._filters)}")
        for number, each in enumerate(documents, 1):
            if [*each.reasons] != self._filters or each.truth not in (None, "", *self._filters):
                raise ValueError(
                    f"expected of each document what {', '.join(self._filters)} say of it, and as its truth "
                    f'one of them, "" or None; document {number} has {", ".join(each.reasons)} and '
                    f"{each.truth!r}"
                )
        self._reasons = np.array([[bool(each.reasons[name]) for name in self._filters] for each in documents])
        self._knows = any(each.truth is not None for each in documents)
        lists = ["all", KEPT, REMOVED, OVERRULED, *[WRONG] * self._knows, *map(_removed_by, self._filters)]
        numbers = range(len(documents))
        super().__init__(
            list=OneOf(lists),
            at=Whole(0, len(documents) - 1),
            keep=Some(numbers, start=[]),
            drop=Some(numbers, start=[]),
            filters=Some(self._filters),
            told=Flag(),
        )

    # ---- arithmetic, the same in JavaScript --------------------------------------------------------

    def compute(self, state: dict) -> dict[str, Counts]:
        state["keep"] = [i for i in state["keep"] if i not in state["drop"]]
        state["told"] = state["told"] or state["list"] == WRONG
        n = len(self._documents)
        keep, drop = (np.isin(np.arange(n), state[hand]) for hand in ("keep", "drop"))
        acting = [name in state["filters"] for name in self._filters]
        known = np.array([each.truth is not None for each in self._documents])
        bad = np.array([bool(each.truth) for each in self._documents])

        def counts(removed, task) -> Counts:
            parts = (removed, removed & known, removed & bad, task, removed & task)
            return Counts(*(int(part.sum()) for part in parts))

        found = {}
        for name, reasons in zip(self._filters, self._reasons.T, strict=True):
            task = np.array([each.truth == name for each in self._documents])
            found[name] = counts(reasons & ~keep, task)
        by_filters = self._reasons[:, acting].any(axis=1)
        return found | {TOGETHER: counts(by_filters & ~keep | drop, bad)}

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        shown = min(SHOWN, ALL_SHOWN // len(self._documents))
        documents = [
            {
                "text": each.text[:shown],
                "more": max(len(each.text) - shown, 0),
                "source": each.source,
                "reasons": [each.reasons[name] or "" for name in self._filters],
                "truth": each.truth,
            }
            for each in self._documents
        ]
        return {"documents": documents, "filters": self._filters, "knows": self._knows}

    def describe(self) -> str:
        state, all_ = self.state, self.found[TOGETHER]
        overruled = len(state["keep"]) + len(state["drop"])
        hands = f" and {plural(overruled, 'verdict')} of yours" if overruled else ""
        said = (
            f"With {len(state['filters'])} of {plural(len(self._filters), 'filter')}{hands} "
            f"{all_.removed} of {plural(len(self._documents), 'document')} are removed"
        )
        if not self._knows:
            return f"{said}; what should go is not known."
        return (
            f"{said}: of these {with_interval(all_.right, all_.known)} should go, and of the {all_.should} "
            f"that should go {with_interval(all_.found, all_.should)} are removed."
        )

    def picture(self, figure: Figure) -> None:
        names = [*self._filters, TOGETHER][::-1]
        labels = [shortened(readable(name), 30) for name in names]
        figure.set_size_inches(7.6, 1.2 + 0.36 * len(names))
        places = np.arange(len(names))
        if not self._knows:
            axes = figure.add_subplot(xlabel=f"removed, of {plural(len(self._documents), 'document')}")
            axes.barh(places, [self.found[name].removed for name in names], color="#0072b2")
            axes.set_yticks(places, labels)
            return
        axes = figure.add_subplot(xlabel="share, with 95 % interval", xlim=(0, 1.02))
        looks = [("precision", "#0072b2", "o", 0.14, "right", "known")]
        looks += [("recall", "#e69f00", "D", -0.14, "found", "should")]
        for label, colour, mark, offset, k, n in looks:
            seen = [(place, getattr(self.found[name], k), getattr(self.found[name], n))
                    for place, name in zip(places, names, strict=True)]  # fmt: skip
            for place, k_seen, n_seen in seen:
                if n_seen:
                    axes.plot(wilson(k_seen, n_seen), [place + offset] * 2, color=colour)
            dots = [(k_seen / n_seen, place + offset) for place, k_seen, n_seen in seen if n_seen]
            if dots:
                axes.plot(*zip(*dots, strict=True), mark, color=colour, markeredgecolor="black", label=label)
        axes.set_yticks(places, labels)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower left", fontsize=8)


def _removed_by(name: str) -> str:
    return f"removed by {name}"


def with_interval(k: int, n: int) -> str:
    """A share with its interval: "75.0 % (30.1 to 95.4)"."""
    if not n:
        return "none"
    low, high = wilson(k, n)
    return f"{_percent(k / n)} % ({_percent(low)} to {_percent(high)})"


def _percent(p: float) -> str:
    return f"{100 * p + 1e-9:.1f}"  # 6.25 becomes 6.3, as in JavaScript
