"""A model as the folder that `transformers` and the many programs upon it read.

    export("hugging_face/", *load("my_model/"))

    AutoModelForCausalLM.from_pretrained("hugging_face/")  # the same logits
    AutoTokenizer.from_pretrained("hugging_face/")         # the same ids, and the chat template

Our rotary positions turn the same pairs as transformers' Llama, so no row changes its place; embedding and
head are one matrix there too.
"""

import json
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save
from tokenizers import Tokenizer

from course_utils.files import write_atomic
from course_utils.finetuning.peft_format import llama_name
from course_utils.gpt import GPT, GPTConfig
from course_utils.pretraining.model import check_tokenizer, llama_config
from course_utils.tokenizers.chat import END, END_OF_TEXT, end_ids

# `tokenizers.chat.chatml` in Jinja. Here a message that names a special token gets it: transformers lays
# out the conversation before it encodes it.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def export(folder: str | Path, model: GPT, tokenizer: Tokenizer, half: bool = False) -> None:
    """Write config.json, model.safetensors, tokenizer.json and their companions into a folder, which is made
    if it is missing; with `half`, weights in float16.

    Raises ValueError as `pretraining.model.save` does.
    """
    folder, config = Path(folder), llama_config(**asdict(model.config))
    check_tokenizer(tokenizer, config.vocab_size)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        llama_name(name): (tensor.half() if half else tensor).detach().cpu().contiguous()
        for name, tensor in model.named_parameters()
    }
    ends = end_ids(tokenizer)
    settings = {
        "config.json": _config(config, ends[0], "float16" if half else "float32"),
        "generation_config.json": {"eos_token_id": ends},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": END,
            "pad_token": END_OF_TEXT,
            "model_max_length": config.context,
            "clean_up_tokenization_spaces": False,
            "chat_template": CHAT_TEMPLATE,
        },
    }
    for name, values in settings.items():
        write_atomic(folder / name, json.dumps(values, indent=2) + "\n")
    write_atomic(folder / "tokenizer.json", tokenizer.to_str())
    write_atomic(folder / "model.safetensors", save(weights, {"format": "pt"}))


def _config(config: GPTConfig, end: int, dtype: str) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rotary_base,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": None,  # nothing stands before a text
        "eos_token_id": end,
        "torch_dtype": dtype,
    }
