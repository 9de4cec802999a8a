"""Exercise 3.6 of chapter 3, from a loss a token to bits a byte."""

import math

from course_utils.learner.checks.engine import exercise

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


@exercise("3.6", "from loss to bits per byte", dots=2, minutes=8, inputs=loss_inputs)
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


bits_per_byte.slips("""
é is 1 character, 2 bytes.
    token.encode() → token
That is bits per token; another tokenizer would change it.
    len(token.encode()) → 1
Divide by the bytes of the tokens you scored.
    total / n_bytes → total / len("".join(tokens).encode())
Context is read, not scored: leave out its loss, and its bytes too.
    if counts: → if True:
Add up the losses of the scored tokens only.
    total / n_bytes → sum(nats) / math.log(2) / n_bytes
That is nats; divide by ln 2.
    / math.log(2) →
A bit is less than a nat, so there are more of them: divide by ln 2; you multiplied.
    / math.log(2) → * math.log(2)
Add up the bits and the bytes, then divide: in a mean of quotients short tokens count too much.
    / math.log(2) → / math.log(2) / len(token.encode())
    n_bytes += len(token.encode()) → n_bytes += 1
""")


@bits_per_byte.variant("from loss to bits per character", minutes=8)
def bits_per_character(tokens: list[str], nats: list[float], scored: list[bool]) -> float:
    """Return the bits that a model spends on a character (a code point) of the text it was scored on.

    `nats` holds the loss of each token, in nats. Tokens that are not `scored` are only context.
    """
    total, n_characters = 0.0, 0
    for token, loss, counts in zip(tokens, nats, scored, strict=True):
        if counts:
            total += loss / math.log(2)
            n_characters += len(token)
    return total / n_characters


bits_per_character.slips("""
That answers the first version: é is 2 bytes, and here it counts as 1 character.
    → bits_per_byte
That is bits per token; another tokenizer would change it.
    len(token) → 1
Divide by the characters of the tokens you scored.
    total / n_characters → total / len("".join(tokens))
Context is read, not scored: leave out its loss, and its characters too.
    if counts: → if True:
Add up the losses of the scored tokens only.
    total / n_characters → sum(nats) / math.log(2) / n_characters
That is nats; divide by ln 2.
    / math.log(2) →
A bit is less than a nat, so there are more of them: divide by ln 2; you multiplied.
    / math.log(2) → * math.log(2)
A blank is a character too.
    len(token) → len(token.strip())
""")
