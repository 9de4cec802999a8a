"""WordPiece, equal to Hugging Face's on real text and on odd text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from course_utils.data import corpora
from course_utils.tokenizers import WordPieceTokenizer, wordpiece

# All of these are in every version of Unicode that a library may carry; newer ones may be punctuation or not.
SETTLED = st.lists(
    st.one_of(
        st.characters(max_codepoint=0x24F),
        st.sampled_from(
            ["the", "a\u0301", "ΣΑΣ", "İ", "你好", "🦜", "한", "\u3000", "\u200b", "—", "…", "\ue000"]
        ),
    ),
    max_size=40,
).map("".join)


@pytest.fixture(scope="module")
def peer():
    """A small vocabulary like BERT's, learnt from part of the plays."""
    peer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    peer.normalizer = normalizers.BertNormalizer()
    peer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=2000,
        special_tokens=["[PAD]", "[UNK]"],
        initial_alphabet=list("你éß🦜"),
        show_progress=False,
    )
    peer.train_from_iterator([corpora.shakespeare().train_text[:500_000]], trainer)
    return peer


@pytest.fixture(scope="module")
def ours(peer):
    return WordPieceTokenizer(sorted(peer.get_vocab(), key=peer.token_to_id))


def test_a_play(peer, ours):
    play = corpora.shakespeare().test
    assert list(ours.encode(play)) == peer.encode(play).ids


@given(text=SETTLED)
def test_odd_texts(peer, ours, text):
    assert list(ours.encode(text)) == peer.encode(text).ids


@pytest.mark.parametrize("length", [100, 101])
def test_long_words(peer, ours, length):
    assert list(ours.encode("e" * length)) == peer.encode("e" * length).ids


def test_words():
    assert wordpiece.words("Où est l'ŒUVRE?\t$5 你好") == (
        ["ou", "est", "l", "'", "œuvre", "?", "$", "5", "你", "好"]
    )
    assert wordpiece.words("a\x00b\ufffdc\u200dd") == ["abcd"]


def test_the_longest_piece_goes_first():
    tokenizer = WordPieceTokenizer(["[UNK]", "un", "##aff", "##able", "able", "fab"])
    assert tokenizer.split("Unaffable, able") == ["un", "##aff", "##able", "[UNK]", "able"]
    assert tokenizer.decode(tokenizer.encode("Unaffable, able")) == "unaffable [UNK] able"


def test_a_piece_that_was_taken_is_not_given_back():
    tokenizer = WordPieceTokenizer(["[UNK]", "un", "una", "##able"])
    assert tokenizer.split("unable") == ["[UNK]"]


BAD = [
    (lambda: WordPieceTokenizer(["a"]), r"has a token \[UNK\]"),
    (lambda: WordPieceTokenizer(["[UNK]"]).decode([1]), "between 0 and 0; got 1"),
    (lambda: WordPieceTokenizer(["[UNK]"]).encode("\ud83d"), r"lone surrogate U\+D83D"),
]


@pytest.mark.parametrize("ask, message", BAD, ids=[m for _, m in BAD])
def test_bad_input(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()
