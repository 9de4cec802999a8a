"""The drawn models: every part with its count, and none that covers another."""

from itertools import combinations

import pytest

from course_utils.measuring.diagrams import encoder_decoder_chart, model_chart

PARAMETERS = {
    "embedding": 16384,
    "positions": 2048,
    "norm": 128,
    "attention": 16640,
    "feed-forward": 33088,
    "last norm": 129,
    "output": 16641,
}


def boxes(chart):
    """The words in the picture, and where in it they stand."""
    chart.figure.draw_without_rendering()
    (axes,) = chart.figure.axes
    return {text: text.get_window_extent() for text in axes.texts if text.get_text()}


def test_the_picture_and_its_sentence_name_all_parts():
    chart = model_chart(6, PARAMETERS)
    words = [text.get_text() for text in boxes(chart)]
    for name, n in PARAMETERS.items():
        assert words.count(f"{name}\n{n:,}") == (2 if name == "norm" else 1)
        assert f"{name} {n:,}" in repr(chart)
    assert sum("6 times" in word for word in words) == 1 and "6 blocks" in repr(chart)


def test_no_words_cover_others_or_leave_the_picture():
    chart = model_chart(16, {name: 123_456_789 for name in PARAMETERS})
    places = boxes(chart)
    width, height = chart.figure.canvas.get_width_height()
    for place in places.values():
        assert place.x0 >= 0 and place.x1 <= width and place.y0 >= 0 and place.y1 <= height
    for one, other in combinations(places.values(), 2):
        assert not one.overlaps(other)


def test_a_part_without_its_count_is_missed():
    with pytest.raises(KeyError, match="last norm"):
        model_chart(2, {name: n for name, n in PARAMETERS.items() if name != "last norm"})


@pytest.mark.parametrize("looking", [None, 0, 1, 3])
def test_an_encoder_decoder_is_drawn_with_what_it_reads_and_writes_and_where_one_step_looks(looking):
    chart = encoder_decoder_chart("knight", ["N", "AY", "T"], looking)
    places = boxes(chart)
    words = [text.get_text() for text in places]
    assert [words.count(word) for word in ("k", "start", "AY", "end", "one vector")] == [1, 1, 2, 1, 1]
    assert (words.count("the query"), "query" in repr(chart)) == (
        (0, False) if looking is None else (1, True)
    )
    if looking is not None:
        assert f"As it writes {['N', 'AY', 'T', 'end'][looking]}," in repr(chart)
    width, height = chart.figure.canvas.get_width_height()
    assert all(p.x0 >= 0 and p.y0 >= 0 and p.x1 <= width and p.y1 <= height for p in places.values())
    assert not any(one.overlaps(other) for one, other in combinations(places.values(), 2))
