"""The masking rule, by what it does to a million tokens: right within 4 sigma, and wrong rules are not."""

import pytest
import torch

from course_utils.bert.masking import IGNORED, mask_tokens, masked_loss
from course_utils.tokenizers import WordPieceTokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

WORDS = [f"w{i}" for i in range(300)] + [f"##p{i}" for i in range(200)]
TOKENIZER = WordPieceTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]", "[", "]", *WORDS])
PAD, CLS, SEP, MASK = (TOKENIZER.ids[name] for name in ("[PAD]", "[CLS]", "[SEP]", "[MASK]"))
FIRST_PIECE = TOKENIZER.ids["##p0"]


def text(rows=8200, longest=130):
    """A million words and some padding, drawn so that about every third word has several pieces."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(6, TOKENIZER.vocab_size, (rows, longest), generator=generator)
    lengths = torch.randint(longest - 8, longest + 1, (rows,), generator=generator)
    places = torch.arange(longest)
    ids[:, 0] = CLS
    ids[places == lengths[:, None] - 1] = SEP
    ids[places >= lengths[:, None]] = PAD
    return ids


def faults(mask, ids, rate=0.15):
    """What of the rule doesn't hold: counts are compared within 4 standard deviations of a binomial."""
    inputs, labels = mask(ids, torch.Generator().manual_seed(1))
    chosen, special = labels != IGNORED, ids < 6
    found = []

    def within(name, count, of, share):
        if abs(int(count) - of * share) > 4 * (of * share * (1 - share)) ** 0.5:
            found.append(name)

    if (chosen & special).any():
        found.append("special tokens or padding are asked")
    if (inputs != ids)[special].any():
        found.append("special tokens or padding are changed")
    if (labels[chosen] != ids[chosen]).any():
        found.append("a label is not the token")
    if (inputs != ids)[~chosen].any():
        found.append("a place that isn't asked is changed")
    asked, n = ids[chosen], int(chosen.sum())
    read = inputs[chosen]
    within("rate", n, int((~special).sum()), rate)
    within("80 % [MASK]", (read == MASK).sum(), n, 0.8)
    words = TOKENIZER.vocab_size - 6
    within("10 % stay", (read == asked).sum(), n, 0.1 + 0.1 / words)  # a random word may be the same
    swapped = read[(read != asked) & (read != MASK)]
    within("10 % random", len(swapped), n, 0.1 * (1 - 1 / words))
    if (swapped < 6).any():
        found.append("a random word is special")
    halves = (swapped < 6 + words // 2).sum()
    within("random words are even", halves, len(swapped), 0.5)
    for where in (slice(0, 4100), slice(4100, 8200)):
        within("rate in each half", chosen[where].sum(), int((~special)[where].sum()), rate)
    return found


def right(ids, generator, **options):
    return mask_tokens(ids, TOKENIZER, generator=generator, **options)


def test_a_million_tokens():
    ids = text()
    assert int((ids >= 6).sum()) >= 1_000_000
    before = ids.clone()
    assert faults(right, ids) == []
    assert (ids == before).all()


@pytest.mark.parametrize("rate", [0.01, 0.4, 0.9])
def test_other_rates(rate):
    def mask(ids, generator):
        return right(ids, generator, rate=rate)

    assert faults(mask, text(), rate) == []


def draw(ids, generator):
    return torch.rand(ids.shape, generator=generator)


def wrong(**changes):
    """The rule written out once more, with a mistake in it."""
    rule = {
        "of": lambda ids: ids >= 6,
        "rate": 0.15,
        "mask": 0.8,
        "low": 0.9,
        "first": 6,
        "everywhere": False,
    }
    rule |= changes

    def mask(ids, generator):
        chosen = rule["of"](ids) & (draw(ids, generator) < rule["rate"])
        labels = ids.masked_fill(~chosen, IGNORED)
        act, where = draw(ids, generator), rule["of"](ids) if rule["everywhere"] else chosen
        inputs = ids.masked_fill(where & (act < rule["mask"]), MASK)
        swap = where & (act >= rule["low"])
        inputs[swap] = torch.randint(
            rule["first"], len(TOKENIZER.tokens), (int(swap.sum()),), generator=generator
        )
        return inputs, labels

    return mask


def test_the_rule_written_out_again_is_right():
    assert faults(wrong(), text()) == []


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (wrong(of=lambda ids: ids >= 0), "special tokens or padding are asked"),
        (wrong(of=lambda ids: ids != PAD), "special tokens or padding are asked"),
        (wrong(rate=0.155), "rate"),
        (wrong(mask=1.0, low=1.0), "80 % [MASK]"),
        (wrong(low=0.98), "10 % random"),  # a tenth of what the 80 % left
        (wrong(low=0.5), "80 % [MASK]"),
        (wrong(everywhere=True), "a place that isn't asked is changed"),
        (wrong(first=0), "a random word is special"),
        (lambda ids, generator: right(ids, generator, to_mask=0.79), "80 % [MASK]"),
        (lambda ids, generator: right(ids, generator, to_random=0.09), "10 % stay"),
    ],
)
def test_a_wrong_rule_is_found(mask, expected):
    assert expected in faults(mask, text())


def test_the_same_generator_gives_the_same_masks_and_goes_on():
    ids, generator = text(50), torch.Generator().manual_seed(3)
    first, second = (right(ids, generator)[0] for _ in range(2))
    assert (first == right(ids, torch.Generator().manual_seed(3))[0]).all()
    assert (first != second).any()


def test_whole_words():
    ids = text()

    def mask(ids, generator):
        return right(ids, generator, whole_words=True)

    _, labels = mask(ids, torch.Generator().manual_seed(1))
    asked = labels != IGNORED
    goes_on = (ids[:, 1:] >= FIRST_PIECE) & (ids[:, :-1] >= 6)
    assert (asked[:, 1:] == asked[:, :-1])[goes_on].all()
    alone = right(ids, torch.Generator().manual_seed(1))[1] != IGNORED
    assert (alone[:, 1:] != alone[:, :-1])[goes_on].any()
    share = asked.sum() / (ids >= 6).sum()
    assert abs(share - 0.15) < 0.005  # words differ in length: the pieces of one are not independent


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5, float("nan")])
def test_bad_rates(rate):
    with pytest.raises(ValueError, match=r"between 0 and 1; got .*BERT has 0\.15"):
        mask_tokens(text(2), TOKENIZER, rate)


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (torch.tensor([[CLS, SEP, PAD]]), "nothing to mask"),
        (torch.zeros(0, 5, dtype=torch.int64), "one token at least"),
        (torch.zeros(2, 0, dtype=torch.int64), "one token at least"),
        (torch.tensor([5, 6]), r"shape \(batch, time\)"),
        (torch.tensor([[6, 508]]), "ids 0 to 507; got 6 to 508"),
        (torch.tensor([[-1, 6]]), "ids 0 to 507; got -1 to 6"),
    ],
)
def test_bad_ids(ids, sentence):
    with pytest.raises(ValueError, match=sentence):
        mask_tokens(ids, TOKENIZER)


@pytest.mark.parametrize("shares", [(1.0, 0.1), (-0.1, 0.1), (0.8, -0.1)])
def test_shares_that_are_no_parts_of_one(shares):
    with pytest.raises(ValueError, match="shares of the chosen, at most 1 together; got"):
        mask_tokens(text(2), TOKENIZER, to_mask=shares[0], to_random=shares[1])


def test_a_vocabulary_without_a_mask():
    with pytest.raises(ValueError, match=r"no \[MASK\]: take the vocabulary of a BERT"):
        mask_tokens(torch.tensor([[1, 1]]), WordPieceTokenizer(["[UNK]", "a"]))


def test_the_loss_is_taken_at_the_chosen_places():
    logits = torch.randn(2, 3, 10, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[IGNORED, 4, IGNORED], [7, IGNORED, 1]])

    def model(ids, lengths, chosen):
        return logits[chosen]

    loss, state = masked_loss(model, (None, None, labels), None)
    log_p = logits.log_softmax(-1)
    expected = -(log_p[0, 1, 4] + log_p[1, 0, 7] + log_p[1, 2, 1]) / 3
    assert state is None and torch.allclose(loss, expected)
    nothing = torch.full_like(labels, IGNORED)
    assert masked_loss(model, (None, None, nothing), None)[0] == 0
