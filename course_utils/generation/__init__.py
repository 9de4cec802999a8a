"""Writing a text token by token: sampled, or searched for.

A model here is anything with `vocab_size`, `context`, `new_cache()` and `model(ids, cache, mask, last)`, as
`course_utils.gpt.GPT` has them; the last of them gives logits (batch, last, vocab). A sampler says which
tokens may follow.

    answer = generate(model, [ids], 50, sampler=Sampler(temperature=0.8, top_p=0.95))[0]

`generation.speculation` writes the same, several tokens at a time; `generation.beams` has the steps of beam
search, `generation.prefix` reads texts that begin alike, and `generation.fast_decode` makes each step faster.
"""

import operator
import reprlib
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import repeat

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from course_utils.devices import without_dropout
from course_utils.generation.beams import BEGINNING, Beam, next_step
from course_utils.sampling import Sampler, draw, surprise_and_entropy, token_counts

GREEDY = Sampler(temperature=0)
PROMPT_PIECE = 64  # tokens that are read between two calls of `should_stop`


@dataclass
class Completion:
    """What was written after one prompt, and why it ended: at an "end" token, at a "stop" string (which is
    not part of the text), at the "length" asked for, or "interrupted".

    `cached` is how many tokens the cache held at the end, `cache_bytes` what they took for all rows together.
    With `measure`, `surprise` is what each token cost the model, whatever the sampler made of its logits, and
    `entropy` what a draw from the model was expected to cost there, both in bits.
    """

    ids: list[int] = field(default_factory=list)
    text: str = ""
    reason: str = "interrupted"
    cached: int = 0
    cache_bytes: int = 0
    surprise: list[float] = field(default_factory=list)
    entropy: list[float] = field(default_factory=list)


def unbroken(written: list[Completion]) -> list[Completion]:
    """The same completions, for whoever scores them or learns from them. Raises KeyboardInterrupt if Ctrl-C
    ended one: half an answer is no answer."""
    if any(each.reason == "interrupted" for each in written):
        raise KeyboardInterrupt
    return written


@contextmanager
def evaluating(model) -> Iterator[None]:
    """Without gradients, and without the dropout of a model in training."""
    training = getattr(model, "training", False)
    with without_dropout(model) if training else nullcontext(), torch.inference_mode():
        yield


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
    should_stop: Callable[[], bool] | None = None,
    use_cache: bool = True,
    measure: bool = False,
) -> list[Completion]:
    """Continue each prompt by at most `max_new` tokens; prompts may have different lengths.

    Each row ends on its own, at a token of `end_ids`, or where its text, which `decode` makes of its ids,
    contains one of the strings `stop`, wherever the tokens' borders are. `report(row, id, text)` is called
    for each token, with the text that is new and final. All rows end as they are if it returns True, if
    `should_stop()` does, which is called before each step and every 64 tokens of a prompt, or on Ctrl-C.

    A model reads at most `context` tokens: a longer prompt is cropped to its end, with a warning, and a text
    that outgrows the window continues from its last half. Raises ValueError for an empty prompt, ids that are
    not whole numbers or not in the vocabulary, and stop strings or `report` without `decode`.
    """
    prompts = [checked_ids(prompt, model.vocab_size) for prompt in _as_list(prompts)]
    check_max_new(max_new)
    if (stop or report) and decode is None:
        raise ValueError("stop strings and report need decode, which turns ids into a text; got none")
    if isinstance(stop, str) or "" in stop:
        raise ValueError(f"stop is a list of strings that aren't empty, such as ['END']; got {stop!r}")
    texts = list(map(crop, prompts, repeat(model.context)))
    written = [Completion(reason="interrupted" if max_new else "length") for _ in texts]
    reader, counts = _Reader(model, texts, use_cache, should_stop), None
    if sampler.needs_counts:
        counts = token_counts(_pad(texts, -1)[0], model.vocab_size).to(device_of(model))
    rows = list(range(len(texts))) if max_new else []  # those that have not ended
    reported = [0] * len(texts)  # characters of each
    stopped = False
    with suppress(KeyboardInterrupt):
        while rows and not stopped and (logits := reader.logits()) is not None:
            left = sampler(logits, counts)
            drawn = left.argmax(-1) if sampler.greedy else draw(left, generator)
            if measure:
                for row, bits, expected in zip(rows, *surprise_and_entropy(logits, drawn), strict=True):
                    written[row].surprise.append(float(bits))
                    written[row].entropy.append(float(expected))
            unfinished = []  # places in `rows`
            for place, (row, token) in enumerate(zip(rows, drawn.tolist(), strict=True)):
                completion = written[row]
                completion.ids.append(token)
                if len(completion.ids) == max_new:
                    completion.reason = "length"
                if token in end_ids:
                    completion.reason = "end"
                elif decode is not None:
                    _write_text(completion, decode(completion.ids), stop)
                ended = completion.reason != "interrupted"
                if not ended:
                    unfinished.append(place)
                if report:
                    text, start = completion.text, reported[row]
                    reported[row] = len(text) if ended else _final_length(text, stop)
                    stopped |= report(row, token, text[start : reported[row]]) is True
            rows = [rows[place] for place in unfinished]
            if rows and not stopped:
                reader.append(drawn, unfinished)
                if counts is not None:
                    counts = (counts + token_counts(drawn[:, None], model.vocab_size))[unfinished]
    for completion in written:
        completion.cached, completion.cache_bytes = reader.cached()
    return written


class _Reader:
    """The texts that a model reads on, one row each, padded on the left to the same length."""

    def __init__(
        self, model, texts: list[list[int]], use_cache: bool, should_stop: Callable[[], bool] | None
    ):
        self.model, self.texts, self.use_cache, self.should_stop = model, texts, use_cache, should_stop
        self._begin()

    def _begin(self) -> None:
        ids, real = _pad(self.texts, 0)
        device = device_of(self.model)
        self.length, self.unread = ids.shape[1], ids.to(device)
        self.mask = None if real.all() else real[:, None, None].to(device)
        self.cache = self.model.new_cache() if self.use_cache else None

    def logits(self) -> Float[Tensor, "batch vocab"] | None:
        """For the token after the last one of each row; None if it should stop."""
        if self.should_stop is None:
            return self._read(self.unread, self.cache, self.mask)
        pieces, cache = self.unread.split(PROMPT_PIECE, dim=1), self.cache
        if cache is None and len(pieces) > 1:
            cache = self.model.new_cache()  # for this step only: the next computes everything anew
        end = self.length - self.unread.shape[1]
        for piece in pieces:
            if self.should_stop():
                return None
            end += piece.shape[1]
            logits = self._read(piece, cache, None if self.mask is None else self.mask[..., :end])
        return logits

    def _read(self, ids: Tensor, cache, mask: Tensor | None) -> Float[Tensor, "batch vocab"]:
        with evaluating(self.model):
            return self.model(ids, cache, mask, last=1)[:, -1].float()

    def append(self, drawn: Int[Tensor, " batch"], unfinished: list[int]) -> None:
        """Add a token to each row, and keep the rows that go on."""
        tokens = drawn.tolist()
        self.texts = [[*self.texts[row], tokens[row]] for row in unfinished]
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
            if len(unfinished) < len(drawn):
                self.unread = self.unread[unfinished]
                self.mask = None if self.mask is None else self.mask[unfinished]
                self.cache.select(unfinished)

    def cached(self) -> tuple[int, int]:
        """How many tokens the cache holds, and the bytes of its tensors."""
        return (0, 0) if self.cache is None else (len(self.cache), self.cache.nbytes)


def _write_text(completion: Completion, text: str, stop: Sequence[str]) -> None:
    """Set the text, up to the first of the strings `stop`, at which it ends."""
    found = [place for place in (text.find(string) for string in stop) if place >= 0]
    completion.text = text[: min(found)] if found else text
    if found:
        completion.reason = "stop"


def _final_length(text: str, stop: Sequence[str]) -> int:
    """How many characters no later token can take back: it may complete a character, or a stop string."""
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
    """The best continuations that a search with `beams` beams finds, the best first.

    A score is log p / length^length_penalty: 0 ranks by probability alone, which favours short texts; 1 by
    the mean over the tokens. A continuation that reaches a token of `end_ids` is finished; the search ends
    when no other can overtake the best `beams` finished ones. Ctrl-C ends it without a result. Raises
    ValueError as `generate` does, and for fewer than one beam.
    """
    check_max_new(max_new)
    prompt = crop(checked_ids(prompt, model.vocab_size), room_for_prompt(model, max_new))
    return beam_searches(model, [prompt], max_new, beams, length_penalty=length_penalty, end_ids=end_ids)[0]


def beam_searches(
    model,
    prompts: Sequence[Sequence[int]],
    max_new: int,
    beams: int = 4,
    *,
    length_penalty: float = 1.0,
    end_ids: Collection[int] = (),
) -> list[list[Beam]]:
    """What `beam_search` finds for each prompt, in one batch: a step reads the weights once for all of them.
    Prompts may have different lengths."""
    check_max_new(max_new)
    if not isinstance(beams, int) or beams < 1:
        raise ValueError(f"beams must be a whole number of at least 1; got {beams!r}")
    prompts = [checked_ids(prompt, model.vocab_size) for prompt in _as_list(prompts)]
    prompts = list(map(crop, prompts, repeat(room_for_prompt(model, max_new))))
    unread, real = (tensor.to(device_of(model)) for tensor in _pad(prompts, 0))
    mask = None if real.all() else real[:, None, None]
    cache, searches = model.new_cache(), [BEGINNING] * len(prompts)
    read = [(n, []) for n in range(len(prompts))]  # the search of each row, and what it has written
    for _ in range(max_new):
        with evaluating(model):
            logits = model(unread, cache, mask, last=1)[:, -1]
            log_p = logits.cpu().double().log_softmax(-1).numpy()
        for n in {n for n, _ in read}:
            its = log_p[[row for row, (search, _) in enumerate(read) if search == n]]
            searches[n] = next_step(
                searches[n], its, max_new, beams, length_penalty=length_penalty, end_ids=end_ids
            )
        unfinished = [(n, search.active) for n, search in enumerate(searches) if not search.last]
        texts = [(n, beam.ids) for n, active in unfinished for beam in active]
        if not texts:
            break
        rows = [read.index((n, ids[:-1])) for n, ids in texts]
        cache.select(rows)
        unread = torch.tensor([ids[-1:] for _, ids in texts], device=unread.device)
        mask = None if mask is None else torch.cat([mask[rows], mask.new_ones(len(rows), 1, 1, 1)], dim=-1)
        read = texts
    return [search.best(beams) for search in searches]


def _pad(texts: list[list[int]], padding: int) -> tuple[Int[Tensor, "rows time"], Bool[Tensor, "rows time"]]:
    """The texts as one tensor, padded on the left, and where it is not padding."""
    longest = max(map(len, texts))
    ids = torch.tensor([[padding] * (longest - len(text)) + text for text in texts])
    lengths = torch.tensor([len(text) for text in texts])
    return ids, torch.arange(longest) >= longest - lengths[:, None]


def device_of(model) -> torch.device:
    parameters = getattr(model, "parameters", lambda: iter(()))()
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


def _as_list(prompts) -> list:
    prompts = list(prompts)
    if not prompts or any(isinstance(each, int | str) or getattr(each, "ndim", 1) == 0 for each in prompts):
        raise ValueError("expected a list of prompts, each a list of token ids: [ids] for a single one")
    return prompts


def checked_ids(prompt: Sequence[int], vocab_size: int) -> list[int]:
    """The ids as a list. Raises ValueError for none, for what is not an id, and for ids out of range."""
    got = prompt
    try:
        ids = [operator.index(got := i) for i in prompt]
    except TypeError:
        raise ValueError(
            f"expected a prompt of token ids, each a whole number; got {reprlib.repr(got)}: encode the text "
            "with the model's tokenizer"
        ) from None
    if not ids:
        raise ValueError("a prompt must have at least one token: begin with a line break, or a start token")
    for i in ids:
        if not 0 <= i < vocab_size:
            raise ValueError(f"expected token ids between 0 and {vocab_size - 1}; got {i}")
    return ids


def check_max_new(max_new: int) -> None:
    if not isinstance(max_new, int) or max_new < 0:
        raise ValueError(f"max_new must be a whole number of at least 0; got {max_new!r}")


def room_for_prompt(model, max_new: int) -> int:
    """How many tokens of a prompt fit into the context with all new ones. Raises ValueError if none."""
    if max_new >= model.context:
        raise ValueError(
            f"max_new must be below the model's context of {model.context} tokens; got {max_new}"
        )
    return model.context - max_new


def crop(prompt: list[int], size: int) -> list[int]:
    """The last `size` ids; where that leaves some out, with a warning to whoever called the caller."""
    if len(prompt) > size:
        warnings.warn(
            f"the prompt has {len(prompt):,} tokens and there is room for {size:,}: its end is read, the "
            f"first {len(prompt) - size:,} are left out",
            stacklevel=3,
        )
    return prompt[-size:]
