"""One task, four ways: SmolLM2 tells good film reviews from bad, and is asked what it still knows of plays.

    OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS=1 python -m course_utils.weights.adapting_recipe

All ways judge the same single sentences of Rotten Tomatoes by which of two words is likelier at the end, and
those that train read the same 160 of them, once:

- prompt only: nothing is trained; one of three prompts is chosen, of which one shows four examples;
- frozen + linear: logistic regression on the last token's vector, in the model as it came;
- LoRA: rank 8 and alpha 16, beside all linear layers;
- all weights.

What a way has to be chosen (prompt, weight decay, learning rate, three to five of each) is the best on
validation sentences, with a seed of its own; then three seeds, each with other training sentences, are scored
on the test; the prompt once, for nothing is drawn for it. Forgetting is measured in bits per byte on the
beginning of Twelfth Night, a play, in windows of 256 tokens. The two ways that change the model are then run
at each of three rates, whatever their best: "LoRA, another rate" and "all weights, another rate". Seconds are
those of one core. Writes adapting.csv; what is done is kept in build/.

The chosen rates lead the next best by 2 of 120 validation sentences; on 240 test sentences a share has an
interval of 5 to 6 points either way, by chance alone. A first sweep of all weights ended at 1e-4, its best
then, and with that LoRA was the way that forgot more. Runs that a table of that time held were kept; their
peaks, which depend on a seed's batch alone, were counted anew after a step of warming up.
"""

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_utils import pretrained
from course_utils.data import corpora
from course_utils.data.reviews import Review, reviews
from course_utils.finetuning.costs import Costs, costs
from course_utils.finetuning.lora import add_lora
from course_utils.finetuning.sft import Examples, sft_loss
from course_utils.gpt import GPT, log2_probs
from course_utils.measuring.probing import linear_probe, standardised
from course_utils.seq2seq.pairs import padded
from course_utils.tokenizers.chat import IGNORED, Labelled
from course_utils.training import TrainConfig, train
from course_utils.weights import recording

TABLE = Path(__file__).with_name("adapting.csv")
SWEEP_SEED, SEEDS = 9, (0, 1, 2)
STEPS, ROWS = 20, 8
LONGEST = 30  # tokens of a sentence
JUDGED = {"validation": 120, "test": 240}  # sentences
PLAY_BYTES, CONTEXT = 4000, 256
RATES = {"LoRA": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2), "all weights": (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)}
COMPARED = 1e-4, 3e-4, 1e-3
PROMPTS = "a question", "the start of an answer", "four examples"
ASKED = "\nThe review is"
ANSWERS = " negative", " positive"


def ids_of(text: str) -> list[int]:
    return pretrained.smollm2_tokenizer().encode(text).ids


@functools.lru_cache
def sentences(part: str) -> list[Review]:
    """The sentences of a part of the reviews that aren't too long."""
    return [
        review
        for review in getattr(reviews(), part)
        if review.source == "rotten_tomatoes" and len(ids_of(review.text)) <= LONGEST
    ]


def drawn(seed: int) -> list[Review]:
    """The training sentences of a seed."""
    chosen = np.random.default_rng(seed).permutation(len(sentences("train")))[: STEPS * ROWS]
    return [sentences("train")[i] for i in chosen]


def prompted(kind: str, review: Review, seed: int) -> list[int]:
    """A review with the question, or what stands in its place."""
    if kind == PROMPTS[0]:
        question = f"Is this film review positive or negative?\n\n{review.text}"
        return pretrained.smollm2_chat([{"role": "user", "content": question}]) + ids_of(ASKED.strip())
    shown = ""
    if kind == PROMPTS[2]:
        some = [[r for r in drawn(seed) if r.positive == positive][:2] for positive in (True, False)]
        shown = "".join(
            f"{r.text}{ASKED}{ANSWERS[r.positive]}.\n\n" for pair in zip(*some, strict=True) for r in pair
        )
    return ids_of(f"{shown}{review.text}{ASKED}")


def last_vectors(model: GPT, texts: Sequence[list[int]]) -> Float[Tensor, "texts d_model"]:
    """The stream at the last token of each text, after the last norm."""
    vectors = []
    with torch.no_grad(), recording.mixed_precision():
        for i in range(0, len(texts), 30):
            ids, lengths = padded(texts[i : i + 30])
            x = model.body(model.embedding(ids), None, None)
            vectors.append(x[torch.arange(len(ids)), lengths - 1].float())
    return torch.cat(vectors)


def share_right(model: GPT, texts: Sequence[list[int]], judged: Sequence[Review]) -> float:
    """How many of the reviews the model judges rightly, by the likelier of the two words."""
    words = [ids_of(word)[0] for word in ANSWERS]
    logits = model.eval().head(last_vectors(model, texts))[:, words].detach()
    return float(np.mean(logits.argmax(-1).numpy() == [review.positive for review in judged]))


def bits(model: GPT) -> float:
    """Bits per byte on the beginning of Twelfth Night."""
    text = corpora.shakespeare().validation.encode()[:PLAY_BYTES].decode(errors="ignore")
    start = pretrained.smollm2_tokenizer().token_to_id("<|endoftext|>")
    with recording.mixed_precision():
        return float(-log2_probs(model, np.array(ids_of(text)), CONTEXT, start).sum() / len(text.encode()))


def examples(seed: int) -> list[Labelled]:
    """The training sentences, each with the one word that is to be learnt."""
    rows = []
    for review in drawn(seed):
        ids = ids_of(review.text + ASKED + ANSWERS[review.positive])
        rows.append(Labelled(ids, [IGNORED] * (len(ids) - 1) + ids[-1:]))
    return rows


class Head(nn.Module):
    """A frozen model under one linear unit, which tells how good a review is."""

    def __init__(self, model: GPT):
        super().__init__()
        self.model, self.linear = model.requires_grad_(False), nn.Linear(model.config.d_model, 1)

    def forward(self, texts: Sequence[list[int]]) -> Float[Tensor, "texts 1"]:
        return self.linear(last_vectors(self.model, texts))


def linear(_rate: str, seed: int, final: bool) -> dict:
    """Logistic regression on the frozen vectors. Its seconds are those of the vectors, without some 0.05 for
    the fit."""
    model, parts, seconds = pretrained.load("smollm2-135m"), {}, 0.0
    for part, judged in {"train": drawn(seed), **{part: judged_of(part) for part in JUDGED}}.items():
        began = time.process_time()
        vectors = last_vectors(model, [prompted(PROMPTS[1], review, seed) for review in judged])
        seconds += (time.process_time() - began) * (part == "train")
        parts[part] = vectors.numpy(), np.array([review.positive for review in judged])
    probe = linear_probe(*standardised(*parts.values()))
    head, some = Head(model), [prompted(PROMPTS[1], review, seed) for review in drawn(seed)[:ROWS]]
    took = costs(head, lambda: head(some).square().mean())
    test = (probe.test, bits(model)) if final else ()
    return row(probe.validation, took, seconds, *test)


def prompt_only(kind: str, seed: int, final: bool) -> dict:
    """No training: the likelier word after one of the prompts."""
    model = pretrained.load("smollm2-135m")

    def share(part: str) -> float:
        return share_right(model, [prompted(kind, r, seed) for r in judged_of(part)], judged_of(part))

    test = (share("test"), bits(model)) if final else ()
    return row(share("validation"), None, 0.0, *test)


def tuned(way: str, rate: float, seed: int, final: bool) -> dict:
    """Training with LoRA or of all weights."""
    torch.manual_seed(seed)
    model = pretrained.load("smollm2-135m")
    if way == "LoRA":
        add_lora(model, 8, 16)
    batches = Examples(examples(seed), ROWS, 64, packed=False, seed=seed)
    config = TrainConfig(STEPS, rate, 2, weight_decay=0.0, precision="mixed", seed=seed)
    began = time.process_time()
    recording.finished(train(model, batches, config, loss=sft_loss))
    seconds = time.process_time() - began

    def share(part: str) -> float:
        return share_right(model, [prompted(PROMPTS[1], r, seed) for r in judged_of(part)], judged_of(part))

    if not final:
        return row(share("validation"), None, seconds)
    batch, model = batches.batch([[i] for i in range(ROWS)]), model.train()
    with recording.mixed_precision():
        took = costs(model, lambda: sft_loss(model, batch, None)[0])
    return row(share("validation"), took, seconds, share("test"), bits(model))


def judged_of(part: str) -> list[Review]:
    return sentences(part)[: JUDGED[part]]


def row(validation: float, took: Costs | None, seconds: float, test="", bits="") -> dict:
    """A row of the table but for its first columns."""
    return {
        "validation_right": f"{validation:.4f}",
        "test_right": test and f"{test:.4f}",
        "bits_after": bits and f"{bits:.4f}",
        "seconds": f"{seconds:.1f}",
        "trainable": took.trainable if took else "",
        "optimiser_mb": f"{took.optimiser / 1e6:.2f}" if took else "",
        "peak_mb": f"{took.peak / 1e6:.0f}" if took else "",
    }


WAYS: dict[str, tuple[Callable[..., dict], tuple]] = {
    "prompt only": (prompt_only, PROMPTS),
    "frozen + linear": (linear, ("",)),
    "LoRA": (functools.partial(tuned, "LoRA"), RATES["LoRA"]),
    "all weights": (functools.partial(tuned, "all weights"), RATES["all weights"]),
}


def main(folder: Path = Path("build")) -> None:
    """Run what the table doesn't hold yet."""
    table = recording.Table(folder / TABLE.name)
    for way, (run, choices) in WAYS.items():

        def one(_way: str, choice: float | str, seed: int, final: bool, run=run) -> dict:
            return run(choice, seed, final)

        def merit(row: dict) -> float:
            return float(row["validation_right"])

        seeds = SEEDS[:1] if way == "prompt only" else SEEDS
        recording.sweep(table, "way", one, [way], choices, SWEEP_SEED, seeds, merit)
    final = [row for row in table.rows if row["test_right"]]
    best = {row["way"]: float(row["learning_rate"]) for row in final if row["way"] in RATES}
    for way in RATES:
        for rate in sorted({*COMPARED} - {best[way]}):
            for seed in SEEDS:
                make = functools.partial(tuned, way, rate, seed, True)
                table.row(make, way=f"{way}, another rate", learning_rate=rate, seed=seed)
    recording.write_table(TABLE, table.rows)


if __name__ == "__main__":
    main()
