"""Two controls of `rlvr_recipe`: does the policy gradient only need longer, and what do solutions add?

    OMP_NUM_THREADS=1 python -m course_utils.weights.rlvr_controls_recipe

In rlvr.csv the policy gradient stays under rejection sampling, and only solutions teach problems of 5 groups.
Here, with three seeds, from the same base and by the same scores:

- both ways that learn from marks spend four times the budget, at the rate that was best for one (3e-4; it was
  not chosen anew);
- SFT spends one budget on solutions of 3 and 4 groups alone, as many as before, at the rate that was best for
  all. If it beats the ways that learn from marks, it isn't for the solutions of 5 groups.

Each is scored at temperature 1 and, as in `cooled_recipe`, at its own best one ("cooled_"). Writes
rlvr_controls.csv. What is done is kept in build/.
"""

import functools
from pathlib import Path

import torch

from course_utils.weights import cooled_recipe, recording, rlvr_recipe

TABLE = Path(__file__).with_name("rlvr_controls.csv")
TIMES = 4


def longer(way):
    return functools.partial(way, times=TIMES)


def by_shorter_solutions(model, rate: float, seed: int) -> None:
    solved = rlvr_recipe.digit_sums((3, 4)).problems("train", 2 * rlvr_recipe.PROMPTS)
    steps = rlvr_recipe.BUDGET // (rlvr_recipe.LEARNT * rlvr_recipe.BATCH)
    rlvr_recipe.tuned(model, solved, steps, rate, seed + 100)


WAYS = {  # each with its rate
    "policy gradient, 4 budgets": (longer(rlvr_recipe.by_policy_gradient), 3e-4),
    "rejection sampling, 4 budgets": (longer(rlvr_recipe.by_rejection_sampling), 3e-4),
    "solutions, 3 and 4 totals": (by_shorter_solutions, 3e-3),
}


def run(arm: str, seed: int) -> dict:
    """Train one arm; the rest of its row."""
    model, (way, rate) = rlvr_recipe.base(), WAYS[arm]
    way(model, rate, seed)
    cooled = {f"cooled_{name}": value for name, value in cooled_recipe.scored(model, seed).items()}
    return {"learning_rate": rate} | rlvr_recipe.scored(model, seed) | cooled


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    torch.set_num_threads(1)
    table = recording.Table(folder / TABLE.name)
    for seed in rlvr_recipe.SEEDS:
        for arm in WAYS:
            table.row(functools.partial(run, arm, seed), arm=arm, seed=seed)
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
