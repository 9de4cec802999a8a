"""Was it the marks? Chapter 10's section 4 learns from a verifier's marks; here a coin marks the answers.

    OMP_NUM_THREADS=1 python -m course_utils.weights.coin_recipe

From the base of `rlvr_recipe`, on problems with 4 totals: 30 steps of the group-relative policy gradient,
each on 16 answers to each of 8 problems. The verifier's marks are those that the chapter gives live. The coin
calls 18 % of the answers right, about as many as the verifier does at first, whatever they say. Three seeds,
of what is asked, drawn and tossed. Scored as in the chapter, by 64 answers to each of 40 held-out problems,
drawn with the same seed for all: pass@1, pass@64, and the gain in pass@1 with 1.96 standard errors over the
problems. Writes coin.csv; what is done is kept in build/. It takes a minute of one core.

What it can't show: what other models make of chance marks. Of Qwen's some gained (R. Shao et al. 2025).
"""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from course_utils.finetuning.policy_gradient import Rollouts, policy_gradient
from course_utils.finetuning.tasks import Problem, digit_sums
from course_utils.gpt import GPT
from course_utils.training import TrainConfig, train
from course_utils.weights import recording, rlvr_recipe

TABLE = Path(__file__).with_name("coin.csv")
TASK = digit_sums((4, 4))
PROMPTS, HELD_OUT, SAMPLES = 2000, 40, 64  # problems, and answers to each of those held out
STEPS, RATE, SEEDS = 30, 3e-4, range(3)
CALLED_RIGHT = 0.18  # by the coin


def held_out() -> list[Problem]:
    return TASK.problems("test", HELD_OUT)


def n_right(model: GPT, temperature: float = 1.0, n: int = SAMPLES) -> Int[np.ndarray, " problems"]:
    """Of n answers to each held-out problem, how many are right."""
    asked, draws = held_out(), torch.Generator().manual_seed(0)
    answered = rlvr_recipe.answers(model, [problem.prompt for problem in asked], n, draws, temperature)
    return rlvr_recipe.n_right(asked, answered)


def marked_answers(policy: GPT, right: Callable[[str, str], float], seed: int = 0) -> Rollouts:
    """`rlvr_recipe.rollouts` on the problems of training."""
    prompts = [problem.prompt for problem in TASK.problems("train", PROMPTS)]
    return rlvr_recipe.rollouts(policy, prompts, right, seed)


def coin(seed: int) -> Callable[[str, str], bool]:
    """A mark that knows nothing of problem or answer."""
    draws = np.random.default_rng(seed)
    return lambda prompt, answer: draws.random() < CALLED_RIGHT


MARKS = {"the verifier's": lambda seed: TASK.right, "a coin's": coin}


def scored(model: GPT) -> dict[str, str]:
    share, before = n_right(model) / SAMPLES, _before()
    gain = share - before
    numbers = {
        "pass_1": share.mean(),
        "pass_64": (share > 0).mean(),
        "gain": gain.mean(),
        "give_or_take": 1.96 * gain.std(ddof=1) / len(gain) ** 0.5,
    }
    return {name: f"{number:.4f}" for name, number in numbers.items()}


@functools.cache
def _before() -> np.ndarray:
    return n_right(rlvr_recipe.base()) / SAMPLES


def run(marks: str, seed: int) -> dict[str, str]:
    """Train once; the rest of its row."""
    policy = rlvr_recipe.base()
    rollouts = marked_answers(policy, MARKS[marks](seed), seed)
    config = TrainConfig(STEPS, RATE, warmup_steps=5)
    recording.finished(train(policy, rollouts, config, loss=policy_gradient()))
    marked = np.mean([row["reward"] for row in rollouts.log])
    return {"marked_right": f"{marked:.4f}"} | scored(policy)


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    torch.set_num_threads(1)
    table = recording.Table(folder / TABLE.name)
    table.row(lambda: {"marked_right": ""} | scored(rlvr_recipe.base()), marks="none yet", seed="")
    for marks in MARKS:
        for seed in SEEDS:
            table.row(functools.partial(run, marks, seed), marks=marks, seed=seed)
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
