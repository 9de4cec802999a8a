"""The exercises ask for what the modules do."""

import numpy as np
import torch
from torch import nn

from course_utils.finetuning.lora import LoRALinear, merge
from course_utils.finetuning.sft import document_mask
from course_utils.learner.checks import CHECKS
from course_utils.tokenizers.chat import ChatTemplate


def test_the_adapter_is_that_of_lora():
    for x, W, A, B, alpha in CHECKS["10.1"].cases()[:12]:
        base = nn.Linear(W.shape[1], W.shape[0], bias=False).double()
        base.weight.data = torch.tensor(W)  # a copy, which merging changes
        layer = LoRALinear(base, len(A), alpha)
        assert not layer.B.any() and layer.A.any() and layer.B.shape == CHECKS["10.2"](W, A)[1].shape
        layer.A.data, layer.B.data = torch.from_numpy(A), torch.from_numpy(B)
        expected = CHECKS["10.1"](x, W, A, B, alpha)
        np.testing.assert_allclose(layer(torch.from_numpy(x)).detach(), expected)
        merge(layer)
        np.testing.assert_allclose(base.weight.detach(), CHECKS["10.1 again"](x, W, A, B, alpha))


def test_the_labels_are_those_of_the_template():
    template = ChatTemplate(lambda text: [99] if text.endswith("\n") else [7, 8], start=[1], end=[2])
    roles = {"user": 99, "assistant": 99}
    ids, labels = template.labelled(
        [{"role": "user", "content": "who?"}, {"role": "assistant", "content": "I."}]
    )
    theirs = CHECKS["10.3"]([("user", [7, 8]), ("assistant", [7, 8])], roles, 1, 2)
    learnt = [i for i, label in zip(ids, labels, strict=True) if label != -100]
    assert learnt == [label for label in theirs[1] if label != -100] == [7, 8, 2]


def test_the_mask_is_that_of_packed_rows():
    for lengths, room in CHECKS["10.4"].cases():
        texts, _ = CHECKS["10.4 again"](lengths, room)
        causal = document_mask(torch.tensor([texts]))[0, 0].tril().numpy()
        n = sum(lengths)
        np.testing.assert_array_equal(causal[:n, :n], CHECKS["10.4"](lengths, room)[:n, :n])
