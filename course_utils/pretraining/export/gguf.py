"""A model as one GGUF file, which llama.cpp and the programs around it read.

    export("model.gguf", *load("my_model/"))

GGUF keeps the two numbers of a query or key that rotate together side by side, where we keep them half a
head apart (see `attention.rotate`): the rows of those matrices change their places. There is no matrix for
the head: without one, llama.cpp takes the embedding.

Source: the GGUF specification of ggml, and the names of `gguf`, the package of llama.cpp's authors.
"""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import gguf
import numpy as np
from tokenizers import Tokenizer

from course_utils.data.extracts import GGUF_NAMES
from course_utils.gpt import GPT, GPTConfig
from course_utils.pretraining.export.hugging_face import CHAT_TEMPLATE
from course_utils.pretraining.model import check_tokenizer, llama_config
from course_utils.tokenizers.chat import SPECIAL, end_ids


def export(path: str | Path, model: GPT, tokenizer: Tokenizer, half: bool = True) -> None:
    """Write a model and its tokenizer as one file, whole or not at all; with `half`, matrices in float16.

    Raises ValueError as `pretraining.model.save` does.
    """
    path, config = Path(path), llama_config(**asdict(model.config))
    check_tokenizer(tokenizer, config.vocab_size)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        writer = gguf.GGUFWriter(Path(folder) / path.name, "llama")
        _add_shape(writer, config)
        _add_vocabulary(writer, tokenizer)
        writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if half else gguf.LlamaFileType.ALL_F32)
        heads = {"attn_q.weight": config.n_heads, "attn_k.weight": config.n_kv_heads}
        for name, tensor in model.named_parameters():
            name, weight = _gguf_name(name), tensor.detach().cpu().float().numpy()
            for part, n_heads in heads.items():
                if name.endswith(part):
                    weight = _pairs(weight, n_heads)
            writer.add_tensor(name, weight.astype(np.float16) if half and weight.ndim == 2 else weight)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(Path(folder) / path.name, path)


def _add_shape(writer: gguf.GGUFWriter, config: GPTConfig) -> None:
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.context)
    writer.add_block_count(config.n_layers)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    writer.add_rope_freq_base(config.rotary_base)
    writer.add_rope_dimension_count(config.d_model // config.n_heads)


def _add_vocabulary(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    ids = tokenizer.get_vocab()
    tokens = sorted(ids, key=ids.get)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")  # byte-level BPE
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    end_of_turn, end_of_text = end_ids(tokenizer)
    writer.add_eos_token_id(end_of_turn)
    writer.add_eot_token_id(end_of_turn)
    writer.add_pad_token_id(end_of_text)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _gguf_name(name: str) -> str:
    """decoder.blocks.0.attention.query.weight -> blk.0.attn_q.weight"""
    for theirs, ours in GGUF_NAMES.items():
        name = name.replace(f"{ours}.", f"{theirs}.")
    return name


def _pairs(weight: np.ndarray, n_heads: int) -> np.ndarray:
    """Rows (i, i + half a head) side by side: what `data.extracts` undoes."""
    rows, columns = weight.shape
    halves = weight.reshape(n_heads, 2, rows // n_heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)
