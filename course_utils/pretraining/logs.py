"""What pretraining wrote down of itself, in one dict, while it goes on and when it is done."""

import json
from pathlib import Path

from course_utils.gpt import GPTConfig
from course_utils.pretraining.parallel import SHARDS, WHOLE
from course_utils.pretraining.plans import flops_per_token
from course_utils.training import checkpoints


def run_log(folder: Path) -> dict:
    """Of a model that is made, or being made: losses in nats a token, evaluations that end with bits per
    byte, spikes where they were looked for, and seconds, tokens and flops so far; steps are those planned.

    While it is being made, it is as new as its last checkpoint. Raises ValueError if there is none yet, and
    for a model that is trained in shards, until it is done.
    """
    done = folder / "pretrain_log.json"
    try:
        _, notes = checkpoints.load(folder / WHOLE)
    except FileNotFoundError:  # it goes last, when log and manifest are there
        if (folder / SHARDS).exists():
            raise ValueError(
                f"the model in {folder.name} is trained in shards: its log is there when it is done"
            ) from None
        if not done.exists():
            raise ValueError(
                f"no model is being trained in {folder.name}: its first checkpoint is not there yet"
            ) from None
        log = json.loads(done.read_bytes())
        notes = json.loads((folder / "manifest.json").read_bytes())["stages"]["pretrain"]["notes"]
        return log | notes | {"steps": len(log["losses"])}
    config = json.loads((folder / "size.json").read_bytes())["config"]
    flops = flops_per_token(GPTConfig(**config)) * notes["run"]["tokens"]
    return notes["run"] | {"flops": flops, "steps": notes["config"]["steps"]}
