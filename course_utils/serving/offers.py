"""The models that a chat may choose from, each loaded when it is first asked for."""

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from course_utils import pretrained
from course_utils.generation.adapters import OWN, load_own
from course_utils.generation.fast_decode import optimise_for_decoding
from course_utils.gpt import GPT
from course_utils.pretraining.model import WEIGHTS, load
from course_utils.tokenizers.chat import Messages, chatml, end_ids

SMOLLM2, MY_LLM = "smollm2-135m-instruct", "my_llm"
MAX_CONTEXT = 2048  # tokens of a conversation, for the sake of two cores and their memory


@dataclass(frozen=True)
class ChatModel:
    """A model that answers: `encode` lays a conversation out as ids, `end_ids` end an answer."""

    model: GPT
    encode: Callable[[Messages], list[int]]
    decode: Callable[[list[int]], str]
    end_ids: Collection[int]

    @property
    def context(self) -> int:
        return min(self.model.context, MAX_CONTEXT)


def smollm2() -> ChatModel:
    """SmolLM2-Instruct; raises `assets.AssetError` where it can't be fetched."""
    tokenizer = pretrained.smollm2_tokenizer()
    model = optimise_for_decoding(pretrained.load("smollm2-135m"))
    return ChatModel(model, pretrained.smollm2_chat, tokenizer.decode, end_ids(tokenizer))


def made(folder: Path) -> ChatModel:
    """The model of a folder; raises ValueError as `pretraining.model.load` does."""
    model, tokenizer = load(folder)
    template = chatml(tokenizer)
    return ChatModel(optimise_for_decoding(model), template.prompt, tokenizer.decode, end_ids(tokenizer))


def my_llm(folder: Path) -> ChatModel:
    """The learner's GPT of chapter 8. It never saw a conversation: it continues what was said, a line each.
    Raises ValueError as `load_own` does."""
    model, tokenizer = load_own(folder)

    def encode(messages: Messages) -> list[int]:
        return [*map(int, tokenizer.encode("".join(f"{message['content']}\n" for message in messages)))]

    def decode(ids: list[int]) -> str:
        return tokenizer.decode(ids, errors="replace")

    return ChatModel(optimise_for_decoding(model), encode, decode, ())


def on_offer(work: Path, folder: Path | None = None, shipped: Iterable[Path] = ()) -> "Offers":
    """The model of `folder` if one is named, then those that were made in the learner's folder, `work`, then
    the learner's own of chapter 8, then those of the folders `shipped`, then SmolLM2.

    Raises ValueError if `folder` holds no model.
    """
    loaders = {}
    if folder is not None:
        own = not (folder / WEIGHTS).exists() and (folder / OWN).exists()
        chosen = my_llm(folder) if own else made(folder)
        loaders[folder.resolve().name] = lambda: chosen
    for path in sorted(work.glob(f"models/*/{WEIGHTS}")):
        loaders.setdefault(path.parent.name, lambda folder=path.parent: made(folder))
    if (work / MY_LLM / OWN).exists():
        loaders.setdefault(MY_LLM, lambda: my_llm(work / MY_LLM))
    for path in shipped:
        loaders.setdefault(path.name, lambda folder=path: made(folder))
    loaders.setdefault(SMOLLM2, smollm2)
    return Offers(loaders)


class Offers:
    """Models by name, the first of which is the usual one. Each is loaded once."""

    def __init__(self, loaders: dict[str, Callable[[], ChatModel]]):
        self._loaders, self._loaded, self._loading = loaders, {}, threading.Lock()

    @property
    def names(self) -> list[str]:
        return [*self._loaders]

    def load(self, name: str) -> ChatModel:
        if name not in self._loaded:
            with self._loading:
                if name not in self._loaded:  # nor has another thread loaded it meanwhile
                    self._loaded[name] = self._loaders[name]()
        return self._loaded[name]
