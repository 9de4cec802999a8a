"""The reviews are split once and for all, and no part has a text of another."""

from course_utils.data.reviews import reviews


def test_the_split_is_fixed():
    parts = reviews()
    counts = {
        name: (len(part), sum(review.positive for review in part), sum(r.source == "imdb" for r in part))
        for name, part in vars(parts).items()
    }
    assert counts == {
        "train": (26_752, 13_375, 19_924),
        "validation": (3_296, 1_605, 2_448),
        "test": (3_353, 1_735, 2_502),
    }


def test_the_first_reviews_are_of_both_kinds():
    for part in vars(reviews()).values():
        first = part[:500]
        assert 200 < sum(review.positive for review in first) < 300
        assert 300 < sum(review.source == "imdb" for review in first) < 430


def test_no_text_stands_on_two_sides():
    sides = [{review.text.lower() for review in part} for part in vars(reviews()).values()]
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert not any("<br" in review.text or "\x96" in review.text for review in reviews().train)
