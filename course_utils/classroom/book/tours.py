"""What a hand tries first in each widget: changes of the state at which it was shown, the likeliest first.

A page without a kernel answers these, and with them all that it draws by itself. A tour goes on after each of
its changes was asked for, so it may look at what the widget found; an entry of None is Python's to choose.
"""

from collections.abc import Callable, Iterator
from itertools import combinations, product

from course_utils.widgets.base import Widget
from course_utils.widgets.state import After, Flag, List, Number, OneOf, Row, Some, Spec, Text
from course_utils.widgets.words import visible

Tour = Iterator[dict]

# Entries of a view that only make exact what the page draws without them, and what stands there instead.
REFINED = {
    "attention_explorer": {"row": None},
    "translator": {"row": None},
    "sampling_lab": {"named": []},
    "qkv_stepper": {"yours": {}},
}
# What the page is given beside what the kernel sends, which would say it when asked.
BESIDE = {"sampling_lab": lambda lab: {"names": [visible(token) for token in lab._tokens]}}
# Entries that a widget's page does not let the hand change, as it was set up.
FIXED = {"attention_explorer": lambda explorer: [] if explorer.view()["predicts"] else ["edits"]}
CONTEXTS = ["the king ", "I will ", "What is the ", "my ", "q", "zzz"]  # for a widget that has no examples


def spec_of(widget: Widget, name: str) -> Spec:
    """What an entry of the state may be now."""
    spec = widget._specs[name]
    return spec.make(*(widget.state[other] for other in spec.names)) if isinstance(spec, After) else spec


def others(spec: Spec, value) -> list:
    """Other values of an entry: all of a choice, some of what is written or counted."""
    if isinstance(spec, OneOf):
        return [option for option in spec.options if option != value]
    if isinstance(spec, Flag):
        return [not value]
    if isinstance(spec, Some):
        return [some for some in (spec.options, spec.options[:1], []) if some != value]
    if isinstance(spec, Number):
        return [end for end in (spec.low, spec.high) if end != value]
    if isinstance(spec, Text):
        return ["to be", "or not"]
    if value and isinstance(value, list) and isinstance(value[0], dict) and "on" in value[0]:  # samplers
        return [value[::-1], [step | {"on": True} for step in value]]
    if isinstance(spec, List) and value:
        return [[*value[:-1], other] for other in others(spec.item, value[-1])]
    if isinstance(spec, List):
        return [[spec.item.start]] if hasattr(spec.item, "start") else []
    if isinstance(spec, Row):
        changed = [(i, other) for i, item in enumerate(spec.items) for other in others(item, value[i])]
        return [[*value[:i], other, *value[i + 1 :]] for i, other in changed]
    return []


def all_of(spec: Spec) -> list:
    """All values of a choice, and the whole numbers of a range with whole ends, where they are not many."""
    if isinstance(spec, OneOf | Flag):
        return getattr(spec, "options", [False, True])
    if isinstance(spec, Number) and isinstance(spec.low, int) and spec.high - spec.low < 100:
        return list(range(spec.low, spec.high + 1))
    return []


def tour(widget: Widget, begin: dict, free: list[str]) -> Tour:
    """Changes of `begin`; what is `free` needs no answer of Python's."""
    yield {}
    yield from TOURS.get(widget._widget, by_choices)(
        widget, begin, [name for name in begin if name not in free]
    )


def by_choices(widget: Widget, begin: dict, names: list[str]) -> Tour:
    """Changes of one entry, then of two."""
    choices = {
        name: all_of(widget._specs[name]) for name in names if not isinstance(widget._specs[name], After)
    }
    for name, values in choices.items():
        yield from ({name: value} for value in values)
    for one, other in combinations(choices, 2):
        yield from ({one: a, other: b} for a, b in product(choices[one], choices[other]))


def by_examples(name: str, *more: str) -> Callable[..., Tour]:
    """The examples on its buttons, each with all values of the entries `more`."""

    def tour(widget: Widget, begin: dict, names: list[str]) -> Tour:
        texts = list(widget.fixed["examples"].values())
        for values in product(texts, *(all_of(widget._specs[other]) for other in more)):
            yield dict(zip((name, *more), values, strict=True))

    return tour


def in_steps(widget: Widget, settings: dict) -> Tour:
    """What is written step by step: to its end first, then each step, and as the page begins it."""
    yield settings | {"step": spec_of(widget, "step").high}
    for step in range(widget.state["step"], -1, -1):
        yield settings | {"step": step}
    yield settings | {"step": None}


def before_after(widget: Widget, begin: dict, _names) -> Tour:
    prompts = [{"prompt": prompt} for prompt in widget.fixed["examples"].values()]
    for prompt in prompts:  # the ends of all come before the steps of any, which may take too long
        yield prompt | {"step": spec_of(widget, "step").high}
        yield from (prompt | {"step": step} for step in (widget.state["step"], 0, None))
    for prompt in prompts:
        yield from in_steps(widget, prompt)


def unmasking(widget: Widget, begin: dict, _names) -> Tour:
    examples = [
        dict(zip(("text", "more"), example, strict=True)) for example in widget.fixed["examples"].values()
    ]
    for changes in ({}, {"at_once": 12}, {"order": others(widget._specs["order"], begin["order"])[0]}):
        for example in examples:
            yield from in_steps(widget, example | changes)


def translator(widget: Widget, begin: dict, _names) -> Tour:
    for task, text in widget.fixed["examples"].values():
        example = {"task": task, "text": text, "forced": []}
        yield example | {"step": spec_of(widget, "step").high}
        n = widget.state["step"]
        yield example | {"step": None}
        for place in range(n):
            yield example | {"step": n, "place": place}
        for step in range(n):
            yield example | {"step": step, "place": max(step - 1, 0)}


def ngram_explorer(widget: Widget, begin: dict, names: list[str]) -> Tour:
    yield from ({"order": order} for order in widget._specs["order"].options)
    yield from ({"seed": begin["seed"] + more} for more in range(1, 9))
    for order, more in product(widget._specs["order"].options, range(1, 4)):
        yield {"order": order, "seed": begin["seed"] + more}
    words = begin["context"].split(" ")
    beginnings = [" ".join(words[:n]) for n in range(len(words) - 1, -1, -1)]
    yield from ({"context": context} for context in [*beginnings, *CONTEXTS])
    yield from by_choices(widget, begin, [name for name in names if name in ("order", "model")])


def masking_figure(widget: Widget, begin: dict, _names) -> Tour:
    drawn = {"own": None, "focus": None}
    for sentence in widget.fixed["sentences"]:
        yield drawn | {"text": sentence}
        for place in range(len(widget.view()["pieces"])):
            yield {"text": sentence, "own": [place], "focus": place}
    for more, sentence in product(range(1, 9), widget.fixed["sentences"]):
        yield drawn | {"text": sentence, "draw": begin["draw"] + more}


def corruption_builder(widget: Widget, begin: dict, _names) -> Tour:
    drawn = {"hidden": None, "masks": None}
    rates, means = widget._specs["rate"].options, all_of(widget._specs["mean"])
    for draw in range(begin["draw"], begin["draw"] + 30):
        yield drawn | {"draw": draw}
    for rate, mean, draw in product(rates, means, range(begin["draw"], begin["draw"] + 3)):
        yield drawn | {"rate": rate, "mean": mean, "draw": draw}


def sampling_lab(widget: Widget, begin: dict, _names) -> Tour:
    yield from ({"prompt": prompt} for prompt in widget.fixed["prompts"])


def attention_explorer(widget: Widget, begin: dict, names: list[str]) -> Tour:
    yield from by_choices(widget, begin, [name for name in names if name == "attention"])
    if not widget.view()["predicts"]:
        return
    n_layers, n_heads = (spec_of(widget, name).high + 1 for name in ("layer", "head"))
    for how in ("ablate", "uniform", "diagonal", "previous"):
        for layer, head in product(range(n_layers), range(n_heads)):
            yield {"edits": [{"layer": layer, "head": head, "how": how}]}


def adapter_lab(widget: Widget, begin: dict, _names) -> Tour:
    most, alphas = min(widget._specs["rank"].high, 128), widget._specs["alpha"].options
    yield from ({"rank": rank} for rank in range(1, most + 1))
    yield from (
        {"alpha": alpha, "rank": rank} for alpha, rank in product(alphas, range(1, min(most, 32) + 1))
    )


def token_tree(widget: Widget, begin: dict, _names) -> Tour:
    rows, end = widget.view()["rows"], widget._specs["steps"].high
    yield {"steps": end}
    yield from ({"steps": steps} for steps in range(widget.state["steps"], -1, -1))
    for row in rows:
        at = {"chosen": row["path"], "at": row["kind"]}
        yield at
        if row["kind"] == "rest" or row.get("open") is False:
            yield at | {"wanted": [*begin["wanted"], [row["path"], row["more"]]]}
    for width in (1, 2, begin["width"] + 1, 5):
        yield {"width": width, "steps": end}
        yield from ({"width": width, "steps": steps} for steps in range(widget.state["steps"], -1, -1))


TOURS = {
    "adapter_lab": adapter_lab,
    "attention_explorer": attention_explorer,
    "before_after": before_after,
    "corruption_builder": corruption_builder,
    "gate_scope": by_examples("text"),
    "masking_figure": masking_figure,
    "ngram_explorer": ngram_explorer,
    "sampling_lab": sampling_lab,
    "smoothing_lab": by_examples("context", "order"),
    "surprise": by_examples("text"),
    "token_tree": token_tree,
    "tokenizer_bench": by_examples("text", "merges"),
    "translator": translator,
    "unmasking": unmasking,
}
