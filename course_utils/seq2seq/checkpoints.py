"""Weights that carry Hugging Face's names, put into a model of ours."""

import re
from collections.abc import Sequence

from torch import Tensor, nn


def renamed(weights: dict[str, Tensor], names: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """The same tensors under new names: each pattern of `names` is replaced where it is found, in turn."""
    ours = {}
    for name, tensor in weights.items():
        for pattern, replacement in names:
            name = re.sub(pattern, replacement, name)
        ours[name] = tensor
    return ours


def n_blocks(weights: dict[str, Tensor], stack: str) -> int:
    """How many blocks the weights have for a stack, "encoder" or "decoder"."""
    return len({name.split(".")[2] for name in weights if name.startswith(f"{stack}.blocks.")})


def depth(weights: dict[str, Tensor]) -> int:
    """How many blocks both stacks have. Raises ValueError if they differ, as in some T5s: ours don't."""
    encoder, decoder = (n_blocks(weights, stack) for stack in ("encoder", "decoder"))
    if encoder != decoder:
        raise ValueError(f"expected as many blocks in both stacks; got {encoder} and {decoder}")
    return encoder


def fill_known(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put the weights into the model. What it doesn't have, such as a second name of a tied matrix, is left
    out; ValueError for weights that lack a part of it."""
    missing = sorted(model.state_dict().keys() - weights.keys())
    if missing:
        raise ValueError(f"these weights lack {missing[0]}, which a {type(model).__name__} has")
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
