"""Writing by unmasking: every mask once, out of the model's own distribution, in the order asked for."""

import itertools

import numpy as np
import pytest
import torch
from mocks import L, Oracle, V, network

from course_utils.bert import BertConfig, BertForMaskedLM
from course_utils.generation.unmasking import Masked, byte_level, expected, fill, unmask, word_pieces
from course_utils.tokenizers import WordPieceTokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

TOKENIZER = WordPieceTokenizer(
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", ".", *"abcd", "##b"]
)


def bert(tokens=TOKENIZER.vocab_size):
    torch.manual_seed(0)
    model = BertForMaskedLM(BertConfig(tokens, 16, 2, 2, 32, max_positions=12))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("order", ["confidence", "random"])
@pytest.mark.parametrize("steps", [1, 3, 5, 100])
def test_writing_fills_every_mask_and_nothing_else(order, steps):
    masked = byte_level(network(vocab=20, length=12))
    ids = torch.randint(20, (12,), generator=torch.Generator().manual_seed(0))
    ids[2:9] = masked.mask_id
    written = list(unmask(masked, ids, steps, order=order, generator=seeded()))
    assert len(written) == min(steps, 7) and (written[-1].ids < 20).all() and (ids == 20).sum() == 7
    assert sorted(torch.cat([step.places for step in written]).tolist()) == list(range(2, 9))
    for before, after in itertools.pairwise([ids, *(step.ids for step in written)]):
        assert (before[before < 20] == after[before < 20]).all()
    sizes = [len(step.places) for step in written]
    assert max(sizes) - min(sizes) <= 1
    again = list(unmask(masked, ids, steps, order=order, generator=seeded()))
    assert all((x.ids == y.ids).all() for x, y in zip(written, again, strict=True))


def test_one_token_a_step_in_any_order_draws_from_the_joint():
    model = Oracle()
    masked, generator, masks = byte_level(model), seeded(0), torch.full((L,), V)
    n, counts = 3000, torch.zeros((V,) * L)
    for _ in range(n):
        *_, last = unmask(masked, masks, L, order="random", generator=generator)
        counts[tuple(last.ids.tolist())] += 1
    error = (model.joint * (1 - model.joint) / n) ** 0.5
    assert (abs(counts / n - model.joint) < 4.5 * error + 1e-9).all()


def test_tokens_of_one_step_do_not_see_each_other():
    """All at once draws from the product of the marginals, which is another distribution."""
    model = Oracle()
    masked, generator, n = byte_level(model), seeded(0), 3000
    counts = torch.zeros((V,) * L)
    for _ in range(n):
        *_, last = unmask(masked, torch.full((L,), V), 1, generator=generator)
        counts[tuple(last.ids.tolist())] += 1
    marginals = [model.joint.sum([axis for axis in range(L) if axis != place]) for place in range(L)]
    product = torch.einsum("a,b,c,d->abcd", *marginals)
    for joint, fits in ((product, True), (model.joint, False)):
        error = (joint * (1 - joint) / n) ** 0.5
        assert (abs(counts / n - joint) < 4.5 * error + 1e-9).all() == fits


def test_the_surest_comes_first_and_its_probability_is_the_models():
    model = network(vocab=20, length=12)
    ids = torch.full((12,), model.mask_id)
    ids[::3] = torch.tensor([3, 7, 1, 5])  # with nothing known all places are equally sure
    first, *_ = unmask(byte_level(model), ids, 12, temperature=0)
    best = model(ids[None])[0].softmax(-1).max(-1)
    place = int(best.values.masked_fill(ids != model.mask_id, 0).argmax())
    assert first.places.tolist() == [place] and first.ids[place] == best.indices[place]
    assert first.probabilities.item() == pytest.approx(best.values[place].item(), abs=1e-6)


def test_temperature_changes_what_is_drawn_and_not_what_the_model_gave_it():
    log_p = torch.tensor([[0.9, 0.1]]).log()
    ids, drawn = torch.tensor([2]), {}
    for temperature in (0.25, 1.0, 4.0):
        generator = seeded(0)
        steps = [fill(ids, 2, log_p, 1, "random", temperature, generator) for _ in range(2000)]
        assert all(step.probabilities.item() == pytest.approx([0.9, 0.1][step.ids]) for step in steps)
        drawn[temperature] = np.mean([step.ids.item() for step in steps])
    for temperature, share in drawn.items():
        expected = 0.1 ** (1 / temperature) / (0.1 ** (1 / temperature) + 0.9 ** (1 / temperature))
        assert abs(share - expected) < 4 * (expected * (1 - expected) / 2000) ** 0.5 + 1e-9


def test_bytes_and_masks():
    masked = byte_level(network(vocab=256, length=12))
    assert masked.encode("é[MASK][MASK]a").tolist() == [0xC3, 0xA9, 256, 256, ord("a")]
    assert masked.tokens[ord("a")] == "a" and masked.tokens[0xC3] == "\udcc3" and masked.context == 12
    assert masked.join(["\udcc3", "\udca9", "▁", "\udcc3"]) == "é▁\udcc3"


def test_word_pieces_are_written_as_the_model_expects_them_and_never_a_special_token():
    model = bert()
    masked = word_pieces(model, TOKENIZER)
    ids = torch.tensor(masked.encode("a [MASK] b [MASK]"))
    row = torch.tensor([[TOKENIZER.ids["[CLS]"], *ids.tolist(), TOKENIZER.ids["[SEP]"]]])
    probabilities = model(row)[0, [2, 4]].softmax(-1)
    special = [i for i, token in enumerate(TOKENIZER.tokens) if token[0] == "["]
    probabilities[:, special] = 0
    found = expected(masked, ids).exp()
    assert torch.allclose(found, probabilities / probabilities.sum(1, keepdim=True), atol=1e-6)
    assert masked.join(["a", "##b", "."]) == "ab."
    for seed in range(20):
        *_, last = unmask(masked, ids, 2, temperature=2.0, generator=seeded(seed))
        assert not set(last.ids.tolist()) & set(special)
    with pytest.raises(ValueError, match="the model has 13 tokens and this tokenizer 12"):
        word_pieces(bert(13), TOKENIZER)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ids": torch.zeros(3, dtype=torch.int64)}, "nothing is to be written: put the mask's id, 3,"),
        ({"steps": 0}, "steps is 1 or more.*got 0, 'confidence', 1"),
        ({"order": "left"}, "order one of confidence, random.*'left'"),
        ({"temperature": -1}, "temperature 0 or more.*-1"),
    ],
)
def test_what_cannot_be_written(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        unmask(**{"masked": byte_level(network()), "ids": torch.full((3,), V), "steps": 2} | change)


@pytest.mark.parametrize(
    "log_p", [torch.zeros(2, V), torch.full((1, V), -1.0986), torch.full((2, V), torch.nan), torch.zeros(V)]
)
def test_what_is_no_distribution(log_p):
    masked = Masked(lambda ids: log_p, V, None, [], None, 9)
    with pytest.raises(ValueError, match="a row for each of 2 masks, whose exponentials sum to 1; got"):
        expected(masked, torch.tensor([0, V, V]))
