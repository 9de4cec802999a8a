"""Training and writing with a T5 beside transformers' T5 with the same weights, each in its fastest type and
transformers with the faster of its two kinds of attention.

python3 course.py bench seq2seq

Training: a whole step (forward, backward, AdamW) on 16 pairs of a source of 32 to 64 tokens and a target of
16 to 32, padded. Writing: 32 tokens to each of 16 such sources, always the likeliest; the end is never it.
"""

import itertools
import platform
import sys
from pathlib import Path

import torch
import transformers

from course_utils.seq2seq import greedy, padded, pair_loss, t5
from course_utils.training.optimisers import adamw

sys.path.append(str(Path(__file__).parent))
from _steps import DEVICE, compare, training_step, types

SIZES = t5.T5Config(vocab_size=8192, d_model=256, n_layers=4, n_heads=4, d_ff=1024)
PAD, START, END = SIZES.marks
PAIRS, WRITTEN = 16, 32
ATTENTIONS = "sdpa", "eager"  # transformers' kinds


def both(attention):
    """Ours and transformers' model with the same weights. The end's logit is always 0, so that neither ends a
    text before it has its 32 tokens."""
    config = transformers.T5Config(
        vocab_size=SIZES.vocab_size,
        d_model=SIZES.d_model,
        num_layers=SIZES.n_layers,
        num_heads=SIZES.n_heads,
        d_ff=SIZES.d_ff,
        d_kv=SIZES.d_head,
        dropout_rate=0.0,
        decoder_start_token_id=START,
        attn_implementation=attention,
    )
    theirs = transformers.T5ForConditionalGeneration(config)
    with torch.no_grad():
        theirs.get_input_embeddings().weight[END] = 0
    return t5.from_hf(theirs.state_dict()).to(DEVICE), theirs.to(DEVICE)


def random_rows(shortest):
    return [
        torch.randint(END + 1, SIZES.vocab_size, (length,)).tolist()
        for length in torch.randint(shortest, 2 * shortest + 1, (PAIRS,)).tolist()
    ]


def batch():
    source, lengths = padded(random_rows(32), PAD)
    target, _ = padded([[START, *row, END] for row in random_rows(16)], PAD)
    return tuple(x.to(DEVICE) for x in (source, lengths, target))


def training_steps():
    def ours(model, batch):
        return pair_loss(model, batch, None)[0]

    def theirs(model, batch):
        source, lengths, target = batch
        real = torch.arange(source.shape[1], device=DEVICE) < lengths[:, None]
        labels = target[:, 1:].masked_fill(target[:, 1:] == PAD, -100)
        return model(source, real.long(), labels=labels).loss

    def step(model, optimiser, loss, mixed):
        pairs = batch()
        training_step(model, optimiser, loss, pairs, mixed).item()
        return int(pairs[1].sum() + (pairs[2][:, 1:] != PAD).sum())

    steps = {}
    for attention, (type_name, mixed) in itertools.product(ATTENTIONS, types()):
        mine, other = both(attention)
        moves = adamw(mine, 0.01)
        fused = torch.optim.AdamW(other.parameters(), lr=1e-4, fused=True)
        steps["ours", type_name] = lambda m=mine, o=moves, x=mixed: step(m.train(), o, ours, x)
        name = f"{type_name}, {attention}"
        steps["transformers", name] = lambda m=other, o=fused, x=mixed: step(m.train(), o, theirs, x)
    return steps


def writings():
    steps = {}
    for attention, (type_name, half) in itertools.product(ATTENTIONS, types()):
        mine, other = (m.to(torch.bfloat16 if half else torch.float32).eval() for m in both(attention))

        def ours(model=mine):
            written = greedy(model, random_rows(32), WRITTEN)
            assert all(len(row) == WRITTEN for row in written)
            return PAIRS * WRITTEN

        def theirs(model=other):
            source, lengths = (x.to(DEVICE) for x in padded(random_rows(32), PAD))
            real = torch.arange(source.shape[1], device=DEVICE) < lengths[:, None]
            written = model.generate(
                source, attention_mask=real.long(), max_new_tokens=WRITTEN, do_sample=False
            )
            assert written.shape == (PAIRS, 1 + WRITTEN)  # the start is the first
            return PAIRS * WRITTEN

        steps |= {("ours", type_name): ours, ("transformers", f"{type_name}, {attention}"): theirs}
    return steps


if __name__ == "__main__":
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, {DEVICE}, torch {torch.__version__}")
    compare("training", training_steps())
    compare("writing", writings())
