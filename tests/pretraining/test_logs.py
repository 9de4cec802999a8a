"""The log of a model that is made, or being made."""

import json

import numpy as np
import pytest

from course_utils.pretraining import model as models
from course_utils.pretraining.logs import run_log
from course_utils.pretraining.plans import flops_per_token
from course_utils.training import TrainConfig, train
from course_utils.training.batches import Windows


def test_a_run_that_goes_on_is_read_from_its_checkpoint_and_one_that_is_done_from_its_log(tmp_path):
    with pytest.raises(ValueError, match=r"no model is being trained in .* not there yet"):
        run_log(tmp_path)
    config = models.llama_config(vocab_size=40, context=8, n_layers=1, n_heads=2, d_model=8)
    (tmp_path / "size.json").write_text(json.dumps({"config": vars(config)}))
    batches = Windows(np.arange(400) % 40, 40, 2, 8)
    run = train(models.GPT(config), batches, TrainConfig(3, 1e-3), evaluate=lambda model: 2.5,
                checkpoint=tmp_path / "pretrain.safetensors")  # fmt: skip
    log = run_log(tmp_path)
    assert log["losses"] == run.losses and log["evaluations"] == run.evaluations and log["steps"] == 3
    assert log["tokens"] == 48 and log["flops"] == 48 * flops_per_token(config) and log["seconds"] > 0
    written = {"losses": [2.0, 1.0], "evaluations": [[2, 3.0]], "spikes": []}
    notes = {"seconds": 9.0, "tokens": 32, "flops": 1e9}
    (tmp_path / "pretrain_log.json").write_text(json.dumps(written))
    assert run_log(tmp_path) == log  # the manifest does not know the stage yet, or that of another time
    (tmp_path / "manifest.json").write_text(json.dumps({"stages": {"pretrain": {"notes": notes}}}))
    assert run_log(tmp_path) == log
    (tmp_path / "pretrain.safetensors").unlink()
    assert run_log(tmp_path) == written | notes | {"steps": 2}
    (tmp_path / "pretrain.shards").mkdir()  # it is made again
    with pytest.raises(ValueError, match="is trained in shards: its log is there when it is done"):
        run_log(tmp_path)
