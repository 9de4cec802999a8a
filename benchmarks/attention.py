"""Our attention, both paths, and our block beside torch's own layers: same sizes, in turns, in one run; then
attention alone in bfloat16, beside the kernel of torch that we don't use for it on a CPU.

python3 course.py bench attention
"""

import statistics
import time

import torch
from torch import nn
from torch.nn import functional

from course_utils.attention import MultiHeadAttention, causal_mask, fused_attention
from course_utils.transformer import Block, BlockConfig

ROUNDS, CALLS = 7, 5
# batch, positions, width, heads
SIZES = {"small": (32, 64, 128, 4), "long": (2, 1024, 128, 4), "wide": (4, 256, 384, 6)}


def layers(d_model, n_heads, mask):
    """The attentions, then the blocks, each after the layer of torch it is compared with."""
    theirs = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
    ours = MultiHeadAttention(d_model, n_heads)
    block = Block(BlockConfig(d_model, n_heads, pre_norm=True, activation="gelu"))
    layer = nn.TransformerEncoderLayer(
        d_model, n_heads, 4 * d_model, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    hidden = ~mask  # torch's layers take True for "may not attend"
    return {
        "torch, with weights": lambda x: theirs(x, x, x, attn_mask=hidden)[0],
        "ours, written out": lambda x: ours(x, mask=mask, return_weights=True)[0],
        "torch, fused": lambda x: theirs(x, x, x, attn_mask=hidden, need_weights=False)[0],
        "ours, fused": lambda x: ours(x, mask=mask)[0],
        "torch's block": lambda x: layer(x, src_mask=hidden),
        "our block": lambda x: block(x, mask),
    }


def seconds(run, x, backward):
    """Seconds of one call: the mean of a few."""
    start = time.perf_counter()
    for _ in range(CALLS):
        with torch.set_grad_enabled(backward):
            output = run(x)
        if backward:
            output.backward(x)
    return (time.perf_counter() - start) / CALLS


def kernels(mask):
    """Attention alone, of queries that are keys and values too."""
    return {
        "torch, bfloat16": lambda x: functional.scaled_dot_product_attention(x, x, x, attn_mask=mask),
        "ours, bfloat16": lambda x: fused_attention(x, x, x, mask),
    }


def compare(runs, x):
    """Print a line for each run on x; the ratios are to the peer that stands before it."""
    x.requires_grad_()
    table = {}
    for backward in (False, True):
        for run in runs.values():
            seconds(run, x, backward)  # the first calls set up the kernels
        rounds = [[seconds(run, x, backward) for run in runs.values()] for _ in range(ROUNDS)]
        table[backward] = dict(zip(runs, zip(*rounds, strict=True), strict=True))
    names = list(runs)
    for peer, own in zip(names[::2], names[1::2], strict=True):
        for name in (peer, own):
            row = f"{name:22}"
            for backward, width in ((False, 9), (True, 16)):
                times, beside = table[backward][name], table[backward][peer]
                ratio = statistics.median(a / b for a, b in zip(times, beside, strict=True))
                row += f"{1000 * statistics.median(times):{width}.2f}{ratio:8.2f}"
            print(row)


def main():
    torch.manual_seed(0)
    print(f"milliseconds, median of {ROUNDS} rounds in turns, {torch.get_num_threads()} threads, causal mask")
    for size, (batch, t, d_model, n_heads) in SIZES.items():
        print(f"\n{size}: batch {batch}, T = {t}, d_model = {d_model}, {n_heads} heads")
        print(f"{'':22}{'forward':>9}{'ratio':>8}{'with backward':>16}{'ratio':>8}")
        mask = causal_mask(t)
        compare(layers(d_model, n_heads, mask), torch.randn(batch, t, d_model))
        x = torch.randn(batch, n_heads, t, d_model // n_heads, dtype=torch.bfloat16)
        compare(kernels(mask), x)


if __name__ == "__main__":
    main()
