"""Which line comes next, asked of four models: can the questions of `pretraining.evaluate` be answered?

    python -m course_utils.weights.next_line_recipe

A question that nobody answers says nothing of who fails in it. So SmolLM2-Instruct is asked too, with 135
million weights in 4 bits; it may have read these texts. Each model is asked once more without the context:
what it has right then it tells by the line alone. And the course's own models are asked in both ways in which
a blank between context and option can be cut: with the option, as `evaluate.as_read` does and as they read in
training, or left behind, as they were asked at first. Writes next_line.csv; it takes ten minutes.
"""

from pathlib import Path

from course_utils import pretrained
from course_utils.pretraining import evaluate
from course_utils.pretraining.model import load
from course_utils.weights import recording
from course_utils.weights.making_recipe import BASE, EVENING, OURS

TABLE = Path(__file__).with_name("next_line.csv")
OWN = {"ours, before tuning": BASE, "ours": OURS, "evening": EVENING}
SMOLLM2 = "SmolLM2"
WAYS = {
    "blank with the option": evaluate.as_read,
    "without the context": lambda choice: ("", choice["options"]),
    "blank left behind": lambda choice: (choice["context"], choice["options"]),
}


def right(name: str, way: str) -> dict:
    """How many a model has right, of each text and in all, and the 95 % interval of the share."""
    if name == SMOLLM2:
        model = pretrained.load("smollm2-135m"), pretrained.smollm2_tokenizer()
    else:
        model = load(OWN[name])
    asked = evaluate.fixed()
    marks = evaluate.choices_right(*model, asked, WAYS[way])
    found = dict.fromkeys(asked["texts"], 0)
    for mark, choice in zip(marks, asked["choices"], strict=True):
        found[choice["text"]] += mark
    share = evaluate.share(marks)
    return found | {
        "right": sum(marks),
        "n": len(marks),
        "low": f"{share.low:.3f}",
        "high": f"{share.high:.3f}",
    }


def next_line_table() -> str:
    """The recorded rows as lines of text."""
    lines = [f"{'which line comes next':45}{'right':>12}{'95 % interval':>16}"]
    for row in recording.read_table(TABLE):
        who, share = f"{row['model']}, {row['way']}", f"{row['right']} of {row['n']}"
        low, high = float(row["low"]), float(row["high"])
        lines.append(f"{who:45}{share:>12}{f'{low:.0%} to {high:.0%}':>16}")
    return "\n".join(lines)


def main() -> None:
    table = recording.Table(TABLE)
    for name in [*OWN, SMOLLM2]:
        for way in [*WAYS][: None if name in OWN else 2]:
            table.row(lambda name=name, way=way: right(name, way), model=name, way=way)


if __name__ == "__main__":
    main()
