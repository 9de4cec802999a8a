"""Memory that training keeps, counted in the pages that the system has to give anew."""

import os
import subprocess
import sys

import pytest

# Takes and frees 64 MiB in 16 pieces, ten times before and ten times after: how many new pages for each ten.
TAKE_AND_FREE = """
import resource
import torch
from course_utils.training.memory import keep_freed

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        pieces = [torch.ones(2**20) for _ in range(16)]
        del pieces
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(new_pages())
keep_freed()
new_pages()
print(new_pages())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the C library decides for itself")
def test_what_was_freed_is_taken_again_without_new_pages():
    as_set_up = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    run = [sys.executable, "-c", TAKE_AND_FREE]
    done = subprocess.run(run, env=as_set_up, capture_output=True, text=True, check=True)
    given_back, kept = map(int, done.stdout.split())
    assert kept < given_back / 10
