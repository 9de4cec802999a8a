"""The recorded points belong to the text that the course scores, and can be measured again."""

from dataclasses import asdict, replace

import pytest

from course_utils.data import corpora
from course_utils.measuring import scoreboard
from course_utils.ngrams import NGramModel
from course_utils.tokenizers import ByteTokenizer


def test_recorded_points_are_of_this_text():
    points, lines = scoreboard.recorded()
    assert {p.test_sha256 for p in points} == {corpora.shakespeare().test_sha256}
    assert set(lines) == {"gzip", "bz2", "xz"}


@pytest.mark.parametrize("order", [1, 3, 7])
def test_a_recorded_point_is_what_one_measures(order):
    corpus, tokenizer = corpora.shakespeare(), ByteTokenizer()
    model = NGramModel(order).fit([tokenizer.encode(play) for play in corpus.train.values()], 256)
    (point,) = [p for p in scoreboard.recorded()[0] if p.name == f"{order}-gram"]
    assert model.bits_per_byte(tokenizer.encode(corpus.test)) == pytest.approx(point.bits_per_byte, abs=1e-4)
    assert sum(model.entries) == point.parameters


def test_the_compressors_lines_are_what_one_measures():
    measured = scoreboard.compressors(corpora.shakespeare())
    for name, bits in scoreboard.recorded()[1].items():
        assert measured[name] == pytest.approx(bits, abs=0.02)  # zlib builds differ by some bytes


def test_the_best_n_gram_is_where_the_course_says():
    points = {p.name: p.bits_per_byte for p in scoreboard.recorded()[0] if p.family == "n-gram"}
    assert points["7-gram"] <= 2.30
    assert points["7-gram"] == min(points.values())


def test_what_learns_while_it_reads_is_of_its_own_kind():
    points = {p.name: p for p in scoreboard.recorded()[0]}
    adaptive = points["8-gram, reads on"]
    assert adaptive.is_adaptive and sum(p.is_adaptive for p in points.values()) == 1
    assert adaptive.bits_per_byte < points["8-gram"].bits_per_byte - 0.1
    assert scoreboard.lowest([adaptive, points["8-gram"]]).name == "8-gram"
    assert scoreboard.table([adaptive]).splitlines()[-1].endswith("  as it goes")
    for ask in (scoreboard.lowest, lambda points: scoreboard.chart(points, {})):
        for alone in ([], [adaptive]):
            with pytest.raises(ValueError, match=f"has not read the test text; got none among {len(alone)}"):
                ask(alone)


def test_a_bound_stands_beside_the_points_and_never_among_them():
    (bound,), (points, _) = scoreboard.recorded_bounds(), scoreboard.recorded()
    assert bound.name not in {point.name for point in points}
    assert bound.low < bound.bits_per_byte < bound.high < bound.low + 0.05
    chart = scoreboard.chart(points[:3], {}, "parameters", bounds=[bound])
    assert "lowest of 3 models is 3-gram" in repr(chart)
    assert f"masked, a bound, 3.001 ({bound.low:.3f} to {bound.high:.3f} by other masks)" in repr(chart)
    assert bound.name in [text.get_text() for text in chart.figure.axes[0].texts]
    with pytest.raises(ValueError, match="the estimate lies in its interval"):
        replace(bound, low=bound.high)
    with pytest.raises(ValueError, match="2 different texts"):
        scoreboard.chart(points, {}, bounds=[replace(bound, test_sha256="0" * 64)])


def test_points_on_different_texts_are_refused():
    points, _ = scoreboard.recorded()
    other = replace(points[0], test_sha256="0" * 64)
    with pytest.raises(ValueError, match="2 different texts"):
        scoreboard.chart([points[1], other], {})
    with pytest.raises(ValueError, match="2 different texts"):
        scoreboard.table([points[1], other])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"has_read_test": "maybe"}, "'no' or 'probably'"),
        ({"how": "guessed"}, "'live' or 'recorded'"),
        ({"bits_per_byte": float("nan")}, "above 0"),
        ({"family": "oracle"}, "family must be one of"),
    ],
)
def test_a_point_says_what_it_is(change, message):
    point = scoreboard.recorded()[0][0]
    with pytest.raises(ValueError, match=message):
        scoreboard.Point(**asdict(point) | change)


def test_the_chart_has_a_mark_for_each_point_and_a_line_for_each_compressor():
    points, lines = scoreboard.recorded()
    chart = scoreboard.chart(points, lines, "parameters")
    assert "lowest of 16 models is GPT, recorded with 2.050; " in repr(chart)
    assert "8-gram, reads on, which learns while it reads, 2.11" in repr(chart)
    assert "which has probably read it, 1.638; gzip 3.2" in repr(chart)
    axes = chart.figure.axes[0]
    texts = [text.get_text() for text in axes.texts]
    assert set(texts) == {p.name for p in points} | set(lines)
    with_person = scoreboard.chart(points, {}, intervals={"you": (0.9, 1.8)})
    assert repr(with_person).endswith("you between 0.90 and 1.80.")
    assert "you" in [text.get_text() for text in with_person.figure.axes[0].texts]
    with pytest.raises(ValueError, match="against must be one of"):
        scoreboard.chart(points, lines, "luck")
