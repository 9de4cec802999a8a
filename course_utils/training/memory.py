"""What one training step frees, the next one takes again.

glibc, the C library of most Linuxes, would give it back to the system, and get it again as new pages, which
the system first fills with zeros: a tenth to a quarter of what a step of a small model takes. Other libraries
are left as they are.
"""

import contextlib
import ctypes
import sys
from collections.abc import Iterator

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # mallopt(3)'s, by their numbers in glibc's malloc.h
ALL, SOME = 2**31 - 1, 2**28  # bytes that may lie free at the end of the heap
IN_THE_HEAP = 2**25  # bytes: a larger array has pages of its own, which go when it goes; the most allowed
MAPPED = 2**16  # of such arrays at once: glibc's own limit


@contextlib.contextmanager
def freed_is_kept() -> Iterator[None]:
    """While it lasts, this process keeps what it frees. Then what is free goes back, and from there on up to
    256 MiB of arrays below 32 MiB are kept."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt"):
        yield
        return
    libc.mallopt(MMAP_MAX, 0)
    libc.mallopt(TRIM_THRESHOLD, ALL)
    try:
        yield
    finally:
        for setting, value in {MMAP_MAX: MAPPED, MMAP_THRESHOLD: IN_THE_HEAP, TRIM_THRESHOLD: SOME}.items():
            libc.mallopt(setting, value)
        libc.malloc_trim(0)
