"""What turns gradients into steps: AdamW for everything, or Muon for the matrices and AdamW for the rest.

AdamW scales each number of a gradient by its own usual size. Muon looks at a matrix as a whole: it keeps the
directions of the averaged gradient and makes all of them equally long, so that a direction which is seldom
pushed moves as far as the one that each batch pushes.

Sources: Loshchilov & Hutter 2019 (AdamW); Jordan et al. 2024 (Muon); Bernstein & Newhouse 2024 (why).
"""

from collections import defaultdict

import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_utils.devices import multiplies_bfloat16

BETAS = (0.9, 0.99)  # steadier than 0.999 where a run has only thousands of steps


def adamw(model: nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW. Matrices decay; biases and gains (of one dimension) and embeddings don't: a row of an embedding
    whose token is rare would shrink at every step and be corrected at few."""
    matrices, rest = split(model)
    groups = [{"params": matrices}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=BETAS, weight_decay=weight_decay, fused=True)


def split(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters that train: matrices that multiply, and the rest, which is embeddings, gains, biases."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    parts = [], []
    for parameter in model.parameters():
        if parameter.requires_grad:
            parts[parameter.dim() < 2 or id(parameter) in embeddings].append(parameter)
    return parts


def orthogonalised(
    gradients: Float[Tensor, "matrices rows columns"], steps: int = 5
) -> Float[Tensor, "matrices rows columns"]:
    """Each matrix with its directions kept and all its singular values brought near 1.

    Five steps of a Newton-Schulz iteration whose polynomial was tuned to lift small values fast: they end
    between 0.7 and 1.2, which is near enough (Jordan et al. 2024), and so is bfloat16, where it is fast.
    """
    x = gradients.bfloat16() if multiplies_bfloat16(gradients.device) else gradients
    if tall := x.shape[1] > x.shape[2]:
        x = x.mT  # the products below are then of the smaller size
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        a = x @ x.mT
        b = torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315)  # -4.7750 a + 2.0315 a a
        x = torch.baddbmm(x, b, x, beta=3.4445)  # 3.4445 x + b x
    return x.mT if tall else x


class Muon:
    """Muon for the matrices of a model, AdamW at `rest_share` of its learning rate for the rest.

    It has the face of a `torch.optim.Optimizer`: `param_groups`, whose "lr" is the rate, `state` by
    parameter, `zero_grad` and `step`.
    """

    def __init__(
        self, model: nn.Module, weight_decay: float, momentum: float = 0.9, rest_share: float = 0.25
    ):
        matrices, rest = split(model)
        self.momentum = momentum
        self.adamw = torch.optim.AdamW(rest, betas=BETAS, weight_decay=0.0, fused=True)
        self.state = self.adamw.state
        self.matrices = {"params": matrices, "lr": 0.02, "weight_decay": weight_decay}
        self.param_groups = [self.matrices, *self.adamw.param_groups]
        self.adamw.param_groups[0]["share"] = rest_share

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
            torch._foreach_mul_(parameters, 1 - rate * self.matrices["weight_decay"])
            torch._foreach_add_(parameters, updates, alpha=-rate * max(1, rows / columns) ** 0.5)
        self.adamw.step()

    def _average(self, parameter: nn.Parameter) -> Tensor:
        """The gradient averaged over past steps, looking one step ahead (Nesterov's momentum)."""
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - self.momentum)
        return parameter.grad.lerp(state["momentum"], self.momentum)
