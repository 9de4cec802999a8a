"""What one training step frees, the next one takes again.

glibc, the C library of most Linuxes, would give it back to the system, and get it again as new pages, which
the system first fills with zeros: a tenth to a sixth of what a step of a small model takes. Other libraries
are left as they are.
"""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # settings of mallopt(3), by their numbers in glibc's malloc.h
KEPT = 2**28  # bytes that may lie free at the end of the heap
IN_THE_HEAP = 2**25  # bytes: a larger array has pages of its own, which go when it goes; the most allowed


def keep_freed() -> None:
    """Have this process keep up to 256 MiB of what it frees."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(TRIM_THRESHOLD, KEPT)
        mallopt(MMAP_THRESHOLD, IN_THE_HEAP)
