"""Writing a target to a source, with what can be seen of it: where the decoder looked for each token in the
source, how sure it was, and what else it might have written.

`translator` makes of an encoder-decoder and its tokenizer the function that the widget `Translator` asks.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from course_utils.attention import record_attention
from course_utils.generation import device_of, evaluating
from course_utils.seq2seq import Marks, padded
from course_utils.tokenizers import BPETokenizer

WINDOW = 256  # tokens of a source
CANDIDATES = 6  # next tokens that are named
ENDING = "</s>"


class Candidate(NamedTuple):
    """A token that might be written, with its probability."""

    id: int
    token: str
    p: float


class Translation(NamedTuple):
    """What was read and written, token by token.

    source, target: the S and T tokens as texts, the task's prefix and the ends included. ids: the target's.
    p: the probability that the model gave to each token of the target, having read those before it.
    candidates: the likeliest tokens at each place, the best first. weights: where the decoder looked as it
    wrote each token. ended: the last token is the end. notices: sentences.
    """

    source: list[str]
    target: list[str]
    ids: list[int]
    p: list[float]
    candidates: list[list[Candidate]]
    weights: Float[np.ndarray, "layers heads target source"]
    ended: bool
    notices: list[str]

    def text(self, n: int | None = None) -> str:
        """The first n tokens put together, or all, without the end."""
        tokens = self.target[: len(self.target) - self.ended][:n]
        return "".join(tokens).encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip()


Translate = Callable[[str, str, Sequence[int], int], Translation]


def translator(
    model: nn.Module,
    tokenizer: BPETokenizer,
    tasks: Collection[str],
    *,
    window: int = WINDOW,
    end_source: bool = True,
) -> Translate:
    """The function `translate(task, text, forced, more)`: what `model` writes to the source `task + text`.

    model: a T5 or a BART. tasks: the prefixes that it was trained on, such as "modern: ".
    end_source: the source ends with the end mark, as T5's does.

    The target begins with the ids `forced`, and the likeliest token is written `more` times, or to the end.
    With the ids written so far as `forced`, writing goes on where it stopped. A source of more than `window`
    tokens is cut there, with a notice. `translate` raises ValueError for an empty text, a prefix that is none
    of `tasks`, an id outside the vocabulary, and if nothing is to be written. Characters that the tokenizer
    has no tokens for get a notice.
    """

    def translate(task: str, text: str, forced: Sequence[int] = (), more: int = 64) -> Translation:
        if task not in tasks:
            raise ValueError(
                f"the model was trained on the prefixes {', '.join(map(repr, tasks))}; got {task!r}"
            )
        if not text.strip():
            raise ValueError("the source is empty: type a verse, or take an example")
        ids = tokenizer.encode(task + text).tolist() + [model.marks.end] * end_source
        notices = []
        if len(ids) > window:
            notices.append(f"The source has {len(ids):,} tokens; the first {window} are read.")
            ids = ids[: window - end_source] + ids[len(ids) - end_source :]
        if unread := tokenizer.unmerged(tokenizer.decode(ids[: len(ids) - end_source], errors="ignore")):
            notices.append(unknown_characters(unread))
        target, logits, weights = write(model, ids, forced, more)
        p = logits.softmax(-1)
        top = p.topk(min(CANDIDATES, p.shape[1]))
        rows = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        token = {
            i: _token(i, tokenizer, model.marks) for i in {*ids, *target, *top.indices.flatten().tolist()}
        }
        return Translation(
            [token[i] for i in ids],
            [token[i] for i in target],
            target,
            p[torch.arange(len(target)), target].tolist(),
            [[Candidate(i, token[i], p) for i, p in zip(*row, strict=True)] for row in rows],
            weights.numpy(),
            target[-1] == model.marks.end,
            notices,
        )

    return translate


def unknown_characters(unread: Sequence[str]) -> str:
    """The notice about characters that a tokenizer has no tokens for."""
    shown = ", ".join(c if c.isprintable() else repr(c) for c in unread[:5])
    more = f" and {len(unread) - 5} more" * (len(unread) > 5)
    quotes = " Type ' and \" for curved quotes." * bool({*unread} & {*"‘’“”"})
    return f"No token stands for {shown}{more}, only bytes: what is written for that is a guess.{quotes}"


def write(
    model: nn.Module, source: Sequence[int], forced: Sequence[int] = (), more: int = 64
) -> tuple[list[int], Float[Tensor, "target vocab"], Float[Tensor, "layers heads target source"]]:
    """A target that begins with the ids `forced` and goes on with the likeliest tokens, `more` of them or to
    the end; and for each token the logits and the weights of the cross-attention with which it was written.

    Raises ValueError for an id outside the vocabulary, and if nothing is to be written.
    """
    device, (_, start, end) = device_of(model), model.marks
    ids = [*forced][: forced.index(end) + 1] if end in forced else [*forced]
    if not ids and more < 1:
        raise ValueError(f"at least one token is to be written; got more = {more}")
    row = partial(torch.tensor, device=device)
    with evaluating(model):
        memory = model.encode(*(tensor.to(device) for tensor in padded([source])))
        unread, state = [start, *ids], None
        for _ in range(more):
            if ids[-1:] == [end]:
                break
            logits, state = model.decode(row([unread]), memory, state)
            unread = logits[0, -1:].argmax(-1).tolist()
            ids += unread
        # all at once, as in training: what each token was written by
        with record_attention(model.cross_attentions) as weights:
            logits, _ = model.decode(row([[start, *ids[:-1]]]), memory)
    if not 0 <= ids[-1] < logits.shape[-1]:  # the last one was not read
        raise ValueError(f"expected token ids between 0 and {logits.shape[-1] - 1}; got {ids[-1]}")
    layers = [weights[layer][0].cpu() for layer in sorted(weights)]
    return ids, logits[0].float().cpu(), torch.stack(layers)


def _token(i: int, tokenizer: BPETokenizer, marks: Marks) -> str:
    """A token as a text; half a character stays a lone surrogate, which the widgets make visible."""
    if i < tokenizer.vocab_size:
        return tokenizer.tokens[i].decode("utf-8", "surrogateescape")
    return ENDING if i == marks.end else f"<{i}>"  # a model may have more rows than the tokenizer has tokens
