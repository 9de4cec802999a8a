"""What is made: a GPT in Llama's plain shape, with its tokenizer, in a folder.

    config = llama_config(vocab_size=4096, context=512, n_layers=6, n_heads=6, d_model=384)
    save(folder, GPT(config), tokenizer)
    model, tokenizer = load(folder)

Other programs know this shape, so such a model can be exported. What the course's GPT can do beyond it
(embeddings of n-grams, token shift, normalised queries and keys, layer norms) no other program would compute.

Sources: Touvron et al. 2023 (Llama); Radford et al. 2019, section 2.2 (byte-level BPE).
"""

import hashlib
import json
from dataclasses import asdict, fields, replace
from pathlib import Path

from tokenizers import Tokenizer

from course_utils.files import write_atomic
from course_utils.gpt import GPT, GPTConfig
from course_utils.tokenizers.chat import SPECIAL
from course_utils.training import checkpoints

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
LLAMA = {"norm": "rms", "qk_norm": False, "token_shift": False, "ngrams": 1}


def llama_config(**sizes) -> GPTConfig:
    """A `GPTConfig` in Llama's shape, of its sizes: vocab_size, context, n_layers, n_heads, d_model, and
    n_kv_heads, d_ff, rotary_base, norm_eps, dropout if they shall not be the usual ones.

    Raises ValueError, naming the field, for another shape, and for sizes of which no model can be built.
    """
    if unknown := sizes.keys() - {field.name for field in fields(GPTConfig)}:
        raise ValueError(f"a GPTConfig has no field {', '.join(sorted(unknown))}: leave it out")
    config = GPTConfig(**sizes)
    for name, value in LLAMA.items():
        if (got := getattr(config, name)) != value:
            raise ValueError(
                f"{name} must be {value!r} in Llama's shape; got {got!r}: other programs could not read that "
                "model; leave it out, or keep the model in the course"
            )
    heads, kv_heads = config.n_heads, config.n_kv_heads or config.n_heads
    if config.d_model % (2 * heads) or heads % kv_heads:
        raise ValueError(
            f"d_model must be an even number for each of n_heads, and n_heads a multiple of n_kv_heads; got "
            f"{config.d_model}, {heads} and {kv_heads}"
        )
    return replace(config, d_ff=config.block.d_ff, n_kv_heads=kv_heads)


def save(folder: str | Path, model: GPT, tokenizer: Tokenizer, half: bool = False) -> None:
    """Write a model and its tokenizer into a folder, which is made if it is missing; with `half`, weights in
    float16.

    The weights come last and name the tokenizer's sha256, so a folder never passes for a model before it is
    whole. Raises ValueError if the model is not in Llama's shape, or the tokenizer is not this model's.
    """
    folder, config = Path(folder), llama_config(**asdict(model.config))
    check_tokenizer(tokenizer, config.vocab_size)
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = tokenizer.to_str().encode()
    write_atomic(folder / TOKENIZER, vocabulary)
    digest = hashlib.sha256(vocabulary).hexdigest()
    notes = {"config": asdict(config), "tokenizer": digest}
    checkpoints.save_model(folder / WEIGHTS, model, notes, half)


def load(folder: str | Path) -> tuple[GPT, Tokenizer]:
    """The model of a folder, in float32 on the CPU and ready to write, and its tokenizer.

    Raises ValueError, naming it, for a file that is missing or damaged, a tokenizer that is not the model's,
    and a model of another shape.
    """
    folder = Path(folder)
    for path in (folder / WEIGHTS, folder / TOKENIZER):
        if not path.is_file():
            raise ValueError(f"{path.name} is not in {folder}: name the folder of a finished model")
    tensors, notes = checkpoints.load(folder / WEIGHTS)
    if not isinstance(notes, dict) or not isinstance(notes.get("config"), dict):
        raise ValueError(f"{WEIGHTS} in {folder} does not say which model it is: make it again")
    config = llama_config(**notes["config"])
    vocabulary = (folder / TOKENIZER).read_bytes()
    if hashlib.sha256(vocabulary).hexdigest() != notes.get("tokenizer"):
        raise ValueError(
            f"{TOKENIZER} in {folder} is damaged or not the one that the model was trained with: put that "
            "one back, or make the model again"
        )
    with checkpoints.without_first_weights():
        model = GPT(config)
    checkpoints.fill(model, tensors, WEIGHTS)
    return model.eval(), read_tokenizer(folder)


def read_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a folder, for which the names of special tokens in a text are text."""
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.encode_special_tokens = True  # the file can't say so
    return tokenizer


def check_tokenizer(tokenizer: Tokenizer, vocab_size: int) -> None:
    """Raises ValueError unless it is a byte-level BPE behind GPT-2's pre-tokenizer, of vocab_size tokens with
    the special ones among them: other programs are told so."""
    stored = json.loads(tokenizer.to_str())
    before = stored["pre_tokenizer"] or {}
    if stored["model"]["type"] != "BPE" or stored["normalizer"] or before | BYTE_LEVEL != before:
        raise ValueError(
            "the tokenizer must be BPE behind pre_tokenizers.ByteLevel(add_prefix_space=False), without a "
            f"normalizer; got {stored['model']['type']} behind {before or 'nothing'}"
        )
    if tokenizer.get_vocab_size() != vocab_size:
        raise ValueError(
            f"the model has {vocab_size} tokens and the tokenizer {tokenizer.get_vocab_size()}: take the one "
            "that it was trained with"
        )
    if missing := [token for token in SPECIAL if tokenizer.token_to_id(token) is None]:
        raise ValueError(
            f"the tokenizer has no {' and no '.join(missing)}: train it with special_tokens=SPECIAL"
        )
