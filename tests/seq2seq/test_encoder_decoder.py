"""The transformer of 2017: padding, order and each step, in its own form and with Llama's parts."""

import pytest
import torch
from test_attention import close
from test_transformer import LLAMA
from torch.nn import functional

from course_utils.seq2seq import EncoderDecoder
from course_utils.transformer import BlockConfig

pytestmark = pytest.mark.usefixtures("one_thread")


def built(**kwargs):
    torch.manual_seed(0)
    return EncoderDecoder(30, 40, BlockConfig(32, 4, **kwargs), 2)


SOURCE = torch.randint(30, (3, 9), generator=torch.Generator().manual_seed(0))
TARGET = torch.randint(40, (3, 6), generator=torch.Generator().manual_seed(1))
LENGTHS = torch.tensor([9, 4, 1])
KINDS = pytest.mark.parametrize("kwargs", [{}, LLAMA], ids=["2017", "llama's parts"])


@KINDS
def test_one_token_at_a_time_gives_what_all_at_once_gives(kwargs):
    model = built(**kwargs)
    expected, memory, state, steps = model(SOURCE, LENGTHS, TARGET), model.encode(SOURCE, LENGTHS), None, []
    for t in range(6):
        before = state
        logits, state = model.decode(TARGET[:, t : t + 1], memory, state)
        steps.append(logits)
    close(torch.cat(steps, dim=1), expected)
    again, _ = model.decode(TARGET[:, 5:], memory, before)  # the state of the step before still stands
    close(again, steps[-1])


@KINDS
def test_the_decoder_looks_only_left_and_the_encoder_both_ways(kwargs):
    model = built(**kwargs)
    expected = model(SOURCE, LENGTHS, TARGET)
    changed = TARGET.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 40
    difference = (model(SOURCE, LENGTHS, changed) - expected).abs().amax(dim=(0, 2))
    assert (difference[:3] == 0).all() and (difference[3:] > 1e-4).all()
    changed = SOURCE.clone()
    changed[0, -1] = (changed[0, -1] + 1) % 30
    first = [model.encode(source, LENGTHS).states[0, 0] for source in (SOURCE, changed)]
    assert (first[0] - first[1]).abs().max() > 1e-4


@KINDS
def test_padding_changes_nothing(kwargs):
    model = built(**kwargs)
    batch = model(SOURCE, LENGTHS, TARGET)
    for row, length in enumerate(LENGTHS):
        alone = model(SOURCE[row : row + 1, :length], length[None], TARGET[row : row + 1])
        close(batch[row], alone[0])


def test_order_matters_to_it():
    model = built()
    states = model.encode(SOURCE[:1], LENGTHS[:1]).states
    backwards = model.encode(SOURCE[:1].flip(1), LENGTHS[:1]).states.flip(1)
    assert (states - backwards).abs().max() > 1e-2


@pytest.mark.parametrize("blind", [False, True], ids=["", "wrong: cut off from the source"])
def test_it_learns_to_reverse(blind):
    """A few steps on strings of 6: the loss falls far below guessing, which costs ln 12 = 2.5 nats."""
    torch.manual_seed(0)
    model = EncoderDecoder(12, 13, BlockConfig(32, 4, pre_norm=True), 1)
    optimiser, generator = torch.optim.Adam(model.parameters(), 5e-3), torch.Generator().manual_seed(0)
    if blind:
        model.cross_attentions[0].edit = torch.zeros_like
    for _ in range(250):
        source = torch.randint(12, (32, 6), generator=generator)
        target = torch.cat([torch.full((32, 1), 12), source.flip(1)], dim=1)
        logits = model(source, torch.full((32,), 6), target[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss > 2.3 if blind else loss < 0.5


def test_a_half_precision_model_decodes_in_half_precision():
    model = built().bfloat16()
    assert model(SOURCE, LENGTHS, TARGET).dtype == torch.bfloat16


def test_a_source_of_no_length_leaves_nothing_to_look_at_and_no_nan():
    model = built()
    assert model(SOURCE, torch.tensor([9, 0, 1]), TARGET).isfinite().all()


@pytest.mark.parametrize(
    "ids, sentence",
    [
        (torch.tensor([[3, 30]]), "between 0 and 29; got 3 to 30"),
        (torch.tensor([[-1, 3]]), "between 0 and 29; got -1 to 3"),
        (torch.zeros(2, 0, dtype=torch.int64), r"at least one token; got \(2, 0\)"),
        (torch.zeros(4, dtype=torch.int64), r"\(batch, time\).*got \(4,\)"),
    ],
)
def test_ids_that_are_no_ids_are_refused(ids, sentence):
    with pytest.raises(ValueError, match=sentence):
        built().encode(ids, torch.ones(len(ids), dtype=torch.int64))
