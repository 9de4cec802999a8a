"""Checkpoints that are either whole or not there, and in which one wrong bit is noticed."""

import glob
import hashlib
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import torch as safetensors
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode

from course_utils.files import write_atomic

NO_DIGEST = "0" * 64
LONGEST_SAVE = 3600  # seconds


def save(path: str | Path, tensors: dict[str, Tensor], notes: dict) -> None:
    """Write tensors and `notes` (what JSON can hold) as one safetensors file, whole or not at all.

    Its header carries the sha256 of the whole file, taken with 64 zeros where the digest stands. Nothing in
    it is pickled, so reading it runs no code. What a save that was killed long ago left beside `path` is
    removed.
    """
    path = Path(path)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = _in_order(safetensors.save(tensors, {"sha256": NO_DIGEST, "notes": json.dumps(notes)}))
    digest = hashlib.sha256(data).hexdigest()
    for left_by_a_kill in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError):  # a younger one may be another kernel's, which is writing it
            if time.time() - left_by_a_kill.stat().st_mtime > LONGEST_SAVE:
                left_by_a_kill.unlink()
    write_atomic(path, data.replace(_field(NO_DIGEST), _field(digest), 1))


def _in_order(data: bytes) -> bytes:
    """The same file with its metadata sorted: safetensors writes them in an order that it draws, and equal
    weights shall make equal files."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + data[end:]


def load(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    """Read what `save` wrote: the tensors on the CPU, and the notes.

    Raises ValueError, naming the file and what to do, if it is cut off, damaged by as little as one bit, or
    no checkpoint of this course; FileNotFoundError if there is none.
    """
    path = Path(path)
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
        size = 8 + length + max(t["data_offsets"][1] for name, t in header.items() if name != "__metadata__")
        digest, notes = header["__metadata__"]["sha256"], header["__metadata__"]["notes"]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise ValueError(
            f"{path.name} is cut off, damaged, or no checkpoint of this course (those are safetensors files "
            "with a sha256; pickled .pt files are never opened): delete it and use an earlier one, or train "
            "again"
        ) from None
    if len(data) < size:
        raise ValueError(
            f"{path.name} is cut off: {len(data):,} of {size:,} bytes are there; delete it and use an "
            "earlier one, or train again"
        )
    if hashlib.sha256(data.replace(_field(digest), _field(NO_DIGEST), 1)).hexdigest() != digest:
        raise ValueError(
            f"{path.name} is damaged: its bytes have another sha256 than its header says; delete it and use "
            "an earlier one, or train again"
        )
    return safetensors.load(data), json.loads(notes)


def _field(digest: str) -> bytes:
    return f'"sha256":"{digest}"'.encode()


def model_tensors(model: Module) -> dict[str, Tensor]:
    """A model's parameters and saved buffers by name; what two modules share comes once."""
    saved = model.state_dict().keys()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in saved}
    return dict(model.named_parameters()) | buffers


def save_model(path: str | Path, model: Module, notes: dict, half: bool = False) -> None:
    """Save a model's weights alone, with `half` in float16: half the size, about 3 digits kept."""
    tensors = model_tensors(model)
    save(path, {name: tensor.half() for name, tensor in tensors.items()} if half else tensors, notes)


def load_into(path: str | Path, model: Module) -> dict:
    """Fill a model with the weights of `save_model`, cast to its own type, and return the notes.

    Raises ValueError if the file is damaged or holds another model's weights.
    """
    tensors, notes = load(path)
    fill(model, tensors, Path(path).name)
    return notes


class without_first_weights(TorchFunctionMode):
    """A context in which modules are built without first weights, for `fill` to write all of them.

    Random numbers for a hundred million weights take a second. (torch's device "meta" would do, but the first
    module that is built on it imports torch's compiler, which takes several.)
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__module__", None) != "torch.nn.init":
            return function(*args, **(kwargs or {}))


def fill(model: Module, tensors: dict[str, Tensor], source: str) -> None:
    """Copy tensors into a model by name. Raises ValueError, naming `source`, if names or shapes differ."""
    ours = model_tensors(model)
    shapes = {name: list(tensor.shape) for name, tensor in ours.items()}
    found = {name: list(tensor.shape) for name, tensor in tensors.items()}
    if found != shapes:
        name = next(name for name in [*shapes, *found] if found.get(name) != shapes.get(name))
        raise ValueError(
            f"{source} holds another model's weights: {name} has the shape {found.get(name, 'missing')} "
            f"there and {shapes.get(name, 'missing')} in this {type(model).__name__}; build the model that "
            "was saved, or take another file"
        )
    with torch.no_grad():
        for name, tensor in ours.items():
            tensor.copy_(tensors[name])


def save_run(
    path: str | Path,
    model: Module,
    optimiser: Optimizer,
    batches,
    state: Tensor | None,
    config: dict,
    run: dict,
) -> None:
    """Save all that a training run needs to go on bit by bit: weights, the optimiser's averages, the place in
    the data, the state of a recurrent model, the random generators, and what `run` says of the past."""
    tensors = {f"model.{name}": tensor for name, tensor in model_tensors(model).items()}
    for name, parameter in model.named_parameters():
        for key, tensor in optimiser.state[parameter].items():
            tensors[f"optimiser.{name}.{key}"] = tensor
    tensors |= {f"batches.{key}": tensor for key, tensor in batches.state().items()}
    tensors["generator.cpu"] = torch.get_rng_state()
    if (device := next(model.parameters()).device).type != "cpu":
        tensors["generator.device"] = torch.get_device_module(device).get_rng_state()
    if state is not None:
        tensors["state"] = state
    save(path, tensors, {"model": str(model), "config": config, "run": run})


@dataclass(frozen=True)
class RunFile:
    """Where `training.train` keeps a run: one file, by `save_run` and `restore_run`, which have the same
    arguments after the path. What keeps it elsewhere has the same three methods."""

    path: Path

    def exists(self) -> bool:
        return self.path.exists()

    def save(self, *run) -> None:
        save_run(self.path, *run)

    def restore(self, *run) -> tuple[dict, Tensor | None]:
        return restore_run(self.path, *run)


def restore_run(
    path: str | Path, model: Module, optimiser: Optimizer, batches, config: dict
) -> tuple[dict, Tensor | None]:
    """Put back what `save_run` saved; returns its `run` and the recurrent state.

    Raises ValueError if the file is damaged, or holds another model's run or one with another config or text.
    """
    name = Path(path).name
    tensors, notes = load(path)
    if notes.get("model") != str(model):
        raise ValueError(
            f"{name} holds another model's run: {notes.get('model', 'weights only')} there, {model} here; "
            "build that model, or name another checkpoint"
        )
    for setting, value in config.items():  # one that an older course lacked isn't compared
        if (saved := notes["config"].get(setting, value)) != value:
            raise ValueError(
                f"{name} holds a run with {setting}={saved}, not {setting}={value}: ask for the same, or "
                "name another checkpoint"
            )

    def part(prefix: str) -> dict[str, Tensor]:
        return {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}

    batches.restore(part("batches."))
    fill(model, part("model."), name)
    for parameter_name, parameter in model.named_parameters():
        if averages := part(f"optimiser.{parameter_name}."):
            optimiser.state[parameter] = {key: t.to(parameter.device) for key, t in averages.items()}
    torch.set_rng_state(tensors["generator.cpu"])
    device = next(model.parameters()).device
    if device.type != "cpu" and "generator.device" in tensors:
        torch.get_device_module(device).set_rng_state(tensors["generator.device"])
    return notes["run"], tensors["state"].to(device) if "state" in tensors else None
