"""One stack for source and target: who sees whom by each mask; and FLOPs beside torch's count."""

import pytest
import torch
from test_attention import close
from torch.utils.flop_counter import FlopCounterMode

from course_utils.attention import causal_mask, padding_mask, prefix_mask
from course_utils.seq2seq import (
    T5,
    DecoderOnly,
    T5Config,
    decoder_only_flops,
    encoder_decoder_flops,
    greedy,
)
from course_utils.seq2seq import decoder_only as module

pytestmark = pytest.mark.usefixtures("one_thread")
SIZES = T5Config(vocab_size=30, d_model=32, n_layers=2, n_heads=4, d_ff=48, d_head=8)
LENGTHS = torch.tensor([6, 3, 0])
SOURCE = torch.randint(2, 30, (3, 6), generator=torch.Generator().manual_seed(0))
SOURCE = SOURCE.masked_fill(torch.arange(6) >= LENGTHS[:, None], 0)
TARGET = torch.randint(2, 30, (3, 5), generator=torch.Generator().manual_seed(1))
KINDS = pytest.mark.parametrize("causal", [False, True], ids=["prefix", "causal"])
# what a wrong mask would be, in the place of the right one
EVERYTHING = lambda lengths, t: torch.ones(len(lengths), 1, t, t, dtype=torch.bool)  # noqa: E731
SOURCE_ALONE = lambda lengths, t: padding_mask(lengths, t) | torch.eye(t, dtype=torch.bool)  # noqa: E731
ONE_TOO_MANY = lambda lengths, t: prefix_mask(lengths + 1, t)  # noqa: E731


def built(causal=False):
    torch.manual_seed(0)
    model = DecoderOnly(SIZES, causal).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def test_the_mask_of_each_row():
    mask = prefix_mask(torch.tensor([0, 2, 4]), 4)
    assert mask.shape == (3, 1, 4, 4) and torch.equal(mask[0, 0], causal_mask(4)) and mask[2].all()
    assert mask[1, 0].int().tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]
    with pytest.raises(ValueError, match="lengths between 0 and t = 4; got 5 to 5"):
        prefix_mask([5], 4)


def moved_by_target(model):
    """Which logits change with the target's token 2: of the first row, place by place."""
    changed = TARGET.clone()
    changed[:, 2] = (changed[:, 2] + 1) % 30
    return (model(SOURCE, LENGTHS, changed) - model(SOURCE, LENGTHS, TARGET)).abs().amax(-1) > 1e-6


@KINDS
def test_a_target_token_never_sees_what_follows(causal):
    moved = moved_by_target(built(causal))
    assert not moved[:, :2].any() and moved[:, 2:].all()


def source_gradient(model):
    """How much the vector of each source place of row 0, after the stack, hangs on each source token."""
    vectors, states = model.embedding(SOURCE[:1]).detach().requires_grad_(), []
    model.embedding.register_forward_hook(lambda _, ids, x: torch.cat([vectors, x[:, 6:]], dim=1))
    model.stack.register_forward_hook(lambda _, x, result: states.append(result))
    model(SOURCE[:1], LENGTHS[:1], TARGET[:1])
    rows = [torch.autograd.grad(states[0][0, i].sum(), vectors, retain_graph=True)[0] for i in range(6)]
    return torch.stack([row[0].abs().sum(-1) for row in rows]) > 0


def test_source_tokens_see_each_other_in_a_prefix_lm_and_only_back_in_a_causal_one():
    assert source_gradient(built()).all()
    assert torch.equal(source_gradient(built(causal=True)), causal_mask(6))


def test_without_a_source_both_are_one_model():
    prefix, causal = (built(causal)(SOURCE, LENGTHS, TARGET) for causal in (False, True))
    close(prefix[2], causal[2])
    assert (prefix[:2] - causal[:2]).abs().amax(dim=(1, 2)).min() > 1e-2


@KINDS
def test_padding_changes_nothing_and_the_target_begins_where_its_source_ends(causal):
    model = built(causal)
    batch = model(SOURCE, LENGTHS, TARGET)
    for row, length in enumerate(LENGTHS):
        alone = model(SOURCE[row : row + 1, :length], length[None], TARGET[row : row + 1])
        close(batch[row], alone[0])


@pytest.mark.parametrize("wrong", [EVERYTHING, SOURCE_ALONE, ONE_TOO_MANY])
def test_a_wrong_mask_is_seen(wrong, monkeypatch):
    """Ahead of itself, blind to the target so far, or the first target token seen by the source."""
    right = built()(SOURCE, LENGTHS, TARGET)
    monkeypatch.setattr(module, "prefix_mask", wrong)
    model = built()
    assert (model(SOURCE, LENGTHS, TARGET) - right).abs().max() > 1e-2
    changed = TARGET.clone()
    changed[:, 0] = (changed[:, 0] + 1) % 30
    ahead = (model(SOURCE, LENGTHS, changed) - model(SOURCE, LENGTHS, TARGET)).abs().amax(-1) > 1e-6
    fails = moved_by_target(model)[:, :2].any() or not moved_by_target(model)[:, 2:].all()
    assert fails or (wrong is ONE_TOO_MANY and ahead.all())


@KINDS
def test_it_writes_what_it_would_with_all_at_once(causal):
    model, sources = built(causal), [SOURCE[0].tolist(), SOURCE[1, :3].tolist()]
    for source, written in zip(sources, greedy(model, sources, max_new=7), strict=True):
        ids, read = torch.tensor([source]), [model.marks.start]
        for token in written:
            logits = model(ids, torch.tensor([len(source)]), torch.tensor([read]))
            assert logits[0, -1].argmax() == token
            read.append(token)


@pytest.mark.parametrize(
    "model, flops",
    [(T5, encoder_decoder_flops), (DecoderOnly, decoder_only_flops)],
)
@pytest.mark.parametrize("source, target", [(7, 5), (40, 1), (3, 30)])
def test_torch_counts_the_same(model, flops, source, target):
    """Layer by layer what was multiplied. Queries of one token or many: nothing is left out."""
    sizes = {"n_layers": 3, "d_model": 32, "d_ff": 48, "vocab_size": 30}
    built = model(T5Config(**sizes, n_heads=4, d_head=8))
    for block in built.modules():
        if hasattr(block, "edit"):
            block.edit = lambda weights: weights  # the path of plain products: torch counts no other on a CPU
    batch = torch.ones(2, source, dtype=int), torch.full((2,), source), torch.ones(2, target, dtype=int)
    with FlopCounterMode(display=False) as counter:
        loss = built(*batch).sum()
    assert counter.get_total_flops() == 2 * flops(source, target, **sizes)
    with FlopCounterMode(display=False) as counter:
        built(*batch)
        loss.backward()
    # the first layer's input is looked up, and its gradient is needed all the same: exactly three times
    assert counter.get_total_flops() == 3 * 2 * flops(source, target, **sizes)


def test_twice_the_parameters_for_about_the_same():
    """An encoder-decoder of 2P parameters costs about what a decoder of P does (Raffel et al. 2020, 3.2)."""
    sizes = {"n_layers": 12, "d_model": 768, "d_ff": 3072, "vocab_size": 0}
    ratio = encoder_decoder_flops(512, 512, **sizes) / decoder_only_flops(512, 512, **sizes)
    assert 1 < ratio < 1.2
