"""What a machine carries: students of a hub who all come at once, on loopback, and what they cost.

    python deploy/load_test.py --users 50 --minutes 20

starts a hub by jupyterhub_config.py, with a shared password and servers of this account in a folder that
goes away. Each student logs in, starts a server, opens a chapter, runs a cell, saves, and submits by
nbgrader; at last some import torch. It stops by itself after the minutes, and nobody begins a step while
less than --spare GB of memory are free.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil
from student import Student, answering

from course_utils.classroom import exchange

HERE = Path(__file__).resolve().parent
ADDRESS, PASSWORD = "http://127.0.0.1:8000", secrets.token_urlsafe()  # others are on this machine, too
CONFIG = """
c = get_config()
load_subconfig({here!r} + "/jupyterhub_config.py")
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = {password!r}
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {folder!r} + "/home/{{username}}"
c.Spawner.pre_spawn_hook = None
c.Spawner.args = ["--allow-root"]
c.Spawner.start_timeout = 600
"""
AT_ONCE = 10  # servers that the hub starts, its concurrent_spawn_limit
CELL = "import numpy as np; print(np.linalg.norm(np.arange(1e6)))"


class Class:
    """Students who come at once, and the seconds that each step took them."""

    def __init__(self, users: int, spare: float):
        self.users, self.spare = users, spare * 1e9
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.kernels: list[tuple[Student, str]] = []
        self.failures: list[str] = []
        self.door = asyncio.Semaphore(AT_ONCE)

    def look(self) -> None:
        """Raises MemoryError if no more can be taken."""
        if psutil.virtual_memory().available < self.spare:
            raise MemoryError("no further: the memory is for others")

    async def step(self, name: str, work, *given) -> object:
        start = time.monotonic()
        self.look()
        result = await work(*given)
        self.seconds[name].append(time.monotonic() - start)
        return result

    async def start(self, student: Student) -> None:
        """Start a server when the hub does, if the memory is there by then."""
        async with self.door:
            self.look()
            await student.start()

    async def come(self, student: Student) -> None:
        try:
            await self.step("log in", student.log_in)
            await self.step("start a server", self.start, student)
            chapter = await self.step("open a chapter", student.read, "01_ngrams.ipynb")
            kernel = await self.step("start a kernel", student.kernel)
            await self.step("run a cell", student.run, kernel, CELL)
            await self.step("save", student.save, "01_ngrams.ipynb", chapter)
            await student.action("fetch", "load", exchange.COURSE)
            submitted = await self.step("submit", student.action, "submit", "load", exchange.COURSE)
            if not submitted["success"]:
                raise RuntimeError(submitted["value"][-200:])
            self.kernels.append((student, kernel))
        except Exception as error:
            self.failures.append(f"{student.name}: {type(error).__name__} {error}"[:200])

    async def import_torch(self, some: int) -> None:
        """In the first kernels, one after the other, as long as it goes well."""
        try:
            for student, kernel in self.kernels[:some]:
                await self.step("import torch", student.run, kernel, "import torch")
        except Exception as error:
            self.failures.append(f"{student.name}, import torch: {type(error).__name__} {error}"[:200])


def megabytes(hub: psutil.Process) -> dict[str, list[float]]:
    """The proportional memory (PSS: what is shared counts in parts) of each process of a kind."""
    found = defaultdict(list)
    for process in [hub, *hub.children(recursive=True)]:
        try:
            words, size = " ".join(process.cmdline()), process.memory_full_info().pss / 1e6
        except psutil.Error:
            continue
        kinds = {
            "ipykernel": "kernel",
            "singleuser": "server",
            "configurable-http": "proxy",
            "jupyterhub -f": "hub",
        }
        if kind := next((kind for word, kind in kinds.items() if word in words), None):
            found[kind].append(size)
    return found


def processor_seconds(hub: psutil.Process) -> float:
    """Of the hub and all below that run still."""
    seconds = 0.0
    for process in [hub, *hub.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):  # one that has ended since
            seconds += sum(process.cpu_times()[:2])
    return seconds


async def measure(hub: psutil.Process, options) -> None:
    """Let the students come, and print what they cost, even if the minutes end first."""
    await answering(ADDRESS)
    begun, held = time.monotonic(), Class(options.users, options.spare)
    before, after, cpu = {}, {}, 0.0
    students = [Student(ADDRESS, f"student{i:03}", PASSWORD) for i in range(options.users)]
    for student in students:
        await student.__aenter__()
    try:
        async with asyncio.timeout(60 * options.minutes):
            await asyncio.gather(*(held.come(student) for student in students))
            print(f"{len(held.kernels)} of {options.users} at work after {time.monotonic() - begun:.0f} s.")
            before, cpu = megabytes(hub), processor_seconds(hub)
            await held.import_torch(options.torch)
            after = megabytes(hub)
    except TimeoutError:
        held.failures.append(f"{len(held.kernels)} of {options.users} at work when the time was up")
    finally:
        for student in students:
            await student.__aexit__()
    for name, seconds in held.seconds.items():
        spread = statistics.quantiles(seconds, n=20) if len(seconds) > 1 else seconds * 20
        print(f"{name:16} median {statistics.median(seconds):6.2f} s, 19 of 20 within {spread[-1]:6.2f} s")
    for kind, sizes in (before or megabytes(hub)).items():
        print(f"{kind:16} {len(sizes):3} of {statistics.mean(sizes):6.0f} MB on average")
    if after and (imported := len(held.seconds["import torch"])):
        more = (sum(after["kernel"]) - sum(before["kernel"])) / imported
        print(f"torch adds       {more:6.0f} MB to a kernel")
    cpu = cpu or processor_seconds(hub)
    print(f"processor        {cpu:6.0f} s in all, {cpu / max(1, len(held.kernels)):.1f} s a student")
    print("\n".join(held.failures) or "nothing failed")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--torch", type=int, default=5, help="how many import torch")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--spare", type=float, default=3, help="GB that stay free")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "exchange").mkdir()
        notebook = folder / "load.ipynb"
        notebook.write_text(
            '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', encoding="utf-8"
        )
        handed_out = {f"student{i:03}": notebook for i in range(options.users)}
        exchange.hand_out(folder / "exchange", "load", handed_out)
        config = folder / "config.py"
        text = CONFIG.format(here=str(HERE), password=PASSWORD, folder=name)
        config.write_text(text, encoding="utf-8")
        settings = {"HUB_FOLDER": name, "HUB_EXCHANGE": str(folder / "exchange")}
        with (folder / "log").open("w") as log:
            command = [sys.executable, "-m", "jupyterhub", "-f", str(config)]
            hub = subprocess.Popen(command, cwd=name, env=os.environ | settings, stdout=log, stderr=log)
        try:
            cores, memory = os.cpu_count(), psutil.virtual_memory().total / 1e9
            print(
                f"{platform.system()}, {cores} cores, {memory:.0f} GB, load {os.getloadavg()[0]:.1f} before"
            )
            asyncio.run(measure(psutil.Process(hub.pid), options))
        finally:
            hub.terminate()  # its servers end with it
            hub.wait(120)


if __name__ == "__main__":
    main()
