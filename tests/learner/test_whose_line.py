"""Lines by two hands: they are numbered, a guess is counted, and one that is no guess says what is wanted."""

from course_utils.learner.whose_line import WhoseLine

LINES = WhoseLine([("To be", "S"), ("<b>teh", "M"), ("or not", "S")])


def test_they_are_listed():
    assert repr(LINES) == " 1  To be\n 2  <b>teh\n 3  or not"
    html = LINES._repr_html_()
    assert html.count("<li>") == 3 and "&lt;b&gt;teh" in html and 'data-truth="SMS"' in html


def test_a_guess_is_counted():
    assert LINES.guess("smm") == "2 of 3 right; the truth is SMS"


def test_without_a_letter_a_line_the_truth_is_kept():
    assert LINES.guess("") == LINES.guess("SM")
    assert LINES.guess("ßMS") == LINES.guess("")  # four letters when they are large
    assert "3 letters, S or M" in LINES.guess("") and "SMS" not in LINES.guess("")
