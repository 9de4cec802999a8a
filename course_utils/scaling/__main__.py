"""The command of a sweep: python -m course_utils.scaling sweep PLAN [--processes N]"""

import argparse
import sys

from course_utils.scaling import plans, sweep


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m course_utils.scaling")
    commands = parser.add_subparsers(required=True, dest="command")
    sweeping = commands.add_parser("sweep", help="make the runs of a plan that its log lacks")
    sweeping.add_argument("plan")
    sweeping.add_argument("--processes", type=int, default=1, help="runs at once on this machine")
    options = parser.parse_args(argv)
    try:
        plan = plans.read_plan(options.plan)
        made = sweep.sweep(plan, options.processes, lambda line: print(line, flush=True))
        print(f"{made} runs made; all {len(plan.runs)} are in {plan.log.name}")
    except (ValueError, OSError) as error:
        sys.exit(f"scaling: {error}")
    except KeyboardInterrupt:
        sys.exit("scaling: stopped; what is done is kept, and the same command goes on")


if __name__ == "__main__":
    main()
