"""Documents with personal data: what a model has read once or twice, it may say to a stranger.

Sources: Carlini et al. 2021 (extracting training data); Luhn 1960, ISO/IEC 7812 (the check digit of cards);
ISO 13616 (of bank accounts); ITU-T E.123 and E.164 (how telephone numbers are written).
"""

import ipaddress
import re
from collections.abc import Callable
from typing import NamedTuple

from course_utils.pretraining.documents import Document


class Found(NamedTuple):
    """A piece of personal data: of which kind, and where it stands in the text."""

    kind: str
    start: int
    end: int


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it: each second digit from the right is
    doubled, the digits of the products are added, and the sum is a multiple of ten. It finds every single
    wrong digit; of numbers at random one in ten passes."""
    doubled = [int(d) * (1 + i % 2) for i, d in enumerate(reversed(digits))]
    return sum(d - 9 * (d > 9) for d in doubled) % 10 == 0


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_card(text: str) -> bool:
    return 14 <= len(_digits(text)) <= 19 and passes_luhn(_digits(text))  # of 13 are bar codes


def _is_telephone(text: str) -> bool:
    return 8 <= len(_digits(text)) <= 15  # E.164 allows no more


def _is_public_address(text: str) -> bool:
    """Whether it is an address that leads to somebody: 127.0.0.1 and 192.168.0.1 are in every house. Four
    numbers below 64 are rather those of a version or an enzyme: of addresses that is one in 256."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_global and (address.version == 6 or max(address.packed) >= 64)


def _is_account(text: str) -> bool:
    """ISO 13616: with the first four characters put last and letters as 10 to 35, it is 1 modulo 97."""
    plain = text.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1


# kind: (pattern, the test that a match must pass). An earlier kind takes its characters from the later ones.
KINDS: dict[str, tuple[re.Pattern, Callable[[str], bool]]] = {
    "an e-mail address": (
        re.compile(r"(?<![\w.+-])\w[\w.+-]{0,63}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b"),
        lambda text: True,
    ),
    "a bank account": (
        re.compile(r"\b[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
        _is_account,
    ),
    "a card number": (re.compile(r"(?<![\d.,-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\d.,-]?\d)"), _is_card),
    "an IP address": (
        re.compile(
            r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)"
            r"|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}(?!:[0-9A-Fa-f]))(?!\w)"
        ),
        _is_public_address,
    ),
    "a telephone number": (
        re.compile(
            r"(?<![\w+.])(?<!\d[ -])"
            r"(?:\+\d{1,3}[ .\-/]?(?:\(0?\d{1,4}\)[ .\-/]?)?\d(?:[ .\-/]?\d){5,13}"  # international
            r"|(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])[2-9]\d\d[ .-]\d{4}"  # North America
            # with the trunk prefix of most other countries; French and Swedish
            r"|\(?0\d{2,4}\)?[ /-]?\d{3,4}(?:[ -]?\d{2,4}){0,2}"
            r"|0\d(?P<gap>[ .]?)\d\d(?:(?P=gap)\d\d){3}|0\d{1,3}-\d{2,3}(?: \d\d){1,3}"
            r"|(?i:(?<=tel )|(?<=tel\. )|(?<=tel: )|(?<=phone )|(?<=phone: )|(?<=fax )|(?<=fax: )|(?<=call )"
            r"|(?<=mobile )|(?<=mobile: ))\d(?:[ .-]?\d){6,13})(?!\d|[.,]\d|-\d)"
        ),
        _is_telephone,
    ),
    "a social security number": (
        re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\d-])"),
        lambda text: True,
    ),
}


def find(text: str) -> list[Found]:
    """All personal data of six kinds in a text, in its order: addresses, bank accounts, cards and numbers.

    Names and streets are not looked for: to tell those of the living needs more than patterns.
    """
    found: list[Found] = []
    for kind, (pattern, valid) in KINDS.items():
        for match in pattern.finditer(text):
            free = all(match.end() <= other.start or other.end <= match.start() for other in found)
            if free and valid(match[0]):
                found.append(Found(kind, *match.span()))
    return sorted(found, key=lambda each: each.start)


def personal_data(document: Document) -> str | None:
    """A filter: removes a document that holds personal data. The reason names the kinds and repeats none."""
    found = find(document.text)
    if not found:
        return None
    return f"it holds {', '.join(dict.fromkeys(each.kind for each in found))}"
