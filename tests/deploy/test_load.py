"""deploy/load_test.py stops before the memory is gone, and says what it saw. Students, memory and hub are
stand-ins."""

import asyncio
import importlib
import sys
import threading
import types
from pathlib import Path

import pytest

SERVER, BEGUN, SPARE = 0.15, 10.0, 3.0  # GB


@pytest.fixture
def load_test(monkeypatch):
    pytest.importorskip("psutil")
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "deploy")
    # deploy/student.py needs aiohttp, which only a hub has
    monkeypatch.setitem(sys.modules, "student", types.SimpleNamespace(Student=object, answering=None))
    yield importlib.import_module("load_test")
    del sys.modules["load_test"]


class Machine:
    free = BEGUN * 1e9

    def virtual_memory(self):
        return types.SimpleNamespace(available=self.free)


class Student:
    def __init__(self, name, machine):
        self.name, self.machine = name, machine

    async def start(self):
        await asyncio.sleep(0)  # all others go on meanwhile
        self.machine.free -= SERVER * 1e9

    async def action(self, *given):
        await asyncio.sleep(0)
        return {"success": True}

    log_in = read = kernel = run = save = action


def run(work):
    """In a thread of its own: Playwright's loop runs in the first one once a browser is open."""
    thread = threading.Thread(target=asyncio.run, args=[work])
    thread.start()
    thread.join()


def test_nobody_is_let_in_when_the_memory_is_short(load_test, monkeypatch):
    machine = Machine()
    monkeypatch.setattr(load_test.psutil, "virtual_memory", machine.virtual_memory)

    async def come(held):
        await asyncio.gather(*(held.come(Student(f"s{i}", machine)) for i in range(held.users)))

    held = load_test.Class(100, SPARE)
    run(come(held))
    begun = len(held.seconds["start a server"])
    assert (
        40 <= begun <= 47 + load_test.AT_ONCE and machine.free >= (SPARE - load_test.AT_ONCE * SERVER) * 1e9
    )
    assert len(held.failures) + len(held.kernels) == 100
    assert all("the memory is for others" in line for line in held.failures)


class Guest(Student):
    """The second never gets a server, if `stuck`; no kernel has torch."""

    stuck = False

    def __init__(self, hub, name, password):
        super().__init__(name, Machine())

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass

    async def start(self):
        if self.stuck and self.name == "student001":
            await asyncio.Event().wait()

    async def run(self, kernel, code):
        if "torch" in code:
            raise RuntimeError("No module named 'torch'")


class Process:
    """A hub of 200 MB that has computed for 3 s, with a child that ends while one looks."""

    def __init__(self, psutil):
        self.psutil = psutil

    def children(self, recursive):
        return [Ended(self.psutil)]

    def cmdline(self):
        return ["python", "-m", "jupyterhub", "-f", "config.py"]

    def memory_full_info(self):
        return types.SimpleNamespace(pss=200e6)

    def cpu_times(self):
        return 2.0, 1.0, 0.0, 0.0


class Ended(Process):
    def cmdline(self):
        raise self.psutil.NoSuchProcess(1)

    cpu_times = cmdline


@pytest.mark.parametrize(
    ("stuck", "failed"),
    [
        (True, "1 of 2 at work when the time was up"),
        (False, "student000, import torch: RuntimeError No module named 'torch'"),
    ],
    ids=["time", "kernel"],
)
def test_what_was_seen_is_printed_when_the_time_is_up_and_when_a_kernel_fails(
    load_test, monkeypatch, capsys, stuck, failed
):
    monkeypatch.setattr(load_test.psutil, "virtual_memory", Machine().virtual_memory)
    monkeypatch.setattr(load_test, "Student", type("", (Guest,), {"stuck": stuck}))
    monkeypatch.setattr(load_test, "answering", Guest("", "hub", "").action)
    options = types.SimpleNamespace(users=2, torch=2, spare=SPARE, minutes=0.05 if stuck else 20)
    run(load_test.measure(Process(load_test.psutil), options))
    said = capsys.readouterr().out
    assert "log in           median" in said and "hub                1 of    200 MB" in said
    assert "processor             3 s in all" in said and said.endswith(f"\n{failed}\n")
