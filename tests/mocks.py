"""Models for tests: of generation, without weights, and of masks, so small that all can be computed."""

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from course_utils.bert.diffusion import MaskedDiffusion
from course_utils.gpt import GPTCache, GPTConfig


class Mock:
    """Logits by the sum of all tokens read so far, modulo the vocabulary, from a random table: no weights,
    yet every token, every row and every mask matters.

    What it has read it keeps in a real cache, so a row, a token or a padding that is mixed up there shows.
    """

    def __init__(self, vocab_size, context=64, seed=0, spread=2.0):
        generator = torch.Generator().manual_seed(seed)
        self.table = spread * torch.randn(vocab_size, vocab_size, generator=generator)
        self.vocab_size, self.context = vocab_size, context
        self.calls = self.tokens = 0

    def new_cache(self):
        return GPTCache(1)

    def __call__(self, ids, cache=None, mask=None, last=None):
        self.calls, self.tokens = self.calls + 1, self.tokens + ids.numel()
        read = ids[:, None, :, None].float() + 1  # as keys (batch, heads, time, width); padding would count
        if cache is not None:
            read, _ = cache.blocks[0].attention.extend(read, read)
        assert read.shape[2] <= self.context
        if mask is not None:
            read = read * mask[..., None].squeeze(2)
        sums = read[:, 0, :, 0].cumsum(1).long() % self.vocab_size  # (B, all that was read)
        return self.table[sums][:, -(last or ids.shape[1]) :]

    def next_probs(self, text):
        """The distribution after a whole text, by the definition."""
        return self.table[sum(token + 1 for token in text) % self.vocab_size].double().softmax(-1)


V, L = 3, 4


def network(vocab=V, length=L, std=0.7):
    """A masked diffusion model whose weights are so large that each context matters."""
    torch.manual_seed(0)
    model = MaskedDiffusion(GPTConfig(vocab, length, 1, 2, 16))
    for parameter in model.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=std)
    return model.eval()


class Oracle:
    """A model that knows a joint distribution of L tokens, and says its exact conditionals."""

    mask_id = vocab_size = V
    context = L
    training = False

    def __init__(self):
        self.joint = torch.rand((V,) * L, generator=torch.Generator().manual_seed(0)).double() ** 3
        self.joint /= self.joint.sum()

    def eval(self):
        return self

    def modules(self):
        return [self]

    def __call__(self, ids):
        logits = []
        for row in ids:
            table = self.joint
            for place, token in enumerate(row.tolist()):
                if token != V:
                    one = torch.zeros(V, dtype=torch.float64)
                    one[token] = 1
                    table = table * one.view([-1 if axis == place else 1 for axis in range(L)])
            marginals = [table.sum([axis for axis in range(L) if axis != place]) for place in range(L)]
            logits.append(torch.stack([p / p.sum() for p in marginals]).log())
        return torch.stack(logits)


class DoubleOnlyOnCPU(TorchFunctionMode):
    """Within, `double()` is for what `cpu()` returned, as it has to be where a device has no float64."""

    def __init__(self):
        super().__init__()
        self.doubled, self.on_cpu = 0, []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is Tensor.double:
            assert any(args[0] is tensor for tensor in self.on_cpu)
            self.doubled += 1
        result = function(*args, **(kwargs or {}))
        if function is Tensor.cpu:
            self.on_cpu.append(result)
        return result
