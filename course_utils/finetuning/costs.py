"""What a way of fine-tuning costs: the numbers that train, the optimiser's memory, and the peak of a step."""

import inspect
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from course_utils.finetuning.lora import trainable
from course_utils.training.memory import freed_is_kept
from course_utils.training.optimisers import AdamW


@dataclass(frozen=True)
class Costs:
    """Of one step with AdamW, by tensors, which is the same on every machine: what the process itself takes,
    and the room that operations need inside, come on top.

    `peak` is the most that weights, activations, gradients and optimiser held at once; all in bytes.
    """

    trainable: int
    weights: int
    optimiser: int
    peak: int


def costs(model: nn.Module, loss: Callable[[], Tensor]) -> Costs:
    """Measure a step of training that isn't the first: `loss()` computes the loss, then comes a step of rate
    0, which changes nothing. Raises ValueError for a model of which nothing trains."""
    if not trainable(model):
        raise ValueError("nothing of this model trains: add_lora(model, ...), or model.requires_grad_(True)")
    model.zero_grad()
    weights = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])
    with freed_is_kept(), _Held() as held:  # the first as in training
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimiser = AdamW(parameters, lr=0.0)
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        optimiser.step()  # makes the averages, which all steps but the first find there
        model.zero_grad()
        loss().backward()
        optimiser.step()
    moments = sum(x.nbytes for state in optimiser.state.values() for x in state.values())
    model.zero_grad()
    return Costs(trainable(model), weights, moments, weights + held.peak)


class _Held(TorchDispatchMode):
    """The bytes of all tensors that operations make within it: those that are there still, and their peak."""

    def __enter__(self):
        self.now = self.peak = 0
        self._known = set()
        return super().__enter__()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        results = operation(*args, **kwargs or {})
        before = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        for x in tree_leaves(results):
            if isinstance(x, Tensor):
                self._count(x.untyped_storage(), before)
        return results

    def _count(self, storage: torch.UntypedStorage, before: set[int]) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in before or key in self._known:  # a view, or a change in place
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


# out of torch's wrapper, which imports its compiler at the first operation: that takes seconds
_Held.__torch_dispatch__ = inspect.unwrap(_Held.__torch_dispatch__)
