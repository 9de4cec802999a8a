"""One held-out text, one chart, in bits per byte: every model of the course gets a point here.

The protocol. The text is The Tempest as `corpora.shakespeare()` gives it, and its sha256 travels with every
point. Every byte is scored exactly once: minus log2 p of the whole play, over its bytes. Everything is tuned
on Twelfth Night; The Tempest is scored once a point.
"""

import bz2
import gzip
import json
import lzma
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources

from matplotlib.figure import Figure

from course_utils.data.corpora import Corpus
from course_utils.files import write_atomic
from course_utils.measuring.labels import label
from course_utils.measuring.plots import Chart

RECORDED = resources.files("course_utils.measuring") / "scoreboard.json"
# Okabe-Ito colours with a marker each, so that colour never carries a meaning alone
STYLES = {
    "n-gram": ("#0072B2", "o"),
    "word n-gram": ("#E69F00", "s"),
    "adaptive n-gram": ("#56B4E9", "P"),
    "recurrent": ("#009E73", "^"),
    "transformer": ("#CC79A7", "D"),
    "instruct, 4 bits": ("#D55E00", "*"),
    "masked": ("#000000", "v"),  # points down: what the text costs lies there or below
}
AGAINST = {
    "context_bytes": "context the model looks at (bytes)",
    "train_seconds": "seconds of training",
    "train_bytes": "bytes of text read in training",
    "parameters": "stored numbers (n-gram entries, weights)",
}


@dataclass(frozen=True)
class Point:
    """One model's score, and what one must know to compare it.

    bits_per_byte on the whole test text; train_bytes of text read; parameters (for n-grams: stored entries);
    megabytes in memory; train_seconds on the named machine; train_flops (None: it counts, nothing is
    multiplied); context in bytes (None: no fixed limit); weights as stored; has_read_test "no" or
    "probably"; how "live" or "recorded"; command that measures it again. Bytes and seconds of training are
    None where they were not published.
    """

    name: str
    family: str
    bits_per_byte: float
    train_bytes: int | None
    parameters: int
    megabytes: float
    train_seconds: float | None
    train_flops: float | None
    context_bytes: int | None
    weights: str
    has_read_test: str
    how: str
    machine: str
    command: str
    test_sha256: str

    def __post_init__(self):
        if self.has_read_test not in ("no", "probably"):
            raise ValueError(f"has_read_test must be 'no' or 'probably'; got {self.has_read_test!r}")
        if self.how not in ("live", "recorded"):
            raise ValueError(f"how must be 'live' or 'recorded'; got {self.how!r}")
        if not self.bits_per_byte > 0:
            raise ValueError(f"bits_per_byte must be above 0; got {self.bits_per_byte}")
        if self.family not in STYLES:
            raise ValueError(f"family must be one of {', '.join(STYLES)}; got {self.family!r}")

    @property
    def is_adaptive(self) -> bool:
        """Whether it learns from the test text while it is scored on it, as gzip and xz do."""
        return self.family == "adaptive n-gram"


@dataclass(frozen=True)
class BoundPoint(Point):
    """A model of which only a bound is known: in bits_per_byte an estimate of what the text costs it at most,
    and where that estimate lies in 95 of 100 drawings of masks, in bits a byte."""

    low: float
    high: float

    def __post_init__(self):
        super().__post_init__()
        if not self.low <= self.bits_per_byte <= self.high:
            raise ValueError(
                f"the estimate lies in its interval; got {self.bits_per_byte}, {self.low} to {self.high}"
            )


def recorded() -> tuple[list[Point], dict[str, float]]:
    """The points that the course ships, and the compressors' bits per byte by name."""
    stored = json.loads(RECORDED.read_text("utf-8"))
    return [Point(**point) for point in stored["points"]], stored["compressors"]


def recorded_bounds() -> list[BoundPoint]:
    """The bounds that the course ships: they stand beside points, and never among them."""
    return [BoundPoint(**point) for point in json.loads(RECORDED.read_text("utf-8"))["bounds"]]


def record(points: list[Point], compressors: dict[str, float], bounds: list[BoundPoint]) -> None:
    """Store points, lines and bounds as the recorded ones (`course.py bench scoreboard --write`)."""
    stored = {
        "points": [asdict(point) for point in points],
        "compressors": compressors,
        "bounds": [asdict(point) for point in bounds],
    }
    write_atomic(RECORDED, json.dumps(stored, indent=1) + "\n")


def compressors(corpus: Corpus) -> dict[str, float]:
    """Bits per byte of gzip, bz2 and xz primed with the training text: how many bytes the test text adds
    to the compressed file when it is appended to the training text."""
    train, test = corpus.train_text.encode(), corpus.test.encode()
    tools = {
        "gzip": lambda data: gzip.compress(data, 9, mtime=0),
        "bz2": lambda data: bz2.compress(data, 9),
        "xz": lambda data: lzma.compress(data, preset=9),
    }
    return {
        name: 8 * (len(tool(train + test)) - len(tool(train))) / len(test) for name, tool in tools.items()
    }


def comparable(points: list[Point]) -> list[Point]:
    """The same points, or ValueError if they were not all scored on the same bytes."""
    hashes = {point.test_sha256 for point in points}
    if len(hashes) > 1:
        raise ValueError(f"points scored on {len(hashes)} different texts can't stand on one chart")
    return points


def unread(points: list[Point]) -> list[Point]:
    """Those that have not read the test text, and don't learn while they read it."""
    return [point for point in points if point.has_read_test == "no" and not point.is_adaptive]


def lowest(points: list[Point]) -> Point:
    """The point with the fewest bits a byte that has not read the test text, and does not learn from it.

    It describes the board and chooses no model: that was done on Twelfth Night, where the 8-gram is ahead of
    the 7-gram, which happens to have the lower score here. Raises ValueError if all have read it.
    """
    if not (fair := unread(points)):
        raise ValueError(
            f"a board needs a point that has not read the test text; got none among {len(points)}"
        )
    return min(fair, key=lambda point: point.bits_per_byte)


def chart(
    points: list[Point],
    lines: dict[str, float],
    against: str = "context_bytes",
    intervals: dict[str, tuple[float, float]] | None = None,
    bounds: Sequence[BoundPoint] = (),
) -> Chart:
    """Bits per byte of each point against one of its numbers: "context_bytes", "train_seconds",
    "train_bytes" or "parameters". Compressors are horizontal lines; filled marks had not read the test text.
    What is known within bounds only, as a person's entropy is, comes as `intervals` and is drawn as a band;
    `bounds` are marks that point down, with their interval. Raises ValueError for another `against`, and as
    `lowest` does.
    """
    intervals = intervals or {}
    if against not in AGAINST:
        raise ValueError(f"against must be one of {', '.join(AGAINST)}; got {against!r}")
    comparable([*points, *bounds])
    first = lowest(points)
    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    axes, marks = figure.add_subplot(), []
    for family, (colour, marker) in STYLES.items():
        for point in (p for p in points if p.family == family):
            if (x := getattr(point, against)) is None:
                continue
            face = colour if point.has_read_test == "no" else "none"
            axes.plot(x, point.bits_per_byte, marker, color=colour, markerfacecolor=face)
            marks.append((point.name, x, point.bits_per_byte))
    for point in bounds:
        colour, marker = STYLES[point.family]
        bits, x = point.bits_per_byte, getattr(point, against)
        axes.errorbar(x, bits, [[bits - point.low], [point.high - bits]], fmt=marker, color=colour, capsize=4)
        marks.append((point.name, x, bits))
    for bits in lines.values():
        axes.axhline(bits, color="0.6", linestyle=":", linewidth=1)
    for low, high in intervals.values():
        axes.axhspan(low, high, facecolor="none", edgecolor="0.4", hatch="///", linewidth=0.5)
    if against == "context_bytes":  # a 1-gram looks at 0 bytes, for which a log scale has no place
        axes.set_xscale("symlog", linthresh=1, linscale=0.4)
        axes.set_xlim(-0.5, 2 * max((x for _, x, _ in marks), default=1))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    else:
        axes.set_xscale("log")
    axes.set(xlabel=AGAINST[against], ylabel="bits per byte (lower is better)")
    axes.set_title(f"The Tempest, {points[0].test_sha256[:12]}", fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    bands = {name: (bits, bits) for name, bits in lines.items()} | intervals
    label(axes, marks, [(name, low, high) for name, (low, high) in bands.items()])
    said = [f"lowest of {len(unread(points))} models is {first.name} with {first.bits_per_byte:.3f}"]
    said += [
        f"{point.name}, which learns while it reads, {point.bits_per_byte:.3f}"
        for point in points
        if point.is_adaptive
    ]
    said += [
        f"{point.name}, which has probably read it, {point.bits_per_byte:.3f}"
        for point in points
        if point.has_read_test != "no"
    ]
    said += [
        f"{point.name}, {point.bits_per_byte:.3f} ({point.low:.3f} to {point.high:.3f} by other masks)"
        for point in bounds
    ]
    said += [f"{name} {bits:.3f}" for name, bits in lines.items()]
    said += [f"{name} between {low:.2f} and {high:.2f}" for name, (low, high) in intervals.items()]
    return Chart(figure, f"Bits per byte on The Tempest against {AGAINST[against]}: {'; '.join(said)}.")


def table(points: list[Point]) -> str:
    """The points as lines of text, those with the fewest bits last."""
    rows = [f"{'model':34}{'bits/byte':>10}{'entries':>12}{'has read it':>13}"]
    for point in sorted(comparable(points), key=lambda point: -point.bits_per_byte):
        has_read = "as it goes" if point.is_adaptive else point.has_read_test
        rows.append(f"{point.name:34}{point.bits_per_byte:10.3f}{point.parameters:12,}{has_read:>13}")
    return "\n".join(rows)
