"""The LSTMs of chapter 2: one that trains live, and one that a run of half an hour brings below every n-gram.

    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python -m course_utils.weights.lstm_recipe recorded
    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python -m course_utils.weights.lstm_recipe live

The first writes lstm.safetensors (float16) and lstm_log.csv beside this file. Ctrl-C keeps what it has in
build/, and the same command goes on from there. All settings were chosen on Twelfth Night; a run scores The
Tempest once, at its end.
"""

import csv
import io
import math
import platform
import sys
from pathlib import Path

import torch
from torch import nn

from course_utils import checkpoints, corpora
from course_utils.batches import Streams
from course_utils.recurrent import RecurrentLM, bits_per_byte
from course_utils.tokenizers import ByteTokenizer
from course_utils.training import Progress, Run, TrainConfig, recurrent_loss, train

FOLDER = Path(__file__).parent
WEIGHTS, LOG = FOLDER / "lstm.safetensors", FOLDER / "lstm_log.csv"
COMMAND = "python -m course_utils.weights.lstm_recipe"
# name: model, (rows, chunk) of the streams, training
RECIPES = {
    "live": (
        {"d_embedding": 16, "d_hidden": 256},
        (32, 32),
        TrainConfig(
            steps=1000,
            learning_rate=0.015,
            warmup_steps=50,
            final_share=0.02,
            weight_decay=0.01,
            evaluate_every=1000,
        ),
    ),
    "recorded": (
        {"d_embedding": 64, "d_hidden": 512},
        (64, 64),
        TrainConfig(
            steps=8000,
            learning_rate=0.008,
            warmup_steps=100,
            final_share=0.02,
            weight_decay=0.01,
            evaluate_every=200,
            precision="bfloat16",
        ),
    ),
}


def build(name: str, seed: int = 0) -> RecurrentLM:
    """The model of a recipe, "live" or "recorded", with its first random weights.

    The weights of the input start large, so that a byte moves a gate by about 2 at once (4 / sqrt(3)). With
    torch's own start, 1 / sqrt(d_hidden), it moves it by a tenth of that, and the live model learns slowly.
    """
    torch.manual_seed(seed)
    model = RecurrentLM(ByteTokenizer.vocab_size, **RECIPES[name][0])
    bound = 4 / math.sqrt(model.embedding.embedding_dim)
    nn.init.uniform_(model.layers.weight_ih_l0, -bound, bound)
    return model


def load() -> RecurrentLM:
    """The recorded model, trained. Raises ValueError if its file is damaged."""
    model = build("recorded")
    checkpoints.load_into(WEIGHTS, model)
    return model.eval()


def streams(name: str) -> Streams:
    """The training plays as a recipe reads them."""
    tokens = ByteTokenizer().encode(corpora.shakespeare().train_text)
    return Streams(tokens, ByteTokenizer.vocab_size, *RECIPES[name][1])


def validation_bits(model: nn.Module) -> float:
    """Bits per byte on Twelfth Night, read in 64 pieces side by side: quick, and a trifle too high."""
    return bits_per_byte(model, ByteTokenizer().encode(corpora.shakespeare().validation), rows=64)


def log(run: Run, bytes_a_step: int) -> str:
    """A run as CSV, a row an evaluation: step, seconds, bytes read, bits per byte in training (the mean since
    the row before) and in validation."""
    table, before = io.StringIO(), 0
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["step", "seconds", "bytes", "train_bits", "validation_bits"])
    for step, seconds, bits in run.evaluations:
        train_bits = sum(run.losses[before:step]) / (step - before) / math.log(2)
        writer.writerow([step, f"{seconds:.1f}", step * bytes_a_step, f"{train_bits:.4f}", f"{bits:.4f}"])
        before = step
    return table.getvalue()


def show(progress: Progress) -> None:
    """Print a line every 50 steps."""
    if progress.step % 50 == 0 or progress.step == progress.steps:
        validation = "" if progress.value is None else f", validation {progress.value:.3f}"
        print(
            f"{progress.step:,} of {progress.steps:,}: {progress.loss / math.log(2):.3f} bits{validation}, "
            f"{progress.tokens_per_second:,.0f} bytes/s, {progress.seconds_left:.0f} s left",
            flush=True,
        )


def main(name: str) -> None:
    settings, shape, config = RECIPES[name]
    model, folder = build(name), Path("build")
    folder.mkdir(exist_ok=True)
    run = train(
        model,
        streams(name),
        config,
        loss=recurrent_loss,
        evaluate=validation_bits,
        report=show,
        checkpoint=folder / "lstm_run.safetensors" if name == "recorded" else None,
    )
    if run.stopped:
        return print("stopped and kept: the same command goes on")
    corpus, encode = corpora.shakespeare(), ByteTokenizer().encode
    result = {
        "command": f"{COMMAND} {name}",
        "seed": config.seed,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, no GPU",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "bytes": run.tokens,
        "seconds": round(run.seconds, 1),
    }
    if name == "recorded":
        checkpoints.write_atomic(LOG, log(run, math.prod(shape)))
        checkpoints.save_model(WEIGHTS, model, settings | result, half=True)
        model = load()  # what the chapter loads is scored
    for title, text in ((corpora.VALIDATION, corpus.validation), (corpora.TEST, corpus.test)):
        result[title] = round(bits_per_byte(model, encode(text)), 4)
    for key, value in result.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    if sys.argv[1:] not in (["live"], ["recorded"]):
        sys.exit(f"name the recipe: {COMMAND} live|recorded")
    main(sys.argv[1])
