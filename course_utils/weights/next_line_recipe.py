"""Which line comes next, asked of four models: can the questions of `pretraining.evaluate` be answered?

    python -m course_utils.weights.next_line_recipe

A question that nobody answers says nothing of who fails in it. So SmolLM2 is asked too, with 135 million
weights and 2 trillion tokens, which may have held these texts. The course's own models are asked in both ways
in which a blank between context and option can be cut: with the option, as `evaluate.as_read` does and as
they read in training, or left at the context's end. Writes next_line.csv; it takes five minutes.
"""

from pathlib import Path

from course_utils import pretrained
from course_utils.pretraining import evaluate
from course_utils.pretraining.model import load
from course_utils.weights import recording
from course_utils.weights.making_recipe import BASE, EVENING, OURS

TABLE = Path(__file__).with_name("next_line.csv")
OURS_ALL = {"ours, before tuning": BASE, "ours": OURS, "evening": EVENING}
SMOLLM2 = "SmolLM2"


def left_behind(choice: dict) -> tuple[str, list[str]]:
    """A choice as it is written, a blank at the end of its context."""
    return choice["context"], choice["options"]


WAYS = {"with the option": evaluate.as_read, "left behind": left_behind}


def right(name: str, blank: str) -> dict:
    """How many a model has right, and the 95 % interval of the share."""
    if name == SMOLLM2:
        model = pretrained.load("smollm2-135m"), pretrained.smollm2_tokenizer()
    else:
        model = load(OURS_ALL[name])
    marks = evaluate.choices_right(*model, evaluate.fixed(), WAYS[blank])
    share = evaluate.share(marks)
    return {"right": sum(marks), "n": len(marks), "low": f"{share.low:.3f}", "high": f"{share.high:.3f}"}


def next_line_table() -> str:
    """The recorded rows as lines of text."""
    lines = [f"{'which line comes next':22}{'the blank':>17}{'right':>13}{'95 % interval':>16}"]
    for row in recording.read_table(TABLE):
        share, between = (
            f"{row['right']} of {row['n']}",
            f"{float(row['low']):.0%} to {float(row['high']):.0%}",
        )
        lines.append(f"{row['model']:22}{row['blank']:>17}{share:>13}{between:>16}")
    return "\n".join(lines)


def main() -> None:
    table = recording.Table(TABLE)
    for name in [*OURS_ALL, SMOLLM2]:
        for blank in WAYS if name in OURS_ALL else [*WAYS][:1]:
            table.row(lambda name=name, blank=blank: right(name, blank), model=name, blank=blank)


if __name__ == "__main__":
    main()
