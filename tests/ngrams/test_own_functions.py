import math
import random

import pytest

from course_utils.ngrams.own_functions import Line, LineCoder, narrow


def cut(distribution, width):
    pieces, below = {}, 0.0
    for letter, p in distribution.items():
        pieces[letter] = (int(width * below), int(width * (below + p)))
        below += p
    return pieces


def model(text):
    """What follows a letter depends on it."""
    return {"a": 0.5, "b": 0.3125, "c": 0.1875} if text[-1] == "a" else {"c": 0.015625, "a": 0.984375}


def drawn(n, rng):
    text = "a"
    while len(text) <= n:
        text += rng.choices(*zip(*model(text).items(), strict=True))[0]
    return text[1:]


@pytest.mark.parametrize("n", [0, 1, 2, 10, 3000])
def test_a_text_comes_back_and_takes_less_than_a_bit_more_than_its_price(n):
    coder, rng = LineCoder(model, cut, start="a"), random.Random(n)
    for _ in range(20 if n < 100 else 2):
        text = drawn(n, rng)
        price = -sum(math.log2(model("a" + text[:i])[letter]) for i, letter in enumerate(text))
        number, n_bits = coder.encode(text)
        assert number < 2**n_bits and price - 1e-3 <= n_bits < price + 1
        assert coder.decode(number, n_bits, n) == text


def test_the_numbers_of_bac():
    line, distribution = Line(0, 8, 3), {"a": 0.5, "b": 0.25, "c": 0.25}
    lines = [line := narrow(line, *cut(distribution, line.width)[letter], full=8) for letter in "bac"]
    assert lines == [(8, 4, 4), (16, 4, 5), (76, 4, 7)]
    assert LineCoder(lambda text: distribution, cut).encode("bac") == (0b10011, 5)


def test_a_letter_without_width_is_refused():
    coder = LineCoder(lambda text: {"a": 1.0, "b": 0.0}, cut)
    with pytest.raises(ValueError, match="piece is empty"):
        coder.encode("ab")
    with pytest.raises(KeyError):
        coder.encode("c")


def test_a_number_in_no_piece_is_refused():
    coder = LineCoder(lambda text: {"a": 0.5, "b": 0.25}, cut)
    assert coder.decode(0b10, 2, 1) == "b"
    with pytest.raises(ValueError, match="in no letter's piece"):
        coder.decode(0b11, 2, 1)
