"""What turns gradients into steps: AdamW for everything, or Muon for the matrices and AdamW for the rest; and
how long a gradient may be, and how large a step.

AdamW scales each number of a gradient by its own usual size. Muon looks at a matrix as a whole: it keeps the
directions of the averaged gradient and makes all of them equally long, so that a direction which is seldom
pushed moves as far as the one that each batch pushes.

Sources: Loshchilov & Hutter 2017, 2019 (cosine schedule, AdamW); Pascanu, Mikolov & Bengio 2013 (clipping);
Jordan et al. 2024 (Muon); Bernstein & Newhouse 2024 (why).
"""

import inspect
import math
from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_utils.devices import trains_in_bfloat16

BETAS = (0.9, 0.99)  # steadier than 0.999 where a run has only thousands of steps
REST_SHARE = 0.25  # of Muon's learning rate, for what AdamW moves beside it


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Float[Tensor, ""]:
    """Make the gradient of all parameters together at most `max_norm` long, in place; its direction stays.

    Returns the length that it had: the root of the sum of the squares of all its numbers. A parameter without
    a gradient counts as 0. Raises ValueError for a `max_norm` that is not above 0; `math.inf` clips nothing.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be above 0 (1 is usual, math.inf clips nothing); got {max_norm}")
    norm = nn.utils.clip_grad_norm_(parameters, max_norm)
    return norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # of parameters in shards


def cosine_schedule(
    step: int, steps: int, peak: float = 1.0, warmup_steps: int = 0, final_share: float = 0.1
) -> float:
    """The learning rate of a step, counted from 0, of so many: an even rise, then half a cosine down.

    It is at `peak` after `warmup_steps`, and at `final_share` of it in the last step and all later ones (a
    warm-up of steps - 1 or more leaves none to fall in). It needs no memory, so there is nothing to save;
    with the peak of 1 it suits torch's `LambdaLR`. Raises ValueError for a negative step or warm-up, no
    steps, and a final share that is not between 0 and 1.
    """
    if step < 0 or steps < 1 or warmup_steps < 0 or not 0 <= final_share <= 1:
        raise ValueError(
            "a schedule needs a step and warmup_steps of at least 0, steps of at least 1 and a final_share "
            f"from 0 to 1; got {step}, {warmup_steps}, {steps} and {final_share}"
        )
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    done = (step - warmup_steps) / max(steps - 1 - warmup_steps, 1)
    cosine = (1 + math.cos(math.pi * min(done, 1.0))) / 2
    return peak * (final_share + (1 - final_share) * cosine)


class WithoutCompiler:
    """Methods of torch's optimisers, out of the wrapper that imports torch's compiler: it takes seconds."""

    add_param_group, zero_grad, state_dict, load_state_dict = (
        inspect.unwrap(getattr(torch.optim.Optimizer, name))
        for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    )


class LBFGS(WithoutCompiler, torch.optim.LBFGS):
    """torch's own, which begins seconds sooner."""


class AdamW(WithoutCompiler, torch.optim.AdamW):
    """AdamW: each number moves by its averaged gradient over the root of its averaged squared gradient.

    It is torch's own in all that it takes and gives, from parameter groups to learning-rate schedulers, and
    moves by the same fused operation, bit for bit. But torch's imports torch's compiler at its first step,
    which takes seconds. Raises ValueError for settings that torch refuses.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ):
        fused = hasattr(torch, "_fused_adamw_") or None  # torch doesn't promise to keep it
        super().__init__(params, lr, betas, eps, weight_decay, fused=fused)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Move every parameter that has a gradient; returns what `closure` returns, which makes them."""
        if not self._only_fused():
            return super().step(closure)
        with torch.enable_grad():
            loss = closure() if closure else None
        for group in self.param_groups:
            alike = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.device, parameter.dtype].append(parameter)
            for parameters in alike.values():
                self._move(parameters, group)
        return loss

    def _only_fused(self) -> bool:
        """Whether the fused operation is the whole step: a GradScaler asks for more, a loaded state may."""
        asked = any(group["amsgrad"] or group["maximize"] for group in self.param_groups)
        fused = all(group["fused"] for group in self.param_groups)
        return fused and not asked and not hasattr(self, "grad_scale")

    def _move(self, parameters: list[nn.Parameter], group: dict) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), device=parameter.device),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }
        steps, averages, squares = (
            [self.state[parameter][key] for parameter in parameters]
            for key in ("step", "exp_avg", "exp_avg_sq")
        )
        for step in steps:
            step += 1
        torch._fused_adamw_(
            parameters,
            [parameter.grad for parameter in parameters],
            averages,
            squares,
            [],
            steps,
            lr=group["lr"],
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=False,
        )


def adamw(model: nn.Module, weight_decay: float, beta2: float = BETAS[1]) -> AdamW:
    """AdamW for a model. Matrices decay; biases and gains (of one dimension) and embeddings don't: a row of
    an embedding whose token is rare would shrink at every step and be corrected at few."""
    matrices, rest = split(model)
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return AdamW(groups, betas=(BETAS[0], beta2))


def split(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters that train: matrices that multiply, and the rest, which is embeddings, gains, biases."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    parts = [], []
    for parameter in model.parameters():
        if parameter.requires_grad:
            parts[parameter.dim() < 2 or id(parameter) in embeddings].append(parameter)
    return parts


def orthogonalised(
    gradients: Float[Tensor, "matrices rows columns"],
) -> Float[Tensor, "matrices rows columns"]:
    """Each matrix with its directions kept and all its singular values brought near 1.

    Five steps of a Newton-Schulz iteration whose polynomial was tuned to lift small values fast: they end
    between 0.7 and 1.2, which is near enough (Jordan et al. 2024), and so is bfloat16, where it is fast.
    """
    x = gradients.bfloat16() if trains_in_bfloat16(gradients.device) else gradients
    if tall := x.shape[1] > x.shape[2]:
        x = x.mT  # the products below are then of the smaller size
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        a = x @ x.mT
        b = torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315)  # -4.7750 a + 2.0315 a a
        x = torch.baddbmm(x, b, x, beta=3.4445)  # 3.4445 x + b x
    return x.mT if tall else x


class Muon:
    """Muon for the matrices of a model, AdamW at `REST_SHARE` of its learning rate for the rest.

    It has of a torch optimiser what `train` uses: `param_groups`, `state`, `zero_grad` and `step`.
    """

    def __init__(self, model: nn.Module, weight_decay: float, momentum: float = 0.9):
        matrices, rest = split(model)
        self.momentum = momentum
        self.adamw = AdamW([{"params": rest, "weight_decay": 0.0, "share": REST_SHARE}], betas=BETAS)
        self.state = self.adamw.state
        self.matrices = {"params": matrices, "lr": 0.02, "weight_decay": weight_decay}
        self.param_groups = [self.matrices, *self.adamw.param_groups]

    def zero_grad(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        rate, shapes = self.matrices["lr"], defaultdict(list)
        for parameter in self.matrices["params"]:
            if parameter.grad is not None:
                shapes[parameter.shape].append(parameter)
        for (rows, columns), parameters in shapes.items():  # matrices of one shape go together: fewer, larger
            averages = [self._average(parameter) for parameter in parameters]
            updates = orthogonalised(torch.stack(averages)).float().unbind()
            for parameter, update in zip(parameters, updates, strict=True):
                parameter.mul_(1 - rate * self.matrices["weight_decay"])
                parameter.add_(update, alpha=-rate * max(1, rows / columns) ** 0.5)
        self.adamw.step()

    def _average(self, parameter: nn.Parameter) -> Tensor:
        """The gradient averaged over past steps, looking one step ahead (Nesterov's momentum)."""
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - self.momentum)
        return parameter.grad.lerp(state["momentum"], self.momentum)
