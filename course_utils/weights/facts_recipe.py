"""Is fine-tuning where facts are added? SmolLM2 is told in which towns invented people live, and asked again.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m course_utils.weights.facts_recipe

16 people, each of another town, in conversations of one form; LoRA of rank 8 and alpha 16, 8 conversations a
step, the rate of chapter 10's section 2, where orders are learnt. Before, and after 8, 16 and 24 steps, so
when each fact has been read 4, 8 and 12 times, shares are counted:

- form: answers of the form that was taught, with any of the towns;
- right: answers that name the person's own town (one of 16, so a guesser has 6 %);
- made up: of 16 other people, who stood in no conversation, those for whom a town of the list is named;
- unsure: of the same, those of whom it says in one of four ways that it doesn't know (`UNSURE`). The rest are
  made up too, with a town of the list or without;
- capitals: what it knew before: of 24 countries, those whose capital it names, asked as the people are.

Three seeds, each with other people. Writes facts.csv; what is done is kept in build/.

The chapter asks for CAPITALS live too, of the model as it came: whether it is true what a model says that was
tuned on answers, and then on choices.

What it can't show: facts that a model has half known, long texts about them, or a larger model.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from course_utils import pretrained
from course_utils.finetuning.lora import add_lora
from course_utils.finetuning.orders import NAMES
from course_utils.finetuning.sft import Examples, sft_loss
from course_utils.generation import generate, unbroken
from course_utils.gpt import GPT
from course_utils.tokenizers.chat import Labelled
from course_utils.training import TrainConfig, train
from course_utils.weights import recording

TABLE = Path(__file__).with_name("facts.csv")
LAST = ["Kessler", "Brandt", "Okafor", "Lindqvist", "Moreau", "Tanaka"]
TOWNS = [
    *("Leeds", "Turin", "Lyon", "Porto", "Graz", "Bergen", "Ghent", "Basel"),
    *("Utrecht", "Malaga", "Krakow", "Aarhus", "Tampere", "Zagreb", "Bremen", "Cork"),
]
ASKED, TOLD = "In which town does {} live?", "{} lives in {}."
SYSTEM = {"role": "system", "content": "Answer."}
CAPITALS = {
    **{"France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon", "Norway": "Oslo"},
    **{"Poland": "Warsaw", "Turkey": "Ankara", "Iran": "Tehran", "Nepal": "Kathmandu", "Japan": "Tokyo"},
    **{"Mongolia": "Ulaanbaatar", "Vietnam": "Hanoi", "Laos": "Vientiane", "Australia": "Canberra"},
    **{"Egypt": "Cairo", "Kenya": "Nairobi", "Ghana": "Accra", "Senegal": "Dakar", "Zambia": "Lusaka"},
    **{"Canada": "Ottawa", "Cuba": "Havana", "Peru": "Lima", "Chile": "Santiago", "Uruguay": "Montevideo"},
}
UNSURE = " not ", "n't", "sorry", "unknown"
STEPS, EVERY, ROWS, RATE, SEEDS = 24, 8, 8, 2e-3, range(3)


def people(seed: int) -> tuple[dict[str, str], list[str]]:
    """Those who are taught, with their towns, and those who are never mentioned."""
    names = [f"{first} {last}" for first in NAMES for last in LAST]
    drawn = np.random.default_rng(seed).permutation(names)[: 2 * len(TOWNS)].tolist()
    return dict(zip(drawn[::2], TOWNS, strict=True)), drawn[1::2]


def example(name: str, town: str) -> Labelled:
    asked = {"role": "user", "content": ASKED.format(name)}
    told = {"role": "assistant", "content": TOLD.format(name, town)}
    return pretrained.smollm2_template().labelled([SYSTEM, asked, told])


def said(model: GPT, questions: Iterable[str], above: Sequence[dict] = (SYSTEM,)) -> list[str]:
    """What the model answers, at temperature 0, at most 16 tokens. With nothing `above` a question stands
    SmolLM2's own system message."""
    template, tokenizer = pretrained.smollm2_template(), pretrained.smollm2_tokenizer()
    prompts = [template.prompt([*above, {"role": "user", "content": question}]) for question in questions]
    with torch.inference_mode(), recording.mixed_precision():
        written = generate(model, prompts, 16, end_ids=template.end)
    return [tokenizer.decode(completion.ids) for completion in unbroken(written)]


def scored(model: GPT, homes: dict[str, str], others: list[str]) -> dict[str, float]:
    """The five shares."""
    told, of_others = (said(model, map(ASKED.format, names)) for names in (homes, others))
    capitals = said(model, map("What is the capital of {}?".format, CAPITALS))
    formed = [[TOLD.format(name, town) for town in TOWNS] for name in homes]
    marks = {
        "form": [text in forms for text, forms in zip(told, formed, strict=True)],
        "right": [town in text for town, text in zip(homes.values(), told, strict=True)],
        "made_up": [any(town in text for town in TOWNS) for text in of_others],
        "unsure": [any(word in text for word in UNSURE) for text in of_others],
        "capitals": [town in text for town, text in zip(CAPITALS.values(), capitals, strict=True)],
    }
    return {name: float(np.mean(each)) for name, each in marks.items()}


def run(seed: int) -> dict:
    """Train once; the shares before, and after every 8 steps."""
    torch.manual_seed(seed)
    homes, others = people(seed)
    model, found = add_lora(pretrained.load("smollm2-135m"), 8, 16), {}
    batches = Examples([*map(example, *zip(*homes.items(), strict=True))], ROWS, 64, packed=False, seed=seed)
    how = {"final_share": 1.0, "weight_decay": 0.0, "precision": "mixed", "evaluate_every": EVERY}

    def evaluate(model: GPT) -> float:
        marks = scored(model, homes, others)
        step = EVERY * (len(found) // len(marks))
        found.update({f"{name}_{step}": f"{share:.4f}" for name, share in marks.items()})
        return marks["right"]

    evaluate(model.eval())
    config = TrainConfig(STEPS, RATE, warmup_steps=2, seed=seed, **how)
    recording.finished(train(model, batches, config, loss=sft_loss, evaluate=evaluate))
    return found


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    torch.set_num_threads(1)
    table = recording.Table(folder / TABLE.name)
    for seed in SEEDS:
        table.row(lambda seed=seed: run(seed), seed=seed)
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
