"""The GPTs of chapter 8, which read bytes: a plain recipe, a fast one, and the recorded run.

    python -m course_utils.weights.gpt_recipe recorded
    python -m course_utils.weights.gpt_recipe ablation
    python -m course_utils.weights.gpt_recipe seeds

The first was run with OMP_NUM_THREADS=1 beside other work. It writes gpt.safetensors (float16) and
gpt_log.csv beside this file. The second was run on two threads of a machine with nothing else to do, whose
processor has no instructions for bfloat16, and writes gpt_ablation.csv: from the plain recipe to the fast one
change by change, and what did not help. The third writes gpt_seeds.csv: how far a run's end depends on its
seed, and on more rows or steps, in float32 as in the second. Ctrl-C keeps what is done in build/, and the
same command goes on from there. All settings were chosen on Twelfth Night; the recorded run scores The
Tempest once, at its end.
"""

import functools
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn import functional

from course_utils import devices
from course_utils.data import corpora
from course_utils.gpt import GPT, GPTConfig, bits_per_byte
from course_utils.tokenizers import ByteTokenizer
from course_utils.training import Run, TrainConfig, checkpoints, train
from course_utils.training.batches import Windows
from course_utils.weights import recording

FOLDER = Path(__file__).parent
WEIGHTS, LOG = FOLDER / "gpt.safetensors", FOLDER / "gpt_log.csv"
ABLATION, SEEDS = FOLDER / "gpt_ablation.csv", FOLDER / "gpt_seeds.csv"
COMMAND = "python -m course_utils.weights.gpt_recipe"


@dataclass(frozen=True)
class Recipe:
    """A model's shape, how many windows a batch has, how it trains, and whether what writes into the stream
    starts at zero: every block then begins as nothing, and grows from there."""

    shape: GPTConfig
    rows: int
    config: TrainConfig
    zero_start: bool = False


SMALL = GPTConfig(ByteTokenizer.vocab_size, context=64, n_layers=4, n_heads=4, d_model=128)
# The CPU setting of nanoGPT: https://github.com/karpathy/nanoGPT
PLAIN = Recipe(SMALL, 12, TrainConfig(steps=2000, learning_rate=1e-3, evaluate_every=2000))
LIVE = Recipe(
    replace(SMALL, n_layers=1, qk_norm=True, norm="layer", token_shift=True, ngrams=5),
    32,
    TrainConfig(
        steps=220,
        learning_rate=0.02,
        warmup_steps=5,
        final_share=0.05,
        weight_decay=0.1,
        evaluate_every=220,
        precision="mixed",
        optimiser="muon",
        momentum=0.85,
    ),
)
RECORDED = Recipe(
    GPTConfig(ByteTokenizer.vocab_size, context=256, n_layers=6, n_heads=6, d_model=192, qk_norm=True),
    16,
    replace(
        LIVE.config,
        steps=6000,
        learning_rate=0.02,
        warmup_steps=100,
        final_share=0.02,
        evaluate_every=200,
        momentum=0.9,
    ),
    zero_start=True,
)
RECIPES = {"plain": PLAIN, "live": LIVE, "recorded": RECORDED}


def build(recipe: str | Recipe, seed: int = 0) -> GPT:
    """The model of a recipe, or of the one with this name, with its first random weights."""
    recipe = RECIPES[recipe] if isinstance(recipe, str) else recipe
    torch.manual_seed(seed)
    model = GPT(recipe.shape)
    if recipe.zero_start:
        for block in model.decoder.blocks:
            torch.nn.init.zeros_(block.attention.output.weight)
            torch.nn.init.zeros_(block.feed_forward.down.weight)
    return model


def windows(recipe: str | Recipe, seed: int = 0) -> Windows:
    """The training plays as a recipe reads them."""
    recipe = RECIPES[recipe] if isinstance(recipe, str) else recipe
    tokens = ByteTokenizer().encode(corpora.shakespeare().train_text)
    return Windows(tokens, recipe.shape.vocab_size, recipe.rows, recipe.shape.context, seed)


def load() -> GPT:
    """The recorded model, trained. Raises ValueError if its file is damaged."""
    model = build("recorded")
    checkpoints.load_into(WEIGHTS, model)
    return model.eval()


def bits(model: GPT, text: str) -> float:
    """Bits per byte of a text, as the scoreboard counts."""
    return bits_per_byte(model, ByteTokenizer().encode(text))


@functools.lru_cache
def _validation(context: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Every fourth window of Twelfth Night, side by side: what is read, what is to be predicted."""
    ids = torch.from_numpy(ByteTokenizer().encode(corpora.shakespeare().validation)).long()
    return tuple(x[: len(x) // context * context].view(-1, context)[::4] for x in (ids[:-1], ids[1:]))


def validation_loss(model: GPT) -> float:
    """Mean nats a byte in windows of Twelfth Night that don't overlap: quick, and higher than `bits` says,
    since the first bytes of each window have little context."""
    reads, targets = (x.to(model.embedding.weight.device) for x in _validation(model.context))
    losses = [
        functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum").item()
        for x, y in zip(reads.split(64), targets.split(64), strict=True)
    ]
    return sum(losses) / targets.numel()


def validation_bits(model: GPT) -> float:
    """`validation_loss` in bits."""
    return validation_loss(model) / math.log(2)


def flops_per_token(model: GPT) -> float:
    """What training multiplies and adds for a token: 6 a weight, the embedding being the head too, and
    12 n_layers d_model context for the attention (Chowdhery et al. 2022, appendix B). Embeddings of n-grams
    are only looked up."""
    shape = model.config
    weights = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("ngrams."))
    return 6.0 * weights + 12.0 * shape.n_layers * shape.d_model * shape.context


def run(recipe: Recipe, seed: int = 0, device: str = "auto", **options) -> tuple[GPT, Run]:
    """Train a recipe's model, on a device as `devices.pick` names it. `options` are those of
    `training.train`."""
    model, config = build(recipe, seed).to(devices.pick(device)), replace(recipe.config, seed=seed)
    options = {"evaluate": validation_bits} | options
    return model, train(model, windows(recipe, seed), config, **options)


def cost(model: GPT, run: Run) -> dict:
    """What a run took."""
    return recording.cost(model, run, run.tokens, flops_per_token(model) * run.tokens)


def record() -> dict:
    """Train the recorded model, save it with its log, and score it."""
    model, done = run(RECORDED, report=recording.show, checkpoint=recording.checkpoint("gpt"))
    recording.finished(done)
    took = cost(model, done)
    recording.write_table(LOG, recording.log(done, RECORDED.rows * RECORDED.shape.context))
    checkpoints.save_model(WEIGHTS, model, took | {"command": f"{COMMAND} recorded"}, half=True)
    model, plays = load(), corpora.shakespeare()  # what the chapter loads is scored
    return took | {
        corpora.VALIDATION: round(bits(model, plays.validation), 4),
        corpora.TEST: round(bits(model, plays.test), 4),
    }


# Each has all changes before it; the last is the live recipe.
_LARGER = replace(PLAIN, rows=LIVE.rows, config=replace(PLAIN.config, learning_rate=3e-3, steps=800))
_MUON = replace(_LARGER, config=replace(LIVE.config, steps=300, learning_rate=0.03))
_NORMED = replace(_MUON, shape=replace(SMALL, qk_norm=True))
_LAYER = replace(_MUON, shape=replace(SMALL, qk_norm=True, norm="layer"))
_SHIFTED = replace(
    _LAYER, shape=replace(_LAYER.shape, token_shift=True), config=replace(_MUON.config, steps=200)
)
_NGRAMS = replace(LIVE, shape=replace(LIVE.shape, n_layers=4), config=replace(LIVE.config, steps=140))
STEPS_TO_LIVE = {
    "the plain recipe": PLAIN,
    "batches of 32 windows, learning rate x 3": _LARGER,
    "Muon for the matrices, with its schedule": _MUON,
    "queries and keys normed": _NORMED,
    "layer norms for RMS norms": _LAYER,
    "half of what a branch reads one byte late": _SHIFTED,
    "embeddings of 2 to 5 bytes, rate x 2/3": _NGRAMS,
    "one block for four": LIVE,
}
LEFT_OUT = {  # changes to the live recipe
    "nothing read late": replace(LIVE, shape=replace(LIVE.shape, token_shift=False)),
    "no embeddings of n-grams": replace(LIVE, shape=replace(LIVE.shape, ngrams=1)),
    "4,093 rows for them": replace(LIVE, shape=replace(LIVE.shape, ngram_rows=4_093)),
    "up to 6 bytes": replace(LIVE, shape=replace(LIVE.shape, ngrams=6)),
    "blocks that start at zero": replace(LIVE, zero_start=True),
    "one key and value head for four": replace(LIVE, shape=replace(LIVE.shape, n_kv_heads=1)),
    "learning rate x 2": replace(LIVE, config=replace(LIVE.config, learning_rate=0.04)),
    "two blocks": replace(LIVE, shape=replace(LIVE.shape, n_layers=2)),
    "two blocks, 140 steps": replace(
        LIVE, shape=replace(LIVE.shape, n_layers=2), config=replace(LIVE.config, steps=140)
    ),
    "16 windows of 128, scored so too": replace(LIVE, shape=replace(LIVE.shape, context=128), rows=16),
}


def ablation(table: recording.Table) -> None:
    """What each change bought: seconds, and the loss on Twelfth Night at the end of the run."""
    for used, recipes in {"yes": STEPS_TO_LIVE, "no": LEFT_OUT}.items():
        for change, recipe in recipes.items():
            table.row(functools.partial(end_of, recipe), change=change, used=used)


def end_of(recipe: Recipe, seed: int = 0) -> dict:
    """What a run took, in float32, and the loss on Twelfth Night at its end."""
    config = replace(recipe.config, evaluate_every=recipe.config.steps, precision="float32")
    _, done = run(replace(recipe, config=config), seed)
    recording.finished(done)
    loss = done.evaluations[-1][2] * math.log(2)
    took = {"steps": done.step, "bytes": done.tokens, "seconds": f"{done.seconds:.1f}"}
    return took | {"validation_nats": f"{loss:.4f}"}


# changes to the live recipe, and how many seeds each has
REPEATED = {
    "the live recipe": (LIVE, 5),
    "nothing read late": (LEFT_OUT["nothing read late"], 5),
    "16 times as many rows": (replace(LIVE, shape=replace(LIVE.shape, ngram_rows=524_287)), 3),
    "4 times as many steps": (replace(LIVE, config=replace(LIVE.config, steps=4 * LIVE.config.steps)), 3),
}


def seeds(table: recording.Table) -> None:
    """The live recipe and some changes to it, several times each, with other first weights and batches."""
    for seed in range(5):
        for change, (recipe, times) in REPEATED.items():
            if seed < times:
                table.row(functools.partial(end_of, recipe, seed), change=change, seed=seed)


def main(name: str) -> None:
    if name in ("ablation", "seeds"):
        file, fill = (ABLATION, ablation) if name == "ablation" else (SEEDS, seeds)
        table = recording.Table(Path("build") / file.name)
        fill(table)
        recording.write_table(file, table.rows)
        return
    took = record() if name == "recorded" else cost(*run(RECIPES[name], report=recording.show))
    for key, value in took.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in [*RECIPES, "ablation", "seeds"]:
        sys.exit(f"name the recipe: {COMMAND} {'|'.join(RECIPES)}|ablation|seeds")
    main(sys.argv[1])
