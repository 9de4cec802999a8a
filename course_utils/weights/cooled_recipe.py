"""The arms of `rlvr_recipe`, each at its own best temperature: what a gain is beside a base that is cooled.

    OMP_NUM_THREADS=1 python -m course_utils.weights.cooled_recipe

In rlvr.csv every model answers at temperature 1. A lower one makes likely answers likelier still and costs
nothing, so a policy that has only grown surer looks better there than it is. Here the base, and each arm
trained once more at its rate and with its seeds, answers validation problems at five temperatures; the one at
which most answers are right is the model's own, and at that test problems are answered as in rlvr.csv. Writes
cooled.csv. What is done is kept in build/.

What it can't show: what a temperature below 0.1 does, which was the best for all of these; where longer
training ends, or another way to choose among answers, such as a vote.
"""

import functools
from pathlib import Path

import torch

from course_utils.weights import recording, rlvr_recipe
from course_utils.weights.rlvr_recipe import WAYS, answers, n_right

TABLE = Path(__file__).with_name("cooled.csv")
TEMPERATURES = 1.0, 0.7, 0.5, 0.3, 0.1


def scored(model, seed: int) -> dict:
    """The model's own temperature, and its scores there."""
    asked = rlvr_recipe.problems("validation", rlvr_recipe.VALIDATION)
    prompts, few, right = [problem.prompt for problem in asked], rlvr_recipe.FEWER, {}
    for temperature in TEMPERATURES:
        draws = torch.Generator().manual_seed(seed)
        right[temperature] = n_right(asked, answers(model, prompts, few, draws, temperature)).mean() / few
    own = max(right, key=right.get)
    row = {f"validation_at_{temperature}": f"{share:.4f}" for temperature, share in right.items()}
    asked, draws = rlvr_recipe.problems("test", rlvr_recipe.TEST), torch.Generator().manual_seed(100 + seed)
    answered = answers(model, [problem.prompt for problem in asked], rlvr_recipe.SAMPLES, draws, own)
    return row | {"temperature": own} | rlvr_recipe.scores(answered, asked)


def run(arm: str, rate: str, seed: int) -> dict:
    """Train one arm, or leave the base as it is; the rest of its row."""
    model = rlvr_recipe.base()
    if arm in WAYS:
        WAYS[arm](model, float(rate), seed)
    return scored(model, seed)


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    torch.set_num_threads(1)
    table = recording.Table(folder / TABLE.name)
    trained = [row for row in recording.read_table(rlvr_recipe.TABLE) if row["pass_1"] and row["seed"]]
    for arm, rate, seed in [("base", "", "0"), *((r["arm"], r["learning_rate"], r["seed"]) for r in trained)]:
        table.row(functools.partial(run, arm, rate, int(seed)), arm=arm, learning_rate=rate, seed=seed)
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
