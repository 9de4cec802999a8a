"""A pytest plugin round nbval: a dead kernel is named at once, with its cell and signal.

nbval alone waits for a message that never comes, and calls it a timeout after the whole cell limit. Here
every wait is cut into short ones, with a look at the kernel's process between them.
"""

import signal
import sys
import time
from queue import Empty

# With this package jsonschema, which nbformat imports, makes 38 parsers of addresses that no notebook needs:
# a second and a half, more than all that nbval does besides.
sys.modules["rfc3987_syntax"] = None

import nbval.plugin  # noqa: E402
import pytest  # noqa: E402
from nbval.kernel import RunningKernel  # noqa: E402

from course_utils.classroom.outputs import cell_name  # noqa: E402

LOOK_EVERY = 0.5  # seconds
OUTPUT_SECONDS = 60  # nbval's 5 s for the last outputs to arrive are too few on a busy machine


class KernelDied(Exception):
    """Says how, for instance "the kernel died (signal 9, SIGKILL)"."""


class WatchedKernel(RunningKernel):
    def get_message(self, stream, timeout=None):
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            try:
                return super().get_message(stream, timeout=min(LOOK_EVERY, max(0, end - time.monotonic())))
            except Empty:
                self.check()
                if time.monotonic() >= end:
                    raise

    def check(self):
        """Raise KernelDied if the process is gone."""
        if not self.is_alive():
            status = self.km.provisioner.process.returncode
            how = (
                f"signal {-status}, {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
            )
            raise KernelDied(f"the kernel died ({how})")


nbval.plugin.RunningKernel = WatchedKernel


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    notebook = item.parent
    if death := getattr(notebook, "death", None):
        pytest.skip(f"not run: {death}")
    item.output_timeout = OUTPUT_SECONDS
    try:
        notebook.kernel.check()  # it may have died after its last answer
        return (yield)
    except KernelDied as error:
        notebook.death = f"{error} in {cell_name(item.cell_num, item.cell)}"
        item.raise_cell_error(notebook.death)
