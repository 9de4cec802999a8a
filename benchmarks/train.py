"""Training beside transformers, and the fast recipe beside the plain one, in turns.

python3 course.py bench train            both
python3 course.py bench train speed      only tokens a second
python3 course.py bench train recipes    only steps and seconds to the plain recipe's loss
"""

import math
import platform
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
import transformers
from torch.nn import functional

from course_utils.devices import multiplies_bfloat16
from course_utils.gpt import GPTConfig
from course_utils.training import SYNC_EVERY, next_token_loss
from course_utils.training.optimisers import Muon, adamw
from course_utils.weights import gpt_recipe

sys.path.append(str(Path(__file__).parent))
from _steps import DEVICE, training_step

ROUNDS = 15
SEEDS = 10, 11, 12  # the recipes' settings were chosen on others
BASE, MIXED = "transformers GPT-2", ", mixed precision"
SETTINGS = {  # rows of a batch, and the shape
    "4 layers, 128 wide, context 64, batch 12": (12, GPTConfig(256, 64, 4, 4, 128)),
    "6 layers, 384 wide, context 256, batch 8": (8, GPTConfig(256, 256, 6, 6, 384)),
}


def peak(dtype):
    """Billions of operations a second in a large product, the best of ten."""
    size = 1024 if DEVICE.type == "cpu" else 8192
    a = torch.ones(size, size, dtype=dtype, device=DEVICE)
    best = math.inf
    for _ in range(10):
        start = time.perf_counter()
        (a @ a)[0, 0].item()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def gpt2(shape):
    """transformers' GPT-2 of our sizes, without dropout, which we have none of."""
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=shape.vocab_size,
            n_positions=shape.context,
            n_embd=shape.d_model,
            n_layer=shape.n_layers,
            n_head=shape.n_heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def llama(shape):
    """transformers' Llama, which is our architecture to the last weight."""
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=shape.vocab_size,
            hidden_size=shape.d_model,
            intermediate_size=shape.block.d_ff,
            num_hidden_layers=shape.n_layers,
            num_attention_heads=shape.n_heads,
            max_position_embeddings=shape.context,
            tie_word_embeddings=True,
        )
    )


def layer_normed(shape):
    """Ours with the norms that GPT-2 has."""
    return gpt_recipe.GPT(replace(shape, norm="layer"))


def ours(model, batch):
    return next_token_loss(model, batch, None)[0]


def theirs(model, batch):
    inputs, targets = batch
    return functional.cross_entropy(model(inputs).logits.flatten(0, 1), targets.flatten())


def steppers(rows, shape):
    batches = gpt_recipe.windows(replace(gpt_recipe.PLAIN, rows=rows, shape=shape))

    def make(build, optimise, loss, mixed=False):
        torch.manual_seed(0)
        model = build(shape).to(DEVICE)
        optimiser = optimise(model)

        def step():
            batch = tuple(x.to(DEVICE) for x in batches.next())
            return training_step(model, optimiser, loss, batch, mixed)

        return step

    def their_adamw(model):
        return torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)

    def our_adamw(model):
        return adamw(model, 0.1)

    steps = {
        BASE: make(gpt2, their_adamw, theirs),
        "transformers Llama": make(llama, their_adamw, theirs),
        "ours": make(gpt_recipe.GPT, our_adamw, ours),
        "ours, layer norms": make(layer_normed, our_adamw, ours),
    }
    if multiplies_bfloat16(DEVICE):
        steps |= {
            f"{BASE}{MIXED}": make(gpt2, their_adamw, theirs, True),
            f"ours{MIXED}": make(gpt_recipe.GPT, our_adamw, ours, True),
            f"ours, layer norms{MIXED}": make(layer_normed, our_adamw, ours, True),
            f"ours, layer norms, Muon{MIXED}": make(
                layer_normed, lambda model: Muon(model, 0.01), ours, True
            ),
        }
    return steps


def speed():
    sync_every = SYNC_EVERY.get(DEVICE.type, 1)
    peaks = {dtype: peak(dtype) for dtype in (torch.float32, torch.bfloat16)}
    print("; ".join(f"{dtype}: {best:.0f} GFLOP/s in a large product" for dtype, best in peaks.items()))
    for name, (rows, shape) in SETTINGS.items():
        steps = steppers(rows, shape)
        seconds = {key: [] for key in steps}
        for step in steps.values():
            step(), step()
        for _ in range(ROUNDS):
            for key, step in steps.items():
                start = time.perf_counter()
                for _ in range(sync_every):
                    nats = step()
                nats.item()  # waits for a GPU, as training does
                seconds[key].append((time.perf_counter() - start) / sync_every)
        flops = gpt_recipe.flops_per_token(gpt_recipe.GPT(shape))
        print(f"\n{name}: median of {ROUNDS} steps in turns; MFU is the share of that speed")
        print(f"{'':44}{'tokens/s':>10}{'ratio':>8}{'MFU':>6}")
        speeds = {key: rows * shape.context / statistics.median(times) for key, times in seconds.items()}
        for key, tokens in speeds.items():
            best = peaks[torch.bfloat16 if MIXED in key else torch.float32]
            mfu = f"{flops * tokens / 1e9 / best:.0%}" if BASE not in key else ""  # its count is another
            print(f"{key:44}{tokens:10,.0f}{tokens / speeds[BASE]:8.2f}{mfu:>6}", flush=True)


def trained(recipe, seed):
    """[(step, bytes, seconds of training alone, validation loss in nats)] of a run."""
    spent, log = [0.0], []

    def evaluate(model):
        start = time.perf_counter()
        loss = gpt_recipe.validation_loss(model)
        spent.append(spent[-1] + time.perf_counter() - start)
        return loss

    _, run = gpt_recipe.run(recipe, seed, evaluate=evaluate)
    for (step, seconds, loss), before in zip(run.evaluations, spent, strict=False):
        log.append((step, run.tokens * step // run.step, seconds - before, loss))
    return log


def recipes():
    """Where the live recipe's loss is first no higher than the plain one's last, and the seconds of both."""
    often = replace(gpt_recipe.LIVE, config=replace(gpt_recipe.LIVE.config, evaluate_every=10))
    print(f"\n{'':22}{'seed':>5}{'steps':>8}{'bytes':>12}{'seconds':>9}{'validation, nats':>18}")
    shares = []
    for seed in SEEDS:
        plain = trained(gpt_recipe.PLAIN, seed)[-1]
        live = trained(often, seed)
        reached = next((row for row in live if row[-1] <= plain[-1]), None)
        rows = {"plain, whole": plain, "live, as low at first": reached, "live, whole": live[-1]}
        for name, row in rows.items():
            columns = "{:8,}{:12,}{:9.1f}{:18.4f}".format(*row) if row else "   never"
            print(f"{name:22}{seed:5}{columns}", flush=True)
        shares.append(plain[2] / reached[2] if reached else 0.0)
    share = statistics.median(shares)
    if not share:
        sys.exit("the live recipe does not come down to the plain one's loss: its seconds say nothing")
    print(f"median: the plain recipe's last loss in 1/{share:.1f} of its seconds")


def main():
    transformers.logging.set_verbosity_error()
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, on {DEVICE}")
    part = sys.argv[1] if sys.argv[1:] else ""
    if part != "recipes":
        speed()
    if part != "speed":
        recipes()


if __name__ == "__main__":
    main()
