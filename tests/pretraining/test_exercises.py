"""The exercises of chapter 12 ask for what the modules do."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from course_utils.finetuning.sft import document_mask
from course_utils.finetuning.tasks import wilson
from course_utils.learner.checks import CHECKS
from course_utils.learner.exercises import batches
from course_utils.pretraining import evaluate
from course_utils.pretraining.canaries import exposures
from course_utils.pretraining.documents import Document
from course_utils.pretraining.filters.contamination import Contamination
from course_utils.pretraining.filters.runs import runs, words
from course_utils.pretraining.parallel import Share
from course_utils.pretraining.quantise import Quantised
from course_utils.tokenizers.chat import END_OF_TEXT
from course_utils.training import clip_gradients
from course_utils.training.batches import Epochs


def test_the_similarity_is_that_of_the_filters_runs():
    for one, other, length in CHECKS["12.1"].cases():
        theirs, others = (np.unique(runs(text, length)) for text in (one, other))
        shared = len(np.intersect1d(theirs, others))
        assert CHECKS["12.1"](one, other, length) == shared / len(np.union1d(theirs, others))
        assert CHECKS["12.1 again"](one, other, length) == shared / len(theirs)


def test_the_clean_documents_are_those_that_the_filter_keeps():
    for documents, tests, length in CHECKS["12.2"].cases():
        keeps = Contamination([Document(test, "test") for test in tests], length)
        kept = [i for i, text in enumerate(documents) if keeps(Document(text, "read")) is None]
        assert CHECKS["12.2"](documents, tests, length) == kept
        long = [i for i, test in enumerate(tests) if len(words(test)) >= length]
        keeps = {i: Contamination([Document(tests[i], "test")], length) for i in long}
        seen = [i for i in long if any(map(keeps[i], (Document(text, "read") for text in documents)))]
        assert CHECKS["12.2 again"](documents, tests, length) == seen


def test_packed_rows_are_those_of_chapter_10():
    for ids, end in CHECKS["12.3"].cases():
        targets, places, mask = CHECKS["12.3"](ids, end)
        starts, documents = CHECKS["12.3 again"](ids, end), []
        for row in ids[:, :-1]:
            cuts = [0, *(np.flatnonzero(row[:-1] == end) + 1).tolist(), len(row)]
            documents.append(CHECKS["10.4 again"](np.diff(cuts).tolist(), len(row)))
        numbers = torch.tensor([numbers for numbers, _ in documents])
        np.testing.assert_array_equal(mask, document_mask(numbers)[:, 0].tril())
        np.testing.assert_array_equal(places, [places for _, places in documents])
        assert starts == [*np.flatnonzero(places == 0).tolist(), places.size]
        assert ((targets == -100) == (ids[:, :-1] == end)).all()


def one_batch(w, micro_batches, rate, max_norm):
    """The step on all tokens at once, by autograd and the course's clipping."""
    weight = torch.nn.Parameter(torch.from_numpy(w.copy()))
    x, y = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*micro_batches, strict=True))
    functional.binary_cross_entropy_with_logits(x[y != -100] @ weight, y[y != -100]).backward()
    clip_gradients([weight], max_norm)
    return (weight - rate * weight.grad).detach().numpy()


@pytest.mark.parametrize("id", ["12.4", "12.4 again"])
def test_accumulated_gradients_are_those_of_one_batch(id):
    for case in CHECKS[id].cases():
        step = CHECKS[id](*case)
        np.testing.assert_allclose(step, one_batch(*case), atol=2e-5)  # theirs divides by a norm + 1e-6
    assert not np.allclose(batches.a_step_each(*case), one_batch(*case), rtol=1e-3)


def test_the_likeliest_option_is_the_one_that_the_evaluation_takes(model, tokenizer):
    words = ["a", "the tale", "naïve", "and so it was"]
    choices = [{"context": context, "options": words, "right": 0} for context in ("Once ", "He said: ")]
    before, found = tokenizer.token_to_id(END_OF_TEXT), []
    for choice in choices:
        question = [before, *tokenizer.encode(choice["context"]).ids]
        ids = [question + tokenizer.encode(option).ids for option in words]
        with torch.no_grad():
            tables = [model(torch.tensor([row])).log_softmax(-1)[0].numpy() for row in ids]
        found.append(CHECKS["12.6"](words, ids, tables, len(question))[0])
    for k in range(len(words)):
        asked = {"choices": [choice | {"right": k} for choice in choices]}
        assert evaluate.choices_right(model, tokenizer, asked) == [best == k for best in found]


def test_a_ranks_rows_are_those_of_its_share():
    rows, context, ranks = 12, 3, 3
    text = np.arange(rows * context + 1)
    for rank in range(ranks):
        share = Share(Epochs(text, len(text), 6, context, seed=5), rank, ranks)
        for epoch in (0, 1):
            read = [int(row[0]) // context for _ in range(2) for row in share.next()[0]]
            assert CHECKS["12.5"](rows, 5, epoch, rank, ranks) == read


@pytest.mark.parametrize("id, bits", [("12.7", 8), ("12.7 again", 4)])
def test_whole_numbers_are_those_of_the_quantised_matrix(id, bits):
    """Ours keeps scales in bfloat16: for steps that it holds exactly both are the same."""
    most = 2 ** (bits - 1) - 1
    numbers = np.random.default_rng(0).integers(-most, most + 1, size=(5, 32))
    numbers[:, 0] = most
    W = numbers * np.array([[0.5], [0.25], [3.0], [0.0], [2.0]])
    found, scales = CHECKS[id](W)
    np.testing.assert_array_equal(scales, [0.5, 0.25, 3, 1, 2])
    if bits == 8:
        matrix = Quantised(torch.from_numpy(W), 8)
        np.testing.assert_array_equal(found, matrix.numbers)
        np.testing.assert_array_equal(found * scales[:, None], matrix.weight)
    else:  # ours has a zero point, and packs in the same way
        halves = np.stack([found % 16, found // 16], -1).reshape(W.shape) - 8.0
        np.testing.assert_array_equal(halves * scales[:, None], W)


def test_exposures_are_those_of_the_package():
    for log_p, canary in CHECKS["12.8"].cases():
        found = CHECKS["12.8"](log_p, canary)
        assert [found] == pytest.approx(exposures(log_p, [canary]))
        assert CHECKS["12.8 again"](np.delete(log_p, canary), log_p[canary]) == found


def test_an_interval_is_that_of_the_card():
    for right, n in CHECKS["12.9"].cases():
        assert CHECKS["12.9"](right, n) == pytest.approx(wilson(right, n))
