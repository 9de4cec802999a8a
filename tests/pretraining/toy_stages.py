"""Three stages that take a second: a text, its numbers, and a GPT that reads them."""

import numpy as np
import torch

from course_utils.files import write_atomic
from course_utils.gpt import GPT, GPTConfig
from course_utils.pretraining.stages import Stage
from course_utils.tokenizers import ByteTokenizer
from course_utils.training import TrainConfig, checkpoints, train
from course_utils.training.batches import Windows

PLAN = {"name": "toy", "steps": 100}


def write_text(folder, say):
    draws = np.random.default_rng(0)
    write_atomic(folder / "text.txt", " ".join(draws.choice(["to", "be", "or", "not"], 500)))
    return {"words": 500}


def write_tokens(folder, say):
    ids = ByteTokenizer().encode((folder / "text.txt").read_text())
    write_atomic(folder / "tokens.bin", ids.astype("<u2").tobytes())


def train_model(folder, say):
    torch.manual_seed(0)
    model = GPT(GPTConfig(256, context=16, n_layers=1, n_heads=1, d_model=16, dropout=0.1))
    tokens = np.fromfile(folder / "tokens.bin", "<u2")
    config = TrainConfig(PLAN["steps"], 0.01, warmup_steps=5, evaluate_every=10, optimiser="muon")
    train(model, Windows(tokens, 256, 4, 16), config, checkpoint=folder / "run.safetensors")
    checkpoints.save_model(folder / "model.safetensors", model, {})


STAGES = [
    Stage("text", write_text, ("text.txt",)),
    Stage("tokens", write_tokens, ("tokens.bin",), reads=("text.txt",)),
    Stage("train", train_model, ("model.safetensors",), ("tokens.bin",), ("run.safetensors",)),
]
