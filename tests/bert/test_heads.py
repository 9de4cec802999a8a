"""BERT's heads beside transformers': logits and gradients with every weight random, and the exact sizes."""

import pytest
import torch
from test_attention import close

from course_utils.bert import (
    BASE,
    LARGE,
    Bert,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForSequenceClassification,
    from_hf,
    with_new_head,
)

pytestmark = pytest.mark.usefixtures("one_thread")
transformers = pytest.importorskip("transformers")

SIZES = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES |= {"intermediate_size": 56, "max_position_embeddings": 16}
TIED = "decoder"  # transformers' second name for the embedding, and for the bias


def published(kind, **options):
    """transformers' model, all its weights random: its zeros and ones would hide mistakes."""
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **SIZES, **options
    )
    model = kind(config)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float("LayerNorm.weight" in name), std=0.2)
    return model.eval()


def padded_input():
    """Three rows of 12, 7 and 2 tokens, the first two with two segments."""
    torch.manual_seed(1)
    ids, lengths = torch.randint(50, (3, 12)), torch.tensor([12, 7, 2])
    segments = torch.zeros_like(ids)
    segments[0, 6:] = segments[1, 4:] = 1
    return ids, lengths, segments, (torch.arange(12) < lengths[:, None])


def compare_gradients(ours, theirs):
    """Every parameter's gradient, by the name that it has here."""
    expected = {name: p.grad for name, p in theirs.named_parameters()}
    gradients = from_hf(expected, 4, type(ours)).state_dict()
    for name, parameter in ours.named_parameters():
        close(parameter.grad, gradients[name], 1e-5)


@pytest.mark.parametrize("at_chosen", [False, True], ids=["everywhere", "at the chosen"])
def test_masked_lm(at_chosen):
    theirs = published(transformers.BertForMaskedLM)
    ours = from_hf(theirs.state_dict(), 4, BertForMaskedLM)
    ids, lengths, segments, real = padded_input()
    chosen = (torch.rand(ids.shape) < 0.4) & real
    labels = torch.randint(50, ids.shape).masked_fill(~chosen, -100)
    expected = theirs(ids, real.long(), segments, labels=labels)
    logits = ours(ids, lengths, segments, chosen if at_chosen else None)
    at = logits if at_chosen else logits[chosen]
    close(at, expected.logits[chosen], 1e-5)
    if not at_chosen:
        close(logits[real], expected.logits[real], 1e-5)
    expected.loss.backward()
    torch.nn.functional.cross_entropy(at, labels[chosen]).backward()
    compare_gradients(ours, theirs)


def test_pre_training():
    theirs = published(transformers.BertForPreTraining)
    ours = from_hf(theirs.state_dict(), 4, BertForPreTraining)
    ids, lengths, segments, real = padded_input()
    expected = theirs(ids, real.long(), segments)
    words, follows = ours(ids, lengths, segments)
    close(words[real], expected.prediction_logits[real], 1e-5)
    close(follows, expected.seq_relationship_logits, 1e-5)
    labels, second = torch.randint(50, ids.shape).masked_fill(~real, -100), torch.tensor([0, 1, 1])
    theirs(ids, real.long(), segments, labels=labels, next_sentence_label=second).loss.backward()
    loss = torch.nn.functional.cross_entropy
    (loss(words[real], labels[real]) + loss(follows, second)).backward()
    compare_gradients(ours, theirs)


def test_classification():
    theirs = published(transformers.BertForSequenceClassification, num_labels=3)
    ours = from_hf(theirs.state_dict(), 4, BertForSequenceClassification)
    ids, lengths, segments, real = padded_input()
    close(ours(ids, lengths, segments), theirs(ids, real.long(), segments).logits, 1e-5)
    labels = torch.tensor([2, 0, 1])
    theirs(ids, real.long(), segments, labels=labels).loss.backward()
    torch.nn.functional.cross_entropy(ours(ids, lengths, segments), labels).backward()
    compare_gradients(ours, theirs)


def test_padding_changes_nothing():
    model = from_hf(published(transformers.BertForMaskedLM).state_dict(), 4, BertForMaskedLM)
    ids, lengths, segments, _ = padded_input()
    for row, length in enumerate(lengths):
        alone = model(ids[row : row + 1, :length], segments=segments[row : row + 1, :length])
        close(model(ids, lengths, segments)[row, :length], alone[0], 1e-5)


def test_no_chosen_token_has_no_logits():
    model = BertForMaskedLM(BertConfig(50, 32, 2, 4, 56, 16))
    assert model(torch.ones(2, 3, dtype=torch.int64), chosen=torch.zeros(2, 3, dtype=bool)).shape == (0, 50)


@pytest.mark.parametrize(
    ("kind", "options", "base", "large"),
    [
        (Bert, {"pooler": True}, 109_482_240, 335_141_888),
        (BertForMaskedLM, {}, 109_514_298, 335_174_458),
        (BertForPreTraining, {}, 110_106_428, 336_226_108),
        (BertForSequenceClassification, {}, 109_483_778, 335_143_938),
    ],
)
def test_parameters(kind, options, base, large):
    with torch.device("meta"):
        counts = [sum(p.numel() for p in kind(sizes, **options).parameters()) for sizes in (BASE, LARGE)]
    assert counts == [base, large]


def test_a_new_head_stands_on_a_copy_of_the_body():
    body = from_hf(published(transformers.BertModel).state_dict(), 4)
    model = with_new_head(body, BertForSequenceClassification, n_classes=3)
    ids, lengths, segments, real = padded_input()
    close(model.bert(ids, lengths, segments)[real], body(ids, lengths, segments)[real], 0)
    assert model(ids, lengths, segments).shape == (3, 3)
    with torch.no_grad():
        model.bert.token.weight.zero_()
    assert body.token.weight.abs().sum() > 0


def test_a_pooler_that_the_new_kind_lacks_is_left_out():
    body = BertForPreTraining(BertConfig(50, 16, n_layers=1, n_heads=2, d_ff=32)).bert
    model = with_new_head(body, BertForMaskedLM)
    assert body.pooler is not None and model.bert.pooler is None
    assert torch.equal(model.bert.token.weight, body.token.weight)


def test_old_names_are_read():
    """The weights that the authors released call a norm's gain gamma and its bias beta."""
    theirs = published(transformers.BertForMaskedLM)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in theirs.state_dict().items()
    }
    ids = torch.arange(6)[None]
    close(from_hf(old, 4, BertForMaskedLM)(ids), theirs(ids).logits, 1e-5)


def test_weights_of_another_kind_are_refused():
    body = published(transformers.BertModel).state_dict()
    with pytest.raises(ValueError, match=r"lack head\..*BertForMaskedLM has"):
        from_hf(body, 4, BertForMaskedLM)
    with pytest.raises(ValueError, match="expected the weights of a BERT; got"):
        from_hf({"wte.weight": torch.zeros(2, 2)}, 4)
