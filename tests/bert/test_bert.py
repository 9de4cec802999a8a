"""The encoder alone: a tiny random BERT, and the real MiniLM, beside transformers'."""

import pytest
import torch
from test_attention import close

from course_utils import pretrained
from course_utils.bert import from_hf
from course_utils.data import assets

pytestmark = pytest.mark.usefixtures("one_thread")
transformers = pytest.importorskip("transformers")


def published(**sizes):
    """transformers' BertModel, all its weights random: its zeros and ones would hide mistakes."""
    torch.manual_seed(0)
    config = transformers.BertConfig(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **sizes)
    config._attn_implementation = "eager"  # the path that returns the weights
    model = transformers.BertModel(config)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("LayerNorm.weight" in name), std=0.2)
    return model.eval()


def compared(ours, theirs, ids, lengths, segments, tolerance):
    padding = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    with torch.no_grad():
        expected = theirs(ids, padding, segments, output_hidden_states=True, output_attentions=True)
        states = ours.hidden_states(ids, lengths, segments)
    for got, wanted in zip(states, expected.hidden_states, strict=True):
        for row, length in enumerate(lengths):  # what stands at the padding is nobody's business
            close(got[row, :length], wanted[row, :length], tolerance)
    for row, length in enumerate(lengths):
        alone = ours.attention_weights(ids[row, :length]) if (segments[row] == 0).all() else None
        if alone is not None:
            close(alone, torch.stack(expected.attentions)[:, row, :, :length, :length], tolerance)


def test_a_tiny_bert_equals_transformers():
    theirs = published(
        vocab_size=50, hidden_size=32, num_hidden_layers=3, num_attention_heads=4,
        intermediate_size=56, max_position_embeddings=16,
    )  # fmt: skip
    ours = from_hf(theirs.state_dict(), n_heads=4)
    ids, lengths = torch.randint(50, (3, 12)), torch.tensor([12, 5, 1])
    segments = torch.zeros_like(ids)
    segments[0, 6:] = 1
    compared(ours, theirs, ids, lengths, segments, 1e-5)
    with pytest.raises(ValueError, match="16 rows; got 17 positions: shorten the text"):
        ours(torch.zeros(1, 17, dtype=torch.int64))
    with pytest.raises(ValueError, match="between 0 and 49"):
        ours(torch.tensor([[50]]))


def test_minilm_equals_transformers():
    from safetensors.torch import load_file

    weights = load_file(assets.path("minilm"))
    theirs = published(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    theirs.load_state_dict(weights, strict=False)  # the file also holds the positions' ids, 0 to 511
    ours, tokenizer = pretrained.load("minilm"), pretrained.bert_tokenizer()
    texts = ["The prince, who was tired, slept; the princess did not.", "Unkindness may do much."]
    rows = [[tokenizer.ids["[CLS]"], *tokenizer.encode(text), tokenizer.ids["[SEP]"]] for text in texts]
    ids = torch.zeros(2, max(map(len, rows)), dtype=torch.int64)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = torch.tensor(tokens)
    compared(ours, theirs, ids, torch.tensor([*map(len, rows)]), torch.zeros_like(ids), 1e-4)
    assert sum(p.numel() for p in ours.parameters()) == 22_565_376


def test_another_name_is_refused():
    with pytest.raises(ValueError, match=r"expected one of minilm.*got 'maxilm'"):
        pretrained.load("maxilm")
