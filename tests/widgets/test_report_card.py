"""The report card without a browser: its sentence, its Markdown, bad input, odd names."""

import pytest

from course_utils.pretraining.reports import Number, Report
from course_utils.widgets.report_card import ReportCard, against_chance, in_words

SAYS = "It comes from here.", "It says little."
ODD = "", "</script>", "שלום 🦜", "$x$", "half \ud83d"


def right(value=0.3, low=0.2, high=0.4, chance=0.25, measure="sums", n=60):
    return Number(measure, value, "share", *SAYS, low, high, chance, n)


def bits(value=2.5, measure="bits per byte"):
    return Number(measure, value, "bits", *SAYS)


def card():
    chats = Report([bits(), right()], ["It fails."], [["1+1=", "3"], ["a|b", "<b>"]])
    return ReportCard({"base": Report([bits(2.25)]), "chat": chats})


def test_the_sentence_says_the_number_with_chance_interval_n_and_what_stands_beside_it():
    made = card()
    assert repr(made) == "“bits per byte”, “chat”: 2.500 bits; beside it “base” 2.250 bits."
    made.handle({"measure": "sums"})
    assert repr(made) == (
        "“sums”, “chat”: 30.0 % (20.0 to 40.0), by chance 25.0 %, n = 60. "
        "As far as 60 questions show, that is what guessing reaches."
    )
    made.handle({"model": "base"})
    assert repr(made).startswith("“sums”, “base”: was not measured; beside it “chat” 30.0 %")


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (right(0.5, 0.4, 0.6), "That is more than guessing reaches."),
        (right(0.1, 0.0, 0.2), "That is less than guessing reaches."),
        (right(0.3, 0.25, 0.4, n=None), "As far as this shows, that is what guessing reaches."),
        (right(chance=None), ""),
        (bits(), ""),
    ],
)
def test_a_number_is_held_against_chance(number, says):
    assert against_chance(number) == says


def test_a_small_share_keeps_its_digits():
    assert in_words(right(0.0015, None, None, 0.00005)) == "0.15 %, by chance 0.005 %"
    assert in_words(right(0.0, None, None, None)) == "0.0 %"


def test_the_markdown_has_every_number_where_it_comes_from_and_no_markup_of_a_text():
    text = card().markdown()
    assert "bits per byte | 2.250 bits | 2.500 bits" in text
    assert "sums |  | 30.0 % (20.0 to 40.0), by chance 25.0 %" in text
    assert text.count("It comes from here. It says little.") == 2
    assert "## Known failures: chat\n\nIt fails." in text and "a\\|b | &lt;b&gt;" in text


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({}, "1 to 6 models and 1 to 20 measures; got 0 and 0"),
        ({"a": Report([])}, "got 1 and 0"),
        ({str(i): Report([bits()]) for i in range(7)}, "got 7 and 1"),
        ({"a": Report([bits(measure=str(i)) for i in range(21)])}, "got 1 and 21"),
        ({"a": Report([bits(float("nan"))])}, "a finite number of bits or a share; got nan bits"),
        ({"a": Report([right()._replace(unit="metres")])}, r"got 0\.3 metres"),
        ({"a": Report([bits(2.0), bits(3.0)])}, "the report of “a” has two numbers of one measure"),
        ({"a": Report([right(high=None)])}, r"has two ends or none; got 0\.2 and None"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(models, message):
    with pytest.raises(ValueError, match=message):
        ReportCard(models)


def test_names_may_be_anything_and_the_picture_gives_no_warning(recwarn):
    numbers = [right(measure=name) for name in ODD[1:]] + [bits(measure="")]
    assert ReportCard({name: Report(numbers, ODD, [[name, name]]) for name in ODD}).png()
    assert not recwarn.list
