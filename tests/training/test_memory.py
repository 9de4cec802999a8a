"""Memory that training keeps, counted in the pages that the system has to give anew."""

import os
import subprocess
import sys

import pytest

# Takes and frees 128 MiB, ten times before, while it is kept, and after: how many new pages for each ten; and
# how many MiB the process has before and after.
TAKE_AND_FREE = """
import resource
import torch
from course_utils.training.memory import freed_is_kept

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        pieces = [torch.ones(2**18) for _ in range(64)] + [torch.ones(2**24)]
        del pieces
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20

before, pages = resident(), [new_pages()]
with freed_is_kept():
    new_pages()
    pages.append(new_pages())
print(*pages, before, resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the C library decides for itself")
def test_what_was_freed_is_taken_again_without_new_pages_and_then_given_back():
    as_set_up = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    run = [sys.executable, "-c", TAKE_AND_FREE]
    done = subprocess.run(run, env=as_set_up, capture_output=True, text=True, check=True)
    given_back, kept, before, after = map(int, done.stdout.split())
    assert kept < given_back / 10
    assert after < before + 64
