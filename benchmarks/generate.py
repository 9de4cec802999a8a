"""Our `generate` beside transformers', with the weights of SmolLM2-135M, one text at a time, in turns.

python3 course.py bench generate

Twice, in a process of its own each: with the course's threads, which soon sleep when they wait, so that other
programs get the cores, and with torch's own, which spin. A thread that sleeps has to be woken for the next
product: on a quiet machine that is slower.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import transformers

from course_utils import pretrained
from course_utils.classroom.outputs import QUIET_THREADS
from course_utils.data import corpora
from course_utils.devices import multiplies_bfloat16
from course_utils.generation import generate, layouts, timings
from course_utils.generation.fast_decode import joined_weights, optimise_for_decoding, projections
from course_utils.generation.speculation import LookupDraft, speculative_generate

sys.path.append(str(Path(__file__).parent.parent / "tests"))
from test_gpt import as_llama

ROUNDS, PROMPT, NEW, GUESSES = 5, 200, 100, 4
MEMORY = 2**29  # bytes
COMPARE = "compare"  # what the processes are told


def timed(action):
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def bandwidths(matrix):
    """GB/s at which a product with a vector reads memory, and a sum, each the best of some over more than any
    cache holds: on one machine the product reads 1.4 times as fast. The matrix is numpy's, as our weights
    are, for its pages are larger than torch's, and read up to a seventh faster."""
    vector = torch.ones(matrix.shape[1])
    readers = [lambda: torch.mv(matrix, vector), matrix.sum]
    seconds = [[timed(read)[0] for read in readers] for _ in range(3)]
    return [matrix.nbytes / min(of_one) / 1e9 for of_one in zip(*seconds, strict=True)]


def print_layouts(model):
    """How fast each layout reads the matrices of each shape in a step, and which is taken."""
    groups = [modules for block in model.decoder.blocks for modules in projections(block)]
    weights = joined_weights([*groups, [model.embedding]])
    print(f"  {'GB/s':20}" + "".join(f"{name:>18}" for name in layouts.LAYOUTS))
    sizes = {layouts.kind(weight): weight.nbytes for weight in weights}
    for _ in range(timings.OCCASIONS):
        least = layouts.layout_timings(weights, layouts.LAYOUTS)
        least_of_few = layouts.layout_timings(weights, layouts.LAYOUTS_OF_FEW, layouts.FEW)
    for kind, seconds in least.items():
        best = timings.fastest(seconds)
        speeds = [f"{sizes[kind] / s / 1e9:.1f}{'*' if name == best else ' '}" for name, s in seconds.items()]
        print(f"  {kind:20}" + "".join(f"{speed:>18}" for speed in speeds))
    for kind, seconds in least_of_few.items():
        print(f"  {kind:32}of a few: {timings.fastest(seconds)}")
    if not timings.file().exists():
        print("  (timed beside other programs, and so not remembered)")


def optimised(model):
    """The model with the layouts that are fastest, by timings of its own: the user's stay as they are."""
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(timings, "file", lambda: Path(folder, "timings.json")),
    ):
        print_layouts(model)
        return optimise_for_decoding(model)


def write_ours(model, ids):
    return lambda n: generate(model, [ids], n)[0].ids


def guess_ours(model, ids):
    """Greedy too, and the same tokens: guesses are looked up in the text, and checked GUESSES at once."""
    return lambda n: speculative_generate(model, ids, n, LookupDraft(2), k=GUESSES).ids


def write_theirs(model, ids, **more):
    model.generation_config.eos_token_id = None  # both write all the tokens that are asked for
    settings = {"do_sample": False, "pad_token_id": 0, **more}
    prompt = torch.tensor([ids])
    mask = torch.ones_like(prompt)
    return lambda n: model.generate(prompt, attention_mask=mask, max_new_tokens=n, **settings)[
        0, len(ids) :
    ].tolist()


def measure(writers):
    """Median seconds to the first token, median tokens/s after it, and the tokens, of each writer; and the
    median GB/s at which a product and a sum read memory in between."""
    first, speed, texts = ({name: [] for name in writers} for _ in range(3))
    matrix, memory = torch.from_numpy(np.ones((MEMORY // 2**14, 2**12), np.float32)), []
    for write in writers.values():
        write(3)
    for _ in range(ROUNDS):
        memory.append(bandwidths(matrix))
        for name, write in writers.items():
            until_first, _ = timed(lambda write=write: write(1))
            seconds, texts[name] = timed(lambda write=write: write(NEW))
            first[name].append(until_first)
            speed[name].append((NEW - 1) / (seconds - until_first))
    return (
        {name: statistics.median(values) for name, values in first.items()},
        {name: statistics.median(values) for name, values in speed.items()},
        texts,
        [statistics.median(speeds) for speeds in zip(*memory, strict=True)],
    )


def compare_texts(model, ids, ours, theirs):
    """One sentence: equal, or where they part and how near the two tokens were for our model."""
    differing = [i for i, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]
    if not differing:
        return f"the {len(ours)} greedy tokens are the same"
    i = differing[0]
    with torch.inference_mode():
        logits = model(torch.tensor([[*ids, *ours[:i]]]), last=1)[0, -1].float()
    gap = (logits[ours[i]] - logits[theirs[i]]).abs().item()
    return f"the first {i} greedy tokens are the same; at the next the two logits are {gap:.3f} apart"


def compare():
    transformers.logging.set_verbosity_error()
    text = corpora.shakespeare().test
    ids = pretrained.smollm2_tokenizer().encode(text[: 10 * PROMPT]).ids[:PROMPT]
    until_ready = min(timed(lambda: pretrained.load("smollm2-135m"))[0] for _ in range(ROUNDS))
    print(f"SmolLM2 is ready after {until_ready:.2f} s")
    for dtype in (torch.float32, torch.bfloat16):
        model, fast = (pretrained.load("smollm2-135m").to(dtype) for _ in range(2))
        print(f"\n{dtype}; * is taken")
        fast = optimised(fast)
        megabytes = sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6
        theirs = as_llama(model)
        writers = {
            "transformers": write_theirs(theirs, ids),
            "ours, as loaded": write_ours(model, ids),
            "ours, optimised": write_ours(fast, ids),
        }
        if dtype == torch.float32 or multiplies_bfloat16(torch.device("cpu")):  # else a check takes seconds
            writers |= {
                "theirs, guesses looked up": write_theirs(theirs, ids, prompt_lookup_num_tokens=GUESSES),
                "ours, guesses looked up": guess_ours(fast, ids),
            }
        first, speed, texts, memory = measure(writers)
        bounds = [speed * 1e3 / megabytes for speed in memory]  # tokens/s if reading the weights were all
        by_product, by_sum = (
            f"{gigabytes:.1f} GB/s (at most {bound:.0f} tokens/s)"
            for gigabytes, bound in zip(memory, bounds, strict=True)
        )
        print(f"  {megabytes:.0f} MB of weights; a product reads {by_product}, a sum {by_sum}")
        print(f"{'':28}{'first token, s':>16}{'tokens/s':>10}{'ratio':>8}{'of these bounds':>18}", flush=True)
        for name in writers:
            ratio = speed[name] / speed["transformers"]
            shares = " and ".join(f"{speed[name] / bound:.0%}" for bound in bounds)
            print(f"  {name:26}{first[name]:16.2f}{speed[name]:10.1f}{ratio:8.2f}{shares:>18}")
        for name in writers:
            if name != "transformers":
                print(f"  {name}: {compare_texts(model, ids, texts[name], texts['transformers'])}")


def main():
    print(f"{PROMPT} tokens read, {NEW} written, batch 1, median of {ROUNDS} rounds in turns")
    spinning = {name: value for name, value in os.environ.items() if name not in QUIET_THREADS}
    for threads, environment in {"that soon sleep": spinning | QUIET_THREADS, "that spin": spinning}.items():
        print(f"\n{torch.get_num_threads()} threads {threads}", flush=True)
        subprocess.run([sys.executable, "-P", __file__, COMPARE], env=environment, check=True)


if __name__ == "__main__":
    compare() if sys.argv[1:] == [COMPARE] else main()
