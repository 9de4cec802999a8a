"""Should the T5 of chapter 7 learn span corruption before it is trained on pairs?

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m course_utils.weights.span_first_recipe

Two arms of `verses_recipe`, from first weights that can copy: 600 steps on pairs, alone or after 120 steps of
span corruption on free text. Each arm's learning rate, one for both stages, is the best of five by the nats a
token of validation verses, with a seed of its own; then three seeds run and are scored on the test verses:
nats a token from old to new, and chrF in both tasks. Writes span_first.csv; what is done is kept in build/.
It was recorded in parts: the sweep's runs at 0.02 are those of verses_log.csv.

It does not show what other amounts of span corruption do, or rates that differ between the stages, or other
first weights (`pretraining_recipe` has random ones, in a smaller model).
"""

from pathlib import Path

from course_utils.data.verses import verses
from course_utils.measuring.translation import chrf
from course_utils.seq2seq import T5
from course_utils.weights import recording, verses_recipe
from course_utils.weights.verses_recipe import PREFIXES
from course_utils.weights.verses_translating import translate

TABLE = Path(__file__).with_name("span_first.csv")
ARMS = "same steps", "pretrained"
RATES = (0.0023, 0.004, 0.007, 0.02, 0.06)
SWEEP_SEED, SEEDS = 0, (1, 2, 3)
NOT_SCORED = dict.fromkeys(("test_nats", "chrf_modern", "chrf_old"), "")


def scores(model: T5) -> dict[str, str]:
    """Nats a token of the test verses from old to new, and the chrF of what is written in each task."""
    nats = verses_recipe.nats(model, verses_recipe.in_order(verses().test, "modern: "))
    found = {"test_nats": f"{nats:.4f}"}
    for prefix in PREFIXES:
        read, references = verses_recipe.sides(verses().test, prefix)
        asked = [prefix + text for text in read]
        written = translate(model, verses_recipe.tokenizer(), asked, exchange=False)
        found[f"chrf_{prefix.strip(' :')}"] = f"{chrf(written, references, 0).value:.2f}"
    return found


def run(arm: str, rate: float, seed: int, final: bool) -> dict:
    """Train one arm with one seed; its row has the test's scores if it is final."""
    model, runs = verses_recipe.run(arm, seed, rate)
    costs = [[run.step * each for each in verses_recipe.a_step(stage)] for stage, run in runs.items()]
    tokens, flops = map(sum, zip(*costs, strict=True))
    row = {
        "steps": sum(run.step for run in runs.values()),
        "tokens": round(tokens),
        "flops": f"{flops:.4g}",
        "validation_nats": f"{runs[arm].evaluations[-1][2]:.4f}",
    }
    return row | (scores(model.eval()) if final else NOT_SCORED)


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    table = recording.Table(folder / TABLE.name)
    recording.sweep(table, "arm", run, ARMS, RATES, SWEEP_SEED, SEEDS, recording.least("validation_nats"))
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
