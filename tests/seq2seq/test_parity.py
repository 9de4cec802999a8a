"""T5 and BART beside transformers', every weight random: logits, loss, gradients, what greedy and beam search
write, and the exact sizes; and that each thing in which they differ from other transformers shows."""

import dataclasses

import pytest
import torch
from test_attention import close

from course_utils.generation import beam_search
from course_utils.seq2seq import Conditioned, bart, cross_weights, greedy, padded, pair_loss, t5

pytestmark = pytest.mark.usefixtures("one_thread")
transformers = pytest.importorskip("transformers")

VOCAB = 23
SIZES = {"vocab_size": VOCAB, "d_model": 32, "attn_implementation": "eager"}  # the path that returns weights
KINDS = ["t5", "gated t5", "bart"]
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def published(kind):
    """transformers' model, all its weights random: its zeros and ones would hide mistakes."""
    torch.manual_seed(0)
    if kind == "bart":
        sizes = {f"{stack}_{name}": n for stack in ("encoder", "decoder")
                 for name, n in [("layers", 2), ("attention_heads", 4), ("ffn_dim", 56)]}  # fmt: skip
        config = transformers.BartConfig(
            max_position_embeddings=16, dropout=0.0, forced_eos_token_id=None, **SIZES, **sizes
        )
        model = transformers.BartForConditionalGeneration(config)
    else:
        config = transformers.T5Config(
            num_layers=2, num_heads=4, d_kv=6, d_ff=56, relative_attention_num_buckets=8, dropout_rate=0.0,
            decoder_start_token_id=0, feed_forward_proj="relu" if kind == "t5" else "gated-gelu", **SIZES,
        )  # fmt: skip
        model = transformers.T5ForConditionalGeneration(config)
    for name, parameter in model.named_parameters():
        gain = parameter.dim() == 1 and name.endswith("weight")
        torch.nn.init.normal_(parameter, mean=float(gain), std=0.2)
    with torch.no_grad():
        model.get_input_embeddings().weight[config.eos_token_id] *= 4  # so that it ends some texts
    return model.eval()


def mirrored(kind, weights):
    return bart.from_hf(weights, n_heads=4) if kind == "bart" else t5.from_hf(weights)


@pytest.fixture(scope="module", params=KINDS)
def pair(request):
    theirs = published(request.param)
    return request.param, theirs, mirrored(request.param, theirs.state_dict())


def rows(*lengths, seed=1):
    """Texts without the ids that pad, start and end."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, VOCAB, (length,), generator=generator).tolist() for length in lengths]


SOURCES, TARGETS = rows(14, 7, 1, 5), rows(9, 3, 11, 0, seed=2)


def batch(marks):
    """(source, lengths, target) with padding in both, and which places of the source are real."""
    source, lengths = padded(SOURCES, marks.pad)
    target, ends = padded([[marks.start, *row, marks.end] for row in TARGETS], marks.pad)
    return (source, lengths, target), (torch.arange(source.shape[1]) < lengths[:, None]).long(), ends


def logits_of_both(theirs, ours):
    """At each place of the targets that is read and not padding: the others are nobody's business."""
    (source, lengths, target), real, ends = batch(ours.marks)
    expected = theirs(source, real, decoder_input_ids=target).logits
    there = torch.arange(target.shape[1]) < ends[:, None]
    return ours(source, lengths, target)[there], expected[there]


def test_logits(pair):
    _, theirs, ours = pair
    with torch.no_grad():
        got, expected = logits_of_both(theirs, ours)
    assert expected.std() > 0.2
    close(got, expected, 1e-5)


def test_loss_and_gradients(pair):
    kind, theirs, ours = pair
    (source, lengths, target), real, _ = batch(ours.marks)
    labels = target[:, 1:].masked_fill(target[:, 1:] == ours.marks.pad, -100)
    theirs.zero_grad()
    ours.zero_grad()
    expected = theirs(source, real, labels=labels).loss
    expected.backward()
    got, _ = pair_loss(ours, (source, lengths, target), None)
    got.backward()
    close(got, expected, 1e-5)
    gradients = mirrored(kind, {name: p.grad for name, p in theirs.named_parameters()}).state_dict()
    for name, parameter in ours.named_parameters():
        if not name.endswith("key.bias"):  # which adds the same to all scores of a query
            assert gradients[name].abs().max() > 1e-5, name
        close(parameter.grad, gradients[name], 1e-5)


def test_one_token_at_a_time_gives_what_all_at_once_gives(pair):
    _, _, ours = pair
    (source, lengths, target), _, _ = batch(ours.marks)
    with torch.no_grad():
        expected, memory, state, steps = ours(source, lengths, target), ours.encode(source, lengths), None, []
        for t in range(target.shape[1]):
            logits, state = ours.decode(target[:, t : t + 1], memory, state)
            steps.append(logits)
    close(torch.cat(steps, dim=1), expected, 1e-5)


def test_where_the_decoder_looks(pair):
    _, theirs, ours = pair
    source, target = SOURCES[0], TARGETS[0]
    read = torch.tensor([[ours.marks.start, *target[:-1]]])
    with torch.no_grad():
        expected = theirs(torch.tensor([source]), decoder_input_ids=read, output_attentions=True)
    close(cross_weights(ours, source, target), torch.cat(expected.cross_attentions), 1e-5)


MANY = rows(12, 1, 7, 9, 4, 6, 2, 10, seed=3)


def theirs_written(theirs, marks, **options):
    source, lengths = padded(MANY, marks.pad)
    real = (torch.arange(source.shape[1]) < lengths[:, None]).long()
    return theirs.generate(source, attention_mask=real, max_new_tokens=10, do_sample=False, **options)


def cut(row, marks):
    """What follows the start, up to the end if there is one."""
    row = row.tolist()[1:]
    return row[: row.index(marks.end)] if marks.end in row else row


def test_greedy(pair):
    _, theirs, ours = pair
    expected = [cut(row, ours.marks) for row in theirs_written(theirs, ours.marks, num_beams=1)]
    assert {len(row) < 10 for row in expected} == {True, False}
    assert greedy(ours, MANY, max_new=10) == expected


def test_beam_search(pair):
    _, theirs, ours = pair
    beams = {"num_beams": 4, "num_return_sequences": 4, "early_stopping": "never"}
    expected = theirs_written(theirs, ours.marks, return_dict_in_generate=True, output_scores=True, **beams)
    texts = [cut(row, ours.marks) for row in expected.sequences]
    found = [
        beam
        for source in MANY
        for beam in beam_search(
            Conditioned(ours, source), [ours.marks.start], 10, 4, end_ids=[ours.marks.end]
        )
    ]
    assert [cut(torch.tensor([0, *beam.ids]), ours.marks) for beam in found] == texts
    close(torch.tensor([beam.score for beam in found]).float(), expected.sequences_scores, 1e-5)
    assert {len(text) < 10 for text in texts} == {True, False}
    best = texts[::4]
    assert best != greedy(ours, MANY, max_new=10)


# What is theirs alone


def attentions(model):
    return [m for m in model.modules() if hasattr(m, "n_kv_heads")]


WRONG = {
    "t5": {
        "1/sqrt(d) kept": lambda model: [setattr(each, "scale", None) for each in attentions(model)],
        "a decoder's buckets for two sides": lambda model: setattr(model.decoder.relative, "both_ways", True),
        "an encoder's buckets for one": lambda model: setattr(model.encoder.relative, "both_ways", False),
        "buckets that reach half as far": lambda model: setattr(model.encoder.relative, "farthest", 64),
        "no bias in the decoder": lambda model: setattr(model.decoder, "relative", None),
        "no last norm": lambda model: setattr(model.decoder, "norm", torch.nn.Identity()),
        "output layer not scaled": lambda model: setattr(
            model, "config", dataclasses.replace(model.config, d_model=1)
        ),
    },
    "bart": {
        "one table of positions": lambda model: setattr(model, "source_positions", model.target_positions),
        "no norm of the embeddings": lambda model: setattr(model, "source_norm", torch.nn.Identity()),
        "the encoder's norm for both": lambda model: setattr(model, "target_norm", model.source_norm),
    },
}  # fmt: skip


@pytest.mark.parametrize(("kind", "fault"), [(kind, fault) for kind in WRONG for fault in WRONG[kind]])
def test_a_wrong_part_shows(kind, fault):
    theirs = published(kind)
    ours = mirrored(kind, theirs.state_dict())
    WRONG[kind][fault](ours)
    with torch.no_grad():
        got, expected = logits_of_both(theirs, ours)
    assert (got - expected).abs().max() > 1e-2


def test_positions_that_begin_at_the_first_row_show(monkeypatch):
    theirs = published("bart")
    ours = bart.from_hf(theirs.state_dict(), n_heads=4)
    monkeypatch.setattr(bart, "UNREAD", 0)
    with torch.no_grad():
        got, expected = logits_of_both(theirs, ours)
    assert (got - expected).abs().max() > 1e-2


def test_the_queries_first_weights_make_up_for_the_missing_factor():
    """So scores start with about the spread that they would have with 1 / sqrt(d_head)."""
    torch.manual_seed(0)
    config = t5.T5Config(vocab_size=50, d_model=256, n_layers=1, n_heads=4, d_head=64, d_ff=128)
    attention = t5.T5(config).encoder.blocks[0].attention
    x = torch.randn(1, 400, 256)
    q, k, _ = attention.split_qkv(attention.qkv(x), 0)
    assert 0.9 < (q @ k.transpose(-1, -2)).std() < 1.1
    torch.nn.init.normal_(attention.query.weight, std=256**-0.5)
    q, _, _ = attention.split_qkv(attention.qkv(x), 0)
    assert 7 < (q @ k.transpose(-1, -2)).std() < 9  # sqrt(64)


# Sizes


@pytest.mark.parametrize(
    ("kind", "config", "expected"),
    [
        (t5.T5, t5.SMALL, 60_506_624),
        (t5.T5, t5.BASE, 222_903_552),
        (t5.T5, t5.T5Config(d_model=1024, n_layers=24, n_heads=128, d_head=128, d_ff=65_536), 11_307_321_344),
        (bart.BART, bart.BASE, 139_420_416),
        (bart.BART, bart.LARGE, 406_291_456),
    ],
)
def test_published_sizes(kind, config, expected):
    with torch.device("meta"):
        model = kind(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


# Bad input


@EVERY_KIND
def test_input_that_is_refused(kind):
    ours = mirrored(kind, published(kind).state_dict())
    two = torch.tensor([2])
    with pytest.raises(ValueError, match=f"between 0 and {VOCAB - 1}; got 3 to {VOCAB}"):
        ours(torch.tensor([[3, VOCAB]]), two, torch.tensor([[0]]))
    with pytest.raises(ValueError, match=f"between 0 and {VOCAB - 1}; got -1 to -1"):
        ours(torch.tensor([[3, 4]]), two, torch.tensor([[-1]]))
    for empty in ([], [[]]):
        with pytest.raises(ValueError, match="rows of at least one id each"):
            greedy(ours, empty)
    with pytest.raises(ValueError, match="rows of at least one id each"):
        Conditioned(ours, [])
    with pytest.raises(ValueError, match="prompts of one length"):
        Conditioned(ours, [3])(torch.tensor([[0, 3]]), mask=torch.ones(1, 1, 1, 2, dtype=torch.bool))


def test_more_than_bart_has_positions_for():
    ours = bart.from_hf(published("bart").state_dict(), n_heads=4)
    assert greedy(ours, [[3] * 16], max_new=1)
    with pytest.raises(ValueError, match="at most 16 tokens; got 17: cut the text into pieces"):
        greedy(ours, [[3] * 17])
    state = ours.decode(torch.tensor([[2] * 16]), ours.encode(torch.tensor([[3]]), torch.tensor([1])))
    with pytest.raises(ValueError, match="at most 16 tokens; got 17"):
        ours.decode(torch.tensor([[3]]), ours.encode(torch.tensor([[3]]), torch.tensor([1])), state[1])


def test_weights_that_are_refused():
    of_t5, of_bart = (published(kind).state_dict() for kind in ("t5", "bart"))
    for weights in ({}, of_bart):
        with pytest.raises(ValueError, match="expected the weights of a T5; got"):
            t5.from_hf(weights)
    with pytest.raises(ValueError, match="expected the weights of a BART; got"):
        bart.from_hf(of_t5, 4)
    part = "decoder.block.1.layer.1.EncDecAttention.q.weight"
    with pytest.raises(ValueError, match=r"lack decoder\.blocks\.1\.cross_attention\.query\.weight"):
        t5.from_hf({name: tensor for name, tensor in of_t5.items() if name != part})
    deeper = {
        name.replace(".block.1.", ".block.2."): x for name, x in of_t5.items() if "decoder.block.1" in name
    }
    with pytest.raises(ValueError, match="as many blocks in both stacks; got 2 and 3"):
        t5.from_hf(of_t5 | deeper)
    with pytest.raises(ValueError, match="output layer of their own"):
        t5.from_hf(of_t5 | {"lm_head.weight": of_t5["shared.weight"] + 1})
    with pytest.raises(ValueError, match="add a bias to the logits"):
        bart.from_hf(of_bart | {"final_logits_bias": torch.ones(1, VOCAB)}, 4)


def test_a_model_in_training_is_conditioned_without_dropout_and_trains_on():
    torch.manual_seed(0)
    config = t5.T5Config(vocab_size=VOCAB, d_model=32, n_layers=1, n_heads=2, d_ff=8, d_head=4, dropout=0.5)
    model = t5.T5(config)
    first, second = (Conditioned(model, [3, 4]) for _ in range(2))
    assert model.training and first.memory.states.equal(second.memory.states)
    found = [beam_search(each, [0], 4, 2) for each in (first, second)]
    assert found[0] == found[1] and model.training
    with pytest.raises(ValueError, match="rows of at least one id each"):
        Conditioned(model, [])
    assert model.training
