"""Writers for the completion bench, made of a GPT and its tokenizer.

CompletionBench({"own GPT": byte_level(model), "SmolLM2": smollm2(pretrained.load("smollm2-135m"))})
"""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import torch

from course_utils.generation import generate
from course_utils.generation.writing import Ending, Message, Report, Settings, Writer
from course_utils.gpt import GPT, GPTConfig
from course_utils.pretrained import smollm2_chat, smollm2_tokenizer
from course_utils.tokenizers import BPETokenizer, ByteTokenizer
from course_utils.tokenizers.chat import end_ids
from course_utils.training import checkpoints

OWN, TUNED = "gpt.safetensors", "tuned.safetensors"  # in `my_llm`: of chapters 8 and 10
MAX_PROMPT = 1024  # tokens: without the cache, all are read anew for each token


def byte_level(model: GPT, tokenizer: ByteTokenizer | None = None) -> Writer:
    """A GPT whose tokens are bytes, or runs of bytes. It completes texts, which end only at a stop string or
    at their length."""
    tokenizer = tokenizer or ByteTokenizer()
    return from_model(model, tokenizer.encode, lambda ids: tokenizer.decode(ids, errors="replace"))


def own_gpt(folder: Path) -> Writer:
    """A writer of the GPT that chapter 8 saved in `my_llm`; raises ValueError as `load_own` does."""
    return byte_level(*load_own(folder))


def load_own(folder: Path, tuned: bool = False) -> tuple[GPT, ByteTokenizer]:
    """The GPT that chapter 8 saved in `my_llm`, or what chapter 10 made of it, if `tuned`; with the tokenizer
    there if its tokens are not bytes.

    Raises ValueError if the GPT's file is missing, one is damaged, or the tokenizer is missing or not the one
    the GPT was trained with.
    """
    weights = folder / (TUNED if tuned else OWN)
    if not weights.exists():
        where = "the section of chapter 10 that tunes it" if tuned else "section 7 of chapter 8"
        raise ValueError(f"{weights.name} is not in {folder.name} yet: run {where}")
    tensors, notes = checkpoints.load(weights)
    if not isinstance(notes, dict) or not isinstance(notes.get("config"), dict):
        raise ValueError(f"{weights.name} in {folder.name} does not say which model it is: save it again")
    model = GPT(GPTConfig(**notes["config"])).eval()
    checkpoints.fill(model, tensors, weights.name)
    if model.vocab_size == ByteTokenizer.vocab_size:
        return model, ByteTokenizer()
    path = folder / "tokenizer.json"
    tokenizer = BPETokenizer.load(path) if path.exists() else BPETokenizer()
    if [*map(list, tokenizer.merges)] != notes.get("merges") or tokenizer.vocab_size != model.vocab_size:
        raise ValueError(
            f"your GPT was trained with {model.vocab_size} tokens, which are not those of {path.name} in "
            f"{folder.name}: run section 7 of chapter 8 again, which trains one with the tokenizer there now"
        )
    return model, tokenizer


def smollm2(model: GPT) -> Writer:
    """SmolLM2-Instruct, as `pretrained.load("smollm2-135m")` returns it: it completes texts and chats."""
    tokenizer = smollm2_tokenizer()

    def encode(prompt: str | list[Message]) -> list[int]:
        return tokenizer.encode(prompt).ids if isinstance(prompt, str) else smollm2_chat(prompt)

    return from_model(model, encode, tokenizer.decode, end_ids(tokenizer), chats=True)


def from_model(
    model: GPT,
    encode: Callable[[str | list[Message]], Sequence[int]],
    decode: Callable[[list[int]], str],
    end_ids: Collection[int] = (),
    chats: bool = False,
) -> Writer:
    """A writer that samples from `model`; if it `chats`, `encode` takes a list of messages as well as a text.

    It reads the last 1,024 tokens of a prompt, or as many as the model's context holds.
    """

    def write(ids: list[int], settings: Settings, report: Report) -> Ending:
        completion = generate(
            model,
            [ids],
            settings.length,
            sampler=settings.sampler,
            generator=torch.Generator().manual_seed(settings.seed),
            end_ids=end_ids,
            decode=decode,
            stop=[settings.stop] if settings.stop else [],
            report=lambda _row, _id, text: report(text),
            should_stop=report,
            use_cache=settings.cache,
        )[0]
        return Ending(completion.reason, completion.cached, completion.cache_bytes)

    parameters = list(model.parameters())
    weights = sum(parameter.nbytes for parameter in parameters)
    cache = cache_bytes_per_token(model.config, parameters[0].itemsize)
    return Writer(encode, write, min(model.context, MAX_PROMPT), weights, cache, chats)


def cache_bytes_per_token(config: GPTConfig, itemsize: int) -> int:
    """A key and a value in each layer, as wide as all its kv heads together, at `itemsize` bytes a number;
    with `token_shift` also half a vector for each of two branches, with `ngrams` the token's id."""
    kv_heads = config.n_kv_heads or config.n_heads
    numbers = 2 * kv_heads * (config.d_model // config.n_heads) + config.token_shift * config.d_model
    return config.n_layers * numbers * itemsize + (config.ngrams > 1) * torch.int64.itemsize
