"""The corruption builder without a browser: what is hidden, its numbers, and bad input."""

import json

import pytest

from course_utils.seq2seq.corruptions import corruptions, drawn_spans
from course_utils.seq2seq.objectives import put_together
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.corruption_builder import MAX_TOKENS, CorruptionBuilder, hidden_places, spans_of

TOKENS = ["Thank", "you", "for", "inviting", "me", "to", "your", "party", "last", "week", "."]


def build(tokens=TOKENS, spans=((2, 4), (8, 9)), together=put_together, **more):
    return CorruptionBuilder(tokens, corruptions, drawn_spans, together, spans=spans, **more)


def answer(widget, **request):
    widget._answer(widget, {"id": "me/1", **request}, [])
    return widget.shown


def test_the_sentence_has_the_lengths_of_each_objective_and_is_the_repr():
    widget = build()
    sentence = widget.describe()
    assert "3 of 11 tokens hidden in 2 spans. Tokens that" in sentence
    # T5's figure 2 without its last sentinel: <X> for inviting <Y> last </s>
    assert (
        "span corruption 11 and 6 (50.0 %), infilling 11 and 12 (100.0 %), token masking 12 and 12"
        in sentence
    )
    assert sentence.endswith("token deletion 9 and 12 (100.0 %), prefix LM 6 and 7 (58.3 %).")
    bundle = widget._repr_mimebundle_()
    assert repr(widget) == sentence == bundle["text/plain"] == widget.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == widget.model_id


def test_an_inserted_mask_is_read_by_infilling_alone():
    widget = build(spans=[(2, 4), (6, 6)])
    assert "2 of 11 tokens hidden in 1 span, and 1 mask inserted." in widget.describe()
    assert "span corruption 11 and 4 (33.3 %), infilling 12 and 12" in widget.describe()
    # within a span there is one already; at its ends there may be another
    assert answer(widget, masks=[2, 3, 4])["masks"] == [2, 4]
    assert answer(widget, masks=[3])["masks"] == [] and answer(widget, hidden=[])["hidden"] == []
    assert "0 of 11 tokens hidden in 0 spans." in widget.describe()


def test_a_draw_is_what_the_rule_draws_and_a_new_rule_draws_anew():
    widget = build(spans=None)
    for draw in range(20):
        for how in ({"draw": draw}, {"rate": 0.5}, {"mean": 1}, {"rate": 0.15, "mean": 3}):
            answer(widget, hidden=[0], masks=[11])
            shown = answer(widget, **how)
            state = widget.state
            drawn = drawn_spans(11, state["rate"], state["mean"], state["draw"])
            places = hidden_places(drawn)
            if not draw and how == {"draw": 0}:
                assert shown["hidden"] == [0]  # this was its draw already
            else:
                assert shown["hidden"] == places[0]
                assert spans_of(shown["hidden"], shown["masks"]) == spans_of(
                    places[0], [i for i in sorted(set(places[1])) if not {i - 1, i} <= set(places[0])]
                )


def test_put_together_is_asked_and_not_taken_for_granted():
    assert "Put together" not in build().describe()
    for hidden in ([], [0], [2, 3, 8], list(range(11))):
        widget = build()
        answer(widget, together=True, hidden=hidden)
        assert widget.describe().endswith("span corruption's source and target equal the text.")
    wrong = build(together=lambda source, target, sentinels: source)
    answer(wrong, together=True)
    assert wrong.describe().endswith("do not equal the text.")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tokens": ["one"]}, f"a sentence has 2 to {MAX_TOKENS} tokens, which can be taken in; got 1"),
        ({"tokens": ["a"] * 33}, "got 33"),
        ({"tokens": "Thank you"}, "got one text: cut it first"),
        ({"spans": [(2, 12)]}, "in order, within 11 tokens"),
        ({"spans": [(2, 5), (4, 6)]}, "in order, within 11 tokens"),
        ({"spans": [(3, 3), (2, 2)]}, "expected spans in order, within 11 tokens"),
        ({"cut": 11}, "cut is a whole number from 0 to 10; got 11"),
    ],
)
def test_what_can_not_be_shown_is_refused_in_a_sentence(given, says):
    with pytest.raises(ValueError, match=says):
        build(**given)


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"hidden": [11]}, "hidden is a list of some of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10; got [11]"),
        ({"masks": [12]}, "masks is a list of some of"),
        ({"rate": 1}, "rate is one of 0.05, 0.1"),
        ({"mean": 0}, "mean is a whole number from 1 to 6; got 0"),
    ],
)
def test_a_request_that_can_not_be_met_changes_nothing(request_, says):
    widget = build()
    before = widget.describe()
    assert says in answer(widget, **request_)["problem"] and widget.describe() == before


def test_the_picture_grows_with_the_sentence_and_is_small(recwarn):
    heights = []
    for tokens in (TOKENS, ["a"] * 2, ["<script>$x$\n"] * 32, ["x" * 999, "\udcc3", "שלום"]):
        png = build(tokens, spans=[(0, 1)])._repr_mimebundle_()["text/html"]
        assert "<script" not in png and len(json.dumps(png)) < 200_000
        heights.append(int.from_bytes(build(tokens, spans=[(0, 1)]).png()[20:24], "big"))
    assert heights[0] == heights[1] < heights[2] and not recwarn.list
