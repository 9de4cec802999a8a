"""The commands of a sweep and of sealed predictions:

python -m course_utils.scaling sweep PLAN [--processes N | --slurm SETTINGS [--dry-run]]
python -m course_utils.scaling seal PLAN SEAL SIZE TOKENS [--up-to FLOPS] [--seed N]
python -m course_utils.scaling settle PLAN SEAL

Each takes --log FILE, for another log than the plan's.
"""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from course_utils.scaling import plans, seals, slurm, sweep
from course_utils.scaling.laws import six_nd

say = partial(print, flush=True)


def main(argv: list[str] | None = None) -> None:
    """Run one command; what can go wrong is one sentence on stderr."""
    options = _parser().parse_args(argv)
    try:
        plan = plans.read_plan(options.plan)
        options.command(replace(plan, log=options.log or plan.log), options)
    except (ValueError, OSError) as error:
        sys.exit(f"scaling: {error}")
    except KeyboardInterrupt:
        sys.exit("scaling: stopped; what is done is kept, and the same command goes on")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m course_utils.scaling")
    commands = parser.add_subparsers(required=True)

    def add(command) -> argparse.ArgumentParser:
        added = commands.add_parser(command.__name__.strip("_"), help=command.__doc__)
        added.set_defaults(command=command)
        added.add_argument("plan", help="a TOML file: see `scaling.plans`")
        added.add_argument("--log", type=Path, help="where the runs are, if not where the plan says")
        return added

    sweeping = add(_sweep)
    sweeping.add_argument("--processes", type=int, default=1, help="runs at once on this machine")
    sweeping.add_argument("--slurm", help="submit to Slurm, with the settings of this TOML file")
    sweeping.add_argument("--dry-run", action="store_true", help="only say what would be submitted")
    sealing = add(_seal)
    sealing.add_argument("seal", type=Path)
    sealing.add_argument("size", help="one that the log knows")
    sealing.add_argument("tokens", type=int)
    sealing.add_argument("--up-to", type=float, default=float("inf"), help="predict from budgets up to this")
    sealing.add_argument("--seed", type=int, default=0)
    add(_settle).add_argument("seal", type=Path)
    return parser


def _sweep(plan: plans.Plan, options) -> None:
    """make the runs of a plan that its log lacks"""
    if options.slurm:
        slurm.submit(plan, slurm.read_settings(options.slurm), options.dry_run, say)
        return
    made = sweep.sweep(plan, options.processes, say)
    say(f"{made} runs made; all {len(plan.runs)} are in {plan.log.name}")


def _seal(plan: plans.Plan, options) -> None:
    """predict a larger run, and write the prediction down"""
    runs = plans.read_runs(plan.log)
    sizes = {run["size"]: run["n"] for run in runs}
    if options.size not in sizes:
        raise ValueError(f"the log knows no size {options.size!r}: it has {', '.join(sizes)}")
    runs = [run for run in runs if six_nd(run["n"], run["d"]) <= options.up_to]
    run = plans.PlannedRun(options.size, options.tokens, options.seed)
    made = seals.seal(options.seal, plan, runs, run, sizes[options.size])
    say(f"{made.loss} nats, from {made.low} to {made.high}; rivals: {made.rivals}")
    say(f"commit {options.seal.name}, then settle it")


def _settle(plan: plans.Plan, options) -> None:
    """make the run of a committed seal, and add its result"""
    line = seals.settle(options.seal, plan)
    row = next(row for row in seals.settled(options.seal.parent) if row["seal"] == line["seal"])
    say(plans.what_is_wrong(line) or f"{row['came']:.4f} nats came, {row['loss']} were predicted: {row}")


if __name__ == "__main__":
    main()
