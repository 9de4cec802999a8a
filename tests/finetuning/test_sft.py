"""Supervised fine-tuning: loss on answers alone, packed texts that don't see each other, what is refused."""

import itertools
import math

import pytest
import torch
from test_gpt import COUNTED, SHIFTED, SMALL, built
from torch.nn import functional

from course_utils.finetuning.lora import add_lora
from course_utils.finetuning.sft import Examples, document_mask, pack, sft_loss
from course_utils.tokenizers.chat import IGNORED, Labelled
from course_utils.training import TrainConfig, train

pytestmark = pytest.mark.usefixtures("one_thread")


def example(prompt, answer):
    return Labelled([*prompt, *answer], [IGNORED] * len(prompt) + [*answer])


EXAMPLES = [
    example([1, 2, 3, 4], [5, 6, 7]),
    example([8], [9, 10]),
    example([11, 12], [13]),
    example([14, 15, 16], [17, 18, 19, 20, 21]),
]
ROOM = 12


def alone(model, number):
    """The logits that a text has in a row of its own."""
    return model(torch.tensor([EXAMPLES[number].ids]))[0]


def check_packed(model, mask_of):
    """Each text of each packed row has the logits that it has alone."""
    batches = Examples(EXAMPLES, 2, ROOM)
    rows = batches.rows
    assert sorted(itertools.chain(*rows)) == [0, 1, 2, 3] and len(rows) == 2
    ids, _, documents = batches.batch(rows)
    logits = model(ids, mask=mask_of(documents))
    for row, members in enumerate(rows):
        for number, i in enumerate(members):
            got = logits[row][documents[row] == number]  # turned to other positions, in float32
            torch.testing.assert_close(got, alone(model, i), atol=1e-5, rtol=0)


def test_texts_of_one_row_dont_see_each_other():
    check_packed(built(SMALL), document_mask)


def no_borders(documents):
    return None


def only_padding(documents):
    return (documents >= 0)[:, None, None]


def the_text_before_too(documents):
    distance = documents[:, :, None] - documents[:, None, :]
    return ((distance == 0) | (distance == 1))[:, None]


@pytest.mark.parametrize("wrong", [no_borders, only_padding, the_text_before_too])
def test_wrong_masks_are_caught(wrong):
    with pytest.raises(AssertionError):
        check_packed(built(SMALL), wrong)


@pytest.mark.parametrize("config", [SHIFTED, COUNTED], ids=["token shift", "n-grams"])
def test_a_model_that_looks_back_past_the_mask_is_not_given_packed_rows(config):
    with pytest.raises(ValueError, match=r"token_shift.*give each text a row of its own"):
        sft_loss(built(config), Examples(EXAMPLES, 2, ROOM).next(), None)
    assert sft_loss(built(config), Examples(EXAMPLES, 2, ROOM, packed=False).next(), None)[0] > 0


def written_out(model):
    """Nats of all answer tokens, from each text alone."""
    nats = [
        functional.cross_entropy(alone(model, n)[:-1], torch.tensor(EXAMPLES[n].labels[1:]), reduction="sum")
        for n in range(4)
    ]
    return sum(nats) / sum(label != IGNORED for e in EXAMPLES for label in e.labels)


@pytest.mark.parametrize("packed", [True, False])
def test_the_loss_is_the_mean_of_all_answer_tokens(packed):
    model = built(SMALL).requires_grad_(True)
    batches = Examples(EXAMPLES, 2 if packed else 4, ROOM, packed)
    loss, _ = sft_loss(model, batches.batch(batches.rows), None)
    expected = written_out(model)
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=0)
    got = torch.autograd.grad(loss, model.embedding.weight)[0]
    torch.testing.assert_close(
        got, torch.autograd.grad(expected, model.embedding.weight)[0], atol=1e-6, rtol=0
    )


def test_loss_on_the_prompt_would_be_another():
    model = built(SMALL)
    whole = [Labelled(e.ids, e.ids) for e in EXAMPLES]
    batches = Examples(whole, 4, ROOM, packed=False)
    loss, _ = sft_loss(model, batches.batch(batches.rows), None)
    assert abs(loss - written_out(model)) > 0.01


def test_the_first_token_of_a_text_is_not_predicted_from_the_text_before():
    whole = [Labelled(e.ids, e.ids) for e in EXAMPLES]
    batches = Examples(whole, 2, ROOM)
    _, labels, documents = batches.batch(batches.rows)
    first = functional.pad(documents, (1, 0), value=-2)[:, :-1] != documents
    assert (labels[first] == IGNORED).all() and (labels[~first & (documents >= 0)] != IGNORED).all()


def test_packing_leaves_no_text_out_and_no_row_too_long():
    lengths = torch.randint(1, 60, (200,), generator=torch.Generator().manual_seed(0)).tolist()
    rows = pack(lengths, 64)
    assert sorted(itertools.chain(*rows)) == list(range(200))
    filled = [sum(lengths[i] for i in row) for row in rows]
    assert max(filled) <= 64 and len(rows) <= 1.25 * math.ceil(sum(lengths) / 64)
    assert pack([4, 3, 2, 1, 1], 5) == [[0, 3], [1, 2], [4]], "each into the first row that has room"


def test_each_text_once_an_epoch_in_an_order_that_can_be_resumed():
    def texts(batches, n):
        return [batches.next()[0].tolist() for _ in range(n)]

    batches = Examples(EXAMPLES, 3, ROOM, packed=False, seed=1)
    seen = [*itertools.chain(*texts(batches, 4))]
    rows = [tuple(i for i in row if i) for row in seen]
    for epoch in (0, 4, 8):
        assert sorted(rows[epoch : epoch + 4]) == sorted(tuple(e.ids) for e in EXAMPLES)
    assert rows[:4] != rows[4:8]
    state, later = batches.state(), texts(batches, 3)
    again = Examples(EXAMPLES, 3, ROOM, packed=False, seed=1)
    again.restore(state)
    assert texts(again, 3) == later
    for other in (Examples(EXAMPLES, 3, ROOM, seed=1), Examples(EXAMPLES[1:], 3, ROOM, packed=False, seed=1)):
        with pytest.raises(ValueError, match="the run to resume had other examples"):
            other.restore(state)


def test_a_run_learns_the_answers():
    model = add_lora(built(SMALL).float(), 4, 8.0)
    run = train(model, Examples(EXAMPLES, 2, ROOM), TrainConfig(40, 2e-2, warmup_steps=0), loss=sft_loss)
    assert run.losses[-1] < 0.5 * run.losses[0]


@pytest.mark.parametrize(
    "examples, words",
    [
        ([], "got 0 examples"),
        ([EXAMPLES[0], example(range(9), range(4))], "example 1 has 13 tokens .* room for 12"),
        ([EXAMPLES[0], example([1, 2], [])], "example 1 has no token to learn: its labels are all -100"),
        ([Labelled([3, 4], [3, IGNORED])], "example 0 has no token to learn"),  # nothing predicts the first
        ([Labelled([1, 2], [IGNORED, 3])], "each label must be its token's own id.*the loss shifts them"),
        ([Labelled([1, 2], [2])], "each label must be its token's own id"),
    ],
)
def test_examples_that_are_refused(examples, words):
    with pytest.raises(ValueError, match=words) as caught:
        Examples(examples, 2, ROOM)
    assert "\n" not in str(caught.value)


def test_a_batch_without_labels_is_refused():
    ids, labels, documents = Examples(EXAMPLES, 2, ROOM).next()
    with pytest.raises(ValueError, match="all labels of this batch are -100"):
        sft_loss(built(SMALL), (ids, torch.full_like(labels, IGNORED), documents), None)
