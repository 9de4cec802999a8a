"""A BERT that models language: bytes of the plays behind masks at every rate, beside the GPT of chapter 8.

    python -m course_utils.weights.diffusion_recipe recorded

It is the recorded GPT without the causal mask: the same blocks, first weights, text, batches, steps, learning
rates and FLOPs. It was run with OMP_NUM_THREADS=1 beside other work. The run writes diffusion.safetensors
(float16) and diffusion_log.csv beside this file; Ctrl-C keeps what it has in build/, and the same command
goes on from there. Twelfth Night is looked at while it trains, The Tempest once, at its end.
"""

import functools
import sys
from dataclasses import replace
from pathlib import Path

import torch

from course_utils.bert.diffusion import Bound, MaskedDiffusion, bound, diffusion_loss
from course_utils.data import corpora
from course_utils.gpt import GPTConfig
from course_utils.tokenizers import ByteTokenizer
from course_utils.training import Run, checkpoints, train
from course_utils.training.batches import Windows
from course_utils.weights import gpt_recipe, recording

FOLDER = Path(__file__).parent
WEIGHTS, LOG = FOLDER / "diffusion.safetensors", FOLDER / "diffusion_log.csv"
COMMAND = "python -m course_utils.weights.diffusion_recipe"
EPOCHS = {"recorded": 1, "long": 4}  # times the steps of the GPT


def build(shape: GPTConfig = gpt_recipe.RECORDED.shape, seed: int = 0) -> MaskedDiffusion:
    """The model with its first random weights; what writes into the stream starts at zero, as in the GPT."""
    torch.manual_seed(seed)
    model = MaskedDiffusion(shape)
    for block in model.encoder.blocks:
        torch.nn.init.zeros_(block.attention.output.weight)
        torch.nn.init.zeros_(block.feed_forward.down.weight)
    return model


def load() -> MaskedDiffusion:
    """The recorded model, trained. Raises ValueError if its file is damaged."""
    model = build()
    checkpoints.load_into(WEIGHTS, model)
    return model.eval()


@functools.lru_cache
def ids(part: str) -> torch.Tensor:
    """The bytes of "validation" or "test"."""
    return torch.from_numpy(ByteTokenizer().encode(getattr(corpora.shakespeare(), part))).long()


def bits(model: MaskedDiffusion, part: str, prefix: int = 0, draws: int = 8) -> Bound:
    """The bound in bits a byte on the whole play, in the windows that `bound` describes."""
    return bound(model, ids(part), prefix, draws)


def validation_bits(model: MaskedDiffusion) -> float:
    """The bound on every fourth window of Twelfth Night, as the GPT's runs are watched: one drawing of masks
    each, the same at each look."""
    text = ids("validation")
    windows = text[: len(text) // model.context * model.context].view(-1, model.context)[::4]
    return bound(model, windows.flatten(), draws=1).bits


def run(name: str, seed: int = 0, **options) -> tuple[MaskedDiffusion, Run]:
    """Train a recipe's model; `options` are those of `training.train`."""
    recipe, text = gpt_recipe.RECORDED, ByteTokenizer().encode(corpora.shakespeare().train_text)
    config = replace(recipe.config, seed=seed, steps=EPOCHS[name] * recipe.config.steps)
    batches = Windows(text, ByteTokenizer.vocab_size, recipe.rows, recipe.shape.context, seed)
    options = {"evaluate": validation_bits, "loss": diffusion_loss} | options
    model = build(seed=seed)
    return model, train(model, batches, config, **options)


def record(name: str, checkpoint: Path) -> dict:
    """Train a recipe's model with its log, and score it; "recorded" is saved."""
    model, done = run(name, report=recording.show, checkpoint=checkpoint)
    recording.finished(done)
    took = recording.cost(model, done, done.tokens, gpt_recipe.flops_per_token(model) * done.tokens)
    recipe = gpt_recipe.RECORDED
    log_path = LOG if name == "recorded" else LOG.with_name(f"diffusion_{name}_log.csv")
    recording.write_table(log_path, recording.log(done, recipe.rows * recipe.shape.context))
    if name == "recorded":
        checkpoints.save_model(WEIGHTS, model, took | {"command": f"{COMMAND} {name}"}, half=True)
        model = load()  # what the chapter loads is scored
    half = model.context // 2
    scores = {
        f"{play}, {way}": bits(model, part, prefix)
        for part, play in (("validation", corpora.VALIDATION), ("test", corpora.TEST))
        for way, prefix in (("disjoint windows", 0), ("after half a window", half))
    }
    return took | scores


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in EPOCHS:
        sys.exit(f"name the recipe: {COMMAND} {'|'.join(EPOCHS)}")
    name = sys.argv[1]
    for key, value in record(name, recording.checkpoint(f"diffusion_{name}")).items():
        print(f"{key}: {value}")
