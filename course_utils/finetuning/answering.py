"""A model that answers, and says how likely it finds an answer: its own, or another model's.

before, after = byte_level(WithoutAdapters(model)), byte_level(model)  # one model, with LoRA and without
answer = after.begin("To be", length=20)
while not answer.ended:
    answer.advance()
before.bits("To be", before.reading(answer))
"""

import math
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from course_utils.generation import checked_ids, crop, device_of, evaluating, room_for_prompt
from course_utils.generation.writing import ENDED_BY
from course_utils.sampling import Sampler, draw
from course_utils.tokenizers import ByteTokenizer, whole_characters

END = "∎"  # shown for a token that ends an answer


@dataclass(frozen=True)
class Answerer:
    """model: as `generation.generate` takes it. encode, decode: from a text to ids and back; half a character
    becomes a lone surrogate or �. prompt: from a prompt to the ids up to where its answer begins, such as a
    template's; `encode`, if None. end_ids: the tokens that end an answer.
    tokens: a name of the tokenizer. Between two of one name an answer crosses as its ids, else as its text.
    """

    model: Any
    encode: Callable[[str], Sequence[int]]
    decode: Callable[[list[int]], str]
    tokens: Hashable
    prompt: Callable[[str], Sequence[int]] | None = None
    end_ids: Collection[int] = ()

    @property
    def context(self) -> int:
        return self.model.context

    def begin(
        self, prompt: str, length: int, temperature: float = 0.0, seed: int = 0, stop: str = ""
    ) -> "Answer":
        """An answer of no token yet; see `Answer`. Of a prompt for which the context has no room, the end is
        read, with a warning. Raises ValueError for a prompt of no token, and a length without room."""
        ids = crop(self._prompt_ids(prompt), room_for_prompt(self.model, length))
        return Answer(self, ids, length, Sampler(temperature=temperature), seed, stop)

    def _prompt_ids(self, prompt: str) -> list[int]:
        return checked_ids((self.prompt or self.encode)(prompt), self.model.vocab_size)

    def reading(self, answer: "Answer", n: int | None = None) -> list[int]:
        """The first n tokens of an answer, or all, as ids of this model: its end is an end here too."""
        ids = answer.ids[:n]
        if answer.answerer.tokens == self.tokens:
            return ids
        ended = ids[-1:] and ids[-1] in answer.answerer.end_ids
        text, _ = whole_characters(answer.text(n))
        return [*map(int, self.encode(text)), *[*self.end_ids][: bool(ended)]]

    def bits(self, prompt: str, answer: Sequence[int]) -> Float[np.ndarray, " tokens"]:
        """-log2 p of each token of an answer, at temperature 1. Of a long prompt the end is read.

        Raises ValueError for no token, more than the context holds, and logits that are no numbers.
        """
        room = self.context - len(answer)
        if not answer or room < 1:
            raise ValueError(
                f"an answer to be read has from 1 to {self.context - 1} tokens; got {len(answer)}"
            )
        ids = torch.tensor([*self._prompt_ids(prompt)[-room:], *answer], device=device_of(self.model))
        with evaluating(self.model):
            log_p = self.model(ids[None, :-1], None, None, last=len(answer))[0].float().log_softmax(-1)
        bits = _bits(log_p[range(len(answer)), ids[-len(answer) :]].cpu().double().numpy())
        if not np.isfinite(bits).all():
            raise ValueError(
                "the model gives a token of this answer no probability, or its weights are damaged"
            )
        return bits

    def piece(self, i: int) -> str:
        """A token, to be shown."""
        return END if i in self.end_ids else self.decode([i])


class Answer:
    """An answer that grows by a token at a time: its `ids`; `bits`, -log2 p of each at temperature 1,
    whatever it was drawn at; and why it `ended`, in words, "" as long as it goes on.

    It ends at an end token, at `length` tokens, or where its text holds the string `stop`, unless that is
    empty.
    """

    def __init__(
        self, answerer: Answerer, prompt: list[int], length: int, sampler: Sampler, seed: int, stop: str
    ):
        self.answerer, self.ids, self.bits, self.ended = answerer, [], [], ""
        self._prompt, self._length, self._sampler, self._stop = prompt, length, sampler, stop
        self._generator = torch.Generator().manual_seed(seed)
        self._read_anew()

    def _read_anew(self) -> None:
        self._unread, self._cache = [*self._prompt, *self.ids], self.answerer.model.new_cache()

    def advance(self) -> None:
        """Write the next token. If the model fails, nothing has changed, and the next try begins anew."""
        model, unread = self.answerer.model, self._unread
        try:
            with evaluating(model):
                read = torch.tensor([unread], device=device_of(model))
                logits = model(read, self._cache, None, last=1)[:, -1].float().cpu()
                kept = self._sampler(logits)
                token = int(kept.argmax(-1) if self._sampler.greedy else draw(kept, self._generator))
                bits = float(_bits(logits.double().log_softmax(-1)[0, token].numpy()))
        except BaseException:
            self._read_anew()  # the cache may hold half of it
            raise
        self._unread = [token]
        self.ids.append(token)
        self.bits.append(bits)
        if token in self.answerer.end_ids:
            self.ended = ENDED_BY["end"]
        elif self._stop and self._stop in self.text():
            self.ended = ENDED_BY["stop"]
        elif len(self.ids) == self._length:
            self.ended = ENDED_BY["length"]

    def text(self, n: int | None = None) -> str:
        """Of its first n tokens, or all, without the end."""
        return self.answerer.decode([i for i in self.ids[:n] if i not in self.answerer.end_ids])


def _bits(log_p):
    return -log_p / math.log(2) + 0.0  # no minus before a zero


def byte_level(
    model,
    tokenizer: ByteTokenizer | None = None,
    prompt: Callable[[str], Sequence[int]] | None = None,
    end_ids: Collection[int] = (),
) -> Answerer:
    """A GPT whose tokens are bytes, or runs of bytes; for the rest see `Answerer`."""
    tokenizer = tokenizer or ByteTokenizer()

    def decode(ids: list[int]) -> str:
        return tokenizer.decode(ids, errors="surrogateescape")

    merges = tuple(map(tuple, getattr(tokenizer, "merges", ())))
    return Answerer(model, tokenizer.encode, decode, merges, prompt, end_ids)
