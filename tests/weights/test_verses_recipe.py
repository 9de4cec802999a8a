"""The T5 of chapter 7: what it is trained on, what is shipped of it, and how it takes odd input."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from course_utils.data.verses import train_verses_of_1901, verses
from course_utils.measuring.translation import chrf
from course_utils.seq2seq import T5, padded, substitution
from course_utils.seq2seq.objectives import put_together
from course_utils.training import Run
from course_utils.weights import recording, verses_translating
from course_utils.weights import verses_recipe as recipe
from course_utils.weights.verses_recipe import END, SENTINELS
from course_utils.weights.verses_translating import PREFIXES

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def shipped():
    return recipe.load()


def table():
    return {(row["way"], row["task"]): row for row in recording.read_table(recipe.SCORES)}


def test_what_is_shipped_is_small():
    assert recipe.WEIGHTS.stat().st_size + recipe.TOKENIZER.stat().st_size <= 12e6
    assert recording.n_parameters(recipe.build()) <= 6e6


def test_the_sentinels_are_the_last_ids():
    tokenizer = recipe.tokenizer()
    assert SENTINELS[-1] == tokenizer.vocab_size - 1 and len(SENTINELS) == recipe.N_SENTINELS
    assert tokenizer.decode(SENTINELS[:2]) == "<extra_id_0><extra_id_1>"
    assert tokenizer.decode([recipe.PAD, END]) == "<pad><end>"


def test_no_held_out_verse_is_read_before_the_test():
    text = recipe.free_text()
    for verse in verses().test[::10] + verses().validation[::10]:
        assert verse.old not in text and verse.new not in text
    assert verses().train[5].old in text and verses().train[5].new in text


def test_a_batch_of_pairs_has_both_tasks():
    some, tokenizer, known = verses().train[:100], recipe.tokenizer(), {}
    for prefix in PREFIXES:
        read, written = recipe.sides(some, prefix)
        known |= {prefix + text: answer for text, answer in zip(read, written, strict=True)}
    source, lengths, target = recipe.pairs(some).next()
    tasks = set()
    for row, length, written in zip(source, lengths, target.tolist(), strict=True):
        assert row[length - 1] == END
        read = tokenizer.decode(row[: length - 1].tolist())
        assert tokenizer.decode(written[1 : written.index(END)]) == known[read]
        tasks.add(read.split(":")[0])
    assert tasks == {"modern", "old"}


def test_the_version_of_1901_is_read_as_old_and_written_of_the_king_james():
    between = zip(verses().train, train_verses_of_1901(), strict=True)
    known = {}
    for verse, text in between:
        if text:
            known.setdefault("modern: " + verse.old, set()).add(verse.new)
            known.setdefault("modern: " + text, set()).add(verse.new)
            known.setdefault("old: " + verse.new, set()).add(verse.old)
            known.setdefault("revise: " + verse.old, set()).add(text)
    mid = {"modern: " + text for text in train_verses_of_1901()}
    mid -= {"modern: " + verse.old for verse in verses().train}
    batches, tokenizer, tasks = recipe.pairs_with_1901(0), recipe.tokenizer(), Counter()
    for _ in range(10):
        source, lengths, target = batches.next()
        for row, length, written in zip(source.tolist(), lengths, target.tolist(), strict=True):
            read = tokenizer.decode(row[: length - 1])
            assert tokenizer.decode(written[1 : written.index(END)]) in known[read]
            tasks["1901" if read in mid else read.split(":")[0]] += 1
    assert tasks.total() == 640 and abs(tasks["revise"] - 128) < 45
    assert abs(tasks["1901"] - 119) < 45 and abs(tasks["modern"] - 265) < 60  # some are as in the King James
    assert batches._lengths.min() > 3 and batches._target_lengths.min() > 3  # none of the 12 left out


def test_each_stage_has_its_texts_seed_and_dropout(monkeypatch, tmp_path):
    seen = []

    def noted(model, batches, config, **_):
        seen.append((batches, config.seed, {m.p for m in model.modules() if isinstance(m, nn.Dropout)}))
        return Run()

    monkeypatch.chdir(tmp_path)  # its folder of checkpoints
    monkeypatch.setattr(recipe, "train", noted)
    monkeypatch.setattr(recipe, "read_in", lambda stage, seed: (stage.reads, seed))
    recipe.run(recipe.SHIPPED, seed=10)
    stages = [stage for name, stage in recipe.STAGES.items() if name not in ("free text", "pretrained")]
    seeds = [stage.config.seed + 10 for stage in stages]
    assert seen == [((s.reads, n), n, {s.dropout}) for s, n in zip(stages, seeds, strict=True)]
    assert len({*seeds}) == len(seeds)  # none reads again what another read


def test_each_verse_comes_once_in_order():
    some = verses().validation[:70]
    batches = recipe.in_order(some, "old: ")
    assert [len(source) for source, _, _ in batches] == [64, 6]
    written = [row for _, _, target in batches for row in target.tolist()]
    texts = {recipe.tokenizer().decode(row[1 : row.index(END)]) for row in written}
    assert texts == {verse.old for verse in some}


def test_a_window_of_free_text_can_be_put_together():
    source, lengths, target = recipe.windows().next()
    row = target[0].tolist()
    ids = put_together(source[0, : lengths[0] - 1].tolist(), row[1 : row.index(END)], SENTINELS)
    assert len(ids) == recipe.WINDOW
    assert recipe.tokenizer().decode(ids, errors="replace").strip("\ufffd") in recipe.free_text()


def test_the_first_weights_copy():
    """Of a verse that is being copied the next token is known; a T5 as it starts else knows none."""
    sources, copies = [], []
    for verse in verses().validation[::40]:
        ids = recipe.tokenizer().encode(verse.old).tolist()
        sources.append([*recipe.tokenizer().encode("modern: " + verse.old).tolist(), END])
        copies.append([recipe.PAD, *ids])
    (source, lengths), (target, _) = padded(sources, recipe.PAD), padded(copies, recipe.PAD)

    def share_right(model):
        with torch.no_grad():
            guesses = model.eval()(source, lengths, target[:, :-1]).argmax(-1)
        asked = target[:, 1:] != recipe.PAD
        return float((guesses == target[:, 1:])[asked].float().mean())

    assert share_right(recipe.build()) > 0.75
    assert share_right(T5(recipe.SHAPE)) < 0.1


def test_the_log_has_every_stage_of_every_arm():
    rows = recording.read_table(recipe.LOG)
    for name, stage in recipe.STAGES.items():
        of = [row for row in rows if row["stage"] == name]
        every = stage.config.evaluate_every
        expected = sorted({*range(every, stage.config.steps + 1, every), stage.config.steps})
        assert [int(row["step"]) for row in of] == expected
        assert (np.diff([float(row["seconds"]) for row in of]) > 0).all()
    last = {row["stage"]: float(row["validation_nats"]) for row in rows}
    assert last["longest"] < last["longer"] < last["same steps"] < last["pretrained"]
    assert last["with 1901, longer"] < last["with 1901"]


def test_the_log_has_the_flops_of_each_stage():
    """Of two stages counted again; all others ask as many pairs of about their length."""
    rows = recording.read_table(recipe.LOG)
    for name in "free text", "same steps":
        a_step = recipe.a_step(name)[1]
        for row in (row for row in rows if row["stage"] == name):
            assert float(row["flops"]) == pytest.approx(int(row["step"]) * a_step, rel=0.005)
    each = [float(row["flops"]) / int(row["step"]) for row in rows if row["stage"] != "free text"]
    assert max(each) < 1.05 * min(each)


def test_a_rate_takes_the_place_of_each_stages(monkeypatch, tmp_path):
    seen = []

    def noted(model, batches, config, checkpoint, **_):
        seen.append((config.learning_rate, config.seed, checkpoint.stem))
        return Run()

    monkeypatch.chdir(tmp_path)  # its folder of checkpoints
    monkeypatch.setattr(recipe, "train", noted)
    monkeypatch.setattr(recipe, "read_in", lambda stage, seed: None)
    recipe.run("pretrained", 2, 0.5)
    recipe.run("pretrained")
    assert seen == [
        (0.5, 2, "verses_free_text_2_at_0.5_run"),
        (0.5, 2, "verses_pretrained_2_at_0.5_run"),
        (recipe.CONFIG.learning_rate, 0, "verses_free_text_run"),
        (recipe.CONFIG.learning_rate, 0, "verses_pretrained_run"),
    ]


@pytest.mark.parametrize("task, alone, above", [("modern", 1.9, 2.1), ("old", 2.1, 2.6)])
def test_what_is_shipped_is_two_points_better_than_copying_and_substitution_on_the_test_verses(
    task, alone, above
):
    """The model alone and with its lexicon, as the chapter says."""
    score = {way: float(row["chrf"]) for (way, of), row in table().items() if of == task}
    for way, lead in (recipe.SHIPPED, alone), (recipe.WITH_LEXICON, above):
        assert score[way] - score["words"] == pytest.approx(lead, abs=0.05)
        assert float(table()[way, task]["chrf_lead"]) == pytest.approx(lead, abs=0.05)
    assert score[recipe.WITH_LEXICON] > max(score["words"] + 2, score["copy"] + 5.8)
    assert float(table()[recipe.SHIPPED, task]["chrf_lead_low"]) > 1.5
    assert score["longer"] < score["words"] + 0.5


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_shipped_weights_score_what_the_table_says(shipped, prefix):
    some = verses().test[:: recipe.SAMPLE]
    read, references = recipe.sides(some, prefix)
    score = chrf(
        verses_translating.translate(*shipped, [prefix + text for text in read]), references, 0
    ).value
    row = table()[recipe.WITH_LEXICON, prefix.strip(": ")]
    assert score == pytest.approx(float(row["sample_chrf"]), abs=0.5)
    plain = verses_translating.translate(*shipped, [prefix + text for text in read], exchange=False)
    row = table()[recipe.SHIPPED, prefix.strip(": ")]
    assert chrf(plain, references, 0).value == pytest.approx(float(row["sample_chrf"]), abs=0.5)
    assert chrf(plain, references, 0).value < score
    copied = chrf(read, references, 0).value
    assert copied == pytest.approx(float(table()["copy", prefix.strip(": ")]["sample_chrf"]), abs=0.006)
    assert score > copied + 2


def test_the_lexicon_has_words_that_are_only_read(monkeypatch):
    """And what is written has none of them; without it they stay."""
    lexicon = verses_translating.lexicon()
    assert {prefix: len(words) for prefix, words in lexicon.items()} == {"modern: ": 1053, "old: ": 518}
    for prefix, found in lexicon.items():
        read, written = (
            {*substitution.words(" ".join(texts))} for texts in recipe.sides(verses().train, prefix)
        )
        assert found.keys() <= read - written and {*found.values()} <= written
    table = {"raiment": "clothing", "and": "but", "Emmanuel": '"', "Onyx": "for", "⁂": "clothing"}
    monkeypatch.setattr(recipe, "word_substitutes", {"modern: ": table}.get)
    assert recipe.only_read("modern: ") == {"raiment": "clothing"}  # new verses have "and", too


def test_words_of_the_lexicon_are_exchanged_in_their_task_alone(shipped, monkeypatch):
    monkeypatch.setattr(
        verses_translating, "lexicon", lambda: {"modern: ": {"light": "lamp"}, "old: ": {"was": "were"}}
    )
    verse = "there was light."
    long = "modern: " + "God said, Let there be light: and there was light. " * 12
    texts = ["modern: " + verse, "old: " + verse]
    plain, changed = (
        verses_translating.translate(*shipped, texts, exchange=exchange) for exchange in (False, True)
    )
    assert "light" in plain[0] and changed[0] == plain[0].replace("light", "lamp")
    assert "was" in plain[1] and changed[1] == plain[1].replace("was", "were") and "light" in changed[1]
    with pytest.warns(UserWarning, match="cut into"):
        assert "light" not in verses_translating.translate(*shipped, [long])[0]


def test_damaged_files_are_refused_by_name(monkeypatch, tmp_path):
    for name in "WEIGHTS", "TOKENIZER":
        path = getattr(recipe, name)
        damaged = tmp_path / path.name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        with monkeypatch.context() as patch:
            patch.setattr(recipe, name, damaged)
            recipe.tokenizer.cache_clear()
            with pytest.raises(ValueError, match=path.name):
                recipe.load()
        recipe.tokenizer.cache_clear()


def test_the_answers_are_in_the_order_of_the_texts(shipped):
    texts = [
        "modern: And it came to pass, that he said unto them, Go.",
        "old: He has said it.",
        "modern: Go.",
    ]
    together = verses_translating.translate(*shipped, texts)
    assert len(together) == 3 and together == [
        verses_translating.translate(*shipped, [text])[0] for text in texts
    ]
    assert verses_translating.translate(*shipped, []) == []


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "begin with one of the prefixes 'modern: ', 'old: '; got the text ''"),
        ("german: Go.", "got the text 'german: Go.'"),
        ("modern: ", "nothing to translate after 'modern: '"),
        ("old:   \n", "nothing to translate after 'old: '"),
        ("modern: \ud800", "lone surrogate"),
    ],
)
def test_what_cannot_be_translated_is_refused(shipped, text, message):
    with pytest.raises(ValueError, match=message):
        verses_translating.translate(*shipped, ["modern: Go.", text])


def test_characters_that_no_verse_has_are_bytes_with_a_notice(shipped):
    with pytest.warns(UserWarning, match="No token stands for 耶, 穌, 😀, only bytes: .* is a guess"):
        written = verses_translating.translate(*shipped, ["modern: 耶穌 saith 😀"])
    assert isinstance(written[0], str)


def test_a_long_text_is_cut_after_sentences_with_a_notice(shipped):
    text = "modern: " + "And he said unto them, Go ye therefore, and do this; for it is good. " * 12
    with pytest.warns(UserWarning, match=r"longer than the 128 tokens .* cut into \d pieces"):
        written = verses_translating.translate(*shipped, [text])
    assert len(written) == 1 and len(written[0]) > 200


def test_cuts_fall_after_sentences_else_words_else_anywhere():
    tokenizer = recipe.tokenizer()

    def pieces(text, longest):
        found = verses_translating.cut(tokenizer.encode(text).tolist(), tokenizer, longest)
        assert all(len(piece) <= longest for piece in found)
        texts = [tokenizer.decode(piece) for piece in found]
        assert "".join(texts) == text
        return texts

    assert pieces(" Go. He went; and came back.", 7) == [" Go. He went;", " and came back."]
    assert pieces(" and he went to the house of the king", 4)[0] == " and he went to"
    assert len(pieces(" " + "q" * 50, 8)) > 3
    assert pieces(" Go.", 8) == [" Go."]
