"""The GPT against transformers' Llama with the same weights, its cache, its padding, and its start."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from course_utils.generation.adapters import cache_bytes_per_token
from course_utils.gpt import GPT, GPTConfig, bits_per_byte, log2_probs
from course_utils.training import next_token_loss
from course_utils.training.checkpoints import load_into, save_model

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = GPTConfig(vocab_size=50, context=40, n_layers=3, n_heads=6, n_kv_heads=2, d_model=48, d_ff=80)
SHIFTED = replace(SMALL, norm="layer", qk_norm=True, token_shift=True)
COUNTED = replace(SHIFTED, ngrams=4, ngram_rows=37)
SHAPES = {"Llama's": SMALL, "layer norms, token shift": SHIFTED, "n-grams": COUNTED}
NAMES = {  # ours -> transformers'
    "embedding.weight": "model.embed_tokens.weight",
    "decoder.norm.weight": "model.norm.weight",
    "decoder.blocks.": "model.layers.",
    "attention_norm.": "input_layernorm.",
    "feed_forward_norm.": "post_attention_layernorm.",
    "attention.query.": "self_attn.q_proj.",
    "attention.key.": "self_attn.k_proj.",
    "attention.value.": "self_attn.v_proj.",
    "attention.output.": "self_attn.o_proj.",
    "feed_forward.gate.": "mlp.gate_proj.",
    "feed_forward.up.": "mlp.up_proj.",
    "feed_forward.down.": "mlp.down_proj.",
}


def as_llama(model):
    """transformers' model of the same shape with the same weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config, weights = model.config, {}
    for name, parameter in model.named_parameters():
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        weights[name] = parameter.detach().clone()
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.d_model,
            intermediate_size=config.block.d_ff,
            num_hidden_layers=config.n_layers,
            num_attention_heads=config.n_heads,
            num_key_value_heads=config.n_kv_heads,
            max_position_embeddings=config.context,
            rms_norm_eps=config.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": config.rotary_base},
            tie_word_embeddings=True,
        )
    )
    missing, unexpected = llama.load_state_dict(weights, strict=False)
    assert missing == ["lm_head.weight"] and not unexpected
    return llama.to(model.embedding.weight.dtype).eval()


def built(config):
    """Weights larger than a fresh model's, so that nothing hides in small numbers; in float64, so that what
    should be equal is, up to 10 digits."""
    torch.manual_seed(0)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.randn(parameter.shape)
    return model.double().requires_grad_(False)


@pytest.fixture
def model():
    return built(SMALL)


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def each(request):
    return built(request.param)


def ids_of(*shape):
    return torch.randint(SMALL.vocab_size, shape, generator=torch.Generator().manual_seed(1))


def test_logits_equal_those_of_transformers(model):
    ids = ids_of(2, 40)
    torch.testing.assert_close(model(ids), as_llama(model)(ids).logits, atol=1e-4, rtol=0)


def test_the_comparison_notices_another_rotation_and_another_grouping(model):
    ids, expected = ids_of(2, 40), model(ids_of(2, 40))
    for block in model.decoder.blocks:
        block.attention.rotary_base = 1000.0
    assert (model(ids) - expected).abs().max() > 1e-2
    for block in model.decoder.blocks:
        block.attention.rotary_base = SMALL.rotary_base
        width = SMALL.d_model // SMALL.n_heads
        block.attention.key.weight.data = block.attention.key.weight.roll(width, 0)
    assert (model(ids) - expected).abs().max() > 1e-2


def test_normed_queries_and_keys_are_those_of_qwen3():
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    model = GPT(replace(SMALL, qk_norm=True)).double().requires_grad_(False)
    llama = as_llama(model)  # for the names of the weights
    config = Qwen3Config(**llama.config.to_diff_dict() | {"model_type": "qwen3", "head_dim": 8})
    qwen = Qwen3ForCausalLM(config).double().eval()
    missing, unexpected = qwen.load_state_dict(llama.state_dict(), strict=False)
    assert not unexpected and all("q_norm" in name or "k_norm" in name for name in missing)
    ids = torch.randint(50, (2, 40))
    torch.testing.assert_close(model(ids), qwen(ids).logits)
    assert (model(ids) - llama.double()(ids).logits).abs().max() > 1e-3


def test_layer_norms_take_the_mean_off_everywhere():
    """A number added to the whole stream before a norm, and to a whole query or key, changes nothing."""
    model, ids = built(replace(SHIFTED, token_shift=False)), ids_of(1, 20)
    assert not any("bias" in name for name, _ in model.named_parameters())
    expected = model(ids)
    model.decoder.blocks[0].attention_norm.register_forward_pre_hook(lambda _, inputs: (inputs[0] + 3.0,))
    attention, normed = model.decoder.blocks[0].attention, model.decoder.blocks[0].attention.normed
    attention.normed = lambda x: normed(x + 2.0)
    torch.testing.assert_close(model(ids), expected, atol=1e-9, rtol=0)


def test_token_shift_reads_half_of_each_branchs_input_one_position_late():
    block = built(SHIFTED).decoder.blocks[0]
    x, mask = torch.randn(2, 9, SHIFTED.d_model, dtype=torch.float64), torch.ones(9, 9).tril().bool()

    def late(x):
        shifted = x.clone()
        for t in range(9):
            shifted[:, t, :24] = x[:, t - 1, :24] if t else 0.0
        return shifted

    y = x + block.attention(late(block.attention_norm(x)), mask=mask)[0]
    y = y + block.feed_forward(late(block.feed_forward_norm(y)))
    torch.testing.assert_close(block(x, mask), y, atol=1e-12, rtol=0)


def test_each_position_gets_the_embeddings_of_the_ngrams_that_end_there():
    ngrams, ids = built(COUNTED).ngrams, ids_of(2, 9)
    got = ngrams(ids)
    for row, ids_of_row in zip(got, ids.tolist(), strict=True):
        text = [50, 50, 50, *ids_of_row]  # 50 is no token
        for t in range(9):
            expected = 0
            for n in (2, 3, 4):
                digits = text[t + 4 - n : t + 4]
                number = sum(digit * 51**place for place, digit in enumerate(reversed(digits)))
                expected = expected + ngrams.table.weight[number % 37]
            torch.testing.assert_close(row[t], expected)


def test_ngrams_cost_a_fresh_model_nothing_and_are_learnt():
    torch.manual_seed(0)
    without = GPT(replace(COUNTED, ngrams=1))
    torch.manual_seed(0)
    model, ids = GPT(COUNTED), ids_of(2, 9)
    assert torch.equal(model(ids), without(ids))
    next_token_loss(model, (ids[:, :-1], ids[:, 1:]), None)[0].backward()
    assert model.ngrams.table.weight.grad.abs().max() > 0


@pytest.mark.parametrize("pieces", [[1] * 40, [40], [7, 1, 1, 20, 11]], ids=str)
def test_with_a_cache_it_gives_the_same_in_pieces(each, pieces):
    ids, cache = ids_of(2, 40), each.new_cache()
    got = torch.cat([each(piece, cache) for piece in ids.split(pieces, dim=1)], dim=1)
    torch.testing.assert_close(got, each(ids), atol=1e-10, rtol=0)
    assert len(cache) == 40
    torch.testing.assert_close(each(ids, last=3), each(ids)[:, -3:], atol=1e-10, rtol=0)


def test_caches_that_were_cropped_and_rearranged_go_on_as_new_ones(each):
    ids, cache = ids_of(3, 20), each.new_cache()
    each(ids, cache)
    twin = cache.copy()
    cache.crop(12)
    cache.select([2, 0, 2])
    got = each(ids[[2, 0, 2], 12:], cache)
    torch.testing.assert_close(got, each(ids[[2, 0, 2]])[:, 12:], atol=1e-10, rtol=0)
    longer = ids_of(3, 25)
    torch.testing.assert_close(
        each(longer[:, 20:], twin),
        each(torch.cat([ids, longer[:, 20:]], dim=1))[:, 20:],
        atol=1e-10,
        rtol=0,
    )


def test_a_cache_says_what_it_takes_up(each):
    cache = each.new_cache()
    assert cache.nbytes == 0
    each(ids_of(2, 7), cache)
    shape = each.config
    numbers = 2 * shape.n_kv_heads * 8 + (shape.d_model if shape.token_shift else 0)
    a_token = shape.n_layers * numbers * 8 + (8 if shape.ngrams > 1 else 0)  # its id, 8 bytes
    assert cache.nbytes == 2 * 7 * a_token and cache_bytes_per_token(shape, 8) == a_token
    assert all(block.nbytes == 2 * 7 * numbers * 8 for block in cache.blocks)


def test_padding_on_the_left_changes_nothing(each):
    """Up to the angles of the rotation, which are float32."""
    ids, padding = ids_of(2, 20), 5
    mask = torch.ones(2, 1, 1, 20, dtype=torch.bool)
    mask[0, ..., :padding] = False
    padded = torch.cat([torch.zeros(1, padding, dtype=torch.long), ids[:1, :15]], dim=1)
    batch = torch.cat([padded, ids[1:]])
    got = each(batch, mask=mask)
    torch.testing.assert_close(got[0, padding:], each(ids[:1, :15])[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(got[1], each(ids[1:])[0], atol=1e-5, rtol=0)
    cache = each.new_cache()
    each(batch[:, :19], cache, mask[..., :19])
    step = each(batch[:, 19:], cache, mask)
    torch.testing.assert_close(step, got[:, 19:], atol=1e-5, rtol=0)


def test_all_losses_in_one_pass_equal_separate_calls(each):
    ids = ids_of(1, 41)
    together = functional.cross_entropy(each(ids[:, :-1])[0], ids[0, 1:], reduction="none")
    apart = [functional.cross_entropy(each(ids[:, :t])[:, -1], ids[:, t]) for t in range(1, 41)]
    torch.testing.assert_close(together, torch.stack(apart), atol=1e-10, rtol=0)
    loss, _ = next_token_loss(each, (ids[:, :-1], ids[:, 1:]), None)
    torch.testing.assert_close(loss, together.mean())


@pytest.mark.parametrize("context, n", [(8, 5), (8, 8), (8, 9), (8, 30), (7, 30), (2, 7), (1, 4)])
def test_a_long_text_is_scored_once_with_half_a_window_before_each_token(context, n, monkeypatch):
    torch.manual_seed(0)
    model = GPT(replace(SMALL, context=context))
    tokens = np.random.default_rng(0).integers(0, 50, n)
    read, stride, expected = [3, *tokens[:-1]], max(context // 2, 1), []
    for i in range(n):
        start = max(-(-(i - context + 1) // stride), 0) * stride  # of the first window that holds i
        logits = model(torch.tensor([read[start : i + 1]]))[0, -1]
        expected.append(logits.log_softmax(-1)[tokens[i]].item() / math.log(2))
        assert i < context or i + 1 - start > context // 2
    monkeypatch.setattr("course_utils.gpt.MAX_LOGITS", 2 * context * 50)  # two windows at a time
    got = log2_probs(model, tokens, start=3)
    assert got == pytest.approx(np.array(expected), abs=1e-5)
    assert bits_per_byte(model, tokens, n_bytes=2 * n) == pytest.approx(
        -log2_probs(model, tokens).sum() / 2 / n
    )


@pytest.mark.parametrize("tokens, words", [([], "at least one token"), ([1, 50], "between 0 and 49")])
def test_a_text_that_cannot_be_scored(tokens, words):
    with pytest.raises(ValueError, match=words):
        log2_probs(GPT(SMALL), np.array(tokens))


def test_no_position_sees_what_comes(model):
    ids = ids_of(1, 20)
    changed = ids.clone()
    changed[0, 12:] = (ids[0, 12:] + 1) % SMALL.vocab_size
    assert torch.equal(model(ids)[:, :12], model(changed)[:, :12])
    assert not torch.allclose(model(ids)[:, 12:], model(changed)[:, 12:])


def test_a_fresh_model_expects_every_token_alike():
    torch.manual_seed(0)
    model, ids = GPT(SMALL), ids_of(8, 40)
    loss, _ = next_token_loss(model, (ids[:, :-1], ids[:, 1:]), None)
    assert abs(loss.item() - math.log(50)) < 0.05
    block = model.decoder.blocks[0]
    assert block.attention.query.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert block.feed_forward.down.weight.std().item() == pytest.approx(0.02 / 6**0.5, rel=0.1)


def test_it_learns_a_text_by_heart():
    torch.manual_seed(0)
    model, ids = GPT(SMALL), ids_of(1, 41)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        loss, _ = next_token_loss(model, (ids[:, :-1], ids[:, 1:]), None)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1


def test_parameters_of_smollm2():
    with torch.device("meta"):
        model = GPT(GPTConfig(49_152, 8192, 30, 9, 576, n_kv_heads=3, d_ff=1536))
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008


def test_the_default_width_costs_what_two_matrices_of_four_times_the_width_do():
    assert GPTConfig(50, 40, 1, 6, 384).block.d_ff == 1024
    assert GPTConfig(50, 40, 1, 1, 100).block.d_ff == 320  # 267, in whole multiples of 64


def test_a_checkpoint_of_another_shape(model, tmp_path):
    save_model(tmp_path / "gpt.safetensors", model, {})
    other = GPT(GPTConfig(50, 40, 3, 6, 48, n_kv_heads=6, d_ff=80))
    with pytest.raises(ValueError, match=r"another model's weights: .*key\.weight has the shape"):
        load_into(tmp_path / "gpt.safetensors", other)


@pytest.mark.parametrize(
    "ids, words",
    [
        (torch.zeros(1, 41, dtype=torch.long), "at most 40 tokens at once; got 41"),
        (torch.zeros(1, 0, dtype=torch.long), "at least one token"),
        (torch.zeros(5, dtype=torch.long), r"\(batch, time\)"),
        (torch.tensor([[50]]), "between 0 and 49; got 50"),
        (torch.tensor([[-1]]), "between 0 and 49; got -1"),
    ],
)
def test_input_that_is_refused(model, ids, words):
    with pytest.raises(ValueError, match=words):
        model(ids)


def test_a_cache_that_is_full(model):
    cache = model.new_cache()
    model(ids_of(1, 40), cache)
    with pytest.raises(ValueError, match="at most 40 tokens at once; got 41"):
        model(ids_of(1, 1), cache)


@pytest.mark.parametrize("name", ["vocab_size", "context", "n_layers", "n_heads", "d_model"])
@pytest.mark.parametrize("value", [0, -1, 2.0])
def test_sizes_that_are_refused(name, value):
    sizes = {"vocab_size": 50, "context": 40, "n_layers": 1, "n_heads": 2, "d_model": 8, name: value}
    with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1; got {value}"):
        GPTConfig(**sizes)
