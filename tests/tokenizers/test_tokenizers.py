"""Bytes and words: what goes in comes out, and every byte is paid for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_utils.tokenizers import ByteTokenizer, WordTokenizer

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
SPACED = st.lists(st.sampled_from(["a", "don't", " ", "  ", "\n", ",", "<unk>", "<", "_", "é", "--"])).map(
    "".join
)


@given(TEXTS)
def test_bytes_round_trip(text):
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode(text)
    assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text


@given(st.binary(max_size=40))
def test_bytes_of_any_kind_round_trip(data):
    assert ByteTokenizer().decode_bytes(ByteTokenizer().encode(data)) == data


@given(st.one_of(TEXTS, SPACED))
def test_words_split_and_join(text):
    assert WordTokenizer.join(WordTokenizer.split(text)) == text


@given(st.one_of(TEXTS, SPACED).filter(bool))
def test_words_encode_and_decode_their_own_training_text(text):
    tokenizer = WordTokenizer(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.spelling_bits(text) == 0


def test_ordinary_text_spends_no_token_on_spaces():
    assert WordTokenizer.split("Boatswain!\nHere, master") == ["Boatswain", "!", "\n", "Here", ",", "master"]
    assert WordTokenizer.split("a  b") == ["a", "<space>", "b"]
    assert WordTokenizer.split("(a)") == ["(", "<join>", "a", ")"]


def test_rare_words_become_unk_and_pay_for_their_spelling():
    tokenizer = WordTokenizer("the cat the dog the", min_count=2)
    assert tokenizer.tokens == ["<unk>", "<space>", "<join>", "the"]
    assert list(tokenizer.encode("the cat")) == [3, 0]
    assert tokenizer.decode([3, 0]) == "the <unk>"
    assert tokenizer.spelling_bits("the cat") == 8 * (3 + 1)


BAD = [
    (lambda: ByteTokenizer().encode("ab\ud83d"), r"character 2 .*lone surrogate U\+D83D"),
    (lambda: ByteTokenizer().decode([0xC3]), r"byte 0 \(0xc3\)"),
    (lambda: ByteTokenizer().decode([65, 256]), "got 256"),
    (lambda: ByteTokenizer().decode([-1]), "got -1"),
    (lambda: WordTokenizer("a", min_count=0), "at least 1; got 0"),
    (lambda: WordTokenizer(""), "is empty"),
    (lambda: WordTokenizer("a").decode([4]), "between 0 and 3; got 4"),
]


@pytest.mark.parametrize("ask, message", BAD, ids=[m for _, m in BAD])
def test_bad_input(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


def test_half_a_character_can_be_shown():
    assert ByteTokenizer().decode(np.array([65, 0xC3]), errors="replace") == "A�"
