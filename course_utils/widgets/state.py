"""What a widget's state may be. Each entry declares what it allows; a request is read by that, or refused.

    specs = {"text": Text(240), "order": OneOf([2, 3], start=3), "bias": Number(-3, 6)}
    state, notices = merged(specs, {}, {"text": "to be"})

A refusal is a ValueError of one sentence, "bias is a number from -3 to 6; got nan", and changes nothing.
"""

from collections.abc import Callable, Iterable
from numbers import Integral, Real
from reprlib import Repr

from course_utils.tokenizers import whole_characters
from course_utils.widgets.words import all_visible, isolated, shortened

SHOWN_OPTIONS = 24  # of a choice that a sentence lists
BRIEF = Repr()
BRIEF.maxstring = BRIEF.maxother = 60


class Spec:
    """One entry of a state: where it starts, what it allows in words (`says`), and how a value is read."""

    start: object
    says: str

    def read(self, name: str, value):
        """The value as the state keeps it. Raises ValueError for what is not allowed."""
        raise NotImplementedError

    def refuse(self, name: str, value):
        raise ValueError(f"{name} is {self.says}; got {isolated(shortened(BRIEF.repr(value), 100))}")

    def for_page(self) -> dict:
        """What the page's own field needs to know."""
        return {}


def option_of(options: list, value):
    """The option that a value is, [] if it is none: True is not 1, and 1 is 1.0, as the page sends it.

    The page has the options as `all_visible` gives them, and sends them so.
    """
    same = [one for one in options if isinstance(value, bool) == isinstance(one, bool)]
    return [one for one in same if value in (one, all_visible(one))][:1]


class OneOf(Spec):
    """One of some options, the first at the start."""

    def __init__(self, options: Iterable, start=None):
        self.options = list(options)
        self.start = self.options[0] if start is None else start
        listed = [f"{option:g}" if isinstance(option, float) else str(option) for option in self.options]
        more = f" and {len(listed) - SHOWN_OPTIONS} more" if len(listed) > SHOWN_OPTIONS else ""
        self.says = f"one of {', '.join(listed[:SHOWN_OPTIONS])}{more}"

    def read(self, name, value):
        return next(iter(option_of(self.options, value) or self.refuse(name, value)))

    def for_page(self):
        return {"options": self.options}


class Number(Spec):
    """A finite number in a range, both ends included."""

    kind, words = Real, "a number"

    def __init__(self, low: float, high: float, start: float | None = None):
        self.low, self.high = low, high
        self.start = low if start is None else start
        self.says = f"{self.words} from {low:,} to {high:,}"

    def read(self, name, value):
        # NaN fails the comparison; an int is compared whole, however long it is
        if isinstance(value, bool) or not isinstance(value, self.kind) or not self.low <= value <= self.high:
            self.refuse(name, value)
        return value

    def for_page(self):
        return {"min": self.low, "max": self.high}


class Whole(Number):
    """A whole number in a range, both ends included."""

    kind, words = Integral, "a whole number"


class Flag(Spec):
    """True or false."""

    says = "true or false"

    def __init__(self, start: bool = False):
        self.start = start

    def read(self, name, value):
        return value if isinstance(value, bool) else self.refuse(name, value)


class Text(Spec):
    """A text, of which at most so many characters are kept, or bytes in whole characters.

    kept: "last" or "first", which part of a longer one. why: what the notice adds about the part left out.
    """

    says = "a text"

    def __init__(
        self, most: int, unit: str = "character", kept: str = "last", start: str = "", why: str = ""
    ):
        self.most, self.unit, self.kept, self.start, self.why = most, unit, kept, start, why

    def read(self, name, value):
        return self.cropped(name, value)[0]

    def cropped(self, name: str, value, cut: int = 0) -> tuple[str, list[str]]:
        """What is kept, and notices of what is not; `cut` characters of the text did not even come."""
        if not isinstance(value, str):
            self.refuse(name, value)
        whole, notices = whole_characters(value)
        if self.unit == "byte":
            part = whole.encode()[-self.most :] if self.kept == "last" else whole.encode()[: self.most]
            part = part.decode(errors="ignore")  # half a character may stand at the cut
        else:
            part = whole[-self.most :] if self.kept == "last" else whole[: self.most]
        if cut or part != whole:
            got = f"Got {len(value) + cut:,} characters; the {self.kept} {len(part):,} are read"
            notices.insert(0, f"{got}{self.why}.")
        return part, notices

    def for_page(self):
        return {"text": self.kept}


class List(Spec):
    """A list of such items, at most so many, or exactly so many."""

    def __init__(self, item: Spec, most: int, start: Iterable = (), exactly: bool = False):
        self.item, self.most, self.start, self.exactly = item, most, list(start), exactly
        self.says = f"a list of {'' if exactly else 'at most '}{most:,}, each {item.says}"

    def read(self, name, value):
        if not isinstance(value, list | tuple) or len(value) > self.most:
            self.refuse(name, value)
        if self.exactly and len(value) < self.most:
            self.refuse(name, value)
        return [self.item.read(f"{name}[{i}]", one) for i, one in enumerate(value)]


class Some(Spec):
    """Some of the options, each once, kept in the options' own order; all at the start."""

    def __init__(self, options: Iterable, start: Iterable | None = None):
        self.options = list(options)
        self.start = self.options if start is None else list(start)
        self.says = f"a list of some of {', '.join(map(str, self.options))}"

    def read(self, name, value):
        found = [option_of(self.options, one) for one in value] if isinstance(value, list | tuple) else [[]]
        if [] in found:
            self.refuse(name, value)
        return [option for option in self.options if [option] in found]

    def for_page(self):
        return {"options": self.options}


class Row(Spec):
    """A list with a place for each of these, such as [path, n]."""

    def __init__(self, *items: Spec, start: Iterable | None = None):
        self.items = items
        self.start = [item.start for item in items] if start is None else list(start)
        self.says = f"[{', '.join(item.says for item in items)}]"

    def read(self, name, value):
        if not isinstance(value, list | tuple) or len(value) != len(self.items):
            self.refuse(name, value)
        return [
            item.read(f"{name}[{i}]", one)
            for i, (item, one) in enumerate(zip(self.items, value, strict=True))
        ]


class Record(Spec):
    """A dict with these keys; those named in `optional` may be missing."""

    def __init__(self, items: dict[str, Spec], optional: Iterable[str] = ()):
        self.items, self.optional = items, set(optional)
        self.start = {key: item.start for key, item in items.items() if key not in self.optional}
        self.says = f"a record of {', '.join(items)}"

    def read(self, name, value):
        if (
            not isinstance(value, dict)
            or not self.items.keys() - self.optional <= value.keys() <= self.items.keys()
        ):
            self.refuse(name, value)
        return {key: self.items[key].read(f"{name}.{key}", one) for key, one in value.items()}


class After:
    """An entry whose spec follows from others, declared before it: After("text", lambda text: Whole(...)).

    When one of those changes and the request does not name this entry, it begins anew at its start; if it
    `stays`, only where its value is no longer allowed.
    """

    def __init__(self, *names_and_make: str | Callable[..., Spec], stays: bool = False):
        *self.names, self.make = names_and_make
        self.stays = stays

    def begins_anew(self, spec: Spec, name: str, state: dict, new: dict) -> bool:
        if all(new[other] == state[other] for other in self.names):
            return False
        try:
            spec.read(name, state[name])
        except ValueError:
            return True
        return not self.stays

    def for_page(self):
        return {}


def merged(specs: dict[str, Spec | After], state: dict, request: dict) -> tuple[dict, dict[str, list[str]]]:
    """The state after a request, and what there is to notice about each text that the request names.

    An entry that the request does not name stays, or is at its start if there is no state yet. Of a text the
    page sends no more than can be kept, and under "cut" the number of characters that it left out.
    Raises ValueError for a request that is no dict, names what is not declared, or has a value not allowed.
    """
    if not isinstance(request, dict):
        raise ValueError(f"a request is a dict of {', '.join(specs)}; got {BRIEF.repr(request)}")
    texts = [name for name, spec in specs.items() if isinstance(spec, Text)]
    known = [*specs, *["cut"] * bool(texts)]
    if unknown := [name for name in request if name not in known]:
        raise ValueError(f"a request may name {', '.join(known) or 'nothing'}; got {BRIEF.repr(unknown[0])}")
    cut = Whole(0, 2**53).read("cut", request.get("cut", 0))
    new, notices = {}, {}
    for name, spec in specs.items():
        anew = name not in state
        if isinstance(spec, After):
            after, spec = spec, spec.make(*(new[other] for other in spec.names))
            anew = anew or after.begins_anew(spec, name, state, new)
        if name in texts and (anew or name in request):
            text = request.get(name, spec.start)
            new[name], notices[name] = spec.cropped(name, text, cut if name == texts[0] else 0)
        elif anew or name in request:
            new[name] = spec.read(name, request.get(name, spec.start))
        else:
            new[name] = state[name]
    return new, notices


def complete(specs: dict[str, Spec], request: dict) -> tuple[dict, dict[str, list[str]]]:
    """The values of a request that must name every entry, and notices about its texts, as `merged` gives.

    Raises ValueError if one is missing, and as `merged` does.
    """
    if isinstance(request, dict) and (missing := [name for name in specs if name not in request]):
        raise ValueError(f"the request names {', '.join(specs)}; {missing[0]} is missing")
    return merged(specs, {}, request)
