"""What the benchmarks of training do alike: one step for ours and for the peer, timed in turns."""

import statistics
import time

import torch
from torch import nn

from course_utils.devices import multiplies_bfloat16, pick

ROUNDS = 9
DEVICE = pick()


def training_step(model, optimiser, loss, batch, mixed=False):
    """Forward, backward, clipped, moved. Returns the loss, for which nobody has waited yet on a GPU."""
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=mixed):
        nats = loss(model, batch)
    optimiser.zero_grad()
    nats.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return nats


def types():
    """Names of the types that this machine multiplies, and whether each is the half one."""
    yield "float32", False
    if multiplies_bfloat16(DEVICE):
        yield "bfloat16", True


def compare(task, steps):
    """Print the tokens a second of steps {(who, type): function that returns its tokens}, and their ratio."""
    torch.manual_seed(0)
    speeds = {key: [] for key in steps}
    for step in steps.values():
        step()
    for _ in range(ROUNDS):
        for key, step in steps.items():
            start = time.perf_counter()
            tokens = step()
            speeds[key].append(tokens / (time.perf_counter() - start))
    medians = {key: statistics.median(values) for key, values in speeds.items()}
    for (who, type_name), speed in medians.items():
        print(f"{task}, {who}, {type_name}: {speed:,.0f} tokens/s")
    best = {
        who: max((key for key in medians if key[0] == who), key=medians.get)
        for who in ("ours", "transformers")
    }
    ratios = [mine / other for mine, other in zip(*(speeds[best[who]] for who in best), strict=True)]
    low, middle, high = (f"{value:.2f}" for value in statistics.quantiles(ratios, n=4))
    print(f"{task}: ours / transformers, each in its fastest type: {middle} (quartiles {low} to {high})")
