"""The two small models that chat, which the course ships: what the plans for a laptop and an evening make.

    python3 course.py make --plan laptop --folder build/ours
    python -m course_utils.weights.making_recipe build/ours

and the same with `--plan evening`. The second command knows the plan by the manifest, keeps in the folder
`ours` or `evening` beside this file the weights in float16, the tokenizer, the scores and the log, without
the texts, and prints the card. `sample.json` has what the kept weights reach on a part of the questions, so
that a test can ask them again. When `card` comes to say more, the same command without a folder prints both
cards again from the kept files (`print_again`), and the manifests get their new sha256. Scores were made
again when `evaluate` came to ask more; what stands in the manifests of other stages is of the first time, but
for the sha256 of the texts' packages.

In both `quantised.json` the text was read after an "(", where all else was read after the end of a text: one
token's difference.

`ours` was made on two quiet cores; `evening` on two that others used too, so the seconds on its card are no
measure of speed. What both are tuned on was chosen after a look at earlier models' scores on the problems
that the cards show: so these had become validation, and fresh ones are asked too. Prompts were drawn with
three more seeds: of 100 answers of `ours` 100, 100 and 99 end, to fresh prompts, one of which was another
then, 99, 97 and 100; of `evening` 98, 100 and 99, and 100 each.

`evening` was tuned four times, each but the first after a look at the scores before, at bits and stops too;
its manifest got the new plan, and all behind pretraining was made again. `evening_tunings.csv` has the four:
bits a byte on The Tempest, where the base has 2.037 and a 5-gram of the same text 2.558, problems right of 60
of each task, and answers of 100 that stop. From the second to the third batch, readings and old text changed
at once.

`ours_base` is `ours` before tuning. `tuning_mixes.csv` has, by `mixes_recipe`, what three tunings of it reach
on the 60 held-out problems of each task, by how many problems of each they read, in equal steps.
"""

import json
import shutil
import sys
from itertools import islice
from pathlib import Path

from tokenizers import Tokenizer

from course_utils.files import write_atomic
from course_utils.gpt import GPT
from course_utils.measuring import scoreboard
from course_utils.pretraining import card, evaluate, manifest, model, tune, vocabulary
from course_utils.pretraining.plans import PLANS
from course_utils.weights import recording

OURS, EVENING = (Path(__file__).with_name(name) for name in ("ours", "evening"))
SHIPPED = {"evening": EVENING, "laptop": OURS}  # by their plans, the larger one first
BASE, MIXES = OURS.with_name("ours_base"), OURS.with_name("tuning_mixes.csv")
TUNINGS = OURS.with_name("evening_tunings.csv")
KEPT = (
    "manifest.json",
    "size.json",
    "vocabulary.json",
    "pretrain_log.json",
    "choices.json",
    "scores.json",
    "quantised.json",
)
CHARACTERS, PROBLEMS = 5000, 20  # of each text and task


def sample(trained: GPT, tokenizer: Tokenizer) -> dict[str, dict[str, float]]:
    """Bits per byte of the beginning of each held-out text, and the share of each task's first problems that
    are right."""
    asked, right = evaluate.fixed(), {}
    for name, prompts in asked["problems"].items():
        first = [*islice(prompts, PROBLEMS)]
        marks = evaluate.problems_right(trained, tokenizer, evaluate.TASKS[name], first)
        right[name] = sum(marks) / len(marks)
    texts = {name: text[:CHARACTERS] for name, text in asked["texts"].items()}
    bits = {name: vocabulary.bits(trained, tokenizer, text) for name, text in texts.items()}
    return {"bits_per_byte": bits, "right": right}


def stages_table() -> str:
    """What each stage gave and took, as lines: bits per byte of each held-out text, by the base, the model
    that chats, and the 5-gram; and validation problems right before and after the preference step."""
    scores, choices = (json.loads((OURS / f"{name}.json").read_bytes()) for name in ("scores", "choices"))
    found = scores["base"]["bits_per_byte"], scores["chat"]["bits_per_byte"], scores["5-gram"]
    rows = [f"{text:22}" + "".join(f"{bits[text]:8.3f}" for bits in found) for text in found[0]]
    n = tune.VALIDATED * len(evaluate.TASKS)
    before, after = (round(n * choices[when]["right"]) for when in ("before", "after"))
    step = f"of {n} validation problems right: {before} before the preference step, {after} after it"
    return "\n".join([f"{'bits a byte':22}{'base':>8}{'chat':>8}{'5-gram':>8}", *rows, step])


def tunings_table() -> str:
    """How `evening` was tuned, time after time, and what came of it, as lines of text."""
    lines = [
        f"{'steps x rows':14}{'readings':>10}{'old text':>10}{'longest answer':>16}{'bits, Tempest':>15}"
        f"{'sums, of 60':>13}{'stop, of 100':>14}"
    ]
    for row in recording.read_table(TUNINGS):
        lines.append(
            f"{row['steps']:>5} x {row['rows']:6}{row['readings']:>10}{row['old_text']:>10}"
            f"{row['longest_answer']:>16}{row['tempest']:>15}{row['addition']:>13}{row['stops']:>14}"
        )
    return "\n".join(lines)


def keep(folder: Path) -> None:
    """Keep a finished model of `course.py make`, of the laptop plan its base too; of evening's note how often
    it was tuned. Raises KeyError for a plan whose model isn't shipped, ValueError for a model with a part of
    its maker's own or other settings, and what `model.load` does."""
    plan = manifest.load(folder).plan
    place = SHIPPED[plan["name"]]
    ours = PLANS[plan["name"]].settings() | {"law": plan["law"], "texts": "the course's"}
    if other := sorted(name for name in ours.keys() | plan.keys() if ours.get(name) != plan.get(name)):
        raise ValueError(
            f"the model in {folder} isn't that of the plan {plan['name']}, but has its own "
            f"{', '.join(other)}: make it again by the plan as it is"
        )
    model.save(place, *model.load(folder), half=True)
    if place == OURS:
        model.save(BASE, *model.load(folder / "base"), half=True)
    for name in KEPT:
        shutil.copyfile(folder / name, place / name)
    if place == EVENING:
        made = manifest.load(place)
        made.stages["tune"].notes["tunings"] = len(recording.read_table(TUNINGS))
        made.save(place)
    found = sample(*model.load(place))
    write_atomic(place / "sample.json", json.dumps(found, indent=1) + "\n")


def others() -> dict[str, float]:
    """Bits per byte on The Tempest of the course's other models, which were recorded."""
    return {point.name: point.bits_per_byte for point in scoreboard.recorded()[0]}


def print_again() -> None:
    """Print the kept models' cards as `card` says them now."""
    for place in SHIPPED.values():
        card.write(place, others())
        made = manifest.load(place)
        made.stages["card"].writes |= manifest.hashes(place, ("card.md", "card.html"))
        made.save(place)


if __name__ == "__main__":
    if sys.argv[1:]:
        keep(Path(sys.argv[1]))
    print_again()
