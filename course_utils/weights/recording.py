"""What the recipes share: how a run is shown while it trains, what is logged of it, and what it cost."""

import csv
import functools
import io
import math
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_utils import devices
from course_utils.files import write_atomic
from course_utils.training import Run, StepReport


def checkpoint(name: str) -> Path:
    """Where a run that takes long keeps what it has, from which the same command goes on."""
    folder = Path("build")
    folder.mkdir(exist_ok=True)
    return folder / f"{name}_run.safetensors"


def show(report: StepReport) -> None:
    """Print a line every 50 steps."""
    if report.step % 50 == 0 or report.step == report.steps:
        validation = "" if report.value is None else f", validation {report.value:.3f}"
        print(
            f"{report.step:,} of {report.steps:,}: {report.loss / math.log(2):.3f} bits{validation}, "
            f"{report.tokens_per_second:,.0f} tokens/s, {report.seconds_left:.0f} s left",
            flush=True,
        )


def finished(run: Run) -> Run:
    """The run, if it came to its end; one that Ctrl-C stopped ends the program, so that nothing half-trained
    is scored and written down."""
    if run.stopped:
        sys.exit("stopped: what is done is kept, and the same command goes on")
    return run


def log(run: Run, bytes_a_step: int) -> list[dict]:
    """A run as rows, one an evaluation: step, seconds, bytes read, bits per byte in training (the mean since
    the row before) and in validation."""
    rows, before = [], 0
    for step, seconds, value in run.evaluations:
        train_bits = sum(run.losses[before:step]) / (step - before) / math.log(2)
        row = {"step": step, "seconds": f"{seconds:.1f}", "bytes": step * bytes_a_step}
        rows.append(row | {"train_bits": f"{train_bits:.4f}", "validation_bits": f"{value:.4f}"})
        before = step
    return rows


def cost(model: nn.Module, run: Run, n_bytes: int, flops: float) -> dict:
    """What a run took, which read `n_bytes` bytes; flops are its multiplications and additions."""
    device = next(model.parameters()).device
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    return {
        "parameters": n_parameters(model),
        "bytes": n_bytes,
        "flops": flops,
        "seconds": round(run.seconds, 1),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {card}",
    }


def flops_of(step: Callable[[], object]) -> int:
    """The multiplications and additions of a step's matrix products, as torch counts them; attention is made
    of such products for that."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def budget(
    model: nn.Module, batches: object, loss: Callable, steps: int, lengths_at: tuple[int, ...] = (1,)
) -> dict[str, str]:
    """What a training reads and multiplies, counted beside it: the tokens of so many batches, padding left
    out; and by every tenth of them, forward and backward, the FLOPs of all. lengths_at: the places in a
    batch where the lengths of its rows stand."""
    tokens = counted = flops = 0
    for step in range(steps):
        batch = batches.next()
        now = sum(int(batch[place].sum()) for place in lengths_at)
        tokens += now
        if step % 10 == 0:
            counted += now
            flops += flops_of(lambda batch=batch: loss(model, batch, None)[0].backward())
    return {"tokens": str(tokens), "flops": f"{flops / counted * tokens:.3g}"}


def n_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def mixed_precision() -> torch.autocast:
    """A context that multiplies in bfloat16, where training does."""
    return torch.autocast("cpu", torch.bfloat16, enabled=devices.trains_in_bfloat16(torch.device("cpu")))


class Table:
    """A table of runs that grows in a file: a run whose row is there is not made again, though the recipe may
    have changed since. So it says if there are some."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.rows = path, read_table(path) if path.exists() else []
        if self.rows:
            print(
                f"{path} keeps its rows ({len(self.rows)}): remove it if the recipe has changed", flush=True
            )

    def row(self, make: Callable[[], dict], **run) -> dict[str, str]:
        """The row of a run, which is known by `run`, the first columns; `make` gives the others."""
        known = {name: str(value) for name, value in run.items()}
        for row in self.rows:
            if known.items() <= row.items():
                return row
        self.rows.append(known | {name: str(value) for name, value in make().items()})
        write_table(self.path, self.rows)
        print(*self.rows[-1].values(), sep=", ", flush=True)
        return self.rows[-1]


def sweep(
    table: Table,
    column: str,
    run: Callable[[str, float, int, bool], dict],
    ways: Iterable[str],
    rates: Sequence[float],
    sweep_seed: int,
    seeds: Iterable[int],
    merit: Callable[[dict], float],
) -> None:
    """Run each way at each rate with a seed for that alone; then with all seeds at the rate of most merit.

    `run(way, rate, seed, final)` makes the rest of a row of the table, whose first columns are the way's
    (`column`), learning_rate and seed; `merit` judges the row.
    """

    def row(way: str, rate: float, seed: int, final: bool) -> dict[str, str]:
        make = functools.partial(run, way, rate, seed, final)
        return table.row(make, **{column: way}, learning_rate=rate, seed=seed)

    for way in ways:
        best = max(rates, key=lambda rate: merit(row(way, rate, sweep_seed, False)))
        for seed in seeds:
            row(way, best, seed, True)


def least(column: str) -> Callable[[dict], float]:
    """The merit of a row of which less is better."""
    return lambda row: -float(row[column])


def seeds_table(rows: list[dict[str, str]], way: str, columns: dict[str, tuple[str, float]]) -> str:
    """Runs as lines of text, a line for each value of the column `way`.

    columns: {name: (its title, by what its numbers are multiplied)}. Shown are the mean over the seeds, and
    the lowest and the highest where there are several.
    """
    width = 2 + max(len(row[way]) for row in rows)
    lines = [" " * width + "".join(f"{title:>22}" for title, _ in columns.values())]
    for name in dict.fromkeys(row[way] for row in rows):
        line = f"{name:{width}}"
        for column, (_, factor) in columns.items():
            values = [factor * float(row[column]) for row in rows if row[way] == name and row[column]]
            cell = f"{sum(values) / len(values):.3g}" if values else ""
            cell += f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else ""
            line += f"{cell:>22}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def write_table(path: Path, rows: list[dict]) -> None:
    """Write rows as CSV, with the keys of the first as the header."""
    table = io.StringIO()
    writer = csv.DictWriter(table, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, table.getvalue())


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
