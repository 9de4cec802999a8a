"""Byte-pair encoding: equal to Hugging Face's, worked by hand, exact both ways, careful with bad input."""

import json
import random
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


def test_characters_without_a_token_of_their_own():
    tokenizer = BPETokenizer.train("café café thé", 262)
    assert tokenizer.unmerged("thé, Ἰ and Ἰ, 耶") == ["Ἰ", "耶"]
    assert tokenizer.unmerged("") == []


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


# GPT-2's files


@pytest.fixture(scope="module")
def gpt2_files(tmp_path_factory, plays):
    """vocab.json and merges.txt as Hugging Face's library writes them, with GPT-2's special token behind."""
    folder = tmp_path_factory.mktemp("gpt2")
    texts = [*plays[:6], 99 * "🦜👩‍👩‍👧 naïve café\n\n\n\tif x:\n        return"]
    hugging_face(texts, 700).model.save(str(folder))
    ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    (folder / "vocab.json").write_text(json.dumps(ids | {END: len(ids)}), encoding="utf-8")
    return folder / "vocab.json", folder / "merges.txt"


@pytest.fixture(scope="module")
def gpt2(gpt2_files):
    return BPETokenizer.from_gpt2(*gpt2_files)


def random_texts(n):
    """Texts of what a byte-level BPE may stumble over."""
    generator = random.Random(0)
    parts = ["the ", "Tempest", " and", "I'll", "we've", "'S", "don't", "'re", "_", "...", "!?", "123", "½"]
    parts += [" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", "\xa0", "\u3000", "\ufeff", "\0", "�", END]
    parts += ["🦜", "👩‍👩‍👧", "🧑🏽", "🇮🇱", "שלום", "你好", "é", "e\u0301", "٣", "ſ", "Ω", "naïve", "ing"]
    return ["".join(generator.choices(parts, k=generator.randrange(25))) for _ in range(n)]


def test_gpt2s_files_give_the_ids_of_transformers(gpt2_files, gpt2):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2Tokenizer.from_pretrained(str(gpt2_files[0].parent))
    texts = random_texts(1000)
    assert len({*texts}) > 900 and gpt2.vocab_size == 701
    for text in texts:
        ids = gpt2.encode(text, [END])
        assert ids.tolist() == theirs.encode(text, add_special_tokens=False)
        assert gpt2.decode(ids) == text


def test_their_bytes_are_in_gpt2s_order(gpt2):
    assert gpt2.encode("!A\n ").tolist() == [0, 32, 198, 220] and gpt2.special_tokens == {END: 700}
    merged = BPETokenizer([(gpt2.byte_order[a], gpt2.byte_order[b]) for a, b in gpt2.merges[:1]])
    assert merged.tokens[256] == gpt2.tokens[256]


def test_they_are_saved_loaded_and_fast(gpt2, tmp_path):
    gpt2.save(tmp_path / "bpe.json")
    loaded = BPETokenizer.load(tmp_path / "bpe.json")
    fast = gpt2.fast()
    for text in random_texts(200):
        ids = gpt2.encode(text).tolist()
        assert loaded.encode(text).tolist() == ids == fast.encode(text).ids


def small_gpt2_files(folder, special_tokens=(END,)):
    """Three merges that need each other: " t", "he", " the"."""
    order = [bpe.VISIBLE[byte] for byte in bpe.BYTE_ORDER]
    tokens = [*order, "Ġt", "he", "Ġthe", *special_tokens]
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    vocab.write_text(json.dumps({token: i for i, token in enumerate(tokens)}), encoding="utf-8")
    merges.write_text("#version: 0.2\nĠ t\nh e\nĠt he\n", encoding="utf-8")
    return vocab, merges


@pytest.mark.parametrize("which", [0, 1], ids=["vocab.json", "merges.txt"])
def test_a_damaged_file_of_gpt2_is_refused_or_makes_no_difference(tmp_path, which):
    files = small_gpt2_files(tmp_path)
    expected, whole = BPETokenizer.from_gpt2(*files), files[which].read_bytes()
    flips = [whole[:i] + bytes([whole[i] ^ 1 << i % 8]) + whole[i + 1 :] for i in range(len(whole))]
    cuts = [whole[:i] for i in range(0, len(whole), 7)]
    swapped = [b"\n".join(whole.split(b"\n")[::-1])] if which else []
    refused = 0
    for damaged in [*flips, *cuts, *swapped, b"", b"[]", b"5", b"null", b"\xff", b"<html>"]:
        files[which].write_bytes(damaged)
        try:
            same = BPETokenizer.from_gpt2(*files)
        except ValueError as error:
            refused += 1
            assert str(files[which]) in str(error) or files[which].name in str(error)
        else:
            assert (same.tokens, same.merges) == (expected.tokens, expected.merges)
    assert refused > 0.6 * (len(flips) + len(cuts))


GPT2_PROBLEMS = [
    (1, "Ġ t\nh e\n", r"the 2 merges of .*merges\.txt don't make 2 tokens of vocab\.json"),
    (1, "Ġ t\nh\n", r"merges\.txt, line 2: expected two tokens .* 257; got 'h'"),
    (1, "Ġ t\nĠt he\n", r"line 2: .* got 'Ġt he'"),
    (1, "Ġ t\nh e\nĠt he\n< s\n", r"line 4: .* make its token 259; got '< s'"),
    (1, "\udcff", r"merges\.txt is no UTF-8"),
    (0, "{}", r"vocab\.json is no vocabulary as GPT-2 has it"),
    (0, '{"a": 0, "b": []}', r"vocab\.json is no vocabulary as GPT-2 has it"),
]


@pytest.mark.parametrize("which, content, message", GPT2_PROBLEMS, ids=[m for *_, m in GPT2_PROBLEMS])
def test_files_that_do_not_belong_together_are_named(tmp_path, which, content, message):
    files = small_gpt2_files(tmp_path)
    files[which].write_text(content, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=message):
        BPETokenizer.from_gpt2(*files)


def test_other_special_tokens_and_none(tmp_path):
    files = small_gpt2_files(tmp_path, ["<s>", "</s>"])
    assert BPETokenizer.from_gpt2(*files, ["<s>", "</s>"]).encode("<s> the", ["<s>"]).tolist() == [259, 258]
    with pytest.raises(ValueError, match=r"\('<s>', '</s>'\); expected 1, the special tokens \('<\|end"):
        BPETokenizer.from_gpt2(*files)
    assert BPETokenizer.from_gpt2(*small_gpt2_files(tmp_path, []), []).vocab_size == 259
    (tmp_path / "merges.txt").write_text("Ġ t\r\nh e\r\nĠt he\r\n", encoding="utf-8")  # no version, Windows
    assert BPETokenizer.from_gpt2(*files, []).encode(" the").tolist() == [258]


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
    (lambda: BPETokenizer(byte_order=range(255)), "byte_order names each of the 256 bytes once"),
    (lambda: BPETokenizer(byte_order=[0] * 256), r"byte_order .* got \[0, 0,"),
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


def test_few_and_short_pieces_are_kept_so_that_memory_does_not_grow(monkeypatch):
    monkeypatch.setattr(BPETokenizer, "MOST_KEPT", 3)
    tokenizer = BPETokenizer([(97, 98)])
    assert tokenizer.encode("ab" * 100).tolist() == [256] * 100 and not tokenizer._encoded
    text = "ab a b c d"
    for _ in range(2):
        assert tokenizer.decode(tokenizer.encode(text)) == text and len(tokenizer._encoded) == 3
