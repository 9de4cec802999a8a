"""Supervised fine-tuning of SmolLM2 with LoRA beside peft and transformers: same weights, rank and texts.

python3 course.py bench finetune

A whole step (forward, backward, AdamW) on 8 questions with their answers, loss on the answers alone. Ours
packs them into rows of 256 tokens and computes logits of answers only; theirs pads them to the longest, which
is what transformers and peft do by default. Each runs in float32, in mixed precision, and with frozen weights
in bfloat16. Tokens are those of the texts, without padding. Peak memory is that of a process that makes two
steps.
"""

import platform
import resource
import subprocess
import sys
from pathlib import Path

import peft
import torch
import transformers

from course_utils import pretrained
from course_utils.data.instructions import instructions
from course_utils.finetuning.lora import add_lora, lora_layers
from course_utils.finetuning.peft_format import LLAMA
from course_utils.finetuning.sft import Examples, sft_loss
from course_utils.training.optimisers import AdamW

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from _steps import DEVICE, compare, training_step, types
from test_gpt import as_llama

RANK, ALPHA, TEXTS, CONTEXT = 8, 16, 8, 256
TARGETS = [name for name in LLAMA if not name.startswith("decoder")]  # all linear layers


def examples():
    """Conversations of the corpus that find room in a row."""
    template = pretrained.smollm2_template()
    found = (
        template.labelled(
            [{"role": "user", "content": pair.prompt}, {"role": "assistant", "content": pair.answer}]
        )
        for pair in instructions().train
    )
    return [example for example in found if len(example.ids) <= CONTEXT]


def kinds():
    """{name: (type of the frozen weights, whether products are in mixed precision)}."""
    kinds = {"float32": (torch.float32, False)}
    if ("bfloat16", True) in types():
        kinds |= {"mixed": (torch.float32, True), "bfloat16 weights": (torch.bfloat16, True)}
    return kinds


def ours(kind):
    dtype, mixed = kinds()[kind]
    model = add_lora(pretrained.load("smollm2-135m").to(dtype), RANK, ALPHA, TARGETS).train().to(DEVICE)
    for _, layer in lora_layers(model):
        layer.A.data, layer.B.data = layer.A.data.float(), layer.B.data.float()
    draws = drawn(examples())
    optimiser = AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def loss(model, batch):
        return sft_loss(model, batch, None)[0]

    def step():
        texts = next(draws)
        packed = Examples(texts, 1, CONTEXT)
        batch = tuple(x.to(DEVICE) for x in packed.batch(packed.rows))
        return training_step(model, optimiser, loss, batch, mixed), sum(len(ids) for ids, _ in texts)

    return step


def theirs(kind):
    dtype, mixed = kinds()[kind]
    model = as_llama(pretrained.load("smollm2-135m")).to(dtype)
    config = peft.LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=[LLAMA[t].split(".")[1] for t in TARGETS]
    )
    model = peft.get_peft_model(model, config).train().to(DEVICE)
    draws = drawn(examples())
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)

    def loss(model, batch):
        ids, labels, real = batch
        return model(ids, attention_mask=real, labels=labels).loss

    def step():
        texts = next(draws)
        padded = Examples(texts, TEXTS, CONTEXT, packed=False)
        ids, labels = padded.batch(padded.rows)
        lengths = torch.tensor([len(ids) for ids, _ in texts])
        real = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        batch = tuple(x.to(DEVICE) for x in (ids, labels, real))
        return training_step(model, optimiser, loss, batch, mixed), int(lengths.sum())

    return step


def drawn(texts):
    """The texts of one step after the other, the same for all who ask."""
    generator = torch.Generator().manual_seed(0)
    while True:
        yield [texts[i] for i in torch.randperm(len(texts), generator=generator)[:TEXTS].tolist()]


WHO = {"ours": ours, "transformers": theirs}


def peak(who, kind):
    """Megabytes that a process takes at most for two steps."""
    # -P: tokenizers.py beside this file must not shadow the package of that name
    done = subprocess.run(
        [sys.executable, "-P", __file__, who, kind], check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[-1])


def main():
    transformers.logging.set_verbosity_error()
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {DEVICE}, torch {torch.__version__}")
    for who in WHO:  # before there are models here: a child's peak begins at what its parent held
        for kind in kinds():
            print(f"peak memory, {who}, {kind}: {peak(who, kind):,.0f} MB", flush=True)
    steps = {(who, kind): make(kind) for who, make in WHO.items() for kind in kinds()}
    (mine, n), (other, m) = (steps[who, "float32"]() for who in WHO)
    print(f"the first loss, in float32: ours {mine.item():.5f}, theirs {other.item():.5f}; {n} tokens")
    assert n == m and abs(mine - other) < 1e-3

    def timed(step):
        nats, tokens = step()
        nats.item()  # waits for a GPU
        return tokens

    compare("LoRA", {key: lambda step=step: timed(step) for key, step in steps.items()})


if __name__ == "__main__":
    if sys.argv[1:]:
        step = WHO[sys.argv[1]](sys.argv[2])
        step(), step()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3))
    else:
        main()
