"""Published tokenizers: they come whole, and where they can't be had there is one sentence."""

import pytest

from course_utils import assets, pretrained

TEXT = "To be, or not to be: né 🦜 שלום\n\n\tif x:\n        return 3.14\r\n"


def test_smollm2_gives_back_every_text():
    tokenizer = pretrained.smollm2_tokenizer()
    assert tokenizer.get_vocab_size() == 49_152
    assert tokenizer.decode(tokenizer.encode(TEXT).ids) == TEXT


def test_smollm2_cuts_each_digit_and_reads_no_special_token_in_a_text():
    encode = pretrained.smollm2_tokenizer().encode
    assert encode(" strawberry costs 12").tokens == ["Ġstrawberry", "Ġcosts", "Ġ", "1", "2"]
    assert len(encode("<|im_end|>").ids) > 1


def test_bert_reads_words_in_pieces():
    bert = pretrained.bert_tokenizer()
    assert bert.vocab_size == 30_522
    assert bert.split("Unkindness, né 🦜") == ["un", "##kind", "##ness", ",", "ne", "[UNK]"]
    assert bert.encode("the").tolist() == [1996]


@pytest.mark.parametrize("load", [pretrained.smollm2_tokenizer, pretrained.bert_tokenizer])
def test_without_a_network_there_is_one_sentence(load, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "nowhere")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    with pytest.raises(assets.AssetError, match="can't be reached") as caught:
        load.__wrapped__()
    assert "\n" not in str(caught.value)
