"""A recipe: a small language model, told by numbers alone in a TOML file.

    n_layers = 3
    n_heads = 4
    d_model = 96
    vocab_size = 1024
    batch = 16
    steps = 400
    learning_rate = 0.02

A recipe is data. Only the fields of `Recipe` may stand in it, each within its range, and nothing of it is
ever run: so nobody needs a sandbox to train another's recipe. What it costs is counted before anything
starts, by the same rule as a plan of `course.py make`.
"""

import hashlib
import math
import reprlib
import tomllib
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

from course_utils.data import corpora
from course_utils.files import write_atomic
from course_utils.gpt import GPTConfig
from course_utils.pretraining import corpus, model, vocabulary
from course_utils.pretraining.plans import flops_per_token, memory_needed, size
from course_utils.pretraining.pretrain import build, finished
from course_utils.training import OPTIMISERS, TrainConfig, train
from course_utils.training.batches import Epochs

RANGES = {  # whole numbers where both ends are
    "n_layers": (1, 16),
    "n_heads": (1, 16),
    "d_model": (16, 1024),
    "vocab_size": (300, 8192),
    "batch": (1, 256),
    "steps": (1, 50_000),
    "learning_rate": (1e-6, 1.0),
    "context": (16, 512),
    "d_ff": (16, 4096),
    "dropout": (0.0, 0.9),
    "warmup_steps": (0, 5000),
    "final_share": (0.0, 1.0),
    "weight_decay": (0.0, 10.0),
    "momentum": (0.0, 0.999),
    "clip": (0.01, 100.0),
}
HELD_OUT, TOKENS = "held_out.txt", "tokens.bin"
MAX_BYTES = 10_000  # of a file
MAX_MEMORY = 2 * 2**30  # bytes that training may need: any machine must be able to run any recipe


@dataclass(frozen=True)
class Recipe:
    """A shape in Llama's form, and how it is trained: `batch` windows of `context` tokens in each of so many
    `steps`. See `GPTConfig` and `TrainConfig`; adamw ignores momentum. d_ff is 8/3 d_model, if None."""

    n_layers: int
    n_heads: int
    d_model: int
    vocab_size: int
    batch: int
    steps: int
    learning_rate: float
    context: int = 256
    d_ff: int | None = None
    dropout: float = 0.0
    optimiser: str = "muon"
    warmup_steps: int = 20
    final_share: float = 0.02
    weight_decay: float = 0.1
    momentum: float = 0.9
    clip: float = 1.0

    @property
    def config(self) -> GPTConfig:
        """Raises ValueError for sizes of which no model can be built."""
        shape = ("n_layers", "n_heads", "d_model", "vocab_size", "context", "dropout", "d_ff")
        return model.llama_config(**{name: getattr(self, name) for name in shape})

    @property
    def tokens(self) -> int:
        """That are read in training."""
        return self.steps * self.batch * self.context

    @property
    def flops(self) -> float:
        """Of training, forward and backward."""
        return flops_per_token(self.config) * self.tokens

    def training(self, seed: int) -> TrainConfig:
        """How `train` trains it with a seed, which the contest gives."""
        return TrainConfig(
            self.steps,
            self.learning_rate,
            self.warmup_steps,
            self.final_share,
            self.weight_decay,
            self.clip,
            evaluate_every=max(self.steps // 5, 1),
            seed=seed,
            precision="mixed",
            optimiser=self.optimiser,
            momentum=self.momentum,
        )


def read_recipe(content: bytes, flops: float = math.inf) -> Recipe:
    """A recipe out of a file's bytes, whose training may cost so many FLOPs.

    Raises ValueError, naming the field, for one that is missing, unknown, of another type or out of its
    range, for sizes of which no model can be built, for what costs more FLOPs or memory than is allowed, and
    for what is no TOML.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has {len(content):,} bytes, and a recipe has at most {MAX_BYTES:,}")
    try:
        said = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no TOML in UTF-8: {error}") from None
    known = {field.name: field.default for field in fields(Recipe)}
    if unknown := sorted(said.keys() - known.keys()):
        raise ValueError(f"a recipe has no field {', '.join(unknown):.100}; it may have {', '.join(known)}")
    if missing := [name for name, default in known.items() if default is MISSING and name not in said]:
        raise ValueError(f"it says nothing of {', '.join(missing)}")
    for name, value in said.items():
        _check(name, value)
    recipe = Recipe(**said)
    if (needed := memory_needed(recipe.config, recipe.batch)) > MAX_MEMORY:
        raise ValueError(
            f"it would need about {needed / 2**30:.1f} GiB of memory, and {MAX_MEMORY / 2**30:.0f} are "
            "allowed: take a smaller batch, context or vocabulary"
        )
    if recipe.flops > flops:
        raise ValueError(
            f"it costs {recipe.flops:.4g} FLOPs, and {flops:.4g} are allowed: they pay for "
            f"{int(flops / recipe.flops * recipe.steps):,} of its {recipe.steps:,} steps"
        )
    return recipe


def _check(name: str, value) -> None:
    """Raises ValueError if a field may not have this value."""
    if name == "optimiser":
        if value not in [*OPTIMISERS]:  # a list: what TOML gives may have no hash
            raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}; got {_brief(value)}")
        return
    low, high = RANGES[name]
    kinds = (int,) if type(low) is type(high) is int else (int, float)
    if type(value) not in kinds or not low <= value <= high:  # no bool, which is an int to Python; no nan
        kind = "whole number" if kinds == (int,) else "number"
        raise ValueError(f"{name} must be a {kind} from {low} to {high}; got {_brief(value)}")


def _brief(value) -> str:
    """A value to show: what TOML gives may be as long, and nested as deep, as its file."""
    try:
        return f"{reprlib.repr(value):.100}"
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


# ---- running -----------------------------------------------------------------------------------------


def texts() -> list[str]:
    """What every recipe's model reads: the scenes of 36 plays."""
    return [scene for play in corpora.shakespeare().train.values() for scene in corpora.scenes(play)]


def lay_out(folder: Path, vocab_size: int) -> None:
    """Make the tokenizer of a vocabulary and the texts' tokens in the folder, if they are not there."""
    at = _vocabulary(folder, vocab_size)
    if not (at / TOKENS).exists():
        at.mkdir(parents=True, exist_ok=True)
        tokenizer = vocabulary.train_tokenizer(texts(), vocab_size)
        write_atomic(at / model.TOKENIZER, tokenizer.to_str())
        corpus.write_tokens(at / TOKENS, texts(), tokenizer)  # the last: once it is there, both are


def kept(folder: Path, sha256: str) -> Path:
    """Where a contest's folder has the recipe of a sha256."""
    return folder / "recipes" / f"{sha256}.toml"


def _vocabulary(folder: Path, vocab_size: int) -> Path:
    return folder / "vocabularies" / str(vocab_size)


def run(name: str, tokens: int, seed: int, checkpoint: Path, recipe: str) -> dict:
    """A runner of `scaling.sweep`: trains a recipe with a seed, on the CPU. "loss" is bits per byte.

    The folder above the checkpoint's holds `recipes/SHA256.toml`, `held_out.txt`, which is scored, and what
    `lay_out` made. Raises ValueError if the recipe's file is no longer that of its sha256.
    """
    folder = checkpoint.parents[1]
    content = kept(folder, recipe).read_bytes()
    if hashlib.sha256(content).hexdigest() != recipe:
        raise ValueError(f"the recipe of {name} was changed after it was handed in: its sha256 is another")
    made = read_recipe(content)
    at = _vocabulary(folder, made.vocab_size)
    read, tokenizer = corpus.read_tokens(at / TOKENS), model.read_tokenizer(at)
    gpt, batches = build(made.config, seed), Epochs(read, made.vocab_size, made.batch, made.context, seed)
    done = finished(train(gpt, batches, made.training(seed), checkpoint=checkpoint))
    held_out = (folder / HELD_OUT).read_bytes().decode("utf-8")  # read_text would change the ends of lines
    return {
        "n": size(made.config),
        "d": done.tokens,
        "flops": made.flops,
        "loss": vocabulary.bits(gpt, tokenizer, held_out),
        "seconds": round(done.seconds, 1),
    }
