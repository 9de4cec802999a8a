"""Byte-pair encoding: equal to Hugging Face's, worked by hand, exact both ways, careful with bad input."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from course_utils.data import corpora
from course_utils.tokenizers import BPETokenizer, bpe

END = "<|endoftext|>"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
# All of these are in every version of Unicode that a library may carry; newer ones may be letters or not.
SETTLED = st.lists(
    st.one_of(
        st.characters(max_codepoint=0x24F),
        st.sampled_from(["'s", "'LL", "  ", "\n\n", "the ", "Ω", "١", "½", "你好", "🦜", "\u3000", "\u0301"]),
    ),
    max_size=40,
).map("".join)


@pytest.fixture(scope="module")
def plays():
    return list(corpora.shakespeare().train.values())


@pytest.fixture(scope="module")
def trained(plays):
    return BPETokenizer.train(plays, 2048, [END])


def hugging_face(texts, vocab_size, special_tokens=()):
    peer = Tokenizer(models.BPE())
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    peer.train_from_iterator(texts, trainer)
    return peer


def visible(token):
    return "".join(bpe.VISIBLE[byte] for byte in token)


def visible_merges(tokenizer):
    return [[visible(tokenizer.tokens[i]) for i in pair] for pair in tokenizer.merges]


def merges_of(peer):
    return json.loads(peer.to_str())["model"]["merges"]


# Beside Hugging Face's tokenizers


def test_merges_and_ids_are_those_of_hugging_face_on_the_whole_training_text(plays, trained):
    peer = hugging_face(plays, 2048, [END])
    assert trained.vocab_size == peer.get_vocab_size() == 2048
    assert visible_merges(trained) == merges_of(peer)
    ours = {peer.token_to_id(visible(token)): i for i, token in enumerate(trained.tokens[:-1])}
    for text in (*plays, corpora.shakespeare().test):
        assert list(trained.encode(text)) == [ours[i] for i in peer.encode(text).ids]


def test_a_space_comes_after_the_letters_where_pairs_tie():
    """By the values of the bytes it would come before them; Hugging Face numbers them in GPT-2's order."""
    tokenizer = BPETokenizer.train("ab cd", 258)
    assert tokenizer.merges == [(97, 98), (99, 100)]
    assert visible_merges(tokenizer) == merges_of(hugging_face(["ab cd"], 258))


@given(
    st.lists(st.sampled_from(["a", "b", "ab", "aaa", " ", " a", "\n", "é", "!"]), max_size=30).map("".join)
)
@settings(max_examples=50, deadline=None)
def test_ties_are_broken_as_hugging_face_does(text):
    tokenizer = BPETokenizer.train(text + ".", 270)
    assert visible_merges(tokenizer) == merges_of(hugging_face([text + "."], 270))


@pytest.fixture(scope="module")
def fast(trained):
    return trained.fast()


@given(text=SETTLED)
def test_the_fast_tokenizer_gives_the_same_ids(trained, fast, text):
    assert fast.encode(text).ids == list(trained.encode(text))
    assert fast.decode(fast.encode(text).ids) == text


def test_the_fast_tokenizer_on_a_play_and_on_special_tokens(trained):
    play = corpora.shakespeare().test
    fast = trained.fast()
    assert fast.encode(play).ids == list(trained.encode(play))
    assert fast.encode(f"a {END} b").ids == list(trained.encode(f"a {END} b"))
    fast.encode_special_tokens = False
    assert fast.encode(f"a {END} b").ids == list(trained.encode(f"a {END} b", [END]))


# By hand


def test_the_example_of_wikipedia():
    """aaabdaaabac: aa is merged first, then ab (as frequent as (aa, a), and smaller), then aa and ab."""
    tokenizer = BPETokenizer.train("aaabdaaabac", 259)
    assert tokenizer.merges == [(97, 97), (97, 98), (256, 257)]
    assert list(tokenizer.encode("aaabdaaabac")) == [258, 100, 258, 97, 99]
    assert tokenizer.tokens[256:] == [b"aa", b"ab", b"aaab"]


def test_merging():
    assert bpe.merge([1, 2, 3, 1, 2], (1, 2), 9) == [9, 3, 9]
    assert bpe.merge([1, 1, 1], (1, 1), 9) == [9, 1]
    assert bpe.merge([1, 1, 1, 1], (1, 1), 9) == [9, 9]
    assert bpe.merge([2, 1], (1, 2), 9) == [2, 1]
    assert bpe.merge([], (1, 2), 9) == []


def test_the_earliest_merge_goes_first_not_the_longest():
    """bc was learnt before ab, so abc is a, bc; a WordPiece tokenizer would begin with ab."""
    assert list(BPETokenizer([(98, 99), (97, 98)]).encode("abc")) == [97, 256]
    assert list(BPETokenizer([(97, 98), (98, 99)]).encode("abc")) == [256, 99]


def test_pieces():
    assert bpe.PIECE.findall("I'll see  th' 2nd\n\nact!") == (
        ["I", "'ll", " see", " ", " th", "'", " 2", "nd", "\n", "\n", "act", "!"]
    )


def test_no_token_crosses_the_border_of_a_piece_or_of_a_text():
    assert BPETokenizer.train("a! a! a!", 300).tokens[256:] == [b" a"]
    assert BPETokenizer.train(["ab", "ab"], 300).tokens[256:] == [b"ab"]
    assert BPETokenizer.train(["abab"], 300).tokens[256:] == [b"ab", b"abab"]


def test_a_text_that_runs_out_of_pairs_gives_a_smaller_vocabulary():
    tokenizer = BPETokenizer.train("ab", 1000, [END])
    assert tokenizer.vocab_size == 258 and tokenizer.special_tokens == {END: 257}


# Both ways


@given(text=TEXTS)
def test_text_comes_back(trained, text):
    assert trained.decode(trained.encode(text)) == text
    assert trained.decode_bytes(trained.encode(text)) == text.encode()


@given(ids=st.lists(st.integers(0, 2047), max_size=20))
def test_bytes_of_any_ids(trained, ids):
    assert trained.decode_bytes(ids) == b"".join(trained.tokens[i] for i in ids)


@given(text=st.text("aehnrst", min_size=1, max_size=30))
def test_encoding_is_training_replayed(trained, text):
    """To apply every merge once, in the order of learning, is slower and gives the same."""
    ids = list(text.encode())
    for k, pair in enumerate(trained.merges):
        ids = bpe.merge(ids, pair, 256 + k)
    assert list(trained.encode(text)) == ids
    assert not any(pair in trained.merges for pair in pairwise(ids))


def test_ids_need_not_come_back():
    tokenizer = BPETokenizer([(97, 97)])
    ids = [97, 97]
    assert list(tokenizer.encode(tokenizer.decode(ids))) == [256] != ids


def test_half_a_character():
    assert BPETokenizer().decode([0xC3, 0xA9]) == "é"
    assert BPETokenizer().decode([65, 0xC3], errors="replace") == "A�"


def test_what_was_met_before_does_not_change_the_ids(trained):
    fresh = BPETokenizer(trained.merges, [END])
    for text in ("to be", "be to", "to to be"):
        assert list(fresh.encode(text)) == list(trained.encode(text))


# Special tokens


def test_special_tokens_come_from_a_text_only_if_asked():
    tokenizer = BPETokenizer([(97, 98)], ["<|end|>", "<|pad|>"])
    assert tokenizer.special_tokens == {"<|end|>": 257, "<|pad|>": 258}
    assert list(tokenizer.encode("ab<|end|>")) == [256, *b"<|end|>"]
    assert list(tokenizer.encode("ab<|end|>", allowed_special=["<|end|>"])) == [256, 257]
    assert list(tokenizer.encode("<|pad|><|end|>", ["<|end|>"])) == [*b"<|pad|>", 257]
    assert list(tokenizer.encode("<|end|><|end|>", tokenizer.special_tokens)) == [257, 257]
    assert tokenizer.decode([256, 257]) == "ab<|end|>"


def test_the_longest_special_token_wins():
    tokenizer = BPETokenizer([], ["<s>", "<s>+"])
    assert list(tokenizer.encode("<s>+<s>", tokenizer.special_tokens)) == [257, 256]


# Files


def test_save_and_load(tmp_path, trained):
    trained.save(tmp_path / "bpe.json")
    loaded = BPETokenizer.load(tmp_path / "bpe.json")
    assert (loaded.merges, loaded.special_tokens) == (trained.merges, trained.special_tokens)
    assert [path.name for path in tmp_path.iterdir()] == ["bpe.json"]


def test_a_damaged_file_is_refused_by_name(tmp_path):
    file = tmp_path / "bpe.json"
    BPETokenizer([(97, 98), (256, 99)], [END]).save(file)
    whole = file.read_bytes()
    flipped = [whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :] for i in range(len(whole))]
    cut = [whole[:i] for i in range(len(whole) - 1)]
    others = [b"[]", b"{}", b"5", b'"sha256"', b"null", b"[" * 100_000, b"\xff\xfe", b"<html>"]
    for damaged in flipped + cut + others:
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"bpe\.json is not a tokenizer as save\(\) wrote it"):
            BPETokenizer.load(file)


# Bad input

BAD = [
    (lambda: BPETokenizer.train("abc", 255), "at least 256; got 255"),
    (
        lambda: BPETokenizer.train("abc", 257, ["<a>", "<b>"]),
        "2 special tokens need .* at least 258; got 257",
    ),
    (lambda: BPETokenizer.train("", 300), "is empty"),
    (lambda: BPETokenizer.train([], 300), "is empty"),
    (lambda: BPETokenizer.train(["ok", "ab\ud83d"], 300), r"character 2 .*lone surrogate U\+D83D"),
    (lambda: BPETokenizer.train("abc", 300, ["<a>", "<a>"]), "got '<a>' 2 times"),
    (
        lambda: BPETokenizer.train("abc", 300, "<a>"),
        r"a list of names, such as \['<a>'\]; got the string '<a>'",
    ),
    (lambda: BPETokenizer([], [""]), "got '' 1 times"),
    (lambda: BPETokenizer([(97, 256)]), r"merge 0 can only join ids below 256.*got \(97, 256\)"),
    (lambda: BPETokenizer([(97, -1)]), r"got \(97, -1\)"),
    (lambda: BPETokenizer([(97, 97), (97, 97)]), r"got \(97, 97\) twice"),
    (lambda: BPETokenizer().encode("ab\ud83d"), r"character 2 .*lone surrogate U\+D83D"),
    (
        lambda: BPETokenizer().encode("abc", ["<a>"]),
        "'<a>' is no special token of this tokenizer; it has none",
    ),
    (lambda: BPETokenizer().decode([256]), "between 0 and 255; got 256"),
    (lambda: BPETokenizer([(97, 97)]).decode_bytes([-1]), "between 0 and 256; got -1"),
    (lambda: BPETokenizer().decode([0xC3]), r"byte 0 \(0xc3\)"),
    (lambda: BPETokenizer([(97, 98)], ["ab"]).fast(), "'ab' is taken"),
]


@pytest.mark.parametrize("ask, message", BAD, ids=[m for _, m in BAD])
def test_bad_input(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


def test_empty_text_has_no_ids():
    assert BPETokenizer().encode("").tolist() == [] and BPETokenizer().decode([]) == ""
