"""The model card and report card: what a model read, what it cost, what it can do and what it can't.

It is made of the files in the model's folder, and of what other models of the course reach. `write` makes
card.md and card.html, one file without anything from outside, to be sent to a friend. Each section says in
which chapter of the course its numbers are explained. `Card(folder)` shows what was written in a notebook.

Sources: Mitchell et al. 2019 (model cards); Gebru et al. 2021 (what is said of data); Patterson et al. 2021
(energy, with its assumptions).
"""

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from course_utils.data import assets
from course_utils.files import write_atomic
from course_utils.pretraining import evaluate, tune
from course_utils.pretraining.filters import contamination
from course_utils.pretraining.plans import WIDTHS
from course_utils.pretraining.reports import (
    BEFORE,
    CHATS,
    COUNTED,
    LOOKED,
    REPEATS,
    Report,
    failures,
    reports,
)

WATTS = 10.0  # of a core at work, with its share of the rest: what a laptop's or a server's takes, about
GPU_WATTS = 700.0  # the most that an H100 takes; most others take less
EXAMPLES = 8
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; }
td, th { border: 1px solid #999; padding: .25rem .6rem; text-align: left; }
svg { max-width: 100%; height: auto; } :root { color-scheme: light dark; }
"""


@dataclass
class Section:
    """A heading, paragraphs, and a table whose first row is its head; `curve` is drawn in the HTML, and `see`
    is where in the course the numbers are explained."""

    title: str
    paragraphs: list[str]
    table: list[list[str]] = field(default_factory=list)
    curve: list[list[float]] = field(default_factory=list)
    see: str = ""


class Card:
    """A card that `write` wrote, in a notebook: each section folded, as text whole."""

    def __init__(self, folder: Path):
        self._page, self._text = ((folder / f"card.{kind}").read_text("utf-8") for kind in ("html", "md"))

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        head, *sections = self._page.split("</style>")[1].removesuffix("</html>\n").split("<h2>")
        parts = (section.replace("</h2>", "</b></summary>") for section in sections)
        title = head.replace("h1>", "b>")  # a notebook has one h1 of its own
        return title + "".join(f"<details><summary><b>{part}</details>" for part in parts)


def write(folder: Path, beside: dict[str, float]) -> None:
    """Write both files. beside: bits per byte on The Tempest of the course's other models, by name."""
    found = sections(folder, beside)
    write_atomic(folder / "card.md", markdown(found))
    write_atomic(folder / "card.html", _html(found))


def sections(folder: Path, beside: dict[str, float]) -> list[Section]:
    def read(name: str):
        return json.loads((folder / name).read_bytes())

    made, size, scores = read("manifest.json"), read("size.json"), read("scores.json")
    log, vocabulary = read("pretrain_log.json"), read("vocabulary.json")
    return [
        _head(made, size),
        _data(made),
        _choices(made, size, vocabulary),
        _tuning(made, read("choices.json")),
        _cost(made, log),
        _bits(scores, beside),
        _asked(made, reports(folder)),
        _quantised(read("quantised.json")),
        _floors(scores),
        Section("Known failures", failures(scores), see="chapter 12, section 4"),
        _examples(scores),
        _licence(made),
    ]


def _head(made: dict, size: dict) -> Section:
    config = size["config"]
    shape = f"{config['n_layers']} layers of {config['d_model']} with {config['n_heads']} heads"
    return Section(
        f"A language model of {size['parameters'] / 1e6:.2f} million parameters",
        [
            f"Made from raw text by `course.py make --plan {made['plan']['name']}` of the LLM Workbook: "
            f"{shape}, {config['vocab_size']:,} tokens, {config['context']} of them read at once.",
            "It was made to be understood, not to be used: what it says is often wrong.",
        ],
        see="chapters 3 (tokens), 4 and 5 (layers, width, heads), 8 (how many are read at once)",
    )


def _data(made: dict) -> Section:
    notes = made["stages"]["documents"]["notes"]
    rows = [["", "documents", "size"], ["read", *_amount(notes["read"])]]
    rows += [[f"removed: {name}", *_amount(amount)] for name, amount in notes["removed"].items()]
    rows.append(["kept", *_amount(notes)])
    digest = made["stages"]["documents"]["writes"]["documents.jsonl"]
    whose = "texts of its maker's own"
    if made["plan"]["texts"] == "the course's":
        whose = "the course's texts: plays, two Bibles, film reviews, passages of the Web and of Wikipedia"
    most = float(made["plan"].get("text_bytes", "inf"))
    sample = f"a sample of {most / 1e6:.0f} MB, or all of fewer, of " if most < float("inf") else ""
    said = f"It read {sample}{whose}. Of what the filters kept the sha256 is `{digest[:16]}...`."
    return Section("What it read", [said], rows, see="chapter 12, section 1")


def _amount(amount: dict) -> list[str]:
    n = amount["bytes"]
    return [f"{amount['documents']:,}", f"{n / 1e6:.1f} MB" if n >= 1e5 else f"{n / 1e3:.0f} kB"]


def _choices(made: dict, size: dict, vocabulary: dict) -> Section:
    rows = [["tokens", "bytes a token of the validation text", "bits per byte of a small model"]]
    rows += [
        [f"{row['vocab_size']:,}", f"{row['bytes_a_token']:.2f}", f"{row['bits_per_byte']:.3f}"]
        for row in vocabulary["trials"]
    ]
    chosen = "one with which a small model had the fewest"
    if made["plan"].get("merges"):
        chosen = "last, its maker's own; a small model tried all of them, for the"
    law = f"{size['law_n'] / 1e6:.2f} million parameters and {size['law_tokens'] / 1e6:.1f} million tokens"
    batch, context = made["plan"]["batch"], size["config"]["context"]
    read = size["steps"] * batch * context
    largest = max(row["vocab_size"] for row in vocabulary["trials"])
    edge = " It is the largest that was tried." if vocabulary["chosen"]["vocab_size"] == largest else ""
    said = [
        f"The vocabulary is the {chosen} bits per byte of the validation text, all with the same FLOPs, "
        f"once: one seed, so near ones are a tie.{edge} That text is of the kinds of the held-out ones "
        "below, and never trained on.",
        f"Size and length of training are read off a scaling law, which asked for {law}. Of the shapes, "
        f"whose widths go in steps of {WIDTHS.step}, with a layer for each step and two at least, one of "
        f"{size['parameters'] / 1e6:.2f} million was taken. {size['steps']:,} steps of {batch} rows of "
        f"{context} tokens, as the plan says, are {read / 1e6:.2f} million tokens, {size['epochs']:.2g} of "
        f"the text's {size['tokens'] / 1e6:.2f} million.",
    ]
    whose = [f"{part}: {of}." for part, of in made["plan"].get("whose", {}).items()]
    said += [" ".join(["Whose part is whose?", *whose])] * bool(whose)
    see = "chapter 12, section 2; size, section 7; the law, chapter 11"
    return Section("How it was chosen", said, rows, see=see)


def _tuning(made: dict, choices: dict) -> Section:
    plan, notes = made["plan"], made["stages"]["tune"]["notes"]
    problems, longest = notes.get("problems"), notes.get("longest_answer")
    short = f" with answers of up to {longest} tokens" if longest else ""
    mix = "how many of each task was not noted when it was made"
    if problems:
        mix = ", ".join(f"{n:,} of {task}" for task, n in problems.items())
    times = notes.get("tunings", 1)
    again = f" It was tuned {times} times, each but the first after a look at scores; the cost is the last's."
    n = tune.VALIDATED * len(evaluate.TASKS)
    before, after = (choices[when] for when in ("before", "after"))
    kept = {"before": "fell, and the model from before it was kept", "after": "did not fall, and it was kept"}
    return Section(
        "How it was tuned",
        [
            f"On conversations{short}, problems ({mix}) and, for a third of the tokens, text out of that of "
            f"pretraining: {plan['tune_steps']:,} steps of {plan['tune_batch']} rows of {plan['context']} "
            f"tokens.{again * (times > 1)}",
            "Then, by DPO, on choices between right answers and its own wrong ones. Before that step "
            f"{before['right']:.0%} of the answers to {n} validation problems were right and "
            f"{before['ends']:.0%} of those to {tune.VALIDATED} chats ended, after it "
            f"{after['right']:.0%} and {after['ends']:.0%}: their sum {kept[choices['kept']]}.",
        ],
        see="chapter 12, section 3; the mix, section 7; DPO, chapter 10",
    )


def _cost(made: dict, log: dict) -> Section:
    stages, minutes = made["stages"], Counter()
    threads = {name: stage.get("threads") or made["made_with"]["threads"] for name, stage in stages.items()}
    for name, stage in stages.items():
        minutes[threads[name]] += stage["seconds"] / 60
    took = " and ".join(f"{m:.1f} minutes on {n} thread{'s' * (n > 1)}" for n, m in minutes.items())
    watt_hours = sum(n * m for n, m in minutes.items()) * WATTS / 60
    notes = stages["pretrain"]["notes"]
    flops, tokens = notes["flops"], notes["tokens"]
    parameters = stages["tokens"]["notes"]["parameters"]
    spikes = "; ".join(f"step {spike['step']}, {spike['loss']:.2f} nats" for spike in log["spikes"])
    return Section(
        "What it cost",
        [
            f"{took} ({made['made_with']['machine']}), by the clock. At {WATTS:.0f} watts a thread, which is "
            f"assumed and not measured, that is {watt_hours:.2g} watt-hours.{_on_gpus(stages)}",
            f"Pretraining: 6 x {parameters / 1e6:.2f} million parameters x {tokens / 1e6:.2f} million tokens "
            f"are {6 * parameters * tokens:.2g} FLOPs, and attention makes it {flops:.2g}.",
            f"Loss spikes, steps with a loss far above those before: {spikes or 'none'}.",
        ],
        [
            ["stage", "seconds", "threads"],
            *([name, f"{stage['seconds']:.0f}", str(threads[name])] for name, stage in stages.items()),
        ],
        log["evaluations"],
        see="chapter 12, section 5; spikes and energy, section 7",
    )


def _on_gpus(stages: dict) -> str:
    """What GPUs add to the cost, if there were any: all pretrain, one does the rest."""
    notes = stages["pretrain"]["notes"]
    if "gpus" not in notes:
        return ""
    seconds = notes["gpus"] * stages["pretrain"]["seconds"]
    seconds += sum(stages[name]["seconds"] for name in ("tokenizer", "tune", "prefer", "scores"))
    return (
        f" Beside them {notes['gpus']} x {notes['gpu']} worked: at {GPU_WATTS:.0f} watts each, the most that "
        f"an H100 takes, {seconds / 3600 * GPU_WATTS:,.0f} watt-hours more."
    )


def _bits(scores: dict, beside: dict[str, float]) -> Section:
    texts = scores["5-gram"]
    rows = [["bits per byte", *texts]]
    for name, bits in [
        (BEFORE, scores["base"]["bits_per_byte"]),
        (CHATS, scores["chat"]["bits_per_byte"]),
        (COUNTED, texts),
    ]:
        rows.append([name, *(f"{bits[text]:.3f}" for text in texts)])
    others = ", ".join(
        f"{name} {bits:.2f}" for name, bits in sorted(beside.items(), key=lambda pair: pair[1])
    )
    said = [
        "Fewer bits are better. The 5-gram counted the kept text (64 MB of it at most), from which the model "
        "read.",
    ]
    if others:
        said.append(
            f"Other models of the course on The Tempest: {others}. All but SmolLM2 read Shakespeare alone. "
            "(N-grams: chapter 1; feed-forward, RNN, LSTM: chapters 2 and 3; GPT, SmolLM2: chapter 8.)"
        )
    title = "How well it predicts texts that it has not read"
    return Section(title, said, rows, see="chapter 12, section 3; bits per byte, chapter 1")


def _asked(made: dict, found: dict[str, Report]) -> Section:
    rows = [["", "right", "95 % interval", "by chance"]]
    for name in (BEFORE, CHATS):
        for number in found[name].numbers:
            if number.low is None:
                continue
            chance = "" if number.chance is None else f"{number.chance:.1%}"
            interval = f"{number.low:.0%} to {number.high:.0%}"
            right = f"{number.value:.0%} of {number.n}" if number.n else f"{number.value:.0%}"
            rows.append([f"{number.measure}, {name}", right, interval, chance])
    repeats = next(n.value for n in found[CHATS].numbers if n.measure == REPEATS)
    digest = made["stages"]["questions"]["writes"]["evaluation.json"]
    return Section(
        "What it was asked",
        [
            f"The questions were fixed before anything was trained: sha256 `{digest[:16]}...`. No document "
            f"that was read holds {contamination.LENGTH} words in a row of a held-out text: such documents "
            "were removed.",
            LOOKED,
            "By chance: one line of four; in a task a guesser who draws evenly from all answers of the right "
            "form (of sums of two numbers below 100: 0 to 198), estimated by 100 draws a problem.",
            f"Of the runs of four words in its answers {repeats:.1%} had stood in the same answer before.",
        ],
        rows,
        see="chapter 12, section 4; the intervals, exercise 12.9",
    )


def _quantised(costs: list[dict]) -> Section:
    whole = costs[0]["bits_per_byte"]
    rows = [["weights", "bits per byte", "lost", "megabytes", "tokens/s"]]
    rows += [
        [
            cost["name"],
            f"{cost['bits_per_byte']:.3f}",
            f"{round(cost['bits_per_byte'] - whole, 3) + 0.0:.3f}",
            f"{cost['megabytes']:.1f}",
            f"{cost['tokens_per_second']:.0f}",
        ]
        for cost in costs
    ]
    said = (
        "On the validation text. A weight has 32 bits, or is rounded to 8 or to 4. Tokens are written one at "
        "a time, the fastest of three times, on the machine that made the model; beside other programs such "
        "speeds mean little."
    )
    return Section("What fewer bits a weight cost", [said], rows, see="chapter 12, section 7")


def _floors(scores: dict) -> Section:
    rows = [[f.name, f.needed, f.reached, "yes" if f.holds else "no"] for f in evaluate.floors(scores)]
    said = (
        "Floors are what `course.py make` wants of every model: fewer bits than a 5-gram that counted the "
        "kept text, tasks above chance by their whole interval, and an end to "
        f"{evaluate.STOPS:.0%} of the answers."
    )
    table = [["", "needed", "reached", "holds"], *rows]
    return Section("Is it over its floors?", [said], table, see="chapter 12, section 5")


def _examples(scores: dict) -> Section:
    rows = [["asked", "answered"]]
    rows += [[example["prompt"], example["answer"]] for example in scores["chat"]["examples"][:EXAMPLES]]
    return Section(
        "What it says",
        [f"The first {EXAMPLES} of the held-out prompts, none of them chosen."],
        rows,
        see="chapter 9 (temperature, top-p)",
    )


def _licence(made: dict) -> Section:
    """Of weights, code and texts; of the user's own it can't say more than whose they are."""
    weights = (
        "The weights, as the code that made them, are given under Apache-2.0, as far as they are ours to "
        "give: whether what a text taught belongs to its author too is disputed."
    )
    own = made["plan"]["texts"] != "the course's"
    makers = " and from texts of its maker's own, who knows their licence" * own
    said = f"It learnt from these packages{makers}; their licences, as they name them:"
    rows, known = [["text", "licence", "sha256"]], assets.manifest()
    for stage in ("documents", "tune"):
        read = made["stages"][stage]["notes"].get("assets", {})
        rows += [[name, known[name].licence, f"{digest[:16]}..."] for name, digest in read.items()]
    return Section("Licence", [weights, said], rows)


def markdown(found: list[Section]) -> str:
    """The sections in Markdown; whatever a text holds, it is no tag, and ends no line and no cell."""
    parts = []
    for number, section in enumerate(found):
        parts.append(f"{'#' if number == 0 else '##'} {_one_line(section.title)}")
        parts += map(_one_line, section.paragraphs)
        if section.see:
            parts.append(f"*Explained in: {section.see}.*")
        if section.curve:
            points = ", ".join(f"{step:,}: {value:.3f}" for step, value in section.curve)
            parts.append(f"Bits per byte of the validation text, by step: {points}.")
        if section.table:
            cells = [[_one_line(cell).replace("|", "\\|") for cell in row] for row in section.table]
            lines = [" | ".join(row) for row in cells]
            parts.append("\n".join([lines[0], " | ".join("---" for _ in cells[0]), *lines[1:]]))
    return "\n\n".join(parts) + "\n"


def _one_line(text: str) -> str:
    return " ".join(escape(text, quote=False).split())


def _html(found: list[Section]) -> str:
    parts = [f"<!DOCTYPE html><html lang='en'><meta charset='utf-8'><title>{escape(found[0].title)}</title>"]
    parts.append(f"<meta name='viewport' content='width=device-width'><style>{STYLE}</style>")
    for number, section in enumerate(found):
        level = "h1" if number == 0 else "h2"
        parts.append(f"<{level}>{escape(section.title)}</{level}>")
        parts += [f"<p>{_with_code(paragraph)}</p>" for paragraph in section.paragraphs]
        if section.see:
            parts.append(f"<p><em>Explained in: {escape(section.see)}.</em></p>")
        if section.curve:
            parts += ["<p>Bits per byte of the validation text, by step:</p>", _curve(section.curve)]
        for row_number, row in enumerate(section.table):
            tag = "td" if row_number else "th"
            cells = "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)
            parts.append(("" if row_number else "<table>") + f"<tr>{cells}</tr>")
        if section.table:
            parts.append("</table>")
    return "\n".join([*parts, "</html>\n"])


def _with_code(text: str) -> str:
    """The text in HTML; what stands between backticks is code."""
    return re.sub("`(.+?)`", r"<code>\1</code>", escape(text))


def _curve(points: list[list[float]], width: int = 600, height: int = 200) -> str:
    """Values by step as a line, with the first and the last as numbers."""
    steps, values = zip(*points, strict=True)
    low, high = min(values), max(values)

    def place(step: float, value: float) -> str:
        x = 50 + (width - 110) * step / steps[-1]
        return f"{x:.0f},{15 + (height - 40) * (high - value) / max(high - low, 1e-9):.0f}"

    line = " ".join(place(*point) for point in points)
    said = (
        f"from {values[0]:.2f} bits per byte at step {steps[0]:,} to {values[-1]:.2f} at step {steps[-1]:,}"
    )
    x, y = place(*points[-1]).split(",")
    return (
        f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='{said}'>"
        f"<polyline points='{line}' fill='none' stroke='#0072B2' stroke-width='2'/>"
        f"<text x='4' y='20' fill='currentColor'>{values[0]:.2f}</text>"
        f"<text x='{int(x) + 6}' y='{int(y) + 5}' fill='currentColor'>{values[-1]:.2f}</text>"
        f"<text x='50' y='{height - 4}' fill='currentColor'>{said}</text></svg>"
    )
