"""What a model has and what it costs: parameters and FLOPs, counted; and the rule of 6ND (`laws.six_nd`).

The rule says that training costs 6 FLOPs a parameter and token: a forward pass multiplies and adds once for
each, and the backward pass has two products for each of the forward pass. It is wrong in two places. An
embedding is looked up, not multiplied; if it is the head too, it is multiplied there. And attention
multiplies queries with keys, and weights with values, which belong to no parameter.

Sources: Kaplan et al. 2020, section 2.1; Hoffmann et al. 2022, appendix F; Chowdhery et al. 2022, appendix B.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from course_utils.devices import without_dropout


@dataclass(frozen=True)
class Parameters:
    """Numbers that a model has: in embeddings, in the matrix of a head of its own (0 if the embedding is the
    head), and in all else."""

    embedding: int
    head: int
    body: int

    @property
    def total(self) -> int:
        """N of Hoffmann et al. Kaplan et al. counted the `body` alone."""
        return self.embedding + self.head + self.body


@dataclass(frozen=True)
class Flops:
    """Multiplications and additions of a forward pass: by the weights of the body, by the head, and in
    attention between positions (masked or not). Norms, sums and look-ups cost next to nothing."""

    body: int
    head: int
    attention: int

    @property
    def forward(self) -> int:
        return self.body + self.head + self.attention

    @property
    def training(self) -> int:
        """Forward and backward, which has two products for each: one for the weights, one for the input."""
        return 3 * self.forward


def parameters(model: nn.Module) -> Parameters:
    """A model's parameters; what two modules share counts once, as an embedding if it is one."""
    embeddings, heads = _of_the_vocabulary(model)
    sizes = {id(parameter): parameter.numel() for parameter in model.parameters()}
    embedding, head = (sum(sizes.pop(one) for one in kind) for kind in (embeddings, heads - embeddings))
    return Parameters(embedding, head, sum(sizes.values()))


def flops(model: nn.Module, *inputs) -> Flops:
    """FLOPs of the forward pass of `inputs`, found by making it and looking at every product."""
    counter = _Counter(set.union(*_of_the_vocabulary(model)))
    with without_dropout(model), torch.no_grad(), counter:
        model(*inputs)
    return Flops(**counter.counted)


def _of_the_vocabulary(model: nn.Module) -> tuple[set[int], set[int]]:
    """The ids of a model's embeddings, and of the matrices outside its blocks that have a row for each token.
    Raises ValueError for a model that embeds nothing."""
    embeddings = [module.weight for module in model.modules() if isinstance(module, nn.Embedding)]
    if not embeddings:
        raise ValueError(f"{type(model).__name__} has no embedding: what is counted is a language model")
    vocabulary = len(embeddings[0])  # that of tokens comes first, before positions, segments or n-grams
    stacks = [module for module in model.modules() if isinstance(module, nn.ModuleList)]
    inside = {id(parameter) for stack in stacks for parameter in stack.parameters()}
    heads = {id(p) for p in model.parameters() if p.ndim == 2 and len(p) == vocabulary} - inside
    return {id(embedding) for embedding in embeddings}, heads


class _Counter(TorchFunctionMode):
    def __init__(self, heads: set[int]):
        super().__init__()
        self.heads = heads
        self.counted = {"body": 0, "head": 0, "attention": 0}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        name = function.__name__
        if name == "linear":
            kind = "head" if id(args[1]) in self.heads else "body"
            self.counted[kind] += 2 * args[0].numel() * len(args[1])
        elif name in ("matmul", "__matmul__"):
            kind = "body" if min(args[0].ndim, args[1].ndim) < 3 else "attention"  # a weight has no batch
            self.counted[kind] += 2 * result.numel() * args[0].shape[-1]
        elif name == "scaled_dot_product_attention":
            queries, keys, values = args[:3]
            widths = keys.shape[-1] + values.shape[-1]
            self.counted["attention"] += 2 * math.prod(queries.shape[:-1]) * keys.shape[-2] * widths
        elif name in ("lstm", "gru", "rnn_tanh"):
            reads = args[0]
            weights = next(some for some in args if isinstance(some, list))  # a packed sequence moves them on
            matrices = sum(weight.numel() for weight in weights if weight.ndim == 2)
            self.counted["body"] += 2 * reads.numel() // reads.shape[-1] * matrices
        return result
