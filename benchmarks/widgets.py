"""Every widget in a real JupyterLab in a real Chromium: bytes, nodes, and what a learner waits for.

python3 course.py bench widgets
python3 course.py bench widgets attention    the attention explorer beside bertviz and CircuitsVis
"""

import math
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from playwright.sync_api import sync_playwright

from course_utils.commands import browsers

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "browser"))
from _attention_viewers import compare
from exhibits import exhibits
from gallery import without_specimen
from harness import chromium, running_lab

PLAYS, N = 36, 5  # all training text; medians of five specimens


def main():
    os.environ.update(browsers.find_or_install())
    with (
        tempfile.TemporaryDirectory() as folder,
        running_lab(Path(folder)) as lab,
        sync_playwright() as playwright,
    ):
        if sys.argv[1:] == ["attention"]:
            peers = Path(folder) / "peers"
            peers.mkdir()
            compare(playwright, lab, N, peers)
        else:
            every_widget(playwright, lab)


def every_widget(playwright, lab):
    print(f"{os.cpu_count()} cores, no GPU; medians of {N}, in ms; the kernel has counted {PLAYS} plays")
    print(
        "First draw: from Ctrl+Enter on a made widget to its paint, its still picture included.\n"
        "Repaint: from a slider, key or click to the paint, with no kernel.\n"
        "Kernel step: with the kernel's answer, the first of a widget that then asks on.\n"
        "Wire: all that the server sends, from the widget's making to its first draw.\n"
    )
    head = ("wire KB", "kept KB", "nodes", "first draw", "repaint", "kernel step")
    print(f"{'':18}" + "".join(f"{name:>13}" for name in head), flush=True)
    browser, rows = chromium(playwright), []
    for name, shown in exhibits(browser, lab, PLAYS, N):
        numbers = (
            shown.bytes_over_the_wire / 1000,
            shown.bytes_kept / 1000,
            shown.nodes,
            median(shown.first_draw),
            median(shown.repaint),
            median(shown.kernel_step or [math.nan]),  # one that only listens never asks
        )
        rows.append(numbers)
        print(f"{name:18}" + "".join(f"{number:13,.0f}" for number in numbers), flush=True)
    browser.close()
    _, kept, _, *waits = np.array(rows).T
    ranges = (
        f"{what} {np.nanmin(ms):.0f} to {np.nanmax(ms):.0f} ms"
        for what, ms in zip(head[3:], waits, strict=True)
    )
    print(f"all: {', '.join(ranges)}; at most {max(kept):.0f} KB kept")
    for name in without_specimen():
        print(f"{name:18}  has no specimen in tests/browser/gallery.py yet")


if __name__ == "__main__":
    main()
