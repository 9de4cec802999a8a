"""The corruption builder: what five objectives let be read, and ask to be written, of one sentence."""

import textwrap
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, Flag, OneOf, Some, Whole
from course_utils.widgets.words import percent, phrase, plural, shortened, signs

MAX_TOKENS = 32  # of a sentence: more can't be taken in
DRAWS = 1000
RATES = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
LONGEST_MEAN = 6
SENTINELS = [f"<{letter}>" for letter in "XYZABCDEFGHIJKLMNOPQRSTUVW"]
MASK, END = "[MASK]", "</s>"
PRINTED = 96  # characters in a line of the static picture

Span = tuple[int, int]  # the first place, and the one after the last
Corrupted = dict[str, tuple[list[int], list[int]]]


class CorruptionBuilder(Widget):
    """A sentence in which spans are hidden; and for five objectives at once what the encoder reads, what the
    decoder must write, and what that costs beside writing the whole text.

        from course_utils.seq2seq.corruptions import corruptions, drawn_spans
        from course_utils.seq2seq.objectives import put_together

        tokens = "Thank you for inviting me to your party last week .".split()
        CorruptionBuilder(tokens, corruptions, drawn_spans, put_together, spans=[(2, 4), (8, 9)])

    tokens: 2 to 32 texts. The learner hides some of them by hand, or lets the rule draw.
    corruptions: from (ids, spans, cut, sentinels, mask) to {objective: (source, target)} without ends, as
        `seq2seq.corruptions` has it. The page computes the same, so that no hand waits for the kernel.
    draw: from (n, rate, mean_span, seed) to spans; those that touch are shown as one.
    put_together: from (source, target, sentinels) to the text, the inverse of span corruption.
    spans: the first place and the one after the last of each that is hidden at the start, in order; one of
        length 0 inserts a mask. If not given, they are drawn. cut: how many tokens prefix LM reads; half.

    An end is added to each source and target, and counted. Raises ValueError for fewer or more tokens, for
    spans out of order, and for spans or a cut outside the text.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        corruptions: Callable[[list[int], list[Span], int, list[int], int], Corrupted],
        draw: Callable[[int, float, int, int], list[Span]],
        put_together: Callable[[list[int], list[int], list[int]], list[int]],
        spans: Sequence[Span] | None = None,
        cut: int | None = None,
    ):
        n = len(tokens)
        if isinstance(tokens, str) or not 2 <= n <= MAX_TOKENS:
            got = "one text: cut it first" if isinstance(tokens, str) else n
            raise ValueError(f"a sentence has 2 to {MAX_TOKENS} tokens, which can be taken in; got {got}")
        self._tokens, self._ids = list(tokens), list(range(n))  # a token's id is its place
        self._sentinels, self._mask = list(range(n, n + len(SENTINELS))), n + len(SENTINELS)
        self._names = [*self._tokens, *SENTINELS, MASK]
        self._corruptions, self._put_together = corruptions, put_together

        def places(seed: int, rate: float, mean: int) -> tuple[list[int], list[int]]:
            return hidden_places(draw(n, rate, mean, seed))

        begin = {} if cut is None else {"cut": cut}
        if spans is not None:
            self._corrupted(spans, 0)  # refuses what is no list of spans
            begin |= dict(zip(("hidden", "masks"), hidden_places(spans), strict=True))
        drawn = "draw", "rate", "mean"
        super().__init__(
            begin,
            draw=Whole(0, DRAWS - 1),
            rate=OneOf(RATES, start=0.15),
            mean=Whole(1, LONGEST_MEAN, start=3),
            hidden=After(*drawn, lambda *how: Some(range(n), start=places(*how)[0])),
            masks=After(
                *drawn, lambda *how: Some(range(n + 1), start=places(*how)[1])
            ),  # inserted, before it
            cut=Whole(0, n - 1, start=n // 2),
            focus=Whole(0, n),  # n is the end
            together=Flag(),
        )

    def _corrupted(self, spans: Sequence[Span], cut: int) -> Corrupted:
        return self._corruptions(self._ids, spans, cut, self._sentinels, self._mask)

    def compute(self, state: dict) -> Corrupted:
        hidden = set(state["hidden"])
        # within a span there is one mask already
        state["masks"] = [i for i in state["masks"] if not {i - 1, i} <= hidden]
        return self._corrupted(spans_of(state["hidden"], state["masks"]), state["cut"])

    def cost(self, name: str) -> float:
        """The tokens that the decoder writes, its end included, beside those of the whole text."""
        return (len(self.found[name][1]) + 1) / (len(self._tokens) + 1)

    # ---- what is seen ------------------------------------------------------------------------------

    def constants(self) -> dict:
        return {"tokens": self._tokens, "sentinels": SENTINELS, "mask": MASK, "end": END, "draws": DRAWS}

    def describe(self) -> str:
        n, hidden, masks = len(self._tokens), self.state["hidden"], self.state["masks"]
        spans = len(spans_of(hidden, []))
        more = f", and {plural(len(masks), 'mask')} inserted" if masks else ""
        lengths = ", ".join(
            f"{name} {len(source) + 1} and {len(target) + 1} ({percent(self.cost(name))})"
            for name, (source, target) in self.found.items()
        )
        together = ""
        if self.state["together"]:
            source, target = self.found["span corruption"]
            same = source if not hidden else self._put_together(source, target, self._sentinels)
            is_text = "equal the text" if same == self._ids else "do not equal the text"
            together = f" Put together again, span corruption's source and target {is_text}."
        text = phrase(shortened(" ".join(self._tokens), 120))
        return (
            f"{text}: {len(hidden)} of {plural(n, 'token')} hidden in {plural(spans, 'span')}{more}. "
            "Tokens that the encoder reads and the decoder writes, ends counted, with the share of writing "
            f"the whole text: {lengths}.{together}"
        )

    def picture(self, figure: Figure) -> None:
        """Source and target of each objective, in print."""
        lines = []
        for name, (source, target) in self.found.items():
            lines.append((name, "bold"))
            for verb, ids in (("encoder reads ", source), ("decoder writes", target)):
                text = " ".join([*(signs(self._names[i])[:24] for i in ids), END])
                said = f"{verb} {len(ids) + 1:>2}  {text}"
                wrapped = textwrap.wrap(said, PRINTED, subsequent_indent=19 * " ", break_on_hyphens=False)
                lines += [(line, "normal") for line in wrapped]
        figure.set_size_inches(8.6, 0.3 + 0.19 * len(lines))
        axes = figure.add_subplot(xlim=(0, 1), ylim=(len(lines) - 0.5, -0.5))
        axes.axis("off")
        for y, (line, weight) in enumerate(lines):
            axes.text(0, y, line, fontsize=8, family="monospace", weight=weight, va="center")


def spans_of(hidden: list[int], masks: list[int]) -> list[Span]:
    """Hidden places as spans, each as long as it can be, and inserted masks as spans of length 0."""
    starts = [i for i in hidden if i - 1 not in hidden]
    ends = [i + 1 for i in hidden if i + 1 not in hidden]
    return sorted([*zip(starts, ends, strict=True), *((i, i) for i in masks)])


def hidden_places(spans: Sequence[Span]) -> tuple[list[int], list[int]]:
    """The inverse: the places in spans, and those of length 0."""
    hidden = [i for start, end in spans for i in range(start, end)]
    return hidden, [start for start, end in spans if start == end]
