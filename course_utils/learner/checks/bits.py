"""What exercise 3.6 of chapter 3 must do, from a loss a token to bits a byte, and what usually goes wrong."""

import math

import numpy as np

from course_utils.learner.checks.old import Check, Mistake
from course_utils.learner.checks.tokenizers import WITHOUT


def bits_per_byte(tokens: list[str], nats: list[float], scored: list[bool]) -> float:
    """Return the bits that a model spends on a byte of the text it was scored on.

    `nats` holds the loss of each token, in nats. Tokens that are not `scored` are only context.
    """
    total, n_bytes = 0.0, 0
    for token, loss, counts in zip(tokens, nats, scored, strict=True):
        if counts:
            total += loss / math.log(2)
            n_bytes += len(token.encode())
    return total / n_bytes


def _of_scored(values, scored):
    return [value for value, counts in zip(values, scored, strict=True) if counts]


def _bits(nats):
    return sum(nats) / math.log(2)


def _bytes(tokens):
    return sum(len(token.encode()) for token in tokens)


SMALL_LOSSES = [
    (["a"], [math.log(4)], [True]),
    (["é"], [math.log(16)], [True]),
    (["To", " be"], [math.log(2), math.log(64)], [True, True]),
    (["To", " be"], [math.log(2), math.log(64)], [False, True]),
]


def loss_inputs(generator, case):
    """Tokens of 1 to 9 bytes with a loss each; the first few of them are context now and then."""
    if case < len(SMALL_LOSSES):
        return SMALL_LOSSES[case]
    n = 2 + case // 4
    tokens = generator.choice(["a", "To", " be", " é", "ças", " 🦜", " O", "mercy", " highness", "…"], size=n)
    context = case % 3 if n > 2 else 0
    return tokens.tolist(), generator.gamma(2.0, 1.5, size=n).tolist(), [i >= context for i in range(n)]


BITS_PER_BYTE = Check(
    id="3.6",
    title="from loss to bits per byte",
    difficulty=3,
    minutes=10,
    imports="import math",
    reference=bits_per_byte,
    inputs=loss_inputs,
    mistakes=(
        Mistake(
            "é is 1 character, 2 bytes.",
            lambda tokens, nats, scored: (
                _bits(_of_scored(nats, scored)) / len("".join(_of_scored(tokens, scored)))
            ),
        ),
        Mistake(
            "That is bits per token; another tokenizer would change it.",
            lambda tokens, nats, scored: _bits(_of_scored(nats, scored)) / sum(scored),
        ),
        Mistake(
            "Divide by the bytes of the tokens you scored.",
            lambda tokens, nats, scored: _bits(_of_scored(nats, scored)) / _bytes(tokens),
        ),
        Mistake(
            "Context is read, not scored: leave out its loss, and its bytes too.",
            lambda tokens, nats, scored: _bits(nats) / _bytes(tokens),
        ),
        Mistake(
            "Add up the losses of the scored tokens only.",
            lambda tokens, nats, scored: _bits(nats) / _bytes(_of_scored(tokens, scored)),
        ),
        Mistake(
            "That is nats; divide by ln 2.",
            lambda tokens, nats, scored: sum(_of_scored(nats, scored)) / _bytes(_of_scored(tokens, scored)),
        ),
        Mistake(
            "A bit is less than a nat, so there are more of them: divide by ln 2; you multiplied.",
            lambda tokens, nats, scored: bits_per_byte(tokens, nats, scored) * math.log(2) ** 2,
        ),
        Mistake(
            "Add up the bits and the bytes, then divide: in a mean of quotients short tokens count too much.",
            lambda tokens, nats, scored: np.mean(
                [
                    bits_per_byte([token], [loss], [True])
                    for token, loss in zip(_of_scored(tokens, scored), _of_scored(nats, scored), strict=True)
                ]
            ),
        ),
    ),
    hint="Two sums over the scored tokens: their losses, divided by `math.log(2)` to make bits of nats, and "
    "the lengths of `token.encode()`. The answer is the first over the second.",
    neighbour="""Seconds a letter, for someone who types four words, of which the first is practice:

```python
words = ["warm", "to", "be", "or"]
seconds = [9.0, 1.0, 2.0, 3.0]
counts = [False, True, True, True]
total, letters = 0.0, 0
for word, time, is_scored in zip(words, seconds, counts):
    if is_scored:
        total += time
        letters += len(word)
total / letters  # 1.0: 6 seconds, 6 letters; the practice is in neither sum
```

In the exercise losses take the place of seconds, and bytes that of letters.""",
    without=WITHOUT,
)


CHECKS = (BITS_PER_BYTE,)
