"""A conversation as one row of tokens, and which of them an assistant learns to write."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tokenizers import Tokenizer

from course_utils.tokenizers import ByteTokenizer

ROLES = ("system", "user", "assistant")
END_OF_TEXT, START, END = SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
IGNORED = -100  # the label of a token that no loss counts, in PyTorch and the libraries upon it
Messages = list[dict[str, str]]  # each {"role": "user", "content": "Where does the sun set?"}


class Labelled(NamedTuple):
    """Token ids, and of each its label: the id itself where it is to be learnt, `IGNORED` elsewhere."""

    ids: list[int]
    labels: list[int]


@dataclass(frozen=True)
class ChatTemplate:
    """The layout in which a model was tuned to chat: each message between the tokens `start` and `end`.

        <|im_start|>user
        Where does the sun set?<|im_end|>
        <|im_start|>assistant
        In the west.<|im_end|>

    Only the template writes `start` and `end`: `encode` must read their names in a message as text, or a user
    could end the turn. A conversation without a system message gets `system`, if there is one. Assistants'
    words are encoded apart from the line above them, as a model writes them.
    """

    encode: Callable[[str], Iterable[int]]
    start: list[int]
    end: list[int]
    system: str | None = None

    def prompt(self, messages: Messages) -> list[int]:
        """The ids of a conversation, the last line opening the answer.

        Raises ValueError for no message, an unknown role, and content that is not a text.
        """
        ids = [i for part, _ in self._parts(messages) for i in part]
        return ids + self._answer

    def labelled(self, messages: Messages) -> Labelled:
        """The ids of a conversation, and labels: what assistants say, each with its `end`, is to be learnt.

        The end is part of the answer: a model that never learnt it would not stop. Raises ValueError as
        `prompt`, and if no assistant says anything.
        """
        parts = list(self._parts(messages))
        if not any(learnt for _, learnt in parts):
            raise ValueError("nothing is to be learnt: a conversation to train on has an assistant's message")
        ids = [i for part, _ in parts for i in part]
        return Labelled(ids, [i if learnt else IGNORED for part, learnt in parts for i in part])

    @cached_property
    def _answer(self) -> list[int]:
        """What opens an assistant's message."""
        return [*self.start, *map(int, self.encode("assistant\n"))]

    @cached_property
    def _newline(self) -> list[int]:
        return [*map(int, self.encode("\n"))]

    def _parts(self, messages: Messages) -> Iterator[tuple[list[int], bool]]:
        """Runs of ids, and whether they are to be learnt."""
        if not messages:
            raise ValueError("a conversation must have at least one message; got none")
        for message in messages:
            known = isinstance(message, dict) and message.get("role") in ROLES
            if not known or not isinstance(message.get("content"), str):
                raise ValueError(
                    f"expected messages with a role ({', '.join(ROLES)}) and a text as content; "
                    f"got {message!r}"
                )
            ByteTokenizer().encode(message["content"])  # raises ValueError for half a character
        if self.system is not None and messages[0]["role"] != "system":
            messages = [{"role": "system", "content": self.system}, *messages]
        for message in messages:
            role, content = message["role"], message["content"]
            if role == "assistant":
                yield self._answer, False
                yield [*map(int, self.encode(content)), *self.end], True
            else:
                yield [*self.start, *map(int, self.encode(f"{role}\n{content}")), *self.end], False
            yield self._newline, False


def chatml(tokenizer: Tokenizer, system: str | None = None) -> ChatTemplate:
    """The layout in which SmolLM2 and the models of `course.py make` chat, drawn in `ChatTemplate`.

    Names of special tokens in a message are read as text: the tokenizer's `encode_special_tokens` is set, and
    stays so. Raises ValueError for a tokenizer that lacks one of the tokens.
    """
    start, end = ([i] for i in _ids(tokenizer, START, END))

    def encode(text: str) -> list[int]:
        tokenizer.encode_special_tokens = True
        return tokenizer.encode(text).ids

    return ChatTemplate(encode, start, end, system)


def end_ids(tokenizer: Tokenizer) -> list[int]:
    """The tokens that end an answer. Raises ValueError for a tokenizer that lacks one."""
    return _ids(tokenizer, END, END_OF_TEXT)


def _ids(tokenizer: Tokenizer, *tokens: str) -> list[int]:
    ids = [tokenizer.token_to_id(token) for token in tokens]
    if None in ids:
        missing = tokens[ids.index(None)]
        raise ValueError(
            f"the tokenizer has no token {missing}, which a chat needs: name it when you train it"
        )
    return ids
