"""The one training loop of the course.

    model = RecurrentLM(256, 32, 256)
    batches = Streams(tokens, 256, batch_size=32, context=64)
    run = train(model, batches, TrainConfig(steps=1000, learning_rate=3e-3), loss=recurrent_loss)

Each step reads a batch, asks how wrong the model is, and moves every weight a little against its gradient.
The rest makes such a run safe to leave alone: a fixed schedule, checkpoints from which it goes on as if
nothing had happened, Ctrl-C that keeps what was learnt, and a stop at the first loss that is no number.

Sources: Loshchilov & Hutter 2017, 2019 (cosine schedule, AdamW); Pascanu, Mikolov & Bengio 2013 (clipping).
"""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from course_utils import devices
from course_utils.devices import without_dropout
from course_utils.training import checkpoints
from course_utils.training.batches import Streams, Windows
from course_utils.training.memory import freed_is_kept
from course_utils.training.optimisers import BETAS, Muon, adamw, clip_gradients, cosine_schedule

OPTIMISERS = {
    "adamw": lambda model, config: adamw(model, config.weight_decay, config.beta2),
    "muon": lambda model, config: Muon(model, config.weight_decay, config.momentum),
}
# Python only tells a GPU what to compute, and runs ahead of it. To look at a number, it has to wait until the
# GPU has caught up, and then the GPU waits for Python: so the losses of some steps are read at once.
SYNC_EVERY = {"cuda": 16}  # steps, by device


@dataclass(frozen=True)
class TrainConfig:
    """How long and how boldly to train.

    The learning rate rises evenly over `warmup_steps` and falls along half a cosine to `final_share` of its
    peak at the last step, if the warm-up leaves steps to fall in. The model is evaluated and saved every
    `evaluate_every` steps. precision "mixed" multiplies in bfloat16 and keeps the weights in float32, if that
    is faster on the device: else it is "float32". optimiser is "adamw", whose mean of squared gradients keeps
    `beta2` of itself a step, or "muon", which has a momentum.
    Raises ValueError for settings that can't train.
    """

    steps: int
    learning_rate: float
    warmup_steps: int = 100
    final_share: float = 0.1
    weight_decay: float = 0.1
    clip: float = 1.0
    evaluate_every: int = 500
    seed: int = 0
    precision: str = "float32"
    optimiser: str = "adamw"
    momentum: float = 0.9
    beta2: float = BETAS[1]

    def __post_init__(self):
        if self.steps < 1 or self.evaluate_every < 1 or self.warmup_steps < 0:
            raise ValueError(
                "steps and evaluate_every must be at least 1, warmup_steps at least 0; got "
                f"{self.steps}, {self.evaluate_every} and {self.warmup_steps}"
            )
        if not 0 < self.learning_rate <= 1:
            raise ValueError(
                f"learning_rate must be above 0 and at most 1; got {self.learning_rate} (1e-4 to 1e-2 is "
                "usual, and 0 learns nothing)"
            )
        if not 0 <= self.final_share <= 1 or not self.clip > 0:
            raise ValueError(
                "final_share must be between 0 and 1, and clip above 0 (1 is usual, math.inf clips nothing); "
                f"got {self.final_share} and {self.clip}"
            )
        if not 0 <= self.momentum < 1 or not 0 <= self.beta2 < 1 or not self.weight_decay >= 0:
            raise ValueError(
                "momentum and beta2 must be at least 0 and below 1 (at 1 nothing is learnt), and "
                f"weight_decay at least 0; got {self.momentum}, {self.beta2} and {self.weight_decay}"
            )
        if self.precision not in ("float32", "mixed"):
            raise ValueError(f"precision must be 'float32' or 'mixed'; got {self.precision!r}")
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}; got {self.optimiser!r}")


@dataclass
class Run:
    """What a run did so far. `losses` in nats, one a step; `evaluations` as [step, seconds, value]."""

    losses: list[float] = field(default_factory=list)
    evaluations: list[list[float]] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0
    stopped: bool = False  # by Ctrl-C, before the last step

    @property
    def step(self) -> int:
        return len(self.losses)


@dataclass(frozen=True)
class StepReport:
    """What `report` gets after each step, on a GPU after every `SYNC_EVERY`. `loss` is in nats; `value` is
    the latest evaluation, made after the step `evaluated`, and None before the first. `began` is how many
    steps a checkpoint had: those before this call of `train`."""

    step: int
    steps: int
    loss: float
    value: float | None
    learning_rate: float
    tokens_per_second: float
    seconds_left: float
    stopped: bool = False  # by Ctrl-C: this step is the last
    evaluated: int = 0
    began: int = 0


class Diverged(ArithmeticError):
    """The loss stopped being a number; the model holds weights whose loss was one: on a CPU the last, on a
    GPU those of the last look at it (`SYNC_EVERY`)."""


def next_token_loss(model: nn.Module, batch: tuple[Tensor, ...], state: None) -> tuple[Tensor, None]:
    """Mean nats a token of a model that keeps nothing from batch to batch: `model(ids)` gives the logits."""
    inputs, targets = batch
    return functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()), None


def recurrent_loss(
    model: nn.Module, batch: tuple[Tensor, ...], state: Tensor | None, reset_probability: float = 0.02
) -> tuple[Tensor, Tensor]:
    """Mean nats a token of a model that reads on. The state keeps its value and drops its history: that is
    truncated back-propagation through time.

    Before each chunk a row's state is set to zero with `reset_probability`. Without it all states are as old
    as the run, and the model meets the empty state, with which a text begins, only in its first chunk.
    """
    inputs, targets = batch
    if state is not None:
        reset = torch.rand(len(inputs), 1) < reset_probability  # (B, 1); the state ends in batch and width
        state = state.masked_fill(reset.to(state.device), 0)
    logits, state = model(inputs, state)
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten()), state.detach()


def learning_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of a run's step, counted from 0."""
    return cosine_schedule(step, config.steps, config.learning_rate, config.warmup_steps, config.final_share)


def train(
    model: nn.Module,
    batches: Streams | Windows,
    config: TrainConfig,
    *,
    loss: Callable = next_token_loss,
    evaluate: Callable[[nn.Module], float] | None = None,
    report: Callable[[StepReport], None] | None = None,
    checkpoint: str | Path | checkpoints.RunFile | None = None,
    micro_batch: int | None = None,
) -> Run:
    """Train `model` in place for `config.steps` steps, on the device that it is on.

    `loss(model, batch, state)` gives the loss in nats and the state for the next batch; batches may be any
    object with the methods of `Streams`, and the checkpoint one with those of `RunFile`. If the file
    `checkpoint` exists, the run goes on from it, bit by bit as if it had never stopped (on the same CPU and
    number of threads; with precision "mixed" each process times anew whether bfloat16 is faster). A finished
    run is only loaded. Ctrl-C ends the run after the current step and keeps it. On a GPU, `report` is called
    every `SYNC_EVERY` steps.

    With `micro_batch`, so many rows of a batch are computed at once, and the gradients are accumulated: a
    batch that memory can't hold trains the same model, up to rounding. The loss has to be a mean in which all
    rows count alike, and to carry no state.

    Raises Diverged at the first loss or gradient that is no finite number; ValueError for another run's or a
    damaged checkpoint, and for micro-batches of no row or with a state; MemoryError when the GPU is full.
    """
    try:
        with freed_is_kept(), _note_ctrl_c() as interrupted:
            return _run(model, batches, config, loss, evaluate, report, checkpoint, micro_batch, interrupted)
    except torch.OutOfMemoryError:
        pass  # out of this block first: through its traceback the error holds every tensor of the step
    units = {"batch_size": "rows", "context": "tokens"}
    sizes = [f"{getattr(batches, name)} {unit}" for name, unit in units.items() if hasattr(batches, name)]
    batch, free = " of ".join(["the batch", *sizes]), ""
    model.zero_grad()  # the model keeps its gradients, and they would not count as free
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        free = f", of which {torch.cuda.mem_get_info()[0] / 2**30:.1f} GiB are free now"
    raise MemoryError(
        f"{batch} did not fit into the GPU's memory{free}: take smaller batches, or a micro_batch"
    )


def _run(model, batches, config, loss, evaluate, report, checkpoint, micro_batch, interrupted) -> Run:
    device = next(model.parameters()).device
    optimiser = OPTIMISERS[config.optimiser](model, config)
    run, state = Run(), None
    torch.manual_seed(config.seed)  # for dropout and reset states
    if isinstance(checkpoint, str | Path):
        checkpoint = checkpoints.RunFile(Path(checkpoint))
    if checkpoint and checkpoint.exists():
        past, state = checkpoint.restore(model, optimiser, batches, asdict(config))
        run = Run(**past | {"stopped": False})
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    finite = [parameter.detach().clone() for parameter in parameters]
    mixed = config.precision == "mixed" and devices.trains_in_bfloat16(device)
    unread, sync_every = [], SYNC_EVERY.get(device.type, 1)
    first_step, first_tokens, before, start = run.step, run.tokens, run.seconds, time.perf_counter()
    model.train()
    while run.step < config.steps and not run.stopped:
        step = run.step + len(unread)
        rate = learning_rate(config, step)
        for group in optimiser.param_groups:
            group["lr"] = rate * group.get("share", 1)
        batch = tuple(x.to(device, non_blocking=device.type == "cuda") for x in batches.next())
        optimiser.zero_grad()
        mean = 0.0
        for some_rows in [batch] if micro_batch is None else _cut(batch, micro_batch):
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
                nats, state = loss(model, some_rows, state)
            if len(some_rows[0]) < len(batch[0]) and state is not None:
                raise ValueError("a loss that carries a state from batch to batch can't have micro-batches")
            share = len(some_rows[0]) / len(batch[0])
            (share * nats).backward()
            mean += share * nats.detach()
        norm = clip_gradients(parameters, config.clip)
        unread.append(torch.stack([mean, norm]))
        due = (step + 1) % config.evaluate_every == 0 or step + 1 == config.steps
        sync = due or interrupted.is_set() or len(unread) == sync_every
        if sync:
            losses, norms = torch.stack(unread, dim=1).tolist()
            unread.clear()
            if not math.isfinite(losses[-1]):
                _copy(finite, parameters)
            _check(losses, norms, run.step, config)
            _copy(parameters, finite)
        optimiser.step()
        run.tokens += batch[-1].numel()
        if not sync:
            continue

        run.losses += losses
        run.seconds = before + time.perf_counter() - start
        run.stopped = interrupted.is_set() and run.step < config.steps
        if evaluate and due:
            run.evaluations.append([run.step, run.seconds, _evaluate(model, evaluate)])
        if checkpoint and (due or run.stopped):
            checkpoint.save(model, optimiser, batches, state, asdict(config), asdict(run))
        if report:
            seconds = run.seconds - before
            left = seconds / (run.step - first_step) * (config.steps - run.step)
            evaluated, _, latest = run.evaluations[-1] if run.evaluations else (0, 0.0, None)
            speed = (run.tokens - first_tokens) / seconds
            now = run.step, config.steps, losses[-1], latest, rate, speed, left, run.stopped
            report(StepReport(*now, evaluated, first_step))
    return run


def _cut(batch: tuple[Tensor, ...], rows: int) -> list[tuple[Tensor, ...]]:
    if rows < 1:
        raise ValueError(f"micro_batch is how many rows are computed at once, 1 or more; got {rows}")
    return [*zip(*(x.split(rows) for x in batch), strict=True)]


def _check(losses: list[float], norms: list[float], first_step: int, config: TrainConfig) -> None:
    """Raise Diverged at the first of these steps whose loss or gradient is no finite number."""
    for step, (nats, norm) in enumerate(zip(losses, norms, strict=True), first_step):
        if not math.isfinite(nats + norm):
            raise Diverged(
                f"step {step + 1}: the loss is {nats} and the norm of its gradient {norm}, at the learning "
                f"rate {learning_rate(config, step):.3g}; the model has its earlier, finite weights back. "
                "Try a learning rate 10 times lower, or a longer warm-up."
            )


def _evaluate(model: nn.Module, evaluate: Callable[[nn.Module], float]) -> float:
    with without_dropout(model), torch.no_grad():
        return float(evaluate(model))


def _copy(source: list[Tensor], target: list[Tensor]) -> None:
    with torch.no_grad():
        for one, other in zip(source, target, strict=True):
            other.copy_(one)


@contextlib.contextmanager
def _note_ctrl_c():
    """Turn Ctrl-C into a note that the loop reads between two steps; so a save is never broken off, however
    often the keys are pressed."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only there signals can be caught
        yield interrupted
        return
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupted.set())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
