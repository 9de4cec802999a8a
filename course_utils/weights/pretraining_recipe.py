"""Which objective should an encoder-decoder have learnt before it is tuned?

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m course_utils.weights.pretraining_recipe

One architecture, the encoder-decoder of `architectures_recipe`, is pretrained on windows of both Bibles'
training books, each read for itself, with one budget of FLOPs; then it is tuned on the pairs, old to modern,
with as many steps for all. The ways differ in what is asked of the windows, and so in what a window costs:

- span corruption (T5): the target is what was taken out, about a fifth of the window;
- infilling (BART): the target is the whole window, 30 % of which was hidden, a mask for each span; and with
  15 %, as span corruption hides;
- prefix LM: the window is cut at a random place, and the target is how it goes on;
- next token, as a GPT: the source is the end alone, and the target the whole window.

Two controls have no pretraining: "nothing" has the same steps on the pairs, "more pairs" the same compute.
Each way's learning rate, one for both stages, is the best of four by the bits on the validation books, with
a seed of its own; then three seeds run and are scored on the test books, in bits a byte and chrF. Writes
pretraining.csv; what is done is kept in build/.

No way has its best rate at an end of the sweep. It does not show what pretraining on other and far more text
does, which is what T5 and BART are about.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from course_utils.data.verses import verses
from course_utils.measuring.translation import chrf
from course_utils.seq2seq import greedy
from course_utils.seq2seq.noises import text_infilling
from course_utils.seq2seq.objectives import prefix_lm, span_corruption
from course_utils.weights import recording
from course_utils.weights.architectures_recipe import (
    ARCHITECTURES,
    LONGEST,
    MARKS,
    SEEDS,
    SENTINELS,
    SWEEP_SEED,
    Pair,
    a_step,
    bits_per_byte,
    encoded,
    scores,
    step_tokens,
    tokenizer,
    trained,
)

TABLE = Path(__file__).with_name("pretraining.csv")
MODEL = ARCHITECTURES["encoder-decoder, 2P"]
BUDGET = 1.5e12  # FLOPs of pretraining
TUNING = 130  # steps on the pairs
RATES = (0.004, 0.01, 0.025, 0.06)
WRITTEN = 200  # at most of the test verses that are translated

Generator = torch.Generator
OBJECTIVES: dict[str, Callable[[list[int], Generator], Pair]] = {
    "span corruption": lambda ids, draws: span_corruption(ids, SENTINELS, generator=draws),
    "infilling": lambda ids, draws: (text_infilling(ids, SENTINELS[0], generator=draws), ids),
    "infilling, 15 %": lambda ids, draws: (text_infilling(ids, SENTINELS[0], 0.15, generator=draws), ids),
    "prefix LM": lambda ids, draws: prefix_lm(ids, draws),
    "next token": lambda ids, draws: ([], ids),
}
WAYS = *OBJECTIVES, "nothing", "more pairs"


@functools.lru_cache(maxsize=1)
def windows() -> list[list[int]]:
    """The training books of each Bible, a verse a line, cut into windows."""
    texts = ["\n".join(getattr(verse, side) for verse in verses().train) for side in ("old", "new")]
    ids = [text.ids for text in tokenizer().fast().encode_batch(texts)]
    return [some[i : i + LONGEST] for some in ids for i in range(0, len(some) - LONGEST + 1, LONGEST)]


def examples(name: str, seed: int) -> list[Pair]:
    """What an objective makes of each window; a source ends with the end."""
    draws, ask = torch.Generator().manual_seed(seed), OBJECTIVES[name]
    asked = [ask(window, draws) for window in windows()]
    return [([*source, MARKS.end], target) for source, target in asked]


def translate(model: nn.Module, sources: list[list[int]]) -> list[str]:
    with recording.mixed_precision():
        written = greedy(model, sources, max_new=LONGEST, batch_size=100)
    n = tokenizer().vocab_size  # a sentinel or the padding, should one be written, is no text
    return [tokenizer().decode([i for i in ids if i < n], errors="replace") for ids in written]


def run(name: str, rate: float, seed: int, final: bool) -> dict:
    """Pretrain, tune and score one way with one seed; its row has the test's scores if it is final."""
    pairs = [pair for _, pair in encoded("train")]
    torch.manual_seed(seed)
    model = MODEL.build(MODEL.shape)
    steps, tokens, flops, seconds, tuning = 0, 0.0, 0.0, 0.0, TUNING
    if name in OBJECTIVES:
        asked = examples(name, seed)
        steps = round(BUDGET / a_step(MODEL, asked))
        tokens, flops = steps * step_tokens(asked), steps * a_step(MODEL, asked)
        seconds = trained(model, asked, steps, rate, seed).seconds
    if name == "more pairs":
        tuning += round(BUDGET / a_step(MODEL, pairs))
    seconds += trained(model, pairs, tuning, rate, seed).seconds
    row = {
        "pretraining_steps": steps,
        "tuning_steps": tuning,
        "tokens": round(tokens + tuning * step_tokens(pairs)),
        "flops": f"{flops + tuning * a_step(MODEL, pairs):.4g}",
        "seconds": f"{seconds:.1f}",
        "validation_bits": f"{bits_per_byte(model, 'validation'):.4f}",
        "test_bits": "",
        "other_source_bits": "",
        "test_chrf": "",
    }
    if final:
        test = encoded("test")[:: -(-len(encoded("test")) // WRITTEN)]
        written = translate(model, [source for _, (source, _) in test])
        row |= scores(model)
        row["test_chrf"] = f"{chrf(written, [verse.new for verse, _ in test], samples=0).value:.2f}"
    return row


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    table = recording.Table(folder / TABLE.name)
    merit = recording.least("validation_bits")
    recording.sweep(table, "objective", run, WAYS, RATES, SWEEP_SEED, SEEDS, merit)
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
