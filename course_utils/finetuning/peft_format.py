"""LoRA adapters in the files of Hugging Face's `peft`: it reads ours, and we read its.

A folder holds `adapter_model.safetensors`, with the A and B of each layer under the layer's name, and
`adapter_config.json`, with rank, alpha and the names of the layers. A GPT's layers go by the names that
transformers' Llama has for them, so an adapter of ours serves that model too; those of other models keep
their own.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from course_utils.files import write_atomic
from course_utils.finetuning.lora import LoRALinear, check_rank, lora_layers, put, targeted
from course_utils.gpt import GPT
from course_utils.training import checkpoints

TENSORS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
LLAMA = {  # ours -> transformers'
    "embedding.": "model.embed_tokens.",
    "decoder.norm.": "model.norm.",
    "decoder.blocks.": "model.layers.",
    "attention_norm.": "input_layernorm.",
    "feed_forward_norm.": "post_attention_layernorm.",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
# What else peft writes and changes no output of a finished adapter. All other settings are of kinds that we
# don't compute: an adapter that uses one is refused.
HARMLESS = {
    *("peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
    *("inference_mode", "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules"),
    *("layers_to_transform", "layers_pattern", "megatron_core", "qalora_group_size"),
}
PLAIN = {"bias": ["none"], "init_lora_weights": [True, False, "gaussian", "orthogonal"]}


def peft_name(model: nn.Module, name: str) -> str:
    """What peft calls a layer."""
    return llama_name(name) if isinstance(model, GPT) else name


def llama_name(name: str) -> str:
    """What transformers' Llama calls a layer or parameter of a GPT."""
    for ours, theirs in LLAMA.items():
        name = name.replace(ours, theirs)
    return name


def _keys(model: nn.Module, name: str) -> tuple[str, str]:
    layer = f"base_model.model.{peft_name(model, name)}"
    return f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"


def save_adapter(folder: str | Path, model: nn.Module) -> None:
    """Write the adapters of `add_lora` to a folder, which is made if it is missing.

    Raises ValueError if the model has none, or those of several ranks or alphas.
    """
    layers = dict(lora_layers(model))
    kinds = {(layer.rank, layer.alpha) for layer in layers.values()}
    if len(kinds) != 1:
        raise ValueError(f"expected adapters of one rank and alpha; this model has {sorted(kinds) or 'none'}")
    (rank, alpha), tensors = kinds.pop(), {}
    for name, layer in layers.items():
        a, b = _keys(model, name)
        tensors |= {a: layer.A, b: layer.B}
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM" if isinstance(model, GPT) else None,
        "r": rank,
        "lora_alpha": alpha,
        "target_modules": [peft_name(model, name) for name in layers],
        "bias": "none",
        "inference_mode": True,
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoints.save(folder / TENSORS, tensors, {})
    write_atomic(folder / CONFIG, json.dumps(config, indent=2))


def load_adapter(folder: str | Path, model: nn.Module) -> nn.Module:
    """Put the adapters of a folder, of ours or of peft, beside the layers that they name. Returns the model,
    frozen but for them. (A dropout that they were trained with is left out; outputs don't depend on it.)

    Raises ValueError if a file is missing or damaged, if the adapter is none of LoRA's plain kind, or if it
    is another model's; then this one is as it was.
    """
    rank, alpha, tensors = _read(Path(folder))
    layers, factors = targeted(model), {}
    for name, layer in layers.items():
        keys = _keys(model, name)
        if all(key in tensors for key in keys):
            factors[name] = [tensors.pop(key) for key in keys]
            _check(layer, *factors[name], rank, alpha, peft_name(model, name))
    if tensors or not factors:
        what = next(iter(tensors), "nothing")
        raise ValueError(
            f"this adapter is another model's: it holds {what}, which has no place here; load the model that "
            "it was trained on"
        )
    adapters = {name: LoRALinear(layers[name], rank, alpha) for name in factors}
    with torch.no_grad():
        for name, adapter in adapters.items():
            a, b = factors[name]
            adapter.A.copy_(a), adapter.B.copy_(b)
    return put(model, adapters)


def _check(layer: nn.Linear, a: Tensor, b: Tensor, rank: int, alpha: float, name: str) -> None:
    """Raise ValueError if the shapes aren't those of the rank and the layer."""
    got = tuple(a.shape), tuple(b.shape)
    expected = (rank, layer.in_features), (layer.out_features, rank)
    if got != expected:
        raise ValueError(
            f"this adapter is of another shape: A and B of {name} have {got[0]} and {got[1]}; its rank "
            f"{rank} and this model ask for {expected[0]} and {expected[1]}: load the model it was made for"
        )
    check_rank(layer, rank, alpha)


def _read(folder: Path) -> tuple[int, float, dict[str, Tensor]]:
    """Rank, alpha and the tensors by peft's names."""
    missing = [name for name in (CONFIG, TENSORS) if not (folder / name).is_file()]
    if missing:
        raise ValueError(f"{folder.name} holds no adapter: {' and '.join(missing)} must be there")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        kind, rank, alpha = (config[key] for key in ("peft_type", "r", "lora_alpha"))
    except (ValueError, LookupError, TypeError):
        raise ValueError(
            f"{CONFIG} is damaged, or names no peft_type, r and lora_alpha: take the adapter's own file"
        ) from None
    used = [key for key, value in config.items() if value and key not in {*HARMLESS, *PLAIN}]
    used += [key for key, plain in PLAIN.items() if config.get(key, plain[0]) not in plain]
    if kind != "LORA" or used:
        raise ValueError(
            f"expected an adapter of the plain kind of LoRA; this one is {kind} and uses "
            f"{', '.join(used) or 'nothing else'}: make one without"
        )
    if not isinstance(rank, int) or not isinstance(alpha, int | float):
        raise ValueError(f"expected numbers for r and lora_alpha in {CONFIG}; got {rank!r} and {alpha!r}")
    path = folder / TENSORS
    try:
        with safe_open(path, "pt") as file:
            has_digest = "sha256" in (file.metadata() or {})  # ours: one wrong bit is noticed
        tensors = checkpoints.load(path)[0] if has_digest else load_file(path)
    except (SafetensorError, OSError):
        raise ValueError(f"{TENSORS} is cut off or damaged: take the adapter's own file") from None
    return rank, alpha, tensors
