"""A prediction that is sealed before its run: written down, committed, and only then put to the test.

`seal` fits the law to the runs of a log and writes what it expects of one larger run, with an interval and
what two simple rivals expect. `settle` makes that run. It refuses to start unless git has the seal in a
commit, and notes its sha256 beside the loss; `settled` refuses a seal that was changed since. So a prediction
can't be fitted to its result, and one that failed stays on the list.
"""

import hashlib
import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from course_utils.files import write_atomic
from course_utils.scaling.laws import Law, bootstrap, fit_law, prediction_interval, rivals, six_nd
from course_utils.scaling.plans import Plan, PlannedRun, read_log
from course_utils.scaling.sweep import keep, make

RESULTS = "results.jsonl"  # beside the seals


@dataclass(frozen=True)
class Seal:
    """What is predicted of a run: the loss, between which values it lies with a chance of `level`, and what
    rivals say; and out of what: the law and the runs to which it was fitted."""

    size: str
    tokens: int
    seed: int
    n: int
    loss: float
    low: float
    high: float
    level: float
    rivals: dict[str, float]
    law: dict[str, float]
    runs: list[str]
    largest_budget: float  # 6ND of those runs, and of this one
    budget: float
    plan_sha256: str
    log_sha256: str


def predict(runs: list[dict], n: int, d: int, level: float) -> dict:
    """The law of some runs, and what it and its rivals say of a run of n parameters and d tokens."""
    columns = [[float(run[key]) for run in runs] for key in ("n", "d", "loss")]
    law = fit_law(*columns)
    low, high = prediction_interval(law, bootstrap(law, *columns), *columns, n, d, level)
    said = {name: round(loss, 4) for name, loss in rivals(*columns, n, d).items()}
    return {"loss": law.loss(n, d), "low": low, "high": high, "rivals": said, "law": asdict(law)}


def seal(path: Path, plan: Plan, runs: list[dict], run: PlannedRun, n: int, level: float = 0.9) -> Seal:
    """Predict a run of n parameters out of `runs`, lines of the plan's log, and write that to `path`.

    Raises ValueError if there is a seal of this name, if the run is no larger than one of those that it is
    predicted from, and for runs that no law can be fitted to.
    """
    if path.exists():
        raise ValueError(f"{path.name} is sealed already: a seal is never written again; take another name")
    largest = max((six_nd(line["n"], line["d"]) for line in runs), default=0.0)
    budget = six_nd(n, run.tokens)
    if budget <= largest:
        raise ValueError(
            f"a run of 6ND = {budget:.3g} is no larger than the largest that was made, {largest:.3g}: there "
            "is nothing to predict"
        )
    predicted = predict(runs, n, run.tokens, level)
    made = Seal(
        run.size,
        run.tokens,
        run.seed,
        n,
        **{key: round(predicted[key], 4) for key in ("loss", "low", "high")},
        level=level,
        rivals=predicted["rivals"],
        law=predicted["law"],
        runs=[line["run"] for line in runs],
        largest_budget=largest,
        budget=budget,
        plan_sha256=plan.sha256,
        log_sha256=hashlib.sha256(plan.log.read_bytes()).hexdigest(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(asdict(made), indent=1) + "\n")
    return made


def read_seal(path: Path) -> tuple[Seal, str]:
    """A seal, and the sha256 of its file. Raises ValueError for what is none."""
    content = path.read_bytes()
    try:
        return Seal(**json.loads(content)), hashlib.sha256(content).hexdigest()
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path.name} is no seal of this course: {error}") from None


def commit_of(path: Path) -> str:
    """The commit that brought this file, as it is, into git's history. Raises ValueError if there is none."""

    def git(*arguments: str) -> bytes:
        done = subprocess.run(["git", *arguments], cwd=path.parent, capture_output=True)
        return done.stdout if done.returncode == 0 else b""

    commit = git("log", "-1", "--format=%H", "--", path.name).decode().strip()
    if not commit:
        raise ValueError(f"{path.name} is in no commit: `git add` and `git commit` it, then run")
    if git("show", f"HEAD:./{path.name}") != path.read_bytes():
        raise ValueError(
            f"{path.name} was changed after it was committed: a seal stays as it is; `git checkout` it, and "
            "seal another prediction under another name"
        )
    return commit


def settle(path: Path, plan: Plan) -> dict:
    """Make the run of a committed seal, and add its result to those beside it; returns it.

    Raises ValueError if the seal is of another plan, is in no commit, was changed, before or while it ran, or
    has a result, and if its run was made for another seal.
    """
    made, sha256 = read_seal(path)
    if made.plan_sha256 != plan.sha256:
        raise ValueError(
            f"{path.name} was sealed from another plan, whose runner may train something else: settle it "
            "with that one, as it was then"
        )
    commit, results = commit_of(path), path.with_name(RESULTS)
    run = PlannedRun(made.size, made.tokens, made.seed)
    for line in read_log(results).lines:
        if path.stem == line["seal"]:
            raise ValueError(f"{path.name} has its result already: a prediction is put to the test once")
        if run.name == line["run"]:
            raise ValueError(
                f"the run of {path.name} was made already, for the seal {line['seal']}: its loss is known; "
                "seal a run of another seed"
            )
    done = make(plan, run)
    if read_seal(path)[1] != sha256:
        raise ValueError(f"{path.name} was changed while its run was under way: the result does not count")
    return keep(plan, run, done, results, seal=path.stem, seal_sha256=sha256, seal_commit=commit)


def settled(folder: Path) -> list[dict]:
    """Every seal of a folder beside its result, by budget; "came" is None as long as there is none, and for a
    run that diverged.

    Raises ValueError for a seal that is no longer the one that was put to the test.
    """
    results = {line["seal"]: line for line in read_log(folder / RESULTS).lines}
    rows = []
    for path in sorted(folder.glob("*.json")):
        made, sha256 = read_seal(path)
        result = results.pop(path.stem, {})
        if result and result["seal_sha256"] != sha256:
            raise ValueError(f"{path.name} was changed after its run: its result does not count any more")
        rows.append(_row(path.stem, made, result.get("loss")))
    if results:
        raise ValueError(f"the seals {', '.join(results)} are gone, and had results: put them back")
    return sorted(rows, key=lambda row: row["budget"])


def _row(name: str, made: Seal, came: float | None) -> dict:
    row = {"seal": name, "budget": made.budget, "loss": made.loss, "low": made.low, "high": made.high}
    row |= {"came": came, "rivals": made.rivals, "error": None, "inside": None, "rivals_errors": None}
    if came is not None:
        row["error"], row["inside"] = made.loss / came - 1, made.low <= came <= made.high
        row["rivals_errors"] = {rival: loss / came - 1 for rival, loss in made.rivals.items()}
    return row


def law_of(made: Seal) -> Law:
    """The law that was fitted for a seal."""
    return Law(**made.law)
