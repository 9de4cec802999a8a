"""Symbols and their ids."""

import pytest

from course_utils.tokenizers.symbols import END, PAD, START, Symbols


def test_ids_and_back():
    letters = Symbols("abc")
    assert len(letters) == 6 and letters.encode("ab") == [3, 4]
    assert letters.decode([START, 3, 4, PAD, END, 5]) == ("a", "b")
    with pytest.raises(ValueError, match="'é' is unknown; the symbols are a b c"):
        letters.encode("aé")
    with pytest.raises(ValueError, match="'' is unknown"):
        letters.encode([""])  # what stands for padding is no symbol


def test_what_no_symbol_has():
    for i in (-1, 6):
        with pytest.raises(ValueError, match=f"between 0 and 5; got {i}"):
            Symbols("abc").decode([3, i])
    with pytest.raises(ValueError, match=r"each symbol stands once; got \('a', 'a', 'b'\)"):
        Symbols("aab")
