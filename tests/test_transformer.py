"""Norms, blocks and stacks against torch's own and transformers' Llama, with the weights copied."""

import pytest
import torch
from test_attention import close, with_torchs_weights, x
from torch import nn
from torch.nn import functional

from course_utils.attention import causal_mask, padding_mask
from course_utils.transformer import (
    Block,
    BlockCache,
    BlockConfig,
    Decoder,
    Encoder,
    FeedForward,
    layer_norm,
    rms_norm,
)

pytestmark = pytest.mark.usefixtures("one_thread")
LLAMA = {"pre_norm": True, "norm": "rms", "activation": "swiglu", "bias": False, "rotary_base": 10_000.0}


@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_written_out_norms_equal_torchs_in_outputs_and_gradients(dtype, tolerance):
    inputs = (3 * x(5, 7, 16) + 2).to(dtype)
    gain, bias = x(16).to(dtype), x(16).flip(0).to(dtype)
    for ours, theirs in (
        (lambda x: layer_norm(x, gain, bias), lambda x: functional.layer_norm(x, (16,), gain, bias)),
        (lambda x: rms_norm(x, gain), lambda x: functional.rms_norm(x, (16,), gain, 1e-5)),
    ):
        ins = [inputs.clone().requires_grad_() for _ in range(2)]
        outs = [norm(one) for norm, one in zip((ours, theirs), ins, strict=True)]
        for output in outs:
            output.square().sum().backward()
        close(*outs, tolerance)
        close(ins[0].grad / 100, ins[1].grad / 100, tolerance)


def with_torchs_layer(ours, theirs):
    """Copy a TransformerEncoderLayer or DecoderLayer of torch into one of our blocks."""
    for module in theirs.modules():  # torch begins with biases of 0 and gains of 1, which hide mistakes
        if isinstance(module, nn.LayerNorm | nn.MultiheadAttention):
            for name, parameter in module.named_parameters():
                if parameter.dim() == 1:
                    nn.init.normal_(parameter, mean=float("weight" in name))
    with_torchs_weights(ours.attention, theirs.self_attn)
    norms = [ours.attention_norm, ours.feed_forward_norm]
    if ours.cross_attention is not None:
        with_torchs_weights(ours.cross_attention, theirs.multihead_attn)
        norms.insert(1, ours.cross_norm)
    ours.feed_forward.up.load_state_dict(theirs.linear1.state_dict())
    ours.feed_forward.down.load_state_dict(theirs.linear2.state_dict())
    for i, norm in enumerate(norms, start=1):
        norm.load_state_dict(getattr(theirs, f"norm{i}").state_dict())
    return ours


@pytest.mark.parametrize("pre_norm", [False, True], ids=["post-norm", "pre-norm"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("cross", [False, True], ids=["encoder", "decoder"])
def test_a_block_equals_torchs_layer_in_outputs_and_gradients(pre_norm, activation, cross):
    torch.manual_seed(0)
    kind = nn.TransformerDecoderLayer if cross else nn.TransformerEncoderLayer
    theirs = kind(32, 4, 64, 0.0, activation, batch_first=True, norm_first=pre_norm)
    config = BlockConfig(32, 4, 64, pre_norm=pre_norm, activation=activation)
    ours = with_torchs_layer(Block(config, cross), theirs)
    padding, memory = padding_mask([9, 4, 1], 9), x(3, 9, 32)
    if cross:
        expected_in, ours_in = (x(3, 7, 32).requires_grad_() for _ in range(2))
        mask = nn.Transformer.generate_square_subsequent_mask(7)
        expected = theirs(
            expected_in, memory, tgt_mask=mask, memory_key_padding_mask=~padding[:, 0, 0], tgt_is_causal=True
        )
        got = ours(ours_in, causal_mask(7), memory, padding)
    else:
        expected_in, ours_in = (memory.clone().requires_grad_() for _ in range(2))
        expected = theirs(expected_in, src_key_padding_mask=~padding[:, 0, 0])
        got = ours(ours_in, padding)
    close(got, expected)
    for output in (got, expected):
        (output * output.detach().flip(-1)).mean().backward()
    close(ours_in.grad, expected_in.grad)


def test_swiglu_multiplies_a_gate_in():
    torch.manual_seed(0)
    layer, inputs = FeedForward(8, 12, "swiglu", bias=False), x(3, 8)
    gate, up = inputs @ layer.gate.weight.T, inputs @ layer.up.weight.T
    close(layer(inputs), (gate * gate.sigmoid() * up) @ layer.down.weight.T)


def test_a_stack_equals_transformers_llama():
    """Rotary positions, grouped queries, RMS norm, SwiGLU: a tiny random Llama."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    llama = transformers.LlamaModel(
        transformers.LlamaConfig(
            vocab_size=50, hidden_size=32, intermediate_size=56, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-6, initializer_range=0.3,
        )
    ).eval()  # fmt: skip
    for name, parameter in llama.named_parameters():
        if "norm" in name:
            nn.init.normal_(parameter, mean=1.0)
    ours = Decoder(BlockConfig(32, 4, 56, n_kv_heads=2, norm_eps=1e-6, **LLAMA), 2, cross=False)
    for block, layer in zip(ours.blocks, llama.layers, strict=True):
        theirs = layer.self_attn, layer.mlp
        for name, module in {
            "attention.query": theirs[0].q_proj,
            "attention.key": theirs[0].k_proj,
            "attention.value": theirs[0].v_proj,
            "attention.output": theirs[0].o_proj,
            "feed_forward.gate": theirs[1].gate_proj,
            "feed_forward.up": theirs[1].up_proj,
            "feed_forward.down": theirs[1].down_proj,
            "attention_norm": layer.input_layernorm,
            "feed_forward_norm": layer.post_attention_layernorm,
        }.items():
            block.get_submodule(name).load_state_dict(module.state_dict())
    ours.norm.load_state_dict(llama.norm.state_dict())
    ids = torch.randint(50, (2, 9))
    with torch.no_grad():
        expected = llama(ids).last_hidden_state
        close(ours(llama.embed_tokens(ids)), expected)


@pytest.mark.parametrize(
    "field, value, sentence",
    [
        ("norm", "batch", "norm must be one of layer, rms; got 'batch'"),
        ("activation", "tanh", "relu, gelu, swiglu"),
    ],
)
def test_an_unknown_part_is_refused(field, value, sentence):
    with pytest.raises(ValueError, match=sentence):
        BlockConfig(32, 4, **{field: value})


def test_a_crop_forgets_the_shift_state_of_an_interrupted_call():
    cache = BlockCache()
    cache.attention.extend(x(1, 2, 3, 4), x(1, 2, 3, 4))
    cache.shift_state["attention"] = x(1, 5, 4)
    cache.crop(3)
    assert len(cache.attention) == 3 and cache.shift_state["attention"].shape == (1, 3, 4)


def test_heads_that_do_not_divide_are_refused_by_a_block_too():
    with pytest.raises(ValueError, match="n_heads must divide d_model"):
        Encoder(BlockConfig(30, 4), 1)
