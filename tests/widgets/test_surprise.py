"""The surprise line without a browser: what crosses, the sentence, the picture, and hostile input."""

import json

import pytest

from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.surprise import MAX_BYTES, Piece, SurpriseLine


def every(size):
    """A reader whose tokens have `size` bytes; the token at place i costs i bits."""

    def read(text):
        data = text.encode()
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        return [Piece(piece, float(i), b"e", 0.125) for i, piece in enumerate(pieces)]

    return read


@pytest.fixture
def line():
    return SurpriseLine({"bytes": every(1), "threes": every(3)}, {"a question": "to be?"})


def answer(line, **request):
    line._answer(line, {"id": "me/1", **request}, [])
    return line.shown


def test_the_tokens_of_each_reader_cross_as_they_are(line):
    shown = answer(line, text="né 🦜")
    assert shown["pieces"] == [["n", 1], ["é", 2], [" ", 1], ["🦜", 4]]
    assert [token[:3] for token in shown["readers"]["threes"]] == [
        [3, "né", 0.0],
        [3, " ‹F0›‹9F›", 1.0],
        [2, "‹A6›‹9C›", 2.0],
    ]
    assert sum(token[0] for token in shown["readers"]["bytes"]) == 8


def test_the_sentence_says_the_numbers_and_is_the_repr_and_the_plain_text(line):
    answer(line, focus=3)
    sentence = (
        "Bits a byte over 6 bytes: bytes 2.50 (15.0 bits in all), threes 0.17 (1.0 bits in all). At byte 3: "
        "bytes pays 3.0 bits for “b” (likeliest was “e”, 12 %); threes pays 1.0 bits for “be?” (likeliest "
        "was “e”, 12 %)."
    )
    bundle = line._repr_mimebundle_()
    assert line.describe() == repr(line) == bundle["text/plain"] == line.shown["sentence"] == sentence
    assert bundle[WIDGET_VIEW]["model_id"] == line.model_id


def test_a_text_is_read_once_however_the_focus_moves():
    read = []

    def counting(text):
        read.append(text)
        return every(1)(text)

    line = SurpriseLine({"bytes": counting}, {"a": "to be"})
    for focus in range(5):
        assert answer(line, text="to be", focus=focus)["focus"] == focus
    assert read == ["to be"]


@pytest.mark.parametrize(
    "text",
    ["", " ", "x" * 10_000, "🦜" * 5000, "to \ud83d", "</script><script>1</script>", "שלום", "\0\n\t", "$a$"],
)
def test_hostile_texts_give_numbers_or_a_message(line, text):
    shown = answer(line, text=text)
    assert shown["problem"] == "" and sum(width for _, width in shown["pieces"]) <= MAX_BYTES
    assert ("characters; the last 240 are read" in shown["notice"]) == (text == "x" * 10_000)
    assert ("Got 5,000 characters; the last 60 are read" in shown["notice"]) == (text == "🦜" * 5000)
    assert ("lone surrogate" in shown["notice"]) == ("\ud83d" in text)
    bundle = line._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000
    assert (shown["sentence"] == "No text: nothing to be surprised at.") == (text == "")


@pytest.mark.parametrize("focus", [-1, 6, "end"])
def test_a_byte_that_is_not_there_is_refused_in_a_sentence(line, focus):
    before = answer(line, text="to be?", focus=2)
    shown = answer(line, text="to be?", focus=focus)
    assert f"from 0 to 5; got {focus!r}" in shown["problem"] and shown["focus"] == before["focus"]


def test_a_reader_that_fails_or_reads_another_text_says_so(line):
    line._readers["bytes"] = lambda text: 1 / 0
    assert "ZeroDivisionError" in answer(line, text="new")["problem"]
    line._readers["bytes"] = lambda text: every(1)(text + "!")
    shown = answer(line, text="new")
    assert "bytes read other bytes than the text's: got b'new!'" in shown["problem"]
    assert shown["text"] == "to be?"


def test_readers_that_can_not_be_told_apart_are_refused():
    for readers in ({}, dict.fromkeys("abcde", every(1))):
        with pytest.raises(ValueError, match=f"1 to 4 readers can be told apart; got {len(readers)}"):
            SurpriseLine(readers, {"a": "b"})


def test_the_picture_gives_no_warning(line, recwarn):
    for text in ("", "to be 🦜é\0", "x" * 300):
        answer(line, text=text)
        line.png()
    assert not recwarn.list
