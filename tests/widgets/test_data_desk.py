"""The data desk without a browser: who removes what, how right that is, what a hand changes, bad input."""

import pytest

from course_utils.pretraining.filters.judging import Judged
from course_utils.widgets.data_desk import TOGETHER, Counts, DataDesk

ODD = "", "</script>", "שלום 🦜", "$x$", "half \ud83d"


def documents(truths=("a", "a", "b", "", "", None)):
    """Six documents; filter a removes the first, the fourth and the last, filter b the first two."""
    a, b = [1, 0, 0, 1, 0, 1], [1, 1, 0, 0, 0, 0]
    said = [
        {"a": "it is bad" if x else None, "b": "it is odd" if y else None} for x, y in zip(a, b, strict=True)
    ]
    return [Judged(f"text {i}", f"file {i}", reasons, truths[i]) for i, reasons in enumerate(said)]


def test_a_filter_is_right_about_what_should_go_for_any_reason_and_misses_what_is_its_own_task():
    found = DataDesk(documents()).found
    assert found["a"] == Counts(removed=3, known=2, right=1, should=2, found=1)
    assert found["b"] == Counts(removed=2, known=2, right=2, should=1, found=0)
    assert found[TOGETHER] == Counts(removed=4, known=3, right=2, should=3, found=2)


def test_verdicts_of_ones_own_move_precision_and_recall():
    desk = DataDesk(documents())
    desk.handle({"keep": [3], "drop": [2]})
    assert desk.found["a"] == Counts(2, 1, 1, 2, 1)
    assert desk.found[TOGETHER] == Counts(4, 3, 3, 3, 3)
    assert "With 2 of 2 filters and 2 verdicts of yours 4 of 6 documents are removed" in repr(desk)
    all_right = "100.0 % (43.8 to 100.0)"
    assert f"of these {all_right} should go, and of the 3 that should go {all_right} are" in repr(desk)
    desk.handle({"keep": [3, 2]})
    assert desk.state["keep"] == [3]  # what is dropped is not kept
    desk.handle({"keep": [], "drop": [], "filters": ["b"]})
    assert desk.found[TOGETHER] == Counts(2, 2, 2, 3, 2) and desk.found["a"].removed == 3


def test_without_the_truth_nothing_is_said_of_it_and_there_is_no_list_of_what_is_wrong():
    desk = DataDesk(documents([None] * 6))
    assert repr(desk) == "With 2 of 2 filters 4 of 6 documents are removed; what should go is not known."
    with pytest.raises(ValueError, match="list is one of all, kept, removed, overruled, removed by a"):
        desk.handle({"list": "wrong"})
    assert desk.png()


def test_the_list_of_what_is_wrong_shows_the_truth():
    desk = DataDesk(documents())
    desk.handle({"list": "wrong"})
    assert desk.state["told"]


def test_a_long_document_is_cut_and_says_so():
    desk = DataDesk([each._replace(text="x" * 5000) for each in documents()])
    [first, *_] = desk.fixed["documents"]
    assert len(first["text"]) == 1500 and first["more"] == 3500


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "1 to 300 documents; got 0"),
        (documents() * 51, "got 306: take a sample"),
        ([Judged("", "", {})], "1 to 12 filters; got 0"),
        ([*documents(), Judged("", "", {"a": None})], "document 7 has a and None"),
        (documents(["a", "c"] * 3), "document 2 has a, b and 'c'"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(given, message):
    with pytest.raises(ValueError, match=message):
        DataDesk(given)


def test_names_may_be_anything_and_the_picture_gives_no_warning(recwarn):
    reasons = dict(zip(ODD, ODD, strict=True))
    assert DataDesk([Judged(name, name, reasons, name) for name in ODD]).png()
    assert not recwarn.list
