"""Holding a contest: refuse recipes that overspend, train the others with the class's seeds, sign each run.

A recipe is data: no line of it is run, so that nothing here needs the sandbox in which answers are graded.

The folder `contests/NAME` of the overlay has the recipes by their sha256, the text that is scored, and a line
for each run, signed with the class's secret. The seeds come from the secret too, so nobody can look for a
recipe that is lucky with them. Their number, the budget and the text are fixed when the contest begins: to
add seeds until a difference shows is a way to find one where there is none.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from course_utils.classroom.contest.ranking import LEAST_SEEDS
from course_utils.classroom.grading import cells
from course_utils.classroom.overlay import Overlay
from course_utils.files import write_atomic
from course_utils.scaling.plans import Plan, PlannedRun, read_log, what_is_wrong
from course_utils.scaling.sweep import sweep

ENDING = ".toml"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")  # of a recipe: it names files
RUNNER = "course_utils.pretraining.recipes:run"
SETTINGS, LOG = "contest.json", "runs.jsonl"


@dataclass
class Results:
    """What came of a contest: scores of each recipe by seed, in bits per byte; and a sentence for each that
    was refused or did not come to its end."""

    scores: dict[str, list[float]] = field(default_factory=dict)
    costs: dict[str, dict] = field(default_factory=dict)  # a run's parameters, tokens, FLOPs and sha256
    left_out: dict[str, str] = field(default_factory=dict)


class Contest:
    """The contest of a name in a class, which begins now or goes on.

    Raises ValueError if it was begun with other settings or another held-out text, if a file of its was
    changed since, and for settings that can't be.
    """

    def __init__(self, overlay: Overlay, name: str, seeds: int, flops: float, held_out: str):
        from course_utils.pretraining.recipes import HELD_OUT

        if seeds < LEAST_SEEDS or not 0 < flops < float("inf"):
            raise ValueError(
                f"a contest needs {LEAST_SEEDS} seeds or more and a budget above 0; got {seeds} and {flops}"
            )
        if not held_out.strip():
            raise ValueError("the held-out text is empty: name a file with text in it")
        self.overlay, self.name, self.seeds, self.flops = overlay, name, seeds, flops
        self.folder = overlay.folder / "contests" / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.scored = hashlib.sha256(held_out.encode()).hexdigest()
        self._begin({"seeds": seeds, "flops": flops, "held-out text": self.scored})
        write_atomic(self.folder / HELD_OUT, held_out)

    def _begin(self, settings: dict) -> None:
        path = self.folder / SETTINGS
        if not path.exists():
            write_atomic(path, json.dumps(self.signed(settings), indent=1) + "\n")
        try:
            begun = dict(json.loads(path.read_bytes()))
        except (ValueError, TypeError):
            begun = {}  # which is not signed
        if other := [name for name, value in settings.items() if begun.get(name, value) != value]:
            there, asked = (", ".join(f"{n} {of[n]}" for n in other) for of in (begun, settings))
            raise ValueError(
                f"the contest {self.name} was begun with {there}, and that is fixed; got {asked}. Ask for "
                "the same, or hold another contest, with the recipes in a folder of another name"
            )
        self.check(begun, SETTINGS)

    def signed(self, line: dict) -> dict:
        """The line with the class's signature, which is for this contest and its held-out text alone."""
        said = json.dumps(line, sort_keys=True)
        return line | {"signature": self.overlay.signature("contest", self.name, self.scored, said)}

    def check(self, line: dict, name: str) -> None:
        """Raises ValueError if a line is not as it was signed."""
        said = {key: value for key, value in line.items() if key != "signature"}
        if self.signed(said) != line:
            raise ValueError(
                f"{name} of the contest {self.name} is not what this class signed, so it was changed or is "
                "from elsewhere, and nothing is ranked: put back a copy, or delete it, and it is made again"
            )

    def hold(self, recipes: Path, processes: int = 1, say: Callable[[str], None] = print) -> Results:
        """Train each recipe of a folder with each seed, unless the log has it. Who is left out is said."""
        from course_utils.pretraining.recipes import kept, lay_out, read_recipe

        found, runs = Results(), {}
        for name, content in _handed_in(recipes, found.left_out):
            try:
                recipe = read_recipe(content, self.flops)
            except ValueError as error:
                found.left_out[name] = f"refused: {error}"
                continue
            sha256 = hashlib.sha256(content).hexdigest()
            path = kept(self.folder, sha256)
            path.parent.mkdir(exist_ok=True)
            write_atomic(path, content)
            lay_out(self.folder, recipe.vocab_size)
            seeds = [
                self.overlay.seed("contest's", self.name, name, str(i), bits=31) for i in range(self.seeds)
            ]
            options = (("recipe", sha256),)
            runs[name] = [PlannedRun(name, recipe.tokens, seed, options) for seed in seeds]
        for name, why in found.left_out.items():
            say(cells.printable(f"{name} is {why}"))
        plan = Plan(RUNNER, self.folder / LOG, tuple(run for its in runs.values() for run in its))
        self._lines(plan)  # before anything is added
        # the log names a run by its recipe's hash too, which tells a reader nothing
        sweep(plan, processes, lambda told: say(re.sub("-recipe=[0-9a-f]{64}", "", told)), self.signed)
        lines = self._lines(plan)
        for name, its in runs.items():
            made = [lines[run.name] for run in its]
            if wrong := [sentence for line in made if (sentence := what_is_wrong(line))]:
                found.left_out[name] = f"not ranked: {len(wrong)} of {len(its)} runs failed: {wrong[0]}"
            else:
                found.scores[name] = [line["loss"] for line in made]
                found.costs[name] = made[0]
        return found

    def _lines(self, plan: Plan) -> dict[str, dict]:
        """The log by run. Raises ValueError for a line that was changed."""
        lines = read_log(plan.log).lines
        for line in lines:
            self.check(line, f"the line of {line['run']}")
        return {line["run"]: line for line in lines}


def look_in(folder: Path) -> list[Path]:
    """What lies in a folder of recipes, but for hidden files.

    Raises ValueError if there is no such folder, or no recipe in it.
    """
    found = sorted(folder.glob("[!.]*"))
    if not any(path.suffix == ENDING for path in found):
        raise ValueError(f"there are no recipes in {folder}: it holds files such as NAME{ENDING}")
    return found


def _handed_in(folder: Path, left_out: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """The recipes of a folder by name; why others can't be read is noted. Raises ValueError as `look_in`."""
    for path in look_in(folder):
        if path.suffix != ENDING:  # on Windows and macOS, too: the same folder gives the same leaderboard
            left_out[cells.storable(path.name)] = f"passed over: a recipe is a file NAME{ENDING}"
        elif not NAME.fullmatch(path.stem):
            left_out[cells.storable(path.stem)] = (
                "refused: its name begins with a letter or digit, and has these, -, _ and full stops only, "
                "60 at most"
            )
        else:
            try:
                yield path.stem, cells.load(path)
            except cells.Ungradable as error:
                left_out[path.stem] = f"refused: {error}"
