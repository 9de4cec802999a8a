"""The tokenizer bench without a browser: what crosses, the sentence, the picture, and hostile input."""

import json

import pytest

from course_utils.tokenizers import BPETokenizer, WordPieceTokenizer
from course_utils.widgets.base import WIDGET_VIEW
from course_utils.widgets.tokenizer_bench import (
    MAX_CHARACTERS,
    MAX_CHIPS,
    TokenizerBench,
    byte_tokens,
    word_piece_tokens,
)

LINES = "to be or not to be, that is the question\n" * 9 + "the rest is silence, or is the parrot here?"
OWN = BPETokenizer.train(LINES, 256 + 30)
FAST = OWN.fast()
PIECES = WordPieceTokenizer(["[UNK]", "to", "be", "que", "##st", "##ion", "</", "script", ">", "<", "/"])
VERSES = {
    "English": ["to be", "the question"],
    "German": ["sein", "die Frage"],
    "Russian": ["быть", "вопрос"],
}


@pytest.fixture
def bench():
    others = {"real BPE": byte_tokens(FAST), "WordPiece": word_piece_tokens(PIECES)}
    return TokenizerBench(OWN.merges, others, VERSES, {"line": "to be question"})


def answer(bench, **request):
    bench._answer(bench, {"id": "me/1", **request}, [])
    return bench.shown


def chips(row):
    return [token["text"] for token in row["tokens"]]


@pytest.mark.parametrize("merges", [0, 1, 2, 7, 20, 25, 30])
def test_own_tokens_are_those_of_a_tokenizer_with_so_many_merges(bench, merges):
    text = "to be, or the question é🦜"
    row = answer(bench, text=text, merges=merges)["rows"][0]
    ids = BPETokenizer(OWN.merges[:merges]).encode(text)
    assert [token["id"] for token in row["tokens"]] == ids.tolist() and row["count"] == len(ids)
    assert bytes.fromhex(" ".join(token["bytes"] for token in row["tokens"])) == text.encode()


def test_a_chip_says_what_it_was_merged_from_and_the_slider_what_came_last(bench):
    shown = answer(bench, text="to be", merges=30)
    for token in shown["rows"][0]["tokens"]:
        assert "".join(token["from"]) == (token["text"] if token["id"] >= 256 else "")
    assert shown["last"] == [OWN.tokens[i].decode() for i in OWN.merges[29]]
    assert answer(bench, merges=0)["last"] == []


def test_the_others_are_cut_as_their_tokenizers_cut_them(bench):
    rows = answer(bench, text="to question être")["rows"]
    assert [token["id"] for token in rows[1]["tokens"]] == FAST.encode("to question être").ids
    assert chips(rows[2]) == ["to", "que", "##st", "##ion", "[UNK]"]


def test_half_characters_are_shown_as_bytes(bench):
    assert chips(answer(bench, text="é", merges=0)["rows"][0]) == ["‹C3›", "‹A9›"]


def test_costs_are_tokens_a_verse_and_follow_the_merges(bench):
    for merges in (0, 30):
        own = BPETokenizer(OWN.merges[:merges])
        costs = answer(bench, merges=merges)["rows"][0]["costs"]
        assert costs == {
            language: sum(len(own.encode(text)) for text in texts) / 2 for language, texts in VERSES.items()
        }
    assert answer(bench, merges=0)["rows"][0]["costs"]["English"] == (5 + 12) / 2


def test_the_sentence_is_the_repr_and_the_plain_text(bench):
    answer(bench, text="to be", merges=1)
    first = "".join(OWN.tokens[i].decode() for i in OWN.merges[0])
    n = 5 - "to be".count(first)
    sentence = bench.describe()
    assert sentence.startswith(
        f"“to·be” is 5 characters and 5 bytes: {n} tokens by own BPE with 1 merge, "
        f"{len(FAST.encode('to be').ids)} tokens by real BPE, 2 tokens by WordPiece. "
        "Dearest in tokens, against English: Russian "
    )
    bundle = bench._repr_mimebundle_()
    assert repr(bench) == sentence == bundle["text/plain"] == bench.shown["sentence"]
    assert bundle[WIDGET_VIEW]["model_id"] == bench.model_id


@pytest.mark.parametrize(
    "text",
    ["", " ", "x" * 10_000, "🦜" * 5000, "to \ud83d", "</script><script>1</script>", "שלום", "\0\n\t", "$a$"],
)
def test_hostile_texts_give_numbers_or_a_message(bench, text):
    shown = answer(bench, text=text, merges=30)
    assert shown["problem"] == ""
    assert len(json.dumps(shown).encode("utf-8")) < 100_000
    assert all(len(row["tokens"]) <= MAX_CHIPS for row in shown["rows"])
    assert ("characters; the first 2,000 are read" in shown["notice"]) == (len(text) > MAX_CHARACTERS)
    assert ("lone surrogate" in shown["notice"]) == ("\ud83d" in text)
    bundle = bench._repr_mimebundle_()
    assert "<script" not in bundle["text/html"] and len(json.dumps(bundle)) < 200_000


@pytest.mark.parametrize("merges", [-1, 31, "many", 22])
def test_a_number_of_merges_that_is_not_offered_is_refused(bench, merges):
    before = answer(bench, merges=7)["rows"]
    shown = answer(bench, text="other", merges=merges)
    assert "merges is one of 0, 1, 2" in shown["problem"] and shown["rows"] == before


def test_a_tokenizer_that_fails_says_so_and_the_bench_goes_on(bench):
    def broken(text):
        raise KeyError("not trained")

    bench._others["broken"] = broken
    assert "KeyError: 'not trained'" in answer(bench, text="new")["problem"]
    del bench._others["broken"]
    assert answer(bench, text="new")["problem"] == ""


def test_own_bpe_alone_without_languages_is_enough():
    bench = TokenizerBench(OWN.merges, {}, {}, {"line": "to be"})
    assert bench.png() and bench.describe().endswith("with 30 merges.")


def test_what_can_not_be_shown_is_refused():
    with pytest.raises(ValueError, match=r"equally many; got \{'a': 1, 'b': 2\}"):
        TokenizerBench(OWN.merges, {}, {"a": ["x"], "b": ["y", "z"]}, {"line": "to be"})
    with pytest.raises(ValueError, match="at most 3 tokenizers stand beside our own; got 4"):
        TokenizerBench(OWN.merges, dict.fromkeys("abcd", byte_tokens(FAST)), {}, {"line": "to be"})


def test_byte_tokens_gives_back_the_bytes():
    assert b"".join(data for _, data in byte_tokens(FAST)("né 🦜")) == "né 🦜".encode()


def test_the_picture_gives_no_warning(bench, recwarn):
    bench.png()
    assert not recwarn.list
