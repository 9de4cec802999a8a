"""Writing a text token by token: drawn, or searched for.

A model here is anything with `vocab_size`, `context`, `new_caches()` and `model(ids, caches, mask, last)`, as
`course_utils.gpt.GPT` has them; the last gives logits (batch, last, vocab). A sampler says what may follow.

    answer = generate(model, [ids], 50, sampler=Sampler(temperature=0.8, top_p=0.95))[0]

`generation.speculation` writes the same, several tokens at a time; `generation.beams` has the steps of beam
search, and `generation.fast_decode` makes a single step faster.
"""

import operator
import reprlib
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from course_utils.generation.beams import Beam, beam_steps
from course_utils.sampling import Sampler, draw, token_counts

GREEDY = Sampler(temperature=0)


@dataclass
class Completion:
    """What was written after one prompt, and why it ended: at an "end" token, at a "stop" string (which is
    not part of the text), at the "length" asked for, or "interrupted"."""

    ids: list[int] = field(default_factory=list)
    text: str = ""
    reason: str = "interrupted"


@contextmanager
def evaluating(model) -> Iterator[None]:
    """Without gradients, and without the dropout of a model that was just trained."""
    training = getattr(model, "training", False)
    if training:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if training:
            model.train()


def generate(
    model,
    prompts: Sequence[Sequence[int]],
    max_new: int,
    *,
    sampler: Sampler = GREEDY,
    generator: torch.Generator | None = None,
    end_ids: Collection[int] = (),
    decode: Callable[[list[int]], str] | None = None,
    stop: Sequence[str] = (),
    report: Callable[[int, int, str], object] | None = None,
    use_cache: bool = True,
) -> list[Completion]:
    """Continue each prompt by at most `max_new` tokens; prompts may have different lengths.

    Row by row a completion ends at a token of `end_ids`, or where its text, which `decode` makes of its ids,
    contains one of the strings `stop`, whatever the borders of the tokens. `report(row, id, text)` hears
    every token with the text that is new and certain; if it returns True, or on Ctrl-C, all rows end as they
    are.

    A model reads `context` tokens at most: a longer prompt is cropped to its end, with notice, and a text
    that outgrows the window goes on with the last half of it. Raises ValueError for an empty prompt, ids
    that are no whole numbers or outside the vocabulary, and stop strings without `decode`.
    """
    prompts = [_checked(prompt, model.vocab_size) for prompt in _several(prompts)]
    check_length(max_new)
    if (stop or report) and decode is None:
        raise ValueError("stop strings and report need decode, which makes a text of ids; none came")
    if "" in stop:
        raise ValueError("a stop string has a character at least; an empty one came")
    texts = _all_cropped(prompts, model.context)
    written = [Completion(reason="length") for _ in texts]
    reader, counts = _Reader(model, texts, use_cache), None
    if sampler.needs_counts:
        counts = token_counts(_pad(texts, -1)[0], model.vocab_size).to(device_of(model))
    rows = list(range(len(texts)))  # those that go on
    shown = [0] * len(texts)  # how many characters of each were reported
    try:
        for length in range(1, max_new + 1):
            logits = sampler(reader.logits(), counts)
            drawn = logits.argmax(-1) if sampler.greedy else draw(logits, generator)
            going = []
            for place, (row, token) in enumerate(zip(rows, drawn.tolist(), strict=True)):
                completion = written[row]
                completion.ids.append(token)
                if token in end_ids:
                    completion.reason = "end"
                elif decode is not None:
                    _find_stop(completion, decode(completion.ids), stop)
                if completion.reason == "length":
                    going.append(place)
                if report:
                    text = completion.text
                    last = completion.reason != "length" or length == max_new
                    start, shown[row] = shown[row], len(text) if last else _certain(text, stop)
                    if report(row, token, text[start : shown[row]]) is True:
                        raise KeyboardInterrupt
            rows = [rows[place] for place in going]
            if not rows:
                break
            reader.append(drawn, going)
            if counts is not None:
                counts = (counts + token_counts(drawn[:, None], model.vocab_size))[going]
    except KeyboardInterrupt:
        for row in rows:
            if written[row].reason == "length" and len(written[row].ids) < max_new:
                written[row].reason = "interrupted"
    return written


class _Reader:
    """The texts that a model goes on reading, one row each, padded on the left to one length."""

    def __init__(self, model, texts: list[list[int]], use_cache: bool):
        self.model, self.texts, self.use_cache = model, texts, use_cache
        self._begin()

    def _begin(self) -> None:
        ids, real = _pad(self.texts, 0)
        device = device_of(self.model)
        self.length, self.unread = ids.shape[1], ids.to(device)
        self.mask = None if real.all() else real[:, None, None].to(device)
        self.caches = self.model.new_caches() if self.use_cache else None

    def logits(self) -> Float[Tensor, "batch vocab"]:
        """For the token after the last one of each row."""
        with evaluating(self.model):
            return self.model(self.unread, self.caches, self.mask, last=1)[:, -1].float()

    def append(self, drawn: Int[Tensor, " batch"], going: list[int]) -> None:
        """Add a token to each row, and keep the rows that go on."""
        tokens = drawn.tolist()
        self.texts = [[*self.texts[row], tokens[row]] for row in going]
        self.length += 1
        if self.length > self.model.context:
            context, half = self.model.context, max(self.model.context // 2, 1)
            self.texts = [text if len(text) <= context else text[-half:] for text in self.texts]
            self._begin()
        elif not self.use_cache:
            self._begin()
        else:
            self.unread = drawn[:, None]
            if self.mask is not None:
                self.mask = torch.cat([self.mask, self.mask.new_ones(len(drawn), 1, 1, 1)], dim=-1)
            if len(going) < len(drawn):
                self.unread = self.unread[going]
                self.mask = None if self.mask is None else self.mask[going]
                for cache in self.caches:
                    cache.select(going)


def _find_stop(completion: Completion, text: str, stop: Sequence[str]) -> None:
    found = [place for place in (text.find(string) for string in stop) if place >= 0]
    completion.text = text[: min(found)] if found else text
    completion.reason = "stop" if found else "length"


def _certain(text: str, stop: Sequence[str]) -> int:
    """How much of a text no later token can take back: half a character, or half a stop string, is not."""
    end = len(text.rstrip("\N{REPLACEMENT CHARACTER}"))
    for string in stop:
        for length in range(min(len(string) - 1, end), 0, -1):
            if text[:end].endswith(string[:length]):
                end -= length
                break
    return end


def beam_search(
    model,
    prompt: Sequence[int],
    max_new: int,
    beams: int = 4,
    *,
    length_penalty: float = 1.0,
    end_ids: Collection[int] = (),
) -> list[Beam]:
    """The best continuations that a search over `beams` at a time finds, the best first.

    A score is log p / length^length_penalty: 0 ranks by probability alone, which short texts win; 1 by the
    mean a token. A continuation that reaches a token of `end_ids` is finished; the search ends when no other
    can overtake the best `beams` finished ones. Ctrl-C breaks it off without a result. Raises ValueError as
    `generate` does, and for fewer than one beam.
    """
    check_length(max_new)
    if not isinstance(beams, int) or beams < 1:
        raise ValueError(f"beams is a whole number from 1 on; {beams!r} came")
    prompt = fitting(model, prompt, max_new)
    caches, read = model.new_caches(), []

    def next_log_p(texts: list[list[int]]) -> Float[np.ndarray, "texts vocab"]:
        nonlocal read
        if read:
            going = [read.index(text[:-1]) for text in texts]
            for cache in caches:
                cache.select(going)
        read = texts
        unread = torch.tensor([text[-1:] or prompt for text in texts], device=device_of(model))
        with evaluating(model):
            logits = model(unread, caches, None, last=1)[:, -1]
            return logits.cpu().double().log_softmax(-1).numpy()

    best = [Beam([], 0.0, 0.0)]
    for step in beam_steps(next_log_p, max_new, beams, length_penalty=length_penalty, end_ids=end_ids):
        best = step.best(beams)
    return best


def _pad(texts: list[list[int]], padding: int) -> tuple[Int[Tensor, "rows time"], Tensor]:
    """The texts as one tensor, padded on the left, and where they are not padding."""
    longest = max(map(len, texts))
    ids = torch.tensor([[padding] * (longest - len(text)) + text for text in texts])
    lengths = torch.tensor([len(text) for text in texts])
    return ids, torch.arange(longest) >= longest - lengths[:, None]


def device_of(model) -> torch.device:
    parameters = getattr(model, "parameters", lambda: iter(()))()
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


def _several(prompts) -> list:
    prompts = list(prompts)
    if not prompts or any(isinstance(each, int | str) or getattr(each, "ndim", 1) == 0 for each in prompts):
        raise ValueError("prompts is a list of prompts, each a list of token ids: [ids] for a single one")
    return prompts


def _checked(prompt: Sequence[int], vocab_size: int) -> list[int]:
    """The ids as a list. Raises ValueError for none, what is no id, and one that the model does not know."""
    came = prompt
    try:
        ids = [operator.index(came := i) for i in prompt]
    except TypeError:
        raise ValueError(
            f"a prompt is a list of token ids, each a whole number; {reprlib.repr(came)} came in place of "
            "one: encode the text with the model's tokenizer"
        ) from None
    if not ids:
        raise ValueError("a prompt has one token at least: begin with a line break, or with a start token")
    for i in ids:
        if not 0 <= i < vocab_size:
            raise ValueError(f"token ids lie between 0 and {vocab_size - 1}; {i} came")
    return ids


def check_length(max_new: int) -> None:
    if not isinstance(max_new, int) or max_new < 0:
        raise ValueError(f"max_new is a whole number from 0 on; {max_new!r} came")


def _cropped(prompt: list[int], size: int) -> list[int]:
    if len(prompt) > size:
        warnings.warn(
            f"the prompt has {len(prompt):,} tokens and there is room for {size:,}: its end is read, the "
            f"first {len(prompt) - size:,} are left out",
            stacklevel=4,
        )
    return prompt[-size:]


def _all_cropped(prompts: list[list[int]], size: int) -> list[list[int]]:
    """Apart, so that between a notice and whoever called are as many frames as with `fitting`."""
    return list(map(_cropped, prompts, [size] * len(prompts)))


def fitting(model, prompt: Sequence[int], max_new: int) -> list[int]:
    """The prompt, cropped so that all new tokens fit into the context as well."""
    if max_new >= model.context:
        raise ValueError(
            f"the model reads {model.context} tokens at once: max_new stays below; {max_new} came"
        )
    return _cropped(_checked(prompt, model.vocab_size), model.context - max_new)
