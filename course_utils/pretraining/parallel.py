"""Pretraining on several processes, on one machine or many, each started by torchrun:

    torchrun --nproc-per-node 2 -m course_utils.pretraining.parallel FOLDER [--shard]

trains what `course.py make`, stopped once it pretrains, has prepared in the folder, and `course.py make
--resume` goes on with it. Two machines have to see the same folder; each is told its number, and where the
first can be reached:

    torchrun --nnodes 2 --node-rank 0 --master-addr FIRST --master-port 29500 --nproc-per-node 2 -m ...
    torchrun --nnodes 2 --node-rank 1 --master-addr FIRST --master-port 29500 --nproc-per-node 2 -m ...

Every process has a rank. With **DDP** each has the whole model and reads its own rows of every batch; their
gradients are averaged before a step, so all make the same one. With **FSDP2** each keeps only its shard of
weights and averages, and fetches a block when it is computed: for a pretraining that needs more
memory than one GPU has. (What follows it has the whole model on one.)

A global batch is what a single process would read. Rank r takes the rows r, r + n, r + 2n, ... of it: so the
ranks share nothing and leave nothing out, and the run is that of one process up to rounding: tests find its
losses within 1e-5 in float32, and Muon's in bfloat16 within 1e-3. (One seed on all ranks can go wrong
elsewhere too: a large public run was begun anew after a trillion tokens, since ranks that held different
shards of a matrix had drawn their first weights with the same one.)

Sources: Li et al. 2020 (DDP); Zhao et al. 2023 (FSDP); Hugging Face, The Smol Training Playbook, 2025 (the
restart).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from course_utils.files import write_atomic
from course_utils.gpt import GPT
from course_utils.scaling.processes import end_after
from course_utils.training import Run, TrainConfig, next_token_loss, train
from course_utils.training.checkpoints import RunFile, model_tensors

LATEST = "latest.json"
WHOLE, SHARDS = "pretrain.safetensors", "pretrain.shards"  # in a model's folder


class Share:
    """One rank's rows of the batches of a single process. Raises ValueError if they can't be shared evenly:
    the mean of the ranks' losses would not be that of the batch."""

    def __init__(self, batches, rank: int, ranks: int):
        if batches.batch_size % ranks:
            raise ValueError(
                f"a batch of {batches.batch_size} rows can't be shared evenly by {ranks} processes: take a "
                "batch that is a multiple of them"
            )
        self.batches, self.rank, self.ranks = batches, rank, ranks
        self.batch_size, self.context = batches.batch_size // ranks, getattr(batches, "context", None)

    def next(self) -> tuple[Tensor, ...]:
        return tuple(part[self.rank :: self.ranks] for part in self.batches.next())

    def state(self) -> dict[str, Tensor]:
        return self.batches.state()

    def restore(self, state: dict[str, Tensor]) -> None:
        self.batches.restore(state)


class FirstRankSaves(RunFile):
    """A file that all ranks read and the first writes: they all hold the same run."""

    def save(self, *run) -> None:
        if distributed.get_rank() == 0:
            super().save(*run)


class Sharded:
    """A run in shards: a folder for each save, in it a safetensors file of each rank, and LATEST, which names
    the last that is whole. Torch's default would keep its metadata in a pickle; here nothing is pickled.

    It has the methods of `RunFile`, for a model in shards and AdamW.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def exists(self) -> bool:
        return (self.folder / LATEST).exists()

    def save(
        self, model: nn.Module, optimiser: Optimizer, batches, state: None, config: dict, run: dict
    ) -> None:
        import torch.distributed.checkpoint as dcp

        name = f"step-{len(run['losses'])}"
        if distributed.get_rank() == 0:  # what a killed save left
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir(parents=True)
        distributed.barrier()
        dcp.save(
            _tensors(model, optimiser) | _rest(batches),
            storage_writer=dcp.HuggingFaceStorageWriter(str(self.folder / name), save_distributed=True),
        )
        distributed.barrier()  # all shards are there
        if distributed.get_rank() == 0:
            latest = {"folder": name, "ranks": distributed.get_world_size(), "config": config, "run": run}
            write_atomic(self.folder / LATEST, json.dumps(latest))
            for old in self.folder.glob("step-*"):
                if old.name != name:
                    shutil.rmtree(old)

    def restore(self, model: nn.Module, optimiser: Optimizer, batches, config: dict) -> tuple[dict, None]:
        """Raises ValueError for a run with other settings."""
        import torch.distributed.checkpoint as dcp

        latest = json.loads((self.folder / LATEST).read_bytes())
        if latest["config"] != config:
            raise ValueError(
                f"{self.folder.name} holds a run with other settings, {latest['config']}: ask for the same, "
                "or name another folder"
            )
        for parameter in model.parameters():  # as AdamW makes them at its first step
            averages = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            optimiser.state[parameter] = {"step": torch.zeros((), device=parameter.device)} | averages
        tensors, rest = _tensors(model, optimiser), _rest(batches)
        reader = dcp.HuggingFaceStorageReader(str(self.folder / latest["folder"]))
        with warnings.catch_warnings():  # that one process alone reads all shards, which is meant
            warnings.simplefilter("ignore", UserWarning)
            dcp.load(tensors | rest, storage_reader=reader)  # in place
        torch.set_rng_state(rest["generator.cpu"])
        prefix = "batches."
        state = {key.removeprefix(prefix): value for key, value in rest.items() if key.startswith(prefix)}
        batches.restore({key: value[0] if value.numel() == 1 else value for key, value in state.items()})
        return latest["run"], None


def _tensors(model: nn.Module, optimiser: Optimizer) -> dict[str, Tensor]:
    """Shards of weights and averages; each number in a row of one, which a safetensors file can cut."""
    tensors = {f"model.{name}": tensor.detach() for name, tensor in model_tensors(model).items()}
    for name, parameter in model.named_parameters():
        for key, tensor in optimiser.state[parameter].items():
            tensors[f"optimiser.{name}.{key}"] = tensor.detach() if tensor.ndim else tensor.reshape(1)
    return tensors


def _rest(batches) -> dict[str, Tensor]:
    """What all ranks hold alike."""
    state = {f"batches.{key}": tensor.reshape(-1).clone() for key, tensor in batches.state().items()}
    return state | {"generator.cpu": torch.get_rng_state()}


def averaged(loss: Callable) -> Callable:
    """A loss whose number is the mean over all ranks, so that each notes the same; its gradient is the rank's
    own, which DDP and FSDP2 average."""

    def mean(model: nn.Module, batch: tuple[Tensor, ...], state) -> tuple[Tensor, object]:
        own, state = loss(model, batch, state)
        everyones = own.detach().clone()
        distributed.all_reduce(everyones)
        return own + (everyones / distributed.get_world_size() - own.detach()), state

    return mean


def train_on_all(
    model: GPT, batches, config: TrainConfig, checkpoint: Path, *, sharded: bool = False, **options
) -> Run:
    """`training.train` on the ranks of a torchrun: `batches` are those of a single process, on every rank.

    With DDP the checkpoint is the file that a single process would have written, and either goes on with the
    other's; `sharded` is FSDP2, and its checkpoint is a folder. Raises ValueError as `Share` does, and for
    FSDP2 with another optimiser than AdamW: Muon needs whole matrices.
    """
    share = Share(batches, distributed.get_rank(), distributed.get_world_size())
    if not sharded:
        together = DistributedDataParallel(model)

        def loss(_, batch, state):  # the loop trains and saves the model inside, whose names are its own
            return next_token_loss(together, batch, state)

        return train(
            model, share, config, loss=averaged(loss), checkpoint=FirstRankSaves(checkpoint), **options
        )
    if config.optimiser != "adamw":
        raise ValueError(
            f"FSDP2 cuts matrices into shards, and {config.optimiser} needs them whole: take adamw, or DDP"
        )
    from torch.distributed.fsdp import fully_shard

    for block in model.decoder.blocks:
        fully_shard(block)
    fully_shard(model)
    return train(
        model, share, config, loss=averaged(next_token_loss), checkpoint=Sharded(checkpoint), **options
    )


@contextmanager
def ranks():
    """The process group of a torchrun: NCCL on GPUs, each rank on its own, and gloo on CPUs."""
    on_gpus = torch.cuda.is_available()
    if on_gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if on_gpus else "gloo", store=_store(), **_place())
    try:
        yield torch.device("cuda", torch.cuda.current_device()) if on_gpus else torch.device("cpu")
    finally:
        distributed.destroy_process_group()


def _place() -> dict[str, int]:
    return {"rank": int(os.environ["RANK"]), "world_size": int(os.environ["WORLD_SIZE"])}


def _store() -> distributed.Store:
    """Where the ranks find each other: torchrun's, with a shelf for each life. On the same shelf a rank that
    was started again would find the addresses of the dead, and call them in vain."""
    place, own = _place(), os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    store = distributed.TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        place["world_size"],
        is_master=own and place["rank"] == 0,
    )
    return distributed.PrefixStore(f"life-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def launch(folder: Path, processes: int, shard: bool, device: str = "cpu") -> None:
    """Start a torchrun on this machine, on its GPUs ("cuda") or its CPU, for what is prepared in a folder. It
    starts a rank that died or that an error ended, and with it all others, up to three times. The ranks share
    the threads that this process may use, and end when it does, however it ends (not on Windows). Raises
    ValueError if it fails all the same; KeyboardInterrupt on Ctrl-C, once all ranks have stopped."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "3"]
    command += ["--nproc-per-node", str(processes), "-m", "course_utils.pretraining.parallel", str(folder)]
    if os.name != "nt":  # there torchrun's children don't reliably have the pipe as their stdin
        command.append("--end-with-stdin")
    if shard:
        command.append("--shard")
    threads = max(torch.get_num_threads() // processes, 1)  # torchrun's own choice would be one each
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONSAFEPATH": "1"}
    if device == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""  # or `ranks` would take the GPUs that it sees
    torch.cuda.empty_cache()  # what this process has freed is the ranks' to take
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as torchrun:
        try:
            failed = torchrun.wait()
        except KeyboardInterrupt:
            torchrun.wait()  # it hands the signal on to the ranks, which save and stop, or are killed
            raise
    if failed:
        raise ValueError(f"pretraining on {processes} processes failed: what they said stands above")


def main(folder: Path, shard: bool) -> None:
    """One rank of the pretraining that a folder has prepared."""
    from course_utils.gpt import GPTConfig
    from course_utils.pretraining import corpus, manifest, vocabulary
    from course_utils.pretraining.model import read_tokenizer
    from course_utils.pretraining.plans import Plan
    from course_utils.pretraining.pretrain import Telling, build, train_config
    from course_utils.training.batches import Epochs

    asked = manifest.load(folder).plan
    plan = Plan(**{name: asked[name] for name in Plan.__dataclass_fields__})
    choice = json.loads((folder / "size.json").read_bytes())
    config, tokenizer = GPTConfig(**choice["config"]), read_tokenizer(folder)
    validation = json.loads((folder / "evaluation.json").read_bytes())["validation"]
    with ranks() as device:
        model = build(config, plan.seed).to(device)
        tokens = corpus.read_tokens(folder / "tokens.bin")
        batches = Epochs(tokens, config.vocab_size, plan.batch, config.context, plan.seed)
        say = partial(print, flush=True) if distributed.get_rank() == 0 else (lambda sentence: None)
        settings = train_config(plan, choice["steps"])
        train_on_all(
            model,
            batches,
            settings,
            folder / (SHARDS if shard else WHOLE),
            sharded=shard,
            micro_batch=choice.get("micro_batch"),
            evaluate=lambda model: vocabulary.bits(model, tokenizer, validation),
            report=Telling(say),
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="torchrun ... -m course_utils.pretraining.parallel")
    parser.add_argument("folder", type=Path, help="what `course.py make` has prepared")
    parser.add_argument("--shard", action="store_true", help="by FSDP2, each rank keeping only its shard")
    parser.add_argument("--end-with-stdin", action="store_true", help="as soon as nobody can write to it")
    options = parser.parse_args()
    if options.end_with_stdin:
        end_after(partial(os.read, 0, 1))
    main(options.folder, options.shard)
