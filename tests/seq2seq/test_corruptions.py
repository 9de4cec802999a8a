"""Five objectives side by side: each as its own function has it, with the same tokens hidden."""

import pytest
import torch

from course_utils.seq2seq.corruptions import corruptions, drawn_spans
from course_utils.seq2seq.noises import infilling_spans, text_infilling, token_deletion, token_masking
from course_utils.seq2seq.objectives import prefix_lm, random_spans, span_corruption

SENTINELS, MASK = list(range(100, 130)), 99
IDS = list(range(60))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(20))
def test_each_objective_is_what_its_own_function_makes(seed):
    def made(name, spans, cut=0):
        return corruptions(IDS, spans, cut, SENTINELS, MASK)[name]

    assert made("span corruption", random_spans(60, generator=seeded(seed))) == span_corruption(
        IDS, SENTINELS, generator=seeded(seed)
    )
    spans = infilling_spans(60, mean_span=1, generator=seeded(seed))
    assert any(start == end for start, end in spans)  # one in three has no token
    infilled = text_infilling(IDS, MASK, mean_span=1, generator=seeded(seed))
    assert made("infilling", spans) == (infilled, IDS)
    masked = token_masking(IDS, MASK, generator=seeded(seed))
    alone = [(i, i + 1) for i in IDS if masked[i] == MASK]
    assert made("token masking", alone) == (masked, IDS)
    assert made("token deletion", alone) == (token_deletion(IDS, generator=seeded(seed)), IDS)
    source, target = prefix_lm(IDS, seeded(seed))
    assert made("prefix LM", spans, len(source)) == (source, target)


def test_a_span_of_length_0_is_a_mask_more_and_else_nothing():
    made = corruptions(IDS[:4], [(0, 0), (2, 3)], 0, SENTINELS, MASK)
    assert made["infilling"].source == [MASK, 0, 1, MASK, 3]
    without = corruptions(IDS[:4], [(2, 3)], 0, SENTINELS, MASK)
    assert made | {"infilling": 0} == without | {"infilling": 0}


def test_with_nothing_hidden_all_is_read():
    made = corruptions(IDS, [], 0, SENTINELS, MASK)
    assert made.pop("span corruption") == (IDS, [])  # and nothing is left to write
    assert made.pop("prefix LM") == ([], IDS)
    assert all(each == (IDS, IDS) for each in made.values())


@pytest.mark.parametrize(
    ("spans", "cut", "says"),
    [
        ([], 60, "the cut lies from 0 to 59, so that there is something to write; got 60"),
        ([(3, 5), (4, 6)], 0, "expected spans of at least one token each, in order"),
        ([(3, 3), (2, 2)], 0, "expected spans in order, within 60 tokens"),
    ],
)
def test_bad_input_gets_a_sentence(spans, cut, says):
    with pytest.raises(ValueError, match=says):
        corruptions(IDS, spans, cut, SENTINELS, MASK)


def test_spans_are_drawn_by_their_seed():
    draws = [drawn_spans(11, 0.15, 3, seed) for seed in range(50)]
    assert draws == [drawn_spans(11, 0.15, 3, seed) for seed in range(50)]
    assert all(sum(end - start for start, end in spans) == 2 for spans in draws)
    assert len({spans[0] for spans in draws}) > 5
