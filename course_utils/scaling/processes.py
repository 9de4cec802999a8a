"""Processes that end with the one that started them, and so never work on beside those of the next."""

import os
import threading
from collections.abc import Callable


def end_after(wait: Callable[[], object]) -> None:
    """End this process, whatever it is at, as soon as `wait` returns, which has a thread of its own."""

    def watch() -> None:
        wait()
        os._exit(0)  # with another status a torchrun would start it again

    threading.Thread(target=watch, daemon=True).start()
