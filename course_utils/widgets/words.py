"""The words of all widgets: text that can be seen and quoted, numbers for a sentence."""

import re
import unicodedata
from decimal import ROUND_HALF_UP, Decimal

# blanks and control characters, which a reader can't see (and HTML can't hold: NUL becomes �), and the
# characters that turn the direction of what follows them
TURNING = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
SIGNS = {code: f"‹{code:02X}›" for code in [*range(32), 127, *TURNING]} | {
    ord(" "): "·",
    ord("\n"): "⏎",
    ord("\t"): "⇥",
}
SURROGATE = re.compile("[\ud800-\udfff]")
# the text of each byte; one that is no character comes as a lone surrogate
BYTES = [bytes([i]).decode("utf-8", "surrogateescape") for i in range(256)]
ISOLATES = "\u2068", "\u2069"
RIGHT_TO_LEFT = {"R", "AL", "AN"}  # classes of Unicode's bidirectional algorithm (UAX 9)


def visible(text: str) -> str:
    """Text that any browser can receive: a byte that is no UTF-8 on its own becomes ‹C3›.

    Python decodes such a byte to a lone surrogate (`errors="surrogateescape"`), which JSON on its way to
    the browser can't carry; the other lone surrogates become ‹D83D› by the same rule.
    """
    return SURROGATE.sub(lambda found: f"‹{_byte_or_code(ord(found[0])):X}›", text)


def all_visible(value):
    """The same value with each text in it, and each key, made visible: what crosses to the browser."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {all_visible(key): all_visible(item) for key, item in value.items()}
    return type(value)(map(all_visible, value)) if type(value) in (list, tuple) else value


def _byte_or_code(surrogate: int) -> int:
    return surrogate - 0xDC00 if 0xDC80 <= surrogate <= 0xDCFF else surrogate


def text_of(data: bytes) -> str:
    """The bytes of a token as text; a byte that is no whole character becomes ‹C3›."""
    return visible(data.decode("utf-8", "surrogateescape"))


def signs(text: str) -> str:
    """The text with a sign for each blank and control character, as a picture or a label shows it."""
    return visible(text).translate(SIGNS)


def one_sign(c: str) -> str:
    """One column's worth of a character: what can't be read in one becomes a dot."""
    sign = signs(c)
    return sign if len(sign) == 1 else "."


def quoted(text: str) -> str:
    """Text for a sentence, in quotes, with a sign for each blank and control character."""
    return f"“{isolated(signs(text))}”"


def phrase(text: str) -> str:
    """Words for a sentence, in quotes: as `quoted`, but a blank is a blank."""
    return f"“{isolated(readable(text))}”"


def readable(text: str) -> str:
    """The text with a sign for each control character: a blank is a blank."""
    return " ".join(map(signs, text.split(" ")))


def isolated(text: str) -> str:
    """Text that leaves the sentence round it as it is written.

    Right-to-left text would draw the quotes and the numbers beside it to its other end. It gets Unicode's
    isolates, which no screen reader speaks; all other text needs none, and stays as it is.
    """
    turns = any(unicodedata.bidirectional(c) in RIGHT_TO_LEFT for c in text)
    return text.join(ISOLATES) if turns else text


def shortened(text: str, most: int = 60, end: bool = False) -> str:
    """At most so many characters of a text: its beginning, or its end, where texts that go on differ."""
    if len(text) <= most:
        return text
    return f"…{text[1 - most :]}" if end else f"{text[: most - 1]}…"


def plural(n: int, noun: str) -> str:
    """1 token, 2,000 tokens."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def percent(p: float) -> str:
    """A share in percent, as the page writes it: halves go up, and what is hardly anything, or nearly all, is
    not called nothing or all."""
    if 0 < p < 0.0005 or 0.9995 < p < 1:
        return "< 0.1 %" if p < 0.5 else "> 99.9 %"
    return f"{Decimal(100 * float(p)).quantize(Decimal('0.1'), ROUND_HALF_UP)} %"


def signed(x: float, digits: int = 2) -> str:
    """A number with so many decimals, a true minus sign, and no minus before a zero."""
    text = f"{x:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.replace("-", "")


def error_in_words(error: Exception) -> str:
    """A ValueError's sentence; of another error, which a learner's own function may raise, its name too."""
    return visible(str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}")
