"""deploy/load_test.py stops before the memory is gone. Students and memory are stand-ins."""

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


def test_nobody_is_let_in_when_the_memory_is_short(load_test, monkeypatch):
    machine = Machine()
    monkeypatch.setattr(load_test.psutil, "virtual_memory", machine.virtual_memory)

    async def come(held):
        await asyncio.gather(*(held.come(Student(f"s{i}", machine)) for i in range(held.users)))

    held = load_test.Class(100, SPARE)
    # in a thread of its own: Playwright's loop runs in the first one once a browser is open
    thread = threading.Thread(target=asyncio.run, args=[come(held)])
    thread.start()
    thread.join()
    begun = len(held.seconds["start a server"])
    assert (
        40 <= begun <= 47 + load_test.AT_ONCE and machine.free >= (SPARE - load_test.AT_ONCE * SERVER) * 1e9
    )
    assert len(held.failures) + len(held.kernels) == 100
    assert all("the memory is for others" in line for line in held.failures)
