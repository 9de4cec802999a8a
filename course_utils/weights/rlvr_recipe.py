"""Learning from a verifier and from solutions, at equal compute, on a task with many right answers.

    OMP_NUM_THREADS=1 python -m course_utils.weights.rlvr_recipe

trains a small GPT on the task "digit sums", mostly on short problems: so it solves those of 3 groups, those
of 4 now and then, those of 5 hardly ever: rlvr_base.safetensors. From there three arms go on, with one
budget of FLOPs for what each samples and learns, on problems of all lengths:

- policy gradient: groups of 16 answers, advantages divided by the deviation (GRPO without its KL);
- rejection sampling: six rounds, each of which spends half of its compute on answers of the weights as they
  are, and half on SFT on the right ones;
- solutions: SFT on problems with their solutions, which the other two never see.

Each arm's learning rate is the best of four by pass@1 on validation problems, with a seed of its own; then
three seeds are scored on test problems by 64 answers each. Beside them stand the base, whose 64 answers were
drawn once more (so some of what it missed is found by chance), and a guesser that draws digits evenly. Writes
rlvr.csv, and of the policy gradient's three seeds the reward, dead groups, entropy and KL of each step,
rlvr_log.csv. A command that is broken off leaves whole trainings in build/; started again, it goes on. A base
that is there stays, for all arms and controls begin from it: for another, remove it and build/ first.

The budget is small: some minutes of one core for all arms. It shows what these methods do first, not where
they end. Where the base stops decides what can be seen, and problems of one length are learnt all at once: in
trials with 3 groups of 3 digits alone 58 % of 60 validation problems had a right answer among 64 after 830
steps, and all of them after 850. So lengths are mixed, and the base's steps were chosen on the validation
problems, so that 50 to 80 % have a right answer among 64: 48 % with 600 steps, 52 with 900, 78 with 1200.

As recorded, both arms that learn from marks solved more of what the base solved now and then, rejection
sampling a little more in all seeds. Of the 72 problems that the base had missed they found 0 to 4; the base,
asked once more, found 2. Solutions taught the length that it didn't know, at the price of some of what it
knew; their best rate was the highest of the sweep, so they might do better at one still higher. At 1e-3 and
above the policy gradient lost nearly everything. With four budgets both arms that learn from marks
are nearly level: see `rlvr_controls_recipe`.
"""

import copy
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from course_utils.finetuning.log_probs import log_probs_of, with_answers
from course_utils.finetuning.policy_gradient import Rollouts, policy_gradient, sample
from course_utils.finetuning.sft import IGNORED, Examples, Labelled, sft_loss
from course_utils.finetuning.tasks import TASKS, Problem, digit_sums, mean_pass_at_k
from course_utils.gpt import GPT, GPTConfig
from course_utils.tokenizers import ByteTokenizer
from course_utils.training import TrainConfig, checkpoints, train
from course_utils.weights import recording

HERE = Path(__file__).parent
TABLE, LOG, BASE = HERE / "rlvr.csv", HERE / "rlvr_log.csv", HERE / "rlvr_base.safetensors"
TASK = TASKS["digit sums"]
LENGTHS = 3, 4, 5  # groups of a problem
CONFIG = GPTConfig(vocab_size=128, context=30, n_layers=3, n_heads=4, d_model=64)
END = ord("\n")
MAX_NEW = 15  # tokens: ten digits, four blanks, the end
BATCH = 64  # solutions
BASE_PROBLEMS = {3: 4200, 4: 1500, 5: 300}  # by their groups
BASE_STEPS, BASE_RATE = 1200, 4e-3
PROMPTS = 4000
RL_STEPS, GROUPS, SIZE = 100, 8, 16
ROUNDS = 6
RATES, SWEEP_SEED, SEEDS = (1e-4, 3e-4, 1e-3, 3e-3), 10, range(3)
TEST, VALIDATION, SAMPLES, FEWER = 200, 60, 64, 16  # problems, and answers to each

# What an answer costs, in passes of its tokens forward: sampling reads each once, learning takes three times
# as much, forward and back. (What only watches, log p of the sampler and of the base, isn't counted.) A pass
# of 24 tokens, a prompt with its answer, through 168,384 numbers takes 8.2 million FLOPs, a budget 4.2e11.
SAMPLED, LEARNT = 1, 3
BUDGET = RL_STEPS * GROUPS * SIZE * (SAMPLED + LEARNT)


def encode(text: str) -> list[int]:
    return ByteTokenizer().encode(text).tolist()


def decode(ids: list[int]) -> str:
    return ByteTokenizer().decode(ids, errors="replace")


@functools.cache
def problems(side: str, n: int, seed: int = 0) -> list[Problem]:
    return TASK.problems(side, n, seed)


def examples(solved: list[Problem]) -> list[Labelled]:
    """Problems with their solutions, the loss on the solutions alone."""
    made = []
    for prompt, solution in solved:
        asked, answer = encode(prompt), [*encode(solution), END]
        made.append(Labelled([*asked, *answer], [*[IGNORED] * len(asked), *answer]))
    return made


def tuned(model: GPT, solved: list[Problem], steps: int, rate: float, seed: int, name: str = "") -> float:
    """SFT in place; the seconds that it took. A run with a name can be resumed."""
    batches = Examples(examples(solved), BATCH, CONFIG.context, packed=False, seed=seed)
    config = TrainConfig(steps, rate, warmup_steps=min(20, steps // 10), evaluate_every=100, seed=seed)
    kept = recording.checkpoint(name) if name else None
    run = recording.finished(train(model, batches, config, loss=sft_loss, checkpoint=kept))
    return run.seconds


def base() -> GPT:
    """The model that all arms start from."""
    model = GPT(CONFIG)
    checkpoints.load_into(BASE, model)
    return model


def make_base() -> None:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    solved = [
        p for groups, n in BASE_PROBLEMS.items() for p in digit_sums((groups, groups)).problems("train", n)
    ]
    seconds = tuned(model, solved, BASE_STEPS, BASE_RATE, 0, "rlvr_base")
    notes = {"parameters": recording.n_parameters(model), "seconds": round(seconds, 1)}
    checkpoints.save_model(BASE, model, notes, half=True)


# ---- the arms: each spends the budget, or some times as much ----------------------------------------


def rollouts(policy: GPT, prompts: list[str], right: Callable[[str, str], float], seed: int) -> Rollouts:
    """Batches for `train`: 16 answers to each of 8 problems, by the policy as it is, with their marks; its
    reference is the policy as it is now."""
    return Rollouts(
        policy,
        prompts,
        right,
        encode=encode,
        decode=decode,
        end=END,
        groups=GROUPS,
        size=SIZE,
        max_new=MAX_NEW,
        reference=copy.deepcopy(policy),
        seed=seed,
    )


def by_policy_gradient(model: GPT, rate: float, seed: int, times: int = 1) -> list[dict[str, float]]:
    """Its log, a row a step."""
    drawn = rollouts(model, [prompt for prompt, _ in problems("train", PROMPTS)], TASK.right, seed)
    config = TrainConfig(times * RL_STEPS, rate, warmup_steps=5, seed=seed)
    recording.finished(train(model, drawn, config, loss=policy_gradient()))
    return drawn.log


def by_rejection_sampling(model: GPT, rate: float, seed: int, times: int = 1) -> None:
    """Its problems and answers are drawn by the seed alone. But SFT of round n, from 0, has the seed + n, so
    rounds of neighbouring seeds shuffle by the same one; the recorded runs did."""
    draws, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    n_prompts = BUDGET // (2 * ROUNDS * SAMPLED * SIZE)
    steps = BUDGET // (2 * ROUNDS * LEARNT * BATCH)
    for number in range(times * ROUNDS):
        chosen = rng.choice(PROMPTS, n_prompts, replace=False)
        prompts = [problems("train", PROMPTS)[i].prompt for i in chosen]
        kept = {
            Problem(prompt, answer)  # each once
            for prompt, row in zip(prompts, answers(model, prompts, SIZE, draws), strict=True)
            for answer in row
            if TASK.right(prompt, answer)
        }
        if kept:
            tuned(model, sorted(kept), steps, rate, seed + number)


def by_solutions(model: GPT, rate: float, seed: int) -> None:
    tuned(model, problems("train", 2 * PROMPTS), BUDGET // (LEARNT * BATCH), rate, seed + 100)


WAYS = {  # each trains a model in place, by a rate and a seed
    "policy gradient": by_policy_gradient,
    "rejection sampling": by_rejection_sampling,
    "solutions": by_solutions,
}


# ---- how good it is --------------------------------------------------------------------------------


def answers(
    model: GPT, prompts: list[str], n: int, draws: torch.Generator, temperature: float = 1.0
) -> list[list[str]]:
    """n answers to each prompt; one that didn't end is empty."""
    written = []
    for i in range(0, len(prompts), 40):
        rows = [encode(prompt) for prompt in prompts[i : i + 40] for _ in range(n)]
        ids_of_all = sample(model, rows, MAX_NEW, END, draws, temperature)
        written += [decode(ids[:-1]) if ids[-1] == END else "" for ids in ids_of_all]
    return [written[i : i + n] for i in range(0, len(written), n)]


def n_right(asked: list[Problem], answered: list[list[str]]) -> np.ndarray:
    return np.array(
        [sum(TASK.right(p.prompt, answer) for answer in row) for p, row in zip(asked, answered, strict=True)]
    )


def validation_pass_1(model: GPT) -> float:
    asked, draws = problems("validation", VALIDATION), torch.Generator().manual_seed(0)
    right = n_right(asked, answers(model, [p.prompt for p in asked], FEWER, draws))
    return float(right.mean() / FEWER)


@functools.cache
def missed_by_base() -> tuple[bool, ...]:
    """The test problems to which none of the base's 64 answers is right."""
    asked, draws = problems("test", TEST), torch.Generator().manual_seed(1)
    right = n_right(asked, answers(base(), [p.prompt for p in asked], SAMPLES, draws))
    return tuple((right == 0).tolist())


def scores(answered: list[list[str]], asked: list[Problem]) -> dict:
    """pass@1 and pass@64 with their intervals, the share of right answers to problems of each length, and of
    what the base missed in 64 tries how many have a right answer now."""
    right, missed, row = n_right(asked, answered), np.array(missed_by_base()), {}
    for k in (1, SAMPLES):
        share = mean_pass_at_k(right, SAMPLES, k)
        for name, value in zip(("", "_low", "_high"), share, strict=True):
            row[f"pass_{k}{name}"] = f"{value:.4f}"
    groups = np.array([len(p.solution.split()) for p in asked])
    for n in LENGTHS:
        row[f"right_{n}"] = f"{right[groups == n].mean() / SAMPLES:.4f}"
    return row | {"missed": int(missed.sum()), "found": int((right[missed] > 0).sum())}


def distances(model: GPT, asked: list[Problem], answered: list[list[str]]) -> dict:
    """Entropy of an answer and its KL to the base in nats, from the first answer to each problem, without
    those that are unfinished or empty; nan if none is left."""
    rows = [
        (encode(p.prompt), [*encode(row[0]), END]) for p, row in zip(asked, answered, strict=True) if row[0]
    ]
    if not rows:
        return {"entropy": "nan", "kl": "nan"}
    ids, of = with_answers(*zip(*rows, strict=True))
    log_p, before = (log_probs_of(m, ids, of) for m in (model, base()))
    return {"entropy": f"{-log_p.mean():.3f}", "kl": f"{(log_p - before).mean():.3f}"}


def scored(model: GPT, seed: int) -> dict:
    asked, draws = problems("test", TEST), torch.Generator().manual_seed(100 + seed)
    answered = answers(model, [p.prompt for p in asked], SAMPLES, draws)
    return scores(answered, asked) | distances(model, asked, answered)


def guessed() -> dict:
    asked, draws = problems("test", TEST), np.random.default_rng(0)
    return scores([[TASK.guess(draws, p.prompt) for _ in range(SAMPLES)] for p in asked], asked)


# ---- the recording ---------------------------------------------------------------------------------

COLUMNS = ["passes", "validation_pass_1"]
COLUMNS += [f"pass_{k}{end}" for k in (1, SAMPLES) for end in ("", "_low", "_high")]
COLUMNS += [f"right_{n}" for n in LENGTHS] + ["missed", "found", "entropy", "kl"]


def run(arm: str, rate: float, seed: int, final: bool, folder: Path = Path("build")) -> dict:
    model = base()
    log = WAYS[arm](model, rate, seed)
    if log and final:
        rows = [
            {"seed": seed, "step": i} | {k: f"{v:.4f}" for k, v in row.items()}
            for i, row in enumerate(log, 1)
        ]
        recording.write_table(folder / f"rlvr_log_{seed}.csv", rows)
    row = dict.fromkeys(COLUMNS, "") | {
        "passes": BUDGET,
        "validation_pass_1": f"{validation_pass_1(model):.4f}",
    }
    return row | (scored(model, seed) if final else {})


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    torch.set_num_threads(1)
    table = recording.Table(folder / TABLE.name)
    if not BASE.exists():
        make_base()
    for name, make in (("base", lambda: scored(base(), 0)), ("guesser", guessed)):
        table.row(lambda make=make: dict.fromkeys(COLUMNS, "") | make(), arm=name, learning_rate="", seed="")
    at = functools.partial(run, folder=folder)
    recording.sweep(
        table, "arm", at, WAYS, RATES, SWEEP_SEED, SEEDS, lambda row: float(row["validation_pass_1"])
    )
    recording.write_table(TABLE, table.rows)
    logs = [recording.read_table(folder / f"rlvr_log_{seed}.csv") for seed in SEEDS]
    recording.write_table(LOG, [row for log in logs for row in log])


if __name__ == "__main__":
    main()
