"""The figures of README and docs that figures.toml lists, looked up in their sources again; fails if one has
drifted or isn't found.

python3 course.py bench figures              look in what a clone has: chapters' outputs, weights, files
python3 course.py bench figures start make   run these benchmarks, and compare with what they print
python3 course.py bench figures all          all of this (leave the machine alone)

figures.toml has a table for each: the file and its sentence with {} where figures stand, and where these come
from: what a chapter's stored output `shows` (a strict run in CI computes it again), what a benchmark `shows`
in its print, or a `value` that is computed below. `band` is the drift that is allowed, as a share; without it
a figure is exact. Where one sentence has two figures and the source one, they are a range, which holds it.
What was measured goes to docs/figures.csv, with the machine and the day.
"""

import argparse
import html
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from course_utils.classroom.assignments import find_assignment
from course_utils.classroom.grading import caps  # noqa: F401 (as the next ones, for values of the table)
from course_utils.classroom.inventory import items, results  # noqa: F401
from course_utils.classroom.reporting import similarity  # noqa: F401
from course_utils.learner import core_path
from course_utils.learner.checks import CHECKS  # noqa: F401
from course_utils.measuring import scoreboard
from course_utils.pretraining import recipes  # noqa: F401
from course_utils.weights import recording

ROOT = Path(__file__).parents[1]
TABLE, KEPT = Path(__file__).with_suffix(".toml"), ROOT / "docs" / "figures.csv"
NUMBER = r"(\d[\d,]*\.?\d*)"


@dataclass(frozen=True)
class Figure:
    """One row of figures.toml; exactly one of chapter, bench and value is set."""

    file: str
    says: str
    chapter: str = ""
    bench: str = ""
    value: str = ""
    shows: str = ""
    band: float = 0.0

    @property
    def source(self) -> str:
        return self.chapter or self.bench or self.value

    def quoted(self) -> list[float]:
        return numbers(self.says, (ROOT / self.file).read_text("utf-8"), self.file)

    def holds(self, measured: list[float]) -> bool:
        quoted = self.quoted()
        if len(quoted) == 2 and len(measured) == 1:
            low, high = quoted
        elif len(quoted) == len(measured):
            pairs = zip(quoted, measured, strict=True)
            return all(near(now, said, said, self.band) for said, now in pairs)
        else:
            raise ValueError(f"{self.file}: {self.says!r} quotes {quoted}, its source shows {measured}")
        return near(measured[0], low, high, self.band)


def near(measured: float, low: float, high: float, band: float) -> bool:
    """Whether a figure is between two, each moved outwards by the band, which is a share of it."""
    return low / (1 + band) - 1e-9 <= measured <= high * (1 + band) + 1e-9


def numbers(sentence: str, text: str, where: str) -> list[float]:
    """The figures that stand at {} of a sentence in a text, line breaks and blanks apart.

    Raises ValueError if the sentence isn't there once.
    """
    words = re.escape(" ".join(sentence.split())).replace(r"\{\}", NUMBER).replace(r"\ ", r"\s+")
    found = list(re.finditer(words, text))
    if len(found) != 1:
        raise ValueError(f"{where} has {sentence!r} {len(found)} times, and should have it once")
    return [float(group.replace(",", "")) for group in found[0].groups()]


def shown(chapter: str) -> str:
    """The text of a chapter's stored outputs, tables included."""
    nb = json.loads((ROOT / "notebooks" / f"{chapter}.ipynb").read_text("utf-8"))
    texts = []
    for cell in nb["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            texts += output.get("text", []) + data.get("text/plain", []) + ["\n"]
            texts.append(html.unescape(re.sub(r"<[^>]+>", " ", "".join(data.get("text/html", [])))))
    return "".join(texts)


def printed(bench: str) -> str:
    """What `course.py bench` prints of a benchmark and its options."""
    command = [sys.executable, str(ROOT / "course.py"), "bench", *bench.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench {bench} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


# ---- values ------------------------------------------------------------------------------------------


def core_hours(*chapters: str) -> float:
    """Of the core paths of these chapters together; of all without names."""
    os.chdir(ROOT / "notebooks")  # where a core path looks for its chapter
    chosen = chapters or (str(int(path.name[:2])) for path in Path().glob("[0-9]*.ipynb"))
    return sum(stop.minutes for chapter in chosen for stop in core_path.stops_of(chapter)) / 60


def plan_hours(heading: str) -> float:
    """Of all sessions of a plan of docs/term_plans.md, without what is read at home."""
    plans = (ROOT / "docs" / "term_plans.md").read_text("utf-8")
    rows = plans.split(f"\n## {heading}\n")[1].split("\n## ")[0].splitlines()
    met = "\n".join(row for row in rows if "at home" not in row)
    return sum(map(int, re.findall(r"^\|[^|]+\|[^|]*\| \d+ \| \d+ \| (\d+) \|", met, re.M))) / 60


def assignment_hours() -> list[float]:
    """Of all assignments together, the least and the most, by the guide's table."""
    guide = (ROOT / "docs" / "teachers_guide.md").read_text("utf-8")
    minutes = re.findall(r"^\| `\w+` .*\| (\d+)–(\d+) \|$", guide, re.M)
    return [sum(map(int, column)) / 60 for column in zip(*minutes, strict=True)]


def worth(name: str) -> list[float]:
    """Points of an assignment: in all, by machine, of written answers."""
    assignment = find_assignment(name)
    points, written = assignment.points(), assignment.written()
    read = sum(points[id] for id in written)
    return [sum(points.values()), sum(points.values()) - read, read]


def fetched(*names: str) -> float:
    """Megabytes of the wheels that these assets are taken from; of all without names."""
    assets = tomllib.loads((ROOT / "course_utils" / "data" / "assets.toml").read_text("utf-8"))
    return (
        sum({assets[name]["wheel"]: assets[name]["wheel_bytes"] for name in names or assets}.values()) / 1e6
    )


def announced(kind: str, at: int) -> float:
    """What set-up says before it fetches: megabytes fetched (0), kept on disk (1)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return project["tool"]["course"]["megabytes"][kind][at]


def card(sentence: str) -> float:
    """What the card of the larger shipped model says at {} of a sentence."""
    at = ROOT / "course_utils" / "weights" / "evening" / "card.md"
    return numbers(sentence, at.read_text("utf-8"), at.name)[0]


def point(name: str) -> float:
    """Bits a byte of The Tempest of a recorded model or compressor, as the scoreboard has it."""
    points, lines = scoreboard.recorded()
    return ({point.name: point.bits_per_byte for point in points} | lines)[name]


def computing() -> list[float]:
    """Seconds of each chapter, as the last row of its table of times has them."""
    found = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        text = "".join("".join(cell["source"]) for cell in json.loads(path.read_text("utf-8"))["cells"])
        found += re.findall(r"\| (\d+) s \| \d+ s \|\n<!-- /times -->", text)
    return [float(seconds) for seconds in found]


def wheel_megabytes() -> float:
    """Of the file that holds the chapters and all that they need, built as the README says."""
    with tempfile.TemporaryDirectory() as folder:
        build = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            folder,
            str(ROOT),
        ]
        subprocess.run(build, check=True)
        return next(Path(folder).glob("*.whl")).stat().st_size / 1e6


# ---- looking -----------------------------------------------------------------------------------------


def figures() -> list[Figure]:
    return [Figure(**row) for row in tomllib.loads(TABLE.read_text("utf-8"))["figure"]]


def measure(figure: Figure, prints: dict[str, str]) -> list[float]:
    """What its source says now; `prints` keeps those of the benchmarks that ran."""
    if figure.value:
        found = eval(figure.value)  # the table is ours: a call of what stands above
        return found if isinstance(found, list) else [found]
    if figure.chapter:
        return numbers(figure.shows, shown(figure.chapter), figure.chapter)
    if figure.bench not in prints:
        print(f"bench {figure.bench} ...", flush=True)
        prints[figure.bench] = printed(figure.bench)
    return numbers(figure.shows, prints[figure.bench], f"bench {figure.bench}")


def keep(row: dict) -> None:
    """Put a row in place of the one for the same sentence; rows of sentences that are gone go too."""
    asked = [(figure.file, figure.says) for figure in figures()]
    old = recording.read_table(KEPT) if KEPT.exists() else []
    found = {(row["file"], row["sentence"]): row for row in [*old, row]}
    recording.write_table(KEPT, [found[key] for key in asked if key in found])


def main() -> None:
    benches = {figure.bench for figure in figures()} - {""}
    parser = argparse.ArgumentParser(prog="course.py bench figures", allow_abbrev=False)
    parser.add_argument("benches", nargs="*", help=f"{', '.join(sorted(benches))}, or all")
    parser.add_argument("--machine", default=f"{platform.machine()}, {os.cpu_count()} cores", help="its name")
    options = parser.parse_args()
    chosen = {"", *benches} if options.benches == ["all"] else {*options.benches} or {""}
    if unknown := chosen - {"", *benches}:
        parser.error(
            f"no figure comes from {min(unknown)!r}: choose from {', '.join(sorted(benches))} or all"
        )
    prints, verdicts = {}, Counter()
    for figure in figures():
        if figure.bench not in chosen:
            continue
        try:
            measured = measure(figure, prints)
            verdict = "holds" if figure.holds(measured) else "DRIFTED"
        except ValueError as error:  # a benchmark prints what its machine can do
            verdicts["MISSING"] += 1
            print(f"MISSING  {figure.file}: {figure.says!r}; {error}", flush=True)
            continue
        verdicts[verdict] += 1
        said, now = (" ".join(f"{number:.5g}" for number in some) for some in (figure.quoted(), measured))
        print(f"{verdict:7}  {figure.file}: {figure.says!r} has {said}; now {now}", flush=True)
        keep(
            {
                "file": figure.file,
                "sentence": figure.says,
                "quoted": said,
                "measured": now,
                "band": figure.band,
                "holds": "yes" if verdict == "holds" else "NO",
                "source": figure.source,
                "machine": options.machine,
                "date": date.today(),
            }
        )
    counts = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in ("holds", "DRIFTED", "MISSING"))
    print(f"{counts}; {KEPT.relative_to(ROOT)} has what was found")
    sys.exit(1 if verdicts.keys() - {"holds"} else 0)


if __name__ == "__main__":
    main()
