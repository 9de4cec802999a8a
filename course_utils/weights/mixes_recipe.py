"""The shipped model's base, tuned on another mix of problems: does what it learns of one task cost what it
learns of another?

    python -m course_utils.weights.mixes_recipe 3000 6000 3000

tunes it on so many problems of each task, orders, addition and reversing, with all else as in the plan for a
laptop, and notes in `tuning_mixes.csv` how many of the 60 held-out problems of each it has right. Stopped by
Ctrl-C, it goes on. On one thread, so that it comes out the same elsewhere, it takes three minutes.

The first two mixes of the table were those of earlier models, the second chosen after a look at the first
one's scores. The third has the orders of the first and the sums of the second, to say whether sums rose only
because orders fell, and was fixed before it first ran: they rose without that. `tune.PROBLEMS` has it since.
"""

import sys

import torch

from course_utils.pretraining import corpus, evaluate, manifest, model, tune
from course_utils.pretraining.machine import Machine
from course_utils.pretraining.plans import PLANS
from course_utils.weights import recording
from course_utils.weights.making_recipe import BASE, MIXES, OURS

PLAN = PLANS["laptop"]


def text_read(tokenizer):
    """The tokens that the base was pretrained on. Raises ValueError if they come out otherwise."""
    folder = recording.checkpoint("mixes").parent / "mixes"
    path, made = folder / "tokens.bin", manifest.load(OURS).stages["tokens"].writes["tokens.bin"]
    if not path.exists():
        folder.mkdir(exist_ok=True)
        machine = Machine(PLAN, None, None, torch.device("cpu"), {}, processes=1, shard=False)
        machine.questions(folder, print)
        machine.documents(folder, print)
        corpus.write_tokens(path, corpus.read_documents(folder / "documents.jsonl"), tokenizer)
    if (found := manifest.sha256(path)) != made:
        raise ValueError(f"{path} is not what the base read: sha256 {found[:16]}..., not {made[:16]}...")
    return corpus.read_tokens(path)


def rows(problems: dict[str, int]) -> list[dict]:
    """What the base, tuned on so many problems of each task, reaches on the held-out ones."""
    trained, tokenizer = model.load(BASE)
    mix = "-".join(map(str, problems.values()))
    path = recording.checkpoint(f"mix_{mix}")
    tune.tune(trained, tokenizer, PLAN, text_read(tokenizer), path, problems=problems)
    found = []
    for name, prompts in evaluate.fixed()["problems"].items():
        task = evaluate.TASKS[name]
        right = evaluate.share(evaluate.problems_right(trained, tokenizer, task, prompts))
        row = {"mix": mix, "task": name, "learnt_from": problems[name], "right": round(right.value, 4)}
        row |= {"low": f"{right.low:.4f}", "high": f"{right.high:.4f}"}
        found.append(row | {"chance": round(evaluate.chance(task, prompts), 4)})
    return found


def note(found: list[dict]) -> None:
    """Add rows to the table, in place of those of the same mix."""
    kept = [row for row in recording.read_table(MIXES) if row["mix"] != found[0]["mix"]]
    recording.write_table(MIXES, [*kept, *found])


if __name__ == "__main__":
    if len(sys.argv) != 1 + len(evaluate.TASKS):
        sys.exit(f"give three numbers of problems: of {', '.join(evaluate.TASKS)}")
    torch.set_num_threads(1)
    note(rows(dict(zip(evaluate.TASKS, map(int, sys.argv[1:]), strict=True))))
