"""The extracts on small files made here; the manifest's hashes hold the real ones."""

import json
import sqlite3
from contextlib import closing

import gguf
import pytest

from course_utils import extracts


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


def test_a_file_that_is_something_else_is_no_tokenizer(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"<html>Please log in</html>" * 9)
    with pytest.raises(ValueError):
        extracts.gguf_tokenizer(tmp_path / "model.gguf")
