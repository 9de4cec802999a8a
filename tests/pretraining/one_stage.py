"""One stage of the machine in a process of its own: `one_stage.py STAGE FOLDER TEXTS`. The plan is a tiny one
that reads all of the texts, through all filters."""

import sys
from pathlib import Path

import torch
from tiny_machine import LAW, PLAN

from course_utils.pretraining.machine import Machine

if __name__ == "__main__":
    stage, folder, texts = sys.argv[1], *map(Path, sys.argv[2:])
    machine = Machine(PLAN, LAW, texts, torch.device("cpu"), {}, 1, False)
    getattr(machine, stage)(folder, print)
