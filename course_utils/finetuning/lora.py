"""LoRA: what a weight matrix learns, as a product of two thin ones beside it.

The matrix W (out x in) stays as it is. Beside it stands ΔW = (alpha / rank) B A, with A (rank x in) and
B (out x rank); only these are trained. B starts at zero, so a fresh adapter changes nothing, and A at random:
were both zero, each would multiply the other's gradient by zero, and neither would ever move. Merged,
W + ΔW is one matrix again; until then a forward pass costs two more products, not fewer.

    add_lora(model, rank=8, alpha=16, targets=["query", "value"])
    train(model, ...)
    merge(model)

Source: Hu et al. 2021, "LoRA", section 4.1.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class LoRALinear(nn.Module):
    """A linear layer in the place of `base`: base(x) + (alpha / rank) B A x. `add_lora` freezes the base.

    Raises ValueError for a rank below 1 or above the narrower side of the matrix, beyond which a product
    holds nothing that the matrix doesn't, and for an alpha that isn't above 0.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float):
        super().__init__()
        check_rank(base, rank, alpha)
        self.base = base
        self.rank, self.alpha, self.merged, self.off = rank, alpha, False, False
        like = {"dtype": base.weight.dtype, "device": base.weight.device}
        self.A = nn.Parameter(torch.empty(rank, base.in_features, **like))
        self.B = nn.Parameter(torch.zeros(base.out_features, rank, **like))
        bound = base.in_features**-0.5  # as nn.Linear's own first weights, and peft's
        nn.init.uniform_(self.A, -bound, bound)

    def extra_repr(self) -> str:
        return f"rank={self.rank}, alpha={self.alpha}, merged={self.merged}"

    @property
    def scale(self) -> float:
        """alpha / rank: so a rank can be changed and the learning rate kept, roughly (section 4.1)."""
        return self.alpha / self.rank

    def delta(self) -> Float[Tensor, "out in"]:
        """ΔW, what the adapter adds to the matrix."""
        return self.scale * self.B @ self.A

    def forward(self, x: Float[Tensor, "... in"]) -> Float[Tensor, "... out"]:
        if self.merged or self.off:
            return self.base(x)
        return self.base(x) + functional.linear(functional.linear(x, self.A), self.scale * self.B)


def check_rank(base: nn.Linear, rank: int, alpha: float) -> None:
    """Raise ValueError if an adapter of this rank and alpha can't stand beside `base`."""
    narrow = min(base.in_features, base.out_features)
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= narrow:
        raise ValueError(
            f"the rank must be a whole number from 1 to {narrow}, the narrower side of a matrix of "
            f"{base.out_features} x {base.in_features}; got {rank!r} (8 is usual)"
        )
    if not 0 < alpha < float("inf"):
        raise ValueError(f"alpha must be above 0 (the rank, or twice that, is usual); got {alpha}")


def add_lora(model: nn.Module, rank: int, alpha: float, targets: Sequence[str] | None = None) -> nn.Module:
    """Freeze the model and put an adapter beside each target: all linear layers, if None. Returns the model.

    A target is a layer's name or how it ends: "query" is that of every block, "blocks.0.attention.query" that
    of the first. What else shall train, such as a new head, gets `requires_grad_(True)` afterwards. Raises
    ValueError if a target names no linear layer, the model has adapters already, or the rank or alpha suits
    no adapter; then the model is as it was.
    """
    layers = targeted(model, targets)
    for layer in layers.values():
        check_rank(layer, rank, alpha)
    return put(model, {name: LoRALinear(layer, rank, alpha) for name, layer in layers.items()})


def targeted(model: nn.Module, targets: Sequence[str] | None = None) -> dict[str, nn.Linear]:
    """The linear layers that the targets name, by their full names; raises as `add_lora` does."""
    if any(lora_layers(model)):
        raise ValueError("this model has LoRA adapters already: remove_lora(model) takes them out first")
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if targets is None:
        return layers
    targets = [targets] if isinstance(targets, str) else targets
    if not targets:
        raise ValueError("targets names no layer: leave it out for all linear layers; got none")
    chosen = {}
    for target in targets:
        found = {name: layer for name, layer in layers.items() if f".{name}".endswith(f".{target}")}
        if not found:
            last = sorted({name.rsplit(".")[-1] for name in layers})
            raise ValueError(
                f"no linear layer of this {type(model).__name__} is called {target!r}; its layers end in "
                f"{', '.join(last)}"
            )
        chosen |= found
    return chosen


def put(model: nn.Module, adapters: dict[str, nn.Module]) -> nn.Module:
    """Freeze the model and let each adapter take the place of the layer of its name."""
    model.requires_grad_(False)
    for name, adapter in adapters.items():
        model.set_submodule(name, adapter)
    return model


def lora_layers(model: nn.Module) -> Iterator[tuple[str, LoRALinear]]:
    """The adapters of a model, with their names."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoRALinear))


@torch.no_grad()
def merge(model: nn.Module) -> nn.Module:
    """Add each ΔW to its matrix: the same outputs, as fast as without adapters. Returns the model."""
    for _, layer in lora_layers(model):
        if not layer.merged:
            layer.base.weight += layer.delta()
            layer.merged = True
    return model


@torch.no_grad()
def unmerge(model: nn.Module) -> nn.Module:
    """Subtract each ΔW again, exact up to float rounding. Returns the model."""
    for _, layer in lora_layers(model):
        if layer.merged:
            layer.base.weight -= layer.delta()
            layer.merged = False
    return model


class WithoutAdapters:
    """A model as it was before its adapters learnt anything, without a copy: when called, it lets them rest
    for this call; all else of it is the model's. Raises ValueError if they are merged: then they can't."""

    def __init__(self, model: nn.Module):
        self.model = model

    def __call__(self, *args, **kwargs):
        layers = [layer for _, layer in lora_layers(self.model)]
        if any(layer.merged for layer in layers):
            raise ValueError("the adapters are merged into this model's matrices: unmerge(model) first")
        for layer in layers:
            layer.off = True
        try:
            return self.model(*args, **kwargs)
        finally:
            for layer in layers:
                layer.off = False

    def __getattr__(self, name: str):
        return getattr(self.model, name)


def remove_lora(model: nn.Module) -> nn.Module:
    """Give the linear layers their places back: with what was learnt if it is merged, else without. All of
    the model trains again. Returns it."""
    for name, layer in list(lora_layers(model)):
        model.set_submodule(name, layer.base)
    return model.requires_grad_(True)


def trainable(model: nn.Module) -> int:
    """How many numbers of the model train."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
