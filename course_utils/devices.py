"""Which device the course computes on, and whether it computes correctly; and a model's mode for scoring.

CUDA is taken where it is found. Apple's MPS is taken only on request and only after a numeric self-check: for
years some of its kernels returned wrong numbers without an error.
"""

import contextlib
import functools
import os
import re
from collections.abc import Iterator
from time import perf_counter

import torch
from torch import distributed, nn
from torch.nn import functional

# float32 keeps about 7 digits and a sum of 256 products loses one or two; TF32 or bfloat16 would lose four.
TOLERANCE = 1e-4


def pick(name: str = "auto") -> torch.device:
    """The device to compute on: "auto" is CUDA if there is one, else the CPU.

    Any other name, such as "cpu", "cuda:1" or "mps", is taken as it is. Raises ValueError for a device
    that this machine lacks, RuntimeError for an MPS that fails the self-check.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    found = re.fullmatch(r"(\w+)(?::(0|[1-9]\d*))?", name, re.ASCII)  # a kind, and a number as torch reads it
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if not found or int(found[2] or 0) >= counts.get(found[1], 0):
        here = ", ".join(kind for kind, count in counts.items() if count)
        raise ValueError(f"There is no device {name!r} here; this machine has {here}; 'auto' picks the best.")
    device = torch.device(name)
    if device.type == "mps":
        correct, sentence = self_check(device)
        if not correct:
            raise RuntimeError(f"{sentence} Use 'cpu' instead.")
    return device


def self_check(device: torch.device) -> tuple[bool, str]:
    """Compare three operations in float32 on `device` with float64 on the CPU.

    Returns whether all agree within TOLERANCE (relative to the largest number), and a sentence that says so.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 256, generator=generator, dtype=torch.float64)
    y = torch.randn(256, 192, generator=generator, dtype=torch.float64)
    operations = {
        "matmul": lambda x, y: x @ y,
        "softmax": lambda x, y: torch.softmax(x @ y, dim=-1),
        "layer norm": lambda x, y: functional.layer_norm(x, x.shape[-1:]),
    }
    errors = {}
    for operation, run in operations.items():
        exact = run(x, y)
        result = run(x.float().to(device), y.float().to(device)).cpu().double()
        errors[operation] = ((result - exact).abs().max() / exact.abs().max()).item()
    wrong = [name for name, error in errors.items() if not error < TOLERANCE]  # NaN is wrong as well
    found = ", ".join(f"{operation} {error:.0e}" for operation, error in errors.items())
    verdict = f"computes {' and '.join(wrong)} wrongly" if wrong else "computes correctly"
    return not wrong, f"The device {device} {verdict} (relative errors: {found}; allowed: {TOLERANCE:.0e})."


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether `device` has instructions for products of matrices in bfloat16.

    Without, each number is taken apart and put together again, which took 14 to 140 times as long as float32
    on a processor with AVX2 alone. (A product with a single vector waits for memory, and gains even there.)
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    if hasattr(torch.cpu, "get_capabilities"):
        return torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.cpu._is_avx512_bf16_supported()  # torch 2.10, which has the other one not yet


@functools.cache
def trains_in_bfloat16(device: torch.device) -> bool:
    """Whether mixed precision is faster on `device` than float32; asked once a process.

    On a CPU the instructions alone don't tell, so products are timed, some milliseconds: on AMD's processors
    (Zen 4) training gained from them; on an Intel Xeon that shows AVX-512's, but not AMX's, products of
    hundreds of rows took 1.7 to 2 times as long as in float32. The ranks of a torchrun ask together, and it
    has to be faster for all: each with its own answer, their weights would part.
    """
    if device.type != "cpu":
        return multiplies_bfloat16(device)
    faster = torch.tensor(int(multiplies_bfloat16(device) and products_are_faster_in_bfloat16()))
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(faster, distributed.ReduceOp.MIN)
    return bool(faster)


def products_are_faster_in_bfloat16() -> bool:
    """Than in float32, on this CPU and now."""
    kinds = (torch.float32, torch.bfloat16)
    rounds = [[seconds_of_a_product(kind) for kind in kinds] for _ in range(9)]
    in_float32, in_bfloat16 = map(min, zip(*rounds, strict=True))  # what disturbs only ever adds time
    return in_bfloat16 < in_float32


def seconds_of_a_product(dtype: torch.dtype) -> float:
    """Of 256 tokens with a matrix of 512 x 512, as small models have them, on the CPU."""
    x, w = torch.ones(256, 512, dtype=dtype), torch.ones(512, 512, dtype=dtype)
    with torch.inference_mode():
        start = perf_counter()
        functional.linear(x, w)
        return perf_counter() - start


def describe() -> dict[str, str]:
    """What `doctor` prints about torch, the device that `pick()` takes, and the threads."""
    device = pick()
    facts = {"torch": torch.__version__, "device": str(device)}
    facts["mixed precision"] = "bfloat16" if trains_in_bfloat16(device) else "float32: bfloat16 is slow here"
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        facts["device"] += f", {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    settings = [f"{name}={os.environ.get(name, 'not set')}" for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")]
    facts["threads"] = ", ".join([f"{torch.get_num_threads()} of {os.cpu_count()} cores", *settings])
    return facts


@contextlib.contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """In evaluation mode, and then, also after an error, each part of it in the mode that it was in."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
