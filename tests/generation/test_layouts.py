"""Layouts: every one gives the product, and the machine's clock decides."""

import json

import pytest
import torch

from course_utils.generation import layouts, timings

pytestmark = pytest.mark.usefixtures("one_thread", "empty_cache")

WIDE, TALL = torch.ones(4, 8), torch.ones(16, 4)


SHAPES = [(1, 2, 32), (16, 1, 32), (2, 3, 32)]
TYPES = pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 5e-2)], ids=str)


def is_the_product(product, weight, x, tolerance):
    got, exact = product(x), x.double() @ weight.double().T
    assert got.shape == (*x.shape[:-1], len(weight)) and got.dtype == weight.dtype
    torch.testing.assert_close(got.double(), exact, atol=tolerance, rtol=1e-2)


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
@TYPES
@pytest.mark.parametrize("out", [48, 50, 51])
def test_every_layout_gives_the_product(layout, dtype, tolerance, out):
    torch.manual_seed(0)
    weight = torch.randn(out, 32).to(dtype)
    if (product := layouts.LAYOUTS[layout](weight)) is None:
        assert layout == layouts.BLOCKS  # which not every processor can do
        return
    is_the_product(product, weight, torch.randn(1, 1, 32).to(dtype), tolerance)


@pytest.mark.parametrize("layout", layouts.LAYOUTS_OF_FEW)
@TYPES
def test_every_layout_of_few_gives_the_product_of_any_shape(layout, dtype, tolerance):
    torch.manual_seed(0)
    weight = torch.randn(48, 32).to(dtype)
    product = layouts.LAYOUTS_OF_FEW[layout](weight)
    rows = [torch.randn(*shape).to(dtype) for shape in SHAPES] + [torch.randn(2, 5, 32).to(dtype)[:, -2:]]
    for x in rows:
        is_the_product(product, weight, x, tolerance)
    assert product(torch.ones(1, 0, 32, dtype=dtype)).shape == (1, 0, 48)


@pytest.mark.parametrize("rows, way", [(1, "one"), (2, "few"), (layouts.MAX_FEW, "few")])
def test_each_number_of_rows_has_its_way(rows, way):
    product = layouts.by_rows(WIDE, lambda x: "one", lambda x: "few")
    assert product(torch.ones(1, rows, 8)) == product(torch.ones(rows, 1, 8)) == way
    assert product(torch.ones(1, layouts.MAX_FEW + 1, 8)).shape == (1, layouts.MAX_FEW + 1, 4)


def test_blocks_serve_any_number_of_rows(monkeypatch):
    monkeypatch.setattr(layouts, "LAYOUTS", {layouts.BLOCKS: lambda weight: lambda x: "blocks"})
    [product] = layouts.products([WIDE])
    assert [product(torch.ones(1, rows, 8)) for rows in (1, 3, 40)] == ["blocks"] * 3


@pytest.mark.parametrize("slower, taken", [("as loaded", "W x^T"), ("W x^T", "as loaded")])
def test_the_way_of_a_few_rows_is_timed_with_a_few(clock, monkeypatch, slower, taken):
    def layout(name):
        def product(x):
            clock.pass_by(9.0 if (name == slower) == (x.shape[1] == layouts.FEW) else 1.0)
            return name

        return lambda weight: product

    monkeypatch.setattr(layouts, "LAYOUTS_OF_FEW", {name: layout(name) for name in layouts.LAYOUTS_OF_FEW})
    [product] = layouts.products([WIDE])
    assert product(torch.ones(1, 3, 8)) == taken


class Timed:
    """Layouts that take the seconds of a table, by which all the calls are counted."""

    def __init__(self, clock, seconds):
        self.clock, self.seconds, self.calls = clock, seconds, 0

    def layout(self, name):
        def made(weight):
            seconds = self.seconds[name].get(layouts.kind(weight))
            return None if seconds is None else self.product(name, seconds)

        return made

    def product(self, name, seconds):
        def product(x):
            self.calls += 1
            self.clock.pass_by(seconds)
            return name

        return product


@pytest.fixture
def timed(clock, monkeypatch):
    """Columns are faster for WIDE, as loaded for TALL and for bfloat16; blocks can't be had for WIDE."""
    wide, tall = layouts.kind(WIDE), layouts.kind(TALL)
    half = {kind.replace("float32", "bfloat16"): 1.0 for kind in (wide, tall)}
    timed = Timed(
        clock,
        {
            "as loaded": {wide: 5.0, tall: 3.0, **half},
            "columns": {wide: 2.0, tall: 4.0, **dict.fromkeys(half, 2.0)},
            "blocks": {tall: 3.5},
        },
    )
    monkeypatch.setattr(layouts, "LAYOUTS", {name: timed.layout(name) for name in timed.seconds})
    of_few = {"as loaded": lambda weight: lambda x: clock.pass_by(1.0)}
    monkeypatch.setattr(layouts, "LAYOUTS_OF_FEW", of_few)
    return timed


def chosen(weights):
    found = zip(weights, layouts.products(weights), strict=True)
    return [product(torch.ones(1, 1, weight.shape[1])) for weight, product in found]


def test_the_fastest_by_the_clock_is_taken_for_each_shape_and_type(timed):
    assert chosen([WIDE, TALL, WIDE]) == ["columns", "as loaded", "columns"]
    assert chosen([WIDE.bfloat16(), TALL]) == ["as loaded", "as loaded"]
    timed.seconds["blocks"][layouts.kind(TALL)] = 2.5
    assert chosen([WIDE, TALL]) == ["columns", "blocks"]


def test_what_is_hardly_faster_does_not_take_the_place_of_what_is_simpler(timed):
    timed.seconds["columns"][layouts.kind(WIDE)] = 4.9
    assert chosen([WIDE]) == ["as loaded"]


def test_after_some_occasions_nothing_is_timed(timed):
    for _ in range(timings.OCCASIONS):
        before = timed.calls
        chosen([WIDE, TALL])
        assert timed.calls > before + 2 * timings.ROUNDS
    before = timed.calls
    assert chosen([TALL, WIDE]) == ["as loaded", "columns"]
    assert timed.calls == before + 2


def test_one_bad_occasion_is_made_good_by_the_next(timed):
    """Such as one at which a neighbour takes the memory while the best way is timed."""
    timed.seconds["columns"][layouts.kind(WIDE)] = 9.0
    assert chosen([WIDE]) == ["as loaded"]
    timed.seconds["columns"][layouts.kind(WIDE)] = 2.0
    assert chosen([WIDE]) == ["columns"]
    timed.seconds["columns"][layouts.kind(WIDE)] = 9.0
    assert chosen([WIDE]) == ["columns"]


def test_what_is_timed_beside_busy_programs_serves_only_where_nothing_is_known(timed, clock):
    timed.seconds["columns"][layouts.kind(WIDE)] = 9.0
    clock.share = 0.4
    assert chosen([WIDE]) == ["as loaded"]
    assert not timings.file().exists()
    timed.seconds["columns"][layouts.kind(WIDE)], clock.share = 2.0, 0.9
    assert chosen([WIDE]) == ["columns"]
    timed.seconds["as loaded"][layouts.kind(WIDE)], clock.share = 1.0, 0.4
    assert chosen([WIDE]) == ["columns"]


@pytest.mark.parametrize("change", ["torch", "threads", "processor", "type", "shape", "candidates"])
def test_anything_else_is_timed_anew(timed, change, monkeypatch):
    for _ in range(timings.OCCASIONS):
        chosen([WIDE])
    before, weight = timed.calls, WIDE
    if change == "torch":
        monkeypatch.setattr(torch, "__version__", "99.0")
    elif change == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    elif change == "processor":
        monkeypatch.setattr(timings.platform, "node", lambda: "another")
    elif change == "type":
        weight = WIDE.bfloat16()
    elif change == "shape":
        weight = TALL
    else:
        layouts.LAYOUTS["one more"] = timed.layout("columns")
    chosen([weight])
    assert timed.calls > before + timings.ROUNDS
    if change in ("torch", "threads", "processor"):
        # What was known of the first is not lost.
        assert len(json.loads(timings.file().read_text())) == 2


TIMES = ["NaN", '"1"', "-1.0", "1"]
BROKEN = ["", "{", "[]", "7", '{"x": 1}', '{"HERE": 1}', '{"HERE": {"KIND": 1}}', '{"HERE": {"KIND": {}}}']
BROKEN += ['{"HERE": {"KIND": [1, {}]}}']
BROKEN += [
    '{"HERE": {"KIND": [{"as loaded": TIME, "columns": 7.0, "blocks": 9.0}]}}'.replace("TIME", x)
    for x in TIMES
]


@pytest.mark.parametrize("text", BROKEN)
def test_a_damaged_file_is_measured_anew(timed, text):
    chosen([WIDE])
    text = text.replace("HERE", timings.machine()).replace("KIND", layouts.kind(WIDE))
    timings.file().write_text(text)
    for _ in range(timings.OCCASIONS):
        before = timed.calls
        assert chosen([WIDE]) == ["columns"]
        assert timed.calls > before + timings.ROUNDS
    before = timed.calls
    assert chosen([WIDE]) == ["columns"] and timed.calls == before + 1


def test_a_file_that_is_no_text_and_a_cache_that_can_t_be_written(timed, tmp_path, monkeypatch):
    chosen([WIDE])
    timings.file().write_bytes(b"\xff\xfe\x00")
    assert chosen([WIDE]) == ["columns"]
    (tmp_path / "a file").touch()
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "a file"))
    assert chosen([WIDE]) == ["columns"]


def test_other_programs_that_take_time_now_and_then_change_nothing(clock):
    """Of the rounds the best counts: a way that was disturbed in all but one is still the fastest."""
    rounds = iter([9.0] * (timings.ROUNDS - 1) + [1.0])
    candidates = {
        "disturbed": [("task", lambda: clock.pass_by(next(rounds)))],
        "steady": [("task", lambda: clock.pass_by(2.0))],
    }
    assert timings.time_in_turns(candidates) == {"task": {"disturbed": 1.0, "steady": 2.0}}


def test_matrices_are_read_in_their_order_by_one_layout_after_the_other(clock, monkeypatch):
    """As in a step: two uses of a matrix have all the others between them."""
    read = []
    layout = lambda weight: lambda x: read.append(weight.data_ptr())  # noqa: E731
    weights = [torch.ones(4, 8) for _ in range(layouts.TIMED + 3)] + [torch.ones(16, 4)]
    layouts.measure(weights, {"one": layout, "other": layout})
    a_round = [weight.data_ptr() for weight in weights[: layouts.TIMED] + weights[-1:]]
    assert read == a_round * 2 * timings.ROUNDS
