"""Rank against learning rate: what "LoRA Without Regret" reports of large models, asked of a very small one.

    OMP_NUM_THREADS=1 python -m course_utils.weights.ranks_recipe

The GPT of `rlvr_recipe`, which hardly ever solves problems with 5 totals, learns them from solutions: all
its weights, or LoRA of two ranks beside all linear layers, or beside those of attention alone. Each of them
at each of five rates, with three seeds, at a rate that stays as it is (after 5 steps of warm-up): so a run is
scored after 25 steps as well as at its end. The score is bits a token of the solutions of held-out problems.
Nothing is chosen by it: all that ran is in ranks.csv, with the seconds of one core. What is done is kept in
build/.

Alpha is 32 whatever the rank, as in Schulman & Thinking Machines Lab 2025, "LoRA Without Regret". What it
can't show: a long training, or data for which a rank of 16 has no room. Rates lie threefold apart, so a best
one is known to a factor of about two.
"""

import functools
import math
import time
from pathlib import Path

import torch
from torch import nn

from course_utils.finetuning.lora import add_lora, trainable
from course_utils.finetuning.sft import Examples, sft_loss
from course_utils.finetuning.tasks import digit_sums
from course_utils.training import TrainConfig, train
from course_utils.weights import recording, rlvr_recipe

TABLE = Path(__file__).with_name("ranks.csv")
TASK = digit_sums((5, 5))
PROBLEMS = {"train": 4000, "validation": 200}
STEPS, SHORT, ROWS = 100, 25, 32
ALPHA, ATTENTION = 32, ("query", "key", "value", "output")
ARMS = {  # rank and targets
    "all weights": None,
    "rank 1": (1, None),
    "rank 16": (16, None),
    "rank 16, attention alone": (16, ATTENTION),
}
RATES, SEEDS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2), range(3)


def run(arm: str, rate: float, seed: int) -> dict:
    """Train one arm; the rest of its row."""
    torch.manual_seed(seed)
    model = rlvr_recipe.base()
    if ARMS[arm]:
        rank, targets = ARMS[arm]
        add_lora(model, rank, ALPHA, targets)
    examples = {part: rlvr_recipe.examples(TASK.problems(part, n)) for part, n in PROBLEMS.items()}
    context = rlvr_recipe.CONFIG.context
    held_out = Examples(examples["validation"], PROBLEMS["validation"], context, packed=False).next()

    def bits(model: nn.Module) -> float:
        return sft_loss(model, held_out, None)[0].item() / math.log(2)

    batches = Examples(examples["train"], ROWS, context, packed=False, seed=seed)
    config = TrainConfig(
        STEPS, rate, warmup_steps=5, final_share=1.0, weight_decay=0.0, evaluate_every=SHORT, seed=seed
    )
    began = time.process_time()
    done = recording.finished(train(model, batches, config, loss=sft_loss, evaluate=bits))
    values = {step: value for step, _, value in done.evaluations}
    return {
        "trainable": trainable(model),
        "bits_short": f"{values[SHORT]:.4f}",
        "bits": f"{values[STEPS]:.4f}",
        "seconds": f"{time.process_time() - began:.1f}",
    }


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    torch.set_num_threads(1)
    table = recording.Table(folder / TABLE.name)
    for arm in ARMS:
        for rate in RATES:
            for seed in SEEDS:
                make = functools.partial(run, arm, rate, seed)
                table.row(make, arm=arm, learning_rate=rate, seed=seed)
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
