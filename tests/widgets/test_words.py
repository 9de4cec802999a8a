"""Text in a sentence: every character to be seen, and the sentence in its order."""

import pytest

from course_utils.widgets.words import isolated, one_sign, quoted, shortened, signed, signs


@pytest.mark.parametrize(
    ("text", "seen"),
    [("a b\n", "a·b⏎"), ("\t\0", "⇥‹00›"), ("\udcc3", "‹C3›"), ("a\u202eb", "a‹202E›b"), ("$x$", "$x$")],
)
def test_no_character_is_invisible(text, seen):
    assert signs(text) == seen and quoted(text) == f"“{seen}”"


def test_only_right_to_left_text_is_isolated():
    for text in ("a", "12", "?", "né 🦜", ""):
        assert isolated(text) == text
    for text in ("שלום", "abc שלום 12", "مرحبا"):
        assert quoted(text) == f"“\u2068{signs(text)}\u2069”"
    # what would close the isolate from inside is a sign
    assert quoted("ש\u2069") == "“\u2068ש‹2069›\u2069”"


def test_a_long_text_by_its_beginning_or_its_end():
    assert shortened("hello", 5) == "hello" and shortened("hello!", 5) == "hell…"
    assert shortened("hello!", 5, end=True) == "…llo!"


def test_numbers_and_signs():
    assert [signed(x) for x in (1.234, -1.234, -0.001, 0)] == ["1.23", "−1.23", "0.00", "0.00"]
    assert signed(-3, 0) == "−3"
    assert [one_sign(c) for c in ("a", " ", "\0", "\udcc3", "🦜")] == ["a", "·", ".", ".", "🦜"]
