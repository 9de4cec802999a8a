"""What chapter 7's exercises ask is what the package does: their references beside it, on all their cases."""

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from course_utils.attention import record_attention
from course_utils.attention.positions import relative_buckets
from course_utils.learner.checks import CHECKS
from course_utils.seq2seq import T5, Marks, T5Config, pair_loss
from course_utils.seq2seq.noises import infill
from course_utils.seq2seq.objectives import corrupt_spans, put_together

pytestmark = pytest.mark.usefixtures("one_thread")


def test_span_corruption_and_its_inverse():
    for ids, spans, sentinels, end in CHECKS["7.1"].cases():
        source, target = corrupt_spans(ids, spans, sentinels)
        assert CHECKS["7.1"](ids, spans, sentinels, end) == ([*source, end], [*target, end])
    for source, target, sentinels, end in CHECKS["7.3"].cases():
        text = put_together(source[:-1], target[:-1], sentinels)
        assert CHECKS["7.3"](source, target, sentinels, end) == text


def test_infilling():
    for ids, starts, lengths, mask in CHECKS["7.2"].cases():
        spans = [(start, start + length) for start, length in zip(starts, lengths, strict=True)]
        assert CHECKS["7.2"](ids, starts, lengths, mask) == infill(ids, spans, mask)


def test_teacher_forcing_and_its_loss():
    """The loss on these labels is that of `pair_loss`, which leaves padding out as well."""
    for target, start, pad in CHECKS["7.4"].cases()[:8]:
        read, labels = map(torch.from_numpy, CHECKS["7.4"](target, start, pad))
        vocabulary = torch.randn(24, 24, generator=torch.Generator().manual_seed(0))

        class Table(torch.nn.Module):
            """Logits by the token that is read."""

            marks = Marks(pad=pad, start=start, end=99)

            def forward(self, source, lengths, ids, chosen, table=vocabulary):
                return table[ids[chosen]]

        whole = np.concatenate([np.full((len(target), 1), start), target], axis=1)
        loss, _ = pair_loss(Table(), (None, None, torch.from_numpy(whole)), None)
        own = torch.nn.functional.cross_entropy(vocabulary[read].flatten(0, 1), labels.flatten())
        assert own == pytest.approx(float(loss))


def test_relative_buckets_and_scores_without_a_scale():
    seen = set()
    for q, keys, distances, bias, farthest, both_ways in CHECKS["7.5"].cases():
        buckets = relative_buckets(torch.from_numpy(distances), len(bias), farthest, both_ways).numpy()
        scores = CHECKS["7.5"](q, keys, distances, bias, farthest, both_ways)
        np.testing.assert_allclose(scores, keys @ q + bias[buckets])
        seen |= {(both_ways, len(bias), bucket) for bucket in buckets.tolist()}
    assert {b for both_ways, n, b in seen if not both_ways and n == 8} == {*range(8)}
    # nothing is later by 0: the first bucket of the upper half stays empty
    assert {b for both_ways, n, b in seen if both_ways and n == 16} == {*range(16)} - {8}


@pytest.mark.parametrize(("scale", "same"), [(1.0, True), (0.25, False)])
def test_the_scores_are_those_of_a_t5(scale, same):
    """Of the first head of an encoder; with a division by √16, as elsewhere, they would not be."""
    torch.manual_seed(0)
    model, ids, place = T5(T5Config(50, 64, 2, 4, 128, d_head=16)).eval(), torch.arange(3, 50)[None], 10
    model.encoder.relative.table.weight.data.normal_()
    first, norm = model.encoder.blocks[0].attention, model.encoder.blocks[0].attention_norm
    with torch.no_grad(), record_attention([first]) as weights:
        model.encode(ids, torch.tensor([47]))
        x = norm(model.embedding(ids))[0]
        q, keys = (layer(x)[:, :16].numpy() for layer in (first.query, first.key))
    bias = model.encoder.relative.table.weight[:, 0].detach().numpy()
    scores = CHECKS["7.5"](scale * q[place], keys, np.arange(47) - place, bias, 128, True)
    own = torch.from_numpy(scores).softmax(0)
    assert torch.allclose(own, weights[0][0, 0, place], atol=1e-5) == same


@pytest.mark.parametrize("case", [1, 4, 11])
def test_the_operations_of_an_encoder_decoder(case):
    """Counted by torch; and they are half of what a decoder of as many weights needs for the same tokens."""
    source, target, layers, d_model, d_ff = CHECKS["7.6"].cases()[case]
    config = T5Config(50, d_model, layers, n_heads=2, d_ff=d_ff, d_head=d_model // 2, relative_buckets=8)
    model = T5(config)
    weights = sum(p.numel() for name, p in model.named_parameters() if p.dim() == 2 and "block" in name)
    ids = [torch.zeros(1, n, dtype=torch.long) for n in (source, target)]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(ids[0], torch.tensor([source]), ids[1])
    counted = counter.get_flop_counts()["Global"]
    last_layer = 2 * target * 50 * d_model
    flops = CHECKS["7.6"](source, target, layers, d_model, d_ff)
    assert flops == counted[torch.ops.aten.mm] - last_layer
    assert flops == 2 * weights * (source + target) // 2
