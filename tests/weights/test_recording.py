"""What the recipes share: the log of a run, what it shows and costs, and the tables that are shipped."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from course_utils import weights
from course_utils.attention import MultiHeadAttention
from course_utils.training import Run, StepReport
from course_utils.weights import recording

TABLES = sorted(Path(weights.__file__).parent.glob("*.csv"))


def test_a_log_says_how_far_the_run_was_after_so_many_bytes():
    nats = [math.log(2) * bits for bits in (4.0, 2.0, 3.0, 1.0)]
    first, second = recording.log(Run(nats, [[2, 10.0, 2.5], [4, 20.25, 2.25]]), bytes_a_step=100)
    assert first == {
        "step": 2,
        "seconds": "10.0",
        "bytes": 200,
        "train_bits": "3.0000",
        "validation_bits": "2.5000",
    }
    assert list(second.values()) == [4, "20.2", 400, "2.0000", "2.2500"]


def test_a_stopped_run_is_not_recorded():
    whole, stopped = Run([1.0], []), Run([1.0], [], stopped=True)
    assert recording.finished(whole) is whole
    with pytest.raises(SystemExit, match="the same command goes on"):
        recording.finished(stopped)


@pytest.mark.parametrize(
    "step, value, shown",
    [
        (49, 1.5, ""),
        (50, None, "50 of 60: 2.000 bits, 1,234 tokens/s, 7 s left\n"),
        (60, 1.5, "60 of 60: 2.000 bits, validation 1.500, 1,234 tokens/s, 7 s left\n"),
    ],
)
def test_a_line_every_50_steps_and_at_the_last(step, value, shown, capsys):
    recording.show(StepReport(step, 60, 2 * math.log(2), value, 0.01, 1234.4, 7.2))
    assert capsys.readouterr().out == shown


def test_what_a_run_took():
    took = recording.cost(torch.nn.Linear(3, 4), Run(seconds=1.26), n_bytes=100, flops=1e9)
    machine = took.pop("machine")
    assert took == {"parameters": 16, "bytes": 100, "flops": 1e9, "seconds": 1.3}
    assert machine.endswith(f", {torch.get_num_threads()} threads, no GPU")


def test_a_run_whose_row_is_there_is_not_made_again(tmp_path, capsys):
    made = []

    def make():
        made.append(len(made))
        return {"score": f"{made[-1]:.2f}"}

    path = tmp_path / "build" / "runs.csv"
    assert recording.Table(path).row(make, way="a", seed=0) == {"way": "a", "seed": "0", "score": "0.00"}
    table = recording.Table(path)  # the command is given again
    assert [table.row(make, way="a", seed=seed)["score"] for seed in (1, 0, 1)] == ["1.00", "0.00", "1.00"]
    assert made == [0, 1] and recording.read_table(path) == table.rows
    kept = f"{path} keeps its rows (1): remove it if the recipe has changed\n"
    assert capsys.readouterr().out == f"a, 0, 0.00\n{kept}a, 1, 1.00\n"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_shipped_tables_are_as_they_would_be_written(path, tmp_path):
    """So a run that is recorded again changes the numbers that changed, and nothing else."""
    recording.write_table(tmp_path / "again.csv", recording.read_table(path))
    assert (tmp_path / "again.csv").read_text() == path.read_text()


def test_a_table_of_runs_shows_the_mean_over_the_seeds_and_their_range():
    rows = [
        {"way": way, "right": right, "nats": "0.5"}
        for way, right in (("a", "0.5"), ("a", "0.75"), ("alone", "0.25"))
    ]
    table = recording.seeds_table(rows, "way", {"right": ("% right", 100), "nats": ("nats", 1)}).split("\n")
    assert table[0].split() == ["%", "right", "nats"]
    assert table[1].split() == ["a", "62.5", "(50", "to", "75)", "0.5", "(0.5", "to", "0.5)"]
    assert table[2].split() == ["alone", "25", "0.5"]


class Rows:
    """Batches of 3 rows of 6 tokens, 9 of which are no padding; the eleventh has 3 rows of 2."""

    def __init__(self):
        self.n = 0

    def next(self):
        self.n += 1
        time, lengths = (2, [2, 2, 2]) if self.n == 11 else (6, [5, 4, 0])
        return torch.ones(3, time, 8), torch.tensor(lengths)


def test_a_budget_counts_tokens_without_padding_and_products_forward_and_back():
    layer = nn.Linear(8, 4, bias=False)

    def loss(model, batch, state):
        return model(batch[0]).sum(), None

    spent = recording.budget(layer, Rows(), loss, 12)
    first_and_eleventh = 2 * (2 * (18 + 6) * 8 * 4)  # forward, and of the weights: nothing goes back further
    assert spent == {"tokens": "105", "flops": f"{first_and_eleventh / 15 * 105:.3g}"}


def test_attention_is_counted_too():
    torch.manual_seed(0)
    attention, x = MultiHeadAttention(8, 2), torch.randn(1, 6, 8)
    with torch.no_grad():
        assert recording.flops_of(lambda: functional.linear(x, attention.output.weight)) == 2 * 6 * 8 * 8
        got = recording.flops_of(lambda: attention.requires_grad_(False)(x))
    assert got == 4 * 2 * 6 * 8 * 8 + 2 * 2 * 6 * 6 * 8  # four matrices; scores, and sums of values
