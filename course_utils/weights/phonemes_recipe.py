"""Spelling to phonemes: a GRU, the same GRU with attention, and a transformer, compared at equal parameters.

    OMP_NUM_THREADS=1 python -m course_utils.weights.phonemes_recipe

trains each with three seeds and writes, beside this file, phonemes_log.csv and the models of the first seed.
A command that is broken off leaves whole trainings; started again, it goes on with the next one.

The learning rate stays after its warm-up, and what is scored is a running mean of the weights (Polyak &
Juditsky 1992), so every row of the log is a fair place to stop, whatever it is compared by. All settings were
chosen on validation words; each training scores the test words once, at its end.

What was tried, for 75 seconds of one core each, and the error on validation words (all, long ones):

    GRU: rate 0.0025 .161 .246, 0.005 .160 .241
    GRU with attention, one head: rate 0.0025 .108 .116, 0.005 .111 .120; four heads: 0.005 .099 .092
    transformer, 2 layers of 64, pre-norm: rate 0.003 .134 .157, 0.004 .138 .168, 0.006 .124 .134,
        0.01 .133 .157; with GELU 0.006 .127 .147; post-norm as in 2017, warm-up of 500 or 1,000 steps:
        0.001 .162 .201, 0.002 .152 .181, 0.004 .146 .174
    transformer, pre-norm, rate 0.006: 1 layer of 92 .128 .153, 3 layers of 52 .145 .182
"""

import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from course_utils.data import cmudict
from course_utils.data.cmudict import LETTERS, PHONEMES, Listing, Phonemes
from course_utils.seq2seq import EncoderDecoder, GRUSeq2Seq, Pairs, greedy, pair_loss
from course_utils.training import StepReport, TrainConfig, checkpoints, train
from course_utils.transformer import BlockConfig
from course_utils.weights import recording

LOG = Path(__file__).parent / "phonemes_log.csv"
BATCH, EVERY = 128, 500  # words a batch; steps from one evaluation to the next
LONG = 10  # letters from which a word counts as long
VOCABULARIES = len(LETTERS), len(PHONEMES)
MODELS = {
    "GRU": lambda: GRUSeq2Seq(*VOCABULARIES, d_embedding=64, d_hidden=184),
    "GRU with attention": lambda: GRUSeq2Seq(*VOCABULARIES, d_embedding=64, d_hidden=140, n_heads=4),
    "transformer": lambda: EncoderDecoder(*VOCABULARIES, BlockConfig(64, 4, pre_norm=True), n_layers=2),
}
# steps: as many as fit into about 200 seconds of one core; learning rate and warm-up: the best of those tried
SETTINGS = {
    "GRU": (5000, 5e-3, 100),
    "GRU with attention": (5000, 5e-3, 100),
    "transformer": (4000, 6e-3, 300),
}


def build(name: str, seed: int = 0) -> nn.Module:
    """A model of the comparison with its first random weights."""
    torch.manual_seed(seed)
    return MODELS[name]()


def pairs(words: Listing, batch_size: int = BATCH, seed: int = 0) -> Pairs:
    """Words and the first way in which each is said, as ids, in random batches."""
    sources = [LETTERS.encode(word) for word in words]
    return Pairs(sources, [PHONEMES.encode(ways[0]) for ways in words.values()], batch_size, seed)


def say(model: nn.Module, words: list[str]) -> dict[str, Phonemes]:
    """What the model makes of each word."""
    said = greedy(model, [LETTERS.encode(word) for word in words])
    return dict(zip(words, map(PHONEMES.decode, said), strict=True))


def errors(model: nn.Module, listing: Listing) -> tuple[float, float]:
    """Phoneme error rate on all words of a listing, and on its long ones."""
    said = say(model, list(listing))
    long = {word: sounds for word, sounds in said.items() if len(word) >= LONG}
    return cmudict.phoneme_error_rate(said, listing), cmudict.phoneme_error_rate(long, listing)


def train_one(name: str, seed: int, words: cmudict.Dictionary) -> tuple[nn.Module, list[dict]]:
    """Train one model: its running mean, and rows of the log, an evaluation each, the last on the test."""
    steps, rate, warmup = SETTINGS[name]
    config = TrainConfig(
        steps, rate, warmup, final_share=1.0, weight_decay=0.01, evaluate_every=EVERY, seed=seed
    )
    some = dict(list(words.validation.items())[::3])  # enough to see a curve
    batches, model = pairs(words.train, seed=seed), build(name, seed)
    mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.995))
    parameters = recording.n_parameters(model)
    rows, scoring, start = [], 0.0, time.process_time()

    def score(split: str, seconds: float, listing: Listing) -> float:
        error, error_long = errors(mean.module, listing)
        row = {"model": name, "seed": seed, "parameters": parameters}
        row |= {"step": min((len(rows) + 1) * EVERY, steps), "cpu_seconds": f"{seconds:.1f}", "split": split}
        rows.append(row | {"error": f"{error:.4f}", "error_long": f"{error_long:.4f}"})
        print(*rows[-1].values(), flush=True)
        return error

    def evaluate(_: nn.Module) -> float:
        nonlocal scoring
        now = time.process_time()
        error = score("validation", now - start - scoring, some)
        scoring += time.process_time() - now  # scoring is not training
        return error

    def average(_: StepReport) -> None:
        mean.update_parameters(model)

    recording.finished(train(model, batches, config, loss=pair_loss, evaluate=evaluate, report=average))
    score("test", float(rows[-1]["cpu_seconds"]), words.test)
    return mean.module, rows


def weights_file(name: str) -> Path:
    return LOG.with_name(f"phonemes_{name.lower().replace(' ', '_')}.safetensors")


def load(name: str) -> nn.Module:
    """The model of the comparison's first seed, trained. Raises ValueError if its file is damaged."""
    model = build(name)
    checkpoints.load_into(weights_file(name), model)
    return model.eval()


def recorded(split: str = "validation") -> dict[tuple[str, int], dict[str, np.ndarray]]:
    """The log: for each model and seed the columns "step", "cpu_seconds", "error" and "error_long"."""
    columns = {}
    for row in recording.read_table(LOG):
        if row["split"] == split:
            run = columns.setdefault((row["model"], int(row["seed"])), {})
            for name in ("step", "cpu_seconds", "error", "error_long"):
                run.setdefault(name, []).append(float(row[name]))
    return {run: {name: np.array(column) for name, column in of.items()} for run, of in columns.items()}


def errors_at(by: str, place: float, error: str = "error") -> dict[str, list[float]]:
    """The validation error of each model, a number a seed, when "step" or "cpu_seconds" had reached a place:
    on the straight line between two evaluations, and NaN outside the training."""
    found = {}
    for (model, _), run in recorded().items():
        value = np.interp(place, run[by], run[error], left=np.nan, right=np.nan)
        found.setdefault(model, []).append(float(value))
    return found


def main() -> None:
    """Train what the log doesn't hold yet, seed by seed: one that is whole compares all models."""
    torch.set_num_threads(1)  # so that CPU seconds are seconds of one core
    table = recording.read_table(LOG) if LOG.exists() else []
    done = {(row["model"], int(row["seed"])) for row in table}
    for seed in range(3):
        for name in MODELS:
            if (name, seed) not in done:
                model, rows = train_one(name, seed, cmudict.dictionary())
                table += rows
                if seed == 0:
                    notes = {column: str(value) for column, value in rows[-1].items()}
                    checkpoints.save_model(weights_file(name), model, notes, half=True)
                recording.write_table(LOG, table)


if __name__ == "__main__":
    main()
