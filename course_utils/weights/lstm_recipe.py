"""The neural models of chapter 2: one that trains live, one that a longer run brings below every n-gram that
doesn't read on, and those that they are compared with, of the same size; two of these are the live one
without a part of its recipe.

    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python -m course_utils.weights.lstm_recipe recorded
    OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 python -m course_utils.weights.lstm_recipe seeds

The first writes lstm.safetensors (float16) and lstm_log.csv beside this file. Ctrl-C keeps what it has in
build/, and the same command goes on from there. The second trains each of the others with three seeds and
writes seeds.csv; the name of one, such as "live", trains it once. All settings were chosen on Twelfth Night;
a run scores The Tempest once, at its end.
"""

import functools
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from course_utils.data import corpora
from course_utils.recurrent import FeedForwardLM, RecurrentLM, bits_per_byte
from course_utils.tokenizers import BPETokenizer, ByteTokenizer
from course_utils.training import Run, TrainConfig, checkpoints, recurrent_loss, train
from course_utils.training.batches import Streams
from course_utils.weights import recording

FOLDER = Path(__file__).parent
WEIGHTS, LOG, SEEDS = FOLDER / "lstm.safetensors", FOLDER / "lstm_log.csv", FOLDER / "seeds.csv"
COMMAND = "python -m course_utils.weights.lstm_recipe"


@dataclass(frozen=True)
class Recipe:
    """A model's class and sizes, the rows and chunks that it reads, how it trains, and in which tokens: bytes
    if there are 256 of them, else byte-pair encoding of that size.

    large_inputs and reset_probability are the parts of the recipe that chapter 2 takes away to see what they
    do: see `build` and `recurrent_loss`.
    """

    kind: type[nn.Module]
    sizes: dict
    rows: int
    chunk: int
    config: TrainConfig
    vocab_size: int = ByteTokenizer.vocab_size
    large_inputs: bool = True
    reset_probability: float = 0.02


LIVE = TrainConfig(
    steps=1000,
    learning_rate=0.015,
    warmup_steps=50,
    final_share=0.02,
    weight_decay=0.01,
    evaluate_every=1000,
)
LIVE_LSTM = Recipe(RecurrentLM, {"d_embedding": 16, "d_hidden": 256}, 32, 32, LIVE)
RECIPES = {
    "feed-forward": Recipe(
        FeedForwardLM,
        {"context": 8, "d_embedding": 32, "d_hidden": 512},
        32,
        32,
        replace(LIVE, learning_rate=0.01),
    ),
    "rnn": Recipe(
        RecurrentLM,
        {"d_embedding": 16, "d_hidden": 464, "cell": "rnn"},
        32,
        32,
        replace(LIVE, learning_rate=0.005),
    ),
    "live": LIVE_LSTM,
    "live, torch's start": replace(LIVE_LSTM, large_inputs=False),
    "live, never emptied": replace(LIVE_LSTM, reset_probability=0.0),
    "bpe": Recipe(RecurrentLM, {"d_embedding": 16, "d_hidden": 224}, 32, 32, LIVE, vocab_size=512),
    "recorded": Recipe(
        RecurrentLM,
        {"d_embedding": 64, "d_hidden": 512},
        64,
        64,
        TrainConfig(
            steps=8000,
            learning_rate=0.008,
            warmup_steps=100,
            final_share=0.02,
            weight_decay=0.01,
            evaluate_every=200,
            precision="mixed",
        ),
    ),
}


def build(name: str, seed: int = 0) -> nn.Module:
    """The model of a recipe with its first random weights.

    In recurrent models the weights of the input start large, so that a byte moves the sum in a gate by
    about 2 (4 / sqrt(3)). With torch's own start, 1 / sqrt(d_hidden), it moves it by a tenth of that or less.
    """
    recipe = RECIPES[name]
    torch.manual_seed(seed)
    model = recipe.kind(recipe.vocab_size, **recipe.sizes)
    if recipe.kind is RecurrentLM and recipe.large_inputs:
        bound = 4 / math.sqrt(model.embedding.embedding_dim)
        nn.init.uniform_(model.layers.weight_ih_l0, -bound, bound)
    return model


def load() -> RecurrentLM:
    """The recorded model, trained. Raises ValueError if its file is damaged."""
    model = build("recorded")
    checkpoints.load_into(WEIGHTS, model)
    return model.eval()


@functools.lru_cache
def tokenizer(vocab_size: int) -> ByteTokenizer:
    """Bytes if `vocab_size` is 256, else byte-pair encoding of that size, learnt from the training plays."""
    if vocab_size == ByteTokenizer.vocab_size:
        return ByteTokenizer()
    return BPETokenizer.train(corpora.shakespeare().train.values(), vocab_size)


def streams(name: str) -> Streams:
    """The training plays as a recipe reads them."""
    recipe = RECIPES[name]
    tokens = tokenizer(recipe.vocab_size).encode(corpora.shakespeare().train_text)
    return Streams(tokens, recipe.vocab_size, recipe.rows, recipe.chunk)


def bits(model: nn.Module, text: str, rows: int = 1) -> float:
    """Bits per byte of a text, in the tokens that the model reads."""
    return bits_per_byte(model, tokenizer(model.vocab_size).encode(text), len(text.encode()), rows)


def validation_bits(model: nn.Module) -> float:
    """Bits per byte on Twelfth Night, read in 64 pieces side by side: quick, and a trifle too high."""
    return bits(model, corpora.shakespeare().validation, rows=64)


def train_flops(model: nn.Module, tokens: int) -> float:
    """About what a run multiplies and adds: 6 a token and weight, without the embedding, which is looked up.

    2 forward and twice that backward (Kaplan et al. 2020, section 2.1).
    """
    return 6.0 * (recording.n_parameters(model) - model.embedding.weight.numel()) * tokens


def cost(name: str, seed: int, model: nn.Module, run: Run) -> dict:
    """What a run took."""
    bytes_a_token = len(corpora.shakespeare().train_text.encode()) / len(streams(name).tokens)
    n_bytes, flops = round(run.tokens * bytes_a_token), train_flops(model, run.tokens)
    return {"name": name, "seed": seed} | recording.cost(model, run, n_bytes, flops)


def train_once(name: str, seed: int = 0) -> dict:
    """Train a recipe's model: what it took, its last evaluation, and its score on The Tempest.

    The recorded model is also saved, with the log of its run.
    """
    recipe, model = RECIPES[name], build(name, seed)
    checkpoint = recording.checkpoint("lstm") if name == "recorded" else None
    run = train(
        model,
        streams(name),
        replace(recipe.config, seed=seed),
        loss=functools.partial(recurrent_loss, reset_probability=recipe.reset_probability),
        evaluate=validation_bits,
        report=recording.show,
        checkpoint=checkpoint,
    )
    recording.finished(run)
    took = cost(name, seed, model, run)
    if name == "recorded":
        recording.write_table(LOG, recording.log(run, recipe.rows * recipe.chunk))
        checkpoints.save_model(WEIGHTS, model, took | {"command": f"{COMMAND} {name}"}, half=True)
        model = load()  # what the chapter loads is scored
    return took | {
        corpora.VALIDATION: round(run.evaluations[-1][2], 4),
        corpora.TEST: round(bits(model, corpora.shakespeare().test), 4),
    }


def main(name: str) -> None:
    if name != "seeds":
        for key, value in train_once(name).items():
            print(f"{key}: {value}")
        return
    rows = [train_once(name, seed) for name in RECIPES if name != "recorded" for seed in range(3)]
    recording.write_table(SEEDS, rows)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in [*RECIPES, "seeds"]:
        sys.exit(f"name the recipe: {COMMAND} {'|'.join(RECIPES)}|seeds")
    main(sys.argv[1])
